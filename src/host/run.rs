//! One run of a script: on its own thread with its own stack, until it ends, fails or is stopped.

use std::any::TypeId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, Position, Scope};

use super::arguments::{self, WrongArgument};
use super::error::RunError;
use super::modules::Modules;
use super::site::Site;
use super::{frames, values_engine};
use crate::effect::{Place, Stop};
use crate::primitives::arguments::Closure;
use crate::primitives::{ArgumentError, Call, Primitive, Raised, Run};
use crate::script::{Script, engine, limits};

/// The primitive whose failures an examination tells.
const STEP: &str = "step";

/// How a script ends.
#[derive(Debug)]
pub enum Ended {
    Finished,
    Failed(Box<RunError>),
    /// Latched by the effects; the place is the call that was stopped, if it was one.
    Stopped(Stop, Option<Place>),
}

/// What natives share with the end of the run.
struct Host {
    script: Arc<Script>,
    run: Arc<Run>,
    most_operations: u64,
    operations: AtomicU64,
    exhausted: AtomicBool,
    stopped_at: Mutex<Option<Place>>,
    /// told of a step that failed, after which the script goes on
    on_failed_step: Option<OnFailedStep>,
}

/// Told of a step that failed.
pub type OnFailedStep = Box<dyn Fn(RunError) + Send + Sync>;

/// Runs a script to its end. Blocks; call it from a thread that may wait.
///
/// `site` is what the constant `site` answers. A stop is whatever the effects have latched, also when Rhai returns a value:
/// a script can swallow the error that ends it.
///
/// # Panics
/// When the script's thread cannot be started, and when a primitive panics: a bug.
pub fn evaluate(script: &Arc<Script>, run: Arc<Run>, site: serde_json::Value, primitives: &'static [&'static Primitive]) -> Ended {
    evaluate_within(limits::OPERATIONS, None, script, run, site, primitives)
}

/// As [`evaluate`], but a step that fails is told, returns `()`, and the script goes on: each step is a check by itself.
///
/// # Panics
/// As [`evaluate`].
pub fn examine(
    script: &Arc<Script>,
    run: Arc<Run>,
    site: serde_json::Value,
    primitives: &'static [&'static Primitive],
    on_failed_step: OnFailedStep,
) -> Ended {
    evaluate_within(limits::OPERATIONS, Some(on_failed_step), script, run, site, primitives)
}

