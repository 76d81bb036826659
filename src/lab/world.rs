//! One lab from start to end: its folder, its servers, its shell, and what is written down when it stops.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Seek, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use miette::Diagnostic;
use serde_json::{Value, json};

use super::agent;
use super::browser::Browser;
use super::catalog::Catalog;
use super::instance::{Credentials, Database, DatabaseState, Instance, Mirroring, PathMap, State, World, lock, same};
use super::scenario::{self, Fault, Offers, Scenario};
use super::scene::{self, Folders};
use super::shell::{ChatSite, DatabaseView, Instances, Shell, ShellOptions, Store};
use super::statements::Front;
use super::tds::{Certificate, Claims, Encryption, LOGIN_TIME, Server, ServerOptions, StartError, TlsAge};
use super::wirelog::WireLog;
use crate::wire::browser::Listed;

/// What a lab is made from.
#[derive(Clone, Debug)]
pub struct LabOptions {
    pub scenario: Scenario,
    pub seed: u64,
    /// factor on simulated durations; 0: no waiting
    pub pace: f64,
    /// where files, logs and the site file go; made if it is not there
    pub dir: PathBuf,
    /// where the SQL Servers listen, loopback as a rule; the shell, which asks for no password, always listens there
    pub listen: IpAddr,
    /// the cutover binary, which is also the shell's child process
    pub shell_program: PathBuf,
}

/// Why a lab cannot start or end properly.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum LabError {
    /// The lab's folder, its share or its end state cannot be written.
    #[error("cannot write `{}`", path.display())]
    #[diagnostic(code(cutover::lab::folder), help("choose a folder that is empty or new, on a disk with room"))]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A lab keeps its certificates and its site file in its folder; a second one there would overwrite them. It was not started.
    #[error("the folder `{}` holds a lab already", path.display())]
    #[diagnostic(code(cutover::lab::occupied), help("choose another folder, or remove this one"))]
    Occupied { path: PathBuf },
    /// The address is not this machine's, or its port is taken. The lab was not started.
    #[error("cannot listen on {address}")]
    #[diagnostic(code(cutover::lab::listen), help("give an address of this machine"))]
    Listen {
        address: IpAddr,
        #[source]
        source: io::Error,
    },
    /// The lab keeps its servers' tables in SQLite, in memory, and that could not be set up. It was not started.
    #[error("cannot make the lab's catalogue")]
    #[diagnostic(code(cutover::lab::catalogue), help("report this with the platform you run on"))]
    Catalogue(#[source] rusqlite::Error),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Start(#[from] StartError),
    /// The pace stretches simulated work: 0 waits for nothing, 1 takes as long as a small site. The lab was not started.
    #[error("the pace must be a number from 0 up, not {pace}")]
    #[diagnostic(code(cutover::lab::pace), help("give 0 for no waiting, 1 for the simulated time"))]
    Pace { pace: f64 },
}

/// What `world.json` holds.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalState(pub Value);

/// A lab that serves.
pub struct Lab {
    dir: PathBuf,
    site_file: PathBuf,
    world: Arc<World>,
    instances: Arc<BTreeMap<String, Arc<Instance>>>,
    servers: Vec<Server>,
    /// answer until they are dropped
    _browsers: Vec<Browser>,
    shell: Arc<Shell>,
    shell_task: tokio::task::JoinHandle<()>,
    share: Share,
    _growing: Vec<Growing>,
    /// held so that nobody else takes the port: connects to it are refused
    _silent: socket2::Socket,
}

struct Names {
    key: &'static str,
    machine: &'static str,
    fqdn: &'static str,
}

const SERVERS: [Names; 2] = [
    Names { key: scenario::SERVERS[0], machine: "DR-SQL-01", fqdn: "dr-sql-01.litwareinc.com" },
    Names { key: scenario::SERVERS[1], machine: "DR-SQL-02", fqdn: "dr-sql-02.litwareinc.com" },
];
const INSTANCE: &str = "RTC";
const PRIMARY_FQDN: &str = "pchat-sql-01.litwareinc.com";
const USER: &str = "cutover";
const DOMAIN: &str = "LITWAREINC";
const PASSWORD_FILE: &str = "password";
const CERTIFICATE_FILE: &str = "lab.crt";
const SITE_FILE: &str = "site.toml";
/// Told call by call, and written anew at the end, with what came of each.
const SHELL_LOG: &str = "shell.jsonl";

