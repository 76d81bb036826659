//! How wide, and whether in colour.

use std::io::IsTerminal;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ThemeStyles};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// of a run: its warnings, questions, failures and end
    Quiet,
    #[default]
    Usual,
    /// of a run also whole statements, all times, the reads of its tests, and what servers say besides
    Verbose,
}

/// What standard error can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
    /// columns
    pub width: usize,
    /// a person may be looking: lines may be redrawn
    pub live: bool,
    pub loudness: Loudness,
}

impl Style {
    /// No colour and 100 columns, whatever the terminal.
    pub const PLAIN: Self = Self { colour: false, width: 100, live: false, loudness: Loudness::Usual };

    /// As standard error is: redrawn only at a terminal that can, colour as the environment wants it.
    pub fn of_stderr() -> Self {
        let at_terminal = std::io::stderr().is_terminal();
        let live = at_terminal && takes_codes();
        let colour = wants_colour(live, |name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        if !at_terminal {
            return Self { colour, ..Self::PLAIN };
        }
        let width = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| width.0);
        Self { colour, width: width.map_or(80, usize::from).clamp(40, 200), live, ..Self::PLAIN }
    }

    /// As standard output is: data is never coloured, and at a terminal as wide as that.
    pub fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::PLAIN;
        }
        let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        Self { width: width.map_or(80, usize::from).clamp(40, 400), ..Self::PLAIN }
    }

    /// As standard output is where people read there what was found: colour as the environment wants it.
    pub fn of_stdout_in_colour() -> Self {
        let can = std::io::stdout().is_terminal() && takes_codes();
        let colour = wants_colour(can, |name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let width = Self::of_stdout().width.min(200);
        Self { colour, width, ..Self::PLAIN }
    }

    /// A diagnostic drawn on its source text.
    pub fn render(&self, diagnostic: &dyn Diagnostic) -> String {
        let theme = GraphicalTheme {
            characters: miette::ThemeCharacters::unicode(),
            styles: if self.colour { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(self.width)
            .with_links(false)
            .with_context_lines(1)
            .with_word_separator(textwrap::WordSeparator::AsciiSpace)
            .with_word_splitter(textwrap::WordSplitter::NoHyphenation);
        if handler.render_report(&mut text, diagnostic).is_err() {
            text = diagnostic.to_string();
        }
        self.fit(&text)
    }

    /// A diagnostic with more words on it, each under a title as `help` has it, then the help, and last the command that tells more.
    pub fn render_explained(&self, diagnostic: &dyn Diagnostic, words: &[(&str, String)], page: Option<String>) -> String {
        let mut text = self.render(&WithoutHelp(diagnostic));
        let words = words.iter().map(|(title, words)| (*title, words.clone()));
        let words = words.chain(diagnostic.help().map(|help| ("help", help.to_string()))).chain(page.map(|page| ("page", page)));
        // what is related has a help of its own
        if diagnostic.related().is_some() {
            text.push('\n');
        }
        for (title, words) in words {
            let titled = format!("{title:>6}:");
            // as wide and as painted as miette's own
            let first = format!("{} ", self.paint("36", &titled));
            let options = textwrap::Options::new(self.width.saturating_sub(2))
                .initial_indent(&first)
                .subsequent_indent("        ")
                .word_separator(textwrap::WordSeparator::AsciiSpace)
                .word_splitter(textwrap::WordSplitter::NoHyphenation);
            text.push_str(&textwrap::fill(&words, options));
            text.push('\n');
        }
        text
    }

    /// Text broken to the width.
    pub fn wrapped(&self, text: &str) -> String {
        super::human::wrap(text, "", self.width)
    }

    /// Text broken to the width, beside a head and in its own column.
    pub fn wrapped_under(&self, text: &str, head: &str) -> String {
        super::human::wrap_hanging(text, head, &" ".repeat(head.chars().count()), self.width)
    }

    /// Cuts the lines of source text that are wider than the screen: a runbook's line may be long, and broken anywhere it
    /// would hide the labels. What is marked stays.
    fn fit(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut room = self.width;
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            // miette's word before each of several; each stands on its own
            let line = line.strip_prefix("Error: ").or_else(|| line.strip_prefix("Advice: ")).unwrap_or(line);
            let plain = strip(line);
            let bare = plain.trim_start();
            if bare.starts_with("╭─") {
                let marks = lines[index..]
                    .iter()
                    .map(|line| strip(line))
                    .take_while(|line| !line.trim_start().starts_with('╰') || line.contains("╰── "));
                room = marks
                    .filter(|line| line.trim_start().starts_with('·'))
                    .map(|line| line.chars().count() + 1)
                    .fold(self.width, usize::max);
            }
            let numbered = bare.split_once(" │ ").is_some_and(|(number, _)| number.chars().all(|c| c.is_ascii_digit()));
            if numbered && plain.chars().count() > room {
                out.push_str(&cut(line, room - 1));
                out.push('…');
            } else {
                out.push_str(line);
            }
            out.push('\n');
        }
        out
    }

    /// Text between an ANSI code and its reset, if there is colour.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// True if the terminal takes ANSI codes: all but dumb ones do, and consoles of Windows once they are told to.
fn takes_codes() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb") && anstyle_query::windows::enable_ansi_colors().unwrap_or(true)
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

/// The help is drawn elsewhere.
struct WithoutHelp<'a>(&'a dyn Diagnostic);

impl std::fmt::Debug for WithoutHelp<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for WithoutHelp<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self.0, f)
    }
}

impl std::error::Error for WithoutHelp<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Diagnostic for WithoutHelp<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.0.code()
    }
    fn severity(&self) -> Option<miette::Severity> {
        self.0.severity()
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.0.labels()
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.0.related()
    }
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        self.0.diagnostic_source()
    }
}

/// A line without its ANSI codes.
fn strip(line: &str) -> String {
    let mut escaped = false;
    line.chars()
        .filter(|c| {
            let hidden = escaped || *c == '\x1b';
            escaped = if escaped { *c != 'm' } else { *c == '\x1b' };
            !hidden
        })
        .collect()
}

/// The first columns of a line, and all of its ANSI codes.
fn cut(line: &str, columns: usize) -> String {
    let (mut escaped, mut seen) = (false, 0);
    line.chars()
        .filter(|c| {
            let code = escaped || *c == '\x1b';
            escaped = if escaped { *c != 'm' } else { *c == '\x1b' };
            seen += usize::from(!code);
            code || seen <= columns
        })
        .collect()
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
