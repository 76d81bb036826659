//! Why a question stayed without an answer. Each ends the run cleanly (exit 3), before the change that was asked about.

use miette::Diagnostic;
use thiserror::Error;

/// Nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
pub enum NoAnswer {
    /// A stop was asked for (Ctrl-C) while the question was open.
    #[error("interrupted while the question was open")]
    #[diagnostic(code(cutover::operator::interrupted), help("resume the run when you are ready: the question is asked again"))]
    Interrupted,

    /// Standard input is no terminal, and `--yes` was not given.
    #[error("there is no terminal to ask at")]
    #[diagnostic(
        code(cutover::operator::no_terminal),
        help("run or resume it at a terminal, or with `--yes`, and `--approve ID` for what cannot be undone")
    )]
    NoTerminal,

    /// The terminal went away, or its end-of-file key was pressed.
    #[error("the terminal was closed before an answer came")]
    #[diagnostic(code(cutover::operator::closed), help("resume the run at a terminal: the question is asked again"))]
    Closed,

    /// What was answered beforehand does not answer the question.
    #[error("`{said}`, which {by} answers to `{id}`, is none of its answers")]
    #[diagnostic(code(cutover::operator::not_an_answer), help("answer {wanted}"))]
    NotAnAnswer { id: String, said: String, by: String, wanted: String },

    /// `--yes` alone does not do what cannot be undone.
    #[error("{} cannot be undone, and `--yes` alone does not approve it", id.as_ref().map_or("a step without an id".to_owned(), |id| format!("`{id}`")))]
    #[diagnostic(
        code(cutover::operator::not_approved),
        help("look at the evidence in the record, then resume it at a terminal or with `--approve` and the question's id")
    )]
    NotApproved { id: Option<String> },

    /// `--yes` takes defaults, and there is none.
    #[error("`{question}` has no default that `--yes` could take")]
    #[diagnostic(code(cutover::operator::no_default), help("resume it at a terminal, or give the `ask` a `default` in the runbook"))]
    NoDefault { question: String },

    /// A step by hand needs a hand.
    #[error("`{title}` has to be done by hand")]
    #[diagnostic(code(cutover::operator::by_hand), help("resume it at a terminal, and answer `done` when it is done"))]
    ByHand { title: String },

    /// Whether a change happened is for a person to find out.
    #[error("nobody is there to say whether it happened")]
    #[diagnostic(code(cutover::operator::in_doubt), help("look at the server, then resume the run at a terminal and answer"))]
    InDoubt,

    /// Somebody else made the change; `--yes` does not judge that.
    #[error("the change is already in force, and nobody is there to say whether that is right")]
    #[diagnostic(
        code(cutover::operator::too_early),
        help("find out who made the change, then resume it at a terminal, or write `already: \"accept\"` in the call")
    )]
    TooEarly,
}
