//! `cutover completions`: a shell's script that completes this command line, made from its description.

use clap::Args;
use clap_complete::Shell;

use super::{CliError, exit};
use crate::report;

#[derive(Args)]
#[command(after_help = "Where each shell looks for it:\n  \
                  bash        cutover completions bash > ~/.local/share/bash-completion/completions/cutover\n  \
                  zsh         cutover completions zsh > \"${fpath[1]}/_cutover\"\n  \
                  fish        cutover completions fish > ~/.config/fish/completions/cutover.fish\n  \
                  powershell  cutover completions powershell >> $PROFILE\n  \
                  elvish      cutover completions elvish >> ~/.config/elvish/rc.elv\n\n\
                  Examples:\n  cutover completions bash\n  cutover completions powershell")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

pub fn main(arguments: &CompletionsArgs) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "cutover", &mut script);
    report::data(String::from_utf8_lossy(&script).trim_end());
    Ok(exit::DONE)
}