impl Lab {
    /// Sets the scene below `options.dir` and serves it. The site file appears, by renaming, once everything listens.
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        if !(options.pace >= 0.0 && options.pace.is_finite()) {
            return Err(LabError::Pace { pace: options.pace });
        }
        let dir = &options.dir;
        let within = |path: &Path| {
            let path = path.to_owned();
            move |source| LabError::Folder { path, source }
        };
        fs::create_dir_all(dir).map_err(within(dir))?;
        let dir = std::path::absolute(dir).map_err(within(dir))?;
        let site_file = dir.join(SITE_FILE);
        if site_file.exists() || dir.join("share").exists() {
            return Err(LabError::Occupied { path: dir });
        }
        let folders = Folders::make(&dir).map_err(within(&dir))?;
        let world = Arc::new(new_world(&options));
        let password = format!("Lab-{}", uuid::Uuid::new_v4().simple());
        write_secret(&dir.join(PASSWORD_FILE), &password).map_err(within(&dir.join(PASSWORD_FILE)))?;

        let state = scene::backup_instance(&options.scenario, &world, &folders).map_err(within(&dir))?;
        let mut random = fastrand::Rng::with_seed(lock(&world.random).u64(..));
        let empty = scene::empty_instance(&world, &mut random);
        let mut instances = BTreeMap::new();
        for (names, mut state) in SERVERS.iter().zip([state, empty]) {
            let here = |fault: &Fault| fault.as_break().filter(|(server, _)| *server == names.key).map(|(_, planned)| planned);
            state.breaks = options.scenario.faults.iter().filter_map(here).collect();
            let instance = new_instance(names, state, &options.scenario, &world, &folders, &password)?;
            instances.insert(names.key.to_owned(), Arc::new(instance));
        }

        let growing = scene::growing(&options.scenario, &world, &folders);
        let share = Share::look(&folders.share, &growing);
        let growing: Vec<Growing> =
            growing.into_iter().map(|(path, seconds)| Growing::begin(&path, seconds).map_err(within(&path))).collect::<Result<_, _>>()?;

        let listening = |source| LabError::Listen { address: options.listen, source };
        let mut servers = Vec::new();
        let mut browsers = Vec::new();
        let mut places = BTreeMap::new();
        let mut trusted: Vec<Vec<u8>> = Vec::new();
        let certificate = Certificate::claiming(&claims(options.listen)).map_err(StartError::from)?;
        for (key, instance) in &instances {
            let listener = TcpListener::bind((options.listen, 0)).map_err(listening)?;
            let offers = options.scenario.faults.iter().find_map(|fault| match fault {
                Fault::Tls { server, offers } if server == key => Some(*offers),
                _ => None,
            });
            let tls = encryption(offers, &certificate, claims(options.listen)).map_err(StartError::from)?;
            let pem = tls.certificate.pem().map_err(StartError::from)?;
            if offers != Some(Offers::UnknownIssuer) && !trusted.contains(&pem) {
                trusted.push(pem);
            }
            let server = Server::start(listener, Arc::new(Front(Arc::clone(instance))), tls)?;
            let port = server.addr().port();
            let mut place = Place::Port(port);
            if options.scenario.named_instances {
                let (major, minor, build) = instance.version;
                let listed = Listed {
                    server: instance.machine.clone(),
                    instance: instance.instance.clone(),
                    version: format!("{major}.{minor}.{build}.0"),
                    port: Some(port),
                };
                let browser = Browser::start(options.listen, vec![listed]).map_err(listening)?;
                place = Place::Browser(browser.port());
                browsers.push(browser);
            }
            places.insert(key.clone(), place);
            // set once, here: nothing else fills it
            let _ = instance.links.set(server.connections());
            servers.push(server);
        }
        fs::write(dir.join(CERTIFICATE_FILE), trusted.concat()).map_err(within(&dir.join(CERTIFICATE_FILE)))?;
        let silent = reserve(options.listen).map_err(listening)?;
        let primary = silent.local_addr().ok().and_then(|address| address.as_socket()).map_or(1, |address| address.port());

