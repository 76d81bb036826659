//! `cutover explain`: what is meant by a rule of `cutover check`, a number of SQL Server, an error code of this program, a cmdlet
//! or an error id of the management shell.

use std::fmt::Write;

use clap::Args;

use super::codes::{self, CODES, Code};
use super::{CliError, exit};
use crate::check::{self, RULES, Rule, page};
use crate::facts::cmdlets::{self, CMDLETS, Class, Cmdlet, Kind, Parameter};
use crate::facts::errors::{self, ERRORS, ErrorFact};
use crate::facts::nearest;
use crate::facts::records::{self, RECORDS, RecordFact};
use crate::report::{self, Style};

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover explain\n  cutover explain 4305\n  cutover explain change-without-confirm\n  \
                  cutover explain cutover::sqlserver::gap\n  cutover explain no_room\n  cutover explain Set-CsPersistentChatState\n  \
                  cutover explain CommandNotFoundException")]
pub struct ExplainArgs {
    /// The number of an error of SQL Server, a rule's slug, an error code or its last part, a cmdlet, or an error id of the
    /// management shell; lists them all unless given.
    #[arg(value_name = "CODE", allow_negative_numbers = true)]
    pub name: Option<String>,
}

pub fn main(arguments: &ExplainArgs) -> Result<u8, CliError> {
    let style = Style::of_stdout_in_colour();
    let text = match &arguments.name {
        None => list(&style),
        Some(name) => page(name, &style).map_err(|help| CliError::NoSuchName { name: name.clone(), help })?,
    };
    report::data(text.trim_end());
    Ok(exit::DONE)
}

