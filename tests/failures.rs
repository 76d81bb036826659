//! Every way in which a failover goes wrong, through the built program: the exit code, the world afterwards, and what is
//! drawn for the person at the keyboard, whole. What varies from run to run is taken out: paths, ports, times.
#![cfg(feature = "lab")]
// the system's own words stand in what is drawn
#![cfg(target_os = "linux")]

mod common;
#[path = "common/drawn.rs"]
#[expect(dead_code, reason = "each test file uses its part")]
mod drawn;

use std::path::{Path, PathBuf};

use common::{Ended, Serving, Small, World, repository};
use cutover::tsql::classify::{Class, classify};
use serde_json::Value;

/// One run and what it left.
struct Case {
    world: World,
    ended: Ended,
    /// where `world.json` lies
    folder: &'static str,
}

/// A fixed time of the lab, so that names of files and times in headers are always the same.
const NOW: &str = "now = \"2026-07-17T03:21:00Z\"\n";

/// The stock runbook in a scenario of its own.
fn scenario(text: &str) -> Case {
    let world = World::new();
    world.write("scenario.toml", &format!("{NOW}{text}"));
    let ended = world.cutover("rehearse --yes --keep @/kept --pace 0 --scenario @/scenario.toml");
    Case { world, ended, folder: "kept" }
}

fn fault(text: &str) -> Case {
    scenario(&format!("[[fault]]\n{text}\n"))
}

fn shell_fault(text: &str) -> Case {
    scenario(&format!("[[shell-fault]]\n{text}\n"))
}

/// A runbook of these lines in the default scenario.
fn runbook(text: &str) -> Case {
    runbook_with(text, "")
}

fn runbook_with(text: &str, arguments: &str) -> Case {
    let world = World::new();
    world.write("scenario.toml", NOW);
    world.write("mine.rhai", text);
    let ended = world.cutover(&format!("rehearse @/mine.rhai --yes --keep @/kept --pace 0 --scenario @/scenario.toml {arguments}"));
    Case { world, ended, folder: "kept" }
}

/// The stock runbook against a lab of its own, after something was done to the lab or its site file.
fn site(prepare: impl FnOnce(&World, &Serving)) -> Case {
    site_with("", prepare)
}

fn site_with(arguments: &str, prepare: impl FnOnce(&World, &Serving)) -> Case {
    let world = World::new();
    world.write("scenario.toml", NOW);
    // run from a copy: the drawn name of the file must not depend on where the repository lies
    std::fs::copy(repository("runbooks/pchat-failover.rhai"), world.path("failover.rhai")).expect("the runbook is copied");
    let lab = world.lab("--pace 0 --scenario @/scenario.toml");
    prepare(&world, &lab);
    let ended = world.cutover(&format!("run failover.rhai --site lab/site.toml --yes {arguments}"));
    lab.stop();
    Case { world, ended, folder: "lab" }
}

/// A command that never gets as far as a lab.
fn command(arguments: &str, prepare: impl FnOnce(&World)) -> Case {
    let world = World::new();
    prepare(&world);
    let ended = world.cutover(arguments);
    Case { world, ended, folder: "" }
}

