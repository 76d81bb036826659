//! See `unused-function.md`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rhai::{Expr, Stmt, Token};

use crate::check::{Finding, Look, Rule, Set, Severity};
use crate::script::walk::{self, Function, Node};
use crate::script::{Kind, Script, SourceFile, stdlib};

pub static UNUSED_FUNCTION: Rule =
    Rule { slug: "unused-function", severity: Severity::Warning, page: include_str!("unused-function.md"), look: Look::Set(check) };

fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let imported = imported(set);
    let mut seen = HashSet::new();
    for script in set.scripts {
        let file = &script.files[0];
        if !seen.insert(Arc::as_ptr(file)) {
            continue;
        }
        if file.functions.iter().all(Function::is_closure) {
            continue;
        }
        let calls = calls_of(file);
        for function in file.functions.iter().filter(|f| !f.is_closure() && !f.name.starts_with('_')) {
            let name = function.name.as_str();
            let elsewhere = |caller: &Option<&str>| *caller != Some(name);
            if calls.iter().any(|(caller, called, module)| module.is_none() && *called == name && elsewhere(caller)) {
                continue;
            }
            let why = match (script.does_nothing(), function.private) {
                (false, _) => "nothing in this runbook calls it",
                (true, true) => "it is private, and nothing in this module calls it",
                (true, false) => {
                    let Some(names) = file.path.as_ref().and_then(|path| imported.get(&real(path))) else { continue };
                    if names.contains(name) || built_in(file, name) {
                        continue;
                    }
                    "none of the runbooks that import this module calls it"
                }
            };
            let help = "remove it, or call it where it was meant to be called";
            findings.push(UNUSED_FUNCTION.finding(
                file,
                name_of(file, name),
                format!("`{name}` is never used: {why}"),
                "never called",
                help,
            ));
        }
    }
}

/// A site's own version of a built-in module has that module's functions, whoever calls them.
fn built_in(file: &SourceFile, name: &str) -> bool {
    let module = file.path.as_ref().and_then(|path| path.file_stem()).and_then(|stem| stem.to_str());
    module.and_then(stdlib::text).is_some_and(|text| text.contains(&format!("fn {name}(")))
}

fn real(path: &PathBuf) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())
}

/// Modules beside checked runbooks, with the names that are called of each.
fn imported(set: &Set<'_>) -> HashMap<PathBuf, BTreeSet<String>> {
    let mut imported: HashMap<PathBuf, BTreeSet<String>> = HashMap::new();
    if !set.scripts.iter().any(|script| script.does_nothing()) {
        return imported;
    }
    // runbooks first: a module that only other modules import may have its runbooks elsewhere
    let mut scripts: Vec<_> = set.scripts.iter().collect();
    scripts.sort_by_key(|script| script.does_nothing());
    for script in scripts {
        for (index, file) in script.files.iter().enumerate() {
            let beside = script.imports[index].iter().filter_map(|import| beside(script, import.file).map(|path| (import, path)));
            for (import, path) in beside {
                let path = real(path);
                if script.does_nothing() && !imported.contains_key(&path) {
                    continue;
                }
                let names = imported.entry(path).or_default();
                let calls = calls_of(file).into_iter().filter(|(_, _, module)| *module == Some(import.alias.as_str()));
                names.extend(calls.map(|(_, called, _)| called.to_owned()));
            }
        }
    }
    imported
}

fn beside(script: &Script, file: usize) -> Option<&PathBuf> {
    let file = &script.files[file];
    file.path.as_ref().filter(|_| file.kind == Kind::Beside)
}

/// Every call and mention of a name: the function it stands in, the name, and the module it is qualified with.
fn calls_of(file: &SourceFile) -> Vec<(Option<&str>, &str, Option<&str>)> {
    let mut calls = Vec::new();
    let mut look = |list, caller| {
        walk::statements(list, &mut |node| {
            let (name, module) = match node {
                Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) => {
                    (call.name.as_str(), call.namespace.path.first())
                }
                // by its bare name, as a value
                Node::Expr(Expr::Variable(parts, _, _)) => (parts.1.as_str(), parts.2.path.first()),
                _ => return,
            };
            calls.push((caller, name, module.map(|module| module.name.as_str())));
        });
    };
    look(file.ast.statements(), None);
    for function in &file.functions {
        look(&function.statements, (!function.is_closure()).then_some(function.name.as_str()));
    }
    calls
}

/// The bytes of a function's name where it is defined.
fn name_of(file: &SourceFile, name: &str) -> Range<usize> {
    let lexemes = file.lexemes();
    let defined = lexemes
        .windows(2)
        .find(|pair| matches!(pair[0].token, Token::Fn) && matches!(&pair[1].token, Token::Identifier(own) if own.as_str() == name));
    defined.map_or(0..0, |pair| pair[1].span.clone())
}
