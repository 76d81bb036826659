//! What a runbook may call, proven through the built program against a lab: values both ways, messages, reads told from
//! changes, `done_when`, questions and stops. Judged by the events, the wire and the shell, never by what the program
//! believes of itself.
#![cfg(feature = "lab")]

mod common;

use std::fmt::Write;

use common::{World, assert_lines, of, squeezed};
use serde_json::{Value, json};

// ---- values ----

/// T-SQL type, literal, the runbook's type, and the value as text.
const CELLS: &[(&str, &str, &str, &str)] = &[
    ("tinyint", "255", "i64", "255"),
    ("smallint", "-32768", "i64", "-32768"),
    ("int", "-2147483648", "i64", "-2147483648"),
    ("bigint", "-9223372036854775808", "i64", "-9223372036854775808"),
    ("bigint", "9223372036854775807", "i64", "9223372036854775807"),
    ("bit", "1", "bool", "true"),
    ("bit", "0", "bool", "false"),
    ("real", "'-1.5'", "f64", "-1.5"),
    ("float", "0.1", "f64", "0.1"),
    ("float", "-2.2250738585072014e-308", "f64", "-2.2250738585072014e-308"),
    ("decimal(10,2)", "-1234.50", "decimal", "-1234.50"),
    ("decimal(28,0)", "-9999999999999999999999999999", "decimal", "-9999999999999999999999999999"),
    ("decimal(28,28)", "0.0000000000000000000000000001", "decimal", "0.0000000000000000000000000001"),
    ("decimal(38,4)", "123.4567", "decimal", "123.4567"),
    ("numeric(5,5)", "-0.00001", "decimal", "-0.00001"),
    ("numeric(20,0)", "18446744073709551615", "decimal", "18446744073709551615"),
    ("numeric(25,0)", "'38876000016230900001'", "Lsn", "38876000016230900001"),
    ("numeric(25,0)", "9999999999999999999999999", "Lsn", "9999999999999999999999999"),
    ("numeric(25,0)", "0", "Lsn", "0"),
    ("money", "-900719925474.0991", "decimal", "-900719925474.0991"),
    ("money", "1.5", "decimal", "1.5000"),
    ("smallmoney", "-214748.3648", "decimal", "-214748.3648"),
    ("date", "'0001-01-01'", "Time", "0001-01-01"),
    ("date", "'9999-12-31'", "Time", "9999-12-31"),
    ("time", "'23:59:59.9999999'", "Time", "23:59:59.9999999"),
    ("time(0)", "'01:02:03'", "Time", "01:02:03"),
    ("datetime", "'1753-01-01T00:00:00'", "Time", "1753-01-01T00:00:00"),
    ("datetime", "'2026-02-28T23:59:59.996'", "Time", "2026-02-28T23:59:59.997"),
    ("smalldatetime", "'2026-02-28 12:34:30'", "Time", "2026-02-28T12:35:00"),
    ("datetime2", "'9999-12-31T23:59:59.9999999'", "Time", "9999-12-31T23:59:59.9999999"),
    ("datetime2(0)", "'0001-01-01'", "Time", "0001-01-01T00:00:00"),
    ("datetimeoffset", "'2026-02-28T12:34:56.1234567+05:30'", "Time", "2026-02-28T12:34:56.1234567+05:30"),
    ("datetimeoffset(0)", "'2026-02-28T12:34:56-03:30'", "Time", "2026-02-28T12:34:56-03:30"),
    ("char(5)", "'ab'", "string", "ab   "),
    ("varchar(3)", "'abcdef'", "string", "abc"),
    ("varchar(20)", "'Straße'", "string", "Straße"),
    ("varchar(max)", "'x'", "string", "x"),
    ("nchar(4)", "N'é'", "string", "é   "),
    ("nvarchar(40)", "N'Zażółć 日本 🙂 ''q'''", "string", "Zażółć 日本 🙂 'q'"),
    ("nvarchar(5)", "N''", "string", ""),
    ("nvarchar(max)", "N'x'", "string", "x"),
    ("sysname", "N'mgc'", "string", "mgc"),
    ("binary(4)", "0x01", "blob", "0x01000000"),
    ("varbinary(8)", "0xDEADBEEF", "blob", "0xDEADBEEF"),
    ("varbinary(4)", "0x", "blob", "0x"),
    ("varbinary(max)", "0x00FF", "blob", "0x00FF"),
    ("uniqueidentifier", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "string", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
];

#[test]
fn a_cell_of_every_supported_type_comes_back_right_and_null_is_nothing() {
    let mut book = String::new();
    for (ty, literal, _, _) in CELLS {
        writeln!(
            book,
            "let row = query(\"backup\", \"SELECT CAST({literal} AS {ty}) AS v, CAST(NULL AS {ty}) AS nothing\").first();\n\
             note(`${{type_of(row.v)}} ${{row.v}}`); if row.nothing != () {{ fail(\"{ty}: NULL\"); }}"
        )
        .unwrap();
    }
    let world = World::new();
    let ended = world.rehearse(&book).exits(0);
    let expected: Vec<String> = CELLS.iter().map(|(_, _, ty, text)| format!("{ty} {text}")).collect();
    assert_lines(&ended.notes(), &expected.iter().map(String::as_str).collect::<Vec<_>>());
    // the record keeps what JSON has no type for with its type
    let events = ended.events();
    let record = |n: usize| of(&events, "effect_finished")[n]["outcome"]["sets"][0]["rows"][0][0].clone();
    let at = |ty: &str| CELLS.iter().position(|cell| cell.0 == ty).unwrap();
    assert_eq!(record(at("numeric(25,0)")), json!({ "t": "lsn", "v": "38876000016230900001" }));
    assert_eq!(record(at("decimal(10,2)")), json!({ "t": "decimal", "v": "-1234.50" }));
    assert_eq!(record(at("varbinary(8)")), json!({ "t": "blob", "v": "0xDEADBEEF" }));
    assert_eq!(record(at("int")), -2_147_483_648_i64);
}

#[test]
fn long_values_come_back_whole_and_what_cannot_be_held_is_refused_by_name() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"
        let text = query("backup", "SELECT REPLICATE(CAST(N'zażółć🙂' AS nvarchar(max)), 5000) AS t").value();
        note(`${text.len()} ${text.ends_with("ć🙂")}`);
        let bytes = query("backup", "SELECT CAST(REPLICATE(CAST('x' AS varchar(max)), 9000) AS varbinary(max)) AS b").value();
        note(`${type_of(bytes)} ${bytes.len()}`);
        try { query("backup", "SELECT 1 AS fine, CAST(5 AS sql_variant) AS odd"); } catch (e) { note(`${e}`); }
        try { query("backup", "SELECT CAST('1000000000000000000000000000000' AS decimal(38,0)) AS wide"); } catch (e) { note(`${e}`); }
        try { query("backup", "SELECT CAST('x' AS int) AS n"); } catch (e) { note(`${e.number}`); }
        try { query("backup", "SELECT CAST('x' AS geography) AS n"); } catch (e) { note(`${e.number}`); }
        note(`${query("backup", "SELECT 1 AS x").value()}`);
        "#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            "35000 true",
            "blob 9000",
            "`backup` carried out the batch, but column `odd` of its answer cannot be read: type sql_variant is not supported",
            "`backup` carried out the batch, but column `wide` of its answer cannot be read: a decimal of more than 28 digits does not fit",
            "245",
            "243",
            "1",
        ],
    );
}

