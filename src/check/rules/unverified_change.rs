//! See `unverified-change.md`.

use crate::check::acts::{changing, led_here, statements, surely_changes, surely_other};
use crate::check::{Call, Event, Finding, Inside, Look, Rule, Run, Severity, Sql};
use crate::primitives::Class;
use crate::tsql::classify;
use crate::tsql::lex::significant;
use crate::tsql::syntax::{DatabaseChangeKind, RestoreKind, Statement, StatementKind};

pub static UNVERIFIED_CHANGE: Rule =
    Rule { slug: "unverified-change", severity: Severity::Warning, page: include_str!("unverified-change.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete || run.script.goes_astray() {
        return;
    }
    for (index, event) in run.events.iter().enumerate().filter(|(_, event)| event.inside == Inside::Plain) {
        let call = &event.call;
        if !matches!(call.name(), "sql" | "ps") || !call.options_known() || call.option("done_when").is_some() {
            continue;
        }
        let (what, reads_back) = match call.name() {
            "sql" => {
                let topics: Vec<Topic> = call.sql.iter().flat_map(topics).collect();
                if topics.is_empty() || topics.iter().any(|topic| call.sql.iter().any(|sql| topic.in_text(sql))) {
                    continue;
                }
                let names = topics[0].hint();
                (names, Box::new(move |other: &Call| topics.iter().any(|topic| topic.read_by(call, other))) as Box<dyn Fn(&Call) -> bool>)
            }
            _ => match cmdlet(call) {
                Some(name) => {
                    (readers_in_words(&name), Box::new(move |other: &Call| cmdlet_read_by(&name, other)) as Box<dyn Fn(&Call) -> bool>)
                }
                None => continue,
            },
        };
        if read_back(&run.events[index + 1..], event, &reads_back) {
            continue;
        }
        let mut finding = UNVERIFIED_CHANGE.finding(
            &run.script.files[call.file],
            run.name_span(call),
            format!("nothing proves that this `{}` did what it should", call.name()),
            "neither proven nor read back",
            format!("add a `done_when` that asks {what}"),
        );
        finding.related = led_here(run, event);
        findings.push(finding);
    }
}

/// True if something after a change reads it back: in the same step, or before anything else is asked or changed.
fn read_back(later: &[Event], change: &Event, reads_back: &dyn Fn(&Call) -> bool) -> bool {
    let mut at_once = true;
    for event in later {
        // a `done_when` is asked for the change that it belongs to
        if event.inside == Inside::DoneWhen {
            continue;
        }
        let same_step = change.step == 0 || event.step == change.step;
        if (same_step || at_once) && reads_back(&event.call) {
            return true;
        }
        at_once &= !matches!(event.call.class(), Class::Asks | Class::Changes);
    }
    false
}

/// What a change is about: where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Databases,
    Restored,
    Jobs,
    LogShipping,
    Sessions,
    Backups,
    Mirroring,
    /// anything else on the server
    Server,
}

/// What the changing statements of a text are about; nothing for what needs no proof, or is not known.
fn topics(sql: &Sql) -> Vec<Topic> {
    let changing = changing(sql);
    if sql.text.is_constant() && changing.is_empty() {
        return Vec::new();
    }
    let changes = |statement: &&Statement| classify::classify(&sql.rendered[statement.range.clone()]).class == classify::Class::Changes;
    statements(sql).into_iter().filter(changes).filter_map(|statement| topic(sql, statement)).collect()
}

