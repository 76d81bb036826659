//! Who answers a question: a person at the terminal, or what was said on the command line. Called by `effect` alone; it
//! draws on standard error and reads standard input, and decides nothing about the run itself.

mod error;
mod read;
mod terminal;
mod unattended;

use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub use error::NoAnswer;
pub use terminal::{prompt, render};
pub use unattended::Policy;

/// Rows as text, in column order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    /// A row may be shorter than the columns; what is missing is drawn empty.
    pub rows: Vec<Vec<String>>,
}

/// Something to look at before answering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub title: String,
    pub table: Option<Table>,
    /// Paragraphs; drawn below the table, broken to the width.
    pub text: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Yes or no. With `typed`, yes is said by typing these words exactly.
    Confirm { id: Option<String>, text: String, evidence: Vec<Evidence>, typed: Option<String>, irreversible: bool },
    /// One of the choices.
    Ask { id: Option<String>, text: String, choices: Vec<String>, default: Option<String>, evidence: Vec<Evidence> },
    /// Something to do by hand.
    Manual { id: Option<String>, title: String, instructions: String, evidence: Vec<Evidence> },
    /// A change that is in force before we made it: accept it, make it anyway, or stop.
    TooEarly { text: String, evidence: Vec<Evidence> },
    /// A change that was begun and whose end nobody knows: it happened, do it again, or stop.
    InDoubt { text: String, evidence: Vec<Evidence> },
    /// The run failed, and why was drawn: try again, count a change as made by hand, or stop.
    Failed { change: bool, evidence: Vec<Evidence> },
    /// Why a change counts as made by hand.
    Reason,
    /// Whether to begin a step (`--step`).
    Step { title: String },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// As the question spells it.
    Choice(String),
    Done,
    Accept,
    /// Also: do it again.
    DoAnyway,
    Happened,
    Retry,
    ByHand,
    Text(String),
    Stop,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Terminal,
    Yes,
    /// With the id that was approved.
    Approve(String),
    /// A rehearsed scenario says what its operator answers.
    Scenario,
    /// `--answers FILE`.
    File(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Terminal => f.write_str("terminal"),
            By::Yes => f.write_str("--yes"),
            By::Approve(id) => write!(f, "--approve {id}"),
            By::Scenario => f.write_str("scenario"),
            By::File(path) => write!(f, "--answers {path}"),
        }
    }
}

/// Answers the questions of one run. Every question is drawn with its evidence, whoever answers it: what an unattended run
/// decided is to be read afterwards.
pub struct Operator {
    policy: Policy,
    lab: AtomicBool,
    /// none: nothing is drawn
    screen: Option<Mutex<Screen>>,
    /// none: there is nobody to ask
    lines: Option<Mutex<read::Lines>>,
}

/// Where questions are drawn.
struct Screen {
    output: Box<dyn Write + Send>,
    /// Asked for every question, because windows are resized.
    width: Box<dyn Fn() -> usize + Send>,
    colour: bool,
}

impl Operator {
    /// The process's own terminal, if standard input is one; questions go to standard error, in colour if that shows it.
    /// `aloud`: questions that nobody is asked are drawn too.
    pub fn new(policy: Policy, colour: bool, aloud: bool) -> Operator {
        let person = !policy.yes && io::stdin().is_terminal();
        let lines = person.then(|| Mutex::new(read::Lines::new(|| Box::new(BufReader::new(io::stdin())))));
        let screen =
            (person || aloud).then(|| Mutex::new(Screen { output: Box::new(io::stderr()), width: Box::new(terminal::width), colour }));
        Operator { lab: AtomicBool::new(policy.lab), policy, screen, lines }
    }

    /// Answers read from `input`, one a line, and questions drawn to `output` without colour: a terminal for tests.
    pub fn scripted(policy: Policy, input: impl BufRead + Send + 'static, output: impl Write + Send + 'static, width: usize) -> Operator {
        let lines = read::Lines::new(move || Box::new(input));
        let screen = Screen { output: Box::new(output), width: Box::new(move || width), colour: false };
        Operator { lab: AtomicBool::new(policy.lab), policy, screen: Some(Mutex::new(screen)), lines: Some(Mutex::new(lines)) }
    }

    /// Nobody to ask but the policy, and nothing drawn.
    pub fn unattended(policy: Policy) -> Operator {
        Operator { lab: AtomicBool::new(policy.lab), policy, screen: None, lines: None }
    }

    /// Says whether the servers proved to be a lab, which a site file's mark alone does not.
    pub fn set_lab(&self, lab: bool) {
        self.lab.store(lab, Ordering::Relaxed);
    }

    /// True if a person wants to be asked before every step.
    pub fn asks_steps(&self) -> bool {
        self.policy.step
    }

    /// True if there is a person to ask.
    pub fn attended(&self) -> bool {
        !self.policy.yes && self.lines.is_some()
    }

    /// Asks, and waits for the answer as long as `stopped` stays false. A person is told the titles of the steps to come.
    ///
    /// # Errors
    /// Nobody may or can answer; the run stops before the change that was asked about.
    pub fn ask(&self, question: &Question, to_come: &[String], stopped: &dyn Fn() -> bool) -> Result<(Answer, By), NoAnswer> {
        if stopped() {
            return Err(NoAnswer::Interrupted);
        }
        let mut screen = self.screen.as_ref().map(|screen| screen.lock().unwrap_or_else(PoisonError::into_inner));
        let given = unattended::given(question, &self.policy).transpose();
        let (Some(screen), Some(lines), None, false) = (&mut screen, &self.lines, &given, self.policy.yes) else {
            if let Some(screen) = &mut screen {
                // nobody is asked, so that nobody looks is no reason to stop
                let _ = screen.question(question);
            }
            return given.unwrap_or_else(|| unattended::answer(question, &self.policy, self.lab.load(Ordering::Relaxed)));
        };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((screen.ask(question, to_come, &mut lines, stopped)?, By::Terminal))
    }
}

impl Screen {
    fn question(&mut self, question: &Question) -> Result<(), NoAnswer> {
        let width = (self.width)();
        self.say(&format!("\n{}", render(question, width, self.colour)))
    }

    fn ask(
        &mut self,
        question: &Question,
        to_come: &[String],
        lines: &mut read::Lines,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Answer, NoAnswer> {
        let width = (self.width)();
        self.question(question)?;
        self.say(&terminal::steps_to_come(question, to_come, width, self.colour))?;
        loop {
            self.say(&prompt(question, width, self.colour))?;
            let line = match lines.next(stopped) {
                Ok(line) => line,
                Err(why) => {
                    // The cursor stands behind the prompt.
                    self.say("\n")?;
                    return Err(why);
                }
            };
            match terminal::understand(question, &line) {
                terminal::Heard::Answer(answer) => return Ok(answer),
                terminal::Heard::Again(text) => self.say(&terminal::paragraph(&text, width))?,
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), NoAnswer> {
        // A terminal that cannot be drawn on has not shown the question, so nothing read from it is an answer.
        self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush()).map_err(|_| NoAnswer::Closed)
    }
}

#[cfg(test)]
mod tests;
