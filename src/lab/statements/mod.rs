//! The T-SQL front of a simulated server: a batch is read whole, then run statement by statement against the instance,
//! with messages and a DONE for each. What is not known is refused with the server's own error, never skipped.

pub mod admin;
pub mod backup;
pub mod breaks;
pub mod functions;
pub mod query;
pub mod restore;
pub mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::breaks::{Break, Unheard, When};
use self::run::Runner;
use super::instance::{Instance, Running, same};
use super::messages::{self, Raised};
use super::procedures;
use super::tds::{Cell, Column, Engine, Login, Parameter, Reply, Request, ServerMessage, Session, Type};
use super::values::convert;

/// A DECLAREd variable or a bound parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub ty: Type,
    pub value: Cell,
}

/// The variables of a batch, by name without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Variables(HashMap<String, Variable>);

impl Variables {
    /// Error 137 for a name that is not there.
    pub fn get(&self, name: &str) -> Result<&Variable, Raised> {
        self.0.get(&name.to_lowercase()).ok_or_else(|| messages::undeclared(name))
    }

    /// Error 134 for a name that is there already.
    pub fn declare(&mut self, name: &str, ty: Type, value: Cell) -> Result<(), Raised> {
        match self.0.insert(name.to_lowercase(), Variable { ty, value }) {
            None => Ok(()),
            Some(_) => Err(messages::duplicate_variable(name)),
        }
    }

    /// Converts to the variable's type. Error 137 for a name that is not there.
    pub fn assign(&mut self, name: &str, value: &Cell, from: Type) -> Result<(), Raised> {
        let variable = self.0.get_mut(&name.to_lowercase()).ok_or_else(|| messages::undeclared(name))?;
        variable.value = convert(value, from, variable.ty, 0)?;
        Ok(())
    }
}

/// What went wrong in a statement: the messages in the order in which they are sent.
#[derive(Clone, Debug)]
pub struct Failure(pub Vec<ServerMessage>);

impl From<Raised> for Failure {
    fn from(raised: Raised) -> Self {
        Self(vec![*raised])
    }
}

impl Failure {
    /// The specific error, then the wrapper.
    #[expect(clippy::boxed_local, reason = "messages are raised in boxes everywhere")]
    pub fn wrapped(raised: Raised, wrapper: Raised) -> Self {
        Self(vec![*raised, *wrapper])
    }

    /// What a failed BACKUP or RESTORE ends with: 3013, unless the grammar or a variable was refused, or the session is at its
    /// end.
    pub fn ending(mut self, word: &str) -> Self {
        let alone = |message: &ServerMessage| matches!(message.number, 102 | 137 | 155 | 156) || message.severity >= 20;
        if !self.0.iter().any(alone) {
            self.0.push(*messages::wrapper(word));
        }
        self
    }
}

/// One logged-in connection.
pub struct Connection {
    pub instance: Arc<Instance>,
    pub id: u16,
    /// tells this session from a later one of the same id
    pub serial: u64,
    pub database: String,
    pub first_database: String,
    pub login: Login,
    pub transactions: i32,
    pub error: i32,
    pub rows: i64,
    /// what its RESTORE takes besides its own time
    pub hold: Option<Duration>,
}

impl Connection {
    /// True while the session's row is its own: a KILL takes it away.
    fn alive(&self) -> bool {
        let state = self.instance.lock();
        state.sessions.get(&self.id).is_some_and(|row| row.serial == self.serial && !row.killed)
    }

    /// Changes the current database, here and in the views.
    pub fn set_database(&mut self, name: &str) {
        self.database = name.to_owned();
        if let Some(row) = self.instance.lock().sessions.get_mut(&self.id) {
            row.database = name.to_owned();
        }
    }

    fn begin(&self) {
        let now = self.instance.world.local();
        let mut state = self.instance.lock();
        state.settle(now);
        let database = state.database(&self.database).map_or(1, |database| database.id);
        if let Some(row) = state.sessions.get_mut(&self.id) {
            row.last_start = now;
            row.transactions = self.transactions;
            row.running = Some(Running { start: now, since: Instant::now(), command: Running::SELECT, percent: 0.0, database });
        }
    }

    fn carry_out(&mut self, request: &Request, reply: &mut dyn Reply) {
        match request {
            Request::Batch { text, parameters } => {
                let mut variables = Variables::default();
                for parameter in parameters {
                    if let Err(raised) = variables.declare(&parameter.name, parameter.ty, parameter.value.clone()) {
                        reply.message(*raised);
                        reply.done(None);
                        return;
                    }
                }
                let mut runner = Runner::new(self, reply, variables);
                runner.batch(text);
                let variables = std::mem::take(&mut runner.variables);
                for parameter in parameters.iter().filter(|parameter| parameter.output) {
                    if let Ok(variable) = variables.get(&parameter.name) {
                        reply.output(&Parameter { value: variable.value.clone(), ..parameter.clone() });
                    }
                }
            }
            Request::Procedure { name, parameters } => {
                let mut runner = Runner::new(self, reply, Variables::default());
                let result = procedures::call_by_rpc(&mut runner, name, parameters);
                match result {
                    Ok(status) => reply.status(status),
                    Err(failure) => runner.fail(failure),
                }
            }
        }
    }

