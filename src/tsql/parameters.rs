//! Names in a T-SQL text that the host has a say in: `@name`, which it binds, and `{name}`, which it writes into the text
//! because T-SQL binds no parameter there. Called by the primitives before anything is sent, and by `check`. Every
//! finding carries bytes of the text, so that it can be shown inside the runbook's string.

use std::collections::BTreeMap;
use std::ops::Range;

use super::lex::{Token, TokenKind, lex, significant};
use super::quote::{IDENTIFIER_LIMIT, quote_identifier};
use super::statement::begins_statement;

/// One name and where it stands; `@` and braces are not part of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub name: String,
    pub range: Range<usize>,
}

/// What T-SQL takes at the place of a `{name}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `KILL {n}`, `FILE = {n}`, `TOP ({n})`
    Integer,
    /// a database, a column, anything with a name
    Identifier,
}

/// One `{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    pub name: String,
    pub place: Place,
    pub range: Range<usize>,
}

/// Every name of a text that the host has a say in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `@name` used as a value
    pub uses: Vec<Mention>,
    /// `@name` declared by the text itself
    pub declared: Vec<Mention>,
    /// `@name =` in an EXEC argument list: the procedure's own parameter, no use
    pub arguments: Vec<Mention>,
    pub holes: Vec<Hole>,
}

/// What is wrong with a text's names. Ranges are bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("`@{name}` is neither bound nor declared")]
    Unbound { name: String, range: Range<usize>, meant: Option<String> },
    #[error("`@{name}` is bound and declared")]
    BoundAndDeclared { name: String, range: Range<usize> },
    #[error("the text never mentions `{name}`")]
    NeverMentioned { name: String },
    #[error("nothing is given for `{{{name}}}`")]
    UnknownHole { name: String, range: Range<usize>, meant: Option<String> },
    #[error("`{{{name}}}` stands where T-SQL wants a whole number, but is {found}")]
    NotAnInteger { name: String, found: String, range: Range<usize> },
    #[error("`{{{name}}}` stands where T-SQL wants a name, but is {found}")]
    NotAName { name: String, found: String, range: Range<usize> },
    #[error("`{{{name}}}` touches what stands beside it and would be read as something else")]
    Glued { name: String, range: Range<usize> },
}

impl NameError {
    /// Where; `None` when the text lacks it altogether.
    pub fn range(&self) -> Option<Range<usize>> {
        match self {
            NameError::NeverMentioned { .. } => None,
            NameError::Unbound { range, .. }
            | NameError::BoundAndDeclared { range, .. }
            | NameError::UnknownHole { range, .. }
            | NameError::NotAnInteger { range, .. }
            | NameError::NotAName { range, .. }
            | NameError::Glued { range, .. } => Some(range.clone()),
        }
    }

    /// What to do now, one sentence.
    pub fn help(&self) -> String {
        match self {
            NameError::Unbound { meant: Some(meant), .. } => {
                format!("Write `@{meant}` as it is called in the parameters; SQL Server may tell upper from lower case.")
            }
            NameError::Unbound { name, .. } => {
                format!("Pass `{name}` in the parameters, as `#{{ {name}: ... }}`, or DECLARE it in the text.")
            }
            NameError::BoundAndDeclared { name, .. } => {
                format!("Take the DECLARE out of the text, or `{name}` out of the parameters: SQL Server refuses both (134).")
            }
            NameError::NeverMentioned { name } => {
                format!("Take `{name}` out of the parameters, or use it in the text as `@{name}` or `{{{name}}}`.")
            }
            NameError::UnknownHole { meant: Some(meant), .. } => format!("Write `{{{meant}}}`."),
            NameError::UnknownHole { name, .. } => {
                format!("Pass `{name}` in the parameters, as `#{{ {name}: ... }}`.")
            }
            NameError::NotAnInteger { .. } => "Pass an integer, or text of digits such as sp_who2's SPID.".to_owned(),
            NameError::NotAName { name, .. } => {
                format!("Write `@{name}` to bind it as a value; `{{{name}}}` is for names of 1 to {IDENTIFIER_LIMIT} characters.")
            }
            NameError::Glued { name, .. } => format!("Put blanks around `{{{name}}}`."),
        }
    }
}

