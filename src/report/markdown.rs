//! The account as GitHub-flavoured Markdown: the same as the HTML, with a timeline in words.

use std::fmt::{Display, Write};

use super::account::{Account, Evidence, Failure, Question, Text, What, promised, utc};
use super::html::{kind, left, not_begun};
use super::human::{bytes, plural, seconds};
use crate::journal::Level;

/// Statements longer than this are cut: the record has them whole.
const STATEMENT: usize = 400;

/// The whole file.
pub fn render(account: &Account) -> String {
    let mut out = Page(String::new());
    out.line(format_args!("# {}: {}", plain(account.title()), account.ending.word()));
    let begun = account.shifts.first().map(|shift| shift.words(true)).unwrap_or_default();
    out.paragraph(format_args!("{}, {}, {}", account.kind(), plain(account.both(account.began)), plain(begun)));
    out.heading("Summary");
    let said: Vec<String> = account.summary().iter().map(plain).collect();
    out.paragraph(said.join(" "));
    let remains = account.remains();
    if !remains.is_empty() {
        out.heading("What remains to be done");
        out.items(remains.iter().map(plain));
    }
    times(account, &mut out);
    timeline(account, &mut out);
    if let Some(loss) = &account.loss {
        out.heading("What was lost");
        out.items(loss.lines.iter().map(plain));
    }
    changes(account, &mut out);
    if !account.questions.is_empty() {
        out.heading("Questions and answers");
        account.questions.iter().for_each(|asked| question(asked, &mut out));
    }
    failures(account, &mut out);
    if !account.notes.is_empty() || !account.weak.is_empty() {
        out.heading("Notes and warnings");
        let weak = account.weak.iter().map(|weak| format!("**connection** {}", plain(weak)));
        let notes = account.notes.iter().map(|note| {
            let word = if note.level == Level::Warn { "**warning** " } else { "" };
            format!("{word}{} ({})", plain(&note.text), utc(note.at))
        });
        out.items(weak.chain(notes));
    }
    files(account, &mut out);
    if !account.kept.is_empty() {
        out.heading("Files kept");
        match &account.folder {
            Some(folder) => out.paragraph(format_args!("In the folder of the record, {}:", code(folder))),
            None => out.paragraph("They went away with the rehearsal; `--keep DIR` keeps them."),
        }
        out.items(account.kept.iter().map(|kept| {
            let mut text = code(&kept.name);
            let mut say = |what: &str, value: Option<String>| text.extend(value.map(|value| format!("{what}{value}")));
            say(": ", kept.about.as_ref().map(plain));
            say("; to run it: ", kept.command.as_ref().map(code));
            say("; it does not undo: ", kept.leaves.as_ref().map(plain));
            say("; blake3 ", kept.blake3.as_ref().map(code));
            text
        }));
    }
    record(account, &mut out);
    out.0
}

struct Page(String);

impl Page {
    fn line(&mut self, line: impl Display) {
        // writing to a String cannot fail
        let _ = writeln!(self.0, "{line}");
    }

    fn paragraph(&mut self, text: impl Display) {
        self.line(format_args!("\n{text}"));
    }

    fn heading(&mut self, title: &str) {
        self.line(format_args!("\n## {title}"));
    }

    fn items(&mut self, items: impl IntoIterator<Item = String>) {
        self.line("");
        items.into_iter().for_each(|item| self.line(format_args!("- {item}")));
    }

    /// Columns of numbers, from the second on, stand at the right.
    fn table<const N: usize>(&mut self, head: [&str; N], numbers: std::ops::Range<usize>, rows: impl IntoIterator<Item = [String; N]>) {
        self.line(format_args!("\n| {} |", head.join(" | ")));
        let rule = |n: usize| if numbers.contains(&n) { "---:" } else { "---" };
        self.line(format_args!("| {} |", (0..N).map(rule).collect::<Vec<_>>().join(" | ")));
        rows.into_iter().for_each(|row| self.line(format_args!("| {} |", row.join(" | "))));
    }
}

