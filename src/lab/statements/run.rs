//! Runs a batch: control of flow, variables, queries, and the few statements that need no file of their own.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use sqlparser::ast::{Expr, Query, Statement as Parsed};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::{Parser, ParserError};

use super::functions::Context;
use super::query::{self, Rendered, Seat};
use super::{Connection, Failure, Variables, admin, backup, restore};
use crate::lab::catalog;
use crate::lab::instance::{Access, Database, DatabaseState, Instance, State, lock, same};
use crate::lab::messages::{self, Raised, message};
use crate::lab::procedures;
use crate::lab::tds::{Cell, Column, Reply, ServerMessage, Turn, Type};
use crate::lab::values::{convert, parse_type};
use crate::tsql::lex::significant;
use crate::tsql::statement::{SyntaxError, parse};
use crate::tsql::syntax::{Declaration, Expression, SetOption, Statement, StatementKind, Value, ValueKind};

/// What follows a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Next,
    Break,
    Continue,
    /// RETURN, or an error that ends the batch
    End,
}

/// Errors that end the whole batch, not only their statement: what the server finds when it compiles, and conversions.
const ENDS_BATCH: [i32; 21] = [102, 105, 107, 113, 116, 134, 137, 155, 156, 195, 205, 207, 208, 209, 241, 245, 596, 4104, 4121, 4145, 8623];

/// The reading of a batch's queries and conditions, by where they begin.
#[derive(Default)]
struct Prepared {
    queries: HashMap<usize, Box<Query>>,
    expressions: HashMap<usize, Box<Expr>>,
}

pub struct Runner<'a> {
    pub connection: &'a mut Connection,
    pub reply: &'a mut dyn Reply,
    pub variables: Variables,
    text: String,
    prepared: Prepared,
    /// the procedure at work, for its messages
    pub procedure: String,
    line: u32,
    caught: Option<ServerMessage>,
    /// inside TRY: errors are kept for CATCH
    trying: bool,
    count_rows: bool,
}

/// Whether a session may make this its database. Errors 924, 927, 922, 954 and their kin.
pub fn can_enter(state: &State, database: &Database, session: u16, instance: &Instance) -> Result<(), Raised> {
    match database.state {
        DatabaseState::Restoring if database.mirroring.as_ref().is_some_and(|mirroring| !mirroring.principal) => {
            Err(messages::is_mirror(&database.name))
        }
        DatabaseState::Restoring => Err(messages::restoring(&database.name)),
        DatabaseState::Recovering => Err(messages::recovering(&database.name)),
        DatabaseState::RecoveryPending => Err(messages::files_missing(&database.name)),
        DatabaseState::Offline => Err(messages::offline(&database.name)),
        // its files are in the hands of a RESTORE
        DatabaseState::Online if database.busy.is_some_and(|busy| busy != session) => Err(messages::restoring(&database.name)),
        DatabaseState::Online if database.access == Access::Single && !state.users_of(&database.name, session).is_empty() => {
            Err(messages::single_user(&database.name))
        }
        DatabaseState::Online if !instance.rights.enters(&database.name) => {
            Err(messages::no_access(&instance.credentials.user, &database.name))
        }
        DatabaseState::Online => Ok(()),
    }
}

impl<'a> Runner<'a> {
    pub fn new(connection: &'a mut Connection, reply: &'a mut dyn Reply, variables: Variables) -> Self {
        Self {
            connection,
            reply,
            variables,
            text: String::new(),
            prepared: Prepared::default(),
            procedure: String::new(),
            line: 1,
            caught: None,
            trying: false,
            count_rows: true,
        }
    }

    /// Reads and runs a batch to its end.
    pub fn batch(&mut self, text: &str) {
        if let Err(failure) = self.nested(text) {
            self.fail(failure);
        }
    }

    /// The same for a text inside another: EXEC ('...'), sp_executesql. Only what keeps it from running at all is returned.
    pub fn nested(&mut self, text: &str) -> Result<Flow, Failure> {
        let batch = parse(text).map_err(|error| self.syntax(text, &error))?;
        let text = std::mem::replace(&mut self.text, text.to_owned());
        let prepared = std::mem::take(&mut self.prepared);
        let flow = match self.prepare(&batch.statements) {
            Ok(()) => self.all(&batch.statements),
            Err((range, raised)) => {
                self.line = self.line_of(&range);
                Err(Failure::from(raised))
            }
        };
        self.text = text;
        self.prepared = prepared;
        flow
    }

