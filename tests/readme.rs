//! The README's commands, table and links are what they say they are.

use std::path::Path;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The two commands under "Try it": lines of its `sh` blocks.
fn commands() -> Vec<String> {
    let readme = read("README.md");
    let section = readme.split("\n## ").find(|s| s.starts_with("Try it")).expect("the README has a section \"Try it\"");
    let commands: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    commands
}

#[test]
fn ci_runs_the_two_commands_of_the_readme_as_printed() {
    let ci = read(".ci/run");
    for command in commands() {
        assert!(ci.lines().any(|line| line == command), "`.ci/run` has no line `{command}`");
    }
}

#[test]
fn the_table_of_primitives_is_the_generated_one() {
    let readme = read("README.md");
    let table = cutover::cli::table();
    assert!(readme.contains(&table), "write this into README.md (`cutover docs --table`):\n{table}");
}

#[test]
fn the_reference_is_the_generated_one() {
    assert_eq!(read("docs/reference.md").trim_end(), cutover::cli::reference().trim_end(), "run `cargo run -- docs > docs/reference.md`");
}

#[test]
fn the_document_of_the_rules_is_the_generated_one() {
    let document = cutover::cli::rules_document();
    assert_eq!(read("docs/rules.md").trim_end(), document.trim_end(), "run `cargo run -- docs rules > docs/rules.md`");
}

#[test]
fn the_exit_codes_in_the_readme_and_its_page_are_those_of_the_program() {
    for file in ["README.md", "docs/command-line.md"] {
        let text = read(file);
        for (code, meaning) in cutover::cli::exit::TABLE {
            let row = format!("| {code} | {meaning} |");
            assert!(text.contains(&row), "{file} lacks `{row}`");
        }
    }
}

#[test]
fn the_commands_in_the_readme_are_those_of_the_help() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_cutover")).arg("--help").output().expect("the program starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let rows = list.filter_map(|line| line.trim().split_once(' ')).filter(|(name, _)| *name != "help");
    let rows: String = rows.map(|(name, does)| format!("| `cutover {name}` | {} |\n", does.trim())).collect();
    assert!(
        read("README.md").contains(&format!("| command | what it does |\n|---|---|\n{rows}\n")),
        "README.md has another table than:\n{rows}"
    );
}

#[test]
fn every_file_that_the_readme_links_exists() {
    let readme = read("README.md");
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("http") && !link.starts_with('#'))
    {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "README.md links `{link}`");
    }
}
