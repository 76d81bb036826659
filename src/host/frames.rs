//! Places: from positions of the one line space to frames on the text.

use rhai::debugger::CallStackFrame;
use rhai::{EvalAltResult, Position};

use crate::effect::{Frame, Place};
use crate::script::{Script, walk};

/// One frame on the text; nothing for a position that Rhai does not know.
fn frame(script: &Script, position: Position, function: &str) -> Option<Frame> {
    if position.is_none() {
        return None;
    }
    let spot = script.spot(position)?;
    Some(Frame {
        file: spot.file,
        name: script.files[spot.file].name.clone(),
        start: spot.span.start,
        end: spot.span.end,
        line: spot.line,
        column: spot.column,
        function: if walk::is_closure(function) { String::new() } else { function.to_owned() },
    })
}

fn collect(script: &Script, positions: impl Iterator<Item = (Position, String)>) -> Place {
    let mut place = Place::default();
    for (position, function) in positions {
        let Some(frame) = frame(script, position, &function) else { continue };
        // a native function that runs a closure is seen twice, once for each
        let twice = place.frames.last().is_some_and(|last| (last.file, last.start) == (frame.file, frame.start));
        if !twice {
            place.frames.push(frame);
        }
    }
    place
}

/// The frames of a call under way: the debugger's stack, outermost first, the last one being the call itself.
pub fn of_stack(script: &Script, call: Position, stack: &[CallStackFrame]) -> Place {
    let own = std::iter::once(call);
    let callers = stack.iter().rev().map(|f| f.pos).filter(move |p| *p != call);
    // the text of a frame stands in the body of the next script function outside it
    let bodies: Vec<(Position, &str)> = stack.iter().rev().map(|f| (f.pos, f.fn_name.as_str())).collect();
    let body_of = |position: Position| {
        let inside = bodies.iter().position(|(p, _)| *p == position).map_or(0, |i| i + 1);
        bodies[inside.min(bodies.len())..]
            .iter()
            .find(|(p, name)| *p != position && (walk::is_closure(name) || script.defines(name)))
            .map_or_else(String::new, |(_, name)| (*name).to_owned())
    };
    collect(script, own.chain(callers).map(|p| (p, body_of(p))))
}

/// The frames of an error: Rhai nests it in one `ErrorInFunctionCall` per function, outermost first.
pub fn of_error(script: &Script, error: &EvalAltResult) -> Place {
    let (mut names, mut positions) = (vec![String::new()], Vec::new());
    let mut at = error;
    loop {
        match at {
            EvalAltResult::ErrorInFunctionCall(name, _, inner, position) => {
                positions.push(*position);
                names.push(name.clone());
                at = inner;
            }
            EvalAltResult::ErrorInModule(_, inner, position) => {
                positions.push(*position);
                names.push(String::new());
                at = inner;
            }
            other => {
                positions.push(other.position());
                break;
            }
        }
    }
    let frames: Vec<_> = positions.into_iter().zip(names).collect();
    collect(script, frames.into_iter().rev())
}
