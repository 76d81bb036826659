//! Backup files as the tool sees them: what their names say, what lies in a folder, and copying what is not there yet.
//!
//! Called by the primitives `backups` and `copy_backups` (names also by whoever shows or orders log backups); everything
//! here blocks, so async callers go through `spawn_blocking`. It knows nothing of SQL Server: what a file *holds* is for
//! the server to say, and what it may see differs from what we may see.

mod copy;
mod error;
mod listing;
mod name;
mod outcome;
mod plan;
#[cfg(test)]
mod tests;
mod transfer;

pub use copy::{CopyOptions, CopyProgress, DEFAULT_WORKERS, copy};
pub use error::{BackupsError, NotCopied, Why};
pub use listing::{File, Listing, list};
pub use name::{LogName, file_name, is_part, is_work, matches};
pub use outcome::{Copied, CopiedFile, Difference, RefusedFile, Skipped, SkippedFile};
