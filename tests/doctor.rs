//! `cutover doctor` against the lab, with one thing broken at a time and then all at once: everything it prints, and that
//! neither the servers nor the shell were asked to change anything.
#![cfg(feature = "lab")]
// the system's own words stand in what is drawn
#![cfg(target_os = "linux")]

mod common;

use common::{Ended, Serving, World, is_housekeeping};
use cutover::tsql::classify::{Class, classify};
use serde_json::Value;

/// Something that is broken: in the scene of the lab, in the lab's folder, or in the site file.
struct Broken {
    name: &'static str,
    scene: &'static str,
    breaks: fn(&World, &Serving),
    exit: i32,
}

/// A port that nobody listens at.
fn silent(world: &World, lab: &Serving) {
    let _ = world;
    lab.edit_site(|text| {
        let (before, after) = text.split_once("[sql.backup]").expect("the backup server");
        let (line, rest) = after.split_once("port = ").expect("its port");
        let (_, rest) = rest.split_once('\n').expect("the end of the line");
        format!("{before}[sql.backup]{line}port = 1\n{rest}")
    });
}

fn wrong_password(world: &World, lab: &Serving) {
    world.write("lab/wrong", "Guess1!\n");
    lab.edit_site(|text| text.replacen("file = \"password\"", "file = \"wrong\"", 1));
}

fn no_share(world: &World, _: &Serving) {
    std::fs::rename(world.path("lab/share"), world.path("lab/away")).expect("the share is moved");
}

fn another_folder(world: &World, lab: &Serving) {
    world.write("elsewhere/mgc_20260717030000.trn", "not there");
    let folder = world.path("elsewhere").display().to_string();
    lab.edit_site(|text| {
        let (before, after) = text.split_once("copy_to = ").expect("the copy folder");
        let (_, rest) = after.split_once('\n').expect("the end of the line");
        format!("{before}copy_to = \"{folder}\"\n{rest}")
    });
}

fn no_journal(world: &World, lab: &Serving) {
    world.write("lab/file", "");
    let folder = world.path("lab/file/runs").display().to_string();
    lab.edit_site(|text| {
        let (before, after) = text.split_once("[journal]").expect("the journal");
        let (line, rest) = after.split_once("folder = ").expect("its folder");
        let (_, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        format!("{before}[journal]{line}folder = \"{folder}\"\n{rest}")
    });
}

fn unknown_cmdlet(_: &World, lab: &Serving) {
    lab.edit_site(|text| text.replacen("allow = [", "allow = [\"Set-CsChatWeather\", ", 1));
}

fn nothing(_: &World, _: &Serving) {}

const CLOCK: &str = "CLOCK";

const BROKEN: &[Broken] = &[
    Broken { name: "clean", scene: "", breaks: nothing, exit: 0 },
    Broken { name: "backup_silent", scene: "", breaks: silent, exit: 1 },
    Broken { name: "wrong_password", scene: "", breaks: wrong_password, exit: 1 },
    Broken { name: "certificate_not_trusted", scene: "[[fault]]\nkind = \"tls\"\noffers = \"unknown-issuer\"\n", breaks: nothing, exit: 1 },
    Broken { name: "login_without_rights", scene: "login = \"reader\"\n", breaks: nothing, exit: 1 },
    Broken { name: "online_already", scene: "recovered = true\n", breaks: nothing, exit: 1 },
    Broken { name: "no_log_shipping", scene: "log-shipping = false\n", breaks: nothing, exit: 1 },
    Broken { name: "no_share", scene: "", breaks: no_share, exit: 1 },
    Broken { name: "copy_folder_is_another", scene: "", breaks: another_folder, exit: 1 },
    Broken { name: "module_missing", scene: "[[shell-fault]]\nkind = \"module-missing\"\n", breaks: nothing, exit: 1 },
    Broken { name: "cmdlet_missing", scene: "", breaks: unknown_cmdlet, exit: 1 },
    Broken { name: "clock_off", scene: CLOCK, breaks: nothing, exit: 0 },
    Broken { name: "no_journal", scene: "", breaks: no_journal, exit: 1 },
    Broken {
        name: "all_at_once",
        scene: "login = \"reader\"\nlog-shipping = false\nCLOCK[[fault]]\nkind = \"tls\"\noffers = \"unknown-issuer\"\n\
                [[shell-fault]]\nkind = \"module-missing\"\n",
        breaks: |world, lab| {
            silent(world, lab);
            no_share(world, lab);
            another_folder(world, lab);
            no_journal(world, lab);
            unknown_cmdlet(world, lab);
        },
        exit: 1,
    },
];

/// The scene, an hour and more ago where it says so.
fn scene(text: &str) -> String {
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(3600);
    text.replace(CLOCK, &format!("now = \"{hour_ago:.0}\"\n"))
}

/// No statement that reached a server is a change, no cmdlet but such as read, no lock was taken.
fn nothing_changed(world: &World, name: &str) {
    for line in world.lines("lab/wire.jsonl") {
        let text = line["text"].as_str().unwrap_or_default();
        assert!(!text.contains("sp_getapplock"), "{name}: {text}");
        assert!(text.is_empty() || is_housekeeping(text) || classify(text).class == Class::Reads, "{name}: {text}");
    }
    for line in world.lines("lab/shell.jsonl") {
        assert!(line["cmdlet"].as_str().is_some_and(|cmdlet| cmdlet.starts_with("Get-")), "{name}: {line}");
    }
}

/// What the world's own jobs, which run by the clock, leave as it is.
fn end(world: &World) -> (Value, Value) {
    let end = world.json("lab/world.json");
    (end["pool"].clone(), end["servers"]["backup"]["databases"]["mgc"]["state"].clone())
}

/// What is printed, without what varies.
fn normal(text: &str, world: &World) -> String {
    let text = text.replace(world.path("").to_str().expect("a path is text").trim_end_matches('/'), "@");
    // a lab's certificate is its own each time
    let hex = |word: &str| word.len() - word.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
    let digest = |(n, part): (usize, &str)| match (n, hex(part)) {
        (0, _) => part.to_owned(),
        (_, 64) => format!("sha256:{}{}", "0".repeat(64), &part[64..]),
        _ => format!("sha256:{part}"),
    };
    let text: String = text.split("sha256:").enumerate().map(digest).collect();
    let mut out = String::new();
    let mut rest = text.as_str();
    // digits before and after these words are another machine's, or another minute's
    let before = [" MB are free", " s ahead of", " s behind", " minutes ago"];
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        let digits = rest[at..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| at + end);
        let (number, after) = (&rest[at..digits], &rest[digits..]);
        let varies = before.iter().any(|word| after.starts_with(word))
            || (out.ends_with("127.0.0.1:") || out.ends_with("127.0.0.1,") || out.ends_with("localhost:")) && number != "1"
            || number.len() == 14 && out.ends_with("mgc_");
        out.push_str(if varies { "#" } else { number });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn doctor(world: &World, arguments: &str) -> Ended {
    world.cutover(&format!("doctor --site @/lab/site.toml {arguments}"))
}

#[test]
fn each_broken_thing_is_told_and_so_are_all_at_once() {
    for broken in BROKEN {
        let world = World::new();
        world.write("scene.toml", &scene(broken.scene));
        let lab = world.lab("--pace 0 --scenario @/scene.toml");
        (broken.breaks)(&world, &lab);
        let ended = doctor(&world, "");
        lab.stop();
        assert_eq!(ended.code, broken.exit, "{}\n{}{}", broken.name, ended.stdout, ended.stderr);
        assert_eq!(ended.stderr, "", "{}", broken.name);
        nothing_changed(&world, broken.name);
        let untouched = World::new();
        untouched.write("scene.toml", &scene(broken.scene));
        untouched.lab("--pace 0 --scenario @/scene.toml").stop();
        assert_eq!(end(&world), end(&untouched), "{}", broken.name);
        assert!(!world.path("lab/runs").exists(), "{}: a doctor leaves no run", broken.name);
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("doctor_{}", broken.name), normal(&ended.stdout, &world)));
    }
}

