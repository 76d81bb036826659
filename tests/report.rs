//! The report of a run: what a clean, a failed and resumed, and a refused run say of themselves, as HTML and as Markdown.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{World, of, repository, squeezed};
use pulldown_cmark::{Event, Tag};
use scraper::{Html, Selector};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The page, if it is one that needs nothing else: well formed, without a script, and with no address outside of itself.
#[track_caller]
fn page(text: &str) -> Html {
    let page = Html::parse_document(text);
    assert_eq!(page.errors, Vec::<String>::new());
    let all = Selector::parse("*").unwrap();
    let mut ids = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for element in page.select(&all).map(|element| element.value()) {
        assert!(!["script", "link", "img", "iframe", "object", "embed", "base", "form"].contains(&element.name()), "{}", element.name());
        for (name, value) in element.attrs() {
            assert!(!name.starts_with("on") && !["src", "srcset", "style"].contains(&name), "{name}={value}");
            match name {
                "id" => assert!(ids.insert(value.to_owned()), "twice: {value}"),
                "href" => assert!(asked.insert(value.strip_prefix('#').unwrap().to_owned()) || element.name() == "use"),
                "aria-labelledby" => asked.extend(value.split(' ').map(str::to_owned)),
                _ => {}
            }
        }
    }
    assert_eq!(asked.difference(&ids).collect::<Vec<_>>(), Vec::<&String>::new(), "nothing has these ids");
    let style = text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert!(!style.contains("@import") && style.matches("url(").count() == style.matches("url(#").count());
    page
}