fn topic(sql: &Sql, statement: &Statement) -> Option<Topic> {
    Some(match &statement.kind {
        StatementKind::Restore(restore) => match restore.kind {
            RestoreKind::Database | RestoreKind::Log => Topic::Restored,
            _ => return None,
        },
        StatementKind::Backup(_) => Topic::Backups,
        StatementKind::Kill(_) => Topic::Sessions,
        StatementKind::AlterDatabase(alter) => {
            let mirroring = |kind: &DatabaseChangeKind| {
                matches!(
                    kind,
                    DatabaseChangeKind::Partner(_)
                        | DatabaseChangeKind::PartnerAction(_)
                        | DatabaseChangeKind::Witness(_)
                        | DatabaseChangeKind::WitnessOff
                )
            };
            if alter.changes.iter().any(|change| mirroring(&change.kind)) { Topic::Mirroring } else { Topic::Databases }
        }
        StatementKind::DropDatabase(_) => Topic::Databases,
        StatementKind::Exec(exec) => {
            let name = exec.target.name().unwrap_or_default();
            let name = name.rsplit('.').next().unwrap_or_default();
            if name.contains("log_shipping") {
                Topic::LogShipping
            } else if name.contains("job") || name.contains("schedule") {
                Topic::Jobs
            } else {
                Topic::Server
            }
        }
        StatementKind::Other { keyword } => match keyword.as_str() {
            // what they find they return, or raise
            "SELECT" | "WITH" | "(" | "DBCC" | "CHECKPOINT" => return None,
            _ if names_in(&sql.rendered[statement.range.clone()]).iter().any(|name| name.starts_with("log_shipping_")) => {
                Topic::LogShipping
            }
            "CREATE" | "ALTER" | "INSERT" | "UPDATE" | "DELETE" | "DROP" | "MERGE" | "TRUNCATE" | "GRANT" | "DENY" | "REVOKE" => {
                Topic::Server
            }
            _ => return None,
        },
        _ => return None,
    })
}

impl Topic {
    /// What a `done_when` for it asks.
    fn hint(self) -> &'static str {
        match self {
            Self::Databases | Self::Restored => "`sys.databases` for the database's state",
            Self::Jobs => "`msdb.dbo.sysjobs` for the job",
            Self::LogShipping => "`msdb.dbo.log_shipping_secondary_databases` for the database",
            Self::Sessions => "`sys.sysprocesses` for the session",
            Self::Backups => "`msdb.dbo.backupset` for the backup",
            Self::Mirroring => "`sys.database_mirroring` for the partner's state",
            Self::Server => "the server for what was changed",
        }
    }

    /// True for a name in a reading text that shows it.
    fn shows(self, name: &str) -> bool {
        let databases = ["databases", "sysdatabases", "master_files", "databasepropertyex", "database_mirroring", "sp_helpdb"];
        match self {
            Self::Databases => databases.contains(&name),
            Self::Restored => databases.contains(&name) || name == "restorehistory",
            Self::Jobs => name.starts_with("sysjob") || name.starts_with("sp_help_job") || name.contains("schedule"),
            Self::LogShipping => name.starts_with("log_shipping_") || name.starts_with("sp_help_log_shipping"),
            Self::Sessions => name == "sysprocesses" || name.starts_with("dm_exec_") || name == "sp_who" || name == "sp_who2",
            Self::Backups => {
                name.starts_with("backup") || matches!(name, "verifyonly" | "headeronly" | "labelonly" | "xp_dirtree" | "xp_fileexist")
            }
            Self::Mirroring => name.starts_with("database_mirroring") || name.starts_with("sp_dbmmonitor") || name == "databases",
            Self::Server => true,
        }
    }

    fn read_by(self, change: &Call, other: &Call) -> bool {
        let elsewhere = surely_other(change.argument("server"), other.argument("server"));
        match other.name() {
            "backups" => self == Self::Backups,
            "log_chain" => self == Self::Restored && !elsewhere,
            "query" | "sql" if self == Self::Backups && other.sql.iter().any(verifies) => true,
            "query" | "sql" if other.class() == Class::Reads || other.name() == "query" => {
                (self == Self::Backups || !elsewhere) && (other.sql.is_empty() || other.sql.iter().any(|sql| self.shown_in(&sql.rendered)))
            }
            _ => false,
        }
    }

    fn shown_in(self, text: &str) -> bool {
        self == Self::Server || names_in(text).iter().any(|name| self.shows(name))
    }

    /// True if the changing text reads it back itself, at its end.
    fn in_text(self, sql: &Sql) -> bool {
        let last = sql.batch.as_ref().ok().and_then(|batch| batch.statements.last());
        last.is_some_and(|last| {
            matches!(&last.kind, StatementKind::Other { keyword } if keyword == "SELECT" || keyword == "WITH")
                && self.shown_in(&sql.rendered[last.range.clone()])
        })
    }
}

