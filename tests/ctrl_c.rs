//! Ctrl-C at a terminal, for each kind of effect: once lets it come to its end and stops, twice cuts it off. Afterwards a
//! resume reaches the end, and the change is made once. And what else a person does at a terminal: closing it, ending the
//! input, and choosing what to do about a failure.
#![cfg(feature = "lab")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;
#[path = "common/pty.rs"]
#[expect(dead_code, reason = "each test file uses its part")]
mod pty;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{Ended, Serving, World, of, servers};
use cutover::sqlserver::{Batch, Connection, Servers};
use pty::{CTRL_C, CTRL_D, LIMIT, Terminal};
use serde_json::Value;

const JOB: &str = "LSCopy_PCHAT-SQL-01_mgc";

/// A lab with a runbook for it, and eyes and hands of the test's own on its server.
struct Scene {
    world: World,
    lab: Serving,
    runtime: tokio::runtime::Runtime,
    own: Servers,
}

/// What is left of a scene: what the servers received, and how they stand.
struct Rest {
    wire: Vec<Value>,
    shell: Vec<Value>,
    end: Value,
}

impl Scene {
    fn open(scenario: &str, book: &str) -> Self {
        let world = World::new();
        world.write("scene.toml", &format!("bytes = 3000\ncopy-job-seconds = 0.0\n{scenario}"));
        let dir = world.path("");
        world.write("book.rhai", &book.replace("@DIR", dir.to_str().unwrap().trim_end_matches('/')));
        let lab = world.lab("--scenario @/scene.toml --pace 1");
        let own = servers(&lab.site(), "the test");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { world, lab, runtime, own }
    }

    fn run(&self) -> Terminal {
        Terminal::open(&self.world, "run @/book.rhai --unchecked --site @/lab/site.toml", 100)
    }

    /// Goes on in another process, with nobody to ask.
    fn resume(&self) -> Ended {
        self.world.cutover("resume --site @/lab/site.toml --yes")
    }

    /// Goes on in another process, at a terminal.
    fn resume_there(&self) -> Terminal {
        Terminal::open(&self.world, "resume --site @/lab/site.toml", 100)
    }

    fn journal(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.world.path("lab/runs")).into_iter().flatten();
        let folder = runs.map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
        folder.unwrap_or_default().join("journal.jsonl")
    }

    /// The whole lines of the record.
    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.journal()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the record has so many events of a kind.
    #[track_caller]
    fn records(&self, kind: &str, times: usize) {
        let told = || format!("{:#?}", self.events());
        until(&format!("{times} {kind}"), told, || of(&self.events(), kind).len() >= times);
    }

    /// Waits until the server is at the change of a run.
    #[track_caller]
    fn server_is_at_it(&self) {
        let busy = "SELECT COUNT(*) AS n FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id \
                    WHERE s.program_name LIKE 'cutover 2%' AND r.command NOT LIKE 'SELECT%'";
        until(
            "the server is at it",
            || format!("{:#?}", self.events()),
            || {
                let answer = self.runtime.block_on(self.own.run("backup", &Batch::read(busy))).unwrap();
                answer.integer().unwrap() > 0
            },
        );
    }

    /// Waits until the management shell has received a call: a shell that is killed before has not begun it.
    #[track_caller]
    fn shell_is_at(&self, cmdlet: &str) {
        let calls = || std::fs::read_to_string(self.world.path("lab/shell.jsonl")).unwrap_or_default();
        until(&format!("the shell is at {cmdlet}"), calls, || calls().contains(cmdlet));
    }

    /// Does something on the server as somebody else would.
    fn does(&self, text: &str) {
        self.runtime.block_on(self.own.run("backup", &Batch::change(text))).unwrap();
    }

    /// Keeps the changes of [`GATED`] waiting until it is dropped.
    fn gate(&self) -> Gate<'_> {
        let mut connection = self.runtime.block_on(self.own.open("backup")).unwrap();
        let take = "EXEC sp_getapplock @Resource = 'gate', @LockMode = 'Exclusive', @LockOwner = 'Session'";
        self.runtime.block_on(connection.run(&Batch::change(take))).unwrap();
        Gate { connection: Some(connection), runtime: &self.runtime }
    }

    /// Ends the lab.
    fn close(self) -> Rest {
        let Self { world, lab, runtime, own } = self;
        runtime.block_on(own.close());
        lab.stop();
        Rest { wire: world.lines("lab/wire.jsonl"), shell: world.lines("lab/shell.jsonl"), end: world.json("lab/world.json") }
    }
}

