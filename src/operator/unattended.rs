//! What `--yes` answers. Never a guess: what it may not decide stays without an answer.

use std::collections::BTreeMap;

use super::{Answer, By, NoAnswer, Question};

/// What was said on the command line, once for all questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `--yes`: nobody is asked.
    pub yes: bool,
    /// `--approve ID`, each.
    pub approved: Vec<String>,
    /// What the operator of a rehearsed scenario answers, by the id of the question.
    pub answers: BTreeMap<String, String>,
    /// The servers are a lab: nothing there is irreversible, and steps by hand count as done.
    pub lab: bool,
}

pub(super) fn answer(question: &Question, policy: &Policy, lab: bool) -> Result<(Answer, By), NoAnswer> {
    if let Some(answer) = planned(question, policy) {
        return Ok((answer, By::Scenario));
    }
    match question {
        Question::Confirm { irreversible: true, id, .. } if !lab => match id {
            Some(id) if policy.approved.contains(id) => Ok((Answer::Yes, By::Approve(id.clone()))),
            _ => Err(NoAnswer::NotApproved { id: id.clone() }),
        },
        Question::Confirm { .. } => Ok((Answer::Yes, By::Yes)),
        Question::Ask { default: Some(default), .. } => Ok((Answer::Choice(default.clone()), By::Yes)),
        Question::Ask { text, .. } => Err(NoAnswer::NoDefault { question: text.clone() }),
        Question::Manual { .. } if lab => Ok((Answer::Done, By::Yes)),
        Question::Manual { title, .. } => Err(NoAnswer::ByHand { title: title.clone() }),
        Question::TooEarly { .. } => Err(NoAnswer::TooEarly),
        Question::InDoubt { .. } => Err(NoAnswer::InDoubt),
        Question::Failed { .. } | Question::Reason => Err(NoAnswer::NoTerminal),
    }
}

/// What the scenario answers, if it is an answer to this question.
fn planned(question: &Question, policy: &Policy) -> Option<Answer> {
    let of = |id: &Option<String>| policy.answers.get(id.as_ref()?);
    match question {
        Question::Confirm { id, .. } => match of(id)?.as_str() {
            "yes" => Some(Answer::Yes),
            "no" => Some(Answer::No),
            _ => None,
        },
        Question::Ask { id, choices, .. } => of(id).filter(|answer| choices.contains(answer)).cloned().map(Answer::Choice),
        _ => None,
    }
}
