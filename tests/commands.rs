//! What all commands have in common, looped over the tree of commands as `--help` tells it: summaries, examples, streams, what was
//! probably meant, completions, manual pages, colour, and the log.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::process::{Command, Stdio};

use common::{CUTOVER, Ended, World, commands, squeezed};

#[test]
fn every_command_has_a_summary_examples_and_a_short_help() {
    let world = World::new();
    let all = commands(&world);
    let names: Vec<&str> = all.iter().map(|(words, _)| words.as_str()).collect();
    for name in ["run", "resume", "runs", "runs show", "runs verify", "explain", "completions", "man"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"lab-shell"), "what only the program calls is not shown");
    for (words, long) in &all {
        let summary = long.lines().next().unwrap();
        assert!(!summary.ends_with('.') && summary.starts_with(char::is_uppercase), "{words}: {summary}");
        let examples: Vec<&str> = long.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{words}: {long}")).lines().collect();
        assert!(!examples.is_empty() && examples.iter().all(|line| line.starts_with("  cutover")), "{words}: {examples:?}");
        let short = world.cutover(&format!("{words} -h")).exits(0);
        assert!(short.stdout.lines().count() <= long.lines().count() && short.stdout.starts_with(summary), "{words}");
        for option in ["--quiet", "--verbose", "--log"] {
            assert!(short.stdout.contains(option), "{words} lacks {option}");
        }
    }
    for (code, meaning) in cutover::cli::exit::TABLE {
        assert!(all[0].1.contains(&format!("\n  {code}  {meaning}\n")), "{}", all[0].1);
    }
    // none named: the short help, to whoever typed it
    let alone = world.cutover("").exits(2);
    assert_eq!((alone.stdout.as_str(), alone.stderr.trim_end()), ("", world.cutover("-h").exits(0).stdout.trim_end()));
}

#[test]
fn what_was_probably_meant_is_told() {
    let world = World::new();
    world.write("runbooks/pchat-failover.rhai", "step(\"x\", || note(\"x\"));");
    world.write("site.toml", "");
    for (arguments, says) in [
        ("rehears", "a similar subcommand exists: 'rehearse'"),
        ("runs shwo x", "a similar subcommand exists: 'show'"),
        ("rehearse --sceario x", "a similar argument exists: '--scenario'"),
        ("check --format humn", "a similar value exists: 'human'"),
        ("completions bsh", "a similar value exists: 'bash'"),
        (
            "run pchat-failover",
            "did you mean `runbooks/pchat-failover.rhai`? Else give the path of a `.rhai` file; looked in `.` and `runbooks`",
        ),
        (
            "run runbooks/pchat-failvoer.rhai",
            "did you mean `runbooks/pchat-failover.rhai`? Else give the path of a `.rhai` file; looked in `runbooks`",
        ),
        ("rehearse nothing-like-it.rhai", "help: give the path of a `.rhai` file; looked in `.` and `runbooks`"),
        ("rehearse --scenario missing-lgo", "did you mean `missing-log`?"),
        ("rehearse --all --scenario quite", "did you mean `quiet`?"),
        ("explain 4306x", "`cutover explain` lists what can be explained"),
        ("explain chain_servr", "did you mean `chain_server`?"),
        ("explain unreadable", "name one of `check::unreadable`, `cli::unreadable`"),
        ("docs restore_log", "did you mean `restore_logs`?"),
        ("docs pchat::pol", "did you mean `pchat::pool`?"),
    ] {
        let ended = world.cutover(arguments).exits(2).says(says);
        assert!(ended.stdout.is_empty(), "{arguments}: mistakes are talk: {}", ended.stdout);
    }
}

#[test]
fn a_run_that_was_probably_meant_is_told_and_an_error_ends_with_its_page() {
    let world = World::new();
    world.write("one.rhai", "step(\"x\", || note(\"x\"));");
    world.cutover("rehearse one.rhai --yes --pace 0 --keep @/kept").exits(0);
    let name = world.run_folder("kept/runs").file_name().unwrap().to_str().unwrap().to_owned();
    let misspelt = name.replace("-one", "-oen");
    for command in ["runs show", "runs verify", "resume"] {
        world.cutover(&format!("{command} {misspelt} --journal kept/runs")).exits(2).says(&format!("did you mean `{name}`?"));
    }
    // a port that nothing listens on
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.write("password", "x");
    let init = |password: &str| {
        let mut command = world.command("init mine");
        command.args(["--from-server", &format!("sa@127.0.0.1:{port}"), "--password", password]);
        Ended::from(command.stdin(Stdio::null()).output().unwrap()).exits(1)
    };
    let refused = init(&format!("file:{}", world.path("password").display()));
    assert!(refused.stderr.trim_end().ends_with("\n  page: cutover explain sqlserver::refused"), "{}", refused.stderr);
    let missing = init("env:NO_SUCH_VARIABLE");
    missing.says("the password for `backup` cannot be had: the environment variable `NO_SUCH_VARIABLE` is not set");
}

