//! What a call does to the recovery: is it a confirm, does it apply log backups, does it bring a database online? Asked by
//! [`super::order`] and by the rules about order, so that all of them mean the same. Says nothing of what cannot be seen.

use std::ops::Range;

use super::Related;
use super::event::{Call, Event, Run, Sql};
use super::value::{Piece, Text, Value};
use crate::facts::cmdlets::{self, Cmdlet, Resolved};
use crate::primitives::Class;
use crate::tsql::classify;
use crate::tsql::lex::{TokenKind, significant};
use crate::tsql::syntax::{
    DatabaseChangeKind, Exec, ExecTarget, Expression, Options, RestoreKind, Statement, StatementKind, Value as SqlValue, ValueKind,
};

/// What an act is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// `irreversible`: true if it may be
    Confirm { irreversible: bool },
    /// `copy_backups`
    Copy,
    /// `restore_logs`, or RESTORE LOG
    RestoreLogs,
    /// the restore sequence ends
    Recover,
    /// DROP DATABASE
    Drop,
    /// WITH REPLACE
    Replace,
    /// KILL, but not WITH STATUSONLY
    Kill,
    /// SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS
    ForceService,
    /// `-DropExistingDatabasesOnMirror`
    MirrorDrop,
    /// msdb.dbo.log_shipping_secondary is read
    ReadSecondary,
    /// msdb.dbo.log_shipping_secondary_databases is read
    ReadDatabases,
    /// log shipping is removed from the secondary
    RemoveShipping,
    /// the pool is switched, or may be
    SwitchPool,
}

impl ActKind {
    /// True for what nothing brings back, besides KILL.
    pub fn is_no_return(self) -> bool {
        matches!(self, Self::Recover | Self::Drop | Self::Replace | Self::ForceService | Self::MirrorDrop)
    }
}

/// One thing that a call does.
#[derive(Clone, Debug)]
pub struct Act {
    pub kind: ActKind,
    /// whose database, as far as that is known
    pub database: Option<Value>,
    /// bytes in [`Sql::rendered`]
    pub range: Option<Range<usize>>,
    /// index into [`Call::sql`]
    pub sql: Option<usize>,
    /// true if each text or map that the call may be given has it
    pub always: bool,
}

impl Act {
    fn of(kind: ActKind) -> Self {
        Self { kind, database: None, range: None, sql: None, always: true }
    }
}

/// Everything that a call does, in order.
pub fn acts(call: &Call) -> Vec<Act> {
    match call.name() {
        "confirm" => {
            let irreversible =
                if call.options_known() { call.option("irreversible").is_some_and(|v| v.as_bool() != Some(false)) } else { true };
            vec![Act::of(ActKind::Confirm { irreversible })]
        }
        "copy_backups" => vec![Act::of(ActKind::Copy)],
        "restore_logs" => vec![Act { database: call.argument("database").cloned(), ..Act::of(ActKind::RestoreLogs) }],
        "ps" => of_cmdlet(call),
        "sql" => of_texts(call),
        // a change in a `query` is never sent
        "query" => {
            let mut found = of_texts(call);
            found.retain(|act| matches!(act.kind, ActKind::ReadSecondary | ActKind::ReadDatabases));
            found
        }
        _ => Vec::new(),
    }
}

/// True if a call does such a thing on some way.
pub fn does(call: &Call, kind: ActKind) -> bool {
    call.acts.iter().any(|act| act.kind == kind)
}

/// True if two databases, or two servers, are surely not the same: names are compared in any case, as SQL Server does.
pub fn surely_other(one: Option<&Value>, other: Option<&Value>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    lowered(one).surely_differs(&lowered(other))
}

/// True if two databases certainly are the same: the same constant, or the same value of the site.
pub fn surely_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Unknown { path: Some(one), .. }), Some(Value::Unknown { path: Some(other), .. })) => one == other,
        (Some(one), Some(other)) => one.as_constant().zip(other.as_constant()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b)),
        _ => false,
    }
}

/// True if log backups may be copied or applied there by hand or by a job: nothing here shows what.
pub fn by_other_means(call: &Call) -> bool {
    call.name() == "manual" || call.sql.iter().any(|sql| sql.rendered.to_ascii_lowercase().contains("sp_start_job"))
}

