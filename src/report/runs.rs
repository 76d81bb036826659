//! Runs as people read them afterwards: the list, and one run as a timeline of its steps, changes, questions and failures.

use comfy_table::{ContentArrangement, presets};
use serde_json::Value;

use super::Style;
use super::human::{plural, seconds, wrap_hanging};
use crate::journal::{Change, Event, Left, Level, Line, Read, Summary};

/// A run's end in a word.
fn outcome(summary: &Summary) -> String {
    let word = match summary.outcome {
        _ if summary.bad_line.is_some() => "damaged record",
        _ if summary.running => "running",
        Some(outcome) => outcome.word(),
        None => "died",
    };
    match summary.resumed {
        0 => word.to_owned(),
        1 => format!("{word}, resumed once"),
        n => format!("{word}, resumed {n} times"),
    }
}

fn resumable(summary: &Summary) -> &'static str {
    match summary {
        Summary { running: true, .. } | Summary { resumable: false, .. } => "no",
        Summary { abandoned: true, .. } => "no: a later run was begun instead",
        Summary { began_change: true, .. } => "yes",
        _ => "yes (nothing was changed)",
    }
}

fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The list of runs, the newest last. On a narrow screen one run is a few lines.
pub fn list(runs: &[Summary], style: &Style) -> String {
    if runs.is_empty() {
        return "no runs".to_owned();
    }
    let rows: Vec<[String; 7]> = runs
        .iter()
        .map(|run| {
            [
                clock(run.started),
                run.run.clone(),
                run.runbook.clone(),
                run.site.clone(),
                outcome(run),
                seconds(u64::try_from(run.ms).unwrap_or(0)),
                resumable(run).to_owned(),
            ]
        })
        .collect();
    if style.width < 100 {
        let lines = rows.iter().map(|[when, run, runbook, site, outcome, duration, resumable]| {
            let text = format!("{runbook} on {site}, {when}\n{outcome} after {duration}; resumable: {resumable}");
            format!("{run}\n{}", wrap_hanging(&text, "  ", "  ", style.width))
        });
        return lines.collect::<Vec<_>>().join("\n");
    }
    let mut table = comfy_table::Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.width.max(160)).unwrap_or(u16::MAX));
    table.set_header(["when", "run", "runbook", "site", "outcome", "duration", "resumable"]);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// One run: who, what, when; then line by line since its start.
pub fn timeline(read: &Read, summary: &Summary, style: &Style) -> String {
    let mut drawn = Timeline { style, out: Vec::new(), began: summary.started, reads: 0, summaries: Default::default(), loss: None };
    for line in &read.lines {
        drawn.line(line);
    }
    drawn.reads();
    let mut out = drawn.out;
    if let Some(loss) = drawn.loss {
        out.push(String::new());
        out.extend(loss.iter().map(|line| wrap_hanging(line, "", "  ", style.width)));
    }
    let mut list = |title: &str, changes: &[Change]| {
        if !changes.is_empty() {
            out.push(format!("\n{title}:"));
        }
        for change in changes {
            let server = change.server.as_ref().map(|server| format!("{server}: ")).unwrap_or_default();
            let step = change.step.as_ref().map(|step| format!(" ({step})")).unwrap_or_default();
            out.push(wrap_hanging(&format!("{server}{}{step}", change.summary), "  ", "    ", style.width));
        }
    };
    list("changed", read.history.changed());
    list("may or may not be changed", &read.history.in_doubt());
    list("failed, and may be changed in part", &read.history.perhaps());
    let end = format!("{} after {}; resumable: {}", outcome(summary), seconds(u64::try_from(summary.ms).unwrap_or(0)), resumable(summary));
    out.push(format!("\n{end}"));
    if let Some(line) = summary.bad_line {
        out.push(format!("line {line} of the record is not as it was written: what came after it is not shown"));
    }
    out.push(format!("record: {}", summary.folder.display()));
    out.join("\n")
}

struct Timeline<'a> {
    style: &'a Style,
    out: Vec<String>,
    began: jiff::Timestamp,
    /// reads since the last line
    reads: usize,
    summaries: std::collections::HashMap<u64, String>,
    loss: Option<Vec<String>>,
}