impl Case {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        Self { ended: self.ended.exits(code), ..self }
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        Self { ended: self.ended.says(text), ..self }
    }

    fn end(&self) -> Value {
        self.world.json(&format!("{}/world.json", self.folder))
    }

    /// mgc on the backup instance at the end: its state, and how many log backups it has taken in its life.
    #[track_caller]
    fn mgc(self, state: &str, logs: u64) -> Self {
        let end = self.end();
        let mgc = &end["servers"]["backup"]["databases"]["mgc"];
        assert_eq!((mgc["state"].as_str(), mgc["logs_applied"].as_u64()), (Some(state), Some(logs)), "{end:#}\n{}", self.ended.stderr);
        self
    }

    #[track_caller]
    fn pool(self, state: &str) -> Self {
        let end = self.end();
        assert_eq!(end["pool"]["state"], state, "{end:#}");
        self
    }

    /// Texts that the servers received, in order.
    fn statements(&self) -> Vec<String> {
        let lines = self.world.lines(&format!("{}/wire.jsonl", self.folder));
        lines
            .iter()
            .filter(|line| line["kind"] == "batch" || line["kind"] == "rpc")
            .filter_map(|l| l["text"].as_str().map(str::to_owned))
            .collect()
    }

    #[track_caller]
    fn sent_no(self, beginning: &str) -> Self {
        let sent: Vec<String> = self.statements().into_iter().filter(|text| text.starts_with(beginning)).collect();
        assert!(sent.is_empty(), "{sent:#?}");
        self
    }

    /// No server received a change, the shell no changing cmdlet; log shipping stands.
    #[track_caller]
    fn nothing_changed(self) -> Self {
        let changes: Vec<String> =
            self.statements().into_iter().filter(|text| !common::is_housekeeping(text) && classify(text).class == Class::Changes).collect();
        assert!(changes.is_empty(), "{changes:#?}");
        let shell = self.world.lines(&format!("{}/shell.jsonl", self.folder));
        let changes: Vec<&Value> =
            shell.iter().filter(|line| !line["cmdlet"].as_str().is_some_and(|cmdlet| cmdlet.starts_with("Get-"))).collect();
        assert!(changes.is_empty(), "{changes:#?}");
        self.says("nothing was changed")
    }

    /// The end of what was drawn, from where the run stops on, as a snapshot.
    #[track_caller]
    fn drawn(self, name: &str) -> Self {
        let text = drawn::normal(&self.ended.stderr, self.world.path("").as_path());
        let begins = ["failed in the step", "in the step", "stopped", "in doubt", "cutover::", "error: "];
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.iter().position(|line| begins.iter().any(|b| line.starts_with(b))).unwrap_or(0);
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, lines[from..].join("\n")));
        self
    }
}

// ---- the chain ----

#[test]
fn a_missing_log_stops_before_any_restore() {
    let case = fault("kind = \"missing-log\"\nlog = 18").exits(1).mgc("RESTORING", 12).sent_no("RESTORE LOG").drawn("missing_log");
    let case = case.says("LSN").says("still RESTORING");
    assert_eq!(case.end()["servers"]["backup"]["log_shipping_secondaries"].as_array().map(Vec::len), Some(1), "it is told before step 1");
}

#[test]
fn a_truncated_log_on_the_share() {
    fault("kind = \"truncated-log\"\nlog = 19\nplace = \"share\"").exits(1).drawn("truncated_on_the_share");
}

#[test]
fn a_truncated_log_in_the_copy_folder() {
    fault("kind = \"truncated-log\"\nlog = 15\nplace = \"copy\"").exits(1).drawn("truncated_in_the_copy_folder");
}

#[test]
fn a_damaged_log() {
    fault("kind = \"damaged-log\"\nlog = 19").exits(1).mgc("RESTORING", 18).drawn("damaged_log");
}

#[test]
fn an_empty_file() {
    fault("kind = \"empty-file\"\nlog = 19").exits(1).mgc("RESTORING", 12).sent_no("RESTORE LOG").drawn("empty_file");
}

#[test]
fn a_log_of_another_database_is_harmless() {
    fault("kind = \"other-database\"\nlog = 19").exits(0).mgc("ONLINE", 24).pool("FailedOver");
    fault("kind = \"other-database\"\nlog = 19\ndatabase = \"mgc\"").exits(0).mgc("ONLINE", 24).pool("FailedOver");
}

#[test]
fn a_log_of_another_fork() {
    // beside the chain: left out; in place of its newest: somebody must decide
    fault("kind = \"other-fork\"\nlog = 20").exits(0).mgc("ONLINE", 24);
    fault("kind = \"other-fork\"\nlog = 24").exits(1).mgc("RESTORING", 12).sent_no("RESTORE LOG").drawn("other_fork");
}

#[test]
fn sets_that_a_chain_takes_in_its_stride() {
    fault("kind = \"several-sets\"\nlog = 14\nlast = 16").exits(0).mgc("ONLINE", 24);
    fault("kind = \"empty-log\"\nlog = 18").exits(0).mgc("ONLINE", 24);
    fault("kind = \"copy-only-log\"\nlog = 20").exits(0).mgc("ONLINE", 24);
}

