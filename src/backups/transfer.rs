//! Moves one file: read and hashed, written under a temporary name, flushed, read back, renamed without overwriting.
//! Called by `copy`'s workers. If the machine dies here, the destination holds a temporary of ours at worst, which the
//! next run removes; a finished name never holds a part of a file.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::error::Why;
use super::name;
use super::outcome::{CopiedFile, Difference};
use super::plan::{Job, Kind};

/// One read and one write at a time; large enough that a file server is asked in its largest units.
pub(super) const BUFFER: usize = 1 << 20;

/// Between the tries of an operation that failed in a way that may pass; their number bounds the tries.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// What all transfers of a copy share.
pub(super) struct Transfer<'a> {
    pub from: &'a Path,
    pub to: &'a Path,
    pub verify: bool,
    pub stop: &'a AtomicBool,
    pub pauses: &'a [Duration],
    /// Told of bytes read from the source; of a negative number when a try that had read them is given up.
    pub advance: &'a (dyn Fn(i64) + Sync),
}

/// How a transfer ended that did not fail.
#[derive(Debug, PartialEq)]
pub(super) enum Moved {
    Copied(CopiedFile),
    Same,
    Differs(Difference),
    Grown,
}

/// Why a transfer ended without a result.
#[derive(Debug)]
pub(super) enum Halt {
    This(Why),
    /// The destination is full: no other file will fit either.
    Full(io::Error),
    Stopped,
}

/// A failed operation, before it is known whether to try again.
enum Fault {
    Io(&'static str, io::Error),
    Halt(Halt),
}

impl From<Halt> for Fault {
    fn from(halt: Halt) -> Self {
        Fault::Halt(halt)
    }
}

fn at(doing: &'static str) -> impl Fn(io::Error) -> Fault {
    move |e| Fault::Io(doing, e)
}

const OPEN: &str = "opening it at the source";
const RENAME: &str = "giving it its name in the destination";

impl Transfer<'_> {
    /// Does one job, trying again what may pass.
    pub fn run(&self, job: &Job, buffer: &mut [u8]) -> Result<Moved, Halt> {
        let mut pauses = self.pauses.iter();
        loop {
            let mut read = 0;
            let fault = match self.once(job, buffer, &mut read) {
                Ok(moved) => return Ok(moved),
                Err(fault) => fault,
            };
            (self.advance)(-read);
            let (doing, source) = match fault {
                Fault::Halt(halt) => return Err(halt),
                Fault::Io(doing, source) => (doing, source),
            };
            // Nothing but another run's cleaning takes our temporary away; the next try makes a new one. A virus scanner that
            // holds a new file makes Windows deny its renaming.
            let renaming = doing == RENAME && matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
            let again = renaming || may_pass(&source);
            match pauses.next() {
                Some(pause) if again => {
                    tracing::debug!(file = job.file.name, doing, error = %source, "trying again");
                    self.wait(*pause)?;
                }
                _ if is_full(&source) => return Err(Halt::Full(source)),
                _ if doing == OPEN && source.kind() == io::ErrorKind::NotFound => return Err(Halt::This(Why::Vanished)),
                _ => return Err(Halt::This(Why::Io { doing, source })),
            }
        }
    }

    fn once(&self, job: &Job, buffer: &mut [u8], read: &mut i64) -> Result<Moved, Fault> {
        match job.kind {
            Kind::Copy => self.copy(&job.file.name, buffer, read),
            Kind::Compare => {
                let mut source = File::open(self.from.join(&job.file.name)).map_err(at(OPEN))?;
                let hash = self.hash(&mut source, buffer, "reading it at the source", |n| self.count(n, read))?;
                self.compare(&job.file.name, &hash, buffer)
            }
        }
    }

