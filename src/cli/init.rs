//! `cutover init`: a folder for one site with the stock runbooks, their modules and a site file to edit. What is there already
//! is left as it is. With `--from-server` the site file is filled from what the backup server knows of its log shipping; that
//! only reads.

use std::path::{Path, PathBuf};

use clap::Args;
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

use super::execute::target;
use super::{CliError, beside, exit};
use crate::report::{self, shell_word};
use crate::script::stdlib;
use crate::site::Site;
use crate::sqlserver::{Answer, Batch, Servers, Value};

#[derive(Args)]
#[command(after_help = "What is there already is never written over.\n\nExamples:\n  cutover init\n  cutover init failover\n  \
                  cutover init failover --from-server cutover@dr-sql-01:50421 --password env:DR_SQL_01")]
pub struct InitArgs {
    /// The folder; this one unless given. It is made if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Fill the site file from the log shipping rows of this backup SQL Server; without USER by the Windows account.
    #[arg(long, value_name = "[USER@]SERVER[:PORT]", value_parser = server)]
    pub from_server: Option<Server>,
    /// Where the password of USER lies: `env:NAME`, `file:PATH`, `keyring:NAME`, or `prompt`.
    #[arg(long, value_name = "WHERE", default_value = "prompt", requires = "from_server", value_parser = password)]
    pub password: Password,
    /// The certificate of the server's issuer, a PEM file, if the system does not know it.
    #[arg(long, value_name = "FILE", requires = "from_server")]
    pub ca: Option<PathBuf>,
    /// The database that is shipped, if there are several.
    #[arg(long, value_name = "NAME", requires = "from_server")]
    pub database: Option<String>,
}

/// A server as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

fn server(text: &str) -> Result<Server, String> {
    let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user.to_owned()), place));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| format!("`{port}` is no port"))?)),
        None => (place, None),
    };
    if host.is_empty() || user.as_deref() == Some("") {
        return Err("expected [USER@]SERVER[:PORT]".to_owned());
    }
    Ok(Server { user, host: host.to_owned(), port })
}

/// Where a password lies: a key of the site file's `password`, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password(String, String);

fn password(text: &str) -> Result<Password, String> {
    match text.split_once(':') {
        Some((kind @ ("env" | "file" | "keyring"), name)) if !name.is_empty() => Ok(Password(kind.to_owned(), name.to_owned())),
        None if text == "prompt" => Ok(Password("prompt".to_owned(), String::new())),
        _ => Err("expected env:NAME, file:PATH, keyring:NAME or prompt; the password itself is never written down".to_owned()),
    }
}

const SITE: &str = "site.toml";
/// The example of every key, with which a site file begins.
const EXAMPLE: &str = include_str!("../../runbooks/site.example.toml");

pub fn main(arguments: &InitArgs) -> Result<u8, CliError> {
    let folder = &arguments.folder;
    let site_file = folder.join(SITE);
    if arguments.from_server.is_some() && site_file.symlink_metadata().is_ok() {
        return Err(CliError::SiteIsThere { path: site_file });
    }
    let site = match &arguments.from_server {
        Some(server) => from_server(arguments, server, &site_file)?,
        None => {
            let mut document = example();
            let first = "# Every name in here is an example: put your own in. `cutover doctor` tells what is still wrong.\n";
            without_what_needs_no_saying(&mut document);
            format!("{first}{document}")
        }
    };
    let mut files = vec![(SITE.to_owned(), site)];
    for (name, text) in [stdlib::STOCK_RUNBOOK, stdlib::STOCK_DOCTOR] {
        files.push((name.to_owned(), text.to_owned()));
    }
    for name in stdlib::names() {
        files.extend(stdlib::text(&name).map(|text| (format!("{name}.rhai"), text.to_owned())));
    }
    for (name, text) in [
        (".github/workflows/cutover.yml", include_str!("init/cutover.yml")),
        (".gitignore", include_str!("init/gitignore")),
        ("README.md", include_str!("init/README.md")),
    ] {
        files.push((name.to_owned(), text.to_owned()));
    }
    for (name, text) in &files {
        let written = write_new(&folder.join(name), text)?;
        report::talk(&format!("{} {name}", if written { "written" } else { "left   " }));
    }
    report::talk(&format!("\n{}", next(folder)));
    Ok(exit::DONE)
}

