//! Parses the command line and exits as `cli` says.

fn main() {}
