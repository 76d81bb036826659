//! How a question is drawn, and how a line typed below it is understood. Pure but for the width of the terminal.

use comfy_table::{ContentArrangement, presets};

use super::{Answer, Evidence, Question, Table};

const NARROWEST: usize = 20;
/// A column is not squeezed below this; where that does not fit, rows are drawn one below the other.
const NARROWEST_COLUMN: u16 = 12;

/// What a line means.
pub(super) enum Heard {
    Answer(Answer),
    /// Help, or why this is none of the answers; the question stays open.
    Again(String),
}

/// The terminal's width in columns; 80 where nobody knows.
pub(super) fn width() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// The evidence, then the question, broken to `width` columns.
pub fn render(question: &Question, width: usize, colour: bool) -> String {
    let width = width.max(NARROWEST);
    let mut out = String::new();
    let (text, evidence) = match question {
        Question::Confirm { text, evidence, .. } | Question::Ask { text, evidence, .. } | Question::TooEarly { text, evidence } => {
            (text, evidence)
        }
        Question::Manual { title, evidence, .. } => (title, evidence),
    };
    for piece in evidence {
        draw_evidence(&mut out, piece, width, colour);
    }
    out.push_str(&styled(&paragraph(text, width), BOLD, colour));
    match question {
        Question::Confirm { irreversible: true, .. } => {
            out.push_str(&styled(&paragraph("This cannot be undone.", width), WARNING, colour));
        }
        Question::Manual { instructions, .. } => out.push_str(&paragraph(instructions, width)),
        Question::Ask { choices, default, .. } => {
            for (i, choice) in choices.iter().enumerate() {
                let mark = if default.as_ref() == Some(choice) { " (default)" } else { "" };
                out.push_str(&indented(&format!("{:>3}  ", i + 1), &format!("{choice}{mark}"), width));
            }
        }
        _ => {}
    }
    out
}

/// What stands before the cursor.
pub fn prompt(question: &Question, width: usize, colour: bool) -> String {
    let text = match question {
        Question::Confirm { typed: Some(words), .. } => format!("Type `{}` to go on; anything else stops (? for help):", clean(words)),
        Question::Confirm { .. } => "Go on? [y/N/?]".to_owned(),
        Question::Ask { default: Some(_), .. } => "Which? [number, Enter for the default, ?]".to_owned(),
        Question::Ask { .. } => "Which? [number or ?]".to_owned(),
        Question::Manual { .. } => "Type `done` when it is done, `stop` to stop [done/stop/?]".to_owned(),
        Question::TooEarly { .. } => "Accept it, do it anyway, or stop? [a/d/S/?]".to_owned(),
    };
    let text = paragraph(&text, width.max(NARROWEST) - 1);
    format!("{} ", styled(text.trim_end(), BOLD, colour))
}

/// Takes a typed line as an answer, or says what is wanted.
pub(super) fn understand(question: &Question, line: &str) -> Heard {
    let line = line.trim();
    let again = |text: &str| Heard::Again(text.to_owned());
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(line));
    match question {
        Question::Confirm { typed: Some(words), .. } if line == words.trim() => Heard::Answer(Answer::Yes),
        Question::Confirm { typed: Some(_), .. } if line == "?" => again(
            "The words have to be typed exactly, capitals included. Anything else, or Enter alone, stops the run here; it can be resumed, and asks again.",
        ),
        Question::Confirm { typed: Some(_), .. } => Heard::Answer(Answer::No),
        Question::Confirm { .. } if line == "?" => {
            again("y or yes goes on. Anything else, or Enter alone, stops the run here; it can be resumed, and asks again.")
        }
        Question::Confirm { .. } => Heard::Answer(if is(&["y", "yes"]) { Answer::Yes } else { Answer::No }),
        Question::Ask { choices, default, .. } => choose(choices, default.as_deref(), line),
        Question::Manual { .. } if is(&["done"]) => Heard::Answer(Answer::Done),
        Question::Manual { .. } if is(&["stop", "no"]) => Heard::Answer(Answer::Stop),
        Question::Manual { .. } => again(
            "Do what stands above, then type `done`: the run goes on and records that you did it. `stop` stops it here; it can be resumed.",
        ),
        Question::TooEarly { .. } if is(&["a", "accept"]) => Heard::Answer(Answer::Accept),
        Question::TooEarly { .. } if is(&["d", "do it anyway"]) => Heard::Answer(Answer::DoAnyway),
        Question::TooEarly { .. } if is(&["s", "stop", ""]) => Heard::Answer(Answer::Stop),
        Question::TooEarly { .. } => again(
            "What this step is to bring about is already so, and this run did not do it. a takes it as done, d makes the change all the same, s or Enter stops the run here; it can be resumed, and asks again.",
        ),
    }
}

