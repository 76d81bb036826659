//! RESTORE, BACKUP, KILL and ALTER DATABASE: states, chains, forks, and the numbers in their order.

use std::sync::Arc;

use super::{Stage, Tape, connect};
use crate::lab::instance::DatabaseState;
use crate::lab::scenario::Scenario;
use crate::lab::tds::{Cell, Request};

fn state(stage: &Stage) -> (DatabaseState, u32) {
    let state = stage.instance.lock();
    let mgc = state.database("mgc").expect("mgc");
    (mgc.state, mgc.logs_applied)
}

#[test]
fn a_whole_chain_is_applied_and_recovered_as_the_document_has_it() {
    let mut stage = Stage::quiet();
    let (copied, all) = (stage.copied(), stage.on_share());
    assert_eq!((copied.len(), all.len()), (16, 24));
    for name in &all[16..] {
        stage.bring(name);
    }
    for (n, name) in all.iter().enumerate().skip(12) {
        let answer = stage.apply(name);
        assert_eq!(answer.errors(), [0; 0], "{name}: {:?}", answer.messages);
        assert_eq!(answer.infos(), [4035, 4035, 3014]);
        assert_eq!(state(&stage), (DatabaseState::Restoring, n as u32 + 1));
    }
    let redo = stage.instance.lock().database("mgc").expect("mgc").redo;
    let answer = stage.run("RESTORE DATABASE mgc WITH RECOVERY");
    assert_eq!((answer.errors(), answer.infos()), (vec![], vec![3014]));
    assert_eq!(state(&stage), (DatabaseState::Online, 24));
    let text = "SELECT d.collation_name, r.fork_point_lsn, f.redo_start_lsn FROM sys.databases d \
                JOIN sys.database_recovery_status r ON r.database_id = d.database_id \
                JOIN sys.master_files f ON f.database_id = d.database_id AND f.file_id = 1 WHERE d.name = 'mgc'";
    assert_eq!(stage.run(text).table(), format!("SQL_Latin1_General_CP1_CI_AS | {redo} | NULL"));
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY").errors(), [3153, 3013]);
    assert_eq!(stage.apply(&all[23]).errors(), [3117, 3013]);
    let count = "SELECT COUNT(*) FROM msdb.dbo.restorehistory WHERE restore_type = 'L' AND recovery = 0";
    assert_eq!(stage.run(count).value(), Cell::Int(24));
}

#[test]
fn what_does_not_fit_the_chain_says_why_and_changes_nothing() {
    let mut stage = Stage::quiet();
    let all = stage.on_share();
    stage.bring(&all[20]);
    let before = stage.instance.lock().database("mgc").expect("mgc").redo;
    let early = stage.apply(&all[11]);
    assert_eq!(early.errors(), [4326, 3013]);
    let late = stage.apply(&all[20]);
    assert_eq!(late.errors(), [4305, 3013]);
    assert!(late.messages[0].text.contains(&before.to_string()), "{}", late.messages[0].text);
    assert!(late.messages.iter().all(|message| message.severity == 16));
    assert_eq!(stage.instance.lock().database("mgc").expect("mgc").redo, before);
    let mut errors = |text: &str| stage.run(text).errors();
    assert_eq!(errors("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\none.trn' WITH NORECOVERY"), [3201, 3013]);
    assert_eq!(errors("RESTORE LOG mgc FROM DISK = 'F:\\x\\none.trn' WITH NORECOVERY"), [3201, 3013]);
    let file = format!("D:\\LogShip\\{}", all[12]);
    assert_eq!(errors(&format!("RESTORE LOG nowhere FROM DISK = '{file}' WITH NORECOVERY")), [3118, 3013]);
    assert_eq!(errors(&format!("RESTORE LOG mgccomp FROM DISK = '{file}' WITH NORECOVERY")), [3117, 3013]);
    assert_eq!(errors(&format!("RESTORE LOG mgc FROM DISK = '{file}' WITH NORECOVERY, FILE = 2")), [4038, 3013]);
    assert_eq!(errors(&format!("RESTORE LOG mgc FROM DISK = '{file}' WITH NORECOVERY, CHECKSUM")), [3187, 3013]);
    assert_eq!(errors(&format!("RESTORE LOG mgc FROM DISK = '{file}' WITH NORECOVERY, STOPAT = '2026-01-01'")), [155]);
    assert_eq!(errors(&format!("BEGIN TRAN RESTORE LOG mgc FROM DISK = '{file}' WITH NORECOVERY")), [3021, 3013]);
    assert_eq!(errors("ROLLBACK"), [0; 0]);
    assert_eq!(errors("RESTORE DATABASE nowhere WITH RECOVERY"), [911, 3013]);
}

