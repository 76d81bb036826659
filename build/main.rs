//! What the program says of itself and finds when it is built: which commit it was built from, and the pages of its error
//! codes, from the words where the errors are defined.

#![expect(clippy::print_stdout, reason = "a build script tells cargo so")]

mod codes;
mod commit;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // whatever goes into the program: when none of it changed, neither the commit nor a page needs to be looked at again
    for part in ["build", "src", "stdlib", "runbooks", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={part}");
    }
    fs::write(out.join("codes.rs"), codes::of(Path::new("src"))?)?;
    let variable = |name: &str| env::var(name).unwrap_or_default();
    for (name, value) in [
        ("CUTOVER_COMMIT", commit::of()),
        ("CUTOVER_TARGET", variable("TARGET")),
        ("CUTOVER_PROFILE", variable("PROFILE")),
        ("CUTOVER_FEATURES", features()),
        ("CUTOVER_RUSTC", commit::first_line(std::process::Command::new(variable("RUSTC")).arg("--version")).unwrap_or_default()),
    ] {
        println!("cargo::rustc-env={name}={value}");
    }
    Ok(())
}

fn features() -> String {
    let known = ["lab", "ntlm"].into_iter().filter(|name| env::var_os(format!("CARGO_FEATURE_{}", name.to_uppercase())).is_some());
    let known: Vec<&str> = known.collect();
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}
