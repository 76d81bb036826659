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
    pub port: u16,
    /// fully qualified name, as the management shell wants it; the server's name if the file does not say
    pub fqdn: String,
    /// name of the instance, as the management shell wants it; `None` is the default instance
    pub instance_name: Option<String>,
    pub auth: Auth,
    pub tls: Tls,
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

/// How to log in.
#[derive(Clone, Debug)]
pub enum Auth {
    Sql { user: String, password: SecretRef },
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// the certificate is verified
    Verify,
    /// any certificate will do
    TrustAny,
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
            hasher.update(format!("\0{}\0{}\0{}", server.key, server.server.to_lowercase(), server.port).as_bytes());
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

    /// One sentence for every connection that is weaker than a verified one, to be shown at the start of every run.
    pub fn weak(&self) -> Vec<String> {
        let sentence = |server: &SqlServer| {
            let what = match server.tls {
                Tls::Verify => return None,
                Tls::TrustAny => "takes any certificate, so whoever stands between can read and change everything",
                Tls::Off => "is not encrypted",
            };
            Some(format!("the connection to `{}` {what}", server.key))
        };
        self.sql.values().filter_map(sentence).collect()
    }

    /// Tries every secret without keeping it, and every certificate file, so that a missing one is found before the first
    /// effect. A secret that is asked for at the terminal only has to have a terminal.
    pub fn check_secrets(&self) -> Result<(), SiteErrors> {
        let mut problems = Vec::new();
        for server in self.sql.values() {
            problems.extend(server.unreadable_ca());
            let Auth::Sql { password, .. } = &server.auth;
            problems.extend(password.check().err());
        }
        if problems.is_empty() { Ok(()) } else { Err(SiteErrors::new(&self.path, problems)) }
    }
}

impl SqlServer {
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