fn choose(choices: &[String], default: Option<&str>, line: &str) -> Heard {
    // Words before numbers: a choice may be a number itself.
    if let Some(choice) = choices.iter().find(|c| c.trim() == line) {
        return Heard::Answer(Answer::Choice(choice.clone()));
    }
    let folded: Vec<_> = choices.iter().filter(|c| c.trim().to_lowercase() == line.to_lowercase()).collect();
    if let [one] = folded[..] {
        return Heard::Answer(Answer::Choice(one.clone()));
    }
    if let Some(choice) = line.parse::<usize>().ok().and_then(|n| choices.get(n.checked_sub(1)?)) {
        return Heard::Answer(Answer::Choice(choice.clone()));
    }
    match (line, default) {
        ("", Some(default)) => Heard::Answer(Answer::Choice(default.to_owned())),
        ("stop", _) => Heard::Answer(Answer::Stop),
        _ => Heard::Again(
            "Type the number of one of the choices, or its words; `stop` stops the run here, and it can be resumed.".to_owned(),
        ),
    }
}

fn draw_evidence(out: &mut String, evidence: &Evidence, width: usize, colour: bool) {
    let title = paragraph(&evidence.title, width);
    let rule = "─".repeat(title.lines().map(|l| l.chars().count()).max().unwrap_or(0).min(width));
    out.push_str(&styled(&title, BOLD, colour));
    if !rule.is_empty() {
        out.push_str(&rule);
        out.push('\n');
    }
    if let Some(table) = &evidence.table {
        draw_table(out, table, width);
    }
    for text in &evidence.text {
        out.push_str(&paragraph(text, width));
    }
    out.push('\n');
}

fn draw_table(out: &mut String, table: &Table, width: usize) {
    if table.rows.is_empty() {
        out.push_str("(no rows)\n");
        return;
    }
    let mut drawn = comfy_table::Table::new();
    let cells = |row: &[String]| {
        (0..table.columns.len()).map(|i| row.get(i).map(|c| clean(c).trim().to_owned()).unwrap_or_default()).collect::<Vec<_>>()
    };
    drawn.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    drawn.set_width(u16::try_from(width).unwrap_or(u16::MAX)).set_header(cells(&table.columns));
    for row in &table.rows {
        drawn.add_row(cells(row));
    }
    let least: usize = drawn.column_max_content_widths().iter().map(|w| usize::from((*w).min(NARROWEST_COLUMN)) + 3).sum();
    if least < width {
        out.push_str(&drawn.trim_fmt());
        out.push('\n');
        return;
    }
    // Too many columns to stand side by side: sp_who2 has thirteen.
    let names = table.columns.iter().map(|c| clean(c).trim().chars().count()).max().unwrap_or(0).min(width / 2);
    for row in &table.rows {
        for (column, cell) in table.columns.iter().zip(cells(row)) {
            out.push_str(&indented(&format!("{:<names$}  ", clean(column).trim()), &cell, width));
        }
        out.push_str(&"·".repeat(width.min(40)));
        out.push('\n');
    }
}

/// Text broken to the width, ending a line.
pub(super) fn paragraph(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in clean(text).lines() {
        for part in textwrap::wrap(line, width) {
            out.push_str(part.trim_end());
            out.push('\n');
        }
    }
    out
}

fn indented(first: &str, text: &str, width: usize) -> String {
    let rest = " ".repeat(first.chars().count());
    let options = textwrap::Options::new(width).initial_indent(first).subsequent_indent(&rest);
    textwrap::wrap(&clean(text).replace('\n', " "), options).iter().map(|l| format!("{}\n", l.trim_end())).collect()
}

/// Text from a server may hold what a terminal obeys: control characters are shown, not sent.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

const BOLD: &str = "1";
const WARNING: &str = "1;33";

fn styled(text: &str, style: &str, colour: bool) -> String {
    if !colour || text.trim().is_empty() {
        return text.to_owned();
    }
    let (body, end) = text.strip_suffix('\n').map_or((text, ""), |body| (body, "\n"));
    format!("\u{1b}[{style}m{body}\u{1b}[0m{end}")
}