#[test]
fn faults_in_the_files_come_out_as_the_servers_errors() {
    let mut stage = Stage::with(
        "[[fault]]\nkind = \"truncated-log\"\nlog = 13\n[[fault]]\nkind = \"truncated-log\"\nlog = 14\nkeep = 60\n\
         [[fault]]\nkind = \"empty-file\"\nlog = 15\n[[fault]]\nkind = \"damaged-log\"\nlog = 16\nplace = \"copy\"\n\
         [[fault]]\nkind = \"other-database\"\nlog = 13\n[[fault]]\nkind = \"other-fork\"\nlog = 13\n\
         [[fault]]\nkind = \"missing-log\"\nlog = 20\n",
    );
    let names = stage.copied();
    assert_eq!(stage.on_share().len(), 25);
    let other = names.iter().find(|name| name.starts_with("mgccomp")).expect("another database's file").clone();
    let mgc: Vec<String> = names.iter().filter(|name| name.starts_with("mgc_")).cloned().collect();
    assert_eq!(mgc.len(), 17);
    let fork = mgc[13].clone();
    let logs: Vec<&String> = mgc.iter().filter(|name| **name != fork).collect();
    assert_eq!(stage.apply(logs[12]).errors(), [3203, 3013]);
    assert_eq!(stage.apply(logs[13]).errors(), [3241, 3013]);
    assert_eq!(stage.apply(logs[14]).errors(), [3254, 3013]);
    assert_eq!(stage.apply(&other).errors(), [3154, 3013]);
    assert_eq!(stage.apply(&fork).errors(), [4330, 3013]);
    let read = |what: &str, name: &str| format!("RESTORE {what} FROM DISK = 'D:\\LogShip\\{name}'");
    assert_eq!(stage.run(&read("HEADERONLY", logs[12])).errors(), [0; 0]);
    assert_eq!(stage.run(&read("VERIFYONLY", logs[12])).errors(), [3203, 3013]);
    assert_eq!(stage.run(&read("VERIFYONLY", logs[15])).errors(), [3189, 3013]);
    assert_eq!(stage.run(&read("VERIFYONLY", logs[11])).infos(), [3262]);
    assert_eq!(stage.run(&read("HEADERONLY", logs[14])).errors(), [3254, 3013]);
    assert_eq!(state(&stage), (DatabaseState::Restoring, 12));
}

#[test]
fn the_reading_forms_have_the_documented_columns() {
    let mut stage = Stage::with("[[fault]]\nkind = \"several-sets\"\nlog = 13\nlast = 15\n");
    let name = stage.copied()[12].clone();
    let mut read = |what: &str| stage.run(&format!("RESTORE {what} FROM DISK = N'D:\\LogShip\\{name}'"));
    let headers = read("HEADERONLY");
    assert_eq!(headers.sets[0].columns.len(), 56);
    assert_eq!(headers.sets[0].rows.len(), 3);
    let at = |column: &str| headers.sets[0].columns.iter().position(|found| found.name == column).expect("a column");
    let rows = &headers.sets[0].rows;
    assert_eq!(rows[0][at("LastLSN")], rows[1][at("FirstLSN")]);
    assert_eq!(rows[2][at("Position")], Cell::SmallInt(3));
    assert_eq!(rows[0][at("BackupType")], Cell::SmallInt(2));
    assert_eq!(read("FILELISTONLY").sets[0].rows.len(), 2);
    assert_eq!(read("LABELONLY").sets[0].columns[0].name, "MediaName");
    for file in 1..=3 {
        let text = format!("RESTORE LOG mgc FROM DISK = N'D:\\LogShip\\{name}' WITH FILE = {file}, NORECOVERY");
        assert_eq!(stage.run(&text).errors(), [0; 0]);
    }
    assert_eq!(state(&stage).1, 15);
}

