//! One management shell as a child process: started when first needed, one call at a time, ended with the run.
//!
//! Held by the `ps` primitive. A call that does not end cleanly (time limit, cancelled, a broken line) costs the shell:
//! what it might still say must never be taken for the answer to the next call. It does not know runbooks or sites.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{BRIDGE, ShellFailure};
use crate::facts::cmdlets::{self, Class};
use crate::wire::bridge::{self, Answer, DEFAULT_DEPTH, ErrorRecord, Hello, Request};

/// Stands for the bridge script's path in the site's `arguments`.
const BRIDGE_PLACE: &str = "{bridge}";
/// Importing the module takes 10 to 40 seconds on a healthy server, longer when a domain controller is gone.
const HELLO_LIMIT: Duration = Duration::from_secs(120);
/// The longest line taken from the shell; a topology as XML has a few MiB.
const LONGEST_LINE: u64 = 64 << 20;
/// How much of standard error is kept for messages.
const STDERR_KEPT: usize = 4096;

/// How the shell is started (`[powershell]` in the site file).
#[derive(Clone, Debug)]
pub struct Program {
    /// `powershell.exe`, `pwsh` or anything that speaks the bridge's messages.
    pub program: String,
    /// Used as they are, `{bridge}` replaced by the script's path. Empty: what PowerShell needs, when it is PowerShell.
    pub arguments: Vec<String>,
    /// The module that holds the cmdlets; empty: none is imported.
    pub module: String,
    /// Cmdlets to look for at the start; [`Hello::missing`] tells those that are not there.
    pub cmdlets: Vec<String>,
    /// Where the bridge script is written; absent: a temporary folder.
    pub folder: Option<PathBuf>,
    /// How long start and import may take; absent: two minutes.
    pub hello_limit: Option<Duration>,
}

/// One call of one cmdlet.
#[derive(Clone, Debug)]
pub struct Call {
    pub cmdlet: String,
    pub parameters: Map<String, Value>,
    pub time_limit: Duration,
    pub errors: Errors,
    /// Levels of nested properties in the objects that come back.
    pub depth: u32,
}

impl Call {
    /// A call with the usual depth, which fails on any error.
    pub fn new(cmdlet: impl Into<String>, parameters: Map<String, Value>, time_limit: Duration) -> Self {
        Self { cmdlet: cmdlet.into(), parameters, time_limit, errors: Errors::Fail, depth: DEFAULT_DEPTH }
    }
}

/// What non-terminating errors mean. A terminating one always fails the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// any error fails the call
    Fail,
    /// they are returned beside the objects
    Collect,
}

/// What a cmdlet gave back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub objects: Vec<Value>,
    pub warnings: Vec<String>,
    pub verbose: Vec<String>,
    pub errors: Vec<ErrorRecord>,
}

/// The management shell of one run.
#[derive(Debug)]
pub struct Session {
    program: Program,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// Calls made so far, over all shells.
    calls: u64,
    script: Option<Script>,
}

/// The bridge on disk; a temporary folder goes with the session.
#[derive(Debug)]
struct Script {
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<StdMutex<String>>,
    drain: JoinHandle<()>,
    hello: Hello,
}

/// Why an exchange broke off; the names and the doubt are added by whoever knows them.
enum Broken {
    Ended,
    Line { why: String, line: String },
}

impl Session {
    /// A session that starts its shell when it is first used.
    pub fn new(program: Program) -> Self {
        Self { program, state: Mutex::default() }
    }

    /// Starts the shell if none runs, and says what it is.
    pub async fn hello(&self) -> Result<Hello, ShellFailure> {
        let mut state = self.state.lock().await;
        let running = match state.running.take().and_then(Running::still_alive) {
            Some(running) => running,
            None => self.start(&mut state).await?,
        };
        let hello = running.hello.clone();
        state.running = Some(running);
        Ok(hello)
    }

