//! The part of the grammar that `statement.rs` reads for recovery work: RESTORE, BACKUP, ALTER DATABASE SET and DROP
//! DATABASE. Shapes from Microsoft's pages "RESTORE Statements", "BACKUP" and "ALTER DATABASE SET options".

use super::lex::TokenKind;
use super::statement::{Parsed, Parser, SyntaxError};
use super::syntax::{
    AlterDatabase, Backup, DatabaseChange, DatabaseChangeKind, Device, DropDatabase, Restore, RestoreKind, StatementKind, Termination,
    ValueKind, WithOption,
};

/// Whether an option takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// `= value`
    Value,
    /// `[= value]`
    Maybe,
}

const RESTORE_OPTIONS: &[(&str, Takes)] = &[
    ("BLOCKSIZE", Takes::Value),
    ("BUFFERCOUNT", Takes::Value),
    ("CHECKSUM", Takes::Nothing),
    ("CONTINUE_AFTER_ERROR", Takes::Nothing),
    ("CREDENTIAL", Takes::Value),
    ("DBNAME", Takes::Value),
    ("ENABLE_BROKER", Takes::Nothing),
    ("ERROR_BROKER_CONVERSATIONS", Takes::Nothing),
    ("FILE", Takes::Value),
    ("KEEP_CDC", Takes::Nothing),
    ("KEEP_REPLICATION", Takes::Nothing),
    ("LOADHISTORY", Takes::Nothing),
    ("MAXTRANSFERSIZE", Takes::Value),
    ("MEDIANAME", Takes::Value),
    ("MEDIAPASSWORD", Takes::Value),
    ("MOVE", Takes::Nothing),
    ("NEW_BROKER", Takes::Nothing),
    ("NORECOVERY", Takes::Nothing),
    ("NOREWIND", Takes::Nothing),
    ("NOUNLOAD", Takes::Nothing),
    ("NO_CHECKSUM", Takes::Nothing),
    ("PARTIAL", Takes::Nothing),
    ("PASSWORD", Takes::Value),
    ("RECOVERY", Takes::Nothing),
    ("REPLACE", Takes::Nothing),
    ("RESTART", Takes::Nothing),
    ("RESTRICTED_USER", Takes::Nothing),
    ("REWIND", Takes::Nothing),
    ("STANDBY", Takes::Value),
    ("STATS", Takes::Maybe),
    ("STOPAT", Takes::Value),
    ("STOPATMARK", Takes::Value),
    ("STOPBEFOREMARK", Takes::Value),
    ("STOP_ON_ERROR", Takes::Nothing),
    ("UNLOAD", Takes::Nothing),
];

const BACKUP_OPTIONS: &[(&str, Takes)] = &[
    ("BLOCKSIZE", Takes::Value),
    ("BUFFERCOUNT", Takes::Value),
    ("CHECKSUM", Takes::Nothing),
    ("COMPRESSION", Takes::Nothing),
    ("CONTINUE_AFTER_ERROR", Takes::Nothing),
    ("COPY_ONLY", Takes::Nothing),
    ("CREDENTIAL", Takes::Value),
    ("DESCRIPTION", Takes::Value),
    ("DIFFERENTIAL", Takes::Nothing),
    ("ENCRYPTION", Takes::Nothing),
    ("EXPIREDATE", Takes::Value),
    ("FILE_SNAPSHOT", Takes::Nothing),
    ("FORMAT", Takes::Nothing),
    ("INIT", Takes::Nothing),
    ("MAXTRANSFERSIZE", Takes::Value),
    ("MEDIADESCRIPTION", Takes::Value),
    ("MEDIANAME", Takes::Value),
    ("MEDIAPASSWORD", Takes::Value),
    ("NAME", Takes::Value),
    ("NOFORMAT", Takes::Nothing),
    ("NOINIT", Takes::Nothing),
    ("NORECOVERY", Takes::Nothing),
    ("NOREWIND", Takes::Nothing),
    ("NOSKIP", Takes::Nothing),
    ("NOUNLOAD", Takes::Nothing),
    ("NO_CHECKSUM", Takes::Nothing),
    ("NO_COMPRESSION", Takes::Nothing),
    ("NO_TRUNCATE", Takes::Nothing),
    ("PASSWORD", Takes::Value),
    ("RESTART", Takes::Nothing),
    ("RETAINDAYS", Takes::Value),
    ("REWIND", Takes::Nothing),
    ("SKIP", Takes::Nothing),
    ("STANDBY", Takes::Value),
    ("STATS", Takes::Maybe),
    ("STOP_ON_ERROR", Takes::Nothing),
    ("UNLOAD", Takes::Nothing),
];

