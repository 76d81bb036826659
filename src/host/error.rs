//! [`RunError`]: why a script failed, shown on the text of the runbook and its modules with a label for each frame.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode};
use rhai::EvalAltResult;

use super::arguments::WrongArgument;
use super::messages::Kind;
use super::{frames, messages};
use crate::effect::{Failure, Place, innermost};
use crate::script::Script;

/// Frames shown at the inner and at the outer end of a deep recursion.
const SHOWN: usize = 4;

/// Why a script failed.
pub struct RunError {
    pub message: String,
    pub code: String,
    pub help: Option<String>,
    /// What the first label says.
    pub label: String,
    pub place: Place,
    /// The effect that failed, if that was it.
    pub failure: Option<Failure>,
    /// Everything that the server or the shell said, in order.
    chain: Option<Box<Said>>,
    /// Bytes of the argument that is wrong; else the first frame's.
    span: Option<(usize, Range<usize>)>,
    script: Arc<Script>,
}

/// One message of a server or shell, and those that came after it: drawn as a chain of sources.
#[derive(Debug)]
struct Said {
    text: String,
    next: Option<Box<Said>>,
}

impl Said {
    fn of(texts: impl DoubleEndedIterator<Item = String>) -> Option<Box<Self>> {
        texts.rev().fold(None, |next, text| Some(Box::new(Self { text, next })))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Said {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunError").field("code", &self.code).field("message", &self.message).field("place", &self.place).finish()
    }
}

impl RunError {
    /// What Rhai's error says, in our words and on the text.
    pub fn new(script: Arc<Script>, error: &EvalAltResult) -> Self {
        let place = frames::of_error(&script, error);
        let inner = innermost(error);
        if let EvalAltResult::ErrorRuntime(value, _) = inner {
            if let Some(failure) = value.read_lock::<Failure>() {
                return Self::of_failure(script, failure.clone(), place);
            }
            if let Some(wrong) = value.read_lock::<WrongArgument>() {
                return Self {
                    message: wrong.message.clone(),
                    code: Kind::WrongArgument.code().to_owned(),
                    help: Some(wrong.help.clone()),
                    label: "here".to_owned(),
                    place: wrong.place.clone(),
                    failure: None,
                    chain: None,
                    span: wrong.span.clone(),
                    script,
                };
            }
        }
        let message = messages::translate(&script, inner);
        Self {
            message: message.text,
            code: message.kind.code().to_owned(),
            help: Some(message.help).filter(|h| !h.is_empty()),
            label: message.label.to_owned(),
            place,
            failure: None,
            chain: None,
            span: None,
            script,
        }
    }

    fn of_failure(script: Arc<Script>, failure: Failure, caught: Place) -> Self {
        Self {
            message: failure.story.title.clone().unwrap_or_else(|| failure.cause.to_string()),
            code: failure.cause.code().map_or_else(|| Kind::Failed.code().to_owned(), |c| c.to_string()),
            help: failure.story.act.clone().or_else(|| failure.cause.help().map(|h| h.to_string())),
            label: if failure.primitive == "fail" {
                "the runbook gives up here".to_owned()
            } else {
                format!("this `{}` failed", failure.primitive)
            },
            // where it failed, not where it was thrown again
            place: if failure.place.frames.is_empty() { caught } else { failure.place.clone() },
            chain: Said::of(failure.story.messages.iter().map(|said| said.shown.clone())),
            failure: Some(failure),
            span: None,
            script,
        }
    }

    /// More words on it than its message and help: what it means, and how things stand.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let Some(story) = self.failure.as_ref().map(|failure| &failure.story) else { return Vec::new() };
        let means = story.means.clone().map(|means| ("means", means));
        means.into_iter().chain(story.state.clone().map(|state| ("state", state))).collect()
    }

    /// The limit that the host itself counts.
    pub(super) fn exhausted(script: Arc<Script>, place: Place, most: u64) -> Self {
        Self {
            message: format!("over the limit: {most} operations in one run"),
            code: Kind::Limit.code().to_owned(),
            help: Some("look for a loop that never ends; wait with `wait_until`".to_owned()),
            label: "in here".to_owned(),
            place,
            failure: None,
            chain: None,
            span: None,
            script,
        }
    }

    /// The script it ran, to show other places on.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    fn labelled(&self) -> Vec<LabeledSpan> {
        let mut labels = Vec::new();
        let mut seen = Vec::new();
        let frames = &self.place.frames;
        let label = |file: usize, span: &Range<usize>| self.script.label(file, span);
        for (index, frame) in frames.iter().enumerate() {
            if index >= SHOWN && index + SHOWN < frames.len() {
                continue;
            }
            let span = match (&self.span, index) {
                (Some((file, span)), 0) => (*file, span.clone()),
                _ => (frame.file, frame.start..frame.end),
            };
            if seen.contains(&span) {
                continue;
            }
            let text = if index == 0 { self.label.clone() } else { "called from here".to_owned() };
            let at = label(span.0, &span.1);
            labels.push(if index == 0 {
                LabeledSpan::new_primary_with_span(Some(text), at)
            } else {
                LabeledSpan::new_with_span(Some(text), at)
            });
            seen.push(span);
        }
        labels
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.chain {
            Some(said) => Some(said),
            None => self.failure.as_ref().and_then(|f| f.cause.source()),
        }
    }
}

impl Diagnostic for RunError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }
    fn url<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.failure.as_ref().and_then(|f| f.cause.url())
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.script)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labelled().into_iter()))
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.failure.as_ref().and_then(|f| f.cause.related())
    }
    /// A cause with a text of its own (the site file) is shown on it, below.
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        self.failure.as_ref().filter(|f| f.cause.labels().is_some()).map(|f| &*f.cause as &dyn Diagnostic)
    }
}
