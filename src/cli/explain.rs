//! `cutover explain`: the page of a rule of `cutover check`.

use clap::Args;

use super::{CliError, exit};
use crate::check::{self, RULES, Rule, page};
use crate::report::{self, Style};
use crate::script::nearest;

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover explain\n  cutover explain change-without-confirm")]
pub struct ExplainArgs {
    /// A rule's slug, as `cutover check` shows it; lists all of them unless given.
    pub slug: Option<String>,
}

pub fn main(arguments: &ExplainArgs) -> Result<u8, CliError> {
    let style = Style::of_stdout_in_colour();
    let text = match &arguments.slug {
        None => list(&style),
        Some(slug) => match check::find(slug) {
            Some(rule) => readable(rule, &style),
            None => {
                let help = match nearest(slug, RULES.iter().map(|rule| rule.slug)) {
                    Some(near) => format!("did you mean `{near}`? `cutover explain` lists the rules"),
                    None => "`cutover explain` lists the rules".to_owned(),
                };
                return Err(CliError::NoSuchName { name: slug.clone(), help });
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
