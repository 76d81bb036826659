//! Reads a site file: walks the tree by hand, because an administrator should see every mistake at once, each at its place,
//! and not only the first. Called by [`Site::read`]. It touches no file but the site file: secrets, certificates and folders
//! may live on another machine than the one that checks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Map;

use super::error::{At, Problem, ProblemKind, SiteErrors};
use super::names::{PathKind, duration, is_loopback, not_fqdn, path_help, path_kind};
use super::secret::{SecretFrom, SecretRef};
use super::tree::{Data, Document, Entry, Node, Table, document};
use super::{Auth, BROWSER_PORT, Backups, CommandLimit, DEFAULT_PORT, Instance, Limits, PowerShell, Site, SqlServer, Tls, TlsMinimum};
use crate::wire::tls::Fingerprint;

const ROOT: &[&str] = &["site", "sql", "backups", "powershell", "journal", "vars", "stdlib"];
const SITE: &[&str] = &["name", "pool", "database", "active_servers", "mirror_share", "recovery_time_target", "lab"];
const SERVER: &[&str] = &[
    "server",
    "port",
    "instance",
    "browser_port",
    "fqdn",
    "instance_name",
    "auth",
    "tls",
    "tls_minimum",
    "ca",
    "certificate",
    "database",
    "connect_time_limit",
    "login_time_limit",
    "command_time_limit",
];
const AUTH: &[&str] = &["user", "password"];
const PASSWORD: &[&str] = &["env", "file", "keyring", "prompt"];
const BACKUPS: &[&str] = &["share", "copy_to", "copy_to_on_server"];
const POWERSHELL: &[&str] = &["program", "arguments", "module", "allow"];
const JOURNAL: &[&str] = &["folder"];
const STDLIB: &[&str] = &["path"];

/// Where a key belongs, for one that stands in the wrong table.
const TABLES: &[(&str, &[&str])] = &[
    ("[site]", SITE),
    ("[sql.NAME]", SERVER),
    ("[sql.NAME] auth", AUTH),
    ("[backups]", BACKUPS),
    ("[powershell]", POWERSHELL),
    ("[journal]", JOURNAL),
    ("[stdlib]", STDLIB),
];

/// Reads the file at `path`.
pub fn read_file(path: PathBuf, overrides: &[String]) -> Result<Site, SiteErrors> {
    match std::fs::read_to_string(&path) {
        Ok(text) => read_text(path, &text, overrides),
        Err(error) => {
            let help = match error.kind() {
                std::io::ErrorKind::NotFound => "Name the site file with `--site FILE`.",
                std::io::ErrorKind::InvalidData => "Save the file as UTF-8.",
                _ => "Correct the path, or the rights on the file.",
            };
            let problem = Problem { kind: ProblemKind::Unreadable(error), at: None, help: help.to_owned() };
            Err(SiteErrors::new(&path, vec![problem]))
        }
    }
}

/// Reads a text as if it were the file at `path`.
pub fn read_text(path: PathBuf, text: &str, overrides: &[String]) -> Result<Site, SiteErrors> {
    // Notepad's mark at the start is no part of the TOML
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Document { root, shown, problems, torn } = document(&path.display().to_string(), text, overrides);
    if torn {
        return Err(SiteErrors::new(&path, problems));
    }
    let broken = problems.iter().any(|problem| matches!(problem.kind, ProblemKind::Syntax(_)));
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader { problems, base, lab: false };
    let table = View { name: String::new(), at: root.at.clone(), table: as_table(&root) };
    let site = reader.site(&table, &path, shown);
    let mut problems = reader.problems;
    if broken {
        // what is missing may only stand in the part that could not be read
        problems.retain(|problem| !matches!(problem.kind, ProblemKind::MissingKey { .. }));
    }
    match site {
        Some(site) if problems.is_empty() => Ok(site),
        _ => {
            problems.sort_by_key(|problem| {
                let at = problem.at.as_ref();
                (at.is_some_and(|at| at.source.name() == "--set"), at.map(|at| at.span.offset()))
            });
            Err(SiteErrors::new(&path, problems))
        }
    }
}