    /// Carries out a request whose connection breaks.
    fn broken(&mut self, struck: &Break, request: &Request, reply: &mut dyn Reply) {
        match struck.when {
            When::Answering => {
                self.carry_out(request, &mut Unheard(reply));
                // the server is done before the client can come back and ask
                self.end();
                reply.cut();
            }
            When::Beginning(time) => {
                let (command, own) = match request {
                    Request::Batch { text, .. } => breaks::command(text, &struck.text),
                    Request::Procedure { .. } => ("EXECUTE", false),
                };
                self.command(command);
                reply.cut();
                if own {
                    self.hold = Some(time);
                } else if !self.pass(time) {
                    return;
                }
                self.carry_out(request, &mut Unheard(reply));
                // a RESTORE that was refused at once has not taken it
                if let Some(time) = self.hold.take() {
                    self.pass(time);
                }
            }
        }
    }

    /// Lets real time pass; false if the session was killed meanwhile.
    fn pass(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.alive() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }

    /// What `sys.dm_exec_requests` shows as the command.
    pub fn command(&self, command: &'static str) {
        let mut state = self.instance.lock();
        if let Some(running) = state.sessions.get_mut(&self.id).and_then(|row| row.running.as_mut()) {
            running.command = command;
        }
    }

    fn end(&self) {
        let now = self.instance.world.local();
        let mut state = self.instance.lock();
        if let Some(row) = state.sessions.get_mut(&self.id) {
            row.last_end = Some(now);
            row.running = None;
            row.transactions = self.transactions;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let now = self.instance.world.local();
        let mut state = self.instance.lock();
        // one that is killed stays until its rollback is over
        if state.sessions.get(&self.id).is_some_and(|row| row.serial == self.serial && row.rollback.is_none()) {
            state.end_session(self.id, now);
        }
    }
}

impl Session for Connection {
    fn id(&self) -> u16 {
        self.id
    }

    fn database(&self) -> String {
        self.database.clone()
    }

    fn run(&mut self, request: &Request, reply: &mut dyn Reply) {
        if !self.alive() {
            reply.message(*messages::killed());
            return;
        }
        self.begin();
        let struck = breaks::strike(&mut self.instance.lock().breaks, &breaks::shown(request));
        match struck {
            None => self.carry_out(request, reply),
            Some(struck) => self.broken(&struck, request, reply),
        }
        self.end();
        if !self.alive() {
            reply.message(*messages::killed());
        }
    }

    fn describe(&mut self, text: &str, parameters: &[Parameter], reply: &mut dyn Reply) -> Option<Vec<Column>> {
        let mut variables = Variables::default();
        for parameter in parameters {
            if let Err(raised) = variables.declare(&parameter.name, parameter.ty, parameter.value.clone()) {
                reply.message(*raised);
                return None;
            }
        }
        Runner::new(self, reply, variables).describe(text)
    }

    fn transaction(&mut self, open: bool) {
        self.transactions = i32::from(open);
        if let Some(row) = self.instance.lock().sessions.get_mut(&self.id) {
            row.transactions = i32::from(open);
        }
    }

    fn reset(&mut self) {
        let first = self.first_database.clone();
        self.set_database(&first);
        self.instance.lock().locks.retain(|lock| lock.session != self.id);
    }
}

/// The instance as the wire sees it.
pub struct Front(pub Arc<Instance>);

impl Front {
    /// The one Windows account that may log in.
    fn account(&self) -> String {
        let credentials = &self.0.credentials;
        format!("{}\\{}", credentials.domain, credentials.user)
    }
}

impl Engine for Front {
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, Vec<ServerMessage>> {
        let instance = &self.0;
        let credentials = &instance.credentials;
        let user = if login.windows { self.account() } else { credentials.user.clone() };
        if credentials.refused || !same(&login.user, &user) || login.password != credentials.password {
            return Err(vec![*messages::login_failed(&login.user)]);
        }
        let wanted = if login.database.is_empty() { "master" } else { &login.database };
        let database = {
            let state = instance.lock();
            match state.database(wanted) {
                Some(database) if run::can_enter(&state, database, 0, instance).is_ok() => database.name.clone(),
                _ => return Err(vec![*messages::cannot_open_login(wanted), *messages::login_failed(&login.user)]),
            }
        };
        let serial = instance.serial.fetch_add(1, Ordering::Relaxed);
        let id = instance.enter(login, &database, serial);
        Ok(Box::new(Connection {
            instance: Arc::clone(instance),
            id,
            serial,
            first_database: database.clone(),
            database,
            login: login.clone(),
            transactions: 0,
            error: 0,
            rows: 0,
            hold: None,
        }))
    }

    fn windows_password(&self, account: &str) -> Option<String> {
        same(account, &self.account()).then(|| self.0.credentials.password.clone())
    }

    fn domain(&self) -> String {
        self.0.credentials.domain.clone()
    }

    fn server_name(&self) -> String {
        self.0.server.clone()
    }

    fn version(&self) -> (u8, u8, u16) {
        self.0.version
    }

    fn received(&self, session: u16, kind: &'static str, text: &str, parameters: &[Parameter]) -> u64 {
        let world = &self.0.world;
        world.wire.received(world.now().to_string(), &self.0.key, session, kind, text, parameters)
    }

    fn answered(&self, n: u64, errors: Vec<i32>) {
        self.0.world.wire.answered(n, errors);
    }
}

#[cfg(test)]
pub mod tests;
