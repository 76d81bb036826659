//! Arguments of a call against the primitive's description, before anything is done.

use std::ops::Range;

use rhai::{Dynamic, Engine, FnPtr, Map};

use crate::effect::Place;
use crate::primitives::{ArgumentError, Parameter, Primitive, Type, duration};
use crate::script::nearest;

/// A call with wrong arguments, as a runbook may catch it and as the report shows it.
#[derive(Clone, Debug)]
pub struct WrongArgument {
    pub primitive: &'static str,
    pub message: String,
    pub help: String,
    pub place: Place,
    /// File and bytes of the argument.
    pub span: Option<(usize, Range<usize>)>,
}

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<WrongArgument>("WrongArgument");
    engine.register_get("message", |error: &mut WrongArgument| error.message.clone());
    engine.register_get("primitive", |error: &mut WrongArgument| error.primitive.to_owned());
    engine.register_fn("to_string", |error: &mut WrongArgument| error.message.clone());
    engine.register_fn("to_debug", |error: &mut WrongArgument| error.message.clone());
}

/// What the host knows of a closure: how many arguments it takes besides what it captures, and the file that wrote it.
pub struct Closure {
    pub takes: usize,
    /// The file's name, if it is another than the caller's.
    pub foreign: Option<String>,
}

/// Positional arguments and options, as a primitive gets them.
#[derive(Debug)]
pub struct Checked {
    pub arguments: Vec<Dynamic>,
    pub options: Map,
}

/// Checks and sorts the arguments of one call.
pub fn check(primitive: &Primitive, given: Vec<Dynamic>, closure: &dyn Fn(&FnPtr) -> Closure) -> Result<Checked, ArgumentError> {
    let parameters = primitive.parameters;
    if given.len() > parameters.len() {
        let message = format!("`{}` takes {}, not {}", primitive.name, at_most(parameters), given.len());
        return Err(wrong(parameters.len(), None, message, format!("call it as `{}`", signature(primitive))));
    }
    let mut checked = Checked { arguments: Vec::new(), options: Map::new() };
    let count = given.len();
    let mut options_at = None;
    let mut next = 0;
    for (index, value) in given.into_iter().enumerate() {
        // an optional map before the options may be left out: a last map that can only be options is taken for them
        if parameters[next].ty == Type::Map
            && !parameters[next].required
            && index + 1 == count
            && matches!(parameters.get(next + 1), Some(p) if p.ty == Type::Options)
            && is_options(primitive, &value)
        {
            next += 1;
        }
        let parameter = &parameters[next];
        next += 1;
        if parameter.ty == Type::Options {
            let name = value.type_name();
            let Some(map) = value.try_cast::<Map>() else {
                let message = format!("the options of `{}` must be a map, not {}", primitive.name, type_word(name));
                return Err(wrong(index, None, message, "write them as `#{ key: value }`".to_owned()));
            };
            options_at = Some(index);
            checked.options = options(primitive, index, map, closure)?;
        } else {
            check_type(parameter, &value, index, None, closure)?;
            checked.arguments.push(value);
        }
    }
    if let Some(missing) = parameters[next..].iter().find(|p| p.required && p.ty != Type::Options) {
        let message = format!("`{}` needs its argument `{}`: {}", primitive.name, missing.name, missing.doc);
        return Err(wrong(count, None, message, format!("call it as `{}`", signature(primitive))));
    }
    if let Some(missing) = primitive.options.iter().find(|o| o.required && !checked.options.contains_key(o.name)) {
        let message = format!("`{}` needs the option `{}`: {}", primitive.name, missing.name, missing.doc);
        let at = options_at.unwrap_or(count);
        return Err(wrong(at, None, message, format!("add `{}: …` to the options", missing.name)));
    }
    Ok(checked)
}

fn wrong(argument: usize, key: Option<&str>, message: String, help: String) -> ArgumentError {
    ArgumentError { argument, key: key.map(str::to_owned), within: None, message, help }
}

/// True for a map that makes sense as options only.
fn is_options(primitive: &Primitive, value: &Dynamic) -> bool {
    let Some(map) = value.read_lock::<Map>() else { return false };
    let known = |key: &str| primitive.options.iter().any(|o| o.name == key);
    !map.is_empty() && (map.keys().all(|k| known(k)) || map.values().any(Dynamic::is_fnptr))
}

