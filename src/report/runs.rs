//! Runs as people read them afterwards: the list, and one run as a timeline of its steps, changes, questions and failures.

use comfy_table::{ContentArrangement, presets};

use super::Style;
use super::account::{Account, Ending, Moment, What, utc};
use super::human::{plural, seconds, wrap_hanging};
use crate::journal::{Change, Read, Summary};

/// A run's end in a word.
fn outcome(summary: &Summary) -> String {
    let word = Ending::of(summary).word();
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

/// The list of runs, the newest last. On a narrow screen one run is a few lines.
pub fn list(runs: &[Summary], style: &Style) -> String {
    if runs.is_empty() {
        return "no runs".to_owned();
    }
    let rows: Vec<[String; 7]> = runs
        .iter()
        .map(|run| {
            [
                utc(run.started),
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

/// One run: who, what, when; then moment by moment since its start.
pub fn timeline(account: &Account, read: &Read, summary: &Summary, style: &Style) -> String {
    let mut out = Vec::new();
    let lab = if account.lab { " (a lab)" } else { "" };
    if let Some(begun) = account.shifts.first() {
        let alone = if begun.unattended { ", unattended" } else { "" };
        let title = format!("{} on site `{}`{lab}, cutover {}", account.runbook, account.site, begun.program);
        out.push(wrap_hanging(&title, "", "  ", style.width));
        out.push(format!("by {}{alone}, {}\n", begun.who(), utc(account.began)));
    }
    out.extend(account.moments.iter().map(|moment| line(moment, style)));
    if let Some(loss) = &account.loss {
        out.push(String::new());
        out.extend(loss.lines.iter().map(|line| wrap_hanging(line.as_str(), "", "  ", style.width)));
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

/// One moment, with the time since the run began before it.
fn line(moment: &Moment, style: &Style) -> String {
    if let What::Reads(reads) = moment.what {
        return format!("{:14}{}", "", plural(reads, "read"));
    }
    let since = format!("{:>12}  ", format!("+{}", seconds(moment.since)));
    let word = match moment.what {
        What::Change => "  CHANGE  ",
        What::Failed => "  FAILED  ",
        What::Asked => "  asked   ",
        What::Answer => "  answer  ",
        What::Choice => "  choice  ",
        What::Warning => "  warning ",
        What::Note => "  note    ",
        What::Differs => "  differs: ",
        What::Step | What::Reads(_) | What::Signal | What::Resumed | What::End => "",
    };
    wrap_hanging(&format!("{word}{}", moment.text), &since, &" ".repeat(since.len()), style.width)
}
