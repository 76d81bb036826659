//! Arguments of a call against the primitive's description, before anything is done: by `host` with the values themselves,
//! by `check` with what is known of them without running anything.

use std::borrow::Cow;

use rhai::{Array, Dynamic, Map};

use super::{ArgumentError, Parameter, Primitive, Type, duration};
use crate::facts::nearest;

/// What a value can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    Text,
    Integer,
    Boolean,
    Map,
    TextList,
    Closure,
    Unit,
}

/// A given value, as far as it is known: nothing where it is not.
pub trait Given: Sized {
    fn is(&self, what: Is) -> Option<bool>;
    fn text(&self) -> Option<Cow<'_, str>>;
    /// Keys of a map, with what they hold.
    fn entries(&self) -> Option<Vec<(String, Self)>>;
    /// After "must be text, not".
    fn found(&self) -> String;
    /// Its type, as people call it.
    fn kind(&self) -> String;
}

impl Given for Dynamic {
    fn is(&self, what: Is) -> Option<bool> {
        Some(match what {
            Is::Text => self.is_string(),
            Is::Integer => self.is_int(),
            Is::Boolean => self.is_bool(),
            Is::Map => self.is_map(),
            Is::TextList => self.read_lock::<Array>().is_some_and(|list| list.iter().all(Dynamic::is_string)),
            Is::Closure => self.is_fnptr(),
            Is::Unit => self.is_unit(),
        })
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(self.clone().into_immutable_string().ok()?.to_string()))
    }

    fn entries(&self) -> Option<Vec<(String, Self)>> {
        Some(self.read_lock::<Map>()?.iter().map(|(key, value)| (key.to_string(), value.clone())).collect())
    }

    fn found(&self) -> String {
        match self.text() {
            Some(text) => found_text(&text),
            None if self.is_unit() => MISSING.to_owned(),
            None if self.is_int() || self.is_bool() || self.is_float() => format!("`{self}`"),
            None => self.kind(),
        }
    }

    fn kind(&self) -> String {
        type_word(self.type_name())
    }
}

/// What is found where a value is missing.
pub const MISSING: &str = "`()`: a value is missing";

/// A text that was found where something else is wanted.
pub fn found_text(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("the text \"{short}{}\"", if short.len() < text.len() { "…" } else { "" })
}

/// What is known of a closure: how many arguments it takes besides what it captures, and the file that wrote it.
pub struct Closure {
    pub takes: usize,
    /// The file's name, if it is another than the caller's.
    pub foreign: Option<String>,
}

/// Everything that is surely wrong with the arguments of one call, in their order.
pub fn faults<V: Given>(primitive: &Primitive, given: &[V], closure: &dyn Fn(&V) -> Option<Closure>) -> Vec<ArgumentError> {
    let parameters = primitive.parameters;
    if given.len() > parameters.len() {
        let message = format!("`{}` takes {}, not {}", primitive.name, at_most(parameters), given.len());
        return vec![wrong(parameters.len(), None, message, format!("call it as `{}`", signature(primitive)))];
    }
    let options_at = options_at(primitive, given);
    let mut faults = Vec::new();
    let mut placed = 0;
    for (index, value) in given.iter().enumerate() {
        if options_at == Some(index) {
            placed = parameters.len();
            faults.extend(options(primitive, index, value, closure));
        } else {
            faults.extend(check_type(&parameters[index], value, index, None, closure));
            placed = index + 1;
        }
    }
    if let Some(missing) = parameters[placed..].iter().find(|p| p.required && p.ty != Type::Options) {
        let message = format!("`{}` needs its argument `{}`: {}", primitive.name, missing.name, missing.doc);
        faults.push(wrong(given.len(), None, message, format!("call it as `{}`", signature(primitive))));
        return faults;
    }
    let keys = match options_at {
        Some(at) => given[at].entries(),
        None => Some(Vec::new()),
    };
    // a misspelt key would make a required one look forgotten: one fault, one message
    let missing = |o: &&Parameter| o.required && keys.as_ref().is_some_and(|keys| !keys.iter().any(|(key, _)| key == o.name));
    if faults.is_empty()
        && let Some(missing) = primitive.options.iter().find(missing)
    {
        let message = format!("`{}` needs the option `{}`: {}", primitive.name, missing.name, missing.doc);
        faults.push(wrong(options_at.unwrap_or(given.len()), None, message, format!("add `{}: …` to the options", missing.name)));
    }
    faults
}

fn wrong(argument: usize, key: Option<&str>, message: String, help: String) -> ArgumentError {
    ArgumentError { argument, key: key.map(str::to_owned), within: None, message, help }
}

