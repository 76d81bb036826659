//! SQL Server Agent's procedures in msdb: jobs are changed, started, stopped and shown, schedules made and attached.

use std::sync::Arc;

use super::{Arguments, Procedure};
use crate::lab::agent;
use crate::lab::catalog::{IntoCell, columns, run_clock, run_day};
use crate::lab::instance::{Instance, Schedule, State, same};
use crate::lab::messages::{self, Raised, message};
use crate::lab::statements::Failure;
use crate::lab::statements::restore::row;
use crate::lab::statements::run::Runner;
use crate::lab::tds::Cell;

const WHICH: &str = "@job_id uniqueidentifier, @job_name sysname";

pub static PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "sp_update_job",
        home: "msdb",
        parameters: "@job_id uniqueidentifier, @job_name sysname, @new_name sysname, @enabled tinyint, \
            @description nvarchar(512)",
        run: update,
    },
    Procedure { name: "sp_start_job", home: "msdb", parameters: "@job_name sysname, @job_id uniqueidentifier", run: start },
    Procedure { name: "sp_stop_job", home: "msdb", parameters: "@job_name sysname, @job_id uniqueidentifier", run: stop },
    Procedure {
        name: "sp_help_job",
        home: "msdb",
        parameters: "@job_id uniqueidentifier, @job_name sysname, @job_aspect varchar(9), @job_type varchar(12), \
            @owner_login_name sysname, @subsystem nvarchar(40), @category_name sysname, @enabled tinyint, \
            @execution_status int",
        run: help,
    },
    Procedure { name: "sp_delete_job", home: "msdb", parameters: WHICH, run: delete },
    Procedure {
        name: "sp_add_schedule",
        home: "msdb",
        parameters: "@schedule_name sysname!, @enabled tinyint, @freq_type int, @freq_interval int, @freq_subday_type int, \
            @freq_subday_interval int, @freq_relative_interval int, @freq_recurrence_factor int, @active_start_date int, \
            @active_end_date int, @active_start_time int, @active_end_time int, @owner_login_name sysname, \
            @schedule_uid uniqueidentifier out, @schedule_id int out, @originating_server sysname",
        run: add_schedule,
    },
    Procedure {
        name: "sp_attach_schedule",
        home: "msdb",
        parameters: "@job_id uniqueidentifier, @job_name sysname, @schedule_id int, @schedule_name sysname, \
            @automatic_post bit",
        run: attach_schedule,
    },
    Procedure {
        name: "sp_add_jobschedule",
        home: "msdb",
        parameters: "@job_id uniqueidentifier, @job_name sysname, @name sysname!, @enabled tinyint, @freq_type int, \
            @freq_interval int, @freq_subday_type int, @freq_subday_interval int, @freq_relative_interval int, \
            @freq_recurrence_factor int, @active_start_date int, @active_end_date int, @active_start_time int, \
            @active_end_time int, @schedule_id int out, @automatic_post bit, @schedule_uid uniqueidentifier out",
        run: add_job_schedule,
    },
];

/// Where the job is in the list. Errors 14262 and 14294.
fn find(instance: &Instance, arguments: &Arguments) -> Result<usize, Raised> {
    let mut state = instance.lock();
    let now = instance.world.local();
    for job in &mut state.jobs {
        job.settle(now);
    }
    match (arguments.guid("@job_id"), arguments.text("@job_name")) {
        (Some(id), _) => {
            let found = state.jobs.iter().position(|job| job.id == id);
            found.ok_or_else(|| messages::no_such_job_id(&id.to_string().to_uppercase()))
        }
        (None, Some(name)) => {
            let found = state.jobs.iter().position(|job| same(&job.name, &name));
            found.ok_or_else(|| messages::no_such_job(&name))
        }
        (None, None) => Err(messages::one_of("@job_id", "@job_name")),
    }
}

fn update(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    let mut state = instance.lock();
    if let Some(name) = arguments.text("@new_name") {
        if state.job(&name).is_some() {
            return Err(messages::name_taken("@new_name", &name).into());
        }
        state.jobs[at].name = name;
    }
    let job = &mut state.jobs[at];
    if let Some(enabled) = arguments.int("@enabled") {
        job.enabled = enabled != 0;
    }
    if let Some(description) = arguments.text("@description") {
        job.description = description;
    }
    Ok(0)
}

fn delete(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    instance.lock().jobs.remove(at);
    Ok(0)
}

fn start(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    let id = instance.lock().jobs[at].id;
    let name = agent::start(&instance, id)?;
    runner.say(*message(0, 0, 1, format!("Job '{name}' started successfully.")));
    Ok(0)
}

fn stop(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    let id = instance.lock().jobs[at].id;
    let name = agent::stop(&instance, id)?;
    runner.say(*message(0, 0, 1, format!("Job '{name}' stopped successfully.")));
    Ok(0)
}

