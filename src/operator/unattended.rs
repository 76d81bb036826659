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
    /// Answers that were given beforehand, by the id of the question, and who gave them: a file, or a rehearsed scenario,
    /// whose operator is nobody at a terminal.
    pub answers: BTreeMap<String, (String, By)>,
    /// `--step`: asked before every step.
    pub step: bool,
    /// The servers are a lab: nothing there is irreversible, and steps by hand count as done.
    pub lab: bool,
}

pub(super) fn answer(question: &Question, policy: &Policy, lab: bool) -> Result<(Answer, By), NoAnswer> {
    if !policy.yes {
        return Err(NoAnswer::NoTerminal);
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
        Question::Failed { .. } | Question::Reason | Question::Step { .. } => Err(NoAnswer::NoTerminal),
    }
}

/// The answer that was given beforehand to this question, if there is one.
///
/// # Errors
/// It is none of the question's answers.
pub(super) fn given(question: &Question, policy: &Policy) -> Result<Option<(Answer, By)>, NoAnswer> {
    let (Question::Confirm { id, .. } | Question::Ask { id, .. } | Question::Manual { id, .. }) = question else { return Ok(None) };
    let Some((id, (said, by))) = id.as_ref().and_then(|id| policy.answers.get_key_value(id)) else { return Ok(None) };
    let rehearsed = *by == By::Scenario;
    if rehearsed && !policy.yes {
        return Ok(None);
    }
    let understood = match question {
        Question::Confirm { .. } if said == "no" => Ok(Answer::No),
        // a scenario's operator knows the words; a file may have been written for another server
        Question::Confirm { typed: Some(words), .. } if said == words.trim() || rehearsed && said == "yes" => Ok(Answer::Yes),
        Question::Confirm { typed: Some(words), .. } => Err(format!("`no`, or the words that are to be typed: `{}`", words.trim())),
        Question::Confirm { .. } if said == "yes" => Ok(Answer::Yes),
        Question::Confirm { .. } => Err("`yes` or `no`".to_owned()),
        Question::Ask { choices, .. } if choices.contains(said) => Ok(Answer::Choice(said.clone())),
        Question::Ask { .. } if said == "stop" => Ok(Answer::Stop),
        Question::Ask { choices, .. } => Err(format!("one of `{}`", choices.join("`, `"))),
        _ if said == "done" => Ok(Answer::Done),
        _ if said == "stop" => Ok(Answer::Stop),
        _ => Err("`done` or `stop`".to_owned()),
    };
    match understood {
        Ok(answer) => Ok(Some((answer, by.clone()))),
        Err(wanted) => Err(NoAnswer::NotAnAnswer { id: id.clone(), said: said.clone(), by: by.to_string(), wanted }),
    }
}