/// Finds every name that the host has a say in: outside strings, comments and delimited names.
pub fn names(text: &str) -> Names {
    names_of(text, &significant(text))
}

/// As [`names`], of a text whose significant tokens are known.
pub fn names_of(text: &str, tokens: &[Token]) -> Names {
    let mut names = Names::default();
    let routine = is_routine(text, tokens);
    let mut scope = if starts_with_procedure(text, tokens) { Scope::ExecTarget } else { Scope::Elsewhere };
    let mut open = 0usize;
    for (n, token) in tokens.iter().enumerate() {
        let next_is = |operator: &str| tokens.get(n + 1).is_some_and(|next| next.is_operator(text, operator));
        match token.kind {
            TokenKind::Operator => match token.text(text) {
                "(" => {
                    if open == 0 && scope == Scope::ExecTarget {
                        scope = Scope::Elsewhere;
                    }
                    open += 1;
                }
                ")" => open = open.saturating_sub(1),
                ";" if open == 0 => scope = Scope::Elsewhere,
                "," if open == 0 => match scope {
                    Scope::Declared => scope = Scope::Declare,
                    Scope::ExecTarget => scope = Scope::Arguments,
                    _ => {}
                },
                _ => {}
            },
            TokenKind::Word if open == 0 => {
                let word = token.text(text);
                if word.eq_ignore_ascii_case("DECLARE") {
                    scope = Scope::Declare;
                } else if word.eq_ignore_ascii_case("EXEC") || word.eq_ignore_ascii_case("EXECUTE") {
                    scope = Scope::ExecTarget;
                } else if begins_statement(word) {
                    scope = Scope::Elsewhere;
                } else if scope == Scope::Declare {
                    // DECLARE name CURSOR
                    scope = Scope::Elsewhere;
                }
            }
            TokenKind::Variable if token.end - token.start > 1 => {
                let mention = Mention { name: token.text(text)[1..].to_owned(), range: token.range() };
                match scope {
                    _ if routine => names.declared.push(mention),
                    Scope::Declare if open == 0 => {
                        names.declared.push(mention);
                        scope = Scope::Declared;
                    }
                    // `EXEC p @a = 1`: the target is behind us. `EXEC @rc = p`: it is still to come.
                    Scope::ExecTarget if open == 0 => {
                        let first = n
                            .checked_sub(1)
                            .and_then(|before| tokens.get(before))
                            .is_some_and(|before| before.is_word(text, "EXEC") || before.is_word(text, "EXECUTE"));
                        if first {
                            names.uses.push(mention);
                            let status = next_is("=");
                            scope = if status { Scope::ExecStatus } else { Scope::Arguments };
                        } else if next_is("=") {
                            names.arguments.push(mention);
                            scope = Scope::Arguments;
                        } else {
                            names.uses.push(mention);
                            scope = Scope::Arguments;
                        }
                    }
                    // `EXEC @rc = @p @a = 1`
                    Scope::ExecStatus if open == 0 => {
                        let target = n.checked_sub(1).and_then(|before| tokens.get(before));
                        if target.is_some_and(|before| before.is_operator(text, "=")) {
                            names.uses.push(mention);
                        } else if next_is("=") {
                            names.arguments.push(mention);
                        } else {
                            names.uses.push(mention);
                        }
                        scope = Scope::Arguments;
                    }
                    Scope::Arguments if open == 0 && next_is("=") => names.arguments.push(mention),
                    _ => names.uses.push(mention),
                }
            }
            TokenKind::Placeholder => {
                let name = token.text(text);
                let name = name[1..name.len() - 1].to_owned();
                names.holes.push(Hole { name, place: place(text, &tokens[..n]), range: token.range() });
            }
            _ => {}
        }
    }
    names
}

/// Where the walk over the tokens is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Elsewhere,
    /// the next variable is being declared
    Declare,
    /// within a declaration; a comma leads to the next
    Declared,
    /// after EXEC, before the first argument
    ExecTarget,
    /// after `EXEC @rc`
    ExecStatus,
    Arguments,
}

