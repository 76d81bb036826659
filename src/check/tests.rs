//! The order of effects on small runbooks and on the stock one.

use super::order::{self, Memo};
use super::{Facts, Inside};
use crate::host;
use crate::primitives::PRIMITIVES;
use crate::script::{self, Script, Source, stdlib};

fn load(text: &str) -> Script {
    let options = script::Options { site_stdlib: None, names: host::names(PRIMITIVES) };
    Script::load(Source::Text { name: "main.rhai", text }, &options).unwrap_or_else(|e| panic!("{e:?}"))
}

/// Names of facts, in the order of their bits.
const NAMES: &[&str] = &["confirmed", "word", "copied", "restored", "recovered", "secondary", "databases", "online", "switched"];

fn names(facts: Facts) -> String {
    let set: Vec<&str> = NAMES.iter().enumerate().filter(|(n, _)| facts.0 & (1 << n) != 0).map(|(_, name)| *name).collect();
    set.join(" ")
}

/// One line a change: where it stands, what it is, and what must and what can have happened before.
fn story(text: &str) -> String {
    let script = load(text);
    let memo = Memo::default();
    let run = order::run(&script, &memo, None);
    assert!(run.complete);
    let mut lines = Vec::new();
    for event in run.events.iter().filter(|event| event.call.changes()) {
        let sql: Vec<&str> = event.call.sql.iter().map(|sql| sql.rendered.as_str()).collect();
        let sql = sql.join(" | ").split_whitespace().collect::<Vec<_>>().join(" ");
        let what = format!("{} {}{sql}", event.call.name(), event.call.cmdlet().unwrap_or_default());
        let inside = if event.inside == Inside::Plain { String::new() } else { format!(" in {:?}", event.inside) };
        lines.push(format!("step {}{inside}: {}\n  must: {}\n  can: {}", event.step, what.trim(), names(event.must), names(event.may)));
    }
    lines.join("\n")
}

#[test]
fn the_stock_runbook_in_the_order_it_can_happen() {
    insta::assert_snapshot!(story(stdlib::STOCK_RUNBOOK.1));
}

const CHAIN: &str = "let c = log_chain(\"b\", \"m\", \"/f\");";
const APPLY: &str = "restore_logs(\"b\", \"m\", \"/f\");";
const RECOVER: &str = "sql(\"b\", \"RESTORE DATABASE x WITH RECOVERY\");";
const ONLINE: &str = "(query(\"b\", \"SELECT 1 AS n FROM sys.databases WHERE name = 'x' AND state = 0\").rows.len() == 1)";
const STATE: &str = "query(\"b\", \"SELECT state, state_desc FROM sys.databases WHERE name = 'x'\").first()";

/// What must and what can have happened before the last change of a runbook.
fn before_last(text: &str) -> (String, String) {
    let script = load(text);
    let memo = Memo::default();
    let run = order::run(&script, &memo, None);
    let last = run.events.iter().rfind(|event| event.call.changes()).expect("a change");
    (names(last.must), names(last.may))
}

