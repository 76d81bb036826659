//! One call of a primitive, as its file sees it: checked arguments, where it stands, and what a run has to work with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ArgumentError, Raised, closure, duration, values};
use crate::effect::{Class, Effect, Effects, Outcome, Place, Test};
use crate::powershell::Session;
use crate::sqlserver::Servers;
use crate::sqlserver::headers::HeaderCache;

/// An outcome that is plain data, as the record keeps it.
pub(super) fn plain_record<T: Serialize>(outcome: &T) -> Value {
    serde_json::to_value(outcome).expect("an outcome is plain data")
}

/// Such an outcome again.
pub(super) fn plain_replay<T: DeserializeOwned>(record: Value) -> Result<T, String> {
    serde_json::from_value(record).map_err(|error| format!("its outcome is not understood: {error}"))
}

/// An outcome that is plain data as a whole, and its default where the change was in force already.
pub(super) trait Plain: Serialize + DeserializeOwned + Default {}

impl<T: Plain> Outcome for T {
    fn already() -> Self {
        Self::default()
    }
    fn record(&self) -> Value {
        plain_record(self)
    }
    fn replay(record: Value) -> Result<Self, String> {
        plain_replay(record)
    }
}

/// What all calls of one run share.
pub struct Run {
    pub effects: Effects,
    pub servers: Servers,
    /// None when the site has no `[powershell]`.
    pub shell: Option<Shell>,
    /// Headers read in this run: a file that did not change is not asked for twice.
    pub headers: Arc<HeaderCache>,
}

/// The management shell, and which of its changing cmdlets the site allows.
#[derive(Clone)]
pub struct Shell {
    pub session: Arc<Session>,
    pub allow: Vec<String>,
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

impl Call<'_, '_> {
    /// A text argument; empty when it was left out.
    pub fn text(&self, argument: usize) -> String {
        self.arguments.get(argument).and_then(|v| v.clone().into_immutable_string().ok()).map(|s| s.to_string()).unwrap_or_default()
    }

    /// An argument or option that names a folder: absolute, as what is relative means another folder to another caller.
    pub fn folder(&self, argument: usize, key: Option<&str>) -> Result<PathBuf, Raised> {
        let text = match key {
            Some(key) => self.text_option(key).unwrap_or_default(),
            None => self.text(argument),
        };
        let folder = PathBuf::from(&text);
        if folder.is_absolute() {
            return Ok(folder);
        }
        self.wrong(argument, key, format!("`{text}` is not an absolute path"), "write the whole path, from its root or share on")
    }

    /// A text option.
    pub fn text_option(&self, key: &str) -> Option<String> {
        self.options.get(key).and_then(|v| v.clone().into_immutable_string().ok()).map(|s| s.to_string())
    }

    pub fn flag(&self, key: &str) -> bool {
        self.options.get(key).and_then(|v| v.as_bool().ok()).unwrap_or(false)
    }

    pub fn integer_option(&self, key: &str) -> Option<i64> {
        self.options.get(key).and_then(|v| v.as_int().ok())
    }

    /// A duration option; it was checked to be one.
    pub fn duration_option(&self, key: &str) -> Option<Duration> {
        self.text_option(key).and_then(|text| duration(&text))
    }

    pub fn closure(&self, argument: usize) -> FnPtr {
        self.arguments
            .get(argument)
            .and_then(|v| v.clone().try_cast::<FnPtr>())
            .unwrap_or_else(|| unreachable!("arguments are checked before the call"))
    }

    /// The arguments as the record keeps them: closures left out.
    pub fn record(&self, names: &[super::Parameter]) -> Value {
        let mut map = serde_json::Map::new();
        for (parameter, value) in names.iter().zip(&self.arguments) {
            if !value.is_fnptr() {
                map.insert(parameter.name.to_owned(), values::to_json(value));
            }
        }
        for (key, value) in &self.options {
            if !value.is_fnptr() {
                map.insert(key.to_string(), values::to_json(value));
            }
        }
        Value::Object(map)
    }

    /// The effect that this call is.
    pub fn effect(&self, primitive: &'static super::Primitive, class: Class, server: Option<String>, summary: String) -> Effect {
        Effect {
            primitive: primitive.name,
            class,
            server,
            summary,
            arguments: self.record(primitive.parameters),
            place: self.place.clone(),
            cancellable: true,
            looks: false,
        }
    }

    /// Runs `work` with the call's `done_when`, if it has one.
    pub fn with_test<T>(&self, work: impl FnOnce(Option<Test<'_>>) -> T) -> T {
        let Some(closure) = self.options.get("done_when").and_then(|v| v.clone().try_cast::<FnPtr>()) else {
            return work(None);
        };
        let context = self.context;
        let mut ask = || -> Result<bool, Box<EvalAltResult>> { closure::test(context, &closure, "done_when") };
        work(Some(Test {
            ask: &mut ask,
            within: self.duration_option("within").unwrap_or_default(),
            accept: self.text_option("already").as_deref() == Some("accept"),
        }))
    }

    /// An argument's mistake that only the primitive can see.
    pub fn wrong<T>(&self, argument: usize, key: Option<&str>, message: impl Into<String>, help: impl Into<String>) -> Result<T, Raised> {
        Err(Raised::Argument(ArgumentError {
            argument,
            key: key.map(str::to_owned),
            within: None,
            message: message.into(),
            help: help.into(),
        }))
    }
}
