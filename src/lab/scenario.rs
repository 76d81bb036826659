//! A scenario: the scene a lab opens with, and what is wrong in it. Read from TOML; the embedded ones lie in
//! `runbooks/scenarios/`. Says what is there, never how a server answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use include_dir::{Dir, include_dir};
use jiff::Timestamp;
use miette::Diagnostic;
use serde::Deserialize;

use super::rights::Rights;
use super::shell::ShellFault;
use super::statements::breaks::{Break, When};
use super::verdict::Expect;

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/runbooks/scenarios");

/// The servers that a lab serves, by the keys of its site file.
pub const SERVERS: [&str; 2] = [BACKUP, "backup_mirror"];
/// The server that is to become the primary.
pub const BACKUP: &str = "backup";

/// The scene and its faults. Log backups of mgc are counted from 1, oldest first; times are in seconds at pace 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Scenario {
    /// one line for the list of scenarios
    pub summary: String,
    /// the lab's time when it opens; without it: now, at the full minute
    pub now: Option<Timestamp>,
    /// what the servers' clocks show besides UTC: headers and msdb hold local time, file names UTC
    pub utc_offset_minutes: i32,
    /// log backups of mgc on the share
    pub logs: u32,
    /// of those, the first that are applied on the backup instance
    pub applied: u32,
    /// how many more are in the copy folder, not applied
    pub copied: u32,
    pub minutes_between: u32,
    /// age of the newest log backup when the lab opens
    pub newest_minutes_ago: u32,
    /// payload of a log backup
    pub bytes: u64,
    /// payloads are zeros that take no room on the disk
    pub sparse: bool,
    /// `.wrk` files left on the share by the primary
    pub work_files: u32,
    /// mgc is read-only between restores (STANDBY) instead of RESTORING
    pub standby: bool,
    /// sessions that read mgc in STANDBY
    pub readers: u16,
    /// they are back at once after a KILL
    pub readers_reconnect: bool,
    /// how long LSCopy still runs after the lab has opened
    pub copy_job_seconds: f64,
    /// simulated duration of one RESTORE LOG
    pub restore_seconds: f64,
    /// simulated duration of recovery
    pub recovery_seconds: f64,
    /// simulated duration of loading the management shell's module, and of a change's way to the replicas
    pub import_seconds: f64,
    pub replication_seconds: f64,
    /// log shipping of mgc is set up on the backup instance
    pub log_shipping: bool,
    /// log shipping stopped that many days before the rest of the log backups was taken: the copy folder has what was there
    /// then, the share only what is newer, and what lay between is pruned
    pub stalled_days: u32,
    /// somebody has brought mgc online already
    pub recovered: bool,
    /// the site file names instances instead of ports, which each machine's SQL Server Browser tells
    pub named_instances: bool,
    /// the servers' version
    pub version: Version,
    /// what the lab's login may do on them
    pub login: Rights,
    /// major, minor and build of the primary, which wrote the log backups; without it: as the other servers
    pub primary_version: Option<(u8, u8, u16)>,
    /// what is wrong, in order
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
    /// what is wrong in the management shell
    #[serde(rename = "shell-fault")]
    pub shell_faults: Vec<ShellFault>,
    /// what the operator answers where `--yes` is given, by the id of the question; of a `confirm` yes or no
    pub answers: BTreeMap<String, String>,
    /// what a good runbook makes of it
    pub expect: Expect,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            summary: String::new(),
            now: None,
            utc_offset_minutes: 0,
            logs: 24,
            applied: 12,
            copied: 4,
            minutes_between: 15,
            newest_minutes_ago: 6,
            bytes: 64 * 1024,
            sparse: false,
            work_files: 1,
            standby: false,
            readers: 0,
            readers_reconnect: false,
            copy_job_seconds: 1.0,
            restore_seconds: 0.3,
            recovery_seconds: 0.5,
            import_seconds: 1.0,
            replication_seconds: 2.0,
            log_shipping: true,
            stalled_days: 0,
            recovered: false,
            named_instances: false,
            version: Version::default(),
            login: Rights::default(),
            primary_version: None,
            faults: Vec::new(),
            shell_faults: Vec::new(),
            answers: BTreeMap::new(),
            expect: Expect::default(),
        }
    }
}