#[test]
fn readers_in_standby_are_ended_by_the_first_restore_and_do_not_come_back() {
    let case = scenario("standby = true\nreaders = 2\nreaders-reconnect = true\n").exits(0).mgc("ONLINE", 24);
    let sent = case.statements();
    let shut = sent.iter().filter(|text| text.contains("SINGLE_USER WITH ROLLBACK IMMEDIATE; RESTORE LOG")).count();
    assert_eq!((shut, sent.iter().filter(|text| text.contains("MULTI_USER")).count()), (1, 1), "{sent:#?}");
}

// ---- RESTORE fails ----

fn restore_fails(number: i32) -> Case {
    fault(&format!("kind = \"restore-fails\"\nnth = 3\nnumber = {number}")).drawn(&format!("restore_fails_{number}"))
}

#[test]
fn restore_fails_with_an_interrupted_restore() {
    restore_fails(4319).exits(1).mgc("RESTORING", 14);
}

#[test]
fn restore_fails_because_the_file_cannot_be_opened() {
    restore_fails(3201).exits(1).mgc("RESTORING", 14);
}

#[test]
fn restore_fails_because_somebody_else_restores() {
    restore_fails(4326).exits(1).mgc("RESTORING", 14);
    restore_fails(3117).exits(1).mgc("RESTORING", 14);
}

#[test]
fn restore_fails_because_the_database_is_in_use() {
    restore_fails(3101).exits(1).mgc("RESTORING", 14);
}

// ---- the servers ----

#[test]
fn a_wrong_password() {
    let case = site(|world, lab| {
        world.write("lab/wrong", "Guess1!\n");
        lab.edit_site(|text| text.replacen("file = \"password\"", "file = \"wrong\"", 1));
    });
    case.exits(1).nothing_changed().drawn("wrong_password");
}

/// A certificate that no server here shows.
const OTHER_CA: &str = include_str!("data/other-ca.pem");

#[test]
fn a_wrong_ca() {
    let case = site(|world, lab| {
        world.write("lab/other-ca.pem", OTHER_CA);
        lab.edit_site(|text| text.replacen("ca = \"lab.crt\"", "ca = \"other-ca.pem\"", 1));
    });
    case.exits(1).nothing_changed().drawn("wrong_ca");
}

#[test]
fn a_certificate_for_another_name() {
    // an address that the resolver understands and no certificate names
    let case = site(|_, lab| lab.edit_site(|text| text.replacen("server = \"127.0.0.1\"", "server = \"127.1\"", 1)));
    case.exits(1).nothing_changed().drawn("certificate_for_another_name");
}

#[test]
fn a_site_that_names_another_server() {
    let case = site(|_, lab| {
        lab.edit_site(|text| {
            let (backup, mirror) = (port(&text, "backup"), port(&text, "backup_mirror"));
            text.replace(&backup, &mirror)
        });
    });
    case.exits(1).nothing_changed().drawn("another_server");
}

/// The port line of one server in a lab's site file.
fn port(site: &str, server: &str) -> String {
    let table = site.split(&format!("[sql.{server}]\n")).nth(1).expect("the site has the server");
    table.lines().find(|line| line.starts_with("port")).expect("a server has a port").to_owned()
}

#[test]
fn a_server_that_is_down() {
    // a port that nobody listens on: taken and given back
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let case = site(|_, lab| lab.edit_site(|text| text.replace(&port(&text, "backup"), &format!("port = {free}"))));
    case.exits(1).nothing_changed().drawn("server_down");
}

#[test]
fn a_database_that_is_online_already() {
    let case = site(|world, lab| {
        world.write("before.rhai", "sql(\"backup\", \"RESTORE DATABASE mgc WITH RECOVERY\");");
        world.cutover(&format!("run before.rhai --unchecked --site {} --yes", lab.site().display())).exits(0);
    });
    case.exits(1).mgc("ONLINE", 12).drawn("already_online");
}