    fn copy(&self, name: &str, buffer: &mut [u8], read: &mut i64) -> Result<Moved, Fault> {
        let started = Instant::now();
        let mut source = File::open(self.from.join(name)).map_err(at(OPEN))?;
        let before = source.metadata().map_err(at(OPEN))?;
        let mut part = self.part(name).map_err(at("creating a temporary file in the destination"))?;

        let mut hasher = blake3::Hasher::new();
        let mut bytes = 0_u64;
        loop {
            self.go_on()?;
            let n = fill(&mut source, buffer).map_err(at("reading it at the source"))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            part.as_file_mut().write_all(&buffer[..n]).map_err(at("writing it to the destination"))?;
            bytes += n as u64;
            self.count(n, read);
            if bytes > before.len() {
                // Grown already; whoever writes may be faster than we read, and this would never end.
                break;
            }
        }
        let hash = hasher.finalize();

        // Asked by name, because a file server may answer for an open handle from what it remembers.
        let after = fs::metadata(self.from.join(name)).map_err(at(OPEN))?;
        let modified = before.modified().map_err(at(OPEN))?;
        if bytes != before.len() || after.len() != before.len() || after.modified().map_err(at(OPEN))? != modified {
            (self.advance)(-std::mem::take(read));
            return Ok(Moved::Grown);
        }

        let file = part.as_file_mut();
        file.set_modified(modified).map_err(at("setting its time in the destination"))?;
        file.sync_all().map_err(at("flushing it"))?;
        if self.verify {
            file.rewind().map_err(at("reading it back"))?;
            let wrote = self.hash(file, buffer, "reading it back", |_| ())?;
            if wrote != hash {
                let (read, wrote) = (hash.to_string(), wrote.to_string());
                return Err(Halt::This(Why::Changed { read, wrote }).into());
            }
        }
        let length = file.metadata().map_err(at("reading it back"))?.len();
        if length != bytes {
            let (read, wrote) = (format!("{bytes} bytes"), format!("{length} bytes"));
            return Err(Halt::This(Why::Changed { read, wrote }).into());
        }

        match part.persist_noclobber(self.to.join(name)) {
            Ok(_) => {}
            // Somebody else put it there meanwhile: another run of ours, or log shipping's own copy job.
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return self.compare(name, &hash, buffer),
            Err(e) => return Err(Fault::Io(RENAME, e.error)),
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(Moved::Copied(CopiedFile { name: name.to_owned(), bytes, blake3: hash.to_string(), seconds }))
    }

    /// Our temporary: made inside the destination so that it inherits its rights, with a name that no other run has, and
    /// locked as long as we live so that no other run takes it for a leftover.
    fn part(&self, name: &str) -> io::Result<NamedTempFile> {
        let (prefix, suffix) = name::part_name(name);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(suffix).rand_bytes(8);
        #[cfg(unix)]
        {
            // A temporary is private by default; a backup is read by the SQL Server's account. The umask still applies.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let part = builder.tempfile_in(self.to)?;
        if let Err(error) = part.as_file().try_lock() {
            tracing::debug!(?error, "the destination does not lock files");
        }
        Ok(part)
    }

    /// Compares the file in the destination with a hash of the source's.
    fn compare(&self, name: &str, source: &blake3::Hash, buffer: &mut [u8]) -> Result<Moved, Fault> {
        const READ: &str = "reading the file of that name in the destination";
        let mut there = File::open(self.to.join(name)).map_err(at(READ))?;
        let destination = self.hash(&mut there, buffer, READ, |_| ())?;
        if destination == *source {
            return Ok(Moved::Same);
        }
        Ok(Moved::Differs(Difference::Content { source: source.to_string(), destination: destination.to_string() }))
    }

    fn hash(&self, file: &mut File, buffer: &mut [u8], doing: &'static str, mut on: impl FnMut(usize)) -> Result<blake3::Hash, Fault> {
        let mut hasher = blake3::Hasher::new();
        loop {
            self.go_on()?;
            match fill(file, buffer).map_err(at(doing))? {
                0 => return Ok(hasher.finalize()),
                n => {
                    hasher.update(&buffer[..n]);
                    on(n);
                }
            }
        }
    }

    fn count(&self, n: usize, read: &mut i64) {
        let n = i64::try_from(n).expect("a buffer is shorter than an i64 can say");
        *read += n;
        (self.advance)(n);
    }

    fn go_on(&self) -> Result<(), Halt> {
        if self.stop.load(Ordering::Relaxed) { Err(Halt::Stopped) } else { Ok(()) }
    }

    fn wait(&self, pause: Duration) -> Result<(), Halt> {
        let until = Instant::now() + pause;
        loop {
            self.go_on()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// Reads until the buffer is full or the file ends; a file server may answer in smaller pieces.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Removes a leftover of ours unless a run that is alive holds it; true if it is gone by our doing.
pub(super) fn clean(part: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(part) else { return false };
    match file.try_lock() {
        Ok(()) => fs::remove_file(part).is_ok(),
        Err(TryLockError::WouldBlock) => false,
        // No locks here, so nothing shows that it is a leftover: it stays, and costs room only.
        Err(TryLockError::Error(_)) => false,
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether trying again may help: a network that hiccups, a virus scanner that holds a new file, a disk that was busy.
fn may_pass(e: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let named = matches!(
        e.kind(),
        Kind::Interrupted
            | Kind::TimedOut
            | Kind::WouldBlock
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::BrokenPipe
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::StaleNetworkFileHandle
            | Kind::ResourceBusy
            | Kind::Deadlock
    );
    named || e.raw_os_error().is_some_and(|code| PASSING.contains(&code))
}

/// Sharing violation, lock violation, bad network path, network busy, unexpected network error, network name deleted,
/// network name not found, semaphore timeout, connection aborted (Microsoft, "System Error Codes").
#[cfg(windows)]
const PASSING: &[i32] = &[32, 33, 53, 54, 59, 64, 67, 121, 1236];
/// EIO: a network file system says it for much that passes.
#[cfg(not(windows))]
const PASSING: &[i32] = &[5];

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::super::listing;
    use super::*;

    struct Scene {
        from: tempfile::TempDir,
        to: tempfile::TempDir,
        stop: AtomicBool,
    }

    impl Scene {
        fn new() -> Self {
            Scene { from: tempfile::tempdir().unwrap(), to: tempfile::tempdir().unwrap(), stop: AtomicBool::new(false) }
        }

        fn run(&self, kind: Kind, verify: bool, advance: &(dyn Fn(i64) + Sync)) -> Result<Moved, Halt> {
            let file = listing::list(self.from.path(), "*").unwrap().files.remove(0);
            let pauses = &[Duration::ZERO, Duration::ZERO];
            let transfer = Transfer { from: self.from.path(), to: self.to.path(), verify, stop: &self.stop, pauses, advance };
            transfer.run(&Job { file, kind }, &mut vec![0; BUFFER])
        }

        fn there(&self) -> Vec<String> {
            fs::read_dir(self.to.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        }

        fn source(&self) -> std::path::PathBuf {
            self.from.path().join("a.trn")
        }

        fn part(&self) -> std::path::PathBuf {
            self.to.path().join(self.there().pop().unwrap())
        }
    }

    #[test]
    fn a_source_that_grows_while_being_read_is_left_and_its_temporary_removed() {
        let scene = Scene::new();
        fs::write(scene.source(), vec![1; BUFFER * 3]).unwrap();
        let grow = |_: i64| File::options().append(true).open(scene.source()).unwrap().write_all(b"more").unwrap();
        assert_eq!(scene.run(Kind::Copy, true, &grow).unwrap(), Moved::Grown);
        assert!(scene.there().is_empty());
    }

    #[test]
    fn a_source_rewritten_at_the_same_length_while_being_read_is_left_too() {
        let scene = Scene::new();
        fs::write(scene.source(), vec![1; 100]).unwrap();
        let touch = |_: i64| File::options().write(true).open(scene.source()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(scene.run(Kind::Copy, true, &touch).unwrap(), Moved::Grown);
    }

    // Locks bind other handles on Windows, where nobody else could write to it.
    #[cfg(unix)]
    #[test]
    fn what_was_written_is_read_back_when_asked_to_and_damage_is_found() {
        for (verify, found) in [(true, true), (false, false)] {
            let scene = Scene::new();
            fs::write(scene.source(), vec![1; 100]).unwrap();
            let damage = |n: i64| {
                if n > 0 {
                    File::options().write(true).open(scene.part()).unwrap().write_all(b"x").unwrap();
                }
            };
            let moved = scene.run(Kind::Copy, verify, &damage);
            assert_eq!(matches!(moved, Err(Halt::This(Why::Changed { .. }))), found, "{moved:?}");
            assert_eq!(scene.there().is_empty(), found);
        }
    }

    // Locks bind other handles on Windows, where nobody else could write to it.
    #[cfg(unix)]
    #[test]
    fn a_missing_byte_is_found_without_reading_back() {
        let scene = Scene::new();
        fs::write(scene.source(), vec![1; 100]).unwrap();
        let cut = |n: i64| {
            if n > 0 {
                File::options().write(true).open(scene.part()).unwrap().set_len(99).unwrap();
            }
        };
        assert!(matches!(scene.run(Kind::Copy, false, &cut), Err(Halt::This(Why::Changed { .. }))));
    }

    #[test]
    fn a_name_taken_meanwhile_is_never_overwritten() {
        for (other, expected_same) in [(b"one".as_slice(), true), (b"two".as_slice(), false)] {
            let scene = Scene::new();
            fs::write(scene.source(), b"one").unwrap();
            let take = |_: i64| fs::write(scene.to.path().join("a.trn"), other).unwrap();
            let moved = scene.run(Kind::Copy, true, &take).unwrap();
            assert_eq!(moved == Moved::Same, expected_same, "{moved:?}");
            assert_eq!(scene.there(), ["a.trn"]);
            assert_eq!(fs::read(scene.to.path().join("a.trn")).unwrap(), other);
        }
    }

    #[test]
    fn a_temporary_taken_away_is_made_again_and_the_bytes_are_counted_once() {
        let scene = Scene::new();
        fs::write(scene.source(), b"one").unwrap();
        let (calls, sum) = (AtomicU32::new(0), std::sync::atomic::AtomicI64::new(0));
        let steal = |n: i64| {
            sum.fetch_add(n, Ordering::Relaxed);
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                fs::remove_file(scene.part()).unwrap();
            }
        };
        assert!(matches!(scene.run(Kind::Copy, true, &steal), Ok(Moved::Copied(_))));
        assert_eq!((scene.there(), sum.into_inner()), (vec!["a.trn".to_owned()], 3));
    }

    #[test]
    fn a_stop_is_seen_between_two_chunks_and_leaves_nothing() {
        let scene = Scene::new();
        fs::write(scene.source(), vec![1; BUFFER * 3]).unwrap();
        assert!(matches!(scene.run(Kind::Copy, true, &|_| scene.stop.store(true, Ordering::Relaxed)), Err(Halt::Stopped)));
        assert!(scene.there().is_empty());
    }

    #[test]
    fn a_file_that_vanished_says_so() {
        let scene = Scene::new();
        fs::write(scene.source(), b"one").unwrap();
        let file = listing::list(scene.from.path(), "*").unwrap().files.remove(0);
        fs::remove_file(scene.source()).unwrap();
        let transfer =
            Transfer { from: scene.from.path(), to: scene.to.path(), verify: true, stop: &scene.stop, pauses: &[], advance: &|_| () };
        let halt = transfer.run(&Job { file, kind: Kind::Copy }, &mut vec![0; BUFFER]);
        assert!(matches!(halt, Err(Halt::This(Why::Vanished))), "{halt:?}");
    }

    #[test]
    fn only_errors_that_may_pass_are_tried_again() {
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::Interrupted, io::ErrorKind::ConnectionReset] {
            assert!(may_pass(&kind.into()));
        }
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound, io::ErrorKind::StorageFull] {
            assert!(!may_pass(&kind.into()));
        }
        assert!(PASSING.iter().all(|code| may_pass(&io::Error::from_raw_os_error(*code))));
    }
}
