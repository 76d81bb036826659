//! The log shipping procedures on the secondary ("Log Shipping Stored Procedures"): run in master, by a sysadmin.

use super::{Arguments, Procedure};
use crate::lab::catalog::IntoCell;
use crate::lab::catalog::columns;
use crate::lab::instance::{Job, Secondary, SecondaryDatabase, State, same};
use crate::lab::messages;
use crate::lab::statements::Failure;
use crate::lab::statements::restore::row;
use crate::lab::statements::run::Runner;
use crate::lab::tds::Cell;

pub static PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "sp_delete_log_shipping_secondary_database",
        home: "master",
        parameters: "@secondary_database sysname!, @ignoreremotemonitor bit",
        run: delete_database,
    },
    Procedure {
        name: "sp_delete_log_shipping_secondary_primary",
        home: "master",
        parameters: "@primary_server sysname!, @primary_database sysname!",
        run: delete_primary,
    },
    Procedure {
        name: "sp_add_log_shipping_secondary_primary",
        home: "master",
        parameters: "@primary_server sysname!, @primary_database sysname!, @backup_source_directory nvarchar(500)!, \
            @backup_destination_directory nvarchar(500)!, @copy_job_name sysname!, @restore_job_name sysname!, \
            @file_retention_period int, @monitor_server sysname, @monitor_server_security_mode bit, \
            @monitor_server_login sysname, @monitor_server_password sysname, @copy_job_id uniqueidentifier out, \
            @restore_job_id uniqueidentifier out, @secondary_id uniqueidentifier out, @overwrite bit, \
            @ignoreremotemonitor bit",
        run: add_primary,
    },
    Procedure {
        name: "sp_add_log_shipping_secondary_database",
        home: "master",
        parameters: "@secondary_database sysname!, @primary_server sysname!, @primary_database sysname!, @restore_delay int, \
            @restore_all bit, @restore_mode bit, @disconnect_users bit, @block_size int, @buffer_count int, \
            @max_transfer_size int, @restore_threshold int, @threshold_alert int, @threshold_alert_enabled bit, \
            @history_retention_period int, @overwrite bit, @ignoreremotemonitor bit",
        run: add_database,
    },
    Procedure {
        name: "sp_help_log_shipping_secondary_database",
        home: "master",
        parameters: "@secondary_database sysname, @secondary_id uniqueidentifier",
        run: help_database,
    },
    Procedure {
        name: "sp_help_log_shipping_secondary_primary",
        home: "master",
        parameters: "@primary_server sysname!, @primary_database sysname!",
        run: help_primary,
    },
    Procedure {
        name: "sp_change_log_shipping_secondary_database",
        home: "master",
        parameters: "@secondary_database sysname!, @restore_delay int, @restore_all bit, @restore_mode bit, \
            @disconnect_users bit, @block_size int, @buffer_count int, @max_transfer_size int, @restore_threshold int, \
            @threshold_alert int, @threshold_alert_enabled bit, @history_retention_period int, @ignoreremotemonitor bit",
        run: change_database,
    },
    Procedure {
        name: "sp_change_log_shipping_secondary_primary",
        home: "master",
        parameters: "@primary_server sysname!, @primary_database sysname!, @backup_source_directory nvarchar(500), \
            @backup_destination_directory nvarchar(500), @file_retention_period int, \
            @monitor_server_security_mode bit, @monitor_server_login sysname, @monitor_server_password sysname",
        run: change_primary,
    },
    Procedure { name: "sp_help_log_shipping_monitor", home: "master", parameters: "@verbose bit", run: help_monitor },
];

/// All of them are for a sysadmin in master.
pub(super) fn in_master(runner: &Runner<'_>, arguments: &Arguments) -> Result<(), Failure> {
    if !runner.connection.instance.rights.is_sysadmin() {
        return Err(messages::sysadmin_only().into());
    }
    if same(&arguments.context, "master") { Ok(()) } else { Err(messages::must_be_in_master().into()) }
}