fn as_table(node: &Node) -> Table {
    match &node.data {
        Data::Table(table) => table.clone(),
        _ => Table::new(),
    }
}

/// One table, its full name and its place.
struct View {
    name: String,
    at: At,
    table: Table,
}

impl View {
    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Text and its place.
struct Found {
    text: String,
    at: At,
}

struct Reader {
    problems: Vec<Problem>,
    base: PathBuf,
    lab: bool,
}

impl Reader {
    fn problem(&mut self, at: &At, kind: ProblemKind, help: impl Into<String>) {
        self.problems.push(Problem { kind, at: Some(at.clone()), help: help.into() });
    }

    fn unknown_keys(&mut self, view: &View, known: &[&str]) {
        for (key, entry) in &view.table {
            if known.contains(&key.as_str()) {
                continue;
            }
            let elsewhere = TABLES.iter().find(|(_, keys)| keys.contains(&key.as_str()));
            let help = match (meant(key, known), elsewhere) {
                (_, Some((table, _))) => format!("Move `{key}` to {table}, or put facts of your own under [vars]."),
                (Some(meant), None) => format!("Write `{meant}`, which is probably meant."),
                (None, None) => format!("Use one of {}, or put facts of your own under [vars].", list(known)),
            };
            self.problem(&entry.key, ProblemKind::UnknownKey { key: view.full(key) }, help);
        }
    }

    fn wrong_type(&mut self, view: &View, key: &str, node: &Node, wanted: &'static str, help: impl Into<String>) {
        let kind = ProblemKind::WrongType { key: view.full(key), wanted, found: node.data.kind() };
        self.problem(&node.at, kind, help);
    }

    fn bad_value(&mut self, view: &View, key: &str, at: &At, wanted: impl Into<String>, help: impl Into<String>) {
        self.problem(at, ProblemKind::BadValue { key: view.full(key), wanted: wanted.into() }, help);
    }

    fn missing(&mut self, view: &View, key: &str, help: impl Into<String>) {
        self.problem(&view.at, ProblemKind::MissingKey { key: view.full(key) }, help);
    }

    /// A table below this one, or `None`, having said so if it is no table or must be there.
    fn table(&mut self, view: &View, key: &str, needed: Option<&str>) -> Option<View> {
        match view.table.get(key) {
            Some(Entry { key: at, value: Node { data: Data::Table(table), .. } }) => {
                Some(View { name: view.full(key), at: at.clone(), table: table.clone() })
            }
            Some(entry) => {
                self.wrong_type(view, key, &entry.value, "a table", format!("Write it as `[{}]`, its keys below.", view.full(key)));
                None
            }
            None => {
                if let Some(help) = needed {
                    self.missing(view, key, help);
                }
                None
            }
        }
    }

    /// Text that is not empty.
    fn text(&mut self, view: &View, key: &str) -> Option<Found> {
        let node = &view.table.get(key)?.value;
        match &node.data {
            Data::Text(text) if text.trim().is_empty() => {
                self.bad_value(view, key, &node.at, "text that is not empty", "Write a value, or take the key out.");
                None
            }
            Data::Text(text) => Some(Found { text: text.clone(), at: node.at.clone() }),
            Data::Integer(_) | Data::Float(_) | Data::Bool(_) | Data::Time(_) => {
                self.wrong_type(view, key, node, "text", "Put it in quotes.");
                None
            }
            _ => {
                self.wrong_type(view, key, node, "text", "Write one text in quotes.");
                None
            }
        }
    }

    fn needed_text(&mut self, view: &View, key: &str, help: &str) -> Option<Found> {
        // a slip of the pen is already answered where it stands
        let known = |given: &str| TABLES.iter().any(|(_, keys)| keys.contains(&given));
        let slip = view.table.keys().any(|given| !known(given) && meant(given, &[key]).is_some());
        if !view.table.contains_key(key) && !slip {
            self.missing(view, key, help);
        }
        self.text(view, key)
    }

    fn flag(&mut self, view: &View, key: &str) -> bool {
        match view.table.get(key).map(|entry| &entry.value) {
            None => false,
            Some(Node { data: Data::Bool(yes), .. }) => *yes,
            Some(node) => {
                self.wrong_type(view, key, node, "true or false", "Write `true` or `false` without quotes.");
                false
            }
        }
    }

