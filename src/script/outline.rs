//! What a script says of itself in its text, before anything runs: the titles of its steps and the ids of its questions. What
//! is put together at run time is not known here.

use std::collections::BTreeSet;

use rhai::{Expr, Stmt};

use super::walk::{self, Node};
use super::{Script, SourceFile};

/// A step of the runbook, as its text has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    pub title: String,
    /// It stands under a condition, in a loop or in a function: it may not come.
    pub perhaps: bool,
}

/// The ids of a script's questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionIds {
    pub written: BTreeSet<String>,
    /// An id is put together, or options stand in a variable: there may be others.
    pub others: bool,
}

/// Primitives whose `id` an answer may name.
const QUESTIONS: [&str; 3] = ["confirm", "ask", "manual"];

impl Script {
    /// The steps of the runbook whose titles are written out, in the order of its text.
    pub fn steps(&self) -> Vec<PlannedStep> {
        let file = self.runbook();
        let mut steps = Vec::new();
        let mut add = |node: Node<'_>, perhaps: bool| {
            if let Node::Expr(Expr::FnCall(call, position)) = node
                && call.name == "step"
                && let Some(Expr::StringConstant(title, _)) = call.args.first()
            {
                steps.push((walk::place(*position), PlannedStep { title: title.to_string(), perhaps }));
            }
        };
        for stmt in file.ast.statements() {
            let certain = matches!(stmt, Stmt::Expr(..) | Stmt::Var(..) | Stmt::FnCall(..) | Stmt::Assignment(..));
            walk::statements(std::slice::from_ref(stmt), &mut |node| add(node, !certain));
        }
        for function in &file.functions {
            walk::statements(&function.statements, &mut |node| add(node, !function.is_closure()));
        }
        steps.sort_by_key(|(place, _)| *place);
        steps.dedup_by_key(|(place, _)| *place);
        steps.into_iter().map(|(_, step)| step).collect()
    }

    /// The ids that its questions have.
    pub fn question_ids(&self) -> QuestionIds {
        let mut ids = QuestionIds::default();
        for file in &self.files {
            of_file(file, &mut ids);
        }
        ids
    }
}

fn of_file(file: &SourceFile, ids: &mut QuestionIds) {
    file.nodes(&mut |node| {
        let call = match node {
            Node::Expr(Expr::FnCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) => call,
            _ => return,
        };
        if !QUESTIONS.contains(&call.name.as_str()) {
            return;
        }
        let least = if call.name == "confirm" { 1 } else { 2 };
        match call.args.get(least..).and_then(|rest| rest.first()) {
            None => {}
            Some(Expr::Map(map, _)) => match map.0.iter().find(|(key, _)| key.as_str() == "id") {
                None => {}
                Some((_, Expr::StringConstant(id, _))) => {
                    ids.written.insert(id.to_string());
                }
                Some(_) => ids.others = true,
            },
            // a map of constants alone is folded by the parser
            Some(Expr::DynamicConstant(value, _)) => {
                let id = value.read_lock::<rhai::Map>().and_then(|map| map.get("id").cloned());
                match id.map(rhai::Dynamic::into_immutable_string) {
                    None => {}
                    Some(Ok(id)) => {
                        ids.written.insert(id.to_string());
                    }
                    Some(Err(_)) => ids.others = true,
                }
            }
            Some(_) => ids.others = true,
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::script::{Names, Options, Source};

    fn script(text: &'static str) -> Script {
        let primitives = ["step", "note", "confirm", "ask", "manual"].into();
        let names = Arc::new(Names { primitives, functions: [].into() });
        Script::load(Source::Text { name: "book.rhai", text }, &Options { site_stdlib: None, names }).unwrap()
    }

    #[test]
    fn steps_are_told_in_the_order_of_the_text_and_which_of_them_may_not_come() {
        let steps = script(
            r#"fn later() { step("in a function", || note("x")); }
let facts = step("first", || { step("within", || note("y")); 1 });
if facts == 1 { step("under a condition", || later()); }
let n = 3;
step(`computed ${n}`, || note("z"));
step("last", || note("z"));"#,
        )
        .steps();
        let told: Vec<_> = steps.iter().map(|step| (step.title.as_str(), step.perhaps)).collect();
        let expected = [("in a function", true), ("first", false), ("within", false), ("under a condition", true), ("last", false)];
        assert_eq!(told, expected);
    }

    #[test]
    fn ids_of_questions_are_told_and_whether_there_may_be_others() {
        let ids = script(r#"confirm("a?", #{ id: "a", irreversible: true }); let n = 1; ask("b?", ["x"], #{ id: "b", show: n }); manual("c", "do", #{ id: "c" }); confirm("d?");"#)
            .question_ids();
        assert_eq!((ids.written.iter().map(String::as_str).collect::<Vec<_>>(), ids.others), (vec!["a", "b", "c"], false));
        assert!(script(r#"let n = 1; confirm("a?", #{ id: `a${n}` });"#).question_ids().others);
        assert!(script(r#"let o = #{ id: "a" }; confirm("a?", o);"#).question_ids().others);
    }
}
