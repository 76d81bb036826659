//! The system procedures that recovery work calls: by name, with arguments by position or by `@name`. Here they are found
//! and their arguments bound; what they do is in the files beside.

mod jobs;
mod locks;
mod log_shipping;
mod log_shipping_primary;
mod metadata;
mod paths;
mod sessions;

use crate::lab::instance::same;
use crate::lab::messages::{self, Raised};
use crate::lab::statements::run::{Flow, Runner};
use crate::lab::statements::{Failure, Variable, Variables};
use crate::lab::tds::{Cell, Parameter, Type};
use crate::lab::values::{convert, parse_type};
use crate::tsql::syntax::{Exec, ExecTarget, Value};

pub use locks::compatible;

/// One procedure: where it lives, what it takes, what it does.
pub struct Procedure {
    pub name: &'static str,
    /// `master` (found from every database) or `msdb`
    home: &'static str,
    /// `@name type`, comma-separated; `!` after the type: it must be given; `out`: it gives a value back
    parameters: &'static str,
    run: fn(&mut Runner<'_>, &mut Arguments) -> Result<i32, Failure>,
}

fn all() -> impl Iterator<Item = &'static Procedure> {
    sessions::PROCEDURES
        .iter()
        .chain(locks::PROCEDURES)
        .chain(paths::PROCEDURES)
        .chain(log_shipping::PROCEDURES)
        .chain(log_shipping_primary::PROCEDURES)
        .chain(jobs::PROCEDURES)
        .chain(metadata::PROCEDURES)
}

/// Home and name of the procedure that a name of one to three parts means, seen from `database`.
pub fn find(parts: &[String], database: &str) -> Option<(&'static str, &'static str)> {
    lookup(parts, database).map(|procedure| (procedure.home, procedure.name))
}

fn lookup(parts: &[String], database: &str) -> Option<&'static Procedure> {
    let (name, prefix) = parts.split_last()?;
    let (owner, schema) = match prefix {
        [] => ("", ""),
        [schema] => ("", schema.as_str()),
        [owner, schema] => (owner.as_str(), schema.as_str()),
        _ => return None,
    };
    if !["", "dbo", "sys"].iter().any(|known| same(known, schema)) {
        return None;
    }
    all().find(|procedure| {
        let here = match procedure.home {
            "msdb" => same(if owner.is_empty() { database } else { owner }, "msdb"),
            _ => true,
        };
        here && same(procedure.name, name)
    })
}

#[derive(Clone, Debug)]
struct Bound {
    name: &'static str,
    ty: Type,
    value: Cell,
    given: bool,
    /// the caller's variable that takes the value back
    target: Option<String>,
}

/// The arguments of one call.
pub struct Arguments {
    procedure: &'static str,
    bound: Vec<Bound>,
    /// the database in whose context it runs
    pub context: String,
    /// what it was called as
    pub values: Vec<(Option<String>, Cell, Type)>,
}