/// True if a call may bring a database online in a way that is not seen: a person, a job, a procedure of the site's own.
pub fn may_bring_online(call: &Call) -> bool {
    match call.name() {
        "manual" => ["title", "instructions"].iter().filter_map(|name| call.argument(name)).any(|words| match words {
            Value::Text(text) => ["online", "recover"].iter().any(|word| text.rendered().to_lowercase().contains(word)),
            _ => true,
        }),
        "sql" => {
            let own = |statement: &Statement| match &statement.kind {
                StatementKind::Exec(Exec { target: target @ ExecTarget::Procedure { .. }, .. }) => {
                    let name = target.name();
                    let name = name.as_deref().and_then(|name| name.rsplit('.').next());
                    name.is_none_or(|name| name == "sp_start_job" || !(name.starts_with("sp_") || name.starts_with("xp_")))
                }
                _ => false,
            };
            call.sql.iter().flat_map(statements).any(own)
        }
        _ => false,
    }
}

fn lowered(value: &Value) -> Value {
    match value {
        Value::Text(text) => match text.as_constant() {
            Some(constant) => Value::text(&constant.to_lowercase()),
            None => value.clone(),
        },
        Value::OneOf(values) => Value::OneOf(values.iter().map(lowered).collect::<Vec<_>>().into()),
        _ => value.clone(),
    }
}

/// What `ps` is told of one parameter, by one of the maps that it may be given.
pub enum Given<'a> {
    /// surely left out
    Missing,
    /// the key as written, and its value
    As(&'a str, &'a Value),
    /// the map, or what a key means, is not known
    Unknown,
}

/// A parameter of a cmdlet in each map that the call may be given; any unambiguous beginning of its name counts, as
/// PowerShell has it.
pub fn parameter<'a>(call: &'a Call, cmdlet: &Cmdlet, name: &str) -> Vec<Given<'a>> {
    let Some(parameters) = call.argument("parameters") else { return vec![Given::Missing] };
    parameters
        .alternatives()
        .iter()
        .map(|map| {
            let Value::Map(entries) = map else { return Given::Unknown };
            let mut found = Given::Missing;
            for (key, value) in entries.iter() {
                match cmdlet.resolve(key) {
                    Resolved::One(parameter) if parameter.name.eq_ignore_ascii_case(name) => return Given::As(key, value),
                    Resolved::Ambiguous(names) if names.iter().any(|n| n.eq_ignore_ascii_case(name)) => found = Given::Unknown,
                    _ => {}
                }
            }
            found
        })
        .collect()
}

/// The cmdlets that `ps` may call, as far as the catalogue has them; and whether these are all.
pub fn cmdlets_of(call: &Call) -> (Vec<&'static Cmdlet>, bool) {
    if call.name() != "ps" {
        return (Vec::new(), true);
    }
    let Some(names) = call.argument("cmdlet") else { return (Vec::new(), false) };
    let found: Vec<_> = names.alternatives().iter().map(|name| name.as_constant().and_then(|name| cmdlets::find(&name))).collect();
    let all = found.iter().all(Option::is_some);
    (found.into_iter().flatten().collect(), all)
}

/// Of Install-CsMirrorDatabase.
const MIRROR_DROP: &str = "DropExistingDatabasesOnMirror";

fn of_cmdlet(call: &Call) -> Vec<Act> {
    let (cmdlets, all) = cmdlets_of(call);
    let mut found = Vec::new();
    let mut look = |kind: ActKind, parameter_name: &str, counts: &dyn Fn(&Value) -> bool, only: Option<&str>| {
        let hits: Vec<bool> = cmdlets
            .iter()
            .filter(|cmdlet| only.is_none_or(|name| cmdlet.name.eq_ignore_ascii_case(name)))
            .flat_map(|cmdlet| parameter(call, cmdlet, parameter_name))
            .map(|given| matches!(given, Given::As(_, value) if counts(value)))
            .collect();
        if hits.contains(&true) {
            found.push(Act { always: all && hits.iter().all(|hit| *hit), ..Act::of(kind) });
        }
    };
    let on = |value: &Value| value.alternatives().iter().any(|v| !matches!(v, Value::Bool(false) | Value::Unit));
    look(ActKind::MirrorDrop, MIRROR_DROP, &on, None);
    let away = |value: &Value| {
        value.alternatives().iter().any(|v| !v.as_constant().is_some_and(|state| state.eq_ignore_ascii_case("Normal")) && *v != Value::Unit)
    };
    look(ActKind::SwitchPool, "PoolState", &away, Some("Set-CsPersistentChatState"));
    found
}

