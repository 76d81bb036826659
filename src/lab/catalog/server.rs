//! The views of `sys`: databases, files, sessions, requests, mirroring, services, logins.

use super::{IntoCell, Rows, Source, Table};
use crate::lab::instance::{AppLock, COLLATION, DatabaseState, Mirroring, SessionRow, same};
use crate::lab::tds::Cell;

pub static TABLES: &[Table] = &[
    Table {
        name: "sys.databases",
        definition: "name sysname, database_id int, source_database_id int, owner_sid varbinary(85), create_date datetime, \
            compatibility_level tinyint, collation_name sysname, user_access tinyint, user_access_desc nvarchar(60), \
            is_read_only bit, is_auto_close_on bit, is_auto_shrink_on bit, state tinyint, state_desc nvarchar(60), \
            is_in_standby bit, is_cleanly_shutdown bit, is_supplemental_logging_enabled bit, \
            snapshot_isolation_state tinyint, snapshot_isolation_state_desc nvarchar(60), \
            is_read_committed_snapshot_on bit, recovery_model tinyint, recovery_model_desc nvarchar(60), \
            page_verify_option tinyint, page_verify_option_desc nvarchar(60), is_fulltext_enabled bit, \
            is_trustworthy_on bit, is_db_chaining_on bit, is_published bit, is_subscribed bit, is_distributor bit, \
            service_broker_guid uniqueidentifier, is_broker_enabled bit, log_reuse_wait tinyint, \
            log_reuse_wait_desc nvarchar(60), is_cdc_enabled bit, is_encrypted bit, replica_id uniqueidentifier @11, \
            group_database_id uniqueidentifier @11, containment tinyint @11, containment_desc nvarchar(60) @11, \
            target_recovery_time_in_seconds int @11",
        grows: false,
        fill: databases,
    },
    Table {
        name: "sys.master_files",
        definition: "database_id int, file_id int, file_guid uniqueidentifier, type tinyint, type_desc nvarchar(60), \
            data_space_id int, name sysname, physical_name nvarchar(260), state tinyint, state_desc nvarchar(60), \
            size int, max_size int, growth int, is_media_read_only bit, is_read_only bit, is_sparse bit, \
            is_percent_growth bit, is_name_reserved bit, create_lsn numeric(25,0), drop_lsn numeric(25,0), \
            read_only_lsn numeric(25,0), read_write_lsn numeric(25,0), differential_base_lsn numeric(25,0), \
            differential_base_guid uniqueidentifier, differential_base_time datetime, redo_start_lsn numeric(25,0), \
            redo_start_fork_guid uniqueidentifier, redo_target_lsn numeric(25,0), \
            redo_target_fork_guid uniqueidentifier, backup_lsn numeric(25,0), credential_id int @12",
        grows: false,
        fill: files,
    },
    Table {
        name: "sys.database_recovery_status",
        definition: "database_id int, database_guid uniqueidentifier, family_guid uniqueidentifier, \
            last_log_backup_lsn numeric(25,0), recovery_fork_guid uniqueidentifier, \
            first_recovery_fork_guid uniqueidentifier, fork_point_lsn numeric(25,0)",
        grows: false,
        fill: recovery_status,
    },
    Table {
        name: "sys.database_mirroring",
        definition: "database_id int, mirroring_guid uniqueidentifier, mirroring_state tinyint, \
            mirroring_state_desc nvarchar(60), mirroring_role tinyint, mirroring_role_desc nvarchar(60), \
            mirroring_role_sequence int, mirroring_safety_level tinyint, mirroring_safety_level_desc nvarchar(60), \
            mirroring_safety_sequence int, mirroring_partner_name nvarchar(128), \
            mirroring_partner_instance nvarchar(128), mirroring_witness_name nvarchar(128), \
            mirroring_witness_state tinyint, mirroring_witness_state_desc nvarchar(60), \
            mirroring_failover_lsn numeric(25,0), mirroring_connection_timeout int, mirroring_redo_queue int, \
            mirroring_redo_queue_type nvarchar(60), mirroring_end_of_log_lsn numeric(25,0), \
            mirroring_replication_lsn numeric(25,0)",
        grows: false,
        fill: mirroring,
    },
    Table {
        name: "sys.dm_exec_sessions",
        definition: "session_id smallint, login_time datetime, host_name nvarchar(128), program_name nvarchar(128), \
            host_process_id int, client_version int, client_interface_name nvarchar(32), security_id varbinary(85), \
            login_name nvarchar(128), nt_domain nvarchar(128), nt_user_name nvarchar(128), status nvarchar(30), \
            context_info varbinary(128), cpu_time int, memory_usage int, total_scheduled_time int, \
            total_elapsed_time int, endpoint_id int, last_request_start_time datetime, last_request_end_time datetime, \
            reads bigint, writes bigint, logical_reads bigint, is_user_process bit, text_size int, \
            language nvarchar(128), date_format nvarchar(3), date_first smallint, quoted_identifier bit, arithabort bit, \
            ansi_null_dflt_on bit, ansi_defaults bit, ansi_warnings bit, ansi_padding bit, ansi_nulls bit, \
            concat_null_yields_null bit, transaction_isolation_level smallint, lock_timeout int, deadlock_priority int, \
            row_count bigint, prev_error int, original_security_id varbinary(85), original_login_name nvarchar(128), \
            last_successful_logon datetime, last_unsuccessful_logon datetime, unsuccessful_logons bigint, group_id int, \
            database_id smallint @11, authenticating_database_id int @11, open_transaction_count int @11",
        grows: false,
        fill: sessions,
    },
    Table {
        name: "sys.dm_exec_requests",
        definition: "session_id smallint, request_id int, start_time datetime, status nvarchar(30), command nvarchar(32), \
            sql_handle varbinary(64), statement_start_offset int, statement_end_offset int, plan_handle varbinary(64), \
            database_id smallint, user_id int, connection_id uniqueidentifier, blocking_session_id smallint, \
            wait_type nvarchar(60), wait_time int, last_wait_type nvarchar(60), wait_resource nvarchar(256), \
            open_transaction_count int, open_resultset_count int, transaction_id bigint, context_info varbinary(128), \
            percent_complete real, estimated_completion_time bigint, cpu_time int, total_elapsed_time int, \
            scheduler_id int, task_address varbinary(8), reads bigint, writes bigint, logical_reads bigint",
        grows: false,
        fill: requests,
    },
    Table {
        name: "sys.dm_exec_connections",
        definition: "session_id int, most_recent_session_id int, connect_time datetime, net_transport nvarchar(40), \
            protocol_type nvarchar(40), protocol_version int, endpoint_id int, encrypt_option nvarchar(40), \
            auth_scheme nvarchar(40), node_affinity smallint, num_reads int, num_writes int, last_read datetime, \
            last_write datetime, net_packet_size int, client_net_address varchar(48), client_tcp_port int, \
            local_net_address varchar(48), local_tcp_port int, connection_id uniqueidentifier",
        grows: false,
        fill: connections,
    },
    Table {
        name: "sys.sysprocesses",
        definition: "spid smallint, kpid smallint, blocked smallint, waittype binary(2), waittime bigint, \
            lastwaittype nchar(32), waitresource nchar(256), dbid smallint, uid smallint, cpu int, physical_io bigint, \
            memusage int, login_time datetime, last_batch datetime, ecid smallint, open_tran smallint, status nchar(30), \
            sid binary(86), hostname nchar(128), program_name nchar(128), hostprocess nchar(10), cmd nchar(16), \
            nt_domain nchar(128), nt_username nchar(128), net_address nchar(12), net_library nchar(12), \
            loginame nchar(128), context_info binary(128), sql_handle binary(20), stmt_start int, stmt_end int, \
            request_id int",
        grows: false,
        fill: processes,
    },
    Table {
        name: "sys.dm_server_services",
        definition: "servicename nvarchar(256), startup_type int, startup_type_desc nvarchar(256), status int, \
            status_desc nvarchar(256), process_id int, last_startup_time datetimeoffset(7), \
            service_account nvarchar(256), filename nvarchar(256), is_clustered nvarchar(1), \
            cluster_nodename nvarchar(256)",
        grows: false,
        fill: services,
    },
    Table {
        name: "sys.server_principals",
        definition: "name sysname, principal_id int, sid varbinary(85), type char(1), type_desc nvarchar(60), \
            is_disabled bit, create_date datetime, modify_date datetime, default_database_name sysname, \
            default_language_name sysname, credential_id int, owning_principal_id int @11, is_fixed_role bit @11",
        grows: false,
        fill: principals,
    },
    Table {
        name: "sys.dm_os_sys_info",
        definition: "cpu_count int, ms_ticks bigint, physical_memory_kb bigint @11, sqlserver_start_time datetime",
        grows: false,
        fill: |source, rows| {
            rows.row(&[
                ("cpu_count", 8.cell()),
                ("ms_ticks", 86_400_000i64.cell()),
                ("physical_memory_kb", 33_554_432i64.cell()),
                ("sqlserver_start_time", boot(source).cell()),
            ]);
        },
    },
    Table {
        name: "sys.dm_tran_locks",
        definition: "resource_type nvarchar(60), resource_subtype nvarchar(60), resource_database_id int, \
            resource_description nvarchar(256), request_mode nvarchar(60), request_type nvarchar(60), \
            request_status nvarchar(60), request_session_id int, request_owner_type nvarchar(60)",
        grows: false,
        fill: locks,
    },
];

