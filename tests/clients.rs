//! The lab judged by clients that are not ours: each script of `tests/clients/` talks to a lab of its own, and what it printed
//! is compared whole with the transcript beside it.
//!
//! `.ci/run` installs the clients. Elsewhere a test whose client is missing says so and is skipped, unless
//! `CUTOVER_CLIENTS=required`.
#![cfg(all(target_os = "linux", feature = "lab"))]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{World, repository};

/// The copy job has run, so that nothing depends on how fast the client is. Times are the lab's own.
const SCENE: &str = "now = \"2026-03-04T05:06:00Z\"\nbytes = 3000\nlogs = 8\napplied = 3\ncopied = 2\ncopy-job-seconds = 0.0\n";
/// Two sessions read mgc between restores, so that there is somebody to KILL.
const READERS: &str = "standby = true\nreaders = 2\n";

const CLIENTS: [&str; 4] = ["with_mssql_python", "with_pymssql", "with_pytds", "with_tsql"];

/// The Python of the environment that the clients are installed in (`tests/clients/requirements.txt`); tsql needs none of them.
fn python(client: &str) -> PathBuf {
    let python = std::env::var_os("CUTOVER_CLIENTS_PYTHON").map_or(repository("target/clients/bin/python"), PathBuf::from);
    if client == "with_tsql" && !python.exists() { "python3".into() } else { python }
}

/// Whether a client can be started; it must be there if the environment says so.
fn there(client: &str) -> bool {
    let runs = |command: &mut Command| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let (module, tsql) = match client {
        "with_tsql" => ("tomllib", true),
        _ => (client.trim_start_matches("with_"), false),
    };
    let found =
        runs(Command::new(python(client)).args(["-c", &format!("import {module}")])) && (!tsql || runs(Command::new("tsql").arg("-C")));
    let required = std::env::var("CUTOVER_CLIENTS").is_ok_and(|value| value == "required");
    assert!(found || !required, "{client}: the client is not installed; .ci/run shows how");
    if !found {
        // not through the test's captured output: a skipped test is to be seen
        let _ = writeln!(std::io::stderr(), "skipped: {client} is not installed; .ci/run shows how");
    }
    found
}

/// Starts a lab, lets a client play a part of its script there, and compares what it printed with the transcript of this name.
fn plays(client: &str, part: &str, name: &str, scenario: &str) {
    if !there(client) {
        return;
    }
    let world = World::new();
    let scene = world.write("scene.toml", &format!("{SCENE}{scenario}"));
    let lab = world.lab(&format!("--seed 1 --pace 0 --scenario {}", scene.display()));
    let script = repository("tests/clients").join(format!("{client}.py"));
    // a client that waits for ever is a failure, too
    let done = Command::new("timeout")
        .arg("300")
        .arg(python(client))
        .arg("-B")
        .arg(script)
        .arg(lab.site())
        .arg(part)
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (printed, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{client} {part} ended with {}\n{printed}\n{said}", done.status);
    lab.stop();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("clients");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{client}-{name}"), masked(&printed)));
}

/// What differs from run to run, and from machine to machine, replaced. This is the only place where anything is.
///
/// `HOST`: the client's name of this machine. `TIME`: the last batch of a session, seconds after the lab opened.
/// `N seconds (N MB/sec)`: how long a BACKUP or RESTORE took.
fn masked(text: &str) -> String {
    let host = whoami::hostname().unwrap_or_default();
    let lines = text.lines().map(|line| {
        let line = line.replace(&format!("| {host} |"), "| HOST |").replace(&format!("\t{host}\t"), "\tHOST\t");
        let line = after(&line, "03/04 05:", "TIME", |c| c.is_ascii_digit() || c == ':');
        after(&after(&line, " pages in ", "N", |c| c.is_ascii_digit() || c == '.'), " seconds (", "N", |c| c.is_ascii_digit() || c == '.')
    });
    lines.map(|line| line + "\n").collect()
}

/// Replaces what follows each `mark` as far as it is `part` of a value.
fn after(line: &str, mark: &str, with: &str, part: impl Fn(char) -> bool) -> String {
    let mut pieces = line.split(mark);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out += mark;
        out += with;
        out += piece.trim_start_matches(&part);
    }
    out
}

#[test]
fn microsofts_odbc_driver_talks() {
    plays("with_mssql_python", "talk", "talk", "");
}

#[test]
fn microsofts_odbc_driver_fails_over() {
    plays("with_mssql_python", "failover", "failover", READERS);
}

#[test]
fn freetds_talks() {
    plays("with_pymssql", "talk", "talk", "");
}

#[test]
fn freetds_fails_over() {
    plays("with_pymssql", "failover", "failover", READERS);
}

#[test]
fn python_tds_talks() {
    plays("with_pytds", "talk", "talk", "");
}

#[test]
fn python_tds_fails_over() {
    plays("with_pytds", "failover", "failover", "");
}

#[test]
fn tsql_talks() {
    plays("with_tsql", "talk", "talk", "");
}

#[test]
fn tsql_fails_over() {
    plays("with_tsql", "failover", "failover", "");
}

/// The server side's encryption is not what it is in every other lab.
fn offers(what: &str) -> String {
    format!("[[fault]]\nkind = \"tls\"\noffers = \"{what}\"\n")
}

#[test]
fn clients_meet_a_server_that_encrypts_the_login_only() {
    for client in CLIENTS {
        plays(client, "encryption", "login-only", &offers("login-only"));
    }
}

#[test]
fn clients_meet_a_server_without_encryption() {
    for client in CLIENTS {
        plays(client, "encryption", "clear", &offers("none"));
    }
}

#[test]
fn clients_meet_a_server_of_2008_r2() {
    for client in CLIENTS {
        plays(client, "version", "2008-r2", "version = \"2008R2\"\n");
    }
}
