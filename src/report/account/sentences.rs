//! The account in sentences, for whoever reads no further: what was done, for how long, what is lost, what remains.

use std::path::Path;

use jiff::Timestamp;

use super::{Account, Ending, Fate, Shift, Text};
use crate::report::human::{plural, seconds};
use crate::report::shell_word;

/// A time in UTC, to the second.
pub(in crate::report) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The command that goes on with a run.
pub(super) fn resume(folder: &Path) -> Text {
    Text::of(&format!("cutover resume {}", shell_word(&folder.display().to_string())))
}

impl Account {
    /// A time in UTC and, where that is another, here.
    pub(in crate::report) fn both(&self, at: Timestamp) -> String {
        let here = at.to_zoned_datetime(self.zone.clone());
        if here.offset().seconds() == 0 { utc(at) } else { format!("{} ({})", utc(at), here.strftime("%Y-%m-%d %H:%M:%S %Z")) }
    }

    /// The time of day in UTC, with the date where that is another than at the start.
    pub(in crate::report) fn clock(&self, at: Timestamp) -> String {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        at.strftime(if day(at) == day(self.began) { "%H:%M:%S" } else { "%m-%d %H:%M:%S" }).to_string()
    }

    /// The heading of the report.
    pub(in crate::report) fn title(&self) -> String {
        let procedure = self.runbook.as_str().rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".rhai");
        format!("{procedure} on {}", self.site)
    }

    /// What kind of report it is.
    pub(in crate::report) fn kind(&self) -> &'static str {
        if self.lab { "Rehearsal report" } else { "Recovery report" }
    }

    /// The outcome in words.
    pub(in crate::report) fn outcome(&self) -> String {
        let step =
            self.steps.iter().rev().find(|step| step.stand != super::Stand::Done).map(|step| format!(" in the step “{}”", step.title()));
        let step = step.unwrap_or_default();
        match self.ending {
            Ending::Done => "The run is done.".to_owned(),
            Ending::Failed => format!("The run failed{step}."),
            Ending::Stopped => format!("The run was stopped{step} and can be gone on with."),
            Ending::InDoubt => format!("The run ended in doubt{step}: something may have happened that the record cannot tell."),
            Ending::Running => format!("The run is under way{step}: this is how far its record goes."),
            Ending::Died => format!("The run has not ended, or it died{step}: its record has no end."),
            Ending::Damaged => "The record is not as it was written: nothing after its first bad line is told here.".to_owned(),
        }
    }

    /// One paragraph that a manager can read.
    pub(in crate::report) fn summary(&self) -> Vec<Text> {
        let mut said = Vec::new();
        let lab = if self.lab { " (a lab: nothing real was touched)" } else { "" };
        let mut people: Vec<String> = Vec::new();
        for shift in &self.shifts {
            let alone = if shift.unattended { ", unattended" } else { "" };
            let who = format!("{}{alone}", shift.who());
            if !people.contains(&who) {
                people.push(who);
            }
        }
        said.push(format!(
            "The procedure {} was run on the site {}{lab} by {}, from {} to {}.",
            self.runbook,
            self.site,
            people.join("; then by "),
            self.both(self.began),
            self.both(self.ended)
        ));
        said.push(self.outcome());
        if let Some(why) = self.why.as_ref().filter(|_| !matches!(self.ending, Ending::Done)) {
            said.push(format!("What ended it: {}.", why.one_line().as_str().trim_end_matches('.')));
        }
        said.push(match (self.changes.len(), self.tested()) {
            (0, _) => "Nothing was changed for certain.".to_owned(),
            (n, 0) => format!("{} made.", were(n, "change")),
            (n, tested) if n == tested => format!("{} made, each found in force by a test.", were(n, "change")),
            (n, tested) => format!("{} made, {tested} of them found in force by a test.", were(n, "change")),
        });
        if !self.unsure.is_empty() {
            said.push(format!(
                "Of {} it is not known whether it was made, or whether in whole.",
                plural(self.unsure.len(), "further change")
            ));
        }
        said.push(self.duration());
        if let Some(loss) = &self.loss {
            said.push(loss.sentence.to_string());
        }
        said.iter().map(|said| Text::of(said)).collect()
    }

    /// How long it took, against what was promised.
    pub(in crate::report) fn duration(&self) -> String {
        let total = seconds(self.times.total);
        let from = "counted from the start of the run, not from the disaster";
        match (self.ending, self.target_ms) {
            (Ending::Done, Some(target)) if self.times.total <= target => {
                format!("It took {total}, within the target of {} ({from}).", promised(target))
            }
            (Ending::Done, Some(target)) => {
                format!("It took {total}, {} longer than the target of {} ({from}).", seconds(self.times.total - target), promised(target))
            }
            (Ending::Done, None) => format!("It took {total} ({from}); the record names no target."),
            (_, Some(target)) => format!("{total} of the target of {} had passed when the record ends ({from}).", promised(target)),
            (_, None) => format!("{total} had passed when the record ends ({from}); the record names no target."),
        }
    }

    /// Where the time went.
    pub(in crate::report) fn shares(&self) -> [(&'static str, u64); 3] {
        [("Working", self.times.working), ("Waiting for people", self.times.asked), ("Nothing ran", self.times.away)]
    }

    /// What remains to be done, the most urgent first.
    pub(in crate::report) fn remains(&self) -> Vec<Text> {
        let mut said: Vec<String> = self
            .unsure
            .iter()
            .map(|unsure| format!("Find out whether it was made: {} ({}).", unsure.what.one_line().cut(300), unsure.why))
            .collect();
        if self.ending == Ending::Damaged {
            said.push("Find out who or what changed the record, and by hand how far the run was: nothing goes on from it.".to_owned());
        }
        if let Some(help) = &self.help {
            said.push(sentence(help.as_str()));
        }
        if let Some(resume) = &self.resume {
            said.push(format!("Go on with the run: {resume}"));
        }
        let ahead = self.ahead.iter().map(|(title, perhaps)| if *perhaps { format!("{title} (perhaps)") } else { title.to_string() });
        let ahead: Vec<String> = ahead.collect();
        if !ahead.is_empty() && self.ending != Ending::Done {
            said.push(format!("Steps that were not begun: {}.", ahead.join("; ")));
        }
        if self.ending == Ending::Done {
            // what a runbook says after its last step is what it leaves to people
            let after = self.notes.iter().rev().take_while(|note| note.step.is_none() && note.level == crate::journal::Level::Note);
            let mut after: Vec<String> = after.map(|note| sentence(note.text.as_str())).collect();
            after.reverse();
            said.extend(after);
        }
        let warnings = self.warnings().count();
        if warnings > 0 {
            said.push(format!("Look at {}, below.", plural(warnings, "warning")));
        }
        let untested = self.changes.len() - self.tested();
        if untested > 0 {
            said.push(format!("No test found {} in force: see which, below.", plural(untested, "change")));
        }
        said.iter().map(|said| Text::of(said)).collect()
    }
}

