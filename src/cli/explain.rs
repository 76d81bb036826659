//! `cutover explain`: the page of a rule of `cutover check`, or what a number of SQL Server means in a failover.

use clap::Args;

use super::{CliError, exit};
use crate::check::{self, RULES, Rule, page};
use crate::facts::errors::{self, ErrorFact};
use crate::report::{self, Style};
use crate::script::nearest;

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover explain\n  cutover explain change-without-confirm\n  cutover explain 4305")]
pub struct ExplainArgs {
    /// A rule's slug, as `cutover check` shows it, or the number of an error of SQL Server; lists the rules unless given.
    #[arg(value_name = "SLUG|NUMBER", allow_negative_numbers = true)]
    pub name: Option<String>,
}

pub fn main(arguments: &ExplainArgs) -> Result<u8, CliError> {
    let style = Style::of_stdout_in_colour();
    let text = match &arguments.name {
        None => list(&style),
        Some(name) => match (check::find(name), name.parse()) {
            (Some(rule), _) => readable(rule, &style),
            (None, Ok(number)) => match errors::find(number) {
                Some(fact) => of_number(fact, &style),
                None => {
                    let help = "only numbers that a failover meets are known; look it up in sys.messages of the server".to_owned();
                    return Err(CliError::NoSuchName { name: name.clone(), help });
                }
            },
            (None, Err(_)) => {
                let help = match nearest(name, RULES.iter().map(|rule| rule.slug)) {
                    Some(near) => format!("did you mean `{near}`? `cutover explain` lists the rules"),
                    None => "`cutover explain` lists the rules".to_owned(),
                };
                return Err(CliError::NoSuchName { name: name.clone(), help });
            }
        },
    };
    report::data(text.trim_end());
    Ok(exit::DONE)
}

/// Every slug with its severity and the first sentence of its page.
fn list(style: &Style) -> String {
    let wide = RULES.iter().map(|rule| rule.slug.len()).max().unwrap_or(0);
    let mut text = String::new();
    for rule in RULES {
        let head = format!("{:wide$}  {:7}  ", rule.slug, rule.severity.word());
        text.push_str(&style.wrapped_under(&page::summary(rule), &head));
        text.push('\n');
    }
    text
}

/// A number with its severity, its meaning here and the next act.
fn of_number(fact: &ErrorFact, style: &Style) -> String {
    let kind = if fact.severity <= 10 { "message" } else { "error" };
    let head = style.paint("1", &format!("SQL Server {kind} {}, severity {}", fact.number, fact.severity));
    let mut text = format!("{head}\n\n{}\n", style.wrapped(fact.meaning));
    if !fact.act.is_empty() {
        text.push_str(&format!("\n{}\n", style.wrapped(fact.act)));
    }
    text
}

/// A page with its headings in bold.
fn readable(rule: &Rule, style: &Style) -> String {
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