/// Words that may stand for `DISK` in `DISK = 'path'`.
const DEVICES: [&str; 5] = ["DISK", "TAPE", "URL", "VIRTUAL_DEVICE", "DATABASE_SNAPSHOT"];

impl Parser<'_> {
    pub(super) fn restore(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        let kind = match self.word().as_deref() {
            Some("DATABASE") => RestoreKind::Database,
            Some("LOG" | "TRAN" | "TRANSACTION") => RestoreKind::Log,
            Some("HEADERONLY") => RestoreKind::HeaderOnly,
            Some("FILELISTONLY") => RestoreKind::FileListOnly,
            Some("LABELONLY") => RestoreKind::LabelOnly,
            Some("VERIFYONLY") => RestoreKind::VerifyOnly,
            Some("REWINDONLY") => RestoreKind::RewindOnly,
            // keys and certificates: not ours
            Some("SERVICE" | "MASTER") => return self.other("RESTORE"),
            _ => return Err(self.near()),
        };
        self.at += 1;
        let (mut database, mut parts) = (None, Vec::new());
        let named = matches!(kind, RestoreKind::Database | RestoreKind::Log);
        if named {
            database = Some(self.name_value()?);
            parts = self.parts(&["FROM", "WITH"])?;
        }
        let from = if self.eat_word("FROM") { self.devices()? } else { Vec::new() };
        if from.is_empty() && !named {
            return Err(self.near());
        }
        let options = self.options("RESTORE", RESTORE_OPTIONS)?;
        // without FROM one of the three must say what to do ("RESTORE Statements - Arguments")
        let says = |name: &str| options.iter().any(|option| option.name == name);
        if from.is_empty() && !(says("RECOVERY") || says("NORECOVERY") || says("STANDBY")) {
            return Err(self.near());
        }
        Ok(StatementKind::Restore(Restore { kind, database, parts, from, options }))
    }

    pub(super) fn backup(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        let log = match self.word().as_deref() {
            Some("DATABASE") => false,
            Some("LOG" | "TRAN" | "TRANSACTION") => true,
            Some("CERTIFICATE" | "MASTER" | "SERVICE" | "SYMMETRIC") => {
                return self.other("BACKUP");
            }
            _ => return Err(self.near()),
        };
        self.at += 1;
        let database = self.name_value()?;
        let parts = self.parts(&["TO", "WITH"])?;
        let to = if self.eat_word("TO") { self.devices()? } else { Vec::new() };
        let mut mirrors = Vec::new();
        while self.eat_word("MIRROR") {
            self.expect_word("TO")?;
            mirrors.extend(self.devices()?);
        }
        let options = self.options("BACKUP", BACKUP_OPTIONS)?;
        if to.is_empty() {
            return Err(self.near());
        }
        Ok(StatementKind::Backup(Backup { log, database, parts, to, mirrors, options }))
    }

    /// FILE = 'x', FILEGROUP = 'x', PAGE = 'x', READ_WRITE_FILEGROUPS between the name and FROM or TO.
    fn parts(&mut self, until: &[&str]) -> Parsed<Vec<WithOption>> {
        let mut parts = Vec::new();
        while !self.ends_here() && !until.iter().any(|word| self.word_at(0, word)) {
            let start = self.start();
            let name = self.take_word()?;
            let value = match name.as_str() {
                "FILE" | "FILEGROUP" | "PAGE" => {
                    self.expect_operator("=")?;
                    Some(self.value()?)
                }
                "READ_WRITE_FILEGROUPS" => None,
                _ => {
                    self.at -= 1;
                    return Err(self.near());
                }
            };
            parts.push(WithOption { name, value, to: None, range: self.since(start) });
            if !self.eat_operator(",") {
                break;
            }
        }
        Ok(parts)
    }

    fn devices(&mut self) -> Parsed<Vec<Device>> {
        let mut devices = Vec::new();
        loop {
            let start = self.start();
            let word = self.word().filter(|word| DEVICES.contains(&word.as_str()) && self.operator_at(1, "="));
            let kind = match word {
                Some(word) => {
                    self.at += 2;
                    word
                }
                None => String::new(),
            };
            let at = self.at;
            let place = self.value()?;
            let fits = match place.kind {
                ValueKind::Variable(_) | ValueKind::Placeholder(_) => true,
                ValueKind::Text(_) => !kind.is_empty(),
                ValueKind::Word(_) => kind.is_empty() || kind == "DATABASE_SNAPSHOT",
                _ => false,
            };
            if !fits {
                self.at = at;
                return Err(self.near());
            }
            devices.push(Device { kind, place, range: self.since(start) });
            if !self.eat_operator(",") {
                return Ok(devices);
            }
        }
    }

    fn options(&mut self, statement: &'static str, known: &[(&str, Takes)]) -> Parsed<Vec<WithOption>> {
        let mut options = Vec::new();
        if !self.eat_word("WITH") {
            return Ok(options);
        }
        loop {
            let start = self.start();
            let token = self.peek().ok_or_else(|| self.near())?;
            let name = self.take_word()?;
            let Some((_, takes)) = known.iter().find(|(option, _)| *option == name) else {
                let option = token.text(self.text).to_owned();
                return Err(SyntaxError::UnknownOption { option, statement, range: token.range() });
            };
            let (mut value, mut to) = (None, None);
            match (name.as_str(), takes) {
                ("MOVE", _) => {
                    value = Some(self.value()?);
                    self.expect_word("TO")?;
                    to = Some(self.value()?);
                }
                ("ENCRYPTION", _) => self.skip_parentheses()?,
                (_, Takes::Nothing) => {}
                (_, Takes::Maybe) => {
                    if self.eat_operator("=") {
                        value = Some(self.value()?);
                    }
                }
                (_, Takes::Value) => {
                    self.expect_operator("=")?;
                    value = Some(self.value()?);
                    if name.starts_with("STOP") && self.eat_word("AFTER") {
                        to = Some(self.value()?);
                    }
                }
            }
            options.push(WithOption { name, value, to, range: self.since(start) });
            if !self.eat_operator(",") {
                return Ok(options);
            }
        }
    }

    pub(super) fn alter_database(&mut self) -> Parsed<StatementKind> {
        let at = self.at;
        self.at += 2;
        let database = if self.eat_word("CURRENT") { None } else { Some(self.name_value()?) };
        if !self.eat_word("SET") {
            self.at = at;
            return self.other("ALTER");
        }
        let mut changes = Vec::new();
        loop {
            let start = self.start();
            let kind = self.database_change()?;
            changes.push(DatabaseChange { kind, range: self.since(start) });
            if !self.eat_operator(",") {
                break;
            }
        }
        let mut termination = None;
        if self.eat_word("WITH") {
            termination = Some(if self.eat_word("NO_WAIT") {
                Termination::NoWait
            } else {
                self.expect_word("ROLLBACK")?;
                if self.eat_word("IMMEDIATE") {
                    Termination::RollbackImmediate
                } else {
                    self.expect_word("AFTER")?;
                    let at = self.at;
                    let value = self.value()?;
                    let seconds = value.integer().and_then(|n| u32::try_from(n).ok());
                    if seconds.is_none() && !matches!(value.kind, ValueKind::Placeholder(_)) {
                        self.at = at;
                        return Err(self.near());
                    }
                    self.eat_word("SECONDS");
                    Termination::RollbackAfter(seconds)
                }
            });
        }
        Ok(StatementKind::AlterDatabase(AlterDatabase { database, changes, termination }))
    }

    fn database_change(&mut self) -> Parsed<DatabaseChangeKind> {
        let word = self.take_word()?;
        Ok(match word.as_str() {
            "SINGLE_USER" => DatabaseChangeKind::SingleUser,
            "RESTRICTED_USER" => DatabaseChangeKind::RestrictedUser,
            "MULTI_USER" => DatabaseChangeKind::MultiUser,
            "ONLINE" => DatabaseChangeKind::Online,
            "OFFLINE" => DatabaseChangeKind::Offline,
            "EMERGENCY" => DatabaseChangeKind::Emergency,
            "READ_ONLY" => DatabaseChangeKind::ReadOnly,
            "READ_WRITE" => DatabaseChangeKind::ReadWrite,
            "RECOVERY" => match self.word().as_deref() {
                Some("FULL" | "BULK_LOGGED" | "SIMPLE") => DatabaseChangeKind::Recovery(self.take_word()?),
                _ => return Err(self.near()),
            },
            "PARTNER" | "WITNESS" if self.eat_operator("=") => {
                let at = self.at;
                let value = self.value()?;
                if !matches!(value.kind, ValueKind::Text(_)) {
                    self.at = at;
                    return Err(self.near());
                }
                if word == "PARTNER" { DatabaseChangeKind::Partner(value) } else { DatabaseChangeKind::Witness(value) }
            }
            "WITNESS" => {
                self.expect_word("OFF")?;
                DatabaseChangeKind::WitnessOff
            }
            "PARTNER" => {
                let action = self.take_word()?;
                match action.as_str() {
                    "FAILOVER" | "FORCE_SERVICE_ALLOW_DATA_LOSS" | "OFF" | "RESUME" | "SUSPEND" => {
                        DatabaseChangeKind::PartnerAction(action)
                    }
                    "SAFETY" => match self.word().as_deref() {
                        Some("FULL" | "OFF") => DatabaseChangeKind::PartnerAction(format!("SAFETY {}", self.take_word()?)),
                        _ => return Err(self.near()),
                    },
                    "TIMEOUT" => {
                        let value = self.value()?;
                        let shown = self.text[value.range.clone()].to_owned();
                        DatabaseChangeKind::PartnerAction(format!("TIMEOUT {shown}"))
                    }
                    _ => {
                        self.at -= 1;
                        return Err(self.near());
                    }
                }
            }
            _ => {
                let mut words = vec![word];
                while !self.ends_here() && !self.operator_at(0, ",") && !self.word_at(0, "WITH") {
                    if self.operator_at(0, "(") {
                        self.skip_parentheses()?;
                        continue;
                    }
                    if let Some(token) = self.peek() {
                        let text = token.text(self.text);
                        let plain = token.kind == TokenKind::Word;
                        words.push(if plain { text.to_ascii_uppercase() } else { text.to_owned() });
                    }
                    self.at += 1;
                }
                DatabaseChangeKind::Other(words.join(" "))
            }
        })
    }

    pub(super) fn drop_database(&mut self) -> Parsed<StatementKind> {
        // DROP DATABASE SCOPED CREDENTIAL, AUDIT SPECIFICATION, ENCRYPTION KEY drop no database, but change all the same
        if (self.word_at(2, "SCOPED") || self.word_at(2, "AUDIT") || self.word_at(2, "ENCRYPTION"))
            && ["CREDENTIAL", "CONFIGURATION", "SPECIFICATION", "KEY"].iter().any(|word| self.word_at(3, word))
        {
            return self.other("DROP");
        }
        self.at += 2;
        let mut if_exists = false;
        if self.eat_word("IF") {
            self.expect_word("EXISTS")?;
            if_exists = true;
        }
        let mut databases = vec![self.name_value()?];
        while self.eat_operator(",") {
            databases.push(self.name_value()?);
        }
        Ok(StatementKind::DropDatabase(DropDatabase { if_exists, databases }))
    }
}
