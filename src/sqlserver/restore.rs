//! Log backups from a folder to a database that is being restored: reads where the database stands and the headers that can
//! matter, works out the chain, proves that it has no gap, applies it in order. Called by the primitives `log_chain` (plan
//! only) and `restore_logs`. It lists no folder and copies nothing: the caller brings the listing.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::chain::{self, BackupSet, LeftOut, Plan, Reason, Standing};
use super::chain_failure::{ChainFailure, World};
use super::error::Failure;
use super::headers::{self, HeaderCache, Listed, Read, Trouble};
use super::loss::{Evidence, Loss};
use super::orphans::{self, End, Orphan, Whose};
use super::redo::{self, Redo};
use super::value::{Answer, Value};
use super::{Batch, OnMessage, Servers};
use crate::tsql::quote::{quote_identifier, quote_string};
use crate::wire::lsn::Lsn;

/// What this file needs of a SQL Server: two kinds of batch on one server, autocommit, database `master`.
pub trait Instance: Sync {
    /// A batch that only reads; `@name` in the text is bound from `params`.
    fn read(&self, text: &str, params: Vec<(&'static str, Value)>, limit: Duration)
    -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// A RESTORE: no time limit; `percent` is told how far the server is, 0 to 100.
    fn restore(&self, text: &str, percent: &Percent<'_>) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// One server of a run, and how its batches are heard and ended.
#[derive(Clone)]
pub struct OnServer {
    pub servers: Servers,
    /// The site's name for it.
    pub key: String,
    /// Ends the batch that runs with an attention.
    pub cancel: Option<CancellationToken>,
    /// Hears the messages of each RESTORE as they come.
    pub on_message: Option<OnMessage>,
}

impl Instance for OnServer {
    async fn read(&self, text: &str, params: Vec<(&'static str, Value)>, limit: Duration) -> Result<Answer, Failure> {
        let batch = params.into_iter().fold(Batch::read(text).within(limit), |batch, (name, value)| batch.bind(name, value));
        self.servers.run(&self.key, &Batch { cancel: self.cancel.clone(), ..batch }).await
    }

    async fn restore(&self, text: &str, percent: &Percent<'_>) -> Result<Answer, Failure> {
        let (told, mut hear) = mpsc::unbounded_channel();
        // nobody hears it any more once the batch has ended: that is no error
        let batch = Batch::change(text).without_limit().on_progress(move |progress| {
            let _ = told.send(progress.percent);
        });
        let batch = Batch { cancel: self.cancel.clone(), on_message: self.on_message.clone(), ..batch };
        let mut done = pin!(self.servers.run(&self.key, &batch));
        loop {
            tokio::select! {
                biased;
                answer = &mut done => return answer,
                Some(at) = hear.recv() => percent(at),
            }
        }
    }
}

/// Told how far a RESTORE is, 0 to 100.
pub type Percent<'a> = dyn Fn(f64) + Send + Sync + 'a;

/// In which state each restore leaves the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    #[default]
    NoRecovery,
    /// Readable between restores. Every set is applied WITH NORECOVERY but the last; `undo_file` is a path on the server.
    Standby { undo_file: String },
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The site's name for the server.
    pub server: &'a str,
    pub database: &'a str,
    /// The folder as the SQL Server sees it: `D:\LogShip`.
    pub folder_on_server: &'a str,
    /// The folder as the tool sees it.
    pub files: &'a [Listed],
    /// `*` and `?`, without regard to case; usually `*.trn`. Files ending in `.wrk` are never taken.
    pub matching: &'a str,
    pub keep: Keep,
    /// In STANDBY, the first RESTORE closes the door behind the readers whom it ends: they come back faster than they are
    /// killed. WITH NORECOVERY only; after it nobody can be inside.
    pub alone: bool,
    /// For the loss statement.
    pub now: Timestamp,
}

/// What the caller hears and says while this works.
#[derive(Clone, Copy)]
pub struct Hooks<'a> {
    /// True: stop before the next file.
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
    pub progress: &'a (dyn Fn(Progress<'_>) + Send + Sync),
}

/// Where the work stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// About to ask for the `asked`th header.
    Header { asked: usize, file: &'a str },
    /// An earlier run of this program still has a RESTORE going on this server: it is waited for.
    Waiting { session: i64, program: &'a str },
    /// Applying file `number` of `of`.
    Restoring { number: usize, of: usize, set: &'a BackupSet, percent: f64 },
    /// The redo point was read back.
    Applied { number: usize, of: usize, set: &'a BackupSet, redo: Lsn },
}

/// A file whose headers are not known, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub file: String,
    #[serde(flatten)]
    pub trouble: Trouble,
    /// It may hold log that is newer than the whole chain: nothing is applied until that is settled.
    pub matters: bool,
}

/// What would be applied, and all that is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    pub redo: Redo,
    pub plan: Plan,
    pub unread: Vec<Unread>,
    /// Header reads that this plan sent to the server; remembered ones don't count.
    pub headers_asked: usize,
    /// If the whole plan is applied.
    pub loss: Loss,
}

/// One log backup that was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    pub file: String,
    pub position: i64,
    pub first_lsn: Lsn,
    pub last_lsn: Lsn,
    pub seconds: f64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// Empty is a success too: there was nothing to apply.
    pub applied: Vec<Applied>,
    /// Sets at hand that were applied before.
    pub skipped: usize,
    pub left_out: Vec<LeftOut>,
    pub unread: Vec<Unread>,
    /// Redo point, read back from the server.
    pub last_lsn: Lsn,
    /// `BackupFinishDate` of the last set in the chain, time of the primary.
    pub last_backup_finish: Option<DateTime>,
    pub loss: Loss,
    pub headers_asked: usize,
}

/// Reads where the database stands and the headers that can matter, and works out the chain. Changes nothing; a gap or a
/// fork is part of the answer, see [`Chain::refusal`].
pub async fn plan<I: Instance>(instance: &I, order: &Order<'_>, cache: &HeaderCache, hooks: Hooks<'_>) -> Result<Chain, ChainFailure> {
    let world = World::before(order);
    wait_for_orphans(instance, hooks, &world).await?;
    let redo = match redo::read(instance, order.server, order.database, &world, true).await {
        Err(ChainFailure::AlreadyRecovered { server, database, applied, .. }) => {
            let lost = never_applied(instance, order).await;
            return Err(ChainFailure::AlreadyRecovered { server, database, applied, lost });
        }
        read => read?,
    };
    let last = redo.last.as_ref();
    let standing = Standing {
        redo: redo.lsn,
        fork: redo.fork,
        family: last.and_then(|last| last.family),
        database: last.and_then(|last| last.database.clone()).unwrap_or_else(|| order.database.to_owned()),
    };
    let world = World { redo: Some(redo.lsn), in_standby: redo.in_standby, ..world };
    let mut walk = Walk::new(instance, order, cache, hooks, &standing, &redo, &world);
    walk.newest().await?;
    let plan = loop {
        let mut plan = chain::plan(&standing, &walk.sets);
        // names are only a hint: before a gap is believed, everything else is read, nearest first
        let mut step = 4;
        while (plan.gap.is_some() || plan.branch.is_some()) && walk.further(step).await? {
            step *= 2;
            plan = chain::plan(&standing, &walk.sets);
        }
        if walk.all_whole(&plan).await? {
            break plan;
        }
    };

    let unread = walk.unread(&plan, &redo);
    let headers_asked = walk.asked;
    let clock = instance.read("SELECT GETUTCDATE() AS utc_now", vec![], redo::LIMIT).await.ok();
    let server_now = clock.and_then(|answer| headers::datetime(answer.sets.first()?.rows.first()?, "utc_now"));
    let loss = loss(order, &plan, &redo, &unread, &walk.sets, server_now);
    Ok(Chain { redo, plan, unread, headers_asked, loss })
}

/// A RESTORE of an earlier run of ours goes on although its connection is gone: it is waited for, then the state is read.
async fn wait_for_orphans<I: Instance>(instance: &I, hooks: Hooks<'_>, world: &World) -> Result<(), ChainFailure> {
    let hear = |orphans: &[Orphan]| {
        if let Some(Orphan { session, program, .. }) = orphans.first() {
            (hooks.progress)(Progress::Waiting { session: *session, program });
        }
    };
    match orphans::until_none(instance, &Whose::AnyRestore, hooks.stop, &hear).await {
        Ok(End::Stopped) => Err(ChainFailure::Stopped { world: Box::new(world.clone()) }),
        // who may not see other sessions is told nothing; then the redo point says what became of the orphan
        Ok(End::None | End::Over) | Err(_) => Ok(()),
    }
}

/// What a database that was recovered too early will never get, as far as names tell; empty if there is nothing.
async fn never_applied<I: Instance>(instance: &I, order: &Order<'_>) -> String {
    let Some(last) = redo::last_restored(instance, order.database).await.and_then(|last| last.file) else { return String::new() };
    let Some((prefix, at)) = headers::stamp(&last) else { return String::new() };
    let newer = order.files.iter().filter(|file| {
        let named = matches(order.matching, &file.name).then(|| file.stamp()).flatten();
        named.is_some_and(|(other, time)| other.eq_ignore_ascii_case(prefix) && time > at)
    });
    match newer.count() {
        0 => String::new(),
        n => format!(" (by name, {n} log backups in the folder are newer than the last restored one, `{last}`)"),
    }
}

impl Chain {
    /// Why nothing of this chain may be applied: a gap, a fork, or a file that may hold the newest log and can't be read.
    pub fn refusal(&self, order: &Order<'_>) -> Option<ChainFailure> {
        let of = self.plan.apply.len();
        let world = World { redo: Some(self.redo.lsn), in_standby: self.redo.in_standby, of, ..World::before(order) };
        let world = Box::new(world);
        if let Some(gap) = &self.plan.gap {
            let mut gap = gap.clone();
            // a name is only a hint, but good enough to tell which of the unreadable files may hold what is missing
            let named = |file: &Option<String>| file.as_deref().and_then(headers::named_time);
            let (before, after) = (named(&gap.before), named(&gap.after));
            let may_hold = |file: &&Unread| {
                let at = headers::named_time(&file.file);
                at.is_none_or(|at| before.is_none_or(|before| at > before) && after.is_none_or(|after| at < after))
            };
            gap.causes.extend(self.unread.iter().filter(may_hold).map(|file| format!("`{}`: {}", file.file, file.trouble)));
            return Some(ChainFailure::Gap { gap: Box::new(gap), world });
        }
        if let Some(branch) = &self.plan.branch {
            return Some(ChainFailure::Fork { branch: Box::new(branch.clone()), world });
        }
        let unread = self.unread.iter().find(|file| file.matters)?;
        Some(ChainFailure::Unreadable { file: unread.file.clone(), trouble: unread.trouble.clone(), world })
    }

