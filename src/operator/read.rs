//! Lines from a terminal, with a way out: reading blocks, so a thread of its own reads and the asker waits beside a stop.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::error::NoAnswer;

/// How long a Ctrl-C may go unnoticed.
const POLL: Duration = Duration::from_millis(50);

type Open = Box<dyn FnOnce() -> Box<dyn BufRead> + Send>;

/// Reads a line when one is wanted and not before, so that a password asked elsewhere meanwhile is not taken for one.
pub(super) struct Lines {
    open: Option<Open>,
    reader: Option<(Sender<()>, Receiver<Option<String>>)>,
    /// A line was asked for and given up on; it is still being waited for.
    wanted: bool,
}

impl Lines {
    pub fn new(open: impl FnOnce() -> Box<dyn BufRead> + Send + 'static) -> Lines {
        Lines { open: Some(Box::new(open)), reader: None, wanted: false }
    }

    /// The next line without its end; no answer once the input ends, fails, or `stopped` becomes true.
    pub fn next(&mut self, stopped: &dyn Fn() -> bool) -> Result<String, NoAnswer> {
        if let Some(open) = self.open.take() {
            let (want, wanted) = channel();
            let (give, given) = channel();
            // Left behind in its read when the run ends; the process does not wait for it.
            thread::spawn(move || read(open(), &wanted, &give));
            self.reader = Some((want, given));
        }
        let Some((want, given)) = &self.reader else { return Err(NoAnswer::Closed) };
        if !self.wanted && want.send(()).is_err() {
            return Err(NoAnswer::Closed);
        }
        self.wanted = true;
        loop {
            match given.recv_timeout(POLL) {
                Ok(line) => {
                    self.wanted = false;
                    return line.ok_or(NoAnswer::Closed);
                }
                Err(RecvTimeoutError::Timeout) if stopped() => return Err(NoAnswer::Interrupted),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Closed),
            }
        }
    }
}

fn read(mut input: Box<dyn BufRead>, wanted: &Receiver<()>, give: &Sender<Option<String>>) {
    while wanted.recv().is_ok() {
        let mut line = Vec::new();
        let line = match input.read_until(b'\n', &mut line) {
            // What stands before an end of input without a line's end was not sent off by anyone.
            Ok(_) if line.ends_with(b"\n") => Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
            _ => None,
        };
        if give.send(line).is_err() {
            return;
        }
    }
}
