//! What one effect promises, through the built program against a lab: reads told from changes, `done_when` before, after
//! and too early, questions, stops that nothing swallows, the shell, the folders, and runs from a second process.
#![cfg(feature = "lab")]

mod common;

use common::{World, assert_lines, of, repository};
use serde_json::{Value, json};

// ---- reads and changes ----

#[test]
fn a_query_that_is_not_provably_a_read_is_refused_before_anything_is_sent() {
    let changes = [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "MERGE t USING s ON 1 = 1 WHEN MATCHED THEN DELETE;",
        "TRUNCATE TABLE t",
        "EXEC dbo.somebodys_own",
        "EXEC master.dbo.sp_delete_log_shipping_secondary_database N'mgc'",
        "EXEC ('SELECT 1')",
        "EXEC sp_executesql N'DROP DATABASE mgc'",
        "SELECT * INTO copy FROM sys.databases",
        "WITH x AS (SELECT 1 AS a) DELETE FROM x",
        "RESTORE VERIFYONLY FROM DISK = N'x'",
        "RESTORE LOG mgc FROM DISK = N'x'",
        "RESTORE DATABASE mgc WITH RECOVERY",
        "BACKUP LOG mgc TO DISK = N'x'",
        "SELECT 1; DROP DATABASE mgc",
        "SELECT 1 DROP DATABASE mgc",
        "IF 1 = 1 KILL 55",
        "ALTER DATABASE mgc SET ONLINE",
        "SELECT * FROM OPENROWSET('a', 'b', 'c')",
        "BEGIN TRAN",
        "xp_cmdshell 'dir'",
        "this cannot be read (",
    ];
    let mut book =
        String::from("fn refused(text) { try { query(\"backup\", text); note(`sent: ${text}`); } catch (e) { note(`${e}`); } }\n");
    for change in changes {
        book.push_str(&format!("refused({});\n", json!(change)));
    }
    let world = World::new();
    let ended = world.rehearse(&book).exits(0);
    let notes = ended.notes();
    assert_eq!(notes.len(), changes.len());
    assert!(notes.iter().all(|note| note.starts_with("`query` only reads, and this is not provably a read: ")), "{notes:#?}");
    assert_eq!(world.sent(), Vec::<String>::new());
    assert!(of(&ended.events(), "effect_started").is_empty(), "a refused call is no effect");
}

#[test]
fn what_sql_does_is_told_from_its_text() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"sql("backup", "SELECT name FROM sys.databases");
            sql("backup", "EXEC sp_who2");
            sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0");
            query("backup", "DECLARE @n int; SELECT @n = COUNT(*) FROM sys.databases; IF @n > 1 SELECT @n AS n ELSE PRINT N'none'");"#,
        )
        .exits(0);
    let events = ended.events();
    let classes: Vec<&str> = of(&events, "effect_started").iter().map(|event| event["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["reads", "reads", "changes", "reads"]);
    let changed = &events.last().unwrap()["changed"];
    assert_eq!(changed.as_array().unwrap().len(), 1, "{changed:#}");
}

#[test]
fn every_batch_begins_in_the_sites_database_whatever_the_one_before_said() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"for text in ["USE msdb", "USE msdb; SELECT 1 AS a", "BEGIN TRAN"] {
                sql("backup", text);
                note(`${query("backup", "SELECT DB_NAME() AS db").value()} ${query("backup", "SELECT @@TRANCOUNT AS n").value()}`);
            }
            let one = query("backup", "SELECT @@SPID AS id").value(); note(`${query("backup", "SELECT @@SPID AS id").value() == one}`);"#,
        )
        .exits(0);
    assert_lines(&ended.notes(), &["master 0", "master 0", "master 0", "true"]);
}

// ---- done_when ----

