//! What to do about a change whose end is not known, and about a run that failed while somebody sits at the terminal.

use std::sync::Arc;

use super::perform::{Begun, Effect, Test};
use super::{Effects, Ended, Failure, Stop};
use crate::journal::{Change, Chosen, Event, How, Left, Resolved};
use crate::operator::{Answer, Evidence, Question};

impl Effects {
    /// Takes up a change that was begun: how it counts as made, or none if it is to be made now. Then the record says that
    /// it is about to be sent.
    pub(super) fn take_up(&self, effect: &Effect, begun: &Begun, test: Option<&mut Test<'_>>, how: How) -> Result<Option<Resolved>, Ended> {
        let tested = test.is_some();
        let resolved = match (how, test) {
            (How::Made(resolved), _) => return Ok(Some(resolved)),
            (How::Again | How::Answered, _) => None,
            _ if effect.looks => None,
            (How::InDoubt, Some(test)) => {
                if let Some(Err(why)) = self.wait_out(effect, begun) {
                    let text = format!("whether the server is through with it cannot be seen: {why}");
                    self.note(crate::journal::Level::Warn, &text)?;
                }
                let (done, _) = match self.ask_test(begun, test) {
                    Err(Ended::Script(error)) => {
                        return Err(self.untested(
                            effect,
                            begun,
                            error,
                            "its `done_when` failed: it is not known whether it was made",
                            None,
                            Left::InDoubt,
                        ));
                    }
                    asked => asked?,
                };
                done.then_some(Resolved::InForce)
            }
            (How::InDoubt | How::InDoubtUntested, _) => {
                let seen = self.wait_out(effect, begun);
                self.did_it_happen(effect, begun, seen)?
            }
        };
        if tested && resolved.is_none() {
            self.about_to_send(effect, begun, false)?;
        }
        Ok(resolved)
    }

    /// Waits until the server is through with what a lost connection left behind; none if no server is concerned.
    pub(super) fn wait_out(&self, effect: &Effect, begun: &Begun) -> Option<Result<(), String>> {
        let server = effect.server.as_deref()?;
        let stop = || self.stopped().is_some();
        Some(self.runtime.block_on(self.guard.wait_out(server, self.reporter(begun.id), &stop)))
    }

    /// Neither the record nor a test can tell: the operator can, or nobody.
    fn did_it_happen(&self, effect: &Effect, begun: &Begun, seen: Option<Result<(), String>>) -> Result<Option<Resolved>, Ended> {
        let text = format!("`{}` was begun, and nobody knows whether it was made. Did it happen?", effect.summary);
        let server = match seen {
            Some(Ok(())) => "the server is through with what this run sent it before",
            Some(Err(_)) => "whether the server is still at it cannot be seen",
            None => "it is no statement of a SQL Server",
        };
        let mut facts = vec![server.to_owned()];
        if let Some(server) = &effect.server {
            facts.push(format!("look at `{server}` with a tool of your own before you answer"));
        }
        let evidence = vec![Evidence { title: "what is known".to_owned(), table: None, text: facts }];
        match self.answer(effect, begun, &Question::InDoubt { text: text.clone(), evidence }) {
            Ok(Answer::Happened) => Ok(Some(Resolved::SaidSo)),
            Ok(Answer::DoAnyway) => Ok(None),
            Ok(_) => Err(self.ended(Stop::Refused(text))),
            // nobody there to ask: the doubt stays
            Err(Ended::Stop(Stop::NoAnswer(why))) => {
                self.unlatch();
                Err(self.ended(Stop::InDoubt(format!("`{}` may or may not be in force. {why}", effect.summary))))
            }
            Err(ended) => Err(ended),
        }
    }

    /// What the run has changed, for whoever has to choose.
    fn changed_so_far(&self) -> Vec<Evidence> {
        let made = self.changed();
        let words = |change: &Change| match &change.server {
            Some(server) => format!("{server}: {}", change.summary),
            None => change.summary.clone(),
        };
        let text = if made.is_empty() { vec!["nothing for certain".to_owned()] } else { made.iter().map(words).collect() };
        vec![Evidence { title: "changed so far".to_owned(), table: None, text }]
    }

    /// Asks what to do about a run that failed; records the choice. None if there is nobody to ask. After anything but
    /// [`Chosen::Stop`] the script is to be evaluated again.
    pub fn choose(&self, failure: Option<&Failure>) -> Result<Option<Chosen>, Ended> {
        if !self.operator.attended() || self.cancel.requested() {
            return Ok(None);
        }
        let effect = failure.map(|failure| failure.effect).filter(|effect| *effect > 0);
        let last = self.journal().history().last_effect().map(|(_, recorded)| Arc::clone(recorded));
        let change = last.filter(|last| last.class == "changes" && effect.is_some_and(|effect| effect >= last.effect));
        let stopped = || self.cancel.requested();
        let question = Question::Failed { change: change.is_some(), evidence: self.changed_so_far() };
        let (answer, by) = match self.operator.ask(&question, &[], &stopped) {
            Ok(answered) => answered,
            Err(_) => return Ok(None),
        };
        let (chosen, reason) = match answer {
            Answer::Retry => (Chosen::Retry, None),
            Answer::ByHand => match self.operator.ask(&Question::Reason, &[], &stopped) {
                Ok((Answer::Text(reason), _)) => (Chosen::ByHand, Some(reason)),
                _ => (Chosen::Stop, None),
            },
            _ => (Chosen::Stop, None),
        };
        let attempt = self.journal().history().retry(effect, chosen);
        let (replays, taken_up) = (attempt.replayed.len(), attempt.taken_up.as_ref().map(|(recorded, _)| recorded.effect));
        self.emit(&Event::Choice { effect, chosen, reason, by: by.to_string(), replays, taken_up })?;
        if chosen != Chosen::Stop {
            self.begin_attempt(attempt);
        }
        Ok(Some(chosen))
    }
}
