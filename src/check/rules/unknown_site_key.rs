//! See `unknown-site-key.md`.

use std::sync::Arc;

use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt};
use serde_json::Value;

use crate::check::{Edit, File, Finding, Look, Rule, Severity};
use crate::script::walk::Node;
use crate::script::{SourceFile, engine::SITE, nearest};
use crate::site::Site;

pub static UNKNOWN_SITE_KEY: Rule =
    Rule { slug: "unknown-site-key", severity: Severity::Error, page: include_str!("unknown-site-key.md"), look: Look::File(check) };

/// What every site has, whether or not its file gives it a value.
const TOP: &[&str] =
    &["name", "pool", "database", "active_servers", "mirror_share", "recovery_time_target", "lab", "sql", "backups", "vars"];
const BACKUPS: &[&str] = &["share", "copy_to", "copy_to_on_server"];
const SERVER: &[&str] = &["fqdn", "instance_name"];

/// One link of `site.sql["backup"].fqdn`.
enum Link<'a> {
    Key(&'a str, Position),
    Method(&'a FnCallExpr),
    /// a key that a variable holds
    Variable(&'a str),
    /// a computed key
    Other,
}

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    if !file.file.text.contains(SITE) {
        return;
    }
    let asked = tested(std::slice::from_ref(file.file));
    let view = file.site.map(|site| Value::Object(site.view()));
    let mut look = |mut path: Vec<String>, links: &[Link<'_>]| {
        for link in links {
            let given = match link {
                Link::Key(key, position) => vec![(*key, *position)],
                Link::Variable(name) => each(file.file, name),
                Link::Method(_) | Link::Other => return,
            };
            let here: Vec<&str> = path.iter().map(String::as_str).collect();
            let known = keys(view.as_ref(), &here);
            if known.as_ref().is_some_and(Vec::is_empty) {
                return;
            }
            for (key, position) in &given {
                if let Some(keys) = known.as_ref().filter(|keys| !keys.contains(key))
                    && !asked.iter().any(|name| name == key)
                {
                    findings.push(unknown(file.file, &here, key, *position, keys, file.site));
                }
            }
            match given.as_slice() {
                [(key, _)] if known.is_none_or(|keys| keys.contains(key)) => path.push((*key).to_owned()),
                _ => return,
            }
        }
    };
    chains(file.file, &mut |links| look(vec![SITE.to_owned()], links));
    for (name, path) in aliases(file.file) {
        file.file.nodes(&mut |node| {
            if let Node::Expr(expr) = node
                && let Some(links) = chain_of(expr, &|variable| variable == name)
            {
                look(path.clone(), &links);
            }
        });
    }
}

/// Variables that hold a table of the site, each with its path: `let folders = site.backups;`, if nothing else has that name.
fn aliases(file: &SourceFile) -> Vec<(&str, Vec<String>)> {
    if !file.text.contains("= site.") {
        return Vec::new();
    }
    let (mut found, mut names) = (Vec::new(), Vec::new());
    file.nodes(&mut |node| match node {
        Node::Stmt(Stmt::Var(parts, ..)) => {
            names.push(parts.0.name.as_str());
            let links = chain(&parts.1).unwrap_or_default();
            let keys: Option<Vec<String>> =
                links.iter().map(|link| if let Link::Key(key, _) = link { Some((*key).to_owned()) } else { None }).collect();
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                found.push((parts.0.name.as_str(), std::iter::once(SITE.to_owned()).chain(keys).collect()));
            }
        }
        Node::Stmt(Stmt::For(parts, _)) => names.push(parts.0.name.as_str()),
        Node::Stmt(Stmt::Assignment(parts)) => {
            if let Expr::Variable(variable, ..) = &parts.1.lhs {
                names.push(variable.1.as_str());
            }
        }
        _ => {}
    });
    let is_table = |path: &[String]| match path {
        [_, table] => ["backups", "sql", "vars"].contains(&table.as_str()),
        [_, table, _] => table == "sql",
        _ => false,
    };
    found.retain(|(_, path): &(&str, Vec<String>)| is_table(path));
    found.retain(|(name, _)| names.iter().filter(|other| *other == name).count() == 1 && !parameter(file, name) && !asked_for(file, name));
    found
}