impl Rest {
    /// How often a text that begins so reached the server from a run.
    fn sent(&self, text: &str) -> usize {
        self.wire.iter().filter(|line| line["text"].as_str().is_some_and(|sent| sent.starts_with(text))).count()
    }

    fn attentions(&self) -> usize {
        self.wire.iter().filter(|line| line["kind"] == "attention").count()
    }

    /// How often a cmdlet came to its end.
    fn called(&self, cmdlet: &str) -> usize {
        self.shell.iter().filter(|line| line["cmdlet"] == cmdlet).count()
    }

    fn job_is_off(&self) -> bool {
        let jobs = self.end["servers"]["backup"]["jobs"].as_array().unwrap();
        jobs.iter().any(|job| job["name"] == JOB && job["enabled"] == false)
    }

    fn mgc(&self) -> &Value {
        &self.end["servers"]["backup"]["databases"]["mgc"]
    }
}

/// Holds changes up on the server.
struct Gate<'a> {
    connection: Option<Connection>,
    runtime: &'a tokio::runtime::Runtime,
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        // the lock goes with its session
        let _entered = self.runtime.enter();
        self.connection.take();
    }
}

#[track_caller]
fn until(what: &str, told: impl Fn() -> String, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < LIMIT, "never: {what}\n{}", told());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The events that tell how a run ended: signals, ends of the script's own effects, the run's end.
fn story(events: &[Value]) -> Vec<String> {
    let told = |event: &Value| {
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap() {
            "interrupted" => Some(format!("interrupted {}", event["times"])),
            "effect_finished" if event["parent"].is_null() => {
                let how = if event["verified"] == true { " verified" } else { "" };
                let resolved = event["resolved"].as_str().map(|how| format!(" {how}")).unwrap_or_default();
                Some(format!("finished {}{how}{resolved}", word("primitive")))
            }
            "effect_failed" if event["parent"].is_null() => {
                Some(format!("failed {}{}", word("primitive"), if event["stopped"] == true { " stopped" } else { "" }))
            }
            "resumed" => Some("resumed".to_owned()),
            "choice" => Some(format!("choice {}", word("chosen"))),
            "note" => Some(format!("note {}", word("text"))),
            "run_finished" => Some(format!("{} {}", word("outcome"), event["exit"])),
            _ => None,
        }
    };
    events.iter().filter_map(told).collect()
}

#[track_caller]
fn assert_story(scene: &Scene, expected: &[&str]) {
    common::assert_lines(&story(&scene.events()), expected);
}

/// Two scenes beside each other: most of a scene is waiting.
fn both(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        one();
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

const HEARD: &str = "once more cuts it off";

// ---- each kind of effect ----

const LOGS: &str = r#"
    let done = restore_logs("backup", site.database, site.backups.copy_to, #{ folder_on_server: site.backups.copy_to_on_server });
    note(`${done.applied.len()} applied`);"#;
const THREE_LOGS: &str = "logs = 5\napplied = 2\ncopied = 3\nwork-files = 0\nrestore-seconds = 2.0";

#[test]
fn log_backups_stop_between_two_files_or_in_the_middle_of_one() {
    let once = || {
        let scene = Scene::open(THREE_LOGS, LOGS);
        let mut run = scene.run();
        run.shows("restoring 1 of 3");
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("stopped as asked; nothing is half-done").says_not("2 of 3");
        assert_story(&scene, &["interrupted 1", "failed restore_logs stopped", "stopped 3"]);
        scene.resume().exits(0).says("2 log backups applied");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("RESTORE LOG")), (0, 3), "each file once");
        assert_eq!(rest.mgc()["logs_applied"], 5);
    };
    let twice = || {
        let scene = Scene::open(THREE_LOGS, LOGS);
        let mut run = scene.run();
        run.shows("restoring 1 of 3");
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("was cut off (restoring 1 of 3").says("may or may not be in force");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "in_doubt 4"]);
        scene.resume().exits(0).says("3 log backups applied");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("RESTORE LOG")), (1, 4), "the same file goes on");
        assert_eq!(rest.mgc()["logs_applied"], 5);
    };
    both(once, twice);
}

