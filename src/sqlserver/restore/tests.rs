//! The driver against a server in memory: which headers it asks for, what it sends, and what it says when it stops.

mod fake;

use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use miette::Diagnostic;

use self::fake::{FOLDER, Fake, File, chain, guid, log, name};
use super::*;

mod api {
    pub use crate::sqlserver::chain::BackupSet;
    pub use crate::sqlserver::error::Failure;
    pub use crate::sqlserver::headers::Listed;
    pub use crate::sqlserver::restore::{Instance, Percent};
    pub use crate::sqlserver::value::{Answer, Message, ResultSet, Value};
    pub use crate::wire::lsn::Lsn;
}

fn order(files: &[Listed]) -> Order<'_> {
    Order {
        alone: false,
        server: "backup",
        database: "mgc",
        folder_on_server: FOLDER,
        files,
        matching: "*.trn",
        keep: Keep::NoRecovery,
        now: "2024-01-01T12:00:00Z".parse().expect("a constant"),
    }
}

const QUIET: Hooks<'static> = Hooks { stop: &|| false, progress: &|_| () };

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime with a clock only").block_on(future)
}

fn planned(fake: &Fake) -> Result<Chain, ChainFailure> {
    let files = fake.world().listing();
    wait(plan(fake, &order(&files), &HeaderCache::default(), QUIET))
}

fn restored(fake: &Fake) -> Result<Restored, ChainFailure> {
    let files = fake.world().listing();
    let order = order(&files);
    wait(async { apply(fake, &order, &plan(fake, &order, &HeaderCache::default(), QUIET).await?, QUIET).await })
}

/// Message, code and help, as the report shows them.
fn refusal(fake: &Fake) -> String {
    told(&restored(fake).expect_err("it must stop"))
}

fn told(failure: &ChainFailure) -> String {
    let part = |part: Option<Box<dyn std::fmt::Display + '_>>| part.map(|p| p.to_string()).unwrap_or_default();
    format!("{failure}\n{}\nhelp: {}", part(failure.code()), part(failure.help()))
}