    /// Sets that were applied before and still lie there, of those whose headers were read.
    pub fn skipped(&self) -> usize {
        self.plan.left_out.iter().filter(|left| left.reason == Reason::AlreadyApplied).count()
    }
}

/// Applies a chain: one RESTORE LOG per set, and the redo point read back after each. Refuses before the first RESTORE what
/// [`Chain::refusal`] names. If the process dies here, planning again goes on from where the server stands.
pub async fn apply<I: Instance>(instance: &I, order: &Order<'_>, chain: &Chain, hooks: Hooks<'_>) -> Result<Restored, ChainFailure> {
    if let Some(refusal) = chain.refusal(order) {
        return Err(refusal);
    }
    let of = chain.plan.apply.len();
    let mut world = World { redo: Some(chain.redo.lsn), in_standby: chain.redo.in_standby, applied: 0, of, ..World::before(order) };
    let mut applied = Vec::with_capacity(of);
    if of > 0 {
        let now = redo::read(instance, order.server, order.database, &world, false).await?;
        if (now.lsn, now.fork) != (chain.redo.lsn, chain.redo.fork) {
            let sign = format!("its redo point moved from LSN {} to {} since the chain was worked out", chain.redo.lsn, now.lsn);
            return Err(ChainFailure::SomebodyElse { sign, world: Box::new(World { redo: Some(now.lsn), ..world }), failure: None });
        }
    }
    let mut last_lsn = chain.redo.lsn;
    for (index, set) in chain.plan.apply.iter().enumerate() {
        if (hooks.stop)() {
            return Err(ChainFailure::Stopped { world: Box::new(world) });
        }
        let number = index + 1;
        let keep = if number == of { &order.keep } else { &Keep::NoRecovery };
        let percent = |percent: f64| (hooks.progress)(Progress::Restoring { number, of, set, percent });
        percent(0.0);
        let started = Instant::now();
        restore_one(instance, order, chain, set, keep, &percent, &world).await?;
        let seconds = started.elapsed().as_secs_f64();
        let now = redo::read(instance, order.server, order.database, &world, false).await?;
        world = World { redo: Some(now.lsn), in_standby: now.in_standby, applied: number, of, ..world };
        if now.lsn < set.last_lsn {
            return Err(ChainFailure::NotAdvanced { file: set.title(), redo: now.lsn, expected: set.last_lsn, world: Box::new(world) });
        }
        last_lsn = now.lsn;
        (hooks.progress)(Progress::Applied { number, of, set, redo: now.lsn });
        applied.push(Applied {
            file: set.file.to_string(),
            position: set.position,
            first_lsn: set.first_lsn,
            last_lsn: set.last_lsn,
            seconds,
        });
    }
    Ok(Restored {
        applied,
        skipped: chain.skipped(),
        left_out: chain.plan.left_out.clone(),
        unread: chain.unread.clone(),
        last_lsn,
        last_backup_finish: chain.loss.uncertain_until,
        loss: chain.loss.clone(),
        headers_asked: chain.headers_asked,
    })
}

/// One set. A restore of this very set that was interrupted is simply repeated; 4319 says that another one was interrupted:
/// that one is done again first.
async fn restore_one<I: Instance>(
    instance: &I,
    order: &Order<'_>,
    chain: &Chain,
    set: &BackupSet,
    keep: &Keep,
    percent: &Percent<'_>,
    world: &World,
) -> Result<(), ChainFailure> {
    let send = async |set: &BackupSet, keep: &Keep| instance.restore(&statement(order, set, keep), percent).await.map(|_| ());
    let shut = order.alone && world.in_standby && matches!(keep, Keep::NoRecovery);
    let sent = if shut { send_alone(instance, order, &statement(order, set, keep), percent).await } else { send(set, keep).await };
    let Err(mut failure) = sent else { return Ok(()) };
    if failure.number() == Some(INTERRUPTED)
        && let Some(before) = before(chain, set)
        && send(before, &Keep::NoRecovery).await.is_ok()
    {
        match send(set, keep).await {
            Ok(()) => return Ok(()),
            Err(again) => failure = again,
        }
    }
    let world = Box::new(world.clone());
    let file = set.title();
    let act = match failure.number() {
        _ if !matches!(failure, Failure::Refused { .. }) => {
            return Err(ChainFailure::Server { doing: format!("RESTORE LOG from `{file}`"), world, failure: Box::new(failure) });
        }
        Some(number @ (ALREADY_PAST | NOT_ROLLING_FORWARD)) => {
            let what = if number == ALREADY_PAST { "is already past" } else { "no longer waits for log after" };
            let sign = format!("it {what} `{file}`, which was next a moment ago (error {number})");
            return Err(ChainFailure::SomebodyElse { sign, world, failure: Some(Box::new(failure)) });
        }
        Some(INTERRUPTED) => {
            "find out which log backup the interrupted restore was reading (the error log, msdb on this server), repeat that RESTORE LOG by hand WITH NORECOVERY, then run the runbook again".to_owned()
        }
        Some(3101) => "end the sessions that use the database (readers of a STANDBY, your own tools too), then run the runbook again".to_owned(),
        _ => Trouble::from_failure(&failure).map(|trouble| trouble.act().to_owned()).unwrap_or_else(|| {
            let help = miette::Diagnostic::help(&failure).map(|help| help.to_string());
            help.unwrap_or_else(|| "read the server's messages and its error log, then run the runbook again".to_owned())
        }),
    };
    Err(ChainFailure::Refused { file, act, world, failure: Box::new(failure) })
}

/// One batch: the door is shut, everybody inside is ended, and the RESTORE follows before anybody is back. Between the first
/// two a reader may take the one place that is left (924, 3101, 5064): then it is tried again. The door is opened again when
/// the database is still in STANDBY; a restored one is opened by whoever brings it online.
async fn send_alone<I: Instance>(instance: &I, order: &Order<'_>, restore: &str, percent: &Percent<'_>) -> Result<(), Failure> {
    let database = quote_identifier(order.database);
    let batch = format!("ALTER DATABASE {database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; {restore}");
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(failure) = instance.restore(&batch, percent).await else { return Ok(()) };
        let taken = failure.number().is_some_and(|number| SOMEBODY_INSIDE.contains(&number));
        if taken && tries < TRIES_ALONE {
            continue;
        }
        let name = quote_string(order.database);
        let open = format!(
            "IF EXISTS (SELECT 1 FROM sys.databases WHERE name = {name} AND state = 0 AND user_access = 1) ALTER DATABASE {database} SET MULTI_USER"
        );
        if matches!(failure, Failure::Refused { .. })
            && let Err(error) = instance.restore(&open, percent).await
        {
            tracing::warn!(%error, "the database stays in SINGLE_USER");
        }
        return Err(failure);
    }
}

