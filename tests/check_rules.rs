//! Every rule fires on its bad fixture, there and nowhere else, and is silent on its good one; each has a page, and what its
//! fix makes compiles and no longer has the finding.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cutover::check::{self, Finding, Input, Options, RULES, fix};
use cutover::host;
use cutover::primitives::PRIMITIVES;
use cutover::script::{self, Script, Source};

fn folder(slug: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(slug)
}

fn options() -> Options {
    Options { site: None, names: host::names(PRIMITIVES) }
}

/// Checked with the modules beside it that it imports.
fn checked(file: &Path, text: Option<String>) -> Vec<Finding> {
    let own = text.clone().unwrap_or_else(|| std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())));
    let mut inputs = vec![Input { path: file.to_owned(), text }];
    for part in own.split("import \"").skip(1) {
        let module = file.with_file_name(format!("{}.rhai", part.split('"').next().unwrap_or_default()));
        if module.is_file() {
            inputs.push(Input { path: module, text: None });
        }
    }
    check::check(&inputs, &options()).unwrap_or_else(|e| panic!("{}: {e:?}", file.display())).findings
}

/// `file:line:first-last slug` for each finding; of several lines the first counts.
fn told(findings: &[Finding]) -> BTreeSet<String> {
    findings
        .iter()
        .map(|finding| {
            let file = &finding.file;
            let (line, first) = file.line_and_column(finding.span.start);
            let shown = file.text[finding.span.clone()].lines().next().unwrap_or("");
            let last = first + shown.chars().count().max(1) - 1;
            let name = Path::new(&file.name).file_name().unwrap().to_str().unwrap();
            format!("{name}:{line}:{first}-{last} {}", finding.rule)
        })
        .collect()
}

/// What the carets below lines say: the slug after them, else the rule's own.
fn wanted(file: &Path, own: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let mut line = 0;
    let mut wanted = BTreeSet::new();
    for (n, shown) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let trimmed = shown.trim_start();
        let is_marker = trimmed.starts_with("//") && trimmed.trim_start_matches('/').trim_start().starts_with('^');
        if !is_marker {
            line = n + 1;
            continue;
        }
        let first = shown.chars().position(|c| c == '^').unwrap() + 1;
        let carets = shown.chars().skip(first - 1).take_while(|c| *c == '^').count();
        let rest: String = shown.chars().skip(first - 1 + carets).collect();
        let slug = rest.split_whitespace().next().unwrap_or(own);
        wanted.insert(format!("{name}:{line}:{first}-{} {slug}", first + carets - 1));
    }
    wanted
}

