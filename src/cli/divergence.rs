//! A runbook that goes another way than its record, drawn: the call that it makes now on its text, and the recorded one on
//! the copy that the run folder keeps.

use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::effect::Divergence;
use crate::journal::{Recorded, Source};
use crate::script::Script;

/// A resume evaluates the runbook from its start and is told what the record has. Where it then makes another call than the
/// record, it was edited, or the site's facts differ: nobody can say any more which part of it is done. Nothing was done now.
#[derive(Debug)]
pub(super) struct Diverged {
    message: String,
    /// the call, then who called that
    labels: Vec<LabeledSpan>,
    script: Arc<Script>,
    recorded: RecordedCall,
    help: String,
}

#[derive(Debug)]
struct RecordedCall {
    message: String,
    text: Option<NamedSource<String>>,
    label: Option<LabeledSpan>,
}

impl Diverged {
    pub(super) fn new(divergence: &Divergence, script: &Arc<Script>, folder: &Path, sources: &[Source]) -> Self {
        let recorded = &divergence.recorded;
        let (message, labels) = match &divergence.now {
            Some(now) => {
                let message =
                    format!("the runbook goes another way than the record: here it calls `{}`: {}", now.primitive, cut(&now.summary));
                let spans = now.place.frames.iter().map(|frame| script.label(frame.file, &(frame.start..frame.end)));
                let labels = spans.enumerate().map(|(n, span)| match n {
                    0 => LabeledSpan::new_primary_with_span(Some("called now".to_owned()), span),
                    _ => LabeledSpan::new_with_span(Some("from here".to_owned()), span),
                });
                (message, labels.collect())
            }
            None => ("the runbook goes another way than the record: it ends, and the record goes on".to_owned(), Vec::new()),
        };
        let mut differences = divergence.differences();
        differences.insert(0, "nothing was done. Undo the edit of the runbook, its modules or the site file, and resume; or begin anew with `cutover run --new`".to_owned());
        Self {
            message,
            labels,
            script: Arc::clone(script),
            recorded: RecordedCall::new(recorded, folder, sources),
            help: differences.join("\n"),
        }
    }
}

impl RecordedCall {
    fn new(recorded: &Recorded, folder: &Path, sources: &[Source]) -> Self {
        let step = recorded.step.as_ref().map_or_else(String::new, |step| format!(" in the step `{step}`"));
        let message = format!("the record has effect {}{step}: `{}`: {}", recorded.effect, recorded.primitive, cut(&recorded.summary));
        let same_name = |source: &&Source| {
            let last = |name: &str| Path::new(name).file_name().map(|n| n.to_owned());
            source.name == recorded.file || last(&source.name) == last(&recorded.file)
        };
        let text = sources.iter().find(same_name).and_then(|source| std::fs::read_to_string(folder.join(&source.copy)).ok());
        // a call that was recorded after an edit does not stand there in the copy
        let text = text.filter(|text| text.get(recorded.start..recorded.end).is_some_and(|call| call.starts_with(&recorded.primitive)));
        let label =
            text.as_ref().map(|_| LabeledSpan::new_primary_with_span(Some("called before".to_owned()), recorded.start..recorded.end));
        Self { message, text: text.map(|text| NamedSource::new(format!("{} (as the run began)", recorded.file), text)), label }
    }
}

fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl std::fmt::Display for Diverged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diverged {}

impl Diagnostic for Diverged {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new("cutover::effect::diverged"))
    }
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.script)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(std::iter::once(&self.recorded as &dyn Diagnostic)))
    }
}

impl std::fmt::Display for RecordedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RecordedCall {}

impl Diagnostic for RecordedCall {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_ref().map(|text| text as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
