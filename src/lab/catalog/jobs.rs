//! The tables of msdb that SQL Server Agent keeps.

use super::{IntoCell, Rows, Source, Table};
use crate::lab::agent::{next_run, occurrence};
use crate::lab::tds::Cell;
use jiff::civil::DateTime;

pub static TABLES: &[Table] = &[
    Table {
        name: "msdb.dbo.sysjobs",
        definition: "job_id uniqueidentifier, originating_server_id int, name sysname, enabled tinyint, \
            description nvarchar(512), start_step_id int, category_id int, owner_sid varbinary(85), \
            notify_level_eventlog int, notify_level_email int, notify_level_netsend int, notify_level_page int, \
            notify_email_operator_id int, notify_netsend_operator_id int, notify_page_operator_id int, \
            delete_level int, date_created datetime, date_modified datetime, version_number int",
        grows: false,
        fill: jobs,
    },
    Table {
        name: "msdb.dbo.sysjobsteps",
        definition: "job_id uniqueidentifier, step_id int, step_name sysname, subsystem nvarchar(40), \
            command nvarchar(max), flags int, additional_parameters nvarchar(max), cmdexec_success_code int, \
            on_success_action tinyint, on_success_step_id int, on_fail_action tinyint, on_fail_step_id int, \
            server sysname, database_name sysname, database_user_name sysname, retry_attempts int, retry_interval int, \
            os_run_priority int, output_file_name nvarchar(200), last_run_outcome int, last_run_duration int, \
            last_run_retries int, last_run_date int, last_run_time int, proxy_id int, step_uid uniqueidentifier",
        grows: false,
        fill: steps,
    },
    Table {
        name: "msdb.dbo.sysjobservers",
        definition: "job_id uniqueidentifier, server_id int, last_run_outcome tinyint, \
            last_outcome_message nvarchar(4000), last_run_date int, last_run_time int, last_run_duration int",
        grows: false,
        fill: servers,
    },
    Table {
        name: "msdb.dbo.sysjobactivity",
        definition: "session_id int, job_id uniqueidentifier, run_requested_date datetime, \
            run_requested_source sysname, queued_date datetime, start_execution_date datetime, \
            last_executed_step_id int, last_executed_step_date datetime, stop_execution_date datetime, \
            job_history_id int, next_scheduled_run_date datetime",
        grows: false,
        fill: activity,
    },
    Table { name: "msdb.dbo.syssessions", definition: "session_id int, agent_start_date datetime", grows: false, fill: sessions },
    Table {
        name: "msdb.dbo.sysjobhistory",
        definition: "instance_id int, job_id uniqueidentifier, step_id int, step_name sysname, sql_message_id int, \
            sql_severity int, message nvarchar(4000), run_status int, run_date int, run_time int, run_duration int, \
            operator_id_emailed int, operator_id_netsent int, operator_id_paged int, retries_attempted int, \
            server sysname",
        grows: false,
        fill: history,
    },
    Table {
        name: "msdb.dbo.sysjobschedules",
        definition: "schedule_id int, job_id uniqueidentifier, next_run_date int, next_run_time int",
        grows: false,
        fill: job_schedules,
    },
    Table {
        name: "msdb.dbo.sysschedules",
        definition: "schedule_id int, schedule_uid uniqueidentifier, originating_server_id int, name sysname, \
            owner_sid varbinary(85), enabled int, freq_type int, freq_interval int, freq_subday_type int, \
            freq_subday_interval int, freq_relative_interval int, freq_recurrence_factor int, active_start_date int, \
            active_end_date int, active_start_time int, active_end_time int, date_created datetime, \
            date_modified datetime, version_number int",
        grows: false,
        fill: schedules,
    },
    Table {
        name: "msdb.dbo.syscategories",
        definition: "category_id int, category_class int, category_type tinyint, name sysname",
        grows: false,
        fill: |_, rows| {
            for (id, name) in [(0, "[Uncategorized (Local)]"), (6, "Log Shipping")] {
                rows.row(&[("category_id", id.cell()), ("category_class", 1.cell()), ("category_type", 1.cell()), ("name", name.cell())]);
            }
        },
    },
];