fn options(primitive: &Primitive, index: usize, map: Map, closure: &dyn Fn(&FnPtr) -> Closure) -> Result<Map, ArgumentError> {
    let mut options = Map::new();
    for (key, value) in map {
        let Some(option) = primitive.options.iter().find(|o| o.name == key.as_str()) else {
            let message = format!("`{}` has no option `{key}`", primitive.name);
            let known = primitive.options.iter().map(|o| o.name);
            let help = match nearest(&key, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if primitive.options.is_empty() => "remove it: there are no options".to_owned(),
                None => format!("the options are {}", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
            };
            return Err(wrong(index, Some(&key), message, help));
        };
        // a value that is missing stands for an option that was not given
        if value.is_unit() && !option.required {
            continue;
        }
        check_type(option, &value, index, Some(&key), closure)?;
        options.insert(key, value);
    }
    Ok(options)
}

fn check_type(
    parameter: &Parameter,
    value: &Dynamic,
    index: usize,
    key: Option<&str>,
    closure: &dyn Fn(&FnPtr) -> Closure,
) -> Result<(), ArgumentError> {
    let fits = match parameter.ty {
        Type::Text | Type::Duration | Type::Word(_) => value.is_string(),
        Type::Integer => value.is_int(),
        Type::Boolean => value.is_bool(),
        Type::Map => value.is_map(),
        Type::Options => true,
        Type::Closure(_) => value.is_fnptr(),
        Type::TextList => value.read_lock::<rhai::Array>().is_some_and(|list| list.iter().all(Dynamic::is_string)),
        Type::Evidence => !value.is_fnptr() && !value.is_unit(),
    };
    let name = parameter.name;
    if !fits {
        let message = format!("`{name}` must be {}, not {}", expected(parameter.ty), found(value));
        return Err(wrong(index, key, message, example(parameter)));
    }
    match parameter.ty {
        Type::Duration => {
            let text = value.clone().into_immutable_string().unwrap_or_default();
            if duration(&text).is_none() {
                let message = format!("`{name}` must be a duration, not `{text}`");
                return Err(wrong(index, key, message, "write a number and its unit: `500ms`, `90s`, `5m`, `2h`".to_owned()));
            }
        }
        Type::Word(words) => {
            let text = value.clone().into_immutable_string().unwrap_or_default();
            if !words.contains(&text.as_str()) {
                let list = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ");
                let help = match nearest(&text, words.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("write {list}"),
                };
                return Err(wrong(index, key, format!("`{name}` must be {list}, not \"{text}\""), help));
            }
        }
        Type::Closure(arity) => {
            let Some(pointer) = value.read_lock::<FnPtr>() else { return Ok(()) };
            let known = closure(&pointer);
            if let Some(file) = known.foreign {
                let message = format!("the closure `{name}` was written in `{file}` and can only be run there");
                return Err(wrong(index, key, message, "write the closure where it is given to the primitive".to_owned()));
            }
            if known.takes != arity {
                let message = format!("the closure `{name}` must take {}, not {}", parameters_word(arity), known.takes);
                let help = if arity == 0 { "write it as `|| …`".to_owned() } else { "write it as `|x| …`".to_owned() };
                return Err(wrong(index, key, message, help));
            }
        }
        _ => {}
    }
    Ok(())
}

fn parameters_word(arity: usize) -> String {
    match arity {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        n => format!("{n} parameters"),
    }
}

fn at_most(parameters: &[Parameter]) -> String {
    let required = parameters.iter().filter(|p| p.required).count();
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    if required == parameters.len() {
        format!("{required} {}", plural(required))
    } else {
        format!("at most {} {}", parameters.len(), plural(parameters.len()))
    }
}

/// `sql(server, text [, params] [, options])`
pub fn signature(primitive: &Primitive) -> String {
    let mut text = format!("{}(", primitive.name);
    for (index, parameter) in primitive.parameters.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let required = parameter.required || (parameter.ty == Type::Options && primitive.options.iter().any(|o| o.required));
        let part = if required { format!("{comma}{}", parameter.name) } else { format!(" [{comma}{}]", parameter.name) };
        text.push_str(if index == 0 { part.trim_start() } else { &part });
    }
    text.push(')');
    text
}

fn expected(ty: Type) -> String {
    match ty {
        Type::Text => "text".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::Integer => "a whole number".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Map => "a map".to_owned(),
        Type::Options => "a map of options".to_owned(),
        Type::Closure(_) => "a closure".to_owned(),
        Type::TextList => "a list of texts".to_owned(),
        Type::Word(words) => words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "),
        Type::Evidence => "rows, a list, a map or text".to_owned(),
    }
}

fn example(parameter: &Parameter) -> String {
    let doc = parameter.doc;
    match parameter.ty {
        Type::Text => format!("give a text: {doc}"),
        Type::Duration => "write a number and its unit: `500ms`, `90s`, `5m`, `2h`".to_owned(),
        Type::Closure(0) => "write a closure: `|| …`".to_owned(),
        Type::Closure(_) => "write a closure: `|x| …`".to_owned(),
        Type::TextList => "write `[\"one\", \"two\"]`".to_owned(),
        Type::Map | Type::Options => "write `#{ key: value }`".to_owned(),
        _ => format!("give {}: {doc}", expected(parameter.ty)),
    }
}

fn found(value: &Dynamic) -> String {
    if value.is_string() {
        let text = value.clone().into_immutable_string().unwrap_or_default();
        let short: String = text.chars().take(40).collect();
        return format!("the text \"{short}{}\"", if short.len() < text.len() { "…" } else { "" });
    }
    if value.is_unit() {
        return "`()`: a value is missing".to_owned();
    }
    if value.is_int() || value.is_bool() || value.is_float() {
        return format!("`{value}`");
    }
    type_word(value.type_name())
}

/// What people call a type that Rhai names.
pub fn type_word(name: &str) -> String {
    match name {
        "string" => "text".to_owned(),
        name if name.contains("String") || name.contains("&str") => "text".to_owned(),
        "i64" => "a whole number".to_owned(),
        "f64" | "decimal" => "a number".to_owned(),
        "bool" => "true or false".to_owned(),
        "array" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "()" => "nothing, `()`".to_owned(),
        "Fn" => "a closure".to_owned(),
        "char" => "a character".to_owned(),
        other => {
            let last = other.rsplit("::").next().unwrap_or(other);
            let article = if last.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            format!("{article} {last}")
        }
    }
}