/// When the server was started.
fn boot(source: &Source<'_>) -> jiff::civil::DateTime {
    source.instance.world.to_local(source.instance.world.opened).saturating_sub(jiff::Span::new().days(41))
}

fn databases(source: &Source<'_>, rows: &mut Rows<'_>) {
    for database in &source.state.databases {
        let open = database.is_open();
        let read_only = database.in_standby;
        let (model, description) = match database.recovery_model {
            "SIMPLE" => (3, "SIMPLE"),
            "BULK_LOGGED" => (2, "BULK_LOGGED"),
            _ => (1, "FULL"),
        };
        rows.row(&[
            ("name", (&database.name).cell()),
            ("database_id", database.id.cell()),
            ("owner_sid", Cell::Binary(vec![1])),
            ("create_date", database.created.cell()),
            ("compatibility_level", if source.instance.version.0 < 11 { 100 } else { 110 }.cell()),
            ("collation_name", open.then_some(COLLATION).cell()),
            ("user_access", database.access.number().cell()),
            ("user_access_desc", database.access.description().cell()),
            ("is_read_only", read_only.cell()),
            ("is_auto_close_on", false.cell()),
            ("is_auto_shrink_on", false.cell()),
            ("state", database.state.number().cell()),
            ("state_desc", database.state.description().cell()),
            ("is_in_standby", database.in_standby.cell()),
            ("is_cleanly_shutdown", false.cell()),
            ("is_supplemental_logging_enabled", false.cell()),
            ("snapshot_isolation_state", 0.cell()),
            ("snapshot_isolation_state_desc", "OFF".cell()),
            ("is_read_committed_snapshot_on", (database.id > 4).cell()),
            ("recovery_model", model.cell()),
            ("recovery_model_desc", description.cell()),
            ("page_verify_option", 2.cell()),
            ("page_verify_option_desc", "CHECKSUM".cell()),
            ("is_fulltext_enabled", true.cell()),
            ("is_trustworthy_on", (database.name == "msdb").cell()),
            ("is_db_chaining_on", (database.id <= 4).cell()),
            ("is_published", false.cell()),
            ("is_subscribed", false.cell()),
            ("is_distributor", false.cell()),
            ("service_broker_guid", database.binding.cell()),
            ("is_broker_enabled", (database.name == "msdb").cell()),
            ("log_reuse_wait", 0.cell()),
            ("log_reuse_wait_desc", "NOTHING".cell()),
            ("is_cdc_enabled", false.cell()),
            ("is_encrypted", false.cell()),
            ("containment", 0.cell()),
            ("containment_desc", "NONE".cell()),
            ("target_recovery_time_in_seconds", 0.cell()),
        ]);
    }
}

