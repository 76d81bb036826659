//! The system procedures.

use super::{Stage, Tape, connect};
use crate::lab::tds::{Cell, Parameter, Request, Type};

fn text(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), ty: Type::NVarChar(Some(500)), value: Cell::Text(value.into()), output: false }
}

#[test]
fn sp_who2_shows_thirteen_columns_with_the_spid_twice() {
    let mut stage = Stage::quiet();
    let answer = stage.run("exec sp_who2");
    let set = &answer.sets[0];
    let names: Vec<&str> = set.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "SPID",
            "Status",
            "Login",
            "HostName",
            "BlkBy",
            "DBName",
            "Command",
            "CPUTime",
            "DiskIO",
            "LastBatch",
            "ProgramName",
            "SPID",
            "REQUESTID"
        ]
    );
    let own = format!("{:<5}", stage.id());
    let row = set.rows.iter().find(|row| row[0] == Cell::Text(own.clone())).expect("this session");
    assert_eq!((&row[5], &row[11]), (&Cell::Text("master".into()), &Cell::Text(own)));
    assert!(set.rows.iter().any(|row| row[10] == Cell::Text("SQLAgent - Generic Refresher".into())));
    assert_eq!(stage.run("EXEC sp_who2 'nobody'").errors(), [15007]);
    assert_eq!(stage.run("EXEC master.dbo.sp_who").sets[0].columns.len(), 9);
}

#[test]
fn log_shipping_is_removed_once_and_can_be_made_again() {
    let mut stage = Stage::quiet();
    let help = stage.run("EXEC sp_help_log_shipping_secondary_database @secondary_database = N'mgc'");
    assert_eq!(help.sets[0].rows.len(), 1);
    assert_eq!(help.sets[0].columns.len(), 29);
    assert_eq!(stage.run("EXEC sp_help_log_shipping_monitor").sets[0].rows.len(), 1);
    assert_eq!(stage.run("USE msdb EXEC sp_delete_log_shipping_secondary_database mgc").errors(), [5001]);
    stage.run("USE master");
    let answer = stage.run("exec sp_delete_log_shipping_secondary_database mgc");
    assert_eq!(answer.errors(), [0; 0]);
    for table in
        ["log_shipping_secondary", "log_shipping_secondary_databases", "log_shipping_monitor_secondary", "sysjobs", "sysjobschedules"]
    {
        assert_eq!(stage.run(&format!("SELECT COUNT(*) FROM msdb.dbo.{table}")).value(), Cell::Int(0), "{table}");
    }
    let again = stage.run("EXEC sp_delete_log_shipping_secondary_database @secondary_database = mgc, @ignoreremotemonitor = 1");
    assert_eq!(again.errors(), [32014]);
    assert_eq!(again.messages[0].procedure, "sp_delete_log_shipping_secondary_database");
    let made = stage.run(
        "DECLARE @copy uniqueidentifier, @restore uniqueidentifier, @id uniqueidentifier, @rc int, @schedule int, @uid uniqueidentifier\n\
         EXEC @rc = master.dbo.sp_add_log_shipping_secondary_primary @primary_server = N'PCHAT-SQL-01', @primary_database = N'mgc', \
           @backup_source_directory = N'\\\\dr-fs-01\\LogShip', @backup_destination_directory = N'D:\\LogShip', \
           @copy_job_name = N'LSCopy_PCHAT-SQL-01_mgc', @restore_job_name = N'LSRestore_PCHAT-SQL-01_mgc', \
           @file_retention_period = 4320, @copy_job_id = @copy OUTPUT, @restore_job_id = @restore OUTPUT, @secondary_id = @id OUTPUT\n\
         EXEC msdb.dbo.sp_add_schedule @schedule_name = N'every', @enabled = 1, @freq_type = 4, @freq_interval = 1, \
           @freq_subday_type = 4, @freq_subday_interval = 15, @schedule_uid = @uid OUTPUT, @schedule_id = @schedule OUTPUT\n\
         EXEC msdb.dbo.sp_attach_schedule @job_id = @copy, @schedule_id = @schedule\n\
         EXEC master.dbo.sp_add_log_shipping_secondary_database @secondary_database = N'mgc', @primary_server = N'PCHAT-SQL-01', \
           @primary_database = N'mgc', @restore_delay = 0, @restore_mode = 0, @disconnect_users = 0\n\
         EXEC msdb.dbo.sp_update_job @job_id = @copy, @enabled = 1\n\
         SELECT @rc, (SELECT name FROM msdb.dbo.sysjobs WHERE job_id = @copy AND enabled = 1), (SELECT COUNT(*) FROM msdb.dbo.sysjobs), \
           (SELECT COUNT(*) FROM msdb.dbo.sysjobschedules WHERE schedule_id = @schedule)",
    );
    assert_eq!(made.table(), "0 | LSCopy_PCHAT-SQL-01_mgc | 2 | 1");
    let twice = "EXEC sp_add_log_shipping_secondary_database 'mgc', 'PCHAT-SQL-01', 'mgc'";
    assert_eq!(stage.run(twice).errors(), [32013]);
}