impl Arguments {
    fn at(&self, name: &str) -> Option<&Bound> {
        self.bound.iter().find(|bound| bound.name == name)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.at(name).map(|bound| &bound.value) {
            Some(Cell::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub fn int(&self, name: &str) -> Option<i32> {
        match self.at(name).map(|bound| &bound.value) {
            Some(Cell::Int(n)) => Some(*n),
            Some(Cell::SmallInt(n)) => Some(i32::from(*n)),
            Some(Cell::TinyInt(n)) => Some(i32::from(*n)),
            Some(Cell::Bit(b)) => Some(i32::from(*b)),
            _ => None,
        }
    }

    /// True if the call names it, be it with NULL.
    pub fn is_given(&self, name: &str) -> bool {
        self.at(name).is_some_and(|bound| bound.given)
    }

    pub fn bit(&self, name: &str) -> Option<bool> {
        self.int(name).map(|n| n != 0)
    }

    pub fn guid(&self, name: &str) -> Option<uuid::Uuid> {
        match self.at(name).map(|bound| &bound.value) {
            Some(Cell::Guid(guid)) => Some(*guid),
            _ => None,
        }
    }

    /// A parameter that must not be NULL or empty. Error 32052 and its kin are the caller's; this is 201's place.
    pub fn required(&self, name: &str) -> Result<String, Raised> {
        self.text(name).ok_or_else(|| messages::parameter_missing(self.procedure, name))
    }

    /// Gives a value back through an OUTPUT parameter.
    pub fn set(&mut self, name: &str, value: Cell) {
        if let Some(bound) = self.bound.iter_mut().find(|bound| bound.name == name) {
            bound.value = value;
        }
    }
}

fn parameters(procedure: &Procedure) -> Vec<(&'static str, Type, bool)> {
    let split = |text: &'static str| -> Vec<&'static str> {
        let mut depth = 0;
        text.split(move |c: char| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
    };
    split(procedure.parameters)
        .into_iter()
        .map(|part| {
            let (name, ty) = part.split_once(' ').unwrap_or((part, "sysname"));
            let ty = ty.trim_end_matches(" out");
            let (ty, needed) = ty.strip_suffix('!').map_or((ty, false), |ty| (ty, true));
            (name, parse_type(ty, 1).unwrap_or(Type::NVarChar(Some(4000))), needed)
        })
        .collect()
}

/// What a call gives: name, value, its type, and the variable that takes an OUTPUT value back.
type Given = (Option<String>, Cell, Type, Option<String>);

fn bind(procedure: &'static Procedure, given: Vec<Given>, context: String) -> Result<Arguments, Raised> {
    let declared = parameters(procedure);
    let values = given.iter().map(|(name, value, ty, _)| (name.clone(), value.clone(), *ty)).collect();
    let mut bound: Vec<Bound> =
        declared.iter().map(|(name, ty, _)| Bound { name, ty: *ty, value: Cell::Null, given: false, target: None }).collect();
    let open = procedure.parameters.is_empty() && procedure.name == "sp_executesql";
    let mut named = false;
    for (position, (name, value, ty, target)) in given.into_iter().enumerate() {
        if open {
            break;
        }
        let slot = match &name {
            Some(name) => {
                named = true;
                let at = bound.iter().position(|bound| same(bound.name, name));
                at.ok_or_else(|| messages::no_parameter(name, procedure.name))?
            }
            None if named => return Err(messages::no_parameter_name(position + 1)),
            None if position >= bound.len() => return Err(messages::too_many_arguments(procedure.name)),
            None => position,
        };
        let Some(slot) = bound.get_mut(slot) else { continue };
        slot.value = convert(&value, ty, slot.ty, 0)
            .map_err(|raised| if raised.number == 245 { messages::converting(ty, slot.ty) } else { raised })?;
        slot.given = true;
        slot.target = target;
    }
    for (slot, (name, _, needed)) in bound.iter().zip(&declared) {
        if *needed && !slot.given {
            return Err(messages::parameter_missing(procedure.name, name));
        }
    }
    Ok(Arguments { procedure: procedure.name, bound, context, values })
}

/// The database in which a procedure runs: the one it was called through, else the session's.
fn context(parts: &[String], current: &str) -> String {
    match parts {
        [owner, _, _] if !owner.is_empty() => owner.clone(),
        _ => current.to_owned(),
    }
}

fn call(runner: &mut Runner<'_>, parts: &[String], given: Vec<Given>) -> Result<(i32, Arguments), Failure> {
    let shown = parts.join(".");
    if parts.len() > 3 {
        let server = parts.first().cloned().unwrap_or_default();
        return Err(messages::no_such_server(&server).into());
    }
    let current = runner.connection.database.clone();
    let context = context(parts, &current);
    if runner.connection.instance.lock().database(&context).is_none() {
        return Err(messages::no_such_procedure(&shown).into());
    }
    let procedure = lookup(parts, &current).ok_or_else(|| messages::no_such_procedure(&shown))?;
    // msdb's procedures are granted to the roles of the Agent, not to everybody
    if procedure.home == "msdb" && !runner.connection.instance.rights.is_sysadmin() {
        return Err(messages::not_granted("EXECUTE", procedure.name, "msdb", "dbo").into());
    }
    let mut arguments = bind(procedure, given, context).map_err(|mut raised| {
        procedure.name.clone_into(&mut raised.procedure);
        raised
    })?;
    let outer = std::mem::replace(&mut runner.procedure, procedure.name.to_owned());
    let result = (procedure.run)(runner, &mut arguments);
    let inner = std::mem::replace(&mut runner.procedure, outer);
    let status = result.map_err(|mut failure| {
        for message in &mut failure.0 {
            if message.procedure.is_empty() {
                message.procedure.clone_from(&inner);
            }
        }
        failure
    })?;
    Ok((status, arguments))
}

/// EXEC in a batch.
pub fn exec(runner: &mut Runner<'_>, exec: &Exec) -> Result<Flow, Failure> {
    let parts = match &exec.target {
        ExecTarget::Text(text) => {
            let text = runner.evaluate_text(text)?;
            let variables = std::mem::take(&mut runner.variables);
            let flow = runner.nested(&text);
            runner.variables = variables;
            return flow.map(|flow| if flow == Flow::End { Flow::Next } else { flow });
        }
        ExecTarget::Variable(name) => {
            let variable: &Variable = runner.variables.get(&name.text)?;
            let Cell::Text(text) = &variable.value else { return Err(messages::no_such_procedure("").into()) };
            text.split('.').map(|part| part.trim_matches(['[', ']']).to_owned()).collect()
        }
        ExecTarget::Procedure { parts, .. } => {
            let parts: Option<Vec<String>> = parts.iter().map(|part: &Value| part.literal().map(str::to_owned)).collect();
            parts.ok_or_else(|| messages::incorrect_syntax("EXEC"))?
        }
    };
    let mut given = Vec::new();
    for argument in &exec.arguments {
        let (value, ty) = runner.typed_value(&argument.value)?;
        let target = if argument.output { argument.value.variable().map(str::to_owned) } else { None };
        given.push((argument.name.as_ref().map(|name| name.text.clone()), value, ty, target));
    }
    if let Some(status) = &exec.status {
        runner.variables.get(&status.text)?;
    }
    let (status, arguments) = call(runner, &parts, given)?;
    for bound in &arguments.bound {
        if let Some(target) = &bound.target {
            runner.variables.assign(target, &bound.value, bound.ty)?;
        }
    }
    if let Some(name) = &exec.status {
        runner.variables.assign(&name.text, &Cell::Int(status), Type::Int)?;
    }
    runner.reply.done(None);
    Ok(Flow::Next)
}

/// A procedure called by RPC: its return status; OUTPUT parameters go to the reply.
pub fn call_by_rpc(runner: &mut Runner<'_>, name: &str, parameters: &[Parameter]) -> Result<i32, Failure> {
    let parts: Vec<String> = name.split('.').map(|part| part.trim_matches(['[', ']']).to_owned()).collect();
    let given = parameters
        .iter()
        .map(|parameter| {
            let name = (!parameter.name.is_empty()).then(|| parameter.name.clone());
            (name, parameter.value.clone(), parameter.ty, None)
        })
        .collect();
    let (status, arguments) = call(runner, &parts, given)?;
    for (position, parameter) in parameters.iter().enumerate().filter(|(_, parameter)| parameter.output) {
        let bound = if parameter.name.is_empty() {
            arguments.bound.get(position)
        } else {
            arguments.bound.iter().find(|bound| same(bound.name, &parameter.name))
        };
        if let Some(bound) = bound {
            let value = convert(&bound.value, bound.ty, parameter.ty, 0)?;
            runner.reply.output(&Parameter { value, ..parameter.clone() });
        }
    }
    Ok(status)
}

/// sp_executesql as text inside a batch: its own scope, with the declared parameters.
fn execute_sql(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let mut values = arguments.values.clone().into_iter();
    let Some((_, Cell::Text(text), _)) = values.next() else {
        return Err(messages::statement_expected().into());
    };
    let mut variables = Variables::default();
    if let Some((_, Cell::Text(declarations), _)) = values.next() {
        let columns = crate::lab::catalog::columns(&declarations.replace(" output", "").replace(" OUTPUT", ""));
        let rest: Vec<_> = values.collect();
        for (position, column) in columns.into_iter().enumerate() {
            let named = rest.iter().find(|(name, ..)| name.as_ref().is_some_and(|name| same(name, &column.name)));
            let found = named.or_else(|| rest.get(position).filter(|(name, ..)| name.is_none()));
            let value = match found {
                Some((_, value, ty)) => convert(value, *ty, column.ty, 0)?,
                None => {
                    return Err(messages::parameter_expected(&column.name).into());
                }
            };
            variables.declare(&column.name, column.ty, value)?;
        }
    }
    let outer = std::mem::replace(&mut runner.variables, variables);
    let procedure = std::mem::take(&mut runner.procedure);
    let result = runner.nested(&text);
    runner.variables = outer;
    runner.procedure = procedure;
    result.map(|_| 0)
}
