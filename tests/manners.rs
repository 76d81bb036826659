//! Manners: signals, closed streams, odd files, environment variables, and what the stock runbook asks in odd situations.
//! A terminal itself is not tested here: how questions are drawn and answers understood is tested in `operator`.
#![cfg(feature = "lab")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use common::{CUTOVER, World, repository, squeezed};
use serde_json::Value;

/// A program that runs while the test looks on, told of its events.
struct Going {
    child: Child,
    events: BufReader<ChildStdout>,
    talk: BufReader<ChildStderr>,
    said: String,
}

/// How it ended: exit code, the rest of its events, what it said.
struct Gone {
    code: Option<i32>,
    events: Vec<Value>,
    said: String,
}

impl Going {
    fn start(world: &World, arguments: &str) -> Self {
        let dir = world.path("");
        let mut child = Command::new(CUTOVER)
            .args(arguments.split_whitespace().map(|a| a.replace('@', dir.to_str().unwrap().trim_end_matches('/'))))
            .args(["--format", "json"])
            .current_dir(&dir)
            .env("XDG_STATE_HOME", world.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        let talk = BufReader::new(child.stderr.take().unwrap());
        Self { child, events, talk, said: String::new() }
    }

    /// Reads events until one is the start of an effect whose summary contains this.
    fn until_started(mut self, summary: &str) -> Self {
        loop {
            let mut line = String::new();
            assert!(self.events.read_line(&mut line).unwrap() > 0, "it ended before `{summary}`: {}", self.end().said);
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == "effect_started" && event["summary"].as_str().unwrap().contains(summary) {
                return self;
            }
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it has said this on standard error.
    fn until_said(&mut self, words: &str) {
        while !self.said.contains(words) {
            assert!(self.talk.read_line(&mut self.said).unwrap() > 0, "not said: {words}\n{}", self.said);
        }
    }

    fn end(mut self) -> Gone {
        let mut rest = String::new();
        self.events.read_to_string(&mut rest).unwrap();
        let mut said = std::mem::take(&mut self.said);
        self.talk.read_to_string(&mut said).unwrap();
        let code = self.child.wait().unwrap().code();
        Gone { code, events: rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), said }
    }
}

impl Gone {
    #[track_caller]
    fn exits(self, code: i32, outcome: &str) -> Self {
        let end = self.events.last().unwrap_or_else(|| panic!("no event: {}", self.said));
        assert_eq!(
            (self.code, end["outcome"].as_str(), end["exit"].as_i64()),
            (Some(code), Some(outcome), Some(code.into())),
            "{}",
            self.said
        );
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(squeezed(&self.said).contains(words), "not said: {words}\n{}", self.said);
        self
    }
}

const SLOW_READ: &str = "step(\"look\", || query(\"backup\", \"WAITFOR DELAY '00:00:02'\"));\nstep(\"after\", || note(\"went on\"));";
const SLOW_CHANGE: &str = "sql(\"backup\", \"WAITFOR DELAY '00:01:00'; EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0\");\nnote(\"went on\");";
const WAIT: &str =
    "wait_until(\"the moon\", \"10m\", || query(\"backup\", \"SELECT 1 AS x WHERE 1 = 0\").rows.len() == 1);\nnote(\"went on\");";

#[test]
fn one_signal_lets_the_effect_end_and_stops_before_the_next() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let world = World::new();
        world.write("slow.rhai", SLOW_READ);
        let mut going = Going::start(&world, "rehearse slow.rhai --pace 1 --keep @/kept").until_started("WAITFOR");
        going.signal(signal);
        going.until_said("once more cuts it off");
        let gone = going.end().exits(3, "stopped").says("stopped as asked");
        let finished = gone.events.iter().filter(|e| e["event"] == "effect_finished").count();
        assert_eq!(finished, 1, "{signal}: the read was waited for");
        assert!(!gone.events.iter().any(|e| e["event"] == "note"), "{signal}: nothing was begun after it");
    }
}

#[test]
fn a_wait_ends_at_the_first_signal() {
    let world = World::new();
    world.write("wait.rhai", WAIT);
    let going = Going::start(&world, "rehearse wait.rhai --pace 0 --keep @/kept").until_started("the moon");
    going.signal("-INT");
    going.end().exits(3, "stopped").says("stopped as asked");
}