const RECOVERY: &str = r#"
    sql("backup", "RESTORE DATABASE mgc WITH RECOVERY", #{}, #{
        done_when: || query("backup", "SELECT state_desc FROM sys.databases WHERE name = 'mgc'").value() == "ONLINE" });
    note("mgc is online");"#;

#[test]
fn recovery_is_never_cut_off() {
    let once = || {
        let scene = Scene::open("recovery-seconds = 2.0", RECOVERY);
        let mut run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("verified").says("stopped as asked; nothing is half-done").says("already changed");
        assert_story(&scene, &["interrupted 1", "finished sql verified", "stopped 3"]);
        scene.resume().exits(0).says("mgc is online");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("RESTORE DATABASE"), &rest.mgc()["state"]), (0, 1, &"ONLINE".into()));
    };
    let twice = || {
        let scene = Scene::open("recovery-seconds = 6.0", RECOVERY);
        let mut run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("was left to go on by itself");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "in_doubt 4"]);
        scene.resume().exits(0).says("the server still carries out RESTORE DATABASE").says("mgc is online");
        assert_story(
            &scene,
            &["interrupted 1", "interrupted 2", "in_doubt 4", "resumed", "finished sql verified in_force", "note mgc is online", "done 0"],
        );
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("RESTORE DATABASE"), &rest.mgc()["state"]), (0, 1, &"ONLINE".into()));
    };
    both(once, twice);
}

/// Waits on the server for as long as the test wants, then disables a job.
const GATED: &str = r#"
    sql("backup", "EXEC sp_getapplock @Resource = 'gate', @LockMode = 'Exclusive', @LockOwner = 'Session'; EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0", #{}, #{
        done_when: || query("backup", "SELECT name FROM msdb.dbo.sysjobs WHERE name = 'LSCopy_PCHAT-SQL-01_mgc' AND enabled = 0").rows.len() == 1 });
    note("went on");"#;
const GATED_TEXT: &str = "EXEC sp_getapplock @Resource = 'gate', @LockMode = 'Exclusive', @LockOwner = 'Session'; EXEC msdb";

#[test]
fn a_change_on_a_server_is_finished_and_verified_or_cut_off_by_an_attention() {
    let once = || {
        let scene = Scene::open("", GATED);
        let gate = scene.gate();
        let mut run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD);
        drop(gate);
        run.ends().exits(3).says("verified").says("stopped as asked; nothing is half-done");
        assert_story(&scene, &["interrupted 1", "finished sql verified", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent(GATED_TEXT), rest.job_is_off()), (0, 1, true));
    };
    let twice = || {
        let scene = Scene::open("", GATED);
        let gate = scene.gate();
        let mut run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("was cut off; it may or may not be in force");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "in_doubt 4"]);
        drop(gate);
        scene.resume().exits(0).says("went on");
        assert_story(
            &scene,
            &["interrupted 1", "interrupted 2", "in_doubt 4", "resumed", "finished sql verified", "note went on", "done 0"],
        );
        let rest = scene.close();
        // the first of the two never came to the job
        assert_eq!((rest.attentions(), rest.sent(GATED_TEXT), rest.job_is_off()), (1, 2, true));
    };
    both(once, twice);
}