#[test]
fn log_shipping_that_was_removed_by_hand() {
    let case = site(|world, lab| {
        world.write("before.rhai", "sql(\"backup\", \"EXEC master.dbo.sp_delete_log_shipping_secondary_database 'mgc'\");");
        world.cutover(&format!("run before.rhai --unchecked --site {} --yes", lab.site().display())).exits(0);
    });
    case.exits(3).mgc("RESTORING", 12).says("log shipping rows for mgc").says("has no default that `--yes` could take");
}

#[test]
fn after_a_failed_run_its_undo_script_makes_the_next_run_possible() {
    let case = site(|world, lab| {
        // step 3 fails for a file that is mended afterwards
        let (broken, whole) = (newest(&world.path("lab/share")), world.path("whole.trn"));
        std::fs::copy(&broken, &whole).unwrap();
        let mut damaged = std::fs::read(&whole).unwrap();
        *damaged.last_mut().unwrap() ^= 0xFF;
        std::fs::write(&broken, damaged).unwrap();
        world.cutover(&format!("run failover.rhai --site {} --yes", lab.site().display())).exits(1).says("undo-step-1.sql");
        for folder in ["lab/share", "lab/copy", "lab/copy/rescue"] {
            std::fs::copy(&whole, world.path(folder).join(broken.file_name().unwrap())).unwrap();
        }
        let runs = std::fs::read_dir(world.path("lab/runs")).unwrap();
        let undo = runs.map(|run| run.unwrap().path().join("undo-step-1.sql")).find(|file| file.exists()).unwrap();
        let script = std::fs::read_to_string(undo).unwrap();
        world.write("undo.rhai", &format!("sql(\"backup\", `{script}`);"));
        world.cutover(&format!("run undo.rhai --unchecked --new --site {} --yes", lab.site().display())).exits(0);
    });
    case.exits(0).mgc("ONLINE", 24).pool("FailedOver");
}

fn newest(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|e| e == "trn")).max().expect("a log backup")
}

// ---- the folders ----

#[test]
fn a_share_that_is_missing() {
    let case = site(|_, lab| lab.edit_site(|text| text.replace("/lab/share", "/lab/nowhere")));
    case.exits(1).nothing_changed().drawn("share_missing");
}

#[test]
fn a_copy_folder_that_is_missing() {
    let case = site(|_, lab| lab.edit_site(|text| text.replace("/lab/copy\"", "/lab/nowhere\"")));
    case.exits(1).nothing_changed().drawn("copy_folder_missing");
}

#[test]
fn a_copy_folder_that_the_server_knows_by_another_path() {
    let case = site(|_, lab| lab.edit_site(|text| text.replace("'D:\\LogShip'", "'D:\\Elsewhere'")));
    case.exits(1).nothing_changed().drawn("copy_folder_by_another_path");
}

/// The stock runbook with a copy folder on a file system of this size; nothing if that cannot be had.
#[expect(clippy::print_stderr, reason = "says why it tests nothing")]
fn small_destination(size: &str) -> Option<Case> {
    let mut small = None;
    let case = site(|world, lab| {
        let folder = world.path("small");
        std::fs::create_dir(&folder).expect("a folder is made");
        small = Small::mount(&folder, size);
        lab.edit_site(|text| text.replace("/lab/copy\"", "/small\""));
    });
    if small.is_none() {
        eprintln!("skipped: only root can mount a small file system");
    }
    small.map(|_| case)
}

#[test]
fn a_destination_without_room_is_found_before_anything_is_changed() {
    let Some(case) = small_destination("256k") else { return };
    case.exits(1).mgc("RESTORING", 12).nothing_changed().drawn("destination_full");
}

#[test]
fn a_rescue_copy_that_would_take_the_room_of_step_2_is_left_out() {
    let Some(case) = small_destination("1500k") else { return };
    // the lab's server does not see this folder, which is found as soon as something lies in it
    case.exits(1).mgc("RESTORING", 12).sent_no("RESTORE LOG").drawn("destination_for_one_copy");
}

// ---- the shell ----