    fn texts(&mut self, view: &View, key: &str) -> Vec<Found> {
        let Some(entry) = view.table.get(key) else { return Vec::new() };
        let Data::List(items) = &entry.value.data else {
            let help = match &entry.value.data {
                Data::Text(text) => format!("Write it as a list: [{text:?}]."),
                _ => "Write it as a list of texts: [\"a\", \"b\"].".to_owned(),
            };
            self.wrong_type(view, key, &entry.value, "a list of texts", help);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.data {
                Data::Text(text) => texts.push(Found { text: text.clone(), at: item.at.clone() }),
                _ => self.wrong_type(view, key, item, "a list of texts", "Put every item in quotes."),
            }
        }
        texts
    }

    fn fqdn(&mut self, view: &View, key: &str, found: Found) -> Option<String> {
        match not_fqdn(&found.text) {
            None => Some(found.text),
            Some((why, help)) => {
                self.problem(&found.at, ProblemKind::BadName { key: view.full(key), why }, help);
                None
            }
        }
    }

    fn absolute(&mut self, view: &View, key: &str, found: Found) -> Option<(String, PathKind, At)> {
        match path_kind(&found.text) {
            PathKind::Relative => {
                self.problem(&found.at, ProblemKind::NotAbsolute { key: view.full(key) }, path_help(&found.text));
                None
            }
            kind => Some((found.text, kind, found.at)),
        }
    }

    /// A path that another process or another machine must find under the same name.
    fn share(&mut self, view: &View, key: &str, found: Found) -> Option<String> {
        let (path, kind, at) = self.absolute(view, key, found)?;
        // a lab is one machine and one session
        if kind == PathKind::Drive && !self.lab {
            let kind = ProblemKind::Unsafe(format!("`{}` is on a drive letter, which may be mapped for one session only", view.full(key)));
            self.problem(&at, kind, r"Write the share's own name: '\\server\share'.");
            return None;
        }
        Some(path)
    }

    fn duration(&mut self, view: &View, key: &str) -> Option<Duration> {
        let found = self.text(view, key)?;
        let read = duration(&found.text);
        if read.is_none() {
            self.bad_value(view, key, &found.at, "a duration", "Write it as `90s`, `5m`, `2h` or `1h30m`.");
        }
        read
    }

    fn relative(&self, path: &str) -> PathBuf {
        match path_kind(path) {
            PathKind::Relative => self.base.join(path),
            _ => PathBuf::from(path),
        }
    }

    fn site(&mut self, root: &View, path: &Path, text: Arc<str>) -> Option<Site> {
        self.unknown_keys(root, ROOT);
        let view = self.table(root, "site", Some("Add a table [site] with `name` and `pool`."));
        let (mut name, mut pool, mut database, mut active_servers) = (None, None, "mgc".to_owned(), Vec::new());
        let (mut mirror_share, mut recovery_time_target) = (None, None);
        if let Some(view) = &view {
            self.unknown_keys(view, SITE);
            self.lab = self.flag(view, "lab");
            name = self.needed_text(view, "name", "Add `name = \"...\"`, a name for this installation.").map(|found| found.text);
            pool = self
                .needed_text(view, "pool", "Add `pool = \"...\"`, the pool's fully qualified name.")
                .and_then(|found| self.fqdn(view, "pool", found));
            if let Some(found) = self.text(view, "database") {
                database = found.text;
            }
            for found in self.texts(view, "active_servers") {
                active_servers.extend(self.fqdn(view, "active_servers", found));
            }
            mirror_share = self.text(view, "mirror_share").and_then(|found| self.share(view, "mirror_share", found));
            recovery_time_target = self.duration(view, "recovery_time_target");
        }
        let sql = self.servers(root);
        let backups = self.backups(root);
        let powershell = self.powershell(root);
        let mut journal = None;
        if let Some(view) = self.table(root, "journal", None) {
            self.unknown_keys(&view, JOURNAL);
            journal = self.text(&view, "folder").and_then(|found| self.absolute(&view, "folder", found));
        }
        let mut stdlib = None;
        if let Some(view) = self.table(root, "stdlib", None) {
            self.unknown_keys(&view, STDLIB);
            stdlib = self.text(&view, "path").map(|found| self.relative(&found.text));
        }
        let vars: Map<_, _> = match self.table(root, "vars", None) {
            Some(view) => view.table.iter().map(|(key, entry)| (key.clone(), entry.value.data.json())).collect(),
            None => Map::new(),
        };
        Some(Site {
            path: path.to_owned(),
            text,
            name: name?,
            pool: pool?,
            database,
            active_servers,
            mirror_share,
            recovery_time_target,
            lab: self.lab,
            sql,
            backups: backups?,
            powershell,
            journal: journal.map(|(path, ..)| PathBuf::from(path)),
            vars,
            stdlib,
        })
    }

