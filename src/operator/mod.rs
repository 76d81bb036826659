//! Who answers, and how a question is drawn at the terminal.

#[derive(Clone, Debug)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}
#[derive(Clone, Debug)]
pub struct Evidence {
    pub title: String,
    pub table: Option<Table>,
    pub text: Vec<String>,
}
#[derive(Clone, Debug)]
pub enum Question {
    Confirm { id: Option<String>, text: String, evidence: Vec<Evidence>, typed: Option<String>, irreversible: bool },
    Ask { id: Option<String>, text: String, choices: Vec<String>, default: Option<String>, evidence: Vec<Evidence> },
    Manual { id: Option<String>, title: String, instructions: String, evidence: Vec<Evidence> },
    TooEarly { text: String, evidence: Vec<Evidence> },
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Choice(String),
    Done,
    Accept,
    DoAnyway,
    Stop,
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("interrupted")]
    Interrupted,
}
pub struct Operator {}
impl Operator {
    pub fn ask(&self, _question: &Question, _stopped: &dyn Fn() -> bool) -> Result<(Answer, String), NoAnswer> {
        Err(NoAnswer::Interrupted)
    }
}
