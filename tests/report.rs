//! The report of a run: what it says of a record that stays the same, that it is one sound page whatever stands in the record,
//! and that a run writes it at its end however it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{World, repository};
use pulldown_cmark::{Event, Tag};
use scraper::{Html, Selector};

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

/// One page that needs nothing else: no script, nothing from elsewhere, no name twice, no link into nothing.
#[track_caller]
fn sound(html: &str) -> Html {
    let page = Html::parse_document(html);
    let errors: Vec<_> = page.errors.iter().filter(|error| !error.starts_with("Unexpected token") || !error.contains("EOF")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let all = |selector: &str| page.select(&Selector::parse(selector).unwrap()).map(|e| e.value().clone()).collect::<Vec<_>>();
    assert!(all("script, iframe, object, embed, link[rel=stylesheet], img, form, base").is_empty());
    let mut ids = BTreeSet::new();
    for element in all("*") {
        for (name, value) in element.attrs() {
            assert!(!name.starts_with("on"), "{name}={value}");
            assert!(!["src", "srcset", "action", "style"].contains(&name), "{name}={value}");
            if name == "href" || name == "xlink:href" {
                assert!(value.starts_with('#'), "{value}");
            }
        }
        if let Some(id) = element.id() {
            assert!(ids.insert(id.to_owned()), "twice: {id}");
        }
    }
    for link in all("[href]") {
        let to = link.attr("href").unwrap();
        assert!(ids.contains(&to[1..]), "leads nowhere: {to}");
    }
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("@import"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
    assert_eq!((all("html[lang]").len(), all("head > title").len(), all("h1").len(), all("main").len()), (1, 1, 1, 1));
    assert_eq!(all("svg").len(), all("svg[aria-hidden=true], svg[role=img]").len(), "a picture has a name, or is none to a reader");
    page
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
    let page = sound(&html);
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

/// What servers, shells and runbooks may say: nothing of it may become markup, or turn what stands beside it.
#[test]
#[cfg(feature = "lab")]
fn hostile_texts_stay_texts() {
    let world = World::new();
    let hostile = "<script>alert(1)</script> \" onload='x' & ]]> `a` | *b* _c_ [d](javascript:e) \u{202e}txet\u{7}";
    let book = format!(
        "step({0:?}, || {{ note({0:?}); warn({0:?}); confirm({0:?}, #{{ id: \"a\", type: {0:?} }}); }});\nfail({0:?}, {0:?});\n",
        hostile
    );
    let book = book.replace("\\u{202e}", "\\u202e").replace("\\u{7}", "\\u0007").replace("\\'", "'");
    world.write("book.rhai", &book);
    world.cutover("rehearse book.rhai --yes --pace 0 --report hostile.html").exits(1);
    let html = std::fs::read_to_string(world.path("hostile.html")).unwrap();
    let page = sound(&html);
    assert!(!html.contains(['\u{202e}', '\u{7}']));
    assert!(page.root_element().text().collect::<String>().contains("<script>alert(1)</script>"));
    world.cutover("rehearse book.rhai --yes --pace 0 --report hostile.md").exits(1);
    let markdown = std::fs::read_to_string(world.path("hostile.md")).unwrap();
    assert!(!markdown.contains(['\u{202e}', '\u{7}']));
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
#[cfg(feature = "lab")]
fn a_run_writes_its_report_however_it_ends() {
    let world = World::new();
    world.write("book.rhai", "step(\"One\", || confirm(\"Go on?\", #{ id: \"go\" }));\n");
    world.write("no.toml", "go = \"no\"\n");
    let rehearse = |more: &str| world.cutover(&format!("rehearse book.rhai --pace 0 {more}"));
    rehearse("--answers no.toml --report stopped.html").exits(3).says("report: ").says("stopped.html");
    let html = std::fs::read_to_string(world.path("stopped.html")).unwrap();
    let page = sound(&html);
    assert_eq!(texts(&page, ".badge"), ["Stopped"]);
    // an earlier one is replaced
    rehearse("--yes --report stopped.html").exits(0);
    assert_eq!(texts(&sound(&std::fs::read_to_string(world.path("stopped.html")).unwrap()), ".badge"), ["Done"]);
    let quiet = rehearse("--yes --report data.md --format json").exits(0);
    assert!(quiet.events().iter().all(|event| event["event"].is_string()));
    assert!(std::fs::read_to_string(world.path("data.md")).unwrap().starts_with("# book on lab: done\n"));
    // looked at before anything begins
    let begun = |ended: &common::Ended| ended.stderr.contains("record:");
    for (file, says) in [("report.txt", ".html"), ("nowhere/report.html", "no report can be written"), ("state", "is no name of a report")]
    {
        let ended = rehearse(&format!("--yes --report {file}")).exits(2).says(says);
        assert!(!begun(&ended), "{}", ended.stderr);
    }
}

#[test]
fn what_cannot_be_reported_is_told() {
    let world = World::new();
    recorded(&world);
    let report = |arguments: &str| world.cutover(&format!("runs report {arguments}"));
    report("@/2026-11-27T14-12-00Z-book --html @/report.html").exits(0).says("report: ");
    assert!(world.path("report.html").is_file());
    report("@/2026-11-27T14-12-00Z-book --html @/nowhere/report.html").exits(2).says("no report can be written to");
    report("@/2026-11-27T14-12-00Z-book --html a --markdown b").exits(2);
    report("@/2026-11-27T14-12-00Z-book --format json").exits(2).says("HTML or Markdown, not JSON");
    report("@/nobody").exits(2);
    // a record that was changed is reported as one
    let journal = world.path("2026-11-27T14-12-00Z-book/journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("mgc is RESTORING", "mgc is perfect", 1)).unwrap();
    let ended = report("@/2026-11-27T14-12-00Z-book").exits(0);
    assert!(ended.stdout.contains("record"), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("# book on lab: "), "{}", ended.stdout);
}
