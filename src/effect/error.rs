//! Failures of an effect that are not its back end's.

use miette::Diagnostic;
use thiserror::Error;

/// What the machinery around an effect refuses.
#[derive(Debug, Error, Diagnostic)]
pub enum EffectError {
    /// `done_when` and `wait_until` are asked any number of times and not at all where a record is replayed, so they may only read.
    /// The change was not made.
    #[error("a test may only read: `{summary}` would change something")]
    #[diagnostic(code(cutover::effect::change_in_test), help("move the change out of `done_when` or `wait_until`, into a call of its own"))]
    ChangeInTest { summary: String },
    /// A run that only looks, as that of `cutover doctor`, changes nothing and asks nobody. The step was left at that place.
    #[error("nothing is changed or asked here: `{summary}` was not begun")]
    #[diagnostic(code(cutover::effect::only_looks), help("take it out of `doctor.rhai`: a doctor only looks"))]
    OnlyLooks { summary: String },
    /// A test is asked any number of times, and on resume not at all: it is no place in the procedure. Nothing of the step was
    /// done.
    #[error("a test may only read: it cannot have the step `{title}`")]
    #[diagnostic(code(cutover::effect::step_in_test), help("move the step out of `done_when` or `wait_until`"))]
    StepInTest { title: String },
    /// The server or the shell reported success, yet reading the state back does not show the change: it went elsewhere, was undone
    /// by somebody, or takes longer to show. It was sent once and is not sent again by itself.
    #[error("`{summary}` reported success, but its `done_when` is not true{within}")]
    #[diagnostic(
        code(cutover::effect::not_verified),
        help("read the state back by hand before anything else; if the change only needs longer to show, give `within: \"5m\"`")
    )]
    NotVerified { summary: String, within: String },
    /// Titles name the place in a run, so each may be used once. The second step was not begun.
    #[error("there are two steps titled `{title}`")]
    #[diagnostic(code(cutover::effect::duplicate_step), help("give each step a title of its own"))]
    DuplicateStep { title: String },
    /// The operator asked twice to stop, and the call was broken off. A read does no harm; a change may have happened, and then the
    /// run ends in doubt.
    #[error("it was cut off")]
    #[diagnostic(code(cutover::effect::cut_off), help("read the state back, then resume the run"))]
    CutOff,
    /// A condition did not come true in time. The waiting itself changed nothing; what was changed before stays changed.
    #[error("waited {limit} for {what}: it did not come true")]
    #[diagnostic(
        code(cutover::effect::waited_in_vain),
        help("see to what it waits for, then run the runbook again; or give the wait a longer limit")
    )]
    WaitedInVain { what: String, limit: String },
    /// The runbook itself gave up with `fail`: what it looked at is not as it must be. What was changed before stays changed.
    #[error("{message}")]
    #[diagnostic(code(cutover::effect::given_up), help("{help}"))]
    GivenUp { message: String, help: String },
}