#[test]
fn a_cmdlet_that_fails() {
    let fails =
        |more: &str| shell_fault(&format!("kind = \"cmdlet-fails\"\ncmdlet = \"Set-CsPersistentChatState\"\nterminating = true\n{more}"));
    fails("").exits(1).mgc("ONLINE", 24).pool("Normal").drawn("cmdlet_fails");
    fails("changed = true").exits(1).pool("FailedOver").drawn("cmdlet_fails_and_yet_changes");
}

#[test]
fn a_management_store_that_cannot_be_written() {
    shell_fault("kind = \"cms-read-only\"").exits(1).mgc("ONLINE", 24).pool("Normal").drawn("cms_read_only");
}

#[test]
fn a_module_that_is_not_installed() {
    shell_fault("kind = \"module-missing\"").exits(1).nothing_changed().drawn("module_missing");
}

#[test]
fn a_shell_that_is_not_there() {
    let case = site(|_, lab| {
        lab.edit_site(|text| {
            text.lines()
                .map(
                    |line| if line.starts_with("program") { "program = \"/nowhere/powershell\"\n".to_owned() } else { format!("{line}\n") },
                )
                .collect()
        })
    });
    case.exits(1).nothing_changed().drawn("shell_missing");
}

#[test]
fn a_shell_that_dies() {
    let dies = |more: &str| shell_fault(&format!("kind = \"shell-dies\"\ncmdlet = \"Set-CsPersistentChatState\"\n{more}"));
    dies("").exits(4).pool("Normal").drawn("shell_dies");
    // its `done_when` says that it is in force: only the answer was lost
    dies("changed = true").exits(0).pool("FailedOver").says("its answer was lost, and its `done_when` is true: it is in force");
}

// ---- the runbook ----

#[test]
fn mistakes_in_a_call_are_found_before_it_begins() {
    let begin = "let text = \"SELECT name FROM sys.databases WHERE name = @db\";\n";
    for (name, line) in [
        (
            "unknown_option",
            "restore_logs(\"backup\", site.database, site.backups.copy_to, #{ folder_on_servr: site.backups.copy_to_on_server });",
        ),
        ("wrong_type", "query(\"backup\", 5);"),
        ("wrong_option_type", "sql(\"backup\", \"EXEC msdb.dbo.sp_start_job 'x'\", #{ done_when: || true, within: 5 });"),
        ("missing_option", "copy_backups(#{ from: site.backups.share });"),
        ("missing_argument", "query(\"backup\");"),
        ("unbound_name", "query(\"backup\", text, #{ bd: \"mgc\" });"),
        ("unknown_server", "query(\"bakup\", text, #{ db: site.database });"),
        ("unknown_site_key", "note(site.nope);"),
        ("unknown_variable_of_the_site", "let all = site.vars;\nnote(all.ticket);"),
        ("a_change_in_a_query", "query(\"backup\", \"DROP DATABASE mgc\");"),
        ("unknown_cmdlet", "ps(\"Get-CsPersistentChatStat\");"),
        ("cmdlet_not_allowed", "ps(\"Move-CsUser\", #{ Identity: \"alice\" });"),
        ("wrong_cmdlet_parameter", "ps(\"Set-CsPersistentChatState\", #{ Idendity: \"x\", PoolState: \"FailedOver\" });"),
        ("wrong_cmdlet_value", "ps(\"Set-CsPersistentChatState\", #{ Identity: \"x\", PoolState: \"Failed\" });"),
    ] {
        runbook(&format!("{begin}step(\"Look\", || {{\n    {line}\n}});\n")).exits(1).nothing_changed().drawn(&format!("call_{name}"));
    }
}

#[test]
fn a_failed_statement_inside_a_module_shows_every_message_and_each_caller() {
    let text = "import \"databases\" as databases;\nstep(\"Bring it online\", || {\n    databases::bring_online(\"backup\", \"mgx\", \"DR-SQL-01\\\\RTC\");\n});\n";
    runbook(text).exits(1).mgc("RESTORING", 12).drawn("sql_in_a_module");
}

