//! How a question is drawn, and how a line typed below it is understood. Pure but for the width of the terminal.

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};
use textwrap::core::display_width;

use super::{Answer, Evidence, Question, Table};

const NARROWEST: usize = 20;

/// What a line means.
pub(super) enum Heard {
    Answer(Answer),
    /// Help, or why this is none of the answers; the question stays open.
    Again(String),
}

/// The terminal's width in columns; 100, as of all reports, where there is none.
pub(super) fn width() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(100, |(width, _)| usize::from(width.0))
}

/// The evidence, then the question, broken to `width` columns.
pub fn render(question: &Question, width: usize, colour: bool) -> String {
    let width = width.max(NARROWEST);
    let mut out = String::new();
    let (text, evidence) = match question {
        Question::Confirm { text, evidence, .. }
        | Question::Ask { text, evidence, .. }
        | Question::TooEarly { text, evidence }
        | Question::InDoubt { text, evidence } => (text.as_str(), evidence.as_slice()),
        Question::Manual { title, evidence, .. } => (title.as_str(), evidence.as_slice()),
        Question::Failed { evidence, .. } => ("What now?", evidence.as_slice()),
        Question::Step { title } => (title.as_str(), &[][..]),
        Question::Reason => ("Who made the change, and how do you know that it is in force? The record keeps your words.", &[][..]),
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

/// The titles of the steps to come, one a line; none where the question is not about going on.
pub(super) fn steps_to_come(question: &Question, to_come: &[String], width: usize, colour: bool) -> String {
    if to_come.is_empty() || matches!(question, Question::Failed { .. } | Question::Reason) {
        return String::new();
    }
    let mut out = String::from("\nAfter this step:\n");
    for title in to_come {
        out.push_str(&one_line(&format!("  {title}"), width.max(NARROWEST)));
        out.push('\n');
    }
    out.push('\n');
    styled(&out, DIM, colour)
}

/// The beginning of a text that fits into one line.
fn one_line(text: &str, width: usize) -> String {
    let text = clean(text).replace('\n', " ");
    if display_width(&text) <= width {
        return text;
    }
    let mut cut = String::new();
    for c in text.chars() {
        if display_width(&cut) + display_width(c.encode_utf8(&mut [0; 4])) >= width {
            break;
        }
        cut.push(c);
    }
    format!("{}…", cut.trim_end())
}

/// What stands before the cursor.
pub fn prompt(question: &Question, width: usize, colour: bool) -> String {
    let width = width.max(NARROWEST);
    let text = match question {
        // a line of its own: the words are long, and stand under those to be typed
        Question::Confirm { typed: Some(words), .. } => {
            let say = paragraph(&format!("To go on, type this; Enter alone stops, ? explains:\n  {}", clean(words)), width);
            return format!("{}> ", styled(&say, BOLD, colour));
        }
        Question::Confirm { .. } => "Go on? [y/N/?]",
        Question::Ask { default: Some(_), .. } => "Which? [number, Enter for the default, ?]",
        Question::Ask { .. } => "Which? [number or ?]",
        Question::Manual { .. } => "Type `done` when it is done, `stop` to stop [done/stop/?]",
        Question::TooEarly { .. } => "Accept it, do it anyway, or stop? [a/d/S/?]",
        Question::InDoubt { .. } => "It happened, do it again, or stop? [h/d/S/?]",
        Question::Step { .. } => "Begin this step? [y/N/?]",
        Question::Failed { change: true, .. } => "Retry, mark it as done by hand, or stop? [r/m/S/?]",
        Question::Failed { change: false, .. } => "Retry, or stop? [r/S/?]",
        Question::Reason => "Why? [Enter alone stops]",
    };
    let text = paragraph(text, width - 1);
    format!("{} ", styled(text.trim_end(), BOLD, colour))
}

/// Takes a typed line as an answer, or says what is wanted. A line that is neither yes nor no is a slip: it is asked again.
pub(super) fn understand(question: &Question, line: &str) -> Heard {
    let line = line.trim();
    let again = |text: &str| Heard::Again(text.to_owned());
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(line));
    let no = is(&["", "n", "no", "stop"]);
    match question {
        Question::Confirm { typed: Some(words), .. } if line == words.trim() => Heard::Answer(Answer::Yes),
        Question::Confirm { .. } if no => Heard::Answer(Answer::No),
        Question::Confirm { typed: Some(_), .. } if line == "?" => again(
            "Type the line above exactly, capitals included, and the run goes on. Enter alone, or no, stops the run here: nothing more is changed.",
        ),
        Question::Confirm { typed: Some(_), .. } if is(&["y", "yes"]) => {
            again("A yes is not enough here: type the line exactly as it stands above.")
        }
        Question::Confirm { typed: Some(_), .. } => {
            again("Those are not the words. Type them exactly, capitals included, or Enter to stop.")
        }
        Question::Confirm { .. } if is(&["y", "yes"]) => Heard::Answer(Answer::Yes),
        Question::Confirm { .. } if line == "?" => {
            again("y or yes goes on. Enter alone, or no, stops the run here: nothing more is changed.")
        }
        Question::Confirm { .. } => again("Please answer y or n; Enter alone is a no, and stops the run here."),
        Question::Ask { choices, default, .. } => choose(choices, default.as_deref(), line),
        Question::Manual { .. } if is(&["done"]) => Heard::Answer(Answer::Done),
        Question::Manual { .. } if is(&["stop", "no", "n"]) => Heard::Answer(Answer::Stop),
        Question::Manual { .. } => again(
            "Do what stands above, then type `done`: the run goes on and records that you did it. `stop` stops it here; nothing more is changed.",
        ),
        Question::TooEarly { .. } if is(&["a", "accept"]) => Heard::Answer(Answer::Accept),
        Question::TooEarly { .. } if is(&["d", "do it anyway"]) => Heard::Answer(Answer::DoAnyway),
        Question::TooEarly { .. } if no || is(&["s"]) => Heard::Answer(Answer::Stop),
        Question::TooEarly { .. } => again(
            "What this step is to bring about is already so, and this run did not do it. a takes it as done, d makes the change all the same, s or Enter stops the run here; nothing more is changed.",
        ),
        Question::InDoubt { .. } if is(&["h", "it happened", "happened"]) => Heard::Answer(Answer::Happened),
        Question::InDoubt { .. } if is(&["d", "do it again"]) => Heard::Answer(Answer::DoAnyway),
        Question::InDoubt { .. } if no || is(&["s"]) => Heard::Answer(Answer::Stop),
        Question::InDoubt { .. } => again(
            "Look at the server first. h says that the change is in force, and the run goes on after it; d makes it again; s or Enter stops the run here; nothing more is changed.",
        ),
        Question::Failed { .. } if is(&["r", "retry"]) => Heard::Answer(Answer::Retry),
        Question::Failed { change: true, .. } if is(&["m", "mark it as done by hand", "mark"]) => Heard::Answer(Answer::ByHand),
        Question::Failed { .. } if no || is(&["s"]) => Heard::Answer(Answer::Stop),
        Question::Failed { change, .. } => again(match change {
            true => {
                "r tries it again: remove the cause first. m counts it as made: make it by hand first, and say so. s or Enter stops the run here; it can be resumed from here."
            }
            false => "r tries it again: remove the cause first. s or Enter stops the run here; it can be resumed from here.",
        }),
        Question::Step { .. } if is(&["y", "yes"]) => Heard::Answer(Answer::Yes),
        Question::Step { .. } if no || is(&["q", "quit"]) => Heard::Answer(Answer::No),
        Question::Step { .. } => {
            again("y or yes begins the step. Enter alone, no or quit stops the run before it; it can be resumed from here.")
        }
        Question::Reason if line.is_empty() => Heard::Answer(Answer::Stop),
        Question::Reason => Heard::Answer(Answer::Text(line.to_owned())),
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
        ("stop" | "n" | "no", _) => Heard::Answer(Answer::Stop),
        _ => Heard::Again(
            "Type the number of one of the choices, or its words; `stop` stops the run here, and nothing more is changed.".to_owned(),
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
    // one of several hangs, so that it is seen where the next begins
    let hanging = if evidence.text.len() > 1 { "  " } else { "" };
    for text in &evidence.text {
        out.push_str(&broken(text, breaking(width).subsequent_indent(hanging)));
    }
    out.push('\n');
}

fn draw_table(out: &mut String, table: &Table, width: usize) {
    if table.rows.is_empty() {
        out.push_str("(no rows)\n");
        return;
    }
    let columns = table.rows.iter().map(Vec::len).chain([table.columns.len()]).max().unwrap_or(0);
    let cells =
        |row: &[String]| (0..columns).map(|i| row.get(i).map(|c| clean(c).trim().to_owned()).unwrap_or_default()).collect::<Vec<_>>();
    let rows: Vec<_> = table.rows.iter().map(|row| cells(row)).collect();
    if table.columns.is_empty() {
        return facts(out, rows.iter().map(|row| (row[0].clone(), row[1..].join("  "))), width);
    }
    let header = cells(&table.columns);
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    drawn.set_width(u16::try_from(width).unwrap_or(u16::MAX)).set_header(&header);
    for row in &rows {
        drawn.add_row(row);
    }
    let mut least = 1;
    for (i, column) in drawn.column_iter_mut().enumerate() {
        let word = rows.iter().chain([&header]).flat_map(|row| row[i].split_whitespace()).map(display_width).max().unwrap_or(0);
        least += word + 3;
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(u16::try_from(word + 2).unwrap_or(u16::MAX))));
    }
    if least <= width {
        out.push_str(&drawn.trim_fmt());
        out.push('\n');
        return;
    }
    // Too many columns to stand side by side without breaking names and numbers: sp_who2 has thirteen.
    if let [row] = &rows[..] {
        return facts(out, header.into_iter().zip(row.iter().cloned()), width);
    }
    let number = rows.len().to_string().len();
    for (n, row) in rows.iter().enumerate() {
        let cells = header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| format!("{name} {cell}"));
        out.push_str(&indented(&format!("{:>number$}. ", n + 1), &cells.collect::<Vec<_>>().join(" · "), width));
    }
}

