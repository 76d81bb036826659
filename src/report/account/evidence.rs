//! What was shown with a question, from the recorded option `show`.

use serde_json::{Map, Value};

use super::Text;

/// Something that was shown before an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub title: Text,
    /// heads of the rows' cells; none: each row is a name and what it has
    pub columns: Vec<Text>,
    pub rows: Vec<Vec<Text>>,
    pub text: Vec<Text>,
}

/// Columns beyond which a table is too wide for paper and phones.
const ABREAST: usize = 6;

impl Evidence {
    /// Of text, rows, a map, or a list of `[title, value]` pairs.
    pub(super) fn of(show: &Value) -> Vec<Self> {
        match show {
            Value::Null => Vec::new(),
            Value::Array(list) if !list.is_empty() && list.iter().all(|item| pair(item).is_some()) => {
                list.iter().filter_map(pair).map(|(title, value)| Self::one(title, value)).collect()
            }
            other => vec![Self::one("", other)],
        }
    }

    fn one(title: &str, value: &Value) -> Self {
        let title = Text::of(title);
        let maps = |list: &[Value]| list.iter().map(|item| item.as_object().cloned()).collect::<Option<Vec<_>>>();
        match value {
            Value::Object(map) => Self { title, rows: facts(map), ..Self::default() },
            Value::Array(list) if list.is_empty() => Self { title, text: vec![Text::of("(none)")], ..Self::default() },
            Value::Array(list) => match maps(list) {
                Some(rows) => Self::table(title, &rows),
                None => Self { title, text: list.iter().map(shown).collect(), ..Self::default() },
            },
            other => Self { title, text: shown(other).as_str().lines().map(Text::of).collect(), ..Self::default() },
        }
    }

    fn table(title: Text, rows: &[Map<String, Value>]) -> Self {
        let mut columns: Vec<&str> = Vec::new();
        for name in rows.iter().flat_map(Map::keys) {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        if let [row] = rows {
            return Self { title, rows: facts(row), ..Self::default() };
        }
        if columns.len() > ABREAST {
            let line = |row| facts(row).iter().map(|fact| format!("{} {}", fact[0], fact[1])).collect::<Vec<_>>().join(" · ");
            return Self { title, text: rows.iter().map(line).map(|line| Text::of(&line)).collect(), ..Self::default() };
        }
        let cells = |row: &Map<String, Value>| columns.iter().map(|name| row.get(*name).map(shown).unwrap_or_default()).collect();
        let rows = rows.iter().map(cells).collect();
        Self { title, columns: columns.into_iter().map(Text::of).collect(), rows, text: Vec::new() }
    }
}

fn pair(item: &Value) -> Option<(&str, &Value)> {
    match item.as_array()?.as_slice() {
        [Value::String(title), value] => Some((title, value)),
        _ => None,
    }
}

fn facts(map: &Map<String, Value>) -> Vec<Vec<Text>> {
    map.iter().map(|(name, value)| vec![Text::of(name), shown(value)]).collect()
}

/// A value as it is read at a glance: without quotes and brackets, and a dash for what is missing (NULL).
fn shown(value: &Value) -> Text {
    fn words(value: &Value) -> String {
        match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
            Value::Object(map) => map.iter().map(|(name, value)| format!("{name} {}", words(value))).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }
    Text::of(&words(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_shown_is_told_as_pairs_rows_facts_or_text() {
        let texts = |row: &[Text]| row.iter().map(|text| text.as_str().to_owned()).collect::<Vec<_>>();
        let shown = Evidence::of(
            &json!([["drives", [{"drive": "D", "free": 3}, {"drive": "E", "used": null}]], ["server", {"name": "A"}], ["jobs", []]]),
        );
        assert_eq!(shown.len(), 3);
        assert_eq!((shown[0].title.as_str(), texts(&shown[0].columns)), ("drives", vec!["drive".into(), "free".into(), "used".into()]));
        assert_eq!(texts(&shown[0].rows[1]), ["E", "", "–"]);
        assert_eq!((shown[1].columns.len(), texts(&shown[1].rows[0])), (0, vec!["name".into(), "A".into()]));
        assert_eq!(texts(&shown[2].text), ["(none)"]);
        let wide = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": true});
        assert_eq!(texts(&Evidence::of(&json!([wide, wide]))[0].text), vec!["a 1 · b 2 · c 3 · d 4 · e 5 · f 6 · g true"; 2]);
        assert_eq!(Evidence::of(&json!([wide]))[0].rows.len(), 7);
        assert_eq!(texts(&Evidence::of(&json!("one\ntwo"))[0].text), ["one", "two"]);
        assert_eq!(Evidence::of(&Value::Null), []);
    }
}