/// A version of SQL Server that the lab plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Version {
    #[serde(rename = "2008R2")]
    R2008,
    #[default]
    #[serde(rename = "2014")]
    R2014,
}

impl Version {
    /// Major, minor and build, of the last service pack of each.
    pub fn number(self) -> (u8, u8, u16) {
        match self {
            Self::R2008 => (10, 50, 6000),
            Self::R2014 => (12, 0, 6024),
        }
    }
}

/// Where a file fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Share,
    Copy,
    #[default]
    Everywhere,
}

/// One thing that is wrong. `log` names a log backup by its number.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Fault {
    /// the file is not there
    MissingLog {
        log: u32,
        #[serde(default)]
        place: Place,
    },
    /// the file ends early: after `keep` bytes (default: in the middle of the payload)
    TruncatedLog {
        log: u32,
        #[serde(default)]
        place: Place,
        #[serde(default)]
        keep: Option<u64>,
    },
    /// a byte in the payload differs from what was written
    DamagedLog {
        log: u32,
        #[serde(default)]
        place: Place,
    },
    /// the file is there and has no byte
    EmptyFile {
        log: u32,
        #[serde(default)]
        place: Place,
    },
    /// one more file, of another database, taken with log backup `log`; `name` is its file name
    OtherDatabase {
        log: u32,
        #[serde(default)]
        place: Place,
        #[serde(default)]
        database: Option<String>,
        #[serde(default)]
        name: Option<String>,
    },
    /// one more file of mgc, of another recovery fork, taken with log backup `log`
    OtherFork {
        log: u32,
        #[serde(default)]
        place: Place,
    },
    /// log backups `log` up to `last` are sets of the first one's file
    SeveralSets { log: u32, last: u32 },
    /// one more file after log backup `log`: a log backup in which nothing happened
    EmptyLog { log: u32 },
    /// one more file with the same part of the log as `log`, taken with COPY_ONLY
    CopyOnlyLog { log: u32 },
    /// the file is being written: it has grown to about half when the lab opens, and is whole after `seconds`, real ones at any
    /// pace. `bytes` is its payload: large enough that nobody reads it between two writes
    GrowingFile { log: u32, bytes: u64, seconds: f64 },
    /// its payload has that many bytes; none of them takes room on the disk
    LargeLog { log: u32, bytes: u64 },
    /// the restore job was killed within this log backup, the next one to be applied
    RestoreInterrupted { log: u32 },
    /// a job of log shipping runs when the lab opens, for so many real seconds at any pace
    JobRunning { job: ShippingJob, seconds: f64 },
    /// this account may not read what comes into the folder after the lab has opened
    CannotRead { account: Account, place: Place },
    /// the nth RESTORE LOG on the backup instance raises this number although the set fits
    RestoreFails { nth: u32, number: i32 },
    /// the login is refused on this server
    LoginFails { server: String },
    /// what this server offers of encryption is not what a site takes unasked; the site file stays as it is
    Tls {
        #[serde(default = "backup")]
        server: String,
        offers: Offers,
    },
    /// the monitor server of log shipping does not answer: what talks to it fails
    MonitorSilent,
    /// the nth batch or procedure call on this server whose text contains `text`, without regard to case, is carried out
    /// whole; then the connection is cut before anything of its answer is sent
    ReplyLost {
        #[serde(default = "backup")]
        server: String,
        text: String,
        #[serde(default = "first")]
        nth: u32,
    },
    /// the connection is cut as soon as that batch begins; the server goes on with it, takes `seconds` longer than usual over
    /// it, real ones at any pace, and then it takes effect
    ConnectionCut {
        #[serde(default = "backup")]
        server: String,
        text: String,
        #[serde(default = "first")]
        nth: u32,
        seconds: f64,
    },
    /// that batch takes `seconds` longer than usual, real ones at any pace
    Slow {
        #[serde(default = "backup")]
        server: String,
        text: String,
        #[serde(default = "first")]
        nth: u32,
        seconds: f64,
    },
    /// the share is gone as soon as that batch begins
    ShareVanishes {
        #[serde(default = "backup")]
        server: String,
        text: String,
        #[serde(default = "first")]
        nth: u32,
    },
}