fn files(source: &Source<'_>, rows: &mut Rows<'_>) {
    // visible with CREATE DATABASE, ALTER ANY DATABASE or VIEW ANY DEFINITION
    if !source.instance.rights.over_databases() {
        return;
    }
    for database in &source.state.databases {
        // "redo_start_lsn": NULL unless the file's state is RESTORING or RECOVERY_PENDING; log files have none
        let restoring = database.state == DatabaseState::Restoring;
        for file in &database.files {
            let data = file.kind == 'D';
            let state = if restoring { 1 } else { database.state.number() };
            let redo = restoring && data;
            rows.row(&[
                ("database_id", database.id.cell()),
                ("file_id", file.id.cell()),
                ("file_guid", file.unique.cell()),
                ("type", u8::from(!data).cell()),
                ("type_desc", if data { "ROWS" } else { "LOG" }.cell()),
                ("data_space_id", i32::from(data).cell()),
                ("name", (&file.logical).cell()),
                ("physical_name", (&file.physical).cell()),
                ("state", state.cell()),
                ("state_desc", database.state.description().cell()),
                ("size", i32::try_from(file.pages).unwrap_or(i32::MAX).cell()),
                ("max_size", (-1).cell()),
                ("growth", 8192.cell()),
                ("is_media_read_only", false.cell()),
                ("is_read_only", database.in_standby.cell()),
                ("is_sparse", false.cell()),
                ("is_percent_growth", false.cell()),
                ("is_name_reserved", false.cell()),
                ("differential_base_lsn", data.then_some(database.database_backup).cell()),
                ("redo_start_lsn", redo.then_some(database.redo).cell()),
                ("redo_start_fork_guid", redo.then_some(database.fork).cell()),
                ("redo_target_lsn", redo.then_some(database.redo).cell()),
                ("redo_target_fork_guid", redo.then_some(database.fork).cell()),
            ]);
        }
    }
}