const COPY: &str = r#"
    let done = copy_backups(#{ from: "@DIR/from", to: "@DIR/to", workers: 2 });
    note(`${done.copied.len()} copied`);"#;

/// Two files as large as a copy needs for a while; they take no room where they lie.
fn large(scene: &Scene, mebibytes: u64) {
    std::fs::create_dir_all(scene.world.path("to")).unwrap();
    for n in 1..=2 {
        let path = scene.world.write(&format!("from/mgc_2026010203{n:02}00.trn"), "");
        std::fs::File::options().write(true).open(path).unwrap().set_len(mebibytes << 20).unwrap();
    }
}

fn names(scene: &Scene, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(scene.world.path(folder)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_copy_is_finished_or_leaves_no_part_of_a_file() {
    let once = || {
        let scene = Scene::open("", COPY);
        large(&scene, 256);
        let mut run = scene.run();
        run.shows("copying mgc_").types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("2 copied, 0 skipped").says("stopped as asked");
        assert_story(&scene, &["interrupted 1", "finished copy_backups", "stopped 3"]);
        assert_eq!(names(&scene, "to"), names(&scene, "from"));
        scene.resume().exits(0).says("2 copied");
        scene.close();
    };
    let twice = || {
        let scene = Scene::open("", COPY);
        large(&scene, 1024);
        let mut run = scene.run();
        run.shows("copying mgc_").types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("was cut off (copying mgc_");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "in_doubt 4"]);
        assert_eq!(names(&scene, "to"), [""; 0], "no part under its own name, and none under another");
        // what is left to do is worked out from what is there now
        large(&scene, 1);
        scene.resume().exits(0).says("2 copied");
        assert_eq!(names(&scene, "to"), names(&scene, "from"));
        scene.close();
    };
    both(once, twice);
}

const POOL: &str = r#"
    ps("Set-CsPersistentChatState", #{ Identity: "service:atl-cs-001.litwareinc.com", PoolState: "FailedOver", Confirm: false }, #{
        done_when: || ps("Get-CsPersistentChatState")[0].PoolState == "FailedOver" });
    note("went on");"#;

#[test]
fn a_cmdlet_is_finished_or_its_shell_is_ended() {
    let slow = |seconds: f64| {
        format!("[[shell-fault]]\nkind = \"cmdlet-slow\"\ncmdlet = \"Set-CsPersistentChatState\"\nnth = 1\nseconds = {seconds:.1}")
    };
    let once = || {
        let scene = Scene::open(&slow(2.0), POOL);
        let mut run = scene.run();
        scene.shell_is_at("Set-CsPersistentChatState");
        run.types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("verified").says("stopped as asked; nothing is half-done");
        assert_story(&scene, &["interrupted 1", "finished ps verified", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.called("Set-CsPersistentChatState"), &rest.end["pool"]["state"]), (1, &"FailedOver".into()));
    };
    let twice = || {
        let scene = Scene::open(&slow(3600.0), POOL);
        let mut run = scene.run();
        scene.shell_is_at("Set-CsPersistentChatState");
        let shells = shells_of(run.pid());
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("was cut off; it may or may not be in force");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "in_doubt 4"]);
        if cfg!(target_os = "linux") {
            assert_eq!(shells.len(), 1);
            assert!(!PathBuf::from(format!("/proc/{}", shells[0])).exists(), "the shell is left behind");
        }
        scene.resume().exits(0).says("went on");
        assert_story(
            &scene,
            &["interrupted 1", "interrupted 2", "in_doubt 4", "resumed", "finished ps verified", "note went on", "done 0"],
        );
        let rest = scene.close();
        assert_eq!(&rest.end["pool"]["state"], "FailedOver");
    };
    both(once, twice);
}

/// The management shells that a process has started, where that can be seen.
fn shells_of(parent: u32) -> Vec<u32> {
    let text = |file: String| std::fs::read_to_string(file).unwrap_or_default();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let parent = parent.to_string();
    pids.filter(|pid| text(format!("/proc/{pid}/stat")).rsplit(") ").next().is_some_and(|rest| rest.split(' ').nth(1) == Some(&parent)))
        .filter(|pid| text(format!("/proc/{pid}/cmdline")).contains("lab-shell"))
        .collect()
}

const LOOK: &str = "query(\"backup\", \"WAITFOR DELAY '00:00:04'\");\nnote(\"went on\");";

#[test]
fn a_read_is_waited_for_or_given_up_and_is_never_in_doubt() {
    let once = || {
        let scene = Scene::open("", LOOK);
        let mut run = scene.run();
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("stopped as asked; nothing is half-done").says("nothing was changed");
        assert_story(&scene, &["interrupted 1", "finished query", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("WAITFOR")), (0, 1), "what was read just now is not read again");
    };
    let twice = || {
        let scene = Scene::open("", LOOK);
        let mut run = scene.run();
        scene.server_is_at_it();
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(3).says("stopped as asked; nothing is half-done").says("nothing was changed");
        assert_story(&scene, &["interrupted 1", "interrupted 2", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent("WAITFOR")), (1, 2));
    };
    both(once, twice);
}

