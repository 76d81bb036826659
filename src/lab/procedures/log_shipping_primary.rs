//! The log shipping procedures on the primary, and those that keep the monitor's books ("Log Shipping Stored Procedures"):
//! what the way back needs once this server has become the primary.

use std::sync::Arc;

use super::log_shipping::{create_job, in_master, named, tell_monitor};
use super::{Arguments, Procedure};
use crate::lab::catalog::{IntoCell, columns};
use crate::lab::instance::{Primary, State, same};
use crate::lab::messages;
use crate::lab::statements::Failure;
use crate::lab::statements::restore::row;
use crate::lab::statements::run::Runner;
use crate::lab::tds::Cell;

pub static PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "sp_add_log_shipping_primary_database",
        home: "master",
        parameters: "@database sysname!, @backup_directory nvarchar(500)!, @backup_share nvarchar(500)!, \
            @backup_job_name sysname, @backup_retention_period int, @monitor_server sysname, \
            @monitor_server_security_mode bit, @monitor_server_login sysname, @monitor_server_password sysname, \
            @backup_threshold int, @threshold_alert int, @threshold_alert_enabled bit, @history_retention_period int, \
            @backup_job_id uniqueidentifier out, @primary_id uniqueidentifier out, @overwrite bit, \
            @ignoreremotemonitor bit, @backup_compression tinyint",
        run: add_database,
    },
    Procedure {
        name: "sp_add_log_shipping_primary_secondary",
        home: "master",
        parameters: "@primary_database sysname!, @secondary_server sysname!, @secondary_database sysname!, @overwrite bit",
        run: add_secondary,
    },
    Procedure {
        name: "sp_delete_log_shipping_primary_secondary",
        home: "master",
        parameters: "@primary_database sysname!, @secondary_server sysname!, @secondary_database sysname!",
        run: delete_secondary,
    },
    Procedure {
        name: "sp_delete_log_shipping_primary_database",
        home: "master",
        parameters: "@database sysname!, @ignoreremotemonitor bit",
        run: delete_database,
    },
    Procedure {
        name: "sp_help_log_shipping_primary_database",
        home: "master",
        parameters: "@database sysname, @primary_id uniqueidentifier",
        run: help_database,
    },
    Procedure {
        name: "sp_cleanup_log_shipping_history",
        home: "master",
        parameters: "@agent_id uniqueidentifier!, @agent_type tinyint!",
        run: clean_up,
    },
    Procedure {
        name: "sp_refresh_log_shipping_monitor",
        home: "master",
        parameters: "@agent_id uniqueidentifier!, @agent_type tinyint!, @database sysname, @mode tinyint",
        run: refresh,
    },
];

/// Where the database's row is. Error 32010.
fn find(state: &State, name: &str) -> Result<usize, Failure> {
    let found = state.primaries.iter().position(|row| same(&row.database, name));
    found.ok_or_else(|| messages::not_primary(name).into())
}

fn add_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let instance = Arc::clone(&runner.connection.instance);
    let name = named(arguments, "@database")?;
    let (directory, share) = (named(arguments, "@backup_directory")?, named(arguments, "@backup_share")?);
    let (id, job) = (instance.world.guid(), instance.world.guid());
    let now = instance.world.local();
    let number = |name: &str, default: i32| arguments.int(name).unwrap_or(default);
    let job_name = arguments.text("@backup_job_name").unwrap_or_else(|| format!("LSBackup_{name}"));
    let mut state = instance.lock();
    let found = state.database(&name).ok_or_else(|| messages::no_database(&name))?;
    if found.recovery_model == "SIMPLE" {
        return Err(messages::no_simple_shipping(&found.name).into());
    }
    if let Ok(at) = find(&state, &name) {
        if !arguments.bit("@overwrite").unwrap_or(false) {
            return Err(messages::primary_entry_exists(&name).into());
        }
        let old = state.primaries.remove(at).job;
        state.delete_jobs(|job| job.id == old);
    }
    let monitor = arguments.text("@monitor_server").unwrap_or_else(|| instance.server.clone());
    tell_monitor(&state, &instance.server, &monitor, arguments)?;
    let description = format!("Log shipping backup log job for {name}.");
    let command = format!("sqllogship.exe -Backup {} -server {}", id.to_string().to_uppercase(), instance.server);
    create_job(&mut state, job, job_name, description, command, now)?;
    state.primaries.push(Primary {
        id,
        database: name,
        directory,
        share,
        retention: number("@backup_retention_period", 1440),
        job,
        monitor,
        monitor_mode: arguments.bit("@monitor_server_security_mode").unwrap_or(true),
        threshold: number("@backup_threshold", 60),
        threshold_alert: number("@threshold_alert", 14_420),
        threshold_alert_enabled: arguments.bit("@threshold_alert_enabled").unwrap_or(true),
        history_retention: number("@history_retention_period", 14_420),
        last_backup: None,
        secondaries: Vec::new(),
    });
    drop(state);
    arguments.set("@backup_job_id", Cell::Guid(job));
    arguments.set("@primary_id", Cell::Guid(id));
    Ok(0)
}