#[test]
fn the_chain_is_applied_in_order_and_the_redo_point_is_read_back() {
    let fake = chain(0..6, 3);
    let restored = restored(&fake).unwrap();
    assert_snapshot!(fake.world().statements.join("\n"), @r"
    RESTORE LOG [mgc] FROM DISK = N'D:\LogShip\mgc_20240101004500.trn' WITH FILE = 1, NORECOVERY, STATS = 10
    RESTORE LOG [mgc] FROM DISK = N'D:\LogShip\mgc_20240101010000.trn' WITH FILE = 1, NORECOVERY, STATS = 10
    RESTORE LOG [mgc] FROM DISK = N'D:\LogShip\mgc_20240101011500.trn' WITH FILE = 1, NORECOVERY, STATS = 10
    ");
    assert_eq!((restored.applied.len(), restored.skipped, restored.last_lsn), (3, 2, Lsn(600)));
    assert_snapshot!(restored.loss.lines().join("\n"), @"
    certainly kept: what was committed before 2024-01-01 03:15:01 by the primary's clock (UTC+02:00), 2024-01-01 01:15:01 UTC, when the last log backup `mgc_20240101011500.trn` began
    uncertain: what was committed while that backup ran, until 2024-01-01 03:15:21 by the primary's clock (UTC+02:00), 2024-01-01 01:15:21 UTC
    lost: everything committed later: at least nothing, and at most 10 h 44 min if the primary worked until now (2024-01-01 12:00:00 UTC by this machine's clock; the restoring server's clock is 3 s ahead of it)
    never in these backups: the queue of the compliance database mgccomp: it is not log shipped, and what its adapter had not drained is gone with the primary site; files posted in chat rooms: they live in the file store, not in this database; log backups taken by other tools and kept elsewhere: nobody here can know of them
    ");
}

#[test]
fn headers_asked_are_the_unapplied_ones_and_two_more_whatever_lies_in_the_folder() {
    for (size, applied) in [(24, 12), (300, 299), (1000, 980), (40, 40)] {
        let fake = chain(0..size, applied);
        {
            let mut world = fake.world();
            for n in 0..200 {
                world.put(&name("mgccomp", n), File::Sets(vec![BackupSet { database: "mgccomp".into(), ..log(n) }]));
            }
            world.put("mgc_20991231000000.wrk", File::CannotOpen(32));
            world.put("readme.txt", File::Broken(3241));
        }
        let chain = planned(&fake).unwrap();
        assert_eq!((chain.plan.apply.len(), chain.headers_asked), (size - applied, size - applied + 2));
        assert_eq!(fake.world().headers, chain.headers_asked);
    }
}

#[test]
fn a_header_is_asked_for_once_in_a_run_unless_the_file_changed() {
    let fake = chain(0..10, 6);
    let cache = HeaderCache::default();
    let mut files = fake.world().listing();
    let asked = |files: &[Listed]| wait(plan(&fake, &order(files), &cache, QUIET)).unwrap().headers_asked;
    assert_eq!(asked(&files), 6);
    assert_eq!(asked(&files), 0);
    let newest = files.iter_mut().find(|file| file.name == name("mgc", 9)).unwrap();
    newest.bytes += 1;
    assert_eq!(asked(&files), 1);
}

#[test]
fn names_that_lie_about_the_order_are_found_out_before_a_gap_is_declared() {
    let fake = chain(0..40, 30);
    {
        let mut world = fake.world();
        // the set that is needed next was written by a server whose clock stood years back
        world.take_away(&name("mgc", 30));
        world.put("mgc_20190101000000.trn", File::Sets(vec![log(30)]));
        // and another one was renamed after another database
        world.take_away(&name("mgc", 33));
        world.put("tail_20230101000000.trn", File::Sets(vec![log(33)]));
    }
    let chain = planned(&fake).unwrap();
    assert_eq!((chain.plan.apply.len(), chain.plan.gap), (10, None));
}

#[test]
fn a_file_whose_name_says_nothing_is_read_when_it_is_new() {
    let fake = chain(0..10, 8);
    fake.world().put("by hand.trn", File::Sets(vec![log(10)]));
    let mut files = fake.world().listing();
    for file in &mut files {
        file.modified = (file.name == "by hand.trn").then(|| "2024-01-01T05:00:00Z".parse().unwrap());
    }
    let chain = wait(plan(&fake, &order(&files), &HeaderCache::default(), QUIET)).unwrap();
    assert_eq!((chain.plan.apply.len(), chain.headers_asked), (3, 5));
}

#[test]
fn two_pools_on_one_share_are_told_apart_by_family() {
    let fake = chain(0..10, 8);
    {
        let mut world = fake.world();
        for n in 0..50 {
            let set = BackupSet { family: Some(guid(11)), first_fork: Some(guid(3)), last_fork: Some(guid(3)), ..log(n) };
            world.put(&name("mgc", n).replace("00.trn", "07.trn"), File::Sets(vec![set]));
        }
    }
    let restored = restored(&fake).unwrap();
    assert_eq!((restored.applied.len(), restored.last_lsn), (2, Lsn(1000)));
}

#[test]
fn a_gap_stops_before_the_first_restore() {
    let fake = chain(0..12, 6);
    fake.world().take_away(&name("mgc", 8));
    assert_snapshot!(refusal(&fake), @"
    the log chain has a gap: log from LSN 800 up to LSN 900 is missing, written between 2024-01-01 03:45:21 and 2024-01-01 04:15:01 (time of the primary), between `mgc_20240101014500.trn` and `mgc_20240101021500.trn`; nothing was applied, `mgc` on `backup` is still RESTORING at LSN 600
    cutover::sqlserver::gap
    help: ask the backup team for a log backup covering LSN 800–900: the most common cause is another backup product or a maintenance plan that took one elsewhere; look in msdb of the primary and of its mirror, if either can still be read: backupset joined with backupmediafamily names every file that was written
    ");
    assert!(fake.world().statements.is_empty());
    // log_chain shows the same and does not fail
    assert!(planned(&fake).unwrap().plan.gap.is_some());
}

#[test]
fn a_truncated_file_in_the_middle_is_named_as_the_cause_of_the_gap() {
    let fake = chain(0..12, 6);
    fake.world().put(&name("mgc", 8), File::Broken(3241));
    let text = refusal(&fake);
    let cause = "(in the folder, but of no use: `mgc_20240101020000.trn`: it is truncated, half copied or not a backup that this server can read (error 3241))";
    assert!(text.contains(cause), "{text}");
}

#[test]
fn an_unreadable_newest_file_stops_and_an_unreadable_old_one_does_not() {
    let fake = chain(0..12, 6);
    fake.world().put(&name("mgc", 12), File::Broken(3254));
    assert_snapshot!(refusal(&fake), @"
    `mgc_20240101030000.trn` may hold newer log than all others, and it is empty (error 3254); nothing was applied, `mgc` on `backup` is still RESTORING at LSN 600
    cutover::sqlserver::unreadable_backup
    help: compare it with the original, copy it again from the share, then run the runbook again; if there is no whole copy, move it out of the folder and accept the loss
    ");
    let fake = chain(0..12, 6);
    fake.world().put(&name("mgc", 4), File::Broken(3254));
    fake.world().put("mgc_20240101020100.trn", File::Broken(3254));
    let restored = restored(&fake).unwrap();
    assert_eq!((restored.applied.len(), restored.unread.len(), restored.loss.could_not_serve.len()), (6, 2, 1));
}

#[test]
fn a_service_account_without_access_is_told_after_three_files() {
    let fake = chain(0..500, 6);
    for file in fake.world().files.values_mut() {
        *file = File::CannotOpen(5);
    }
    assert_snapshot!(refusal(&fake), @"
    `mgc_20240106044500.trn` may hold newer log than all others, and the SQL Server cannot open it (Windows error 5: access denied to the SQL Server service account); nothing was applied, `mgc` on `backup` is still RESTORING at LSN 600
    cutover::sqlserver::unreadable_backup
    help: give the SQL Server service account read access to the file and its folder (your own access doesn't count), then run the runbook again
    ");
    assert_eq!(fake.world().headers, HOPELESS);
}

#[test]
fn another_databases_file_and_a_file_of_another_fork() {
    let fake = chain(0..8, 6);
    fake.world().put(&name("mgc", 8), File::Sets(vec![BackupSet { database: "other".into(), family: Some(guid(12)), ..log(8) }]));
    assert_eq!(restored(&fake).unwrap().applied.len(), 2);

    let fake = chain(0..8, 6);
    fake.world().put(&name("mgc", 8), File::Sets(vec![BackupSet { first_fork: Some(guid(2)), last_fork: Some(guid(2)), ..log(8) }]));
    assert_snapshot!(refusal(&fake), @"
    newer log backups belong to another recovery fork: `mgc_20240101020000.trn`, written from 2024-01-01 04:00:01 on (time of the server that wrote them); nothing was applied, `mgc` on `backup` is still RESTORING at LSN 600
    cutover::sqlserver::fork
    help: find out which server was recovered or restored at that time and which history is the right one, then move the files of the other out of the folder
    ");
}

#[test]
fn each_state_has_its_own_error() {
    let said = |change: &dyn Fn(&mut fake::World)| {
        let fake = chain(0..8, 6);
        change(&mut fake.world());
        refusal(&fake).lines().next().unwrap_or_default().to_owned()
    };
    let all = [
        said(&|world| world.database = "else".into()),
        said(&|world| world.state = 0),
        said(&|world| world.state = 2),
        said(&|world| world.state = 4),
        said(&|world| world.redo.clear()),
        said(&|world| world.redo.push((Lsn(700), guid(1)))),
        said(&|world| world.redo.push((Lsn(600), guid(2)))),
        said(&|world| {
            (world.state, world.in_standby) = (0, true);
            world.history.clear();
        }),
    ];
    assert_snapshot!(all.join("\n"), @"
    there is no database `mgc` on `backup`; nothing was changed
    `mgc` on `backup` is already recovered: no further log can ever be applied to it (by name, 2 log backups in the folder are newer than the last restored one, `mgc_20240101011500.trn`); nothing was applied by this step
    `mgc` on `backup` is RECOVERING, not RESTORING: no log backup can be applied now
    `mgc` on `backup` is SUSPECT, not RESTORING: no log backup can be applied now
    where `mgc` on `backup` stands is not clear: sys.master_files shows no data file of it: the login lacks VIEW ANY DEFINITION, or the full backup was never restored; nothing was applied
    where `mgc` on `backup` stands is not clear: its data files stand at different LSNs, from 600 to 700; nothing was applied
    where `mgc` on `backup` stands is not clear: its data files stand on 2 recovery forks; nothing was applied
    where `mgc` on `backup` stands is not clear: it is in STANDBY, and msdb holds no restore history of it; nothing was applied
    ");
}

#[test]
fn standby_takes_the_redo_point_from_history_and_writes_the_undo_file_once() {
    let fake = chain(0..9, 6);
    {
        let mut world = fake.world();
        (world.state, world.in_standby) = (0, true);
        world.redo.clear();
        world.redo.push((Lsn(600), guid(1)));
    }
    let files = fake.world().listing();
    let order = Order { keep: Keep::Standby { undo_file: r"D:\undo\mgc.tuf".into() }, ..order(&files) };
    let restored = wait(async { apply(&fake, &order, &plan(&fake, &order, &HeaderCache::default(), QUIET).await?, QUIET).await });
    assert_eq!(restored.unwrap().last_lsn, Lsn(900));
    let world = fake.world();
    let ends: Vec<_> = world.statements.iter().map(|text| text.split(" WITH ").nth(1).unwrap_or_default()).collect();
    assert_snapshot!(ends.join("\n"), @r"
    FILE = 1, NORECOVERY, STATS = 10
    FILE = 1, NORECOVERY, STATS = 10
    FILE = 1, STANDBY = N'D:\undo\mgc.tuf', STATS = 10
    ");
}

#[test]
fn nothing_to_apply_is_a_success_that_says_so() {
    let restored = restored(&chain(0..6, 6)).unwrap();
    assert_eq!((restored.applied.len(), restored.skipped, restored.last_lsn), (0, 2, Lsn(600)));
    assert_eq!(restored.loss.last_file.as_deref(), Some(name("mgc", 5).as_str()));
}

#[test]
fn an_empty_folder_still_has_a_loss_statement_from_history() {
    let restored = restored(&chain(0..0, 6)).unwrap();
    assert_eq!(restored.headers_asked, 0);
    assert_eq!(restored.loss.last_file.as_deref(), Some(name("mgc", 5).as_str()));
    assert_eq!(restored.loss.offset_minutes, Some(120));
}

#[test]
fn several_sets_in_one_file_are_applied_by_position() {
    let fake = chain(0..6, 6);
    let sets = (0..3).map(|n| BackupSet { position: n + 1, ..log(5 + n as usize) }).collect();
    fake.world().put("mgc_20240101013000.trn", File::Sets(sets));
    let restored = restored(&fake).unwrap();
    let positions: Vec<_> = restored.applied.iter().map(|applied| applied.position).collect();
    assert_eq!((positions, restored.last_lsn), (vec![2, 3], Lsn(800)));
}

#[test]
fn somebody_else_who_restores_or_recovers_is_noticed() {
    let fake = chain(0..9, 6);
    fake.world().intruder = Some((1, Some(log(7))));
    assert_snapshot!(refusal(&fake), @"
    somebody else is restoring `mgc` on `backup`: it is already past `mgc_20240101014500.trn`, which was next a moment ago (error 4326); 1 of 3 log backups were applied, `mgc` on `backup` is RESTORING at LSN 800
    cutover::sqlserver::somebody_else
    help: stop, find out who it is (a colleague, the log shipping restore job, sys.dm_exec_requests), and run the runbook again when they are done
    ");
    let fake = chain(0..9, 6);
    fake.world().intruder = Some((1, None));
    let text = refusal(&fake);
    assert!(
        text.starts_with("`mgc` on `backup` is already recovered: no further log can ever be applied to it; nothing was applied"),
        "{text}"
    );
}

#[test]
fn a_plan_that_was_overtaken_is_not_applied() {
    let fake = chain(0..9, 6);
    let files = fake.world().listing();
    let order = order(&files);
    let failure = wait(async {
        let chain = plan(&fake, &order, &HeaderCache::default(), QUIET).await.unwrap();
        fake.world().redo[0].0 = Lsn(700);
        apply(&fake, &order, &chain, QUIET).await.unwrap_err()
    });
    assert!(matches!(failure, ChainFailure::SomebodyElse { .. }), "{failure}");
    assert!(fake.world().statements.is_empty());
}

#[test]
fn an_interrupted_restore_is_redone_and_then_the_chain_goes_on() {
    // of the set that is next
    let fake = chain(0..9, 6);
    fake.world().interrupted = Some(name("mgc", 6));
    assert_eq!(restored(&fake).unwrap().applied.len(), 3);
    // of the one before it in the chain, which the server had taken as done
    let fake = chain(0..9, 6);
    fake.world().put(&name("mgc", 7), File::Sets(vec![log(7)]));
    let chain_before = planned(&fake).unwrap();
    assert_eq!(before(&chain_before, &chain_before.plan.apply[0]).map(|set| set.file.to_string()), Some(name("mgc", 5)));
    // of another: nobody here can tell which
    let fake = chain(0..9, 6);
    fake.world().interrupted = Some("elsewhere.trn".into());
    let text = refusal(&fake);
    assert!(text.contains("error 4319") && text.contains("repeat that RESTORE LOG by hand"), "{text}");
}

#[test]
fn a_restore_of_an_earlier_run_that_still_goes_on_is_waited_for() {
    let fake = chain(0..9, 6);
    fake.world().orphan.push(());
    let waits = AtomicUsize::new(0);
    let count = |progress: Progress<'_>| {
        waits.fetch_add(usize::from(matches!(progress, Progress::Waiting { session: 55, .. })), Ordering::Relaxed);
    };
    let files = fake.world().listing();
    let hooks = Hooks { stop: &|| false, progress: &count };
    wait(plan(&fake, &order(&files), &HeaderCache::default(), hooks)).unwrap();
    assert_eq!(waits.load(Ordering::Relaxed), 1);
    // and a stop is heeded meanwhile
    fake.world().orphan.push(());
    let hooks = Hooks { stop: &|| true, ..QUIET };
    let failure = wait(plan(&fake, &order(&files), &HeaderCache::default(), hooks)).unwrap_err();
    assert_snapshot!(failure, @"stopped on request; nothing was changed in `mgc` on `backup`");
}

#[test]
fn a_database_that_was_recovered_too_early_names_what_it_will_never_get() {
    let fake = chain(0..9, 6);
    fake.world().state = 0;
    assert_snapshot!(refusal(&fake), @"
    `mgc` on `backup` is already recovered: no further log can ever be applied to it (by name, 3 log backups in the folder are newer than the last restored one, `mgc_20240101011500.trn`); nothing was applied by this step
    cutover::sqlserver::already_recovered
    help: find out who recovered it and when (msdb..restorehistory, the error log) before anything else: what was not applied by then is lost on this copy
    ");
}

#[test]
fn a_payload_that_ends_early_says_what_was_applied_before() {
    let fake = chain(0..9, 6);
    fake.world().put(&name("mgc", 7), File::Payload(vec![log(7)], 3203));
    assert_snapshot!(refusal(&fake), @"
    RESTORE LOG from `mgc_20240101014500.trn` failed: `backup` answered with error 3203 (severity 16, state 1, line 1): what the server says; 1 of 3 log backups were applied, `mgc` on `backup` is RESTORING at LSN 700
    cutover::sqlserver::restore_refused
    help: compare it with the original, copy it again from the share, then run the runbook again; if there is no whole copy, move it out of the folder and accept the loss
    ");
}

#[test]
fn a_lost_connection_leaves_the_set_in_doubt_and_the_next_call_goes_on() {
    let fake = chain(0..9, 6);
    fake.world().lost_at = Some(2);
    let failure = restored(&fake).unwrap_err();
    assert!(failure.in_doubt() && failure.applied() == 1, "{failure}");
    assert_snapshot!(failure, @"RESTORE LOG from `mgc_20240101014500.trn` failed: the connection to `backup` was lost before it answered: reset by peer; whether that log backup was applied cannot be told from here; before it, 1 of 3 log backups were applied, `mgc` on `backup` is RESTORING at LSN 700");
    fake.world().lost_at = None;
    assert_eq!(restored(&fake).unwrap().applied.len(), 2);
}

#[test]
fn a_stop_is_heeded_between_files_and_progress_is_told() {
    let fake = chain(0..9, 6);
    let files = fake.world().listing();
    let order = order(&files);
    let done = AtomicUsize::new(0);
    let hooks = Hooks {
        stop: &|| done.load(Ordering::Relaxed) == 2,
        progress: &|progress| {
            if let Progress::Applied { number, .. } = progress {
                done.store(number, Ordering::Relaxed);
            }
        },
    };
    let failure = wait(async { apply(&fake, &order, &plan(&fake, &order, &HeaderCache::default(), QUIET).await?, hooks).await });
    assert_snapshot!(failure.unwrap_err(), @"stopped on request; 2 of 3 log backups were applied, `mgc` on `backup` is RESTORING at LSN 800");
}

#[test]
fn patterns_match_whole_names_without_regard_to_case() {
    for (pattern, name, expected) in [
        ("*.trn", "MGC_1.TRN", true),
        ("*.trn", "a.trn.wrk", false),
        ("mgc_*1?.trn", "mgc_2011_x19.trn", true),
        ("*", "", true),
        ("?", "", false),
        ("a*b*c", "a-b-b-d", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_file_shorter_than_its_header_says_is_proven_by_the_server_before_anything_is_applied() {
    let fake = chain(0..12, 6);
    fake.world().put(&name("mgc", 8), File::Payload(vec![log(8)], 3203));
    let mut files = fake.world().listing();
    let short = |files: &mut Vec<Listed>, n| files.iter_mut().find(|file| file.name == name("mgc", n)).unwrap().bytes = 30_000;
    // this one is short too, but whole: a header may exaggerate
    short(&mut files, 7);
    short(&mut files, 8);
    let order = order(&files);
    let failure =
        wait(async { apply(&fake, &order, &plan(&fake, &order, &HeaderCache::default(), QUIET).await.unwrap(), QUIET).await.unwrap_err() });
    assert_snapshot!(failure, @"the log chain has a gap: log from LSN 800 up to LSN 900 is missing, written between 2024-01-01 03:45:21 and 2024-01-01 04:15:01 (time of the primary), between `mgc_20240101014500.trn` and `mgc_20240101021500.trn` (in the folder, but of no use: `mgc_20240101020000.trn`: reading it failed: it is damaged or cut off, or its disk or share fails (error 3203)); nothing was applied, `mgc` on `backup` is still RESTORING at LSN 600");
    let world = fake.world();
    assert_eq!((world.verified, world.statements.len()), (2, 0));
}

#[test]
fn both_halves_may_run_on_any_thread() {
    fn is_send<T: Send>(_: T) {}
    let instance = OnServer { servers: Servers::new([]), key: "backup".into(), cancel: None, on_message: None };
    let fake = chain(0..3, 1);
    let chain = planned(&fake).unwrap();
    let order = order(&[]);
    is_send(plan(&instance, &order, &HeaderCache::default(), QUIET));
    is_send(apply(&instance, &order, &chain, QUIET));
}
