//! What differs from server to server: rights of the login, versions, jobs that run, mirroring.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Stage, Tape, connect};
use crate::lab::agent;
use crate::lab::instance::{DatabaseState, Instance};
use crate::lab::scenario::Scenario;
use crate::lab::tds::{Cell, Request};

fn count(answer: &Tape) -> usize {
    assert_eq!(answer.errors(), [0; 0], "{:?}", answer.messages);
    answer.sets[0].rows.len()
}

#[test]
fn a_login_that_may_not_see_the_server_sees_itself_alone() {
    for (login, roles, seen) in
        [("sysadmin", "1 | 1 | 1 | NULL", true), ("dbcreator", "0 | 1 | 0 | NULL", false), ("reader", "0 | 0 | 0 | NULL", false)]
    {
        let mut stage = Stage::with(&format!("login = \"{login}\"\n"));
        let id = stage.id();
        let asked = "SELECT IS_SRVROLEMEMBER('sysadmin'), IS_SRVROLEMEMBER('dbcreator'), HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), \
                     IS_SRVROLEMEMBER('nothing')";
        assert_eq!(stage.run(asked).table(), roles, "{login}");
        for (text, all) in [
            ("SELECT session_id FROM sys.dm_exec_sessions", 27),
            ("SELECT spid FROM sys.sysprocesses", 27),
            ("EXEC sp_who2", 27),
            ("EXEC sp_who", 27),
        ] {
            let answer = stage.run(text);
            assert_eq!(count(&answer), if seen { all } else { 1 }, "{login}: {text}");
            if !seen {
                let first = format!("{:?}", answer.sets[0].rows[0][0]);
                assert!(first.contains(&id.to_string()), "{login}: {text}: {first}");
            }
        }
        let files = stage.run("SELECT redo_start_lsn FROM sys.master_files WHERE database_id = DB_ID('mgc')");
        assert_eq!(count(&files), if login == "reader" { 0 } else { 2 }, "{login}");
        let entered =
            stage.run("SELECT HAS_DBACCESS('mgccomp'), HAS_DBACCESS('msdb'), HAS_PERMS_BY_NAME('master', 'DATABASE', 'CREATE DATABASE')");
        assert_eq!(
            entered.table(),
            ["1 | 1 | 1", "0 | 1 | 1", "0 | 1 | 0"][["sysadmin", "dbcreator", "reader"].iter().position(|l| *l == login).unwrap()]
        );
    }
}

#[test]
fn a_dbcreator_restores_and_may_do_little_else() {
    let mut stage = Stage::with("login = \"dbcreator\"\n");
    let name = stage.copied()[12].clone();
    assert_eq!(stage.apply(&name).errors(), [0; 0]);
    assert_eq!(count(&stage.run(&format!("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\{name}'"))), 1);
    assert_eq!(count(&stage.run("SELECT * FROM msdb.dbo.restorehistory")), 14);
    assert_eq!(count(&stage.run("EXEC xp_dirtree 'D:\\LogShip', 1, 1")), 0);
    for (text, numbers) in [
        ("SELECT * FROM msdb.dbo.sysjobs", &[229][..]),
        ("EXEC msdb.dbo.sp_help_job", &[229]),
        ("EXEC sp_delete_log_shipping_secondary_database 'mgc'", &[21089]),
        ("KILL 52", &[6102]),
        ("SELECT * FROM sys.dm_tran_locks", &[300, 297]),
        ("BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\x.bak'", &[262, 3013]),
        ("USE mgccomp", &[916]),
    ] {
        assert_eq!(stage.run(text).errors(), numbers, "{text}");
    }
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY").errors(), [0; 0]);
    assert_eq!(stage.run("DROP DATABASE mgc").errors(), [0; 0]);
}

