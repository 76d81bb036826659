//! Every example is run: those of each `--help`, and the blocks of shell and Rhai in the README and in docs/, in their order. Each
//! page has a folder of its own, as a site would have it, and a lab for its site. What stands for something else in an example (a
//! run's name, a server, a folder at the root) is put in before, and questions are answered with yes. Of all scenarios two are
//! rehearsed, unless CUTOVER_CASES is `full`.
#![cfg(all(feature = "lab", unix))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::cases::cases;
use common::{CUTOVER, Serving, World, commands, copy_folder, repository, start, wait_for};

/// What is not run here: the page, the beginning of the line, and why. It fails when a page has no such line any more.
const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --locked -- rehearse --yes", "`.ci/run` runs it as printed, which tests/readme.rs compares"),
    ("README.md", "cargo test --locked", "it runs this test"),
    ("README.md", "cargo install --path . --locked", "it builds for minutes what is run here"),
    ("docs/connections.md", "Get-ChildItem Cert:", "it reads the certificates of a Windows machine"),
];

/// Whose blocks of Rhai other tests run: they are written by the program from the same texts.
const RUN_ELSEWHERE: &[(&str, &str)] = &[
    ("docs/reference.md", "every_example_of_every_primitive_runs_in_the_lab"),
    ("docs/rules.md", "every_example_of_a_page_is_what_it_says"),
];

/// Whose blocks of Rhai are about `check` and are checked alone.
const CHECKED_ALONE: &str = "docs/check.md";

/// Examples that are run one after the other in one folder.
struct Block {
    /// words of a command, or a file of the repository
    page: String,
    lines: Vec<String>,
}

/// The examples of every `--help`. Each stands for itself, but where a lab is started the others are for its other terminal.
fn of_helps(world: &World) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (words, help) in commands(world) {
        let page = format!("cutover {words} --help");
        // in the list where each shell looks for completions, the shell's name stands before
        let example = |line: &str| {
            let line = line.strip_prefix("  ")?;
            let after_name = line.split_once("  ").map_or("", |(_, rest)| rest.trim_start());
            [line, after_name].into_iter().find(|text| text.starts_with("cutover ")).map(str::to_owned)
        };
        let lines: Vec<String> = help.lines().filter_map(example).collect();
        assert!(!lines.is_empty(), "{page}: {help}");
        if lines.iter().any(|line| line.starts_with("cutover lab")) {
            blocks.push(Block { page, lines });
        } else {
            blocks.extend(lines.into_iter().map(|line| Block { page: page.clone(), lines: vec![line] }));
        }
    }
    blocks
}

/// The README and the pages of docs/.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(repository("docs")).unwrap().map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let mut pages: Vec<String> = docs.filter(|page| page.ends_with(".md")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// The blocks of a page whose language is one of these.
fn blocks(page: &str, languages: &[&str]) -> Vec<Block> {
    let text = fs::read_to_string(repository(page)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut language = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(_), Some(_)) => language = None,
            (Some(found), None) => {
                assert!(["", "sh", "powershell", "rhai", "text", "json", "toml"].contains(&found), "{page}: who runs `{found}`?");
                language = Some(found);
                if languages.contains(&found) {
                    blocks.push(Block { page: page.to_owned(), lines: Vec::new() });
                }
            }
            (None, Some(inside)) if languages.contains(&inside) && !line.is_empty() => {
                blocks.last_mut().unwrap().lines.push(line.to_owned());
            }
            _ => {}
        }
    }
    blocks
}

/// A folder as a site has it, with a lab for its site.
struct Scene {
    world: World,
    /// the name of a run that was stopped at its first question
    run: Option<String>,
    labs: Vec<Child>,
    site: Option<Serving>,
}

