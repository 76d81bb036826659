//! What a failing batch's messages mean: which of them decides, and what the operator does next. The catalogue itself is
//! in `facts::errors`; this file only applies it to the messages of one answer.

use super::value::Message;
use crate::facts::errors::{ErrorFact, find, is_wrapper, os_error_in, os_error_meaning};

/// The first error that is not a wrapper such as 3013; the first error of all if they all are.
pub fn deciding(messages: &[Message]) -> Option<&Message> {
    let errors = || messages.iter().filter(|m| m.is_error());
    errors().find(|m| !is_wrapper(m.number)).or_else(|| errors().next())
}

/// The catalogue's entry for the deciding error.
pub fn fact(messages: &[Message]) -> Option<&'static ErrorFact> {
    find(deciding(messages)?.number)
}

/// What the deciding error means and what to do about it, in whole sentences; a Windows error inside its text is named.
pub fn advice(messages: &[Message]) -> Option<String> {
    let message = deciding(messages)?;
    let mut said = Vec::new();
    let fact = find(message.number);
    said.extend(fact.map(|f| f.meaning.to_owned()));
    if let Some(code) = os_error_in(&message.text)
        && let Some(meaning) = os_error_meaning(code)
    {
        said.push(format!("Windows error {code}: {}.", meaning.trim_end_matches('.')));
    }
    said.extend(fact.map(|f| f.act.to_owned()).filter(|act| !act.is_empty()));
    (!said.is_empty()).then(|| said.join(" "))
}

/// Every message in order, one line each, as SQL Server's own tools print them.
pub fn lines(messages: &[Message]) -> Vec<String> {
    messages.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: i32, severity: u8, text: &str) -> Message {
        Message { number, severity, state: 1, text: text.into(), server: String::new(), procedure: String::new(), line: 1 }
    }

    #[test]
    fn a_wrapper_never_decides_while_another_error_is_there() {
        let number = |messages: &[Message]| deciding(messages).map(|m| m.number);
        assert_eq!(number(&[said(4035, 10, ""), said(3013, 16, ""), said(4305, 16, "")]), Some(4305));
        assert_eq!(number(&[said(5061, 16, ""), said(5069, 16, "")]), Some(5061));
        assert_eq!(number(&[said(3013, 16, "")]), Some(3013));
        assert_eq!(number(&[said(3014, 10, "")]), None);
    }

    #[test]
    fn advice_names_the_windows_error_inside_the_text() {
        let text = "Cannot open backup device 'D:\\LogShip\\a.trn'. Operating system error 5(Access is denied.).";
        let advice = advice(&[said(3201, 16, text), said(3013, 16, "")]).unwrap();
        assert!(advice.contains("Windows error 5: "), "{advice}");
        let fact = find(3201).unwrap();
        assert!(advice.starts_with(fact.meaning) && advice.ends_with(fact.act), "{advice}");
    }

    #[test]
    fn an_error_outside_the_catalogue_gets_no_invented_advice() {
        assert_eq!(advice(&[said(50123, 16, "mine")]), None);
    }
}
