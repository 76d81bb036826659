//! Connections that break at the worst moment, as a scenario asks: after the work and before the answer, or as the work
//! begins. The server notices neither and carries the batch out; the client is told nothing.

use std::time::Duration;

use crate::lab::instance::Running;
use crate::lab::tds::{Cell, Column, Parameter, Reply, Request, ServerMessage, Turn};
use crate::tsql::statement::parse;
use crate::tsql::syntax::{Statement, StatementKind};

use super::restore;

/// When a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// everything is done, nothing of the answer is sent
    Answering,
    /// nothing is done yet; the server first takes that long over it
    Beginning(Duration),
}

/// A break that is still to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Break {
    /// what the batch's text holds, in lower case
    pub text: String,
    /// how many more such batches until then, this one included
    pub left: u32,
    pub when: When,
}

/// Counts a batch; when it is one at which the connection breaks.
pub fn strike(breaks: &mut Vec<Break>, text: &str) -> Option<Break> {
    if breaks.is_empty() {
        return None;
    }
    let text = text.to_lowercase();
    let mut struck = None;
    for (at, planned) in breaks.iter_mut().enumerate().filter(|(_, planned)| text.contains(&planned.text)) {
        planned.left = planned.left.saturating_sub(1);
        if planned.left == 0 && struck.is_none() {
            struck = Some(at);
        }
    }
    struck.map(|at| breaks.remove(at))
}

/// What a request is looked for by.
pub fn shown(request: &Request) -> String {
    match request {
        Request::Batch { text, .. } => text.clone(),
        Request::Procedure { name, .. } => format!("EXEC {name}"),
    }
}

/// What `sys.dm_exec_requests` shows of the batch while it takes its time, and whether its own statement takes that time.
/// `about`: what it was found by, in lower case.
pub fn command(text: &str, about: &str) -> (&'static str, bool) {
    let Ok(batch) = parse(text) else { return (Running::SELECT, false) };
    let mut leaves = Vec::new();
    collect(&batch.statements, &mut leaves);
    let meant = leaves.iter().find(|leaf| text[leaf.range.clone()].to_lowercase().contains(about));
    match meant.or(leaves.first()).map(|leaf| &leaf.kind) {
        Some(StatementKind::Restore(found)) => (restore::command(found.kind).0, restore::takes_time(found.kind)),
        Some(StatementKind::Backup(backup)) => (if backup.log { "BACKUP LOG" } else { "BACKUP DATABASE" }, false),
        Some(StatementKind::AlterDatabase(_)) => ("ALTER DATABASE", false),
        Some(StatementKind::DropDatabase(_)) => ("DROP DATABASE", false),
        Some(StatementKind::Kill(_)) => ("KILL", false),
        Some(StatementKind::Exec(_)) => ("EXECUTE", false),
        Some(StatementKind::WaitDelay(_)) => ("WAITFOR", false),
        _ => (Running::SELECT, false),
    }
}

fn collect<'a>(statements: &'a [Statement], leaves: &mut Vec<&'a Statement>) {
    for statement in statements {
        match &statement.kind {
            StatementKind::If { then, otherwise, .. } => {
                collect(std::slice::from_ref(then), leaves);
                if let Some(otherwise) = otherwise {
                    collect(std::slice::from_ref(otherwise), leaves);
                }
            }
            StatementKind::While { body, .. } => collect(std::slice::from_ref(body), leaves),
            StatementKind::Block(body) => collect(body, leaves),
            StatementKind::Try { body, catch } => {
                collect(body, leaves);
                collect(catch, leaves);
            }
            _ => leaves.push(statement),
        }
    }
}

/// An answer that nobody gets. The server does not know: to it the client is there, unless it sends an attention.
pub struct Unheard<'a>(pub &'a mut dyn Reply);

impl Reply for Unheard<'_> {
    fn columns(&mut self, _: &[Column]) {}
    fn row(&mut self, _: &[Cell]) {}
    fn message(&mut self, _: ServerMessage) {}
    fn done(&mut self, _: Option<u64>) {}
    fn database(&mut self, _: &str, _: &str) {}
    fn transaction(&mut self, _: Turn) {}
    fn status(&mut self, _: i32) {}
    fn output(&mut self, _: &Parameter) {}
    fn flush(&mut self) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled() && !self.0.disconnected()
    }

    fn disconnected(&self) -> bool {
        false
    }

    fn wait(&mut self, time: Duration) -> bool {
        if self.0.disconnected() {
            std::thread::sleep(time);
        } else {
            self.0.wait(time);
        }
        self.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_batch_with_the_text_is_struck_once() {
        let planned = |text: &str, left| Break { text: text.into(), left, when: When::Answering };
        let mut breaks = vec![planned("restore log", 2), planned("kill", 1)];
        assert_eq!(strike(&mut breaks, "RESTORE LOG a"), None);
        assert_eq!(strike(&mut breaks, "RESTORE DATABASE a"), None);
        assert_eq!(strike(&mut breaks, "/* */ Restore Log b").map(|found| found.text), Some("restore log".into()));
        assert_eq!(strike(&mut breaks, "RESTORE LOG c"), None);
        assert_eq!(breaks, [planned("kill", 1)]);
    }

    #[test]
    fn the_command_is_that_of_the_statement_that_was_meant() {
        let batch = "ALTER DATABASE a SET SINGLE_USER; RESTORE DATABASE a WITH RECOVERY; ALTER DATABASE a SET MULTI_USER";
        assert_eq!(command(batch, "with recovery"), ("RESTORE DATABASE", true));
        assert_eq!(command(batch, "a with"), ("RESTORE DATABASE", true));
        assert_eq!(command(batch, "single_user; restore"), ("ALTER DATABASE", false));
        assert_eq!(command("IF 1 = 1 BEGIN RESTORE LOG a FROM DISK = 'x' WITH NORECOVERY END", "log"), ("RESTORE LOG", true));
        assert_eq!(command("EXEC msdb.dbo.sp_update_job @job_name = 'a'", "sp_update"), ("EXECUTE", false));
        assert_eq!(command("EXEC sp_who", "sp_who"), ("EXECUTE", false));
        assert_eq!(command("RESTORE HEADERONLY FROM DISK = 'x'", "header"), ("RESTORE HEADERON", false));
        assert_eq!(command("SELECT 1", "1"), ("SELECT", false));
    }
}