#[test]
fn a_second_signal_cuts_a_change_off_and_leaves_it_in_doubt() {
    let world = World::new();
    world.write("slow.rhai", SLOW_CHANGE);
    let mut going = Going::start(&world, "rehearse slow.rhai --pace 1 --keep @/kept").until_started("WAITFOR");
    going.signal("-INT");
    going.until_said("once more cuts it off");
    going.signal("-INT");
    let gone = going.end().exits(4, "in_doubt").says("was cut off").says("may or may not be in force");
    assert!(!gone.events.iter().any(|e| e["event"] == "note"));
}

#[test]
fn a_second_signal_ends_a_read_without_doubt() {
    let world = World::new();
    world.write("slow.rhai", "query(\"backup\", \"WAITFOR DELAY '00:01:00'\");");
    let mut going = Going::start(&world, "rehearse slow.rhai --pace 1 --keep @/kept").until_started("WAITFOR");
    going.signal("-INT");
    going.until_said("once more cuts it off");
    going.signal("-INT");
    going.end().exits(3, "stopped");
}

/// Ctrl-C at a terminal goes to the whole process group: the shell must outlive it, and must be gone with the run.
#[test]
#[cfg(target_os = "linux")]
fn the_shell_is_in_a_group_of_its_own_and_is_gone_with_the_run() {
    let world = World::new();
    world.write("ps.rhai", &format!("ps(\"Get-CsPersistentChatState\");\n{WAIT}"));
    let going = Going::start(&world, "rehearse ps.rhai --pace 0 --keep @/kept").until_started("the moon");
    let tool = going.child.id();
    let shell = shells_of(tool);
    assert_eq!(shell.len(), 1, "{shell:?}");
    let group = |pid: u32| -> i64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().parse().unwrap()
    };
    assert_ne!(group(shell[0]), group(tool));
    going.signal("-TERM");
    going.end().exits(3, "stopped");
    assert!(!std::path::Path::new(&format!("/proc/{}", shell[0])).exists(), "the shell is left behind");
}

#[cfg(target_os = "linux")]
fn shells_of(parent: u32) -> Vec<u32> {
    let text = |file: String| std::fs::read_to_string(file).unwrap_or_default();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            text(format!("/proc/{pid}/stat")).rsplit(") ").next().is_some_and(|rest| rest.split(' ').nth(1) == Some(&parent.to_string()))
        })
        .filter(|pid| text(format!("/proc/{pid}/cmdline")).contains("lab-shell"))
        .collect()
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_run_in_the_middle() {
    let world = World::new();
    let Going { mut child, mut events, talk, .. } = Going::start(&world, "rehearse --yes --pace 0 --keep @/kept");
    let mut line = String::new();
    events.read_line(&mut line).unwrap();
    drop((events, talk));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.json("kept/world.json")["pool"]["state"], "FailedOver");
}

#[test]
fn closed_streams_are_no_reason_to_fail() {
    let world = World::new();
    let line = format!("exec {CUTOVER} rehearse --yes --pace 0 --keep kept 2>&- >&- <&-");
    let status = Command::new("sh").args(["-c", &line]).current_dir(world.path("")).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.json("kept/world.json")["pool"]["state"], "FailedOver");
}

#[test]
fn without_arguments_it_shows_its_commands_and_each_command_has_examples() {
    let world = World::new();
    let alone = world.cutover("").exits(2);
    assert!(alone.stdout.is_empty());
    for name in ["run", "rehearse", "lab", "docs"] {
        assert!(alone.stderr.contains(&format!("\n  {name} ")), "{}", alone.stderr);
        let help = world.cutover(&format!("{name} --help")).exits(0);
        assert!(help.stderr.is_empty() && help.stdout.contains("Example"), "{name}: {}", help.stdout);
    }
    assert!(!alone.stderr.contains("lab-shell"), "what only the program calls is not shown");
    world.cutover("rehearse --pace -1").exits(2).says("expected a number from 0 to 1000");
    world.cutover("rehearse --yess").exits(2).says("a similar argument exists: '--yes'");
}

