//! One run of a site at a time, as far as one folder of runs reaches: a file that the operating system locks for the process
//! that holds it, and beside it who that is. A process that dies lets go of the lock; what it wrote beside it stays, and
//! tells the next one. Two machines with folders of their own are kept apart by the lock on the SQL Server.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;

/// Who holds a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    pub operator: String,
    pub host: String,
    pub process: u32,
    pub since: jiff::Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { run, operator, host, process, since } = self;
        write!(f, "{operator} on {host} since {since:.0} (process {process}, run {run})")
    }
}

/// A site, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    path: PathBuf,
    holder: PathBuf,
}

/// Where the lock of a site lies in a folder of runs.
fn paths(runs: &Path, site_id: &str) -> (PathBuf, PathBuf) {
    let name = format!(".site-{}", site_id.get(..16).unwrap_or(site_id));
    (runs.join(format!("{name}.lock")), runs.join(format!("{name}.holder.json")))
}

fn holder_of(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// True if the open file is the one that has this name now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: std::io::Result<std::fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    id(file.metadata()) == id(std::fs::metadata(path))
}

/// A file that is open keeps its name.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Lock {
    /// Takes a site; also returns who held it and died with it.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another process holds it, and what writing files brings.
    pub fn take(runs: &Path, site_id: &str, holder: &Holder) -> Result<(Self, Option<Holder>), JournalError> {
        let (path, beside) = paths(runs, site_id);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Write { path, source }
        };
        std::fs::create_dir_all(runs).map_err(|source| JournalError::Folder { path: runs.to_owned(), source })?;
        let file = loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
            match file.try_lock() {
                // whoever held it before may have taken the name away meanwhile: what we hold then is nobody's
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(JournalError::Held { holder: holder_of(&beside).map(Box::new), path }),
                Err(TryLockError::Error(error)) => {
                    // some file servers know no locks: the lock on the SQL Server is left
                    tracing::warn!(%error, path = %path.display(), "the folder of runs does not lock files");
                    break file;
                }
            }
        };
        let died = holder_of(&beside);
        let lock = Self { _file: file, path, holder: beside };
        lock.note(holder)?;
        Ok((lock, died))
    }

    /// Says for whom it is held.
    ///
    /// # Errors
    /// The note beside the lock cannot be written.
    pub fn note(&self, holder: &Holder) -> Result<(), JournalError> {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        std::fs::write(&self.holder, text).map_err(|source| JournalError::Write { path: self.holder.clone(), source })
    }

    /// Who holds a site now; none if nobody does.
    pub fn holder(runs: &Path, site_id: &str) -> Option<Holder> {
        let (path, beside) = paths(runs, site_id);
        let file = OpenOptions::new().write(true).open(path).ok()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => holder_of(&beside),
            _ => None,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // taken away while it is still held; the lock itself goes with the file
        for path in [&self.holder, &self.path] {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(%error, path = %path.display(), "it stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_held_by_one_and_the_next_is_told_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let holder = |run: &str| Holder {
            run: run.to_owned(),
            operator: "anna".to_owned(),
            host: "dr-admin-01".to_owned(),
            process: 42,
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        let (lock, died) = Lock::take(dir.path(), "abc", &holder("one")).unwrap();
        assert_eq!(died, None);
        assert_eq!(Lock::holder(dir.path(), "abc"), Some(holder("one")));
        let Err(JournalError::Held { holder: held, .. }) = Lock::take(dir.path(), "abc", &holder("two")) else { panic!() };
        assert_eq!(held.as_deref(), Some(&holder("one")));
        assert!(Lock::take(dir.path(), "another", &holder("two")).is_ok());
        // a process that dies leaves its note behind, one that ends leaves nothing
        let note = std::fs::read(paths(dir.path(), "abc").1).unwrap();
        drop(lock);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(paths(dir.path(), "abc").1, note).unwrap();
        assert_eq!(Lock::holder(dir.path(), "abc"), None);
        let (_lock, died) = Lock::take(dir.path(), "abc", &holder("three")).unwrap();
        assert_eq!(died, Some(holder("one")));
    }
}
