//! The script that step 1 keeps: after a stop before step 4, run by hand, log shipping works again, as it was.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Serving, World, repository};
use cutover::sqlserver::{Answer, Batch, Failure, Row, Servers, Value};
use serde_json::{Value as Json, json};

const JOBS: [&str; 2] = ["LSCopy_PCHAT-SQL-01_mgc", "LSRestore_PCHAT-SQL-01_mgc"];

/// A lab whose newest five log backups have not come yet, a person's connection to it, and how log shipping is set up.
struct Scene {
    world: World,
    lab: Serving,
    hand: Servers,
    runtime: tokio::runtime::Runtime,
    before: Vec<Vec<(String, Value)>>,
}

/// The last statement that a run makes before it stops; the runbook is the stock one otherwise.
fn stops_after(line: &str) -> String {
    let stock = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    let edited = stock.replace(line, &format!("{line}\n    fail(\"the operator is called away\", \"go on later\");"));
    assert_ne!(stock, edited, "no such line: {line}");
    edited
}

const JOBS_DISABLED: &str = "log_shipping::quiet(\"backup\", facts.shipping.rows[0], \"10m\");";
const REMOVED: &str = "if at == \"now\" { remove_log_shipping(db, server_name, facts.shipping, kept); }";

fn backups(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".trn")).collect()
}

impl Scene {
    fn new(scenario: &str) -> Self {
        let world = World::new();
        let file = world.write("scene.toml", scenario);
        let lab = world.lab(&format!("--pace 0 --scenario {}", file.display()));
        std::fs::create_dir(world.path("later")).unwrap();
        for name in backups(&world.path("lab/share")).iter().rev().take(5) {
            std::fs::rename(world.path("lab/share").join(name), world.path("later").join(name)).unwrap();
        }
        let hand = common::servers(&lab.site(), "SQL Server Management Studio");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut scene = Self { world, lab, hand, runtime, before: Vec::new() };
        scene.before = scene.settings();
        assert_eq!(scene.before.len(), 3, "a row and a schedule for each job");
        scene
    }

    fn send(&self, text: &str) -> Result<Answer, Failure> {
        self.runtime.block_on(self.hand.run("backup", &Batch::change(text)))
    }