    fn backups(&mut self, root: &View) -> Option<Backups> {
        let view = self.table(root, "backups", Some("Add a table [backups] with `share` and `copy_to`."))?;
        self.unknown_keys(&view, BACKUPS);
        let share = self
            .needed_text(&view, "share", "Add `share = '...'`, the folder that receives the primary's log backups.")
            .and_then(|found| self.share(&view, "share", found));
        let copy_to = self
            .needed_text(&view, "copy_to", "Add `copy_to = '...'`, the copy destination folder as this machine sees it.")
            .and_then(|found| self.absolute(&view, "copy_to", found));
        let on_server = self.text(&view, "copy_to_on_server").and_then(|found| self.absolute(&view, "copy_to_on_server", found));
        let (copy_to, ..) = copy_to?;
        let copy_to_on_server = on_server.map_or_else(|| copy_to.clone(), |(path, ..)| path);
        Some(Backups { share: share?, copy_to, copy_to_on_server })
    }

    fn powershell(&mut self, root: &View) -> Option<PowerShell> {
        let view = self.table(root, "powershell", None)?;
        self.unknown_keys(&view, POWERSHELL);
        let program = match self.text(&view, "program") {
            Some(found) => found.text,
            None => if cfg!(windows) { "powershell.exe" } else { "pwsh" }.to_owned(),
        };
        let texts = |found: Vec<Found>| found.into_iter().map(|found| found.text).collect();
        let arguments = texts(self.texts(&view, "arguments"));
        let allow = texts(self.texts(&view, "allow"));
        let mut module = String::new();
        if let Some(found) = self.text(&view, "module") {
            const MODULES: [&str; 2] = ["Lync", "SkypeForBusiness"];
            match MODULES.iter().find(|name| name.eq_ignore_ascii_case(&found.text)) {
                Some(name) => module = (*name).to_owned(),
                None => {
                    let help = format!("Write one of {}.", list(&MODULES));
                    self.bad_value(&view, "module", &found.at, "the name of the management shell's module", help);
                }
            }
        }
        Some(PowerShell { program, arguments, module, allow })
    }

    fn servers(&mut self, root: &View) -> IndexMap<String, SqlServer> {
        let mut servers = IndexMap::new();
        let Some(view) = self.table(root, "sql", Some("Add a table [sql.backup] for the backup SQL Server.")) else {
            return servers;
        };
        for (key, entry) in &view.table {
            if !matches!(entry.value.data, Data::Table(_)) {
                let help = match SERVER.contains(&key.as_str()) {
                    true => format!("Move `{key}` to a server's own table, such as [sql.backup]."),
                    false => format!("Write the server as a table: `[sql.{key}]`, its keys below."),
                };
                self.wrong_type(&view, key, &entry.value, "a server's table", help);
                continue;
            }
            if let Some(table) = self.table(&view, key, None)
                && let Some(server) = self.server(key, &table)
            {
                servers.insert(key.clone(), server);
            }
        }
        if !view.table.contains_key("backup") {
            let near = view.table.keys().find(|key| meant(key, &["backup"]).is_some());
            let help = match near {
                Some(near) => format!("Rename `[sql.{near}]` to `[sql.backup]`, if that is the server to fail over to."),
                None => "Add a table [sql.backup] for the server to fail over to.".to_owned(),
            };
            self.missing(&view, "backup", help);
        }
        servers
    }

