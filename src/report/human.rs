//! A run as a person reads it: a heading for each step, a line for each effect that the runbook itself made, notes and
//! warnings where they fell. Reads made by a `done_when` are counted in their change ("verified"), not listed unless more is to be
//! told. What is told at which loudness is said in [`Human::tells`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::live::{Live, cut};
use super::moving::Screen;
use super::{Loudness, Seldom, Style};
use crate::journal::{Change, Ended, Event, Level, Progress, Replayed, RunOutcome};

/// Prints the events of one run to standard error.
pub struct Human {
    style: Style,
    /// the record goes away when the program ends
    passing: bool,
    /// at a terminal only
    screen: Option<Screen<Live>>,
    progress: Seldom,
    state: Mutex<State>,
}

struct State {
    /// effects under way, by number
    summaries: HashMap<u64, String>,
    folder: String,
    /// steps that are not begun, as far as the runbook's text has them
    to_come: Vec<String>,
    /// why the last effect failed: told as soon as the run goes on, else the run's end draws it whole
    why: Option<(u64, String)>,
}

/// What took less milliseconds is not timed.
const WORTH_TELLING: u64 = 100;
/// Columns that are kept for the time, so that a statement is cut at the same place however long it took.
const TIME: usize = 8;
/// Off a terminal, progress is a line at most this often.
const PROGRESS_LINES: Duration = Duration::from_secs(1);

impl Human {
    pub fn new(style: Style, passing: bool) -> Self {
        let screen = (style.live && style.loudness > Loudness::Quiet).then(|| Screen::new(Live::new(Instant::now()), style));
        let state = State { summaries: HashMap::new(), folder: String::new(), to_come: Vec::new(), why: None };
        Self { style, passing, screen, progress: Seldom::new(PROGRESS_LINES), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As wide as the window is now.
    fn style(&self) -> Style {
        if self.style.live { Style { width: Style::of_stderr().width, ..self.style } } else { self.style }
    }

    /// How far the effect in flight is.
    pub fn progress(&self, progress: &Progress) {
        if let Some(screen) = &self.screen {
            screen.change(|live| live.progress(progress, Instant::now()));
            return;
        }
        if self.style.loudness > Loudness::Quiet && self.progress.lets() {
            let percent = progress.fraction.map(|f| format!(" {:>3.0} %", f * 100.0)).unwrap_or_default();
            super::talk(&format!("       … {}{percent}", progress.text));
        }
    }

    /// Takes the moving lines away, so that a question or an error stands alone.
    pub fn pause(&self) {
        if let Some(screen) = &self.screen {
            screen.rest();
        }
    }

    /// The end of the run draws the failure of this effect: what else failed before is told now.
    pub fn draws(&self, effect: Option<u64>) {
        match self.state().why.take() {
            Some((failed, why)) if Some(failed) != effect => self.aside(&self.failed(&why)),
            _ => {}
        }
    }

    fn failed(&self, why: &str) -> String {
        let style = self.style();
        wrap(&format!("{} {why}", style.paint("31;1", "failed: ")), "   ", style.width)
    }

    /// Says something that does not come from an event, such as that a signal was heard.
    pub fn aside(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.say(text),
            None => super::talk(text),
        }
    }

    /// Prints one event.
    pub fn event(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::RunStarted { steps, .. } | Event::Resumed { steps, .. } => {
                state.to_come = steps.iter().filter(|step| !step.perhaps).map(|step| step.title.clone()).collect();
            }
            Event::StepStarted { step } => state.to_come.retain(|title| title != step),
            _ => {}
        }
        if let Some(screen) = &self.screen {
            screen.change(|live| live.hear(event, Instant::now()));
        }
        match event {
            Event::StepFinished { ok: false, .. } => {}
            Event::EffectStarted { parent: Some(_), .. } | Event::EffectFinished { parent: Some(_), .. } => {}
            // a note that repeats it says it better
            Event::Note { text, .. } if state.why.as_ref().is_some_and(|(_, why)| text.contains(why.as_str())) => state.why = None,
            _ => {
                if let Some((_, why)) = state.why.take() {
                    self.aside(&self.failed(&why));
                }
            }
        }
        if let Some(text) = self.line(&mut state, event).filter(|_| self.tells(event)) {
            self.aside(&text);
        }
        match (&self.screen, event) {
            (Some(screen), Event::Question { .. } | Event::StepQuestion { .. } | Event::RunFinished { .. }) => screen.rest(),
            (Some(screen), _) => screen.show(),
            (None, _) => {}
        }
    }

