//! `cutover check` and `cutover explain` as people and programs see them: every format whole, exit codes, fixes.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use common::{Ended, World, repository};
use cutover::check::{Edit, Finding, RULES, Related, Severity, find};
use cutover::report::Style;
use cutover::report::check::{github, human, json, sarif};
use cutover::script::{Options, Script, Source, SourceFile};
use insta::assert_snapshot;
use serde_json::Value;

/// A file as it is loaded, with what is wrong in it.
fn file(name: &str, text: &str) -> Arc<SourceFile> {
    match Script::load(Source::Text { name, text }, &Options::default()) {
        Ok(script) => script.files[0].clone(),
        Err(errors) => errors.0[0].file.clone().unwrap(),
    }
}

fn found(rule: &str, file: &Arc<SourceFile>, at: &str, message: &str, label: &str, help: &str) -> Finding {
    let start = file.text.find(at).unwrap();
    find(rule).unwrap().finding(file, start..start + at.len(), message, label, help)
}

/// Findings of every severity, over two files: with a fix, with related places in both files, over several lines, and with
/// characters that the formats must escape.
fn findings() -> Vec<Finding> {
    let first = file(
        "runbooks/Umzug, 100% fällig.rhai",
        "\u{feff}let größe = 1;\r\nconfrim(\"ö\");\r\nstep(\"mgc\", || {\r\n    sql(\"backup\", `RESTORE DATABASE mgc\r\n        WITH RECOVERY`);\r\n});\r\n",
    );
    let second = file("lib.rhai", "fn online(server) {\n    sql(server, \"SELECT 1\");\n}\n");
    let mut call = found("unknown-call", &first, "confrim", "no function `confrim`", "not found", "did you mean `confirm`?");
    let Finding { span, .. } = call.clone();
    call.fixes.push(Edit { span, text: "confirm".to_owned() });
    let mut recovered = found(
        "recovered-too-early",
        &first,
        "RESTORE DATABASE mgc\r\n        WITH RECOVERY",
        "the database is recovered: before its logs are restored, 100% of them",
        "recovers it",
        "restore the logs first,\nthen recover",
    );
    let start = first.text.find("step").unwrap();
    recovered.related.push(Related { file: first.clone(), span: start..start + 4, label: "in this step".to_owned() });
    recovered.related.push(Related { file: second.clone(), span: 3..9, label: "called from here".to_owned() });
    let mut unused = found("unused-function", &second, "online", "nothing calls `online`", "unused", "call it, or remove it");
    unused.severity = Severity::Warning;
    let mut advice = found("literal-host", &second, "SELECT 1", "this says nothing", "here", "remove it");
    advice.severity = Severity::Advice;
    vec![call, recovered, unused, advice]
}

#[test]
fn people_see_findings_on_their_text_under_each_file() {
    assert_snapshot!(human::render(&findings(), 3, &Style::PLAIN));
}

