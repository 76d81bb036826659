//! Loading whatever text there is: an answer, never a panic, and every error inside its file.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Names, Options, Script, Source, nearest};

fn load(text: &str) -> Result<Script, super::ScriptErrors> {
    let names = Arc::new(Names { primitives: ["sql", "step"].into(), functions: ["len", "map", "to_string", "push"].into() });
    Script::load(Source::Text { name: "main.rhai", text }, &Options { site_stdlib: None, names })
}

const RUNBOOK: &str = r#"// a runbook
fn ask(server, what) { sql(server, `SELECT ${what} /* all */ FROM "t"`, #{ a: 1 }) }
let rows = step("look", || ask("backup", "x"));
if rows.len() > 1 { step("more", || { for r in rows { sql("b", "KILL {id}", #{ id: r.id }); } }) } else { throw "no"; }
switch rows.len() { 5 if rows.len() == 4 => [1].map(|x| x + 1), 1..3 => 5, _ => () }
"#;

fn stays_inside(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = load(text) {
        let bare = text.trim_start_matches('\u{feff}');
        for error in errors.0 {
            prop_assert!(bare.get(error.span.clone()).is_some(), "{:?}", error);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_loads_or_is_refused_on_its_text(text in "[ -~\n\r\t`\"${}#/*ü“\u{feff}]{0,120}") {
        stays_inside(&text)?;
    }

    #[test]
    fn a_damaged_runbook_loads_or_is_refused_on_its_text(at in 0..RUNBOOK.len(), cut in 0..12_usize, put in "[ -~\n\u{a0}–“\"`{}()/*|;]{0,4}") {
        let text = format!("{}{put}{}", &RUNBOOK[..at], &RUNBOOK[(at + cut).min(RUNBOOK.len())..]);
        stays_inside(&text)?;
    }
}

#[test]
fn the_undamaged_runbook_loads() {
    assert!(load(RUNBOOK).is_ok(), "{:?}", load(RUNBOOK).err());
}

#[test]
fn an_empty_file_is_a_runbook_that_does_nothing() {
    assert!(load("").unwrap().runbook().calls.is_empty());
}

#[test]
fn what_was_probably_meant_is_near() {
    assert_eq!(nearest("done_wen", ["within", "done_when"]), Some("done_when"));
    assert_eq!(nearest("Backup", ["backup", "primary"]), Some("backup"));
    assert_eq!(nearest("x", ["y", "backup"]), None);
    assert_eq!(nearest("copy", ["restore", "query"]), None);
}

/// Lines on which errors are told.
fn error_lines(text: &str) -> Vec<usize> {
    let errors = load(text).err().map(|e| e.0).unwrap_or_default();
    errors.iter().map(|e| text[..e.span.start.min(text.len())].matches('\n').count() + 1).collect()
}

#[test]
fn several_syntax_errors_are_told_together_and_none_follows_from_another() {
    for (what, text, lines) in [
        ("one", "let a = (1;\nlet b = 2;\n", &[1][..]),
        ("two statements", "let a = (1;\nlet b = 2;\nlet c = [1, 2;\nlet d = 4;\n", &[1, 3]),
        ("within a step", "step(\"x\", || {\n    let d = #{ a: 1;\n    step(\"ok\", || 1);\n    let e = (2;\n});\nlet f = ;\n", &[2, 4, 6]),
        ("over several lines", "sql(\"b\",\n    \"SELECT 1\" \"x\",\n    1);\nlet a = ;\nlet b = 1;\n", &[2, 4]),
        ("in a function", "fn f(a) {\n    let b = a +;\n    b\n}\nlet c = f(1;\n", &[2, 5]),
        ("a condition", "let a = 1;\nif a = = 1 {\n    step(\"x\", || 1);\n}\nlet b = (a;\n", &[2, 5]),
        ("a text that is not closed", "let a = \"x;\nlet b = (1;\n", &[1, 2]),
        ("a bracket that is never closed", "step(\"x\", || {\n    let a = 1;\n", &[1]),
        ("a bracket too many", "step(\"x\", || {\n    let a = 1;\n}});\nlet b = 1;\n", &[3]),
        ("else without if", "let a = 1;\nelse { }\nlet b = (2;\n", &[2, 3]),
        ("a reserved word", "let match = 1;\nlet new = 2;\nlet c = 3;\n", &[1, 2]),
        (
            "a bracket that is missing far from where it is missed",
            "step(\"x\", || {\n    ask(\"b\", #{\n        show: [[1, 2], 3\n        id: 4,\n    });\n    let b = 1;\n    sql(\"b\", \"x\");\n});\nfn ask(a, b) { sql(a, b) }\nlet c = (1;\n",
            &[4, 10],
        ),
        ("an unknown variable", "let a = x;\nlet b = y;\n", &[1, 2]),
    ] {
        assert_eq!(
            error_lines(text),
            lines,
            "{what}:\n{text}{:?}",
            load(text).err().map(|e| e.0.iter().map(ToString::to_string).collect::<Vec<_>>())
        );
    }
}

/// `line:column message` of everything that is wrong with a text.
fn told(text: &str) -> Vec<String> {
    let errors = load(text).map_or_else(|errors| errors.0, |_| Vec::new());
    let place = |error: &super::ScriptError| error.file.as_ref().map_or((0, 0), |file| file.line_and_column(error.span.start));
    errors.iter().map(|error| format!("{}:{} {error}", place(error).0, place(error).1)).collect()
}

#[test]
fn everything_that_is_wrong_is_told_in_one_pass_and_nothing_that_follows_from_it() {
    assert_eq!(
        told(
            "let a = 1\nlet b = [a]\nlet c = \"x\ny\";\nif a = 1 { b.push(c); }\nnope(zz);\nstep(\"x\", || { sql(zz, yy); });\nfar::off();\n"
        ),
        [
            "1:9 `;` is missing to terminate this statement",
            "2:11 `;` is missing to terminate this statement",
            "3:9 a text is not closed",
            "5:6 `=` assigns, and nothing can be assigned here",
            "6:1 no function `nope`",
            "6:6 no variable `zz`",
            "7:20 no variable `zz`",
            "7:24 no variable `yy`",
            "8:1 no module `far`",
        ]
    );
    assert_eq!(told("const f = (x) => x + 1;\nlet y = f;\n"), ["1:15 `=>` means nothing in a runbook"]);
    assert_eq!(told("fn look( { sql(\"b\", x) }\nlook();\n").len(), 1);
    assert_eq!(told("let a = (1;\nlet b = a + 1;\nfn look(a) { sql(a, b) }\nlook(b);\n").len(), 2);
}