const TRIES_ALONE: usize = 5;
const SOMEBODY_INSIDE: [i32; 3] = [924, 3101, 5064];

/// "the previous restore was interrupted", "the log in this backup set ends before the redo point", "no file is waiting".
const INTERRUPTED: i32 = 4319;
const ALREADY_PAST: i32 = 4326;
const NOT_ROLLING_FORWARD: i32 = 3117;

/// The set that an interrupted restore was probably reading, if not `set` itself: the one before it in the chain.
fn before<'a>(chain: &'a Chain, set: &BackupSet) -> Option<&'a BackupSet> {
    let index = chain.plan.apply.iter().position(|other| **other == *set)?;
    match index.checked_sub(1) {
        Some(before) => Some(&chain.plan.apply[before]),
        None => chain
            .plan
            .left_out
            .iter()
            .filter(|left| left.reason == Reason::AlreadyApplied && left.set.last_fork == Some(chain.redo.fork))
            .map(|left| &*left.set)
            .max_by_key(|set| set.last_lsn),
    }
}

fn statement(order: &Order<'_>, set: &BackupSet, keep: &Keep) -> String {
    let keep = match keep {
        Keep::NoRecovery => "NORECOVERY".to_owned(),
        Keep::Standby { undo_file } => format!("STANDBY = {}", quote_string(undo_file)),
    };
    format!(
        "RESTORE LOG {} FROM DISK = {} WITH FILE = {}, {keep}, STATS = 10",
        quote_identifier(order.database),
        quote_string(&path_on_server(order.folder_on_server, &set.file)),
        set.position,
    )
}