#[test]
fn nothing_found_is_one_line() {
    assert_eq!(human::render(&[], 3, &Style::PLAIN), "clean: 3 files");
    assert_eq!(human::render(&[], 1, &Style::PLAIN), "clean: 1 file");
    assert_eq!(github::render(&[]), "");
    assert_eq!(json::render(&[], 2), r#"{"v":1,"findings":[],"files":2}"#);
}

#[test]
fn a_finding_at_the_edge_of_a_file_is_drawn() {
    for (text, span) in [("", 0..0), ("a();", 4..4), ("a();\n", 5..5), ("a();\n\n", 3..6)] {
        let file = file("edge.rhai", text);
        let finding = find("syntax").unwrap().finding(&file, span.clone(), "the end", "here", "go on");
        let drawn = human::render(std::slice::from_ref(&finding), 1, &Style::PLAIN);
        assert!(drawn.contains("error[syntax]") && drawn.contains("go on"), "{text:?} {span:?}\n{drawn}");
        valid(&sarif::render(std::slice::from_ref(&finding)), SARIF);
    }
}

#[test]
fn colour_marks_severities_and_headings() {
    let colour = Style { colour: true, ..Style::PLAIN };
    let drawn = human::render(&findings(), 3, &colour);
    assert!(drawn.contains("\u{1b}[31;1m2 errors, 1 warning, 1 advice\u{1b}[0m in 3 files"), "{drawn:?}");
    assert!(!human::render(&findings(), 3, &Style::PLAIN).contains('\u{1b}'));
}

#[test]
fn colour_is_as_the_environment_wants_it() {
    let world = World::new();
    world.write("a.rhai", CLEAN);
    let check = |name: &str| {
        let output = world.command("check").env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").env(name, "1").output().unwrap();
        Ended::from(output).exits(0).stdout
    };
    assert_eq!(check("UNRELATED"), "\u{1b}[32;1mclean\u{1b}[0m: 1 file\n");
    assert_eq!(check("NO_COLOR"), "clean: 1 file\n");
}

#[test]
fn json_is_one_object_with_keys_in_order() {
    let printed = json::render(&findings(), 3);
    assert_eq!(printed.lines().count(), 1);
    assert_snapshot!(printed.replace("},{\"rule\"", "},\n{\"rule\""), @r#"
    {"v":1,"findings":[{"rule":"unknown-call","severity":"error","file":"runbooks/Umzug, 100% fällig.rhai","span":{"start":21,"end":28,"line":2,"column":1},"message":"no function `confrim`","help":"did you mean `confirm`?","fixes":[{"start":21,"end":28,"text":"confirm"}]},
    {"rule":"recovered-too-early","severity":"error","file":"runbooks/Umzug, 100% fällig.rhai","span":{"start":74,"end":117,"line":4,"column":20},"message":"the database is recovered: before its logs are restored, 100% of them","help":"restore the logs first,\nthen recover","fixes":[]},
    {"rule":"unused-function","severity":"warning","file":"lib.rhai","span":{"start":3,"end":9,"line":1,"column":4},"message":"nothing calls `online`","help":"call it, or remove it","fixes":[]},
    {"rule":"literal-host","severity":"advice","file":"lib.rhai","span":{"start":37,"end":45,"line":2,"column":18},"message":"this says nothing","help":"remove it","fixes":[]}],"files":3}
    "#);
    valid(&printed, &std::fs::read_to_string(repository("docs/check.schema.json")).unwrap());
    valid(&json::render(&[], 0), &std::fs::read_to_string(repository("docs/check.schema.json")).unwrap());
}

#[test]
fn sarif_is_valid_and_names_every_rule() {
    let printed = sarif::render(&findings());
    valid(&printed, SARIF);
    valid(&sarif::render(&[]), SARIF);
    let log: Value = serde_json::from_str(&printed).unwrap();
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let results: Vec<String> = run["results"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_snapshot!(results.join("\n"), @r#"
    {"ruleId":"unknown-call","level":"error","message":{"text":"no function `confrim`. did you mean `confirm`?"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"runbooks/Umzug%2C%20100%25%20f%C3%A4llig.rhai"},"region":{"startLine":2,"startColumn":1,"endLine":2,"endColumn":8}}}],"ruleIndex":1,"fixes":[{"description":{"text":"did you mean `confirm`?"},"artifactChanges":[{"artifactLocation":{"uri":"runbooks/Umzug%2C%20100%25%20f%C3%A4llig.rhai"},"replacements":[{"deletedRegion":{"startLine":2,"startColumn":1,"endLine":2,"endColumn":8},"insertedContent":{"text":"confirm"}}]}]}]}
    {"ruleId":"recovered-too-early","level":"error","message":{"text":"the database is recovered: before its logs are restored, 100% of them. restore the logs first,\nthen recover"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"runbooks/Umzug%2C%20100%25%20f%C3%A4llig.rhai"},"region":{"startLine":4,"startColumn":20,"endLine":5,"endColumn":22}}}],"ruleIndex":20,"relatedLocations":[{"id":0,"physicalLocation":{"artifactLocation":{"uri":"runbooks/Umzug%2C%20100%25%20f%C3%A4llig.rhai"},"region":{"startLine":3,"startColumn":1,"endLine":3,"endColumn":5}},"message":{"text":"in this step"}},{"id":1,"physicalLocation":{"artifactLocation":{"uri":"lib.rhai"},"region":{"startLine":1,"startColumn":4,"endLine":1,"endColumn":10}},"message":{"text":"called from here"}}]}
    {"ruleId":"unused-function","level":"warning","message":{"text":"nothing calls `online`. call it, or remove it"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"lib.rhai"},"region":{"startLine":1,"startColumn":4,"endLine":1,"endColumn":10}}}],"ruleIndex":14}
    {"ruleId":"literal-host","level":"note","message":{"text":"this says nothing. remove it"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"lib.rhai"},"region":{"startLine":2,"startColumn":18,"endLine":2,"endColumn":26}}}],"ruleIndex":32}
    "#);
}

