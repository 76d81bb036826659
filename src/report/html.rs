//! The account as one HTML file: nothing is fetched, nothing is run, and it is as good on paper and on a phone. maud escapes
//! whatever is put into it.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::account::{Account, Change, Copied, Ending, Evidence, Failure, Question, Restored, Text, What, promised, utc};
use super::human::{bytes, plural, seconds};
use super::picture;
use crate::journal::{Left, Level, QuestionKind};

const STYLE: &str = include_str!("report.css");
/// Nothing but the style in this file: a text that came to be markup in spite of all could neither run nor fetch.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Statements longer than this are cut: the record has them whole.
const STATEMENT: usize = 400;
/// Changes that follow one another in the list of moments, beyond which they become one line.
const IN_A_ROW: usize = 30;
/// Rows of a folded table, beyond which it is printed only if it is open.
const PRINTED: usize = 200;
const UNPRINTED: &str = " (printed only if open)";

impl Render for Text {
    fn render_to(&self, out: &mut String) {
        self.as_str().render_to(out);
    }
}

/// The whole file.
pub fn render(account: &Account) -> String {
    let title = format!("{}: {}", account.title(), account.ending.word());
    let sections = sections(account);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                meta name="generator" content={ "cutover " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p .eyebrow { (account.kind()) }
                    h1 { (account.title()) }
                    (badge(account.ending))
                    p .facts { (account.both(account.began)) " · " (account.shifts.first().map(|shift| shift.words(true)).unwrap_or_default()) }
                }
                main {
                    nav aria-label="Contents" {
                        ul { @for (id, title, _) in &sections { li { a href={ "#" (id) } { (title) } } } }
                    }
                    @for (id, title, body) in &sections {
                        section aria-labelledby=(id) { h2 id=(id) { (title) } (body) }
                    }
                }
                footer { p { "Made from the record " code { (account.run) } " by cutover " (env!("CARGO_PKG_VERSION")) "." } }
            }
        }
    }
    .into_string()
}

/// Those that have something to say.
fn sections(account: &Account) -> Vec<(&'static str, &'static str, Markup)> {
    let mut sections = vec![("summary", "Summary", summary(account))];
    let remains = account.remains();
    if !remains.is_empty() {
        sections.push(("remains", "What remains to be done", html! { ul .todo { @for item in &remains { li { (item) } } } }));
    }
    sections.push(("time", "Time against the target", time(account)));
    sections.push(("timeline", "Timeline", timeline(account)));
    if let Some(loss) = &account.loss {
        sections.push(("loss", "What was lost", html! { @for line in &loss.lines { p { (led(line)) } } }));
    }
    sections.push(("changes", "Changes and their proof", changes(account)));
    if !account.questions.is_empty() {
        sections.push(("questions", "Questions and answers", questions(account)));
    }
    if account.ending == Ending::Failed
        || !account.failures.is_empty()
        || account.shifts.len() > 1
        || account.moments.iter().any(|moment| moment.what == What::Signal)
    {
        sections.push(("failures", "Failures, retries, interruptions", failures(account)));
    }
    if !account.notes.is_empty() || !account.weak.is_empty() {
        sections.push(("notes", "Notes and warnings", notes(account)));
    }
    if !account.copied.is_empty() || !account.restored.is_empty() {
        sections.push(("files", "Log backups", files(account)));
    }
    if !account.kept.is_empty() {
        sections.push(("kept", "Files kept", kept(account)));
    }
    sections.push(("record", "The record", record(account)));
    sections
}

fn badge(ending: Ending) -> Markup {
    let (class, path) = match ending {
        Ending::Done => ("good", "M3 8.5 6.5 12 13 4.5"),
        Ending::Failed | Ending::Damaged => ("bad", "M4 4l8 8M12 4l-8 8"),
        Ending::Stopped => ("care", "M4.5 4.5h7v7h-7z"),
        Ending::InDoubt | Ending::Died => ("care", "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.6M8 12.8v.1"),
        Ending::Running => ("care", "M8 3v5l3 2"),
    };
    let word = ending.word();
    let first = word.get(..1).unwrap_or_default().to_uppercase();
    html! {
        span .badge.(class) {
            svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" { path d=(path) {} }
            (first) (word.get(1..).unwrap_or_default())
        }
    }
}