/// Folder and name, joined as the server's own paths are written.
fn path_on_server(folder: &str, name: &str) -> String {
    let separator = if folder.contains('\\') || !folder.contains('/') { '\\' } else { '/' };
    format!("{}{separator}{name}", folder.trim_end_matches(['\\', '/']))
}

impl World {
    fn before(order: &Order<'_>) -> Self {
        Self { server: order.server.to_owned(), database: order.database.to_owned(), redo: None, in_standby: false, applied: 0, of: 0 }
    }
}

fn loss(order: &Order<'_>, plan: &Plan, redo: &Redo, unread: &[Unread], sets: &[Arc<BackupSet>], server_now: Option<DateTime>) -> Loss {
    // where the plan ends is what is kept: its last set, else the one that the redo point comes from
    let at_redo = || sets.iter().find(|set| set.last_lsn == redo.lsn && set.last_fork == Some(redo.fork) && set.first_lsn < set.last_lsn);
    let (last_file, start, finish) = match plan.apply.last().or_else(at_redo) {
        Some(set) => (Some(set.file.to_string()), set.start, set.finish),
        None => redo.last.as_ref().map_or((None, None, None), |last| (last.file.clone(), last.start, last.finish)),
    };
    let useless = || plan.left_out.iter().filter(|left| !left.reason.is_ordinary() && left.set.last_lsn > redo.lsn);
    let mut could_not_serve: Vec<(String, String)> = useless().map(|left| (left.set.title(), left.reason.to_string())).collect();
    let named = |file: &str| headers::named_time(file);
    let restored_last = redo.last.as_ref().and_then(|last| named(last.file.as_deref()?));
    let later = unread.iter().filter(|unread| named(&unread.file).is_none_or(|at| restored_last.is_none_or(|last| at > last)));
    could_not_serve.extend(later.map(|file| (file.file.clone(), file.trouble.to_string())));
    Loss::new(Evidence {
        last_file,
        start,
        finish,
        later: useless()
            .filter(|left| left.reason != Reason::OtherFamily && left.set.last_lsn > plan.end)
            .filter_map(|left| left.set.finish)
            .max(),
        could_not_serve,
        now: order.now,
        server_now,
    })
}