/// Text on one line, with whatever Markdown or HTML could be made of it escaped.
fn plain(text: impl Display) -> String {
    let text = text.to_string();
    let mut out = String::with_capacity(text.len() + 8);
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        // addresses become links even without brackets, unless what makes them one is written as an entity
        for (n, part) in word.split("://").enumerate() {
            if n > 0 {
                out.push_str("&#58;//");
            }
            for character in part.replace("www.", "www\0").chars() {
                match character {
                    '\0' => out.push_str("&#46;"),
                    '@' => out.push_str("&#64;"),
                    _ if "\\`*_{}[]<>|#~&!$".contains(character) => out.extend(['\\', character]),
                    _ => out.push(character),
                }
            }
        }
    }
    // what would begin a list or a heading
    let digits = out.find(|c: char| !c.is_ascii_digit()).unwrap_or(out.len());
    if out.starts_with(['-', '+', '=']) {
        out.insert(0, '\\');
    } else if digits > 0 && out[digits..].starts_with(['.', ')']) && out[digits + 1..].chars().next().is_none_or(|next| next == ' ') {
        out.insert(digits, '\\');
    }
    out
}

/// A span of code, also within a table: a fence longer than any in it, and no bar that would end the cell.
fn code(text: &Text) -> String {
    let text = text.one_line().cut(STATEMENT).to_string().replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let blank = if longest > 0 || text.is_empty() { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

fn times(account: &Account, out: &mut Page) {
    out.heading("Time against the target");
    out.paragraph(plain(account.duration()));
    let target = account.target_ms.map(|target| ["Target".to_owned(), promised(target)]);
    let shares = account.shares().map(|(what, ms)| [what.to_owned(), seconds(ms)]);
    let all = ["In all".to_owned(), seconds(account.times.total)];
    out.table(["What", "Time"], 1..2, shares.into_iter().chain([all]).chain(target));
}

fn timeline(account: &Account, out: &mut Page) {
    out.heading("Timeline");
    let steps = account.steps.iter().map(|step| {
        let numbers = [step.reads, step.changes, step.questions, step.failures].map(|n| n.to_string());
        let [reads, changes, questions, failures] = numbers;
        [plain(step.title()), seconds(step.began()), seconds(step.ms()), reads, changes, questions, failures, step.stand.word().to_owned()]
    });
    let ahead = account.ahead.iter().map(|(title, perhaps)| {
        let end = not_begun(account, *perhaps);
        [plain(title), String::new(), String::new(), String::new(), String::new(), String::new(), String::new(), end.to_owned()]
    });
    let head = ["Step", "Began after", "Took", "Reads", "Changes", "Questions", "Failures", "End"];
    out.table(head, 1..7, steps.chain(ahead));
    out.table(
        ["Time (UTC)", "After", "What happened"],
        1..2,
        account.moments.iter().map(|moment| {
            let text = plain(moment.text.one_line().cut(STATEMENT));
            let text = match moment.what {
                What::Reads(reads) => plural(reads, "read"),
                What::Step => format!("**{text}**"),
                What::Change => format!("change: {text}"),
                What::Failed => format!("**failed**: {text}"),
                What::Asked => format!("asked: {text}"),
                What::Answer => format!("answer: {text}"),
                What::Choice => format!("choice: {text}"),
                What::Note => format!("note: {text}"),
                What::Warning => format!("**warning**: {text}"),
                What::Differs => format!("differs: {text}"),
                What::Signal | What::Resumed | What::End => text,
            };
            [account.clock(moment.at), seconds(moment.since), text]
        }),
    );
}

fn changes(account: &Account, out: &mut Page) {
    out.heading("Changes and their proof");
    if account.changes.is_empty() {
        out.paragraph("Nothing was changed for certain.");
    } else {
        out.table(
            ["Change", "Server", "Step", "Proof", "Time (UTC)", "Took"],
            5..6,
            account.changes.iter().map(|change| {
                let proof = format!("{}{}", change.proof.words(), if change.proof.is_tested() { "" } else { ", no test" });
                let at = account.clock(change.at);
                let text = |text: &Option<Text>| text.as_ref().map(plain).unwrap_or_default();
                [code(&change.what), text(&change.server), text(&change.step), proof, at, seconds(change.ms)]
            }),
        );
    }
    if !account.unsure.is_empty() {
        out.paragraph("Not known whether made:");
        out.items(account.unsure.iter().map(|unsure| format!("{}: {}", code(&unsure.what), unsure.why)));
    }
}

fn question(question: &Question, out: &mut Page) {
    let irreversible = if question.irreversible { " (cannot be undone)" } else { "" };
    out.paragraph(format_args!("**{}**{irreversible}", plain(&question.text)));
    let answer = question.answer.as_ref().map_or_else(|| "nobody answered".to_owned(), |answer| format!("**{}**", plain(answer)));
    let mut items = vec![
        format!("answer: {answer}, by {}", plain(&question.by)),
        format!("asked {}, waited {}", utc(question.at), seconds(question.waited_ms)),
    ];
    items.extend(question.typed.as_ref().map(|typed| format!("word to type: {}", code(typed))));
    if !question.choices.is_empty() {
        items.push(format!("choices: {}", question.choices.iter().map(plain).collect::<Vec<_>>().join(", ")));
    }
    items.extend(question.id.as_ref().map(|id| format!("id: {}", code(id))));
    items.extend(question.step.as_ref().map(|step| format!("step: {}", plain(step))));
    items.extend(kind(question.kind).map(str::to_owned));
    items.extend(question.instructions.as_ref().map(|text| format!("instructions: {}", plain(text))));
    out.items(items);
    folded("What was shown before the answer", out, !question.shown.is_empty(), |out| {
        question.shown.iter().for_each(|shown| evidence(shown, out))
    });
}

fn evidence(shown: &Evidence, out: &mut Page) {
    let title = if shown.title.is_empty() { String::new() } else { format!("{}:", plain(&shown.title)) };
    out.paragraph(title);
    let heads: Vec<String> = shown.columns.iter().map(plain).collect();
    out.items(shown.rows.iter().map(|row| {
        let cells = row.iter().map(plain);
        if heads.is_empty() {
            cells.collect::<Vec<_>>().join(": ")
        } else {
            heads.iter().zip(cells).map(|(head, cell)| format!("{head} {cell}")).collect::<Vec<_>>().join(", ")
        }
    }));
    shown.text.iter().for_each(|text| out.paragraph(plain(text)));
}

fn failures(account: &Account, out: &mut Page) {
    let signals: Vec<_> = account.moments.iter().filter(|moment| moment.what == What::Signal).collect();
    if account.failures.is_empty() && account.shifts.len() < 2 && signals.is_empty() {
        return;
    }
    out.heading("Failures, retries, interruptions");
    account.failures.iter().for_each(|failed| failure(failed, out));
    if account.shifts.len() > 1 {
        out.paragraph("Begun and resumed:");
        for (n, shift) in account.shifts.iter().enumerate() {
            out.line(format_args!("{}- {}: {}", if n == 0 { "\n" } else { "" }, plain(account.both(shift.at)), plain(shift.words(n == 0))));
            shift.differs.iter().for_each(|differs| out.line(format_args!("  - differed: {}", plain(differs))));
            if shift.cut > 0 {
                out.line(format_args!("  - {} bytes of an unfinished line were cut", shift.cut));
            }
        }
    }
    if !signals.is_empty() {
        out.paragraph("Interruptions:");
        out.items(signals.iter().map(|signal| format!("{}: {}", utc(signal.at), plain(&signal.text))));
    }
}

fn failure(failure: &Failure, out: &mut Page) {
    out.paragraph(format_args!("**{}**", plain(failure.title.as_ref().unwrap_or(&failure.message))));
    let server = failure.server.as_ref().map(|server| format!(" on {}", plain(server))).unwrap_or_default();
    let mut items = vec![format!("what failed: {}{server}", code(&failure.what))];
    if failure.title.is_some() {
        items.push(format!("message: {}", plain(&failure.message)));
    }
    items.extend(failure.number.map(|number| format!("number: {number}")));
    items.extend(failure.said.iter().map(|said| format!("it said: {}", code(said))));
    items.push(format!("when: {}, after {}", utc(failure.at), seconds(failure.ms)));
    items.extend(left(failure).map(|left| format!("left behind: {left}")));
    let pairs = [("means", &failure.means), ("state", &failure.state), ("what to do", &failure.help), ("code", &failure.code)];
    items.extend(pairs.into_iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}: {}", plain(text)))));
    let later = failure.done_later.map(|at| format!("; it came to a good end at {}", utc(at))).unwrap_or_default();
    items.push(format!("then: {}{later}", plain(failure.fate.words())));
    items.extend(failure.step.as_ref().map(|step| format!("step: {}", plain(step))));
    out.items(items);
}

fn files(account: &Account, out: &mut Page) {
    if account.copied.is_empty() && account.restored.is_empty() {
        return;
    }
    out.heading("Log backups");
    for copied in &account.copied {
        let (files, size) = (plural(copied.files.len(), "file"), bytes(copied.bytes));
        out.paragraph(format_args!(
            "Copied from {} to {}: {files}, {size}, in {}; {} were there already.",
            code(&copied.from),
            code(&copied.to),
            seconds(copied.ms),
            copied.skipped
        ));
        if !copied.left.is_empty() {
            out.items(copied.left.iter().map(|(name, why)| format!("left where it is: {}, {why}", code(name))));
        }
        let rows = copied.files.iter().map(|file| [plain(&file.name), file.bytes.to_string(), format!("{:.3}", file.seconds)]);
        folded(&format!("The {files}"), out, !copied.files.is_empty(), |out| out.table(["File", "Bytes", "Seconds"], 1..3, rows));
    }
    for restored in &account.restored {
        let (sets, on) = (plural(restored.applied.len(), "log backup"), restored.server.as_ref().map(plain).unwrap_or_default());
        out.paragraph(format_args!(
            "Applied on {on}: {sets} in {}; {} were applied before. Roll forward stands at LSN {}.",
            seconds(restored.ms),
            restored.skipped,
            plain(&restored.last_lsn)
        ));
        if !restored.of_no_use.is_empty() {
            out.items(restored.of_no_use.iter().map(|(file, why)| format!("at hand, but of no use: {}, {}", code(file), plain(why))));
        }
        let rows = restored.applied.iter().map(|set| {
            let size = set.bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
            [plain(&set.file), size, plain(&set.first_lsn), plain(&set.last_lsn), format!("{:.3}", set.seconds)]
        });
        folded(&format!("The {sets}"), out, !restored.applied.is_empty(), |out| {
            out.table(["File", "Bytes", "First LSN", "Last LSN", "Seconds"], 1..5, rows)
        });
    }
}

fn folded(title: &str, out: &mut Page, there: bool, table: impl FnOnce(&mut Page)) {
    if there {
        out.paragraph(format_args!("<details><summary>{title}</summary>"));
        table(out);
        out.paragraph("</details>");
    }
}

fn record(account: &Account, out: &mut Page) {
    let seal = &account.seal;
    out.heading("The record");
    if seal.problems.is_empty() {
        let lines = plural(seal.lines, "line");
        out.paragraph(format_args!("As it was written: {lines}, each with the digest of the one before, and every file that they name."));
    } else {
        out.paragraph(format_args!("**Not as it was written**; {} can be believed:", plural(seal.lines, "line")));
        out.items(seal.problems.iter().map(plain));
    }
    let mut items = vec![
        format!("run: {}", code(&account.run)),
        format!("folder: {}", account.folder.as_ref().map_or_else(|| "gone with the rehearsal, which was not kept".to_owned(), code)),
        format!("last digest: `{}`", seal.last),
    ];
    items.extend(account.exit.map(|exit| format!("exit code: {exit}")));
    items.extend(
        account.shifts.iter().enumerate().map(|(n, shift)| format!("{}, {}", plain(account.both(shift.at)), plain(shift.words(n == 0)))),
    );
    items.extend(account.servers.iter().map(|server| {
        let edition = if server.edition.is_empty() { String::new() } else { format!(", {}", plain(&server.edition)) };
        format!("{}: {} version {}{edition}", plain(&server.key), plain(&server.name), plain(&server.version))
    }));
    items.extend(account.sources.iter().map(|source| format!("begun with {}: {}", code(&source.name), code(&source.blake3))));
    out.items(items);
    out.paragraph("The digests are blake3. They show that nothing was changed since; they do not prove who wrote the record.");
}