        // set once, here: nothing else fills it
        let _ = world.servers.set(instances.values().map(Arc::downgrade).collect());
        for instance in instances.values() {
            agent::serve(instance);
        }
        let instances = Arc::new(instances);
        let stores = Stores { world: Arc::clone(&world), instances: Arc::clone(&instances) };
        let shell = Shell::new(
            ShellOptions {
                pace: options.pace,
                import_seconds: options.scenario.import_seconds,
                replication_seconds: options.scenario.replication_seconds,
                faults: options.scenario.shell_faults.clone(),
                log: Some(dir.join(SHELL_LOG)),
                ..ShellOptions::default()
            },
            ChatSite::default(),
            Arc::new(stores),
        );
        let inside = if options.listen.is_loopback() { options.listen } else { IpAddr::from([127, 0, 0, 1]) };
        let listener = tokio::net::TcpListener::bind((inside, 0)).await.map_err(listening)?;
        let shell_address = listener.local_addr().map_err(listening)?;
        let shell_task = tokio::spawn(Arc::clone(&shell).serve(listener));

        let site = site_text(&options, &dir, &folders, &places, primary, shell_address);
        let waiting = dir.join("site.toml.new");
        fs::write(&waiting, site).map_err(within(&waiting))?;
        fs::rename(&waiting, &site_file).map_err(within(&site_file))?;
        Ok(Self {
            dir,
            site_file,
            world,
            instances,
            servers,
            _browsers: browsers,
            shell,
            shell_task,
            share,
            _growing: growing,
            _silent: silent,
        })
    }

    /// The site file that leads to this lab.
    pub fn site_file(&self) -> &Path {
        &self.site_file
    }

    /// Closes the sockets and writes `world.json`, `wire.jsonl` and `shell.jsonl` beside the site file.
    pub async fn stop(self) -> Result<FinalState, LabError> {
        self.world.closing.store(true, Ordering::Relaxed);
        for server in self.servers {
            server.stop().await;
        }
        let path = self.dir.join("wire.jsonl");
        write_file(&path, |out| self.world.wire.write(out)).map_err(|source| LabError::Folder { path, source })?;
        self.shell_task.abort();
        let path = self.dir.join(SHELL_LOG);
        write_file(&path, |out| self.shell.write_calls(out)).map_err(|source| LabError::Folder { path, source })?;
        let last = final_state(&self.instances, &self.shell.pool(), &self.share);
        let path = self.dir.join("world.json");
        let written = write_file(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, &last)?;
            out.write_all(b"\n")
        });
        written.map_err(|source| LabError::Folder { path, source })?;
        Ok(FinalState(last))
    }
}

fn write_file(path: &Path, content: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    content(&mut out)?;
    out.flush()
}

fn new_world(options: &LabOptions) -> World {
    let now = options.scenario.now.unwrap_or_else(Timestamp::now);
    let opened = options.scenario.now.or(Timestamp::from_second(now.as_second() / 60 * 60).ok()).unwrap_or(now);
    World {
        opened,
        origin: (now, Instant::now()),
        pace: options.pace,
        offset_minutes: options.scenario.utc_offset_minutes,
        random: Mutex::new(fastrand::Rng::with_seed(options.seed)),
        wire: WireLog::default(),
        restore_seconds: options.scenario.restore_seconds,
        recovery_seconds: options.scenario.recovery_seconds,
        ahead: AtomicI64::new(0),
        closing: AtomicBool::new(false),
        servers: OnceLock::new(),
    }
}

