//! What a doctor finds: a line for each check, told as it is found, and at the end how many would stop the failover. A check
//! is a step of its runbook, or something that the command looks at itself.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use miette::Diagnostic;
use serde::Serialize;
use serde_json::{Value, json};

use super::Style;
use super::human::plural;
use super::live::{beside, clock};
use super::moving::{Screen, Shown};
use crate::journal::{Event, Level};

/// What a check says of the failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    #[default]
    Ok,
    /// worth a look, stops nothing
    Warning,
    /// would stop the failover
    Failed,
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Checked {
    /// what it belongs to: a server of the site, the share, ...
    pub group: String,
    pub check: String,
    pub verdict: Verdict,
    /// what was found, in order
    pub found: Vec<String>,
    /// what to do now, if it failed
    pub help: Option<String>,
    pub ms: u64,
}

impl Checked {
    /// A check by its title, `group: check`.
    pub fn of(title: &str) -> Self {
        let (group, check) = title.split_once(": ").unwrap_or(("", title));
        Self { group: group.to_owned(), check: check.to_owned(), ..Self::default() }
    }

    /// With something that was found.
    #[must_use]
    pub fn found(mut self, verdict: Verdict, text: impl Into<String>) -> Self {
        self.verdict = self.verdict.max(verdict);
        self.found.push(text.into());
        self
    }

