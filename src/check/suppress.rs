//! `// check: allow SLUG REASON`: comments that say that a finding is meant. At the end of a line they hold for that line; above
//! a statement, for all of it; before the first statement of a file, for the file. What they say wrongly is a finding, too.

use std::ops::Range;
use std::sync::Arc;

use rhai::Token;

use super::{Edit, Finding, Look, Rule, find};
use crate::script::span::Lexeme;
use crate::script::{SourceFile, nearest};

/// Says if a rule was judged for a file at all: what was not judged cannot show that a comment is needless.
pub type Judged<'a> = &'a dyn Fn(&SourceFile, &str) -> bool;

/// What a comment that allows something begins with.
pub(super) const MARK: &str = "check:";

/// One comment.
struct Allow {
    file: Arc<SourceFile>,
    comment: Range<usize>,
    /// as written; empty if there is none
    slug: String,
    reason: bool,
    covers: Covers,
    used: bool,
}

enum Covers {
    File,
    /// findings that start in these bytes
    Bytes(Range<usize>),
    /// It stands above nothing.
    Nothing,
}

/// Takes out what comments allow, and adds what is wrong with those of `files`.
pub fn apply(files: &[Arc<SourceFile>], findings: Vec<Finding>, judged: Judged<'_>) -> Vec<Finding> {
    let mut all: Vec<&Arc<SourceFile>> = files.iter().collect();
    for finding in &findings {
        if !all.iter().any(|file| Arc::ptr_eq(file, &finding.file)) {
            all.push(&finding.file);
        }
    }
    let mut allows: Vec<Allow> = all.into_iter().flat_map(allows).collect();
    if allows.is_empty() {
        return findings;
    }
    let mut left: Vec<Finding> = findings.into_iter().filter(|finding| !is_allowed(finding, &mut allows)).collect();
    for allow in allows.iter().filter(|allow| files.iter().any(|file| Arc::ptr_eq(file, &allow.file))) {
        left.extend(judgement(allow, judged));
    }
    left
}

/// Marks the comment that allows a finding: of several, the one that covers least.
fn is_allowed(finding: &Finding, allows: &mut [Allow]) -> bool {
    if !can_be_allowed(finding.rule) {
        return false;
    }
    let size = |allow: &Allow| match &allow.covers {
        Covers::File => usize::MAX,
        Covers::Bytes(range) => range.len(),
        Covers::Nothing => 0,
    };
    let meant = allows
        .iter_mut()
        .filter(|allow| allow.slug == finding.rule && Arc::ptr_eq(&allow.file, &finding.file) && allow.holds_for(finding.span.start))
        .min_by_key(|allow| size(allow));
    meant.is_some_and(|allow| {
        allow.used = true;
        true
    })
}

impl Allow {
    fn holds_for(&self, byte: usize) -> bool {
        match &self.covers {
            Covers::File => true,
            Covers::Bytes(range) => range.contains(&byte) || (byte == range.end && byte == self.file.text.len()),
            Covers::Nothing => false,
        }
    }
}

/// What no run would load stays an error, and what is said about comments is mended in the comment.
fn can_be_allowed(slug: &str) -> bool {
    find(slug).is_none_or(|rule| !matches!(rule.look, Look::Comments | Look::Load))
}

fn judgement(allow: &Allow, judged: Judged<'_>) -> Option<Finding> {
    let unused = rule("unused-allow");
    let slug = allow.slug.as_str();
    if slug.is_empty() {
        let help = "name the rule: `// check: allow SLUG REASON`; `cutover explain` lists the rules";
        return Some(unused.finding(&allow.file, allow.comment.clone(), "an `allow` that names no rule", "which rule?", help));
    }
    if find(slug).is_none() {
        let help = match nearest(slug, super::RULES.iter().map(|rule| rule.slug)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name one of the rules that `cutover explain` lists".to_owned(),
        };
        return Some(unused.finding(&allow.file, allow.comment.clone(), format!("no rule `{slug}`"), "no such rule", help));
    }
    if !can_be_allowed(slug) {
        let message = format!("`{slug}` cannot be allowed");
        let mut finding = unused.finding(&allow.file, allow.comment.clone(), message, "allows nothing", "remove the comment");
        finding.fixes.push(removal(allow));
        return Some(finding);
    }
    if !allow.used && judged(&allow.file, slug) {
        let message = format!("there is nothing here for `allow {slug}` to allow");
        let mut finding = unused.finding(&allow.file, allow.comment.clone(), message, "allows nothing", "remove the comment");
        if matches!(allow.covers, Covers::Nothing) {
            finding.help = "put the comment right above a statement or at the end of a line, or remove it".to_owned();
        }
        finding.fixes.push(removal(allow));
        return Some(finding);
    }
    (!allow.reason).then(|| {
        let help = format!("say after the slug why it is meant: `// check: allow {slug} REASON`");
        rule("allow-without-reason").finding(
            &allow.file,
            allow.comment.clone(),
            format!("`{slug}` is allowed without a reason"),
            "why?",
            help,
        )
    })
}