#[test]
fn empty_and_copy_only_backups_stand_beside_the_chain() {
    let mut stage = Stage::with("[[fault]]\nkind = \"empty-log\"\nlog = 13\n[[fault]]\nkind = \"copy-only-log\"\nlog = 14\n");
    let names = stage.copied();
    assert_eq!(names.len(), 18);
    // 13, the empty one after it, 14, the copy of 14
    let errors: Vec<Vec<i32>> = names[12..16].iter().map(|name| stage.apply(name).errors()).collect();
    assert_eq!(errors, [vec![], vec![], vec![], vec![4326, 3013]]);
}

#[test]
fn recovery_is_the_default_and_ends_the_sequence() {
    let mut stage = Stage::quiet();
    let names = stage.copied();
    let answer = stage.run(&format!("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{}' WITH STATS = 25", names[12]));
    assert_eq!(answer.infos(), [3211, 3211, 3211, 3211, 4035, 4035, 3014]);
    assert_eq!(state(&stage), (DatabaseState::Online, 13));
    assert_eq!(stage.apply(&names[13]).errors(), [3117, 3013]);
}

#[test]
fn standby_opens_the_database_for_reading_and_readers_hold_it() {
    let mut stage = Stage::with("standby = true\nreaders = 2\n");
    let names = stage.copied();
    let count = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE database_id = DB_ID('mgc')";
    assert_eq!(stage.run(count).value(), Cell::Int(2));
    assert_eq!(stage.apply(&names[12]).errors(), [3101, 3013]);
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY").errors(), [3101, 3013]);
    let redo = "SELECT MIN(redo_start_lsn) FROM sys.master_files WHERE database_id = DB_ID('mgc')";
    assert_eq!(stage.run(redo).value(), Cell::Null);
    let readers = stage.instance.lock().users_of("mgc", 0);
    for reader in readers {
        assert_eq!(stage.run(&format!("KILL {reader}")).errors(), [0; 0]);
    }
    assert_eq!(stage.run(count).value(), Cell::Int(0));
    assert_eq!(stage.apply(&names[12]).errors(), [0; 0]);
    let answer = stage.run(&format!("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{}' WITH STANDBY = 'E:\\Data\\mgc.tuf'", names[13]));
    assert_eq!(answer.errors(), [0; 0]);
    assert!(stage.dir.path().join("data").join("mgc.tuf").exists());
    let shown = "SELECT state_desc, is_in_standby, is_read_only, user_access_desc FROM sys.databases WHERE name = 'mgc'";
    assert_eq!(stage.run(shown).table(), "ONLINE | 1 | 1 | MULTI_USER");
    assert_eq!(stage.run("USE mgc RESTORE DATABASE mgc WITH RECOVERY").errors(), [3102, 3013]);
    assert_eq!(stage.run("USE master RESTORE DATABASE mgc WITH RECOVERY").errors(), [0; 0]);
    assert!(!stage.dir.path().join("data").join("mgc.tuf").exists());
}

#[test]
fn readers_that_come_back_are_kept_out_by_single_user_only() {
    let mut stage = Stage::with("standby = true\nreaders = 1\nreaders-reconnect = true\n");
    let name = stage.copied()[12].clone();
    let reader = stage.instance.lock().users_of("mgc", 0)[0];
    assert_eq!(stage.run(&format!("KILL {reader}")).errors(), [0; 0]);
    assert_eq!(stage.apply(&name).errors(), [3101, 3013]);
    let answer = stage.run(&format!(
        "ALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMMEDIATE; \
         RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{name}' WITH NORECOVERY"
    ));
    assert_eq!(answer.errors(), [0; 0], "{:?}", answer.messages);
    assert_eq!(stage.run("ALTER DATABASE mgc SET MULTI_USER").errors(), [5052, 5069]);
    assert_eq!(stage.run("ALTER DATABASE mgc SET PARTNER OFF").errors(), [1416]);
    assert_eq!(stage.run("ALTER DATABASE nowhere SET MULTI_USER").errors(), [5011, 5069]);
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY; ALTER DATABASE mgc SET MULTI_USER").errors(), [0; 0]);
}

