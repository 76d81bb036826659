//! What a rule reports: where, what, and what to do now, with a fix where one is safe.

use std::ops::Range;
use std::sync::Arc;

use crate::script::SourceFile;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Advice,
    Warning,
    Error,
}

impl Severity {
    /// As it is written on the command line and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Bytes of a file's text (a byte order mark does not count), and what to write there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    pub text: String,
}

/// Another place that explains a finding.
#[derive(Clone, Debug)]
pub struct Related {
    pub file: Arc<SourceFile>,
    pub span: Range<usize>,
    /// five words at most
    pub label: String,
}

/// One thing that a rule found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// the rule's slug
    pub rule: &'static str,
    pub severity: Severity,
    pub file: Arc<SourceFile>,
    /// bytes of the file's text; never outside it
    pub span: Range<usize>,
    /// lower-case fragment, names in backticks
    pub message: String,
    /// five words at most, shown at the span
    pub label: String,
    /// one imperative sentence: what to do now
    pub help: String,
    pub related: Vec<Related>,
    /// one fix: all of its edits, or none
    pub fixes: Vec<Edit>,
}