/// True if a function takes a parameter of that name; what a closure captures is a parameter of it, too.
fn parameter(file: &SourceFile, name: &str) -> bool {
    file.functions.iter().any(|own| !own.is_closure() && own.parameters.iter().any(|p| p == name))
}

/// True if a file asks what is in a variable, or whether it is in something, or writes to it.
fn asked_for(file: &SourceFile, name: &str) -> bool {
    let is_name = |expr: &Expr| matches!(expr, Expr::Variable(own, ..) if own.1 == name);
    let asks = |call: &rhai::FnCallExpr| matches!(call.name.as_str(), "contains" | "get" | "keys" | "remove" | "set");
    let mut found = false;
    file.nodes(&mut |node| {
        found |= match node {
            Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) if asks(call) => call.args.iter().any(is_name),
            Node::Expr(Expr::Dot(pair, ..)) => is_name(&pair.lhs) && matches!(&pair.rhs, Expr::MethodCall(call, _) if asks(call)),
            Node::Stmt(Stmt::Assignment(parts)) => {
                matches!(&parts.1.lhs, Expr::Dot(pair, ..) | Expr::Index(pair, ..) if is_name(&pair.lhs))
            }
            _ => false,
        };
    });
    found
}

/// What a variable is in turn: `for name in ["backup", "primary"]`, if nothing else has that name.
fn each<'a>(file: &'a SourceFile, name: &str) -> Vec<(&'a str, Position)> {
    // a parameter of that name is another, and who asks whether it is there knows
    if parameter(file, name) || asked_for(file, name) {
        return Vec::new();
    }
    let (mut found, mut others) = (Vec::new(), 0);
    file.nodes(&mut |node| match node {
        Node::Stmt(Stmt::For(parts, _)) if parts.0.name == name => {
            others += 1;
            if let Expr::Array(items, _) = &parts.2.expr {
                found.extend(items.iter().filter_map(|item| match item {
                    Expr::StringConstant(text, at) => Some((text.as_str(), *at)),
                    _ => None,
                }));
            }
        }
        Node::Stmt(Stmt::Var(parts, ..)) if parts.0.name == name => others += 1,
        Node::Stmt(Stmt::Assignment(parts)) if matches!(&parts.1.lhs, Expr::Variable(own, ..) if own.1 == name) => others += 1,
        _ => {}
    });
    if others == 1 { found } else { Vec::new() }
}

fn unknown(file: &Arc<SourceFile>, path: &[&str], key: &str, at: Position, keys: &[&str], site: Option<&Site>) -> Finding {
    let span = file.span_at(at);
    let whole = path.join(".");
    let near = nearest(key, keys.iter().copied());
    let list = || keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    let help = match (near, path) {
        (Some(near), _) => format!("write `{near}`"),
        (None, ["site", "vars"]) => format!("give `{key}` a value under `[vars]` in the site file"),
        (None, ["site", "sql"]) => format!("name the server in the site file as `[sql.{key}]`, or write one of {}", list()),
        (None, ["site", "sql", _]) => format!("write one of {}: how a server is reached is nothing that a runbook sees", list()),
        (None, ["site"]) => format!("write one of {}; what is your own stands under `site.vars`", list()),
        _ => format!("write one of {}", list()),
    };
    let label = if site.is_some() { "not in the site" } else { "no site has it" };
    let mut finding = UNKNOWN_SITE_KEY.finding(file, span.clone(), format!("no `{key}` in `{whole}`"), label, help);
    if let Some(near) = near {
        let quoted = file.text[span.clone()].starts_with('"');
        finding.fixes.push(Edit { span, text: if quoted { format!("\"{near}\"") } else { near.to_owned() } });
    }
    finding
}