impl Scene {
    fn of(block: &Block) -> Self {
        let world = World::new();
        copy_folder(&repository("runbooks"), &world.path("runbooks"));
        for (from, to) in [("pchat-failover.rhai", "mine/failover.rhai"), ("scenarios/quiet.toml", "mine/scenarios/ours.toml")] {
            world.write(to, &fs::read_to_string(repository("runbooks").join(from)).unwrap());
        }
        // where an installation has them
        for folder in ["bin", "home/.local/share/bash-completion/completions", "home/.config/fish/completions", "home/.config/elvish"] {
            fs::create_dir_all(world.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(CUTOVER, world.path("bin/cutover")).unwrap();
        let mut scene = Self { world, run: None, labs: Vec::new(), site: None };
        let has = |words: &[&str]| block.lines.iter().any(|line| words.iter().any(|word| line.contains(word)));
        if has(&["cutover run", "cutover resume", "cutover doctor", "--site", "--from-server"]) {
            scene.site = Some(scene.world.lab("--pace 0"));
            scene.write_site();
        }
        if has(&["cutover resume", "cutover runs"]) {
            scene.world.cutover("run runbooks/pchat-failover.rhai --site site.toml").exits(3);
            let folder = scene.world.run_folder("lab/runs");
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            for to in ["mnt/handover", "srv/cutover/runs"] {
                copy_folder(&folder, &scene.world.path(to).join(&name));
            }
            scene.run = Some(name);
        }
        scene
    }

    /// `site.toml` as somebody has edited it: that of the lab, beside its password and certificate.
    fn write_site(&self) {
        for file in ["site.toml", "password", "lab.crt"] {
            fs::copy(self.world.path("lab").join(file), self.world.path(file)).unwrap();
        }
    }

    /// A line as it is run: with what its placeholders stand for, and with a yes to every question.
    fn put_in(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for root in ["/tmp/", "/mnt/", "/srv/"] {
            line = line.replace(&format!(" {root}"), &format!(" {}", self.world.path(&root[1..]).display()));
        }
        if let Some(run) = &self.run {
            line = line.replace("2026-01-02T03-04-05Z-pchat-failover", run).replace(" RUN ", &format!(" {run} "));
        }
        if line.contains("dr-sql-01:50421") {
            let site: toml::Table = fs::read_to_string(self.world.path("site.toml")).unwrap().parse().unwrap();
            line = line.replace("dr-sql-01:50421", &format!("127.0.0.1:{}", site["sql"]["backup"]["port"]));
        }
        if line.contains("--all") && cases(10) < 10 {
            line = line.replace("--scenarios mine/scenarios", "--scenario mine/scenarios/ours.toml");
            line = line.replace("--all", "--all --scenario quiet --scenario missing-log");
        }
        let Some((before, rest)) = line.split_once("cutover ") else { return line };
        let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut more = String::new();
        let mut unless = |there: &str, options: &str| {
            if !line.contains(there) {
                more.push_str(options);
            }
        };
        match command {
            "run" | "resume" => unless("--yes", " --yes --approve bring-online"),
            "rehearse" if !line.contains("--all") => {
                unless("--yes", " --yes");
                unless("--pace", " --pace 0");
            }
            "lab" => unless("--pace", " --pace 0"),
            _ => {}
        }
        format!("{before}cutover {command}{more} {rest}")
    }

    /// Runs a line in a shell; what was wrong with it.
    fn run(&mut self, line: &str) -> Result<(), String> {
        let line = self.put_in(line);
        let mut shell = Command::new("bash");
        let path = format!("{}:{}", self.world.path("bin").display(), std::env::var("PATH").unwrap());
        // what shells other than this one know
        let others = "PROFILE=~/profile.ps1; fpath=('' ~);";
        shell.current_dir(self.world.path("")).stdin(Stdio::null()).env("PATH", path).env("HOME", self.world.path("home"));
        shell.env("XDG_STATE_HOME", self.world.path("state")).env("NO_COLOR", "1").env_remove("CUTOVER_LOG");
        if let Some(site) = &self.site {
            let password = fs::read_to_string(site.site().with_file_name("password")).unwrap();
            // as if the system knew the issuer
            shell.env("DR_SQL_01", password.trim()).env("SSL_CERT_FILE", site.site().with_file_name("lab.crt"));
        }
        if line.starts_with("cutover lab") {
            let talk = self.world.path(&format!("lab-{}.txt", self.labs.len()));
            shell.args(["-c", &format!("exec {line}")]).stdout(Stdio::null()).stderr(File::create(&talk).unwrap());
            self.labs.push(start(|| shell.spawn()).unwrap());
            wait_for(&line, || fs::read_to_string(&talk).unwrap().contains("serves until Ctrl-C"));
            return Ok(());
        }
        shell.args(["-c", &format!("set -o pipefail; {others} {line}")]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = start(|| shell.spawn()).unwrap().wait_with_output().unwrap();
        if line.starts_with("cp ") && self.site.is_some() {
            self.write_site();
        }
        if ended.status.success() {
            return Ok(());
        }
        let said = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n    ")
        };
        Err(format!("{line}\n  ended with {}\n    {}\n    {}", ended.status, said(&ended.stdout), said(&ended.stderr)))
    }

    fn end(mut self) -> Result<(), String> {
        for mut lab in self.labs.drain(..) {
            let killed = Command::new("kill").arg(lab.id().to_string()).status().unwrap();
            let status = lab.wait().unwrap();
            if !killed.success() || !status.success() {
                return Err(format!("the lab ended with {status}"));
            }
        }
        if let Some(site) = self.site.take() {
            site.stop();
        }
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // a test that failed must not leave a lab behind
        for lab in &mut self.labs {
            let _ = lab.kill();
            let _ = lab.wait();
        }
    }
}

#[test]
fn every_command_line_of_the_helps_the_readme_and_the_docs_runs() {
    let mut all = of_helps(&World::new());
    all.extend(pages().iter().flat_map(|page| blocks(page, &["", "sh", "powershell"])));
    let mut not_run = vec![0; NOT_RUN.len()];
    for block in &mut all {
        block.lines.retain(|line| {
            let listed = NOT_RUN.iter().position(|(page, start, _)| *page == block.page && line.starts_with(start));
            if let Some(listed) = listed {
                not_run[listed] += 1;
            }
            listed.is_none()
        });
    }
    for ((page, line, _), times) in NOT_RUN.iter().zip(not_run) {
        assert!(times > 0, "{page} has no `{line}` any more: take it out of the list");
    }
    all.retain(|block| !block.lines.is_empty());
    let count: usize = all.iter().map(|block| block.lines.len()).sum();
    assert!(count > 50, "{count}");
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(block) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut scene = Scene::of(block);
                    let ran = block.lines.iter().try_for_each(|line| scene.run(line));
                    if let Err(why) = ran.and_then(|()| scene.end()) {
                        failed.lock().unwrap().push(format!("{}: {why}", block.page));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {count} examples do not run:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_piece_of_a_runbook_in_the_readme_and_the_docs_runs() {
    let world = World::new();
    let elsewhere = ["tests/runbooks.rs", "tests/check_rules.rs"].map(|file| fs::read_to_string(repository(file)).unwrap()).concat();
    let mut run = 0;
    for page in pages() {
        if let Some((_, test)) = RUN_ELSEWHERE.iter().find(|(of, _)| *of == page) {
            assert!(elsewhere.contains(&format!("fn {test}()")), "{page}: `{test}` runs it no more");
            continue;
        }
        for block in blocks(&page, &["rhai"]) {
            run += 1;
            let file = world.write(&format!("{run}.rhai"), &(block.lines.join("\n") + "\n"));
            let checked = world.cutover(&format!("check {}", file.display()));
            assert_eq!(checked.code, 0, "{page}: {}", checked.stdout);
            if page != CHECKED_ALONE {
                world.cutover(&format!("rehearse {} --yes --pace 0", file.display())).exits(0);
            }
        }
    }
    assert!(run > 1, "{run}");
}