fn help(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let only = match (arguments.guid("@job_id"), arguments.text("@job_name")) {
        (None, None) => None,
        _ => Some(find(&instance, arguments)?),
    };
    let columns = columns(
        "job_id uniqueidentifier, originating_server nvarchar(30), name sysname, enabled tinyint, \
         description nvarchar(512), start_step_id int, category sysname, owner sysname, notify_level_eventlog int, \
         notify_level_email int, notify_level_netsend int, notify_level_page int, notify_email_operator sysname, \
         notify_netsend_operator sysname, notify_page_operator sysname, delete_level int, date_created datetime, \
         date_modified datetime, version_number int, last_run_date int, last_run_time int, last_run_outcome int, \
         next_run_date int, next_run_time int, next_run_schedule_id int, current_execution_status int, \
         current_execution_step sysname, current_retry_attempt int, has_step int, has_schedule int, has_target int, \
         type int",
    );
    let now = instance.world.local();
    let mut state = instance.lock();
    let State { jobs, schedules, .. } = &mut *state;
    let mut rows = Vec::new();
    for (at, job) in jobs.iter_mut().enumerate() {
        job.settle(now);
        let status = if job.is_running() { 1 } else { 4 };
        let wanted = only.is_none_or(|only| only == at)
            && arguments.int("@enabled").is_none_or(|enabled| (enabled != 0) == job.enabled)
            && arguments.int("@execution_status").is_none_or(|wanted| wanted == status);
        if !wanted {
            continue;
        }
        let last = job.history.last();
        let next = agent::next_run(job, schedules, now);
        rows.push(row(
            &columns,
            &[
                ("job_id", job.id.cell()),
                ("originating_server", (&instance.server).cell()),
                ("name", (&job.name).cell()),
                ("enabled", Cell::TinyInt(u8::from(job.enabled))),
                ("description", (&job.description).cell()),
                ("start_step_id", 1.cell()),
                ("category", if job.category == 6 { "Log Shipping" } else { "[Uncategorized (Local)]" }.cell()),
                ("owner", "sa".cell()),
                ("notify_level_eventlog", 2.cell()),
                ("notify_level_email", 0.cell()),
                ("notify_level_netsend", 0.cell()),
                ("notify_level_page", 0.cell()),
                ("notify_email_operator", "(unknown)".cell()),
                ("notify_netsend_operator", "(unknown)".cell()),
                ("notify_page_operator", "(unknown)".cell()),
                ("delete_level", 0.cell()),
                ("date_created", job.created.cell()),
                ("date_modified", job.created.cell()),
                ("version_number", 4.cell()),
                ("last_run_date", last.map_or(0, |last| run_day(last.at)).cell()),
                ("last_run_time", last.map_or(0, |last| run_clock(last.at)).cell()),
                ("last_run_outcome", last.map_or(5, |last| i32::from(last.succeeded)).cell()),
                ("next_run_date", next.map_or(0, run_day).cell()),
                ("next_run_time", next.map_or(0, run_clock).cell()),
                ("next_run_schedule_id", job.schedules.first().copied().unwrap_or(0).cell()),
                ("current_execution_status", status.cell()),
                ("current_execution_step", "0 (unknown)".cell()),
                ("current_retry_attempt", 0.cell()),
                ("has_step", 1.cell()),
                ("has_schedule", i32::try_from(job.schedules.len()).unwrap_or(0).cell()),
                ("has_target", 1.cell()),
                ("type", 1.cell()),
            ],
        ));
    }
    drop(state);
    runner.rows(&columns, &rows);
    Ok(0)
}

fn new_schedule(instance: &Instance, arguments: &Arguments, name: String) -> Schedule {
    let uid = instance.world.guid();
    let today = run_day(instance.world.local());
    let number = |name: &str, default: i32| arguments.int(name).unwrap_or(default);
    let mut state = instance.lock();
    let id = state.schedules.iter().map(|schedule| schedule.id).max().unwrap_or(0) + 1;
    let schedule = Schedule {
        id,
        uid,
        name,
        enabled: number("@enabled", 1) != 0,
        freq_type: number("@freq_type", 0),
        freq_interval: number("@freq_interval", 0),
        subday_type: number("@freq_subday_type", 0),
        subday_interval: number("@freq_subday_interval", 0),
        relative_interval: number("@freq_relative_interval", 0),
        recurrence_factor: number("@freq_recurrence_factor", 0),
        start_date: number("@active_start_date", today),
        end_date: number("@active_end_date", 99_991_231),
        start_time: number("@active_start_time", 0),
        end_time: number("@active_end_time", 235_959),
    };
    state.schedules.push(schedule.clone());
    schedule
}

fn add_schedule(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let name = arguments.required("@schedule_name")?;
    let schedule = new_schedule(&runner.connection.instance, arguments, name);
    arguments.set("@schedule_uid", Cell::Guid(schedule.uid));
    arguments.set("@schedule_id", Cell::Int(schedule.id));
    Ok(0)
}

fn attach_schedule(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    let mut state = instance.lock();
    let schedule = match (arguments.int("@schedule_id"), arguments.text("@schedule_name")) {
        (Some(id), _) => {
            let found = state.schedules.iter().find(|schedule| schedule.id == id);
            found.ok_or_else(|| messages::no_such_schedule_id(id))?.id
        }
        (None, Some(name)) => {
            let found = state.schedules.iter().find(|schedule| same(&schedule.name, &name));
            found.ok_or_else(|| messages::no_such_schedule(&name))?.id
        }
        (None, None) => return Err(messages::one_of("@schedule_id", "@schedule_name").into()),
    };
    let job = &mut state.jobs[at];
    if !job.schedules.contains(&schedule) {
        job.schedules.push(schedule);
    }
    Ok(0)
}

fn add_job_schedule(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    let at = find(&instance, arguments)?;
    let name = arguments.required("@name")?;
    let schedule = new_schedule(&instance, arguments, name);
    instance.lock().jobs[at].schedules.push(schedule.id);
    arguments.set("@schedule_uid", Cell::Guid(schedule.uid));
    arguments.set("@schedule_id", Cell::Int(schedule.id));
    Ok(0)
}