    /// Compiles a batch without running it: the columns of its first result, none if it has none. `None` if it cannot be
    /// compiled; why was said.
    pub fn describe(&mut self, text: &str) -> Option<Vec<Column>> {
        match self.compiled(text) {
            Ok(columns) => Some(columns),
            Err(failure) => {
                failure.0.into_iter().for_each(|message| self.say(message));
                None
            }
        }
    }

    /// The parameters that a text uses and nobody declares, with the types that they seem to have.
    pub fn undeclared(&mut self, text: &str, variables: Variables) -> Result<Vec<(String, Type)>, Failure> {
        let mut inner = Runner::new(self.connection, self.reply, variables);
        let statements = inner.read(text)?;
        let mut found = Vec::new();
        for statement in &statements {
            if let Some(query) = inner.prepared.queries.get(&statement.range.start) {
                found.extend(query::undeclared(query, &inner.seat())?);
            }
        }
        Ok(found)
    }

    /// Reads a text and the queries in it.
    fn read(&mut self, text: &str) -> Result<Vec<Statement>, Failure> {
        let batch = parse(text).map_err(|error| self.syntax(text, &error))?;
        text.clone_into(&mut self.text);
        self.prepare(&batch.statements).map_err(|(range, raised)| {
            self.line = self.line_of(&range);
            Failure::from(raised)
        })?;
        Ok(batch.statements)
    }

    fn compiled(&mut self, text: &str) -> Result<Vec<Column>, Failure> {
        for statement in &self.read(text)? {
            self.line = self.line_of(&statement.range);
            if let StatementKind::Declare(list) = &statement.kind {
                for declaration in list {
                    self.declare(declaration)?;
                }
            } else if let Some(query) = self.prepared.queries.get(&statement.range.start) {
                let rendered = query::render(query, &self.seat())?;
                if rendered.assigned.is_empty() {
                    return Ok(rendered.columns);
                }
            }
        }
        Ok(Vec::new())
    }

    fn syntax(&mut self, text: &str, error: &SyntaxError) -> Failure {
        let range = error.range();
        self.line = line_in(text, range.start);
        let raised = match error {
            SyntaxError::Near { near, .. } if is_keyword(near) => messages::keyword_syntax(near),
            SyntaxError::Near { near, .. } => messages::incorrect_syntax(near),
            SyntaxError::UnknownOption { option, statement, .. } => messages::unknown_option(option, statement),
            SyntaxError::Unclosed { .. } => messages::unclosed_quote(text.get(range.start + 1..).unwrap_or_default()),
            SyntaxError::UnclosedComment { .. } => messages::missing_end_comment(),
            SyntaxError::TooDeep { .. } => messages::too_deep(),
        };
        raised.into()
    }

    fn line_of(&self, range: &Range<usize>) -> u32 {
        line_in(&self.text, range.start)
    }

    // ---- reading queries before anything runs ----