/// The words of a section.
#[track_caller]
fn section(page: &Html, id: &str) -> String {
    let section = Selector::parse(&format!("section[aria-labelledby={id}]")).unwrap();
    let section = page.select(&section).next().unwrap_or_else(|| panic!("no section {id}"));
    squeezed(&section.text().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_clean_run_is_reported_with_its_changes_answers_files_and_loss() {
    let world = World::new();
    let ended = world.cutover("rehearse --yes --pace 0 --keep @/kept --report @/report.html --format json").exits(0);
    let text = read(&world.path("report.html"));
    assert!(text.len() < 500 * 1024, "{} bytes", text.len());
    let page = page(&text);
    let events = ended.events();
    assert!(section(&page, "summary").contains("The run is done."));
    let changes = of(&events, "effect_finished").iter().filter(|event| event["class"] == "changes" && event["parent"].is_null()).count();
    let rows = Selector::parse("section[aria-labelledby=changes] li.row").unwrap();
    assert_eq!((page.select(&rows).count(), changes), (14, 14));
    let asked = section(&page, "questions");
    for question in of(&events, "question") {
        assert!(asked.contains(&squeezed(question["text"].as_str().unwrap())), "{question}");
    }
    // what was shown with a question, and who answered
    assert!(asked.contains("last backup restored into it") && asked.contains("--yes, given beforehand by"), "{asked}");
    let files = section(&page, "files");
    let restored = of(&events, "effect_finished").into_iter().find(|event| event["primitive"] == "restore_logs").unwrap();
    for set in restored["outcome"]["applied"].as_array().unwrap() {
        for key in ["file", "first_lsn", "last_lsn"] {
            assert!(files.contains(set[key].as_str().unwrap()), "{key} of {set}");
        }
    }
    let loss = section(&page, "loss");
    for line in of(&events, "run_finished")[0]["loss"]["lines"].as_array().unwrap() {
        assert!(loss.contains(&squeezed(&line.as_str().unwrap().replace('`', " "))), "{line}");
    }
    assert!(section(&page, "time").contains("within the target of 1 h"));
    assert!(section(&page, "record").contains("as it was written"));
    let kinds = Selector::parse("svg rect.change, svg rect.wait").unwrap();
    assert!(page.select(&kinds).count() > 2, "changes and waits are in the picture");
}

#[test]
fn a_run_that_failed_and_was_resumed_tells_both_in_the_same_report() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let book =
        |statement: &str| format!("step(\"Look\", || {{ query(\"backup\", \"SELECT 1 AS one\"); query(\"backup\", \"{statement}\"); }});");
    world.write("book.rhai", &book("SELECT * FROM nowhere"));
    world.cutover("run book.rhai --site lab/site.toml --yes --journal runs --report @/report.md").exits(1).says("report:");
    let failed = read(&world.path("report.md"));
    assert!(failed.starts_with("# book on lab: failed\n"), "{failed}");
    let folder = world.run_folder("runs");
    for said in ["Invalid object name 'nowhere'", "number: 208", "then: it ended the run", "Go on with the run: cutover resume"] {
        assert!(failed.contains(said), "{said}\n{failed}");
    }
    world.write("book.rhai", &book("SELECT 2 AS two"));
    world.cutover(&format!("resume {} --yes --report @/report.md", folder.display())).exits(0);
    let done = read(&world.path("report.md"));
    assert!(done.starts_with("# book on lab: done\n"), "{done}");
    for said in ["Invalid object name 'nowhere'", "resumed by", "differed: the runbook", "Nothing ran"] {
        assert!(done.contains(said), "{said}\n{done}");
    }
    assert!(!done.contains("Go on with the run"), "{done}");
    // made again from the record, it is the same
    world.cutover(&format!("runs report {} --markdown @/again.md", folder.display())).exits(0);
    assert_eq!(read(&world.path("again.md")), done);
    world.cutover(&format!("runs report {} --html @/again.html", folder.display())).exits(0);
    let text = read(&world.path("again.html"));
    let page = page(&text);
    assert!(section(&page, "failures").contains("Invalid object name 'nowhere'"));
    lab.stop();
}

#[test]
fn a_run_that_nobody_answered_says_what_was_asked() {
    let world = World::new();
    world.write("book.rhai", "step(\"Ask\", || confirm(\"Shall we?\", #{ id: \"shall\", show: [[\"facts\", [[\"one\", 1]]]] }));");
    world.cutover("rehearse book.rhai --pace 0 --report @/report.html").exits(3);
    let text = read(&world.path("report.html"));
    let page = page(&text);
    assert!(section(&page, "summary").contains("The run was stopped in the step “Ask” and can be gone on with."));
    let asked = section(&page, "questions");
    for said in ["Shall we?", "nobody answered", "facts", "shall"] {
        assert!(asked.contains(said), "{said}: {asked}");
    }
    // its record is gone, and so are its servers
    assert!(section(&page, "record").contains("gone with the rehearsal") && !text.contains("cutover resume"));
}

#[test]
fn texts_of_others_stay_texts() {
    let world = World::new();
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> & \\\"' | [a](http://example.com) \\u202egpj.exe\\x1b[31m\\x07 `code` ![i](http://example.com/i)";
    world.write(
        "book.rhai",
        &format!("step(\"<b>bold</b>\", || {{ note(\"{hostile}\"); confirm(\"{hostile}?\"); warn(\"{hostile}\"); }});"),
    );
    world.cutover("rehearse book.rhai --yes --pace 0 --keep @/kept --report @/report.html").exits(0);
    let text = read(&world.path("report.html"));
    let page = page(&text);
    let notes = section(&page, "notes");
    assert!(notes.contains("<script>alert(1)</script>") && notes.contains("⟨U+202E⟩gpj.exe␛[31m␇"), "{notes}");
    assert!(!text.contains(['\u{202e}', '\x1b', '\x07']));
    let folder = world.run_folder("kept/runs");
    let markdown = world.cutover(&format!("runs report {}", folder.display())).exits(0).stdout;
    assert!(!markdown.contains(['\u{202e}', '\x1b', '\x07']));
    for event in pulldown_cmark::Parser::new_ext(&markdown, pulldown_cmark::Options::ENABLE_TABLES) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let html = html.trim();
                assert!(html.is_empty() || html.starts_with("<details>") || html == "</details>", "{html}");
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link: {event:?}"),
            _ => {}
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_begins_or_after_all_is_done() {
    let world = World::new();
    world.write("book.rhai", "step(\"Look\", || query(\"backup\", \"SELECT 1 AS one\"));");
    world.cutover("rehearse book.rhai --yes --keep @/kept --report @/report.pdf").exits(2).says("let it end in `.html` or `.md`");
    world.cutover("rehearse book.rhai --yes --keep @/kept --report @/nowhere/report.md").exits(2).says("no report can be written to");
    assert!(!world.path("kept").exists());
    world.cutover("rehearse --all --report @/report.md").exits(2);
    // a folder comes to be where the report goes
    let late = world.cutover("rehearse book.rhai --yes --pace 0 --keep @/late.md --report @/late.md").exits(0);
    let folder = world.run_folder("late.md/runs");
    late.says("no report can be written to").says(&format!("cutover runs report {} --markdown", folder.display()));
    world.cutover(&format!("runs report {} --format json", folder.display())).exits(2).says("a report is HTML or Markdown, not JSON");
}

// ---- a record that stays the same ----

const RUN: &str = "tests/data/2026-11-27T14-12-00Z-book";

/// A run that failed in the middle and was resumed; as its folder lies in this world.
fn recorded(world: &World) -> PathBuf {
    common::copy_folder(&repository(RUN), &world.path("2026-11-27T14-12-00Z-book"))
}

#[track_caller]
fn report(world: &World, run: &str, form: &str) -> String {
    let mut command = world.command(&format!("runs report {run} {form} -"));
    let output = command.env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace(world.path("").to_str().unwrap().trim_end_matches('/'), "@")
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    page.select(&Selector::parse(selector).unwrap()).map(|element| element.text().collect::<String>()).collect()
}

#[test]
fn markdown_says_everything_of_a_run_that_failed_and_was_resumed() {
    let world = World::new();
    recorded(&world);
    let text = report(&world, "@/2026-11-27T14-12-00Z-book", "--markdown");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("report_resumed", text));
}

#[test]
fn html_is_one_sound_page_that_says_the_same() {
    let world = World::new();
    recorded(&world);
    let html = report(&world, "@/2026-11-27T14-12-00Z-book", "--html");
    let page = page(&html);
    assert!(html.len() < 500 << 10);
    let headings = texts(&page, "h2");
    let markdown = report(&world, "@/2026-11-27T14-12-00Z-book", "--markdown");
    let same: Vec<String> = markdown.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(headings, same);
    let all = page.root_element().text().collect::<String>();
    for words in [
        "the <primary> is silent | since 03:20",
        "Msg 3101, Level 16, State 1, Line 1: Exclusive access could not be obtained",
        "made before the failure, no test",
        "verified",
        "31000005101600001",
        "it ended the run; it came to a good end at",
        "within the target of 1 h",
    ] {
        assert!(all.contains(words), "not there: {words}");
    }
    // the picture has a lane for each step, and its marks are told apart by more than their colour
    let picture = texts(&page, "figure svg text").join("\n");
    assert!(["Look", "Copy", "Apply", "Online"].iter().all(|step| picture.contains(step)), "{picture}");
    let legend = texts(&page, ".legend li").join(" ");
    assert!(["reading", "changing", "failed", "nothing ran, then resumed"].iter().all(|kind| legend.contains(kind)), "{legend}");
}

#[test]
fn a_record_that_was_changed_is_reported_as_one() {
    let world = World::new();
    recorded(&world);
    let said = |text: &str| text.lines().find(|line| line.contains("lines, each with the digest")).map(str::to_owned);
    assert!(said(&report(&world, "@/2026-11-27T14-12-00Z-book", "--markdown")).is_some());
    let journal = world.path("2026-11-27T14-12-00Z-book/journal.jsonl");
    let text = read(&journal);
    std::fs::write(&journal, text.replacen("mgc is RESTORING", "mgc is perfect", 1)).unwrap();
    let changed = report(&world, "@/2026-11-27T14-12-00Z-book", "--markdown");
    assert_eq!(said(&changed), None, "{changed}");
    assert!(changed.contains("Find out who or what changed the record"), "{changed}");
    world.cutover("runs report @/2026-11-27T14-12-00Z-book --html a --markdown b").exits(2);
    world.cutover("runs report @/nobody").exits(2);
}