/// The Agent's start on record before the present one: rows of it are stale.
const STALE_SESSION: i32 = 36;
/// The present start of the Agent.
pub const SESSION: i32 = 37;

/// `yyyymmdd`, as Agent's tables hold days.
pub fn day(at: DateTime) -> i32 {
    i32::from(at.year()) * 10_000 + i32::from(at.month()) * 100 + i32::from(at.day())
}

/// `hhmmss`, as Agent's tables hold times.
pub fn clock(at: DateTime) -> i32 {
    i32::from(at.hour()) * 10_000 + i32::from(at.minute()) * 100 + i32::from(at.second())
}

/// Seconds as `hhmmss`.
fn duration(seconds: i32) -> i32 {
    seconds / 3600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60
}

fn jobs(source: &Source<'_>, rows: &mut Rows<'_>) {
    for job in &source.state.jobs {
        rows.row(&[
            ("job_id", job.id.cell()),
            ("originating_server_id", 0.cell()),
            ("name", (&job.name).cell()),
            ("enabled", job.enabled.cell()),
            ("description", (&job.description).cell()),
            ("start_step_id", 1.cell()),
            ("category_id", job.category.cell()),
            ("owner_sid", Cell::Binary(vec![1])),
            ("notify_level_eventlog", 2.cell()),
            ("notify_level_email", 0.cell()),
            ("notify_level_netsend", 0.cell()),
            ("notify_level_page", 0.cell()),
            ("notify_email_operator_id", 0.cell()),
            ("notify_netsend_operator_id", 0.cell()),
            ("notify_page_operator_id", 0.cell()),
            ("delete_level", 0.cell()),
            ("date_created", job.created.cell()),
            ("date_modified", job.created.cell()),
            ("version_number", 4.cell()),
        ]);
    }
}

fn steps(source: &Source<'_>, rows: &mut Rows<'_>) {
    for job in &source.state.jobs {
        rows.row(&[
            ("job_id", job.id.cell()),
            ("step_id", 1.cell()),
            ("step_name", "Log shipping step.".cell()),
            ("subsystem", "CMDEXEC".cell()),
            ("command", (&job.command).cell()),
            ("flags", 32.cell()),
            ("cmdexec_success_code", 0.cell()),
            ("on_success_action", 1.cell()),
            ("on_success_step_id", 0.cell()),
            ("on_fail_action", 2.cell()),
            ("on_fail_step_id", 0.cell()),
            ("retry_attempts", 0.cell()),
            ("retry_interval", 0.cell()),
            ("os_run_priority", 0.cell()),
        ]);
    }
}

fn servers(source: &Source<'_>, rows: &mut Rows<'_>) {
    for job in &source.state.jobs {
        let last = job.history.last();
        rows.row(&[
            ("job_id", job.id.cell()),
            ("server_id", 0.cell()),
            ("last_run_outcome", last.map_or(5, |last| u8::from(last.succeeded)).cell()),
            ("last_outcome_message", last.map(|last| &last.message).cell()),
            ("last_run_date", last.map_or(0, |last| day(last.at)).cell()),
            ("last_run_time", last.map_or(0, |last| clock(last.at)).cell()),
            ("last_run_duration", last.map_or(0, |last| duration(last.seconds)).cell()),
        ]);
    }
}