fn rule(slug: &str) -> &'static Rule {
    find(slug).expect("the rules about comments are listed")
}

/// Takes the comment away: its line, if it stands there alone.
fn removal(allow: &Allow) -> Edit {
    let text = &allow.file.text;
    let Range { start, end } = allow.comment;
    let before = text[..start].trim_end_matches([' ', '\t']);
    let after = text[end..].trim_start_matches([' ', '\t', '\r']);
    let ends_line = after.is_empty() || after.starts_with('\n');
    let span = if ends_line && (before.is_empty() || before.ends_with('\n')) {
        before.len()..text.len() - after.len() + usize::from(!after.is_empty())
    } else if ends_line {
        before.len()..end
    } else {
        // code follows: the blanks between go with the comment
        start..text.len() - after.len()
    };
    Edit { span, text: String::new() }
}

/// The comments of a file that allow something.
fn allows(file: &Arc<SourceFile>) -> Vec<Allow> {
    let mut found = Vec::new();
    // most files have none, and need not be lexed again
    if !file.text.contains(MARK) {
        return found;
    }
    let lexemes = file.lexemes();
    let text = &*file.text;
    for next in 0..=lexemes.len() {
        let start = next.checked_sub(1).map_or(0, |before| lexemes[before].span.end);
        let end = lexemes.get(next).map_or(text.len(), |lexeme| lexeme.span.start);
        if start >= end {
            continue;
        }
        for comment in comments(text, start..end) {
            if let Some((slug, reason)) = parse(&text[comment.clone()]) {
                let covers = covers(text, lexemes, next, &comment);
                found.push(Allow { file: file.clone(), comment, slug, reason, covers, used: false });
            }
        }
    }
    found
}

/// The comments in what stands between two tokens; nothing more after what is neither blank nor comment, as it is behind a
/// token that is wrong.
fn comments(text: &str, between: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = between.start;
    loop {
        let rest = &text[at..between.end];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let length = if trimmed.starts_with("//") {
            trimmed.find('\n').unwrap_or(trimmed.len())
        } else if trimmed.starts_with("/*") {
            closed(trimmed)
        } else {
            return found;
        };
        found.push(at..at + trimmed[..length].trim_end().len());
        at += length;
    }
}