/// Reads headers from the newest file to older ones, as far as needed.
struct Walk<'a, I> {
    instance: &'a I,
    order: &'a Order<'a>,
    cache: &'a HeaderCache,
    hooks: Hooks<'a>,
    standing: &'a Standing,
    world: &'a World,
    /// Files that may be of this database, the newest last; then those named after another, newest last.
    ours: Vec<&'a Listed>,
    others: Vec<&'a Listed>,
    /// Time in the name of the last restored file.
    last_hint: Option<Timestamp>,
    /// Name prefixes that mean this database, in lower case.
    prefixes: Vec<String>,
    sets: Vec<Arc<BackupSet>>,
    trouble: Vec<(&'a Listed, Trouble)>,
    asked: usize,
    /// Sets that were read to their end by the server, by title.
    verified: HashSet<String>,
}

/// How many sets (or files) from before the redo point are read to be sure that nothing newer hides behind a name.
const OVERLAP: usize = 2;
/// A file may be shorter than its headers say by one part in so many before it is looked at more closely.
const EXAGGERATION: u64 = 32;
/// A header over a slow line takes seconds; a dead share keeps the server waiting for minutes.
const HEADER_LIMIT: Duration = Duration::from_secs(300);
/// When the first few files of a folder cannot be opened for the same reason, the rest can't either.
const HOPELESS: usize = 3;