/// A line whose beginning up to the colon is its heading.
fn led(line: &Text) -> Markup {
    match line.as_str().split_once(": ") {
        Some((head, rest)) => html! { strong { (head) ":" } " " (prose(rest)) },
        None => prose(line.as_str()),
    }
}

/// A text in which names stand between backticks.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @for (n, part) in parts.iter().enumerate() {
            // the last one has no end if its number is odd
            @if n % 2 == 1 && n + 1 < parts.len() { code { (part) } } @else { @if n % 2 == 1 { "`" } (part) }
        }
    }
}

fn figure(title: &str, value: &str, more: &str) -> Markup {
    html! { div { dt { (title) } dd { (value) @if !more.is_empty() { small { (more) } } } } }
}

fn summary(account: &Account) -> Markup {
    let applied: usize = account.restored.iter().map(|restored| restored.applied.len()).sum();
    let before: usize = account.restored.iter().map(|restored| restored.skipped).sum();
    let before = if before > 0 { format!("{before} were applied before") } else { String::new() };
    let target = account.target_ms.map(|target| format!("target {}", promised(target))).unwrap_or_default();
    let name = if account.ending == Ending::Done { "Recovery time" } else { "Time so far" };
    html! {
        p .lead { @for said in account.summary() { (prose(said.as_str())) " " } }
        dl .figures {
            (figure(name, &seconds(account.times.total), &target))
            (figure("Changes", &account.changes.len().to_string(), &format!("{} found in force by a test", account.tested())))
            @if let Some(loss) = &account.loss {
                (figure("Work lost, at most", &loss.at_most.map_or_else(|| "not known".to_owned(), |most| promised(most * 1000)), ""))
            }
            @if applied > 0 { (figure("Log backups applied", &applied.to_string(), &before)) }
            @if account.grave().next().is_some() { (figure("Failures", &account.grave().count().to_string(), "that stopped the run")) }
        }
    }
}

fn time(account: &Account) -> Markup {
    let share = |ms: u64| if account.times.total == 0 { 0.0 } else { ms as f64 * 100.0 / account.times.total as f64 };
    html! {
        p { (account.duration()) }
        (picture::against_target(account))
        (scroll("times-caption", html! {
            table {
                caption #times-caption { "Where the time went" }
                thead { tr { th scope="col" { "What" } th .n scope="col" { "Time" } th .n scope="col" { "Share" } } }
                tbody {
                    @for (what, ms) in account.shares() {
                        tr { th scope="row" { (what) } td .n { (seconds(ms)) } td .n { (format!("{:.0} %", share(ms))) } }
                    }
                    tr { th scope="row" { "In all" } td .n { (seconds(account.times.total)) } td .n { "100 %" } }
                }
            }
        }))
        p .soft { "Working is reading, changing and waiting for servers. Waiting for people is from a question to its answer. Nothing ran: from a stop, a failure or a crash to the resume." }
    }
}

/// What is wider than the page scrolls alone; the keyboard reaches it.
fn scroll(labelled: &str, table: Markup) -> Markup {
    html! { div .scroll role="region" tabindex="0" aria-labelledby=(labelled) { (table) } }
}

fn clock(account: &Account, at: Timestamp) -> Markup {
    html! { time datetime=(format!("{at:.0}")) title=(utc(at)) { (account.clock(at)) } }
}

fn since(account: &Account, at: Timestamp) -> String {
    seconds(u64::try_from(at.duration_since(account.began).as_millis()).unwrap_or(0))
}

