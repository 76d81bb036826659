//! What planning a restore costs: 100,000 headers in memory must be planned in under 100 ms and in n log n, and the headers
//! asked of the server must be those of the unapplied files and an overlap of two, whatever lies in the folder.
//! `cargo bench --bench chain` prints both and fails if either is not so.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover::sqlserver::chain::{BackupSet, Standing, plan};
use cutover::sqlserver::headers::HeaderCache;
use cutover::sqlserver::restore::{self, Hooks, Keep, Order};
use cutover::wire::lsn::Lsn;

mod api {
    pub use cutover::sqlserver::chain::BackupSet;
    pub use cutover::sqlserver::headers::Listed;
    pub use cutover::sqlserver::restore::{Instance, Percent};
    pub use cutover::sqlserver::{Answer, Failure, Message, ResultSet, Value};
    pub use cutover::wire::lsn::Lsn;
}
#[path = "../src/sqlserver/restore/tests/fake.rs"]
#[expect(dead_code, reason = "the unit tests use all of it")]
mod fake;

/// How much slower than n log n ten times the headers may be: the machine is not ours alone, and the caches are small.
const SLACK: f64 = 2.5;

fn main() -> ExitCode {
    let small = planning(10_000);
    let large = planning(100_000);
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    // n log n: 10 × log(100,000) / log(10,000)
    let expected = 10.0 * 5.0 / 4.0;
    println!("planned    10,000 headers in {:8.2} ms", small.as_secs_f64() * 1e3);
    println!("planned   100,000 headers in {:8.2} ms (limit 100 ms)", large.as_secs_f64() * 1e3);
    println!("ratio 100,000 / 10,000: {ratio:.1} (n log n: {expected:.1}; n²: 100)");
    let mut good = large < Duration::from_millis(100) && ratio < expected * SLACK;

    for (files, applied) in [(100, 88), (1_000, 988), (10_000, 9_988), (10_000, 9_000)] {
        let asked = headers_asked(files, applied);
        let unapplied = files - applied;
        println!("folder of {files:6} files, {unapplied:5} unapplied: {asked:5} headers asked (unapplied + {})", asked - unapplied);
        good &= asked == unapplied + 2;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The best of several plans over a shuffled chain with duplicates, copy-only sets, other databases and empty sets.
fn planning(count: usize) -> Duration {
    let mut random = fastrand::Rng::with_seed(7);
    let mut sets: Vec<Arc<BackupSet>> = (0..count)
        .map(|n| {
            // of ten sets seven are the chain's, three lie beside the first of them
            let link = n / 10 * 7 + (n % 10).saturating_sub(3);
            let set = fake::log(link);
            Arc::new(match n % 10 {
                1 => BackupSet { copy_only: true, first_lsn: Lsn(set.first_lsn.0 + 5), last_lsn: Lsn(set.last_lsn.0 + 50), ..set },
                2 => BackupSet { family: Some(fake::guid(99)), ..set },
                3 => BackupSet { last_lsn: set.first_lsn, ..set },
                _ => set,
            })
        })
        .collect();
    random.shuffle(&mut sets);
    let from = Standing { redo: Lsn(50), fork: fake::guid(1), family: Some(fake::guid(10)), database: "mgc".into() };
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let started = Instant::now();
        let plan = plan(black_box(&from), black_box(&sets));
        best = best.min(started.elapsed());
        assert!(plan.gap.is_none() && plan.apply.len() * 10 >= count * 7, "the bench's chain must be whole");
    }
    best
}

fn headers_asked(files: usize, applied: usize) -> usize {
    let server = fake::chain(0..files, applied);
    for n in 0..files {
        let twin = BackupSet { database: "mgccomp".into(), family: Some(fake::guid(98)), ..fake::log(n) };
        server.world().put(&fake::name("mgccomp", n), fake::File::Sets(vec![twin]));
    }
    let listing = server.world().listing();
    let order = Order {
        alone: false,
        server: "backup",
        database: "mgc",
        folder_on_server: fake::FOLDER,
        files: &listing,
        matching: "*.trn",
        keep: Keep::NoRecovery,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let hooks = Hooks { stop: &|| false, progress: &|_| () };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers can be built");
    let cache = HeaderCache::default();
    let chain = runtime.block_on(restore::plan(&server, &order, &cache, hooks)).expect("the fake answers everything");
    assert_eq!(chain.plan.apply.len(), files - applied, "the whole rest of the chain is planned");
    assert_eq!(server.world().headers, chain.headers_asked, "every header read is counted");
    chain.headers_asked
}
