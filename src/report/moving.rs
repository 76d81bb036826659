//! The terminal as the moving line sees it: a little narrower than it is. A line that fills the window would be broken by
//! the `^C` that the terminal echoes behind it, and its first half would stay.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Columns that stay free at the right.
const FREE: u16 = 6;

/// Standard error, drawn on by the progress bar.
#[derive(Debug)]
struct Narrow;

/// How often the moving line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// A moving line, not shown yet.
pub(super) fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like_with_hz(Box::new(Narrow), 10));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.finish_and_clear();
    bar
}

/// Shows a moving line from its beginning, and keeps it moving.
pub(super) fn show(bar: &ProgressBar, text: String) {
    bar.reset();
    bar.set_message(text);
    bar.enable_steady_tick(TICK);
}

fn put(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}

impl indicatif::TermLike for Narrow {
    fn width(&self) -> u16 {
        terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0).saturating_sub(FREE).max(FREE)
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        if n > 0 { put(&format!("\x1b[{n}A")) } else { Ok(()) }
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        if n > 0 { put(&format!("\x1b[{n}B")) } else { Ok(()) }
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        if n > 0 { put(&format!("\x1b[{n}C")) } else { Ok(()) }
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        if n > 0 { put(&format!("\x1b[{n}D")) } else { Ok(()) }
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        put(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        put("\r\x1b[2K")
    }
    fn flush(&self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