fn recovery_status(source: &Source<'_>, rows: &mut Rows<'_>) {
    for database in &source.state.databases {
        let open = database.is_open();
        rows.row(&[
            ("database_id", database.id.cell()),
            ("database_guid", open.then_some(database.binding).cell()),
            ("family_guid", open.then_some(database.family).cell()),
            ("last_log_backup_lsn", database.log_backup.filter(|_| open).cell()),
            ("recovery_fork_guid", open.then_some(database.fork).cell()),
            ("first_recovery_fork_guid", database.fork_point.filter(|_| open).map(|_| database.first_fork).cell()),
            ("fork_point_lsn", database.fork_point.filter(|_| open).cell()),
        ]);
    }
}

fn mirroring(source: &Source<'_>, rows: &mut Rows<'_>) {
    for database in &source.state.databases {
        // of a mirror only a sysadmin is told anything, of a principal whoever may alter it
        let rights = source.instance.rights;
        let told = |mirroring: &&Mirroring| rights.is_sysadmin() || (mirroring.principal && rights.over_databases());
        let Some(mirroring) = database.mirroring.as_ref().filter(told) else {
            rows.row(&[("database_id", database.id.cell())]);
            continue;
        };
        rows.row(&[
            ("database_id", database.id.cell()),
            ("mirroring_guid", mirroring.guid.cell()),
            ("mirroring_state", mirroring.state.cell()),
            ("mirroring_state_desc", mirroring.state_description().cell()),
            ("mirroring_role", if mirroring.principal { 1 } else { 2 }.cell()),
            ("mirroring_role_desc", mirroring.role().cell()),
            ("mirroring_role_sequence", 1.cell()),
            ("mirroring_safety_level", 2.cell()),
            ("mirroring_safety_level_desc", "FULL".cell()),
            ("mirroring_safety_sequence", 1.cell()),
            ("mirroring_partner_name", (&mirroring.partner_name).cell()),
            ("mirroring_partner_instance", (&mirroring.partner_instance).cell()),
            ("mirroring_witness_name", "".cell()),
            ("mirroring_witness_state", 0.cell()),
            ("mirroring_witness_state_desc", "UNKNOWN".cell()),
            ("mirroring_failover_lsn", database.redo.cell()),
            ("mirroring_connection_timeout", 10.cell()),
            ("mirroring_redo_queue", (!mirroring.principal).then_some(0).cell()),
            ("mirroring_redo_queue_type", "UNLIMITED".cell()),
            ("mirroring_end_of_log_lsn", database.redo.cell()),
            ("mirroring_replication_lsn", database.redo.cell()),
        ]);
    }
}