/// Names and values, one pair a line, or a name above its value where the window is narrow; what is missing (NULL) is shown.
fn facts(out: &mut String, pairs: impl Iterator<Item = (String, String)>, width: usize) {
    let pairs: Vec<_> = pairs.map(|(name, value)| (name, if value.is_empty() { "–".to_owned() } else { value })).collect();
    let names = pairs.iter().map(|(name, _)| display_width(name)).max().unwrap_or(0);
    let word = pairs.iter().flat_map(|(_, value)| value.split_whitespace()).map(display_width).max().unwrap_or(0);
    for (name, value) in pairs {
        if names + 2 + word <= width {
            out.push_str(&indented(&format!("{name:<names$}  "), &value, width));
        } else {
            out.push_str(&paragraph(&name, width));
            out.push_str(&indented("  ", &value, width));
        }
    }
}

/// Text broken to the width at blanks, ending a line. A path is not broken: the terminal does that, and it can be copied.
pub(super) fn paragraph(text: &str, width: usize) -> String {
    broken(text, breaking(width))
}

fn broken(text: &str, options: textwrap::Options<'_>) -> String {
    let mut out = String::new();
    for line in clean(text).lines() {
        for part in textwrap::wrap(line, &options) {
            out.push_str(part.trim_end());
            out.push('\n');
        }
    }
    out
}

fn indented(first: &str, text: &str, width: usize) -> String {
    let rest = " ".repeat(display_width(first));
    let options = breaking(width).initial_indent(first).subsequent_indent(&rest);
    textwrap::wrap(&clean(text).replace('\n', " "), options).iter().map(|l| format!("{}\n", l.trim_end())).collect()
}

fn breaking<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false)
}

/// Text from a server may hold what a terminal obeys: control characters are shown, not sent.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

const BOLD: &str = "1";
const WARNING: &str = "1;33";
const DIM: &str = "2";

fn styled(text: &str, style: &str, colour: bool) -> String {
    if !colour || text.trim().is_empty() {
        return text.to_owned();
    }
    let (body, end) = text.strip_suffix('\n').map_or((text, ""), |body| (body, "\n"));
    format!("\u{1b}[{style}m{body}\u{1b}[0m{end}")
}