fn of_texts(call: &Call) -> Vec<Act> {
    let mut found: Vec<Act> = Vec::new();
    for (index, sql) in call.sql.iter().enumerate() {
        let mut reader = Reader { call, sql, index, depth: 0, found: &mut found };
        match &sql.batch {
            Ok(batch) => batch.statements.iter().for_each(|statement| reader.statement(statement)),
            Err(_) => reader.reads(0..sql.rendered.len()),
        }
    }
    let texts = call.sql.len();
    let in_all: Vec<bool> = found
        .iter()
        .map(|act| (0..texts).all(|index| found.iter().any(|other| other.kind == act.kind && other.sql == Some(index))))
        .collect();
    for (act, always) in found.iter_mut().zip(in_all) {
        act.always = always;
    }
    found
}

/// How deep texts inside texts are followed.
const NESTED: usize = 4;

/// Collects the acts of one text.
struct Reader<'a> {
    call: &'a Call,
    sql: &'a Sql,
    index: usize,
    /// texts around this one
    depth: usize,
    found: &'a mut Vec<Act>,
}

impl Reader<'_> {
    fn add(&mut self, kind: ActKind, database: Option<&SqlValue>, range: &Range<usize>) {
        let database = database.and_then(|value| meant(self.call, self.sql, value));
        self.found.push(Act { database, range: Some(range.clone()), sql: Some(self.index), ..Act::of(kind) });
    }

    fn statement(&mut self, statement: &Statement) {
        let range = &statement.range;
        match &statement.kind {
            StatementKind::Restore(restore) => {
                let database = restore.database.as_ref();
                if restore.kind == RestoreKind::Log {
                    self.add(ActKind::RestoreLogs, database, range);
                }
                if let Some(option) = restore.option("REPLACE") {
                    self.add(ActKind::Replace, database, &option.range);
                }
                match restore.option("RECOVERY") {
                    Some(option) => self.add(ActKind::Recover, database, &option.range),
                    None if restore.recovers() => self.add(ActKind::Recover, database, range),
                    None => {}
                }
            }
            StatementKind::DropDatabase(drop) => drop.databases.iter().for_each(|db| self.add(ActKind::Drop, Some(db), range)),
            StatementKind::Kill(kill) if !kill.status_only => self.add(ActKind::Kill, None, range),
            StatementKind::AlterDatabase(alter) => {
                for change in &alter.changes {
                    if matches!(&change.kind, DatabaseChangeKind::PartnerAction(action) if action == "FORCE_SERVICE_ALLOW_DATA_LOSS") {
                        self.add(ActKind::ForceService, alter.database.as_ref(), &change.range);
                    }
                }
            }
            StatementKind::Exec(exec) => self.exec(exec, range),
            StatementKind::If { condition, then, otherwise } => {
                self.reads(condition.range.clone());
                self.statement(then);
                otherwise.iter().for_each(|otherwise| self.statement(otherwise));
            }
            StatementKind::While { condition, body } => {
                self.reads(condition.range.clone());
                self.statement(body);
            }
            StatementKind::Block(body) => body.iter().for_each(|statement| self.statement(statement)),
            StatementKind::Try { body, catch } => body.iter().chain(catch).for_each(|statement| self.statement(statement)),
            StatementKind::Other { keyword }
                if matches!(keyword.as_str(), "DELETE" | "TRUNCATE")
                    && names(&self.sql.rendered, range).any(|name| name.starts_with("log_shipping_secondary")) =>
            {
                self.add(ActKind::RemoveShipping, None, range);
            }
            StatementKind::Other { keyword } if keyword == "UPDATE" || keyword == "DROP" => {}
            StatementKind::Other { .. } | StatementKind::Declare(_) | StatementKind::SetVariable { .. } => self.reads(range.clone()),
            _ => {}
        }
    }

    fn exec(&mut self, exec: &Exec, range: &Range<usize>) {
        let Some(name) = exec.target.name() else {
            if let ExecTarget::Text(expression) = &exec.target {
                self.inner(self.run_there(expression), range);
            }
            return;
        };
        let argument = |wanted: &str| {
            let named = exec
                .arguments
                .iter()
                .find(|a| a.name.as_ref().is_some_and(|n| n.text.trim_start_matches('@').eq_ignore_ascii_case(wanted)));
            named.or_else(|| exec.arguments.first().filter(|a| a.name.is_none())).map(|a| &a.value)
        };
        match name.rsplit('.').next().unwrap_or_default() {
            "sp_delete_log_shipping_secondary_database" => self.add(ActKind::RemoveShipping, argument("secondary_database"), range),
            "sp_delete_log_shipping_secondary_primary" => self.add(ActKind::RemoveShipping, None, range),
            "sp_help_log_shipping_secondary_database" => {
                self.add(ActKind::ReadSecondary, argument("secondary_database"), range);
                self.add(ActKind::ReadDatabases, argument("secondary_database"), range);
            }
            "sp_help_log_shipping_secondary_primary" => self.add(ActKind::ReadSecondary, None, range),
            "sp_executesql" => {
                let text = argument("statement").or(argument("stmt"));
                self.inner(text.and_then(|value| self.text_of(value)), range);
            }
            _ => {}
        }
    }

    /// The text that `EXEC (..)` runs.
    fn run_there(&self, expression: &Expression) -> Option<String> {
        match bound_name(&self.sql.rendered, expression) {
            Some(variable) => self.text_of(&variable),
            None => literal(&self.sql.rendered[expression.range.clone()]),
        }
    }

    fn text_of(&self, value: &SqlValue) -> Option<String> {
        match &value.kind {
            ValueKind::Text(text) => Some(text.clone()),
            ValueKind::Variable(_) => meant(self.call, self.sql, value)?.as_constant(),
            _ => None,
        }
    }

    /// A text inside the text: what it does is shown at the statement that runs it.
    fn inner(&mut self, text: Option<String>, range: &Range<usize>) {
        let Some(text) = text else { return };
        let inner = Sql::of(&Text::constant(text, None));
        let mut found = Vec::new();
        if let Ok(batch) = &inner.batch
            && self.depth < NESTED
        {
            let mut reader = Reader { call: self.call, sql: &inner, index: self.index, depth: self.depth + 1, found: &mut found };
            batch.statements.iter().for_each(|statement| reader.statement(statement));
        }
        self.found.extend(found.into_iter().map(|act| Act { range: Some(range.clone()), ..act }));
    }

    /// Which of the tables that a removal empties are read there.
    fn reads(&mut self, range: Range<usize>) {
        let read: Vec<String> = names(&self.sql.rendered, &range).collect();
        for (table, kind) in
            [("log_shipping_secondary", ActKind::ReadSecondary), ("log_shipping_secondary_databases", ActKind::ReadDatabases)]
        {
            if read.iter().any(|name| name == table) {
                self.add(kind, None, &range);
            }
        }
    }
}