fn database_id(source: &Source<'_>, name: &str) -> i32 {
    source.state.database(name).map_or(1, |database| database.id)
}

/// `sys.dm_exec_sessions.status`.
pub fn status(session: &SessionRow) -> &'static str {
    match (&session.running, session.user) {
        (Some(_), _) => "running",
        (None, true) => "sleeping",
        (None, false) => "background",
    }
}

/// The sessions that the login sees: without VIEW SERVER STATE its own.
fn visible<'s>(source: &'s Source<'_>) -> impl Iterator<Item = &'s SessionRow> {
    let all = source.instance.rights.is_sysadmin();
    source.state.sessions.values().filter(move |session| all || session.id == source.session)
}

fn sessions(source: &Source<'_>, rows: &mut Rows<'_>) {
    for session in visible(source) {
        let user = session.user;
        rows.row(&[
            ("session_id", session.id.cell()),
            ("login_time", session.login_time.cell()),
            ("host_name", user.then_some(&session.host).cell()),
            ("program_name", user.then_some(&session.program).cell()),
            ("host_process_id", user.then_some(session.process).cell()),
            ("client_version", user.then_some(7).cell()),
            ("client_interface_name", user.then_some("ODBC").cell()),
            ("security_id", Cell::Binary(vec![1])),
            ("login_name", (&session.login).cell()),
            ("status", status(session).cell()),
            ("cpu_time", 15.cell()),
            ("memory_usage", 2.cell()),
            ("total_scheduled_time", 20.cell()),
            ("total_elapsed_time", 40.cell()),
            ("endpoint_id", if user { 4 } else { 0 }.cell()),
            ("last_request_start_time", session.last_start.cell()),
            ("last_request_end_time", session.last_end.cell()),
            ("reads", 0i64.cell()),
            ("writes", 0i64.cell()),
            ("logical_reads", 120i64.cell()),
            ("is_user_process", user.cell()),
            ("text_size", (-1).cell()),
            ("language", "us_english".cell()),
            ("date_format", "mdy".cell()),
            ("date_first", 7.cell()),
            ("quoted_identifier", true.cell()),
            ("arithabort", true.cell()),
            ("ansi_null_dflt_on", true.cell()),
            ("ansi_defaults", false.cell()),
            ("ansi_warnings", true.cell()),
            ("ansi_padding", true.cell()),
            ("ansi_nulls", true.cell()),
            ("concat_null_yields_null", true.cell()),
            ("transaction_isolation_level", 2.cell()),
            ("lock_timeout", (-1).cell()),
            ("deadlock_priority", 0.cell()),
            ("row_count", 0i64.cell()),
            ("prev_error", 0.cell()),
            ("original_security_id", Cell::Binary(vec![1])),
            ("original_login_name", (&session.login).cell()),
            ("group_id", if user { 2 } else { 1 }.cell()),
            ("database_id", database_id(source, &session.database).cell()),
            ("authenticating_database_id", 1.cell()),
            ("open_transaction_count", session.transactions.cell()),
        ]);
    }
}

