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
#[derive(Debug)]
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
///
/// Rhai does not export the type of a body, so statements are taken from its own walk and given to the innermost function
/// around them: positions are unique.
pub fn functions(ast: &AST) -> Vec<Function> {
    let (mut functions, mut ends) = (Vec::new(), Vec::new());
    let mut defined: Vec<_> = ast.shared_lib().iter_script_fn_info().map(|(_, access, _, _, def)| (access, def)).collect();
    defined.sort_by_key(|(_, def)| place(def.body.start_position()));
    for (access, def) in defined {
        functions.push(Function {
            name: def.name.to_string(),
            parameters: def.params.iter().map(ToString::to_string).collect(),
            private: access == FnAccess::Private,
            position: def.body.start_position(),
            statements: Vec::new(),
        });
        ends.push(def.body.end_position());
    }
    if functions.is_empty() {
        return functions;
    }
    let mut top = ast.statements().len();
    ast.walk(&mut |path| {
        let [ASTNode::Stmt(stmt)] = path else { return true };
        if top > 0 {
            top -= 1;
            return true;
        }
        let at = place(stmt.position());
        // the last function that begins before a statement and does not end before it is the innermost; a body without
        // braces is one statement and has no end
        let before = functions.partition_point(|f| place(f.position) <= at);
        let around = |i: &usize| if ends[*i].is_none() { place(functions[*i].position) == at } else { place(ends[*i]) >= at };
        if let Some(index) = (0..before).rev().find(around) {
            functions[index].statements.push((*stmt).clone());
        }
        true
    });
    functions
}

/// Sorts positions: line, then column.
pub fn place(position: Position) -> (usize, usize) {
    (position.line().unwrap_or(0), position.position().unwrap_or(0))
}

/// True if a node of these statements stands at that position.
pub fn holds(list: &[Stmt], at: Position) -> bool {
    let mut found = false;
    statements(list, &mut |node| {
        let own = match node {
            Node::Stmt(stmt) => stmt.position(),
            Node::Expr(expr) => expr.position(),
        };
        found |= place(own) == place(at);
    });
    found
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::engine;

    /// Names of variables and calls in the order of the visit.
    fn visited(text: &str) -> String {
        let ast = engine::parser().compile_with_scope(&engine::scope(), text).unwrap();
        let mut seen = Vec::new();
        let mut visit = |node: Node<'_>| match node {
            Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) => {
                seen.push(call.name.to_string())
            }
            Node::Expr(Expr::IntegerConstant(n, _)) => seen.push(n.to_string()),
            _ => {}
        };
        statements(ast.statements(), &mut visit);
        for function in functions(&ast) {
            visit(Node::Expr(&Expr::IntegerConstant(-1, Position::NONE)));
            statements(&function.statements, &mut visit);
        }
        seen.join(" ")
    }

    #[test]
    fn every_node_is_visited_once_in_the_order_of_the_text() {
        assert_eq!(visited("fn state(x) { a() + b() }\nfn other() { c() }\nd();"), "d -1 + a b -1 c");
        assert_eq!(visited("switch 1 { 2 if e() => f(), 3..5 => g(), _ => h() }"), "1 e f g h");
    }

    #[test]
    fn every_statement_is_given_to_the_function_that_holds_it() {
        let bodies = [
            "a0()",
            "x.y.a0()",
            "-a0()",
            "x + a0()",
            "!a0()",
            "[a0()]",
            "#{ k: a0() }",
            "`${a0()}`",
            "{ a0() }",
            "{ 1; a0(); }",
            "(a0())",
            "if x { a0() } else { 2 }",
            "a0()[1]",
            "x?.y ?? a0()",
            "{ let y = 1; [1].map(|z| a0()) }",
            "{ let y = 1; [1].map(|z| y + a0()) }",
            "x == 1 && a0()",
            "switch x { 1 => a0(), _ => 2 }",
            "[1].map(|z| x + a0())",
            "|z| a0()",
            "|z| z + x + a0()",
            "x[a0()]",
            "return a0()",
            "throw a0()",
            "while x { a0(); }",
            "{ { a0() } }",
            "{ x = a0(); }",
            "{ x.y = a0(); }",
            "{ let q = || a0(); q }",
            "x in a0()",
            "{ try { a0(); } catch (e) { } }",
            "{ for i in a0() { } }",
            "{ do { } while a0() }",
            "{ x += a0(); }",
            "{ loop { break a0(); } }",
        ];
        for body in bodies {
            let text = format!("let x = 1; [1].map(|x| {body}); fn f(x) {{ {body} }}\nstep(\"t\", || {{ [2].map(|x| {body}); b0() }});");
            let visited = visited(&text);
            let count = |name: &str| visited.split(' ').filter(|n| *n == name).count();
            assert_eq!((count("a0"), count("b0")), (3, 1), "{text}\n{visited}");
        }
    }
}
