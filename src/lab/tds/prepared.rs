//! What a procedure call means before a session sees it: `sp_executesql` and the statements that a client prepares
//! (`sp_prepare`, `sp_prepexec`, `sp_prepexecrpc`, `sp_execute`, `sp_unprepare`) become text with parameters, or a call by
//! name. The prepared statements of a connection live here; a session only ever gets a [`Request`].

use std::collections::HashMap;

use super::requests::{Call, Sent, error};
use super::{Cell, Column, Parameter, Request, ServerMessage, Type};
use crate::lab::values::{convert, parse_type};

/// What is to be done for a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    pub act: Act,
    /// what a record of the call shows: the T-SQL that it runs, else `EXEC name`
    pub text: String,
    /// the output parameters' names as RETURNVALUE must repeat them
    pub given: Vec<Given>,
    /// columns that the client has already and asked not to be sent again
    pub known: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Run(Request),
    /// the statement is compiled, its columns are told, and it is kept
    Prepare {
        statement: Statement,
        handle: Parameter,
    },
    /// the same, and then it is run, unless it cannot be compiled
    PrepareAndRun {
        statement: Statement,
        request: Request,
        handle: Parameter,
    },
    /// all is done
    Nothing,
    Refused(ServerMessage),
}

/// How a client named a parameter, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// as [`Parameter::name`] has it
    pub name: String,
    pub as_sent: String,
    pub ordinal: u16,
    /// it takes a value back
    pub output: bool,
}

/// A statement that is or will be kept under a handle.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Text { text: String, declarations: String },
    Procedure { name: String },
}

#[derive(Clone, Debug)]
struct Kept {
    statement: Statement,
    columns: Vec<Column>,
}

/// The prepared statements of one connection, by handle.
#[derive(Debug, Default)]
pub struct Prepared {
    kept: HashMap<i32, Kept>,
    last: i32,
}

/// More than a client keeps that ever unprepares one.
const MOST: usize = 10_000;

impl Prepared {
    /// Keeps a statement with the columns of its first result, none if it has none; its handle. Error 701 when there are
    /// too many.
    pub fn keep(&mut self, statement: Statement, columns: Vec<Column>) -> Result<i32, ServerMessage> {
        if self.kept.len() >= MOST {
            return Err(error(701, 17, 123, "There is insufficient system memory in resource pool 'default' to run this query."));
        }
        self.last = self.last.wrapping_add(1).max(1);
        self.kept.insert(self.last, Kept { statement, columns });
        Ok(self.last)
    }

    /// A connection that is reset has none.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// What a call means.
    pub fn resolve(&mut self, call: Call) -> Work {
        let name = plain_name(&call.name).to_ascii_lowercase();
        let shown = format!("EXEC {}", call.name);
        let sent = match call.sent {
            Ok(sent) => sent,
            Err(refusal) => return Work::of(Act::Refused(refusal), shown),
        };
        let work = match name.as_str() {
            "sp_executesql" => execute_sql(sent),
            "sp_prepare" => self.prepare(sent),
            "sp_prepexec" => self.prepare_and_run(sent, call.no_metadata),
            "sp_prepexecrpc" => prepare_call(sent),
            "sp_execute" => self.execute(sent, call.no_metadata),
            "sp_unprepare" => self.unprepare(&sent),
            _ => Ok(call_by_name(call.name, sent, 0)),
        };
        work.unwrap_or_else(|refusal| Work::of(Act::Refused(ServerMessage { procedure: name, ..refusal }), shown))
    }

    fn prepare(&mut self, mut sent: Vec<Sent>) -> Result<Work, ServerMessage> {
        // the fourth, options, asks for the columns and is 1 always
        sent.truncate(3);
        let (handle, text, declarations) = split_prepare(&sent)?;
        self.drop_old(&handle);
        let act = Act::Prepare { statement: Statement::Text { text, declarations }, handle };
        Ok(Work { given: given_handle(&sent), ..Work::of(act, "EXEC sp_prepare".to_owned()) })
    }

    fn prepare_and_run(&mut self, mut sent: Vec<Sent>, no_metadata: bool) -> Result<Work, ServerMessage> {
        let values = sent.split_off(sent.len().min(3));
        let (handle, text, declarations) = split_prepare(&sent)?;
        let old = self.drop_old(&handle);
        let mut work = run_text(&text, &declarations, values, 3);
        if no_metadata {
            work.known = old.map(|kept| kept.columns).unwrap_or_default();
        }
        if let Act::Run(request) = work.act {
            work.act = Act::PrepareAndRun { statement: Statement::Text { text, declarations }, request, handle };
            work.given.extend(given_handle(&sent));
        }
        Ok(work)
    }