#[test]
fn every_way_through_a_runbook_is_followed() {
    let x = "sql(\"b\", \"UPDATE x SET y = 1\");";
    let helpers = "fn yes() { confirm(\"?\") }\nfn maybe(a) { if a.rows.len() > 0 { confirm(\"?\"); } }\nfn look() { query(\"b\", \"SELECT 1 AS n\") }\n";
    for (what, text, must, can) in [
        ("nothing before", "@".to_owned(), "", ""),
        ("a question before", "confirm(\"?\"); @".to_owned(), "confirmed", "confirmed"),
        ("in a branch", "if look().value() == 1 { confirm(\"?\"); } @".to_owned(), "", "confirmed"),
        ("in both branches", "if look().value() == 1 { confirm(\"?\"); } else { confirm(\"!\"); } @".to_owned(), "confirmed", "confirmed"),
        (
            "the other branch fails",
            "if look().value() == 1 { confirm(\"?\"); } else { fail(\"no\"); } @".to_owned(),
            "confirmed",
            "confirmed",
        ),
        (
            "the other branch throws",
            "if look().value() == 1 { confirm(\"?\"); } else { throw \"no\"; } @".to_owned(),
            "confirmed",
            "confirmed",
        ),
        ("the same test twice", "let a = look().value() == 1; if a { confirm(\"?\"); } if a { @ }".to_owned(), "confirmed", "confirmed"),
        ("the opposite test", "let a = look().value() == 1; if a { confirm(\"?\"); } if !a { @ }".to_owned(), "", ""),
        (
            "a test of what has changed",
            "let a = look().value() == 1; if a { confirm(\"?\"); } a = true; if a { @ }".to_owned(),
            "",
            "confirmed",
        ),
        ("a function", "yes(); @".to_owned(), "confirmed", "confirmed"),
        ("a function that may", "maybe(look()); @".to_owned(), "", "confirmed"),
        ("a step", "step(\"s\", || { confirm(\"?\"); }); @".to_owned(), "confirmed", "confirmed"),
        (
            "a step that is left early",
            "step(\"s\", || { if look().value() == 1 { return; } confirm(\"?\"); }); @".to_owned(),
            "",
            "confirmed",
        ),
        ("a loop over a list that may be empty", "for r in look().rows { confirm(\"?\"); } @".to_owned(), "", "confirmed"),
        ("a loop over a list that is not", "for r in [1, 2] { confirm(\"?\"); } @".to_owned(), "confirmed", "confirmed"),
        ("a loop that is left by break", "loop { if look().value() == 1 { break; } confirm(\"?\"); } @".to_owned(), "", "confirmed"),
        (
            "a loop that asks before break",
            "loop { confirm(\"?\"); if look().value() == 1 { break; } } @".to_owned(),
            "confirmed",
            "confirmed",
        ),
        ("do asks once at least", "do { confirm(\"?\"); } while look().value() == 1; @".to_owned(), "confirmed", "confirmed"),
        ("while may not ask", "while look().value() == 1 { confirm(\"?\"); } @".to_owned(), "", "confirmed"),
        ("try", "try { look(); confirm(\"?\"); } catch (e) { warn(`${e}`); } @".to_owned(), "", "confirmed"),
        ("try, and catch gives up", "try { look(); confirm(\"?\"); } catch (e) { throw e; } @".to_owned(), "confirmed", "confirmed"),
        (
            "try holds the question, whose no cannot be caught",
            "try { confirm(\"?\"); look(); } catch (e) { warn(`${e}`); } @".to_owned(),
            "confirmed",
            "confirmed",
        ),
        ("a question in catch", "try { look(); } catch (e) { confirm(\"?\"); } @".to_owned(), "", "confirmed"),
        ("switch without default", "switch look().value() { 1 => { confirm(\"?\") } } @".to_owned(), "", "confirmed"),
        ("switch with default", "switch look().value() { 1 => { confirm(\"?\") }, _ => { yes() } } @".to_owned(), "confirmed", "confirmed"),
        ("and", "if look().value() == 1 && { confirm(\"?\"); true } { note(\"n\"); } @".to_owned(), "", "confirmed"),
        ("a method's closure", "look().rows.filter(|r| { confirm(\"?\"); true }); @".to_owned(), "", "confirmed"),
        ("a test asks for nothing", "wait_until(\"w\", \"1s\", || { confirm(\"?\"); true }); @".to_owned(), "", ""),
        (
            "recovery ends a question",
            "confirm(\"?\"); sql(\"b\", \"RESTORE DATABASE x WITH RECOVERY\"); @".to_owned(),
            "recovered online",
            "recovered online",
        ),
        (
            "a text that is one of two",
            "confirm(\"?\"); let t = if look().value() == 1 { \"RESTORE DATABASE x WITH RECOVERY\" } else { \"UPDATE y SET z = 1\" }; sql(\"b\", t); @"
                .to_owned(),
            "confirmed",
            "confirmed recovered online",
        ),
        (
            "nothing to apply",
            "let c = log_chain(\"b\", \"m\", \"/f\"); if c.sets.len() > 0 { restore_logs(\"b\", \"m\", \"/f\"); } @".to_owned(),
            "restored",
            "restored",
        ),
        (
            "applied by choice",
            "if ask(\"?\", [\"y\", \"n\"]) == \"y\" { restore_logs(\"b\", \"m\", \"/f\"); } @".to_owned(),
            "",
            "restored",
        ),
        ("a gap is not nothing to apply", format!("{CHAIN} if c.gap != () {{ warn(\"gap\"); }} else {{ {APPLY} }} @"), "", "restored"),
        ("applied if there is nothing to", format!("{CHAIN} if c.sets.len() == 0 {{ {APPLY} }} @"), "", "restored"),
        ("few log backups are not none", format!("{CHAIN} if c.sets.len() > 5 {{ {APPLY} }} @"), "", "restored"),
        ("left early because there is nothing to apply", format!("{CHAIN} step(\"s\", || {{ if c.sets.is_empty() {{ return; }} {APPLY} }}); @"), "restored", "restored"),
        ("each log backup", format!("{CHAIN} for set in c.sets {{ {APPLY} }} @"), "restored", "restored"),
        ("by the number of log backups", format!("{CHAIN} switch c.sets.len() {{ 0 => note(\"none\"), _ => {{ {APPLY} }} }} @"), "restored", "restored"),
        ("nothing is left, but nothing was applied", format!("{CHAIN} if c.sets.len() > 0 {{ fail(\"left\"); }} @"), "", ""),
        ("seen online", format!("if !{ONLINE} {{ fail(\"no\"); }} @"), "online", "online"),
        ("seen not to be online", format!("if {ONLINE} {{ fail(\"no\"); }} @"), "", ""),
        ("brought online unless it is", format!("if !{ONLINE} {{ {RECOVER} }} @"), "online", "recovered online"),
        ("brought online if it is", format!("if {ONLINE} {{ {RECOVER} }} @"), "", "recovered online"),
        ("sessions say nothing of it", format!("if look().value() > 9 {{ warn(\"busy\"); }} else {{ {RECOVER} }} @"), "", "recovered online"),
        ("waited for", format!("wait_until(\"w\", \"1s\", || {ONLINE}); @"), "online", "online"),
        ("tried, and seen online", format!("try {{ {RECOVER} }} catch (e) {{ if !{ONLINE} {{ throw e; }} }} @"), "online", "recovered online"),
        ("by its state", format!("let s = {STATE}; if s.state_desc == \"RESTORING\" {{ {RECOVER} }} @"), "online", "recovered online"),
        ("by the number of its state", format!("let s = {STATE}; if s.state != 0 {{ {RECOVER} }} @"), "online", "recovered online"),
        ("that it is there says nothing", format!("let s = {STATE}; if s == () {{ fail(\"gone\"); }} @"), "", ""),
        ("a step's answer", format!("let a = step(\"s\", || {{ if look().value() == 1 {{ return false; }} {RECOVER} true }}); if !a {{ fail(\"no\"); }} @"), "recovered online", "recovered online"),
        ("a step's word", format!("let a = step(\"s\", || {{ if look().value() == 1 {{ return \"later\"; }} {RECOVER} \"now\" }}); if a == \"later\" {{ fail(\"no\"); }} @"), "recovered online", "recovered online"),
        ("a flag", "let a = false; if look().value() == 1 { confirm(\"?\"); a = true; } if a { @ }".to_owned(), "confirmed", "confirmed"),
        ("a flag that is not set", "let a = false; if look().value() == 1 { confirm(\"?\"); a = true; } if !a { @ }".to_owned(), "", ""),
        ("a flag set in a loop that is left", "let a = false; for r in look().rows { confirm(\"?\"); a = true; break; } if a { @ }".to_owned(), "confirmed", "confirmed"),
        ("a list that is written out counts once", "confirm(\"?\"); for d in [\"a\", \"b\"] { sql(\"b\", \"RESTORE DATABASE \" + d + \" WITH RECOVERY\"); @ }".to_owned(), "recovered online", "recovered online"),
        ("a function that calls itself", "fn f(n) { if n == 0 { return; } f(n - 1); confirm(\"?\"); } f(2); @".to_owned(), "confirmed", "confirmed"),
    ] {
        let text = format!("{helpers}{}", text.replace('@', x));
        assert_eq!(before_last(&text), (must.to_owned(), can.to_owned()), "{what}: {text}");
    }
}