/// CREATE or ALTER of a procedure, function or trigger: all variables inside are its own.
fn is_routine(text: &str, tokens: &[Token]) -> bool {
    let ddl = tokens.first().is_some_and(|token| token.is_word(text, "CREATE") || token.is_word(text, "ALTER"));
    ddl && tokens
        .iter()
        .skip(1)
        .take(3)
        .any(|token| ["PROC", "PROCEDURE", "FUNCTION", "TRIGGER"].iter().any(|word| token.is_word(text, word)))
}

/// A procedure's bare name as the first words of a batch is an EXEC.
fn starts_with_procedure(text: &str, tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|token| match token.kind {
        TokenKind::Bracketed | TokenKind::Quoted => true,
        TokenKind::Word => {
            let word = token.text(text);
            !begins_statement(word) && !word.eq_ignore_ascii_case("WITH")
        }
        _ => false,
    })
}

/// What T-SQL takes after these tokens.
fn place(text: &str, before: &[Token]) -> Place {
    let back = |n: usize| before.len().checked_sub(n).and_then(|at| before.get(at));
    let word = |n: usize, words: &[&str]| back(n).is_some_and(|token| words.iter().any(|word| token.is_word(text, word)));
    let operator = |n: usize, sign: &str| back(n).is_some_and(|token| token.is_operator(text, sign));
    const AFTER: [&str; 9] = ["KILL", "TOP", "AFTER", "TIMEOUT", "OFFSET", "LOCK_TIMEOUT", "ROWCOUNT", "MAXDOP", "TEXTSIZE"];
    const ASSIGNED: [&str; 9] =
        ["FILE", "STATS", "BLOCKSIZE", "BUFFERCOUNT", "MAXTRANSFERSIZE", "RETAINDAYS", "TIMEOUT", "MAXDOP", "LISTENER_PORT"];
    const CALLED: [&str; 3] = ["TOP", "INPUTBUFFER", "OUTPUTBUFFER"];
    let fetch = word(1, &["NEXT", "FIRST"]) && word(2, &["FETCH"]);
    let assigned = operator(1, "=") && word(2, &ASSIGNED);
    let called = operator(1, "(") && word(2, &CALLED);
    if word(1, &AFTER) || fetch || assigned || called { Place::Integer } else { Place::Identifier }
}

/// What is written in the place of a `{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceholderValue {
    Integer(i64),
    Text(String),
    /// a value of another type, which no place takes; its type for the message
    Unfit(String),
    /// `check` cannot see it: it fits everywhere
    Unknown,
}

/// A text with its holes filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// the names that were filled, each once, in order
    pub mentioned: Vec<String>,
}

impl Names {
    /// Which of the parameters are bound as `@name`, and what is wrong with the rest. `keys` are the parameters' names.
    ///
    /// A key counts as mentioned if `@key` or `{key}` occurs; a name that is neither bound nor declared is an error here,
    /// because the server's own (137) comes only after earlier statements of the batch have run.
    pub fn bindings(&self, keys: &[&str]) -> Result<Vec<String>, Vec<NameError>> {
        let mut errors = Vec::new();
        let declared = |name: &str| self.declared.iter().any(|mention| mention.name.eq_ignore_ascii_case(name));
        let mut bound: Vec<String> = Vec::new();
        for mention in &self.uses {
            let name = &mention.name;
            if keys.contains(&name.as_str()) {
                if !bound.contains(name) {
                    bound.push(name.clone());
                }
            } else if !declared(name) {
                let meant = keys.iter().find(|key| key.eq_ignore_ascii_case(name)).map(|key| (*key).to_owned());
                errors.push(NameError::Unbound { name: name.clone(), range: mention.range.clone(), meant });
            }
        }
        for mention in &self.declared {
            if keys.iter().any(|key| key.eq_ignore_ascii_case(&mention.name))
                && bound.iter().any(|name| name.eq_ignore_ascii_case(&mention.name))
            {
                errors.push(NameError::BoundAndDeclared { name: mention.name.clone(), range: mention.range.clone() });
            }
        }
        for key in keys {
            let mentioned = bound.iter().any(|name| name == key) || self.holes.iter().any(|hole| hole.name == *key);
            let excused = errors.iter().any(|error| matches!(error, NameError::Unbound { meant: Some(meant), .. } if meant == key));
            if !mentioned && !excused {
                errors.push(NameError::NeverMentioned { name: (*key).to_owned() });
            }
        }
        if errors.is_empty() { Ok(bound) } else { Err(errors) }
    }

