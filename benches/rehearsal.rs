//! A whole unattended rehearsal with 96 log backups of 64 KiB at pace 0, as a process of its own: wall time and peak memory.
//! `cargo bench --bench rehearsal`
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 9;
const WALL_SECONDS: f64 = 1.0;
const PEAK_MIB: f64 = 64.0;

const SCENARIO: &str = r#"
summary = "96 log backups, of which 12 are applied and 4 more copied"
logs = 96
applied = 12
copied = 4
bytes = 65536
"#;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let scenario = dir.path().join("many.toml");
    std::fs::write(&scenario, SCENARIO).expect("the scenario is written");
    let mut times = Vec::new();
    let mut peak = 0.0f64;
    for round in 0..ROUNDS {
        let kept = dir.path().join(format!("kept-{round}"));
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["rehearse", "--yes", "--pace", "0", "--scenario"])
            .arg(&scenario)
            .arg("--keep")
            .arg(&kept)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        // the kernel keeps the peak until the process is waited for; it is read until it is gone
        let mut seen = 0.0f64;
        let status = loop {
            seen = peak_mib(child.id()).unwrap_or(seen).max(seen);
            if let Some(status) = child.try_wait().expect("the program is waited for") {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        times.push(began.elapsed().as_secs_f64());
        peak = peak.max(seen);
        assert!(status.success(), "the rehearsal failed: {status}");
        let world = std::fs::read_to_string(kept.join("world.json")).expect("world.json");
        assert!(world.contains("\"logs_applied\": 96"), "not all log backups were applied");
    }
    times.sort_by(f64::total_cmp);
    let median = times[ROUNDS / 2];
    println!("a rehearsal of the stock failover, 96 log backups of 64 KiB, 84 to apply, pace 0, {ROUNDS} rounds");
    println!(
        "  wall   median {median:.3} s, slowest {:.3} s   target < {WALL_SECONDS} s   {}",
        times[ROUNDS - 1],
        verdict(median < WALL_SECONDS)
    );
    println!("  memory peak {peak:.1} MiB   target < {PEAK_MIB} MiB   {}", verdict(peak < PEAK_MIB));
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

/// `VmHWM` of a process; none where the system does not tell.
fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
