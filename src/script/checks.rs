//! What `script` refuses at load although Rhai compiles it, because it would do something other than what the text says, or
//! fail in the middle of a recovery.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use rhai::{Expr, Position, Stmt, Token};

use super::calls::{Calls, written_call};
use super::engine::SITE;
use super::error::{Problem, ScriptError};
use super::load::error;
use super::walk::{self, Function, Node};
use super::{Import, Names, SourceFile, nearest};

/// Calls that Rhai's parser makes of other syntax, or resolves itself.
const BUILT_IN: &[&str] = &["curry", "is_shared", "type_of"];

/// Array methods that swallow every error of the closure they are given, a stop among them.
const SWALLOW_ERRORS: &[&str] = &["sort", "sort_by", "order", "order_by"];

/// Array methods that take a function, or its name as text.
const TAKE_FUNCTIONS: &[&str] =
    &["map", "filter", "all", "some", "index_of", "find", "find_map", "reduce", "reduce_rev", "for_each", "retain", "drain", "dedup"];

/// Checks one file that compiled, by itself; returns where it calls primitives.
pub fn file(file: &SourceFile, names: &Names, problems: &mut Vec<(Problem, Range<usize>)>) -> Calls {
    let check = File { names, file };
    check.names_are_free(problems);
    if file.module.is_some() {
        check.holds_only_definitions(problems);
    }
    let mut calls = Calls::default();
    let mut binds = check.parameters_bind_site();
    let mut found = Vec::new();
    let top: BTreeSet<_> =
        file.ast.statements().iter().filter(|s| matches!(s, Stmt::Import(..))).map(|s| walk::place(s.position())).collect();
    file.nodes(&mut |node| {
        calls.see(node, &names.primitives);
        binds |= binds_site(node);
        check.node(node, &top, &mut found);
    });
    if binds {
        check.nothing_binds_site(problems);
    }
    problems.extend(found);
    calls
}

/// Function names are unique over all files of a script; each is so by itself.
pub fn names(files: &[Arc<SourceFile>], names: &Names, errors: &mut Vec<ScriptError>) {
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (index, file) in files.iter().enumerate() {
        for function in file.functions.iter().filter(|f| !f.is_closure()) {
            let name = function.name.as_str();
            if let Some(owner) = owners.insert(name, index)
                && owner != index
            {
                let by = format!("`{}` defines it", files[owner].name);
                let problem = Problem::TakenName { name: name.to_owned(), by };
                errors.push(error(file, File { names, file }.name_of(name, 0), problem));
            }
        }
    }
}

/// Calls of what nothing defines, by their place, each with what it most likely means.
pub type Astray = HashMap<(usize, usize), Option<String>>;

/// Checks what a file says of those that it imports; each is right by itself.
pub fn between(
    files: &[Arc<SourceFile>],
    index: usize,
    imports: &[Import],
    names: &Names,
    errors: &mut Vec<ScriptError>,
    astray: &mut Astray,
) {
    let file = &files[index];
    let between = Between { files, imports, names, file };
    file.nodes(&mut |node| {
        let before = errors.len();
        between.node(node, errors);
        for error in &errors[before..] {
            if let (Problem::UnknownCall { near, .. }, Node::Expr(Expr::FnCall(_, at)) | Node::Stmt(Stmt::FnCall(_, at))) =
                (&*error.problem, node)
            {
                astray.insert(walk::place(*at), near.clone());
            }
        }
    });
}

struct File<'a> {
    names: &'a Names,
    file: &'a SourceFile,
}

type Problems = Vec<(Problem, Range<usize>)>;

impl<'a> File<'a> {
    fn at(&self, position: Position, problem: Problem) -> (Problem, Range<usize>) {
        (problem, self.file.span_at(position))
    }

