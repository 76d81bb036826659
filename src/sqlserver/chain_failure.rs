//! Why a restore of log backups did not start, or stopped. Made by `restore`, shown by the report. Every variant says in
//! what state the database is now.

use std::fmt;

use super::chain::{Branch, Gap};
use super::error::Failure;
use super::headers::Trouble;
use crate::wire::lsn::Lsn;

/// How far the restore came: what every message ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub server: String,
    pub database: String,
    /// Redo point as last read; none before it was read.
    pub redo: Option<Lsn>,
    pub in_standby: bool,
    /// Log backups applied by this call, and planned.
    pub applied: usize,
    pub of: usize,
}

impl World {
    pub(super) fn applied_so_far(&self) -> String {
        match self.applied {
            0 => "nothing was applied by this step".to_owned(),
            1 => "1 log backup was applied by this step before".to_owned(),
            n => format!("{n} log backups were applied by this step before"),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, database, redo, in_standby, applied, of } = self;
        let Some(redo) = redo else { return write!(f, "nothing was changed in `{database}` on `{server}`") };
        let state = if *in_standby { "in STANDBY" } else { "RESTORING" };
        match (applied, of) {
            (0, _) => write!(f, "nothing was applied, `{database}` on `{server}` is still {state} at LSN {redo}"),
            (applied, of) => {
                write!(f, "{applied} of {of} log backups were applied, `{database}` on `{server}` is {state} at LSN {redo}")
            }
        }
    }
}