fn timeline(account: &Account) -> Markup {
    html! {
        (picture::timeline(account))
        (scroll("steps-caption", html! {
            table {
                caption #steps-caption { "Steps" }
                thead { tr {
                    th scope="col" { "Step" } th .n scope="col" { "Began after" } th .n scope="col" { "Took" } th .n scope="col" { "Reads" }
                    th .n scope="col" { "Changes" } th .n scope="col" { "Questions" } th .n scope="col" { "Failures" } th scope="col" { "End" }
                } }
                tbody {
                    @for step in &account.steps {
                        tr {
                            th scope="row" { (step.title()) } td .n { (seconds(step.began())) } td .n { (seconds(step.ms())) } td .n { (step.reads) }
                            td .n { (step.changes) } td .n { (step.questions) } td .n { (step.failures) } td .t { (step.stand.word()) }
                        }
                    }
                    @for (title, perhaps) in &account.ahead {
                        tr { th scope="row" { (title) } td colspan="6" .soft { (not_begun(account, *perhaps)) } td {} }
                    }
                }
            }
        }))
        details {
            summary { "Moment by moment" }
            (scroll("moments-caption", html! {
                table {
                    caption #moments-caption { "What happened, in the order of the record; times in UTC" }
                    thead { tr { th scope="col" { "Time" } th .n scope="col" { "After" } th scope="col" { "What" } th .w scope="col" { "Details" } } }
                    tbody { (moments(account)) }
                }
            }))
        }
    }
}

/// Of a step that the runbook's text has and the record does not.
pub(super) fn not_begun(account: &Account, perhaps: bool) -> &'static str {
    match (account.ending, perhaps) {
        (Ending::Done, _) => "was not needed",
        (_, true) => "not begun (it may not have to come)",
        (_, false) => "not begun",
    }
}

fn word(what: What) -> &'static str {
    match what {
        What::Step => "step",
        What::Reads(_) => "read",
        What::Change => "change",
        What::Failed => "failed",
        What::Asked => "asked",
        What::Answer => "answer",
        What::Choice => "choice",
        What::Note => "note",
        What::Warning => "warning",
        What::Signal => "signal",
        What::Resumed => "resumed",
        What::Differs => "differs",
        What::End => "end",
    }
}

