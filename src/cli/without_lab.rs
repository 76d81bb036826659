//! What stands for `lab` and `rehearse` in a build without the lab: they say so.

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::Args;

use super::CliError;
use crate::report::Loudness;

/// Whatever the command would have taken.
#[derive(Args)]
pub struct LabArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<OsString>,
}

pub use LabArgs as RehearseArgs;

pub fn main(_: &LabArgs, _: Loudness) -> Result<u8, CliError> {
    Err(CliError::NoLab)
}

pub(super) fn shell(_: SocketAddr) -> Result<u8, CliError> {
    Err(CliError::NoLab)
}