/// Writes a file whole, unless there is one of that name already; false if there is.
fn write_new(path: &Path, text: &str) -> Result<bool, CliError> {
    let failed = |source| CliError::Folder { path: path.to_owned(), source };
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    std::fs::create_dir_all(beside::folder(path)).map_err(failed)?;
    match beside::written(path, text).map_err(failed)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error.error)),
    }
}

/// What to do now; every line that begins with `cutover` is a command, to be given in the folder.
fn next(folder: &Path) -> String {
    let place = if folder == Path::new(".") { String::new() } else { format!(", in {}", shell_word(&folder.display().to_string())) };
    format!(
        "next{place}:\n\
         \x20 cutover check\n\
         \x20 cutover rehearse pchat-failover.rhai --all\n\
         try it against a lab, which the first one serves until Ctrl-C:\n\
         \x20 cutover lab --keep lab\n\
         \x20 cutover doctor --site lab/site.toml\n\
         \x20 cutover run pchat-failover.rhai --site lab/site.toml\n\
         then put your own names into {SITE}, and see what `cutover doctor` says"
    )
}

fn example() -> DocumentMut {
    EXAMPLE.parse().expect("the example is TOML: a test reads it")
}

/// The platform's folder of runs will do, and the modules lie beside the runbooks.
fn without_what_needs_no_saying(document: &mut DocumentMut) {
    let mut commented = String::new();
    for key in ["journal", "stdlib"] {
        if let Some(item) = document.remove(key) {
            let mut alone = DocumentMut::new();
            alone.insert(key, item);
            commented.push_str(&comment(&alone.to_string()));
        }
    }
    add(document, &commented);
}

/// Text as comments; what is a comment already stays.
fn comment(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() || line.starts_with('#') { format!("{line}\n") } else { format!("# {line}\n") }).collect()
}

/// Adds comments at the end.
fn add(document: &mut DocumentMut, text: &str) {
    let before = document.trailing().as_str().unwrap_or_default().to_owned();
    document.set_trailing(format!("{before}{text}"));
}

const SHIPPED: &str = "SELECT s.primary_server, s.backup_source_directory, s.backup_destination_directory, d.secondary_database, \
                       CAST(SERVERPROPERTY('InstanceName') AS nvarchar(128)) AS instance \
                       FROM msdb.dbo.log_shipping_secondary s \
                       JOIN msdb.dbo.log_shipping_secondary_databases d ON d.secondary_id = s.secondary_id ORDER BY d.secondary_database";

/// The example, filled with what the backup server says; what it cannot know is marked.
fn from_server(arguments: &InitArgs, server: &Server, site_file: &Path) -> Result<String, CliError> {
    let mut document = example();
    without_what_needs_no_saying(&mut document);
    let backup = table(&mut document, &["sql", "backup"]);
    put(backup, "server", value(&server.host));
    for key in
        ["fqdn", "instance_name", "tls", "tls_minimum", "ca", "database", "connect_time_limit", "login_time_limit", "command_time_limit"]
    {
        backup.remove(key);
    }
    match server.port {
        Some(port) => put(backup, "port", value(i64::from(port))),
        None => drop(backup.remove("port")),
    }
    match &server.user {
        Some(user) => {
            let Password(kind, name) = &arguments.password;
            let mut password = InlineTable::new();
            match kind.as_str() {
                "prompt" => password.insert("prompt", true.into()),
                kind => password.insert(kind, name.as_str().into()),
            };
            let mut auth = InlineTable::new();
            auth.insert("user", user.as_str().into());
            auth.insert("password", password.into());
            put(backup, "auth", value(auth));
        }
        None => put(backup, "auth", value("windows")),
    }
    if let Some(ca) = &arguments.ca {
        backup.insert("ca", value(std::path::absolute(ca).unwrap_or_else(|_| ca.clone()).display().to_string()));
    }
    // the connection is made as the site file will have it
    let site = Site::parse(site_file, &document.to_string(), &[])?;
    let servers = Servers::new(site.sql.values().filter(|server| server.key == "backup").map(|server| target(server, "init")));
    let runtime = super::runtime()?;
    let answer = runtime.block_on(async {
        let answer = servers.run("backup", &Batch::read(SHIPPED)).await;
        servers.close().await;
        answer
    });
    let shipped = rows(&answer.map_err(|failure| CliError::FromServer(Box::new(failure)))?);
    let names = || shipped.iter().map(|row| row[3].clone()).collect::<Vec<_>>().join(", ");
    let chosen: Vec<&Vec<String>> =
        shipped.iter().filter(|row| arguments.database.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&row[3]))).collect();
    let row = match chosen.as_slice() {
        [row] => row,
        [] if shipped.is_empty() => return Err(CliError::NotShipped { server: server.host.clone() }),
        _ => return Err(CliError::WhichDatabase { server: server.host.clone(), names: names() }),
    };
    fill(&mut document, row);
    let text = format!(
        "# Filled from {} by `cutover init`. What it could not know has an example and the words FILL IN.\n{document}",
        server.host
    );
    // whatever the server said, the file is one that can be read
    Site::parse(site_file, &text, &[])?;
    Ok(text)
}

