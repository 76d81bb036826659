//! The messages between the program and the management shell's bridge script, one JSON object a line in each direction.
//! Used by `powershell` on our side and by the lab's shell on the other; `powershell/bridge.ps1` is the third reader.
//!
//! Both directions are ASCII: a Windows console reads and writes its standard streams in a code page, so everything else
//! travels as `\uXXXX`. Every text inside `parameters` travels with a leading `=`, because PowerShell 7's ConvertFrom-Json
//! turns text that looks like a date into a date; the bridge takes it off again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How deep the bridge follows an object's properties when the caller does not say.
pub const DEFAULT_DEPTH: u32 = 4;

/// Program → bridge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Import the module (empty: none) and tell about the shell. Answered by records, then [`Answer::Hello`] when it
    /// worked, then [`Answer::Done`] with id 0.
    Hello {
        module: String,
        /// looked for after the import: those that are not there are told
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cmdlets: Vec<String>,
    },
    /// Call one cmdlet. Answered by records and outputs in the order they came, then [`Answer::Done`] with the same id.
    Invoke {
        id: u64,
        cmdlet: String,
        /// as [`guard`] made it
        parameters: Map<String, Value>,
        /// levels of nested properties to follow; deeper objects become text
        depth: u32,
    },
}

/// Bridge → program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    Hello(Hello),
    Warning {
        message: String,
    },
    Verbose {
        message: String,
    },
    Error(ErrorRecord),
    Output {
        value: Value,
    },
    /// The request has ended; `ok` is false after a terminating error.
    Done {
        id: u64,
        ok: bool,
    },
    /// The bridge could not read the request; nothing was called.
    Refused {
        message: String,
    },
}

/// What the shell is, for `doctor` and the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// `$PSVersionTable.PSVersion`
    pub ps_version: String,
    /// `Desktop` or `Core`; empty before 5.1
    pub edition: String,
    /// `FullLanguage`, `ConstrainedLanguage`, ...
    pub language_mode: String,
    /// `Get-ExecutionPolicy -List`, as `scope: policy`
    pub execution_policies: Vec<String>,
    pub module: String,
    pub module_version: String,
    /// whether the process runs with an elevated token; absent when it could not be told
    pub elevated: Option<bool>,
    /// `DOMAIN\user`
    pub user: String,
    /// the machine's name
    pub host: String,
    /// of the cmdlets that were asked for, those that the shell does not know
    pub missing: Vec<String>,
}

/// A PowerShell error record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorRecord {
    /// `CategoryInfo.Category`
    pub category: String,
    /// `FullyQualifiedErrorId`
    pub error_id: String,
    pub message: String,
    /// `TargetObject` as text; empty when there is none
    pub target: String,
    /// true when it ended the cmdlet
    pub terminating: bool,
    /// the exception's type
    pub exception: String,
}

/// A parameter value that cannot travel without loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// JSON numbers lose digits past 2^53.
    #[error("`{at}` is {number}, more digits than a number can carry to PowerShell")]
    Number { at: String, number: String },
    /// PowerShell's maps take keys in any case.
    #[error("`{at}` has the keys `{one}` and `{other}`, which are one key to PowerShell")]
    SameKey { at: String, one: String, other: String },
    #[error("`{at}` is nested more than {MAX_DEPTH} levels deep")]
    TooDeep { at: String },
}

/// ConvertFrom-Json of Windows PowerShell stops at 100 levels.
const MAX_DEPTH: usize = 50;
/// 2^53: the largest integer up to which a double counts exactly.
const MAX_INTEGER: u64 = 9_007_199_254_740_992;

/// Parameters as they travel: every text with a leading `=`, keys unchanged.
pub fn guard(parameters: &Map<String, Value>) -> Result<Map<String, Value>, Unsendable> {
    guard_map(parameters, "", 0)
}

fn guard_map(map: &Map<String, Value>, at: &str, depth: usize) -> Result<Map<String, Value>, Unsendable> {
    let mut guarded = Map::with_capacity(map.len());
    let mut seen: Vec<(String, &str)> = Vec::with_capacity(map.len());
    for (key, value) in map {
        let folded = key.to_lowercase();
        if let Some((_, one)) = seen.iter().find(|(other, _)| *other == folded) {
            let at = if at.is_empty() { "parameters" } else { at };
            return Err(Unsendable::SameKey { at: at.to_owned(), one: (*one).to_owned(), other: key.clone() });
        }
        seen.push((folded, key));
        let inner = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        guarded.insert(key.clone(), guard_value(value, &inner, depth + 1)?);
    }
    Ok(guarded)
}

fn guard_value(value: &Value, at: &str, depth: usize) -> Result<Value, Unsendable> {
    if depth > MAX_DEPTH {
        return Err(Unsendable::TooDeep { at: at.to_owned() });
    }
    Ok(match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => {
            let fits = match (number.as_u64(), number.as_i64()) {
                (Some(n), _) => n <= MAX_INTEGER,
                (None, Some(n)) => n.unsigned_abs() <= MAX_INTEGER,
                (None, None) => true,
            };
            if !fits {
                return Err(Unsendable::Number { at: at.to_owned(), number: number.to_string() });
            }
            value.clone()
        }
        Value::String(text) => Value::String(format!("={text}")),
        Value::Array(items) => Value::Array(
            items.iter().enumerate().map(|(n, item)| guard_value(item, &format!("{at}[{n}]"), depth + 1)).collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => Value::Object(guard_map(map, at, depth)?),
    })
}