/// How long a block comment is; they nest.
fn closed(text: &str) -> usize {
    let (bytes, mut at, mut depth) = (text.as_bytes(), 0, 0_usize);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The slug that a comment allows, and whether it says why.
fn parse(comment: &str) -> Option<(String, bool)> {
    let inner = match comment.strip_prefix("/*") {
        Some(inner) => inner.strip_suffix("*/").unwrap_or(inner),
        None => comment,
    };
    let rest = inner.trim_start_matches(['/', '!', '*']).trim_start().lines().next()?;
    let rest = rest.strip_prefix("check:")?.trim_start().strip_prefix("allow")?;
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let rest = rest.trim();
    let (slug, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some((slug.trim_end_matches([':', ',']).to_owned(), reason.contains(char::is_alphanumeric)))
}

/// What a comment holds for that stands before the token `next`.
fn covers(text: &str, lexemes: &[Lexeme], next: usize, comment: &Range<usize>) -> Covers {
    let line_start = text[..comment.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = |byte: usize| text[byte..].find('\n').map_or(text.len(), |at| byte + at + 1);
    if next.checked_sub(1).is_some_and(|before| lexemes[before].span.end > line_start) {
        return Covers::Bytes(line_start..line_end(comment.end));
    }
    let Some(first) = lexemes.get(next) else {
        return if next == 0 { Covers::File } else { Covers::Nothing };
    };
    let lines = text[comment.end..first.span.start].matches('\n').count();
    if next == 0 && lines > 0 {
        return Covers::File;
    }
    let blank = |line: &str| line.trim().is_empty();
    // the first and the last are what is left of the lines of the comment and of the statement
    if lines > 1 && text[comment.end..first.span.start].split('\n').skip(1).take(lines - 1).any(blank) {
        return Covers::Nothing;
    }
    let end_of_line = line_end(first.span.start);
    let mut last = last_of_statement(lexemes, next);
    // what else begins on that line
    while lexemes.get(last + 1).is_some_and(|more| more.span.start < end_of_line) {
        last = last_of_statement(lexemes, last + 1);
    }
    Covers::Bytes(first.span.start..end_of_line.max(lexemes[last].span.end))
}

/// The last token of the statement that begins with a token: its semicolon, the brace that closes its block, or what stands
/// before the bracket or comma that ends what it is part of.
fn last_of_statement(lexemes: &[Lexeme], first: usize) -> usize {
    let is_block = matches!(
        lexemes[first].token,
        Token::If
            | Token::While
            | Token::Loop
            | Token::For
            | Token::Do
            | Token::Switch
            | Token::Try
            | Token::Fn
            | Token::Private
            | Token::LeftBrace
    );
    // brackets that are open; true for the brace of a block
    let mut open: Vec<bool> = Vec::new();
    let mut parameters = false;
    let mut at = first;
    while let Some(lexeme) = lexemes.get(at) {
        match &lexeme.token {
            Token::SemiColon if open.is_empty() => return at,
            Token::Pipe if open.is_empty() => parameters = !parameters,
            Token::Comma if open.is_empty() && !parameters => return at,
            Token::LeftParen | Token::LeftBracket | Token::QuestionBracket | Token::MapStart => open.push(false),
            Token::LeftBrace => {
                let of_value = at > 0 && matches!(lexemes[at - 1].token, Token::InterpolatedString(_));
                open.push(!of_value);
            }
            Token::RightParen | Token::RightBracket | Token::RightBrace => match open.pop() {
                None => return at.saturating_sub(1).max(first),
                Some(true) if is_block && open.is_empty() => {
                    let goes_on = match lexemes.get(at + 1).map(|next| &next.token) {
                        Some(Token::Else | Token::Catch) => true,
                        Some(Token::While | Token::Until) => matches!(lexemes[first].token, Token::Do),
                        _ => false,
                    };
                    if !goes_on {
                        return at;
                    }
                }
                Some(_) => {}
            },
            _ => {}
        }
        at += 1;
    }
    lexemes.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Severity;
    use crate::script::{Options, Script, Source};

    fn file(text: &str) -> Arc<SourceFile> {
        match Script::load(Source::Text { name: "t.rhai", text }, &Options::default()) {
            Ok(script) => script.files[0].clone(),
            Err(errors) => errors.0[0].file.clone().unwrap(),
        }
    }

    /// What is left of findings of `literal-host` at every `host`, and what is said of the comments.
    fn left(text: &str) -> String {
        let file = file(text);
        let host = find("literal-host").unwrap();
        let findings = text.match_indices("host(").map(|(at, _)| host.finding(&file, at..at + 4, "m", "l", "h")).collect();
        let left = apply(std::slice::from_ref(&file), findings, &|_, _| true);
        let told = left.iter().map(|finding| {
            let (line, _) = file.line_and_column(finding.span.start);
            let more = if finding.rule == "literal-host" { String::new() } else { format!(" {}: {}", finding.message, finding.help) };
            format!("{line} {}{more}", finding.rule)
        });
        told.collect::<Vec<_>>().join("\n")
    }

    const ALL: &str = "// check: allow literal-host it is the only one\n";

    #[test]
    fn at_the_end_of_a_line_it_holds_for_that_line() {
        assert_eq!(left("a();\nhost(1); // check: allow literal-host there is one only\nhost(2);"), "3 literal-host");
        assert_eq!(left("a();\nhost(1); /* check: allow literal-host: one only */\r\nhost(2);"), "3 literal-host");
    }

    #[test]
    fn above_a_statement_it_holds_for_all_of_it() {
        for (statement, rest) in [
            ("step(\"x\", || {\n  host(1);\n  if x { host(2); }\n});\nhost(3);", 6),
            ("sql(\"a\",\n  `x ${host(1)}\n  y`, #{ a: 1,\n b: host(2) });\nhost(3);", 6),
            ("if a(`${1}`) {\n host(1)\n} else if b {\n host(2)\n} else {\n host(3);\n}\nhost(4);", 9),
            ("do {\n host(1);\n} while host(2);\nhost(3);", 5),
            ("try {\n host(1);\n}\ncatch (e) {\n host(2);\n}\nhost(3);", 8),
            ("fn f(a, b) {\n host(1);\n}\nhost(3);", 5),
            ("let f = |a, b| [a,\n host(1)];\nhost(2);", 4),
            ("host(1); step(\"x\", || {\n host(2); });\nhost(3);", 4),
            ("let x = switch y {\n 1 => host(1),\n _ => host(2) };\nhost(3);", 5),
        ] {
            let text = format!("a();\n{ALL}// and more\n{statement}");
            assert_eq!(left(&text), format!("{} literal-host", rest + 2), "{text}");
        }
    }

    #[test]
    fn above_a_part_of_a_statement_it_holds_for_that_part() {
        assert_eq!(left(&format!("f(#{{\n{ALL} a: host(1)\n, b: host(2) }});")), "4 literal-host");
        assert_eq!(left(&format!("f(#{{\n{ALL} a: host(1),\n b: host(2) }});")), "4 literal-host");
        assert_eq!(left(&format!("f(|| {{\n{ALL} host(1)\n}});\nhost(2);")), "5 literal-host");
    }

    #[test]
    fn at_the_head_it_holds_for_the_file() {
        assert_eq!(left(&format!("// what it is\n{ALL}\nhost(1);\nhost(2);")), "");
        assert_eq!(left("/* check: allow literal-host why not */ host(1);\nhost(2);"), "2 literal-host");
    }

    #[test]
    fn what_a_comment_says_wrongly_is_found() {
        assert_eq!(
            left("a(); host(1); // check: allow literal-host"),
            "1 allow-without-reason `literal-host` is allowed without a reason: say after the slug why it is meant: `// check: allow literal-host REASON`"
        );
        assert_eq!(
            left("a(); // check: allow literal-host it was needed once\nb(); //check:allow literal-hots typo\nc(); // check: allow"),
            "1 unused-allow there is nothing here for `allow literal-host` to allow: remove the comment\n\
             2 unused-allow no rule `literal-hots`: did you mean `literal-host`?\n\
             3 unused-allow an `allow` that names no rule: name the rule: `// check: allow SLUG REASON`; `cutover explain` lists the rules"
        );
        assert_eq!(
            left("a();\n// check: allow literal-host far away\n\nhost(1); // check: allow syntax no"),
            "4 literal-host\n\
             2 unused-allow there is nothing here for `allow literal-host` to allow: put the comment right above a statement or at the end of a line, or remove it\n\
             4 unused-allow `syntax` cannot be allowed: remove the comment"
        );
    }

    #[test]
    fn a_text_is_no_comment() {
        assert_eq!(left("a(`\n// check: allow literal-host no\n`); host(1);"), "3 literal-host");
        assert_eq!(left("a(\"// check: allow nothing\"); // checked: allow x\n// check: allowed x"), "");
    }

    #[test]
    fn of_two_comments_the_nearer_one_is_used() {
        assert_eq!(
            left(&format!("{ALL}\nhost(1); // check: allow literal-host one only")),
            "1 unused-allow there is nothing here for `allow literal-host` to allow: remove the comment"
        );
    }

    #[test]
    fn what_was_not_judged_is_not_unused_and_syntax_stays() {
        let file = file("a(); // check: allow literal-host later\nlet = 1; // check: allow syntax x");
        let finding = find("syntax").unwrap().finding(&file, 45..46, "m", "l", "h");
        assert_eq!(finding.severity, Severity::Error);
        let left = apply(std::slice::from_ref(&file), vec![finding], &|_, _| false);
        assert_eq!(left.iter().map(|f| f.rule).collect::<Vec<_>>(), ["syntax", "unused-allow"]);
    }

    #[test]
    fn the_fix_takes_the_comment_away() {
        let fixed = |text: &str| {
            let file = file(text);
            let left = apply(std::slice::from_ref(&file), Vec::new(), &|_, _| true);
            let edit = &left[0].fixes[0];
            let mut text = text.to_owned();
            text.replace_range(edit.span.clone(), &edit.text);
            text
        };
        assert_eq!(fixed("a();  // check: allow literal-host x\r\nb();"), "a();\r\nb();");
        assert_eq!(fixed("a();\r\n\t// check: allow literal-host x \r\n\tb();\r\n"), "a();\r\n\tb();\r\n");
        assert_eq!(fixed("a();\n// check: allow literal-host x"), "a();\n");
        assert_eq!(fixed("/* check: allow literal-host x */ b();"), "b();");
    }
}