#[test]
fn jobs_are_disabled_started_and_stopped() {
    let mut stage = Stage::quiet();
    let job = "LSCopy_PCHAT-SQL-01_mgc";
    assert_eq!(stage.run(&format!("EXEC msdb.dbo.sp_update_job @job_name = N'{job}', @enabled = 0")).errors(), [0; 0]);
    assert_eq!(stage.run(&format!("SELECT enabled FROM msdb.dbo.sysjobs WHERE name = '{job}'")).value(), Cell::TinyInt(0));
    assert_eq!(stage.run("EXEC msdb.dbo.sp_update_job @job_name = N'none', @enabled = 0").errors(), [14262]);
    assert_eq!(stage.run("EXEC sp_update_job @job_name = N'none'").errors(), [2812]);
    assert_eq!(stage.run("EXEC msdb.dbo.sp_help_job").sets[0].rows.len(), 2);
    assert_eq!(stage.run(&format!("EXEC msdb.dbo.sp_stop_job '{job}'")).errors(), [22022]);
    let running = "SELECT COUNT(*) FROM msdb.dbo.sysjobactivity a WHERE a.session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions) \
                   AND a.start_execution_date IS NOT NULL AND a.stop_execution_date IS NULL";
    assert_eq!(stage.run(running).value(), Cell::Int(0));
    assert_eq!(stage.run("SELECT COUNT(*) FROM msdb.dbo.sysjobactivity WHERE stop_execution_date IS NULL").value(), Cell::Int(1));
    assert_eq!(stage.run(&format!("EXEC msdb.dbo.sp_start_job N'{job}'")).errors(), [0; 0]);
    assert_eq!(stage.copied(), stage.on_share());
    let restore = "EXEC msdb.dbo.sp_start_job N'LSRestore_PCHAT-SQL-01_mgc'";
    assert_eq!(stage.run(restore).errors(), [0; 0]);
    assert_eq!(stage.instance.lock().database("mgc").expect("mgc").logs_applied, 24);
}

/// The restore job needs a standby alone: it ends the readers only if its row says so, and lets them in again afterwards.
#[test]
fn the_restore_job_does_with_readers_what_its_row_says() {
    let standby = "standby = true\nreaders = 2\nreaders-reconnect = true\n";
    let job = "EXEC msdb.dbo.sp_start_job N'LSRestore_PCHAT-SQL-01_mgc'";
    let shown = "SELECT state_desc, is_in_standby, user_access_desc FROM sys.databases WHERE name = 'mgc'";
    for (disconnect, applied) in [(false, 12), (true, 16)] {
        let mut stage = Stage::with(standby);
        stage.instance.lock().secondary_databases[0].disconnect_users = disconnect;
        assert_eq!(stage.run(job).errors(), [0; 0]);
        assert_eq!(stage.run(shown).table(), "ONLINE | 1 | MULTI_USER");
        let state = stage.instance.lock();
        assert_eq!(state.database("mgc").expect("mgc").logs_applied, applied);
        assert_eq!(state.jobs[1].history.last().map(|last| last.succeeded), Some(disconnect));
    }
}

#[test]
fn an_application_lock_keeps_others_out_of_its_database_only() {
    let mut stage = Stage::quiet();
    let mut other = connect(&stage.instance);
    let take = "DECLARE @rc int EXEC @rc = sp_getapplock @Resource = 'cutover', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0 SELECT @rc";
    assert_eq!(stage.run(take).value(), Cell::Int(0));
    assert_eq!(stage.run("SELECT APPLOCK_MODE('public', 'cutover', 'Session')").value(), Cell::Text("Exclusive".into()));
    let mut ask = |text: &str| {
        let mut tape = Tape::default();
        other.run(&Request::Batch { text: text.into(), parameters: Vec::new() }, &mut tape);
        tape
    };
    assert_eq!(ask(take).value(), Cell::Int(-1));
    assert_eq!(ask("SELECT APPLOCK_MODE('public', 'cutover', 'Session')").value(), Cell::Text("NoLock".into()));
    assert_eq!(ask(&format!("USE msdb {take}")).value(), Cell::Int(0));
    assert_eq!(ask("USE master EXEC sp_releaseapplock 'cutover', 'Session'").errors(), [1223]);
    assert_eq!(stage.run("EXEC sp_releaseapplock 'cutover', 'Session'").errors(), [0; 0]);
    assert_eq!(ask(take).value(), Cell::Int(0));
}