#[test]
fn github_commands_are_escaped() {
    assert_snapshot!(github::render(&findings()), @r#"
    ::error file=runbooks/Umzug%2C 100%25 fällig.rhai,line=2,col=1,endLine=2,endColumn=8,title=unknown-call::no function `confrim`. did you mean `confirm`?
    ::error file=runbooks/Umzug%2C 100%25 fällig.rhai,line=4,col=20,endLine=5,endColumn=22,title=recovered-too-early::the database is recovered: before its logs are restored, 100%25 of them. restore the logs first,%0Athen recover
    ::warning file=lib.rhai,line=1,col=4,endLine=1,endColumn=10,title=unused-function::nothing calls `online`. call it, or remove it
    ::notice file=lib.rhai,line=2,col=18,endLine=2,endColumn=26,title=literal-host::this says nothing. remove it
    "#);
}

const SARIF: &str = include_str!("data/sarif-2.1.0.schema.json");

#[track_caller]
fn valid(instance: &str, schema: &str) {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let instance: Value = serde_json::from_str(instance).unwrap();
    let errors: Vec<String> = validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{instance:#}");
}

const CLEAN: &str = "step(\"Look\", || { note(\"all is well\"); });\n";
const WRONG: &str = "step(\"Look\", || { nota(\"all is well\"); });\n";
/// One warning, which has a fix.
const NEEDLESS: &str = "step(\"Look\", || {\n    note(\"ü\"); // check: allow endless-wait it was new then\n});\n";

#[test]
fn exit_codes_tell_clean_from_found_from_could_not_check() {
    let world = World::new();
    world.write("clean/a.rhai", CLEAN);
    world.write("wrong/b.rhai", WRONG);
    world.write("warned/c.rhai", NEEDLESS);
    world.write("empty/readme.txt", "");
    world.write("bytes/d.rhai", "");
    std::fs::write(world.path("bytes/d.rhai"), b"note(\"\xff\");").unwrap();
    world.write("site/e.rhai", CLEAN);
    world.write("site/site.toml", "[site]\nname = 1\n");
    let mut table = String::new();
    for arguments in [
        "clean",
        "clean/a.rhai --format json",
        "clean --format github",
        "wrong --format github",
        "wrong --fail-on error --format github",
        "warned --fail-on error --format github",
        "warned --format github",
        "warned --fail-on advice --format github",
        "clean wrong --format github",
        "empty",
        "missing.rhai",
        "bytes",
        "site",
        "clean --site site/site.toml",
        "clean --site nowhere.toml",
        "clean --fail-on never",
        "clean --set vars.a=1",
        "clean --frmat json",
    ] {
        let Ended { code, stdout, stderr } = world.cutover(&format!("check {arguments}"));
        // of a drawn error its message, else the first line
        let first = |text: &str| {
            let message = text.lines().find(|line| line.contains(" × "));
            message.or(text.lines().next()).unwrap_or_default().trim().to_owned()
        };
        table.push_str(&format!("{code} {arguments} | {} | {}\n", first(&stdout), first(&stderr)));
    }
    assert_snapshot!(table, @r#"
    0 clean | clean: 1 file | 
    0 clean/a.rhai --format json | {"v":1,"findings":[],"files":1} | 
    0 clean --format github |  | 
    1 wrong --format github | ::error file=wrong/b.rhai,line=1,col=19,endLine=1,endColumn=23,title=unknown-call::no function `nota`. did you mean `note`? | 
    1 wrong --fail-on error --format github | ::error file=wrong/b.rhai,line=1,col=19,endLine=1,endColumn=23,title=unknown-call::no function `nota`. did you mean `note`? | 
    0 warned --fail-on error --format github | ::warning file=warned/c.rhai,line=2,col=16,endLine=2,endColumn=60,title=unused-allow::there is nothing here for `allow endless-wait` to allow. remove the comment | 
    1 warned --format github | ::warning file=warned/c.rhai,line=2,col=16,endLine=2,endColumn=60,title=unused-allow::there is nothing here for `allow endless-wait` to allow. remove the comment | 
    1 warned --fail-on advice --format github | ::warning file=warned/c.rhai,line=2,col=16,endLine=2,endColumn=60,title=unused-allow::there is nothing here for `allow endless-wait` to allow. remove the comment | 
    1 clean wrong --format github | ::error file=wrong/b.rhai,line=1,col=19,endLine=1,endColumn=23,title=unknown-call::no function `nota`. did you mean `note`? | 
    2 empty |  | × there is no runbook in `empty`
    2 missing.rhai |  | × there is no file or folder `missing.rhai`
    2 bytes |  | × cannot read `bytes/d.rhai`
    2 site |  | × the site file beside `site/e.rhai` is wrong
    2 clean --site site/site.toml |  | × the site file `site/site.toml` cannot be used: 4 errors
    2 clean --site nowhere.toml |  | × the site file `nowhere.toml` cannot be used
    2 clean --fail-on never |  | error: invalid value 'never' for '--fail-on <SEVERITY>'
    2 clean --set vars.a=1 |  | error: the following required arguments were not provided:
    2 clean --frmat json |  | error: unexpected argument '--frmat' found
    "#);
}

#[test]
fn folders_are_walked_in_order_without_what_is_hidden_or_ignored() {
    let world = World::new();
    for name in ["b/z.rhai", "b/a.rhai", "a/x.rhai", ".hidden/h.rhai", "ignored/i.rhai", "also/j.rhai", "also/note.txt", "kept.rhai"] {
        world.write(name, WRONG);
    }
    world.write(".gitignore", "ignored\n");
    world.write(".ignore", "also/\n");
    let names = |arguments: &str| {
        let report: Value = serde_json::from_str(&world.cutover(&format!("check --format json {arguments}")).stdout).unwrap();
        let files: Vec<&str> = report["findings"].as_array().unwrap().iter().map(|finding| finding["file"].as_str().unwrap()).collect();
        assert_eq!(report["files"], files.len());
        files.join(" ")
    };
    assert_eq!(names(""), "a/x.rhai b/a.rhai b/z.rhai kept.rhai");
    assert_eq!(names("b ./a kept.rhai b/a.rhai"), "b/a.rhai b/z.rhai a/x.rhai kept.rhai");
    // what is named is checked, whatever it is called
    assert_eq!(names("also/note.txt .hidden"), "also/note.txt .hidden/h.rhai");
}

#[test]
fn standard_input_is_a_runbook() {
    let world = World::new();
    let mut child = world.command("check - --format github").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(WRONG.as_bytes()).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(
        ended.exits(1).stdout,
        "::error file=<stdin>,line=1,col=19,endLine=1,endColumn=23,title=unknown-call::no function `nota`. did you mean `note`?\n"
    );
}

#[test]
fn offsets_count_the_byte_order_mark_and_windows_line_ends() {
    let world = World::new();
    let text = format!("\u{feff}// größer\r\n{}", WRONG.replace('\n', "\r\n"));
    world.write("a.rhai", &text);
    let report: Value = serde_json::from_str(&world.cutover("check --format json").exits(1).stdout).unwrap();
    let span = &report["findings"][0]["span"];
    let at = |key: &str| usize::try_from(span[key].as_u64().unwrap()).unwrap();
    assert_eq!(&text[at("start")..at("end")], "nota");
    assert_eq!((at("line"), at("column")), (2, 19));
}

#[test]
fn a_path_with_blanks_and_umlauts_is_shown_as_it_is() {
    let world = World::new();
    world.write("run books/Übung 1.rhai", WRONG);
    let check = |format: &str| {
        let output = world.command("check --format").args([format, "run books/Übung 1.rhai"]).output().unwrap();
        Ended::from(output).exits(1).stdout
    };
    assert!(check("human").contains("[run books/Übung 1.rhai:1:19]"));
    assert!(check("json").contains(r#""file":"run books/Übung 1.rhai""#));
    assert!(check("sarif").contains(r#""uri":"run%20books/%C3%9Cbung%201.rhai""#));
    assert!(check("github").contains("file=run books/Übung 1.rhai,"));
}

#[test]
fn a_diff_shows_what_a_fix_would_do_and_writes_nothing() {
    let world = World::new();
    world.write("a.rhai", NEEDLESS);
    let ended = world.cutover("check --diff").exits(1);
    assert_eq!(ended.stderr, "1 can be fixed in 1 file\n");
    assert_snapshot!(ended.stdout, @r#"
    --- a.rhai
    +++ a.rhai (fixed)
    @@ -1,3 +1,3 @@
     step("Look", || {
    -    note("ü"); // check: allow endless-wait it was new then
    +    note("ü");
     });
    a.rhai: 1 warning

    warning[unused-allow]

      ⚠ there is nothing here for `allow endless-wait` to allow
       ╭─[a.rhai:2:16]
     1 │ step("Look", || {
     2 │     note("ü"); // check: allow endless-wait it was new then
       ·                ──────────────────────┬─────────────────────
       ·                                      ╰── allows nothing
     3 │ });
       ╰────
      help: remove the comment
      page: cutover explain unused-allow

    1 warning in 1 file (1 can be fixed with --fix)
    "#);
    assert_eq!(std::fs::read_to_string(world.path("a.rhai")).unwrap(), NEEDLESS);
    // a program's input stays clean
    let ended = world.cutover("check --diff --format json").exits(1);
    assert!(ended.stdout.starts_with("{\"v\":1,"));
    assert!(ended.stderr.starts_with("--- a.rhai"));
}

#[test]
fn a_fix_keeps_line_ends_byte_order_mark_and_permissions() {
    let world = World::new();
    let text = format!("\u{feff}{}", NEEDLESS.replace('\n', "\r\n"));
    let path = world.write("a.rhai", &text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("a.rhai", world.path("link.rhai")).unwrap();
    }
    let ended = world.cutover(&format!("check --fix --diff {}", if cfg!(unix) { "link.rhai" } else { "a.rhai" })).exits(0);
    assert!(ended.stdout.ends_with("clean: 1 file\n") && ended.stdout.contains("-    note(\"ü\"); // check"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "1 fixed in 1 file\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text.replace(" // check: allow endless-wait it was new then", ""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(world.path("link.rhai")).unwrap().is_symlink());
    }
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), if cfg!(unix) { 2 } else { 1 }, "{left:?}");
}

#[test]
fn what_is_left_after_a_fix_decides() {
    let world = World::new();
    world.write("a.rhai", &format!("{NEEDLESS}step(\"Wait\", || {{ while query(\"b\", \"SELECT 1\").rows.len() > 0 {{ }} }});\n"));
    let ended = world.cutover("check --fix").exits(1);
    assert_eq!(ended.stderr, "1 fixed in 1 file\n");
    assert!(ended.stdout.contains("1 warning in 1 file"), "{}", ended.stdout);
}

#[test]
fn explain_prints_pages_and_knows_what_was_meant() {
    let world = World::new();
    for rule in RULES {
        let ended = world.cutover(&format!("explain {}", rule.slug)).exits(0);
        assert_eq!(ended.stdout.trim_end(), rule.page.trim_end());
    }
    let list = world.cutover("explain").exits(0).stdout;
    let slugs: Vec<&str> = list
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(slugs, RULES.iter().map(|rule| rule.slug).collect::<Vec<_>>());
    world.cutover("explain unknown-cal").exits(2).says("did you mean `unknown-call`?");
    world.cutover("explain x").exits(2).says("`cutover explain` lists what can be explained");
    let number = world.cutover("explain 4305").exits(0).stdout;
    assert!(number.starts_with("SQL Server error 4305, severity 16\n\n"), "{number}");
    world.cutover("explain -2").exits(0);
    world.cutover("explain 99999").exits(2).says("sys.messages");
}

#[test]
fn each_rule_is_named_as_its_file_and_page() {
    for rule in RULES {
        let file = format!("src/check/rules/{}.rs", rule.slug.replace('-', "_"));
        assert!(Path::new(&repository(&file)).exists(), "{file}");
        assert!(rule.page.starts_with(&format!("# {}\n", rule.slug)), "{}", rule.slug);
    }
}