#[test]
fn an_older_server_does_not_have_what_came_later() {
    let mut old = Stage::with("version = \"2008R2\"\n");
    let mut new = Stage::quiet();
    for (text, number) in [
        ("SELECT database_id FROM sys.dm_exec_sessions", 207),
        ("SELECT s.open_transaction_count FROM sys.dm_exec_sessions s", 207),
        ("SELECT replica_id FROM sys.databases", 207),
        ("SELECT credential_id FROM sys.master_files", 207),
        ("SELECT CONCAT('a', 'b')", 195),
        ("SELECT IIF(1 = 1, 2, 3)", 102),
        ("SELECT TRY_CONVERT(int, 'x')", 195),
        ("SELECT TRY_CAST('x' AS int)", 156),
        ("SELECT name FROM sys.databases ORDER BY name OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", 102),
    ] {
        assert_eq!(old.run(text).errors(), [number], "{text}");
        assert_eq!(new.run(text).errors(), [0; 0], "{text}");
    }
    assert_eq!(old.run("BEGIN TRY RAISERROR('x', 16, 1) END TRY BEGIN CATCH; THROW END CATCH").errors(), [102]);
    let header = |stage: &mut Stage| {
        let name = stage.copied()[12].clone();
        stage.run(&format!("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\{name}'")).sets[0].columns.len()
    };
    assert_eq!((header(&mut old), header(&mut new)), (52, 56));
    let version = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS varchar(20)), compatibility_level FROM sys.databases WHERE name = 'mgc'";
    assert_eq!((old.run(version).table(), new.run(version).table()), ("10.50.6000.0 | 100".into(), "12.0.6024.0 | 110".into()));
    let page = "SELECT name FROM sys.databases ORDER BY name DESC OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY";
    assert_eq!(new.run(page).table(), "msdb\nmodel");
}

#[test]
fn what_is_thrown_ends_the_batch_and_can_be_thrown_again() {
    let mut stage = Stage::quiet();
    let answer = stage.run("THROW 50001, 'no more', 7; SELECT 1");
    assert_eq!((answer.errors(), answer.sets.len(), answer.messages[0].state), (vec![50001], 0, 7));
    let again = stage.run("BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(); THROW END CATCH SELECT 2");
    assert_eq!((again.errors(), again.sets.last().map(|set| set.rows.clone())), (vec![8134], Some(vec![vec![Cell::Int(8134)]])));
}

#[test]
fn a_newer_servers_backup_is_shown_but_not_read() {
    let mut stage = Stage::with("version = \"2008R2\"\nprimary-version = [12, 0, 6024]\n");
    let name = stage.copied()[12].clone();
    let answer = stage.run(&format!("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\{name}'"));
    assert_eq!(answer.sets[0].rows[0][0], Cell::Text("*** INCOMPLETE ***".into()));
    for text in ["RESTORE VERIFYONLY", "RESTORE FILELISTONLY"] {
        assert_eq!(stage.run(&format!("{text} FROM DISK = 'D:\\LogShip\\{name}'")).errors(), [3169, 3013]);
    }
}

/// Moves the lab's clock.
fn later(instance: &Arc<Instance>, minutes: i64) {
    instance.world.ahead.fetch_add(minutes * 60, Ordering::Relaxed);
    agent::tick(instance);
}

fn applied(stage: &Stage) -> u32 {
    stage.instance.lock().database("mgc").expect("mgc").logs_applied
}