    /// Quiet: warnings, failures and the end; questions are drawn by whoever asks. Verbose: also what belongs to another effect, as
    /// the reads of a `done_when` do.
    fn tells(&self, event: &Event) -> bool {
        match event {
            Event::Note { level: Level::Warn, .. } | Event::EffectFailed { parent: None, .. } | Event::RunFinished { .. } => true,
            // of these the warnings alone are quiet
            Event::RunStarted { .. } | Event::Resumed { .. } => true,
            Event::EffectFinished { parent: Some(_), .. } | Event::EffectFailed { parent: Some(_), .. } | Event::EffectTested { .. } => {
                self.style.loudness == Loudness::Verbose
            }
            _ => self.style.loudness > Loudness::Quiet,
        }
    }

    /// How long an effect took, if that is worth telling.
    fn took(&self, ms: u64) -> Option<String> {
        (ms >= WORTH_TELLING || self.style.loudness == Loudness::Verbose).then(|| seconds(ms))
    }

    /// Prints what the record has and is not done again: dimmed.
    pub fn replayed(&self, replayed: &Replayed<'_>) {
        if let Replayed::Step(title) = replayed {
            self.state().to_come.retain(|to_come| to_come != title);
            if let Some(screen) = &self.screen {
                screen.change(|live| live.before(title));
            }
        }
        if self.style.loudness == Loudness::Quiet {
            return;
        }
        let width = self.style().width;
        let text = match replayed {
            Replayed::Step(title) => format!("\n{}", wrap(title, "", width)),
            Replayed::Note(level, text) => {
                let word = if *level == Level::Warn { "warning" } else { "note   " };
                wrap(&format!("{word} {text}"), "   ", width)
            }
            Replayed::Effect(recorded) => match (&recorded.ended, recorded.class.as_str()) {
                (Some(Ended::Finished { outcome, .. }), "asks") => {
                    wrap(&format!("answer  {} (before)", outcome.as_str().unwrap_or_default()), "   ", width)
                }
                (Some(Ended::Failed(_)), class) => self.plain_line(class, recorded.server.as_deref(), &recorded.summary, "failed, before"),
                (_, class) => self.plain_line(class, recorded.server.as_deref(), &recorded.summary, "before"),
            },
        };
        self.aside(&self.style.paint("2", &text));
    }

    /// An effect's line without colours of its own, as it is dimmed whole.
    fn plain_line(&self, class: &str, server: Option<&str>, summary: &str, tail: &str) -> String {
        effect_line(&Style { colour: false, ..self.style() }, class, server, summary, tail, "")
    }

