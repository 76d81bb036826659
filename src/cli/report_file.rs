//! The report of a run as a file: where it goes is looked at before the run begins, what it says is read from the record
//! afterwards. It replaces an earlier file of its name whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::execute::Asked;
use super::{CliError, Format, beside};
use crate::journal;
use crate::report::account::Account;
use crate::report::{self, Loudness, Style, html, markdown, shell_word};

/// In what form a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Markdown,
}

impl Kind {
    pub(super) fn render(self, account: &Account) -> String {
        match self {
            Self::Html => html::render(account),
            Self::Markdown => markdown::render(account),
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Html => "--html",
            Self::Markdown => "--markdown",
        }
    }
}

/// Where the report of a run goes.
#[derive(Clone, Debug)]
pub(super) struct ReportFile {
    path: PathBuf,
    kind: Kind,
}

impl ReportFile {
    /// Of `--report FILE`: the end of its name says which kind.
    ///
    /// # Errors
    /// It says none, or no file can be made there.
    pub(super) fn of(path: &Path) -> Result<Self, CliError> {
        let end = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        let kind = match end.as_deref() {
            Some("html" | "htm") => Kind::Html,
            Some("md" | "markdown") => Kind::Markdown,
            _ => return Err(CliError::ReportKind { path: path.to_owned() }),
        };
        // absolute, so that what is said of it can be copied into another window
        let file = Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), kind };
        let unwritable = |source| CliError::ReportUnwritable { path: file.path.clone(), source };
        if file.path.is_dir() {
            return Err(unwritable(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        tempfile::tempfile_in(beside::folder(&file.path)).map_err(unwritable)?;
        Ok(file)
    }

    /// Writes it at the end of a run. That it cannot be written is told, and changes nothing of how the run ended.
    pub(super) fn write_at_end(&self, folder: &Path, asked: &Asked, style: &Style) {
        let written = account(folder).and_then(|mut account| {
            if asked.passing {
                account.folder = None;
            }
            write(&self.path, &self.kind.render(&account))
        });
        match written {
            Ok(()) if asked.format == Format::Human && asked.loudness > Loudness::Quiet => {
                report::talk(&style.wrapped(&format!("report: {}", self.path.display())));
            }
            Ok(()) => {}
            Err(error) => {
                report::error(&error, style);
                if !asked.passing {
                    let (folder, path) = (shell_word(&folder.display().to_string()), shell_word(&self.path.display().to_string()));
                    report::talk(&format!(
                        "the run ended as told above; to write its report later:\ncutover runs report {folder} {} {path}",
                        self.kind.option()
                    ));
                }
            }
        }
    }
}

/// The account of the run in a folder, with times as this machine tells them.
pub(super) fn account(folder: &Path) -> Result<Account, CliError> {
    let empty = || CliError::ReportEmpty { folder: folder.to_owned() };
    let read = journal::read(folder).map_err(|_| empty())?;
    Account::of(folder, &read, &TimeZone::system()).ok_or_else(empty)
}

/// Writes a file whole: beside its place first, so that a full disk leaves the earlier one as it was. What is no ordinary
/// file, such as a pipe, is written to.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let unwritable = |source| CliError::ReportUnwritable { path: path.to_owned(), source };
    // a link stays, and the file that it names is replaced
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if place.metadata().is_ok_and(|there| !there.is_file()) {
        return std::fs::write(&place, text).map_err(unwritable);
    }
    beside::written(&place, text).and_then(|file| file.persist(&place).map_err(|error| error.error)).map(drop).map_err(unwritable)
}
