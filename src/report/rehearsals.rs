//! Rehearsals of many scenarios: what each was expected to come to, what it came to, and why it disappoints.

use std::path::PathBuf;

use comfy_table::{ContentArrangement, presets};
use serde::Serialize;
use serde_json::json;

use super::Style;
use super::human::{seconds, wrap_hanging};

/// One scenario, rehearsed and judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsed {
    pub scenario: String,
    pub expected: String,
    pub happened: String,
    /// wall time
    pub ms: u64,
    pub good: bool,
    /// why it is not, a sentence each
    pub disappointing: Vec<String>,
    /// the command that rehearses it alone
    pub again: String,
    /// the lab's folder, if it is kept
    pub folder: Option<PathBuf>,
}

impl Rehearsed {
    fn verdict(&self) -> &'static str {
        if self.good { "good" } else { "disappoints" }
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        let mut object = json!({ "v": 1, "event": "rehearsed" });
        if let (Some(all), Ok(serde_json::Value::Object(fields))) = (object.as_object_mut(), serde_json::to_value(self)) {
            all.extend(fields);
        }
        object.to_string()
    }
}

/// The table, then the reasons, then the sum. On a narrow screen a scenario is a few lines.
pub fn judged(rehearsed: &[Rehearsed], style: &Style) -> String {
    let mut out = vec![if style.width < 100 { narrow(rehearsed, style) } else { table(rehearsed, style) }];
    for one in rehearsed.iter().filter(|one| !one.good) {
        out.push(format!("\n{} disappoints:", one.scenario));
        out.extend(one.disappointing.iter().map(|why| wrap_hanging(why, "  ", "    ", style.width)));
        out.push(format!("  alone: {}", one.again));
        out.extend(one.folder.iter().map(|folder| format!("  its lab: {}", folder.display())));
    }
    let good = rehearsed.iter().filter(|one| one.good).count();
    out.push(format!("\n{good} of {} scenarios came to what a good runbook makes of them", rehearsed.len()));
    out.join("\n")
}

fn table(rehearsed: &[Rehearsed], style: &Style) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.width.max(160)).unwrap_or(u16::MAX));
    table.set_header(["scenario", "expected", "what happened", "time", "verdict"]);
    for one in rehearsed {
        table.add_row([one.scenario.clone(), one.expected.clone(), one.happened.clone(), seconds(one.ms), one.verdict().to_owned()]);
    }
    table.trim_fmt()
}

fn narrow(rehearsed: &[Rehearsed], style: &Style) -> String {
    let lines = rehearsed.iter().map(|one| {
        let text = format!("expected {}\nhappened {} in {}", one.expected, one.happened, seconds(one.ms));
        format!("{}: {}\n{}", one.scenario, one.verdict(), wrap_hanging(&text, "  ", "  ", style.width))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Rehearsed; 2] {
        let good = Rehearsed {
            scenario: "quiet".into(),
            expected: "done: ONLINE, 24 logs, FailedOver".into(),
            happened: "done: ONLINE, 24 logs, FailedOver".into(),
            ms: 1234,
            good: true,
            disappointing: Vec::new(),
            again: "cutover rehearse --scenario quiet".into(),
            folder: None,
        };
        let bad = Rehearsed {
            scenario: "missing-log".into(),
            expected: "failed or stopped: RESTORING, 12 logs, Normal".into(),
            good: false,
            disappointing: vec!["mgc is ONLINE, not RESTORING".into()],
            again: "cutover rehearse --scenario missing-log".into(),
            folder: Some("/tmp/kept/missing-log".into()),
            ..good.clone()
        };
        [good, bad]
    }

    #[test]
    fn reasons_stand_below_the_table() {
        insta::assert_snapshot!(judged(&both(), &Style::PLAIN), @r"
        ┌─────────────┬───────────────────────────────────────────────┬───────────────────────────────────┬───────┬─────────────┐
        │ scenario    ┆ expected                                      ┆ what happened                     ┆ time  ┆ verdict     │
        ╞═════════════╪═══════════════════════════════════════════════╪═══════════════════════════════════╪═══════╪═════════════╡
        │ quiet       ┆ done: ONLINE, 24 logs, FailedOver             ┆ done: ONLINE, 24 logs, FailedOver ┆ 1.2 s ┆ good        │
        │ missing-log ┆ failed or stopped: RESTORING, 12 logs, Normal ┆ done: ONLINE, 24 logs, FailedOver ┆ 1.2 s ┆ disappoints │
        └─────────────┴───────────────────────────────────────────────┴───────────────────────────────────┴───────┴─────────────┘

        missing-log disappoints:
          mgc is ONLINE, not RESTORING
          alone: cutover rehearse --scenario missing-log
          its lab: /tmp/kept/missing-log

        1 of 2 scenarios came to what a good runbook makes of them
        ");
        insta::assert_snapshot!(judged(&both()[..1], &Style { width: 60, ..Style::PLAIN }), @r"
        quiet: good
          expected done: ONLINE, 24 logs, FailedOver
          happened done: ONLINE, 24 logs, FailedOver in 1.2 s

        1 of 1 scenarios came to what a good runbook makes of them
        ");
    }

    #[test]
    fn a_program_reads_a_line_each() {
        insta::assert_snapshot!(
            both()[1].to_json(),
            @r#"{"v":1,"event":"rehearsed","scenario":"missing-log","expected":"failed or stopped: RESTORING, 12 logs, Normal","happened":"done: ONLINE, 24 logs, FailedOver","ms":1234,"good":false,"disappointing":["mgc is ONLINE, not RESTORING"],"again":"cutover rehearse --scenario missing-log","folder":"/tmp/kept/missing-log"}"#
        );
    }
}
