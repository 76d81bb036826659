//! Effects: one call of a primitive in one run. [`perform`] is the one function that every effect passes through: the only
//! place that records, asks, times, cancels and reports.

/// Where a call stands in the text of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The frames that led here, innermost first: the call itself, then who called that.
    pub frames: Vec<Frame>,
}

/// One frame: a position in a file of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Frame {
    /// Index of the file in the script.
    pub file: usize,
    /// Bytes in that file's text.
    pub start: usize,
    pub end: usize,
    /// From 1, for display.
    pub line: usize,
    pub column: usize,
    /// The function whose body this is; empty at the top of a file and in closures.
    pub function: String,
}

/// Why a run stops other than by failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The operator said no or stop; the text says to what.
    Refused(String),
    /// An answer was needed and there was nobody to give it.
    NoAnswer(String),
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A primitive was called other than by a call written out in the text.
    IndirectCall(String),
}

/// A failed effect, as a runbook may catch it and as the report shows it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The effect that failed.
    pub effect: u64,
    pub primitive: String,
    pub message: String,
    /// SQL Server's error number that decides, if there is one.
    pub number: Option<i32>,
    pub place: Place,
    /// The whole story, for the report.
    pub cause: std::sync::Arc<dyn miette::Diagnostic + Send + Sync>,
}

/// What one run's effects pass through.
pub struct Effects {}

impl Effects {
    /// Set once the run is to stop; the host ends the script at its next operation.
    pub fn stopped(&self) -> Option<Stop> {
        None
    }
    /// Latches a stop; the first one stays.
    pub fn stop(&self, _stop: Stop) {}
}
