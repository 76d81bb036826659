//! The only room that prints (the operator room draws its questions itself). People read standard error, programs read
//! standard output; what is printed comes from the events of a run and from diagnostics, nothing else.

pub mod account;
pub mod check;
pub mod html;
pub mod human;
pub mod json;
pub mod markdown;
mod moving;
mod picture;
pub mod rehearsals;
pub mod runs;
mod style;

pub use style::Style;

use std::io::Write;

use miette::Diagnostic;

/// One line, or several, to the people.
pub fn talk(text: &str) {
    let mut err = std::io::stderr().lock();
    // nobody is left to tell when standard error is gone
    let _ = writeln!(err, "{text}");
}

/// Data to whoever reads standard output; false when the reader is gone.
pub fn data(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// An error with its text, labels and help.
pub fn error(diagnostic: &dyn Diagnostic, style: &Style) {
    talk(style.render(diagnostic).trim_end());
}

/// As [`error`], with more words on it above the help: a title and a text each.
pub fn explained(diagnostic: &dyn Diagnostic, words: &[(&str, String)], style: &Style) {
    talk(style.render_explained(diagnostic, words).trim_end());
}
