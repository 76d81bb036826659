//! The lines at the end of the screen that are drawn anew, below everything that stays. Each drawing is one write, so that
//! nothing flickers, and knows how many rows the last one takes in a window that was resized meanwhile.

use std::io::{self, Write};

use textwrap::core::display_width;

/// Columns that stay free at the right of the last line: the terminal echoes `^C` there.
const FREE: usize = 6;

/// What is drawn now.
#[derive(Debug, Default)]
pub(super) struct Frame {
    lines: Vec<String>,
    /// of the window when it was drawn
    columns: usize,
}

impl Frame {
    /// Columns and rows of the window.
    pub(super) fn window() -> (usize, usize) {
        terminal_size::terminal_size_of(io::stderr()).map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()))
    }

    /// How wide lines may be.
    pub(super) fn room(columns: usize) -> usize {
        columns.saturating_sub(FREE).max(1)
    }

    /// Takes the lines away, writes what stays, and draws these instead.
    pub(super) fn draw(&mut self, stays: &str, lines: Vec<String>, columns: usize) {
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