/// Which given argument holds the options: an optional map before them may be left out, and then a last map that can only
/// be options is taken for them.
pub fn options_at<V: Given>(primitive: &Primitive, given: &[V]) -> Option<usize> {
    let parameters = primitive.parameters;
    let at = parameters.iter().position(|p| p.ty == Type::Options)?;
    let last = given.len().checked_sub(1)?;
    let left_out = |map: &Parameter| map.ty == Type::Map && !map.required;
    let earlier = at.checked_sub(1).filter(|before| left_out(&parameters[*before]));
    match earlier {
        _ if last >= at => Some(at),
        Some(before) if last == before && is_options(primitive, &given[last]) => Some(before),
        _ => None,
    }
}

/// True for a map that makes sense as options only.
fn is_options<V: Given>(primitive: &Primitive, value: &V) -> bool {
    let Some(map) = value.entries() else { return false };
    let known = |key: &str| primitive.options.iter().any(|o| o.name == key);
    !map.is_empty() && (map.iter().all(|(key, _)| known(key)) || map.iter().any(|(_, value)| value.is(Is::Closure) == Some(true)))
}

fn options<V: Given>(primitive: &Primitive, index: usize, value: &V, closure: &dyn Fn(&V) -> Option<Closure>) -> Vec<ArgumentError> {
    let Some(map) = value.entries() else {
        if value.is(Is::Map) != Some(false) {
            return Vec::new();
        }
        let message = format!("the options of `{}` must be a map, not {}", primitive.name, value.kind());
        return vec![wrong(index, None, message, "write them as `#{ key: value }`".to_owned())];
    };
    let mut faults = Vec::new();
    for (key, value) in map {
        let Some(option) = primitive.options.iter().find(|o| o.name == key) else {
            let message = format!("`{}` has no option `{key}`", primitive.name);
            let known = primitive.options.iter().map(|o| o.name);
            let help = match nearest(&key, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if primitive.options.is_empty() => "remove it: there are no options".to_owned(),
                None => format!("the options are {}", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
            };
            faults.push(wrong(index, Some(&key), message, help));
            continue;
        };
        // a value that is missing stands for an option that was not given
        if option.required || value.is(Is::Unit) != Some(true) {
            faults.extend(check_type(option, &value, index, Some(&key), closure));
        }
    }
    faults
}

fn check_type<V: Given>(
    parameter: &Parameter,
    value: &V,
    index: usize,
    key: Option<&str>,
    closure: &dyn Fn(&V) -> Option<Closure>,
) -> Option<ArgumentError> {
    let is_not = |what: Is| value.is(what) == Some(false);
    let misfit = match parameter.ty {
        Type::Text | Type::Duration | Type::Word(_) => is_not(Is::Text),
        Type::Integer => is_not(Is::Integer),
        Type::Boolean => is_not(Is::Boolean),
        Type::Map => is_not(Is::Map),
        Type::Options => false,
        Type::Closure(_) => is_not(Is::Closure),
        Type::TextList => is_not(Is::TextList),
        Type::Evidence => value.is(Is::Closure) == Some(true) || value.is(Is::Unit) == Some(true),
    };
    let name = parameter.name;
    if misfit {
        let message = format!("`{name}` must be {}, not {}", expected(parameter.ty), value.found());
        return Some(wrong(index, key, message, example(parameter)));
    }
    match parameter.ty {
        Type::Duration => {
            let text = value.text().filter(|text| duration(text).is_none())?;
            let message = format!("`{name}` must be a duration, not `{text}`");
            Some(wrong(index, key, message, "write a number and its unit: `500ms`, `90s`, `5m`, `2h`".to_owned()))
        }
        Type::Word(words) => {
            let text = value.text().filter(|text| !words.contains(&text.as_ref()))?;
            let list = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ");
            let help = match nearest(&text, words.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write {list}"),
            };
            Some(wrong(index, key, format!("`{name}` must be {list}, not \"{text}\""), help))
        }
        Type::Closure(arity) => {
            let known = closure(value)?;
            if let Some(file) = known.foreign {
                let message = format!("the closure `{name}` was written in `{file}` and can only be run there");
                return Some(wrong(index, key, message, "write the closure where it is given to the primitive".to_owned()));
            }
            if known.takes == arity {
                return None;
            }
            let message = format!("the closure `{name}` must take {}, not {}", parameters_word(arity), known.takes);
            let help = if arity == 0 { "write it as `|| …`".to_owned() } else { "write it as `|x| …`".to_owned() };
            Some(wrong(index, key, message, help))
        }
        _ => None,
    }
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