#[test]
fn bound_parameters_of_every_kind_come_back_as_they_were_sent() {
    let world = World::new();
    let ended = world.rehearse(
        r#"
        fn echo(x) { query("backup", "SELECT @x AS x", #{ x: x }).first().x }
        fn same(x) { let y = echo(x); note(`${type_of(y)} ${if x == () { y == () } else { y == x }}`); }
        same(42); same(-2147483648); same(9223372036854775807); same(true); same(0.1); same(-1.5e300);
        same(parse_decimal("123.4567")); same(parse_decimal("-79228162514264337593543950335")); same(parse_decimal("0.0000000000000000000000000001"));
        same("O'Brien ]] -- 🙂"); same(""); same('x'.to_string()); same(());
        let long = "ż"; for i in 0..13 { long += long; }
        same(long.sub_string(0, 4000)); same(long.sub_string(0, 4001)); same(long);
        let row = query("backup", `SELECT CAST('2026-02-28T12:34:56.1234567' AS datetime2) AS a, CAST('2026-02-28' AS date) AS b,
            CAST('23:59:59.1234567' AS time) AS c, CAST('2026-02-28T12:34:56.1234567-03:30' AS datetimeoffset) AS d,
            CAST('2026-02-28T23:59:59.997' AS datetime) AS e, CAST('38876000016230900001' AS numeric(25,0)) AS f, 0xDEADBEEF AS g,
            CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS h`).first();
        for column in row.keys() { same(row[column]); }
        for bad in [[1], #{ a: 1 }, row] { try { echo(bad); } catch (e) { note(`${e}`); } }
        "#,
    )
    .exits(0);
    let strings = ["string true"; 3];
    let mut expected =
        vec!["i64 true", "i64 true", "i64 true", "bool true", "f64 true", "f64 true", "decimal true", "decimal true", "decimal true"];
    expected.extend(strings);
    expected.push("() true");
    expected.extend(strings);
    expected.extend(["Time true", "Time true", "Time true", "Time true", "Time true", "Lsn true", "blob true", "string true"]);
    expected.extend([
        "`@x`: a value of type array cannot be bound",
        "`@x`: a value of type map cannot be bound",
        "`@x`: a value of type Row cannot be bound",
    ]);
    assert_lines(&ended.notes(), &expected);

    let wire: Vec<Value> = world.lines("kept/wire.jsonl").into_iter().filter(|line| line["kind"] == "rpc").collect();
    let bound: Vec<&Value> = wire.iter().map(|line| &line["params"]["@x"]).collect();
    assert!(wire.iter().all(|line| line["text"] == "SELECT @x AS x"), "{wire:#?}");
    assert_eq!(bound[..4], [&json!(42), &json!(-2_147_483_648_i64), &json!(i64::MAX), &json!(true)]);
    assert_eq!(bound[4..7], [&json!(0.1), &json!(-1.5e300), &json!("123.4567")]);
    assert_eq!(bound[9], "O'Brien ]] -- 🙂");
    assert_eq!(*bound[12], Value::Null);
    assert_eq!(bound[14].as_str().unwrap().chars().count(), 4001);
    let tail =
        ["2026-02-28T12:34:56.1234567", "2026-02-28", "23:59:59.1234567", "2026-02-28T12:34:56.1234567-03:30", "2026-02-28T23:59:59.997"];
    assert_eq!(bound[16..21], tail.map(Value::from).iter().collect::<Vec<_>>());
    assert_eq!(
        bound[21..],
        ["38876000016230900001", "0xDEADBEEF", "6F9619FF-8B86-D011-B42D-00C04FC964FF"].map(Value::from).iter().collect::<Vec<_>>()
    );
}

#[test]
fn names_in_braces_are_quoted_or_integers_and_refused_elsewhere_before_anything_is_sent() {
    let world = World::new();
    let ended = world
        .rehearse(
            r#"
        fn q(text, params) { try { note(`${query("backup", text, params).rows.columns}`); } catch (e) { note(`${e}`); } }
        q("SELECT 1 AS {c}", #{ c: "a]b" });
        q("SELECT 1 AS {c} -- {c}", #{ c: "sp ace'\"--" });
        q("SELECT name FROM {schema}.{t} WHERE name = @db", #{ schema: "sys", t: "databases", db: "mgc" });
        q("SELECT TOP {n} name AS two FROM sys.databases", #{ n: 2 });
        q("SELECT TOP ({n}) name AS one FROM sys.databases", #{ n: " 1    " });
        q("SELECT '{c}' AS a", #{});
        q("SELECT TOP ({n}) name FROM sys.databases", #{ n: "2; DROP DATABASE mgc" });
        q("SELECT TOP ({n}) name FROM sys.databases", #{ n: -1 });
        q("SELECT 1 AS {c}", #{ c: 5 });
        q("SELECT 1 AS {c}", #{ c: () });
        q("SELECT 1 AS {c}", #{ c: "" });
        q("SELECT 1 AS {c}", #{ c: true });
        q("SELECT 1 AS {d}", #{ c: "x" });
        q("SELECT '{c}' AS a", #{ c: "x" });
        q("SELECT @C AS y", #{ c: "x" });
        q("SELECT @c AS y", #{});
        try { sql("backup", "KILL {spid}", #{ spid: "mgc" }); } catch (e) { note(`${e}`); }
        try { sql("backup", "KILL {spid}", #{ spid: "999  " }); } catch (e) { note(`${e.number}`); }
        "#,
        )
        .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            r#"["a]b"]"#,
            r#"["sp ace'\"--"]"#,
            r#"["name"]"#,
            r#"["two"]"#,
            r#"["one"]"#,
            r#"["a"]"#,
            r#"`{n}` stands where T-SQL wants a whole number, but is the text "2; DROP DATABASE mgc""#,
            "`{n}` stands where T-SQL wants a whole number, but is negative (-1)",
            "`{c}` stands where T-SQL wants a name, but is the integer 5",
            "`{c}` stands where T-SQL wants a name, but is a missing value, `()`",
            "`{c}` stands where T-SQL wants a name, but is empty",
            "`{c}` stands where T-SQL wants a name, but is a value of type bool",
            "nothing is given for `{d}`",
            "the text never mentions `c`",
            "`@C` is neither bound nor declared",
            "`@c` is neither bound nor declared",
            r#"`{spid}` stands where T-SQL wants a whole number, but is the text "mgc""#,
            "6106",
        ],
    );
    assert_eq!(
        world.sent(),
        [
            "SELECT 1 AS [a]]b]",
            "SELECT 1 AS [sp ace'\"--] -- {c}",
            "SELECT name FROM [sys].[databases] WHERE name = @db",
            "SELECT TOP 2 name AS two FROM sys.databases",
            "SELECT TOP (1) name AS one FROM sys.databases",
            "SELECT '{c}' AS a",
            "KILL 999",
        ]
    );
}

#[test]
fn values_compare_exactly_or_say_why_they_cannot() {
    let cases: &[(&str, &str)] = &[
        ("r.l == \"38876000016230900001\"", "true"),
        ("r.l != \"38876000016230900001\"", "false"),
        ("r.s < 6 && 4 < r.s && r.s == 5 && 5 == r.s", "true"),
        ("r.l > r.s && r.s <= r.s && r.l in [r.l]", "true"),
        ("r.l == 1.5", "!a log sequence number cannot be compared with a value of type f64"),
        ("r.s > -1", "!a log sequence number cannot be compared with -1"),
        ("r.s == \"five\"", "!`five` is not a log sequence number: expected up to 25 digits"),
        ("r.s == parse_decimal(\"5\")", "true"),
        ("r.l == () || () == r.l || r.n != ()", "false"),
        ("r.l != () && () != r.l && r.n == ()", "true"),
        ("r.l > r.n", "!a log sequence number cannot be compared with a missing value (NULL)"),
        ("`${r.l}` + \"x\" + r.s", "38876000016230900001x5"),
        ("r.d < 2 && r.d + 1 == parse_decimal(\"2.50\")", "true"),
        ("r.at == \"2026-01-02T03:04:05.12\" && r.at < \"2026-01-03T00:00:00\" && r.day < r.at && r.at != ()", "true"),
        ("r.day == \"2026-01-02\" && \"2026-01-01\" < r.day", "true"),
        ("r.day == \"yesterday\"", "!the time 2026-01-02 cannot be compared with the text \"yesterday\""),
        ("r.day < r.clock", "!2026-01-02 and 10:00:00 are times of different kinds and cannot be compared"),
        ("r.day > ()", "!the time 2026-01-02 cannot be compared with a missing value (NULL)"),
        ("r.nope", "!there is no column `nope`; the columns are: l, s, n, d, at, day, clock"),
        ("r[\"nope\"]", "!there is no column `nope`; the columns are: l, s, n, d, at, day, clock"),
        ("r[\"s\"]", "5"),
        ("r.get(\"nope\") == () && r.contains(\"s\") && !r.contains(\"nope\")", "true"),
        ("r.keys()", "[\"l\", \"s\", \"n\", \"d\", \"at\", \"day\", \"clock\"]"),
        ("rows.len()", "6"),
        ("rows.map(|r| r.name)", "[\"master\", \"mgc\", \"mgccomp\", \"model\", \"msdb\", \"tempdb\"]"),
        ("rows.filter(|r| r.id > 4).sorted_by(\"id\").column(\"name\")", "[\"mgc\", \"mgccomp\"]"),
        ("rows.sorted_by(\"id\").map(|r| r.name)", "[\"master\", \"tempdb\", \"model\", \"msdb\", \"mgc\", \"mgccomp\"]"),
        ("rows[0].name + rows[-1].name + rows.first().name", "mastertempdbmaster"),
        ("rows[6]", "!there is no row 6: there are 6 rows, counted from 0"),
        ("rows.column(\"nope\")", "!there is no column `nope`; the columns are: id, name"),
        ("rows.sorted_by(\"nope\")", "!there is no column `nope`; the columns are: id, name"),
        ("rows.filter(|r| r.id)", "!the closure must return true or false, not i64"),
        ("rows.some(|r| r.name == \"mgc\") && rows.all(|r| r.id > 0) && rows[1] == rows[1] && rows[1] != rows[2]", "true"),
        ("{ let all = \"\"; for row in rows { all += row.id; } all }", "156342"),
    ];
    let mut book = String::from(
        r#"let r = query("backup", `SELECT CAST('38876000016230900001' AS numeric(25,0)) AS l, CAST(5 AS numeric(25,0)) AS s,
            CAST(NULL AS numeric(25,0)) AS n, CAST(1.5 AS decimal(5,2)) AS d, CAST('2026-01-02T03:04:05.12' AS datetime2(2)) AS at,
            CAST('2026-01-02' AS date) AS day, CAST('10:00' AS time(0)) AS clock`).first();
        let rows = query("backup", "SELECT database_id AS id, name FROM sys.databases ORDER BY name").rows;
        "#,
    );
    for (expression, _) in cases {
        writeln!(book, "try {{ let v = {expression}; note(`${{v}}`); }} catch (e) {{ note(`!${{e}}`); }}").unwrap();
    }
    let world = World::new();
    let ended = world.rehearse(&book).exits(0);
    for ((expression, expected), found) in cases.iter().zip(ended.notes()) {
        assert_eq!(found, *expected, "{expression}");
    }
    assert_eq!(ended.notes().len(), cases.len());
}

// ---- answers and messages ----

#[test]
fn sets_counts_and_messages_come_back_in_order() {
    let world = World::new();
    let ended = world.rehearse(
        r#"
        let r = sql("backup", "SELECT 1 AS a, 2 AS a, 3 AS b, 4\nPRINT N'hello ż';\nSELECT name FROM sys.databases WHERE 1 = 0;\nRAISERROR (N'ten %d %s', 10, 7, 5, N'x'); SELECT 'x' AS a UNION ALL SELECT 'y'");
        note(`${r.sets.map(|set| set.columns)} ${r.sets.map(|set| set.len())} ${r.affected}`);
        let first = r.first(); note(`${first.a} ${first.a_2} ${first.b} ${first.column_4} ${r.value()}`);
        for m in r.messages { note(`${m.number} ${m.severity} ${m.state} ${m.line} ${m.text}`); }
        let none = query("backup", "SELECT name, database_id FROM sys.databases WHERE name = N'nix'");
        note(`${none.rows.len()} ${none.rows.columns} ${none.first() == ()} ${none.value() == ()}`);
        note(`${query("backup", "EXEC sp_who2").rows.columns}`);
        try { sql("backup", "SELECT 1 AS a;\nRAISERROR (N'sixteen', 16, 3);\nSELECT 2 AS b"); } catch (e) { note(`${e.number} ${e.primitive} ${e.messages[0].severity} ${e.messages[0].state} ${e.messages[0].line}: ${e}`); }
        try { query("backup", "SELECT 1 AS a; SELECT * FROM nix"); } catch (e) { note(`${e.number}`); }
        let lock = "DECLARE @rc int; EXEC @rc = sp_getapplock @Resource = @what, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0; SELECT @rc AS rc";
        note(`${sql("backup", lock, #{ what: "w" }).value()}`);
        note(`${query("backup", "USE msdb; SELECT DB_NAME() AS db").value()} ${query("backup", "SELECT DB_NAME() AS db").value()}`);
        "#,
    )
    .exits(0);
    assert_lines(
        &ended.notes(),
        &[
            r#"[["a", "a_2", "b", "column_4"], ["name"], ["a"]] [1, 0, 2] 0"#,
            "1 2 3 4 1",
            "0 0 1 2 hello ż",
            "50000 0 7 4 ten 5 x",
            r#"0 ["name", "database_id"] true true"#,
            r#"["SPID", "Status", "Login", "HostName", "BlkBy", "DBName", "Command", "CPUTime", "DiskIO", "LastBatch", "ProgramName", "SPID_2", "REQUESTID"]"#,
            "50000 sql 16 3 2: `backup` answered with error 50000 (severity 16, state 3, line 2): sixteen",
            "208",
            "0",
            "msdb master",
        ],
    );
}

/// A log backup that comes too soon: the last of those in the copy folder, with those before it not applied.
const TOO_RECENT: &str = r#"
let files = backups(site.backups.copy_to).files;
let path = site.backups.copy_to_on_server + "\\" + files[-1].name;
"#;

#[test]
fn a_failing_restore_shows_every_message_with_number_severity_state_and_line() {
    let world = World::new();
    let restore = r#"sql("backup", "USE msdb;\nPRINT N'just before';\nRESTORE LOG {db} FROM DISK = @p\nWITH NORECOVERY", #{ db: site.database, p: path });"#;
    let caught = world.rehearse(
        &format!(
            "{TOO_RECENT} try {{ {restore} }} catch (e) {{ note(`${{e.number}} ${{e.messages.map(|m| [m.number, m.severity, m.state, m.line])}}`); }} note(\"went on\");"
        ),
    )
    .exits(0);
    assert_lines(&caught.notes(), &["4305 [[5701, 0, 2, 1], [0, 0, 1, 2], [4305, 16, 1, 3], [3013, 16, 1, 3]]", "went on"]);
    let events = caught.events();
    let failed = of(&events, "effect_failed")[0];
    assert_eq!(
        (failed["number"].as_i64(), failed["class"].as_str(), failed["in_doubt"].as_bool()),
        (Some(4305), Some("changes"), Some(false))
    );
    let numbers: Vec<i64> = failed["messages"].as_array().unwrap().iter().map(|m| m["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [5701, 0, 4305, 3013]);
    let wire = world.lines("kept/wire.jsonl");
    let line = wire.iter().find(|line| line["text"].as_str().unwrap().contains("RESTORE LOG")).unwrap();
    assert_eq!(line["errors"], json!([4305, 3013]));
    assert_eq!(world.json("kept/world.json")["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 12);

    let world = World::new();
    world.write("book.rhai", &format!("{TOO_RECENT} {restore} note(\"never\");"));
    let ended = world.cutover("rehearse @/book.rhai --pace 0 --yes").exits(1);
    let said = squeezed(&ended.stderr);
    let at = |text: &str| said.rfind(text).unwrap_or_else(|| panic!("{text}: {}", ended.stderr));
    let order = [
        at("Msg 5701, Level 0, State 2, Line 1:"),
        at("just before Msg"),
        at("Msg 4305, Level 16, State 1, Line 3:"),
        at("Msg 3013, Level 16, State 1, Line 3:"),
    ];
    assert!(order.is_sorted(), "{}", ended.stderr);
    assert!(said.contains("a log backup between is missing.") && !said.contains("note never"), "{}", ended.stderr);
}

#[test]
fn a_slow_restore_shows_how_far_it_is() {
    let world = World::new();
    world.write("slow.toml", "restore-seconds = 13.0\n");
    world.write(
        "book.rhai",
        r#"let chain = log_chain("backup", site.database, site.backups.copy_to, #{ folder_on_server: site.backups.copy_to_on_server });
        let done = sql("backup", "RESTORE LOG {db} FROM DISK = @p WITH NORECOVERY, STATS = 25", #{ db: site.database, p: site.backups.copy_to_on_server + "\\" + chain.sets[0].file });
        note(`${done.messages.map(|m| m.number)}`);"#,
    );
    let ended = world.cutover("rehearse @/book.rhai --scenario @/slow.toml --pace 1 --keep @/kept --yes").exits(0);
    let said = squeezed(&ended.stderr);
    let percent = said.split("… RESTORE LOG ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(percent.clone().count() > 0 && percent.clone().is_sorted() && percent.clone().all(|n| n <= 100), "{}", ended.stderr);
    assert!(said.contains("[3211, 3211, 3211, 3211, 4035, 4035, 3014]"), "{}", ended.stderr);
    assert!(world.sent().iter().any(|text| text.contains("percent_complete")), "{:#?}", world.sent());
}