/// A parameter that must not be NULL or empty. Error 32052, or 201 if it was not given.
pub(super) fn named(arguments: &Arguments, name: &str) -> Result<String, Failure> {
    if arguments.is_given(name) && arguments.text(name).is_none_or(|text| text.is_empty()) {
        return Err(messages::null_parameter(name).into());
    }
    Ok(arguments.required(name)?)
}

/// The procedures tell the monitor server what they do, unless they are told not to; one that is this server always answers.
pub(super) fn tell_monitor(state: &State, server: &str, monitor: &str, arguments: &Arguments) -> Result<(), Failure> {
    if state.monitor_silent && !same(server, monitor) && !arguments.bit("@ignoreremotemonitor").unwrap_or(false) {
        return Err(messages::no_monitor().into());
    }
    Ok(())
}

/// Removes a secondary_id with its jobs, once its last database is gone.
fn drop_secondary(state: &mut State, id: uuid::Uuid) {
    let Some(at) = state.secondaries.iter().position(|secondary| secondary.id == id) else { return };
    let secondary = state.secondaries.remove(at);
    let jobs = [secondary.copy_job, secondary.restore_job];
    let gone: Vec<i32> = state.jobs.iter().filter(|job| jobs.contains(&job.id)).flat_map(|job| job.schedules.clone()).collect();
    state.delete_jobs(|job| jobs.contains(&job.id));
    let used: Vec<i32> = state.jobs.iter().flat_map(|job| job.schedules.clone()).collect();
    state.schedules.retain(|schedule| !gone.contains(&schedule.id) || used.contains(&schedule.id));
}

fn delete_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@secondary_database")?;
    let mut state = runner.connection.instance.lock();
    let Some(at) = state.secondary_databases.iter().position(|row| same(&row.name, &name)) else {
        return Err(messages::not_secondary(&name).into());
    };
    let secondary = state.secondary_databases[at].secondary;
    if let Some(row) = state.secondaries.iter().find(|row| row.id == secondary) {
        tell_monitor(&state, &runner.connection.instance.server, &row.monitor, arguments)?;
    }
    let row = state.secondary_databases.remove(at);
    if !state.secondary_databases.iter().any(|other| other.secondary == row.secondary) {
        drop_secondary(&mut state, row.secondary);
    }
    Ok(0)
}

fn find_primary(state: &State, arguments: &Arguments) -> Result<Option<usize>, Failure> {
    let server = named(arguments, "@primary_server")?;
    let database = named(arguments, "@primary_database")?;
    Ok(state.secondaries.iter().position(|row| same(&row.primary_server, &server) && same(&row.primary_database, &database)))
}

fn delete_primary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let mut state = runner.connection.instance.lock();
    let (server, database) = (named(arguments, "@primary_server")?, named(arguments, "@primary_database")?);
    let Some(at) = find_primary(&state, arguments)? else {
        return Err(messages::no_primary_here(&server, &database).into());
    };
    let id = state.secondaries[at].id;
    if state.secondary_databases.iter().any(|row| row.secondary == id) {
        return Err(messages::still_secondaries(&server, &database).into());
    }
    drop_secondary(&mut state, id);
    Ok(0)
}

/// A job of log shipping as the procedures create it: disabled and without a schedule. Error 14261 if its name is taken.
pub(super) fn create_job(
    state: &mut State,
    id: uuid::Uuid,
    name: String,
    description: String,
    command: String,
    created: jiff::civil::DateTime,
) -> Result<(), Failure> {
    if state.job(&name).is_some() {
        return Err(messages::name_taken("@name", &name).into());
    }
    state.jobs.push(Job {
        id,
        name,
        enabled: false,
        category: 6,
        description,
        command,
        created,
        schedules: Vec::new(),
        last_start: None,
        last_stop: None,
        until: None,
        run: None,
        since: created,
        history: Vec::new(),
    });
    Ok(())
}

