//! The facts of one installation, from `site.toml`: read once at the start of a command, with every mistake pointed at in
//! one pass (`read.rs`), and secrets only as references (`secret.rs`). Called by cli; back ends get what they need of it by
//! value. It connects to nothing and never shows a secret.

pub mod error;
mod names;
mod read;
pub mod secret;
mod tree;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

pub use error::SiteErrors;
use error::{At, Problem, ProblemKind};
use secret::SecretRef;

pub use crate::wire::browser::PORT as BROWSER_PORT;
use crate::wire::tls::Fingerprint;
pub use crate::wire::tls::TlsMinimum;

/// The port of a default instance.
pub const DEFAULT_PORT: u16 = 1433;

/// One installation.
#[derive(Clone, Debug)]
pub struct Site {
    /// of the site file, as it was given
    pub path: PathBuf,
    /// the file's text; a password that was wrongly written into it is starred out
    pub text: Arc<str>,
    pub name: String,
    /// fully qualified name of the Persistent Chat pool
    pub pool: String,
    /// the content database, `mgc` unless the site says otherwise
    pub database: String,
    /// fully qualified names of the pool's members that shall be active after the failover
    pub active_servers: Vec<String>,
    /// the share that `Install-CsMirrorDatabase -FileShare` uses
    pub mirror_share: Option<String>,
    pub recovery_time_target: Option<Duration>,
    /// the file says that this is a lab; counts only if the server says so as well
    pub lab: bool,
    /// in the order of the file; `backup` is always there
    pub sql: IndexMap<String, SqlServer>,
    pub backups: Backups,
    pub powershell: Option<PowerShell>,
    /// where run folders go
    pub journal: Option<PathBuf>,
    pub vars: Map<String, Value>,
    /// the site's own runbook modules
    pub stdlib: Option<PathBuf>,
}

/// One `[sql.NAME]`.
#[derive(Clone, Debug)]
pub struct SqlServer {
    /// what runbooks call it: `backup`
    pub key: String,
    /// host name or address, as connections and certificates use it
    pub server: String,
    /// counts unless `instance` is given
    pub port: u16,
    pub instance: Option<Instance>,
    /// fully qualified name, as the management shell wants it; the server's name if the file does not say
    pub fqdn: String,
    /// name of the instance, as the management shell wants it; `None` is the default instance
    pub instance_name: Option<String>,
    pub auth: Auth,
    pub tls: Tls,
    pub tls_minimum: TlsMinimum,
    /// a PEM file, added to the system's roots
    pub ca: Option<PathBuf>,
    /// where the file says so
    pub ca_at: Option<At>,
    /// what connections start in, `master` unless the site says otherwise
    pub database: String,
    pub limits: Limits,
}

/// How long a connection waits. `None` where the site leaves it to the SQL room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub connect: Option<Duration>,
    pub login: Option<Duration>,
    /// of ordinary batches; RESTORE and BACKUP have none
    pub command: Option<CommandLimit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLimit {
    Endless,
    After(Duration),
}

/// A named instance, whose TCP port the SQL Server Browser of its machine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// UDP
    pub browser_port: u16,
}

/// How to log in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// a login of SQL Server's own
    Sql { user: String, password: SecretRef },
    /// a Windows account with its password, `DOMAIN\user`; `at` is where the file names it
    Windows { user: String, password: SecretRef, at: At },
    /// the Windows account that runs this program
    Current { at: At },
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// the certificate is verified
    Verify,
    /// this certificate and no other, whatever it says of itself
    Pin(Fingerprint),
    /// any certificate will do
    TrustAny,
    /// the login goes through TLS with any certificate, what follows it in clear
    LoginOnly,
    /// no TLS; with a SQL login only on loopback
    Off,
}

/// `[backups]`. The first two as this program sees them, the last as the backup SQL Server sees `copy_to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    pub share: String,
    pub copy_to: String,
    pub copy_to_on_server: String,
}

/// `[powershell]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerShell {
    pub program: String,
    pub arguments: Vec<String>,
    /// `Lync` or `SkypeForBusiness`; empty: none is imported
    pub module: String,
    /// cmdlets that a runbook may call although they change something
    pub allow: Vec<String>,
}

impl Site {
    /// Reads a site file. `overrides` are `KEY=VALUE` from the command line, such as `vars.x=1`; they win over the file.
    /// All errors come at once, each with its place.
    pub fn read(path: impl Into<PathBuf>, overrides: &[String]) -> Result<Site, SiteErrors> {
        read::read_file(path.into(), overrides)
    }

    /// As [`Site::read`], from a text that stands for the file's.
    pub fn parse(path: impl Into<PathBuf>, text: &str, overrides: &[String]) -> Result<Site, SiteErrors> {
        read::read_text(path.into(), text, overrides)
    }