/// Why no log, or no further log, was applied.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ChainFailure {
    /// The server or the connection failed, not a backup file. What was applied before stays applied; where the database stands is
    /// in the message. If a RESTORE was under way, it may have been applied: the next run reads the redo point and goes on from
    /// there.
    #[error("{doing} failed: {failure}; {}", doubt(.failure, .world))]
    #[diagnostic(
        code(cutover::sqlserver::chain_server),
        help("see to the server or the connection, then run the runbook again: it looks where the database stands and goes on from there")
    )]
    Server { doing: String, world: Box<World>, failure: Box<Failure> },

    /// No row in sys.databases has that name, so this is another instance, or the database is named differently there. Nothing was
    /// changed.
    #[error("there is no database `{database}` on `{server}`; nothing was changed")]
    #[diagnostic(
        code(cutover::sqlserver::no_database),
        help("check that `{server}` is the log shipping secondary and how the database is named there")
    )]
    NoDatabase { server: String, database: String },

    /// The database is ONLINE and not in STANDBY: its recovery has ended roll forward for good. No further log backup can be
    /// applied to this copy, see `4305` and `3117` for what the server says then.
    #[error("`{database}` on `{server}` is already recovered: no further log can ever be applied to it{lost}; {applied}")]
    #[diagnostic(
        code(cutover::sqlserver::already_recovered),
        help(
            "find out who recovered it and when (msdb..restorehistory, the error log) before anything else: what was not applied by then is lost on this copy"
        )
    )]
    AlreadyRecovered { server: String, database: String, applied: String, lost: String },

    /// The database is in a state in which no log backup can be applied (RECOVERING, RECOVERY_PENDING, SUSPECT, EMERGENCY or
    /// OFFLINE). Nothing was applied by this step.
    #[error("`{database}` on `{server}` is {state}, not RESTORING: no log backup can be applied now")]
    #[diagnostic(code(cutover::sqlserver::not_restoring), help("{act}"))]
    NotRestoring { server: String, database: String, state: String, act: &'static str },

    /// There is no single redo point to start from: a restore was interrupted, or the data files stand at different places. Nothing
    /// was applied.
    #[error("where `{database}` on `{server}` stands is not clear: {why}; nothing was applied")]
    #[diagnostic(
        code(cutover::sqlserver::unclear_redo_point),
        help(
            "if a restore was interrupted, repeat that same RESTORE LOG by hand and run the runbook again; else look at sys.master_files and msdb..restorehistory before going on"
        )
    )]
    UnclearRedo { server: String, database: String, why: String },

    /// The log chain has a hole: the backup that would come next is not in the folder, or cannot serve. Nothing after the hole can
    /// be applied, and the server would refuse it with `4305`. Looked at before the first RESTORE, so what the folder has before
    /// the hole is untouched unless the message says otherwise. Look for the missing file on the share, on the old primary and
    /// wherever backups are archived.
    #[error("the log chain has a gap: {gap}{}; {world}", causes(.gap))]
    #[diagnostic(code(cutover::sqlserver::gap), help("{}", .gap.advice().join("; ")))]
    Gap { gap: Box<Gap>, world: Box<World> },

    /// Newer log backups belong to another recovery fork: the database was recovered or restored somewhere, and from then on there
    /// are two histories. Applying the wrong one loses the other. Nothing of the other fork was applied.
    #[error("newer log backups belong to another recovery fork: {}; {world}", describe(.branch))]
    #[diagnostic(
        code(cutover::sqlserver::fork),
        help(
            "find out which server was recovered or restored at that time and which history is the right one, then move the files of the other out of the folder"
        )
    )]
    Fork { branch: Box<Branch>, world: Box<World> },

    /// A file that may hold the newest log cannot be read by the SQL Server. Leaving it out could lose what it holds, so nothing
    /// goes on by itself. See `3241`, `3242` and `3203` for what servers say of damaged files.
    #[error("`{file}` may hold newer log than all others, and {trouble}; {world}")]
    #[diagnostic(code(cutover::sqlserver::unreadable_backup), help("{}", .trouble.act()))]
    Unreadable { file: String, trouble: Trouble, world: Box<World> },

    /// The database moved although this run did not move it: the restore job of log shipping, a colleague, or another tool applies
    /// log backups, too. What is applied stays applied.
    #[error("somebody else is restoring `{}` on `{}`: {sign}; {world}", .world.database, .world.server)]
    #[diagnostic(
        code(cutover::sqlserver::somebody_else),
        help(
            "stop, find out who it is (a colleague, the log shipping restore job, sys.dm_exec_requests), and run the runbook again when they are done"
        )
    )]
    SomebodyElse { sign: String, world: Box<World>, failure: Option<Box<Failure>> },

    /// RESTORE reported success, but the redo point is not where the backup's header says it should be. What was applied stays;
    /// nothing more was tried.
    #[error("the server accepted `{file}`, but its redo point is {redo}, short of LSN {expected}; {world}")]
    #[diagnostic(
        code(cutover::sqlserver::redo_did_not_advance),
        help("look at the SQL Server's error log and sys.master_files before going on")
    )]
    NotAdvanced { file: String, redo: Lsn, expected: Lsn, world: Box<World> },

    /// RESTORE LOG failed on a set that was proven to be next. What was applied before stays applied; the message says at which LSN
    /// the database stands. The number in it has a page of its own: `cutover explain NUMBER`.
    #[error("RESTORE LOG from `{file}` failed: {failure}; {world}")]
    #[diagnostic(code(cutover::sqlserver::restore_refused), help("{act}"))]
    Refused { file: String, act: String, world: Box<World>, failure: Box<Failure> },

    /// The operator stopped it between two files: each is applied whole or not at all. Going on applies the next one.
    #[error("stopped on request; {world}")]
    #[diagnostic(code(cutover::sqlserver::restore_stopped), help("run the runbook again to go on with the next log backup"))]
    Stopped { world: Box<World> },
}

impl ChainFailure {
    pub(super) fn not_restoring(server: &str, database: &str, state: &str) -> Self {
        let act = match state {
            "RECOVERING" => "wait until recovery has ended, then look at its state: if it comes ONLINE, somebody recovered it",
            "RECOVERY_PENDING" => "look in the SQL Server's error log for the file or disk that is missing, and mend that first",
            "SUSPECT" => "read the SQL Server's error log: this copy has to be restored from a full backup",
            "EMERGENCY" => "find out who set it to EMERGENCY and why; a database in that state cannot be rolled forward",
            "OFFLINE" => "find out who took it offline and why, before bringing it back",
            _ => "look at the SQL Server's error log",
        };
        Self::NotRestoring { server: server.to_owned(), database: database.to_owned(), state: state.to_owned(), act }
    }

