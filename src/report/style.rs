//! How wide, and whether in colour.

use std::io::IsTerminal;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ThemeStyles};

/// What standard error can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
    /// columns
    pub width: usize,
    /// a person may be looking: lines may be redrawn
    pub live: bool,
}

impl Style {
    /// No colour and 100 columns, whatever the terminal.
    pub const PLAIN: Self = Self { colour: false, width: 100, live: false };

    /// As standard error is: redrawn only at a terminal that can, colour as the environment wants it.
    pub fn of_stderr() -> Self {
        let at_terminal = std::io::stderr().is_terminal();
        let live = at_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = wants_colour(live, |name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        if !at_terminal {
            return Self { colour, ..Self::PLAIN };
        }
        let width = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| width.0);
        Self { colour, width: width.map_or(80, usize::from).clamp(40, 200), live }
    }

    /// A diagnostic drawn on its source text.
    pub fn render(&self, diagnostic: &dyn Diagnostic) -> String {
        let theme = GraphicalTheme {
            characters: miette::ThemeCharacters::unicode(),
            styles: if self.colour { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(self.width).with_links(false).with_context_lines(1);
        if handler.render_report(&mut text, diagnostic).is_err() {
            text = diagnostic.to_string();
        }
        text
    }

    /// Text broken to the width.
    pub fn wrapped(&self, text: &str) -> String {
        super::human::wrap(text, "", self.width)
    }

    /// Text between an ANSI code and its reset, if there is colour.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `NO_COLOR` first (no-color.org), then `CLICOLOR_FORCE`, then `CLICOLOR` (bixense.com/clicolors), then the terminal.
fn wants_colour(live: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_on = |name| variable(name).map(|value| value != "0");
    match (variable("NO_COLOR"), is_on("CLICOLOR_FORCE"), is_on("CLICOLOR")) {
        (Some(_), ..) => false,
        (None, Some(true), _) => true,
        (None, _, Some(false)) => false,
        _ => live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_what_the_environment_wants() {
        let wants = |live, set: &[(&str, &str)]| {
            wants_colour(live, |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(wants(true, &[]) && !wants(false, &[]));
        assert!(!wants(true, &[("NO_COLOR", "1")]) && !wants(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(wants(false, &[("CLICOLOR_FORCE", "1")]) && !wants(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!wants(true, &[("CLICOLOR", "0")]) && wants(true, &[("CLICOLOR", "1")]) && !wants(false, &[("CLICOLOR", "1")]));
    }
}
