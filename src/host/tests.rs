//! Runbook texts and what their errors look like, over small primitives of the tests' own.

mod resume;

use std::path::Path;
use std::sync::Arc;

use insta::assert_snapshot;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use rhai::Dynamic;
use serde_json::json;

use super::run::evaluate_within;
use super::{Ended, evaluate, names};
use crate::effect::{Alone, Cancel, Effects, Failure, Setup, Stop};
use crate::journal::Journal;
use crate::operator::Operator;
use crate::primitives::{ArgumentError, Call, Class, Parameter, Primitive, Raised, Run, Type};
use crate::script::{Options, Script, ScriptErrors, Source};

const DONE_WHEN: Parameter = Parameter::optional("done_when", Type::Closure(0), "says that it is in force");

const fn primitive(
    name: &'static str,
    parameters: &'static [Parameter],
    options: &'static [Parameter],
    run: fn(&mut Call<'_, '_>) -> Result<Dynamic, Raised>,
) -> Primitive {
    Primitive { name, parameters, options, class: Class::Reads, returns: "", doc: "", examples: &[], run }
}

/// Returns what it was given, as text; fails at the text `fail`, stops at `stop`, and finds fault with `@name` in it.
static LOOK: Primitive = primitive(
    "look",
    &[
        Parameter::required("server", Type::Text, "a server of the site"),
        Parameter::required("text", Type::Text, "what to look at"),
        Parameter::optional("params", Type::Map, "what is bound"),
        Parameter::optional("options", Type::Options, "how"),
    ],
    &[
        DONE_WHEN,
        Parameter::optional("within", Type::Duration, "how long"),
        Parameter::optional("already", Type::Word(&["accept", "ask"]), "what to do when it is in force already"),
        Parameter::optional("timeout", Type::Duration, "at most"),
    ],
    |call| {
        let text = call.text(1);
        if let Some(at) = text.find("@nobody") {
            return Err(Raised::Argument(ArgumentError {
                argument: 1,
                key: None,
                within: Some(at..at + 7),
                message: "nothing is bound to `@nobody`".to_owned(),
                help: "add `nobody` to the parameters".to_owned(),
            }));
        }
        match text.as_str() {
            "fail" => Err(Raised::Failure(Box::new(Failure {
                effect: 7,
                primitive: "look".to_owned(),
                message: "the log is missing".to_owned(),
                number: Some(4305),
                in_doubt: false,
                place: call.place.clone(),
                step: None,
                story: Box::default(),
                cause: Arc::new(Missing),
            }))),
            "stop" => Err(Raised::Stop(Stop::Refused("look".to_owned()))),
            "nothing" => Ok(Dynamic::UNIT),
            _ => Ok(format!("{} {text} +{}", call.text(0), call.arguments.len() + call.options.len()).into()),
        }
    },
);

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("error 4305: the log is missing")]
#[diagnostic(code(cutover::test::missing), help("find the log"))]
struct Missing;

static STEP: Primitive = primitive(
    "step",
    &[Parameter::required("title", Type::Text, "its title"), Parameter::required("body", Type::Closure(0), "what it does")],
    &[],
    |call| call.closure(1).call_within_context(call.context, ()).map_err(Raised::Script),
);

static COPY: Primitive = primitive(
    "copy",
    &[Parameter::required("options", Type::Options, "what to copy")],
    &[
        Parameter::required("from", Type::Text, "where from"),
        Parameter::required("to", Type::Text, "where to"),
        Parameter::optional("workers", Type::Integer, "how many at a time"),
        Parameter::optional("only", Type::TextList, "names"),
        DONE_WHEN,
    ],
    |call| Ok(call.text_option("from").unwrap_or_default().into()),
);

static FAKES: &[&Primitive] = &[&COPY, &LOOK, &STEP];

fn setup(folder: &Path) -> Arc<Run> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let journal = Journal::create(&folder.join("runs"), "test", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let handle = runtime.handle().clone();
    // the fakes perform no effect: nothing needs the runtime to stay
    runtime.shutdown_background();
    Arc::new(Run {
        effects: Effects::new(Setup {
            journal,
            operator: Operator::unattended(crate::operator::Policy::default()),
            runtime: handle,
            cancel: Cancel::default(),
            steps: Vec::new(),
            on_event: Box::new(|_, _| {}),
            on_replay: Box::new(|_| {}),
            on_progress: Arc::new(|_| {}),
            guard: Arc::new(Alone),
        }),
        servers: crate::sqlserver::Servers::new([]),
        shell: None,
        headers: Arc::default(),
    })
}

struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// A folder with these files; the first is the runbook.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn load(&self, runbook: &str) -> Result<Script, ScriptErrors> {
        let options = Options { site_stdlib: Some(self.folder.path().join("site-stdlib")), names: names(FAKES) };
        Script::load(Source::Path(&self.folder.path().join(runbook)), &options)
    }

    fn run(&self, script: Script) -> Ended {
        let site = json!({
            "name": "lab", "pool": "pool.contoso.com", "active_servers": ["a", "b"],
            "sql": { "backup": { "fqdn": "sql2.contoso.com" } }, "vars": { "limit": 3 },
        });
        evaluate_within(1_000_000, None, &Arc::new(script), setup(self.folder.path()), site, FAKES)
    }

    /// What loading and running the first file shows.
    fn transcript(&self, runbook: &str) -> String {
        let text = match self.load(runbook) {
            Err(errors) => render(&errors),
            Ok(script) => match self.run(script) {
                Ended::Finished => "finished\n".to_owned(),
                Ended::Failed(error) => render(&*error),
                Ended::Stopped(stop, place) => {
                    let lines: Vec<String> = place.iter().flat_map(|p| &p.frames).map(|f| format!("{}:{}", f.line, f.column)).collect();
                    format!("stopped: {stop:?} at {}\n", lines.join(" < "))
                }
            },
        };
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn render(error: &dyn Diagnostic) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut text, error)
        .unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn shown(text: &str) -> String {
    World::new(&[("main.rhai", text)]).transcript("main.rhai")
}

/// A table of titled runbooks and what each shows.
fn table(cases: &[(&str, &str)]) -> String {
    cases.iter().map(|(title, text)| format!("━━ {title}\n{}\n", shown(text))).collect()
}

#[test]
fn a_runbook_of_two_lines_runs() {
    assert_eq!(shown("let a = look(\"backup\", \"x\");\nif a != \"backup x +2\" { throw a; }"), "finished\n");
}
#[test]
fn what_is_wrong_with_the_text_is_found_before_anything_runs() {
    assert_snapshot!(table(&[
        ("a statement without its end", "let a = 1\nlet b = 2;\n"),
        ("an open bracket", "look(\"backup\", \"x\";\n"),
        ("an open text", "let a = \"abc;\nlet b = 1;\n"),
        ("an open comment", "look(\"backup\", \"x\");\n/* forgot\nlook(\"backup\", \"stop\");\n"),
        ("a reserved word", "let go = 1;\n"),
        ("a typographic dash", "let a = 5 – 3;\n"),
        ("typographic quotes", "look(“backup”, “x”);\n"),
        ("a forbidden word", "let a = 1;\nsleep(5);\n"),
        ("print", "print(\"x\");\n"),
        ("an unknown variable", "let servers = [];\nfor s in server { look(s, \"x\"); }\n"),
        ("an outer variable in a function", "let limit = 3;\nfn f() { limit }\nf();\n"),
        ("an unknown function", "lok(\"backup\", \"x\");\n"),
        ("an unknown method", "[1].fliter(|x| x > 0);\n"),
        ("a function with other arguments", "fn twice(a, b) { a + b }\ntwice(1);\n"),
        ("break in a closure", "for i in 0..3 { step(\"a\", || { break; }); }\n"),
        ("site bound again", "let site = 1;\n"),
        ("site as parameter", "fn f(site) { 1 }\n[1].map(|site| 2);\nfor site in [1] { }\ntry { } catch (site) { }\n"),
        ("site assigned", "site = 1;\n"),
        ("a primitive defined again", "fn look(a, b) { a }\n"),
        ("a method defined again", "fn len(x) { 1 }\n"),
        ("a function defined twice", "fn one() { 1 }\nfn one(x) { x }\n"),
        ("unknown import", "import \"shipping_of_tea\" as tea;\n"),
        ("computed import", "let m = \"x\";\nimport m + \"y\" as db;\n"),
        ("nested import", "if true { import \"databases\" as db; }\n"),
        ("import without a name", "import \"databases\";\n"),
        ("unknown module", "db::state(\"x\");\n"),
    ]));
}

