//! What statements do, asked without sockets. The answers are collected by a reply that only remembers.

mod chain;
mod languages;
mod model;
mod procedures;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use super::{Connection, Front};
use crate::lab::instance::Instance;
use crate::lab::scenario::Scenario;
use crate::lab::tds::{Cell, Column, Engine, Login, Parameter, Reply, Request, ServerMessage, Session, Turn};

/// One result set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

/// Remembers an answer.
#[derive(Debug, Default)]
pub struct Tape {
    pub sets: Vec<Set>,
    pub messages: Vec<ServerMessage>,
    pub status: Option<i32>,
    pub outputs: Vec<Parameter>,
    pub dones: usize,
    pub turns: Vec<Turn>,
    /// an attention comes after so many waits
    pub attention_after: Option<usize>,
    /// the connection is gone from the start
    pub cut: bool,
    waits: usize,
}

impl Reply for Tape {
    fn columns(&mut self, columns: &[Column]) {
        self.sets.push(Set { columns: columns.to_vec(), rows: Vec::new() });
    }

    fn row(&mut self, cells: &[Cell]) {
        let set = self.sets.last_mut().expect("columns come before rows");
        assert_eq!(set.columns.len(), cells.len());
        set.rows.push(cells.to_vec());
    }

    fn message(&mut self, message: ServerMessage) {
        self.messages.push(message);
    }

    fn done(&mut self, _: Option<u64>) {
        self.dones += 1;
    }

    fn database(&mut self, _: &str, _: &str) {}

    fn transaction(&mut self, turn: Turn) {
        self.turns.push(turn);
    }

    fn status(&mut self, status: i32) {
        self.status = Some(status);
    }

    fn output(&mut self, parameter: &Parameter) {
        self.outputs.push(parameter.clone());
    }

    fn flush(&mut self) {}

    fn cancelled(&self) -> bool {
        self.cut || self.attention_after.is_some_and(|after| self.waits >= after)
    }

    fn disconnected(&self) -> bool {
        self.cut
    }

    fn wait(&mut self, time: Duration) -> bool {
        self.waits += 1;
        std::thread::sleep(time.min(Duration::from_millis(2)));
        self.cancelled()
    }
}

impl Tape {
    /// Numbers of the errors, in order.
    pub fn errors(&self) -> Vec<i32> {
        self.messages.iter().filter(|message| message.severity > 10).map(|message| message.number).collect()
    }

    pub fn infos(&self) -> Vec<i32> {
        self.messages.iter().filter(|message| message.severity <= 10).map(|message| message.number).collect()
    }

    /// The first cell of the first row of the last set.
    pub fn value(&self) -> Cell {
        assert_eq!(self.errors(), [0; 0], "{:?}", self.messages);
        let set = self.sets.last().expect("a result set");
        set.rows.first().and_then(|row| row.first()).cloned().expect("a row")
    }

    /// The last set as text, a line a row.
    pub fn table(&self) -> String {
        assert_eq!(self.errors(), [0; 0], "{:?}", self.messages);
        let set = self.sets.last().expect("a result set");
        let show = |cell: &Cell| match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Text(text) => text.clone(),
            Cell::Bit(b) => u8::from(*b).to_string(),
            Cell::TinyInt(n) => n.to_string(),
            Cell::SmallInt(n) => n.to_string(),
            Cell::Int(n) => n.to_string(),
            Cell::BigInt(n) => n.to_string(),
            Cell::Numeric { value, scale } => crate::lab::values::decimal_text(*value, *scale),
            other => format!("{other:?}"),
        };
        set.rows.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join(" | ")).collect::<Vec<_>>().join("\n")
    }
}

/// A scene with one connection.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub instance: Arc<Instance>,
    session: Box<dyn Session>,
}

impl Stage {
    pub fn new(scenario: &Scenario) -> Self {
        let (dir, instance) = crate::lab::world::instance_of(scenario, 1);
        let session = connect(&instance);
        Self { dir, instance, session }
    }

    pub fn quiet() -> Self {
        Self::new(&Scenario { bytes: 2_000, ..Scenario::default() })
    }

