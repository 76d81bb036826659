//! Whatever lies in a file, `check` answers with findings inside it: no panic, no endless work, no span outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../src/cases.rs"]
mod cases;

use std::path::PathBuf;

use cutover::check::{self, Finding, Input, Options};
use cutover::host;
use cutover::primitives::PRIMITIVES;
use cutover::script::stdlib;

fn options() -> Options {
    Options { site: None, names: host::names(PRIMITIVES) }
}

fn inside(finding: &Finding) {
    let text = &finding.file.text;
    assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
    for edit in &finding.fixes {
        assert!(text.get(edit.span.clone()).is_some(), "{finding:?}");
    }
    for related in &finding.related {
        assert!(related.file.text.get(related.span.clone()).is_some(), "{finding:?}");
    }
    assert!(!finding.message.is_empty() && !finding.message.contains("anon$"), "{finding:?}");
}

/// Checks texts together; the findings of each.
fn check_all(texts: &[String]) -> Vec<Finding> {
    let inputs: Vec<Input> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| Input { path: PathBuf::from(format!("no-such-folder/{n}.rhai")), text: Some(text.clone()) })
        .collect();
    let findings = check::check(&inputs, &options()).unwrap().findings;
    findings.iter().for_each(inside);
    findings
}

/// Small pieces of runbooks, which mutation puts together.
const PIECES: &[&str] = &[
    "let a = 1;\n",
    "step(\"s\", || { note(\"x\"); });\n",
    "let r = query(\"backup\", `SELECT name FROM sys.databases WHERE name = '${a}'`);\n",
    "sql(\"backup\", \"RESTORE DATABASE {db} WITH RECOVERY\", #{ db: site.database }, #{ done_when: || true });\n",
    "for s in r.rows { sql(\"backup\", \"KILL \" + s.spid); }\n",
    "if a > 1 { confirm(\"x\", #{ irreversible: true }); } else { return; }\n",
    "try { ps(\"Set-CsPersistentChatState\", #{ Identity: \"x\" }); } catch (e) { }\n",
    "fn f(x) { f(x + 1); query(x, x) }\n",
    "f(a);\n",
    "while true { a += 1; }\n",
    "switch a { 1 => 2, 2..5 => { throw \"x\"; }, _ => () }\n",
    "import \"databases\" as databases;\n",
    "databases::bring_online(\"backup\", \"mgc\", \"s\");\n",
    "// check: allow endless-wait because\n",
    "/* block */\n",
    "let m = #{ a: #{ b: [1, 2] } };\n",
    "m.a.b[0] = a ?? 5;\n",
    "wait_until(\"x\", \"5m\", || { a += 1; true });\n",
    "copy_backups(#{ from: site.backups.share, to: \"\\\\\\\\a\\\\b\", matching: \"*\" });\n",
    "restore_logs(\"backup\", \"mgc\", \"/x\", #{ keep: \"norecovery\" });\n",
    "do { break; } until a == 3\n",
    "let t = `a${if a == 1 { \"x\" } else { `${a}` }}b`;\n",
    "const X = \"KILL\";\n",
    "fn g() { global::X }\n",
    "ask(\"q\", [\"a\", \"b\"], #{ \"default\": \"a\" });\n",
    "throw;\n",
    "\u{feff}",
    "\"ü“–\u{a0}\"",
    "let x = |y| y + 1;\n",
    "loop { if a == 1 { break; } query(\"backup\", \"SELECT 1\"); }\n",
    "r.rows.filter(|q| q.DBName == \"x\").map(|q| q.spid);\n",
];
const NOISE: &[&str] = &[
    "{", "}", "(", ")", "[", "]", "\"", "`", "${", "#{", "||", "|", ";", ",", ".", "::", "'", "\\", "\n", "\r\n", "\t", "/*", "*/", "//",
    "\0", "–", "\u{a0}", "é", "𝄞", "=>", "=", "+=", "@x", "{db}", "--", "'x", "fn ", "let ", "return ", "import ",
];