/// Parameters as they were before [`guard`]; text without the sign is left as it is.
pub fn unguard(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.strip_prefix('=').map(str::to_owned).unwrap_or(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(unguard).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, unguard(value))).collect()),
        other => other,
    }
}

/// One message as a line of ASCII, without the line's end.
pub fn to_line<T: Serialize>(message: &T) -> String {
    let json = serde_json::to_string(message).expect("a message of text keys and plain values is always JSON");
    if json.is_ascii() {
        return json;
    }
    let mut line = String::with_capacity(json.len() + 16);
    let mut units = [0u16; 2];
    for c in json.chars() {
        if c.is_ascii() {
            line.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    line
}

/// A line read back; a byte order mark before the first message is passed over.
pub fn from_line<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str(line.trim_start_matches('\u{feff}').trim())
}

/// True when a text may be a cmdlet's name (`Verb-Noun`): the bridge calls by name, and a path would be run as well.
pub fn is_cmdlet_name(name: &str) -> bool {
    let letters = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric());
    name.split_once('-').is_some_and(|(verb, noun)| {
        !verb.is_empty() && !noun.is_empty() && letters(verb) && letters(noun) && name.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn texts_are_guarded_at_every_depth_and_come_back() {
        let parameters = map(json!({
            "Identity": "2026-05-01T10:00:00Z",
            "ActiveServers": { "Add": ["a.example.com", "=b"], "Remove": null },
            "Confirm": false,
            "Count": 3
        }));
        let guarded = guard(&parameters).unwrap();
        assert_eq!(
            Value::Object(guarded.clone()),
            json!({
                "Identity": "=2026-05-01T10:00:00Z",
                "ActiveServers": { "Add": ["=a.example.com", "==b"], "Remove": null },
                "Confirm": false,
                "Count": 3
            })
        );
        assert_eq!(unguard(Value::Object(guarded)), Value::Object(parameters));
    }

    #[test]
    fn what_would_lose_something_is_refused_by_place() {
        let big = guard(&map(json!({ "A": [1, 9_007_199_254_740_993u64] }))).unwrap_err();
        assert_eq!(big.to_string(), "`A[1]` is 9007199254740993, more digits than a number can carry to PowerShell");
        assert!(guard(&map(json!({ "A": -9_007_199_254_740_992i64 }))).is_ok());
        let keys = guard(&map(json!({ "Servers": { "add": "a", "Add": "b" } }))).unwrap_err();
        assert_eq!(keys.to_string(), "`Servers` has the keys `add` and `Add`, which are one key to PowerShell");
        let mut deep = json!("x");
        for _ in 0..60 {
            deep = json!([deep]);
        }
        assert!(matches!(guard(&map(json!({ "A": deep }))), Err(Unsendable::TooDeep { .. })));
    }

    #[test]
    fn lines_are_ascii_and_read_back_the_same() {
        let answer = Answer::Warning { message: "Zürich – 東京 \u{1f600}\n\"x\"".to_owned() };
        let line = to_line(&answer);
        assert!(line.is_ascii() && !line.contains('\n'), "{line}");
        assert_eq!(from_line::<Answer>(&format!("\u{feff}{line}\r\n")).unwrap(), answer);
    }

    #[test]
    fn the_shapes_of_the_messages_are_kept() {
        let invoke = Request::Invoke { id: 7, cmdlet: "Get-CsPool".to_owned(), parameters: map(json!({ "Identity": "=a" })), depth: 4 };
        assert_eq!(to_line(&invoke), r#"{"type":"invoke","id":7,"cmdlet":"Get-CsPool","parameters":{"Identity":"=a"},"depth":4}"#);
        assert_eq!(to_line(&Request::Hello { module: "Lync".to_owned(), cmdlets: Vec::new() }), r#"{"type":"hello","module":"Lync"}"#);
        assert_eq!(to_line(&Answer::Done { id: 7, ok: true }), r#"{"type":"done","id":7,"ok":true}"#);
        assert_eq!(to_line(&Answer::Output { value: json!("x") }), r#"{"type":"output","value":"x"}"#);
        let hello: Answer = from_line(r#"{"type":"hello","ps_version":"5.1","elevated":null}"#).unwrap();
        assert!(matches!(hello, Answer::Hello(Hello { ps_version, elevated: None, .. }) if ps_version == "5.1"));
    }

    #[test]
    fn only_verb_noun_is_a_cmdlet_name() {
        for good in ["Get-CsPool", "install-csmirrordatabase"] {
            assert!(is_cmdlet_name(good), "{good}");
        }
        for bad in ["", "Get", "-", "Get-", "C:\\x-y.exe", "Get-Cs Pool", "a-b;c", "./a-b", "Get-Cs\u{2013}Pool", "1a-b"] {
            assert!(!is_cmdlet_name(bad), "{bad}");
        }
    }
}