#[test]
fn kill_refuses_what_the_server_refuses() {
    let mut stage = Stage::quiet();
    let own = stage.id();
    let mut check = |text: &str, number: i32, severity: u8| {
        let answer = stage.run(text);
        assert_eq!(answer.errors(), [number], "{text}");
        assert_eq!(answer.messages[0].severity, severity, "{text}");
    };
    check(&format!("KILL {own}"), 6104, 16);
    check("KILL 7", 6107, 14);
    check("KILL 900", 6106, 16);
    check("KILL 70000", 6101, 16);
    check("KILL 52 WITH STATUSONLY", 6120, 16);
    check("BEGIN TRAN KILL 52", 6115, 16);
}

#[test]
fn a_killed_session_cannot_go_on() {
    let mut stage = Stage::quiet();
    let mut other = connect(&stage.instance);
    assert_eq!(stage.run(&format!("KILL {}", other.id())).errors(), [0; 0]);
    let mut tape = Tape::default();
    other.run(&Request::Batch { text: "SELECT 1".into(), parameters: Vec::new() }, &mut tape);
    assert_eq!(tape.errors(), [596]);
    assert_eq!(tape.messages[0].severity, 21);
}

/// A scene whose restores take real, if little, time.
fn slow() -> Stage {
    let scenario = Scenario { bytes: 2_000, ..Scenario::default() };
    let mut stage = Stage::new(&scenario);
    let (dir, mut instance) = crate::lab::world::instance_of(&scenario, 1);
    let inner = Arc::get_mut(&mut instance).expect("only ours");
    let world = Arc::get_mut(&mut inner.world).expect("only ours");
    world.pace = 1.0;
    world.restore_seconds = 0.4;
    stage.session = connect(&instance);
    stage.instance = instance;
    stage.dir = dir;
    stage
}

#[test]
fn an_attention_leaves_a_restore_half_done_and_the_same_file_heals_it() {
    let mut stage = slow();
    let names = stage.copied();
    let text = |name: &str| format!("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{name}' WITH NORECOVERY");
    let mut tape = Tape { attention_after: Some(2), ..Tape::default() };
    stage.run_on(&text(&names[12]), &[], &mut tape);
    assert_eq!((tape.errors(), state(&stage)), (vec![], (DatabaseState::Restoring, 12)));
    assert_eq!(stage.apply(&names[13]).errors(), [4319, 3013]);
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY").errors(), [4319, 3013]);
    assert_eq!(stage.apply(&names[12]).errors(), [0; 0]);
    assert_eq!(stage.apply(&names[13]).errors(), [0; 0]);
    let mut tape = Tape { attention_after: Some(0), ..Tape::default() };
    stage.run_on("RESTORE DATABASE mgc WITH RECOVERY", &[], &mut tape);
    assert_eq!(state(&stage).0, DatabaseState::Online);
}

#[test]
fn a_restore_goes_on_when_its_connection_is_cut_and_ends_when_it_is_killed() {
    let mut stage = slow();
    let names = stage.copied();
    let text = |name: &str| format!("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{name}' WITH NORECOVERY");
    let mut tape = Tape { cut: true, ..Tape::default() };
    stage.run_on(&text(&names[12]), &[], &mut tape);
    assert_eq!(state(&stage).1, 13);
    let instance = Arc::clone(&stage.instance);
    let mut victim = connect(&instance);
    let id = victim.id();
    let statement = text(&names[13]);
    let other = std::thread::spawn(move || {
        let mut tape = Tape::default();
        victim.run(&Request::Batch { text: statement, parameters: Vec::new() }, &mut tape);
        tape.errors()
    });
    while stage.run("SELECT 1 FROM sys.dm_exec_requests WHERE percent_complete > 0").sets[0].rows.is_empty() {}
    assert_eq!(stage.run(&format!("KILL {id}")).errors(), [0; 0]);
    assert!(other.join().expect("no panic").contains(&596));
    assert_eq!(stage.apply(&names[14]).errors(), [4319, 3013]);
    assert_eq!(stage.apply(&names[13]).errors(), [0; 0]);
}

