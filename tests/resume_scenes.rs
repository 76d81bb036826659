//! Runs that are gone on with: damaged records, edited runbooks, lost answers, a full disk, another machine, a second
//! operator. Each scene is a lab in a second process and the built program.
#![cfg(feature = "lab")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::cases::cases;
use common::{Ended, Serving, Small, World, copy_folder, of, repository};
use cutover::journal;
use serde_json::{Value, json};

/// Two jobs are disabled, each with its proof.
const TWO_CHANGES: &str = r#"
fn enabled(job) { query("backup", "SELECT enabled FROM msdb.dbo.sysjobs WHERE name = @job", #{ job: job }).value() }
fn disable(job) {
    sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = 0", #{ job: job }, #{ done_when: || enabled(job) == 0 });
}
step("First", || disable("LSCopy_PCHAT-SQL-01_mgc"));
step("Second", || disable("LSRestore_PCHAT-SQL-01_mgc"));
note("both are off");
"#;

/// A lab that serves, and runs against it.
struct Scene {
    world: World,
    lab: Option<Serving>,
}

impl Scene {
    fn new(scenario: &str, arguments: &str) -> Self {
        let world = World::new();
        world.write("scene.toml", &format!("now = \"2026-01-02T03:04:05Z\"\n{scenario}"));
        let lab = Some(world.lab(&format!("--scenario @/scene.toml {arguments}")));
        Self { world, lab }
    }

    fn quick(scenario: &str) -> Self {
        Self::new(scenario, "--pace 0")
    }

    fn run(&self, runbook: &str, arguments: &str) -> Ended {
        self.world.write("book.rhai", runbook);
        self.world.cutover(&format!("run @/book.rhai --unchecked --site @/lab/site.toml --yes {arguments}"))
    }

    /// Runs until the process kills itself at a line of its record.
    fn dies(&self, runbook: &str, at: &str) -> PathBuf {
        self.world.write("book.rhai", runbook);
        let died = self.world.dies("run @/book.rhai --unchecked --site @/lab/site.toml --yes", at);
        assert_eq!(died.code, -1, "not killed: {}", died.stderr);
        self.world.run_folder("lab/runs")
    }

    /// Dies right after the line that fits.
    fn dies_after(&self, runbook: &str, line: impl Fn(&Value) -> bool) -> PathBuf {
        let rehearsal = World::new();
        let events = rehearsal.rehearse(runbook).events();
        let at = events.iter().position(line).expect("there is such a line") + 1;
        self.dies(runbook, &format!("after:{at}"))
    }

    fn resume(&self, folder: &Path, arguments: &str) -> Ended {
        self.world.cutover(&format!("resume {} --yes {arguments}", folder.display()))
    }

    /// Stops the lab; how often a text that holds this reached the backup server.
    fn sent(&mut self, text: &str) -> usize {
        if let Some(lab) = self.lab.take() {
            lab.stop();
        }
        let lines = self.world.lines("lab/wire.jsonl");
        lines.iter().filter(|line| line["server"] == "backup" && line["text"].as_str().is_some_and(|sent| sent.contains(text))).count()
    }

    fn end(&mut self) -> Value {
        self.sent("");
        self.world.json("lab/world.json")
    }
}

fn is(event: &str, key: &'static str, value: impl Into<Value>) -> impl Fn(&Value) -> bool {
    let (event, value) = (event.to_owned(), value.into());
    move |line| line["event"] == event.as_str() && line[key] == value
}

fn lines(folder: &Path) -> Vec<Value> {
    std::fs::read_to_string(folder.join("journal.jsonl")).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// True once a record in the lab's folder of runs holds a word.
fn said(scene: &Scene, word: &str) -> bool {
    let runs = std::fs::read_dir(scene.world.path("lab/runs")).into_iter().flatten().flatten();
    runs.filter_map(|run| std::fs::read_to_string(run.path().join("journal.jsonl")).ok()).any(|text| text.contains(word))
}

// ---- what is wrong with a record ----

#[test]
fn cut_at_every_byte_of_its_last_three_lines_nothing_that_is_finished_is_done_again() {
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "Second");
    let whole = std::fs::read(folder.join("journal.jsonl")).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let from = ends[ends.len() - 4];
    // what a resume makes of each: changes that are finished in what is left are told, the one that is not is taken up
    for at in from..=whole.len() {
        let read = journal::of_bytes(&whole[..at]);
        assert_eq!(read.bad, None, "cut at {at}");
        let finished = read.lines.iter().filter_map(|line| match &line.event {
            journal::Event::EffectFinished { effect, class, .. } if class == "changes" => Some(*effect),
            _ => None,
        });
        let attempt = read.history.resume(jiff::Timestamp::now());
        let told: Vec<u64> = attempt
            .replayed
            .iter()
            .filter_map(|item| match item {
                journal::Item::Effect(recorded) if recorded.class == "changes" => Some(recorded.effect),
                _ => None,
            })
            .collect();
        assert_eq!(told, finished.collect::<Vec<_>>(), "cut at {at}");
        if told.len() < 2 {
            assert!(matches!(attempt.taken_up, Some((_, journal::How::InDoubt))), "cut at {at}: {:?}", attempt.taken_up);
        }
    }
    // and the program itself, at bytes spread over them
    let step = (whole.len() - from).div_ceil(cases(60).max(8));
    for at in (from..whole.len()).step_by(step) {
        let copy = copy_folder(&folder, &scene.world.path(&format!("copies/{at}")));
        std::fs::write(copy.join("journal.jsonl"), &whole[..at]).unwrap();
        let torn = !ends.contains(&at) && !ends.contains(&(at + 1));
        let verified = scene.world.cutover(&format!("runs verify {}", copy.display())).exits(i32::from(torn));
        if torn {
            let line = ends.iter().filter(|end| **end <= at).count() + 1;
            assert!(verified.stdout.contains(&format!("line {line}: it has no end")), "{}", verified.stdout);
        }
        scene.resume(&copy, "").exits(0).says("both are off");
    }
    assert_eq!(scene.sent("sp_update_job @job_name"), 2, "each change was sent once");
}

#[test]
fn with_a_bit_flipped_anywhere_nothing_is_done_again_and_the_line_is_named() {
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "Second");
    let whole = std::fs::read(folder.join("journal.jsonl")).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for n in 0..cases(500) {
        let (at, bit) = (random.usize(..whole.len()), random.u8(..8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        let copy = copy_folder(&folder, &scene.world.path(&format!("copies/{n}")));
        std::fs::write(copy.join("journal.jsonl"), &bytes).unwrap();
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let verified = scene.world.cutover(&format!("runs verify {}", copy.display())).exits(1);
        assert!(verified.stdout.starts_with(&format!("line {line}: ")), "bit {bit} of byte {at}: {}", verified.stdout);
        let resumed = scene.resume(&copy, "");
        // the last line without its end looks torn, and is cut as such
        match resumed.code {
            2 if line == 1 => {}
            2 => assert!(resumed.stderr.contains(&format!("line {line}: ")), "{}", resumed.stderr),
            code => assert_eq!((code, at), (0, whole.len() - 1), "{}", resumed.stderr),
        }
        std::fs::remove_dir_all(copy).unwrap();
    }
    assert_eq!(scene.sent("sp_update_job @job_name"), 2, "each change was sent once");
}

#[test]
fn what_cannot_be_resumed_says_so() {
    let scene = Scene::quick("");
    scene.world.write("runs/empty/journal.jsonl", "");
    scene.world.write("runs/torn/journal.jsonl", "{\"v\":1,\"event\":\"run_sta");
    std::fs::create_dir_all(scene.world.path("runs/none")).unwrap();
    for (folder, why) in [("empty", "no whole line"), ("torn", "no whole line"), ("none", "there is no `journal.jsonl` in it")] {
        scene.resume(&scene.world.path(&format!("runs/{folder}")), "").exits(2).says("there is nothing to resume").says(why);
    }
    scene.world.cutover("resume --journal @/runs").exits(2).says("there is no unfinished run");
    scene.world.cutover("resume 2026 --journal @/runs").exits(2).says("there is no run `2026`");
    let done = scene.run("note(\"done\");", "");
    done.exits(0);
    let folder = scene.world.run_folder("lab/runs");
    scene.resume(&folder, "").exits(2).says("it is done");
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    scene
        .world
        .cutover(&format!("resume {} --journal @/lab/runs", name.replace("book", "bok")))
        .exits(2)
        .says(&format!("did you mean `{name}`"));
}

// ---- what is not as it was ----

#[test]
fn a_harmless_edit_goes_on_and_is_named() {
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "First");
    let edited = TWO_CHANGES
        .replace("step(\"Second\"", "// the other one\n\nnote(\"going on\");\nstep(\"Second\"")
        .replace("both are off", "both are off now");
    scene.world.write("book.rhai", &edited);
    let site = scene.world.path("lab/site.toml");
    std::fs::write(&site, std::fs::read_to_string(&site).unwrap() + "\n# a word\n").unwrap();
    let resumed = scene.resume(&folder, "").exits(0).says("the runbook").says("was edited").says("the site file").says("going on");
    resumed.says("both are off now");
    let named = lines(&folder).into_iter().find(|line| line["event"] == "resumed").unwrap()["differs"].clone();
    assert_eq!(named.as_array().unwrap().len(), 2, "{named}");
    assert_eq!(scene.sent("sp_update_job @job_name"), 2);
}

#[test]
fn a_changed_call_stops_with_both_shown_and_the_world_untouched() {
    let edits: [(&str, &str, &str, &str); 5] = [
        ("another value", "disable(\"LSCopy_PCHAT-SQL-01_mgc\")", "disable(\"LSCopy_PCHAT-SQL-02_mgc\")", "params: "),
        ("another text", "@enabled = 0\"", "@enabled = 0, @description = N'x'\"", "text: "),
        ("another step", "step(\"First\"", "step(\"The first\"", "step: `First` in the record, `The first` now"),
        (
            "another primitive",
            "step(\"First\", || disable(\"LSCopy_PCHAT-SQL-01_mgc\"));",
            "step(\"First\", || backups(site.backups.share));",
            "call: sql in the record, backups now",
        ),
        (
            "nothing any more",
            "step(\"First\", || disable(\"LSCopy_PCHAT-SQL-01_mgc\"));\nstep(\"Second\", || disable(\"LSRestore_PCHAT-SQL-01_mgc\"));",
            "",
            "it ends, and the record goes on",
        ),
    ];
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "First");
    for (name, from, to, said) in edits {
        let edited = TWO_CHANGES.replace(from, to);
        assert_ne!(edited, TWO_CHANGES, "{name}");
        scene.world.write("book.rhai", &edited);
        let stopped = scene.resume(&folder, "").exits(2).says("the runbook goes another way than the record").says(said);
        assert!(stopped.stderr.contains("called before"), "{name}: {}", stopped.stderr);
        assert!(name == "nothing any more" || stopped.stderr.contains("called now"), "{name}: {}", stopped.stderr);
    }
    // the drawing, once as a whole
    scene.world.write("book.rhai", &TWO_CHANGES.replace(edits[0].1, edits[0].2));
    let drawn = scene.resume(&folder, "").exits(2).stderr;
    let from = drawn.find("cutover::effect::diverged").unwrap();
    let to = drawn[from..].find("\nfailed after").unwrap();
    insta::assert_snapshot!("changed_call", drawn[from..from + to].replace(scene.world.path("").to_str().unwrap(), "@/"));
    // as it was, it goes on
    scene.world.write("book.rhai", TWO_CHANGES);
    scene.resume(&folder, "").exits(0);
    assert_eq!(scene.sent("sp_update_job @job_name"), 2);
}

#[test]
fn on_another_machine_by_another_operator_a_copied_run_folder_is_enough() {
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "First");
    let moved = copy_folder(&folder, &scene.world.path("elsewhere/handover"));
    std::fs::remove_dir_all(&folder).unwrap();
    // the runbook is not there, and the site file lies elsewhere
    std::fs::remove_file(scene.world.path("book.rhai")).unwrap();
    for file in ["site.toml", "password", "lab.crt"] {
        std::fs::create_dir_all(scene.world.path("mine")).unwrap();
        std::fs::copy(scene.world.path(&format!("lab/{file}")), scene.world.path(&format!("mine/{file}"))).unwrap();
    }
    std::fs::rename(scene.world.path("lab/site.toml"), scene.world.path("lab/site.gone")).unwrap();
    scene.resume(&moved, "").exits(2).says("the site file").says("is not there").says("--site FILE");
    scene.resume(&moved, "--site @/mine/site.toml").exits(0).says("the copies in the run folder are used").says("both are off");
    let begun = lines(&moved);
    let (started, resumed) = (&begun[0], of(&begun, "resumed")[0]);
    assert!(started["operator"].is_string() && resumed["operator"].is_string() && resumed["host"].is_string());
    assert_eq!(resumed["folder"], moved.to_str().unwrap());
    let shown = scene.world.cutover(&format!("runs show {}", moved.display())).exits(0);
    assert!(shown.stdout.contains("RESUMED by"), "{}", shown.stdout);
    std::fs::rename(scene.world.path("lab/site.gone"), scene.world.path("lab/site.toml")).unwrap();
    assert_eq!(scene.sent("sp_update_job @job_name"), 2);
}

