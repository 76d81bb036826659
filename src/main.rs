//! Hands the command line to `cli` and exits as it says.

use std::process::ExitCode;

/// Quick at the little things of `check`; `cli` keeps it from taking too much for the threads of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cutover::script::seed();
    ExitCode::from(cutover::cli::main(std::env::args_os()))
}