/// The names that stand in some bytes of a text and have to do with log shipping, in lower case.
fn names<'t>(text: &'t str, range: &Range<usize>) -> impl Iterator<Item = String> + 't {
    let part = text.get(range.clone()).unwrap_or_default();
    // most texts have nothing to do with it
    let tokens = if part.to_ascii_lowercase().contains("log_shipping") { significant(part) } else { Vec::new() };
    tokens.into_iter().filter_map(|token| token.name(part)).map(|name| name.to_lowercase())
}

/// `@name`, if an expression is that alone, in parentheses or not.
fn bound_name(text: &str, expression: &Expression) -> Option<SqlValue> {
    let part = &text[expression.range.clone()];
    let mut tokens = significant(part).into_iter().filter(|token| !matches!(token.text(part), "(" | ")"));
    match (tokens.next().filter(|token| token.kind == TokenKind::Variable), tokens.next()) {
        (Some(token), None) => {
            let start = expression.range.start;
            Some(SqlValue { kind: ValueKind::Variable(token.text(part).to_owned()), range: start + token.start..start + token.end })
        }
        _ => None,
    }
}

/// The `@name`s that hold a text which a batch runs: `EXEC (@q)`, `EXEC sp_executesql @q`.
pub fn run_texts(sql: &Sql) -> Vec<SqlValue> {
    let of = |statement: &&Statement| {
        let StatementKind::Exec(exec) = &statement.kind else { return None };
        match &exec.target {
            ExecTarget::Text(expression) => bound_name(&sql.rendered, expression),
            target => {
                let name = target.name()?;
                let first = exec.arguments.first().filter(|_| name.rsplit('.').next() == Some("sp_executesql"))?;
                Some(first.value.clone()).filter(|value| value.variable().is_some())
            }
        }
    };
    statements(sql).iter().filter_map(of).collect()
}