#[test]
fn a_primitive_runs_only_from_a_call_written_out() {
    assert_snapshot!(table(&[
        ("method", "\"backup\".look(\"x\");\n"),
        ("elvis", "let b = \"backup\"; b?.look(\"x\");\n"),
        ("index", "let a = [\"backup\"]; a[0].look(\"x\");\n"),
        ("name as text", "[\"a\"].map(\"look\");\n"),
        ("name as computed text", "[\"a\"].map(\"lo\" + \"ok\");\n"),
        ("Fn", "let f = Fn(\"look\"); f.call(\"backup\", \"x\");\n"),
        ("call", "call(look, \"backup\", \"x\");\n"),
        ("curry", "let f = |x| x; f.curry(1);\n"),
        ("bang", "look!(\"backup\", \"x\");\n"),
        ("eval", "eval(\"look(1, 2)\");\n"),
        ("bare name", "step(\"a\", look);\n"),
        ("this", "fn f() { this.look(\"x\") }\n"),
        ("typed method", "fn string.look(b) { 1 }\n"),
        ("written out in a closure", "let a = [\"x\"].map(|t| look(\"backup\", t)); if a.len() != 1 { throw \"no\"; }\n"),
        ("written out in a closure that captures", "let s = \"backup\"; step(\"a\", || look(s, \"x\"));\n"),
        (
            "written out in everything else",
            "let a = #{ b: look(\"s\", \"1\") };\nswitch 1 { 1 => look(\"s\", \"2\"), _ => look(\"s\", \"3\") }\nlet t = `${look(\"s\", \"4\")}`;\nlet c = if look(\"s\", \"5\") == \"\" { 1 } else { look(\"s\", \"6\") };\nwhile look(\"s\", \"7\") == \"\" { }\nfn f() { return look(\"s\", \"8\"); }\nf() + look(\"s\", \"9\");\ndo { } while look(\"s\", \"10\") == \"\";\ntry { look(\"s\", \"fail\") } catch { look(\"s\", \"11\") }\n"
        ),
    ]));
}

#[test]
fn wrong_arguments_are_found_before_anything_is_done() {
    assert_snapshot!(table(&[
        ("too few", "look(\"backup\");\n"),
        ("too many", "look(\"backup\", \"x\", #{}, #{}, 5);\n"),
        ("type", "let n = 5;\nlook(\"backup\", n + 1);\n"),
        ("a missing value", "look(look(\"backup\", \"nothing\"), \"x\");\n"),
        ("unknown option", "look(\"backup\", \"x\", #{}, #{\n    done_wen: || true,\n});\n"),
        ("unknown option in place of the parameters", "look(\"backup\", \"x\", #{ done_wen: || true });\n"),
        ("type of an option", "look(\"backup\", \"x\", #{ within: 5 });\n"),
        ("duration", "look(\"backup\", \"x\", #{ within: \"5 minutes\" });\n"),
        ("word", "look(\"backup\", \"x\", #{ already: \"acept\" });\n"),
        ("closure's parameters", "look(\"backup\", \"x\", #{ done_when: |a, b| true });\n"),
        ("missing option", "copy(#{ from: \"x\" });\n"),
        ("missing options", "copy();\n"),
        ("options that are no map", "copy(\"x\");\n"),
        ("a list of other things", "copy(#{ from: \"a\", to: \"b\", only: [1, 2] });\n"),
        ("within the text", "look(\"backup\",\n    `SELECT \"x\"\n     FROM t WHERE a = @nobody`);\n"),
        ("within an escaped text", "look(\"backup\", \"SELECT \\\"ü\\\", @nobody\");\n"),
        ("within a computed text", "let t = \"a\"; look(\"backup\", `SELECT ${t} @nobody`);\n"),
        ("options in place of the parameters", "look(\"backup\", \"x\", #{ within: \"5m\", done_when: || true });\n"),
        ("an option without a value", "look(\"backup\", \"x\", #{ within: () });\n"),
    ]));
}