impl<'a, I: Instance> Walk<'a, I> {
    fn new(
        instance: &'a I,
        order: &'a Order<'a>,
        cache: &'a HeaderCache,
        hooks: Hooks<'a>,
        standing: &'a Standing,
        redo: &Redo,
        world: &'a World,
    ) -> Self {
        let last_file = redo.last.as_ref().and_then(|last| last.file.as_deref());
        let mut prefixes = vec![order.database.to_lowercase(), standing.database.to_lowercase()];
        prefixes.extend(last_file.and_then(headers::stamp).map(|(prefix, _)| prefix.to_lowercase()));
        let mut files: Vec<&Listed> = order
            .files
            .iter()
            .filter(|file| !file.name.to_ascii_lowercase().ends_with(".wrk") && matches(order.matching, &file.name))
            .collect();
        files.sort_by_key(|file| (file.hint(), &file.name));
        let is_ours = |file: &&Listed| file.stamp().is_none_or(|(prefix, _)| prefixes.iter().any(|ours| *ours == prefix.to_lowercase()));
        let (mut ours, mut others): (Vec<&Listed>, Vec<&Listed>) = files.into_iter().partition(is_ours);
        if !ours.iter().any(|file| file.stamp().is_some()) {
            // nothing is named as expected: names say nothing here
            ours.append(&mut others);
            ours.sort_by_key(|file| (file.hint(), &file.name));
        }
        Self {
            last_hint: last_file.and_then(headers::named_time),
            instance,
            order,
            cache,
            hooks,
            standing,
            world,
            ours,
            others,
            prefixes,
            sets: Vec::new(),
            trouble: Vec::new(),
            asked: 0,
            verified: HashSet::new(),
        }
    }

