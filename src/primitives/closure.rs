//! Running a closure that a runbook gave to a primitive.

use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext, Position};

/// Runs a closure without arguments. Isolated, as `done_when` and `wait_until` are, it works on copies of what it captures:
/// what it writes to a captured variable is gone afterwards, so that a finished effect need not run it again on resume.
pub fn run(context: &NativeCallContext<'_>, closure: &FnPtr, isolated: bool) -> Result<Dynamic, Box<EvalAltResult>> {
    let mut closure = closure.clone();
    if isolated {
        let copies: Vec<Dynamic> = closure.curry().iter().map(Dynamic::flatten_clone).collect();
        closure.set_curry(copies);
    }
    closure.call_within_context(context, ())
}

/// Runs a test: an isolated closure that must say true or false.
pub fn test(context: &NativeCallContext<'_>, closure: &FnPtr, what: &str) -> Result<bool, Box<EvalAltResult>> {
    run(context, closure, true)?.as_bool().map_err(|other| {
        let text = format!("`{what}` must return true or false, not a value of type {other}");
        Box::new(EvalAltResult::ErrorRuntime(text.into(), Position::NONE))
    })
}
