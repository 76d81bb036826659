//! One call of a primitive, as its file sees it: checked arguments, where it stands, and what a run has to work with.

use std::sync::Arc;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::effect::{Effects, Place};

/// What all calls of one run share.
pub struct Run {
    pub effects: Effects,
}

/// One call of a primitive.
pub struct Call<'a, 'c> {
    pub run: &'a Arc<Run>,
    pub context: &'a NativeCallContext<'c>,
    /// Positional arguments, checked against the description; the options map is not among them.
    pub arguments: Vec<Dynamic>,
    /// The options, checked; empty when none were given.
    pub options: Map,
    /// Where the call stands, with the frames that led there.
    pub place: Place,
}
