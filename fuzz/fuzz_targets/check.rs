//! Whatever text there is, `check` answers with findings inside it: `cargo +nightly fuzz run check`.
#![no_main]

use std::path::PathBuf;

use cutover::check::{self, Input, Options};
use cutover::host;
use cutover::primitives::PRIMITIVES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let options = Options { site: None, names: host::names(PRIMITIVES) };
    let input = Input { path: PathBuf::from("fuzz.rhai"), text: Some(text.to_owned()) };
    let checked = check::check(&[input], &options).expect("a text can be checked");
    for finding in checked.findings {
        assert!(finding.file.text.get(finding.span.clone()).is_some(), "{finding:?}");
        for edit in finding.fixes {
            assert!(finding.file.text.get(edit.span.clone()).is_some(), "{edit:?}");
        }
    }
});