/// A job that is enabled when the lab opens, a change of it, and the test that says so.
const JOB: &str = r#"
let job = "LSCopy_PCHAT-SQL-01_mgc";
fn enabled(job) { query("backup", "SELECT enabled FROM msdb.dbo.sysjobs WHERE name = @job", #{ job: job }).value() }
"#;

fn update(enabled: u8, options: &str) -> String {
    format!(r#"sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = {enabled}", #{{ job: job }}, {options})"#)
}

fn updates(world: &World) -> usize {
    world.sent().iter().filter(|text| text.contains("sp_update_job")).count()
}

#[test]
fn a_change_that_is_in_force_already_stops_an_unattended_run_and_is_not_sent() {
    let world = World::new();
    let book = format!("{JOB} {}; note(\"never\");", update(1, "#{ done_when: || enabled(job) == 1 }"));
    let ended = world.rehearse(&book).exits(3).says("nobody answered").says("already in force");
    assert_eq!(updates(&world), 0);
    assert!(ended.notes().is_empty());
    let events = ended.events();
    assert_eq!(of(&events, "question")[0]["kind"], "too_early");
    assert!(of(&events, "effect_finished").iter().all(|event| event["class"] == "reads"));
    let end = events.last().unwrap();
    assert_eq!((end["outcome"].as_str(), end["exit"].as_u64(), &end["changed"]), (Some("stopped"), Some(3), &json!([])));
}

#[test]
fn already_in_force_is_accepted_where_the_call_says_so() {
    let world = World::new();
    let change = update(1, "#{ done_when: || enabled(job) == 1, already: \"accept\" }");
    let ended =
        world.rehearse(&format!("{JOB} let r = {change}; note(`${{r.rows.len()}} ${{r.affected}} ${{r.first() == ()}}`);")).exits(0);
    assert_lines(&ended.notes(), &["0 0 true"]);
    assert_eq!(updates(&world), 0);
    let events = ended.events();
    let done = of(&events, "effect_finished").into_iter().find(|event| event["class"] == "changes").unwrap();
    assert_eq!((&done["already_done"], &done["primitive"]), (&json!(true), &json!("sql")));
    assert_eq!(events.last().unwrap()["changed"], json!([]));
}

#[test]
fn a_change_is_verified_after_it_and_fails_if_it_does_not_show() {
    let world = World::new();
    let ended = world.rehearse(&format!("{JOB} {};", update(0, "#{ done_when: || enabled(job) == 0 }"))).exits(0);
    assert_eq!(updates(&world), 1);
    let events = ended.events();
    let started: Vec<(&Value, &Value)> = of(&events, "effect_started").iter().map(|e| (&e["effect"], &e["parent"])).collect();
    assert_eq!(started, [(&json!(1), &Value::Null), (&json!(2), &json!(1)), (&json!(3), &json!(1))], "asked before and after");
    let done = of(&events, "effect_finished").into_iter().find(|event| event["class"] == "changes").unwrap();
    assert_eq!((&done["already_done"], &done["verified"]), (&json!(false), &json!(true)));

    let world = World::new();
    let ended = world.rehearse(&format!("{JOB} {};", update(0, "#{ done_when: || enabled(job) == 7 }"))).exits(1);
    let ended = ended.says("cutover::effect::not_verified").says("reported success, but its `done_when` is not true");
    assert_eq!(updates(&world), 1);
    let events = ended.events();
    assert_eq!(of(&events, "effect_failed")[0]["class"], "changes");
    let end = events.last().unwrap();
    assert_eq!((end["outcome"].as_str(), end["changed"].as_array().unwrap().len()), (Some("failed"), 1), "it was made all the same");
}

#[test]
fn within_asks_again_until_the_change_shows() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"let began = query("backup", "SELECT SYSDATETIME() AS t").value();
            sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0", #{}, #{ within: "1m",
                done_when: || query("backup", "SELECT CASE WHEN DATEDIFF(second, @began, SYSDATETIME()) >= 3 THEN 1 ELSE 0 END AS late", #{ began: began }).value() == 1 });"#,
        )
        .exits(0);
    let events = ended.events();
    let asked = of(&events, "effect_finished").iter().filter(|event| event["parent"].is_u64()).count();
    assert!(asked > 2, "{asked}");
    let done = of(&events, "effect_finished").into_iter().find(|event| event["class"] == "changes").unwrap();
    assert_eq!(done["verified"], true);
    assert_eq!(updates(&world), 1);
}

#[test]
fn a_test_reads_only_works_on_copies_and_its_own_mistakes_end_the_effect() {
    let world = World::new();
    let mut book = format!("{JOB} let count = 0; let seen = []; let map = #{{ n: 0 }};");
    book.push_str(&update(0, "#{ done_when: || { count += 1; seen.push(count); map.n = count; enabled(job) == 0 } }"));
    book.push_str("; note(`${count} ${seen} ${map.n}`); wait_until(\"that\", \"5s\", || { count += 1; count > 0 }); note(`${count}`);");
    for inner in ["sql(\"backup\", \"KILL 99\"); true", "confirm(\"sure?\"); true", "1", "throw \"gone\"", "fail(\"no more\")"] {
        let change = update(1, &format!("#{{ done_when: || {{ {inner} }} }}"));
        book.push_str(&format!("try {{ {change}; }} catch (e) {{ note(`${{e}}`); }}"));
    }
    book.push_str("try { wait_until(\"this\", \"5s\", || { sql(\"backup\", \"KILL 99\"); true }); } catch (e) { note(`${e}`); } note(`${enabled(job)}`);");
    let ended = world.rehearse(&book).exits(0);
    assert_lines(
        &ended.notes(),
        &[
            "0 [] 0",
            "0",
            "a test may only read: `KILL 99` would change something",
            "a test may only read: `sure?` would change something",
            "`done_when` must return true or false, not a value of type i64",
            "gone",
            "no more",
            "a test may only read: `KILL 99` would change something",
            "0",
        ],
    );
    assert_eq!(updates(&world), 1);
    assert!(!world.sent().iter().any(|text| text.starts_with("KILL")), "{:#?}", world.sent());
    // every effect that began has its end in the record
    let events = ended.events();
    let mut ends: Vec<u64> =
        ["effect_finished", "effect_failed"].iter().flat_map(|kind| of(&events, kind)).map(|e| e["effect"].as_u64().unwrap()).collect();
    ends.sort_unstable();
    let began: Vec<u64> = of(&events, "effect_started").iter().map(|e| e["effect"].as_u64().unwrap()).collect();
    assert_eq!(ends, began);
}

// ---- steps, words, questions ----

#[test]
fn steps_nest_have_values_and_titles_of_their_own() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"let v = step("outer", || { let w = step("inner", || { note("deep"); query("backup", "SELECT 41 AS n").value() }); note("less deep"); w + 1 });
            note(`${v}`);
            fn early() { step("early", || { if true { return "left"; } "stayed" }) }
            note(early());
            for title in ["outer", "inner"] { try { step(title, || 1); } catch (e) { note(`${e.primitive}: ${e}`); } }
            try { step("thrown", || throw "bang"); } catch (e) { note(`${e}`); }
            try { step("failed", || fail("gave up", "look at it")); } catch (e) { note(`${e.primitive}: ${e.message} ${e.number == ()}`); }
            note("after");"#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            "deep",
            "less deep",
            "42",
            "left",
            "step: there are two steps titled `outer`",
            "step: there are two steps titled `inner`",
            "bang",
            "fail: gave up true",
            "after",
        ],
    );
    let events = ended.events();
    let steps: Vec<Value> = events
        .iter()
        .filter(|e| e["event"] == "step_started" || e["event"] == "step_finished")
        .map(|e| json!([e["step"], e["ok"]]))
        .collect();
    let expected = json!([
        ["outer", null],
        ["inner", null],
        ["inner", true],
        ["outer", true],
        ["early", null],
        ["early", true],
        ["thrown", null],
        ["thrown", false],
        ["failed", null],
        ["failed", false]
    ]);
    assert_eq!(Value::from(steps), expected);
    let of_step = |text: &str| of(&events, "note").into_iter().find(|e| e["text"] == text).unwrap()["step"].clone();
    assert_eq!((of_step("deep"), of_step("less deep"), of_step("after")), (json!("inner"), json!("outer"), Value::Null));
    assert_eq!(of(&events, "effect_started")[0]["step"], "inner");

    let world = World::new();
    world
        .rehearse("step(\"3. Third\", || fail(\"nothing to do here\", \"go home\"));")
        .exits(1)
        .says("nothing to do here")
        .says("go home")
        .says("3. Third");
}