    fn line(&self, state: &mut State, event: &Event) -> Option<String> {
        let style = &self.style();
        match event {
            Event::RunStarted { folder, runbook, site, program, operator, host, lab, unattended, weak, .. } => {
                state.folder.clone_from(folder);
                let lab = if *lab { " (a lab: nothing real is touched)" } else { "" };
                let alone = if *unattended { ", unattended (--yes)" } else { "" };
                let title = format!("cutover {program}: {} on site `{site}`{lab}", style.paint("1", runbook));
                let title = format!("{}\nby {operator} on {host}{alone}\nrecord: {folder}", wrap(&title, "", style.width));
                let weak = weak.iter().map(|weak| wrap(&format!("{} {weak}", style.paint("33;1", "warning:")), "", style.width));
                self.headed(title, weak)
            }
            Event::Resumed { folder, program, operator, host, unattended, differs, cut, .. } => {
                state.folder.clone_from(folder);
                let alone = if *unattended { ", unattended (--yes)" } else { "" };
                let title = format!("cutover {program}: {}", style.paint("1", "going on with a run"));
                let title = format!("{title}\nby {operator} on {host}{alone}\nrecord: {folder}");
                let differs = differs.iter().map(|differs| format!("{} {differs}", style.paint("33;1", "differs:")));
                let torn = format!("the record ended in the middle of a line, as a crash leaves it: {cut} bytes were cut");
                let warnings = differs.chain((*cut > 0).then_some(torn));
                self.headed(title, warnings.map(|warning| wrap(&warning, "", style.width)))
            }
            // said when the signal was heard
            Event::Interrupted { .. } => None,
            Event::EffectTested { done, .. } => {
                let text = if *done { "in force: its test is true" } else { "not in force: its test is not true" };
                Some(style.paint("2", &format!("     {text}")))
            }
            Event::Choice { chosen, by, .. } => Some(format!("   {} {} ({by})", style.paint("36", "choice "), chosen.word())),
            Event::StepStarted { step } => Some(format!("\n{}", style.paint("1", &wrap(step, "", style.width)))),
            Event::EffectStarted { effect, class, summary, .. } => {
                if class != "asks" {
                    state.summaries.insert(*effect, summary.clone());
                }
                None
            }
            Event::EffectFinished { effect, primitive, class, server, ms, outcome, parent: Some(_), .. } => {
                let mut tail = outcome_in_words(primitive, outcome);
                tail.push(seconds(*ms));
                Some(self.of_another(state, *effect, class, server.as_deref(), &tail.join(", ")))
            }
            Event::EffectFailed { effect, class, server, message, parent: Some(_), .. } => {
                Some(self.of_another(state, *effect, class, server.as_deref(), &format!("failed: {message}")))
            }
            Event::EffectFinished { effect, primitive, class, server, ms, already_done, verified, outcome, parent: None, .. } => {
                let summary = state.summaries.remove(effect).unwrap_or_default();
                if class == "asks" {
                    return None;
                }
                let mut tail = outcome_in_words(primitive, outcome);
                if *already_done {
                    tail.push("was in force already".to_owned());
                } else if *verified {
                    tail.push("verified".to_owned());
                }
                let took = self.took(*ms).map(|took| if tail.is_empty() { took } else { format!(", {took}") });
                let line = effect_line(style, class, server.as_deref(), &summary, &tail.join(", "), &took.unwrap_or_default());
                Some(format!("{line}{}", self.said(outcome)))
            }
            Event::EffectFailed { effect, class, server, ms, message, parent: None, .. } => {
                let summary = state.summaries.remove(effect).unwrap_or_default();
                state.why = Some((*effect, message.clone()));
                let after = self.took(*ms).map(|took| format!(" after {took}")).unwrap_or_default();
                Some(effect_line(style, class, server.as_deref(), &summary, &style.paint("31;1", "failed"), &style.paint("31;1", &after)))
            }
            Event::Answer { answer, by, .. } | Event::StepAnswer { answer, by, .. } => {
                Some(format!("   {} {answer} ({by})", style.paint("36", "answer ")))
            }
            // drawn with its evidence by whoever asks
            Event::Question { .. } | Event::StepQuestion { .. } => None,
            Event::Note { level, text, .. } => {
                let word = match level {
                    Level::Note => style.paint("34", "note   "),
                    Level::Warn => style.paint("33;1", "warning"),
                };
                Some(wrap(&format!("{word} {text}"), "   ", style.width))
            }
            Event::StepFinished { ms, ok, .. } => {
                let word = if *ok { style.paint("32", "done in") } else { style.paint("31", "ended after") };
                Some(format!("   {word} {}", seconds(*ms)))
            }
            Event::RunFinished { outcome, exit, ms, loss, changed, in_doubt, perhaps, kept, .. } => {
                let paint = match outcome {
                    RunOutcome::Done => "32;1",
                    RunOutcome::Stopped => "33;1",
                    RunOutcome::Failed | RunOutcome::InDoubt => "31;1",
                };
                let word = style.paint(paint, outcome.word());
                let ended = format!("{word} after {} with {} (exit {exit})", seconds(*ms), plural(changed.len(), "change"));
                let mut text = format!("\n{}", wrap(&ended, "", style.width));
                if *outcome != RunOutcome::Done {
                    if changed.is_empty() {
                        let certain = if in_doubt.is_empty() && perhaps.is_empty() {
                            "nothing was changed"
                        } else {
                            "nothing was changed for certain"
                        };
                        text.push_str(&format!("\n{certain}"));
                    } else {
                        text.push_str(&self.list("already changed", changed));
                    }
                    if !in_doubt.is_empty() {
                        text.push_str(&self.list("may or may not be changed", in_doubt));
                    }
                }
                if !perhaps.is_empty() {
                    text.push_str(&self.list("failed, and may be changed in part", perhaps));
                }
                if *outcome != RunOutcome::Done && !state.to_come.is_empty() {
                    text.push_str("\nnot begun:");
                    let titles = state.to_come.iter().map(|title| wrap_hanging(title, "   ", "     ", style.width));
                    text.extend(titles.map(|title| format!("\n{title}")));
                }
                for line in loss.iter().flat_map(|l| l["lines"].as_array()).flatten().filter_map(Value::as_str) {
                    text.push_str(&format!("\n{}", wrap(line, "", style.width)));
                }
                if *outcome != RunOutcome::Done {
                    for kept in kept.iter().filter(|_| !self.passing) {
                        text.push_str(&format!("\n{}", wrap(&format!("{}: {}", kept.path, kept.about), "", style.width)));
                        // in one line, so that it can be copied
                        text.extend(kept.command.iter().map(|command| format!("\n  to run it: {command}")));
                        let leaves = kept
                            .leaves
                            .iter()
                            .map(|leaves| wrap_hanging(&format!("it does not undo: {leaves}"), "  ", "    ", style.width));
                        text.extend(leaves.map(|line| format!("\n{line}")));
                    }
                }
                text.push_str(&match self.passing {
                    true => {
                        format!("\n{}", wrap("the rehearsal's record and lab are removed now; `--keep DIR` keeps them", "", style.width))
                    }
                    false => format!("\nrecord: {}", state.folder),
                });
                Some(text)
            }
        }
    }