#[test]
fn data_is_on_standard_output_and_talk_on_standard_error() {
    let world = World::new();
    world.write("one.rhai", "step(\"x\", || note(\"x\"));");
    world.write("wrong.rhai", "step(\"x\", || nto(\"x\"));");
    // what prints data prints nothing else, and what talks has no data
    for (arguments, exit, data) in [
        ("check one.rhai", 0, true),
        ("check wrong.rhai", 1, true),
        ("check nothing.rhai", 2, false),
        ("explain", 0, true),
        ("explain 4305", 0, true),
        ("explain nothing", 2, false),
        ("docs", 0, true),
        ("docs sql", 0, true),
        ("docs nothing", 2, false),
        ("runs --journal runs", 0, true),
        ("runs show nothing --journal runs", 2, false),
        ("runs verify nothing --journal runs", 2, false),
        ("resume --journal runs", 2, false),
        ("run nothing.rhai", 2, false),
        ("rehearse one.rhai --yes --pace 0", 0, false),
        ("completions bash", 0, true),
        ("man", 0, true),
        ("-V", 0, true),
        ("--version", 0, true),
        ("--help", 0, true),
        ("nothing", 2, false),
        ("", 2, false),
    ] {
        let Ended { stdout, stderr, .. } = world.cutover(arguments).exits(exit);
        assert_eq!((!stdout.is_empty(), !stderr.is_empty()), (data, !data), "{arguments}:\n{stdout}\n--\n{stderr}");
    }
    let json = world.cutover("rehearse one.rhai --yes --pace 0 --format json").exits(0);
    assert!(json.stderr.is_empty(), "{}", json.stderr);
    assert!(json.events().len() > 3);
}

