//! Our own view of the AST: every statement and expression once, in an order that is the same on every run. Rhai's own walk
//! visits functions in hash order and `switch` cases twice.

use rhai::{AST, ASTNode, Expr, FnAccess, Position, Stmt};

/// One node.
#[derive(Clone, Copy)]
pub enum Node<'a> {
    Stmt(&'a Stmt),
    Expr(&'a Expr),
}

/// A function of a file, closures among them.
pub struct Function {
    pub name: String,
    pub parameters: Vec<String>,
    pub private: bool,
    /// Where the body starts.
    pub position: Position,
    pub statements: Vec<Stmt>,
}

impl Function {
    /// True for the function that a closure compiles to.
    pub fn is_closure(&self) -> bool {
        is_closure(&self.name)
    }
}

/// True for the name of a function that a closure compiles to; such a name never leaves the program.
pub fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

/// The functions of a file by their place in the text.
pub fn functions(ast: &AST) -> Vec<Function> {
    let mut functions: Vec<Function> = ast
        .shared_lib()
        .iter_script_fn_info()
        .map(|(_, access, name, arity, def)| Function {
            name: name.to_owned(),
            parameters: def.params.iter().map(ToString::to_string).collect(),
            private: access == FnAccess::Private,
            position: def.body.start_position(),
            statements: statements_of(ast, name, arity),
        })
        .collect();
    functions.sort_by_key(|f| place(f.position));
    functions
}

/// Rhai does not export the type of a body, so it is taken from a walk over a copy that holds this function alone.
fn statements_of(ast: &AST, name: &str, arity: usize) -> Vec<Stmt> {
    let mut statements = Vec::new();
    ast.clone_functions_only_filtered(|_, _, _, n, a| n == name && a == arity).walk(&mut |path| {
        if let [ASTNode::Stmt(stmt)] = path {
            statements.push((*stmt).clone());
        }
        true
    });
    statements
}

/// Sorts positions: line, then column.
pub fn place(position: Position) -> (usize, usize) {
    (position.line().unwrap_or(0), position.position().unwrap_or(0))
}

/// Visits every node of these statements, outer before inner, in the order of the text.
pub fn statements<'a>(list: &'a [Stmt], visit: &mut dyn FnMut(Node<'a>)) {
    for stmt in list {
        statement(stmt, visit);
    }
}

fn statement<'a>(stmt: &'a Stmt, visit: &mut dyn FnMut(Node<'a>)) {
    visit(Node::Stmt(stmt));
    match stmt {
        Stmt::If(flow, _) | Stmt::While(flow, _) => {
            expression(&flow.expr, visit);
            statements(flow.body.statements(), visit);
            statements(flow.branch.statements(), visit);
        }
        Stmt::Do(flow, _, _) => {
            statements(flow.body.statements(), visit);
            expression(&flow.expr, visit);
        }
        Stmt::For(parts, _) => {
            expression(&parts.2.expr, visit);
            statements(parts.2.body.statements(), visit);
        }
        Stmt::TryCatch(flow, _) => {
            statements(flow.body.statements(), visit);
            statements(flow.branch.statements(), visit);
        }
        Stmt::Switch(parts, _) => {
            expression(&parts.0, visit);
            // guard and result of every case, the default's among them, in the order written
            for case in &parts.1.expressions {
                expression(&case.lhs, visit);
                expression(&case.rhs, visit);
            }
        }
        Stmt::Var(parts, _, _) => expression(&parts.1, visit),
        Stmt::Assignment(parts) => {
            expression(&parts.1.lhs, visit);
            expression(&parts.1.rhs, visit);
        }
        Stmt::FnCall(call, _) => call.args.iter().for_each(|arg| expression(arg, visit)),
        Stmt::Block(block) => statements(block.statements(), visit),
        Stmt::Expr(expr) => expression(expr, visit),
        Stmt::BreakLoop(Some(expr), _, _) | Stmt::Return(Some(expr), _, _) => expression(expr, visit),
        Stmt::Import(parts, _) => expression(&parts.0, visit),
        _ => {}
    }
}

/// Visits an expression and what it contains.
pub fn expression<'a>(expr: &'a Expr, visit: &mut dyn FnMut(Node<'a>)) {
    visit(Node::Expr(expr));
    match expr {
        Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
            parts.iter().for_each(|part| expression(part, visit));
        }
        Expr::Map(parts, _) => parts.0.iter().for_each(|(_, value)| expression(value, visit)),
        Expr::MethodCall(call, _) | Expr::FnCall(call, _) => {
            call.args.iter().for_each(|arg| expression(arg, visit));
        }
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => {
            expression(&pair.lhs, visit);
            expression(&pair.rhs, visit);
        }
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
            parts.iter().for_each(|part| expression(part, visit));
        }
        Expr::Stmt(block) => statements(block.statements(), visit),
        _ => {}
    }
}