/// The two jobs of log shipping on a secondary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShippingJob {
    Copy,
    Restore,
}

/// Who reads a backup file besides the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// the SQL Server service, which runs RESTORE
    SqlServer,
    /// the SQL Server Agent, which runs the jobs
    Agent,
}

/// What is wrong with a server's encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offers {
    /// nothing newer than TLS 1.0
    #[serde(rename = "tls-1.0")]
    Tls10,
    /// TLS 1.2 with cipher suites without forward secrecy alone
    OldSuites,
    /// the login is encrypted, what follows it is not
    LoginOnly,
    None,
    /// a certificate that ended yesterday
    Expired,
    /// a certificate of another machine
    WrongName,
    /// a certificate that the site's `ca` does not hold
    UnknownIssuer,
}

fn backup() -> String {
    BACKUP.to_owned()
}

fn first() -> u32 {
    1
}

impl Fault {
    /// What happens to a batch by this fault, and on which server.
    pub fn as_break(&self) -> Option<(&str, Break)> {
        let real = |seconds: &f64| Duration::try_from_secs_f64(*seconds).unwrap_or_default();
        let (server, text, nth, when) = match self {
            Self::ReplyLost { server, text, nth } => (server, text, nth, When::Answering),
            Self::ConnectionCut { server, text, nth, seconds } => (server, text, nth, When::Beginning(real(seconds))),
            Self::Slow { server, text, nth, seconds } => (server, text, nth, When::Lasting(real(seconds))),
            Self::ShareVanishes { server, text, nth } => (server, text, nth, When::ShareVanishing),
            _ => return None,
        };
        Some((server, Break { text: text.to_lowercase(), left: *nth, when }))
    }

    fn seconds(&self) -> f64 {
        match self {
            Self::ConnectionCut { seconds, .. }
            | Self::Slow { seconds, .. }
            | Self::JobRunning { seconds, .. }
            | Self::GrowingFile { seconds, .. } => *seconds,
            _ => 0.0,
        }
    }

    /// What is wrong with a fault, whatever else the scenario says.
    fn misplaced(&self) -> Option<String> {
        let tls = if let Self::Tls { server, .. } = self { Some(server.as_str()) } else { None };
        if let Some(server) = tls.or(self.as_break().map(|(server, _)| server)).filter(|server| !SERVERS.contains(server)) {
            return Some(format!("a fault names the server `{server}`; there are {}", SERVERS.join(" and ")));
        }
        if let Some((_, planned)) = self.as_break() {
            if planned.text.trim().is_empty() {
                return Some("a fault of a batch needs the `text` of its batch".to_owned());
            }
            if planned.left == 0 {
                return Some("batches are counted from 1: `nth` must not be 0".to_owned());
            }
        }
        if !(0.0..=86_400.0).contains(&self.seconds()) {
            return Some("durations are between 0 and 86400 seconds".to_owned());
        }
        None
    }

    /// The last log backup that this fault names.
    fn log(&self) -> Option<u32> {
        match self {
            Self::MissingLog { log, .. }
            | Self::TruncatedLog { log, .. }
            | Self::DamagedLog { log, .. }
            | Self::EmptyFile { log, .. }
            | Self::OtherDatabase { log, .. }
            | Self::OtherFork { log, .. }
            | Self::EmptyLog { log }
            | Self::CopyOnlyLog { log }
            | Self::GrowingFile { log, .. }
            | Self::LargeLog { log, .. }
            | Self::RestoreInterrupted { log }
            | Self::SeveralSets { last: log, .. } => Some(*log),
            _ => None,
        }
    }
}

