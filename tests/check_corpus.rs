//! The stock runbook, edited as people edit: each planted fault is found under its own slug, and what does no harm is not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cutover::check::{self, Input, Options};
use cutover::host;
use cutover::primitives::PRIMITIVES;
use cutover::site::Site;

const BOOK: &str = "runbooks/pchat-failover.rhai";

enum Do {
    /// In a file (empty: the runbook; else a module, whose copy then lies beside it): this text, which stands there once.
    Put(&'static str, &'static str, &'static str),
    /// In the runbook: everything from the first text up to the second, which stays.
    Cut(&'static str, &'static str),
    /// In the runbook: everything from the first text up to the second stands before the third instead.
    Move(&'static str, &'static str, &'static str),
    /// A module beside the runbook.
    Module(&'static str, &'static str),
    /// The site file is there, with these lines at its end.
    Site(&'static str),
}
use Do::{Cut, Module, Move, Put, Site as WithSite};

fn source(name: &str) -> String {
    let file = if name.is_empty() { BOOK.to_owned() } else { format!("stdlib/{name}.rhai") };
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn once(text: &str, find: &str) -> usize {
    let found: Vec<usize> = text.match_indices(find).map(|(at, _)| at).collect();
    assert_eq!(found.len(), 1, "stands there {} times: {find}", found.len());
    found[0]
}

/// The slugs of what is found in an edited copy, each with its line.
fn check(edits: &[Do]) -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut book = source("");
    let mut modules: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    let mut site = None;
    for edit in edits {
        match edit {
            Put(file, find, put) => {
                let text = if file.is_empty() { &mut book } else { modules.entry(file).or_insert_with(|| source(file)) };
                let at = once(text, find);
                text.replace_range(at..at + find.len(), put);
            }
            Cut(from, to) => {
                let start = once(&book, from);
                let end = start + book[start..].find(to).unwrap_or_else(|| panic!("not there: {to}"));
                book.replace_range(start..end, "");
            }
            Move(from, to, before) => {
                let start = once(&book, from);
                let end = start + book[start..].find(to).unwrap_or_else(|| panic!("not there: {to}"));
                let part = book[start..end].to_owned();
                book.replace_range(start..end, "");
                let at = once(&book, before);
                book.insert_str(at, &part);
            }
            Module(name, text) => {
                modules.insert(name, (*text).to_owned());
            }
            WithSite(more) => {
                let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/site.example.toml")).unwrap();
                site = Some(Arc::new(Site::parse("site.toml", &format!("{example}\n{more}\n"), &[]).unwrap()));
            }
        }
    }
    for (name, text) in &modules {
        std::fs::write(folder.path().join(format!("{name}.rhai")), text).unwrap();
    }
    let path = folder.path().join("book.rhai");
    std::fs::write(&path, &book).unwrap();
    let options = Options { site, names: host::names(PRIMITIVES) };
    let checked = check::check(&[Input { path, text: None }], &options).unwrap();
    let told = |finding: check::Finding| {
        let (line, _) = finding.file.line_and_column(finding.span.start);
        let file = Path::new(&finding.file.name).file_name().unwrap().to_str().unwrap().to_owned();
        (finding.rule, format!("{file}:{line} {}", finding.message))
    };
    checked.findings.into_iter().map(told).collect()
}

/// What is planted, the slug that must be among the findings, and the edits.
const PLANTED: &[(&str, &str, &[Do])] = &[
    (
        "a bracket is forgotten",
        "syntax",
        &[Put("", "let server_name = facts.server.server_name;", "let server_name = (facts.server.server_name;")],
    ),
    ("a comment is not closed", "syntax", &[Put("", "let server_name =", "/* the name\nlet server_name =")]),
    ("a primitive is misspelt", "unknown-call", &[Put("", "let result = copy_backups(", "let result = copy_backup(")]),
    ("a function of a module is misspelt", "unknown-call", &[Put("", "databases::bring_online(", "databases::bring_onlin(")]),
    ("a method is misspelt", "unknown-call", &[Put("", "if !seen.contains(file.name) {", "if !seen.contain(file.name) {")]),
    ("an option is misspelt", "wrong-arguments", &[Put("", "keep: \"norecovery\", alone: true,", "keep: \"norecovery\", alon: true,")]),
    (
        "an option's word is wrong",
        "wrong-arguments",
        &[Put("", "keep: \"norecovery\", alone: true,", "keep: \"no-recovery\", alone: true,")],
    ),
    (
        "an argument is forgotten",
        "wrong-arguments",
        &[Put("", "let chain = log_chain(\"backup\", db, site.backups.copy_to, folder);", "let chain = log_chain(\"backup\", db);")],
    ),
    (
        "a required option is forgotten",
        "wrong-arguments",
        &[Put("", "copy_backups(#{ from: from, to: site.backups.copy_to,", "copy_backups(#{ from: from,")],
    ),
    (
        "a function gets too few arguments",
        "wrong-arguments",
        &[Put("", "databases::bring_online(\"backup\", db, server_name);", "databases::bring_online(\"backup\", db);")],
    ),
    (
        "a duration has no unit",
        "wrong-arguments",
        &[Put(
            "",
            "\"the active servers to have the new configuration\", \"5m\"",
            "\"the active servers to have the new configuration\", \"5\"",
        )],
    ),
    (
        "a parameter of the text is misspelt",
        "wrong-arguments",
        &[Put(
            "databases",
            "#{ db: database, server: server_name }).rows.len() == 1\n}\n\n// The point of no return.",
            "#{ database: database, server: server_name }).rows.len() == 1\n}\n\n// The point of no return.",
        )],
    ),
    ("a variable is misspelt", "unknown-variable", &[Put("", "newer_than: facts.last_restored });", "newer_than: fact.last_restored });")]),
    ("a module is misspelt", "unknown-import", &[Put("", "import \"databases\" as databases;", "import \"databasses\" as databases;")]),
    (
        "a key of the site is misspelt",
        "unknown-site-key",
        &[Put(
            "",
            "let folder = #{ folder_on_server: site.backups.copy_to_on_server };",
            "let folder = #{ folder_on_server: site.backups.copy_to_on_servr };",
        )],
    ),
    (
        "a variable of the site is not defined",
        "unknown-site-key",
        &[
            WithSite(""),
            Put(
                "",
                "let server_name = facts.server.server_name;",
                "let server_name = facts.server.server_name;\nnote(site.vars.ticket_nr);",
            ),
        ],
    ),
    (
        "a server is misspelt",
        "unknown-server",
        &[
            WithSite(""),
            Put("", "let last = databases::last_restored(\"backup\", db);", "let last = databases::last_restored(\"bakcup\", db);"),
        ],
    ),
    ("a cmdlet is misspelt", "unknown-cmdlet", &[Put("pchat", "ps(\"Set-CsPersistentChatState\"", "ps(\"Set-CsPersistantChatState\"")]),
    (
        "a parameter is misspelt",
        "wrong-cmdlet-parameter",
        &[Put("pchat", "PoolState: \"FailedOver\", Confirm: false", "PoolStaet: \"FailedOver\", Confirm: false")],
    ),
    (
        "a parameter's value is wrong",
        "wrong-cmdlet-parameter",
        &[Put("pchat", "PoolState: \"FailedOver\", Confirm: false", "PoolState: \"Failed\", Confirm: false")],
    ),
    ("a mandatory parameter is left out", "wrong-cmdlet-parameter", &[Put("mirroring", "DatabaseType: \"PersistentChat\",\n", "")]),
    (
        "a keyword is misspelt",
        "sql-syntax",
        &[Put("databases", "let text = \"RESTORE DATABASE {db} WITH RECOVERY\";", "let text = \"RESTORE DATABSE {db} WITH RECOVERY\";")],
    ),
    (
        "an option of RESTORE is misspelt",
        "sql-syntax",
        &[Put("databases", "let text = \"RESTORE DATABASE {db} WITH RECOVERY\";", "let text = \"RESTORE DATABASE {db} WITH RECOVRY\";")],
    ),
    (
        "a text is not closed in T-SQL",
        "sql-syntax",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = facts.server.server_name;\nstep(\"who\", || { note(`${query(\"backup\", \"SELECT name FROM sys.databases WHERE name = 'mgc\").rows.len()}`); });",
        )],
    ),
    (
        "two steps have one title",
        "duplicate-step",
        &[Put("", "step(\"5. Fail over to the mgc backup database\"", "step(\"4. Bring the backup mgc database online\"")],
    ),
    (
        "a statement stands after fail",
        "unreachable-code",
        &[Put(
            "",
            "\"another database of that name was brought online: stop and find out which\");",
            "\"another database of that name was brought online: stop and find out which\");\n        note(\"stopped\");",
        )],
    ),
    (
        "a variable is left over",
        "unused-variable",
        &[Put(
            "",
            "let before = pchat::active_servers(site.pool);",
            "let before = pchat::active_servers(site.pool);\n    let count = before.len();",
        )],
    ),
    (
        "an import is left over",
        "unused-import",
        &[
            Module("extra", "fn nothing() { 1 }"),
            Put("", "import \"databases\" as databases;", "import \"databases\" as databases;\nimport \"extra\" as extra;"),
        ],
    ),
    (
        "a function is left over",
        "unused-function",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = facts.server.server_name;\nfn old_way(db) { note(db); }",
        )],
    ),
    (
        "site is bound again",
        "shadowed-site",
        &[Put("", "let before = pchat::active_servers(site.pool);", "let site = 1;\n    let before = pchat::active_servers(\"x\");")],
    ),
    (
        "a return is meant to end the run",
        "return-in-step",
        &[Put(
            "",
            "if facts.shipping.rows.len() != 1 { note(\"it is removed already\"); return #{ at: \"before\", kept: [] }; }",
            "if facts.shipping.rows.len() != 1 { note(\"it is removed already\"); return; }",
        )],
    ),
    (
        "the first question is deleted",
        "change-without-confirm",
        &[Cut("    confirm(`Fail over ${site.pool}", "    // Copying adds and takes nothing")],
    ),
    ("the question before the pool is deleted", "change-without-confirm", &[Cut("    confirm(`Switch the pool", "    pchat::fail_over(")]),
    (
        "the question before the pool is asked on one way only",
        "change-without-confirm",
        &[
            Put(
                "",
                "    confirm(`Switch the pool ${site.pool} to FailedOver?`, #{",
                "    if site.vars.contains(\"ask\") { confirm(`Switch the pool ${site.pool} to FailedOver?`, #{",
            ),
            Put(
                "",
                "[\"management store\", pchat::management_store()]]\n    });\n    pchat::fail_over",
                "[\"management store\", pchat::management_store()]]\n    }); }\n    pchat::fail_over",
            ),
        ],
    ),
    (
        "a question's answer is swallowed by a helper that asks nothing",
        "change-without-confirm",
        &[
            Cut("    confirm(`Mirror ${db} from", "    mirroring::establish("),
            Cut("    let mirror = pchat::stores(site.pool).BackupMirrorStore;", "    mirroring::establish("),
            Cut("    confirm(`Switch the pool", "    pchat::fail_over("),
        ],
    ),
    (
        "the word before recovery is taken away",
        "irreversible-without-word",
        &[Put("", "id: \"bring-online\", irreversible: true, type:", "id: \"bring-online\", type:")],
    ),
    (
        "the question before recovery is deleted",
        "irreversible-without-word",
        &[Cut("    confirm(`Bring ${db} on ${server_name} online?", "    databases::bring_online(")],
    ),
    (
        "a question serves two points of no return",
        "irreversible-without-word",
        &[Put(
            "",
            "    databases::bring_online(\"backup\", db, server_name);\n",
            "    databases::bring_online(\"backup\", db, server_name);\n    confirm(\"And the other one?\", #{ show: db });\n    databases::bring_online(\"backup\", \"mgc2\", server_name);\n",
        )],
    ),
    (
        "recovery stands in step 2",
        "recovered-too-early",
        &[Put(
            "",
            "    let seen = databases::files_seen_by_server(\"backup\", site.backups.copy_to_on_server);\n    for file in result.copied {",
            "    databases::bring_online(\"backup\", db, server_name);\n    let seen = databases::files_seen_by_server(\"backup\", site.backups.copy_to_on_server);\n    for file in result.copied {",
        )],
    ),
    (
        "recovery slips in by a helper of another module",
        "recovered-too-early",
        &[
            Module(
                "helper",
                "fn tidy(server, db) {\n    sql(server, \"RESTORE DATABASE {db} WITH RECOVERY\", #{ db: db }, #{ done_when: || query(server, \"SELECT name FROM sys.databases WHERE name = @db AND state = 0\", #{ db: db }).rows.len() == 1 });\n}\n",
            ),
            Put("", "import \"databases\" as databases;", "import \"databases\" as databases;\nimport \"helper\" as helper;"),
            Put(
                "",
                "    let result = copy_backups(#{ from: from,",
                "    helper::tidy(\"backup\", db);\n    let result = copy_backups(#{ from: from,",
            ),
        ],
    ),
    (
        "NORECOVERY is forgotten",
        "recovered-too-early",
        &[Put(
            "",
            "    let result = copy_backups(#{ from: from,",
            "    sql(\"backup\", \"RESTORE LOG {db} FROM DISK = @file\", #{ db: db, file: facts.last_restored }, #{ done_when: || databases::is_online(\"backup\", db, server_name) });\n    let result = copy_backups(#{ from: from,",
        )],
    ),
    (
        "the logs are applied on one way only",
        "recovered-too-early",
        &[Put(
            "",
            "    restore_logs(\"backup\", db, site.backups.copy_to, folder + #{ keep: \"norecovery\", alone: true,\n        done_when: || databases::is_rolled_forward(\"backup\", db, server_name, chain.end_lsn) });",
            "    if ask(\"Apply them?\", [\"yes\", \"no\"], #{ id: \"apply\", \"default\": \"yes\" }) == \"yes\" { restore_logs(\"backup\", db, site.backups.copy_to, folder + #{ keep: \"norecovery\", alone: true,\n        done_when: || databases::is_rolled_forward(\"backup\", db, server_name, chain.end_lsn) }); }",
        )],
    ),
    (
        "step 2 stands after step 3",
        "restored-before-copied",
        &[Move("step(\"2. Copy any uncopied", "// \"Apply any unapplied", "// \"Bring the backup mgc database online\"")],
    ),
    (
        "step 5 stands before step 4",
        "pool-switched-too-early",
        &[Move("step(\"5. Fail over to the mgc", "// \"Use the backup database", "// \"Bring the backup mgc database online\"")],
    ),
    (
        "nothing brings the database online",
        "pool-switched-too-early",
        &[Put("", "    databases::bring_online(\"backup\", db, server_name);\n", "")],
    ),
    (
        "log shipping is removed before it is looked at",
        "facts-deleted-first",
        &[Put(
            "",
            "let facts = step(",
            "step(\"0. Remove log shipping\", || {\n    confirm(\"Remove it?\", #{ show: db });\n    sql(\"backup\", \"EXEC master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = @db\", #{ db: db }, #{ done_when: || query(\"backup\", \"SELECT 1 AS x FROM msdb.dbo.log_shipping_secondary_databases WHERE secondary_database = @db\", #{ db: db }).rows.len() == 0 });\n});\nlet facts = step(",
        )],
    ),
    (
        "a change is not verified",
        "unverified-change",
        &[Put("databases", "#{ done_when: || is_online(server, database, server_name), within: \"10m\" }", "#{ timeout: \"10m\" }")],
    ),
    (
        "a cmdlet is not verified",
        "unverified-change",
        &[Put(
            "pchat",
            ",\n       #{ done_when: || ps(\"Get-CsPersistentChatState\", #{ Identity: identity })[0].PoolState == \"FailedOver\", within: \"1m\" }",
            "",
        )],
    ),
    (
        "a name is written into the text",
        "sql-from-data",
        &[Put(
            "databases",
            "let text = \"RESTORE DATABASE {db} WITH RECOVERY\";",
            "let text = `RESTORE DATABASE [${database}] WITH RECOVERY`;",
        )],
    ),
    (
        "a name is added to the text",
        "sql-from-data",
        &[Put(
            "databases",
            "let text = \"RESTORE DATABASE {db} WITH RECOVERY\";",
            "let text = \"RESTORE DATABASE \" + database + \" WITH RECOVERY\";",
        )],
    ),
    (
        "everybody is ended",
        "sessions-killed-blindly",
        &[Put(
            "",
            "        databases::end_sessions(\"backup\", db);",
            "        for row in everybody { sql(\"backup\", \"KILL {spid}\", #{ spid: row.SPID }, #{ done_when: || databases::nobody_inside(\"backup\", db) }); }",
        )],
    ),
    (
        "an error is swallowed",
        "swallowed-error",
        &[Put("", "catch (failure) { warn(`${failure}: chat starts there only when it has come`); }", "catch (failure) { }")],
    ),
    (
        "a wait has no end",
        "endless-wait",
        &[Put(
            "",
            "    for name in add { pchat::activate(site.pool, name); }",
            "    for name in add { pchat::activate(site.pool, name); }\n    while pchat::late_replicas().len > 0 { }",
        )],
    ),
    (
        "a test changes something",
        "change-in-done-when",
        &[Put(
            "",
            "done_when: || databases::is_rolled_forward(\"backup\", db, server_name, chain.end_lsn) }",
            "done_when: || { databases::bring_online(\"backup\", db, server_name); true } }",
        )],
    ),
    (
        "an effect stands outside of the steps",
        "effect-outside-step",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = query(\"backup\", \"SELECT @@SERVERNAME AS n\").value();",
        )],
    ),
    (
        "a password is written down",
        "literal-secret",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = facts.server.server_name;\nlet login = #{ user: \"sa\", password: \"Sommer2024!\" };\nnote(login.user);",
        )],
    ),
    (
        "a share is written down",
        "literal-host",
        &[Put(
            "",
            "copy_backups(#{ from: from, to: site.backups.copy_to,",
            "copy_backups(#{ from: \"\\\\\\\\fs01.litwareinc.com\\\\logs\", to: site.backups.copy_to,",
        )],
    ),
    ("a dash is typographic", "typographic-dash", &[Put("pchat", "ps(\"Set-CsPersistentChatState\"", "ps(\"Set–CsPersistentChatState\"")]),
    (
        "mgccomp is recovered too",
        "compliance-database-touched",
        &[Put(
            "",
            "    databases::bring_online(\"backup\", db, server_name);\n",
            "    databases::bring_online(\"backup\", db, server_name);\n    confirm(\"And mgccomp?\", #{ id: \"mgccomp\", irreversible: true, show: db });\n    databases::bring_online(\"backup\", \"mgccomp\", server_name);\n",
        )],
    ),
    (
        "a primitive is called by its name as text",
        "indirect-call",
        &[Put(
            "",
            "for name in add { pchat::activate(site.pool, name); }",
            "add.map(\"note\");\n    for name in add { pchat::activate(site.pool, name); }",
        )],
    ),
    (
        "a test writes to what it captures",
        "captured-write",
        &[Put(
            "",
            "let members = pchat::computers(site.pool);",
            "let members = pchat::computers(site.pool);\n    let tries = 0;\n    wait_until(\"it\", \"1m\", || { tries += 1; pchat::late_replicas().len == 0 });\n    note(`${tries}`);",
        )],
    ),
    (
        "the pool's state is not said",
        "pool-state-implicit",
        &[Put("pchat", "#{ Identity: identity, PoolState: \"FailedOver\", Confirm: false }", "#{ Identity: identity, Confirm: false }")],
    ),
    (
        "a cmdlet is forced",
        "forced-cmdlet",
        &[Put("pchat", "PoolState: \"FailedOver\", Confirm: false", "PoolState: \"FailedOver\", Confirm: false, Force: true")],
    ),
    (
        "the list of active servers is replaced",
        "active-servers-replaced",
        &[Put("pchat", "#{ ActiveServers: #{ Add: server }, Confirm: false }", "#{ ActiveServers: [server], Confirm: false }")],
    ),
    (
        "a query changes something",
        "change-in-query",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = facts.server.server_name;\nstep(\"start\", || { note(`${query(\"backup\", \"EXEC msdb.dbo.sp_start_job @job_name = 'LSCopy'\").rows.len()}`); });",
        )],
    ),
    (
        "a variable is unknown, and a server is misspelt, too",
        "unknown-cmdlet",
        &[
            Put(
                "",
                "let server_name = facts.server.server_name;",
                "let server_name = facts.server.server_name;\nstep(\"told\", || { note(ticket_nr); });",
            ),
            Put("", "for name in add {", "ps(\"Get-CsPoool\");\n    for name in add {"),
        ],
    ),
    (
        "a call is unknown, and a confirm is gone, too",
        "change-without-confirm",
        &[
            Put(
                "",
                "let server_name = facts.server.server_name;",
                "let server_name = facts.server.server_name;\nstep(\"told\", || { nte(\"x\"); });",
            ),
            Cut("    confirm(`Switch", "    pchat::fail_over("),
        ],
    ),
    (
        "a semicolon is missing, and an option is misspelt, too",
        "wrong-arguments",
        &[
            Put("", "let server_name = facts.server.server_name;", "let server_name = facts.server.server_name\nnote(server_name);"),
            Put("", "keep: \"norecovery\", alone: true,", "keep: \"norecovery\", alon: true,"),
        ],
    ),
    (
        "a copy goes the other way",
        "restored-before-copied",
        &[Put(
            "",
            "copy_backups(#{ from: from, to: site.backups.copy_to,",
            "copy_backups(#{ from: site.backups.copy_to, to: site.backups.share,",
        )],
    ),
];

