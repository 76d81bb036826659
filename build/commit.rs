//! Which commit the program is built from.

use std::env;
use std::process::Command;

/// `66d7f62 2026-11-27`, `66d7f62 2026-11-27, changed`, or `commit unknown`. The day is the commit's, or that of
/// `SOURCE_DATE_EPOCH` (reproducible-builds.org) if it is set.
///
/// In a build for use the commit is looked at again when `HEAD` moves. In one for work that would compile everything anew after
/// each commit: there it is the commit that the sources were last compiled on.
pub fn of() -> String {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let git = |arguments: &[&str]| first_line(Command::new("git").args(arguments));
    // a package that lies in somebody else's repository has no commit of its own
    let own = git(&["rev-parse", "--show-toplevel"]).and_then(|top| std::fs::canonicalize(top).ok());
    if own.is_none() || own != env::var("CARGO_MANIFEST_DIR").ok().and_then(|here| std::fs::canonicalize(here).ok()) {
        return "commit unknown".to_owned();
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
        for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
            // a working tree of several keeps these elsewhere
            let path = git(&["rev-parse", "--git-path", name]);
            if let Some(path) = path.filter(|path| std::path::Path::new(path).exists()) {
                println!("cargo::rerun-if-changed={path}");
            }
        }
    }
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "commit unknown".to_owned() };
    let day = env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.trim().parse().ok()).map(day);
    let day = day.or_else(|| git(&["show", "--no-patch", "--format=%cs", "HEAD"])).map_or_else(String::new, |day| format!(" {day}"));
    let built = ["status", "--porcelain", "--", "build", "src", "stdlib", "runbooks", "Cargo.toml", "Cargo.lock"];
    let changed = if git(&built).is_some() { ", changed" } else { "" };
    format!("{commit}{day}{changed}")
}

/// The first line that a program prints, if it ends well and prints one.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// The day of a moment given in seconds since 1970, in UTC. Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`.
pub fn day(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}
