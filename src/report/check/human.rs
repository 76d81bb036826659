//! Findings as a person reads them: each on its text, under the name of its file, and a line that sums up.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::counts;
use crate::check::{Finding, Severity};
use crate::report::Style;
use crate::report::human::plural;
use crate::script::SourceFile;

/// All findings, files in the order in which they come, and the summary.
pub fn render(findings: &[Finding], files: usize, style: &Style) -> String {
    let mut text = String::new();
    let mut begun: Vec<&Arc<SourceFile>> = Vec::new();
    for finding in findings {
        let file = &finding.file;
        if begun.iter().any(|begun| Arc::ptr_eq(begun, file)) {
            continue;
        }
        begun.push(file);
        let own = findings.iter().filter(|finding| Arc::ptr_eq(&finding.file, file));
        text.push_str(&format!("{}: {}\n\n", style.paint("1", &file.name), counts(own.clone())));
        for finding in own {
            let page = format!("{} cutover explain {}", style.paint("36", "  page:"), finding.rule);
            text.push_str(&format!("{}{page}\n\n", style.render(&OnText::new(finding))));
        }
    }
    text.push_str(&summary(findings, files, style));
    text
}

/// `2 errors, 1 warning in 3 files (1 can be fixed with --fix)`
pub fn summary(findings: &[Finding], files: usize, style: &Style) -> String {
    let files = plural(files, "file");
    let Some(worst) = findings.iter().map(|finding| finding.severity).max() else {
        return format!("{}: {files}", style.paint("32;1", "clean"));
    };
    let fixes = match findings.iter().filter(|finding| !finding.fixes.is_empty()).count() {
        0 => String::new(),
        n => format!(" ({n} can be fixed with --fix)"),
    };
    let colour = match worst {
        Severity::Error => "31;1",
        Severity::Warning => "33;1",
        Severity::Advice => "36;1",
    };
    format!("{} in {files}{fixes}", style.paint(colour, &counts(findings.iter())))
}

/// A finding as miette draws it.
#[derive(Debug)]
struct OnText<'a> {
    finding: &'a Finding,
    files: Files,
    labels: Vec<LabeledSpan>,
}

impl<'a> OnText<'a> {
    fn new(finding: &'a Finding) -> Self {
        let mut files = Files(Vec::new());
        let at = files.place(&finding.file, &finding.span);
        let mut labels = vec![LabeledSpan::new_primary_with_span(Some(finding.label.clone()), at)];
        for related in &finding.related {
            let at = files.place(&related.file, &related.span);
            labels.push(LabeledSpan::new_with_span(Some(related.label.clone()), at));
        }
        Self { finding, files, labels }
    }
}

impl fmt::Display for OnText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for OnText<'_> {}

impl Diagnostic for OnText<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{}[{}]", self.finding.severity.word(), self.finding.rule)))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Advice => miette::Severity::Advice,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.finding.help))
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.files)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// The files of one finding as one source, each with where it begins, so that one diagnostic can label several.
#[derive(Debug)]
struct Files(Vec<(usize, Arc<SourceFile>)>);

impl Files {
    /// Where bytes of a file lie in this source.
    fn place(&mut self, file: &Arc<SourceFile>, span: &Range<usize>) -> SourceSpan {
        let known = self.0.iter().find(|(_, known)| Arc::ptr_eq(known, file)).map(|(base, _)| *base);
        let base = known.unwrap_or_else(|| {
            // one byte between files, so that no place belongs to two
            let base = self.0.last().map_or(0, |(base, last)| base + last.text.len() + 1);
            self.0.push((base, file.clone()));
            base
        });
        (base + span.start..base + span.end).into()
    }
}

impl SourceCode for Files {
    fn read_span<'a>(&'a self, span: &SourceSpan, before: usize, after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (base, file) = self.0.iter().rev().find(|(base, _)| *base <= span.offset()).ok_or(MietteError::OutOfBounds)?;
        let inner = SourceSpan::new((span.offset() - base).into(), span.len());
        let found = file.text.read_span(&inner, before, after)?;
        // miette counts bytes
        let (_, column) = file.line_and_column(found.span().offset());
        let outer = SourceSpan::new((found.span().offset() + base).into(), found.span().len());
        Ok(Box::new(MietteSpanContents::new_named(
            file.name.clone(),
            found.data(),
            outer,
            found.line(),
            column - 1,
            // miette joins two snippets that are this close; its own count takes the lines before for near ones
            found.data().split(|byte| *byte == b'\n').count().saturating_sub(1),
        )))
    }
}