    fn server(&mut self, key: &str, view: &View) -> Option<SqlServer> {
        self.unknown_keys(view, SERVER);
        let server =
            self.needed_text(view, "server", "Add `server = \"...\"`, the machine's name.").and_then(|found| self.host(view, found));
        let port = self.port(view, "port", DEFAULT_PORT);
        let instance = self.instance(view);
        let fqdn = match view.table.contains_key("fqdn") {
            true => self.text(view, "fqdn").and_then(|found| self.fqdn(view, "fqdn", found)),
            false => server.as_ref().map(|found| found.text.clone()),
        };
        let instance_name = self.text(view, "instance_name");
        if let Some(found) = &instance_name
            && found.text.contains('\\')
        {
            self.bad_value(view, "instance_name", &found.at, "an instance's name", "Write what stands after the backslash.");
        }
        let tls = self.tls(view);
        let tls_minimum = self.tls_minimum(view, tls);
        let auth = self.auth(key, view);
        // NTLM does not send the password, a SQL login does
        if let (Some(Tls::Off), Some(server), Some(Auth::Sql { .. })) = (tls, &server, &auth)
            && !is_loopback(&server.text)
            && let Some(entry) = view.table.get("tls")
        {
            let kind = ProblemKind::Unsafe(format!("`{}` would send the password in clear", view.full("tls")));
            self.problem(&entry.value.at, kind, "Write `tls = \"verify\"`, with `ca` if the certificate is your own.");
        }
        let ca = self.text(view, "ca");
        let ca_at = ca.as_ref().map(|found| found.at.clone());
        let ca = ca.map(|found| self.relative(&found.text));
        let database = self.text(view, "database").map_or_else(|| "master".to_owned(), |found| found.text);
        let limits = Limits {
            connect: self.duration(view, "connect_time_limit"),
            login: self.duration(view, "login_time_limit"),
            command: self.command_limit(view),
        };
        Some(SqlServer {
            key: key.to_owned(),
            server: server?.text,
            port: port?,
            instance: instance?,
            fqdn: fqdn?,
            instance_name: instance_name.map(|found| found.text),
            auth: auth?,
            tls: tls?,
            tls_minimum: tls_minimum?,
            ca,
            ca_at,
            database,
            limits,
        })
    }

    fn command_limit(&mut self, view: &View) -> Option<CommandLimit> {
        let none = matches!(
            view.table.get("command_time_limit").map(|entry| &entry.value.data),
            Some(Data::Text(text)) if text == "none"
        );
        if none { Some(CommandLimit::Endless) } else { self.duration(view, "command_time_limit").map(CommandLimit::After) }
    }

    /// A machine's name or address, nothing around it.
    fn host(&mut self, view: &View, found: Found) -> Option<Found> {
        let address = found.text.parse::<std::net::IpAddr>().is_ok();
        let help = if address {
            return Some(found);
        } else if let Some((host, instance)) = found.text.split_once('\\') {
            format!("Write `server = \"{host}\"` and `instance = \"{instance}\"`, or the instance's own `port`.")
        } else if let Some((host, port)) = found.text.split_once([',', ':']) {
            format!("Write `server = \"{host}\"` and `port = {}`.", port.trim())
        } else if found.text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')) {
            return Some(found);
        } else {
            "Write the machine's name alone.".to_owned()
        };
        self.bad_value(view, "server", &found.at, "a machine's name or address", help);
        None
    }

