//! The Rhai engine as far as compiling needs it: packages, limits, strictness, forbidden words. `host` builds the engine
//! that runs on top of it. Rhai marks its hooks as deprecated to say that they may change; each is used here and only here.

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage, BasicStringPackage,
    LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, EvalAltResult, LexError, OptimizationLevel, Scope, Token};

use super::limits;

/// The name of the constant that holds the site's facts.
pub const SITE: &str = "site";

/// Words a runbook may not use, why, and what to write instead.
pub const FORBIDDEN: &[(&str, &str)] = &[
    ("eval", "write the statements themselves: text is never run"),
    ("Fn", "write a closure: `|x| name(x)`"),
    ("call", "call the function by its name"),
    ("curry", "write a closure that mentions the value"),
    ("this", "pass the value as a parameter"),
    ("sleep", "use `wait_until(what, limit, closure)`"),
    ("exit", "use `fail(message)`, or let the runbook end"),
    ("timestamp", "ask a server for its time with `query`"),
    ("is_def_fn", "remove the test: what a runbook may call is known before it runs"),
    ("is_def_var", "remove the test: what a runbook may mention is known before it runs"),
    ("print", "use `note(text)`"),
    ("debug", "use `note(text)`"),
    ("set_tag", "keep the value in a map"),
    ("get_fn_metadata_list", "run `cutover docs` to see what may be called"),
];

/// Fixes the seed of Rhai's hashes, so that names of closures are equal from run to run; call it first thing in `main`.
pub fn seed() {
    // an error means that it is set already, which is as good
    let _ = rhai::config::hashing::set_hashing_seed(Some([0x6375, 0x746f, 0x7665, 0x7221]));
}

/// An engine that compiles runbooks; it knows no primitive, and none of the language's functions: what is called is known
/// from [`super::Names`].
pub fn parser() -> Engine {
    strict(true)
}

/// As [`parser`], but a name that nothing declares is no error.
pub fn lenient() -> Engine {
    strict(false)
}

fn strict(strict: bool) -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(strict)
        .set_fail_on_invalid_map_property(true)
        .set_max_operations(0)
        .set_max_call_levels(limits::CALL_DEPTH)
        .set_max_expr_depths(limits::EXPRESSION_DEPTH, limits::FUNCTION_EXPRESSION_DEPTH)
        .set_max_string_size(limits::TEXT)
        .set_max_array_size(limits::ARRAY)
        .set_max_map_size(limits::MAP)
        .set_max_variables(limits::VARIABLES)
        .set_max_functions(limits::FUNCTIONS)
        .set_max_modules(limits::MODULES);
    forbid_words(&mut engine);
    engine
}

/// An engine that runs what [`parser`] compiles; it knows no primitive.
pub fn new() -> Engine {
    let mut engine = parser();
    LanguageCorePackage::new().register_into_engine(&mut engine);
    ArithmeticPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    engine
}

/// The scope that files are compiled in: `site` is there, so that strict variables accept it.
pub fn scope() -> Scope<'static> {
    let mut scope = Scope::new();
    scope.push_constant(SITE, ());
    scope
}

#[expect(deprecated, reason = "Rhai marks its volatile hooks so; the exact version is pinned")]
fn forbid_words(engine: &mut Engine) {
    engine.on_parse_token(|token, _, _| {
        let word = match &token {
            Token::Identifier(word) | Token::Reserved(word) => word.as_str(),
            _ => return token,
        };
        match FORBIDDEN.iter().find(|(w, _)| *w == word) {
            Some((word, help)) => Token::LexError(LexError::ImproperSymbol((*word).to_owned(), (*help).to_owned()).into()),
            None => token,
        }
    });
}

/// Answers the variable `site` with a value, wherever it is mentioned.
#[expect(deprecated, reason = "Rhai marks its volatile hooks so; the exact version is pinned")]
pub fn answer_site(engine: &mut Engine, site: Dynamic) {
    engine.on_var(move |name, _, _| Ok((name == SITE).then(|| site.clone())));
}

/// Makes Rhai keep the frames of calls, which a primitive reads from its context.
#[expect(deprecated, reason = "Rhai marks its volatile hooks so; the exact version is pinned")]
pub fn keep_frames(engine: &mut Engine) {
    engine.register_debugger(|_, debugger| debugger, |_, _: DebuggerEvent, _, _, _| Ok::<_, Box<EvalAltResult>>(DebuggerCommand::Continue));
}