/// The text of an expression that is one literal, in parentheses or not.
fn literal(expression: &str) -> Option<String> {
    let mut tokens = significant(expression)
        .into_iter()
        .filter(|token| !matches!(token.text(expression), "(" | ")"))
        .map(|token| token.string(expression));
    match (tokens.next(), tokens.next()) {
        (Some(text), None) => text,
        _ => None,
    }
}

/// What a value in a text stands for: a constant, the argument bound to its name, or the data that goes in there.
pub fn meant(call: &Call, sql: &Sql, value: &SqlValue) -> Option<Value> {
    let bound = |name: &str| {
        let params = call.argument("params")?;
        let entry = |map: &Value| match map {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone()),
            other => Some(Value::unknown(other.tags())),
        };
        params.alternatives().iter().map(entry).reduce(|one, other| Some(one?.or(&other?)))?
    };
    match &value.kind {
        ValueKind::Placeholder(name) if format!("{{{name}}}") != Text::HOLE => return bound(name),
        ValueKind::Variable(name) => return bound(name.trim_start_matches('@')),
        _ => {}
    }
    let pieces = sql.text.pieces_at(&value.range);
    if pieces.is_empty() || pieces.iter().all(|(piece, _)| matches!(piece, Piece::Constant { .. })) {
        return value.literal().map(Value::text);
    }
    match pieces.as_slice() {
        [(Piece::Data { path, tags, .. }, _)] => Some(Value::Unknown { path: path.clone(), tags: *tags }),
        // quotes and brackets are no part of the name
        mixed => {
            let trim = |text: &str| text.trim_matches(['[', ']', '"', '\'']).trim_start_matches("N'").to_owned();
            let pieces = mixed.iter().map(|(piece, own)| match piece {
                Piece::Constant { text, origin } => {
                    Piece::Constant { text: trim(text.get(own.clone()).unwrap_or_default()).into(), origin: *origin }
                }
                data => (*data).clone(),
            });
            let pieces: Vec<Piece> = pieces.filter(|piece| !matches!(piece, Piece::Constant { text, .. } if text.is_empty())).collect();
            match pieces.as_slice() {
                [Piece::Data { path, tags, .. }] => Some(Value::Unknown { path: path.clone(), tags: *tags }),
                _ => Some(Value::Text(Text { pieces: pieces.into() })),
            }
        }
    }
}

