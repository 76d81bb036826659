//! Runs the built program as a person would: commands, files, exit codes.
#![expect(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../../src/cases.rs"]
pub mod cases;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cutover::lab::{Lab, LabOptions, Scenario};
use cutover::sqlserver::{Password, Security, Servers, Target};
use serde_json::Value;

pub const CUTOVER: &str = env!("CARGO_BIN_EXE_cutover");

/// Held while a process is started: one that is started while another thread opens a terminal would inherit it, and keep it
/// open when it is to be closed.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts a process while no other is started.
pub fn start<T>(starting: impl FnOnce() -> T) -> T {
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    starting()
}

/// A folder that goes away with the test.
pub struct World {
    dir: tempfile::TempDir,
}

/// What a command left behind.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self::of(&output)
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        // drawn text is broken over lines and framed: compare the words
        assert!(squeezed(&self.stderr).contains(&squeezed(text)), "not said: {text}\nstderr:\n{}", self.stderr);
        self
    }

    /// What `note` and `warn` said, in order.
    pub fn notes(&self) -> Vec<String> {
        of(&self.events(), "note").iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The events of `--format json`.
    pub fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

/// The events of one kind.
pub fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[track_caller]
pub fn assert_lines(found: &[String], expected: &[&str]) {
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "line {n}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

/// Words only: line breaks, frames and runs of blanks are one blank.
pub fn squeezed(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || "│╭╰─├┬▶·╮╯".contains(c)).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

impl World {
    pub fn new() -> Self {
        // everywhere as long, so that what is drawn breaks at the same words
        let parent = if cfg!(unix) { PathBuf::from("/tmp") } else { std::env::temp_dir() };
        Self { dir: tempfile::tempdir_in(parent).unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program without a terminal; arguments are split at blanks, `@` stands for the world's folder.
    pub fn cutover(&self, arguments: &str) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ended::of(&start(|| command.spawn()).unwrap().wait_with_output().unwrap())
    }

    /// Arguments split at blanks; `@` stands for the world's folder.
    pub fn arguments(&self, arguments: &str) -> Vec<String> {
        let dir = self.dir.path().to_str().unwrap();
        arguments.split_whitespace().map(|argument| argument.replace('@', dir)).collect()
    }

    /// As [`World::cutover`], killed by itself at a line of its record: `before:N`, `torn:N`, `after:N`.
    pub fn dies(&self, arguments: &str, at: &str) -> Ended {
        Ended::of(&self.command(arguments).env("CUTOVER_DIE", at).stdin(Stdio::null()).output().unwrap())
    }

    /// The one run folder in a folder of runs.
    #[track_caller]
    pub fn run_folder(&self, runs: &str) -> PathBuf {
        let entries = std::fs::read_dir(self.path(runs)).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(CUTOVER);
        command
            .args(self.arguments(arguments))
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("NO_COLOR", "1")
            .env_remove("CUTOVER_LOG");
        command
    }

    /// Starts a lab in `@/lab` and waits until it serves.
    pub fn lab(&self, arguments: &str) -> Serving {
        let mut command = self.command(&format!("lab --keep @/lab {arguments}"));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = start(|| command.spawn()).unwrap();
        let site = self.path("lab/site.toml");
        let began = Instant::now();
        while !site.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the lab ended: {}", said(&mut child));
            assert!(began.elapsed() < Duration::from_secs(60), "the lab does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        Serving { child, folder: self.path("lab") }
    }

    /// Runs a runbook of the test's own, unattended, in a lab of its own that is kept in `@/kept`.
    pub fn rehearse(&self, runbook: &str) -> Ended {
        self.rehearse_with(runbook, "--yes")
    }

    pub fn rehearse_with(&self, runbook: &str, arguments: &str) -> Ended {
        self.write("book.rhai", runbook);
        self.cutover(&format!("rehearse @/book.rhai --keep @/kept --pace 0 --format json {arguments}"))
    }

    /// The texts that reached a server, without what every connection and every unattended run begins with.
    pub fn sent(&self) -> Vec<String> {
        let lines = self.lines("kept/wire.jsonl");
        let texts = lines.iter().filter(|line| line["kind"] == "batch" || line["kind"] == "rpc").map(|line| line["text"].as_str().unwrap());
        texts.filter(|text| !is_housekeeping(text)).map(str::to_owned).collect()
    }

    /// A JSON file of the world.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// A file of one JSON object a line.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        std::fs::read_to_string(self.path(name)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn said(child: &mut Child) -> String {
    let Some(err) = child.stderr.take() else { return String::new() };
    BufReader::new(err).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
}

/// A lab that serves; ended with [`Serving::stop`].
pub struct Serving {
    child: Child,
    folder: PathBuf,
}

impl Serving {
    pub fn site(&self) -> PathBuf {
        self.folder.join("site.toml")
    }

    /// Rewrites the site file.
    pub fn edit_site(&self, edit: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.site()).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "the edit changed nothing");
        std::fs::write(self.site(), edited).unwrap();
    }

    /// SIGTERM, and waits for the end state.
    pub fn stop(mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the lab ended with {status}: {}", said(&mut self.child));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // a test that failed must not leave a lab behind
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections of the library's own to what a site file names; `program` is theirs.
pub fn servers(site: &Path, program: &str) -> Servers {
    Servers::new(targets(site, program))
}

fn targets(site: &Path, program: &str) -> Vec<Target> {
    let dir = site.parent().unwrap();
    let text: toml::Table = std::fs::read_to_string(site).unwrap().parse().unwrap();
    let target = |(key, server): (&String, &toml::Value)| {
        let port = u16::try_from(server["port"].as_integer().unwrap()).unwrap();
        let password = std::fs::read_to_string(dir.join(server["auth"]["password"]["file"].as_str().unwrap())).unwrap();
        let user = server["auth"]["user"].as_str().unwrap();
        let mut target = Target::new(key, server["server"].as_str().unwrap(), port, user, Password::known(password));
        target.security = Security::Verify { ca: Some(dir.join(server["ca"].as_str().unwrap())) };
        target.program = program.to_owned();
        target
    };
    text["sql"].as_table().unwrap().iter().map(target).collect()
}

/// A lab inside the test, for what no program has to run for.
pub struct Site {
    dir: tempfile::TempDir,
    lab: Lab,
}

impl Site {
    /// A small lab at pace 0; `scenario` is TOML.
    pub async fn start(scenario: &str) -> Self {
        Self::paced(scenario, 0.0).await
    }

    pub async fn paced(scenario: &str, pace: f64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LabOptions {
            scenario: Scenario::parse("test", &format!("bytes = 3000\n{scenario}")).unwrap(),
            seed: 7,
            pace,
            dir: dir.path().join("lab"),
            listen: std::net::Ipv4Addr::LOCALHOST.into(),
            shell_program: CUTOVER.into(),
        };
        Self { lab: Lab::start(options).await.unwrap(), dir }
    }

    pub fn servers(&self, program: &str) -> Servers {
        servers(self.lab.site_file(), program)
    }

    /// One server, by its key.
    pub fn target(&self, key: &str, program: &str) -> Target {
        targets(self.lab.site_file(), program).into_iter().find(|target| target.key == key).unwrap()
    }

    /// The lab's folder.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// Closes the connections and the lab; what `world.json` says.
    pub async fn stop(self, servers: impl IntoIterator<Item = Servers>) -> Value {
        for servers in servers {
            servers.close().await;
        }
        self.lab.stop().await.unwrap().0
    }
}

/// A small file system, gone with the test.
pub struct Small(PathBuf);

impl Small {
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Small {
    /// Makes room.
    pub fn grow(&self, size: &str) {
        let grown = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Copies a folder with all that is in it; returns the copy.
pub fn copy_folder(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
    to.to_owned()
}

/// Waits until something is so, for a minute at most.
#[track_caller]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What every connection, every unattended run and the lock of every run send.
pub fn is_housekeeping(text: &str) -> bool {
    let own = ["SET LANGUAGE", "SELECT APPLOCK_", "DECLARE @result int; EXEC @result = sp_getapplock"];
    own.iter().any(|own| text.starts_with(own)) || text.contains("'Edition'") || text.contains("COALESCE((SELECT name FROM sys.databases")
}

/// The repository's file.
pub fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Every command with those below it: the words that name it, and its long help.
pub fn commands(world: &World) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(words) = open.pop() {
        let help = world.cutover(&format!("{words} --help")).exits(0);
        assert!(help.stderr.is_empty(), "{words}: help that is asked for is data: {}", help.stderr);
        open.extend(below(&help.stdout).into_iter().map(|name| format!("{words} {name}").trim().to_owned()));
        found.push((words, help.stdout));
    }
    found.sort();
    found
}

/// The names under `Commands:`.
fn below(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Called by nobody, so that the expectation above holds also where a test file uses all the rest.
fn spare() {}