#[test]
fn what_is_kept_lies_in_the_run_folder_and_never_replaces_what_is_there() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"note(keep("undo.sql", "first")); note(keep("undo.sql", "second"));
            for name in ["", "../x", "a/b", "a\\b", ".hidden", "journal.jsonl", "JOURNAL.jsonl", "con", "nul.txt", "com1.sql", "dot.", "blank ", "new\nline", "ümlaut"] {
                try { note(`kept: ${keep(name, "x")}`); } catch (e) { note("no"); }
            }"#,
        )
        .exits(0);
    let notes = ended.notes();
    assert_ne!(notes[0], notes[1]);
    assert_eq!(std::fs::read_to_string(&notes[0]).unwrap(), "first");
    assert_eq!(std::fs::read_to_string(&notes[1]).unwrap(), "second");
    assert_eq!(notes[2..], vec!["no"; 14]);
    let folder = of(&ended.events(), "run_started")[0]["folder"].as_str().unwrap().to_owned();
    assert!(notes[0].starts_with(&folder) && notes[1].starts_with(&folder));
}

#[test]
fn questions_are_answered_by_their_defaults_and_recorded_with_who_answered() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"for options in [#{ irreversible: true }] { try { confirm("Burn?", options); } catch (e) { note(`${e}`); } }
            confirm("Burn?", #{ irreversible: true, id: "burn", type: "mgc", show: [["rows", query("backup", "SELECT name FROM sys.databases").rows], ["why", "because"]] });
            note(ask("Now or later?", ["now", "later"], #{ "default": "later" }));
            for choices in [[], ["now"]] { try { ask("?", choices, #{ "default": "later" }); } catch (e) { note(`${e}`); } }
            manual("Post", "Post a message.");
            warn("careful");"#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            "an irreversible question has no `id`",
            "later",
            "there is nothing to choose from",
            "the default `later` is not one of the choices",
            "careful",
        ],
    );
    let events = ended.events();
    let answers: Vec<Value> = of(&events, "answer").iter().map(|e| json!([e["answer"], e["id"], e["by"]])).collect();
    assert_eq!(Value::from(answers), json!([["yes", "burn", "--yes"], ["later", null, "--yes"], ["done", null, "--yes"]]));
    let question = of(&events, "question")[0];
    assert_eq!((&question["irreversible"], &question["typed"], &question["kind"]), (&json!(true), &json!("mgc"), &json!("confirm")));
    assert_eq!(of(&events, "note").last().unwrap()["level"], "warn");
}

#[test]
fn a_stop_is_caught_by_nothing_and_nothing_runs_after_it() {
    let books = [
        // not by catch, not by a function, not by a step
        r#"fn f() { try { return step("s", || ask("q?", ["a"])); } catch { note("caught"); } note("after"); } let x = f(); note("went on");"#,
        // not by the methods of lists, which answer () for a closure that fails
        r#"let x = [1, 2, 3].map(|n| { try { ask("q?", ["a"]); } catch { note("caught"); } sql("backup", "SELECT 1"); n }); note("went on");"#,
        r#"let x = [3, 1, 2]; x.retain(|n| ask("q?", ["a"]) == "a"); note("went on");"#,
        r#"let x = [1, 2].filter(|n| ask("q?", ["a"]) == "a"); note("went on");"#,
        // not by the methods of rows
        r#"let x = query("backup", "SELECT name FROM sys.databases").rows.filter(|row| { try { ask("q?", ["a"]); } catch { } sql("backup", "KILL 99"); true }); note("went on");"#,
        // not by a loop
        r#"while true { try { ask("q?", ["a"]); } catch { note("caught"); } }"#,
        // not inside a test
        r#"sql("backup", "KILL 99", #{}, #{ done_when: || { try { ask("q?", ["a"]); } catch { } false } }); note("went on"); ask("q?", ["a"]);"#,
    ];
    for (n, book) in books.iter().enumerate() {
        let world = World::new();
        // the last one: a question in a test is refused, and only the one outside stops
        let expected = if n == 6 { 1 } else { 3 };
        let ended = world.rehearse(book).exits(expected);
        assert_eq!(ended.notes(), Vec::<String>::new(), "{book}");
        let events = ended.events();
        let end = events.last().unwrap();
        assert_eq!((end["event"].as_str(), end["exit"].as_i64()), (Some("run_finished"), Some(expected.into())), "{book}");
        if expected == 3 {
            assert_eq!(end["changed"], json!([]), "{book}");
            ended.says("nobody answered");
            assert!(!world.sent().iter().any(|text| text.contains("KILL") || text == "SELECT 1"), "{book}: {:#?}", world.sent());
        }
    }
}

#[test]
fn a_wait_ends_when_its_condition_is_true_or_its_limit_passes() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"wait_until("the servers", "1m", || query("backup", "SELECT COUNT(*) AS n FROM sys.databases").value() > 1);
            try { wait_until("doomsday", "300ms", || query("backup", "SELECT 0 AS n").value() == 1, #{ every: "50ms" }); } catch (e) { note(`${e.primitive}: ${e}`); }
            try { wait_until("what", "300", || true); } catch (e) { note(`${e}`); }
            try { wait_until("what", "1s", || 1); } catch (e) { note(`${e}`); }
            let began = query("backup", "SELECT SYSDATETIME() AS t").value();
            wait_until("a moment", "1m", || query("backup", "SELECT DATEDIFF(second, @t, SYSDATETIME()) AS s", #{ t: began }).value() >= 2, #{ every: "200ms" });"#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            "wait_until: waited 300ms for doomsday: it did not come true",
            "`limit` must be a duration, not `300`",
            "`wait_until` must return true or false, not a value of type i64",
        ],
    );
    let events = ended.events();
    let asked = |parent: u64| of(&events, "effect_finished").iter().filter(|e| e["parent"] == parent).count();
    let waits: Vec<u64> =
        of(&events, "effect_started").iter().filter(|e| e["primitive"] == "wait_until").map(|e| e["effect"].as_u64().unwrap()).collect();
    assert!(waits.len() == 4 && asked(waits[0]) == 1 && asked(waits[1]) > 1 && asked(waits[3]) > 1, "{waits:?}");
}

// ---- the shell ----

#[test]
fn cmdlets_get_typed_parameters_and_answer_with_objects() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"let pool = ps("Get-CsPersistentChatState")[0];
            note(`${type_of(pool)} ${pool.keys()} ${pool.PoolState}`);
            fn active() { ps("Get-CsService", #{ PersistentChatServer: true })[0].ActiveServers }
            let before = active(); note(`${type_of(before)} ${before.contains("dr-chat-01.litwareinc.com")}`);
            ps("Set-CsPersistentChatActiveServer", #{ ActiveServers: #{ Add: "dr-chat-01.litwareinc.com" }, Confirm: false },
                #{ done_when: || active().contains("dr-chat-01.litwareinc.com") });
            ps("Set-CsPersistentChatActiveServer", #{ ActiveServers: #{ Add: ["dr-chat-02.litwareinc.com"], Remove: ["atl-chat-01.litwareinc.com", "atl-chat-02.litwareinc.com"] }, Confirm: false });
            note(`${active().filter(|s| s.starts_with("dr-")).len()} ${active().filter(|s| s.starts_with("atl-")).len()}`);
            ps("Set-CsPersistentChatActiveServer", #{ ActiveServers: (), Confirm: false }); note(`${active()}`);
            let stores = ps("Get-CsTopology")[0].PersistentChatPools[0]; note(`${type_of(stores.BackupStore)} ${stores.BackupStore.SqlServerFqdn}`);
            fn no(cmdlet, parameters) { try { ps(cmdlet, parameters); note("went through"); } catch (e) { note(`${e}`); } }
            no("Set-CsPersistentChatActiveServer", #{ ActiveServerz: "x" });
            no("Set-CsPersistentChatActiveServer", #{ ActiveServers: #{ Nope: "x" } });
            no("Remove-Item", #{ Path: "x" });
            no("Get-CsPool; Remove-Item x", #{});
            no("Get-CsPool", #{ Identity: "nowhere.example.com" });"#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            r#"Row ["Identity", "PoolState"] Normal"#,
            "array false",
            "2 0",
            "[]",
            "map dr-sql-01.litwareinc.com",
            "`Set-CsPersistentChatActiveServer` has no parameter `ActiveServerz`",
            "`ActiveServers` takes Add, Remove or Replace, not `Nope`",
            "the site does not allow `Remove-Item`",
            "the site does not allow `Get-CsPool; Remove-Item x`",
            r#"`Get-CsPool` failed: Cannot find "nowhere.example.com" because it does not exist. [ObjectNotFound,Get-CsPool]"#,
        ],
    );
    let shell = world.lines("kept/shell.jsonl");
    assert!(shell.iter().enumerate().all(|(at, line)| line["n"] == at + 1 && line["at"].is_string()));
    let set: Vec<&Value> =
        shell.iter().filter(|line| line["cmdlet"] == "Set-CsPersistentChatActiveServer").map(|line| &line["parameters"]).collect();
    assert_eq!(
        set,
        [
            &json!({ "ActiveServers": { "Add": "dr-chat-01.litwareinc.com" }, "Confirm": false }),
            &json!({ "ActiveServers": { "Add": ["dr-chat-02.litwareinc.com"], "Remove": ["atl-chat-01.litwareinc.com", "atl-chat-02.litwareinc.com"] }, "Confirm": false }),
            &json!({ "ActiveServers": null, "Confirm": false }),
        ]
    );
    assert_eq!(shell.last().unwrap()["errors"], json!(["ObjectNotFound,Get-CsPool"]));
    assert!(!shell.iter().any(|line| line["cmdlet"].as_str().unwrap().contains("Remove-Item")));
    assert_eq!(world.json("kept/world.json")["pool"]["active_servers"], json!([]));
}

#[test]
fn warnings_of_a_cmdlet_are_noted_also_if_it_fails() {
    let world = World::new();
    world.write(
        "warns.toml",
        "[[shell-fault]]\nkind = \"cmdlet-warns\"\ncmdlet = \"Get-CsPool\"\nmessage = \"The topology is old.\"\n\
         [[shell-fault]]\nkind = \"cmdlet-fails\"\ncmdlet = \"Get-CsPool\"\nnth = 2\nmessage = \"No domain controller.\"\n",
    );
    let ended = world
        .rehearse_with(
            r#"note(`${ps("Get-CsPool", #{ Identity: site.pool }).len()}`);
            try { ps("Get-CsPool", #{ Identity: site.pool }); } catch (e) { note(`${e.primitive}: ${e.messages[0].message}`); }"#,
            "--yes --scenario @/warns.toml",
        )
        .exits(0);
    assert_lines(&ended.notes(), &["The topology is old.", "1", "The topology is old.", "ps: No domain controller."]);
    let levels: Vec<Value> = of(&ended.events(), "note").iter().map(|event| event["level"].clone()).collect();
    assert_eq!(levels, ["warn", "note", "warn", "note"]);
}

// ---- folders and logs ----

#[test]
fn copying_and_restoring_twice_does_nothing_the_second_time() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"let there = backups(site.backups.share); note(`${there.files.len()} ${there.files.columns} ${there.free_bytes > 0} ${backups(site.backups.share, "*.wrk").files.len()}`);
            note(`${backups(site.backups.share, "*.bak").files.len()} ${there.files.sorted_by("modified")[0].name == there.files[0].name}`);
            for n in 0..2 {
                let done = copy_backups(#{ from: site.backups.share, to: site.backups.copy_to });
                note(`${done.copied.len()} ${done.skipped.len()} ${done.refused.len()} ${done.bytes > 0}`);
            }
            let on_server = #{ folder_on_server: site.backups.copy_to_on_server };
            let chain = log_chain("backup", site.database, site.backups.copy_to, on_server);
            note(`${chain.sets.len()} ${chain.gap == ()} ${chain.end_lsn > chain.redo_lsn} ${chain.sets[0].first_lsn <= chain.redo_lsn} ${type_of(chain.end_lsn)}`);
            for n in 0..2 {
                let done = restore_logs("backup", site.database, site.backups.copy_to, on_server);
                note(`${done.applied.len()} ${done.last_lsn == chain.end_lsn} ${done.loss.lines.len() > 0} ${done.loss.safe_until < done.last_backup_finish}`);
            }
            let chain = log_chain("backup", site.database, site.backups.copy_to, on_server); note(`${chain.sets.len()} ${chain.redo_lsn == chain.end_lsn}`);"#,
        )
        .exits(0);
    let notes: Vec<String> = ended.notes().into_iter().filter(|note| !note.contains(".wrk was left alone")).collect();
    assert_lines(
        &notes,
        &[
            r#"24 ["name", "bytes", "modified"] true 1"#,
            "0 true",
            "8 16 0 true",
            "0 24 0 false",
            "12 true true true Lsn",
            "12 true true true",
            "0 true true true",
            "0 true",
        ],
    );
    assert_eq!(world.sent().iter().filter(|text| text.starts_with("RESTORE LOG")).count(), 12);
    assert_eq!(world.json("kept/world.json")["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 24);
}

#[test]
fn folders_that_cannot_serve_are_named_before_anything_is_done() {
    let world = World::new();
    let root = if cfg!(windows) { "C:" } else { "" };
    let book = r#"try { backups("ROOT/nonexistent/share"); } catch (e) { note(`${e}`); }
            try { backups("share"); } catch (e) { note(`${e}`); }
            try { copy_backups(#{ from: "share", to: site.backups.copy_to }); } catch (e) { note(`${e}`); }
            try { copy_backups(#{ from: site.backups.share, to: "ROOT/nonexistent/copy" }); } catch (e) { note(`${e}`); }
            try { copy_backups(#{ from: site.backups.share, to: site.backups.copy_to, workers: 99 }); } catch (e) { note(`${e}`); }
            try { log_chain("backup", site.database, "copy"); } catch (e) { note(`${e}`); }
            try { restore_logs("backup", site.database, site.backups.copy_to, #{ keep: "standby" }); } catch (e) { note(`${e}`); }
            try { restore_logs("backup", "nix", site.backups.copy_to); } catch (e) { note(`${e}`); }
            try { restore_logs("backpu", site.database, site.backups.copy_to); } catch (e) { note(`${e}`); }"#;
    let ended = world.rehearse(&book.replace("ROOT", root)).exits(0);
    assert_lines(
        &ended.notes(),
        &[
            &format!("the folder `{root}/nonexistent/share` does not exist"),
            "`share` is not an absolute path",
            "`share` is not an absolute path",
            &format!("the folder `{root}/nonexistent/copy` does not exist"),
            "99 workers are not possible",
            "`copy` is not an absolute path",
            "standby needs an undo file",
            "there is no database `nix` on `backup`; nothing was changed",
            "the site has no server `backpu`",
        ],
    );
    assert!(!world.sent().iter().any(|text| text.starts_with("RESTORE")));
}

// ---- a second process ----

#[test]
fn a_second_failover_of_the_same_lab_stops_clearly_and_changes_nothing() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let run = format!("run {} --site @/lab/site.toml --journal @/runs --yes", repository("runbooks/pchat-failover.rhai").display());
    world.cutover(&run).exits(0);
    world.cutover(&run).exits(1).says("is online already").says("nothing was changed");
    lab.stop();
    let end = world.json("lab/world.json");
    assert_eq!((&end["servers"]["backup"]["databases"]["mgc"]["state"], &end["pool"]["state"]), (&json!("ONLINE"), &json!("FailedOver")));
    assert_eq!(world.lines("lab/wire.jsonl").iter().filter(|line| line["text"].as_str().unwrap().contains("WITH RECOVERY")).count(), 1);
}

#[test]
fn each_run_reads_the_site_file_anew_and_says_what_is_wrong_with_it() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let book = world.write("look.rhai", "note(`${site.name} ${site.vars.ticket}`); note(query(\"backup\", \"SELECT name FROM sys.databases WHERE name = @db\", #{ db: site.database }).value());");
    let run = format!("run {} --unchecked --site @/lab/site.toml --journal @/runs --format json", book.display());
    lab.edit_site(|text| format!("{text}\n[vars]\nticket = \"INC-1\"\n"));
    assert_lines(&world.cutover(&run).exits(0).notes(), &["lab INC-1", "mgc"]);
    lab.edit_site(|text| text.replace("INC-1", "INC-2").replace("database = \"mgc\"", "database = \"mgccomp\""));
    assert_lines(&world.cutover(&run).exits(0).notes(), &["lab INC-2", "mgccomp"]);
    assert_lines(&world.cutover(&format!("{run} --set vars.ticket=INC-3")).exits(0).notes(), &["lab INC-3", "mgccomp"]);
    lab.edit_site(|text| text.replace("active_servers", "active_servrs"));
    world.cutover(&run).exits(2).says("active_servrs").says("active_servers");
    lab.stop();
}
