//! The order of effects on small runbooks and on the stock one.

use std::path::PathBuf;

use super::order::{self, Memo};
use super::{Facts, Input, Options};
use crate::host;
use crate::primitives::PRIMITIVES;
use crate::script::{self, Script, Source, stdlib};

fn load(text: &str) -> Script {
    let options = script::Options { site_stdlib: None, names: host::names(PRIMITIVES) };
    Script::load(Source::Text { name: "main.rhai", text }, &options).unwrap_or_else(|e| panic!("{e:?}"))
}

/// One line an event that changes, asks or has facts.
fn story(text: &str) -> String {
    let script = load(text);
    let memo = Memo::default();
    let run = order::run(&script, &memo, None);
    let mut lines = Vec::new();
    for event in &run.events {
        let facts = |f: Facts| {
            let names = ["confirmed", "word", "copied", "restored", "recovered", "secondary", "databases", "removed", "switched"];
            let set: Vec<&str> = names.iter().enumerate().filter(|(n, _)| f.0 & (1 << n) != 0).map(|(_, name)| *name).collect();
            set.join(",")
        };
        let sql: Vec<&str> = event.call.sql.iter().map(|sql| sql.rendered.as_str()).collect();
        let sql: String = sql.join(" | ").split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
        lines.push(format!(
            "{:?} step {} {:?} {} {} {sql} must[{}] may[{}]",
            event.call.class(),
            event.step,
            event.inside,
            event.call.name(),
            event.call.cmdlet().unwrap_or_default(),
            facts(event.must),
            facts(event.may),
        ));
    }
    lines.join("\n")
}

#[test]
fn dump() {
    println!("{}", story(stdlib::STOCK_RUNBOOK.1));
    let options = Options { site: None, names: host::names(PRIMITIVES) };
    let checked =
        super::check(&[Input { path: PathBuf::from("main.rhai"), text: Some(stdlib::STOCK_RUNBOOK.1.to_owned()) }], &options).unwrap();
    println!("{:#?}", checked.findings);
}