    /// A port number; `None` if what stands there is none.
    fn port(&mut self, view: &View, key: &str, default: u16) -> Option<u16> {
        let Some(entry) = view.table.get(key) else { return Some(default) };
        let port = match &entry.value.data {
            Data::Integer(number) => number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0),
            _ => {
                self.wrong_type(view, key, &entry.value, "a port number", "Write the number without quotes.");
                return Some(default);
            }
        };
        if port.is_none() {
            let help = format!("Write the port that the {} listens on.", if key == "port" { "instance" } else { "SQL Server Browser" });
            self.bad_value(view, key, &entry.value.at, "a port from 1 to 65535", help);
        }
        port
    }

    /// The instance whose port the Browser is asked for: `Some(None)` if the site names none.
    fn instance(&mut self, view: &View) -> Option<Option<Instance>> {
        let browser_port = self.port(view, "browser_port", BROWSER_PORT);
        let Some(entry) = view.table.get("instance") else {
            if let Some(entry) = view.table.get("browser_port") {
                let help = "Take it out, or name the `instance` whose port the SQL Server Browser knows.";
                self.bad_value(view, "browser_port", &entry.key.clone(), "left out where `port` is given", help);
            }
            return Some(None);
        };
        if view.table.contains_key("port") {
            let help = "Keep `port`, which needs no SQL Server Browser, or `instance`, whose port the Browser is asked for.";
            self.bad_value(view, "instance", &entry.key.clone(), "left out where `port` is given", help);
        }
        let found = self.text(view, "instance")?;
        // 32 bytes are what the Browser's request holds, 16 what an instance's name may have
        if found.text.contains('\\') || found.text.len() > 32 || found.text.chars().any(|c| c.is_control() || c == ';') {
            self.bad_value(view, "instance", &found.at, "an instance's name", "Write what stands after the backslash.");
            return None;
        }
        Some(Some(Instance { name: found.text, browser_port: browser_port? }))
    }

    fn tls(&mut self, view: &View) -> Option<Tls> {
        const MODES: [&str; 5] = ["verify", "pin", "trust-any", "login-only", "off"];
        if let Some(Node { data: Data::Bool(_), at }) = view.table.get("tls").map(|entry| &entry.value) {
            let kind = ProblemKind::WrongType { key: view.full("tls"), wanted: "text", found: "true or false" };
            self.problem(&at.clone(), kind, format!("Write one of {}.", list(&MODES)));
            return None;
        }
        let found = match view.table.contains_key("tls") {
            true => self.text(view, "tls")?,
            false => Found { text: "verify".to_owned(), at: view.at.clone() },
        };
        let certificate = self.certificate(view);
        if found.text == "pin" {
            if !view.table.contains_key("certificate") {
                let help = "Add `certificate = \"sha256:...\"`, the SHA-256 of the server's certificate; a refused connection shows it.";
                self.missing(view, "certificate", help);
            }
            return certificate.map(Tls::Pin);
        }
        if let Some(entry) = view.table.get("certificate") {
            let help = "Write `tls = \"pin\"` to accept this certificate and no other, or take the key out.";
            self.bad_value(view, "certificate", &entry.key.clone(), "left out unless `tls = \"pin\"`", help);
        }
        match found.text.as_str() {
            "verify" => Some(Tls::Verify),
            "trust-any" => Some(Tls::TrustAny),
            "login-only" => Some(Tls::LoginOnly),
            "off" => Some(Tls::Off),
            other => {
                let help = match meant(other, &MODES) {
                    Some(mode) => format!("Write `tls = \"{mode}\"`."),
                    None => format!("Write one of {}.", list(&MODES)),
                };
                self.bad_value(view, "tls", &found.at, "a way to protect the connection", help);
                None
            }
        }
    }

    fn certificate(&mut self, view: &View) -> Option<Fingerprint> {
        let found = self.text(view, "certificate")?;
        let read = found.text.parse::<Fingerprint>();
        if read.is_err() {
            let help = match found.text.chars().filter(char::is_ascii_hexdigit).count() {
                40 => "This looks like the SHA-1 thumbprint that Windows shows: write the SHA-256, which a refused connection shows, too.",
                _ => "Write `sha256:` and 64 hexadecimal digits; a refused connection shows them.",
            };
            self.bad_value(view, "certificate", &found.at, "the SHA-256 of a certificate", help);
        }
        read.ok()
    }

    fn tls_minimum(&mut self, view: &View, tls: Option<Tls>) -> Option<TlsMinimum> {
        let Some(entry) = view.table.get("tls_minimum") else { return Some(TlsMinimum::V1_2) };
        if tls == Some(Tls::Off) {
            let help = "Take the key out: nothing is encrypted.";
            self.bad_value(view, "tls_minimum", &entry.key.clone(), "left out where `tls = \"off\"`", help);
            return None;
        }
        let found = self.text(view, "tls_minimum")?;
        match found.text.as_str() {
            "1.2" => Some(TlsMinimum::V1_2),
            "1.0" => Some(TlsMinimum::V1_0),
            _ => {
                let help =
                    "Take the key out: 1.2 is what goes without saying. `\"1.0\"` also takes 1.1, and the cipher suites of that time.";
                self.bad_value(view, "tls_minimum", &found.at, "\"1.2\" or \"1.0\"", help);
                None
            }
        }
    }

    fn auth(&mut self, server: &str, view: &View) -> Option<Auth> {
        const SHAPE: &str = "Write `auth = { user = \"...\", password = { file = \"...\" } }`.";
        let Some(entry) = view.table.get("auth") else {
            self.missing(view, "auth", SHAPE);
            return None;
        };
        match &entry.value.data {
            Data::Text(text) if text.eq_ignore_ascii_case("windows") => return Some(Auth::Current { at: entry.value.at.clone() }),
            Data::Table(_) => {}
            _ => {
                self.wrong_type(view, "auth", &entry.value, "a table", SHAPE);
                return None;
            }
        }
        let auth = self.table(view, "auth", None)?;
        self.unknown_keys(&auth, AUTH);
        let user = self.needed_text(&auth, "user", "Add `user = \"...\"`, the login's name.");
        let password = self.password(server, &auth, user.as_ref().map(|found| found.text.as_str()).unwrap_or_default());
        let Found { text: user, at } = user?;
        // the name of a SQL login cannot hold a backslash
        match user.contains('\\') {
            true => Some(Auth::Windows { user, password: password?, at }),
            false => Some(Auth::Sql { user, password: password? }),
        }
    }

    fn password(&mut self, server: &str, auth: &View, user: &str) -> Option<SecretRef> {
        const HELP: &str =
            "Name where the password lies: `password = { file = \"...\" }`, { env = \"...\" }, { keyring = \"...\" } or { prompt = true }.";
        let Some(entry) = auth.table.get("password") else {
            self.missing(auth, "password", HELP);
            return None;
        };
        if !matches!(entry.value.data, Data::Table(_)) {
            let help = "Put the password in a file of its own, readable by you alone, and write `password = { file = \"...\" }`.";
            self.wrong_type(auth, "password", &entry.value, "a reference", help);
            return None;
        }
        let view = self.table(auth, "password", None)?;
        self.unknown_keys(&view, PASSWORD);
        let given: Vec<&str> = PASSWORD.iter().copied().filter(|key| view.table.contains_key(*key)).collect();
        let [source] = given.as_slice() else {
            if given.is_empty() && view.table.is_empty() {
                self.missing(auth, "password", HELP);
            } else if given.len() > 1 {
                let help = format!("Keep one of {}.", list(&given));
                self.bad_value(auth, "password", &entry.key.clone(), "one reference", help);
            }
            return None;
        };
        let at = view.table.get(*source).map(|entry| entry.value.at.clone())?;
        let from = match *source {
            "prompt" => {
                if !self.flag(&view, "prompt") {
                    if let Some(Node { data: Data::Bool(false), at }) = view.table.get("prompt").map(|entry| &entry.value) {
                        self.bad_value(&view, "prompt", &at.clone(), "true", HELP);
                    }
                    return None;
                }
                SecretFrom::Prompt
            }
            key => {
                let text = self.text(&view, key)?.text;
                match key {
                    "env" => SecretFrom::Env(text),
                    "file" => SecretFrom::File(self.relative(&text)),
                    _ => SecretFrom::Keyring(text),
                }
            }
        };
        Some(SecretRef { from, server: server.to_owned(), user: user.to_owned(), at })
    }
}

/// The known word that was probably meant.
fn meant<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace(['-', ' '], "_");
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), *candidate))
        .filter(|(likeness, candidate)| *likeness > 0.84 || strsim::damerau_levenshtein(&word, candidate) <= candidate.len() / 4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
