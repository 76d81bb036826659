//! The runbooks and modules that are shipped load: every name, option and import in them is known.
#![cfg(feature = "lab")]

mod common;

use common::repository;
use cutover::host;
use cutover::primitives::PRIMITIVES;
use cutover::script::{Options, Script, Source, stdlib};

fn load(source: Source<'_>) {
    let options = Options { site_stdlib: None, names: host::names(PRIMITIVES) };
    if let Err(errors) = Script::load(source, &options) {
        panic!("{}", cutover::report::Style::PLAIN.render(&errors));
    }
}

#[test]
fn the_stock_runbook_loads_from_its_file_and_from_the_program() {
    cutover::script::seed();
    load(Source::Path(&repository("runbooks/pchat-failover.rhai")));
    let (name, text) = stdlib::STOCK_RUNBOOK;
    load(Source::Text { name, text });
}

#[test]
fn every_module_of_the_stdlib_loads_by_itself() {
    cutover::script::seed();
    for name in stdlib::names() {
        load(Source::Path(&repository(&format!("stdlib/{name}.rhai"))));
    }
}

/// Every module has a test of its own, written in Rhai and run in the lab.
#[test]
fn the_stdlib_does_what_its_tests_in_rhai_say() {
    let world = common::World::new();
    for name in stdlib::names() {
        let test = repository(&format!("tests/stdlib/{name}_test.rhai"));
        assert!(test.exists(), "{} is missing", test.display());
        world.cutover(&format!("rehearse {} --yes --pace 0", test.display())).exits(0);
    }
}

#[test]
fn every_example_of_every_primitive_runs_in_the_lab() {
    let world = common::World::new();
    for primitive in PRIMITIVES {
        assert!(!primitive.examples.is_empty(), "`{}` has no example", primitive.name);
        for (n, example) in primitive.examples.iter().enumerate() {
            let file = world.write(&format!("{}-{n}.rhai", primitive.name), example);
            world.cutover(&format!("rehearse {} --yes --pace 0", file.display())).exits(0);
        }
    }
}