#[test]
fn another_session_sees_a_restore_move_and_cannot_disturb_it() {
    let mut stage = slow();
    let names = stage.copied();
    let instance = Arc::clone(&stage.instance);
    let name = names[12].clone();
    let other = std::thread::spawn(move || {
        let mut session = connect(&instance);
        let mut tape = Tape::default();
        let text = format!("RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\{name}' WITH NORECOVERY, STATS = 5");
        session.run(&Request::Batch { text, parameters: Vec::new() }, &mut tape);
        tape.errors()
    });
    let text = "SELECT percent_complete FROM sys.dm_exec_requests WHERE command = 'RESTORE LOG' AND percent_complete > 0";
    let mut seen = false;
    while !other.is_finished() {
        let answer = stage.run(text);
        if !seen && answer.sets[0].rows.len() == 1 {
            seen = true;
            assert_eq!(stage.apply(&names[12]).errors(), [3101, 3013]);
        }
    }
    assert!(seen);
    assert_eq!(other.join().expect("no panic"), [0; 0]);
    assert_eq!(state(&stage).1, 13);
}

#[test]
fn a_backup_is_read_back_and_a_full_one_makes_a_database() {
    let mut stage = Stage::quiet();
    let answer = stage.run("BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\c.bak' WITH INIT, CHECKSUM");
    assert_eq!((answer.errors(), answer.infos()), (vec![], vec![4035, 4035, 3014]));
    assert_eq!(stage.run("BACKUP LOG mgccomp TO DISK = 'D:\\LogShip\\c.bak'").errors(), [0; 0]);
    assert_eq!(stage.run("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\c.bak'").sets[0].rows.len(), 2);
    assert_eq!(stage.run("RESTORE DATABASE mgccomp FROM DISK = 'D:\\LogShip\\c.bak'").errors(), [3159, 3013]);
    assert_eq!(stage.run("RESTORE DATABASE mgc FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY").errors(), [3154, 3013]);
    let text = "RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY, MOVE 'mgccomp_data' TO 'E:\\Data\\copy.mdf'";
    assert_eq!(stage.run(text).errors(), [1834, 3156, 3119, 3013]);
    assert_eq!(stage.run(&format!("{text}, MOVE 'mgccomp_log' TO 'E:\\Data\\copy.ldf'")).errors(), [0; 0]);
    // the log fits, whatever the database is called now
    assert_eq!(stage.run("RESTORE LOG copy FROM DISK = 'D:\\LogShip\\c.bak' WITH FILE = 2, NORECOVERY").errors(), [0; 0]);
    assert_eq!(stage.run("RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY").errors(), [3141, 3013]);
    assert_eq!(stage.run("BACKUP LOG mgc TO DISK = 'D:\\LogShip\\d.trn'").errors(), [927, 3013]);
    assert_eq!(stage.run("BACKUP LOG mgccomp TO DISK = 'D:\\LogShip\\t.trn' WITH NORECOVERY").errors(), [0; 0]);
    assert_eq!(stage.run("SELECT state_desc FROM sys.databases WHERE name = 'mgccomp'").table(), "RESTORING");
    assert_eq!(stage.run("DROP DATABASE copy").errors(), [0; 0]);
    assert_eq!(stage.run("DROP DATABASE copy").errors(), [3701]);
}

#[test]
fn a_planted_error_comes_at_its_restore_only() {
    let mut stage = Stage::with("[[fault]]\nkind = \"restore-fails\"\nnth = 2\nnumber = 4305\n");
    let names = stage.copied();
    assert_eq!(stage.apply(&names[12]).errors(), [0; 0]);
    assert_eq!(stage.apply(&names[13]).errors(), [4305, 3013]);
    assert_eq!(stage.apply(&names[13]).errors(), [0; 0]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, ..Default::default() })]

    /// Applying files in any order does what a model of a few lines says: a file fits only as the next one.
    #[test]
    fn files_in_any_order_do_what_a_small_model_says(order in proptest::collection::vec(0usize..16, 1..12)) {
        let mut stage = Stage::quiet();
        let names = stage.copied();
        let mut applied = 12;
        for at in order {
            let expected: &[i32] = match at.cmp(&applied) {
                std::cmp::Ordering::Less => &[4326, 3013],
                std::cmp::Ordering::Equal => &[],
                std::cmp::Ordering::Greater => &[4305, 3013],
            };
            proptest::prop_assert_eq!(stage.apply(&names[at]).errors(), expected);
            applied += usize::from(expected.is_empty());
        }
        proptest::prop_assert_eq!(state(&stage).1 as usize, applied);
    }
}