#[test]
fn the_jobs_of_log_shipping_run_by_their_schedule_unless_they_are_disabled() {
    let mut stage = Stage::with("copy-job-seconds = 0\n");
    let instance = Arc::clone(&stage.instance);
    later(&instance, 10);
    assert_eq!((stage.copied().len(), applied(&stage)), (16, 12));
    let next = stage.run(
        "SELECT DATEDIFF(minute, GETDATE(), a.next_scheduled_run_date) FROM msdb.dbo.sysjobactivity a JOIN msdb.dbo.sysjobs j \
         ON j.job_id = a.job_id WHERE j.name LIKE 'LSCopy%' AND a.session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions)",
    );
    assert!(matches!(next.value(), Cell::Int(4..=5)), "{:?}", next.value());
    stage.run("EXEC msdb.dbo.sp_update_job @job_name = 'LSRestore_PCHAT-SQL-01_mgc', @enabled = 0");
    later(&instance, 6);
    assert_eq!((stage.copied().len(), applied(&stage)), (24, 12));
    stage.run("EXEC msdb.dbo.sp_update_job @job_name = 'LSRestore_PCHAT-SQL-01_mgc', @enabled = 1");
    later(&instance, 1);
    let ran = applied(&stage);
    later(&instance, 15);
    assert_eq!(applied(&stage), 24, "at once it was {ran}");
    let history = "SELECT COUNT(*) FROM msdb.dbo.sysjobhistory h JOIN msdb.dbo.sysjobs j ON j.job_id = h.job_id \
                   WHERE j.name LIKE 'LSCopy%' AND h.run_status = 1";
    assert_eq!(stage.run(history).value(), Cell::Int(6));
    let notes = "SELECT COUNT(*) FROM msdb.dbo.log_shipping_monitor_history_detail WHERE agent_type = 1 AND session_status = 2";
    assert_eq!(stage.run(notes).value(), Cell::Int(2));
    let shown = stage.run("EXEC msdb.dbo.sp_help_job @job_name = 'LSRestore_PCHAT-SQL-01_mgc'");
    let at = |name: &str| shown.sets[0].columns.iter().position(|column| column.name == name).expect("a column");
    let row = &shown.sets[0].rows[0];
    assert_eq!((&row[at("last_run_outcome")], &row[at("current_execution_status")]), (&Cell::Int(1), &Cell::Int(4)));
}

#[test]
fn a_restore_job_waits_for_its_delay_takes_one_file_and_clears_away_what_is_old() {
    let mut stage = Stage::with("copy-job-seconds = 0\n");
    let change = |text: &str| format!("EXEC sp_change_log_shipping_secondary_database 'mgc', {text}");
    let start = "EXEC msdb.dbo.sp_start_job 'LSRestore_PCHAT-SQL-01_mgc'";
    assert_eq!(stage.run(&change("@restore_all = 0")).errors(), [0; 0]);
    stage.run(start);
    assert_eq!(applied(&stage), 13);
    assert_eq!(stage.run(&change("@restore_all = 1, @restore_delay = 130")).errors(), [0; 0]);
    stage.run(start);
    assert_eq!(applied(&stage), 15, "only log backup 16 is younger");
    assert_eq!(stage.copied().len(), 16);
    stage.run("EXEC sp_change_log_shipping_secondary_primary 'PCHAT-SQL-01', 'mgc', @file_retention_period = 200");
    stage.run(start);
    assert_eq!((applied(&stage), stage.copied().len()), (15, 16 - 11));
}

