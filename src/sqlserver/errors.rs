//! What a failing batch's messages mean: which of them decides, and what the operator does next. The catalogue itself is
//! in `facts::errors`; this file only applies it to the messages of one answer.

use super::value::Message;
use crate::facts::errors::{find, is_wrapper, os_error_in, os_error_meaning};

/// The first error that is not a wrapper such as 3013; the first error of all if they all are.
pub fn deciding(messages: &[Message]) -> Option<&Message> {
    let errors = || messages.iter().filter(|m| m.is_error());
    errors().find(|m| !is_wrapper(m.number)).or_else(|| errors().next())
}

/// What an error means, in whole sentences; a Windows error inside its text is named.
pub fn meaning(message: &Message) -> Option<String> {
    let mut said: Vec<String> = find(message.number).map(|fact| fact.meaning.to_owned()).into_iter().collect();
    if let Some(code) = os_error_in(&message.text)
        && let Some(meaning) = os_error_meaning(code)
    {
        said.push(format!("Windows error {code}: {}.", meaning.trim_end_matches('.')));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// What to do about an error, in a whole sentence.
pub fn act(message: &Message) -> String {
    match find(message.number) {
        Some(fact) if !fact.act.is_empty() => fact.act.to_owned(),
        // raised by a procedure or by the runbook's own text
        _ if message.number >= 50_000 => "Read its text: the procedure or the batch itself raised it.".to_owned(),
        _ => format!("Look up error {} in Microsoft's list of Database Engine errors, and remove its cause.", message.number),
    }
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
    fn the_meaning_names_the_windows_error_inside_the_text() {
        let text = "Cannot open backup device 'D:\\LogShip\\a.trn'. Operating system error 5(Access is denied.).";
        let message = said(3201, 16, text);
        let meaning = meaning(&message).unwrap();
        assert!(meaning.contains("Windows error 5: "), "{meaning}");
        let fact = find(3201).unwrap();
        assert!(meaning.starts_with(fact.meaning), "{meaning}");
        assert_eq!(act(&message), fact.act);
    }

    #[test]
    fn an_error_outside_the_catalogue_gets_no_invented_meaning() {
        assert_eq!(meaning(&said(50123, 16, "mine")), None);
        assert!(act(&said(50123, 16, "mine")).contains("itself raised it"));
        assert!(act(&said(777, 16, "")).contains("error 777"));
    }
}