/// Why a scenario cannot be had.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// A scenario is one that is built in, by its name, or a TOML file, by its path. The lab was not started.
    #[error("there is no scenario `{name}`")]
    #[diagnostic(code(cutover::lab::unknown_scenario), help("{meant}name one of {known}, or a .toml file"))]
    Unknown { name: String, meant: String, known: String },
    /// The scenario's file is not there, or cannot be read. The lab was not started.
    #[error("cannot read the scenario `{name}`")]
    #[diagnostic(code(cutover::lab::unreadable_scenario), help("give the path of a .toml file that can be read"))]
    Unreadable {
        name: String,
        #[source]
        source: std::io::Error,
    },
    /// The file is not valid TOML, or has a key or a value that scenarios do not have; docs/lab.md lists them. The lab was not
    /// started.
    #[error("the scenario `{name}` is not understood: {message}")]
    #[diagnostic(code(cutover::lab::bad_scenario), help("correct the marked place"))]
    Malformed {
        name: String,
        message: String,
        #[source_code]
        text: Arc<miette::NamedSource<String>>,
        #[label("here")]
        span: Option<miette::SourceSpan>,
    },
    /// Each key is right by itself, and together they describe a world that cannot be. The lab was not started.
    #[error("the scenario `{name}` contradicts itself: {problem}")]
    #[diagnostic(code(cutover::lab::impossible_scenario), help("change the numbers so that they fit together"))]
    Impossible { name: String, problem: String },
}