    /// The first lines of a run, and what warns under them.
    fn headed(&self, title: String, warnings: impl Iterator<Item = String>) -> Option<String> {
        let title = Some(title).filter(|_| self.style.loudness > Loudness::Quiet);
        let lines: Vec<String> = title.into_iter().chain(warnings).collect();
        Some(lines.join("\n")).filter(|text| !text.is_empty())
    }

    /// An effect that belongs to another one: under it, and dimmed.
    fn of_another(&self, state: &mut State, effect: u64, class: &str, server: Option<&str>, tail: &str) -> String {
        let summary = state.summaries.remove(&effect).unwrap_or_default();
        let line = self.plain_line(class, server, &summary, tail);
        let lines: Vec<String> = line.lines().map(|line| format!("  {line}")).collect();
        self.style.paint("2", &lines.join("\n"))
    }

    /// What a server said besides its answer.
    fn said(&self, outcome: &Value) -> String {
        let messages = outcome["messages"].as_array().filter(|_| self.style.loudness == Loudness::Verbose);
        let said = |message: &Value| {
            let number = message["number"].as_i64().filter(|number| *number != 0).map(|number| format!(" {number}")).unwrap_or_default();
            let text = message["text"].as_str().unwrap_or_default();
            format!("\n{}", wrap_hanging(&format!("message{number}: {text}"), "           ", "             ", self.style().width))
        };
        messages.into_iter().flatten().map(said).collect()
    }

    /// Changes under the titles of their steps.
    fn list(&self, title: &str, changes: &[Change]) -> String {
        let mut text = format!("\n{title}:");
        let mut step = None;
        for change in changes {
            if step != Some(&change.step) {
                let heading = change.step.as_deref().unwrap_or("outside of the steps");
                text.push_str(&format!("\n{}", wrap_hanging(heading, "   ", "     ", self.style().width)));
            }
            step = Some(&change.step);
            let server = change.server.as_ref().map(|server| format!("{server}: ")).unwrap_or_default();
            text.push_str(&format!("\n{}", wrap_hanging(&format!("{server}{}", change.summary), "     ", "       ", self.style().width)));
        }
        text
    }
}