#[test]
fn a_wait_and_a_script_that_only_computes_stop_at_once() {
    let wait = || {
        let book = format!(
            "wait_until(\"the copy job to be off\", \"1h\", || query(\"backup\", \"SELECT name FROM msdb.dbo.sysjobs WHERE name = '{JOB}' AND enabled = 0\").rows.len() == 1);\nnote(\"went on\");"
        );
        let scene = Scene::open("", &book);
        let mut run = scene.run();
        run.shows("waiting for the copy job to be off").types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("stopped as asked");
        assert_story(&scene, &["interrupted 1", "stopped 3"]);
        let mut run = scene.resume_there();
        run.shows("waiting for the copy job to be off");
        scene.does(&format!("EXEC msdb.dbo.sp_update_job @job_name = '{JOB}', @enabled = 0"));
        run.shows("went on");
        run.ends().exits(0);
        scene.close();
    };
    let computes = || {
        let scene = Scene::open("", "note(\"computing\");\nwhile true { let text = \"x\"; text.pad(10000, \"x\"); }");
        let mut run = scene.run();
        run.shows("computing").types(CTRL_C).shows(HEARD);
        run.ends().exits(3).says("stopped as asked; nothing is half-done");
        assert_story(&scene, &["note computing", "interrupted 1", "stopped 3"]);
        let mut run = scene.resume_there();
        run.shows("computing").types(CTRL_C).shows(HEARD);
        run.ends().exits(3);
        scene.close();
    };
    both(wait, computes);
}

#[test]
fn a_question_that_is_left_is_asked_again() {
    let scene = Scene::open("", "confirm(\"Shall we?\");\nnote(\"went on\");");
    let mut run = scene.run();
    run.shows("Go on? [y/N/?]").types(CTRL_C);
    run.ends().exits(3).says("stopped as asked; nothing is half-done");
    assert_story(&scene, &["interrupted 1", "stopped 3"]);
    // the end of the input is no answer either
    let mut run = scene.resume_there();
    run.shows("Shall we?").shows("Go on? [y/N/?]").types(CTRL_D);
    run.ends().exits(3).says("nobody answered").says("the terminal was closed before an answer came");
    // half a line is none
    let mut run = scene.resume_there();
    run.shows("Go on? [y/N/?]").types("y").types(CTRL_D).types(CTRL_D);
    run.ends().exits(3).says("nobody answered");
    let mut run = scene.resume_there();
    run.shows("Shall we?").shows("Go on? [y/N/?]").types("y\n").shows("went on");
    run.ends().exits(0);
    assert_eq!(of(&scene.events(), "answer").len(), 1);
    scene.close();
}

// ---- whoever ends the session ----

#[test]
fn a_session_that_is_ended_however_often_lets_the_change_come_to_its_end() {
    let told = || {
        let scene = Scene::open("", GATED);
        let gate = scene.gate();
        let mut run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        run.signal("TERM").shows(HEARD).signal("TERM").signal("HUP").signal("TERM");
        drop(gate);
        run.ends().exits(3).says("verified").says_not("cutting off");
        assert_story(&scene, &["interrupted 1", "finished sql verified", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent(GATED_TEXT), rest.job_is_off()), (0, 1, true));
    };
    let closed = || {
        let scene = Scene::open("", GATED);
        let gate = scene.gate();
        let run = scene.run();
        scene.records("effect_tested", 1);
        scene.server_is_at_it();
        let run = run.closes();
        scene.records("interrupted", 1);
        drop(gate);
        run.exits(3);
        assert_story(&scene, &["interrupted 1", "finished sql verified", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.attentions(), rest.sent(GATED_TEXT), rest.job_is_off()), (0, 1, true));
    };
    both(told, closed);
}