fn add_primary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let instance = std::sync::Arc::clone(&runner.connection.instance);
    let now = instance.world.local();
    let (server, database) = (named(arguments, "@primary_server")?, named(arguments, "@primary_database")?);
    let guids = [instance.world.guid(), instance.world.guid(), instance.world.guid()];
    let [id, copy, restore] = guids;
    let mut state = instance.lock();
    if let Some(at) = find_primary(&state, arguments)? {
        let id = state.secondaries[at].id;
        if state.secondary_databases.iter().any(|row| row.secondary == id) || !arguments.bit("@overwrite").unwrap_or(false) {
            return Err(messages::primary_exists(&server, &database).into());
        }
        drop_secondary(&mut state, id);
    }
    let monitor = arguments.text("@monitor_server").unwrap_or_else(|| instance.server.clone());
    tell_monitor(&state, &instance.server, &monitor, arguments)?;
    for (name, guid, switch) in [("@copy_job_name", copy, "copy"), ("@restore_job_name", restore, "restore")] {
        let name = named(arguments, name)?;
        let description = format!("Log shipping {switch} log job for {server}:{database}.");
        let command = format!("sqllogship.exe -{switch} {} -server {}", id.to_string().to_uppercase(), instance.server);
        create_job(&mut state, guid, name, description, command, now)?;
    }
    state.secondaries.push(Secondary {
        id,
        primary_server: server,
        primary_database: database,
        source: named(arguments, "@backup_source_directory")?,
        destination: named(arguments, "@backup_destination_directory")?,
        retention: arguments.int("@file_retention_period").unwrap_or(14_420),
        copy_job: copy,
        restore_job: restore,
        monitor,
        monitor_mode: arguments.bit("@monitor_server_security_mode").unwrap_or(true),
        last_copied: None,
    });
    drop(state);
    arguments.set("@copy_job_id", Cell::Guid(copy));
    arguments.set("@restore_job_id", Cell::Guid(restore));
    arguments.set("@secondary_id", Cell::Guid(id));
    Ok(0)
}

fn add_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@secondary_database")?;
    let (server, database) = (named(arguments, "@primary_server")?, named(arguments, "@primary_database")?);
    let mut state = runner.connection.instance.lock();
    let Some(at) = find_primary(&state, arguments)? else {
        return Err(messages::no_primary_here(&server, &database).into());
    };
    tell_monitor(&state, &runner.connection.instance.server, &state.secondaries[at].monitor, arguments)?;
    if let Some(at) = state.secondary_databases.iter().position(|row| same(&row.name, &name)) {
        if !arguments.bit("@overwrite").unwrap_or(false) {
            return Err(messages::secondary_exists(&name).into());
        }
        state.secondary_databases.remove(at);
    }
    let secondary = state.secondaries[at].id;
    let number = |name: &str, default: i32| arguments.int(name).unwrap_or(default);
    let flag = |name: &str, default: bool| arguments.bit(name).unwrap_or(default);
    state.secondary_databases.push(SecondaryDatabase {
        name,
        secondary,
        restore_delay: number("@restore_delay", 0),
        restore_all: flag("@restore_all", true),
        restore_mode: flag("@restore_mode", false),
        disconnect_users: flag("@disconnect_users", false),
        block_size: number("@block_size", -1),
        buffer_count: number("@buffer_count", -1),
        max_transfer_size: number("@max_transfer_size", -1),
        restore_threshold: number("@restore_threshold", 45),
        threshold_alert: number("@threshold_alert", 14_420),
        threshold_alert_enabled: flag("@threshold_alert_enabled", true),
        history_retention: number("@history_retention_period", 14_420),
        last_restored: None,
        last_latency: 0,
    });
    Ok(0)
}

/// What is not given stays as it is.
fn change_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@secondary_database")?;
    let mut state = runner.connection.instance.lock();
    let Some(row) = state.secondary_databases.iter_mut().find(|row| same(&row.name, &name)) else {
        return Err(messages::not_secondary(&name).into());
    };
    let number = |name: &str, old: &mut i32| *old = arguments.int(name).unwrap_or(*old);
    number("@restore_delay", &mut row.restore_delay);
    number("@block_size", &mut row.block_size);
    number("@buffer_count", &mut row.buffer_count);
    number("@max_transfer_size", &mut row.max_transfer_size);
    number("@restore_threshold", &mut row.restore_threshold);
    number("@threshold_alert", &mut row.threshold_alert);
    number("@history_retention_period", &mut row.history_retention);
    let flag = |name: &str, old: &mut bool| *old = arguments.bit(name).unwrap_or(*old);
    flag("@restore_all", &mut row.restore_all);
    flag("@restore_mode", &mut row.restore_mode);
    flag("@disconnect_users", &mut row.disconnect_users);
    flag("@threshold_alert_enabled", &mut row.threshold_alert_enabled);
    Ok(0)
}

