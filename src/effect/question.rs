//! Effects that ask: the question, who answered, and what an answer does to the run.

use serde_json::Value;

use super::perform::{Begun, End};
use super::replay::Turn;
use super::{Effect, Effects, Ended, Stop, Test};
use crate::journal::{ACCEPT, DO_ANYWAY, Event, How, QuestionKind};
use crate::operator::{Answer, Evidence, NoAnswer, Question};

impl Effects {
    /// Asks one question as an effect of its own. "No" and "stop" latch a stop; every other answer is returned.
    pub fn ask(&self, effect: &Effect, question: &Question) -> Result<Answer, Ended> {
        let before = match self.turn(effect)? {
            Turn::Replayed(recorded) => {
                let word = self.replayed::<Value>(effect, &recorded)?;
                return Ok(understood(question, word.as_str().unwrap_or_default()));
            }
            Turn::TakenUp(recorded, How::Answered) => recorded.answer.clone().map(|answer| (recorded.effect, answer)),
            Turn::TakenUp(..) | Turn::Live => None,
        };
        // what keeps a change from being made does not keep a question from being asked
        let _ = self.hold(effect)?;
        let begun = self.begin(effect, false, before.as_ref().map(|(again, _)| *again))?;
        let answer = match before {
            Some((_, word)) => understood(question, &word),
            None => self.answer(effect, &begun, question)?,
        };
        self.finished(effect, &begun, Value::String(word(&answer).to_owned()), End::default())?;
        match answer {
            Answer::No | Answer::Stop => Err(self.ended(Stop::Refused(effect.summary.clone()))),
            answer => Ok(answer),
        }
    }

    /// The change is in force before it was made: true if that is accepted, false if it is to be made anyway.
    pub(super) fn too_early(&self, effect: &Effect, begun: &Begun, test: &Test<'_>, reads: &[String]) -> Result<bool, Ended> {
        if test.accept {
            return Ok(true);
        }
        let text = format!(
            "`{}`: its `done_when` is true before the change. Somebody else did it, perhaps too early or elsewhere",
            effect.summary
        );
        let evidence = vec![Evidence { title: "what the test read".to_owned(), table: None, text: reads.to_vec() }];
        match self.answer(effect, begun, &Question::TooEarly { text: text.clone(), evidence })? {
            Answer::Accept => Ok(true),
            Answer::DoAnyway => Ok(false),
            _ => Err(self.ended(Stop::Refused(text))),
        }
    }

    pub(super) fn answer(&self, effect: &Effect, begun: &Begun, question: &Question) -> Result<Answer, Ended> {
        let (id, kind, text, choices, typed, irreversible) = match question {
            Question::Confirm { id, text, typed, irreversible, .. } => {
                (id.clone(), QuestionKind::Confirm, text.as_str(), Vec::new(), typed.clone(), *irreversible)
            }
            Question::Ask { id, text, choices, .. } => (id.clone(), QuestionKind::Ask, text.as_str(), choices.clone(), None, false),
            Question::Manual { id, title, .. } => (id.clone(), QuestionKind::Manual, title.as_str(), Vec::new(), None, false),
            Question::TooEarly { text, .. } => (None, QuestionKind::TooEarly, text.as_str(), Vec::new(), None, false),
            Question::InDoubt { text, .. } => (None, QuestionKind::InDoubt, text.as_str(), Vec::new(), None, false),
            // no effect asks these: `choose` and `step_started` do
            Question::Failed { .. } | Question::Reason | Question::Step { .. } => (None, QuestionKind::Ask, "", Vec::new(), None, false),
        };
        let step = self.step();
        self.emit(&Event::Question {
            effect: begun.id,
            step: step.clone(),
            id: id.clone(),
            kind,
            text: text.to_owned(),
            choices,
            typed,
            irreversible,
        })?;
        match self.operator.ask(question, &self.to_come(), &|| self.cancel.requested()) {
            Ok((answer, by)) => {
                self.emit(&Event::Answer { effect: begun.id, step, id, answer: word(&answer).to_owned(), by: by.to_string() })?;
                Ok(answer)
            }
            Err(why) => Err(self.nobody(&effect.summary, &why)),
        }
    }

    /// The run stops because a question stayed without an answer.
    fn nobody(&self, what: &str, why: &NoAnswer) -> Ended {
        if *why == NoAnswer::Interrupted {
            return self.ended(Stop::Interrupted);
        }
        let help = miette::Diagnostic::help(why).map(|help| format!("; {help}")).unwrap_or_default();
        self.ended(Stop::NoAnswer(format!("`{what}`: {why}{help}")))
    }

    /// Asks before a step, where the operator wants that. It is no effect: a run may be resumed without it.
    pub(super) fn may_begin(&self, title: &str) -> Result<(), Ended> {
        if !self.operator.asks_steps() {
            return Ok(());
        }
        self.emit(&Event::StepQuestion { step: title.to_owned() })?;
        let question = Question::Step { title: title.to_owned() };
        let (answer, by) =
            self.operator.ask(&question, &self.to_come(), &|| self.cancel.requested()).map_err(|why| self.nobody(title, &why))?;
        self.emit(&Event::StepAnswer { step: title.to_owned(), answer: word(&answer).to_owned(), by: by.to_string() })?;
        match answer {
            Answer::Yes => Ok(()),
            _ => Err(self.ended(Stop::Refused(format!("begin the step {title}")))),
        }
    }

    /// The titles of the steps that are not begun, as far as the runbook's text has them.
    pub(super) fn to_come(&self) -> Vec<String> {
        let state = self.state();
        self.steps.iter().filter(|step| !step.perhaps && !state.titles.contains(&step.title)).map(|step| step.title.clone()).collect()
    }
}

/// The word of an answer in the record.
fn word(answer: &Answer) -> &str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Choice(choice) => choice,
        Answer::Done => "done",
        Answer::Accept => ACCEPT,
        Answer::DoAnyway => DO_ANYWAY,
        Answer::Happened => "it happened",
        Answer::Stop => "stop",
        Answer::Retry => "retry",
        Answer::ByHand => "made by hand",
        Answer::Text(text) => text,
    }
}

/// The answer that a word in the record was. What stops a run is never replayed.
fn understood(question: &Question, word: &str) -> Answer {
    match question {
        Question::Ask { .. } => Answer::Choice(word.to_owned()),
        Question::Manual { .. } => Answer::Done,
        _ => Answer::Yes,
    }
}
