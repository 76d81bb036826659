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
const NAMES: &[&str] = &["confirmed", "word", "copied", "restored", "recovered", "secondary", "databases", "removed", "switched"];

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
    let x = "sql(\"b\", \"EXEC x\");";
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
            "recovered",
            "recovered",
        ),
        (
            "a text that is one of two",
            "confirm(\"?\"); let t = if look().value() == 1 { \"RESTORE DATABASE x WITH RECOVERY\" } else { \"EXEC y\" }; sql(\"b\", t); @"
                .to_owned(),
            "confirmed",
            "confirmed recovered",
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
        ("a function that calls itself", "fn f(n) { if n == 0 { return; } f(n - 1); confirm(\"?\"); } f(2); @".to_owned(), "", "confirmed"),
    ] {
        let text = format!("{helpers}{}", text.replace('@', x));
        assert_eq!(before_last(&text), (must.to_owned(), can.to_owned()), "{what}: {text}");
    }
}