#[test]
fn a_change_whose_answer_is_lost_after_ctrl_c_is_still_found_out_about() {
    // the connection breaks half a second after the change began, and the server goes on with it
    let cut = "[[fault]]\nkind = \"connection-cut\"\ntext = \"sp_update_job\"\nseconds = 0.0";
    let tested = || {
        let scene = Scene::open(cut, GATED);
        let gate = scene.gate();
        let mut run = scene.run();
        run.shows("waiting for it").types(CTRL_C).shows(HEARD);
        drop(gate);
        run.ends().exits(3).says("its answer was lost, and its `done_when` is true").says("stopped as asked; nothing is half-done");
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.sent(GATED_TEXT), rest.job_is_off()), (1, true));
    };
    let untested = || {
        let scene = Scene::open(cut, &format!("{};", GATED.split(", #{}").next().unwrap().to_owned() + ")"));
        let gate = scene.gate();
        let mut run = scene.run();
        run.shows("waiting for it").types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(4).says("may or may not be in force").says_not("nothing is half-done");
        drop(gate);
        // nobody is there to say
        scene.resume().exits(4);
        let mut run = scene.resume_there();
        run.shows("Did it happen?").shows("[h/d/S/?]").types("h\n");
        run.ends().exits(0);
        let rest = scene.close();
        assert_eq!((rest.sent(GATED_TEXT), rest.job_is_off()), (1, true));
    };
    both(tested, untested);
}

#[test]
fn a_change_that_fails_after_ctrl_c_says_so() {
    let scene = Scene::open("", &GATED.replace("@job_name = 'LSCopy_PCHAT-SQL-01_mgc'", "@job_name = 'Nightly'"));
    let gate = scene.gate();
    let mut run = scene.run();
    scene.records("effect_tested", 1);
    scene.server_is_at_it();
    run.types(CTRL_C).shows(HEARD);
    drop(gate);
    run.shows("failed: ").shows("Nightly").shows("stopped as asked; nothing is half-done");
    run.ends().exits(3).says("nothing was changed").says_not("What now?");
    assert_story(&scene, &["interrupted 1", "failed sql stopped", "stopped 3"]);
    scene.resume().exits(1).says("Nightly");
    let rest = scene.close();
    assert_eq!((rest.attentions(), rest.sent(GATED_TEXT)), (0, 2));
}

#[test]
fn a_verification_goes_on_until_it_is_cut_off_and_the_change_stays_made() {
    let other = "LSRestore_PCHAT-SQL-01_mgc";
    let book = format!(
        r#"sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = '{JOB}', @enabled = 0", #{{}}, #{{ within: "1h",
            done_when: || query("backup", "SELECT name FROM msdb.dbo.sysjobs WHERE name = '{other}' AND enabled = 0").rows.len() == 1 }});
           note("went on");"#
    );
    let off = format!("EXEC msdb.dbo.sp_update_job @job_name = '{other}', @enabled = 0");
    let shown = || {
        let scene = Scene::open("", &book);
        let mut run = scene.run();
        // a look before the change, and one after it
        scene.records("effect_finished", 2);
        run.types(CTRL_C).shows(HEARD);
        let looks = of(&scene.events(), "effect_finished").len();
        scene.records("effect_finished", looks + 2);
        scene.does(&off);
        run.ends().exits(3).says("verified").says("already changed");
        assert_eq!(story(&scene.events()).iter().rev().take(2).rev().collect::<Vec<_>>(), ["finished sql verified", "stopped 3"]);
        scene.resume().exits(0).says("went on");
        let rest = scene.close();
        assert_eq!((rest.sent("EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy"), rest.job_is_off()), (1, true));
    };
    let cut = || {
        let scene = Scene::open("", &book);
        let mut run = scene.run();
        scene.records("effect_finished", 2);
        run.types(CTRL_C).shows(HEARD).types(CTRL_C);
        run.ends().exits(3).says("stopped as asked; nothing is half-done").says("already changed").says_not("may or may not");
        scene.does(&off);
        scene.resume().exits(0).says("went on");
        assert_eq!(story(&scene.events()).iter().filter(|line| line.contains("in_force")).count(), 1, "{:?}", story(&scene.events()));
        let rest = scene.close();
        assert_eq!((rest.sent("EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy"), rest.job_is_off()), (1, true));
    };
    both(shown, cut);
}

// ---- what to do about a failure ----

const LATE: &str = "let done = copy_backups(#{ from: site.backups.share, to: \"@DIR/late\" });\nnote(`${done.copied.len()} copied`);";
const MENU: &str = "Retry, mark it as done by hand, or stop? [r/m/S/?]";