fn new_instance(
    names: &Names,
    state: State,
    scenario: &Scenario,
    world: &Arc<World>,
    folders: &Folders,
    password: &str,
) -> Result<Instance, LabError> {
    let refused = scenario.faults.iter().any(|fault| matches!(fault, Fault::LoginFails { server } if server == names.key));
    Ok(Instance {
        key: names.key.to_owned(),
        server: format!("{}\\{INSTANCE}", names.machine),
        machine: names.machine.to_owned(),
        instance: INSTANCE.to_owned(),
        fqdn: names.fqdn.to_owned(),
        version: scenario.version.number(),
        rights: scenario.login,
        credentials: Credentials { user: USER.to_owned(), domain: DOMAIN.to_owned(), password: password.to_owned(), refused },
        denied: scene::denied(scenario, folders),
        paths: PathMap(vec![
            (scene::COPY.to_owned(), folders.copy.clone()),
            (scene::SHARE.to_owned(), folders.share.clone()),
            (scene::MIRROR_SHARE.to_owned(), folders.mirror.clone()),
            ("E:\\Data".to_owned(), folders.data.clone()),
            ("E:\\".to_owned(), folders.data.clone()),
        ]),
        world: Arc::clone(world),
        state: Mutex::new(state),
        catalog: Mutex::new(Catalog::new().map_err(LabError::Catalogue)?),
        serial: AtomicU64::new(1),
        links: OnceLock::new(),
    })
}

/// A port that is taken and never listens, so that every connect is refused at once.
fn reserve(address: IpAddr) -> io::Result<socket2::Socket> {
    let at = SocketAddr::new(address, 0);
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

#[cfg(unix)]
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

/// How the site file says where an instance listens.
#[derive(Clone, Copy)]
enum Place {
    Port(u16),
    /// the UDP port of its machine's Browser
    Browser(u16),
}

/// The names that clients call a lab by that listens there.
fn claims(listen: IpAddr) -> Claims {
    let mut claims = Claims::default();
    let name = match listen.is_unspecified() {
        true => whoami::hostname().ok(),
        false => Some(listen.to_string()),
    };
    claims.names.extend(name.filter(|name| !claims.names.contains(name)));
    claims
}

/// What a server offers: everything as it should be, or with this wrong.
fn encryption(offers: Option<Offers>, good: &Certificate, claims: Claims) -> Result<ServerOptions, openssl::error::ErrorStack> {
    let mut options =
        ServerOptions { certificate: good.clone(), encryption: Encryption::Required, tls: TlsAge::Current, login_time: LOGIN_TIME };
    let Some(offers) = offers else { return Ok(options) };
    match offers {
        Offers::Tls10 => options.tls = TlsAge::Old,
        Offers::OldSuites => options.tls = TlsAge::OldSuites,
        Offers::LoginOnly => options.encryption = Encryption::LoginOnly,
        Offers::None => options.encryption = Encryption::Off,
        Offers::Expired | Offers::WrongName | Offers::UnknownIssuer => {}
    }
    let names = match offers {
        Offers::WrongName => vec!["elsewhere.litwareinc.com".to_owned()],
        _ => claims.names,
    };
    let rsa = matches!(offers, Offers::Tls10 | Offers::OldSuites);
    options.certificate = Certificate::claiming(&Claims { names, expired: offers == Offers::Expired, rsa })?;
    Ok(options)
}

fn site_text(
    options: &LabOptions,
    dir: &Path,
    folders: &Folders,
    places: &BTreeMap<String, Place>,
    primary: u16,
    shell: SocketAddr,
) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned());
    let path = |value: &Path| text(&value.display().to_string());
    let table =
        |pairs: Vec<(&str, toml::Value)>| toml::Value::Table(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let list = |items: &[&str]| toml::Value::Array(items.iter().map(|item| text(item)).collect());
    let address = match options.listen {
        IpAddr::V4(all) if all.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(all) if all.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        one => one,
    };
    let address = address.to_string();
    let server = |place: Place, fqdn: &str| {
        let mut pairs = vec![("server", text(&address))];
        pairs.extend(match place {
            Place::Port(port) => vec![("port", toml::Value::Integer(port.into()))],
            Place::Browser(port) => vec![("instance", text(INSTANCE)), ("browser_port", toml::Value::Integer(port.into()))],
        });
        pairs.extend([
            ("fqdn", text(fqdn)),
            ("instance_name", text(INSTANCE)),
            ("auth", table(vec![("user", text(USER)), ("password", table(vec![("file", text(PASSWORD_FILE))]))])),
            ("ca", text(CERTIFICATE_FILE)),
        ]);
        table(pairs)
    };
    let mut sql: Vec<(&str, toml::Value)> =
        SERVERS.iter().filter_map(|names| Some((names.key, server(*places.get(names.key)?, names.fqdn)))).collect();
    sql.push(("primary", server(Place::Port(primary), PRIMARY_FQDN)));
    let shell_address = shell.to_string();
    let site = table(vec![
        (
            "site",
            table(vec![
                ("name", text("lab")),
                ("pool", text(scene::POOL)),
                ("database", text(scene::DATABASE)),
                ("active_servers", list(&["dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"])),
                ("mirror_share", text(scene::MIRROR_SHARE)),
                ("recovery_time_target", text("1h")),
                ("lab", toml::Value::Boolean(true)),
            ]),
        ),
        ("sql", table(sql)),
        (
            "backups",
            table(vec![("share", path(&folders.share)), ("copy_to", path(&folders.copy)), ("copy_to_on_server", text(scene::COPY))]),
        ),
        (
            "powershell",
            table(vec![
                ("program", path(&options.shell_program)),
                ("arguments", list(&["lab-shell", &shell_address])),
                ("module", text("Lync")),
                (
                    "allow",
                    list(&[
                        "Set-CsPersistentChatState",
                        "Set-CsPersistentChatActiveServer",
                        "Install-CsMirrorDatabase",
                        "Uninstall-CsMirrorDatabase",
                        "Start-CsWindowsService",
                        "Stop-CsWindowsService",
                    ]),
                ),
            ]),
        ),
        ("journal", table(vec![("folder", path(&dir.join("runs")))])),
    ]);
    let body = toml::to_string(&site).unwrap_or_default();
    format!("# the site of a lab; it is gone when the lab stops\n{body}")
}