/// In milliseconds.
const DAY: u64 = 86_400_000;

/// A span that somebody chose, without the parts that are nothing; of days, the hours are enough.
pub(in crate::report) fn promised(ms: u64) -> String {
    if ms >= 2 * DAY {
        return format!("{} d {} h", ms / DAY, ms % DAY / 3_600_000);
    }
    let parts = [(ms / 3_600_000, "h"), (ms / 60_000 % 60, "min"), (ms / 1000 % 60, "s")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if parts.is_empty() { seconds(ms) } else { parts.join(" ") }
}

fn were(n: usize, what: &str) -> String {
    format!("{} {}", plural(n, what), if n == 1 { "was" } else { "were" })
}

/// A fragment with an end. Its first word may be a name: it stays as it is written.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '?', '!', ')']) { text.to_owned() } else { format!("{text}.") }
}

impl Fate {
    /// What came of the failure, in words.
    pub(in crate::report) fn words(&self) -> String {
        match self {
            Self::WentOn => "the runbook went on".to_owned(),
            Self::Ended => "it ended the run".to_owned(),
            Self::Chosen { chosen, reason, by } => {
                let reason = reason.as_ref().map(|reason| format!(", because {reason}")).unwrap_or_default();
                format!("chosen: {}{reason} ({by})", chosen.word())
            }
        }
    }
}

impl Shift {
    /// Who began or resumed it, in words.
    pub(in crate::report) fn words(&self, first: bool) -> String {
        let verb = if first { "begun" } else { "resumed" };
        let alone = if self.unattended { ", unattended" } else { "" };
        format!("{verb} by {}{alone}, cutover {}", self.who(), self.program)
    }
}