/// The statements of a text in order, those inside others after them.
pub fn statements(sql: &Sql) -> Vec<&Statement> {
    fn collect<'a>(statement: &'a Statement, found: &mut Vec<&'a Statement>) {
        found.push(statement);
        match &statement.kind {
            StatementKind::If { then, otherwise, .. } => {
                collect(then, found);
                otherwise.iter().for_each(|otherwise| collect(otherwise, found));
            }
            StatementKind::While { body, .. } => collect(body, found),
            StatementKind::Block(body) => body.iter().for_each(|statement| collect(statement, found)),
            StatementKind::Try { body, catch } => body.iter().chain(catch).for_each(|statement| collect(statement, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(batch) = &sql.batch {
        batch.statements.iter().for_each(|statement| collect(statement, &mut found));
    }
    found
}

/// The statements of a text that surely change something. With values still open, only those whose own words say so: what
/// goes in may be what could not be read.
pub fn changing(sql: &Sql) -> Vec<Range<usize>> {
    // a typographic quote makes a SELECT unreadable, and is a finding of its own
    let typographic = |c: char| matches!(c, '\u{a0}' | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201f}' | '\u{2212}');
    if sql.text.is_constant() && !sql.rendered.contains(typographic) {
        return match (&sql.batch, &sql.classified().change) {
            (Ok(_), Some(change)) => vec![change.range.clone()],
            _ => Vec::new(),
        };
    }
    let changes = |statement: &&Statement| match &statement.kind {
        StatementKind::Exec(exec) => {
            let text = &sql.rendered[statement.range.clone()];
            exec.target.name().is_some() && classify::classify(text).class == classify::Class::Changes
        }
        StatementKind::Other { keyword } => CHANGING.contains(&keyword.as_str()),
        StatementKind::Restore(restore) => {
            matches!(restore.kind, RestoreKind::Database | RestoreKind::Log | RestoreKind::VerifyOnly | RestoreKind::RewindOnly)
        }
        StatementKind::Kill(kill) => !kill.status_only,
        StatementKind::Backup(_) | StatementKind::AlterDatabase(_) | StatementKind::DropDatabase(_) => true,
        _ => false,
    };
    statements(sql).into_iter().filter(changes).map(|statement| statement.range.clone()).collect()
}

/// First words of statements that change something whatever follows.
const CHANGING: &[&str] =
    &["ALTER", "CREATE", "DELETE", "DENY", "DROP", "GRANT", "INSERT", "MERGE", "REVOKE", "SHUTDOWN", "TRUNCATE", "UPDATE"];

/// Verbs of cmdlets that change something, for those that the catalogue does not have ("Approved Verbs for PowerShell").
const CHANGING_VERBS: &[&str] = &[
    "Add",
    "Clear",
    "Disable",
    "Enable",
    "Grant",
    "Import",
    "Install",
    "Invoke",
    "Merge",
    "Move",
    "New",
    "Publish",
    "Remove",
    "Rename",
    "Reset",
    "Restart",
    "Restore",
    "Resume",
    "Revoke",
    "Set",
    "Start",
    "Stop",
    "Suspend",
    "Sync",
    "Uninstall",
    "Unpublish",
    "Update",
];

/// The cmdlet that a misspelt name most likely means.
fn meant_cmdlet(name: &str) -> Option<&'static Cmdlet> {
    // a name that begins with Get- means a read, whatever is near
    let reads = name.to_ascii_lowercase().starts_with("get");
    cmdlets::suggest(name).and_then(cmdlets::find).filter(|cmdlet| !reads || cmdlet.class == cmdlets::Class::Reads)
}

/// True if a call changes something on some way, and not merely for all that is known.
pub fn surely_changes(call: &Call) -> bool {
    match call.primitive.class {
        Class::FromText => call.sql.iter().any(|sql| !changing(sql).is_empty()),
        Class::FromCmdlet => {
            let names = call.argument("cmdlet").map_or(&[][..], Value::alternatives);
            names.iter().filter_map(Value::as_constant).any(|name| match cmdlets::find(&name).or_else(|| meant_cmdlet(&name)) {
                Some(cmdlet) => cmdlet.class == cmdlets::Class::Changes,
                None => name.split_once('-').is_some_and(|(verb, _)| CHANGING_VERBS.iter().any(|known| verb.eq_ignore_ascii_case(known))),
            })
        }
        class => class == Class::Changes,
    }
}

/// Where an act stands: its bytes in the text, else the name of the call.
pub fn place(run: &Run<'_>, call: &Call, act: &Act) -> (usize, Range<usize>) {
    let in_text = act.sql.and_then(|index| call.sql.get(index)).zip(act.range.as_ref()).zip(call.index_of("text"));
    match in_text {
        Some(((sql, range), argument)) => run.text_span(call, argument, &sql.text, range),
        None => (call.file, option(run, call, act).unwrap_or_else(|| run.name_span(call))),
    }
}

/// The bytes of the parameter that makes a cmdlet do it.
fn option(run: &Run<'_>, call: &Call, act: &Act) -> Option<Range<usize>> {
    let index = call.index_of("parameters").filter(|_| act.kind == ActKind::MirrorDrop)?;
    let given = cmdlets_of(call).0.into_iter().flat_map(|cmdlet| parameter(call, cmdlet, MIRROR_DROP));
    given.into_iter().find_map(|given| match given {
        Given::As(key, _) => Some(run.key_span(call, index, key)),
        _ => None,
    })
}

/// The runbook's call that leads to an event inside a function.
pub fn led_here(run: &Run<'_>, event: &Event) -> Vec<Related> {
    let call = event.through.first().filter(|(file, at)| (*file, *at) != (event.call.file, event.call.position));
    call.map(|(file, at)| related(run, *file, run.script.files[*file].span_at(*at), "called from here")).into_iter().collect()
}

/// Another place that explains a finding.
pub fn related(run: &Run<'_>, file: usize, span: Range<usize>, label: &str) -> Related {
    Related { file: run.script.files[file].clone(), span, label: label.to_owned() }
}
