//! Copying beside its peers, as ratios in one run: `cargo bench --bench copy`. Rounds alternate so that a busy disk is
//! shared fairly. `COPY_BENCH_DIR` names a folder on the disk to measure (default: the build folder's), `COPY_BENCH_ROUNDS`
//! the rounds.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, UNIX_EPOCH};

use cutover::backups::{CopyOptions, copy};

const MIB: usize = 1 << 20;

type Peer<'a> = (&'a str, &'a dyn Fn(&Path, &Path));

fn main() {
    let rounds = std::env::var("COPY_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let base = std::env::var_os("COPY_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    fs::create_dir_all(&base).unwrap();
    let root = tempfile::tempdir_in(base).unwrap();
    let (rclone, rsync) = (installed("rclone"), installed("rsync"));

    println!("64 files of 16 MiB, flushed and verified; median of {rounds} rounds");
    let from = root.path().join("large");
    make(&from, 64, 16 * MIB);
    let unverified = |from: &Path, to: &Path| ours(from, to, false);
    let mut peers: Vec<Peer<'_>> = vec![("cutover", &|from, to| ours(from, to, true)), ("cutover, verify: false", &unverified)];
    peers.push(("cp, then sync", &|from, to| {
        run("cp", &["-r", "--preserve=timestamps", &format!("{}/.", from.display()), &to.display().to_string()]);
        run("sync", &[]);
    }));
    if rclone {
        peers.push(("rclone copy --checksum", &|from, to| {
            run("rclone", &["copy", "--checksum", &from.display().to_string(), &to.display().to_string()]);
        }));
    }
    let times = measure(rounds, &peers, &from, root.path(), false);
    report(&times);
    bound("cutover", "cp, then sync", 1.1, &times);
    bound("cutover", "rclone copy --checksum", 0.5, &times);

    println!("\nnothing to copy among 20,000 files; median of {rounds} rounds");
    let from = root.path().join("many");
    make(&from, 20_000, 64);
    let mut peers: Vec<Peer<'_>> = vec![("cutover", &|from, to| ours(from, to, true))];
    if rsync {
        peers.push(("rsync -a", &|from, to| run("rsync", &["-a", &format!("{}/", from.display()), &to.display().to_string()])));
    }
    let times = measure(rounds, &peers, &from, root.path(), true);
    report(&times);
    bound("cutover", "rsync -a", 0.5, &times);
}

fn ours(from: &Path, to: &Path, verify: bool) {
    let options = CopyOptions { verify, ..CopyOptions::new(from, to) };
    copy(&options, &|_| (), &AtomicBool::new(false)).unwrap();
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).stderr(Stdio::null()).status().unwrap().success(), "{program} failed");
}

fn installed(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("{program} is not installed: not compared");
    }
    there
}

/// Log backups of bytes that nothing can compress or share.
fn make(folder: &Path, files: usize, bytes: usize) {
    fs::create_dir(folder).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut content = vec![0; bytes];
    for i in 0..files {
        random.fill(&mut content);
        let (day, hour, minute, second) = (1 + i / 86_400, i / 3600 % 24, i / 60 % 60, i % 60);
        let mut file = File::create(folder.join(format!("mgc_202601{day:02}{hour:02}{minute:02}{second:02}.trn"))).unwrap();
        file.write_all(&content).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_767_225_600 + i as u64)).unwrap();
    }
    run("sync", &[]);
}

fn measure(rounds: usize, peers: &[Peer<'_>], from: &Path, root: &Path, again: bool) -> Vec<(String, Vec<Duration>)> {
    let mut times: Vec<_> = peers.iter().map(|(name, _)| ((*name).to_owned(), Vec::new())).collect();
    let to = root.join("to");
    for round in 0..rounds {
        for place in 0..peers.len() {
            let which = (round + place) % peers.len();
            if !again || (round == 0 && place == 0) {
                let _ = fs::remove_dir_all(&to);
                fs::create_dir(&to).unwrap();
            }
            if again && round == 0 && place == 0 {
                ours(from, &to, false);
            }
            if !again {
                warm(root);
            }
            run("sync", &[]);
            let started = Instant::now();
            peers[which].1(from, &to);
            times[which].1.push(started.elapsed());
        }
    }
    fs::remove_dir_all(&to).unwrap();
    times
}

/// Fills and frees as much page cache as a copy will need. A virtual machine hands free memory back to its host and gets it
/// again page by page, which takes longer than the copy: whoever runs after a pause would pay for it.
fn warm(root: &Path) {
    let path = root.join("warm");
    let mut file = File::create(&path).unwrap();
    let block = vec![1; MIB];
    for _ in 0..64 * 16 + 256 {
        file.write_all(&block).unwrap();
    }
    drop(file);
    fs::remove_file(path).unwrap();
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2].as_secs_f64()
}

fn report(times: &[(String, Vec<Duration>)]) {
    for (name, times) in times {
        let (least, most) = (times.iter().min().unwrap().as_secs_f64(), times.iter().max().unwrap().as_secs_f64());
        println!("  {name:<24} {:8.3} s   ({least:.3} to {most:.3})", median(times));
    }
}

fn bound(ours: &str, peer: &str, most: f64, times: &[(String, Vec<Duration>)]) {
    let of = |name: &str| times.iter().find(|(n, _)| n == name).map(|(_, t)| median(t));
    if let (Some(a), Some(b)) = (of(ours), of(peer)) {
        let verdict = if a / b <= most { "met" } else { "NOT MET" };
        println!("  {ours} / {peer}: {:.2} (at most {most}: {verdict})", a / b);
    }
}