    /// From the newest file back until two files of this database in a row hold nothing new, or the names are two files
    /// older than the last restored one.
    async fn newest(&mut self) -> Result<(), ChainFailure> {
        let (mut applied, mut older) = (0, 0);
        while applied < OVERLAP && older < OVERLAP {
            let Some(file) = self.ours.pop() else { break };
            let read = self.header(file).await?;
            if file.stamp().is_some() && self.last_hint.is_some_and(|last| file.hint() <= last) {
                older += 1;
            }
            let Ok(sets) = read else {
                if self.hopeless() {
                    break;
                }
                continue;
            };
            let mut own = sets.iter().filter(|set| self.is_own(set)).peekable();
            if own.peek().is_some() {
                applied = if own.all(|set| set.last_lsn <= self.standing.redo) { applied + 1 } else { 0 };
            }
        }
        Ok(())
    }

    /// Up to `count` more files, older ones first of ours, then of the others; false if there are none left.
    async fn further(&mut self, count: usize) -> Result<bool, ChainFailure> {
        if self.hopeless() {
            return Ok(false);
        }
        for read in 0..count {
            let Some(file) = self.ours.pop().or_else(|| self.others.pop()) else { return Ok(read > 0) };
            self.header(file).await?.ok();
        }
        Ok(true)
    }

    fn is_own(&self, set: &BackupSet) -> bool {
        set.backup_type == 2
            && set.database.to_lowercase() == self.standing.database.to_lowercase()
            && (self.standing.family.is_none() || set.family == self.standing.family)
    }

    /// True when nothing could be read so far and the server said the same of each file.
    fn hopeless(&self) -> bool {
        let os = |trouble: &Trouble| match trouble {
            Trouble::CannotOpen { os, .. } => Some(*os),
            _ => None,
        };
        self.sets.is_empty()
            && self.trouble.len() >= HOPELESS
            && self.trouble.iter().all(|(_, trouble)| os(trouble).is_some() && os(trouble) == os(&self.trouble[0].1))
    }

    async fn header(&mut self, file: &'a Listed) -> Result<Read, ChainFailure> {
        let path = path_on_server(self.order.folder_on_server, &file.name);
        let read = match self.cache.get(self.order.server, &path, file) {
            Some(sets) => Ok(sets),
            None => {
                if (self.hooks.stop)() {
                    return Err(ChainFailure::Stopped { world: Box::new(self.world.clone()) });
                }
                self.asked += 1;
                (self.hooks.progress)(Progress::Header { asked: self.asked, file: &file.name });
                let params = vec![("path", Value::Text(path.clone()))];
                let answer = self.instance.read("RESTORE HEADERONLY FROM DISK = @path", params, HEADER_LIMIT).await;
                let read = headers::read(&file.name, answer).map_err(|failure| ChainFailure::Server {
                    doing: format!("reading the header of `{}`", file.name),
                    world: Box::new(self.world.clone()),
                    failure: Box::new(failure),
                })?;
                if let Ok(sets) = &read {
                    self.cache.put(self.order.server, &path, file, sets.clone());
                }
                read
            }
        };
        match &read {
            Ok(sets) => self.sets.extend(sets.iter().cloned()),
            Err(trouble) => self.trouble.push((file, trouble.clone())),
        }
        Ok(read)
    }

