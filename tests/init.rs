//! `cutover init`: the folder that it makes works by the commands that it prints, and nothing that is there is written over.
#![cfg(feature = "lab")]

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{CUTOVER, Ended, World, cases, start};

/// A command as it was printed, in a folder.
fn in_folder(world: &World, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = std::process::Command::new(CUTOVER);
    command.args(arguments).current_dir(folder).env("XDG_STATE_HOME", world.path("state")).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::from(start(|| command.spawn()).expect("it starts").wait_with_output().expect("it ends"))
}

/// The commands that `init` printed.
fn printed(ended: &Ended) -> Vec<Vec<&str>> {
    let lines = ended.stderr.lines().filter_map(|line| line.strip_prefix("  cutover "));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_new_folder_works_as_printed() {
    let world = World::new();
    // a repository around it, and a name that a shell would break
    std::fs::create_dir(world.path(".git")).expect("a folder");
    let folder = world.path("it's \"our\" site");
    std::fs::create_dir(&folder).expect("a folder");
    let made = in_folder(&world, &folder, &["init"]).exits(0);
    let commands = printed(&made);
    assert_eq!(commands.len(), 5, "{}", made.stderr);
    let mut lab = None;
    for mut command in commands {
        match command[0] {
            "lab" => {
                let mut serving = std::process::Command::new(CUTOVER);
                serving.args(&command).args(["--pace", "0"]).current_dir(&folder).stdin(Stdio::null()).stderr(Stdio::null());
                lab = Some(start(|| serving.spawn()).expect("it starts"));
                common::wait_for("the lab", || folder.join("lab/site.toml").exists());
            }
            "check" => {
                let ended = in_folder(&world, &folder, &command).exits(0);
                assert!(ended.stdout.starts_with("clean"), "{}", ended.stdout);
            }
            _ => {
                if command.contains(&"--all") && cases::cases(10) < 10 {
                    command.extend(["--scenario", "quiet", "--scenario", "missing-log"]);
                }
                if command[0] == "run" {
                    // somebody who says yes to everything
                    command.extend(["--yes", "--approve", "bring-online"]);
                }
                in_folder(&world, &folder, &command).exits(0);
            }
        }
    }
    let mut lab = lab.expect("a lab is among them");
    lab.kill().expect("it ends");
    lab.wait().expect("it ends");
}

#[test]
fn nothing_is_written_over_and_what_is_missing_is_added() {
    let world = World::new();
    world.write("mine/doctor.rhai", "// ours\n");
    let made = world.cutover("init @/mine").exits(0);
    assert!(made.stderr.contains("left    doctor.rhai") && made.stderr.contains("written site.toml"), "{}", made.stderr);
    assert_eq!(std::fs::read_to_string(world.path("mine/doctor.rhai")).expect("it is there"), "// ours\n");
    std::fs::remove_file(world.path("mine/pchat.rhai")).expect("it was written");
    let again = world.cutover("init @/mine").exits(0);
    assert_eq!(again.stderr.lines().filter(|line| line.starts_with("written")).collect::<Vec<_>>(), ["written pchat.rhai"]);
    // where nothing can be written
    world.write("file", "");
    let ended = world.cutover("init @/file").exits(2);
    assert!(ended.stderr.contains("cannot use the folder"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(world.path("file")).expect("it is there"), "");
}

#[test]
fn a_site_file_is_filled_from_the_backup_servers_log_shipping() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let site: toml::Table = std::fs::read_to_string(lab.site()).expect("it is there").parse().expect("TOML");
    let backup = &site["sql"]["backup"];
    let text = |key: &str| backup[key].as_str().expect("text");
    let place = format!("{}@{}:{}", backup["auth"]["user"].as_str().expect("text"), text("server"), backup["port"]);
    let (password, here) = (format!("file:{}", world.path("lab/password").display()), world.path("lab"));
    let init = |folder: &str, more: &[&str]| {
        let arguments = ["init", folder, "--from-server", &place, "--password", &password, "--ca", text("ca")];
        in_folder(&world, &here, &[&arguments[..], more].concat())
    };
    let wrong = init("../other", &["--database", "other"]).exits(2);
    assert!(wrong.stderr.contains("is the secondary of these databases: mgc"), "{}", wrong.stderr);
    assert!(!world.path("other").exists());
    init("../mine", &[]).exits(0);
    let text = std::fs::read_to_string(world.path("mine/site.toml")).expect("it is there");
    let made: toml::Table = text.parse().expect("TOML");
    assert_eq!(made["sql"]["backup"]["port"], backup["port"]);
    assert_eq!(made["sql"]["backup"]["instance_name"].as_str(), Some("RTC"));
    assert_eq!(made["sql"]["primary"]["server"].as_str(), Some("PCHAT-SQL-01"));
    assert_eq!(made["backups"]["share"].as_str(), Some(r"\\dr-fs-01\LogShip"));
    assert_eq!(made["backups"]["copy_to_on_server"].as_str(), Some(r"D:\LogShip"));
    for marked in ["# FILL IN: the Persistent Chat pool", "# FILL IN: D:\\LogShip of the backup server", "# [sql.backup_mirror]"] {
        assert!(text.contains(marked), "{marked}\n{text}");
    }
    assert!(!text.contains(std::fs::read_to_string(world.path("lab/password")).expect("it is there").trim()));
    in_folder(&world, &world.path("mine"), &["check"]).exits(0);
    // the server is not asked for a file that would not be written
    let again = init("../mine", &[]).exits(2);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    lab.stop();
    for line in world.lines("lab/wire.jsonl") {
        let text = line["text"].as_str().unwrap_or_default();
        let reads = cutover::tsql::classify::classify(text).class == cutover::tsql::classify::Class::Reads;
        assert!(text.is_empty() || common::is_housekeeping(text) || reads, "{text}");
    }
}