/// Puts in what a row of log shipping says, and marks the rest.
fn fill(document: &mut DocumentMut, row: &[String]) {
    let [primary, share, destination, database, instance] = row else { return };
    let site = table(document, &["site"]);
    put(site, "database", value(database));
    mark(site, "name", "a name for this installation");
    mark(site, "pool", "the Persistent Chat pool: Get-CsPersistentChatState prints it");
    mark(site, "active_servers", "machines of the pool that shall be active after a failover: Get-CsPool lists them");
    mark(site, "mirror_share", "a share that both SQL Servers of the new mirroring pair can write to, or take it out");
    if !instance.is_empty() {
        table(document, &["sql", "backup"]).insert("instance_name", value(instance));
    }
    mark(table(document, &["sql", "backup"]), "server", "its name as the certificate and the management shell have it, if this is another");
    let old = table(document, &["sql", "primary"]);
    let (host, named) = primary.split_once('\\').map_or((primary.as_str(), None), |(host, name)| (host, Some(name)));
    put(old, "server", value(host));
    old.remove("port");
    old.remove("instance_name");
    if let Some(name) = named {
        old.insert("instance", value(name));
    }
    mark(old, "server", "its full name, and how to log in to it");
    let backups = table(document, &["backups"]);
    let reaches = |path: &str| path.starts_with(r"\\") || path.starts_with('/');
    match reaches(share) {
        true => put(backups, "share", value(share)),
        false => mark(backups, "share", &format!("{share}, as this machine sees it")),
    }
    put(backups, "copy_to_on_server", value(destination));
    match reaches(destination) {
        true => put(backups, "copy_to", value(destination)),
        false => mark(backups, "copy_to", &format!("{destination} of the backup server, as this machine sees it: a share of its own")),
    }
    let mut unknown = String::new();
    for key in ["backup_mirror", "primary_mirror"] {
        if let Some(item) = table(document, &["sql"]).remove(key) {
            let mut servers = Table::new();
            servers.set_implicit(true);
            servers.insert(key, item);
            let mut alone = DocumentMut::new();
            alone.insert("sql", Item::Table(servers));
            unknown.push_str(&format!("\n# FILL IN, if there is one:{}", comment(&alone.to_string())));
        }
    }
    add(document, &unknown);
}

fn table<'a>(document: &'a mut DocumentMut, path: &[&str]) -> &'a mut Table {
    path.iter().fold(document.as_table_mut(), |table, key| {
        table.get_mut(key).and_then(Item::as_table_mut).expect("the example has this table: a test fills it")
    })
}

/// Gives a key another value; the comment above it stays.
fn put(table: &mut Table, key: &str, item: Item) {
    match table.get_mut(key) {
        Some(old) => *old = item,
        None => drop(table.insert(key, item)),
    }
}

/// Says above a key what to find out.
fn mark(table: &mut Table, key: &str, what: &str) {
    if let Some(mut key) = table.key_mut(key) {
        let before = key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
        key.leaf_decor_mut().set_prefix(format!("{before}# FILL IN: {what}\n"));
    }
}

/// The texts of an answer; a NULL is empty.
fn rows(answer: &Answer) -> Vec<Vec<String>> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    };
    let set = answer.sets.first();
    set.map(|set| set.rows.iter().map(|row| row.values().map(text).collect()).collect()).unwrap_or_default()
}
