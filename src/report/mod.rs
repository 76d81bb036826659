//! The only room that prints (the operator room draws its questions itself). People read standard error, programs read
//! standard output; what is printed comes from the events of a run and from diagnostics, nothing else.

pub mod account;
pub mod check;
pub mod doctor;
pub mod html;
pub mod human;
pub mod json;
mod live;
pub mod markdown;
mod moving;
mod picture;
pub mod rehearsals;
pub mod runs;
mod style;

pub use style::{Loudness, Style};

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// A word as a shell takes it.
pub fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./:\\,@+=".contains(c));
    if plain { text.to_owned() } else { format!("\"{text}\"") }
}

/// An error with its text, labels and help.
pub fn error(diagnostic: &dyn Diagnostic, style: &Style) {
    talk(style.render(diagnostic).trim_end());
}

/// As [`error`], with more words on it above the help, a title and a text each, and the command that tells more below it.
pub fn explained(diagnostic: &dyn Diagnostic, words: &[(&str, String)], page: Option<String>, style: &Style) {
    talk(style.render_explained(diagnostic, words, page).trim_end());
}

/// Lets through what comes at least so long after the last.
struct Seldom {
    apart: Duration,
    last: Mutex<Instant>,
}

impl Seldom {
    fn new(apart: Duration) -> Self {
        Self { apart, last: Mutex::new(Instant::now()) }
    }

    fn lets(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let lets = last.elapsed() >= self.apart;
        if lets {
            *last = Instant::now();
        }
        lets
    }
}
