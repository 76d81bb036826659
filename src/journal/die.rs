//! Death on demand, for the tests that kill a run at every line of its record: `CUTOVER_DIE=before:N`, `torn:N` or
//! `after:N` ends the process with SIGKILL before the Nth line that it writes, in the middle of it, or after it. Not in
//! release builds.

use std::path::Path;

#[cfg(all(debug_assertions, unix))]
mod wish {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU64;

    pub static LINES: AtomicU64 = AtomicU64::new(0);

    pub fn of() -> Option<(&'static str, u64)> {
        static WISH: OnceLock<Option<(String, u64)>> = OnceLock::new();
        let wish = WISH.get_or_init(|| {
            let text = std::env::var("CUTOVER_DIE").ok()?;
            let (when, line) = text.split_once(':')?;
            Some((when.to_owned(), line.parse().ok()?))
        });
        wish.as_ref().map(|(when, line)| (when.as_str(), *line))
    }

    pub fn now() -> ! {
        let killed = std::process::Command::new("kill").arg("-KILL").arg(std::process::id().to_string()).status();
        tracing::debug!(?killed, "still alive");
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

/// About to write a line.
#[cfg(all(debug_assertions, unix))]
pub fn before(path: &Path, line: &str) {
    use std::io::Write;
    let Some((when, at)) = wish::of() else { return };
    if wish::LINES.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 != at {
        return;
    }
    match when {
        "before" => wish::now(),
        "torn" => {
            let half = line.as_bytes().get(..line.len() / 2).unwrap_or_default();
            let written = std::fs::OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(half));
            tracing::debug!(?written, "a torn line");
            wish::now()
        }
        _ => {}
    }
}

/// A line was written.
#[cfg(all(debug_assertions, unix))]
pub fn after() {
    if wish::of().is_some_and(|(when, at)| when == "after" && wish::LINES.load(std::sync::atomic::Ordering::Relaxed) == at) {
        wish::now();
    }
}

#[cfg(not(all(debug_assertions, unix)))]
pub fn before(_: &Path, _: &str) {}

#[cfg(not(all(debug_assertions, unix)))]
pub fn after() {}
