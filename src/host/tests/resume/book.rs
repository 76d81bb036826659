//! Random small runbooks. They use all that a runbook may be made of, and only what ends the same each time: a change's
//! result is not looked at, and what fails is caught.

use std::fmt::{self, Write};

use proptest::collection::vec;
use proptest::prelude::*;

/// A runbook and the two functions that it may call.
#[derive(Clone)]
pub struct Book {
    functions: [Vec<Stmt>; 2],
    body: Vec<Stmt>,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.text())
    }
}

#[derive(Clone, Debug)]
enum Key {
    Named(&'static str),
    /// what the innermost loop or closure goes over, if it goes over keys
    Given(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Term {
    Number(i64),
    Variable(usize),
    /// of a variable, and small however often it is added
    Plus(usize, i64),
    /// the innermost counting loop's
    Turn,
}

#[derive(Clone, Copy, Debug)]
enum DoneWhen {
    Without,
    Reads,
    /// writes to a variable that it captured
    Writes,
}

#[derive(Clone, Debug)]
enum Stmt {
    Read {
        variable: usize,
        key: Key,
    },
    Add {
        variable: usize,
        key: Key,
    },
    Assign {
        variable: usize,
        term: Term,
    },
    Change {
        key: Key,
        value: Term,
        test: DoneWhen,
        options: &'static str,
    },
    /// a change that is in force already, and that the operator wants made again
    Again {
        key: Key,
        value: Term,
    },
    Fill {
        key: Key,
        to: i64,
        test: bool,
    },
    Note {
        plain: bool,
    },
    Keep,
    Confirm,
    Wait {
        ticks: Option<i64>,
        key: Key,
    },
    Step {
        body: Vec<Stmt>,
        value: Option<(usize, Term)>,
    },
    Count {
        times: i64,
        until: Option<(Key, i64)>,
        body: Vec<Stmt>,
    },
    Keys {
        body: Vec<Stmt>,
    },
    While {
        key: Key,
        below: i64,
        body: Vec<Stmt>,
    },
    If {
        key: Option<Key>,
        variable: usize,
        above: i64,
        then: Vec<Stmt>,
        other: Vec<Stmt>,
    },
    Try {
        body: Vec<Stmt>,
        fails: Fails,
        step: bool,
        handler: Vec<Stmt>,
    },
    Map {
        variable: usize,
        body: Vec<Stmt>,
    },
    Call {
        function: usize,
        variable: usize,
        argument: Term,
    },
}

/// What ends a `try`.
#[derive(Clone, Debug)]
enum Fails {
    Read(Key),
    Change {
        key: Key,
        value: Term,
        test: DoneWhen,
        how: &'static str,
    },
    Wait(Key),
    /// the test of a change fails
    Test {
        key: Key,
        value: Term,
    },
    /// the test of a change fails once it is made
    TestAfter {
        key: Key,
        value: Term,
    },
    TestThrows {
        key: Key,
        value: Term,
    },
    Throw,
}

fn key() -> impl Strategy<Value = Key> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![name().prop_map(Key::Named), name().prop_map(Key::Given)]
}

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![
        (0..4i64).prop_map(Term::Number),
        (0..3usize).prop_map(Term::Variable),
        (0..3usize, 1..3i64).prop_map(|(variable, more)| Term::Plus(variable, more)),
        Just(Term::Turn),
    ]
}

fn done_when() -> impl Strategy<Value = DoneWhen> {
    prop_oneof![4 => Just(DoneWhen::Without), 4 => Just(DoneWhen::Reads), 1 => Just(DoneWhen::Writes)]
}

fn fails() -> impl Strategy<Value = Fails> {
    // a lost answer is told from a failure by the test alone
    let lost = (key(), term()).prop_map(|(key, value)| Fails::Change { key, value, test: DoneWhen::Reads, how: "lost" });
    let how = prop_oneof![Just("refused"), Just("unknown"), Just("doubt")];
    let change = (key(), term(), done_when(), how).prop_map(|(key, value, test, how)| Fails::Change { key, value, test, how });
    prop_oneof![
        3 => key().prop_map(Fails::Read),
        3 => change,
        2 => lost,
        1 => key().prop_map(Fails::Wait),
        1 => (key(), term()).prop_map(|(key, value)| Fails::Test { key, value }),
        1 => (key(), term()).prop_map(|(key, value)| Fails::TestAfter { key, value }),
        1 => (key(), term()).prop_map(|(key, value)| Fails::TestThrows { key, value }),
        1 => Just(Fails::Throw),
    ]
}

fn simple() -> impl Strategy<Value = Stmt> {
    let variable = || 0..3usize;
    let options = prop_oneof![
        4 => Just(""),
        2 => Just("already: \"accept\""),
        2 => Just("anyway: true"),
        1 => Just("within: \"5s\""),
        1 => Just("within: \"5s\", lags: true"),
    ];
    prop_oneof![
        4 => (variable(), key()).prop_map(|(variable, key)| Stmt::Read { variable, key }),
        2 => (variable(), key()).prop_map(|(variable, key)| Stmt::Add { variable, key }),
        1 => (variable(), term()).prop_map(|(variable, term)| Stmt::Assign { variable, term }),
        8 => (key(), term(), done_when(), options).prop_map(|(key, value, test, options)| Stmt::Change { key, value, test, options }),
        1 => (key(), term()).prop_map(|(key, value)| Stmt::Again { key, value }),
        1 => (key(), 1..4i64, any::<bool>()).prop_map(|(key, to, test)| Stmt::Fill { key, to, test }),
        2 => any::<bool>().prop_map(|plain| Stmt::Note { plain }),
        1 => Just(Stmt::Keep),
        1 => Just(Stmt::Confirm),
        1 => (prop::option::of(1..3i64), key()).prop_map(|(ticks, key)| Stmt::Wait { ticks, key }),
        1 => (0..2usize, variable(), term()).prop_map(|(function, variable, argument)| Stmt::Call { function, variable, argument }),
    ]
}

fn statement() -> impl Strategy<Value = Stmt> {
    simple().prop_recursive(3, 10, 3, |inner| {
        let body = || vec(inner.clone(), 1..3);
        let variable = || 0..3usize;
        prop_oneof![
            4 => (body(), prop::option::of((variable(), term()))).prop_map(|(body, value)| Stmt::Step { body, value }),
            1 => (1..3i64, prop::option::of((key(), 1..5i64)), body()).prop_map(|(times, until, body)| Stmt::Count { times, until, body }),
            1 => body().prop_map(|body| Stmt::Keys { body }),
            1 => (key(), 1..4i64, body()).prop_map(|(key, below, body)| Stmt::While { key, below, body }),
            2 => (prop::option::of(key()), variable(), 0..4i64, body(), vec(inner.clone(), 0..3))
                .prop_map(|(key, variable, above, then, other)| Stmt::If { key, variable, above, then, other }),
            3 => (vec(inner.clone(), 0..3), fails(), any::<bool>(), vec(inner.clone(), 0..3))
                .prop_map(|(body, fails, step, handler)| Stmt::Try { body, fails, step, handler }),
            1 => (variable(), body()).prop_map(|(variable, body)| Stmt::Map { variable, body }),
        ]
    })
}

pub fn book() -> impl Strategy<Value = Book> {
    (vec(statement(), 0..3), vec(statement(), 0..3), vec(statement(), 1..5))
        .prop_map(|(first, second, body)| Book { functions: [first, second], body })
}

impl Book {
    pub fn text(&self) -> String {
        let mut text = Text { text: String::new(), depth: 0, numbers: 0, keys: Vec::new(), turns: Vec::new(), functions: 0 };
        for (n, body) in self.functions.iter().enumerate() {
            text.functions = n;
            text.line(format_args!("fn f{n}(title, v0) {{"));
            text.depth += 1;
            text.line(format_args!("let v1 = 0; let v2 = 0; let turn = 0;"));
            text.depth -= 1;
            text.body(body);
            text.line(format_args!("    v0"));
            text.line(format_args!("}}"));
        }
        text.functions = self.functions.len();
        text.line(format_args!("let title = \"\"; let v0 = 0; let v1 = 0; let v2 = 0; let turn = 0;"));
        for stmt in &self.body {
            text.stmt(stmt);
        }
        text.line(format_args!("note(`at the end ${{v0}} ${{v1}} ${{v2}} ${{turn}}`);"));
        text.text
    }
}

/// A runbook as it is written.
struct Text {
    text: String,
    depth: usize,
    /// of what needs a name of its own
    numbers: usize,
    /// variables that hold a key, innermost last
    keys: Vec<String>,
    /// variables that count
    turns: Vec<String>,
    /// those that may be called from here
    functions: usize,
}

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        let indent = 4 * self.depth;
        writeln!(self.text, "{:indent$}{line}", "").unwrap();
    }

    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    fn body(&mut self, body: &[Stmt]) {
        self.depth += 1;
        for stmt in body {
            self.stmt(stmt);
        }
        self.depth -= 1;
    }

    fn key(&self, key: &Key) -> String {
        match (key, self.keys.last()) {
            (Key::Given(_), Some(variable)) => variable.clone(),
            (Key::Named(name) | Key::Given(name), _) => format!("\"{name}\""),
        }
    }

    fn term(&self, term: Term) -> String {
        match (term, self.turns.last()) {
            (Term::Number(number), _) => number.to_string(),
            (Term::Variable(variable), _) => format!("v{variable}"),
            (Term::Plus(variable, more), _) => format!("(v{variable} + {more}) % 5"),
            (Term::Turn, Some(variable)) => variable.clone(),
            (Term::Turn, None) => "1".to_owned(),
        }
    }

    /// A change with these options and a test.
    fn change(&mut self, key: &Key, value: Term, test: DoneWhen, options: &str) {
        let (key, value) = (self.key(key), self.term(value));
        let test = match test {
            DoneWhen::Without => String::new(),
            DoneWhen::Reads => format!("done_when: || read({key}) == {value}"),
            DoneWhen::Writes => format!("done_when: || {{ let seen = read({key}) == {value}; v2 += 1; seen }}"),
        };
        let options: Vec<&str> = [test.as_str(), options].into_iter().filter(|part| !part.is_empty()).collect();
        match options.as_slice() {
            [] => self.line(format_args!("change({key}, {value});")),
            options => self.line(format_args!("change({key}, {value}, #{{ {} }});", options.join(", "))),
        }
    }

    fn open_step(&mut self, before: &str) {
        let number = self.number();
        self.line(format_args!("turn += 1;"));
        self.line(format_args!("{before}step(`${{title}}step {number} ${{turn}}`, || {{"));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Read { variable, key } => {
                let key = self.key(key);
                self.line(format_args!("v{variable} = read({key});"));
            }
            Stmt::Add { variable, key } => {
                let key = self.key(key);
                self.line(format_args!("v{variable} = (v{variable} + read({key})) % 7;"));
            }
            Stmt::Assign { variable, term } => {
                let term = self.term(*term);
                self.line(format_args!("v{variable} = {term};"));
            }
            Stmt::Change { key, value, test, options } => {
                let tested = !matches!(test, DoneWhen::Without);
                self.change(key, *value, *test, if tested { options } else { "" });
            }
            Stmt::Again { key, value } => {
                self.change(key, *value, DoneWhen::Without, "");
                self.change(key, *value, DoneWhen::Reads, "anyway: true");
            }
            Stmt::Fill { key, to, test } => {
                let key = self.key(key);
                match test {
                    true => self.line(format_args!("fill({key}, {to}, #{{ done_when: || read({key}) >= {to} }});")),
                    false => self.line(format_args!("fill({key}, {to});")),
                }
            }
            Stmt::Note { plain: true } => self.line(format_args!("note(\"a word\");")),
            Stmt::Note { plain: false } => {
                let number = self.number();
                self.line(format_args!("note(`note {number}: ${{v0}} ${{v1}} ${{v2}} ${{turn}}`);"));
            }
            Stmt::Keep => {
                let number = self.number();
                self.line(format_args!("keep(\"file-{number}.txt\", `${{v0}} ${{v1}}`);"));
            }
            Stmt::Confirm => {
                let number = self.number();
                self.line(format_args!("confirm(`go on at {number} with ${{v0}}?`);"));
            }
            Stmt::Wait { ticks, key } => {
                let key = self.key(key);
                match ticks {
                    Some(ticks) => {
                        self.line(format_args!("wait_until(\"a tick\", \"5s\", || tick({key}) >= {ticks}, #{{ every: \"1ms\" }});"))
                    }
                    None => self.line(format_args!("wait_until(\"anything\", \"5s\", || {{ v1 += 1; read({key}) >= 0 }});")),
                }
            }
            Stmt::Step { body, value } => {
                let before = value.map_or_else(String::new, |(variable, _)| format!("v{variable} = "));
                self.open_step(&before);
                self.body(body);
                if let Some((_, term)) = value {
                    let term = self.term(*term);
                    self.line(format_args!("    {term}"));
                }
                self.line(format_args!("}});"));
            }
            Stmt::Count { times, until, body } => {
                let turn = format!("i{}", self.number());
                self.line(format_args!("for {turn} in 0..{times} {{"));
                if let Some((key, above)) = until {
                    let key = self.key(key);
                    self.line(format_args!("    if read({key}) > {above} {{ break; }}"));
                }
                self.turns.push(turn);
                self.body(body);
                self.turns.pop();
                self.line(format_args!("}}"));
            }
            Stmt::Keys { body } => {
                let key = format!("k{}", self.number());
                self.line(format_args!("for {key} in [\"a\", \"c\"] {{"));
                self.keys.push(key);
                self.body(body);
                self.keys.pop();
                self.line(format_args!("}}"));
            }
            Stmt::While { key, below, body } => {
                let (key, turn) = (self.key(key), format!("w{}", self.number()));
                self.line(format_args!("let {turn} = 0;"));
                self.line(format_args!("while {turn} < 2 && read({key}) < {below} {{"));
                self.line(format_args!("    {turn} += 1;"));
                self.turns.push(turn);
                self.body(body);
                self.turns.pop();
                self.line(format_args!("}}"));
            }
            Stmt::If { key, variable, above, then, other } => {
                let condition = key.as_ref().map_or_else(|| format!("v{variable}"), |key| format!("read({})", self.key(key)));
                self.line(format_args!("if {condition} > {above} {{"));
                self.body(then);
                self.line(format_args!("}} else {{"));
                self.body(other);
                self.line(format_args!("}}"));
            }
            Stmt::Try { body, fails, step, handler } => {
                self.line(format_args!("try {{"));
                if *step {
                    self.depth += 1;
                    self.open_step("");
                }
                self.body(body);
                self.depth += 1;
                self.fails(fails);
                self.depth -= 1;
                if *step {
                    self.line(format_args!("}});"));
                    self.depth -= 1;
                }
                let number = self.number();
                self.line(format_args!("}} catch (e) {{"));
                self.line(format_args!("    note(`caught {number}: ${{e}}`);"));
                self.body(handler);
                self.line(format_args!("}}"));
            }
            Stmt::Map { variable, body } => {
                let number = self.number();
                self.line(format_args!("let r{number} = [\"a\", \"b\"].map(|k{number}| {{"));
                self.keys.push(format!("k{number}"));
                self.body(body);
                self.line(format_args!("    read(k{number})"));
                self.keys.pop();
                self.line(format_args!("}});"));
                self.line(format_args!("v{variable} = r{number}[0] + r{number}[1];"));
            }
            Stmt::Call { function, variable, argument } => {
                let argument = self.term(*argument);
                match self.functions {
                    0 => self.line(format_args!("v{variable} = {argument};")),
                    known => {
                        let (function, number) = (function % known, self.number());
                        self.line(format_args!("turn += 1;"));
                        self.line(format_args!("v{variable} = f{function}(`${{title}}call {number} ${{turn}} `, {argument});"));
                    }
                }
            }
        }
    }

    fn fails(&mut self, fails: &Fails) {
        match fails {
            Fails::Read(key) => {
                let key = self.key(key);
                self.line(format_args!("v0 = fails({key});"));
            }
            Fails::Change { key, value, test, how } => self.change(key, *value, *test, &format!("fails: \"{how}\"")),
            Fails::Wait(key) => {
                let key = self.key(key);
                self.line(format_args!("wait_until(\"nothing\", \"5s\", || fails({key}) == 1);"));
            }
            Fails::Test { key, value } => {
                let (key, value) = (self.key(key), self.term(*value));
                self.line(format_args!("change({key}, {value}, #{{ done_when: || fails({key}) == 1 }});"));
            }
            Fails::TestAfter { key, value } => {
                let (key, value) = (self.key(key), self.term(*value));
                self.line(format_args!(
                    "change({key}, {value}, #{{ done_when: || if read({key}) == {value} {{ fails({key}) == 1 }} else {{ false }} }});"
                ));
            }
            Fails::TestThrows { key, value } => {
                let (key, value) = (self.key(key), self.term(*value));
                self.line(format_args!("change({key}, {value}, #{{ done_when: || {{ throw \"thrown by a test\"; }} }});"));
            }
            Fails::Throw => self.line(format_args!("throw \"thrown\";")),
        }
    }
}