/// The shell's way to the SQL Servers.
struct Stores {
    world: Arc<World>,
    instances: Arc<BTreeMap<String, Arc<Instance>>>,
}

impl Stores {
    fn find(&self, store: &Store) -> Option<&Arc<Instance>> {
        self.instances.values().find(|instance| store.is(&instance.fqdn, &instance.instance))
    }

    fn both(&self, principal: &Store, mirror: &Store) -> Result<(&Arc<Instance>, &Arc<Instance>), String> {
        let find = |store: &Store| {
            let silent = || {
                format!(
                    "A network-related or instance-specific error occurred while establishing a connection to SQL Server \
                     '{}\\{}'. The server was not found or was not accessible.",
                    store.fqdn, store.instance
                )
            };
            self.find(store).ok_or_else(silent)
        };
        let (principal, mirror) = (find(principal)?, find(mirror)?);
        if Arc::ptr_eq(principal, mirror) {
            return Err("The partner server instance name must be distinct from the server instance that manages the database.".to_owned());
        }
        Ok((principal, mirror))
    }
}

impl Instances for Stores {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn database(&self, store: &Store, database: &str) -> Option<DatabaseView> {
        let state = self.find(store)?.lock();
        let found = state.database(database);
        Some(DatabaseView {
            state: found.map(|found| found.state.description().to_owned()),
            in_standby: found.is_some_and(|found| found.in_standby),
            mirroring: found
                .and_then(|found| found.mirroring.as_ref())
                .map(|mirroring| (mirroring.role().to_owned(), mirroring.state_description().to_owned())),
        })
    }