fn requests(source: &Source<'_>, rows: &mut Rows<'_>) {
    for session in visible(source) {
        if !session.user {
            rows.row(&[
                ("session_id", session.id.cell()),
                ("request_id", 0.cell()),
                ("start_time", session.login_time.cell()),
                ("status", "background".cell()),
                ("command", session.command.cell()),
                ("database_id", 1.cell()),
                ("user_id", 1.cell()),
                ("blocking_session_id", 0.cell()),
                ("last_wait_type", "MISCELLANEOUS".cell()),
                ("wait_resource", "".cell()),
                ("open_transaction_count", 0.cell()),
                ("percent_complete", 0f32.cell()),
                ("estimated_completion_time", 0i64.cell()),
            ]);
        }
        let Some(running) = &session.running else { continue };
        let elapsed = i32::try_from(running.since.elapsed().as_millis()).unwrap_or(i32::MAX);
        let left = match running.percent {
            percent if percent > 0.0 => (f64::from(elapsed) * f64::from(100.0 - percent) / f64::from(percent)) as i64,
            _ => 0,
        };
        let killed = session.killed;
        rows.row(&[
            ("session_id", session.id.cell()),
            ("request_id", 0.cell()),
            ("start_time", running.start.cell()),
            ("status", if session.id == source.session { "running" } else { "suspended" }.cell()),
            ("command", if killed { "KILLED/ROLLBACK" } else { running.command }.cell()),
            ("database_id", running.database.cell()),
            ("user_id", 1.cell()),
            ("blocking_session_id", 0.cell()),
            ("wait_type", (running.percent > 0.0).then_some("BACKUPTHREAD").cell()),
            ("wait_time", 0.cell()),
            ("last_wait_type", "BACKUPTHREAD".cell()),
            ("wait_resource", "".cell()),
            ("open_transaction_count", session.transactions.cell()),
            ("open_resultset_count", 1.cell()),
            ("transaction_id", 0i64.cell()),
            ("percent_complete", running.percent.cell()),
            ("estimated_completion_time", left.cell()),
            ("cpu_time", 0.cell()),
            ("total_elapsed_time", elapsed.cell()),
            ("scheduler_id", 0.cell()),
            ("reads", 0i64.cell()),
            ("writes", 0i64.cell()),
            ("logical_reads", 0i64.cell()),
        ]);
    }
}

fn connections(source: &Source<'_>, rows: &mut Rows<'_>) {
    for session in source.state.sessions.values().filter(|session| session.user) {
        rows.row(&[
            ("session_id", session.id.cell()),
            ("most_recent_session_id", session.id.cell()),
            ("connect_time", session.login_time.cell()),
            ("net_transport", "TCP".cell()),
            ("protocol_type", "TSQL".cell()),
            ("protocol_version", 1_946_157_060.cell()),
            ("endpoint_id", 4.cell()),
            ("encrypt_option", if session.encrypted { "TRUE" } else { "FALSE" }.cell()),
            ("auth_scheme", "SQL".cell()),
            ("node_affinity", 0.cell()),
            ("last_read", session.last_start.cell()),
            ("last_write", session.last_start.cell()),
            ("net_packet_size", 4096.cell()),
            ("client_net_address", "127.0.0.1".cell()),
            ("local_net_address", "127.0.0.1".cell()),
        ]);
    }
}

fn processes(source: &Source<'_>, rows: &mut Rows<'_>) {
    for session in visible(source) {
        let command = session.running.as_ref().map_or(session.command, |running| running.command);
        rows.row(&[
            ("spid", session.id.cell()),
            ("kpid", 0.cell()),
            ("blocked", 0.cell()),
            ("waittype", Cell::Binary(vec![0, 0])),
            ("waittime", 0i64.cell()),
            ("lastwaittype", format!("{:<32}", "MISCELLANEOUS").cell()),
            ("waitresource", " ".repeat(256).cell()),
            ("dbid", database_id(source, &session.database).cell()),
            ("uid", 1.cell()),
            ("cpu", 15.cell()),
            ("physical_io", 0i64.cell()),
            ("memusage", 2.cell()),
            ("login_time", session.login_time.cell()),
            ("last_batch", session.last_start.cell()),
            ("ecid", 0.cell()),
            ("open_tran", session.transactions.cell()),
            ("status", format!("{:<30}", status(session)).cell()),
            ("hostname", format!("{:<128}", session.host).cell()),
            ("program_name", format!("{:<128}", session.program).cell()),
            ("hostprocess", format!("{:<10}", session.process).cell()),
            ("cmd", format!("{command:<16.16}").cell()),
            ("loginame", format!("{:<128}", session.login).cell()),
            ("stmt_start", 0.cell()),
            ("stmt_end", 0.cell()),
            ("request_id", 0.cell()),
        ]);
    }
}