/// A scene whose restores take a minute, unless they are cut short.
fn slow() -> Stage {
    let scenario = Scenario { bytes: 2_000, copy_job_seconds: 0.0, ..Scenario::default() };
    let mut stage = Stage::new(&scenario);
    let (dir, mut instance) = crate::lab::world::instance_of(&scenario, 1);
    let world = Arc::get_mut(&mut Arc::get_mut(&mut instance).expect("only ours").world).expect("only ours");
    (world.pace, world.restore_seconds) = (1.0, 60.0);
    stage.session = connect(&instance);
    stage.instance = instance;
    stage.dir = dir;
    stage
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_restore_job_holds_its_database_and_leaves_it_half_done_when_it_is_stopped_or_killed() {
    let job = "LSRestore_PCHAT-SQL-01_mgc";
    for how in ["stop", "kill"] {
        let mut stage = slow();
        let names = stage.copied();
        assert_eq!(stage.run(&format!("EXEC msdb.dbo.sp_start_job '{job}'")).errors(), [0; 0]);
        until("the job's restore", || stage.instance.lock().database("mgc").expect("mgc").busy.is_some());
        assert_eq!(stage.apply(&names[12]).errors(), [3101, 3013]);
        assert_eq!(stage.run(&format!("EXEC msdb.dbo.sp_start_job '{job}'")).errors(), [22022]);
        let own = "SELECT r.session_id FROM sys.dm_exec_requests r JOIN sys.dm_exec_sessions s ON s.session_id = r.session_id \
                   WHERE r.command = 'RESTORE LOG' AND s.login_name LIKE '%sqlagent'";
        let Cell::SmallInt(id) = stage.run(own).value() else { panic!("no session id") };
        let ended = if how == "stop" { format!("EXEC msdb.dbo.sp_stop_job '{job}'") } else { format!("KILL {id}") };
        assert_eq!(stage.run(&ended).errors(), [0; 0]);
        until("the end of the job's restore", || stage.instance.lock().database("mgc").expect("mgc").busy.is_none());
        assert_eq!(stage.apply(&names[13]).errors(), [4319, 3013], "{how}");
        until("the end of the job", || !stage.instance.lock().jobs[1].is_running());
        let outcome = "SELECT TOP 1 run_status FROM msdb.dbo.sysjobhistory h JOIN msdb.dbo.sysjobs j ON j.job_id = h.job_id \
                       WHERE j.name LIKE 'LSRestore%' ORDER BY instance_id DESC";
        assert_eq!(stage.run(outcome).value(), Cell::Int(0), "{how}");
    }
}

#[test]
fn a_backup_job_writes_log_backups_that_the_other_side_can_apply() {
    let mut stage = Stage::quiet();
    let made = stage.run(
        "DECLARE @id uniqueidentifier EXEC sp_add_log_shipping_primary_database 'mgccomp', 'D:\\LogShip', '\\\\dr-fs-01\\LogShip', \
         @primary_id = @id OUTPUT SELECT name, enabled FROM msdb.dbo.sysjobs WHERE name LIKE 'LSBackup%'",
    );
    assert_eq!(made.table(), "LSBackup_mgccomp | 0");
    assert_eq!(stage.run("EXEC sp_add_log_shipping_primary_secondary 'mgccomp', 'DR-SQL-02', 'mgccomp'").errors(), [0; 0]);
    assert_eq!(stage.run("EXEC msdb.dbo.sp_start_job 'LSBackup_mgccomp'").errors(), [0; 0]);
    let last = stage.run("SELECT last_backup_file FROM msdb.dbo.log_shipping_primary_databases");
    let Cell::Text(file) = last.value() else { panic!("no file") };
    assert_eq!(count(&stage.run(&format!("RESTORE HEADERONLY FROM DISK = '{file}'"))), 1);
    assert_eq!(count(&stage.run("EXEC sp_help_log_shipping_primary_database 'mgccomp'")), 1);
    // where it is not online the job has nothing to do, and succeeds
    stage.run("ALTER DATABASE mgccomp SET OFFLINE");
    stage.run("EXEC msdb.dbo.sp_start_job 'LSBackup_mgccomp'");
    let history = "SELECT COUNT(*) FROM msdb.dbo.sysjobhistory h JOIN msdb.dbo.sysjobs j ON j.job_id = h.job_id \
                   WHERE j.name = 'LSBackup_mgccomp' AND run_status = 1";
    assert_eq!(stage.run(history).value(), Cell::Int(2));
    let gone = "EXEC sp_delete_log_shipping_primary_secondary 'mgccomp', 'DR-SQL-02', 'mgccomp' \
                EXEC sp_delete_log_shipping_primary_database 'mgccomp' SELECT COUNT(*) FROM msdb.dbo.sysjobs WHERE name LIKE 'LSBackup%'";
    assert_eq!(stage.run(gone).value(), Cell::Int(0));
}

#[test]
fn a_killed_transaction_is_rolled_back_before_the_session_is_gone() {
    let mut stage = slow();
    {
        let world = Arc::clone(&stage.instance.world);
        assert!(world.recovery_seconds > 0.0);
    }
    let mut other = connect(&stage.instance);
    let id = other.id();
    let mut tape = Tape::default();
    other.run(&Request::Batch { text: "USE mgccomp BEGIN TRAN".into(), parameters: Vec::new() }, &mut tape);
    assert_eq!(stage.run(&format!("KILL {id}")).errors(), [0; 0]);
    assert_eq!(stage.run(&format!("KILL {id} WITH STATUSONLY")).infos(), [6109]);
    let answer = stage.run("ALTER DATABASE mgccomp SET SINGLE_USER WITH ROLLBACK IMMEDIATE");
    assert_eq!((answer.errors(), answer.infos()), (vec![], vec![5060]));
    assert_eq!(stage.run(&format!("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = {id}")).value(), Cell::Int(0));
}

#[test]
fn the_first_log_backup_after_a_recovery_fits_a_copy_made_from_the_full_one_before_it() {
    let mut stage = Stage::quiet();
    let ok = |stage: &mut Stage, text: &str| assert_eq!(stage.run(text).errors(), [0; 0], "{text}");
    ok(&mut stage, "RESTORE DATABASE mgc WITH RECOVERY");
    ok(&mut stage, "BACKUP DATABASE mgc TO DISK = 'D:\\LogShip\\full.bak'");
    ok(&mut stage, "BACKUP LOG mgc TO DISK = 'D:\\LogShip\\first.trn'");
    let header = stage.run("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\first.trn'");
    let at = |name: &str| header.sets[0].columns.iter().position(|column| column.name == name).expect("a column");
    let row = &header.sets[0].rows[0];
    assert_ne!(row[at("FirstRecoveryForkID")], row[at("RecoveryForkID")]);
    assert_eq!(row[at("ForkPointLSN")], row[at("FirstLSN")]);
    let moved = "MOVE 'mgc_data' TO 'E:\\Data\\m.mdf', MOVE 'mgc_log' TO 'E:\\Data\\m.ldf'";
    ok(&mut stage, &format!("RESTORE DATABASE drill FROM DISK = 'D:\\LogShip\\full.bak' WITH NORECOVERY, {moved}"));
    ok(&mut stage, "RESTORE LOG drill FROM DISK = 'D:\\LogShip\\first.trn' WITH NORECOVERY");
    ok(&mut stage, "RESTORE DATABASE drill WITH RECOVERY");
    assert_eq!(stage.instance.lock().database("drill").expect("drill").state, DatabaseState::Online);
}

#[test]
fn a_standby_needs_its_undo_file_and_gives_it_up() {
    let mut stage = Stage::with("standby = true\n");
    let (file, name) = (stage.dir.path().join("data").join("mgc.tuf"), stage.copied()[12].clone());
    let whole = std::fs::read_to_string(&file).expect("an undo file");
    std::fs::remove_file(&file).expect("it was there");
    assert_eq!(stage.apply(&name).errors(), [3441, 3013]);
    assert_eq!(stage.run("RESTORE DATABASE mgc WITH RECOVERY").errors(), [3441, 3013]);
    std::fs::write(&file, "something else").expect("a file");
    assert_eq!(stage.apply(&name).errors(), [3445]);
    std::fs::write(&file, whole).expect("a file");
    assert_eq!(stage.apply(&name).errors(), [0; 0]);
    assert!(!file.exists());
}

#[test]
fn log_backups_of_any_size_take_no_room_and_are_read_whole() {
    let mut stage =
        Stage::new(&Scenario::parse("test", "sparse = true\nbytes = 10737418240\nlogs = 2\napplied = 1\ncopied = 1").expect("a scenario"));
    let name = stage.copied()[1].clone();
    let shown = stage.run(&format!("RESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\{name}'"));
    let at = shown.sets[0].columns.iter().position(|column| column.name == "BackupSize").expect("a column");
    assert_eq!(shown.sets[0].rows[0][at], Cell::Numeric { value: (10 << 30) + 2048, scale: 0 });
    // it is read to where it is cut off
    let path = stage.dir.path().join("copy").join(&name);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    #[cfg(target_os = "linux")]
    assert!(std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("a file")) * 512 < 1 << 20);
    file.set_len(1 << 26).expect("room");
    assert_eq!(stage.apply(&name).errors(), [3203, 3013]);
}
