//! A file that comes to its place whole or not at all: it is written beside it first, so that a full disk leaves what was there.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// The folder of a file; of a bare name the current one.
pub(super) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A text on disk in the folder of its place, under a name of its own until it is persisted. Others may read it, as any new
/// file, unless the user's mask says otherwise.
///
/// # Errors
/// No file can be made there, or the disk is full.
pub(super) fn written(place: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cutover-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder(place))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}