    fn mirror(&self, principal: &Store, mirror: &Store, database: &str, drop_existing: bool) -> Result<(), String> {
        let (here, there) = self.both(principal, mirror)?;
        let guid = self.world.guid();
        let now = self.world.local();
        let source: Database = {
            let state = here.lock();
            let found = state.database(database).ok_or_else(|| format!("Database \"{database}\" does not exist."))?;
            if found.mirroring.is_some() {
                return Err(format!("The database \"{database}\" is already enabled for database mirroring."));
            }
            if !found.is_open() || found.in_standby {
                return Err(format!("Database '{database}' cannot be opened. It is in the middle of a restore."));
            }
            if found.recovery_model != "FULL" {
                return Err(format!("Database \"{database}\" requires database logging to be FULL for mirroring."));
            }
            found.clone()
        };
        {
            let mut state = there.lock();
            if let Some(found) = state.database(database) {
                if !drop_existing {
                    return Err(format!("The database \"{database}\" exists on the mirror server instance already."));
                }
                if found.busy.is_some() || !state.users_of(database, 0).is_empty() {
                    return Err(format!("Cannot drop database \"{database}\" because it is currently in use."));
                }
                state.databases.retain(|found| !same(&found.name, database));
            }
            let id = state.next_database_id();
            state.databases.push(Database {
                id,
                state: DatabaseState::Restoring,
                created: now,
                logs_applied: 0,
                mirroring: Some(Mirroring {
                    guid,
                    principal: false,
                    state: 4,
                    partner_name: format!("TCP://{}:5022", here.fqdn),
                    partner_instance: here.server.clone(),
                }),
                ..source
            });
        }
        if let Some(found) = here.lock().database_mut(database) {
            found.mirroring = Some(Mirroring {
                guid,
                principal: true,
                state: 4,
                partner_name: format!("TCP://{}:5022", there.fqdn),
                partner_instance: there.server.clone(),
            });
        }
        Ok(())
    }

    fn fail_over(&self, principal: &Store, mirror: &Store, database: &str) -> Result<(), String> {
        let (here, there) = self.both(principal, mirror)?;
        let is_in = |instance: &Instance, role: bool| {
            let state = instance.lock();
            let mirroring = state.database(database).and_then(|found| found.mirroring.as_ref());
            mirroring.is_some_and(|mirroring| mirroring.principal == role && mirroring.state_description() == "SYNCHRONIZED")
        };
        if !is_in(here, true) || !is_in(there, false) {
            return Err(format!("Database \"{database}\" is not in a synchronized mirroring session."));
        }
        for (instance, principal) in [(here, false), (there, true)] {
            if let Some(found) = instance.lock().database_mut(database) {
                found.state = if principal { DatabaseState::Online } else { DatabaseState::Restoring };
                if let Some(mirroring) = &mut found.mirroring {
                    mirroring.principal = principal;
                }
            }
        }
        Ok(())
    }

    fn unmirror(&self, principal: &Store, mirror: &Store, database: &str, drop_existing: bool) -> Result<(), String> {
        let (here, there) = self.both(principal, mirror)?;
        {
            let mut state = here.lock();
            let found = state.database_mut(database).filter(|found| found.mirroring.is_some());
            let found = found.ok_or_else(|| format!("Database \"{database}\" is not configured for database mirroring."))?;
            found.mirroring = None;
        }
        let mut state = there.lock();
        if drop_existing {
            state.databases.retain(|found| !same(&found.name, database));
        } else if let Some(found) = state.database_mut(database) {
            found.mirroring = None;
        }
        Ok(())
    }
}

/// What lay whole on the share when the lab opened: nobody but the primary has any business to change it.
struct Share {
    folder: PathBuf,
    files: BTreeMap<String, u64>,
}

impl Share {
    fn look(folder: &Path, growing: &[(PathBuf, f64)]) -> Self {
        let mut files = sizes(folder);
        files.retain(|name, _| !growing.iter().any(|(path, _)| path.ends_with(name)));
        Self { folder: folder.to_owned(), files }
    }

    /// The files that are gone, or are not as long as they were.
    fn changed(&self) -> Vec<&str> {
        let lost = self.folder.with_file_name(scene::LOST_SHARE);
        let now = sizes(if lost.exists() { &lost } else { &self.folder });
        self.files.iter().filter(|(name, bytes)| now.get(*name) != Some(bytes)).map(|(name, _)| name.as_str()).collect()
    }
}

/// The files of a folder by name, with their lengths; none where it cannot be read.
fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.metadata().ok()?.len()))).collect()
}

/// A file that somebody is still writing: a thread adds to it every other moment until it is whole, or until the lab ends.
struct Growing(Arc<AtomicBool>);

impl Growing {
    const PAUSE: Duration = Duration::from_micros(500);