/// As [`evaluate`], with a limit of its own for the operations.
pub(super) fn evaluate_within(
    most_operations: u64,
    on_failed_step: Option<OnFailedStep>,
    script: &Arc<Script>,
    run: Arc<Run>,
    site: serde_json::Value,
    primitives: &'static [&'static Primitive],
) -> Ended {
    let host = Arc::new(Host {
        script: script.clone(),
        run,
        most_operations,
        operations: AtomicU64::new(0),
        exhausted: AtomicBool::new(false),
        stopped_at: Mutex::default(),
        on_failed_step,
    });
    let own = host.clone();
    let thread = std::thread::Builder::new()
        .name("script".to_owned())
        .stack_size(limits::STACK)
        .spawn(move || {
            let engine = build(&own, site, primitives);
            let mut scope = Scope::new();
            scope.push_constant(engine::SITE, ());
            engine.run_ast_with_scope(&mut scope, &own.script.runbook().ast)
        })
        .expect("the script's thread starts");
    match thread.join() {
        Ok(result) => host.ended(result),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The engine of one run.
fn build(host: &Arc<Host>, site: serde_json::Value, primitives: &'static [&'static Primitive]) -> Engine {
    let mut engine = values_engine();
    engine.set_module_resolver(Modules::new(host.script.clone()));
    engine::answer_site(&mut engine, Dynamic::from(Site::new(site)));
    engine::keep_frames(&mut engine);
    let own = host.clone();
    engine.on_progress(move |_| own.progress());
    for primitive in primitives.iter().copied() {
        // one more than it takes, so that the host and not Rhai says what is wrong with the count
        for arity in 0..=primitive.parameters.len() + 4 {
            let own = host.clone();
            let types = vec![TypeId::of::<Dynamic>(); arity];
            engine.register_raw_fn(primitive.name, types, move |context, given| {
                let given = given.iter().map(|v| v.flatten_clone()).collect();
                own.call(primitive, &context, given)
            });
        }
    }
    engine
}

impl Host {
    /// Called at every operation; a value ends the script.
    fn progress(&self) -> Option<Dynamic> {
        if self.operations.fetch_add(1, Ordering::Relaxed) >= self.most_operations {
            self.exhausted.store(true, Ordering::Relaxed);
            return Some(Dynamic::UNIT);
        }
        self.run.effects.stopped().map(|_| Dynamic::UNIT)
    }

    fn call(
        &self,
        primitive: &'static Primitive,
        context: &NativeCallContext<'_>,
        given: Vec<Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let position = context.call_position();
        let place = context.debugger().map_or_else(Place::default, |d| frames::of_stack(&self.script, position, d.call_stack()));
        if self.run.effects.stopped().is_some() {
            return Err(self.stop(place));
        }
        if !self.script.calls(primitive.name, position) {
            self.run.effects.stop(Stop::IndirectCall(primitive.name.to_owned()));
            return Err(self.stop(place));
        }
        let file = self.script.file_of(position);
        let closure = |pointer: &FnPtr| self.closure(pointer, file);
        let checked = match arguments::check(primitive, given, &closure) {
            Ok(checked) => checked,
            Err(error) => return Err(self.wrong(primitive, error, position, place)),
        };
        let mut call = Call { run: &self.run, context, arguments: checked.arguments, options: checked.options, place };
        let result = (primitive.run)(&mut call);
        let place = call.place;
        match result {
            Ok(value) if self.run.effects.stopped().is_none() => Ok(value),
            Ok(_) => Err(self.stop(place)),
            Err(Raised::Failure(failure)) => Err(Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(*failure), Position::NONE))),
            Err(Raised::Stop(stop)) => {
                self.run.effects.stop(stop);
                Err(self.stop(place))
            }
            Err(Raised::Script(error)) => match &self.on_failed_step {
                Some(tell) if primitive.name == STEP && self.run.effects.stopped().is_none() => {
                    tell(RunError::new(self.script.clone(), &error));
                    Ok(Dynamic::UNIT)
                }
                _ => Err(error),
            },
            Err(Raised::Argument(error)) => Err(self.wrong(primitive, error, position, place)),
        }
    }

    /// Ends the script; the latch says why.
    fn stop(&self, place: Place) -> Box<EvalAltResult> {
        self.stopped_at.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(place);
        Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE))
    }

    fn closure(&self, pointer: &FnPtr, caller: Option<usize>) -> Closure {
        match self.script.closure(pointer.fn_name()) {
            Some((file, parameters)) => Closure {
                takes: parameters.saturating_sub(pointer.curry().len()),
                foreign: (Some(file) != caller).then(|| self.script.files[file].name.clone()),
            },
            None => Closure { takes: usize::MAX, foreign: None },
        }
    }

    fn wrong(&self, primitive: &'static Primitive, error: ArgumentError, position: Position, place: Place) -> Box<EvalAltResult> {
        let written = self.script.arguments(position);
        let span = self.script.file_of(position).and_then(|file| {
            let argument = written.get(error.argument)?;
            let (span, literal) = match &error.key {
                Some(key) => match argument.keys.iter().find(|k| k.key == *key) {
                    // an unknown key is shown itself, a wrong value by its value
                    Some(k) if primitive.options.iter().any(|o| o.name == k.key) || error.within.is_some() => {
                        (k.value.span.clone(), k.value.literal)
                    }
                    Some(k) => (k.span.clone(), None),
                    None => (argument.span.clone(), None),
                },
                None => (argument.span.clone(), argument.literal),
            };
            let span = match (&error.within, literal) {
                (Some(within), Some(literal)) => self.script.within_literal(file, literal, within),
                _ => span,
            };
            Some((file, span))
        });
        let wrong = WrongArgument { primitive: primitive.name, message: error.message, help: error.help, place, span };
        Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(wrong), Position::NONE))
    }

    fn ended(&self, result: Result<(), Box<EvalAltResult>>) -> Ended {
        if let Some(stop) = self.run.effects.stopped() {
            return Ended::Stopped(stop, self.stopped_at.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        match result {
            _ if self.exhausted.load(Ordering::Relaxed) => {
                let place = result.err().map_or_else(Place::default, |e| frames::of_error(&self.script, &e));
                Ended::Failed(Box::new(RunError::exhausted(self.script.clone(), place, self.most_operations)))
            }
            Ok(()) => Ended::Finished,
            Err(error) => Ended::Failed(Box::new(RunError::new(self.script.clone(), &error))),
        }
    }
}
