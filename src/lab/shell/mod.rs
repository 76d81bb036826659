//! The lab's management shell: a TCP server that speaks the bridge's messages and simulates the documented cmdlets of a
//! Persistent Chat failover. The tool reaches it through a real child process, [`relay`].
//!
//! What it does not simulate it refuses as the shell would refuse an unknown name. What is known of a cmdlet comes from
//! its reference page; names of properties that no page gives are the lab's own and said so in `docs/`. It is used by
//! the lab only, and asks the lab's SQL Servers through [`Instances`].

mod binding;
mod chat;
mod cmdlets;
mod fault;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::wire::bridge::{self, Answer, ErrorRecord, Hello, Request};

pub use chat::{ChatSite, Computer, Pool, PoolState, Store};
pub use fault::ShellFault;

/// What the shell needs of the SQL Servers of the same lab. A store is named as the topology names it: FQDN of the
/// machine and name of the instance.
pub trait Instances: Send + Sync + 'static {
    /// The lab's time.
    fn now(&self) -> Timestamp;
    /// The database on that instance, with its mirroring; nothing when the instance does not answer.
    fn database(&self, store: &Store, database: &str) -> Option<DatabaseView>;
    /// Makes a partnership: both instances answer, the database is ONLINE here and absent there (or dropped there
    /// first). The error is the text of what SQL Server would say.
    fn mirror(&self, principal: &Store, mirror: &Store, database: &str, drop_existing: bool) -> Result<(), String>;
    /// Exchanges the roles of a synchronized partnership.
    fn fail_over(&self, principal: &Store, mirror: &Store, database: &str) -> Result<(), String>;
    /// Ends a partnership; the former mirror's database is dropped when asked.
    fn unmirror(&self, principal: &Store, mirror: &Store, database: &str, drop_existing: bool) -> Result<(), String>;
}

/// One database as the shell sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseView {
    /// `sys.databases.state_desc`; absent: there is no such database
    pub state: Option<String>,
    /// `sys.databases.is_in_standby`
    pub in_standby: bool,
    /// `sys.database_mirroring.mirroring_role_desc` and `mirroring_state_desc`
    pub mirroring: Option<(String, String)>,
}

/// How the shell behaves. Durations are seconds at pace 1, longer than they are fun and shorter than real ones.
#[derive(Clone, Debug)]
pub struct ShellOptions {
    /// factor on every duration; 0: no waiting
    pub pace: f64,
    /// the module that can be imported, `Lync` or `SkypeForBusiness`
    pub module: String,
    pub import_seconds: f64,
    pub read_seconds: f64,
    pub change_seconds: f64,
    pub mirror_seconds: f64,
    /// how long a call waits for a machine of the lost site before it gives up
    pub dead_seconds: f64,
    /// from a change until the replicas that are up have it
    pub replication_seconds: f64,
    /// what is wrong, in order
    pub faults: Vec<ShellFault>,
    /// where each call is told as it comes, before it does anything; what came of it is not told there
    pub log: Option<PathBuf>,
}

impl Default for ShellOptions {
    fn default() -> Self {
        Self {
            pace: 1.0,
            module: "Lync".to_owned(),
            import_seconds: 1.0,
            read_seconds: 0.1,
            change_seconds: 0.5,
            mirror_seconds: 3.0,
            dead_seconds: 5.0,
            replication_seconds: 2.0,
            faults: Vec::new(),
            log: None,
        }
    }
}

impl ShellOptions {
    fn paced(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.pace).unwrap_or_default()
    }
}

/// One call, as `shell.jsonl` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShellCall {
    /// from 1, in the order the calls came
    pub n: u64,
    pub at: String,
    /// the name as it was sent
    pub cmdlet: String,
    pub parameters: Map<String, Value>,
    /// fully qualified error ids (or the message, where there is none), in order
    pub errors: Vec<String>,
}

/// The shell of one lab; every connection is a shell process of its own with the same world behind it.
pub struct Shell {
    options: ShellOptions,
    site: Mutex<ChatSite>,
    instances: Arc<dyn Instances>,
    calls: Mutex<Vec<ShellCall>>,
}

impl Shell {
    pub fn new(options: ShellOptions, mut site: ChatSite, instances: Arc<dyn Instances>) -> Arc<Self> {
        if options.faults.contains(&ShellFault::CmsReadOnly) {
            site.lose_store();
        }
        Arc::new(Self { options, site: Mutex::new(site), instances, calls: Mutex::default() })
    }

