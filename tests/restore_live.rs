//! Planning and applying log backups over a real socket, with real files, against the lab's SQL Server: what is sent, in
//! which order, and how the server stands afterwards.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;

use cutover::lab::{Lab, LabOptions, Scenario};
use cutover::sqlserver::chain_failure::ChainFailure;
use cutover::sqlserver::headers::{HeaderCache, Listed};
use cutover::sqlserver::restore::{Chain, Hooks, Keep, OnServer, Order, Restored, apply, plan};
use cutover::sqlserver::{Password, Security, Servers, Target};
use serde_json::Value;
use tempfile::TempDir;

/// A lab and the way to its backup instance.
struct Scene {
    lab: Lab,
    dir: TempDir,
    site: toml::Table,
    instance: OnServer,
}

const HOOKS: Hooks<'static> = Hooks { stop: &|| false, progress: &|_| () };

impl Scene {
    async fn open(scenario: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let lab = Lab::start(LabOptions {
            scenario: Scenario::parse("scene.toml", scenario).unwrap(),
            seed: 1,
            pace: 0.0,
            dir: dir.path().to_owned(),
            listen: "127.0.0.1".parse().unwrap(),
            shell_program: "no shell is needed here".into(),
        })
        .await
        .unwrap();
        let site: toml::Table = fs::read_to_string(lab.site_file()).unwrap().parse().unwrap();
        let backup = &site["sql"]["backup"];
        let password = fs::read_to_string(dir.path().join("password")).unwrap();
        let user = backup["auth"]["user"].as_str().unwrap();
        let port = backup["port"].as_integer().unwrap().try_into().unwrap();
        let mut target = Target::new("backup", "127.0.0.1", port, user, Password::known(password.trim_end()));
        target.security = Security::Verify { ca: Some(dir.path().join("lab.crt")) };
        let instance = OnServer { servers: Servers::new([target]), key: "backup".into(), cancel: None, on_message: None };
        Self { lab, dir, site, instance }
    }

    fn folder(&self, key: &str) -> &str {
        self.site["backups"][key].as_str().unwrap()
    }

    /// What step 2 of the procedure does.
    fn copy_the_rest(&self) {
        for file in listed(Path::new(self.folder("share"))) {
            let to = Path::new(self.folder("copy_to")).join(&file.name);
            if !file.name.ends_with(".wrk") && !to.exists() {
                fs::copy(Path::new(self.folder("share")).join(&file.name), to).unwrap();
            }
        }
    }

    async fn planned(&self) -> Result<Chain, ChainFailure> {
        let files = listed(Path::new(self.folder("copy_to")));
        plan(&self.instance, &self.order(&files), &HeaderCache::default(), HOOKS).await
    }

    async fn restored(&self) -> Result<Restored, ChainFailure> {
        let files = listed(Path::new(self.folder("copy_to")));
        let order = self.order(&files);
        let chain = plan(&self.instance, &order, &HeaderCache::default(), HOOKS).await?;
        apply(&self.instance, &order, &chain, HOOKS).await
    }

    fn order<'a>(&'a self, files: &'a [Listed]) -> Order<'a> {
        Order {
            alone: false,
            server: "backup",
            database: "mgc",
            folder_on_server: self.folder("copy_to_on_server"),
            files,
            matching: "*.trn",
            keep: Keep::NoRecovery,
            now: jiff::Timestamp::now(),
        }
    }

    /// The database in `world.json`, and every text that the server received.
    async fn close(self) -> (Value, Vec<String>) {
        self.instance.servers.close().await;
        self.lab.stop().await.unwrap();
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap();
        let world: Value = serde_json::from_str(&read("world.json")).unwrap();
        let wire = read("wire.jsonl");
        let texts = wire.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["text"].as_str().unwrap().to_owned()
        });
        (world["servers"]["backup"]["databases"]["mgc"].clone(), texts.collect())
    }
}

fn listed(folder: &Path) -> Vec<Listed> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let file = |entry: fs::DirEntry| {
        let data = entry.metadata().unwrap();
        Listed {
            name: entry.file_name().to_str().unwrap().to_owned(),
            bytes: data.len(),
            modified: data.modified().ok().and_then(|at| at.try_into().ok()),
        }
    };
    entries.map(file).collect()
}

