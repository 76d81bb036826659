//! The statements that `statement.rs` reads out of a batch. Every node keeps its byte range. What recovery work has no
//! word for is [`StatementKind::Other`], with its text left to whoever knows more.

use std::ops::Range;

/// One batch: statements in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub statements: Vec<Statement>,
}

/// One statement and where it stands, without its semicolon.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub kind: StatementKind,
    pub range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    Restore(Restore),
    Backup(Backup),
    Kill(Kill),
    AlterDatabase(AlterDatabase),
    DropDatabase(DropDatabase),
    Use(Value),
    Exec(Exec),
    /// `SET NOCOUNT ON` and its kin: the option's words in upper case, and all that follows them
    SetOption(SetOption),
    /// `SET @name = expression`, also with `+=` and its kin
    SetVariable {
        name: Name,
        value: Expression,
    },
    Declare(Vec<Declaration>),
    If {
        condition: Expression,
        then: Box<Statement>,
        otherwise: Option<Box<Statement>>,
    },
    While {
        condition: Expression,
        body: Box<Statement>,
    },
    /// BEGIN ... END
    Block(Vec<Statement>),
    /// BEGIN TRY ... END TRY BEGIN CATCH ... END CATCH
    Try {
        body: Vec<Statement>,
        catch: Vec<Statement>,
    },
    Print(Expression),
    /// WAITFOR DELAY
    WaitDelay(Value),
    /// WAITFOR TIME
    WaitTime(Value),
    BeginTransaction,
    Commit,
    /// ROLLBACK, of a transaction or to a savepoint
    Rollback,
    Raiserror(Raiserror),
    /// RETURN, BREAK, CONTINUE: the word in upper case
    Jump(&'static str),
    /// Anything else. `keyword` is its first word in upper case; the statement's range is its text.
    Other {
        keyword: String,
    },
}

/// A name with its place: `@db` without delimiters, a column, an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub range: Range<usize>,
}

/// Text that some other parser must understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub range: Range<usize>,
}

/// A value or a name as the grammar takes it: often either a literal, a variable or a bare word will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub kind: ValueKind,
    pub range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// a string literal's meaning
    Text(String),
    /// digits as written, with a sign if it has one
    Number(String),
    /// `0x1F` as written
    Binary(String),
    /// `@name`, with its `@`
    Variable(String),
    /// `@@NAME`
    Global(String),
    /// an identifier's meaning, plain or delimited
    Word(String),
    /// `{name}`, without the braces
    Placeholder(String),
    Null,
    Default,
}