    /// What the server or the connection said, where that is what failed.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Server { failure, .. } | Self::Refused { failure, .. } | Self::SomebodyElse { failure: Some(failure), .. } => {
                Some(failure)
            }
            _ => None,
        }
    }

    /// True if a RESTORE was sent and nobody here can tell whether it took effect.
    pub fn in_doubt(&self) -> bool {
        self.failure().is_some_and(Failure::in_doubt)
    }

    /// How many log backups this call applied before it failed.
    pub fn applied(&self) -> usize {
        self.world().map_or(0, |world| world.applied)
    }

    fn world(&self) -> Option<&World> {
        match self {
            Self::Server { world, .. }
            | Self::Gap { world, .. }
            | Self::Fork { world, .. }
            | Self::Unreadable { world, .. }
            | Self::SomebodyElse { world, .. }
            | Self::NotAdvanced { world, .. }
            | Self::Refused { world, .. }
            | Self::Stopped { world } => Some(world),
            _ => None,
        }
    }

    /// What failed, without how things stand and without what the server's messages say: for a report that tells both apart.
    pub fn title(&self) -> String {
        let of = |failure: &Failure| failure.title().unwrap_or_else(|| failure.to_string());
        match self {
            Self::Server { doing, failure, .. } => format!("{doing} failed: {}", of(failure)),
            Self::Gap { gap, .. } => format!("the log chain has a gap: {gap}{}", causes(gap)),
            Self::Fork { branch, .. } => format!("newer log backups belong to another recovery fork: {}", describe(branch)),
            Self::Unreadable { file, trouble, .. } => format!("`{file}` may hold newer log than all others, and {trouble}"),
            Self::SomebodyElse { sign, world, .. } => {
                format!("somebody else is restoring `{}` on `{}`: {sign}", world.database, world.server)
            }
            Self::NotAdvanced { file, redo, expected, .. } => {
                format!("the server accepted `{file}`, but its redo point is {redo}, short of LSN {expected}")
            }
            Self::Refused { file, failure, .. } => format!("RESTORE LOG from `{file}` failed: {}", of(failure)),
            Self::Stopped { .. } => "stopped on request".to_owned(),
            Self::NoDatabase { .. } | Self::AlreadyRecovered { .. } | Self::NotRestoring { .. } | Self::UnclearRedo { .. } => {
                self.to_string()
            }
        }
    }

    /// How things stand, where the message does not say it in the same breath.
    pub fn state(&self) -> Option<String> {
        let world = self.world()?;
        match self.failure() {
            Some(failure) => Some(doubt(failure, world)),
            None => Some(world.to_string()),
        }
    }

    /// The part of the work that was done all the same.
    pub fn partly(&self) -> Option<String> {
        let world = self.world().filter(|world| world.applied > 0)?;
        Some(format!("{} of {} were applied", world.applied, world.of))
    }
}

fn doubt(failure: &Failure, world: &World) -> String {
    if failure.in_doubt() {
        format!("whether that log backup was applied cannot be told from here; before it, {world}")
    } else {
        world.to_string()
    }
}

fn causes(gap: &Gap) -> String {
    if gap.causes.is_empty() { String::new() } else { format!(" (in the folder, but of no use: {})", gap.causes.join("; ")) }
}

fn describe(branch: &Branch) -> String {
    let mut text = match branch.sets.as_slice() {
        [one] => format!("`{one}`"),
        [first, .., last] => format!("{} sets from `{first}` to `{last}`", branch.sets.len()),
        [] => "none".to_owned(),
    };
    if let Some(at) = branch.at {
        text.push_str(&format!(", which leave this history at LSN {at}"));
    }
    if let Some(since) = branch.since {
        text.push_str(&format!(", written from {} on (time of the server that wrote them)", super::chain::clock(since)));
    }
    text
}