    /// A header proves nothing of what follows it. Of planned files that are shorter than their headers say, the server reads
    /// every byte; one that is cut off is put among the unreadable, and false says that the chain is to be planned anew.
    async fn all_whole(&mut self, plan: &Plan) -> Result<bool, ChainFailure> {
        let mut stored: HashMap<Arc<str>, u64> = HashMap::new();
        for set in &self.sets {
            *stored.entry(set.file.clone()).or_default() += set.stored;
        }
        let listed: HashMap<&str, &'a Listed> = self.order.files.iter().map(|file| (&*file.name, file)).collect();
        let mut whole = true;
        for set in &plan.apply {
            let stored = stored.get(&set.file).copied().unwrap_or_default();
            let Some(&file) = listed.get(&*set.file) else { continue };
            if file.bytes >= stored - stored / EXAGGERATION || !self.verified.insert(set.title()) {
                continue;
            }
            if (self.hooks.stop)() {
                return Err(ChainFailure::Stopped { world: Box::new(self.world.clone()) });
            }
            let params = vec![("path", Value::Text(path_on_server(self.order.folder_on_server, &file.name)))];
            let text = format!("RESTORE VERIFYONLY FROM DISK = @path WITH FILE = {}", set.position);
            // any other failure is not about the file: if it is serious, the RESTORE will say so
            if let Err(failure) = self.instance.read(&text, params, HEADER_LIMIT).await
                && let Some(trouble) = Trouble::from_failure(&failure)
            {
                self.sets.retain(|other| *other.file != *file.name);
                self.trouble.push((file, trouble));
                whole = false;
            }
        }
        Ok(whole)
    }

    /// What could not be read. It matters if its name says that it is of this database and newer than the whole chain.
    fn unread(&self, plan: &Plan, redo: &Redo) -> Vec<Unread> {
        let end = plan.apply.last().map(|set| set.file.to_string());
        let end = end.or_else(|| redo.last.as_ref().and_then(|last| last.file.clone())).or_else(|| {
            let own = self.sets.iter().filter(|set| self.is_own(set));
            own.max_by_key(|set| set.last_lsn).map(|set| set.file.to_string())
        });
        let hint = end.and_then(|name| match self.order.files.iter().find(|file| file.name == name) {
            Some(file) => Some(file.hint()),
            None => headers::named_time(&name),
        });
        let is_ours =
            |file: &Listed| file.stamp().is_some_and(|(prefix, _)| self.prefixes.iter().any(|ours| *ours == prefix.to_lowercase()));
        let unread = self.trouble.iter().map(|(file, trouble)| Unread {
            file: file.name.clone(),
            trouble: trouble.clone(),
            matters: hint.is_none_or(|end| file.hint() > end)
                && (is_ours(file) || (matches!(trouble, Trouble::CannotOpen { .. }) && file.stamp().is_none())),
        });
        unread.collect()
    }
}

/// `*` any text, `?` one character, the rest itself, without regard to case.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.to_lowercase().chars().collect(), name.to_lowercase().chars().collect());
    let (mut p, mut n) = (0, 0);
    // where to go on after the last star, if what follows it did not fit
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), retry) {
            (Some('*'), _) => {
                retry = Some((p + 1, n));
                p += 1;
            }
            (Some(&c), _) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((star, from))) => {
                retry = Some((star, from + 1));
                (p, n) = (star, from + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests;
