//! The guard of a run: the application lock on each server that it changes, looked at before the first questions, held from
//! the first change to the end, proven before every change and once a minute; and the wait for what a lost connection left
//! behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::effect::{Cause, Guard, Later, Report, Unheld};
use crate::journal::Progress;
use crate::sqlserver::{AppLock, Holder, Servers, Taken, orphans};

/// The server whose database is failed over; every site has it.
const MAIN: &str = "backup";
/// Firewalls drop TCP connections that rest for long.
const PING: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Locks {
    servers: Servers,
    database: String,
    run: String,
    /// operator@host
    who: String,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    locks: HashMap<String, (Arc<AppLock>, tokio::task::JoinHandle<()>)>,
    /// it was said that nobody can be kept away
    said: bool,
}

impl Locks {
    pub(super) fn new(servers: Servers, database: String, run: String, who: String) -> Self {
        Self { servers, database, run, who, held: Mutex::default() }
    }

    /// Lets go of every lock.
    pub(super) async fn release(&self) {
        for (_, (_lock, ping)) in self.held.lock().await.locks.drain() {
            // the session ends with its connection, and the lock with the session
            ping.abort();
        }
    }

    async fn take(&self, held: &mut Held, server: &str) -> Result<(), Unheld> {
        if held.locks.contains_key(server) {
            return Ok(());
        }
        match AppLock::take(&self.servers, server, &self.database, &self.who).await {
            Ok(Taken::Ours(lock)) => {
                let lock = Arc::new(lock);
                let pinged = Arc::clone(&lock);
                let ping = tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(PING).await;
                        // once lost it stays lost, and the next change is told
                        if pinged.check().await.is_err() {
                            return;
                        }
                    }
                });
                held.locks.insert(server.to_owned(), (lock, ping));
                Ok(())
            }
            Ok(Taken::Theirs(holder)) => Err(self.theirs(server, &holder)),
            Err(failure) => Err(Unheld::Failed(Box::new(crate::primitives::sql_cause(failure)))),
        }
    }

    async fn look(&self, server: &str) -> Result<(), Unheld> {
        match AppLock::look(&self.servers, server, &self.database).await {
            Ok(None) => Ok(()),
            Ok(Some(holder)) => Err(self.theirs(server, &holder)),
            Err(failure) => Err(Unheld::Failed(Box::new(crate::primitives::sql_cause(failure)))),
        }
    }

    fn theirs(&self, server: &str, holder: &Holder) -> Unheld {
        Unheld::Theirs(format!("{} on `{server}` is held by {holder}", self.database))
    }
}

impl Guard for Locks {
    fn hold<'a>(&'a self, server: Option<&'a str>, changes: bool) -> Later<'a, Result<(), Unheld>> {
        Box::pin(async move {
            let mut held = self.held.lock().await;
            // a question changes nothing: who is asked is told at once if somebody else is at it, and takes nothing yet
            let main = match changes {
                true => self.take(&mut held, MAIN).await,
                false if held.locks.contains_key(MAIN) => Ok(()),
                false => self.look(MAIN).await,
            };
            match main {
                // what is to be changed there will not be reached either, and says so itself
                Err(Unheld::Failed(cause)) if server != Some(MAIN) || !changes => {
                    if !std::mem::replace(&mut held.said, true) {
                        return Err(Unheld::Unknown(format!(
                            "whether somebody else fails {} over at the same time cannot be seen: {}",
                            self.database, cause.diagnostic
                        )));
                    }
                }
                taken => taken?,
            }
            if !changes {
                return Ok(());
            }
            if let Some(server) = server.filter(|server| *server != MAIN) {
                self.take(&mut held, server).await?;
            }
            for (lock, _) in held.locks.values() {
                lock.check().await.map_err(|lost| Unheld::Lost(in_words(&lost)))?;
            }
            Ok(())
        })
    }

    fn wait_out<'a>(
        &'a self,
        server: &'a str,
        report: Report,
        stop: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Later<'a, Result<(), String>> {
        Box::pin(async move {
            let hear = move |orphan: &orphans::Orphan| {
                let text = format!("the server still carries out {} of session {}: waiting for it", orphan.command, orphan.session);
                report(Progress::new(text, Some(orphan.percent / 100.0).filter(|fraction| *fraction > 0.0)));
            };
            let waited = orphans::wait_out(&self.servers, server, &self.run, stop, &hear).await;
            waited.map(|_| ()).map_err(|failure| Cause::new(failure).diagnostic.to_string())
        })
    }
}

/// What is lost and what to do now, in one text.
fn in_words(lost: &impl miette::Diagnostic) -> String {
    match lost.help() {
        Some(help) => format!("{lost}. {help}"),
        None => lost.to_string(),
    }
}
