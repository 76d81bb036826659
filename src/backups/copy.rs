//! Copies the backups that are not there yet: lists both folders, decides, checks the room, lets several workers move
//! files oldest first, and says what became of every one. Called by the primitive `copy_backups` from a blocking thread.
//! It never overwrites, never touches a `.wrk`, and never deletes anything but temporary files of our own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{BackupsError, NotCopied, Why};
use super::listing::{self, Scan};
use super::name;
use super::outcome::{Copied, RefusedFile, Skipped, SkippedFile};
use super::plan::{self, Job};
use super::transfer::{self, BUFFER, Halt, Moved, PAUSES, Transfer};

/// Enough that one file is hashed while another is flushed.
pub const DEFAULT_WORKERS: usize = 4;
const MOST_WORKERS: usize = 16;
const BETWEEN_PROGRESS: Duration = Duration::from_millis(100);
/// Between two tries of what still grows.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// What to copy, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// The folder that is read, as this machine sees it.
    pub from: PathBuf,
    /// The folder that is written to; it has to exist, because whoever makes it decides who may read it.
    pub to: PathBuf,
    /// Which names, by `*` and `?`, without regard to case.
    pub matching: String,
    /// The last restored file, as a name or as the path that msdb holds. Files from two before it onward are needed;
    /// older ones are not copied. Nothing or empty: every file is needed.
    pub newer_than: Option<String>,
    /// Files in flight at once, from 1 to 16.
    pub workers: usize,
    /// Read back what was written, after it was flushed, and compare its blake3 with that of what was read. The system may
    /// answer from its cache, so this finds what went wrong on the way to the disk, not a disk that forgets. Without it
    /// only the length is compared.
    pub verify: bool,
    /// How long files that still grow at the source are waited for. They are tried twice without it, too.
    pub patience: Duration,
}