    /// Fills every `{name}` of `text`, whose names these are: where T-SQL wants an integer, an integer or text of digits,
    /// trimmed; elsewhere a quoted identifier. Reads the result back and refuses it if a filled hole is not one token of its
    /// own.
    pub fn render(&self, text: &str, values: &BTreeMap<String, PlaceholderValue>) -> Result<Rendered, Vec<NameError>> {
        let mut errors = Vec::new();
        let mut rendered = String::with_capacity(text.len());
        let mut mentioned: Vec<String> = Vec::new();
        let mut filled: Vec<(Range<usize>, &Hole)> = Vec::new();
        let mut at = 0;
        for hole in &self.holes {
            rendered.push_str(&text[at..hole.range.start]);
            at = hole.range.end;
            match fill(hole, values) {
                Ok(shown) => {
                    let start = rendered.len();
                    rendered.push_str(&shown);
                    filled.push((start..rendered.len(), hole));
                }
                Err(error) => errors.push(error),
            }
            if !mentioned.contains(&hole.name) {
                mentioned.push(hole.name.clone());
            }
        }
        rendered.push_str(&text[at..]);
        if errors.is_empty() && !filled.is_empty() {
            let tokens = lex(&rendered);
            for (range, hole) in filled {
                let kind = match hole.place {
                    Place::Integer => TokenKind::Number,
                    Place::Identifier => TokenKind::Bracketed,
                };
                let whole = tokens
                    .binary_search_by_key(&range.start, |token| token.start)
                    .is_ok_and(|n| tokens[n].end == range.end && tokens[n].kind == kind);
                if !whole {
                    errors.push(NameError::Glued { name: hole.name.clone(), range: hole.range.clone() });
                }
            }
        }
        if errors.is_empty() { Ok(Rendered { text: rendered, mentioned }) } else { Err(errors) }
    }
}