    /// Calls one cmdlet. `on_record` sees every warning, verbose line, error and object as it comes.
    ///
    /// If this future is dropped before it ends, the shell is killed: whether a change was made is then unknown.
    pub async fn invoke(&self, call: &Call, on_record: &mut (dyn FnMut(&Answer) + Send)) -> Result<Reply, ShellFailure> {
        if !bridge::is_cmdlet_name(&call.cmdlet) {
            return Err(ShellFailure::Name { name: call.cmdlet.clone() });
        }
        let parameters = bridge::guard(&call.parameters).map_err(|why| ShellFailure::Unsendable { cmdlet: call.cmdlet.clone(), why })?;
        let mut state = self.state.lock().await;
        // Taken out and put back only after a clean end, so that no other way out leaves half an answer behind.
        let mut running = match state.running.take().and_then(Running::still_alive) {
            Some(running) => running,
            None => self.start(&mut state).await?,
        };
        state.calls += 1;
        let id = state.calls;
        let request = Request::Invoke { id, cmdlet: call.cmdlet.clone(), parameters, depth: call.depth };

        let mut reply = Reply::default();
        let mut collect = |answer: Answer| {
            on_record(&answer);
            match answer {
                Answer::Warning { message } => reply.warnings.push(message),
                Answer::Verbose { message } => reply.verbose.push(message),
                Answer::Error(record) => reply.errors.push(record),
                Answer::Output { value } => reply.objects.push(value),
                Answer::Hello(_) | Answer::Done { .. } | Answer::Refused { .. } => {}
            }
        };
        // names alone: a value may be anything
        let parameters: Vec<&str> = call.parameters.keys().map(String::as_str).collect();
        tracing::debug!(cmdlet = call.cmdlet, ?parameters, id, "called");
        let in_doubt = cmdlets::find(&call.cmdlet).is_none_or(|known| known.class == Class::Changes);
        let ended = timeout(call.time_limit, running.exchange(&request, id, &mut collect)).await;
        let ok = self.conclude(ended, &mut running, &call.cmdlet, call.time_limit, in_doubt).await?;
        state.running = Some(running);

        tracing::debug!(cmdlet = call.cmdlet, id, ok, objects = reply.objects.len(), errors = reply.errors.len(), "came back");
        let failed =
            !ok || reply.errors.iter().any(|record| record.terminating) || (call.errors == Errors::Fail && !reply.errors.is_empty());
        if failed {
            return Err(ShellFailure::Cmdlet { cmdlet: call.cmdlet.clone(), records: reply.errors });
        }
        Ok(reply)
    }

    /// Ends the shell, if one runs, by closing its input; a second later by force.
    pub async fn close(&self) {
        let Some(running) = self.state.lock().await.running.take() else {
            return;
        };
        let Running { mut child, stdin, .. } = running;
        drop(stdin);
        if timeout(Duration::from_secs(1), child.wait()).await.is_err()
            && let Err(error) = child.kill().await
        {
            tracing::debug!(%error, "the management shell could not be ended");
        }
    }

    async fn start(&self, state: &mut State) -> Result<Running, ShellFailure> {
        let arguments = self.arguments(state)?;
        tracing::info!(program = self.program.program, module = self.program.module, "the shell starts");
        let mut command = Command::new(&self.program.program);
        command.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C at our terminal means "finish the effect in flight" and must not reach the shell.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(0x0000_0200); // CREATE_NEW_PROCESS_GROUP
        let cannot_start = |source| ShellFailure::CannotStart { program: self.program.program.clone(), source };
        let mut child = command.spawn().map_err(cannot_start)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(cannot_start(std::io::Error::other("its standard streams are not there")));
        };
        let kept = Arc::new(StdMutex::new(String::new()));
        let mut running = Running {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            drain: tokio::spawn(drain(stderr, Arc::clone(&kept))),
            stderr: kept,
            hello: Hello::default(),
        };