#[test]
fn a_runbook_that_is_none_is_refused_and_nothing_is_begun() {
    let world = World::new();
    world.write("empty.rhai", "");
    world.write("comment.rhai", "// later\n");
    world.write("module.rhai", "fn f() { 1 }\nconst A = 1;\n");
    for name in ["empty.rhai", "comment.rhai", "module.rhai"] {
        world.cutover(&format!("rehearse {name} --yes --pace 0")).exits(2).says(&format!("`{name}` does nothing"));
    }
    std::fs::write(world.path("binary.rhai"), [0x7f, b'E', b'L', b'F', 0xff, 0xfe, 0]).unwrap();
    world.cutover("rehearse binary.rhai --yes --pace 0").exits(2).says("save it as UTF-8");
    std::fs::create_dir(world.path("folder.rhai")).unwrap();
    world.cutover("rehearse folder.rhai --yes --pace 0").exits(2).says("cannot read `folder.rhai`");
}

#[test]
fn a_runbook_from_notepad_runs_and_its_mistakes_are_found_at_the_right_place() {
    let world = World::new();
    let text = |end: &str| format!("\u{feff}step(\"Grüße\", || {{\r\n\tnote(\"Übung läuft\");\r\n\t{end}\r\n}});\r\n");
    world.write("good.rhai", &text("note(\"fertig\");"));
    world.cutover("rehearse good.rhai --yes --pace 0").exits(0).says("Übung läuft").says("fertig");
    world.write("bad.rhai", &text("notee(\"fertig\");"));
    world.cutover("rehearse bad.rhai --yes --pace 0").exits(2).says("bad.rhai:3:2").says("did you mean `note`?");
}

#[test]
fn folders_given_as_relative_paths_are_named_in_full() {
    let world = World::new();
    world.write("one.rhai", "note(\"x\");");
    let kept = world.cutover("rehearse one.rhai --yes --pace 0 --keep kept").exits(0);
    let full = world.path("kept").canonicalize().unwrap();
    assert!(kept.stderr.contains(&format!("record: {}/runs/", full.display())), "{}", kept.stderr);
    // what goes away with a rehearsal is not named as if it stayed
    let gone = world.cutover("rehearse one.rhai --yes --pace 0").exits(0);
    assert!(gone.stderr.trim_end().ends_with("`--keep DIR` keeps them"), "{}", gone.stderr);

    let lab = world.lab("--pace 0");
    let run = world.cutover("run one.rhai --site lab/site.toml --yes --journal runs").exits(0);
    let full = world.path("runs").canonicalize().unwrap();
    assert!(run.stderr.contains(&format!("record: {}/", full.display())), "{}", run.stderr);
    lab.stop();
}