fn fill(hole: &Hole, values: &BTreeMap<String, PlaceholderValue>) -> Result<String, NameError> {
    let (name, range) = (hole.name.clone(), hole.range.clone());
    let Some(value) = values.get(&hole.name) else {
        let meant = values
            .keys()
            .map(|key| (strsim::jaro_winkler(key, &name), key))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key)| key.clone());
        return Err(NameError::UnknownHole { name, range, meant });
    };
    match (hole.place, value) {
        (Place::Integer, PlaceholderValue::Unknown) => Ok("1".to_owned()),
        (Place::Identifier, PlaceholderValue::Unknown) => Ok(quote_identifier("x")),
        (Place::Integer, PlaceholderValue::Integer(n)) if *n >= 0 => Ok(n.to_string()),
        (Place::Integer, PlaceholderValue::Integer(n)) => Err(NameError::NotAnInteger { name, found: format!("negative ({n})"), range }),
        (Place::Integer, PlaceholderValue::Text(text)) => {
            let digits = text.trim();
            if !digits.is_empty() && digits.len() <= 19 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok(digits.to_owned())
            } else {
                Err(NameError::NotAnInteger { name, found: format!("the text {text:?}"), range })
            }
        }
        (Place::Integer, PlaceholderValue::Unfit(found)) => Err(NameError::NotAnInteger { name, found: found.clone(), range }),
        (Place::Identifier, PlaceholderValue::Text(text)) => {
            let length = text.encode_utf16().count();
            let found = if length == 0 {
                "empty".to_owned()
            } else if length > IDENTIFIER_LIMIT {
                format!("{length} characters long")
            } else if text.chars().any(char::is_control) {
                "text with control characters".to_owned()
            } else {
                return Ok(quote_identifier(text));
            };
            Err(NameError::NotAName { name, found, range })
        }
        (Place::Identifier, PlaceholderValue::Integer(n)) => Err(NameError::NotAName { name, found: format!("the integer {n}"), range }),
        (Place::Identifier, PlaceholderValue::Unfit(found)) => Err(NameError::NotAName { name, found: found.clone(), range }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, proptest};

    fn said(mentions: &[Mention]) -> Vec<&str> {
        mentions.iter().map(|mention| mention.name.as_str()).collect()
    }

    #[test]
    fn uses_declarations_and_argument_names_are_told_apart() {
        // text, uses, declared, argument names
        type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
        let table: &[Row] = &[
            ("SELECT @a, '@b', [@c], \"@d\" -- @e\n/* @f */ , @@SPID", &["a"], &[], &[]),
            ("DECLARE @a int = 1, @b varchar(10) = @c; SET @b = @a", &["c", "b", "a"], &["a", "b"], &[]),
            ("DECLARE @t TABLE (a int, b int) SELECT @x", &["x"], &["t"], &[]),
            ("DECLARE c CURSOR FOR SELECT @a, @b", &["a", "b"], &[], &[]),
            ("EXEC p @a = @b, @c = 1 OUTPUT, @d = @e OUTPUT SELECT @f = 1", &["b", "e", "f"], &[], &["a", "c", "d"]),
            ("EXEC @rc = p @a = 1", &["rc"], &[], &["a"]),
            ("EXEC @rc = @p @a = 1", &["rc", "p"], &[], &["a"]),
            ("EXEC @p @a = @b", &["p", "b"], &[], &["a"]),
            ("EXECUTE master.dbo.[xp] @a, 1; SELECT @b = 2", &["a", "b"], &[], &[]),
            ("sp_help_job @job_name = @j", &["j"], &[], &["job_name"]),
            ("EXEC (@sql) SELECT @a = 1", &["sql", "a"], &[], &[]),
            ("SELECT @a = x FROM t WHERE f(@b = 1)", &["a", "b"], &[], &[]),
            ("CREATE PROC p @a int AS SELECT @a, @b", &[], &["a", "a", "b"], &[]),
            ("RESTORE LOG @db FROM DISK = @path", &["db", "path"], &[], &[]),
        ];
        for (text, uses, declared, arguments) in table {
            let found = names(text);
            assert_eq!(said(&found.uses), *uses, "uses in {text}");
            assert_eq!(said(&found.declared), *declared, "declared in {text}");
            assert_eq!(said(&found.arguments), *arguments, "argument names in {text}");
            for mention in found.uses {
                assert_eq!(text[mention.range], format!("@{}", mention.name));
            }
        }
    }

    #[test]
    fn the_place_of_a_hole_decides_what_it_takes() {
        let table: &[(&str, Place)] = &[
            ("KILL {n}", Place::Integer),
            ("KILL {n} WITH STATUSONLY", Place::Integer),
            ("RESTORE LOG x FROM DISK = @p WITH FILE = {n}", Place::Integer),
            ("RESTORE LOG x FROM DISK = @p WITH stats={n}", Place::Integer),
            ("SELECT TOP ({n}) a FROM t", Place::Integer),
            ("SELECT TOP {n} a FROM t", Place::Integer),
            ("ALTER DATABASE x SET SINGLE_USER WITH ROLLBACK AFTER {n}", Place::Integer),
            ("DBCC INPUTBUFFER({n})", Place::Integer),
            ("SELECT a FROM t ORDER BY a OFFSET {n} ROWS", Place::Integer),
            ("SELECT a FROM t ORDER BY a OFFSET 0 ROWS FETCH NEXT {n} ROWS ONLY", Place::Integer),
            ("RESTORE DATABASE {n} WITH RECOVERY", Place::Identifier),
            ("USE {n}", Place::Identifier),
            ("SELECT * FROM {n}.sys.tables", Place::Identifier),
            ("SELECT * FROM t WHERE session_id = {n}", Place::Identifier),
        ];
        for (text, place) in table {
            assert_eq!(names(text).holes[0].place, *place, "{text}");
        }
        assert_eq!(names("SELECT '{a}' -- {b}").holes, []);
    }

    #[test]
    fn bindings_point_at_what_is_wrong() {
        assert_eq!(names("SELECT @a, @a, @b").bindings(&["a", "b"]), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(names("USE {a}").bindings(&["a"]), Ok(vec![]));
        assert_eq!(names("DECLARE @A int; SET @a = 1").bindings(&[]), Ok(vec![]));
        let wrong = |text: &str, keys: &[&str]| -> Vec<(String, Option<String>)> {
            names(text)
                .bindings(keys)
                .expect_err(text)
                .iter()
                .map(|error| (error.to_string(), error.range().map(|range| text[range].to_owned())))
                .collect()
        };
        assert_eq!(
            wrong("SELECT @a", &["b"]),
            [("`@a` is neither bound nor declared".to_owned(), Some("@a".to_owned())), ("the text never mentions `b`".to_owned(), None),]
        );
        assert_eq!(wrong("SELECT @DB", &["db"]).len(), 1);
        assert_eq!(wrong("DECLARE @a int SELECT @a", &["a"]), [("`@a` is bound and declared".to_owned(), Some("@a".to_owned()))]);
    }

    fn filled(text: &str, values: &[(&str, PlaceholderValue)]) -> Result<String, Vec<String>> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        names(text).render(text, &values).map(|rendered| rendered.text).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn holes_are_filled_with_integers_or_quoted_names() {
        let n = PlaceholderValue::Integer;
        let t = |text: &str| PlaceholderValue::Text(text.to_owned());
        assert_eq!(filled("KILL {s}", &[("s", n(57))]), Ok("KILL 57".to_owned()));
        assert_eq!(filled("KILL {s}", &[("s", t(" 57  "))]), Ok("KILL 57".to_owned()));
        assert_eq!(
            filled("RESTORE DATABASE {d} WITH RECOVERY -- {x}", &[("d", t("m]gc"))]),
            Ok("RESTORE DATABASE [m]]gc] WITH RECOVERY -- {x}".to_owned())
        );
        assert_eq!(filled("USE {d}", &[("d", t("2024"))]), Ok("USE [2024]".to_owned()));
    }

    #[test]
    fn nothing_else_gets_through_a_hole() {
        let n = PlaceholderValue::Integer;
        let t = |text: &str| PlaceholderValue::Text(text.to_owned());
        let wrong = |text, values: &[_]| filled(text, values).expect_err(text).join("; ");
        assert_eq!(
            wrong("KILL {s}", &[("s", t("57; DROP"))]),
            "`{s}` stands where T-SQL wants a whole number, but is the text \"57; DROP\""
        );
        assert_eq!(wrong("KILL {s}", &[("s", n(-2))]), "`{s}` stands where T-SQL wants a whole number, but is negative (-2)");
        assert_eq!(wrong("USE {d}", &[("d", n(5))]), "`{d}` stands where T-SQL wants a name, but is the integer 5");
        assert_eq!(wrong("USE {d}", &[("d", t(""))]), "`{d}` stands where T-SQL wants a name, but is empty");
        assert_eq!(wrong("USE {d}", &[("d", t(&"x".repeat(129)))]), "`{d}` stands where T-SQL wants a name, but is 129 characters long");
        assert_eq!(wrong("USE {db}", &[("d", t("x"))]), "nothing is given for `{db}`");
        assert_eq!(
            wrong("USE {d}", &[("d", PlaceholderValue::Unfit("a map".to_owned()))]),
            "`{d}` stands where T-SQL wants a name, but is a map"
        );
        assert!(wrong("KILL{s}", &[("s", n(5))]).contains("touches"));
        assert!(wrong("USE {d}]", &[("d", t("x"))]).contains("touches"));
        assert!(wrong("USE {d}{d}]", &[("d", t("x"))]).contains("touches"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_text_and_no_value_makes_it_panic(
            text in "(?s)((EXEC|DECLARE|KILL|USE|SELECT|TOP|FILE)|[ @a={}()\\[\\]',;]|\\{d\\}|.){0,30}",
            value in "(?s).{0,10}",
        ) {
            let values = [("d".to_owned(), PlaceholderValue::Text(value))].into();
            let names = names(&text);
            let _ = names.bindings(&["a", "d"]);
            let _ = names.render(&text, &values);
        }
    }
}