    /// With what to do now.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// The checks of one site, printed as they are made.
pub struct Checks {
    style: Style,
    /// people read standard output; else it is one document at the end
    human: bool,
    /// at a terminal: what is looked at just now
    screen: Option<Screen<Looking>>,
    state: Mutex<State>,
}

/// What is looked at just now.
struct Looking {
    title: String,
    since: Instant,
}

impl Shown for Looking {
    fn lines(&self, style: &Style, _: usize, now: Instant) -> Vec<String> {
        vec![beside(&format!("  … {}", self.title), &clock(now.duration_since(self.since)), style.width)]
    }
}

#[derive(Default)]
struct State {
    /// steps under way, the innermost last
    open: Vec<Checked>,
    /// ended as failed; why is told next
    failed: Option<Checked>,
    done: Vec<Checked>,
}

/// Columns of a verdict, and of the name of a check.
const WORD: usize = 9;
const NAME: usize = 22;

impl Checks {
    /// `style` is that of standard output; `live`: a person looks at standard error.
    pub fn new(style: Style, human: bool, live: bool) -> Self {
        let screen = (human && live).then(|| Screen::new(Looking { title: String::new(), since: Instant::now() }, style));
        Self { style, human, screen, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in one event of the runbook.
    pub fn event(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::StepStarted { step } => {
                if let Some(screen) = &self.screen {
                    screen.change(|looking| *looking = Looking { title: step.clone(), since: Instant::now() });
                    screen.show();
                }
                state.open.push(Checked::of(step));
            }
            Event::Note { text, level, .. } => {
                let verdict = if *level == Level::Warn { Verdict::Warning } else { Verdict::Ok };
                match state.open.pop() {
                    Some(open) => state.open.push(open.found(verdict, text)),
                    None => self.told(&mut state, Checked::of("the runbook: says").found(verdict, text)),
                }
            }
            Event::StepFinished { ok, ms, .. } => {
                let Some(open) = state.open.pop() else { return };
                let ended = Checked { ms: *ms, ..open };
                if *ok {
                    self.told(&mut state, ended);
                } else {
                    state.failed = Some(ended);
                }
            }
            _ => {}
        }
    }

    /// Why the step that ended last failed; `words` are more on it.
    pub fn failed(&self, why: &dyn Diagnostic, words: &[(&str, String)]) {
        let mut state = self.state();
        let Some(failed) = state.failed.take() else { return };
        let mut failed = failed.found(Verdict::Failed, why.to_string());
        failed.found.extend(words.iter().map(|(title, text)| format!("{title}: {text}")));
        failed.help = why.help().map(|help| help.to_string());
        self.told(&mut state, failed);
    }

    /// Takes in a check that is no step.
    pub fn add(&self, checked: Checked) {
        self.told(&mut self.state(), checked);
    }

    fn told(&self, state: &mut State, checked: Checked) {
        if self.human {
            self.pause();
            let begins = state.done.last().is_none_or(|last| last.group != checked.group);
            if begins && !checked.group.is_empty() {
                super::data(&format!("{}{}", if state.done.is_empty() { "" } else { "\n" }, checked.group));
            }
            super::data(&line(&checked, &self.style));
        }
        state.done.push(checked);
    }

    /// Takes the moving line away.
    pub fn pause(&self) {
        if let Some(screen) = &self.screen {
            screen.rest();
        }
    }

    /// True if something would stop the failover.
    pub fn would_stop(&self) -> bool {
        self.count(Verdict::Failed) > 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.state().done.iter().filter(|checked| checked.verdict == verdict).count()
    }

    /// The end: how many of each, and what they mean; as a document, everything. `complete` is false if the doctor was
    /// stopped before its end.
    pub fn end(&self, site: &str, runbook: &str, at: jiff::Timestamp, complete: bool) -> String {
        let counts = [Verdict::Ok, Verdict::Warning, Verdict::Failed].map(|verdict| self.count(verdict));
        let [ok, warnings, failed] = counts;
        if !self.human {
            return document(site, runbook, at, complete, &self.state().done, counts).to_string();
        }
        let verdict = match (failed, complete) {
            (0, true) => "nothing that was looked at would stop the failover",
            (0, false) => "it did not come to its end: what was not looked at is not known",
            _ => "the failover would be stopped",
        };
        let all = plural(ok + warnings + failed, "check");
        self.style.wrapped(&format!("\n{all}: {ok} ok, {}, {failed} FAILED: {verdict}", plural(warnings, "warning")))
    }
}

fn document(
    site: &str,
    runbook: &str,
    at: jiff::Timestamp,
    complete: bool,
    checks: &[Checked],
    [ok, warnings, failed]: [usize; 3],
) -> Value {
    json!({
        "v": 1, "at": at.to_string(), "site": site, "runbook": runbook, "complete": complete, "would_stop": failed > 0,
        "ok": ok, "warnings": warnings, "failed": failed, "checks": checks,
    })
}

/// One check as people read it: its verdict, its name, what was found, and beneath it what to do now.
fn line(checked: &Checked, style: &Style) -> String {
    let (word, colour) = match checked.verdict {
        Verdict::Ok => ("ok", "32"),
        Verdict::Warning => ("warning", "33"),
        Verdict::Failed => ("FAILED", "31;1"),
    };
    let mut found = checked.found.join("\n");
    if let Some(help) = &checked.help {
        found.push_str(&format!("\nnow: {help}"));
    }
    // on a narrow screen what was found stands below its name
    let narrow = style.width < 70;
    let head = format!("  {word:WORD$}{:NAME$} ", checked.check);
    let text = if narrow {
        let found =
            if found.is_empty() { String::new() } else { format!("\n{}", super::human::wrap_hanging(&found, "    ", "    ", style.width)) };
        format!("{}{found}", head.trim_end())
    } else {
        let hanging = " ".repeat(2 + WORD + NAME + 1);
        super::human::wrap_hanging(&found, &head, &hanging, style.width)
    };
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    text.join("\n").replacen(word, &style.paint(colour, word), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> [Checked; 3] {
        [
            Checked::of("backup: answers").found(Verdict::Ok, "DR-SQL-01\\RTC, version 12.0.6024.0"),
            Checked::of("share: left over").found(
                Verdict::Warning,
                "1 .wrk on the share: a backup in progress, or the last one of a primary that died, which nobody renamed",
            ),
            Checked::of("journal")
                .found(Verdict::Failed, "`/runs` cannot be written to")
                .help("give this account the right to write there"),
        ]
    }

    #[test]
    fn what_was_found_stands_beside_a_check_or_below_it_where_there_is_no_room() {
        let drawn = |width| checks().map(|checked| line(&checked, &Style { width, ..Style::PLAIN })).join("\n");
        let wide = drawn(100);
        assert!(wide.starts_with("  ok       answers                DR-SQL-01\\RTC, version 12.0.6024.0\n"), "{wide}");
        assert!(
            wide.ends_with(
                "`/runs` cannot be written to\n                                  now: give this account the right to write there"
            ),
            "{wide}"
        );
        let narrow = drawn(40);
        assert!(narrow.starts_with("  ok       answers\n    DR-SQL-01\\RTC, version 12.0.6024.0\n  warning  left over\n"), "{narrow}");
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    }

    #[test]
    fn a_verdict_alone_is_painted() {
        let style = Style { colour: true, ..Style::PLAIN };
        assert!(line(&checks()[2], &style).starts_with("  \x1b[31;1mFAILED\x1b[0m   journal"));
    }
}
