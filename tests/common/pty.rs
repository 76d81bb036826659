//! A terminal with the built program in it, and a person at it who reads the screen and presses keys. Every wait is for
//! something to happen, and bounded only so that a test that hangs says where.

use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::common::{CUTOVER, World, squeezed, start};

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";

/// Far beyond what the slowest machine needs.
pub const LIMIT: Duration = Duration::from_secs(90);

/// What was drawn so far.
#[derive(Default)]
struct Screen {
    drawn: Vec<u8>,
    /// nothing more comes
    ended: bool,
    /// whoever reads it is to let go of the terminal
    leave: bool,
}

/// A program in a terminal of its own.
pub struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    columns: u16,
    reader: std::thread::JoinHandle<()>,
    /// how much of the squeezed screen was waited for
    read: usize,
}

/// How it ended.
pub struct Left {
    pub code: u32,
    /// the screen, words only
    pub said: String,
    /// the screen as it is seen, and all that has moved out of it at its top; lines that the window itself has broken are whole
    pub page: String,
}

impl Left {
    #[track_caller]
    pub fn exits(self, code: u32) -> Self {
        assert_eq!(self.code, code, "{}", self.said);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.said.contains(words), "not said: {words}\n{}", self.said);
        self
    }

    #[track_caller]
    pub fn says_not(self, words: &str) -> Self {
        assert!(!self.said.contains(words), "said: {words}\n{}", self.said);
        self
    }
}

impl Terminal {
    /// Starts the program as [`World::cutover`] does, in a terminal of that many columns.
    pub fn open(world: &World, arguments: &str, columns: u16) -> Self {
        let mut command = CommandBuilder::new(CUTOVER);
        command.args(world.arguments(arguments));
        command.cwd(world.path(""));
        command.env("XDG_STATE_HOME", world.path("state"));
        command.env("NO_COLOR", "1");
        command.env("TERM", "xterm");
        command.env_remove("CUTOVER_LOG");
        let size = PtySize { rows: 50, cols: columns, pixel_width: 0, pixel_height: 0 };
        let (master, child) = start(|| {
            let pair = native_pty_system().openpty(size).unwrap();
            let child = pair.slave.spawn_command(command).unwrap();
            (pair.master, child)
        });
        let screen = Arc::<(Mutex<Screen>, Condvar)>::default();
        let (drawn, mut output) = (Arc::clone(&screen), master.try_clone_reader().unwrap());
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let n = output.read(&mut chunk).unwrap_or(0);
                let mut screen = drawn.0.lock().unwrap_or_else(PoisonError::into_inner);
                screen.drawn.extend_from_slice(&chunk[..n]);
                screen.ended = n == 0;
                drawn.1.notify_all();
                if n == 0 || screen.leave {
                    return;
                }
            }
        });
        let keys = master.take_writer().unwrap();
        Self { child, master, keys, screen, columns, reader, read: 0 }
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits until these words stand on the screen, after those that were waited for before.
    #[track_caller]
    pub fn shows(&mut self, words: &str) -> &mut Self {
        let began = Instant::now();
        let (screen, changed) = &*self.screen;
        let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = squeezed(&plain(&screen.drawn));
            let unread = text.get(self.read..).unwrap_or_default();
            if let Some(at) = unread.find(words) {
                self.read += at + words.len();
                drop(screen);
                return self;
            }
            assert!(!screen.ended && began.elapsed() < LIMIT, "not shown: {words}\nafter: …{}\nin:\n{text}", unread);
            screen = changed.wait_timeout(screen, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The screen as it is seen now, and all that has moved out of it.
    pub fn page(&self) -> String {
        page(&self.screen.0.lock().unwrap_or_else(PoisonError::into_inner).drawn, self.columns)
    }

    /// Answers each question with what is made of the page that asks it, until the program ends.
    #[track_caller]
    pub fn answers(mut self, answer: impl Fn(&str) -> String) -> Self {
        let began = Instant::now();
        let mut seen = 0;
        loop {
            let (screen, changed) = &*self.screen;
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            while screen.drawn.len() == seen && !screen.ended {
                screen = changed.wait_timeout(screen, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
                assert!(began.elapsed() < LIMIT, "it neither asks nor ends:\n{}", page(&screen.drawn, self.columns));
            }
            if screen.ended {
                drop(screen);
                return self;
            }
            seen = screen.drawn.len();
            // the cursor stands behind it
            let asks = screen.drawn.ends_with(b"\n> ") || screen.drawn.ends_with(b"?] ");
            let page = page(&screen.drawn, self.columns);
            drop(screen);
            if asks {
                self.types(&format!("{}\r", answer(&page)));
            }
        }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// Sends a signal to the program alone, such as `TERM`.
    pub fn signal(&mut self, name: &str) -> &mut Self {
        let pid = self.pid().to_string();
        assert!(start(|| std::process::Command::new("kill").args(["-s", name, &pid]).status()).unwrap().success());
        self
    }

    /// Waits for the end of the program and of what it draws.
    #[track_caller]
    pub fn ends(mut self) -> Left {
        let code = self.code();
        // whoever still has the terminal open would keep the screen from ending
        self.reader.join().unwrap();
        let screen = self.screen.0.lock().unwrap_or_else(PoisonError::into_inner);
        Left { code, said: squeezed(&plain(&screen.drawn)), page: page(&screen.drawn, self.columns) }
    }

    /// Closes the window: the program is told so by the system, and has no terminal any more.
    pub fn closes(mut self) -> Closed {
        self.screen.0.lock().unwrap_or_else(PoisonError::into_inner).leave = true;
        // the echo of a key ends the reader's wait, and with that its hold on the terminal
        self.types(" ");
        let Self { child, master, keys, reader, .. } = self;
        reader.join().unwrap();
        drop((keys, master));
        Closed(child)
    }

    #[track_caller]
    fn code(&mut self) -> u32 {
        let code = code(&mut *self.child);
        if code == u32::MAX {
            let screen = self.screen.0.lock().unwrap_or_else(PoisonError::into_inner);
            panic!("it does not end:\n{}", squeezed(&plain(&screen.drawn)));
        }
        code
    }
}

/// A program whose terminal is gone.
pub struct Closed(Box<dyn portable_pty::Child + Send + Sync>);

impl Closed {
    /// Waits for its end.
    #[track_caller]
    pub fn exits(mut self, expected: u32) {
        assert_eq!(code(&mut *self.0), expected);
    }
}

/// The exit code; the greatest number if it does not end.
fn code(child: &mut (dyn portable_pty::Child + Send + Sync)) -> u32 {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.exit_code();
        }
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            return u32::MAX;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What was drawn, without what moves the cursor; a line that is drawn anew stands below itself.
fn plain(drawn: &[u8]) -> String {
    let text = String::from_utf8_lossy(drawn);
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                // a sequence ends with a letter
                let _ = chars.by_ref().find(|c| c.is_ascii_alphabetic());
            }
            '\r' => out.push('\n'),
            c => out.push(c),
        }
    }
    out
}

/// What a terminal shows after all that was drawn on it; as tall as need be, as nothing here draws from the top.
fn page(drawn: &[u8], columns: u16) -> String {
    let mut terminal = vt100::Parser::new(4000.try_into().unwrap(), columns.try_into().unwrap(), 0);
    terminal.process(drawn);
    let screen = terminal.screen();
    let mut page = String::new();
    for (n, row) in screen.rows(0, columns).enumerate() {
        if screen.row_wrapped(n as u16) {
            page.push_str(&row);
        } else {
            page.push_str(row.trim_end());
            page.push('\n');
        }
    }
    page.trim_end().to_owned()
}
