//! The server's side of TDS 7.4: sockets, TLS, login, packets and tokens. What a statement means is decided behind the
//! [`Engine`] trait (`lab/statements.rs`); here are only bytes.

mod answer;
pub mod certificate;
mod cursor;
pub mod error;
mod link;
mod login;
#[cfg(feature = "ntlm")]
mod ntlm;
mod prepared;
mod requests;
pub mod server;
mod session;
mod tokens;
mod values;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::certificate::{Certificate, Claims};
pub use self::error::StartError;
pub use self::server::{Connections, Encryption, LOGIN_TIME, Server, ServerOptions, TlsAge};

/// What a client said in LOGIN7.
#[derive(Clone, Default)]
pub struct Login {
    pub user: String,
    pub password: String,
    /// empty: the login's default database
    pub database: String,
    pub host: String,
    pub program: String,
    pub process_id: u32,
    /// `user` is a Windows account, `DOMAIN\user`, and the password is proved already
    pub windows: bool,
    /// the connection stays encrypted after its login
    pub encrypted: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("database", &self.database)
            .field("host", &self.host)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// One value on the wire, in either direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bit(bool),
    TinyInt(u8),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Real(f32),
    Float(f64),
    Numeric {
        value: i128,
        scale: u8,
    },
    /// in ten-thousandths
    Money(i64),
    Text(String),
    Binary(Vec<u8>),
    Guid(uuid::Uuid),
    Date(jiff::civil::Date),
    Time(jiff::civil::Time),
    DateTime(jiff::civil::DateTime),
    /// the local time and its distance from UTC in minutes
    DateTimeOffset(jiff::civil::DateTime, i16),
}

/// The declared type of a column or parameter. Lengths in characters or bytes; `None` is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    Numeric {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    NVarChar(Option<u16>),
    VarChar(Option<u16>),
    NChar(u16),
    Char(u16),
    VarBinary(Option<u16>),
    Binary(u16),
    Guid,
    Date,
    Time(u8),
    DateTime,
    SmallDateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    /// a type that our own client refuses by name
    SqlVariant,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub ty: Type,
}

/// One parameter of an RPC; `name` with its `@`, or empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub ty: Type,
    pub value: Cell,
    pub output: bool,
}

/// One INFO or ERROR token; severity 10 or less goes out as INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage {
    pub number: i32,
    pub severity: u8,
    pub state: u8,
    pub text: String,
    /// empty outside a procedure
    pub procedure: String,
    pub line: u32,
}

/// What a client asks for after login.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A batch of text; with parameters when it came inside `sp_executesql`.
    Batch { text: String, parameters: Vec<Parameter> },
    /// A procedure by RPC, by name.
    Procedure { name: String, parameters: Vec<Parameter> },
}

impl Request {
    pub fn parameters(&self) -> &[Parameter] {
        match self {
            Self::Batch { parameters, .. } | Self::Procedure { parameters, .. } => parameters,
        }
    }
}

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Began,
    Committed,
    RolledBack,
}

/// Where a session puts its answer. Calls block when the client does not read.
pub trait Reply {
    fn columns(&mut self, columns: &[Column]);
    fn row(&mut self, cells: &[Cell]);
    fn message(&mut self, message: ServerMessage);
    /// End of one statement; `count` is its rows affected or returned, if it counts.
    fn done(&mut self, count: Option<u64>);
    /// The database context changed (ENVCHANGE 1).
    fn database(&mut self, old: &str, new: &str);
    /// T-SQL text opened the outermost transaction, or ended it (ENVCHANGE 8 to 10).
    fn transaction(&mut self, turn: Turn);
    fn status(&mut self, status: i32);
    fn output(&mut self, parameter: &Parameter);
    /// Sends what is buffered now, without ending the answer: messages of a long statement arrive as they come.
    fn flush(&mut self);
    /// True once the client sent an attention or is gone.
    fn cancelled(&self) -> bool;
    /// True once the connection is gone (an attention alone does not set it).
    fn disconnected(&self) -> bool;
    /// Sleeps at most `time`; returns true, early, once [`Reply::cancelled`].
    fn wait(&mut self, time: Duration) -> bool;
    /// Closes the connection at once, without an answer, as a cut cable does. What is said after it goes nowhere.
    fn cut(&mut self) {}
}

/// One instance of SQL Server behind a listening socket.
pub trait Engine: Send + Sync + 'static {
    /// Accepts or refuses a login; 18456 and its kin are given as the errors, in order.
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, Vec<ServerMessage>>;
    /// The password of a Windows account, `DOMAIN\user`, for the proof that its logins bring; `None` if it is not known.
    fn windows_password(&self, _account: &str) -> Option<String> {
        None
    }
    /// The domain of the machine, as NetBIOS knows it.
    fn domain(&self) -> String {
        "WORKGROUP".to_owned()
    }
    /// `@@SERVERNAME`, as tokens carry it.
    fn server_name(&self) -> String;
    /// major, minor, build: (12, 0, 6024) is SQL Server 2014.
    fn version(&self) -> (u8, u8, u16);
    /// Something arrived: returns the record's number, to be completed by [`Engine::answered`]. Must not block for long: an
    /// attention is told by the task that reads the socket.
    fn received(&self, session: u16, kind: &'static str, text: &str, parameters: &[Parameter]) -> u64;
    /// The answer to record `n` ended with these errors, in order.
    fn answered(&self, n: u64, errors: Vec<i32>);
}

/// One logged-in connection. Runs on a thread of its own.
pub trait Session: Send {
    /// The session id (`@@SPID`), from 51 up.
    fn id(&self) -> u16;
    /// The database the login ended up in.
    fn database(&self) -> String;
    fn run(&mut self, request: &Request, reply: &mut dyn Reply);
    /// Compiles a text without running it: the columns of its first result, none if it has none. `None`: it cannot be
    /// compiled, and `reply` was told why.
    fn describe(&mut self, text: &str, parameters: &[Parameter], reply: &mut dyn Reply) -> Option<Vec<Column>>;
    /// A transaction was opened or ended by the transaction manager's requests, which carry no text.
    fn transaction(&mut self, _open: bool) {}
    /// The client takes the connection from its pool and wants it as after login.
    fn reset(&mut self) {}
}
