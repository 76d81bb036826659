//! Whether a backup set may be restored: the rules about states, chains, forks and files ("RESTORE Statements", "Apply
//! Transaction Log Backups"). Asks only; nothing is changed here.

use crate::lab::instance::{Database, DatabaseState, Instance, OsError, State, same};
use crate::lab::media::{DataFile, Header, Kind};
use crate::lab::messages::{self, Raised};
use crate::lab::statements::Failure;

/// Nobody else may be inside, restore it or back it up.
pub fn exclusive(state: &State, database: &Database, session: u16) -> Result<(), Raised> {
    let held = database.busy.is_some() || database.backing_up.is_some();
    if held || !state.users_of(&database.name, session).is_empty() { Err(messages::in_use()) } else { Ok(()) }
}

/// True if further sets can be applied.
pub fn rolls_forward(database: &Database) -> bool {
    database.state == DatabaseState::Restoring || (database.state == DatabaseState::Online && database.in_standby)
}

/// What would come of a log backup: applied, or which error.
pub fn judge(database: &Database, set: &Header) -> Result<(), Raised> {
    if !rolls_forward(database) {
        return Err(messages::nothing_to_roll_forward());
    }
    if set.family != database.family {
        return Err(messages::other_database(&database.name));
    }
    undisturbed(database, set)?;
    let empty_here = set.first_lsn == set.last_lsn && set.last_lsn == database.redo;
    if set.last_lsn <= database.redo && !empty_here {
        return Err(messages::too_early(set.last_lsn, database.redo));
    }
    if !on_path(database, set) {
        return Err(messages::other_fork());
    }
    if set.first_lsn > database.redo {
        let gap = if set.begins_chain { messages::chain_gap() } else { messages::too_recent(set.first_lsn, database.redo) };
        return Err(gap);
    }
    Ok(())
}

/// True if the database has come the way by which the set's log was written: it stands on the fork on which the set begins,
/// or on the one it ends on, on that side of the point where the one became the other.
fn on_path(database: &Database, set: &Header) -> bool {
    let before = database.fork == set.first_fork && set.fork_point.is_none_or(|point| database.redo <= point);
    let after = database.fork == set.last_fork && set.fork_point.is_some_and(|point| database.redo >= point);
    before || after
}

/// After a restore that was cut short only its own set may come.
fn undisturbed(database: &Database, set: &Header) -> Result<(), Raised> {
    match &database.half {
        Some(half) if half.set != set.set => Err(messages::interrupted(&half.file)),
        _ => Ok(()),
    }
}

/// The same for a differential backup, which builds upon one full backup.
pub fn judge_differential(database: &Database, set: &Header) -> Result<(), Raised> {
    if !rolls_forward(database) {
        return Err(messages::nothing_to_roll_forward());
    }
    if set.family != database.family {
        return Err(messages::other_database(&database.name));
    }
    undisturbed(database, set)?;
    if set.database_backup_lsn != database.database_backup {
        return Err(messages::other_base());
    }
    if set.last_lsn <= database.redo {
        return Err(messages::beyond_set());
    }
    Ok(())
}

/// Whether a full backup may be restored over what is there. REPLACE lifts the checks that protect another database, and the
/// end of this one's log.
pub fn overwritable(state: &State, name: &str, set: &Header, replace: bool, session: u16) -> Result<(), Raised> {
    let Some(database) = state.database(name) else { return Ok(()) };
    exclusive(state, database, session)?;
    if replace {
        return Ok(());
    }
    if set.family != database.family {
        return Err(messages::other_database(&database.name));
    }
    if !same(&set.database, &database.name) {
        return Err(messages::wrong_name(&set.database));
    }
    let open = matches!(database.state, DatabaseState::Online | DatabaseState::Offline) && !database.in_standby;
    if open && database.log_backup.is_some() {
        return Err(messages::tail_not_backed_up(&database.name));
    }
    Ok(())
}

/// Whether the set is from a server that this one can read, and may be opened for reading between restores.
pub fn readable(instance: &Instance, set: &Header, standby: bool) -> Result<(), Raised> {
    let (major, minor, build) = instance.version;
    let here = (i32::from(major), i32::from(minor));
    let there = (set.version.0, set.version.1);
    if there > here {
        let (major_there, minor_there, build_there) = set.version;
        let there = format!("{major_there:02}.{minor_there:02}.{build_there:04}");
        return Err(messages::newer_backup(&there, &format!("{major:02}.{minor:02}.{build:04}")));
    }
    if standby && there < here { Err(messages::upgrade_due()) } else { Ok(()) }
}

/// Where the files of a full backup go: where they were, unless MOVE says otherwise. Errors come file by file, then 3119.
pub fn placed(instance: &Instance, state: &State, name: &str, set: &Header, moves: &[(String, String)]) -> Result<Vec<DataFile>, Failure> {
    if let Some((from, _)) = moves.iter().find(|(from, _)| !set.files.iter().any(|file| same(from, &file.logical))) {
        return Err(messages::no_such_member(from, &set.database).into());
    }
    let mut files = set.files.clone();
    let mut problems = Vec::new();
    for file in &mut files {
        if let Some((_, to)) = moves.iter().find(|(from, _)| same(from, &file.logical)) {
            file.physical.clone_from(to);
        }
        let problem = match instance.paths.resolve(&file.physical) {
            Err(cause) => Some(messages::no_directory(&file.physical, cause)),
            Ok(path) if path.parent().is_none_or(|folder| !folder.is_dir()) => {
                Some(messages::no_directory(&file.physical, OsError::NO_PATH))
            }
            Ok(_) => owner(state, name, &file.physical).map(|owner| messages::file_in_use(&file.physical, owner)),
        };
        if let Some(problem) = problem {
            problems.extend([*problem, *messages::cannot_place(&file.logical, &file.physical)]);
        }
    }
    if problems.is_empty() {
        return Ok(files);
    }
    problems.push(*messages::not_planned());
    Err(Failure(problems))
}

/// The other database to which a file belongs.
fn owner<'s>(state: &'s State, name: &str, physical: &str) -> Option<&'s str> {
    let others = state.databases.iter().filter(|database| !same(&database.name, name));
    let mut owners = others.filter(|database| database.files.iter().any(|file| same(&file.physical, physical)));
    owners.next().map(|database| database.name.as_str())
}

/// What messages call the data file of a set.
pub fn data_file(set: &Header, name: &str) -> String {
    set.files.iter().find(|file| file.kind == 'D').map_or_else(|| format!("{name}_data"), |file| file.logical.clone())
}

/// How much log a set holds, with 1 for what a quarter of an hour usually brings: redo takes its time by it, not by the size
/// of the file.
pub fn weight(set: &Header) -> f64 {
    if set.kind == Kind::Database {
        return 4.0;
    }
    let block = |lsn: u128| (lsn / 100_000) % 10_000_000_000;
    let sequence = |lsn: u128| lsn / 1_000_000_000_000_000;
    let (first, last) = (set.first_lsn.0, set.last_lsn.0);
    let blocks = if sequence(first) == sequence(last) { block(last).saturating_sub(block(first)) } else { block(last) };
    (blocks as f64 / 2_000.0).clamp(0.1, 10.0)
}