#[test]
fn every_rule_fires_on_its_bad_fixture_and_nowhere_else() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let bad = folder(rule.slug).join("bad.rhai");
        let mut expected = BTreeSet::new();
        for entry in std::fs::read_dir(folder(rule.slug)).unwrap_or_else(|e| panic!("{}: {e}", rule.slug)) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "rhai") && !path.ends_with("good.rhai") {
                expected.extend(wanted(&path, rule.slug));
            }
        }
        let findings = checked(&bad, None);
        let found = told(&findings);
        if !expected.iter().any(|line| line.ends_with(&format!(" {}", rule.slug))) {
            wrong.push(format!("{}: its bad fixture marks no finding of its own", rule.slug));
        }
        wrong.extend(expected.difference(&found).map(|line| format!("{}: not found: {line}", rule.slug)));
        wrong.extend(found.difference(&expected).map(|line| format!("{}: not wanted: {line}", rule.slug)));
        wrong.extend(findings.iter().filter(|f| f.rule == rule.slug && f.severity != rule.severity).map(|f| format!("{f:?}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_is_silent_on_its_good_fixture() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let good = folder(rule.slug).join("good.rhai");
        for finding in checked(&good, None) {
            let (line, column) = finding.file.line_and_column(finding.span.start);
            wrong.push(format!("{}: {}:{line}:{column} {} {}", rule.slug, finding.file.name, finding.rule, finding.message));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_fix_makes_compiles_and_no_longer_has_the_finding() {
    let mut fixed = BTreeSet::new();
    for rule in RULES {
        let bad = folder(rule.slug).join("bad.rhai");
        for finding in checked(&bad, None).iter().filter(|f| f.rule == rule.slug && !f.fixes.is_empty()) {
            // in the runbook itself, or in a module beside it
            let path = finding.file.path.clone().unwrap();
            let result = fix::apply(&finding.file.text, &[finding], &|_| true);
            assert_eq!(result.applied, 1, "{}", rule.slug);
            let names = options().names;
            let load = script::Options { site_stdlib: None, names };
            let broken = |text: &str| Script::load(Source::Instead { path: &path, text }, &load).err().map_or(0, |errors| errors.0.len());
            let (before, after) = (broken(&finding.file.text), broken(&result.text));
            assert!(after <= before, "{}: {}", rule.slug, result.text);
            let same = |other: &Finding| other.rule == finding.rule && other.message == finding.message;
            let count = |findings: Vec<Finding>| findings.iter().filter(|other| same(other)).count();
            let (had, has) = (count(checked(&path, None)), count(checked(&path, Some(result.text.clone()))));
            assert!(has < had || had == 0, "{}: {} is still there in\n{}", rule.slug, finding.message, result.text);
            fixed.insert(rule.slug);
        }
    }
    for slug in [
        "unknown-call",
        "wrong-arguments",
        "unknown-variable",
        "unknown-site-key",
        "unknown-cmdlet",
        "wrong-cmdlet-parameter",
        "typographic-dash",
    ] {
        assert!(fixed.contains(slug), "{slug} has a fix");
    }
}

#[test]
fn every_rule_has_a_page_that_says_what_why_wrong_and_right() {
    for rule in RULES {
        let page = rule.page;
        assert!(page.starts_with(&format!("# {}\n", rule.slug)), "{}", rule.slug);
        for heading in ["\n## Why\n", "\n## Wrong\n", "\n## Right\n"] {
            assert!(page.contains(heading), "{}: {heading:?}", rule.slug);
        }
        assert!(page.matches("```rhai").count() >= 2, "{}", rule.slug);
    }
}

/// Pages with an example that does not show its finding as one file without a site, each with why.
const NOT_BY_ITSELF: &[(&str, &str)] = &[("unknown-server", "its servers are those of a site file")];

/// What keeps a runbook from loading: an example with one of them would be silent about everything else.
const NOT_LOADED: &[&str] = &["syntax", "unknown-call", "unknown-variable", "unknown-import", "shadowed-site", "indirect-call"];

/// The examples of a page under a heading.
fn examples(page: &str, heading: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let (mut here, mut inside) = (false, false);
    for (line, in_code) in check::page::lines(page) {
        if !in_code {
            if line.starts_with("## ") {
                here = line == heading;
            }
        } else if line.starts_with("```") {
            inside = here && !inside && line == "```rhai";
            if inside {
                examples.push(String::new());
            }
        } else if inside && let Some(example) = examples.last_mut() {
            example.push_str(line);
            example.push('\n');
        }
    }
    examples
}

#[test]
fn every_example_of_a_page_is_what_it_says() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let path = Path::new("no-such-folder").join(rule.slug).with_extension("rhai");
        let skipped = NOT_BY_ITSELF.iter().any(|(slug, _)| *slug == rule.slug);
        for (heading, is_wrong) in [("## Wrong", true), ("## Right", false)] {
            let found = examples(rule.page, heading);
            if found.is_empty() {
                wrong.push(format!("{}: no example under {heading}", rule.slug));
            }
            for example in found {
                let findings = checked(&path, Some(example.clone()));
                let own = findings.iter().any(|finding| finding.rule == rule.slug);
                let broken = findings.iter().any(|finding| finding.rule != rule.slug && NOT_LOADED.contains(&finding.rule));
                let loads = is_wrong || !broken;
                if (own != is_wrong && !(skipped && is_wrong)) || !loads {
                    wrong.push(format!("{}, {heading}: {:?} in\n{example}", rule.slug, told(&findings)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} examples are not what they say:\n{}", wrong.len(), wrong.join("\n"));
}