/// A RESTORE VERIFYONLY or its kin, which reads a backup.
fn verifies(sql: &Sql) -> bool {
    statements(sql).iter().any(|statement| {
        matches!(&statement.kind, StatementKind::Restore(restore) if !matches!(restore.kind, RestoreKind::Database | RestoreKind::Log))
    })
}

fn names_in(text: &str) -> Vec<String> {
    significant(text).into_iter().filter_map(|token| token.name(text)).map(|name| name.to_lowercase()).collect()
}

/// The one changing cmdlet of a call that can be proven by another.
fn cmdlet(call: &Call) -> Option<String> {
    let name = call.cmdlet()?;
    let lower = name.to_ascii_lowercase();
    // what they find is what they return, or write to a file
    let proves_itself = ["get-", "test-", "export-", "debug-"].iter().any(|verb| lower.starts_with(verb));
    (surely_changes(call) && !proves_itself).then_some(lower)
}

/// Cmdlets and tables that show what a cmdlet has changed.
fn readers(cmdlet: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match cmdlet {
        "set-cspersistentchatactiveserver" => (&["get-csservice", "get-cspersistentchatactiveserver"], &[]),
        "install-csmirrordatabase" | "uninstall-csmirrordatabase" => {
            (&["get-csdatabasemirrorstate", "test-csdatabase"], &["database_mirroring", "database_mirroring_endpoints", "databases"])
        }
        "invoke-csdatabasefailover" => (&["get-csdatabasemirrorstate"], &["database_mirroring"]),
        "install-csdatabase" => (&["test-csdatabase"], &["databases"]),
        "invoke-csmanagementserverfailover" | "enable-cstopology" => {
            (&["get-csmanagementstorereplicationstatus", "get-csservice", "get-cstopology"], &[])
        }
        "start-cswindowsservice" | "stop-cswindowsservice" => (&["get-cswindowsservice"], &["dm_exec_sessions", "sysprocesses", "sp_who2"]),
        "set-cspersistentchatstate" | "set-cspersistantchatstate" => (&["get-cspersistentchatstate"], &[]),
        _ => (&[], &[]),
    }
}

fn readers_in_words(cmdlet: &str) -> &'static str {
    match cmdlet {
        "set-cspersistentchatactiveserver" => "`Get-CsService` for the active servers",
        "install-csmirrordatabase" | "uninstall-csmirrordatabase" => "`sys.database_mirroring` on both servers",
        "set-cspersistentchatstate" => "`Get-CsPersistentChatState` for the pool's state",
        "start-cswindowsservice" | "stop-cswindowsservice" => "`Get-CsWindowsService` for the service",
        _ => "the `Get-` cmdlet that shows it",
    }
}

fn cmdlet_read_by(cmdlet: &str, other: &Call) -> bool {
    let (cmdlets, tables) = readers(cmdlet);
    match other.name() {
        "ps" => {
            let Some(name) = other.cmdlet().map(|name| name.to_ascii_lowercase()) else { return other.class() == Class::Reads };
            let Some((verb, noun)) = name.split_once('-') else { return false };
            let own = cmdlet.split_once('-').map_or("", |(_, noun)| noun);
            // where the catalogue knows no reader, any read may be one
            cmdlets.contains(&name.as_str()) || (matches!(verb, "get" | "test") && (noun == own || cmdlets.is_empty()))
        }
        "query" | "sql" => {
            let reads = |sql: &Sql| names_in(&sql.rendered).iter().any(|name| tables.contains(&name.as_str()));
            (other.sql.is_empty() && !tables.is_empty()) || other.sql.iter().any(reads)
        }
        _ => false,
    }
}