fn count(texts: &[String], start: &str) -> usize {
    texts.iter().filter(|text| text.starts_with(start)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_logs_are_applied_in_order_and_no_header_of_an_old_one_is_read() {
    let scene = Scene::open("utc-offset-minutes = -480").await;
    scene.copy_the_rest();
    let restored = scene.restored().await.unwrap();
    assert_eq!((restored.applied.len(), restored.headers_asked), (12, 14));
    assert!(restored.applied.windows(2).all(|pair| pair[0].last_lsn == pair[1].first_lsn), "{restored:?}");
    assert_eq!(restored.loss.offset_minutes, Some(-480));
    assert!(restored.loss.could_not_serve.is_empty(), "{:?}", restored.loss.lines());
    // once more: nothing is left
    let again = scene.restored().await.unwrap();
    assert_eq!((again.applied.len(), again.headers_asked, again.last_lsn), (0, 2, restored.last_lsn));

    let (mgc, texts) = scene.close().await;
    assert_eq!(mgc["state"], "RESTORING");
    assert_eq!(mgc["logs_applied"], 24);
    assert_eq!(mgc["redo_lsn"], restored.last_lsn.to_string());
    assert_eq!((count(&texts, "RESTORE LOG [mgc]"), count(&texts, "RESTORE HEADERONLY")), (12, 16));
    assert_eq!(count(&texts, "RESTORE VERIFYONLY"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_middle_log_stops_before_any_restore() {
    let scene = Scene::open("[[fault]]\nkind = 'missing-log'\nlog = 18\n").await;
    scene.copy_the_rest();
    let failure = scene.restored().await.unwrap_err();
    assert!(matches!(failure, ChainFailure::Gap { .. }), "{failure}");
    let (mgc, texts) = scene.close().await;
    assert_eq!((mgc["state"].as_str(), mgc["logs_applied"].as_u64()), (Some("RESTORING"), Some(12)));
    assert_eq!(count(&texts, "RESTORE LOG"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_files_are_left_out_and_the_chain_is_whole() {
    let faults = "
        [[fault]]\nkind = 'several-sets'\nlog = 14\nlast = 15\n
        [[fault]]\nkind = 'empty-log'\nlog = 17\n
        [[fault]]\nkind = 'copy-only-log'\nlog = 18\n
        [[fault]]\nkind = 'other-database'\nlog = 19\n
        [[fault]]\nkind = 'other-fork'\nlog = 20\n";
    let scene = Scene::open(faults).await;
    scene.copy_the_rest();
    let chain = scene.planned().await.unwrap();
    assert!(chain.plan.gap.is_none() && chain.plan.branch.is_none(), "{:?}", chain.plan);
    let restored = scene.restored().await.unwrap();
    assert_eq!(restored.applied.len(), 12);
    let (mgc, _) = scene.close().await;
    assert_eq!(mgc["redo_lsn"], restored.last_lsn.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_stops_with_its_name() {
    for fault in ["kind = 'truncated-log'\nlog = 20", "kind = 'empty-file'\nlog = 24", "kind = 'damaged-log'\nlog = 24"] {
        let scene = Scene::open(&format!("[[fault]]\n{fault}\n")).await;
        scene.copy_the_rest();
        let Err(failure) = scene.restored().await else { panic!("{fault} went unnoticed") };
        assert!(
            matches!(failure, ChainFailure::Gap { .. } | ChainFailure::Unreadable { .. } | ChainFailure::Refused { .. }),
            "{fault}: {failure}"
        );
        assert!(failure.to_string().contains(".trn"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_standby_goes_on_from_its_history() {
    let scene = Scene::open("standby = true").await;
    scene.copy_the_rest();
    let restored = scene.restored().await.unwrap();
    assert_eq!(restored.applied.len(), 12);
    let (mgc, _) = scene.close().await;
    assert_eq!((mgc["state"].as_str(), mgc["in_standby"].as_bool()), (Some("RESTORING"), Some(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_who_restores_at_the_same_time_is_noticed() {
    let scene = Scene::open("[[fault]]\nkind = 'restore-fails'\nnth = 3\nnumber = 4326\n").await;
    scene.copy_the_rest();
    let failure = scene.restored().await.unwrap_err();
    assert!(matches!(failure, ChainFailure::SomebodyElse { .. }), "{failure}");
    assert_eq!(failure.applied(), 2);
    // and with the colleague gone, the rest follows
    assert_eq!(scene.restored().await.unwrap().applied.len(), 10);
}