#[test]
fn a_wrapper_never_hides_the_first_error() {
    // 5061 says why, 5069 wraps it
    let text = "step(\"Offline\", || sql(\"backup\", \"ALTER DATABASE mgc SET OFFLINE\"));\n";
    runbook(text).exits(1).mgc("RESTORING", 12).drawn("sql_wrapper");
}

#[test]
fn an_error_that_no_catalogue_knows() {
    runbook("query(\"backup\", \"SELECT * FROM sys.databses\");").exits(1).drawn("sql_unknown_object");
    runbook("sql(\"backup\", \"RAISERROR('the tape is full', 16, 3)\");").exits(1).drawn("sql_raised");
}

#[test]
fn a_restore_of_the_wrong_log() {
    // the log that follows next is `...003000`
    let text = "step(\"Restore\", || sql(\"backup\", \"RESTORE LOG mgc FROM DISK = 'D:\\\\LogShip\\\\mgc_20260717010000.trn' WITH NORECOVERY, STATS = 25\"));\n";
    runbook(text).exits(1).mgc("RESTORING", 12).drawn("sql_restore_4305");
}

#[test]
fn information_stands_among_the_errors_in_order() {
    let text = "sql(\"backup\", \"PRINT 'one'; RAISERROR('two', 10, 1); RAISERROR('three', 16, 2); PRINT 'four'; EXEC msdb.dbo.sp_update_job @job_name = 'nowhere', @enabled = 0\");\n";
    runbook(text).exits(1).drawn("sql_messages_in_order");
}

#[test]
fn values_used_wrongly() {
    let rows = "let rows = query(\"backup\", \"SELECT name, state FROM sys.databases\").rows;\n";
    for (name, line) in [
        ("column", "note(rows[0].nme);"),
        ("row", "note(rows[99].name);"),
        ("no_row", "note(rows.filter(|row| row.state == 9).first().name);"),
        ("no_boolean", "wait_until(\"x\", \"1s\", || 5);"),
        ("change_in_a_test", "wait_until(\"x\", \"1s\", || { sql(\"backup\", \"KILL 99\"); true });"),
        ("thrown", "throw \"no further\";"),
    ] {
        runbook(&format!("{rows}{line}\n")).exits(1).nothing_changed().drawn(&format!("value_{name}"));
    }
}

#[test]
fn a_caught_failure_is_told_where_it_happened() {
    let text = "try { query(\"backup\", \"SELECT nme FROM sys.databases\"); } catch (failure) { note(`went on after ${failure.number}`); }\nfail(\"no further\", \"ask somebody\");\n";
    runbook(text).exits(1).says("Invalid column name").says("went on after 207").drawn("fail_after_a_caught_failure");
}

#[test]
fn a_change_that_does_not_show() {
    let text = "step(\"Change\", || sql(\"backup\", \"EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0\", #{ done_when: || query(\"backup\", \"SELECT 1 AS there FROM sys.databases WHERE name = 'nowhere'\").rows.len() == 1 }));\n";
    runbook(text).exits(1).drawn("not_verified");
    let text = "step(\"Change\", || sql(\"backup\", \"EXEC msdb.dbo.sp_update_job @job_name = 'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0\", #{ done_when: || query(\"backup\", \"SELECT nme FROM sys.databases\").rows.len() == 1 }));\n";
    runbook(text).exits(1).nothing_changed().drawn("test_fails_before_the_change");
    let text = "wait_until(\"the database to come\", \"50ms\", || query(\"backup\", \"SELECT 1 AS there FROM sys.databases WHERE name = 'nowhere'\").rows.len() == 1, #{ every: \"20ms\" });\n";
    runbook(text).exits(1).drawn("waited_in_vain");
}

#[test]
fn a_runbook_whose_text_is_wrong_is_refused_before_anything_begins() {
    for (name, text) in [
        ("typo", "import \"databases\" as databases;\nlet x = databases::stat(\"backup\", \"mgc\");\nqery(\"backup\", \"SELECT 1\");\n"),
        ("syntax", "let x = 1\nnote(\"x\");\n"),
        ("reserved_word", "let x = #{ until: 5 };\n"),
        ("eval", "eval(\"1\");\n"),
        ("unknown_module", "import \"databses\" as databases;\ndatabases::identity(\"backup\");\n"),
    ] {
        let case = runbook(text).exits(2).drawn(&format!("text_{name}"));
        assert_eq!(case.statements(), Vec::<String>::new());
    }
}

