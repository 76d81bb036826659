//! The undo file of a database that is read between restores: a real file on the server's disk, which the next RESTORE needs
//! ("RESTORE Statements - Arguments", STANDBY).

use std::io;
use std::path::PathBuf;

use crate::lab::instance::{Database, Instance, OsError};
use crate::lab::messages::{self, Raised};

/// What the file of a database holds at its redo point.
pub fn content(database: &Database) -> String {
    format!("undo file of the lab\nfamily {}\nredo {}\n", database.family, database.redo)
}

/// Where a new one would lie.
pub fn place(instance: &Instance, name: &str) -> Result<PathBuf, Raised> {
    instance.paths.resolve(name).map_err(|cause| messages::cannot_open(name, cause))
}

/// Writes it for the redo point at which the database stands.
pub fn write(instance: &Instance, database: &Database, name: &str) -> Result<(), Raised> {
    let path = place(instance, name)?;
    std::fs::write(&path, content(database)).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull => messages::cannot_write(name, OsError::FULL),
        _ => messages::cannot_open(name, OsError::DENIED),
    })
}

/// Whether what was undone can be had back. Nothing is asked of a database that is not in standby.
pub fn check(instance: &Instance, database: &Database) -> Result<(), Raised> {
    let Some(name) = database.undo_file.as_ref() else { return Ok(()) };
    let missing = |cause| messages::no_undo_file(&database.name, database.id, name, cause);
    let path = instance.paths.resolve(name).map_err(missing)?;
    let found = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(OsError::NO_FILE),
        io::ErrorKind::InvalidData => messages::bad_undo_file(name, &database.name, database.id),
        _ => missing(OsError::DENIED),
    })?;
    if found == content(database) { Ok(()) } else { Err(messages::bad_undo_file(name, &database.name, database.id)) }
}

/// Takes the file away once it has served.
pub fn remove(instance: &Instance, name: &str) {
    if let Ok(path) = instance.paths.resolve(name)
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::debug!(%error, "the undo file could not be removed");
    }
}
