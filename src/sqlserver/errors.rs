//! What a failing batch's messages mean: which of them decides, and what the operator does next. The catalogue itself is
//! in `facts::errors`; this file only applies it to the messages of one answer.

use super::value::Message;

/// Errors that only say that something before them failed: BACKUP/RESTORE ended abnormally, RESTORE could not be planned,
/// ALTER DATABASE failed, the batch was aborted by an earlier error.
const WRAPPERS: [i32; 4] = [3013, 3119, 5069, 3621];

/// True for an error that never decides while another one is there.
fn is_wrapper(number: i32) -> bool {
    WRAPPERS.contains(&number)
}

/// The first error that is not a wrapper; the first error of all if they all are.
pub fn deciding(messages: &[Message]) -> Option<&Message> {
    let errors = || messages.iter().filter(|m| m.is_error());
    errors().find(|m| !is_wrapper(m.number)).or_else(|| errors().next())
}

/// What the deciding error means here, in the words of the catalogue.
pub fn meaning(_messages: &[Message]) -> Option<&'static str> {
    None
}

/// What to do about the deciding error, one imperative sentence.
pub fn act(_messages: &[Message]) -> Option<&'static str> {
    None
}

/// Every message in order, one line each, as SQL Server's own tools print them.
pub fn lines(messages: &[Message]) -> Vec<String> {
    messages.iter().map(ToString::to_string).collect()
}
