//! The constant `site`: facts as a value that answers `site.sql.backup.fqdn`, and says which keys there are when one is not.
//! A type of its own because a map would answer `()` for a key that does not exist.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Position};
use serde_json::Value;

use crate::script::nearest;

/// A table of facts, and the path that leads to it.
#[derive(Clone, Debug)]
pub struct Site {
    path: Arc<str>,
    facts: Arc<serde_json::Map<String, Value>>,
}

impl Site {
    /// The facts of a run; what is no map counts as empty.
    pub fn new(facts: Value) -> Self {
        let facts = match facts {
            Value::Object(map) => map,
            _ => serde_json::Map::new(),
        };
        Self { path: "site".into(), facts: Arc::new(facts) }
    }

    fn get(&self, key: &str) -> Result<Dynamic, Box<EvalAltResult>> {
        match self.facts.get(key) {
            Some(value) => Ok(value_of(value, &format!("{}.{key}", self.path))),
            None => {
                let keys: Vec<&str> = self.facts.keys().map(String::as_str).collect();
                let mut text = format!("no `{key}` in `{}`", self.path);
                match nearest(key, keys.iter().copied()) {
                    Some(near) => text.push_str(&format!("; did you mean `{near}`?")),
                    None if keys.is_empty() => text.push_str("; it is empty"),
                    None => text.push_str(&format!("; it has {}", listed(&keys))),
                }
                Err(Box::new(EvalAltResult::ErrorRuntime(text.into(), Position::NONE)))
            }
        }
    }
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
}

fn value_of(value: &Value, path: &str) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => n.as_i64().map(Dynamic::from).or_else(|| n.as_f64().map(Dynamic::from)).unwrap_or(Dynamic::UNIT),
        Value::String(s) => s.clone().into(),
        Value::Array(items) => {
            let items: Array = items.iter().enumerate().map(|(i, v)| value_of(v, &format!("{path}[{i}]"))).collect();
            items.into()
        }
        Value::Object(map) => Dynamic::from(Site { path: path.into(), facts: Arc::new(map.clone()) }),
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Site>("Site");
    engine.register_indexer_get(|site: &mut Site, key: ImmutableString| site.get(&key));
    engine.register_fn("contains", |site: &mut Site, key: ImmutableString| site.facts.contains_key(key.as_str()));
    engine.register_fn("get", |site: &mut Site, key: ImmutableString| site.get(&key).unwrap_or(Dynamic::UNIT));
    engine.register_fn("keys", |site: &mut Site| -> Array { site.facts.keys().map(|k| k.clone().into()).collect() });
    engine.register_fn("to_string", |site: &mut Site| text(site));
    engine.register_fn("to_debug", |site: &mut Site| text(site));
}

fn text(site: &Site) -> String {
    Value::Object((*site.facts).clone()).to_string()
}