fn services(source: &Source<'_>, rows: &mut Rows<'_>) {
    let instance = source.instance;
    let shown = if instance.instance.is_empty() { "MSSQLSERVER" } else { &instance.instance };
    let started = boot(source);
    let agent = source.state.agent_started.is_some();
    for (service, account, process, up) in
        [("SQL Server", "LITWAREINC\\sqlservice", 1840, true), ("SQL Server Agent", "LITWAREINC\\sqlagent", 2212, agent)]
    {
        rows.row(&[
            ("servicename", format!("{service} ({shown})").cell()),
            ("startup_type", 2.cell()),
            ("startup_type_desc", "Automatic".cell()),
            ("status", if up { 4 } else { 1 }.cell()),
            ("status_desc", if up { "Running" } else { "Stopped" }.cell()),
            ("process_id", up.then_some(process).cell()),
            ("last_startup_time", Cell::DateTimeOffset(started, i16::try_from(instance.world.offset_minutes).unwrap_or(0))),
            ("service_account", account.cell()),
            ("filename", "C:\\SQL\\Binn\\sqlservr.exe".cell()),
            ("is_clustered", "N".cell()),
        ]);
    }
}

fn principals(source: &Source<'_>, rows: &mut Rows<'_>) {
    let created = boot(source);
    let user = source.instance.credentials.user.as_str();
    let list = [
        ("sa", 1, "S", "SQL_LOGIN"),
        ("public", 2, "R", "SERVER_ROLE"),
        ("sysadmin", 3, "R", "SERVER_ROLE"),
        ("LITWAREINC\\RTCComponentUniversalServices", 259, "G", "WINDOWS_GROUP"),
        ("LITWAREINC\\RTCUniversalServerAdmins", 260, "G", "WINDOWS_GROUP"),
        ("LITWAREINC\\sqlservice", 261, "U", "WINDOWS_LOGIN"),
        ("LITWAREINC\\sqlagent", 262, "U", "WINDOWS_LOGIN"),
        (user, 263, "S", "SQL_LOGIN"),
    ];
    let all = source.instance.rights.is_sysadmin();
    for (name, id, kind, description) in list.into_iter().filter(|(name, id, kind, _)| all || *id == 1 || *kind == "R" || *name == user) {
        let sid = if id == 1 { vec![1] } else { name.bytes().collect() };
        rows.row(&[
            ("name", name.cell()),
            ("principal_id", id.cell()),
            ("sid", Cell::Binary(sid)),
            ("type", kind.cell()),
            ("type_desc", description.cell()),
            ("is_disabled", false.cell()),
            ("create_date", created.cell()),
            ("modify_date", created.cell()),
            ("default_database_name", "master".cell()),
            ("default_language_name", "us_english".cell()),
            ("is_fixed_role", (kind == "R").cell()),
        ]);
    }
}

fn locks(source: &Source<'_>, rows: &mut Rows<'_>) {
    for session in source.state.sessions.values().filter(|session| session.user) {
        rows.row(&[
            ("resource_type", "DATABASE".cell()),
            ("resource_subtype", "".cell()),
            ("resource_database_id", database_id(source, &session.database).cell()),
            ("resource_description", "".cell()),
            ("request_mode", "S".cell()),
            ("request_type", "LOCK".cell()),
            ("request_status", "GRANT".cell()),
            ("request_session_id", session.id.cell()),
            ("request_owner_type", "SHARED_TRANSACTION_WORKSPACE".cell()),
        ]);
    }
    for lock in &source.state.locks {
        let mode = match lock.mode.as_str() {
            "IntentShared" => "IS",
            "Shared" => "S",
            "Update" => "U",
            "IntentExclusive" => "IX",
            _ => "X",
        };
        rows.row(&[
            ("resource_type", "APPLICATION".cell()),
            ("resource_subtype", "".cell()),
            ("resource_database_id", database_id(source, &lock.database).cell()),
            ("resource_description", lock_description(lock).cell()),
            ("request_mode", mode.cell()),
            ("request_type", "LOCK".cell()),
            ("request_status", "GRANT".cell()),
            ("request_session_id", lock.session.cell()),
            ("request_owner_type", "SESSION".cell()),
        ]);
    }
}

/// "sys.dm_tran_locks": an application lock is described by its principal, the first 32 characters of its resource, and a
/// hash of all of it. Which hash is the server's affair.
fn lock_description(lock: &AppLock) -> String {
    let shown: String = lock.resource.chars().take(32).collect();
    let hash = lock.resource.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let principal = if same(&lock.principal, "public") { 0 } else { 1 };
    format!("{principal}:[{shown}]:({hash:08x})")
}
