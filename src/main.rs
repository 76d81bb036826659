//! Hands the command line to `cli` and exits as it says.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cutover::script::seed();
    ExitCode::from(cutover::cli::main(std::env::args_os()))
}