        let module = &self.program.module;
        let doing = if module.is_empty() { "start".to_owned() } else { format!("Import-Module {module}") };
        let limit = self.program.hello_limit.unwrap_or(HELLO_LIMIT);
        let mut hello = None;
        let mut records = Vec::new();
        let mut collect = |answer: Answer| match answer {
            Answer::Hello(answer) => hello = Some(answer),
            Answer::Error(record) => records.push(record),
            Answer::Warning { message } => tracing::info!(%message, "the management shell warns"),
            _ => {}
        };
        let request = Request::Hello { module: module.clone(), cmdlets: self.program.cmdlets.clone() };
        let ended = timeout(limit, running.exchange(&request, 0, &mut collect)).await;
        let ok = self.conclude(ended, &mut running, &doing, limit, false).await?;
        match hello {
            Some(hello) if ok => {
                tracing::debug!(?hello, "the management shell is ready");
                running.hello = hello;
                Ok(running)
            }
            _ => Err(ShellFailure::Module { module: module.clone(), records }),
        }
    }

    /// Turns the end of an exchange into a result; whatever was not clean ends the shell.
    async fn conclude(
        &self,
        ended: Result<Result<bool, Broken>, tokio::time::error::Elapsed>,
        running: &mut Running,
        doing: &str,
        limit: Duration,
        in_doubt: bool,
    ) -> Result<bool, ShellFailure> {
        let doing = doing.to_owned();
        match ended {
            Ok(Ok(ok)) => Ok(ok),
            Ok(Err(Broken::Ended)) => {
                let (status, stderr) = running.last_words().await;
                Err(ShellFailure::Died { doing, status, stderr, in_doubt })
            }
            Ok(Err(Broken::Line { why, line })) => {
                running.kill().await;
                Err(ShellFailure::Protocol { doing, why, line, in_doubt })
            }
            Err(_) => {
                running.kill().await;
                Err(ShellFailure::TimeLimit { doing, limit: in_words(limit), in_doubt })
            }
        }
    }

    fn arguments(&self, state: &mut State) -> Result<Vec<String>, ShellFailure> {
        let mut arguments = self.program.arguments.clone();
        if arguments.is_empty() && is_powershell(&self.program.program) {
            arguments = ["-NoLogo", "-NoProfile", "-NonInteractive", "-File", BRIDGE_PLACE].map(str::to_owned).to_vec();
        }
        if arguments.iter().any(|argument| argument.contains(BRIDGE_PLACE)) {
            let path = self.script(state)?.to_string_lossy().into_owned();
            for argument in &mut arguments {
                *argument = argument.replace(BRIDGE_PLACE, &path);
            }
        }
        Ok(arguments)
    }

    /// The bridge on disk, written anew for each session: a file found there may be anybody's.
    fn script<'a>(&self, state: &'a mut State) -> Result<&'a Path, ShellFailure> {
        if state.script.is_none() {
            let folder = match &self.program.folder {
                Some(_) => None,
                None => Some(
                    tempfile::tempdir()
                        .map_err(|source| ShellFailure::NoBridge { path: std::env::temp_dir().display().to_string(), source })?,
                ),
            };
            let place = folder.as_ref().map(tempfile::TempDir::path).or(self.program.folder.as_deref());
            let path = place.unwrap_or(Path::new(".")).join("bridge.ps1");
            std::fs::write(&path, BRIDGE).map_err(|source| ShellFailure::NoBridge { path: path.display().to_string(), source })?;
            state.script = Some(Script { path, _folder: folder });
        }
        Ok(state.script.as_ref().map_or(Path::new("."), |script| &script.path))
    }
}

impl Running {
    /// Itself, unless it ended while nobody was asking it anything: then no call is in doubt for it.
    fn still_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Sends one request and hands on every answer until it is done; true when the bridge says it went well.
    async fn exchange(&mut self, request: &Request, expected: u64, take: &mut (dyn FnMut(Answer) + Send)) -> Result<bool, Broken> {
        let mut line = bridge::to_line(request);
        line.push('\n');
        // A write fails only when the shell is gone; the end of its output says so with the reason.
        if self.stdin.write_all(line.as_bytes()).await.is_err() || self.stdin.flush().await.is_err() {
            return Err(Broken::Ended);
        }
        loop {
            let line = self.read_line().await?;
            if line.trim_matches(['\u{feff}', ' ', '\r', '\n', '\t']).is_empty() {
                continue;
            }
            let broken = |why: String| Broken::Line { why, line: shortened(&line) };
            match bridge::from_line::<Answer>(&line) {
                Ok(Answer::Done { id, ok }) if id == expected => return Ok(ok),
                Ok(Answer::Done { id, .. }) => {
                    return Err(broken(format!("it ends call {id}, not {expected}")));
                }
                Ok(Answer::Refused { message }) => {
                    return Err(broken(format!("the bridge refused the request ({message})")));
                }
                Ok(answer) => take(answer),
                Err(error) => return Err(broken(error.to_string())),
            }
        }
    }