#[test]
fn what_goes_wrong_in_a_run_is_shown_on_the_text() {
    assert_snapshot!(table(&[
        ("a key the site has not", "let a = site.sql.backup.fdqn;\n"),
        ("in a function and a closure", "fn f() { [1].map(|x| site.nope) }\nf();\n"),
        ("a server the site has not", "look(site.sql.primary.fqdn, \"x\");\n"),
        ("types", "let a = \"5\";\nlet b = a - 1;\n"),
        ("a missing value compared", "let a = look(\"backup\", \"nothing\");\nlet b = a + 1;\n"),
        ("a property of nothing", "let a = look(\"backup\", \"nothing\");\na.state;\n"),
        ("a key the map has not", "let m = #{ a: 1 };\nm.b;\n"),
        ("out of bounds", "let l = [1, 2];\nl[2];\n"),
        ("division", "let n = 0;\n1 / n;\n"),
        ("wrong types for a method", "\"abc\".split(#{});\n"),
        ("data race", "let ids = [1, 2];\nids.filter(|x| ids.contains(x));\n"),
        ("thrown text", "fn check(n) {\n    if n > 1 { throw `too many: ${n}`; }\n}\ncheck(2);\n"),
        ("a failed effect", "fn state() {\n    look(\"backup\", \"fail\")\n}\nstep(\"one\", || {\n    let a = state();\n});\n"),
        ("thrown again", "try {\n    look(\"backup\", \"fail\");\n} catch (e) {\n    throw e;\n}\n"),
        (
            "thrown again as text",
            "try {\n    look(\"backup\", \"fail\");\n} catch (e) {\n    throw e.message + \", number \" + e.number;\n}\n"
        ),
        (
            "a wrong argument caught",
            "try { look(\"backup\", 5); } catch (e) { if !e.message.contains(\"must be text\") { throw \"no\"; } }\n"
        ),
        ("a stop", "fn f() { look(\"backup\", \"stop\") }\ntry { f(); } catch { }\nthrow \"not reached\";\n"),
        (
            "a stop in a method that swallows errors",
            "let l = [2, 1, 3];\ntry { l.filter(|x| look(\"backup\", \"stop\")); } catch { }\nlook(\"backup\", \"fail\");\n"
        ),
        ("a closure that errors cannot leave", "[3, 2].order(|a, b| { look(\"backup\", \"stop\"); 1 });\n"),
    ]));
}