impl Scenario {
    /// The names of the embedded scenarios, sorted.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> =
            EMBEDDED.files().filter_map(|file| Some(file.path().file_name()?.to_str()?.strip_suffix(".toml")?.to_owned())).collect();
        names.sort();
        names
    }

    /// An embedded scenario by name, or one in a file if `name` ends in `.toml`.
    pub fn load(name: &str) -> Result<Self, ScenarioError> {
        if name.ends_with(".toml") {
            let text =
                std::fs::read_to_string(Path::new(name)).map_err(|source| ScenarioError::Unreadable { name: name.to_owned(), source })?;
            return Self::parse(name, &text);
        }
        match EMBEDDED.get_file(format!("{name}.toml")).and_then(|file| file.contents_utf8()) {
            Some(text) => Self::parse(name, text),
            None => {
                let names = Self::names();
                let meant = crate::facts::nearest(name, names.iter().map(String::as_str));
                let meant = meant.map(|near| format!("did you mean `{near}`? Else ")).unwrap_or_default();
                Err(ScenarioError::Unknown { name: name.to_owned(), meant, known: names.join(", ") })
            }
        }
    }

    /// Reads a scenario's text; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Malformed {
            name: name.to_owned(),
            message: error.message().to_owned(),
            text: Arc::new(miette::NamedSource::new(name, text.to_owned())),
            span: error.span().map(Into::into),
        })?;
        scenario.possible().map_err(|problem| ScenarioError::Impossible { name: name.to_owned(), problem })?;
        Ok(scenario)
    }

    fn possible(&self) -> Result<(), String> {
        if self.applied + self.copied > self.logs {
            return Err(format!("{} applied and {} copied are more than {} log backups", self.applied, self.copied, self.logs));
        }
        if self.applied == 0 {
            return Err("at least one log backup must be applied".to_owned());
        }
        if self.minutes_between == 0 || self.logs > 100_000 {
            return Err("log backups need at least a minute each, and at most 100000 are made".to_owned());
        }
        let durations = [self.copy_job_seconds, self.restore_seconds, self.recovery_seconds, self.import_seconds, self.replication_seconds];
        if durations.iter().any(|seconds| !(0.0..=86_400.0).contains(seconds)) {
            return Err("durations are between 0 and 86400 seconds".to_owned());
        }
        for fault in &self.faults {
            if let Some(problem) = fault.misplaced() {
                return Err(problem);
            }
            if let Some(log) = fault.log().filter(|log| *log == 0 || *log > self.logs) {
                return Err(format!("a fault names log backup {log}; there are {}", self.logs));
            }
            match fault {
                Fault::SeveralSets { log, last } if last <= log => {
                    return Err("several-sets needs `last` greater than `log`".to_owned());
                }
                Fault::RestoreInterrupted { log } if *log != self.applied + 1 => {
                    return Err(format!("the log backup after the {} that are applied is the one that can be interrupted", self.applied));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a log backup's payload takes no room on the disk.
    pub fn is_sparse(&self, number: u32) -> bool {
        self.sparse || self.faults.iter().any(|fault| matches!(fault, Fault::LargeLog { log, .. } if *log == number))
    }

    /// Bytes of payload of a log backup.
    pub fn payload(&self, number: u32) -> u64 {
        let of = |fault: &Fault| match fault {
            Fault::GrowingFile { log, bytes, .. } | Fault::LargeLog { log, bytes } if *log == number => Some(*bytes),
            _ => None,
        };
        self.faults.iter().find_map(of).unwrap_or(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_scenario_is_understood_and_quiet_is_the_default_scene() {
        for name in Scenario::names() {
            Scenario::load(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let quiet = Scenario::load("quiet").unwrap();
        assert_eq!(quiet, Scenario { summary: quiet.summary.clone(), ..Scenario::default() });
    }

    #[test]
    fn a_misspelt_key_is_pointed_at() {
        let error = Scenario::parse("x", "logs = 3\naplied = 1\n").unwrap_err();
        let ScenarioError::Malformed { message, span, .. } = error else { panic!("{error}") };
        assert!(message.contains("aplied"), "{message}");
        assert!(span.is_some());
        assert!(matches!(Scenario::parse("x", "logs = 3\napplied = 2\ncopied = 2"), Err(ScenarioError::Impossible { .. })));
        let faults = Scenario::parse("x", "[[fault]]\nkind = \"missing-log\"\nlog = 15\nplace = \"share\"\n").unwrap().faults;
        assert_eq!(faults, [Fault::MissingLog { log: 15, place: Place::Share }]);
    }

    #[test]
    fn a_server_s_encryption_is_one_of_those_that_there_are() {
        let fault = |keys: &str| Scenario::parse("x", &format!("[[fault]]\nkind = \"tls\"\n{keys}\n")).map(|scenario| scenario.faults);
        assert_eq!(fault("offers = \"tls-1.0\"").unwrap(), [Fault::Tls { server: "backup".into(), offers: Offers::Tls10 }]);
        for offers in ["old-suites", "login-only", "none", "expired", "wrong-name", "unknown-issuer"] {
            fault(&format!("server = \"backup_mirror\"\noffers = \"{offers}\"")).unwrap();
        }
        for (keys, word) in [("offers = \"tls-1.1\"", "tls-1.1"), ("", "offers"), ("offers = \"none\"\nserver = \"primary\"", "`primary`")]
        {
            let error = fault(keys).unwrap_err().to_string();
            assert!(error.contains(word), "{keys}: {error}");
        }
    }

    #[test]
    fn a_cut_connection_needs_a_server_a_text_and_a_count_that_can_be() {
        let fault = |keys: &str| Scenario::parse("x", &format!("[[fault]]\n{keys}\n")).map(|scenario| scenario.faults);
        let lost = fault("kind = \"reply-lost\"\ntext = \"WITH RECOVERY\"").unwrap();
        assert_eq!(lost, [Fault::ReplyLost { server: "backup".into(), text: "WITH RECOVERY".into(), nth: 1 }]);
        let cut = fault("kind = \"connection-cut\"\nserver = \"backup_mirror\"\ntext = \"KILL\"\nnth = 3\nseconds = 0.5").unwrap();
        let expected = Break { text: "kill".into(), left: 3, when: When::Beginning(Duration::from_millis(500)) };
        assert_eq!(cut[0].as_break(), Some(("backup_mirror", expected)));
        for (keys, word) in [
            ("kind = \"reply-lost\"\ntext = \"x\"\nserver = \"primary\"", "`primary`"),
            ("kind = \"reply-lost\"\ntext = \" \"", "`text`"),
            ("kind = \"connection-cut\"\ntext = \"x\"\nseconds = 1\nnth = 0", "`nth`"),
            ("kind = \"connection-cut\"\ntext = \"x\"\nseconds = -1", "86400 seconds"),
            ("kind = \"connection-cut\"\ntext = \"x\"", "seconds"),
        ] {
            let error = fault(keys).unwrap_err().to_string();
            assert!(error.contains(word), "{keys}: {error}");
        }
    }
}