    /// What tells this site from others, in each copy of its file: a digest of its name and its servers' addresses.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.name.as_bytes());
        for server in self.sql.values() {
            let place = match &server.instance {
                Some(instance) => instance.name.to_lowercase(),
                None => server.port.to_string(),
            };
            hasher.update(format!("\0{}\0{}\0{place}", server.key, server.server.to_lowercase()).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// What a runbook sees as the constant `site`: the keys of `[site]`, `backups`, `vars`, and of every server its names.
    /// Never a secret, nor anything a runbook could log in with.
    pub fn view(&self) -> Map<String, Value> {
        let sql: Map<String, Value> = self
            .sql
            .values()
            .map(|server| (server.key.clone(), json!({ "fqdn": server.fqdn, "instance_name": server.instance_name })))
            .collect();
        let mut view = Map::new();
        view.insert("name".into(), json!(self.name));
        view.insert("pool".into(), json!(self.pool));
        view.insert("database".into(), json!(self.database));
        view.insert("active_servers".into(), json!(self.active_servers));
        view.insert("mirror_share".into(), json!(self.mirror_share));
        view.insert("recovery_time_target".into(), json!(self.recovery_time_target.map(names::show_duration)));
        view.insert("lab".into(), json!(self.lab));
        view.insert("sql".into(), Value::Object(sql));
        view.insert(
            "backups".into(),
            json!({
                "share": self.backups.share,
                "copy_to": self.backups.copy_to,
                "copy_to_on_server": self.backups.copy_to_on_server,
            }),
        );
        view.insert("vars".into(), Value::Object(self.vars.clone()));
        view
    }

    /// A sentence for everything that makes a connection weaker than a verified or pinned one at TLS 1.2, to be shown at the
    /// start of every run.
    pub fn weak(&self) -> Vec<String> {
        let sentences = |server: &SqlServer| {
            let certificate = match server.tls {
                Tls::Verify | Tls::Pin(_) => None,
                Tls::TrustAny => Some("takes any certificate, so whoever stands between can read and change everything"),
                Tls::LoginOnly => {
                    Some("encrypts the login only, with any certificate, so whoever stands between can read and change everything")
                }
                Tls::Off => Some("is not encrypted"),
            };
            let age = match server.tls_minimum {
                TlsMinimum::V1_2 => None,
                TlsMinimum::V1_0 => Some("takes TLS 1.0 and the cipher suites of its time, which can be broken"),
            };
            let sentence = |what: &str| format!("the connection to `{}` {what}", server.key);
            certificate.into_iter().chain(age).map(sentence).collect::<Vec<_>>()
        };
        self.sql.values().flat_map(sentences).collect()
    }

    /// Tries every secret without keeping it, and every certificate file, so that a missing one is found before the first
    /// effect; and whether this build can log in as the site says. A secret that is asked for at the terminal only has to
    /// have a terminal.
    pub fn check_secrets(&self) -> Result<(), SiteErrors> {
        let mut problems = Vec::new();
        for server in self.sql.values() {
            problems.extend(server.unreadable_ca());
            problems.extend(match &server.auth {
                Auth::Sql { password, .. } => password.check().err(),
                Auth::Windows { password, at, .. } => server.without_ntlm(at).or_else(|| password.check().err()),
                Auth::Current { at } => server.without_windows(at),
            });
        }
        if problems.is_empty() { Ok(()) } else { Err(SiteErrors::new(&self.path, problems)) }
    }
}

impl SqlServer {
    /// What is wrong with a Windows account in a build that cannot speak for it.
    fn without_ntlm(&self, at: &At) -> Option<Problem> {
        let why = "a Windows account with a password logs in by NTLM, and this build has no NTLM";
        let help = "Use a SQL login, run on Windows with `auth = \"windows\"`, or build cutover with `--features ntlm`.";
        (!cfg!(feature = "ntlm")).then(|| self.not_here("auth.user", why, help, at))
    }

    fn without_windows(&self, at: &At) -> Option<Problem> {
        let why = "only Windows vouches for the account that runs cutover";
        let help = match cfg!(feature = "ntlm") {
            true => "Write `auth = { user = 'DOMAIN\\user', password = { file = \"...\" } }`, or use a SQL login.",
            false => {
                "Use a SQL login, or build cutover with `--features ntlm` and write `auth = { user = 'DOMAIN\\user', password = { file = \"...\" } }`."
            }
        };
        (!cfg!(windows)).then(|| self.not_here("auth", why, help, at))
    }

    fn not_here(&self, key: &str, why: &str, help: &str, at: &At) -> Problem {
        let kind = ProblemKind::NotHere { key: format!("sql.{}.{key}", self.key), why: why.to_owned() };
        Problem { kind, at: Some(at.clone()), help: help.to_owned() }
    }

    /// The mistake in `ca`, if its file cannot be read.
    fn unreadable_ca(&self) -> Option<Problem> {
        let (path, at) = (self.ca.as_ref()?, self.ca_at.as_ref()?);
        let error = std::fs::File::open(path).err()?;
        Some(Problem {
            kind: ProblemKind::BadValue {
                key: format!("sql.{}.ca", self.key),
                wanted: format!("a file that can be read: `{}`: {error}", path.display()),
            },
            at: Some(at.clone()),
            help: "Name the PEM file that holds the certificate of the server's issuer.".to_owned(),
        })
    }
}
