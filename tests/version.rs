//! Which build says what it is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stdout, reason = "a build script tells cargo so")]

#[path = "../build/commit.rs"]
mod commit;

use std::process::Command;

fn version(argument: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover")).arg(argument).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_names_the_commit_and_its_long_form_the_build() {
    let short = version("-V");
    let built = short.trim_end().strip_prefix(concat!("cutover ", env!("CARGO_PKG_VERSION"), " (")).and_then(|rest| rest.strip_suffix(')'));
    let built = built.unwrap_or_else(|| panic!("{short}"));
    if built != "commit unknown" {
        let (commit, day) = built.trim_end_matches(", changed").split_once(' ').unwrap();
        assert!(commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{built}");
        assert!(day.len() == 10 && day.chars().all(|c| c.is_ascii_digit() || c == '-'), "{built}");
    }
    let long = version("--version");
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines[0], short.trim_end());
    let heads: Vec<&str> = lines[1..].iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(heads, ["target", "profile", "features", "compiler"]);
    assert!(lines[4].starts_with("compiler: rustc 1."), "{long}");
    assert_eq!(lines[2], if cfg!(debug_assertions) { "profile: debug" } else { "profile: release" });
    assert_eq!(lines[3].contains("lab"), cfg!(feature = "lab"));
}

#[test]
fn the_day_of_a_moment_is_that_of_the_calendar() {
    for (seconds, day) in [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (951_782_399, "2000-02-28"),
        (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (1_772_323_199, "2026-02-28"),
        (1_772_323_200, "2026-03-01"),
        (4_107_542_400, "2100-03-01"),
        (1_795_564_800, "2026-11-25"),
    ] {
        assert_eq!(commit::day(seconds), day, "{seconds}");
    }
}

#[test]
fn what_git_says_is_told_and_a_package_without_it_says_so() {
    // this test runs where the package lies, so that is what it finds
    let found = commit::of();
    assert!(found == "commit unknown" || found.contains("20"), "{found}");
}