    fn own(&self) -> &'a [Function] {
        &self.file.functions
    }

    /// Function names are unique and never one of the program's.
    fn names_are_free(&self, errors: &mut Problems) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for function in self.own().iter().filter(|f| !f.is_closure()) {
            let name = function.name.as_str();
            let nth = *seen.entry(name).and_modify(|n| *n += 1).or_default();
            let by = if self.names.primitives.contains(name) {
                "it is a primitive".to_owned()
            } else if self.names.functions.contains(name) || BUILT_IN.contains(&name) {
                "it is a function or method of the language".to_owned()
            } else if nth > 0 {
                "this file defines it twice".to_owned()
            } else {
                continue;
            };
            errors.push((Problem::TakenName { name: name.to_owned(), by }, self.name_of(name, nth)));
        }
    }

    /// The bytes of the nth definition's name.
    fn name_of(&self, name: &str, nth: usize) -> Range<usize> {
        let lexemes = self.file.lexemes();
        let mut found = lexemes.iter().enumerate().filter(|(_, l)| matches!(l.token, Token::Fn)).filter_map(|(at, _)| {
            // `fn type.name(`: the name is what stands before the bracket
            let open = (at..lexemes.len()).find(|i| matches!(lexemes[*i].token, Token::LeftParen | Token::Unit))?;
            let token = &lexemes[open - 1];
            matches!(&token.token, Token::Identifier(n) if n.as_str() == name).then(|| token.span.clone())
        });
        let first = found.next().unwrap_or(0..0);
        found.nth(nth.wrapping_sub(1)).unwrap_or(first)
    }

    /// A module's top level holds only fn, const and import, and its constants call nothing that could have an effect.
    fn holds_only_definitions(&self, errors: &mut Problems) {
        for stmt in self.file.ast.statements() {
            let constant = matches!(stmt, Stmt::Var(_, flags, _) if flags.intersects(rhai::ASTFlags::CONSTANT));
            if !matches!(stmt, Stmt::Import(..) | Stmt::Noop(_)) && !constant {
                let help = "move the statement into a function that the runbook calls".to_owned();
                errors.push(self.at(stmt.position(), Problem::ModuleBody { help }));
                continue;
            }
            let mut calls = None;
            walk::statements(std::slice::from_ref(stmt), &mut |node| {
                let at = match node {
                    Node::Expr(Expr::FnCall(call, at)) if call.is_qualified() => Some(*at),
                    node => written_call(node)
                        .filter(|(call, _)| {
                            self.names.primitives.contains(call.name.as_str()) || self.own().iter().any(|f| f.name == call.name.as_str())
                        })
                        .map(|(_, at)| at),
                };
                calls = calls.or(at);
            });
            if let Some(at) = calls {
                let help =
                    "give the constant a plain value, or make it a function: a module's constants are set at every import".to_owned();
                errors.push(self.at(at, Problem::ModuleBody { help }));
            }
        }
    }

    /// `site` is never a variable, parameter, loop variable, caught error or import's name.
    fn nothing_binds_site(&self, errors: &mut Problems) {
        let lexemes = self.file.lexemes();
        let is_site = |at: usize| matches!(&lexemes[at].token, Token::Identifier(n) if n.as_str() == SITE);
        let (mut parameters, mut at) = (false, 0);
        while at < lexemes.len() {
            let before = at.checked_sub(1).map(|b| &lexemes[b].token);
            match &lexemes[at].token {
                // `fn name(` … `)`, `for (a, b) in`, `catch (e)`, `|a, b|`
                Token::Fn | Token::For | Token::Catch => parameters = true,
                Token::RightParen | Token::In | Token::LeftBrace | Token::Unit => parameters = false,
                Token::Pipe if opens_closure(before) => {
                    let close = (at + 1..lexemes.len()).find(|i| matches!(lexemes[*i].token, Token::Pipe)).unwrap_or(at);
                    for inner in (at + 1..close).filter(|i| is_site(*i)) {
                        errors.push((Problem::ShadowedSite, lexemes[inner].span.clone()));
                    }
                    at = close;
                }
                Token::Identifier(_) if is_site(at) && (parameters || matches!(before, Some(Token::Let | Token::Const | Token::As))) => {
                    errors.push((Problem::ShadowedSite, lexemes[at].span.clone()));
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// True if a parameter may be called `site`.
    fn parameters_bind_site(&self) -> bool {
        // what a closure captures is a parameter of it, too: only the text tells whether it was written there
        let text = &self.file.text;
        let between = |at: usize| {
            let before = text[..at].trim_end().ends_with(['|', ',']);
            before && text[at + SITE.len()..].trim_start().starts_with(['|', ','])
        };
        self.own().iter().any(|function| !function.is_closure() && function.parameters.iter().any(|p| p == SITE))
            || text.match_indices(SITE).any(|(at, _)| between(at))
    }

    /// What is wrong with a node by itself.
    fn node(&self, node: Node<'_>, top: &BTreeSet<(usize, usize)>, errors: &mut Problems) {
        match node {
            Node::Stmt(Stmt::Import(parts, position)) => {
                if !matches!(parts.0, Expr::StringConstant(..)) {
                    let message = "the name of an imported module is computed".to_owned();
                    let help = "write the module's name as a plain text".to_owned();
                    errors.push(self.at(*position, Problem::Import { message, help }));
                } else if !top.contains(&walk::place(*position)) {
                    let message = "an import stands inside something else".to_owned();
                    let help = "move the import to the top of the file".to_owned();
                    errors.push(self.at(*position, Problem::Import { message, help }));
                }
            }
            Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position)) => {
                if call.is_operator_call() {
                    return;
                }
                if call.capture_parent_scope {
                    errors.push(self.at(*position, Problem::IndirectCall { name: call.name.to_string() }));
                }
            }
            Node::Expr(Expr::MethodCall(call, position)) => {
                let name = call.name.as_str();
                if self.names.primitives.contains(name) {
                    errors.push(self.at(*position, Problem::IndirectCall { name: name.to_owned() }));
                } else if SWALLOW_ERRORS.contains(&name) && !call.args.is_empty() {
                    let message = format!("`{name}` with a closure swallows the closure's errors");
                    let help = "sort rows with `.sorted_by(\"column\")`, plain values with `.sort()` without a closure".to_owned();
                    errors.push(self.at(*position, Problem::Syntax { message, help }));
                } else if TAKE_FUNCTIONS.contains(&name) {
                    for arg in &call.args {
                        if let Expr::StringConstant(text, at) = arg
                            && self.names.primitives.contains(text.as_str())
                        {
                            errors.push(self.at(*at, Problem::IndirectCall { name: text.to_string() }));
                        }
                    }
                }
            }
            Node::Expr(Expr::Dot(pair, _, _)) => self.method_on_variable(&pair.lhs, &pair.rhs, errors),
            Node::Expr(Expr::Variable(parts, None, position))
                if parts.0.is_none() && parts.2.is_empty() && self.names.primitives.contains(parts.1.as_str()) =>
            {
                errors.push(self.at(*position, Problem::IndirectCall { name: parts.1.to_string() }));
            }
            _ => {}
        }
    }

    /// `ids.filter(|x| ids.contains(x))` ends in "Data race detected" when it runs.
    fn method_on_variable(&self, receiver: &Expr, rest: &Expr, errors: &mut Problems) {
        let call = match rest {
            Expr::MethodCall(call, _) => call,
            Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => match &pair.lhs {
                Expr::MethodCall(call, _) => call,
                _ => return,
            },
            _ => return,
        };
        let Expr::Variable(parts, _, _) = receiver else { return };
        let name = parts.1.as_str();
        for arg in &call.args {
            let Expr::Stmt(block) = arg else { continue };
            let captures = block.statements().iter().any(|s| matches!(s, Stmt::Share(vars) if vars.iter().any(|(v, _)| v.name == name)));
            if captures {
                errors.push(self.at(receiver.position(), Problem::CapturedReceiver { name: name.to_owned() }));
            }
        }
    }
}

/// True if a node gives the name `site` to something; where, only the tokens tell.
fn binds_site(node: Node<'_>) -> bool {
    match node {
        Node::Stmt(Stmt::Var(parts, ..)) => parts.0.name.as_str() == SITE,
        Node::Stmt(Stmt::For(parts, _)) => {
            parts.0.name.as_str() == SITE || parts.1.as_ref().is_some_and(|counter| counter.name.as_str() == SITE)
        }
        Node::Stmt(Stmt::TryCatch(flow, _)) => matches!(&flow.expr, Expr::Variable(parts, ..) if parts.1.as_str() == SITE),
        Node::Stmt(Stmt::Import(parts, _)) => parts.1.name.as_str() == SITE,
        _ => false,
    }
}

/// One file beside those that it imports.
struct Between<'a> {
    files: &'a [Arc<SourceFile>],
    imports: &'a [Import],
    names: &'a Names,
    file: &'a Arc<SourceFile>,
}

