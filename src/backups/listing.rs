//! What lies in a folder of backups: names, lengths, times, free space. Called by the primitive `backups` and, for both
//! of its folders, by `copy`. It opens nothing: one look at the folder and one at each entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use faccess::PathExt;

use super::error::BackupsError;
use super::name::{self, LogName};

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The name alone, as the folder has it.
    pub name: String,
    /// What the name says, if it has log shipping's form.
    pub log: Option<LogName>,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was last written, by the file system's clock.
    pub modified: SystemTime,
}

/// What a folder holds that fits a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder as it was asked for.
    pub folder: PathBuf,
    /// Oldest first by the stamp in the name, then by name; names without a stamp come last. Sub-folders and temporary
    /// files of our own are left out; `.wrk` files are shown where the pattern fits them.
    pub files: Vec<File>,
    /// Room that this account may use on the folder's volume, where the file system says so.
    pub free_bytes: Option<u64>,
    /// What the system says when it is asked whether this account may write there; nothing is written.
    pub writable: bool,
}

/// Lists the files of a folder whose names fit `matching` (`*` and `?`, without regard to case).
///
/// # Errors
/// The folder is missing, is no folder, may not be read, or does not answer; or the pattern is a path.
pub fn list(folder: &Path, matching: &str) -> Result<Listing, BackupsError> {
    check_pattern(matching)?;
    let mut files = scan(folder, |n| !name::is_part(n) && name::matches(matching, n))?.files;
    sort(&mut files);
    Ok(Listing { folder: folder.to_owned(), files, free_bytes: fs4::available_space(folder).ok(), writable: folder.writable() })
}

pub(super) fn check_pattern(matching: &str) -> Result<(), BackupsError> {
    if matching.is_empty() || matching.contains(['/', '\\']) {
        return Err(BackupsError::Pattern { matching: matching.to_owned() });
    }
    Ok(())
}

pub(super) fn sort(files: &mut [File]) {
    files.sort_by(|a, b| name::order((&a.log, &a.name), (&b.log, &b.name)));
}

/// A folder as it lies there, unsorted.
pub(super) struct Scan {
    pub files: Vec<File>,
    /// Names that `keep` did not want.
    pub others: Vec<String>,
}

/// Reads a folder; `keep` decides by the name alone, before the entry itself is looked at.
pub(super) fn scan(folder: &Path, keep: impl Fn(&str) -> bool) -> Result<Scan, BackupsError> {
    let failed = |source: io::Error| BackupsError::folder(folder, source);
    // Asked first, because reading a file as a folder fails differently on each system.
    if !fs::metadata(folder).map_err(failed)?.is_dir() {
        return Err(BackupsError::NotAFolder { folder: folder.to_owned() });
    }
    let mut scan = Scan { files: Vec::new(), others: Vec::new() };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            Err(name) => name.to_string_lossy().into_owned(),
        };
        if !keep(&name) {
            scan.others.push(name);
            continue;
        }
        // On Windows this costs nothing (the listing brought it); elsewhere it is one call. It does not follow links.
        let mut metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Pruned between the listing and now: log shipping deletes files while we look.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed(e)),
        };
        if metadata.is_symlink() {
            match fs::metadata(entry.path()) {
                Ok(followed) => metadata = followed,
                Err(_) => continue,
            }
        }
        if metadata.is_file() {
            let modified = metadata.modified().map_err(failed)?;
            scan.files.push(File { log: LogName::parse(&name), name, bytes: metadata.len(), modified });
        }
    }
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_oldest_first_by_the_stamp_in_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["mgc_20260102000000.trn", "MGC_20260101000000.trn", "mgc_free.trn", "mgccomp_20260101120000.trn", "mgc_20260103000000.wrk"]
        {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::write(folder.path().join(".mgc_20260101000000.trn.abc.cutover-part"), "").unwrap();
        fs::create_dir(folder.path().join("folder.trn")).unwrap();
        let listing = list(folder.path(), "*.trn").unwrap();
        let names: Vec<_> = listing.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["MGC_20260101000000.trn", "mgccomp_20260101120000.trn", "mgc_20260102000000.trn", "mgc_free.trn"]);
        assert_eq!(listing.files[0].bytes, 22);
        assert!(listing.free_bytes.is_some());
        let all = list(folder.path(), "*").unwrap();
        assert_eq!(all.files.len(), 5, "the .wrk is shown, our own temporary and the sub-folder are not");
    }

    #[test]
    fn each_way_a_folder_cannot_be_listed_is_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(list(&folder.path().join("gone"), "*"), Err(BackupsError::FolderMissing { .. })));
        assert!(matches!(list(&file, "*"), Err(BackupsError::NotAFolder { .. })));
        assert!(matches!(list(folder.path(), "logs/*.trn"), Err(BackupsError::Pattern { .. })));
        // Windows says of a path below a file that it does not exist.
        let below = list(&file.join("below"), "*");
        assert!(matches!(below, Err(BackupsError::NotAFolder { .. } | BackupsError::FolderMissing { .. })));
        let denied = BackupsError::folder(&file, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(denied, BackupsError::NoPermission { .. }));
        let silent = BackupsError::folder(&file, io::ErrorKind::TimedOut.into());
        assert!(matches!(silent, BackupsError::Unreachable { .. }));
    }
}