/// One line an effect, long statements cut: the record has them whole.
fn effect_line(style: &Style, class: &str, server: Option<&str>, summary: &str, tail: &str, took: &str) -> String {
    let word = match class {
        "changes" => style.paint("35;1", "CHANGE "),
        "tells" => style.paint("34", "keep   "),
        _ => style.paint("2", "read   "),
    };
    let server = server.map(|s| format!("{s}: ")).unwrap_or_default();
    let room = style.width.saturating_sub(15 + TIME + server.chars().count() + visible(tail)).max(24);
    let tail = if tail.is_empty() && took.is_empty() { String::new() } else { format!(" ({tail}{took})") };
    let summary = match class {
        "changes" => summary.to_owned(),
        // the word says it already
        "tells" => summary.trim_start_matches("keep ").to_owned(),
        _ if style.loudness == Loudness::Verbose => summary.to_owned(),
        _ => cut(summary, room),
    };
    wrap(&format!("{word} {server}{summary}{tail}"), "   ", style.width)
}

/// What an outcome says in a few words.
fn outcome_in_words(primitive: &str, outcome: &Value) -> Vec<String> {
    let list = |key: &str| outcome[key].as_array().map(Vec::len);
    match primitive {
        "sql" | "query" => {
            let rows: Option<usize> =
                outcome["sets"].as_array().map(|sets| sets.iter().filter_map(|s| s["rows"].as_array()).map(Vec::len).sum());
            rows.filter(|_| list("sets") > Some(0)).map(|n| plural(n, "row")).into_iter().collect()
        }
        "ps" => outcome.as_array().filter(|a| !a.is_empty()).map(|a| plural(a.len(), "object")).into_iter().collect(),
        "backups" => list("files").map(|n| plural(n, "file")).into_iter().collect(),
        "copy_backups" => vec![format!("{} copied, {} skipped", list("copied").unwrap_or(0), list("skipped").unwrap_or(0))],
        "restore_logs" => vec![plural(list("applied").unwrap_or(0), "log backup") + " applied"],
        _ => Vec::new(),
    }
}

pub(super) fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {:02} min {:02} s", ms / 3_600_000, ms / 60_000 % 60, ms % 60_000 / 1000),
    }
}

/// A size in the unit that people would choose.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Breaks at spaces so that no line is wider than `width` where that can be helped; `indent` before each line, and under
/// the first word's column for the lines after the first.
pub(super) fn wrap(text: &str, indent: &str, width: usize) -> String {
    let hanging = format!("{indent}{}", if indent.is_empty() { "" } else { "        " });
    wrap_hanging(text, indent, &hanging, width)
}

/// As [`wrap`], with an indentation of its own for the lines after the first.
pub(super) fn wrap_hanging(text: &str, indent: &str, hanging: &str, width: usize) -> String {
    let mut out = String::new();
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        out.push_str(if n == 0 { indent } else { hanging });
        let mut column = if n == 0 { indent.len() } else { hanging.len() };
        for (k, word) in line.split(' ').enumerate() {
            let wide = visible(word);
            if k > 0 && column + 1 + wide > width {
                out.push('\n');
                out.push_str(hanging);
                column = hanging.len();
            } else if k > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += wide;
        }
    }
    out
}

/// Columns that a word takes, ANSI codes not counted.
fn visible(word: &str) -> usize {
    let mut wide = 0;
    let mut escaped = false;
    for c in word.chars() {
        match (escaped, c) {
            (false, '\x1b') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, _) => wide += 1,
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_spaces_and_hang_under_their_text() {
        assert_eq!(wrap("note    one two three four", "   ", 20), "   note    one two\n           three\n           four");
        assert_eq!(wrap("short", "", 20), "short");
    }
}
