//! Applies the fixes of findings to a text: each whole or not at all, and never so that a text which compiled does not.

use super::{Edit, Finding};

/// A text after fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub text: String,
    /// findings whose fix is in it
    pub applied: usize,
}

/// Applies the fixes of findings of one text. Of two that touch the same place the first is taken. A line end in a fix becomes
/// that of the text.
pub fn apply(text: &str, findings: &[&Finding], compiles: &dyn Fn(&str) -> bool) -> Fixed {
    let mut chosen: Vec<&[Edit]> = Vec::new();
    for finding in findings {
        let edits = finding.fixes.as_slice();
        if !edits.is_empty() && fits(text, edits) && !chosen.iter().any(|other| meet(edits, other)) {
            chosen.push(edits);
        }
    }
    let with = |chosen: &[&[Edit]]| Fixed { text: edited(text, chosen), applied: chosen.len() };
    let untouched = || Fixed { text: text.to_owned(), applied: 0 };
    if chosen.is_empty() {
        return untouched();
    }
    let all = with(&chosen);
    if compiles(&all.text) {
        return all;
    }
    // one of them may be to blame; the others may need each other
    for left_out in 0..chosen.len() {
        let mut others = chosen.clone();
        others.remove(left_out);
        let fixed = with(&others);
        if !others.is_empty() && compiles(&fixed.text) {
            return fixed;
        }
    }
    let mut kept = Vec::new();
    for edits in chosen {
        kept.push(edits);
        if !compiles(&edited(text, &kept)) {
            kept.pop();
        }
    }
    if kept.is_empty() { untouched() } else { with(&kept) }
}

/// True if the edits lie in the text and do not touch each other.
fn fits(text: &str, edits: &[Edit]) -> bool {
    edits.iter().enumerate().all(|(n, edit)| {
        let other = edits[..n].iter().any(|other| touch(edit, other));
        edit.span.start <= edit.span.end && text.get(edit.span.clone()).is_some() && !other
    })
}

fn meet(edits: &[Edit], others: &[Edit]) -> bool {
    edits.iter().any(|edit| others.iter().any(|other| touch(edit, other)))
}

/// True if two edits change the same bytes, or put something in at the same place.
fn touch(a: &Edit, b: &Edit) -> bool {
    a.span.start == b.span.start || (a.span.start < b.span.end && b.span.start < a.span.end)
}

fn edited(text: &str, chosen: &[&[Edit]]) -> String {
    let windows = text.contains("\r\n");
    let mut edits: Vec<&Edit> = chosen.iter().copied().flatten().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut out = text.to_owned();
    for edit in edits.into_iter().rev() {
        if windows && edit.text.contains('\n') {
            out.replace_range(edit.span.clone(), &edit.text.replace("\r\n", "\n").replace('\n', "\r\n"));
        } else {
            out.replace_range(edit.span.clone(), &edit.text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::find;
    use crate::script::{Options, Script, Source};

    /// Findings with these edits; where they are found does not matter.
    fn findings(fixes: Vec<Vec<Edit>>) -> Vec<Finding> {
        let script = Script::load(Source::Text { name: "t.rhai", text: "" }, &Options::default()).unwrap();
        let finding = find("unknown-call").unwrap().finding(&script.files[0], 0..0, "m", "l", "h");
        fixes.into_iter().map(|fixes| Finding { fixes, ..finding.clone() }).collect()
    }

    fn edit(span: std::ops::Range<usize>, text: &str) -> Edit {
        Edit { span, text: text.to_owned() }
    }

    fn fixed(text: &str, fixes: Vec<Vec<Edit>>, compiles: impl Fn(&str) -> bool) -> (String, usize) {
        let findings = findings(fixes);
        let Fixed { text, applied } = apply(text, &findings.iter().collect::<Vec<_>>(), &compiles);
        (text, applied)
    }

    #[test]
    fn a_fix_is_applied_whole_or_not_at_all() {
        let fixes = vec![vec![edit(0..1, "x"), edit(4..5, "y")], vec![edit(2..3, "z"), edit(4..5, "q")], vec![edit(2..3, "w")]];
        assert_eq!(fixed("a b c", fixes, |_| true), ("x w y".to_owned(), 2));
        assert_eq!(fixed("ü", vec![vec![edit(1..2, "u")], vec![edit(0..9, "u")]], |_| true), ("ü".to_owned(), 0));
    }

    #[test]
    fn what_would_not_compile_is_left_out() {
        let fixes = |bad: &str| vec![vec![edit(0..1, "x")], vec![edit(2..3, bad)], vec![edit(4..5, "y")]];
        let compiles = |text: &str| !text.contains('!');
        assert_eq!(fixed("a b c", fixes("!"), compiles), ("x b y".to_owned(), 2));
        // two that need each other, beside one that is wrong
        let needs = |text: &str| compiles(text) && text.contains('x') == text.contains('y');
        assert_eq!(fixed("a b c", fixes("!"), needs), ("x b y".to_owned(), 2));
        assert_eq!(fixed("a b c", fixes("d"), |_| false), ("a b c".to_owned(), 0));
    }

    #[test]
    fn line_ends_stay_those_of_the_text() {
        assert_eq!(fixed("a\r\nb", vec![vec![edit(0..1, "x\ny")]], |_| true), ("x\r\ny\r\nb".to_owned(), 1));
        assert_eq!(fixed("a\nb", vec![vec![edit(0..1, "x\ny")]], |_| true), ("x\ny\nb".to_owned(), 1));
    }

    /// Brackets open and close in pairs: what stands for compiling.
    fn balanced(text: &str) -> bool {
        let depth = text.chars().try_fold(0_usize, |depth, c| match c {
            '(' => Some(depth + 1),
            ')' => depth.checked_sub(1),
            _ => Some(depth),
        });
        depth == Some(0)
    }

    fn edits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
        let edit = (0..24_usize, 0..5_usize, "[a()ü\n]{0,3}").prop_map(|(start, length, text)| Edit { span: start..start + length, text });
        prop::collection::vec(prop::collection::vec(edit, 0..3), 0..6)
    }

    proptest! {
        #[test]
        fn a_text_that_compiles_still_does(text in "[a()ü\r\n]{0,20}", fixes in edits()) {
            let (after, applied) = fixed(&text, fixes, balanced);
            prop_assert!(balanced(&after) || after == text);
            prop_assert!(applied > 0 || after == text);
        }

        #[test]
        fn what_lies_between_edits_stays(text in "[aüb\n]{0,20}", fixes in edits()) {
            let (after, applied) = fixed(&text, fixes.clone(), |_| true);
            // the same from the front: each fix that fits and meets none before it
            let mut taken: Vec<Edit> = Vec::new();
            let mut count = 0;
            for fix in fixes.iter().filter(|fix| !fix.is_empty()) {
                let mut both = taken.clone();
                let meets = fix.iter().any(|edit| {
                    let met = text.get(edit.span.clone()).is_none() || both.iter().any(|other| touch(edit, other));
                    both.push(edit.clone());
                    met
                });
                if !meets {
                    taken = both;
                    count += 1;
                }
            }
            taken.sort_by_key(|edit| (edit.span.start, edit.span.end));
            let (mut wanted, mut at) = (String::new(), 0);
            for edit in &taken {
                wanted.push_str(&text[at..edit.span.start]);
                wanted.push_str(&edit.text);
                at = edit.span.end;
            }
            wanted.push_str(&text[at..]);
            prop_assert_eq!(after, wanted);
            prop_assert_eq!(applied, count);
        }
    }
}