    /// Answers connections until it is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // an answer is several small lines: held back for an acknowledgement, each call would cost 40 ms
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "the shell's socket keeps small packets back");
                    }
                    let shell = Arc::clone(&self);
                    tokio::spawn(async move {
                        let (read, write) = stream.into_split();
                        let connection = Connection { shell, reader: BufReader::new(read), writer: write, buffer: Vec::new() };
                        connection.run().await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the lab's shell could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// The pool as `world.json` tells it: `{"state", "turned_to", "active_servers"}`.
    pub fn pool(&self) -> Value {
        let site = self.site();
        json!({ "state": site.pools.first().map(|pool| pool.state), "turned_to": site.turned_to, "active_servers": site.active })
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<ShellCall> {
        lock(&self.calls).clone()
    }

    /// Writes `shell.jsonl`: one JSON object a line.
    pub fn write_calls(&self, out: &mut impl Write) -> io::Result<()> {
        for call in lock(&self.calls).iter() {
            serde_json::to_writer(&mut *out, call)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn site(&self) -> MutexGuard<'_, ChatSite> {
        lock(&self.site)
    }

    fn received(&self, cmdlet: &str, parameters: &Map<String, Value>) -> usize {
        let mut calls = lock(&self.calls);
        let n = calls.len();
        let call = ShellCall {
            n: n as u64 + 1,
            at: self.instances.now().to_string(),
            cmdlet: cmdlet.to_owned(),
            parameters: parameters.clone(),
            errors: Vec::new(),
        };
        if let Some(log) = &self.options.log
            && let Err(error) = append(log, &call)
        {
            tracing::warn!(%error, "the lab's shell could not tell a call");
        }
        calls.push(call);
        n
    }

    fn failed(&self, call: usize, record: &ErrorRecord) {
        let id = if record.error_id.is_empty() { &record.message } else { &record.error_id };
        if let Some(call) = lock(&self.calls).get_mut(call) {
            call.errors.push(id.clone());
        }
    }

    /// How often this cmdlet was called, this call included.
    fn count(&self, cmdlet: &str) -> u32 {
        let count = lock(&self.calls).iter().filter(|call| call.cmdlet.eq_ignore_ascii_case(cmdlet)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

fn append(log: &Path, call: &ShellCall) -> io::Result<()> {
    let mut line = serde_json::to_vec(call)?;
    line.push(b'\n');
    std::fs::File::options().create(true).append(true).open(log)?.write_all(&line)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other side went away; there is nobody to tell.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

struct Connection {
    shell: Arc<Shell>,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    buffer: Vec<u8>,
}

impl Connection {
    async fn run(mut self) {
        while let Ok(Some(line)) = self.line().await {
            let ended = match bridge::from_line::<Request>(&line) {
                Ok(Request::Hello { module, cmdlets: asked }) => self.hello(&module, asked).await,
                Ok(Request::Invoke { id, cmdlet, parameters, depth: _ }) if bridge::is_cmdlet_name(&cmdlet) => {
                    self.invoke(id, &cmdlet, parameters).await
                }
                Ok(Request::Invoke { cmdlet, .. }) => {
                    let message = format!("no such request, or not the name of a cmdlet: {cmdlet}");
                    self.send(&Answer::Refused { message }).await
                }
                Err(error) => self.send(&Answer::Refused { message: format!("not JSON: {error}") }).await,
            };
            if ended.is_err() {
                return;
            }
        }
    }

    async fn line(&mut self) -> Result<Option<String>, Gone> {
        loop {
            self.buffer.clear();
            if self.reader.read_until(b'\n', &mut self.buffer).await? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&self.buffer);
            if !line.trim().is_empty() {
                return Ok(Some(line.into_owned()));
            }
        }
    }

    async fn send(&mut self, answer: &Answer) -> Result<(), Gone> {
        let mut line = bridge::to_line(answer);
        line.push('\n');
        self.writer.write_all(line.as_bytes()).await?;
        Ok(())
    }

    /// Waits, unless the process on the other side ends meanwhile: a shell that is killed does nothing more.
    async fn wait(&mut self, seconds: f64) -> Result<(), Gone> {
        let until = Instant::now() + self.shell.options.paced(seconds);
        let pause = tokio::time::sleep_until(until.into());
        tokio::select! {
            biased;
            () = pause => Ok(()),
            // The protocol takes turns, so nothing but the end can be read here.
            read = self.reader.fill_buf() => match read {
                Ok(bytes) if !bytes.is_empty() => { tokio::time::sleep_until(until.into()).await; Ok(()) }
                _ => Err(Gone),
            },
        }
    }

    async fn hello(&mut self, module: &str, asked: Vec<String>) -> Result<(), Gone> {
        self.wait(self.shell.options.import_seconds).await?;
        let known = module.is_empty() || module.eq_ignore_ascii_case(&self.shell.options.module);
        let missing = fault::module_missing(&self.shell.options.faults) && !module.is_empty();
        let ok = known && !missing;
        if ok {
            let hello = Hello {
                ps_version: "5.1.14393.0".to_owned(),
                edition: "Desktop".to_owned(),
                language_mode: "FullLanguage".to_owned(),
                execution_policies: vec!["LocalMachine: RemoteSigned".to_owned()],
                module: module.to_owned(),
                module_version: if module.is_empty() { String::new() } else { "1.0".to_owned() },
                elevated: Some(true),
                user: r"LITWAREINC\lab".to_owned(),
                host: "LAB".to_owned(),
                missing: asked.into_iter().filter(|name| crate::facts::cmdlets::find(name).is_none()).collect(),
            };
            self.send(&Answer::Hello(hello)).await?;
        } else {
            let message =
                format!("The specified module '{module}' was not loaded because no valid module file was found in any module directory.");
            let record = ErrorRecord {
                category: "ResourceUnavailable".to_owned(),
                error_id: "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand".to_owned(),
                message,
                target: module.to_owned(),
                terminating: true,
                exception: "System.IO.FileNotFoundException".to_owned(),
            };
            self.send(&Answer::Error(record)).await?;
        }
        self.send(&Answer::Done { id: 0, ok }).await
    }

    async fn invoke(&mut self, id: u64, cmdlet: &str, parameters: Map<String, Value>) -> Result<(), Gone> {
        let parameters: Map<String, Value> = parameters.into_iter().map(|(name, value)| (name, bridge::unguard(value))).collect();
        let call = self.shell.received(cmdlet, &parameters);
        let ok = match binding::bind(cmdlet, &parameters) {
            Ok(bound) => self.perform(call, &bound).await?,
            Err(record) => {
                self.report(call, *record).await?;
                false
            }
        };
        self.send(&Answer::Done { id, ok }).await
    }

    /// Runs a bound call; true unless a terminating error ended it.
    async fn perform(&mut self, call: usize, bound: &binding::Bound) -> Result<bool, Gone> {
        let name = bound.cmdlet.name;
        let nth = self.shell.count(name);
        let fault = fault::strikes(&self.shell.options.faults, name, nth);
        let shell = Arc::clone(&self.shell);
        let seconds = cmdlets::seconds(&shell, bound) + fault.seconds;
        for message in fault.warnings {
            self.send(&Answer::Warning { message }).await?;
        }
        // The change lies in the middle, so that a shell that is killed may have made it or not.
        self.wait(seconds / 2.0).await?;
        if let Some(record) = fault.fails_before {
            return self.end_with(call, bound, record).await;
        }
        if fault.dies_before {
            return Err(Gone);
        }
        // SQL Server is asked here, which may take its locks.
        let work = {
            let (shell, bound) = (Arc::clone(&shell), bound.clone());
            tokio::task::spawn_blocking(move || cmdlets::run(&shell, &bound))
        };
        let answers = work.await.map_err(|_| Gone)?;
        if fault.dies_after {
            return Err(Gone);
        }
        self.wait(seconds / 2.0).await?;
        if let Some(record) = fault.fails_after {
            return self.end_with(call, bound, record).await;
        }
        for answer in answers {
            match answer {
                Answer::Error(record) => {
                    if !self.end_with(call, bound, record).await? {
                        return Ok(false);
                    }
                }
                Answer::Verbose { .. } if !bound.verbose => {}
                other => self.send(&other).await?,
            }
        }
        Ok(true)
    }

    /// Reports an error as `-ErrorAction` wants it; true when the cmdlet goes on.
    async fn end_with(&mut self, call: usize, bound: &binding::Bound, mut record: ErrorRecord) -> Result<bool, Gone> {
        if !record.terminating {
            match bound.error_action {
                binding::ErrorAction::Silent => return Ok(true),
                binding::ErrorAction::Stop => record.terminating = true,
                binding::ErrorAction::Continue => {}
            }
        }
        let goes_on = !record.terminating;
        self.report(call, record).await?;
        Ok(goes_on)
    }

    async fn report(&mut self, call: usize, record: ErrorRecord) -> Result<(), Gone> {
        self.shell.failed(call, &record);
        self.send(&Answer::Error(record)).await
    }
}

/// The child process of a lab: standard input to the shell's socket, the socket to standard output, until either ends.
///
/// Plain threads: a runtime could not end while it waits for standard input.
pub fn relay(address: SocketAddr) -> io::Result<()> {
    let mut from_shell = TcpStream::connect(address)?;
    from_shell.set_nodelay(true)?;
    let mut to_shell = from_shell.try_clone()?;
    std::thread::spawn(move || {
        let copied = pump(&mut io::stdin().lock(), &mut to_shell);
        if let Err(error) = copied.and_then(|()| to_shell.shutdown(std::net::Shutdown::Write)) {
            tracing::debug!(%error, "the lab's shell no longer listens");
        }
    });
    pump(&mut from_shell, &mut io::stdout().lock())
}

fn pump(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