    fn execute(&mut self, mut sent: Vec<Sent>, no_metadata: bool) -> Result<Work, ServerMessage> {
        let values = sent.split_off(sent.len().min(1));
        let handle = handle_of(&sent)?;
        let kept = self.kept.get(&handle).ok_or_else(|| no_statement(handle))?;
        let mut work = match &kept.statement {
            Statement::Text { text, declarations } => run_text(text, declarations, values, 1),
            Statement::Procedure { name } => call_by_name(name.clone(), values, 1),
        };
        if no_metadata {
            work.known.clone_from(&kept.columns);
        }
        Ok(work)
    }

    fn unprepare(&mut self, sent: &[Sent]) -> Result<Work, ServerMessage> {
        let handle = handle_of(sent)?;
        match self.kept.remove(&handle) {
            Some(_) => Ok(Work::of(Act::Nothing, "EXEC sp_unprepare".to_owned())),
            None => Err(no_statement(handle)),
        }
    }

    /// A handle that comes in where one is to go out belongs to the statement that this one replaces.
    fn drop_old(&mut self, handle: &Parameter) -> Option<Kept> {
        match handle.value {
            Cell::Int(old) => self.kept.remove(&old),
            _ => None,
        }
    }
}

impl Work {
    fn of(act: Act, text: String) -> Self {
        Self { act, text, given: Vec::new(), known: Vec::new() }
    }
}

impl Statement {
    /// Text and parameters, all NULL, with which the statement is compiled; a procedure is looked up when it is called.
    pub fn text(&self) -> Option<(&str, Vec<Parameter>)> {
        let Self::Text { text, declarations } = self else { return None };
        let parameters = declared(declarations).into_iter().filter_map(|(name, ty)| {
            let ty = parse_type(ty, 1)?;
            Some(Parameter { name, ty, value: Cell::Null, output: false })
        });
        Some((text, parameters.collect()))
    }
}

fn no_statement(handle: i32) -> ServerMessage {
    error(8179, 16, 2, &format!("Could not find prepared statement with handle {handle}."))
}

/// The handle that a call begins with.
fn handle_of(sent: &[Sent]) -> Result<i32, ServerMessage> {
    match sent.first().map(|one| &one.value) {
        Some(Cell::Int(handle)) => Ok(*handle),
        Some(Cell::SmallInt(handle)) => Ok((*handle).into()),
        Some(Cell::TinyInt(handle)) => Ok((*handle).into()),
        _ => Err(error(214, 16, 2, "Procedure expects parameter '@handle' of type 'int'.")),
    }
}

/// Handle (as a parameter that takes the new one back), text and declarations of `sp_prepare` and `sp_prepexec`.
fn split_prepare(sent: &[Sent]) -> Result<(Parameter, String, String), ServerMessage> {
    let [handle, declarations, text] = sent else {
        return Err(error(214, 16, 2, "Procedure expects parameter '@stmt' of type 'ntext/nchar/nvarchar'."));
    };
    let handle = Parameter { name: HANDLE.to_owned(), ty: Type::Int, value: handle.value.clone(), output: true };
    let declarations = match &declarations.value {
        Cell::Text(text) => text.clone(),
        Cell::Null => String::new(),
        _ => return Err(error(214, 16, 2, "Procedure expects parameter '@params' of type 'ntext/nchar/nvarchar'.")),
    };
    match &text.value {
        Cell::Text(text) => Ok((handle, text.clone(), declarations)),
        _ => Err(error(214, 16, 2, "Procedure expects parameter '@stmt' of type 'ntext/nchar/nvarchar'.")),
    }
}

/// A name that no declared parameter has: it begins without its `@`.
const HANDLE: &str = "handle";

/// Where the handle stood: first.
fn given_handle(sent: &[Sent]) -> Vec<Given> {
    let one = |one: &Sent| Given { name: HANDLE.to_owned(), as_sent: one.name.clone(), ordinal: 0, output: true };
    sent.iter().take(1).map(one).collect()
}

