//! `cutover man`: the manual pages, made from the description of the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use super::{CliError, exit};
use crate::report;

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover man | man -l -\n  cutover man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write one page a command into this folder: `cutover.1`, `cutover-run.1`, ...; all of them to standard output unless given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

pub fn main(arguments: &ManArgs) -> Result<u8, CliError> {
    let mut command = super::command();
    // names the commands in full, and passes on what every command takes
    command.build();
    let mut pages = Vec::new();
    collect(&command, "cutover", &mut pages);
    match &arguments.out {
        None => {
            let text: Vec<String> = pages.into_iter().map(|(_, page)| page).collect();
            report::data(text.concat().trim_end());
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|source| CliError::Folder { path: folder.clone(), source })?;
            for (name, page) in pages {
                write(&folder.join(format!("{name}.1")), &page)?;
            }
        }
    }
    Ok(exit::DONE)
}

fn write(path: &Path, page: &str) -> Result<(), CliError> {
    std::fs::write(path, page).map_err(|source| CliError::Unwritable { path: path.to_owned(), source })
}

/// The page of a command, and of those below it, each with its name.
fn collect(command: &Command, name: &str, pages: &mut Vec<(String, String)>) {
    let day = env!("CUTOVER_COMMIT").split(' ').nth(1).map(|day| day.trim_end_matches(',')).unwrap_or_default();
    let man = Man::new(command.clone()).title(name).date(day).source(concat!("cutover ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    // a vector takes everything
    let _ = man.render(&mut page);
    pages.push((name.to_owned(), String::from_utf8_lossy(&page).into_owned()));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        collect(below, &format!("{name}-{}", below.get_name()), pages);
    }
}