#[test]
fn colour_comes_only_when_it_is_wanted() {
    let world = World::new();
    world.write("one.rhai", "note(\"x\");");
    let escapes = |set: &[(&str, &str)]| {
        let mut command = Command::new(CUTOVER);
        command.args(["rehearse", "one.rhai", "--yes", "--pace", "0"]).current_dir(world.path("")).stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        let output = command.envs(set.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        output.stderr.contains(&0x1b)
    };
    assert!(!escapes(&[]), "not off a terminal");
    assert!(escapes(&[("CLICOLOR_FORCE", "1")]));
    assert!(!escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

/// The stock runbook and its modules in a folder of their own, with one word changed somewhere.
fn edited(world: &World, module: &str, from: &str, to: &str) -> String {
    let stock = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    world.write("mine/failover.rhai", &stock);
    let file = if module == "failover" { repository("runbooks/pchat-failover.rhai") } else { repository(&format!("stdlib/{module}.rhai")) };
    let text = std::fs::read_to_string(file).unwrap();
    let changed = text.replace(from, to);
    assert_ne!(text, changed);
    world.write(&format!("mine/{module}.rhai"), &changed);
    "mine/failover.rhai".to_owned()
}

#[test]
fn a_backup_server_newer_than_the_primary_asks_for_a_word_of_its_own() {
    let world = World::new();
    world.write("older.toml", "primary-version = [11, 0, 3000]\n");
    let run = world.cutover("rehearse --yes --pace 0 --scenario older.toml --format json").exits(0);
    let questions: Vec<Value> = run.events().into_iter().filter(|e| e["event"] == "question").collect();
    let asked = |id: &str| questions.iter().position(|q| q["id"] == id);
    let upgrade = asked("upgrade").expect("it is asked");
    assert_eq!((&questions[upgrade]["typed"], &questions[upgrade]["irreversible"]), (&"upgrade mgc".into(), &true.into()));
    assert!(upgrade < asked("bring-online").unwrap());
    // of the same version, nothing is asked
    let run = world.cutover("rehearse --yes --pace 0 --format json").exits(0);
    assert!(!run.events().iter().any(|e| e["id"] == "upgrade"));
}

#[test]
fn log_shipping_may_be_removed_after_mgc_is_online() {
    let world = World::new();
    let runbook = edited(&world, "failover", r#"id: "remove", "default": "now""#, r#"id: "remove", "default": "after step 4""#);
    let run = world.cutover(&format!("rehearse {runbook} --yes --pace 0 --keep @/kept --format json")).exits(0);
    let steps: Vec<String> =
        run.events().iter().filter(|e| e["event"] == "step_started").map(|e| e["step"].as_str().unwrap()[..2].to_owned()).collect();
    assert_eq!(steps, ["Be", "1.", "2.", "3.", "4.", "1,", "5.", "6.", "7."]);
    let end = world.json("kept/world.json");
    assert_eq!(end["servers"]["backup"]["log_shipping_secondaries"], serde_json::json!([]));
    assert_eq!(end["servers"]["backup"]["databases"]["mgc"]["state"], "ONLINE");
}

#[test]
fn a_run_that_stopped_after_step_1_is_begun_again_and_reaches_the_end() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    // it gives up after the removal
    let runbook = edited(&world, "failover", "step(\"2. Copy", "fail(\"the telephone rang\");\nstep(\"2. Copy");
    world.cutover(&format!("run {runbook} --site lab/site.toml --yes")).exits(1).says("the telephone rang");
    // unattended, nobody can say whether the removal was ours
    let runbook = edited(&world, "preflight", "id: \"removed-before\",", "id: \"removed-before\" ,");
    let stopped = world.cutover(&format!("run {runbook} --new --site lab/site.toml --yes")).exits(3);
    stopped.says("has no default that `--yes` could take").says("nothing was changed");
    let runbook =
        edited(&world, "preflight", "id: \"removed-before\",", "id: \"removed-before\", \"default\": \"it was removed before: go on\",");
    world.cutover(&format!("run {runbook} --new --site lab/site.toml --yes")).exits(0).says("it is removed already");
    lab.stop();
    let end = world.json("lab/world.json");
    assert_eq!((&end["servers"]["backup"]["databases"]["mgc"]["state"], &end["pool"]["state"]), (&"ONLINE".into(), &"FailedOver".into()));
    assert_eq!(end["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 24);
}

#[test]
fn nobody_to_ask_is_said_with_what_to_do_and_the_evidence_is_shown() {
    let world = World::new();
    world.write(
        "ask.rhai",
        "step(\"Ask\", || confirm(\"Shall we?\", #{ show: [[\"facts\", [[\"one\", 1], [\"none\", ()]]], [\"nobody\", []]] }));\n",
    );
    let run = world.cutover("rehearse ask.rhai --pace 0").exits(3);
    let told: Vec<&str> = run.stderr.lines().skip_while(|line| !line.starts_with("Ask")).collect();
    let told: Vec<&str> = told.into_iter().filter(|line| !line.contains("ended after") && !line.starts_with("stopped after")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    Ask

    facts
    ─────
    one   1
    none  –

    nobody
    ──────
    (none)

    Shall we?

    in the step `Ask`
    stopped: nobody answered. `Shall we?`: there is no terminal to ask at; run or resume it at a
    terminal, or with `--yes`, and `--approve ID` for what cannot be undone

    nothing was changed
    the rehearsal's record and lab are removed now; `--keep DIR` keeps them
    ");
}