#[test]
fn mutated_runbooks_get_findings_inside_them() {
    let mut random = fastrand::Rng::with_seed(4);
    let all = cases::cases(1_000_000);
    let mut tried = 0;
    let mut with_findings = 0;
    while tried < all {
        let batch = 500.min(all - tried);
        let texts: Vec<String> = (0..batch)
            .map(|_| {
                let mut text: String = (0..random.usize(1..4)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
                for _ in 0..random.usize(0..4) {
                    let mut at = random.usize(..=text.len());
                    while !text.is_char_boundary(at) {
                        at -= 1;
                    }
                    let mut end = (at + random.usize(..6)).min(text.len());
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    text.replace_range(at..end.max(at), if random.bool() { NOISE[random.usize(..NOISE.len())] } else { "" });
                }
                text
            })
            .collect();
        with_findings += check_all(&texts).len();
        tried += batch;
    }
    assert!(with_findings > tried / 2, "mutation finds its way into the rules");
}

#[test]
fn arbitrary_characters_get_findings_inside_them() {
    let mut random = fastrand::Rng::with_seed(5);
    let all = cases::cases(200_000);
    for _ in 0..all.div_ceil(500) {
        let texts: Vec<String> = (0..500)
            .map(|_| {
                let length = random.usize(..60);
                (0..length)
                    .map(|_| match random.u8(..10) {
                        0 => random.char('\u{80}'..'\u{2fff}'),
                        1 => random.char('\0'..' '),
                        _ => random.char(' '..'\u{7f}'),
                    })
                    .collect()
            })
            .collect();
        check_all(&texts);
    }
}

#[test]
fn the_stock_runbook_cut_and_damaged_gets_findings_inside_it() {
    let mut random = fastrand::Rng::with_seed(6);
    let stock = stdlib::STOCK_RUNBOOK.1;
    let texts: Vec<String> = (0..cases::cases(1_000))
        .map(|n| {
            let mut at = random.usize(..stock.len());
            while !stock.is_char_boundary(at) {
                at -= 1;
            }
            match n % 3 {
                0 => stock[..at].to_owned(),
                1 => format!("{}{}{}", &stock[..at], NOISE[random.usize(..NOISE.len())], &stock[at..]),
                _ => {
                    let end = stock[at..].find('\n').map_or(stock.len(), |n| at + n);
                    format!("{}{}", &stock[..at], &stock[end..])
                }
            }
        })
        .collect();
    for batch in texts.chunks(100) {
        check_all(batch);
    }
}

#[test]
fn what_is_too_deep_or_too_large_is_a_finding() {
    let nested = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let cases = [
        ("parentheses", format!("let a = {};", nested("(\n", ")", 25_000))),
        ("blocks", nested("{\n", "}", 25_000)),
        ("lists", format!("let a = {};", nested("[\n", "]", 25_000))),
        ("maps", format!("let a = {};", nested("#{ a:\n", "}", 20_000))),
        ("closures", format!("let a = {};", nested("|| ", "", 15_000))),
        ("not", format!("let a = {}true;", "!".repeat(50_000))),
        ("minus", format!("let a = {}1;", "- ".repeat(25_000))),
        ("sums", format!("let a = {}1;", "1 + ".repeat(12_000))),
        ("else if", format!("let a = 1;\nif a == 0 {{ }}{}", "\nelse if a == 1 { }".repeat(20_000))),
        ("ifs", format!("let a = 1;\n{}{}", "if a == 1 {\n".repeat(20_000), "}\n".repeat(20_000))),
        ("loops", format!("{}{}", "loop {\n".repeat(20_000), "}\n".repeat(20_000))),
        ("functions", (0..1_500).map(|n| format!("fn f{n}() {{ {n} }}\n")).collect()),
        ("dots", format!("let a = site{};", ".a".repeat(25_000))),
        ("indexes", format!("let a = site{};", "[0]".repeat(15_000))),
        ("interpolations", format!("let a = {};", nested("`${", "}`", 10_000))),
        ("steps", format!("{}note(\"x\"){}", "step(\"a\", || ".repeat(3_000), ")".repeat(3_000))),
        ("lines", "note(\"x\");\n".repeat(60_001)),
        ("a line", format!("note(\"{}\");", "x".repeat(60_001))),
        ("T-SQL", format!("query(\"backup\", \"SELECT {}\");", nested("(", ")", 20_000))),
        ("T-SQL blocks", format!("query(\"backup\", \"{}\");", nested("BEGIN ", " END", 5_000))),
    ];
    let mut table = String::new();
    for (what, text) in cases {
        let findings = check_all(&[text]);
        let first = findings.first().map_or_else(|| "nothing".to_owned(), |f| format!("{}: {}", f.rule, f.message));
        table.push_str(&format!("{what}: {first}\n"));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_function_that_calls_itself_and_ways_without_number_come_to_an_end() {
    let ways: String =
        (0..40).map(|n| format!("if query(\"backup\", \"SELECT {n} AS n\").value() == 1 {{ confirm(\"{n}\"); }}\n")).collect();
    let calls: String =
        (0..30).map(|n| format!("fn f{n}(x) {{ f{}(x); f{}(x + \"a\"); query(x, \"SELECT 1\") }}\n", n + 1, n + 1)).collect();
    let texts = [
        format!("step(\"x\", || {{\n{ways}}});"),
        format!("{calls}fn f30(x) {{ x }}\nstep(\"x\", || f0(\"backup\"));"),
        "fn f(x) { g(x + \"a\") }\nfn g(x) { f(x) }\nstep(\"x\", || f(\"a\"));".to_owned(),
    ];
    check_all(&texts);
}
