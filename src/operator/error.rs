//! Why a question stayed without an answer. Each ends the run cleanly (exit 3), before the change that was asked about.

use miette::Diagnostic;
use thiserror::Error;

/// Nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
pub enum NoAnswer {
    /// Ctrl-C while a question was open. What the question was about has not been done; everything before it is in the record.
    #[error("interrupted while the question was open")]
    #[diagnostic(code(cutover::operator::interrupted), help("resume the run when you are ready: the question is asked again"))]
    Interrupted,

    /// A question came up, standard input is no terminal, and `--yes` was not given. The run stopped cleanly before what was asked
    /// about.
    #[error("there is no terminal to ask at")]
    #[diagnostic(
        code(cutover::operator::no_terminal),
        help("run or resume it at a terminal, or with `--yes`, and `--approve ID` for what cannot be undone")
    )]
    NoTerminal,

    /// The terminal went away, or its end-of-file key was pressed, while a question was open. What it was about has not been done.
    #[error("the terminal was closed before an answer came")]
    #[diagnostic(code(cutover::operator::closed), help("resume the run at a terminal: the question is asked again"))]
    Closed,

    /// What a file or a scenario answers beforehand is none of the answers that the question takes. It was not taken for another; the
    /// run stopped before what was asked about.
    #[error("`{said}`, which {by} answers to `{id}`, is none of its answers")]
    #[diagnostic(code(cutover::operator::not_an_answer), help("answer {wanted}"))]
    NotAnAnswer { id: String, said: String, by: String, wanted: String },

    /// `--yes` answers what can be undone. What cannot, such as bringing a database online, wants `--approve` with the id of the
    /// question besides, so that nobody approves it unseen. Everything before it is done; this is not.
    #[error("{} cannot be undone, and `--yes` alone does not approve it", id.as_ref().map_or("a step without an id".to_owned(), |id| format!("`{id}`")))]
    #[diagnostic(
        code(cutover::operator::not_approved),
        help("look at the evidence in the record, then resume it at a terminal or with `--approve` and the question's id")
    )]
    NotApproved { id: Option<String> },

    /// `--yes` takes the default of an `ask`, and this one has none: somebody has to choose. The run stopped before what depends on
    /// it.
    #[error("`{question}` has no default that `--yes` could take")]
    #[diagnostic(code(cutover::operator::no_default), help("resume it at a terminal, or give the `ask` a `default` in the runbook"))]
    NoDefault { question: String },

    /// A step that is done by hand needs a hand: `--yes` cannot say that it is done. Everything before it is done.
    #[error("`{title}` has to be done by hand")]
    #[diagnostic(code(cutover::operator::by_hand), help("resume it at a terminal, and answer `done` when it is done"))]
    ByHand { title: String },

    /// The record cannot tell whether a change was made, no `done_when` can, and nobody is there to say. Nothing more was done.
    /// Repeating it blindly could do it twice.
    #[error("nobody is there to say whether it happened")]
    #[diagnostic(code(cutover::operator::in_doubt), help("look at the server, then resume the run at a terminal and answer"))]
    InDoubt,

    /// The change's `done_when` was true before the change was made: somebody else made it, perhaps on another server or too early.
    /// It was not made again. Unattended it is accepted only where the call says `already: "accept"`.
    #[error("the change is already in force, and nobody is there to say whether that is right")]
    #[diagnostic(
        code(cutover::operator::too_early),
        help("find out who made the change, then resume it at a terminal, or write `already: \"accept\"` in the call")
    )]
    TooEarly,
}