#[test]
fn folders_are_seen_as_the_server_sees_them() {
    let mut stage = Stage::quiet();
    let count = |answer: &Tape| answer.sets[0].rows.len();
    assert_eq!(count(&stage.run("EXEC master.sys.xp_dirtree N'D:\\LogShip', 1, 1")), 16);
    assert_eq!(count(&stage.run("EXEC xp_dirtree '\\\\dr-fs-01\\LogShip', 1, 1")), 25);
    assert_eq!(count(&stage.run("EXEC xp_dirtree 'F:\\nothing', 1, 1")), 0);
    assert_eq!(stage.run("EXEC xp_fixeddrives").sets[0].columns[1].name, "MB free");
}

#[test]
fn a_procedure_called_by_rpc_gives_its_status_and_outputs() {
    let mut stage = Stage::quiet();
    let answer = stage.call("sp_getapplock", &[text("@Resource", "r"), text("@LockMode", "Shared"), text("@LockOwner", "Session")]);
    assert_eq!((answer.status, answer.errors()), (Some(0), vec![]));
    let id = Parameter { name: "@schedule_id".into(), ty: Type::Int, value: Cell::Null, output: true };
    let answer = stage.call("msdb.dbo.sp_add_schedule", &[text("@schedule_name", "s"), id]);
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.outputs[0].value, Cell::Int(3));
    assert_eq!(stage.call("nothing", &[]).errors(), [2812]);
}

#[test]
fn an_undeclared_parameter_has_the_type_of_what_it_meets() {
    let mut stage = Stage::quiet();
    let mut types = |sql: &str, params: &str| -> Vec<(Cell, Cell)> {
        let answer = stage.call("sp_describe_undeclared_parameters", &[text("@tsql", sql), text("@params", params)]);
        assert_eq!(answer.errors(), [0; 0], "{:?}", answer.messages);
        let set = &answer.sets[0];
        assert_eq!(set.columns.len(), 24);
        set.rows.iter().map(|row| (row[1].clone(), row[3].clone())).collect()
    };
    let pair = |name: &str, ty: &str| (Cell::Text(name.into()), Cell::Text(ty.into()));
    let both = types("SELECT name FROM sys.databases WHERE name = @P1 AND database_id + @P2 IN (@P3, 2) OR @P4 BETWEEN 1 AND 2", "");
    assert_eq!(both, [pair("@P1", "nvarchar(128)"), pair("@P2", "int"), pair("@P3", "int"), pair("@P4", "int")]);
    assert_eq!(types("SELECT CAST(@a AS datetime2(3)), @b, @c", "@b int"), [pair("@a", "datetime2(3)"), pair("@c", "nvarchar(4000)")]);
    assert_eq!(types("SELECT 1; SELECT 2", ""), []);
}

#[test]
fn sp_tables_lists_what_the_current_database_has() {
    let mut stage = Stage::quiet();
    let name = |answer: &Tape| answer.sets[0].rows.iter().map(|row| row[2].clone()).collect::<Vec<_>>();
    let found = stage.call("[sys].sp_tables", &[text("", "database%"), text("", "sys")]);
    let expected = ["database_mirroring", "database_recovery_status", "databases"].map(|name| Cell::Text(name.into()));
    assert_eq!(name(&found), expected);
    let exact = Parameter { name: "@fUsePattern".into(), ty: Type::Bit, value: Cell::Bit(false), output: false };
    assert_eq!(name(&stage.call("sp_tables", &[text("@table_name", "database%"), exact])), []);
    assert_eq!(stage.call("sp_tables", &[text("@table_qualifier", "msdb")]).errors(), [15250]);
    stage.run("USE msdb");
    let tables = stage.call("sp_tables", &[text("@table_type", "'TABLE'"), text("@table_name", "backups_t")]);
    assert_eq!(tables.sets[0].rows[0][..4], ["msdb", "dbo", "backupset", "TABLE"].map(|text| Cell::Text(text.into())));
}