fn add_secondary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@primary_database")?;
    let secondary = (named(arguments, "@secondary_server")?, named(arguments, "@secondary_database")?);
    let mut state = runner.connection.instance.lock();
    let at = find(&state, &name)?;
    let secondaries = &mut state.primaries[at].secondaries;
    if !secondaries.iter().any(|(server, database)| same(server, &secondary.0) && same(database, &secondary.1)) {
        secondaries.push(secondary);
    }
    Ok(0)
}

fn delete_secondary(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@primary_database")?;
    let (server, database) = (named(arguments, "@secondary_server")?, named(arguments, "@secondary_database")?);
    let mut state = runner.connection.instance.lock();
    let at = find(&state, &name)?;
    state.primaries[at].secondaries.retain(|(known, named)| !(same(known, &server) && same(named, &database)));
    Ok(0)
}

fn delete_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let name = named(arguments, "@database")?;
    let mut state = runner.connection.instance.lock();
    let at = find(&state, &name)?;
    if !state.primaries[at].secondaries.is_empty() {
        return Err(messages::has_secondaries(&name).into());
    }
    tell_monitor(&state, &runner.connection.instance.server, &state.primaries[at].monitor, arguments)?;
    let row = state.primaries.remove(at);
    state.delete_jobs(|job| job.id == row.job);
    Ok(0)
}

fn help_database(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let columns = columns(
        "primary_id uniqueidentifier, primary_database sysname, backup_directory nvarchar(500), \
         backup_share nvarchar(500), backup_retention_period int, backup_compression tinyint, \
         backup_job_id uniqueidentifier, monitor_server sysname, monitor_server_security_mode bit, \
         backup_threshold int, threshold_alert int, threshold_alert_enabled bit, last_backup_file nvarchar(500), \
         last_backup_date datetime, last_backup_date_utc datetime, history_retention_period int",
    );
    let (name, id) = (arguments.text("@database"), arguments.guid("@primary_id"));
    let offset = runner.connection.instance.world.offset_minutes;
    let state = runner.connection.instance.lock();
    let wanted = |row: &&Primary| name.as_ref().is_none_or(|name| same(name, &row.database)) && id.is_none_or(|id| id == row.id);
    let shown = |found: &Primary| {
        let last = found.last_backup.as_ref();
        row(
            &columns,
            &[
                ("primary_id", found.id.cell()),
                ("primary_database", (&found.database).cell()),
                ("backup_directory", (&found.directory).cell()),
                ("backup_share", (&found.share).cell()),
                ("backup_retention_period", found.retention.cell()),
                ("backup_compression", 2.cell()),
                ("backup_job_id", found.job.cell()),
                ("monitor_server", (&found.monitor).cell()),
                ("monitor_server_security_mode", found.monitor_mode.cell()),
                ("backup_threshold", found.threshold.cell()),
                ("threshold_alert", found.threshold_alert.cell()),
                ("threshold_alert_enabled", found.threshold_alert_enabled.cell()),
                ("last_backup_file", last.map(|(file, _)| file).cell()),
                ("last_backup_date", last.map(|(_, at)| *at).cell()),
                ("last_backup_date_utc", last.map(|(_, at)| at.saturating_sub(jiff::Span::new().minutes(offset))).cell()),
                ("history_retention_period", found.history_retention.cell()),
            ],
        )
    };
    let rows: Vec<Vec<Cell>> = state.primaries.iter().filter(wanted).map(shown).collect();
    drop(state);
    runner.rows(&columns, &rows);
    Ok(0)
}

/// Agent id and type of a call: 0 backup, 1 copy, 2 restore. Error 32016 if nothing of the kind is there.
fn agent(state: &State, arguments: &Arguments) -> Result<(uuid::Uuid, i32), Failure> {
    let (id, kind) = (arguments.guid("@agent_id").unwrap_or_default(), arguments.int("@agent_type").unwrap_or(-1));
    let known = match kind {
        0 => state.primaries.iter().any(|row| row.id == id),
        1 | 2 => state.secondaries.iter().any(|row| row.id == id),
        _ => false,
    };
    if known { Ok((id, kind)) } else { Err(messages::no_such_agent(&id.to_string().to_uppercase(), kind).into()) }
}

fn clean_up(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let now = runner.connection.instance.world.local();
    let mut state = runner.connection.instance.lock();
    let (id, kind) = agent(&state, arguments)?;
    let primary = state.primaries.iter().find(|row| row.id == id).map(|row| row.history_retention);
    let secondary = state.secondary_databases.iter().find(|row| row.secondary == id).map(|row| row.history_retention);
    let kept = now.saturating_sub(jiff::Span::new().minutes(i64::from(primary.or(secondary).unwrap_or(14_420))));
    state.shipping.retain(|note| note.agent != id || i32::from(note.kind) != kind || note.at >= kept);
    Ok(0)
}

/// Nothing is behind here: each server of the lab is its own monitor, or its monitor is silent.
fn refresh(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    in_master(runner, arguments)?;
    let state = runner.connection.instance.lock();
    agent(&state, arguments)?;
    Ok(0)
}