impl CopyOptions {
    /// Every `.trn`, verified, with the usual number of workers.
    pub fn new(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        let (from, to) = (from.into(), to.into());
        CopyOptions {
            from,
            to,
            matching: "*.trn".to_owned(),
            newer_than: None,
            workers: DEFAULT_WORKERS,
            verify: true,
            patience: Duration::ZERO,
        }
    }
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProgress {
    /// The file that was begun last.
    pub name: String,
    /// Of the source, read so far: of files that are copied, and of those that are only compared.
    pub bytes: u64,
    pub bytes_total: u64,
    pub files: usize,
    pub files_total: usize,
}

/// Copies what is not there yet, oldest first, and says what became of every file.
///
/// `progress` is called by one worker at a time and at most ten times a second. When `stop` becomes true, files in flight
/// are given up at the next chunk. Blocks until all is done.
///
/// # Errors
/// Before the first byte: the folders, the options, the room. After it, with what was done: the destination became full,
/// a needed file could not be copied or its name is taken by another file, or it was stopped.
pub fn copy(options: &CopyOptions, progress: &(dyn Fn(CopyProgress) + Send + Sync), stop: &AtomicBool) -> Result<Copied, BackupsError> {
    let started = Instant::now();
    let (from, to) = (options.from.as_path(), options.to.as_path());
    listing::check_pattern(&options.matching)?;
    let last = plan::last_restored(options.newer_than.as_deref())?;

    let wanted = |n: &str| !name::is_part(n) && !name::is_work(n) && name::matches(&options.matching, n);
    let (source, destination) = thread::scope(|scope| {
        // each thread also does what follows for its own folder: with tens of thousands of files that counts
        let destination = scope.spawn(|| listing::scan(to, wanted).map(|scan| (plan::by_name(scan.files), scan.others)));
        let source = listing::scan(from, wanted).map(|mut scan| {
            listing::sort(&mut scan.files);
            scan
        });
        (source, destination.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let Scan { files: source, others } = source?;
    let (there, strangers) = destination?;
    if let (Ok(a), Ok(b)) = (from.canonicalize(), to.canonicalize())
        && a == b
    {
        return Err(BackupsError::SameFolder { from: from.to_owned(), to: to.to_owned() });
    }
    let mut result = Copied { from: from.to_owned(), to: to.to_owned(), ..Copied::default() };
    result.work = others.into_iter().filter(|n| is_candidate(&options.matching, n)).collect();
    result.work.sort();
    result.cleaned = strangers.into_iter().filter(|n| name::is_part(n) && transfer::clean(&to.join(n))).collect();
    result.cleaned.sort();

    let mut plan = plan::plan(source, &there, last.as_ref());
    result.skipped = std::mem::take(&mut plan.skipped);
    result.refused = std::mem::take(&mut plan.refused);
    result.passed_over = plan.passed_over;
    let needed = plan.bytes_to_copy();
    if needed > 0
        && let Ok(free) = fs4::available_space(to)
        && free < needed
    {
        return Err(BackupsError::NoRoom { folder: to.to_owned(), needed, free });
    }

    let meter = Meter::new(progress, plan.bytes_to_read(), plan.jobs.len());
    let transfer = Transfer { from, to, verify: options.verify, stop, pauses: &PAUSES, advance: &|n| meter.advance(n) };
    let mut ends = work(&transfer, &plan.jobs.iter().collect::<Vec<_>>(), options.workers, &meter);
    // What was still being written may be finished by now, or in a while.
    loop {
        let grown: Vec<usize> = (0..ends.len()).filter(|i| matches!(ends[*i], End::Done(Moved::Grown))).collect();
        if grown.is_empty() || ends.iter().any(End::halts) {
            break;
        }
        let jobs: Vec<_> = grown.iter().map(|i| &plan.jobs[*i]).collect();
        for (i, end) in grown.into_iter().zip(work(&transfer, &jobs, options.workers, &meter)) {
            ends[i] = end;
        }
        if started.elapsed() >= options.patience || stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(BETWEEN_TRIES);
    }

    let Sorted { failed, missing, full } = sort_out(&plan.jobs, ends, &mut result);
    if !result.copied.is_empty() || !result.cleaned.is_empty() {
        flush_folder(to)?;
    }
    result.bytes = result.copied.iter().map(|f| f.bytes).sum();
    result.seconds = started.elapsed().as_secs_f64();

    let (folder, result) = (to.to_owned(), Box::new(result));
    match full {
        Some(source) => Err(BackupsError::DiskFull { folder, result, missing, source }),
        None if !missing.is_empty() => Err(BackupsError::Stopped { folder, result }),
        None if !failed.is_empty() => Err(BackupsError::Incomplete { folder, result, failed }),
        None => Ok(*result),
    }
}

/// A `.wrk` that the pattern means, or would mean once it is finished.
fn is_candidate(matching: &str, name: &str) -> bool {
    name::is_work(name) && (name::matches(matching, name) || name::matches(matching, &name::finished_name(name)))
}

/// How one job ended.
enum End {
    Done(Moved),
    Failed(Why),
    Full(std::io::Error),
    /// Stopped, or never begun.
    Missing,
}

impl End {
    fn halts(&self) -> bool {
        matches!(self, End::Full(_) | End::Missing)
    }
}

/// Lets the workers take the jobs in order; after a stop or a full disk none is begun any more.
fn work(transfer: &Transfer<'_>, jobs: &[&Job], workers: usize, meter: &Meter<'_>) -> Vec<End> {
    let (next, halted) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ends: Mutex<Vec<End>> = Mutex::new(jobs.iter().map(|_| End::Missing).collect());
    let longest = jobs.iter().map(|j| j.file.bytes).max().unwrap_or(0);
    let buffer = usize::try_from(longest + 1).unwrap_or(BUFFER).min(BUFFER);
    let one = || {
        let mut buffer = vec![0; buffer];
        while !halted.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            meter.begin(&job.file.name);
            let end = match transfer.run(job, &mut buffer) {
                Ok(moved) => End::Done(moved),
                Err(Halt::This(why)) => End::Failed(why),
                Err(Halt::Full(source)) => End::Full(source),
                Err(Halt::Stopped) => End::Missing,
            };
            if end.halts() {
                halted.store(true, Ordering::Relaxed);
            }
            meter.end();
            ends.lock().unwrap_or_else(PoisonError::into_inner)[index] = end;
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers.clamp(1, MOST_WORKERS).min(jobs.len()) {
            scope.spawn(one);
        }
    });
    ends.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Sorted {
    failed: Vec<NotCopied>,
    missing: Vec<String>,
    full: Option<std::io::Error>,
}

/// Files every end under the list that tells of it.
fn sort_out(jobs: &[Job], ends: Vec<End>, result: &mut Copied) -> Sorted {
    let mut sorted = Sorted { failed: Vec::new(), missing: Vec::new(), full: None };
    for RefusedFile { name, difference, .. } in result.refused.iter().filter(|r| r.needed) {
        sorted.failed.push(NotCopied { name: name.clone(), source: Why::Refused(difference.clone()) });
    }
    for (job, end) in jobs.iter().zip(ends) {
        let name = job.file.name.clone();
        match end {
            End::Done(Moved::Copied(file)) => result.copied.push(file),
            End::Done(Moved::Same) => result.skipped.push(SkippedFile { name, bytes: job.file.bytes, how: Skipped::SameContent }),
            End::Done(Moved::Differs(difference)) => {
                sorted.failed.push(NotCopied { name: name.clone(), source: Why::Refused(difference.clone()) });
                result.refused.push(RefusedFile { name, difference, needed: true });
            }
            End::Done(Moved::Grown) => result.grown.push(name),
            End::Failed(source) => sorted.failed.push(NotCopied { name, source }),
            End::Full(source) => {
                sorted.missing.push(name);
                sorted.full.get_or_insert(source);
            }
            End::Missing => sorted.missing.push(name),
        }
    }
    let order = |a: &str, b: &str| name::order((&name::LogName::parse(a), a), (&name::LogName::parse(b), b));
    sorted.failed.sort_by(|a, b| order(&a.name, &b.name));
    result.refused.sort_by(|a, b| order(&a.name, &b.name));
    if result.skipped.iter().any(|s| s.how == Skipped::SameContent) {
        result.skipped.sort_by(|a, b| order(&a.name, &b.name));
    }
    sorted
}

/// Makes the new names last; only there is nothing to do where a folder cannot be flushed (Windows, some file servers).
#[cfg(unix)]
fn flush_folder(folder: &Path) -> Result<(), BackupsError> {
    use std::io::ErrorKind;
    match std::fs::File::open(folder).and_then(|f| f.sync_all()) {
        Err(e) if !matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            Err(BackupsError::folder(folder, e))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn flush_folder(_: &Path) -> Result<(), BackupsError> {
    Ok(())
}

/// Counts for all workers and tells the caller now and then.
struct Meter<'a> {
    tell: &'a (dyn Fn(CopyProgress) + Send + Sync),
    bytes: AtomicI64,
    files: AtomicUsize,
    name: Mutex<String>,
    told: Mutex<Option<Instant>>,
    bytes_total: u64,
    files_total: usize,
}

impl<'a> Meter<'a> {
    fn new(tell: &'a (dyn Fn(CopyProgress) + Send + Sync), bytes_total: u64, files_total: usize) -> Self {
        let (bytes, files, name, told) = (AtomicI64::new(0), AtomicUsize::new(0), Mutex::default(), Mutex::new(None));
        Meter { tell, bytes, files, name, told, bytes_total, files_total }
    }

    fn begin(&self, name: &str) {
        name.clone_into(&mut self.name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.advance(0);
    }

    fn advance(&self, bytes: i64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A worker that finds another one telling goes on with its work.
        let Ok(mut told) = self.told.try_lock() else { return };
        if told.is_some_and(|at| at.elapsed() < BETWEEN_PROGRESS) {
            return;
        }
        *told = Some(Instant::now());
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0);
        // One that was still growing is tried, and counted, twice.
        let files = self.files.load(Ordering::Relaxed).min(self.files_total);
        (self.tell)(CopyProgress { name, bytes, bytes_total: self.bytes_total, files, files_total: self.files_total });
    }
}