fn moments(account: &Account) -> Markup {
    let groups = account.moments.chunk_by(|a, b| a.what == What::Change && b.what == What::Change);
    html! {
        @for group in groups {
            @if group.len() > IN_A_ROW {
                tr { td .t { (clock(account, group[0].at)) } td .n { (seconds(group[0].since)) } td { "change" } td .w { (plural(group.len(), "change")) ", listed below" } }
            } @else {
                @for moment in group {
                    tr {
                        td .t { (clock(account, moment.at)) } td .n { (seconds(moment.since)) } td .t { (word(moment.what)) }
                        td .w {
                            @match moment.what {
                                What::Reads(reads) => { (plural(reads, "read")) }
                                What::Step => { strong { (moment.text) } }
                                _ => { (moment.text.one_line().cut(STATEMENT)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changes(account: &Account) -> Markup {
    let groups = account.changes.chunk_by(|a, b| a.step == b.step);
    html! {
        @if account.changes.is_empty() { p { "Nothing was changed for certain." } }
        @for group in groups {
            h3 { (group[0].step.as_ref().map_or("Outside of the steps", Text::as_str)) }
            ol .plain { @for change in group { (one_change(account, change)) } }
        }
        @if !account.unsure.is_empty() {
            h3 { "Not known whether made" }
            ul .plain { @for unsure in &account.unsure { li { code { (unsure.what.one_line().cut(STATEMENT)) } " " span .tag.care { (unsure.why) } } } }
        }
    }
}

fn one_change(account: &Account, change: &Change) -> Markup {
    let class = if change.proof.is_tested() { "good" } else { "care" };
    html! {
        li .row {
            div { code { (change.what.one_line().cut(STATEMENT)) } @if let Some(server) = &change.server { div .soft { "on " (server) } } }
            div {
                span .tag.(class) { (change.proof.words()) @if !change.proof.is_tested() { ", no test" } }
                div .soft { (clock(account, change.at)) ", +" (since(account, change.at)) ", took " (seconds(change.ms)) }
            }
        }
    }
}

fn questions(account: &Account) -> Markup {
    html! { ol .plain { @for question in &account.questions { (one_question(account, question)) } } }
}

fn one_question(account: &Account, question: &Question) -> Markup {
    html! {
        li {
            p { strong { (question.text) } @if question.irreversible { " " span .tag.bad { "cannot be undone" } } }
            dl .pairs {
                dt { "Answer" }
                dd { @match &question.answer { Some(answer) => { strong { (answer) } } None => { span .tag.care { "nobody answered" } } } }
                dt { "By" } dd { (question.by) }
                dt { "Asked" } dd { (clock(account, question.at)) " UTC, waited " (seconds(question.waited_ms)) }
                @if let Some(typed) = &question.typed { dt { "Word to type" } dd { code { (typed) } } }
                @if !question.choices.is_empty() { dt { "Choices" } dd { @for (n, choice) in question.choices.iter().enumerate() { @if n > 0 { ", " } (choice) } } }
                @if let Some(id) = &question.id { dt { "Id" } dd { code { (id) } } }
                @if let Some(step) = &question.step { dt { "Step" } dd { (step) } }
                @if let Some(kind) = kind(question.kind) { dt { "Kind" } dd { (kind) } }
                @if let Some(instructions) = &question.instructions { dt { "Instructions" } dd { (instructions) } }
            }
            @if !question.shown.is_empty() {
                details { summary { "What was shown before the answer" } @for shown in &question.shown { (evidence(shown)) } }
            }
        }
    }
}

fn evidence(shown: &Evidence) -> Markup {
    let title = if shown.title.is_empty() { "shown" } else { shown.title.as_str() };
    html! {
        @if shown.columns.is_empty() {
            p .head { (title) }
            @if !shown.rows.is_empty() {
                dl .pairs { @for row in &shown.rows { dt { (row[0]) } dd { @for cell in &row[1..] { (cell) } } } }
            }
        } @else {
            div .scroll role="group" tabindex="0" aria-label=(title) {
                table {
                    caption { (title) }
                    thead { tr { @for column in &shown.columns { th scope="col" { (column) } } } }
                    tbody { @for row in &shown.rows { tr { @for cell in row { td { (cell) } } } } }
                }
            }
        }
        @for text in &shown.text { p { (text) } }
    }
}

/// What is not an ordinary question of the runbook.
pub(super) fn kind(kind: QuestionKind) -> Option<&'static str> {
    match kind {
        QuestionKind::Confirm | QuestionKind::Ask => None,
        QuestionKind::Manual => Some("done by hand"),
        QuestionKind::TooEarly => Some("the change was in force before it was made"),
        QuestionKind::InDoubt => Some("the record could not tell whether the change was made"),
    }
}

pub(super) fn left(failure: &Failure) -> Option<&'static str> {
    match failure.left {
        _ if !failure.changes => None,
        Left::Known => Some("what is known to be changed is all that is"),
        Left::Unknown => Some("it may be made in part"),
        Left::InDoubt => Some("it may be in force"),
    }
}

fn failures(account: &Account) -> Markup {
    let signals = account.moments.iter().filter(|moment| moment.what == What::Signal);
    let why = account.why.as_ref().filter(|_| account.ending != Ending::Done);
    html! {
        @if let Some(why) = why { p { strong { "What ended the run: " } (prose(why.as_str())) } }
        @if let (Some(help), Some(_)) = (&account.help, why) { p { strong { "What to do: " } (prose(help.as_str())) } }
        @if !account.failures.is_empty() { ol .plain { @for failure in &account.failures { (one_failure(account, failure)) } } }
        @if account.shifts.len() > 1 {
            h3 { "Begun and resumed" }
            ol .plain {
                @for (n, shift) in account.shifts.iter().enumerate() {
                    li {
                        (account.both(shift.at)) ": " (shift.words(n == 0))
                        @if !shift.differs.is_empty() || shift.cut > 0 {
                            ul .todo {
                                @for differs in &shift.differs { li { "differed: " (differs) } }
                                @if shift.cut > 0 { li { (plural(usize::try_from(shift.cut).unwrap_or(usize::MAX), "byte")) " of an unfinished line were cut" } }
                            }
                        }
                    }
                }
            }
        }
        @if signals.clone().next().is_some() {
            h3 { "Interruptions" }
            ul .plain { @for signal in signals { li { (clock(account, signal.at)) " UTC: " (signal.text) } } }
        }
    }
}

fn one_failure(account: &Account, failure: &Failure) -> Markup {
    let pairs: [(&str, Option<&Text>); 4] = [
        ("Means", failure.means.as_ref()),
        ("State", failure.state.as_ref()),
        ("What to do", failure.help.as_ref()),
        ("Code", failure.code.as_ref()),
    ];
    let grave = failure.fate != super::account::Fate::WentOn;
    html! {
        li {
            p {
                strong { (prose(failure.title.as_ref().unwrap_or(&failure.message).as_str())) } " "
                @if grave { span .tag.bad { "failed" } } @else { span .tag { "handled" } }
            }
            dl .pairs {
                dt { "What failed" } dd { code { (failure.what.one_line().cut(STATEMENT)) } @if let Some(server) = &failure.server { " on " (server) } }
                @if failure.title.is_some() { dt { "Message" } dd { (prose(failure.message.as_str())) } }
                @if let Some(number) = failure.number { dt { "Number" } dd { (number) } }
                @if !failure.said.is_empty() { dt { "It said" } dd { @for said in &failure.said { div { code { (said) } } } } }
                dt { "When" } dd { (clock(account, failure.at)) " UTC, +" (since(account, failure.at)) ", after " (seconds(failure.ms)) }
                @if let Some(left) = left(failure) { dt { "Left behind" } dd { (left) } }
                @for (name, text) in pairs { @if let Some(text) = text { dt { (name) } dd { (prose(text.as_str())) } } }
                dt { "Then" } dd { (failure.fate.words()) @if let Some(at) = failure.done_later { "; it came to a good end at " (clock(account, at)) " UTC" } }
                @if let Some(step) = &failure.step { dt { "Step" } dd { (step) } }
            }
        }
    }
}

fn notes(account: &Account) -> Markup {
    html! {
        ul .plain {
            @for weak in &account.weak { li { span .tag.care { "connection" } " " (weak) } }
            @for note in &account.notes {
                li {
                    @if note.level == Level::Warn { span .tag.care { "warning" } } @else { span .tag { "note" } }
                    " " (prose(note.text.as_str()))
                    div .soft { (clock(account, note.at)) " UTC" @if let Some(step) = &note.step { ", " (step) } }
                }
            }
        }
    }
}

fn files(account: &Account) -> Markup {
    html! {
        @for (n, copied) in account.copied.iter().enumerate() { (one_copy(n, copied)) }
        @for (n, restored) in account.restored.iter().enumerate() { (one_restore(n, restored)) }
    }
}

fn one_copy(n: usize, copied: &Copied) -> Markup {
    let id = format!("copy-{}", n + 1);
    html! {
        h3 { "Copied from " (copied.from) " to " (copied.to) }
        p { (plural(copied.files.len(), "file")) ", " (bytes(copied.bytes)) ", in " (seconds(copied.ms)) "; " (copied.skipped) " were there already." }
        @for (name, why) in &copied.left { p { "Left where it is: " code { (name) } ", " (why) "." } }
        @if !copied.files.is_empty() {
            details .long[copied.files.len() > PRINTED] {
                summary { "The " (plural(copied.files.len(), "file")) @if copied.files.len() > PRINTED { (UNPRINTED) } }
                (scroll(&id, html! {
                    table {
                        caption id=(id) { "Files copied to " (copied.to) @if let Some(step) = &copied.step { ", in the step: " (step) } }
                        thead { tr { th scope="col" { "File" } th .n scope="col" { "Bytes" } th .n scope="col" { "Seconds" } } }
                        tbody { @for file in &copied.files { tr { td { (file.name) } td .n { (file.bytes) } td .n { (format!("{:.3}", file.seconds)) } } } }
                    }
                }))
            }
        }
    }
}

fn one_restore(n: usize, restored: &Restored) -> Markup {
    let id = format!("restore-{}", n + 1);
    html! {
        h3 { "Applied" @if let Some(server) = &restored.server { " on " (server) } }
        p {
            (plural(restored.applied.len(), "log backup")) " in " (seconds(restored.ms)) "; " (restored.skipped) " were applied before. Roll forward stands at LSN " (restored.last_lsn) "."
        }
        @for (file, why) in &restored.of_no_use { p { "At hand, but of no use: " code { (file) } ", " (why) "." } }
        @if !restored.applied.is_empty() {
            details .long[restored.applied.len() > PRINTED] {
                summary { "The " (plural(restored.applied.len(), "log backup")) @if restored.applied.len() > PRINTED { (UNPRINTED) } }
                (scroll(&id, html! {
                    table {
                        caption id=(id) { "Log backups in the order of application" @if let Some(step) = &restored.step { ", in the step: " (step) } }
                        thead { tr {
                            th scope="col" { "File" } th .n scope="col" { "Bytes" } th .n scope="col" { "First LSN" } th .n scope="col" { "Last LSN" } th .n scope="col" { "Seconds" }
                        } }
                        tbody {
                            @for set in &restored.applied {
                                tr {
                                    td { (set.file) @if set.position > 1 { ", set " (set.position) } }
                                    td .n { @if let Some(bytes) = set.bytes { (bytes) } }
                                    td .n { (set.first_lsn) } td .n { (set.last_lsn) } td .n { (format!("{:.3}", set.seconds)) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

fn kept(account: &Account) -> Markup {
    html! {
        p {
            @match &account.folder {
                Some(folder) => { "In the folder of the record, " code { (folder) } ":" }
                None => { "They went away with the rehearsal; " code { "--keep DIR" } " keeps them." }
            }
        }
        ul .plain {
            @for kept in &account.kept {
                li {
                    code { (kept.name) } @if let Some(about) = &kept.about { ": " (about) }
                    dl .pairs {
                        @if let Some(command) = &kept.command { dt { "To run it" } dd { code { (command) } } }
                        @if let Some(leaves) = &kept.leaves { dt { "It does not undo" } dd { (leaves) } }
                        @if let Some(blake3) = &kept.blake3 { dt { "blake3" } dd { code { (blake3) } } }
                    }
                }
            }
        }
    }
}

fn record(account: &Account) -> Markup {
    let seal = &account.seal;
    html! {
        @if seal.problems.is_empty() {
            p { span .tag.good { "as it was written" } " " (plural(seal.lines, "line")) ", each with the digest of the one before, and every file that they name." }
        } @else {
            p { span .tag.bad { "not as it was written" } " " (plural(seal.lines, "line")) " can be believed." }
            ul .todo { @for problem in &seal.problems { li { (problem) } } }
        }
        dl .pairs {
            dt { "Run" } dd { code { (account.run) } }
            dt { "Folder" } dd { @match &account.folder { Some(folder) => { code { (folder) } } None => { "gone with the rehearsal, which was not kept" } } }
            dt { "Last digest" } dd { code { (seal.last) } }
            @if let Some(exit) = account.exit { dt { "Exit code" } dd { (exit) } }
            @for (n, shift) in account.shifts.iter().enumerate() { dt { (if n == 0 { "Begun" } else { "Resumed" }) } dd { (account.both(shift.at)) ", " (shift.words(n == 0)) } }
            @for server in &account.servers {
                dt { (server.key) } dd { (server.name) @if !server.name.is_empty() { ", " } "version " (server.version) @if !server.edition.is_empty() { ", " (server.edition) } }
            }
        }
        @if !account.sources.is_empty() {
            h3 { "What it was begun with" }
            dl .pairs { @for source in &account.sources { dt { (source.name) } dd { code { (source.blake3) } } } }
        }
        p .soft { "The digests are blake3. They show that nothing was changed since; they do not prove who wrote the record." }
    }
}
