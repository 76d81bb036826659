//! See `return-in-step.md`.

use rhai::{ASTFlags, Expr, Stmt};

use crate::check::reach::closure_of;
use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::{self, Node};
use crate::script::written_call;

pub static RETURN_IN_STEP: Rule =
    Rule { slug: "return-in-step", severity: Severity::Error, page: include_str!("return-in-step.md"), look: Look::File(check) };

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    if file.file.calls.is_empty() || !file.file.text.contains("return") {
        return;
    }
    let mut bodies = Vec::new();
    let mut look = |node: Node<'_>| {
        if let Some((call, _)) = written_call(node)
            && call.name.as_str() == "step"
            && let Some(body) = call.args.get(1).and_then(|body| closure_of(file, body))
        {
            bodies.push(&file.script.files[body.0].functions[body.1]);
        }
    };
    file.file.nodes(&mut look);
    for body in bodies {
        // closures inside are functions of their own, and are not visited
        walk::statements(&body.statements, &mut |node| {
            let Node::Stmt(Stmt::Return(value, flags, at)) = node else { return };
            if flags.intersects(ASTFlags::BREAK) || value.as_deref().is_some_and(|value| !matches!(value, Expr::Unit(_))) {
                return;
            }
            let span = file.file.span_at(*at);
            let message = "`return` leaves the step only, and the run goes on with the next one";
            let help = "write `fail(…)` to end the run here, or `if` around the rest of the step";
            findings.push(RETURN_IN_STEP.finding(file.file, span, message, "leaves the step only", help));
        });
    }
}
