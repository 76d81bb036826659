//! The lines at the end of the screen that are drawn anew, below everything that stays. Each drawing is one write, so that
//! nothing flickers, and knows how many rows the last one takes in a window that was resized meanwhile.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use textwrap::core::display_width;

use super::Style;

/// What is shown at the end of the screen.
pub(super) trait Shown: Send + 'static {
    /// The lines as they are now: none wider than the style's width, at most `height` of them.
    fn lines(&self, style: &Style, height: usize, now: Instant) -> Vec<String>;
}

/// The end of a terminal's screen, which is drawn anew as time passes.
pub(super) struct Screen<S: Shown>(Arc<Mutex<State<S>>>);

struct State<S> {
    shown: S,
    /// false while a question or an error stands alone
    moves: bool,
    /// what stays on the screen and is not written yet
    stays: String,
    frame: Frame,
    style: Style,
    drawn: Instant,
}

/// The screen is drawn at most this often.
const TICK: Duration = Duration::from_millis(100);
/// Rows of the window that stay free for what was said.
const ABOVE: usize = 6;

impl<S: Shown> Screen<S> {
    /// A screen with nothing to see on it yet.
    pub(super) fn new(shown: S, style: Style) -> Self {
        let state = State { shown, moves: false, stays: String::new(), frame: Frame::default(), style, drawn: Instant::now() };
        let state = Arc::new(Mutex::new(state));
        let ticked = Arc::downgrade(&state);
        std::thread::spawn(move || tick(&ticked));
        Self(state)
    }

    fn state<R>(&self, act: impl FnOnce(&mut State<S>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is shown.
    pub(super) fn change(&self, change: impl FnOnce(&mut S)) {
        self.state(|state| change(&mut state.shown));
    }

    /// Shows it from now on.
    pub(super) fn show(&self) {
        self.state(|state| state.moves = true);
    }

    /// Says something that stays, above what moves.
    pub(super) fn say(&self, text: &str) {
        self.state(|state| {
            state.stays.push_str(text);
            state.stays.push('\n');
            if state.moves { state.draw() } else { state.draw_now() }
        });
    }

    /// What was said is written, and what moves is taken away until it is shown again.
    pub(super) fn rest(&self) {
        self.state(|state| {
            state.moves = false;
            state.draw_now();
        });
    }
}

impl<S: Shown> State<S> {
    /// Draws, unless that was just done: then the ticking does it.
    fn draw(&mut self) {
        if self.drawn.elapsed() >= TICK {
            self.draw_now();
        }
    }

    fn draw_now(&mut self) {
        let (columns, rows) = window();
        let style = Style { width: columns.saturating_sub(FREE).max(1), ..self.style };
        let lines = match self.moves {
            true => self.shown.lines(&style, rows.saturating_sub(ABOVE).clamp(3, 16), Instant::now()),
            false => Vec::new(),
        };
        self.drawn = Instant::now();
        self.frame.draw(&std::mem::take(&mut self.stays), lines, columns);
    }
}

/// Draws what is shown again and again, as long as there is a screen.
fn tick<S: Shown>(state: &Weak<Mutex<State<S>>>) {
    while let Some(state) = state.upgrade() {
        {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.moves {
                state.draw();
            }
        }
        drop(state);
        std::thread::sleep(TICK);
    }
}

/// Columns and rows of the window.
fn window() -> (usize, usize) {
    terminal_size::terminal_size_of(io::stderr()).map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()))
}

/// Columns that stay free at the right of the last line: the terminal echoes `^C` there.
const FREE: usize = 6;

/// What is drawn now.
#[derive(Debug, Default)]
struct Frame {
    lines: Vec<String>,
    /// of the window when it was drawn
    columns: usize,
}

impl Frame {
    /// Takes the lines away, writes what stays, and draws these instead.
    fn draw(&mut self, stays: &str, lines: Vec<String>, columns: usize) {
        if stays.is_empty() && lines == self.lines && columns == self.columns {
            return;
        }
        let text = self.text(stays, &lines, columns);
        self.lines = lines;
        self.columns = columns;
        let mut err = io::stderr().lock();
        // nobody is left to tell when standard error is gone
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    fn text(&self, stays: &str, lines: &[String], columns: usize) -> String {
        let mut text = String::new();
        if !self.lines.is_empty() {
            // a window that became narrower has broken them
            let rows: usize = self.lines.iter().map(|line| wide(line).div_ceil(columns.max(1)).max(1)).sum();
            if rows > 1 {
                text.push_str(&format!("\x1b[{}A", rows - 1));
            }
            text.push('\r');
            if columns != self.columns || lines.is_empty() || !stays.is_empty() {
                text.push_str("\x1b[J");
            }
        }
        text.push_str(stays);
        for (n, line) in lines.iter().enumerate() {
            text.push_str(line);
            text.push_str("\x1b[K");
            if n + 1 < lines.len() {
                text.push('\n');
            }
        }
        if !lines.is_empty() {
            text.push_str("\x1b[J");
        }
        text
    }
}

/// Columns that a line takes, ANSI codes not counted.
fn wide(line: &str) -> usize {
    display_width(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: usize, lines: &[&str]) -> Frame {
        Frame { lines: lines.iter().map(|line| (*line).to_owned()).collect(), columns }
    }

    #[test]
    fn the_last_drawing_is_overwritten_and_what_stays_is_written_above() {
        let next = ["one".to_owned(), "two".to_owned()];
        assert_eq!(Frame::default().text("", &next, 80), "one\x1b[K\ntwo\x1b[K\x1b[J");
        assert_eq!(drawn(80, &["a", "b", "c"]).text("", &next, 80), "\x1b[2A\rone\x1b[K\ntwo\x1b[K\x1b[J");
        assert_eq!(drawn(80, &["a", "b"]).text("stays\n", &next, 80), "\x1b[1A\r\x1b[Jstays\none\x1b[K\ntwo\x1b[K\x1b[J");
        assert_eq!(drawn(80, &["a", "b"]).text("", &[], 80), "\x1b[1A\r\x1b[J");
    }

    #[test]
    fn lines_that_a_narrower_window_has_broken_are_taken_away_whole() {
        let line = format!("\x1b[32m{}\x1b[0m", "x".repeat(70));
        assert_eq!(drawn(80, &[&line, "b"]).text("", &["c".to_owned()], 30), "\x1b[3A\r\x1b[Jc\x1b[K\x1b[J");
    }
}