    fn prepare(&mut self, statements: &[Statement]) -> Result<(), (Range<usize>, Raised)> {
        for statement in statements {
            match &statement.kind {
                StatementKind::Other { keyword } if matches!(keyword.as_str(), "SELECT" | "WITH" | "(") => {
                    let query = parse_query(&self.text[statement.range.clone()]).map_err(|raised| (statement.range.clone(), raised))?;
                    self.prepared.queries.insert(statement.range.start, query);
                }
                StatementKind::SetVariable { name, value } => {
                    let operator = self.text[name.range.end..value.range.start].trim();
                    // `@x += 1` means `@x + (1)`
                    let text = match operator.strip_suffix('=') {
                        Some("") | None => self.text[value.range.clone()].to_owned(),
                        Some(operator) => format!("{} {operator} ({})", name.text, &self.text[value.range.clone()]),
                    };
                    let expr = parse_expression(&text).map_err(|raised| (value.range.clone(), raised))?;
                    self.prepared.expressions.insert(value.range.start, expr);
                }
                StatementKind::Print(value) => self.prepare_expression(value)?,
                StatementKind::Declare(list) => {
                    for value in list.iter().filter_map(|declaration| declaration.value.as_ref()) {
                        self.prepare_expression(value)?;
                    }
                }
                StatementKind::If { condition, then, otherwise } => {
                    self.prepare_expression(condition)?;
                    self.prepare(std::slice::from_ref(then))?;
                    if let Some(otherwise) = otherwise {
                        self.prepare(std::slice::from_ref(otherwise))?;
                    }
                }
                StatementKind::While { condition, body } => {
                    self.prepare_expression(condition)?;
                    self.prepare(std::slice::from_ref(body))?;
                }
                StatementKind::Block(body) => self.prepare(body)?,
                StatementKind::Try { body, catch } => {
                    self.prepare(body)?;
                    self.prepare(catch)?;
                }
                StatementKind::Raiserror(raiserror) => {
                    for argument in &raiserror.arguments {
                        self.prepare_expression(argument)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn prepare_expression(&mut self, expression: &Expression) -> Result<(), (Range<usize>, Raised)> {
        let range = expression.range.clone();
        let expr = parse_expression(&self.text[range.clone()]).map_err(|raised| (range.clone(), raised))?;
        self.prepared.expressions.insert(range.start, expr);
        Ok(())
    }

    // ---- statements ----

    fn all(&mut self, statements: &[Statement]) -> Result<Flow, Failure> {
        for statement in statements {
            let flow = self.one(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
            // an attention, or the client is gone: what runs goes on to its end, what follows is not begun
            if self.reply.cancelled() {
                return Ok(Flow::End);
            }
        }
        Ok(Flow::Next)
    }

    fn one(&mut self, statement: &Statement) -> Result<Flow, Failure> {
        self.line = self.line_of(&statement.range);
        match self.run(statement) {
            Ok(flow) => {
                if !matches!(
                    statement.kind,
                    StatementKind::If { .. } | StatementKind::Block(_) | StatementKind::Try { .. } | StatementKind::While { .. }
                ) {
                    self.connection.error = 0;
                }
                Ok(flow)
            }
            Err(failure) if self.trying => Err(failure),
            Err(failure) => {
                let ends = failure.0.iter().any(|message| ENDS_BATCH.contains(&message.number) || message.severity >= 19);
                self.fail(failure);
                Ok(if ends { Flow::End } else { Flow::Next })
            }
        }
    }

    /// Sends a failure's messages and the DONE of its statement.
    pub fn fail(&mut self, failure: Failure) {
        for message in failure.0 {
            if message.severity > 10 {
                self.connection.error = message.number;
            }
            self.say(message);
        }
        self.reply.done(None);
    }

    /// Sends a message, with procedure and line filled in.
    pub fn say(&mut self, mut message: ServerMessage) {
        if message.procedure.is_empty() {
            message.procedure.clone_from(&self.procedure);
        }
        message.line = self.line;
        self.reply.message(message);
    }

    fn run(&mut self, statement: &Statement) -> Result<Flow, Failure> {
        match &statement.kind {
            StatementKind::Restore(restore) => {
                restore::run(self, restore)?;
            }
            StatementKind::Backup(backup) => backup::run(self, backup)?,
            StatementKind::Kill(kill) => admin::kill(self, kill)?,
            StatementKind::AlterDatabase(alter) => admin::alter_database(self, alter)?,
            StatementKind::DropDatabase(drop) => admin::drop_database(self, drop)?,
            StatementKind::Use(name) => {
                let name = self.name(name)?;
                self.use_database(&name)?;
                self.reply.done(None);
            }
            StatementKind::Exec(exec) => {
                self.command("EXECUTE");
                return procedures::exec(self, exec);
            }
            StatementKind::SetOption(option) => self.set_option(option)?,
            StatementKind::SetVariable { name, value } => {
                let ty = self.variables.get(&name.text)?.ty;
                let cell = self.evaluate(value, Some(ty))?.0;
                self.variables.assign(&name.text, &cell, ty)?;
            }
            StatementKind::Declare(list) => {
                for declaration in list {
                    let ty = self.declare(declaration)?;
                    if let Some(value) = &declaration.value {
                        let cell = self.evaluate(value, Some(ty))?.0;
                        self.variables.assign(&declaration.name.text, &cell, ty)?;
                    }
                }
            }
            StatementKind::If { condition, then, otherwise } => {
                if self.holds(condition)? {
                    return self.one(then);
                }
                if let Some(otherwise) = otherwise {
                    return self.one(otherwise);
                }
            }
            StatementKind::While { condition, body } => loop {
                if self.reply.cancelled() || !self.holds(condition)? {
                    break;
                }
                match self.one(body)? {
                    Flow::Next | Flow::Continue => {}
                    Flow::Break => break,
                    Flow::End => return Ok(Flow::End),
                }
            },
            StatementKind::Block(body) => return self.all(body),
            StatementKind::Try { body, catch } => return self.try_catch(body, catch),
            StatementKind::Print(value) => {
                let (cell, ty) = self.evaluate(value, None)?;
                let Cell::Text(text) = convert(&cell, ty, Type::NVarChar(Some(4000)), 0)? else { return Ok(Flow::Next) };
                self.say(*message(0, 0, 1, text));
                // it is a result of its own to a client
                self.reply.done(None);
            }
            StatementKind::WaitDelay(value) => self.wait(value)?,
            StatementKind::WaitTime(_) => return Err(messages::keyword_syntax("TIME").into()),
            StatementKind::BeginTransaction => {
                self.connection.transactions += 1;
                if self.connection.transactions == 1 {
                    self.reply.transaction(Turn::Began);
                }
                self.reply.done(None);
            }
            StatementKind::Commit if self.connection.transactions > 0 => {
                self.connection.transactions -= 1;
                if self.connection.transactions == 0 {
                    self.reply.transaction(Turn::Committed);
                }
                self.reply.done(None);
            }
            StatementKind::Commit => {
                return Err(messages::no_begin_commit().into());
            }
            StatementKind::Rollback if self.connection.transactions > 0 => {
                self.connection.transactions = 0;
                self.reply.transaction(Turn::RolledBack);
                self.reply.done(None);
            }
            StatementKind::Rollback => {
                return Err(messages::no_begin_rollback().into());
            }
            StatementKind::Raiserror(raiserror) => self.raiserror(&raiserror.arguments)?,
            StatementKind::Jump(word) => {
                return Ok(match *word {
                    "BREAK" => Flow::Break,
                    "CONTINUE" => Flow::Continue,
                    _ => Flow::End,
                });
            }
            StatementKind::Other { keyword } if keyword == "THROW" && self.connection.instance.version.0 >= 11 => {
                let failure = self.throw(&statement.range)?;
                if self.trying {
                    return Err(failure);
                }
                self.fail(failure);
                return Ok(Flow::End);
            }
            StatementKind::Other { keyword } if self.prepared.queries.contains_key(&statement.range.start) => {
                let _ = keyword;
                self.select(statement.range.start)?;
            }
            StatementKind::Other { keyword } => return Err(self.refuse(keyword, &statement.range).into()),
        }
        Ok(Flow::Next)
    }

    /// THROW: what is thrown, the error at hand or one of the caller's own.
    fn throw(&mut self, range: &Range<usize>) -> Result<Failure, Failure> {
        let rest = self.text[range.clone()].get("THROW".len()..).unwrap_or_default().trim().to_owned();
        if rest.is_empty() {
            let caught = self.caught.clone().ok_or_else(messages::throw_outside_catch)?;
            return Ok(Failure(vec![caught]));
        }
        let query = parse_query(&format!("SELECT {rest}"))?;
        let rendered = query::render(&query, &self.seat())?;
        let row = self.answer(&rendered)?.into_iter().next().unwrap_or_default();
        let [Cell::Int(number), Cell::Text(text), Cell::Int(state)] = row.as_slice() else {
            return Err(messages::incorrect_syntax("THROW").into());
        };
        if *number < 50_000 {
            return Err(messages::throw_number(*number).into());
        }
        Ok(message(*number, 16, u8::try_from(*state).unwrap_or(1), text.as_str()).into())
    }

    /// DECLAREs a variable, still NULL; its type.
    fn declare(&mut self, declaration: &Declaration) -> Result<Type, Raised> {
        let name = &self.text[declaration.ty.range.clone()];
        let ty = parse_type(name, 1).ok_or_else(|| messages::no_data_type(&declaration.name.text, name))?;
        self.variables.declare(&declaration.name.text, ty, Cell::Null)?;
        Ok(ty)
    }

    /// The server's error for a statement that the lab does not carry out.
    fn refuse(&self, keyword: &str, range: &Range<usize>) -> Raised {
        let words: Vec<&str> = self.text[range.clone()].split_whitespace().collect();
        match keyword {
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" => {
                let skip = ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "INTO", "FROM", "TABLE", "TOP"];
                let target = words.iter().find(|word| !skip.iter().any(|known| word.eq_ignore_ascii_case(known)));
                let target = target.map_or("", |word| word.split('(').next().unwrap_or(word)).replace(['[', ']'], "");
                let parts: Vec<String> = target.split('.').map(str::to_owned).collect();
                match catalog::find(&parts, &self.connection.database) {
                    None => messages::invalid_object(&target),
                    Some(table) => {
                        let (database, schema, object) = table.parts();
                        messages::not_granted(keyword, object, database, schema)
                    }
                }
            }
            "CREATE" | "ALTER" | "DROP" | "GRANT" | "DENY" | "REVOKE" => {
                let what = words.get(1).copied().unwrap_or_default().to_uppercase();
                messages::denied(&format!("{keyword} {what}"), &self.connection.database)
            }
            "THROW" => messages::incorrect_syntax(keyword),
            other => messages::keyword_syntax(other),
        }
    }

    fn try_catch(&mut self, body: &[Statement], catch: &[Statement]) -> Result<Flow, Failure> {
        let outer = std::mem::replace(&mut self.trying, true);
        let result = self.all(body);
        self.trying = outer;
        let failure = match result {
            Ok(flow) => return Ok(flow),
            Err(failure) => failure,
        };
        let worst = failure.0.last().cloned();
        if worst.as_ref().is_some_and(|message| message.severity >= 20) {
            return Err(failure);
        }
        let before = std::mem::replace(
            &mut self.caught,
            worst.map(|mut message| {
                message.line = self.line;
                message.procedure.clone_from(&self.procedure);
                message
            }),
        );
        let result = self.all(catch);
        self.caught = before;
        result
    }

    fn set_option(&mut self, option: &SetOption) -> Result<(), Raised> {
        const KNOWN: [&str; 28] = [
            "ANSI_DEFAULTS",
            "ANSI_NULLS",
            "ANSI_NULL_DFLT_OFF",
            "ANSI_NULL_DFLT_ON",
            "ANSI_PADDING",
            "ANSI_WARNINGS",
            "ARITHABORT",
            "ARITHIGNORE",
            "CONCAT_NULL_YIELDS_NULL",
            "CURSOR_CLOSE_ON_COMMIT",
            "DATEFIRST",
            "DATEFORMAT",
            "DEADLOCK_PRIORITY",
            "FMTONLY",
            "IMPLICIT_TRANSACTIONS",
            "LANGUAGE",
            "LOCK_TIMEOUT",
            "NOCOUNT",
            "NOEXEC",
            "NUMERIC_ROUNDABORT",
            "PARSEONLY",
            "QUERY_GOVERNOR_COST_LIMIT",
            "QUOTED_IDENTIFIER",
            "REMOTE_PROC_TRANSACTIONS",
            "ROWCOUNT",
            "TEXTSIZE",
            "TRANSACTION ISOLATION LEVEL",
            "XACT_ABORT",
        ];
        for name in option.name.split(',').map(str::trim) {
            let value = option.value.trim();
            // what would change the meaning of all that follows is refused, not ignored
            let harmless = match name {
                "FMTONLY" | "NOEXEC" | "PARSEONLY" => value == "OFF",
                "ROWCOUNT" => value == "0",
                _ => name.starts_with("STATISTICS ") || KNOWN.contains(&name),
            };
            if !harmless {
                return Err(messages::not_a_set_option(name));
            }
            match name {
                "NOCOUNT" => self.count_rows = value != "ON",
                "LANGUAGE" => self.say(*messages::language_changed()),
                _ => {}
            }
        }
        Ok(())
    }

    /// USE: INFO 5701, or why the database cannot be entered.
    pub fn use_database(&mut self, name: &str) -> Result<(), Raised> {
        let id = self.connection.id;
        let found = {
            let state = self.connection.instance.lock();
            let database = state.database(name).ok_or_else(|| messages::no_database(name))?;
            can_enter(&state, database, id, &self.connection.instance)?;
            database.name.clone()
        };
        let old = self.connection.database.clone();
        self.connection.set_database(&found);
        self.reply.database(&old, &found);
        self.say(*messages::context_changed(&found));
        Ok(())
    }

    fn wait(&mut self, value: &Value) -> Result<(), Failure> {
        let text = match self.value(value)? {
            Cell::Text(text) => text,
            Cell::DateTime(at) => at.strftime("%H:%M:%S.%3f").to_string(),
            _ => String::new(),
        };
        let time = delay(&text).ok_or_else(|| messages::wait_time(&text))?;
        self.command("WAITFOR");
        self.reply.flush();
        self.pause(time);
        self.reply.done(None);
        Ok(())
    }

    /// Sleeps; false once the statement must end early: an attention or a KILL, but not a cut connection.
    pub fn pause(&mut self, time: Duration) -> bool {
        let until = std::time::Instant::now() + time;
        loop {
            if self.killed() || (self.reply.cancelled() && !self.reply.disconnected()) {
                return false;
            }
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return true;
            }
            let step = left.min(Duration::from_millis(50));
            if self.reply.disconnected() {
                // nobody waits for the answer, but the statement goes on
                std::thread::sleep(step);
            } else {
                self.reply.wait(step);
            }
        }
    }

    /// True once another session has killed this one.
    pub fn killed(&self) -> bool {
        let state = self.connection.instance.lock();
        state.sessions.get(&self.connection.id).is_none_or(|row| row.killed || row.serial != self.connection.serial)
    }

    /// What `sys.dm_exec_requests` shows as the command.
    pub fn command(&mut self, command: &'static str) {
        self.connection.command(command);
    }

    fn raiserror(&mut self, arguments: &[Expression]) -> Result<(), Failure> {
        let mut cells = Vec::new();
        for argument in arguments {
            cells.push(self.evaluate(argument, None)?);
        }
        let number = |at: usize| match cells.get(at).map(|(cell, _)| cell) {
            Some(Cell::Int(n)) => *n,
            _ => 0,
        };
        let (severity, state) = (number(1), number(2).clamp(0, 255));
        if severity > 18 {
            return Err(messages::raiserror_severity().into());
        }
        let text = match cells.first().map(|(cell, _)| cell) {
            Some(Cell::Text(text)) => format_message(text, cells.get(3..).unwrap_or_default()),
            Some(Cell::Int(number)) if *number >= 50000 => return Err(messages::raiserror_unknown(*number, severity, state).into()),
            _ => return Err(messages::raiserror_number().into()),
        };
        let number = 50000;
        let raised = message(number, u8::try_from(severity.max(0)).unwrap_or(16), u8::try_from(state).unwrap_or(1), text);
        if severity > 10 {
            return Err(raised.into());
        }
        self.say(*raised);
        self.reply.done(None);
        Ok(())
    }

    // ---- queries and values ----

    fn select(&mut self, at: usize) -> Result<(), Failure> {
        let Some(query) = self.prepared.queries.get(&at) else { return Ok(()) };
        let rendered = query::render(query, &self.seat())?;
        let rows = self.answer(&rendered)?;
        let count = rows.len() as u64;
        self.connection.rows = rows.len() as i64;
        if rendered.assigned.is_empty() {
            self.reply.columns(&rendered.columns);
            for row in &rows {
                self.reply.row(row);
            }
        } else if let Some(row) = rows.last() {
            // the last row wins, as in the server
            for ((name, cell), column) in rendered.assigned.iter().zip(row).zip(&rendered.columns) {
                self.variables.assign(name, cell, column.ty)?;
            }
        }
        self.reply.done(self.count_rows.then_some(count));
        Ok(())
    }

    fn seat(&self) -> Seat<'_> {
        let Connection { instance, database, .. } = &*self.connection;
        Seat { database, variables: &self.variables, version: instance.version, rights: instance.rights }
    }

    /// Brings the named tables up to date and runs a rendered query.
    pub fn answer(&mut self, rendered: &Rendered) -> Result<catalog::Answer, Failure> {
        let connection = &*self.connection;
        let instance = &connection.instance;
        if !instance.rights.is_sysadmin() && rendered.tables.iter().any(|table| catalog::shows_the_server(table)) {
            return Err(Failure::wrapped(messages::no_server_state(), messages::no_right()));
        }
        let mut catalog = lock(&instance.catalog);
        let context = {
            let mut state = instance.lock();
            let now = instance.world.local();
            for job in &mut state.jobs {
                job.settle(now);
            }
            catalog.refresh(&rendered.tables, instance, &state, connection.id)?;
            Context {
                session: connection.id,
                database: connection.database.clone(),
                login: connection.login.user.clone(),
                host: connection.login.host.clone(),
                program: connection.login.program.clone(),
                server: instance.server.clone(),
                machine: instance.machine.clone(),
                instance: instance.instance.clone(),
                version: instance.version,
                local: now,
                utc: instance.world.utc(),
                offset_minutes: instance.world.offset_minutes,
                transactions: connection.transactions,
                error: connection.error,
                rows: connection.rows,
                caught: self.caught.clone(),
                databases: state.databases.iter().map(|database| (database.name.clone(), database.id, database.is_open())).collect(),
                locks: state.locks.clone(),
                rights: instance.rights,
            }
        };
        Ok(catalog.run(rendered, context)?)
    }

    fn holds(&mut self, condition: &Expression) -> Result<bool, Failure> {
        let Some(expr) = self.prepared.expressions.get(&condition.range.start) else { return Ok(false) };
        let rendered = query::render_condition(expr, &self.seat())?;
        let rows = self.answer(&rendered)?;
        Ok(rows.first().and_then(|row| row.first()) == Some(&Cell::Bit(true)))
    }

    fn evaluate(&mut self, expression: &Expression, target: Option<Type>) -> Result<(Cell, Type), Failure> {
        let Some(expr) = self.prepared.expressions.get(&expression.range.start) else { return Ok((Cell::Null, Type::Int)) };
        let rendered = query::render_expression(expr, target, &self.seat())?;
        let ty = rendered.columns.first().map_or(Type::Int, |column| column.ty);
        let rows = self.answer(&rendered)?;
        Ok((rows.into_iter().flatten().next().unwrap_or(Cell::Null), ty))
    }

    /// The text of EXEC ('...'): an expression of literals and variables.
    pub fn evaluate_text(&mut self, expression: &Expression) -> Result<String, Failure> {
        let expr = parse_expression(&self.text[expression.range.clone()])?;
        let target = Type::NVarChar(None);
        let rendered = query::render_expression(&expr, Some(target), &self.seat())?;
        match self.answer(&rendered)?.into_iter().flatten().next() {
            Some(Cell::Text(text)) => Ok(text),
            _ => Ok(String::new()),
        }
    }

    /// A literal or a variable where the grammar takes either.
    pub fn value(&self, value: &Value) -> Result<Cell, Raised> {
        self.typed_value(value).map(|(cell, _)| cell)
    }

    pub fn typed_value(&self, value: &Value) -> Result<(Cell, Type), Raised> {
        let text = |text: &str| {
            let length = u16::try_from(text.encode_utf16().count().max(1)).ok().filter(|length| *length <= 4000);
            (Cell::Text(text.to_owned()), Type::NVarChar(length))
        };
        Ok(match &value.kind {
            ValueKind::Text(found) | ValueKind::Word(found) => text(found),
            ValueKind::Number(digits) => match digits.parse::<i32>() {
                Ok(n) => (Cell::Int(n), Type::Int),
                Err(_) => text(digits),
            },
            ValueKind::Binary(digits) => {
                let bytes = crate::lab::values::unhex(&digits[2..]).unwrap_or_default();
                (Cell::Binary(bytes), Type::VarBinary(None))
            }
            ValueKind::Variable(name) => {
                let variable = self.variables.get(name)?;
                (variable.value.clone(), variable.ty)
            }
            ValueKind::Global(name) => match name.to_ascii_uppercase().as_str() {
                "@@SPID" => (Cell::Int(i32::from(self.connection.id)), Type::Int),
                "@@SERVERNAME" => text(&self.connection.instance.server),
                _ => return Err(messages::incorrect_syntax(name)),
            },
            ValueKind::Placeholder(name) => return Err(messages::incorrect_syntax(&format!("{{{name}}}"))),
            ValueKind::Null | ValueKind::Default => (Cell::Null, Type::Int),
        })
    }

    /// A name or path: text, or a variable that holds text.
    pub fn name(&self, value: &Value) -> Result<String, Raised> {
        match self.typed_value(value)? {
            (Cell::Text(text), _) => Ok(text),
            (cell, ty) => match convert(&cell, ty, Type::NVarChar(Some(4000)), 0)? {
                Cell::Text(text) => Ok(text),
                _ => Ok(String::new()),
            },
        }
    }

    /// A result set of our own making.
    pub fn rows(&mut self, columns: &[Column], rows: &[Vec<Cell>]) {
        self.reply.columns(columns);
        for row in rows {
            self.reply.row(row);
        }
        self.connection.rows = rows.len() as i64;
        self.reply.done(self.count_rows.then_some(rows.len() as u64));
    }

    /// True if a name is that of the session's own database.
    pub fn is_current(&self, name: &str) -> bool {
        same(&self.connection.database, name)
    }
}

fn line_in(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    u32::try_from(before + 1).unwrap_or(u32::MAX)
}

/// Words that the server names as keywords (156) where others are only "near" (102).
fn is_keyword(word: &str) -> bool {
    const WORDS: [&str; 24] = [
        "AND", "AS", "BACKUP", "BEGIN", "BY", "CASE", "DATABASE", "ELSE", "END", "EXEC", "FROM", "GROUP", "IF", "IN", "INTO", "JOIN",
        "KILL", "ON", "OR", "ORDER", "RESTORE", "SELECT", "WHERE", "WITH",
    ];
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn parse_query(text: &str) -> Result<Box<Query>, Raised> {
    let text = without_hints(text);
    let statements = Parser::parse_sql(&MsSqlDialect {}, text).map_err(|error| near(&error))?;
    match statements.into_iter().next() {
        Some(Parsed::Query(query)) => Ok(query),
        _ => Err(messages::incorrect_syntax(text.split_whitespace().next().unwrap_or_default())),
    }
}

/// Cuts off `OPTION (...)`: hints to the optimiser, of which there is none here.
fn without_hints(text: &str) -> &str {
    let mut depth = 0usize;
    for token in significant(text) {
        match token.text(text) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 && token.is_word(text, "OPTION") => return &text[..token.start],
            _ => {}
        }
    }
    text
}

fn parse_expression(text: &str) -> Result<Box<Expr>, Raised> {
    let dialect = MsSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(|error| near(&error))?;
    let expr = parser.parse_expr().map_err(|error| near(&error))?;
    let next = parser.peek_token().token;
    match next {
        sqlparser::tokenizer::Token::EOF | sqlparser::tokenizer::Token::SemiColon => Ok(Box::new(expr)),
        other => Err(messages::incorrect_syntax(&other.to_string())),
    }
}

/// Turns the parser's "Expected: x, found: y at Line: 1, Column: 2" into the server's "near 'y'".
fn near(error: &ParserError) -> Raised {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "",
    };
    let found = text.split("found: ").nth(1).and_then(|rest| rest.split(" at Line").next()).unwrap_or_default();
    if is_keyword(found) { messages::keyword_syntax(found) } else { messages::incorrect_syntax(found) }
}

/// `hh:mm[:ss[.mmm]]`, below 24 hours.
fn delay(text: &str) -> Option<Duration> {
    let mut parts = text.trim().split(':');
    let hours: u64 = parts.next()?.parse().ok().filter(|hours| *hours < 24)?;
    let minutes: u64 = parts.next()?.parse().ok().filter(|minutes| *minutes < 60)?;
    let seconds: f64 = parts.next().unwrap_or("0").parse().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    parts.next().is_none().then(|| Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds))
}

/// RAISERROR's substitution of %s, %d, %i, %u and %%.
fn format_message(text: &str, arguments: &[(Cell, Type)]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('s' | 'd' | 'i' | 'u') => match arguments.next().map(|(cell, ty)| convert(cell, *ty, Type::NVarChar(None), 0)) {
                Some(Ok(Cell::Text(text))) => out.push_str(&text),
                _ => out.push_str("(null)"),
            },
            other => {
                out.push('%');
                out.extend(other);
            }
        }
    }
    out
}