fn activity(source: &Source<'_>, rows: &mut Rows<'_>) {
    if source.state.agent_started.is_none() {
        return;
    }
    let now = source.instance.world.local();
    for job in &source.state.jobs {
        // what an earlier start of the Agent left behind looks as if it ran for ever
        if job.name.starts_with("LSCopy_") {
            let old = job.created;
            rows.row(&[
                ("session_id", STALE_SESSION.cell()),
                ("job_id", job.id.cell()),
                ("run_requested_date", old.cell()),
                ("run_requested_source", "1".cell()),
                ("start_execution_date", old.cell()),
            ]);
        }
        let running = job.is_running();
        rows.row(&[
            ("session_id", SESSION.cell()),
            ("job_id", job.id.cell()),
            ("run_requested_date", job.last_start.cell()),
            ("run_requested_source", job.last_start.map(|_| "1").cell()),
            ("start_execution_date", job.last_start.cell()),
            ("last_executed_step_id", (!running && job.last_start.is_some()).then_some(1).cell()),
            ("last_executed_step_date", job.last_start.filter(|_| !running).cell()),
            ("stop_execution_date", job.last_stop.filter(|_| !running).cell()),
            ("job_history_id", job.history.last().filter(|_| !running).map(|last| last.instance).cell()),
            ("next_scheduled_run_date", next_run(job, &source.state.schedules, now).cell()),
        ]);
    }
}

fn sessions(source: &Source<'_>, rows: &mut Rows<'_>) {
    let Some(started) = source.state.agent_started else { return };
    let before = started.saturating_sub(jiff::Span::new().days(35));
    for (session, at) in [(STALE_SESSION, before), (SESSION, started)] {
        rows.row(&[("session_id", session.cell()), ("agent_start_date", at.cell())]);
    }
}

fn history(source: &Source<'_>, rows: &mut Rows<'_>) {
    for job in &source.state.jobs {
        for outcome in &job.history {
            rows.row(&[
                ("instance_id", outcome.instance.cell()),
                ("job_id", job.id.cell()),
                ("step_id", 0.cell()),
                ("step_name", "(Job outcome)".cell()),
                ("sql_message_id", 0.cell()),
                ("sql_severity", 0.cell()),
                ("message", (&outcome.message).cell()),
                ("run_status", i32::from(outcome.succeeded).cell()),
                ("run_date", day(outcome.at).cell()),
                ("run_time", clock(outcome.at).cell()),
                ("run_duration", duration(outcome.seconds).cell()),
                ("operator_id_emailed", 0.cell()),
                ("operator_id_netsent", 0.cell()),
                ("operator_id_paged", 0.cell()),
                ("retries_attempted", 0.cell()),
                ("server", (&source.instance.server).cell()),
            ]);
        }
    }
}

fn job_schedules(source: &Source<'_>, rows: &mut Rows<'_>) {
    let now = source.instance.world.local();
    for job in &source.state.jobs {
        for schedule in source.state.schedules.iter().filter(|schedule| job.schedules.contains(&schedule.id)) {
            let next = occurrence(schedule, now).filter(|_| job.enabled);
            rows.row(&[
                ("schedule_id", schedule.id.cell()),
                ("job_id", job.id.cell()),
                ("next_run_date", next.map_or(0, day).cell()),
                ("next_run_time", next.map_or(0, clock).cell()),
            ]);
        }
    }
}

fn schedules(source: &Source<'_>, rows: &mut Rows<'_>) {
    let created = source.instance.world.to_local(source.instance.world.opened).saturating_sub(jiff::Span::new().days(200));
    for row in &source.state.schedules {
        rows.row(&[
            ("schedule_id", row.id.cell()),
            ("schedule_uid", row.uid.cell()),
            ("originating_server_id", 0.cell()),
            ("name", (&row.name).cell()),
            ("owner_sid", Cell::Binary(vec![1])),
            ("enabled", i32::from(row.enabled).cell()),
            ("freq_type", row.freq_type.cell()),
            ("freq_interval", row.freq_interval.cell()),
            ("freq_subday_type", row.subday_type.cell()),
            ("freq_subday_interval", row.subday_interval.cell()),
            ("freq_relative_interval", row.relative_interval.cell()),
            ("freq_recurrence_factor", row.recurrence_factor.cell()),
            ("active_start_date", row.start_date.cell()),
            ("active_end_date", row.end_date.cell()),
            ("active_start_time", row.start_time.cell()),
            ("active_end_time", row.end_time.cell()),
            ("date_created", created.cell()),
            ("date_modified", created.cell()),
            ("version_number", 1.cell()),
        ]);
    }
}