    /// Everything that is set up, without what names this incarnation of it or tells how far it is.
    fn settings(&self) -> Vec<Vec<(String, Value)>> {
        let help = self.send("EXEC master.dbo.sp_help_log_shipping_secondary_database @secondary_database = N'mgc'").unwrap();
        let schedules = "SELECT j.name AS job, s.* FROM msdb.dbo.sysjobschedules js JOIN msdb.dbo.sysschedules s \
                         ON s.schedule_id = js.schedule_id JOIN msdb.dbo.sysjobs j ON j.job_id = js.job_id ORDER BY j.name";
        let schedules = self.send(schedules).unwrap();
        let lasting = |name: &str| {
            let own = ["secondary_id", "copy_job_id", "restore_job_id", "schedule_id", "schedule_uid"];
            !own.contains(&name) && !name.starts_with("last_")
        };
        let cells = |row: &Row| row.iter().filter(|(name, _)| lasting(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        help.rows().iter().chain(schedules.rows()).map(cells).collect()
    }

    /// Runs a runbook to its failure; the script that it kept.
    fn fails(&self, runbook: &Path) -> String {
        let line = format!("run {} --new --site {} --yes", runbook.display(), self.lab.site().display());
        self.world.cutover(&line).exits(1).says("undo-step-1.sql");
        let runs = std::fs::read_dir(self.world.path("lab/runs")).unwrap().map(|run| run.unwrap().path().join("undo-step-1.sql"));
        std::fs::read_to_string(runs.filter(|file| file.exists()).max().unwrap()).unwrap()
    }

    fn stock(&self) -> PathBuf {
        repository("runbooks/pchat-failover.rhai")
    }

    #[track_caller]
    fn is_set_up_as_before(&self) {
        assert_eq!(self.settings(), self.before);
    }

    /// The log backups that were still to come are there now, and both jobs run: copied and restored to the last one.
    #[track_caller]
    fn ships_on(&self) {
        for name in backups(&self.world.path("later")) {
            std::fs::rename(self.world.path("later").join(&name), self.world.path("lab/share").join(&name)).unwrap();
        }
        for job in JOBS {
            self.send(&format!("EXEC msdb.dbo.sp_start_job @job_name = N'{job}'")).unwrap();
        }
        let outcomes = "SELECT j.name, s.last_run_outcome, s.last_outcome_message FROM msdb.dbo.sysjobs j \
                        JOIN msdb.dbo.sysjobservers s ON s.job_id = j.job_id ORDER BY j.name";
        let answer = self.send(outcomes).unwrap();
        assert!(answer.rows().iter().all(|row| row["last_run_outcome"] == Value::Int(1)), "{:?}", answer.rows());
        assert_eq!(backups(&self.world.path("lab/copy")), backups(&self.world.path("lab/share")));
    }

    /// Ends the lab; what is left of the backup server.
    fn end(self) -> Json {
        self.runtime.block_on(self.hand.close());
        self.lab.stop();
        self.world.json("lab/world.json")["servers"]["backup"].clone()
    }
}

#[track_caller]
fn assert_ships(end: &Json, in_standby: bool) {
    let mgc = &end["databases"]["mgc"];
    let state = if in_standby { "ONLINE" } else { "RESTORING" };
    assert_eq!((&mgc["state"], &mgc["in_standby"], &mgc["logs_applied"]), (&state.into(), &in_standby.into(), &24.into()), "{end:#}");
    let schedules = ["DefaultCopyJobSchedule", "DefaultRestoreJobSchedule"];
    let jobs = JOBS.map(String::from).into_iter().zip(schedules);
    let jobs: Vec<Json> =
        jobs.map(|(name, schedule)| json!({"name": name, "enabled": true, "running": false, "schedules": [schedule]})).collect();
    assert_eq!(end["jobs"], Json::Array(jobs));
    let [row] = end["log_shipping_secondaries"].as_array().unwrap().as_slice() else { panic!("{end:#}") };
    assert_eq!(
        (&row["secondary_database"], &row["primary_server"], &row["primary_database"]),
        (&"mgc".into(), &"PCHAT-SQL-01".into(), &"mgc".into())
    );
    assert_eq!(row["last_copied_file"], row["last_restored_file"], "both came to the newest one");
}

/// Log shipping is gone, and three of the log backups were applied, when the fourth cannot be.
#[test]
fn after_the_removal_and_some_restores_it_ships_on() {
    let scene = Scene::new("[[fault]]\nkind = \"restore-fails\"\nnth = 4\nnumber = 3203\n");
    let script = scene.fails(&scene.stock());
    assert_eq!(scene.settings(), [] as [Vec<_>; 0], "it was removed");
    scene.send(&script).unwrap();
    scene.is_set_up_as_before();
    scene.ships_on();
    assert_ships(&scene.end(), false);
}

#[test]
fn after_the_removal_alone_it_ships_on() {
    let scene = Scene::new("");
    let script = scene.fails(&scene.world.write("mine/failover.rhai", &stops_after(REMOVED)));
    assert_eq!(scene.settings(), [] as [Vec<_>; 0], "it was removed");
    scene.send(&script).unwrap();
    scene.is_set_up_as_before();
    scene.ships_on();
    assert_ships(&scene.end(), false);
}

/// A run that is begun again finds the jobs as the first one left them; its script enables them all the same.
#[test]
fn after_the_jobs_were_disabled_they_are_enabled_again() {
    let scene = Scene::new("");
    let runbook = scene.world.write("mine/failover.rhai", &stops_after(JOBS_DISABLED));
    let first = scene.fails(&runbook);
    let second = scene.fails(&runbook);
    assert_ne!(first, second);
    for job in JOBS {
        assert!(second.contains(&format!("-- {job} was disabled when this was written")), "{second}");
    }
    scene.send(&second).unwrap();
    scene.is_set_up_as_before();
    scene.send(&first).unwrap();
    scene.is_set_up_as_before();
    scene.ships_on();
    assert_ships(&scene.end(), false);
}

#[test]
fn running_it_more_than_once_does_no_harm() {
    let scene = Scene::new("[[fault]]\nkind = \"restore-fails\"\nnth = 2\nnumber = 3203\n");
    let script = scene.fails(&scene.stock());
    let ids = |scene: &Scene| {
        let ids = "SELECT secondary_id, copy_job_id, restore_job_id FROM msdb.dbo.log_shipping_secondary";
        scene.send(ids).unwrap().rows().to_vec()
    };
    scene.send(&script).unwrap();
    let made = ids(&scene);
    scene.send(&script).unwrap();
    assert_eq!(ids(&scene), made, "nothing is made anew");
    scene.is_set_up_as_before();
    scene.ships_on();
    scene.send(&script).unwrap();
    scene.is_set_up_as_before();
    assert_ships(&scene.end(), false);
}

/// Half of it failed, in whichever half: the rest is made up for.
#[test]
fn what_is_there_in_part_is_made_whole() {
    let scene = Scene::new("");
    let script = scene.fails(&scene.world.write("mine/failover.rhai", &stops_after(REMOVED)));
    scene.send(&script).unwrap();
    scene.send("EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0").unwrap();
    let add = &script[script.find("EXEC master.dbo.sp_add_log_shipping_secondary_primary").unwrap()..];
    let add = &add[..add.find(';').unwrap()];
    scene.send("EXEC master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = N'mgc'").unwrap();
    scene.send(add).unwrap();
    scene.send(&script).unwrap();
    scene.is_set_up_as_before();
    scene.ships_on();
    assert_ships(&scene.end(), false);
}

/// The monitor server is usually the primary itself: it cannot be told of anything.
#[test]
fn a_monitor_that_died_with_the_primary_is_done_without() {
    let scene = Scene::new("[[fault]]\nkind = \"monitor-silent\"\n\n[[fault]]\nkind = \"restore-fails\"\nnth = 3\nnumber = 3203\n");
    let script = scene.fails(&scene.stock());
    assert_eq!(scene.settings(), [] as [Vec<_>; 0], "it was removed");
    let answer = scene.send(&script).unwrap();
    let said: Vec<&str> = answer.messages.iter().filter(|m| m.number == 0).map(|m| m.text.as_str()).collect();
    let once_more = "once more without the monitor server: There was an error establishing a link to the remote monitor server.";
    assert_eq!(said, [once_more; 2]);
    scene.is_set_up_as_before();
    scene.ships_on();
    assert_ships(&scene.end(), false);
}

/// A database that was readable between restores is so again after the next one, and open to its readers.
#[test]
fn a_standby_is_a_standby_again() {
    let scene = Scene::new("standby = true\nreaders = 1\n\n[[fault]]\nkind = \"restore-fails\"\nnth = 3\nnumber = 3203\n");
    let script = scene.fails(&scene.stock());
    scene.send(&script).unwrap();
    scene.is_set_up_as_before();
    scene.ships_on();
    let open = "SELECT user_access_desc FROM sys.databases WHERE name = N'mgc'";
    assert_eq!(scene.send(open).unwrap().value(), Some(&Value::Text("MULTI_USER".into())));
    assert_ships(&scene.end(), true);
}

#[test]
fn once_the_database_is_online_it_refuses() {
    let scene = Scene::new("[[shell-fault]]\nkind = \"cms-read-only\"\n");
    let line = format!("run {} --new --site {} --yes", scene.stock().display(), scene.lab.site().display());
    let ended = scene.world.cutover(&line).exits(1);
    assert!(!ended.stderr.contains("this brings log shipping back"), "it has expired: {}", ended.stderr);
    let run = std::fs::read_dir(scene.world.path("lab/runs")).unwrap().next().unwrap().unwrap().path();
    let failure = scene.send(&std::fs::read_to_string(run.join("undo-step-1.sql")).unwrap()).unwrap_err();
    assert_eq!(failure.number(), Some(50_000));
    let end = scene.end();
    assert_eq!((&end["databases"]["mgc"]["state"], &end["log_shipping_secondaries"]), (&"ONLINE".into(), &json!([])));
}