impl Timeline<'_> {
    fn say(&mut self, at: jiff::Timestamp, text: &str) {
        self.reads();
        let since = at.duration_since(self.began).as_millis();
        let since = format!("{:>12}  ", format!("+{}", seconds(u64::try_from(since).unwrap_or(0))));
        self.out.push(wrap_hanging(text, &since, &" ".repeat(since.len()), self.style.width));
    }

    fn reads(&mut self) {
        if self.reads > 0 {
            self.out.push(format!("{:14}{}", "", plural(self.reads, "read")));
            self.reads = 0;
        }
    }

    fn line(&mut self, Line { at, event, .. }: &Line) {
        let at = *at;
        match event {
            Event::RunStarted { runbook, site, program, operator, host, lab, unattended, .. } => {
                let lab = if *lab { " (a lab)" } else { "" };
                let alone = if *unattended { ", unattended" } else { "" };
                self.out.push(wrap_hanging(&format!("{runbook} on site `{site}`{lab}, cutover {program}"), "", "  ", self.style.width));
                self.out.push(format!("by {operator} on {host}{alone}, {}\n", clock(at)));
            }
            Event::Resumed { operator, host, differs, program, .. } => {
                self.say(at, &format!("RESUMED by {operator} on {host}, cutover {program}, {}", clock(at)));
                for differs in differs {
                    self.say(at, &format!("  differs: {differs}"));
                }
            }
            Event::StepStarted { step } => self.say(at, step),
            Event::EffectStarted { effect, summary, server, parent: None, .. } => {
                let server = server.as_ref().map(|server| format!("{server}: ")).unwrap_or_default();
                self.summaries.insert(*effect, format!("{server}{summary}"));
            }
            Event::EffectFinished { class, parent: None, .. } if class == "reads" => self.reads += 1,
            Event::EffectFinished { effect, class, already_done, verified, resolved, ms, parent: None, .. } if class == "changes" => {
                let summary = self.summaries.remove(effect).unwrap_or_default();
                let how = match (already_done, resolved, verified) {
                    (true, ..) => "was in force already",
                    (_, Some(crate::journal::Resolved::ByHand), _) => "made by hand",
                    (_, Some(crate::journal::Resolved::SaidSo), _) => "it happened, says the operator",
                    (_, Some(crate::journal::Resolved::InForce), _) => "found in force",
                    (_, None, true) => "verified",
                    (_, None, false) => "done",
                };
                self.say(at, &format!("  CHANGE  {summary} ({how}, {})", seconds(*ms)));
            }
            Event::EffectFailed { effect, message, left, parent: None, .. } => {
                let summary = self.summaries.remove(effect).unwrap_or_default();
                let left = match left {
                    Left::Known => "",
                    Left::Unknown => "; it may be made in part",
                    Left::InDoubt => "; it may be in force",
                };
                self.say(at, &format!("  FAILED  {summary}: {message}{left}"));
            }
            Event::StepAnswer { step, answer, by } => self.say(at, &format!("begin {step}? {answer} ({by})")),
            Event::Question { text, .. } => self.say(at, &format!("  asked   {text}")),
            Event::Answer { answer, by, .. } => self.say(at, &format!("  answer  {answer} ({by})")),
            Event::Choice { chosen, reason, by, .. } => {
                let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                self.say(at, &format!("  choice  {}{reason} ({by})", chosen.word()));
            }
            Event::Note { level, text, .. } => {
                let word = if *level == Level::Warn { "warning" } else { "note   " };
                self.say(at, &format!("  {word} {text}"));
            }
            Event::Interrupted { times } => {
                self.say(at, if *times < 2 { "asked to stop" } else { "asked to stop at once" });
            }
            Event::RunFinished { outcome, exit, loss, .. } => {
                self.say(at, &format!("{} (exit {exit})", outcome.word()));
                let lines = loss.as_ref().and_then(|loss| loss["lines"].as_array());
                self.loss = lines.map(|lines| lines.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            }
            Event::StepQuestion { .. }
            | Event::StepFinished { .. }
            | Event::EffectTested { .. }
            | Event::EffectStarted { .. }
            | Event::EffectFinished { .. }
            | Event::EffectFailed { .. } => {}
        }
    }
}