/// What is not given stays as it is.
fn change_primary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let (server, database) = (named(arguments, "@primary_server")?, named(arguments, "@primary_database")?);
    let mut state = runner.connection.instance.lock();
    let at = find_primary(&state, arguments)?.ok_or_else(|| messages::no_primary_here(&server, &database))?;
    let row = &mut state.secondaries[at];
    for (name, old) in [("@backup_source_directory", &mut row.source), ("@backup_destination_directory", &mut row.destination)] {
        if let Some(text) = arguments.text(name) {
            *old = text;
        }
    }
    row.retention = arguments.int("@file_retention_period").unwrap_or(row.retention);
    Ok(0)
}

fn help_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let columns = columns(
        "secondary_id uniqueidentifier, primary_server sysname, primary_database sysname, \
         backup_source_directory nvarchar(500), backup_destination_directory nvarchar(500), file_retention_period int, \
         copy_job_id uniqueidentifier, restore_job_id uniqueidentifier, monitor_server sysname, \
         monitor_server_security_mode bit, secondary_database sysname, restore_delay int, restore_all bit, \
         restore_mode bit, disconnect_users bit, block_size int, buffer_count int, max_transfer_size int, \
         restore_threshold int, threshold_alert int, threshold_alert_enabled bit, last_copied_file nvarchar(500), \
         last_copied_date datetime, last_copied_date_utc datetime, last_restored_file nvarchar(500), \
         last_restored_date datetime, last_restored_date_utc datetime, history_retention_period int, \
         last_restored_latency int",
    );
    let offset = runner.connection.instance.world.offset_minutes;
    let utc = |at: &jiff::civil::DateTime| at.saturating_sub(jiff::Span::new().minutes(offset));
    let (name, id) = (arguments.text("@secondary_database"), arguments.guid("@secondary_id"));
    let state = runner.connection.instance.lock();
    let mut rows = Vec::new();
    for database in &state.secondary_databases {
        let wanted = name.as_ref().is_none_or(|name| same(name, &database.name)) && id.is_none_or(|id| id == database.secondary);
        let Some(secondary) = state.secondaries.iter().find(|row| row.id == database.secondary).filter(|_| wanted) else {
            continue;
        };
        let (copied, restored) = (secondary.last_copied.as_ref(), database.last_restored.as_ref());
        rows.push(row(
            &columns,
            &[
                ("secondary_id", secondary.id.cell()),
                ("primary_server", (&secondary.primary_server).cell()),
                ("primary_database", (&secondary.primary_database).cell()),
                ("backup_source_directory", (&secondary.source).cell()),
                ("backup_destination_directory", (&secondary.destination).cell()),
                ("file_retention_period", secondary.retention.cell()),
                ("copy_job_id", secondary.copy_job.cell()),
                ("restore_job_id", secondary.restore_job.cell()),
                ("monitor_server", (&secondary.monitor).cell()),
                ("monitor_server_security_mode", secondary.monitor_mode.cell()),
                ("secondary_database", (&database.name).cell()),
                ("restore_delay", database.restore_delay.cell()),
                ("restore_all", database.restore_all.cell()),
                ("restore_mode", database.restore_mode.cell()),
                ("disconnect_users", database.disconnect_users.cell()),
                ("block_size", database.block_size.cell()),
                ("buffer_count", database.buffer_count.cell()),
                ("max_transfer_size", database.max_transfer_size.cell()),
                ("restore_threshold", database.restore_threshold.cell()),
                ("threshold_alert", database.threshold_alert.cell()),
                ("threshold_alert_enabled", database.threshold_alert_enabled.cell()),
                ("last_copied_file", copied.map(|(file, _)| file).cell()),
                ("last_copied_date", copied.map(|(_, at)| *at).cell()),
                ("last_copied_date_utc", copied.map(|(_, at)| utc(at)).cell()),
                ("last_restored_file", restored.map(|(file, _)| file).cell()),
                ("last_restored_date", restored.map(|(_, at)| *at).cell()),
                ("last_restored_date_utc", restored.map(|(_, at)| utc(at)).cell()),
                ("history_retention_period", database.history_retention.cell()),
                ("last_restored_latency", database.last_latency.cell()),
            ],
        ));
    }
    drop(state);
    runner.rows(&columns, &rows);
    Ok(0)
}