    async fn read_line(&mut self) -> Result<String, Broken> {
        let mut bytes = Vec::new();
        let read = (&mut self.stdout).take(LONGEST_LINE).read_until(b'\n', &mut bytes).await;
        match read {
            Ok(0) | Err(_) => Err(Broken::Ended),
            Ok(_) if bytes.len() as u64 == LONGEST_LINE => Err(Broken::Line {
                why: format!("the line is longer than {} MiB", LONGEST_LINE >> 20),
                line: shortened(&String::from_utf8_lossy(&bytes[..200])),
            }),
            // Without its line end the answer was cut off: the shell ended in the middle of it.
            Ok(_) if bytes.last() != Some(&b'\n') => Err(Broken::Ended),
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::debug!(%error, "the management shell could not be ended");
        }
    }

    /// How the shell ended, and the end of what it wrote to standard error.
    async fn last_words(&mut self) -> (String, String) {
        let grace = Duration::from_secs(2);
        let status = match timeout(grace, self.child.wait()).await {
            Ok(Ok(status)) => status_in_words(status),
            _ => {
                self.kill().await;
                "it closed its output".to_owned()
            }
        };
        // Grandchildren may hold the pipe open, so this may not be waited for without a limit.
        let _ = timeout(grace, &mut self.drain).await;
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned();
        (status, kept)
    }
}

/// Reads standard error to its end, keeping the last of it.
async fn drain(stderr: ChildStderr, kept: Arc<StdMutex<String>>) {
    let mut reader = BufReader::new(stderr);
    let mut bytes = Vec::new();
    while let Ok(1..) = (&mut reader).take(STDERR_KEPT as u64).read_until(b'\n', &mut bytes).await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        tracing::debug!(line = text.trim_end(), "standard error of the management shell");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&text);
        if kept.len() > STDERR_KEPT {
            let from = kept.len() - STDERR_KEPT;
            let from = (from..kept.len()).find(|n| kept.is_char_boundary(*n)).unwrap_or(kept.len());
            *kept = kept.split_off(from);
        }
        bytes.clear();
    }
}

fn is_powershell(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program).to_ascii_lowercase();
    matches!(name.strip_suffix(".exe").unwrap_or(&name), "powershell" | "pwsh")
}

