//! Quoting: the only ways in which text from outside becomes part of a T-SQL text, or of a pattern. Called by `parameters`
//! and by every part that writes statements of its own.

/// The longest identifier SQL Server accepts, in UTF-16 units (`sysname`).
pub const IDENTIFIER_LIMIT: usize = 128;

/// A delimited identifier: `a]b` becomes `[a]]b]`. Does not check the length.
pub fn quote_identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('[');
    for c in name.chars() {
        if c == ']' {
            quoted.push(']');
        }
        quoted.push(c);
    }
    quoted.push(']');
    quoted
}

/// A Unicode string literal: `it's` becomes `N'it''s'`.
pub fn quote_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 3);
    quoted.push_str("N'");
    for c in text.chars() {
        if c == '\'' {
            quoted.push('\'');
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// What matches itself in a LIKE pattern without ESCAPE: `a_b` becomes `a[_]b`. The caller quotes or binds it.
pub fn like_literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '[') {
            pattern.extend(['[', c, ']']);
        } else {
            pattern.push(c);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_brackets_are_doubled_and_others_are_not() {
        assert_eq!(quote_identifier("a]b[c"), "[a]]b[c]");
        assert_eq!(quote_identifier(""), "[]");
    }

    #[test]
    fn apostrophes_are_doubled() {
        assert_eq!(quote_string("it's"), "N'it''s'");
    }

    #[test]
    fn wildcards_in_a_pattern_mean_themselves() {
        assert_eq!(like_literal("a_b%[c]"), "a[_]b[%][[]c]");
    }
}