#[test]
fn a_program_reads_one_document_that_its_schema_describes() {
    let schema: Value = serde_json::from_str(include_str!("../docs/doctor.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let world = World::new();
    let lab = world.lab("--pace 0");
    no_share(&world, &lab);
    let found: Value = serde_json::from_str(&doctor(&world, "--format json").exits(1).stdout).expect("one object");
    lab.stop();
    let wrong: Vec<String> = schema.iter_errors(&found).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let failed: Vec<&Value> = found["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["verdict"] == "failed")
        .map(|check| &check["group"])
        .collect();
    assert_eq!((failed, &found["would_stop"], &found["complete"]), (vec![&Value::from("share")], &true.into(), &true.into()));
}

#[test]
fn a_sites_own_doctor_is_run_and_can_neither_change_nor_ask() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    world.write(
        "lab/doctor.rhai",
        r#"step("ours: asks", || confirm("Really?"));
step("ours: changes", || sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" },
    #{ done_when: || query("backup", "SELECT 1 AS off FROM msdb.dbo.sysjobs WHERE name = @job AND enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" }).rows.len() == 1 }));
step("ours: copies", || copy_backups(#{ from: site.backups.share, to: site.backups.copy_to }));
step("ours: is mistaken", || query("backup", "SELECT 1 AS n").first().name);
step("ours: goes on", || note("to its end"));
"#,
    );
    let ended = doctor(&world, "").exits(1);
    lab.stop();
    nothing_changed(&world, "its own");
    for (check, why) in [
        ("changes", "nothing is changed or asked here"),
        ("asks", "nothing is changed or asked here"),
        ("copies", "nothing is changed or asked here"),
        ("is mistaken", "now:"),
    ] {
        let from = ended.stdout.find(&format!("FAILED   {check}")).unwrap_or_else(|| panic!("{check}\n{}", ended.stdout));
        assert!(ended.stdout[from..].contains(why), "{check}: {why}\n{}", ended.stdout);
    }
    assert!(common::squeezed(&ended.stdout).contains("ok goes on to its end"), "{}", ended.stdout);
}

#[test]
fn a_run_that_was_left_half_way_stops_the_next() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    world.write("half.rhai", r#"step("half", || { sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" }); fail("no more"); });"#);
    world.cutover("run @/half.rhai --site @/lab/site.toml --yes --unchecked").exits(1);
    let ended = doctor(&world, "").exits(1);
    lab.stop();
    assert!(
        common::squeezed(&ended.stdout).contains("began a change and is not finished now: go on with it by `cutover resume"),
        "{}",
        ended.stdout
    );
}