    /// Cuts the file to its half, and lets it grow from there for so many real seconds.
    fn begin(path: &Path, seconds: f64) -> io::Result<Self> {
        let whole = fs::read(path)?;
        let half = whole.len() / 2;
        let mut file = fs::File::options().write(true).open(path)?;
        file.set_len(half as u64)?;
        file.seek(io::SeekFrom::End(0))?;
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        std::thread::spawn(move || {
            let (begun, mut written) = (Instant::now(), half);
            while written < whole.len() && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Self::PAUSE);
                let part = if seconds > 0.0 { (begun.elapsed().as_secs_f64() / seconds).min(1.0) } else { 1.0 };
                // at least a byte each time: whoever looks twice sees it grow
                let until = (half + ((whole.len() - half) as f64 * part) as usize).max(written + 1);
                if let Err(error) = file.write_all(&whole[written..until]) {
                    tracing::warn!(%error, "a growing file does not grow any more");
                    return;
                }
                written = until;
            }
        });
        Ok(Self(over))
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `world.json`.
fn final_state(instances: &BTreeMap<String, Arc<Instance>>, pool: &Value, share: &Share) -> Value {
    let mut servers = serde_json::Map::new();
    for (key, instance) in instances {
        let state = instance.lock();
        let mut databases = serde_json::Map::new();
        let mut mirroring = serde_json::Map::new();
        for database in &state.databases {
            let redo = (database.state == DatabaseState::Restoring).then(|| database.redo.to_string());
            databases.insert(
                database.name.clone(),
                json!({
                    "state": database.state.description(),
                    "in_standby": database.in_standby,
                    "user_access": database.access.description(),
                    "redo_lsn": redo,
                    "logs_applied": database.logs_applied,
                }),
            );
            if let Some(found) = &database.mirroring {
                mirroring.insert(
                    database.name.clone(),
                    json!({
                        "role": found.role(),
                        "state": found.state_description(),
                        "partner": found.partner_instance,
                    }),
                );
            }
        }
        let secondaries: Vec<Value> = state
            .secondary_databases
            .iter()
            .map(|row| {
                let secondary = state.secondaries.iter().find(|secondary| secondary.id == row.secondary);
                json!({
                    "secondary_database": row.name,
                    "primary_server": secondary.map(|secondary| &secondary.primary_server),
                    "primary_database": secondary.map(|secondary| &secondary.primary_database),
                    "last_copied_file": secondary.and_then(|row| row.last_copied.as_ref()).map(|(file, _)| file),
                    "last_restored_file": row.last_restored.as_ref().map(|(file, _)| file),
                })
            })
            .collect();
        let jobs: Vec<Value> = state
            .jobs
            .iter()
            .map(|job| {
                let schedules = state.schedules.iter().filter(|schedule| schedule.enabled && job.schedules.contains(&schedule.id));
                let schedules: Vec<&str> = schedules.map(|schedule| schedule.name.as_str()).collect();
                json!({ "name": job.name, "enabled": job.enabled, "running": job.is_running(), "schedules": schedules })
            })
            .collect();
        servers.insert(
            key.clone(),
            json!({
                "databases": databases,
                "log_shipping_secondaries": secondaries,
                "jobs": jobs,
                "jobs_cut": state.cut_jobs,
                "mirroring": mirroring,
            }),
        );
    }
    json!({ "servers": servers, "pool": pool, "share_changed": share.changed() })
}

/// The backup instance of a scenario without sockets, for tests of what statements do.
#[cfg(test)]
pub fn instance_of(scenario: &Scenario, seed: u64) -> (tempfile::TempDir, Arc<Instance>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folders = Folders::make(dir.path()).expect("folders");
    let options = LabOptions {
        scenario: scenario.clone(),
        seed,
        pace: 0.0,
        dir: dir.path().to_owned(),
        listen: IpAddr::from([127, 0, 0, 1]),
        shell_program: PathBuf::from("cutover"),
    };
    let world = Arc::new(new_world(&options));
    let state = scene::backup_instance(scenario, &world, &folders).expect("a scene");
    let instance = new_instance(&SERVERS[0], state, scenario, &world, &folders, "secret").expect("an instance");
    (dir, Arc::new(instance))
}