// ---- answers that are lost ----

const RECOVER: &str = r#"
fn online() { query("backup", "SELECT state FROM sys.databases WHERE name = 'mgc'").value() == 0 }
step("Recover", || sql("backup", "RESTORE DATABASE mgc WITH RECOVERY", #{}, #{ done_when: || online() }));
note("it is online");
"#;

const RECOVER_BLINDLY: &str = "step(\"Recover\", || sql(\"backup\", \"RESTORE DATABASE mgc WITH RECOVERY\"));\nnote(\"it is online\");\n";

#[test]
fn an_answer_that_is_lost_is_found_out_by_the_test() {
    let mut scene = Scene::quick("[[fault]]\nkind = \"reply-lost\"\ntext = \"WITH RECOVERY\"\n");
    scene.run(RECOVER, "").exits(0).says("its answer was lost, and its `done_when` is true").says("it is online");
    let events = lines(&scene.world.run_folder("lab/runs"));
    let done = of(&events, "effect_finished").into_iter().find(|line| line["class"] == "changes").unwrap();
    assert_eq!((&done["resolved"], &done["verified"]), (&json!("in_force"), &json!(true)));
    assert_eq!(scene.sent("WITH RECOVERY"), 1);
}

#[test]
fn what_the_server_goes_on_with_is_waited_out_before_the_test_is_asked() {
    let mut scene = Scene::quick("[[fault]]\nkind = \"connection-cut\"\ntext = \"WITH RECOVERY\"\nseconds = 1.5\n");
    scene.run(RECOVER, "").exits(0).says("the server still carries out").says("its answer was lost").says("it is online");
    assert_eq!(scene.sent("WITH RECOVERY"), 1);
    assert_eq!(scene.end()["servers"]["backup"]["databases"]["mgc"]["state"], "ONLINE");
}

#[test]
fn without_a_test_an_unattended_run_stays_in_doubt_and_nothing_is_sent_again() {
    let mut scene = Scene::quick("[[fault]]\nkind = \"reply-lost\"\ntext = \"WITH RECOVERY\"\n");
    scene.run(RECOVER_BLINDLY, "").exits(4).says("may or may not be changed");
    let folder = scene.world.run_folder("lab/runs");
    for _ in 0..2 {
        scene.resume(&folder, "").exits(4).says("nobody is there to say whether it happened");
    }
    let last = lines(&folder).pop().unwrap();
    assert_eq!((&last["outcome"], &last["exit"], last["in_doubt"].as_array().unwrap().len()), (&json!("in_doubt"), &json!(4), 1));
    assert_eq!(scene.sent("WITH RECOVERY"), 1);
}

#[test]
fn a_statement_of_a_killed_run_is_waited_out_by_the_resume() {
    let mut scene = Scene::new("recovery-seconds = 4.0\n", "--pace 1");
    scene.world.write("book.rhai", RECOVER);
    let mut child = scene
        .world
        .command("run @/book.rhai --unchecked --site @/lab/site.toml --yes")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // about to be sent, and then a little time on its way
    common::wait_for("the change to be sent", || said(&scene, "effect_tested"));
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = scene.world.run_folder("lab/runs");
    scene.resume(&folder, "").exits(0).says("the server still carries out RESTORE DATABASE").says("it is online");
    assert_eq!(scene.sent("WITH RECOVERY"), 1);
}

// ---- the disk ----

#[test]
fn a_full_disk_under_the_record_stops_the_run_before_its_next_change_and_it_goes_on_with_room() {
    let stock = repository("runbooks/pchat-failover.rhai");
    for kib in [40, 120, 160, 200, 240] {
        let mut scene = Scene::quick("");
        let disk = scene.world.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let Some(small) = Small::mount(&disk, &format!("{kib}k")) else { return };
        let line = format!("run {} --site @/lab/site.toml --yes --journal @/disk/runs", stock.display());
        let stopped = scene.world.cutover(&line);
        let started = std::fs::read_dir(disk.join("runs"))
            .is_ok_and(|mut runs| runs.any(|run| run.is_ok_and(|run| journal::read(&run.path()).is_ok_and(|read| !read.lines.is_empty()))));
        assert_eq!(stopped.code, 1, "{kib} KiB:\n{}", stopped.stderr);
        if started {
            let stopped = stopped.says("stopped before the next change").says("No space left");
            let folder = scene.world.run_folder("disk/runs");
            let before = journal::read(&folder).unwrap().history;
            small.grow("4m");
            let resumed = scene.world.cutover(&format!("resume {} --yes", folder.display()));
            assert_eq!(resumed.code, 0, "{kib} KiB: {} then {}", stopped.stderr, resumed.stderr);
            assert!(journal::read(&folder).unwrap().history.changed().starts_with(before.changed()), "{kib} KiB");
        }
        let end = scene.end();
        let mgc = &end["servers"]["backup"]["databases"]["mgc"];
        let (state, logs) = if started { ("ONLINE", 24) } else { ("RESTORING", 12) };
        assert_eq!((mgc["state"].as_str(), mgc["logs_applied"].as_i64()), (Some(state), Some(logs)), "{kib} KiB");
        for once in ["sp_delete_log_shipping_secondary_database", "WITH RECOVERY"] {
            let sent = scene.sent(once);
            assert_eq!(sent, usize::from(started), "{kib} KiB: {once}");
        }
    }
}

// ---- two at once ----

#[test]
fn of_two_runs_on_two_machines_exactly_one_goes_on() {
    let mut scene = Scene::new("", "--pace 0.2");
    let stock = repository("runbooks/pchat-failover.rhai");
    let start = |machine: &str| {
        let line = format!("run {} --site @/lab/site.toml --yes --journal @/{machine}", stock.display());
        scene.world.command(&line).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start("one"), start("two")].map(|child| Ended::from(child.wait_with_output().unwrap()));
    let mut codes = both.iter().map(|ended| ended.code).collect::<Vec<_>>();
    codes.sort_unstable();
    assert_eq!(codes, [0, 2], "{}\n\n{}", both[0].stderr, both[1].stderr);
    let second = both.into_iter().find(|ended| ended.code == 2).unwrap();
    second.says("another run is under way: mgc on `backup` is held by").says("nothing was changed");
    assert_eq!(scene.sent("WITH RECOVERY"), 1);
    assert_eq!(scene.sent("sp_delete_log_shipping_secondary_database @secondary"), 1);
}

#[test]
fn of_two_runs_on_one_machine_the_second_is_told_who_runs_the_first() {
    let scene = Scene::new("", "--pace 1");
    scene.world.write("wait.rhai", "wait_until(\"nothing\", \"1m\", || query(\"backup\", \"SELECT 1 AS one\").value() == 2);");
    let mut first = scene
        .world
        .command("run @/wait.rhai --unchecked --site @/lab/site.toml --yes")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    common::wait_for("the first run", || said(&scene, "effect_started"));
    let second = scene.run(TWO_CHANGES, "").exits(2).says("another run of this site is under way");
    let (operator, _) = (&second.stderr, ());
    assert!(operator.contains(&format!("process {}", first.id())), "{operator}");
    let list = scene.world.cutover("runs --site @/lab/site.toml --format json").exits(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!((list["runs"].as_array().unwrap().len(), &list["runs"][0]["running"]), (1, &json!(true)), "{list:#}");
    first.kill().unwrap();
    first.wait().unwrap();
    // a process that is gone holds nothing
    scene.run(TWO_CHANGES, "").exits(0);
}

#[test]
fn a_lock_that_is_lost_stops_the_run_before_its_next_change() {
    let mut scene = Scene::quick("");
    let book = format!(
        "{TWO_CHANGES}\nlet lock = query(\"backup\", \"SELECT session_id FROM sys.dm_exec_sessions WHERE program_name LIKE 'cutover % by %'\").value();\n\
         step(\"Lose it\", || sql(\"backup\", \"KILL {{id}}\", #{{ id: lock }}));\nstep(\"Third\", || sql(\"backup\", \"EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 1\"));\n"
    );
    scene.run(&book, "").exits(1).says("stopped before the next change: the lock `cutover: mgc on DR-SQL-01\\RTC` on `backup` is lost");
    let folder = scene.world.run_folder("lab/runs");
    scene.resume(&folder, "").exits(0);
    assert_eq!(scene.sent("@enabled = 1"), 1);
}

// ---- beginning anew ----

#[test]
fn a_run_is_not_begun_while_another_of_the_site_left_a_change_half_way() {
    let mut scene = Scene::quick("");
    let folder = scene.dies_after(TWO_CHANGES, |line| line["event"] == "step_finished" && line["step"] == "First");
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    scene.run("note(\"anything\");", "").exits(2).says(&format!("cutover resume {name}")).says("--new");
    scene.run("note(\"anything\");", "--new").exits(0);
    let list = scene.world.cutover("runs --site @/lab/site.toml --format json").exits(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let of = |n: usize, key: &str| list["runs"][n][key].clone();
    assert_eq!((of(0, "run"), of(0, "abandoned"), of(0, "outcome")), (json!(name), json!(true), Value::Null));
    let begun = &lines(Path::new(of(1, "folder").as_str().unwrap()))[0];
    assert_eq!(begun["instead_of"], json!([name]));
    // it is nobody's default any more, but can be named
    scene.world.cutover("resume --site @/lab/site.toml --yes").exits(2).says("there is no unfinished run");
    scene.run("note(\"anything\");", "").exits(0);
    scene.world.write("book.rhai", TWO_CHANGES);
    scene.resume(&folder, "").exits(0);
    assert_eq!(scene.sent("sp_update_job @job_name"), 2);
    // one that only read is no reason
    let mut scene = Scene::quick("");
    scene.dies_after("query(\"backup\", \"SELECT 1 AS one\"); note(\"x\");", is("effect_finished", "effect", 1));
    scene.run("note(\"anything\");", "").exits(0);
    assert_eq!(scene.sent("sp_update_job"), 0);
}

#[test]
fn every_stop_before_bring_online_says_how_to_undo_and_what_that_leaves() {
    let stock = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    for (step, undo) in [("2. Copy", true), ("3. Apply", true), ("4. Bring", true), ("5. Fail over", false)] {
        let scene = Scene::quick("");
        let book = stock.replacen(&format!("step(\"{step}"), &format!("fail(\"the telephone rang\");\nstep(\"{step}"), 1);
        assert_ne!(book, stock);
        let stopped = scene.run(&book, "").exits(1).says("the telephone rang");
        let folder = scene.world.run_folder("lab/runs");
        let command = format!("-U cutover -d master -b -i {}", folder.join("undo-step-1.sql").display());
        assert_eq!(stopped.stderr.contains(&command), undo, "{step}: {}", stopped.stderr);
        assert_eq!(stopped.stderr.contains("it does not undo: log backups"), undo, "{step}: {}", stopped.stderr);
        assert!(stopped.stderr.contains(&format!("to go on: cutover resume {}", folder.display())), "{step}: {}", stopped.stderr);
    }
}

// ---- what the record keeps ----

#[test]
fn a_large_outcome_is_replayed_whole() {
    let mut scene = Scene::quick("");
    let book = r#"
let rows = query("backup", "SELECT a.name AS a, b.name AS b, c.name AS c, d.name AS d, e.name AS e FROM sys.databases a CROSS JOIN sys.databases b CROSS JOIN sys.databases c CROSS JOIN sys.databases d CROSS JOIN sys.databases e").rows;
note(`${rows.len()} rows, the last ${rows[-1]}`);
step("Change", || sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" },
    #{ done_when: || query("backup", "SELECT enabled FROM msdb.dbo.sysjobs WHERE name = 'LSCopy_PCHAT-SQL-01_mgc'").value() == 0 }));
note(`still ${rows.len()} rows, the last ${rows[-1]}`);
"#;
    let folder = scene.dies_after(book, is("step_finished", "step", "Change"));
    assert!(std::fs::metadata(folder.join("effect-1.json")).unwrap().len() > 64 * 1024);
    assert!(std::fs::metadata(folder.join("journal.jsonl")).unwrap().len() < 64 * 1024);
    let side = std::fs::read(folder.join("effect-1.json")).unwrap();
    std::fs::write(folder.join("effect-1.json"), &side[..side.len() - 1]).unwrap();
    scene.resume(&folder, "").exits(2).says("is not as it was written");
    std::fs::write(folder.join("effect-1.json"), side).unwrap();
    scene.resume(&folder, "").exits(0).says("still 7776 rows, the last");
    assert_eq!(scene.sent("CROSS JOIN"), 1);
}

#[test]
fn the_record_holds_who_did_what_and_no_secret() {
    let mut scene = Scene::quick("");
    scene.run(TWO_CHANGES, "--set vars.ticket=INC-7").exits(0);
    let folder = scene.world.run_folder("lab/runs");
    let secret = std::fs::read_to_string(scene.world.path("lab/password")).unwrap();
    let mut files = vec![folder.clone()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(secret.trim()), "{}", path.display());
        }
    }
    let started = &lines(&folder)[0];
    assert_eq!(started["set"], json!(["vars.ticket=INC-7"]));
    assert!(started["operator"].is_string() && started["host"].is_string() && started["program"].is_string());
    assert!(started["arguments"].as_array().unwrap().iter().any(|word| word == "--yes"));
    let sources: Vec<&str> = started["sources"].as_array().unwrap().iter().map(|source| source["copy"].as_str().unwrap()).collect();
    assert_eq!(sources, ["script/book.rhai", "site.toml"]);
    assert_eq!(std::fs::read_to_string(folder.join("script/book.rhai")).unwrap(), TWO_CHANGES);
    let shown = scene.world.cutover(&format!("runs show {}", folder.display())).exits(0).stdout;
    assert!(shown.contains("CHANGE  backup: EXEC msdb.dbo.sp_update_job") && shown.contains("verified"), "{shown}");
    let shown = scene.world.cutover(&format!("runs show {} --format json", folder.display())).exits(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["events"].as_array().unwrap().len(), lines(&folder).len());
    scene.world.cutover(&format!("runs verify {} --format json", folder.display())).exits(0);
    // whatever is changed beside the record shows, too
    scene.world.write("lab/runs/other/journal.jsonl", "");
    std::fs::write(folder.join("script/book.rhai"), "note(\"nothing\");").unwrap();
    let verified = scene.world.cutover(&format!("runs verify {}", folder.display())).exits(1).stdout;
    assert!(verified.contains("line 1: the copy") && verified.contains("script/book.rhai"), "{verified}");
    assert_eq!(scene.sent("sp_update_job @job_name"), 2);
}