#[test]
fn a_failed_change_is_tried_again_marked_or_left() {
    let again = || {
        let scene = Scene::open("logs = 3\napplied = 1\ncopied = 0\nwork-files = 0", LATE);
        let mut run = scene.run();
        run.shows("What now?").shows(MENU).types("?\n").shows("r tries it again: remove the cause first").shows(MENU);
        run.types("perhaps\n").shows("m counts it as made: make it by hand first").shows(MENU);
        // the cause is still there
        run.types("r\n").shows("choice retry (terminal)").shows(MENU);
        std::fs::create_dir(scene.world.path("late")).unwrap();
        run.types("retry\n").shows("3 copied");
        run.ends().exits(0);
        let failed = "failed copy_backups";
        assert_story(&scene, &[failed, "choice retry", failed, "choice retry", "finished copy_backups", "note 3 copied", "done 0"]);
        scene.close();
    };
    let by_hand = || {
        let scene = Scene::open("logs = 3\napplied = 1\ncopied = 0\nwork-files = 0", LATE);
        let mut run = scene.run();
        // without a reason it is not marked
        run.shows(MENU).types("m\n").shows("Who made the change").shows("Why? [Enter alone stops]").types("\n").shows("choice stop");
        run.ends().exits(1).says("to go on: cutover resume");
        let mut run = scene.resume_there();
        run.shows(MENU).types("s\n");
        run.ends().exits(1);
        let mut run = scene.resume_there();
        run.shows(MENU)
            .types("M\n")
            .shows("Why?")
            .types("copied with robocopy, Grüße\n")
            .shows("marked as done by hand (terminal)")
            .shows("0 copied");
        run.ends().exits(0);
        let events = scene.events();
        let choice = of(&events, "choice").pop().unwrap();
        assert_eq!(
            (&choice["chosen"], &choice["reason"], &choice["by"]),
            (&"by_hand".into(), &"copied with robocopy, Grüße".into(), &"terminal".into())
        );
        let failed = "failed copy_backups";
        let expected =
            [failed, "choice stop", "failed 1", "resumed", failed, "choice stop", "failed 1", "resumed", failed, "choice by_hand"];
        let expected = [&expected[..], &["finished copy_backups verified by_hand", "note 0 copied", "done 0"]].concat();
        assert_story(&scene, &expected);
        scene.close();
    };
    both(again, by_hand);
}

#[test]
fn what_is_left_at_the_question_about_a_failure_is_a_failed_run() {
    for key in [CTRL_C, CTRL_D] {
        let scene = Scene::open("", LATE);
        let mut run = scene.run();
        run.shows(MENU).types(key);
        run.ends().exits(1);
        let mut run = scene.resume_there();
        run.shows(MENU).types("m\n").shows("Why?").types(key);
        run.ends().exits(1);
        scene.close();
    }
}

#[test]
fn what_only_read_is_read_anew_and_never_marked_as_made() {
    let query = || {
        let book = "let rows = query(\"backup\", \"SELECT name FROM nix.dbo.t\").rows;";
        let scene = Scene::open("", book);
        let mut run = scene.run();
        run.shows("Retry, or stop? [r/S/?]").types("m\n").shows("r tries it again").shows("Retry, or stop? [r/S/?]").types("r\n");
        run.shows("Retry, or stop? [r/S/?]").types("\n");
        run.ends().exits(1).says_not("by hand");
        assert_story(&scene, &["failed query", "choice retry", "failed query", "choice stop", "failed 1"]);
        scene.close();
    };
    let given_up = || {
        let book = format!(
            "let off = query(\"backup\", \"SELECT name FROM msdb.dbo.sysjobs WHERE name = '{JOB}' AND enabled = 0\").rows.len();\nif off == 0 {{ fail(\"the copy job is on\", \"disable it\"); }}\nnote(\"it is off\");"
        );
        let scene = Scene::open("", &book);
        let mut run = scene.run();
        run.shows("the copy job is on").shows("Retry, or stop? [r/S/?]").types("r\n");
        run.shows("the copy job is on").shows("Retry, or stop? [r/S/?]");
        scene.does(&format!("EXEC msdb.dbo.sp_update_job @job_name = '{JOB}', @enabled = 0"));
        run.types("r\n").shows("it is off");
        run.ends().exits(0);
        let read = "finished query";
        assert_story(&scene, &[read, "choice retry", read, "choice retry", read, "note it is off", "done 0"]);
        scene.close();
    };
    both(query, given_up);
}