fn ordinal(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// `sp_prepexecrpc`: the procedure, called at once and kept under a handle.
fn prepare_call(mut sent: Vec<Sent>) -> Result<Work, ServerMessage> {
    let values = sent.split_off(sent.len().min(2));
    let [handle, name] = sent.as_slice() else {
        return Err(error(214, 16, 2, "Procedure expects parameter '@rpc' of type 'ntext/nchar/nvarchar'."));
    };
    let Cell::Text(name) = &name.value else {
        return Err(error(214, 16, 2, "Procedure expects parameter '@rpc' of type 'ntext/nchar/nvarchar'."));
    };
    let handle = Parameter { name: HANDLE.to_owned(), ty: Type::Int, value: handle.value.clone(), output: true };
    let mut work = call_by_name(name.clone(), values, 2);
    if let Act::Run(request) = work.act {
        work.act = Act::PrepareAndRun { statement: Statement::Procedure { name: name.clone() }, request, handle };
        work.given.extend(given_handle(&sent));
    }
    Ok(work)
}

/// A procedure with its parameters, the first of which stood at `first`.
fn call_by_name(name: String, sent: Vec<Sent>, first: usize) -> Work {
    let text = format!("EXEC {name}");
    let given = sent
        .iter()
        .enumerate()
        .map(|(i, one)| Given { name: with_at(&one.name), as_sent: one.name.clone(), ordinal: ordinal(i + first), output: one.output })
        .collect();
    let parameters = sent.into_iter().filter(|one| !one.default).map(|one| parameter(with_at(&one.name), one)).collect();
    Work { given, ..Work::of(Act::Run(Request::Procedure { name, parameters }), text) }
}

fn parameter(name: String, sent: Sent) -> Parameter {
    Parameter { name, ty: sent.ty, value: sent.value, output: sent.output }
}

fn with_at(name: &str) -> String {
    match name {
        "" => String::new(),
        name if name.starts_with('@') => name.to_owned(),
        name => format!("@{name}"),
    }
}

/// The last part of a procedure's name, without brackets: `[sys].sp_tables` is `sp_tables`.
fn plain_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name).trim_start_matches('[').trim_end_matches(']')
}

/// `sp_executesql`: the text, its declarations, then the values.
fn execute_sql(mut sent: Vec<Sent>) -> Result<Work, ServerMessage> {
    let values = sent.split_off(sent.len().min(2));
    let text_at = |at: usize| match sent.get(at).map(|one| &one.value) {
        Some(Cell::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let text = text_at(0).ok_or_else(|| error(214, 16, 2, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'."))?;
    Ok(run_text(&text, &text_at(1).unwrap_or_default(), values, 2))
}

/// A text with values for what it declares, by name or in the order of the declarations; the first value stood at `first`.
fn run_text(text: &str, declarations: &str, sent: Vec<Sent>, first: usize) -> Work {
    let declared = declared(declarations);
    let mut in_order = declared.iter().map(|(name, _)| name);
    let mut given = Vec::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut too_many = false;
    let mut unfit = None;
    for (i, one) in sent.into_iter().enumerate() {
        let name = match one.name.as_str() {
            "" => in_order.next().cloned(),
            name => Some(with_at(name)),
        };
        let Some((_, ty)) = name.as_ref().and_then(|name| declared.iter().find(|(d, _)| d.eq_ignore_ascii_case(name))) else {
            too_many = true;
            continue;
        };
        let name = name.unwrap_or_default();
        given.push(Given { name: name.clone(), as_sent: one.name.clone(), ordinal: ordinal(i + first), output: one.output });
        let mut one = parameter(name, one);
        // a declared type decides, whatever type the value came in
        if let Some(ty) = parse_type(ty, 1) {
            match convert(&one.value, one.ty, ty, 0) {
                Ok(value) => (one.value, one.ty) = (value, ty),
                Err(message) => unfit = unfit.or(Some(*message)),
            }
        }
        parameters.push(one);
    }
    let missing = declared.iter().map(|(name, _)| name).find(|d| !parameters.iter().any(|p| p.name.eq_ignore_ascii_case(d)));
    let act = match (missing, unfit) {
        _ if too_many => Act::Refused(error(8144, 16, 2, "Procedure or function  has too many arguments specified.")),
        (Some(name), _) => Act::Refused(error(
            8178,
            16,
            1,
            &format!("The parameterized query '({declarations}){text}' expects the parameter '{name}', which was not supplied."),
        )),
        (None, Some(message)) => Act::Refused(message),
        (None, None) => Act::Run(Request::Batch { text: text.to_owned(), parameters }),
    };
    Work { given, ..Work::of(act, text.to_owned()) }
}

/// Names and types in `@a int, @b AS numeric(25,0) OUTPUT`.
fn declared(declarations: &str) -> Vec<(String, &str)> {
    let mut depth = 0u32;
    declarations
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .filter_map(|one| one.trim().split_once(char::is_whitespace))
        .filter(|(name, _)| name.starts_with('@'))
        .map(|(name, ty)| {
            let ty = [" OUTPUT", " OUT", " READONLY"].iter().fold(ty.trim(), |ty, word| {
                let at = ty.len().saturating_sub(word.len());
                if ty.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(word)) { ty[..at].trim_end() } else { ty }
            });
            let ty = if ty.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("AS ")) { ty[3..].trim_start() } else { ty };
            (name.to_owned(), ty)
        })
        .collect()
}