#[test]
fn a_limit_names_itself() {
    let deep = format!("let a = {}1{};\n", "(1 + ".repeat(120), ")".repeat(120));
    let many: String = (0..1100).map(|n| format!("let v{n} = {n};\n")).collect();
    let functions: String = (0..1100).map(|n| format!("fn f{n}() {{ {n} }}\n")).collect();
    let lines = "\n".repeat(60_001);
    let wide = format!("let a = \"{}\";\n", "x".repeat(60_001));
    let refused = |text: &str| -> String { shown(text).lines().filter(|l| l.contains('×')).map(|l| format!("{l}\n")).collect() };
    assert_snapshot!(table(&[
        ("operations", "let n = 0;\nloop { n += 1; }\n"),
        ("operations in a closure", "loop { step(\"a\", || { let n = 0; while n < 1000 { n += 1; } }); }\n"),
        ("calls", "fn f(n) { f(n + 1) }\nf(0);\n"),
        ("text", "let s = \"0123456789abcdef\";\nloop { s += s; }\n"),
        ("array", "let a = [];\nfor i in 0..20_000 { a.push(i); }\n"),
        ("map", "let m = #{};\nfor i in 0..9_000 { m[`k${i}`] = i; }\nlet n = #{};\nfor i in 0..9_000 { n[`n${i}`] = i; }\nm += n;\n"),
    ]));
    let limits: String = [deep, many, functions, lines, wide].iter().map(|text| refused(text)).collect();
    assert_snapshot!(limits, @r"
    × over the limit: expressions nested 96 deep, 64 in a function
    × over the limit: 1000 variables at one time
    × over the limit: 1000 functions and closures in a file
    × over the limit: 60000 lines in a runbook and its modules
    × over the limit: 60000 bytes in a line
    ");
}

#[test]
fn an_error_in_a_module_is_shown_in_both_files() {
    let world = World::new(&[
        ("main.rhai", "import \"db\" as db;\n\nstep(\"look\", || {\n    db::state(\"backup\", \"fail\");\n});\n"),
        ("db.rhai", "import \"deep/er\" as deeper;\n\n// the state\nfn state(server, what) {\n    deeper::ask(server, what)\n}\n"),
        ("deep/er.rhai", "fn ask(server, what) {\n    look(server, what)\n}\n"),
        ("types.rhai", "import \"db\" as db;\ndb::state(\"backup\", 7);\n"),
        ("types_inside.rhai", "import \"minus\" as minus;\nfn f() { minus::less(\"a\") }\nf();\n"),
        ("minus.rhai", "fn less(x) {\n    x - 1\n}\n"),
        ("stop.rhai", "import \"db\" as db;\ntry { db::state(\"backup\", \"stop\"); } catch { }\n"),
    ]);
    let all: String = ["main.rhai", "types.rhai", "types_inside.rhai", "stop.rhai"].iter().map(|f| world.transcript(f)).collect();
    assert_snapshot!(all);
}

#[test]
fn modules_are_checked_before_anything_runs() {
    let world = World::new(&[
        ("effect.rhai", "import \"m_effect\" as m;\n"),
        ("m_effect.rhai", "look(\"backup\", \"x\");\n"),
        ("constant.rhai", "import \"m_constant\" as m;\n"),
        ("m_constant.rhai", "const STATE = look(\"backup\", \"x\");\nlet a = 1;\n"),
        ("syntax.rhai", "import \"m_syntax\" as m;\n"),
        ("m_syntax.rhai", "fn f() {\n    let a = ;\n}\n"),
        ("taken.rhai", "import \"m_taken\" as m;\nfn helper() { 1 }\n"),
        ("m_taken.rhai", "fn ok() { helper() }\nprivate fn helper() { 2 }\n"),
        ("circle.rhai", "import \"m_circle\" as m;\n"),
        ("m_circle.rhai", "import \"m_circle2\" as m;\n"),
        ("m_circle2.rhai", "import \"m_circle\" as m;\n"),
        ("typo.rhai", "import \"m_typo\" as m;\nm::stat(1);\nm::state(1, 2);\nm::hidden();\nstate(1);\n"),
        ("m_typo.rhai", "fn state(x) { hidden() + oops() }\nprivate fn hidden() { 1 }\n"),
        ("closure.rhai", "import \"m_closure\" as m;\nm::run(|| 1);\nlet x = 1; m::run(|| x);\n"),
        ("m_closure.rhai", "fn run(f) { step(\"a\", f) }\n"),
        ("closure2.rhai", "import \"m_closure\" as m;\nlet f = || 1;\nm::run(f);\n"),
        ("dots.rhai", "import \"../m_closure\" as m;\n"),
    ]);
    let files = ["effect", "constant", "syntax", "taken", "circle", "typo", "closure", "closure2", "dots"];
    let all: String = files.iter().map(|f| format!("━━ {f}\n{}\n", world.transcript(&format!("{f}.rhai")))).collect();
    assert_snapshot!(all);
}

#[test]
fn a_module_is_found_beside_the_runbook_then_in_the_sites_stdlib() {
    let world = World::new(&[
        (
            "main.rhai",
            "import \"both\" as both;\nimport \"site_only\" as site_only;\nif both::one() != 1 || site_only::number() != 7 { throw `${both::one()}`; }\n",
        ),
        ("both.rhai", "const LIMIT = 1;\nfn one() { global::LIMIT }\n"),
        ("site-stdlib/both.rhai", "fn one() { 2 }\n"),
        ("site-stdlib/site_only.rhai", "fn number() { 7 }\n"),
    ]);
    assert_eq!(world.transcript("main.rhai"), "finished\n");
}

#[test]
fn site_answers_everywhere() {
    let text = r#"
        fn limit() { site.vars.limit }
        fn inner() { [1, 2].map(|x| x + site.vars.limit) }
        let a = [limit(), inner()[1], site["vars"]["limit"], site.active_servers.len(), site.vars.get("x") ?? 9];
        step("a", || { if site.sql.backup.fqdn != "sql2.contoso.com" { throw "step"; } });
        if `${a}` != "[3, 5, 3, 2, 9]" { throw `${a}`; }
        if "vars" in site && !("nope" in site) && site.sql.keys() == ["backup"] { } else { throw "in"; }
    "#;
    assert_eq!(shown(text), "finished\n");
}

#[test]
fn a_stop_from_outside_ends_a_loop() {
    let world = World::new(&[("main.rhai", "loop { }\n")]);
    let script = Arc::new(world.load("main.rhai").unwrap());
    let run = setup(world.folder.path());
    run.effects.stop(Stop::Interrupted);
    assert!(matches!(evaluate(&script, run, json!({}), FAKES), Ended::Stopped(Stop::Interrupted, None)));
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_change_nothing() {
    assert_snapshot!([shown("\u{feff}let a = 1;\r\nlet ü = 1;\r\n"), shown("\u{feff}let ue = \"ü\t\"; let a = site.nope;\r\n")].concat());
}