#[test]
fn colour_is_what_the_environment_wants_in_every_kind_of_output() {
    let world = World::new();
    world.write("wrong.rhai", "step(\"x\", || nto(\"x\"));");
    // without a terminal: what is asked for alone decides
    for (set, coloured) in [
        (vec![], false),
        (vec![("CLICOLOR_FORCE", "1")], true),
        (vec![("CLICOLOR_FORCE", "0")], false),
        (vec![("CLICOLOR", "1")], false),
        (vec![("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (vec![("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
        (vec![("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true),
        (vec![("TERM", "dumb")], false),
    ] {
        // ours on both streams, and those that clap draws
        for arguments in ["check wrong.rhai", "explain no_room", "run nothing.rhai", "--help", "--nothing"] {
            let mut command = Command::new(CUTOVER);
            command.args(arguments.split_whitespace()).current_dir(world.path("")).stdin(Stdio::null());
            for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "COLORTERM"] {
                command.env_remove(name);
            }
            let output = command.envs(set.iter().copied()).output().unwrap();
            let escapes = output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b);
            assert_eq!(escapes, coloured, "{arguments} with {set:?}");
        }
    }
}

#[test]
fn completions_complete_in_a_real_bash_and_other_shells_get_theirs() {
    let world = World::new();
    for (shell, has) in [
        ("bash", "complete -F _cutover"),
        ("zsh", "#compdef cutover"),
        ("fish", "complete -c cutover"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[cutover]"),
    ] {
        let script = world.cutover(&format!("completions {shell}")).exits(0).stdout;
        assert!(script.contains(has) && !script.contains("lab-shell --"), "{shell}");
        world.write(&format!("completions.{shell}"), &script);
        let program = match shell {
            "powershell" => "pwsh",
            other => other,
        };
        let checked = match shell {
            "bash" | "zsh" | "fish" => Command::new(program).arg("-n").arg(world.path(&format!("completions.{shell}"))).status().ok(),
            _ => None,
        };
        assert!(checked.is_none_or(|status| status.success()), "{shell} does not take its script");
    }
    let complete = |words: &str| {
        let script = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _cutover cutover \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            world.path("completions.bash").display()
        );
        let output = Command::new("bash").args(["--norc", "--noprofile", "-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("cutover re"), ["resume", "rehearse"]);
    assert_eq!(complete("cutover runs ve"), ["verify"]);
    assert_eq!(complete("cutover check --format sa"), ["sarif"]);
    assert_eq!(complete("cutover completions f"), ["fish"]);
    assert_eq!(complete("cutover rehearse --sce"), ["--scenario", "--scenarios"]);
}

#[test]
fn the_manual_has_a_page_for_each_command_that_groff_takes() {
    let world = World::new();
    world.cutover("man --out @/man").exits(0);
    let mut pages: Vec<String> =
        std::fs::read_dir(world.path("man")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    let page =
        |(words, _): &(String, String)| format!("cutover{}.1", words.split_whitespace().map(|w| format!("-{w}")).collect::<String>());
    let mut expected: Vec<String> = commands(&world).iter().map(page).collect();
    expected.sort();
    assert_eq!(pages, expected);
    let mut whole = String::new();
    for name in &pages {
        let text = std::fs::read_to_string(world.path("man").join(name)).unwrap();
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH EXTRA"] {
            assert!(text.lines().any(|line| line.starts_with(part)), "{name} lacks {part}");
        }
        whole.push_str(&text);
        // what groff does not take it says
        if let Ok(drawn) = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(world.path("man").join(name)).output() {
            assert!(drawn.status.success() && drawn.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&drawn.stderr));
        }
    }
    let all = world.cutover("man").exits(0).stdout;
    assert_eq!(all.matches("\n.TH ").count(), pages.len(), "all of them on standard output");
    assert!(whole.contains("Exit codes"));
}

/// What a run says, without the times and folders that differ.
fn said(world: &World, options: &str) -> Vec<String> {
    let ended = world.cutover(&format!("rehearse book.rhai --yes --pace 0 {options}")).exits(0);
    assert_eq!(ended.stdout, "");
    ended.stderr.lines().map(without_times).collect()
}

fn without_times(line: &str) -> String {
    let mut told = Vec::new();
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        let unit = words.peek().map(|next| next.trim_end_matches(')')).filter(|unit| ["ms", "s"].contains(unit));
        match unit.filter(|_| word.parse::<f64>().is_ok()) {
            Some(unit) => told.extend(words.next().map(|next| next.replace(unit, "TIME"))),
            None => told.push(word.to_owned()),
        }
    }
    told.join(" ")
}

#[test]
fn a_run_tells_less_or_more_as_it_is_asked_to() {
    let world = World::new();
    let statement = "SELECT name, state_desc FROM sys.databases WHERE name = @db AND state_desc IN ('RESTORING', 'ONLINE', 'STANDBY')";
    world.write(
        "book.rhai",
        &format!(
            "step(\"Look\", || {{ let row = query(\"backup\", \"{statement}\", #{{ db: site.database }}).first(); note(row.name); \
             warn(\"the moon is full\"); confirm(\"Turn it?\"); sql(\"backup\", \"PRINT 'hello'; SELECT 1 AS one\"); \
             ps(\"Set-CsPersistentChatState\", #{{ Identity: \"Service:PersistentChatServer:\" + site.pool, PoolState: \"FailedOver\", \
             Confirm: false }}, #{{ done_when: || ps(\"Get-CsPersistentChatState\")[0].PoolState == \"FailedOver\" }}); }});"
        ),
    );
    let end = ["", "done after TIME with 1 change (exit 0)", "the rehearsal's record and lab are removed now; `--keep DIR` keeps them"];
    // line for line: nothing else is said
    let quiet = said(&world, "--quiet");
    assert_eq!(quiet, [&["   warning the moon is full"][..], &end].concat());
    let (usual, verbose) = (said(&world, ""), said(&world, "-v"));
    for lines in [&usual, &verbose] {
        assert!(lines.ends_with(&end.map(str::to_owned)));
        for told in ["Look", "   note    mgc", "   warning the moon is full", "Turn it?", "   answer  yes (--yes)"] {
            assert!(lines.iter().any(|line| line == told), "{told}: {lines:#?}");
        }
    }
    let usual = squeezed(&usual.join("\n"));
    let verbose = squeezed(&verbose.join("\n"));
    for only_verbose in [
        statement,
        "read Get-CsPersistentChatState (2 objects,",
        "not in force: its test is not true",
        "SELECT 1 AS one (1 row, TIME) message: hello",
    ] {
        assert!(verbose.contains(only_verbose) && !usual.contains(only_verbose), "{only_verbose}\n{usual}\n{verbose}");
    }
    // what it says to programs is the same
    let events = |options: &str| -> Vec<String> {
        let ended = world.cutover(&format!("rehearse book.rhai --yes --pace 0 --format json {options}")).exits(0);
        ended.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).filter(|event| event != "progress").collect()
    };
    assert_eq!(events("-q"), events("-v"));
}

#[test]
fn a_quiet_run_still_says_what_failed_and_who_was_asked() {
    let world = World::new();
    world.write("ask.rhai", "step(\"Ask\", || confirm(\"Shall we?\", #{ show: [[\"facts\", [[\"one\", 1]]]] }));");
    world.cutover("rehearse ask.rhai --pace 0 -q").exits(3).says("stopped: nobody answered. `Shall we?`");
    world.write("fails.rhai", "step(\"Look\", || query(\"backup\", \"SELECT * FROM nowhere\"));");
    let failed =
        world.cutover("rehearse fails.rhai --yes --pace 0 -q").exits(1).says("failed in the step `Look`").says("nothing was changed");
    assert!(!failed.stderr.contains("record:"), "{}", failed.stderr);
}

/// The passwords of a lab: what stands in the files that its site file names.
fn passwords(site: &std::path::Path) -> Vec<String> {
    let text: toml::Table = std::fs::read_to_string(site).unwrap().parse().unwrap();
    let file = |server: &toml::Value| site.with_file_name(server["auth"]["password"]["file"].as_str().unwrap());
    let mut all: Vec<String> =
        text["sql"].as_table().unwrap().values().map(|server| std::fs::read_to_string(file(server)).unwrap().trim().to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn the_log_has_the_whole_program_and_no_secret() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    world.write(
        "book.rhai",
        "step(\"look\", || { query(\"backup\", \"SELECT @secret AS s\", #{ secret: \"a-bound-value-4711\" }); \
         ps(\"Get-CsPersistentChatState\"); });",
    );
    let run = world
        .command("run book.rhai --site lab/site.toml --yes --journal runs --log run.log --set vars.token=\"a-token-4712\" --set=vars.pin=\"4713\"")
        .env("CUTOVER_LOG", "trace")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = std::fs::read_to_string(world.path("run.log")).unwrap();
    let lines = world.lines("run.log");
    for line in &lines {
        assert!(line["target"].as_str().is_some_and(|target| target.starts_with("cutover")), "{line}");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    let said = |target: &str, what: &str| {
        lines.iter().any(|line| line["target"].as_str().unwrap().starts_with(target) && line["fields"].to_string().contains(what))
    };
    for (target, what) in [
        ("cutover::cli", "begins"),
        ("cutover::cli", "the end"),
        ("cutover::cli", "effect_started"),
        ("cutover::cli", "effect_finished"),
        ("cutover::sqlserver", "connecting"),
        ("cutover::sqlserver", "logged in"),
        ("cutover::sqlserver", "answered"),
        ("cutover::powershell", "the shell starts"),
        ("cutover::powershell", "Get-CsPersistentChatState"),
    ] {
        assert!(said(target, what), "{target}: {what}\n{text}");
    }
    assert!(text.contains(r#"\"--set\", \"vars.token=…\", \"--set=vars.pin=…\""#), "{}", lines[0]);
    for value in ["a-bound-value-4711", "a-token-4712", "4713"] {
        assert!(!text.contains(value), "{value}");
    }
    let secrets = passwords(&lab.site());
    assert!(!secrets.is_empty() && secrets.iter().all(|secret| secret.len() >= 8));
    for secret in &secrets {
        // nor its bytes as the wire has them
        let utf16: String = secret.encode_utf16().flat_map(u16::to_le_bytes).map(|b| format!("{b:02x}")).collect();
        assert!(!text.contains(secret.as_str()) && !text.to_lowercase().contains(&utf16), "a password is in the log");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(world.path("run.log")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // appended to, in less detail unless asked for
    world.cutover("run book.rhai --site lab/site.toml --yes --journal runs --log run.log").exits(0);
    let more = world.lines("run.log");
    assert!(more.len() > lines.len() && more[..lines.len()] == lines[..]);
    assert!(more[lines.len()..].iter().all(|line| line["level"] != "TRACE"));
    lab.stop();
}

#[test]
fn a_log_that_cannot_be_kept_is_told_before_anything_begins() {
    let world = World::new();
    world.write("one.rhai", "step(\"x\", || note(\"x\"));");
    let refused = world
        .cutover("rehearse one.rhai --yes --pace 0 --log nowhere/at/all.log")
        .exits(2)
        .says("cannot write the log `nowhere/at/all.log`");
    assert!(!refused.stderr.contains("record:"), "{}", refused.stderr);
    let mut command = world.command("check one.rhai --log run.log");
    let output = command.env("CUTOVER_LOG", "loud=as you can").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("which is no level"), "{}", String::from_utf8_lossy(&output.stderr));
}