/// What does no harm: nothing is found.
const HARMLESS: &[(&str, &[Do])] = &[
    ("nothing is edited", &[]),
    (
        "a title and a comment",
        &[Put("", "step(\"5. Fail over to the mgc backup database\"", "/* ours */ step(\"5. Switch the pool to its backup database\"")],
    ),
    (
        "a query more, in a step",
        &[Put(
            "",
            "    let stores = pchat::stores(site.pool);\n    pchat::turns_to(stores, site.sql.backup.fqdn);\n    confirm(`Switch",
            "    let stores = pchat::stores(site.pool);\n    note(`${query(\"backup\", \"SELECT COUNT(*) AS n FROM sys.databases\").value()} databases`);\n    pchat::turns_to(stores, site.sql.backup.fqdn);\n    confirm(`Switch",
        )],
    ),
    (
        "a variable of the site",
        &[
            WithSite(""),
            Put(
                "",
                "let server_name = facts.server.server_name;",
                "let server_name = facts.server.server_name;\nnote(`for ${site.vars.ticket}`);",
            ),
        ],
    ),
    ("with the site file", &[WithSite("")]),
    (
        "a question more",
        &[Put(
            "",
            "    pchat::fail_over(facts.pool.Identity);",
            "    confirm(\"Has the help desk been told?\", #{ show: site.pool });\n    pchat::fail_over(facts.pool.Identity);",
        )],
    ),
    (
        "a longer wait",
        &[Put(
            "",
            "\"the active servers to have the new configuration\", \"5m\"",
            "\"the active servers to have the new configuration\", \"15m\"",
        )],
    ),
    (
        "no mirror at all",
        &[
            Cut("// \"Use the backup database instance", "// \"Set the list of active servers.\""),
            Cut("if when == \"after step 7\"", "note(`${db} on"),
            Put("", "import \"mirroring\" as mirroring;\n", ""),
        ],
    ),
    (
        "a module of the site's own",
        &[
            Module("ours", "// Tells people.\nfn tell(what) {\n    manual(\"Tell the help desk\", `Call them: ${what}`);\n}\n"),
            Put("", "import \"databases\" as databases;", "import \"databases\" as databases;\nimport \"ours\" as ours;"),
            Put(
                "",
                "    pchat::fail_over(facts.pool.Identity);",
                "    ours::tell(\"chat moves now\");\n    pchat::fail_over(facts.pool.Identity);",
            ),
        ],
    ),
    (
        "the logs are applied only if there are any",
        &[Put(
            "",
            "    if chain.gap != () || chain.sets.len() == 0 {\n        restore_logs(\"backup\", db, site.backups.copy_to, folder); // tells the gap, or that there is nothing to apply\n        return chain;\n    }",
            "    if chain.gap != () { fail(\"there is a gap\", \"find the missing log backup\"); }\n    if chain.sets.len() == 0 { note(\"nothing to apply\"); return chain; }",
        )],
    ),
    (
        "recovery is left out where the database is online already",
        &[Put(
            "",
            "    databases::bring_online(\"backup\", db, server_name);\n",
            "    if databases::is_online(\"backup\", db, server_name) { note(\"it is online already\"); } else { databases::bring_online(\"backup\", db, server_name); }\n",
        )],
    ),
    (
        "the copy is made by a function",
        &[
            Put(
                "",
                "step(\"2. Copy any uncopied",
                "fn copy_from(from, newer_than, db) {\n    copy_backups(#{ from: from, to: site.backups.copy_to, matching: `${db}_*.trn`, newer_than: newer_than })\n}\nstep(\"2. Copy any uncopied",
            ),
            Put(
                "",
                "let result = copy_backups(#{ from: from, to: site.backups.copy_to, matching: `${db}_*.trn`, newer_than: facts.last_restored });",
                "let result = copy_from(from, facts.last_restored, db);",
            ),
        ],
    ),
    (
        "a text is put together from constants",
        &[Put(
            "databases",
            "let text = \"RESTORE DATABASE {db} WITH RECOVERY\";",
            "let verb = \"RESTORE DATABASE\";\n    let text = `${verb} {db}` + \" WITH RECOVERY\";",
        )],
    ),
    (
        "the progress of a KILL is asked for",
        &[Put(
            "",
            "let before = pchat::active_servers(site.pool);",
            "let before = pchat::active_servers(site.pool);\n    note(`${query(\"backup\", \"KILL 55 WITH STATUSONLY\").messages}`);",
        )],
    ),
    (
        "other databases are looked at in a loop",
        &[Put(
            "",
            "let before = pchat::active_servers(site.pool);",
            "let before = pchat::active_servers(site.pool);\n    for name in [\"mgc\", \"mgccomp\"] { note(`${name}: ${query(\"backup\", \"SELECT state_desc FROM sys.databases WHERE name = @n\", #{ n: name }).value()}`); }",
        )],
    ),
    (
        "the removal is put off for good",
        &[Put(
            "",
            "    let at = ask(\"Its jobs are disabled and idle. Remove it now, as the document says, or after step 4?\", [\"now\", \"after step 4\"], #{ id: \"remove\", \"default\": \"now\" });",
            "    let at = \"after step 4\";",
        )],
    ),
    (
        "the pool goes back to normal by another way",
        &[
            Module(
                "back",
                "// Failing back.\nfn fail_back(identity) {\n    ps(\"Set-CsPersistentChatState\", #{ Identity: identity, PoolState: \"Normal\", Confirm: false },\n       #{ done_when: || ps(\"Get-CsPersistentChatState\", #{ Identity: identity })[0].PoolState == \"Normal\", within: \"1m\" });\n}\n",
            ),
            Put("", "import \"databases\" as databases;", "import \"databases\" as databases;\nimport \"back\" as back;"),
            Put(
                "",
                "    pchat::fail_over(facts.pool.Identity);",
                "    if ask(\"Which way?\", [\"over\", \"back\"], #{ id: \"way\", \"default\": \"over\" }) == \"back\" { back::fail_back(facts.pool.Identity); } else { pchat::fail_over(facts.pool.Identity); }",
            ),
        ],
    ),
    (
        "a failure is told in other words",
        &[Put(
            "",
            "catch (failure) { warn(`${failure}: chat starts there only when it has come`); }",
            "catch (failure) { note(`later: ${failure.message}`); }",
        )],
    ),
    (
        "a job is started and read back",
        &[Put(
            "",
            "    pchat::fail_over(facts.pool.Identity);",
            "    pchat::fail_over(facts.pool.Identity);\n    sql(\"backup\", \"EXEC msdb.dbo.sp_start_job @job_name = @job\", #{ job: \"Full backup\" });\n    note(`${query(\"backup\", \"SELECT name, enabled FROM msdb.dbo.sysjobs WHERE name = @job\", #{ job: \"Full backup\" }).rows}`);",
        )],
    ),
    (
        "a bounded look by hand",
        &[Put(
            "",
            "    for name in add { pchat::activate(site.pool, name); }",
            "    for name in add { pchat::activate(site.pool, name); }\n    let looks = 0;\n    while looks < 3 && pchat::late_replicas().len > 0 { looks += 1; }\n    note(`${looks} looks`);",
        )],
    ),
    (
        "the same test twice",
        &[Put(
            "",
            "    pchat::fail_over(facts.pool.Identity);",
            "    let early = site.vars.contains(\"early\");\n    if early { confirm(\"Early?\", #{ show: site.pool }); }\n    pchat::fail_over(facts.pool.Identity);\n    if early { note(\"early\"); }",
        )],
    ),
    (
        "steps in functions",
        &[Put(
            "",
            "let server_name = facts.server.server_name;",
            "let server_name = facts.server.server_name;\nfn look_around(server) {\n    step(\"Look around\", || { note(`${query(server, \"SELECT COUNT(*) AS n FROM sys.databases\").value()}`); });\n}\nlook_around(\"backup\");",
        )],
    ),
    (
        "windows line ends and a byte order mark",
        &[Put("", "// Failover of Persistent Chat Server (Lync", "\u{feff}// Failover of Persistent Chat Server (Lync")],
    ),
];

#[test]
fn every_planted_fault_is_found_under_its_slug() {
    assert!(PLANTED.len() >= 40);
    let mut table = String::new();
    let mut missed = Vec::new();
    for (what, slug, edits) in PLANTED {
        let found = check(edits);
        let slugs: BTreeSet<&str> = found.iter().map(|(rule, _)| *rule).collect();
        table.push_str(&format!("{what}\n    {slug}\n"));
        for (rule, told) in &found {
            table.push_str(&format!("    {} {rule} {told}\n", if rule == slug { "*" } else { "-" }));
        }
        if !slugs.contains(slug) {
            missed.push(format!("{what}: wanted {slug}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    insta::assert_snapshot!(table);
}

#[test]
fn what_does_no_harm_is_not_found() {
    assert!(HARMLESS.len() >= 20);
    let alarms: Vec<String> = HARMLESS
        .iter()
        .flat_map(|(what, edits)| check(edits).into_iter().map(move |(rule, told)| format!("{what}: {rule} {told}")))
        .collect();
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}