/// The rules that find something in a text.
fn found(text: &str) -> Vec<&'static str> {
    let options = super::Options { site: None, names: host::names(PRIMITIVES) };
    let input = super::Input { path: "small.rhai".into(), text: Some(text.to_owned()) };
    super::check(&[input], &options).unwrap().findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_list_that_is_written_out_is_followed_item_by_item() {
    let ok = "#{ done_when: || query(\"b\", \"SELECT 1 AS x\").rows.len() == 1 }";
    let tables: Vec<String> = "a b c d e f g h i".split(' ').map(|t| format!("\"UPDATE {t} SET x = 1\"")).collect();
    let list = tables.join(", ");
    let each = |items: &str, question: &str| {
        format!("step(\"x\", || {{ {question} for text in [{items}] {{ sql(\"b\", text, #{{}}, {ok}); }} }});")
    };
    assert_eq!(found(&each(&list, "confirm(\"?\");")), [""; 0]);
    let dropped = found(&each(&format!("{list}, \"DROP DATABASE old\""), "confirm(\"?\");"));
    assert_eq!(dropped, ["irreversible-without-word"]);
    // what is put together is judged as it is sent
    let columns = "step(\"x\", || { let text = \"SELECT \"; let first = true; for column in [\"name\", \"state\"] { if !first { text += \", \"; } \
                   text += column; first = false; } text += \" FROM sys.databases\"; query(\"b\", text); });";
    assert_eq!(found(columns), [""; 0]);
    let grown =
        "step(\"x\", || { let text = \"SELECT 1 AS n\"; for column in site.vars.columns { text += \", 2\"; } query(\"b\", text); });";
    assert_eq!(found(grown), [""; 0]);
    // loops in loops are followed once they are too many
    let nested = "step(\"x\", || { for a in [1, 2, 3, 4, 5, 6, 7, 8] { for b in [1, 2, 3, 4, 5, 6, 7, 8] { for c in [1, 2, 3, 4, 5, 6, 7, 8] { \
                  sql(\"b\", \"DROP DATABASE x\"); } } } });";
    assert!(found(nested).contains(&"change-without-confirm"));
}

#[test]
fn facts_of_another_server_and_titles_that_only_look_new_are_found() {
    let facts = |server: &str| {
        format!(
            "import \"log_shipping\" as log_shipping;\nlet s = step(\"a\", || log_shipping::facts(\"{server}\", site.database));\n\
             step(\"b\", || {{ confirm(\"?\", #{{ show: s.rows }}); log_shipping::remove_secondary(\"backup\", site.database, s); }});"
        )
    };
    assert_eq!(found(&facts("backup")), [""; 0]);
    assert!(found(&facts("primary")).contains(&"facts-deleted-first"));
    assert_eq!(
        found("step(`Look at ${site.database}`, || note(\"1\"));\nstep(`Look at ${site.database}`, || note(\"2\"));"),
        ["duplicate-step"]
    );
    assert_eq!(found("step(`Look at ${site.database}`, || note(\"1\"));\nstep(`Look at ${site.pool}`, || note(\"2\"));"), [""; 0]);
}