/// The keys at a path; nothing where they are not known, none where there is no table.
fn keys<'a>(view: Option<&'a Value>, path: &[&str]) -> Option<Vec<&'a str>> {
    if let Some(view) = view {
        let mut here = view;
        for key in &path[1..] {
            let Some(next) = here.get(key) else { return Some(Vec::new()) };
            here = next;
        }
        return Some(here.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default());
    }
    match path {
        ["site"] => Some(TOP.to_vec()),
        ["site", "backups"] => Some(BACKUPS.to_vec()),
        ["site", "sql", _] => Some(SERVER.to_vec()),
        ["site", "sql"] | ["site", "vars", ..] => None,
        _ => Some(Vec::new()),
    }
}

/// Names that a file asks the site for before it uses them: `site.sql.contains("backup_mirror")`, `.get("x")`, `"x" in`.
pub(super) fn tested(files: &[Arc<SourceFile>]) -> Vec<String> {
    let mut names = Vec::new();
    for file in files.iter().filter(|file| file.text.contains(SITE)) {
        chains(file, &mut |links| {
            if let Some(Link::Method(call)) = links.last()
                && matches!(call.name.as_str(), "contains" | "get")
                && let Some(Expr::StringConstant(name, _)) = call.args.first()
            {
                names.push(name.to_string());
            }
        });
        file.nodes(&mut |node| {
            // `"x" in site.sql` is a call of `contains`
            if let Node::Expr(Expr::FnCall(call, _)) = node
                && call.name.as_str() == "contains"
                && let [within, Expr::StringConstant(name, _)] = &*call.args
                && chain(within).is_some()
            {
                names.push(name.to_string());
            }
        });
    }
    names
}

/// Every `site.…` of a file.
fn chains<'a>(file: &'a SourceFile, visit: &mut dyn FnMut(&[Link<'a>])) {
    file.nodes(&mut |node| {
        if let Node::Expr(expr) = node
            && let Some(links) = chain(expr)
        {
            visit(&links);
        }
    });
}

fn chain(expr: &Expr) -> Option<Vec<Link<'_>>> {
    chain_of(expr, &|variable| variable == SITE)
}

/// What is taken from a variable.
fn chain_of<'a>(expr: &'a Expr, is_base: &dyn Fn(&str) -> bool) -> Option<Vec<Link<'a>>> {
    let first = match expr {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => &pair.lhs,
        _ => return None,
    };
    if !matches!(first, Expr::Variable(parts, _, _) if is_base(&parts.1) && (parts.1.as_str() != SITE || parts.0.is_none()) && parts.2.is_empty())
    {
        return None;
    }
    let mut links = Vec::new();
    let mut rest = Some(expr);
    while let Some(here) = rest {
        let (pair, flags, index) = match here {
            Expr::Dot(pair, flags, _) => (pair, flags, false),
            Expr::Index(pair, flags, _) => (pair, flags, true),
            _ => break,
        };
        // an index that ends the chain holds its whole expression
        let ends = index && flags.intersects(ASTFlags::BREAK);
        let (head, next) = match &pair.rhs {
            Expr::Dot(inner, ..) | Expr::Index(inner, ..) if !ends => (&inner.lhs, Some(&pair.rhs)),
            whole => (whole, None),
        };
        links.push(match head {
            Expr::Property(property, at) if !index => Link::Key(&property.2, *at),
            Expr::StringConstant(key, at) if index => Link::Key(key, *at),
            Expr::Variable(parts, ..) if index && parts.2.is_empty() => Link::Variable(&parts.1),
            Expr::MethodCall(call, _) if !index => Link::Method(call),
            _ => Link::Other,
        });
        rest = next;
    }
    Some(links)
}