    /// One whose scene is changed by TOML.
    pub fn with(text: &str) -> Self {
        Self::new(&Scenario::parse("test", &format!("bytes = 2000\n{text}")).expect("a scenario"))
    }

    pub fn run(&mut self, text: &str) -> Tape {
        self.run_with(text, &[])
    }

    pub fn run_with(&mut self, text: &str, parameters: &[Parameter]) -> Tape {
        let mut tape = Tape::default();
        self.run_on(text, parameters, &mut tape);
        tape
    }

    pub fn run_on(&mut self, text: &str, parameters: &[Parameter], tape: &mut Tape) {
        let request = Request::Batch { text: text.to_owned(), parameters: parameters.to_vec() };
        self.session.run(&request, tape);
    }

    pub fn call(&mut self, name: &str, parameters: &[Parameter]) -> Tape {
        let mut tape = Tape::default();
        let request = Request::Procedure { name: name.to_owned(), parameters: parameters.to_vec() };
        self.session.run(&request, &mut tape);
        tape
    }

    pub fn id(&self) -> u16 {
        self.session.id()
    }

    /// The log backups of mgc in the copy folder, in order.
    pub fn copied(&self) -> Vec<String> {
        files(&self.dir.path().join("copy"))
    }

    pub fn on_share(&self) -> Vec<String> {
        files(&self.dir.path().join("share"))
    }

    pub fn bring(&self, name: &str) {
        let (from, to) = (self.dir.path().join("share").join(name), self.dir.path().join("copy").join(name));
        std::fs::copy(from, to).expect("a copy");
    }

    pub fn apply(&mut self, name: &str) -> Tape {
        self.run(&format!("RESTORE LOG mgc FROM DISK = N'D:\\LogShip\\{name}' WITH NORECOVERY"))
    }
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.retain(|name| name.ends_with(".trn"));
    names.sort();
    names
}

pub fn connect(instance: &Arc<Instance>) -> Box<dyn Session> {
    let login = Login {
        user: "cutover".to_owned(),
        password: "secret".to_owned(),
        host: "ADMIN-01".to_owned(),
        program: "cutover test".to_owned(),
        ..Login::default()
    };
    Front(Arc::clone(instance)).login(&login).map_err(|refusals| refusals[0].text.clone()).expect("a login")
}

#[test]
fn a_wrong_password_or_database_is_refused_with_its_number() {
    let stage = Stage::quiet();
    let front = Front(Arc::clone(&stage.instance));
    let refused = |user: &str, password: &str, database: &str| {
        let login = Login { user: user.into(), password: password.into(), database: database.into(), ..Login::default() };
        let refusals = front.login(&login).err().unwrap_or_default();
        refusals.iter().map(|refusal| (refusal.number, refusal.severity)).collect::<Vec<_>>()
    };
    assert_eq!(refused("cutover", "wrong", ""), [(18456, 14)]);
    assert_eq!(refused("sa", "secret", ""), [(18456, 14)]);
    assert_eq!(refused("cutover", "secret", "mgc"), [(4060, 11), (18456, 14)]);
    assert_eq!(refused("cutover", "secret", "nowhere"), [(4060, 11), (18456, 14)]);
    assert_eq!(refused("CUTOVER", "secret", "msdb"), []);
}

#[test]
fn a_session_leaves_with_its_locks_and_its_id_is_free_again() {
    let stage = Stage::quiet();
    let mut other = connect(&stage.instance);
    let id = other.id();
    assert_ne!(id, stage.id());
    let mut tape = Tape::default();
    let text = "EXEC sp_getapplock @Resource = 'x', @LockMode = 'Exclusive', @LockOwner = 'Session'";
    other.run(&Request::Batch { text: text.into(), parameters: Vec::new() }, &mut tape);
    assert_eq!(stage.instance.lock().locks.len(), 1);
    drop(other);
    assert_eq!(stage.instance.lock().locks.len(), 0);
    assert_eq!(connect(&stage.instance).id(), id);
}

#[test]
fn connections_are_sessions_of_their_own() {
    fn sent<T: Send>() {}
    sent::<Connection>();
}
