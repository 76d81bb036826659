//! Where a call stands in the text of a run.

/// Where a call stands, with the frames that led there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Innermost first: the call itself, then who called that.
    pub frames: Vec<Frame>,
}

/// One frame: a position in a file of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Frame {
    /// Index of the file in the script.
    pub file: usize,
    /// The file's name as shown.
    pub name: String,
    /// Bytes in that file's text.
    pub start: usize,
    pub end: usize,
    /// From 1, for display.
    pub line: usize,
    pub column: usize,
    /// The function whose body this is; empty at the top of a file and in closures.
    pub function: String,
}