/// What a word names.
enum Topic {
    Number(&'static ErrorFact),
    Rule(&'static Rule),
    Code(&'static Code),
    Cmdlet(&'static Cmdlet),
    Record(&'static RecordFact),
}

/// Everything that a word names; several only where codes of several rooms end alike.
fn find(name: &str) -> Vec<Topic> {
    if let Ok(number) = name.parse() {
        return errors::find(number).map(Topic::Number).into_iter().collect();
    }
    if let Some(rule) = check::find(name) {
        return vec![Topic::Rule(rule)];
    }
    let codes = codes::find(name);
    if !codes.is_empty() {
        return codes.into_iter().map(Topic::Code).collect();
    }
    let shell = cmdlets::find(name).map(Topic::Cmdlet).or_else(|| records::find(name).map(Topic::Record));
    shell.into_iter().collect()
}

/// The page of a word, or what to do for want of one.
fn page(name: &str, style: &Style) -> Result<String, String> {
    match find(name).as_slice() {
        [topic] => Ok(match topic {
            Topic::Number(fact) => of_number(fact, style),
            Topic::Rule(rule) => of_rule(rule, style),
            Topic::Code(code) => of_code(code, style),
            Topic::Cmdlet(cmdlet) => of_cmdlet(cmdlet, style),
            Topic::Record(record) => of_record(record, style),
        }),
        [] if name.parse::<i64>().is_ok() => {
            Err("only numbers that a failover meets are known; look it up in sys.messages of the server".to_owned())
        }
        [] => {
            let words = RULES.iter().map(|rule| rule.slug).chain(CODES.iter().flat_map(|code| [code.name(), code.short(), code.code]));
            let words = words.chain(CMDLETS.iter().map(|cmdlet| cmdlet.name)).chain(RECORDS.iter().map(|record| record.id));
            let meant = nearest(name, words).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            Err(format!("{meant}`cutover explain` lists what can be explained"))
        }
        several => {
            let codes = several.iter().filter_map(|topic| match topic {
                Topic::Code(code) => Some(format!("`{}`", code.short())),
                _ => None,
            });
            Err(format!("name one of {}", codes.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// Everything that can be explained, a line each.
fn list(style: &Style) -> String {
    let mut text = String::new();
    let mut part = |title: &str, lines: Vec<(String, String)>| {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}", style.paint("1", title));
        let wide = lines.iter().map(|(head, _)| head.len()).max().unwrap_or(0);
        for (head, words) in lines {
            let _ = writeln!(text, "{}", style.wrapped_under(&words, &format!("{head:wide$}  ")));
        }
    };
    part(
        "Rules of `cutover check`",
        RULES.iter().map(|rule| (format!("{:28}  {:7}", rule.slug, rule.severity.word()), page::summary(rule))).collect(),
    );
    part("Error codes", CODES.iter().map(|code| (code.short().to_owned(), first_sentence(code.means).to_owned())).collect());
    part("Errors and messages of SQL Server", ERRORS.iter().map(|fact| (format!("{:>6}", fact.number), fact.meaning.to_owned())).collect());
    part("Cmdlets", CMDLETS.iter().map(|cmdlet| (cmdlet.name.to_owned(), class_in_words(cmdlet.class).to_owned())).collect());
    part("Error ids of the management shell", RECORDS.iter().map(|record| (record.id.to_owned(), record.meaning.to_owned())).collect());
    text
}

fn first_sentence(text: &str) -> &str {
    text.split_inclusive(". ").next().unwrap_or_default().trim_end()
}

/// A number with its severity, its meaning here and the next act.
fn of_number(fact: &ErrorFact, style: &Style) -> String {
    let kind = if fact.severity <= 10 { "message" } else { "error" };
    let head = style.paint("1", &format!("SQL Server {kind} {}, severity {}", fact.number, fact.severity));
    let mut text = format!("{head}\n\n{}\n", style.wrapped(fact.meaning));
    if !fact.act.is_empty() {
        let _ = writeln!(text, "\n{}", style.wrapped(fact.act));
    }
    text
}

/// A page with its headings in bold.
fn of_rule(rule: &Rule, style: &Style) -> String {
    let mut text = String::new();
    for (line, in_code) in page::lines(rule.page) {
        match line.starts_with('#') && !in_code {
            true => text.push_str(&style.paint("1", line)),
            false => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn of_code(code: &Code, style: &Style) -> String {
    let mut text = format!("{}\n", style.paint("1", code.code));
    for message in code.messages {
        let _ = writeln!(text, "\n{}", style.wrapped_under(message, "  "));
    }
    let _ = writeln!(text, "\n{}\n", style.wrapped(code.means));
    let mut line = |head: &str, words: &str| {
        let _ = writeln!(text, "{}", style.wrapped_under(words, &format!("{head:12}")));
    };
    for help in code.help {
        line("what to do", help);
    }
    if let Some((place, exits)) = code.place() {
        line("where", place);
        let meant = |code: &u8| exit::TABLE.iter().find(|(known, _)| known == code).map(|(code, means)| format!("{code} ({means})"));
        line("exit code", &exits.iter().filter_map(meant).collect::<Vec<_>>().join(", or "));
    }
    let related: Vec<String> = quoted(code.means)
        .filter(|word| matches!(find(word).as_slice(), [topic] if !matches!(topic, Topic::Code(same) if same.code == code.code)))
        .map(|word| format!("cutover explain {word}"))
        .collect();
    if !related.is_empty() {
        line("see also", &related.join(", "));
    }
    text
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn of_record(record: &RecordFact, style: &Style) -> String {
    let head = style.paint("1", &format!("error id {} of the management shell", record.id));
    format!("{head}\n\n{}\n\n{}\n", style.wrapped(record.meaning), style.wrapped_under(record.act, "what to do  "))
}

fn of_cmdlet(cmdlet: &Cmdlet, style: &Style) -> String {
    let mut text = format!("{}: {}\n", style.paint("1", cmdlet.name), class_in_words(cmdlet.class));
    if cmdlet.prompts {
        text.push_str("\nIt asks before it acts: give `Confirm: false`, after a `confirm` of your own.\n");
    }
    for set in cmdlet.sets {
        let name = if cmdlet.sets.len() > 1 { format!(" of the set {set}") } else { String::new() };
        let _ = writeln!(text, "\nparameters{name}:");
        for parameter in cmdlet.parameters.iter().filter(|parameter| parameter.belongs_to(set)) {
            let mandatory = if parameter.is_mandatory_in(set) { ", mandatory" } else { "" };
            let words = format!("{}{mandatory}", kind_in_words(parameter));
            let _ = writeln!(text, "{}", style.wrapped_under(&words, &format!("  {:24}", parameter.name)));
        }
    }
    let more = [("-Confirm and -WhatIf", cmdlet.should_process), ("-Force", cmdlet.force)];
    let more: Vec<&str> = more.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    if !more.is_empty() {
        let _ = writeln!(text, "\nbesides: {}", more.join(", "));
    }
    text
}

fn class_in_words(class: Class) -> &'static str {
    match class {
        Class::Reads => "reads",
        Class::Changes => "changes",
    }
}

fn kind_in_words(parameter: &Parameter) -> String {
    match parameter.kind {
        Kind::Text => "text".to_owned(),
        Kind::TextList => "a list of text".to_owned(),
        Kind::Fqdn => "a fully qualified domain name".to_owned(),
        Kind::Enum(names) => format!("one of {}", names.join(", ")),
        Kind::Switch => "a switch: true".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Integer => "a whole number".to_owned(),
        Kind::ListModifier => "a list, or `#{ Add: … }`, `#{ Remove: … }`, `#{ Replace: … }`".to_owned(),
        Kind::Hashtable => "a map".to_owned(),
        Kind::TimeSpan => "a time span, such as `00:10:00`".to_owned(),
        Kind::DateTime => "a time, such as `2026-01-02T03:04:05`".to_owned(),
        Kind::Object => "an object of the shell, which cannot be sent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_list_has_a_page_and_every_page_names_what_exists() {
        let words = RULES.iter().map(|rule| rule.slug.to_owned()).chain(CODES.iter().map(|code| code.code.to_owned()));
        let words = words.chain(ERRORS.iter().map(|fact| fact.number.to_string())).chain(CMDLETS.iter().map(|c| c.name.to_owned()));
        let list = list(&Style::PLAIN);
        for word in words.chain(RECORDS.iter().map(|record| record.id.to_owned())) {
            let page = page(&word, &Style::PLAIN).unwrap_or_else(|help| panic!("{word}: {help}"));
            assert!(page.trim().lines().count() > 1, "{word}: {page}");
            assert!(list.contains(word.trim_start_matches("cutover::")), "{word} is not listed");
        }
        for code in CODES {
            for number in quoted(code.means).filter_map(|word| word.parse().ok()) {
                assert!(errors::find(number).is_some(), "{}: {number}", code.code);
            }
        }
    }

    #[test]
    fn a_page_says_what_it_means_what_to_do_and_how_the_program_exits() {
        insta::assert_snapshot!(page("sqlserver::login", &Style::PLAIN).expect("a page"), @r"
        cutover::sqlserver::login

          `<server>` refused the login of `<user>` with error <number>

        The server refused the login, most often with `18456` or `4060`. It is never tried again by itself:
        accounts lock. Nothing was changed.

        what to do  Check user and password once; do not repeat it: the account may lock.
        where       in a run, at a call that reaches a SQL Server
        exit code   1 (the run failed, or `check` found something), or 4 (in doubt: something may have
                    happened that the record cannot tell)
        see also    cutover explain 18456, cutover explain 4060
        ");
        insta::assert_snapshot!(page("no_room", &Style::PLAIN).expect("a page"), @r"
        cutover::backups::no_room

          `<folder>` has <free> free, and <needed> are to be copied; nothing was copied

        Found before the first byte: all that is to be copied does not fit. Nothing was copied, and what is
        there is as it was.

        what to do  make room on the destination, copy to another volume, or restore straight from the share
                    if the SQL Server can read it
        where       in a run, where backup files are listed or copied
        exit code   1 (the run failed, or `check` found something)
        ");
    }

    #[test]
    fn what_is_not_known_says_what_was_meant() {
        let help = |word: &str| page(word, &Style::PLAIN).expect_err("no page");
        assert_eq!(help("no_romm"), "did you mean `no_room`? `cutover explain` lists what can be explained");
        assert_eq!(help("change-witout-confirm"), "did you mean `change-without-confirm`? `cutover explain` lists what can be explained");
        assert_eq!(
            help("Set-CsPersistentChatStat"),
            "did you mean `Set-CsPersistentChatState`? `cutover explain` lists what can be explained"
        );
        assert_eq!(help("folder"), "name one of `cli::folder`, `journal::folder`, `lab::folder`");
        assert!(help("99999").starts_with("only numbers that a failover meets"));
    }
}
