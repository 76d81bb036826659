//! Copying between real folders: every promise that `copy` makes, kept or broken on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{BackupsError, Copied, CopyOptions, Difference, Skipped, Why, copy};

struct Share {
    _root: TempDir,
    from: PathBuf,
    to: PathBuf,
}

impl Share {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("share"), root.path().join("copies"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        Share { _root: root, from, to }
    }

    fn options(&self) -> CopyOptions {
        CopyOptions::new(&self.from, &self.to)
    }

    fn copy(&self) -> Result<Copied, BackupsError> {
        copy(&self.options(), &|_| (), &AtomicBool::new(false))
    }

    fn there(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.to).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn log(day: u32) -> String {
    format!("mgc_202601{day:02}000000.trn")
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn put(folder: &Path, name: &str, content: &[u8], seconds: u64) {
    let mut file = File::create(folder.join(name)).unwrap();
    file.write_all(content).unwrap();
    file.set_modified(time(seconds)).unwrap();
}

fn names<T>(list: &[T], name: impl Fn(&T) -> &String) -> Vec<&str> {
    list.iter().map(|x| name(x).as_str()).collect()
}

#[test]
fn new_backups_arrive_oldest_first_with_contents_hash_and_time() {
    let share = Share::new();
    let long: Vec<u8> = (0..3_000_001_u32).map(|i| i.to_le_bytes()[i as usize % 4]).collect();
    put(&share.from, &log(2), &long, 20);
    put(&share.from, &log(1), b"one", 30);
    put(&share.from, &log(3), b"", 10);
    let result = share.copy().unwrap();
    assert_eq!(names(&result.copied, |c| &c.name), [log(1), log(2), log(3)]);
    assert_eq!(result.copied[1].blake3, blake3::hash(&long).to_string());
    assert_eq!(result.bytes, 3_000_004);
    assert_eq!(share.there(), [log(1), log(2), log(3)]);
    assert_eq!(fs::read(share.to.join(log(2))).unwrap(), long);
    for (day, seconds) in [(1, 30), (2, 20), (3, 10)] {
        assert_eq!(fs::metadata(share.to.join(log(day))).unwrap().modified().unwrap(), time(seconds));
    }
}

#[test]
fn a_second_pass_copies_nothing_and_opens_nothing() {
    let share = Share::new();
    put(&share.from, &log(1), b"one", 10);
    share.copy().unwrap();
    // Other contents of the same length and time: only a pass that reads them would notice.
    put(&share.to, &log(1), b"eno", 11);
    let result = share.copy().unwrap();
    assert!(result.copied.is_empty());
    assert_eq!(result.skipped[0].how, Skipped::SameTime);
    assert_eq!(fs::read(share.to.join(log(1))).unwrap(), b"eno");
}

#[test]
fn another_time_makes_the_contents_decide() {
    let share = Share::new();
    for day in [1, 2] {
        put(&share.from, &log(day), b"same", 10);
    }
    put(&share.to, &log(1), b"same", 999);
    put(&share.to, &log(2), b"emas", 999);
    let Err(BackupsError::Incomplete { result, failed, .. }) = share.copy() else { panic!("the second was not refused") };
    assert_eq!((result.skipped[0].name.as_str(), result.skipped[0].how), (&*log(1), Skipped::SameContent));
    assert!(matches!(result.refused[0].difference, Difference::Content { .. }));
    assert!(matches!(failed[0].source, Why::Refused(_)));
    assert_eq!(fs::read(share.to.join(log(2))).unwrap(), b"emas");
    assert_eq!(fs::metadata(share.to.join(log(1))).unwrap().modified().unwrap(), time(999), "a file that is not ours keeps its time");
}

#[test]
fn a_taken_name_is_refused_and_named_after_the_rest_is_copied() {
    let share = Share::new();
    for day in 1..=4 {
        put(&share.from, &log(day), b"source", 10);
    }
    put(&share.to, &log(2), b"shorter", 10);
    let error = share.copy().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` was not copied to `{}`, the other 3 copied and 0 already there are in place", log(2), share.to.display())
    );
    let result = error.result().unwrap();
    assert_eq!(names(&result.copied, |c| &c.name), [log(1), log(3), log(4)]);
    assert_eq!(result.refused[0].difference, Difference::Length { source: 6, destination: 7 });
    assert_eq!(fs::read(share.to.join(log(2))).unwrap(), b"shorter");
}

#[test]
fn a_refused_file_that_was_applied_long_ago_does_not_fail_the_copy() {
    let share = Share::new();
    for day in 1..=6 {
        put(&share.from, &log(day), b"source", 10);
    }
    put(&share.to, &log(1), b"other length", 10);
    let options = CopyOptions { newer_than: Some(format!(r"D:\LogShip\{}", log(5))), ..share.options() };
    let result = copy(&options, &|_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(names(&result.copied, |c| &c.name), [log(3), log(4), log(5), log(6)]);
    assert_eq!(result.refused.iter().map(|r| (r.name.as_str(), r.needed)).collect::<Vec<_>>(), [(&*log(1), false)]);
    assert_eq!(result.passed_over, 1);
}

#[test]
fn work_files_are_never_touched_and_are_named_as_candidates() {
    let share = Share::new();
    put(&share.from, "mgc_20260101000000.wrk", b"orphan", 10);
    put(&share.from, "other_20260101000000.wrk", b"orphan", 10);
    put(&share.from, "mgc_20260102000000.trn", b"log", 10);
    for matching in ["mgc_*.trn", "mgc_*", "mgc_*.wrk"] {
        let options = CopyOptions { matching: matching.into(), ..share.options() };
        let result = copy(&options, &|_| (), &AtomicBool::new(false)).unwrap();
        assert_eq!(result.work, ["mgc_20260101000000.wrk"], "{matching}");
    }
    assert_eq!(share.there(), [log(2)]);
}

#[test]
fn leftovers_of_ours_are_cleaned_and_those_of_a_run_that_lives_are_not() {
    let share = Share::new();
    put(&share.from, &log(1), b"one", 10);
    let (dead, live) = (format!(".{}.aaaa.cutover-part", log(1)), format!(".{}.bbbb.cutover-part", log(1)));
    put(&share.to, &dead, b"o", 10);
    put(&share.to, &live, b"o", 10);
    put(&share.to, "somebody.tmp", b"", 10);
    let held = File::open(share.to.join(&live)).unwrap();
    held.lock().unwrap();
    let result = share.copy().unwrap();
    assert_eq!(result.cleaned, [dead]);
    assert_eq!(share.there(), [live, log(1), "somebody.tmp".into()]);
}

#[test]
fn two_runs_at_once_end_with_every_file_whole() {
    let share = Share::new();
    for day in 1..=28 {
        put(&share.from, &log(day), &vec![u8::try_from(day).unwrap(); 200_000], 10);
    }
    let results = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| share.copy())).collect();
        runs.into_iter().map(|r| r.join().unwrap()).collect::<Vec<_>>()
    });
    let copied: usize = results.iter().map(|r| r.as_ref().unwrap().copied.len()).sum();
    assert_eq!(copied, 28, "each file was put in place once");
    assert_eq!(share.there().len(), 28);
    for day in 1..=28 {
        assert_eq!(fs::read(share.to.join(log(day))).unwrap(), vec![u8::try_from(day).unwrap(); 200_000]);
    }
}

#[test]
fn folders_that_are_missing_or_the_same_are_named_before_anything_happens() {
    let share = Share::new();
    put(&share.from, &log(1), b"one", 10);
    let run = |from: &Path, to: &Path| copy(&CopyOptions::new(from, to), &|_| (), &AtomicBool::new(false)).unwrap_err();
    let gone = share.to.join("gone");
    assert!(matches!(run(&gone, &share.to), BackupsError::FolderMissing { folder, .. } if folder == gone));
    assert!(matches!(run(&share.from, &gone), BackupsError::FolderMissing { folder, .. } if folder == gone));
    assert!(matches!(run(&share.from.join(log(1)), &share.to), BackupsError::NotAFolder { .. }));
    assert!(matches!(run(&share.from, &share.from.join("../share")), BackupsError::SameFolder { .. }));
    assert!(share.there().is_empty());
}

#[test]
fn a_stop_gives_what_was_done_and_leaves_no_part() {
    let share = Share::new();
    for day in 1..=20 {
        put(&share.from, &log(day), &vec![0; 3 << 20], 10);
    }
    let stop = AtomicBool::new(false);
    let error = copy(&CopyOptions { workers: 1, ..share.options() }, &|_| stop.store(true, Ordering::Relaxed), &stop).unwrap_err();
    assert!(matches!(error, BackupsError::Stopped { .. }), "{error}");
    assert_eq!(share.there().len(), error.result().unwrap().copied.len());
    assert!(share.there().iter().all(|n| n.ends_with(".trn")));
    assert_eq!(share.copy().unwrap().copied.len() + error.result().unwrap().copied.len(), 20);
}

#[test]
fn progress_is_told_at_most_ten_times_a_second() {
    let share = Share::new();
    for day in 1..=28 {
        put(&share.from, &log(day), &vec![0; 1 << 20], 10);
    }
    let told = Mutex::new(Vec::new());
    copy(&share.options(), &|p| told.lock().unwrap().push((Instant::now(), p)), &AtomicBool::new(false)).unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!((told[0].1.files_total, told[0].1.bytes_total), (28, 28 << 20));
    // The clock is read a little before the caller is told, hence the slack.
    assert!(told.windows(2).all(|w| w[1].0 - w[0].0 > Duration::from_millis(50) && w[1].1.bytes >= w[0].1.bytes));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_listed_after_the_rest_is_done() {
    let share = Share::new();
    put(&share.from, &log(1), b"one", 10);
    put(&share.from, &log(3), b"three", 10);
    // Looks like an empty file, opens, and fails to read with EIO, which is tried again and does not pass.
    std::os::unix::fs::symlink("/proc/self/mem", share.from.join(log(2))).unwrap();
    let Err(BackupsError::Incomplete { result, failed, .. }) = share.copy() else { panic!("reading `mem` did not fail") };
    assert_eq!(names(&result.copied, |c| &c.name), [log(1), log(3)]);
    assert_eq!(failed[0].name, log(2));
    assert!(matches!(failed[0].source, Why::Io { doing: "reading it at the source", .. }), "{:?}", failed[0].source);
    assert_eq!(share.there(), [log(1), log(3)]);
}

#[cfg(target_os = "linux")]
struct Tmpfs(TempDir);

#[cfg(target_os = "linux")]
impl Tmpfs {
    fn mount(size: &str) -> Option<Tmpfs> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Tmpfs(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_full_destination_is_found_before_the_first_byte_or_named_on_the_way() {
    let Some(small) = Tmpfs::mount("4m") else {
        eprintln!("skipped: mounting a small tmpfs needs root");
        return;
    };
    let share = Share::new();
    for day in 1..=5 {
        put(&share.from, &log(day), &vec![7; 1 << 20], 10);
    }
    let options = CopyOptions { to: small.0.path().to_owned(), workers: 1, ..share.options() };
    let run = |progress: &(dyn Fn(super::CopyProgress) + Send + Sync)| copy(&options, progress, &AtomicBool::new(false));
    let error = run(&|_| ()).unwrap_err();
    assert!(matches!(error, BackupsError::NoRoom { needed: 5_242_880, .. }), "{error}");
    assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 0);

    fs::remove_file(share.from.join(log(5))).unwrap();
    fs::remove_file(share.from.join(log(4))).unwrap();
    // Somebody else takes the room once it was checked.
    let fill = |_| assert!(fs::write(small.0.path().join("other"), vec![0; 4 << 20]).is_err());
    let error = run(&fill).unwrap_err();
    let BackupsError::DiskFull { result, missing, .. } = error else { panic!("{error}") };
    assert_eq!(names(&result.copied, |c| &c.name), [log(1)], "written before the room was gone");
    assert_eq!(missing, [log(2), log(3)]);
    let there: Vec<_> = fs::read_dir(small.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(there.iter().all(|n| !n.contains("cutover-part")), "{there:?}");
}