#[test]
fn an_endless_loop_ends() {
    runbook("let n = 0;\nwhile true { n += 1; }\n").exits(1).drawn("text_endless");
}

#[test]
fn a_stop_says_where_it_stopped() {
    let world = World::new();
    world.write("scenario.toml", NOW);
    world.write("mine.rhai", "step(\"Ask\", || confirm(\"Go on?\"));\n");
    let ended = world.cutover("rehearse @/mine.rhai --keep @/kept --pace 0 --scenario @/scenario.toml");
    Case { world, ended, folder: "kept" }.exits(3).drawn("no_answer");
}

// ---- the site file and the command line ----

const SIX_ERRORS: &str = "\
[site]
name = \"litwareinc\"
pol = \"atl-cs-001.litwareinc.com\"
pool = \"atl-cs-001\"
database = 5

[sql.backup]
server = \"dr-sql-01.litwareinc.com\"
prt = 50421
auth = { user = \"cutover\", password = \"secret\" }

[backups]
share = 'LogShip'
";

#[test]
fn every_mistake_of_a_site_file_is_shown_at_once() {
    let case = command("run mine.rhai --site site.toml", |world| {
        world.write("mine.rhai", "note(\"x\");");
        world.write("site.toml", SIX_ERRORS);
    });
    let case = case.exits(2).drawn("site_with_many_errors");
    assert!(!case.ended.stderr.contains("secret"), "the password is shown");
}

#[test]
fn overrides_with_a_mistake_are_pointed_at() {
    site_with("--set sql.backup.prt=5 --set vars.x --set site.pool=5", |_, _| {}).exits(2).drawn("site_override");
    site_with("--set site.pool=atl-cs-009", |_, _| {}).exits(2).drawn("site_override_value");
}

#[test]
fn a_password_file_that_is_missing() {
    let case = site(|_, lab| lab.edit_site(|text| text.replacen("file = \"password\"", "file = \"nowhere\"", 1)));
    case.exits(2).drawn("site_password_missing");
}

#[test]
fn a_certificate_file_that_is_missing() {
    let case = site(|_, lab| lab.edit_site(|text| text.replacen("ca = \"lab.crt\"", "ca = \"nowhere.pem\"", 1)));
    case.exits(2).drawn("site_ca_missing");
}

#[test]
fn what_a_command_line_gets_wrong() {
    for (name, code, arguments) in [
        ("no_runbook", 2, "run nowhere.rhai --site site.toml"),
        ("no_site", 2, "run mine.rhai --site nowhere.toml"),
        ("no_site_named", 2, "run mine.rhai"),
        ("unknown_scenario", 2, "rehearse --scenario missing-logs"),
        ("no_scenario_file", 2, "rehearse --scenario nowhere.toml"),
        ("bad_scenario", 2, "rehearse --scenario bad.toml"),
        ("folder_not_empty", 2, "rehearse --keep full"),
        ("rehearse_no_runbook", 2, "rehearse nowhere.rhai --pace 0"),
        ("unknown_command", 2, "reherse"),
        ("unknown_primitive", 2, "docs sqll"),
    ] {
        let case = command(arguments, |world| {
            world.write("mine.rhai", "note(\"x\");");
            world.write("full/file", "");
            world.write("bad.toml", "logs = 3\naplied = 1\n");
            if name == "no_runbook" {
                let site = "[site]\nname = \"x\"\npool = \"a.b.c\"\n[sql.backup]\nserver = \"127.0.0.1\"\nauth = { user = \"x\", password = { prompt = true } }\n[backups]\nshare = '/x'\ncopy_to = '/y'\n";
                world.write("site.toml", site);
            }
        });
        case.exits(code).drawn(&format!("command_{name}"));
    }
}
