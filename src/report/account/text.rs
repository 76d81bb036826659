//! Text from a record as it may be shown anywhere. Servers, shells and file names put what they like into it; nothing of that
//! may hide, or turn the direction of what stands beside it.

use std::fmt::{self, Write};

use serde::Serialize;

/// A text in which what is invisible is spelled out: control characters as their pictures, marks of direction and line
/// separators by their numbers. Lines end with `\n`. It is not escaped: that is the business of each format.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    pub fn of(text: &str) -> Self {
        if !text.chars().any(is_unseen) {
            return Self(text.to_owned());
        }
        let mut seen = String::with_capacity(text.len() + 16);
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\r' if characters.peek() == Some(&'\n') => {}
                '\0'..='\x08' | '\x0b'..='\x1f' => seen.extend(char::from_u32(0x2400 + character as u32)),
                '\x7f' => seen.push('␡'),
                _ if is_unseen(character) => {
                    // writing to a String cannot fail
                    let _ = write!(seen, "⟨U+{:04X}⟩", character as u32);
                }
                _ => seen.push(character),
            }
        }
        Self(seen)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// On one line, runs of white space as one blank.
    #[must_use]
    pub fn one_line(&self) -> Self {
        Self(self.0.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// At most so many characters, an ellipsis included.
    #[must_use]
    pub fn cut(&self, most: usize) -> Self {
        match self.0.char_indices().nth(most) {
            None => self.clone(),
            Some(_) => {
                let end = self.0.char_indices().nth(most.saturating_sub(1)).map_or(0, |(end, _)| end);
                Self(format!("{}…", self.0[..end].trim_end()))
            }
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters but for line ends and tabs, separators, marks of direction (UAX #9), and what is no character.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        | '\u{fdd0}'..='\u{fdef}')
        || character as u32 & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invisible_is_spelled_out_and_the_rest_stays() {
        let text = |text: &str| Text::of(text).to_string();
        assert_eq!(text("\x1b[31mred\x07\0"), "␛[31mred␇␀");
        assert_eq!(text("a\r\nb\rc\td"), "a\nb␍c\td");
        assert_eq!(text("gpj.\u{202e}exe\u{2028}"), "gpj.⟨U+202E⟩exe⟨U+2028⟩");
        assert_eq!(text("\u{ffff}\u{10ffff}\u{fffd}"), "⟨U+FFFF⟩⟨U+10FFFF⟩\u{fffd}");
        assert_eq!(text("שלום Zoë 👩‍🚒"), "שלום Zoë 👩‍🚒");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(Text::of("äöü").cut(3).as_str(), "äöü");
        assert_eq!(Text::of("äöüß").cut(3).as_str(), "äö…");
        assert_eq!(Text::of("a\n   b").one_line().as_str(), "a b");
    }
}
