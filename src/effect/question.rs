//! Effects that ask: the question, who answered, and what an answer does to the run.

use serde_json::Value;

use super::perform::Begun;
use super::{Effect, Effects, Ended, Stop, Test};
use crate::journal::{Event, QuestionKind};
use crate::operator::{Answer, Evidence, NoAnswer, Question};

impl Effects {
    /// Asks one question as an effect of its own. "No" and "stop" latch a stop; every other answer is returned.
    pub fn ask(&self, effect: &Effect, question: &Question) -> Result<Answer, Ended> {
        let begun = self.begin(effect)?;
        let answer = self.answer(effect, &begun, question)?;
        self.finished(effect, &begun, Value::String(word(&answer).to_owned()), false, false)?;
        match answer {
            Answer::No | Answer::Stop => {
                let stop = Stop::Refused(effect.summary.clone());
                self.stop(stop.clone());
                Err(Ended::Stop(stop))
            }
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
            _ => {
                let stop = Stop::Refused(text);
                self.stop(stop.clone());
                Err(Ended::Stop(stop))
            }
        }
    }

    fn answer(&self, effect: &Effect, begun: &Begun, question: &Question) -> Result<Answer, Ended> {
        let (id, kind, text, choices, typed, irreversible) = match question {
            Question::Confirm { id, text, typed, irreversible, .. } => {
                (id.clone(), QuestionKind::Confirm, text, Vec::new(), typed.clone(), *irreversible)
            }
            Question::Ask { id, text, choices, .. } => (id.clone(), QuestionKind::Ask, text, choices.clone(), None, false),
            Question::Manual { id, title, .. } => (id.clone(), QuestionKind::Manual, title, Vec::new(), None, false),
            Question::TooEarly { text, .. } => (None, QuestionKind::TooEarly, text, Vec::new(), None, false),
        };
        let step = self.step();
        self.emit(&Event::Question {
            effect: begun.id,
            step: step.clone(),
            id: id.clone(),
            kind,
            text: text.clone(),
            choices,
            typed,
            irreversible,
        })?;
        match self.operator.ask(question, &|| self.cancel.requested()) {
            Ok((answer, by)) => {
                self.emit(&Event::Answer { effect: begun.id, step, id, answer: word(&answer).to_owned(), by: by.to_string() })?;
                Ok(answer)
            }
            Err(NoAnswer::Interrupted) => {
                self.stop(Stop::Interrupted);
                Err(Ended::Stop(Stop::Interrupted))
            }
            Err(why) => {
                let help = miette::Diagnostic::help(&why).map(|help| format!("; {help}")).unwrap_or_default();
                let stop = Stop::NoAnswer(format!("`{}`: {why}{help}", effect.summary));
                self.stop(stop.clone());
                Err(Ended::Stop(stop))
            }
        }
    }
}

fn word(answer: &Answer) -> &str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Choice(choice) => choice,
        Answer::Done => "done",
        Answer::Accept => "accept",
        Answer::DoAnyway => "do it anyway",
        Answer::Stop => "stop",
    }
}
