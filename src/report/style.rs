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

    /// As standard error is: colour only at a terminal and without `NO_COLOR`.
    pub fn of_stderr() -> Self {
        let live = std::io::stderr().is_terminal();
        if !live {
            return Self::PLAIN;
        }
        let width = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| width.0);
        let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
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

    /// Text between an ANSI code and its reset, if there is colour.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