fn help_primary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let columns = columns(
        "secondary_id uniqueidentifier, primary_server sysname, primary_database sysname, \
         backup_source_directory nvarchar(500), backup_destination_directory nvarchar(500), file_retention_period int, \
         copy_job_id uniqueidentifier, restore_job_id uniqueidentifier, monitor_server sysname, \
         monitor_server_security_mode bit, last_copied_file nvarchar(500), last_copied_date datetime",
    );
    let state = runner.connection.instance.lock();
    let rows: Vec<Vec<Cell>> = find_primary(&state, arguments)?
        .and_then(|at| state.secondaries.get(at))
        .map(|secondary| {
            row(
                &columns,
                &[
                    ("secondary_id", secondary.id.cell()),
                    ("primary_server", (&secondary.primary_server).cell()),
                    ("primary_database", (&secondary.primary_database).cell()),
                    ("backup_source_directory", (&secondary.source).cell()),
                    ("backup_destination_directory", (&secondary.destination).cell()),
                    ("file_retention_period", secondary.retention.cell()),
                    ("copy_job_id", secondary.copy_job.cell()),
                    ("restore_job_id", secondary.restore_job.cell()),
                    ("monitor_server", (&secondary.monitor).cell()),
                    ("monitor_server_security_mode", secondary.monitor_mode.cell()),
                    ("last_copied_file", secondary.last_copied.as_ref().map(|(file, _)| file).cell()),
                    ("last_copied_date", secondary.last_copied.as_ref().map(|(_, at)| *at).cell()),
                ],
            )
        })
        .into_iter()
        .collect();
    drop(state);
    runner.rows(&columns, &rows);
    Ok(0)
}

fn help_monitor(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let columns = columns(
        "status bit, is_primary bit, server sysname, database_name sysname, time_since_last_backup int, \
         last_backup_file nvarchar(500), backup_threshold int, is_backup_alert_enabled bit, time_since_last_copy int, \
         last_copied_file nvarchar(500), time_since_last_restore int, last_restored_file nvarchar(500), \
         last_restored_latency int, restore_threshold int, is_restore_alert_enabled bit",
    );
    let instance = std::sync::Arc::clone(&runner.connection.instance);
    let now = instance.world.local();
    let minutes = |at: jiff::civil::DateTime| {
        now.since(at).ok().and_then(|span| span.total(jiff::Unit::Minute).ok()).map_or(0, |minutes| minutes as i32)
    };
    let state = instance.lock();
    let mut rows = Vec::new();
    for database in &state.secondary_databases {
        let secondary = state.secondaries.iter().find(|row| row.id == database.secondary);
        let copied = secondary.and_then(|row| row.last_copied.as_ref());
        let restored = database.last_restored.as_ref();
        let late = restored.is_none_or(|(_, at)| minutes(*at) > database.restore_threshold);
        rows.push(row(
            &columns,
            &[
                ("status", late.cell()),
                ("is_primary", false.cell()),
                ("server", (&instance.server).cell()),
                ("database_name", (&database.name).cell()),
                ("time_since_last_copy", copied.map(|(_, at)| minutes(*at)).cell()),
                ("last_copied_file", copied.map(|(file, _)| file).cell()),
                ("time_since_last_restore", restored.map(|(_, at)| minutes(*at)).cell()),
                ("last_restored_file", restored.map(|(file, _)| file).cell()),
                ("last_restored_latency", database.last_latency.cell()),
                ("restore_threshold", database.restore_threshold.cell()),
                ("is_restore_alert_enabled", database.threshold_alert_enabled.cell()),
            ],
        ));
    }
    drop(state);
    runner.rows(&columns, &rows);
    Ok(0)
}