fn shortened(line: &str) -> String {
    let line = line.trim();
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn status_in_words(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

fn in_words(limit: Duration) -> String {
    if limit.subsec_millis() != 0 {
        format!("{} ms", limit.as_millis())
    } else if limit.as_secs() >= 120 && limit.as_secs().is_multiple_of(60) {
        format!("{} minutes", limit.as_secs() / 60)
    } else {
        format!("{} s", limit.as_secs())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fmt::Write as _;

    /// A session with a shell script for a shell: `body` answers one request, which is in `$line`.
    fn session(body: &str) -> Session {
        let script = format!(
            r#"while IFS= read -r line; do
                 case "$line" in
                   *'"hello"'*)
                     echo '{{"type":"hello","ps_version":"5.1.1","language_mode":"FullLanguage"}}'
                     echo '{{"type":"done","id":0,"ok":true}}';;
                   *) id=${{line#*'"id":'}}; id=${{id%%,*}}; {body};;
                 esac
               done"#
        );
        program("sh", &["-c", &script])
    }

    fn program(program: &str, arguments: &[&str]) -> Session {
        Session::new(Program {
            program: program.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            module: "Lync".to_owned(),
            cmdlets: Vec::new(),
            folder: None,
            hello_limit: None,
        })
    }

    fn call(cmdlet: &str, parameters: Value) -> Call {
        Call::new(cmdlet, parameters.as_object().cloned().expect("a map"), Duration::from_secs(60))
    }

    fn told(failure: &ShellFailure) -> String {
        let mut text = failure.to_string();
        if failure.in_doubt() {
            text.push_str(" [in doubt]");
        }
        text
    }

    #[tokio::test]
    async fn records_come_in_order_and_objects_are_collected() {
        let session = session(
            r#"printf '\n{"type":"verbose","message":"v"}\r\n{"type":"output","value":{"A":"Z\\u00fcrich"}}\n'
               echo '{"type":"warning","message":"w"}'; echo '{"type":"output","value":2}'
               printf '{"type":"done","id":%s,"ok":true}\n' "$id""#,
        );
        let mut seen = String::new();
        let mut see = |answer: &Answer| write!(seen, "{} ", bridge::to_line(answer)).unwrap();
        let reply = session.invoke(&call("Get-CsPool", json!({})), &mut see).await.unwrap();
        assert_eq!(reply.objects, [json!({ "A": "Zürich" }), json!(2)]);
        assert_eq!((reply.warnings, reply.verbose), (vec!["w".to_owned()], vec!["v".to_owned()]));
        assert_eq!(
            seen,
            r#"{"type":"verbose","message":"v"} {"type":"output","value":{"A":"Z\u00fcrich"}} {"type":"warning","message":"w"} {"type":"output","value":2} "#
        );
        assert_eq!(session.hello().await.unwrap().ps_version, "5.1.1");
    }

    #[tokio::test]
    async fn the_shell_is_started_once_and_gets_guarded_ascii() {
        let session = session(
            r#"value=$(printf '%s' "$line" | sed 's/\\/\\\\/g; s/"/\\"/g')
               printf '{"type":"output","value":"%s %s"}\n{"type":"done","id":%s,"ok":true}\n' "$$" "$value" "$id""#,
        );
        let mut lines = Vec::new();
        for _ in 0..2 {
            let request = call("Set-CsX", json!({ "Identity": "é", "List": { "Add": ["a"] }, "None": null }));
            let reply = session.invoke(&request, &mut |_| {}).await.unwrap();
            lines.push(reply.objects[0].as_str().unwrap().to_owned());
        }
        let (pid, first) = lines[0].split_once(' ').unwrap();
        let (same, second) = lines[1].split_once(' ').unwrap();
        assert_eq!(pid, same);
        assert_eq!(
            first,
            r#"{"type":"invoke","id":1,"cmdlet":"Set-CsX","parameters":{"Identity":"=\u00e9","List":{"Add":["=a"]},"None":null},"depth":4}"#
        );
        assert!(second.contains(r#""id":2"#));
    }

    #[tokio::test]
    async fn an_error_fails_the_call_unless_it_is_to_be_collected() {
        let session = session(
            r#"echo '{"type":"output","value":1}'
               echo '{"type":"error","category":"ObjectNotFound","error_id":"NotFound,X","message":"it is not there"}'
               printf '{"type":"done","id":%s,"ok":true}\n' "$id""#,
        );
        let mut request = call("Get-CsPool", json!({}));
        let failure = session.invoke(&request, &mut |_| {}).await.unwrap_err();
        assert_eq!(told(&failure), "`Get-CsPool` failed: it is not there [NotFound,X]");
        assert_eq!(failure.records()[0].category, "ObjectNotFound");
        request.errors = Errors::Collect;
        let reply = session.invoke(&request, &mut |_| {}).await.unwrap();
        assert_eq!((reply.objects.len(), reply.errors.len()), (1, 1));
    }

    #[tokio::test]
    async fn a_time_limit_ends_the_shell_and_the_next_call_gets_a_new_one() {
        let session = session(
            r#"case "$line" in *Slow*) sleep 600;; esac
               printf '{"type":"output","value":%s}\n{"type":"done","id":%s,"ok":true}\n' "$$" "$id""#,
        );
        let pid = |reply: Reply| reply.objects[0].as_u64().unwrap();
        let first = pid(session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap());
        let mut slow = call("Set-CsSlow", json!({}));
        slow.time_limit = Duration::from_millis(50);
        let failure = session.invoke(&slow, &mut |_| {}).await.unwrap_err();
        assert_eq!(
            told(&failure),
            "`Set-CsSlow` was not done after 50 ms; the management shell was ended; the change may have happened [in doubt]"
        );
        let second = pid(session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap());
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn a_shell_that_dies_tells_how_and_what_it_wrote_last() {
        let session = session(r#"echo 'out of luck' >&2; printf '{"type":"warn'; exit 7"#);
        let failure = session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap_err();
        assert_eq!(told(&failure), "the management shell ended during `Get-CsPool` (exit code 7): out of luck");
        let failure = session.invoke(&call("Enable-CsTopology", json!({})), &mut |_| {}).await.unwrap_err();
        assert!(failure.in_doubt());
    }

    #[tokio::test]
    async fn a_shell_that_died_between_two_calls_leaves_nothing_in_doubt() {
        let session = session(r#"printf '{"type":"output","value":%s}\n{"type":"done","id":%s,"ok":true}\n' "$$" "$id"; exit 0"#);
        for _ in 0..2 {
            session.invoke(&call("Set-CsX", json!({})), &mut |_| {}).await.unwrap();
            // The end of a child is not announced; it is waited for as the session itself would find it.
            let mut state = session.state.lock().await;
            state.running.as_mut().unwrap().child.wait().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_line_that_is_no_message_is_named_and_costs_the_shell() {
        let session = session("echo 'WARNING: profile loaded'");
        let failure = session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap_err();
        assert_eq!(
            told(&failure),
            "the management shell answered `Get-CsPool` with something that is no message: expected value at line 1 \
             column 1: `WARNING: profile loaded`"
        );
        let session = self::session(r#"echo '{"type":"done","id":99,"ok":true}'"#);
        let failure = session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap_err();
        assert!(told(&failure).contains("it ends call 99, not 1"), "{failure}");
    }

    #[tokio::test]
    async fn a_module_that_is_not_there_is_told_with_the_records() {
        let script = r#"read -r line
            echo '{"type":"error","error_id":"Modules_ModuleNotFound,X","message":"no valid module file was found"}'
            echo '{"type":"done","id":0,"ok":false}'; cat >/dev/null"#;
        let session = program("sh", &["-c", script]);
        let failure = session.hello().await.unwrap_err();
        assert_eq!(
            told(&failure),
            "the management shell could not load module `Lync`: no valid module file was found [Modules_ModuleNotFound,X]"
        );
        let failure = program("no-such-shell", &[]).hello().await.unwrap_err();
        assert_eq!(told(&failure), "cannot start the management shell `no-such-shell`");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused_before_a_shell_is_started() {
        let session = program("no-such-shell", &[]);
        let failure = session.invoke(&call("C:\\evil-x.exe", json!({})), &mut |_| {}).await.unwrap_err();
        assert_eq!(told(&failure), "`C:\\evil-x.exe` is not the name of a cmdlet");
        let failure = session.invoke(&call("Get-X", json!({ "A": u64::MAX })), &mut |_| {}).await.unwrap_err();
        assert!(matches!(failure, ShellFailure::Unsendable { .. }), "{failure}");
    }

    #[tokio::test]
    async fn a_dropped_call_costs_the_shell() {
        let session = session(
            r#"case "$line" in *Slow*) sleep 600;; esac
               printf '{"type":"output","value":%s}\n{"type":"done","id":%s,"ok":true}\n' "$$" "$id""#,
        );
        let first = session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap();
        {
            let slow = call("Get-CsSlow", json!({}));
            let mut nobody = |_: &Answer| {};
            let dropped = timeout(Duration::from_millis(50), session.invoke(&slow, &mut nobody)).await;
            assert!(dropped.is_err());
        }
        let second = session.invoke(&call("Get-CsPool", json!({})), &mut |_| {}).await.unwrap();
        assert_ne!(first.objects, second.objects);
        session.close().await;
    }

    #[tokio::test]
    async fn powershell_is_given_the_bridge_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::new(Program {
            program: r"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.EXE".to_owned(),
            arguments: Vec::new(),
            module: String::new(),
            cmdlets: Vec::new(),
            folder: Some(folder.path().to_owned()),
            hello_limit: None,
        });
        let path = folder.path().join("bridge.ps1");
        let mut state = State::default();
        let arguments = session.arguments(&mut state).unwrap();
        assert_eq!(arguments, ["-NoLogo", "-NoProfile", "-NonInteractive", "-File", path.to_str().unwrap()]);
        assert_eq!(std::fs::read_to_string(path).unwrap(), BRIDGE);
        assert!(program("cutover", &[]).arguments(&mut state).unwrap().is_empty());
    }
}