impl<'a> Between<'a> {
    fn at(&self, position: Position, problem: Problem) -> ScriptError {
        error(self.file, self.file.span_at(position), problem)
    }

    fn own(&self) -> &'a [Function] {
        &self.file.functions
    }

    fn node(&self, node: Node<'_>, errors: &mut Vec<ScriptError>) {
        match node {
            Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position)) => {
                if call.is_operator_call() || call.capture_parent_scope {
                } else if call.is_qualified() {
                    self.qualified(call, *position, errors);
                } else {
                    self.unqualified(&call.name, call.args.len(), *position, errors);
                }
            }
            Node::Expr(Expr::MethodCall(call, position)) => {
                let name = call.name.as_str();
                // a primitive is told of by itself
                let known = self.names.primitives.contains(name) || self.names.functions.contains(name);
                if !known && !BUILT_IN.contains(&name) && !self.file.defines(name) {
                    let (help, near) = self.suggest(name, false);
                    errors.push(self.at(*position, Problem::UnknownCall { name: name.to_owned(), arity: usize::MAX, help, near }));
                }
            }
            _ => {}
        }
    }

    fn unqualified(&self, name: &str, arity: usize, position: Position, errors: &mut Vec<ScriptError>) {
        if self.names.primitives.contains(name) || self.names.functions.contains(name) || BUILT_IN.contains(&name) {
            return;
        }
        let same: Vec<&Function> = self.own().iter().filter(|f| f.name == name).collect();
        // it may be defined in what was left out
        if !self.file.whole && same.is_empty() && self.file.defines(name) {
            return;
        }
        if same.iter().any(|f| f.parameters.len() == arity) {
            return;
        }
        let (arity, (help, near)) = match same.first() {
            Some(function) => (arity, (format!("call it as `{name}({})`", function.parameters.join(", ")), None)),
            None => (usize::MAX, self.suggest(name, true)),
        };
        errors.push(self.at(position, Problem::UnknownCall { name: name.to_owned(), arity, help, near }));
    }

    fn qualified(&self, call: &rhai::FnCallExpr, position: Position, errors: &mut Vec<ScriptError>) {
        let [alias] = call.namespace.path.as_slice() else { return };
        let Some(import) = self.imports.iter().find(|i| i.alias == alias.name.as_str()) else {
            // Rhai's parser does not look for it inside closures; told once
            let told = |error: &ScriptError| {
                matches!(&*error.problem, Problem::UnknownImport { name, .. } if name == alias.name.as_str())
                    && error.file.as_ref().is_some_and(|own| Arc::ptr_eq(own, self.file))
            };
            // one whose module is not found was told at its import
            let imported = super::syntax::imports(self.file).contains(&alias.name.as_str());
            if alias.name != "global" && !imported && !errors.iter().any(told) {
                errors.push(self.at(alias.pos, super::syntax::module(self.file, &alias.name)));
            }
            return;
        };
        if !self.files[import.file].whole {
            return;
        }
        let public: Vec<&Function> = self.files[import.file].functions.iter().filter(|f| !f.private && !f.is_closure()).collect();
        let same: Vec<&&Function> = public.iter().filter(|f| f.name == call.name.as_str()).collect();
        let name = format!("{}::{}", alias.name, call.name);
        if same.is_empty() {
            let shown = &self.files[import.file].name;
            let private = self.files[import.file].functions.iter().any(|f| f.name == call.name.as_str());
            let near = nearest(&call.name, public.iter().map(|f| f.name.as_str())).filter(|_| !private);
            let help = match near {
                Some(near) => format!("did you mean `{}::{near}`?", alias.name),
                None if private => format!("it is private in `{shown}`: remove `private` there, or call another"),
                None => format!("`{shown}` defines {}", list(public.iter().map(|f| f.name.as_str()))),
            };
            let near = near.map(str::to_owned);
            errors.push(self.at(position, Problem::UnknownCall { name, arity: usize::MAX, help, near }));
        } else if !same.iter().any(|f| f.parameters.len() == call.args.len()) {
            let help = format!("call it as `{name}({})`", same[0].parameters.join(", "));
            errors.push(self.at(position, Problem::UnknownCall { name, arity: call.args.len(), help, near: None }));
        }
        for arg in &call.args {
            if is_closure(arg) {
                errors.push(self.at(arg.start_position(), Problem::ClosureToModule));
            }
        }
    }

    /// What to do about a name that is not known, and what to write in its place.
    fn suggest(&self, name: &str, call: bool) -> (String, Option<String>) {
        // of two that are as near, a primitive was meant rather than a method
        let primitives = self.names.primitives.iter().copied().filter(|_| call);
        let own = self.own().iter().filter(|f| !f.is_closure()).map(|f| f.name.as_str());
        let known = primitives.chain(own).chain(self.names.functions.iter().copied());
        // a function of an imported module, called without its module
        let module = self.imports.iter().find(|i| self.files[i.file].functions.iter().any(|f| f.name == name && !f.private));
        match (module, nearest(name, known)) {
            (Some(import), _) if call => (format!("write `{}::{name}`", import.alias), Some(format!("{}::{name}", import.alias))),
            (Some(import), _) => (format!("write `{}::{name}`", import.alias), None),
            (None, Some(near)) => (format!("did you mean `{near}`?"), Some(near.to_owned())),
            (None, None) => ("run `cutover docs` to see what may be called, or define it with `fn`".to_owned(), None),
        }
    }
}

/// True where a `|` begins the parameters of a closure and is not an operator.
fn opens_closure(before: Option<&Token>) -> bool {
    !matches!(
        before,
        Some(
            Token::Identifier(_)
                | Token::IntegerConstant(_)
                | Token::FloatConstant(_)
                | Token::StringConstant(_)
                | Token::CharConstant(_)
                | Token::RightParen
                | Token::RightBracket
                | Token::RightBrace
                | Token::True
                | Token::False
                | Token::Unit
        )
    )
}

/// A closure written out as an argument: bare, or with what it captures.
pub fn is_closure(expr: &Expr) -> bool {
    match expr {
        Expr::DynamicConstant(value, _) => value.is_fnptr(),
        Expr::Stmt(block) => block.statements().iter().any(|s| matches!(s, Stmt::Share(_))),
        _ => false,
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