impl Value {
    /// The text it stands for, if that is known without a server: a literal or a name.
    pub fn literal(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Text(text) | ValueKind::Number(text) | ValueKind::Word(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number it stands for, if that is known without a server.
    pub fn integer(&self) -> Option<i64> {
        match &self.kind {
            ValueKind::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// `@name`, if it is a variable.
    pub fn variable(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Variable(name) => Some(name),
            _ => None,
        }
    }
}

/// Which RESTORE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreKind {
    Database,
    Log,
    HeaderOnly,
    FileListOnly,
    LabelOnly,
    VerifyOnly,
    RewindOnly,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Restore {
    pub kind: RestoreKind,
    /// LOG and DATABASE only
    pub database: Option<Value>,
    /// single files, filegroups or pages named before FROM
    pub parts: Vec<WithOption>,
    /// empty: no FROM
    pub from: Vec<Device>,
    pub options: Vec<WithOption>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// BACKUP LOG, else BACKUP DATABASE
    pub log: bool,
    pub database: Value,
    pub parts: Vec<WithOption>,
    pub to: Vec<Device>,
    /// MIRROR TO
    pub mirrors: Vec<Device>,
    pub options: Vec<WithOption>,
}

/// `DISK = 'path'`, or a named device (then `kind` is empty).
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// DISK, TAPE, URL, DATABASE_SNAPSHOT, VIRTUAL_DEVICE in upper case
    pub kind: String,
    pub place: Value,
    pub range: Range<usize>,
}

/// One option after WITH.
#[derive(Clone, Debug, PartialEq)]
pub struct WithOption {
    /// upper case
    pub name: String,
    pub value: Option<Value>,
    /// MOVE's target, STOPATMARK's AFTER
    pub to: Option<Value>,
    pub range: Range<usize>,
}

/// Asks options by name.
pub trait Options {
    fn list(&self) -> &[WithOption];

    /// The first of this name (upper case).
    fn option(&self, name: &str) -> Option<&WithOption> {
        self.list().iter().find(|option| option.name == name)
    }

    /// True if it is given at all.
    fn has(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    /// Its value, if it is given with one.
    fn value(&self, name: &str) -> Option<&Value> {
        self.option(name).and_then(|option| option.value.as_ref())
    }
}

impl Options for Restore {
    fn list(&self) -> &[WithOption] {
        &self.options
    }
}

impl Options for Backup {
    fn list(&self) -> &[WithOption] {
        &self.options
    }
}

impl Restore {
    /// True if the statement, when it succeeds, ends the restore sequence: LOG or DATABASE without NORECOVERY and
    /// without STANDBY, because RECOVERY is what SQL Server does when nothing is said ("RESTORE Statements - Arguments").
    pub fn recovers(&self) -> bool {
        matches!(self.kind, RestoreKind::Database | RestoreKind::Log) && !self.has("NORECOVERY") && !self.has("STANDBY")
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Kill {
    /// a session id, a unit of work as text, or a placeholder
    pub session: Value,
    pub status_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlterDatabase {
    /// `None`: ALTER DATABASE CURRENT
    pub database: Option<Value>,
    pub changes: Vec<DatabaseChange>,
    pub termination: Option<Termination>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseChange {
    pub kind: DatabaseChangeKind,
    pub range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseChangeKind {
    SingleUser,
    RestrictedUser,
    MultiUser,
    Online,
    Offline,
    Emergency,
    ReadOnly,
    ReadWrite,
    /// FULL, BULK_LOGGED or SIMPLE
    Recovery(String),
    /// SET PARTNER = 'TCP://host:5022'
    Partner(Value),
    /// SET PARTNER FAILOVER, OFF, RESUME, SUSPEND, FORCE_SERVICE_ALLOW_DATA_LOSS, SAFETY FULL, SAFETY OFF, TIMEOUT n:
    /// the words in upper case, one blank between
    PartnerAction(String),
    /// SET WITNESS = 'TCP://...'
    Witness(Value),
    WitnessOff,
    /// any other option, its words in upper case, one blank between
    Other(String),
}

/// WITH ... of ALTER DATABASE SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    RollbackImmediate,
    /// seconds; `None` when it is a placeholder
    RollbackAfter(Option<u32>),
    NoWait,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DropDatabase {
    pub if_exists: bool,
    pub databases: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub target: ExecTarget,
    /// `@rc` of `EXEC @rc = p`
    pub status: Option<Name>,
    pub arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExecTarget {
    /// A procedure by name: its parts as meant, `msdb..p` has an empty one in the middle.
    Procedure { parts: Vec<Value>, range: Range<usize> },
    /// EXEC @name: the procedure is known only to the server
    Variable(Name),
    /// EXEC ('text'), with or without AT: the text is known only to the server
    Text(Expression),
}

impl ExecTarget {
    /// The procedure's name in lower case with dots, as far as it is written out.
    pub fn name(&self) -> Option<String> {
        match self {
            ExecTarget::Procedure { parts, .. } => {
                let parts: Option<Vec<&str>> = parts.iter().map(Value::literal).collect();
                Some(parts?.join(".").to_lowercase())
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// `@name` of `@name = value`
    pub name: Option<Name>,
    pub value: Value,
    pub output: bool,
    pub range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SetOption {
    /// `NOCOUNT`, `LOCK_TIMEOUT`, `TRANSACTION ISOLATION LEVEL`, `STATISTICS IO`; upper case, one blank between
    pub name: String,
    /// what follows: `ON`, `OFF`, `READ COMMITTED`, `5000`; upper case, one blank between
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub name: Name,
    /// the type as written
    pub ty: Expression,
    pub value: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Raiserror {
    pub arguments: Vec<Expression>,
    /// LOG, NOWAIT, SETERROR in upper case
    pub options: Vec<String>,
}
