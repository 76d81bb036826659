//! What was drawn for a person, without what varies from run to run: paths, ports, times.

use std::path::Path;

/// A lab's certificate is its own each time.
fn digests(line: &str) -> String {
    let hex = |rest: &str| rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
    match line.split_once("sha256:").filter(|(_, rest)| hex(rest) == 64) {
        Some((before, rest)) => format!("{before}sha256:{}{}", "0".repeat(64), &rest[64..]),
        None => line.to_owned(),
    }
}

/// What is drawn, without what varies.
pub fn normal(text: &str, folder: &Path) -> String {
    let folder = folder.to_str().expect("a path is text").trim_end_matches('/');
    let text = text.replace(folder, "@");
    let mut out = Vec::new();
    let (mut in_loss, mut in_stock) = (false, false);
    for line in text.lines() {
        // the loss statement compares the lab's clock with this machine's
        in_loss =
            line.starts_with("certainly kept:") || in_loss && !line.is_empty() && !line.starts_with("record:") && !line.starts_with('@');
        if in_loss {
            if line.starts_with("certainly kept:") {
                out.push("(the loss statement)".to_owned());
            }
            continue;
        }
        let line = replace_number_after(line, "127.0.0.1,", "PORT");
        let mut line = replace_number_after(&line, "127.0.0.1:", "PORT");
        line = replace_number_after(&line, "localhost:", "PORT");
        line = run_folder(&line);
        line = durations(&line);
        line = digests(&line);
        // lines of the stock runbook and its modules may move
        if line.contains("╭─[") {
            in_stock = line.contains("failover.rhai:") || line.contains("[stdlib/");
        }
        let numbered = line.trim_start().split_once(" │").is_some_and(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
        if in_stock && (numbered || line.contains("╭─[")) {
            let (place, rest) = line.split_at(line.find([']', '│']).unwrap_or(0));
            line = format!("{}{rest}", place.replace(|c: char| c.is_ascii_digit(), "#"));
        }
        out.push(line);
    }
    out.join("\n")
}

fn replace_number_after(line: &str, before: &str, with: &str) -> String {
    let mut parts = line.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(before);
        out.push_str(if rest.len() < part.len() { with } else { "" });
        out.push_str(rest);
    }
    out
}

/// `runs/2026-11-23T18-15-29Z-name` → `runs/WHEN-name`
fn run_folder(line: &str) -> String {
    let Some((before, after)) = line.split_once("/runs/") else { return line.to_owned() };
    match after.split_once("Z-") {
        Some((_, name)) => format!("{before}/runs/WHEN-{name}"),
        None => line.to_owned(),
    }
}

/// `after 349 ms` → `after TIME`
fn durations(line: &str) -> String {
    let Some((before, after)) = line.split_once("after ") else { return line.to_owned() };
    let mut words = after.split(' ');
    match (words.next(), words.next()) {
        (Some(number), Some("ms" | "s")) if number.parse::<f64>().is_ok() => {
            format!("{before}after TIME{}", words.map(|word| format!(" {word}")).collect::<String>())
        }
        _ => line.to_owned(),
    }
}

/// A page of a terminal of that many columns, without what varies. Times in effects' lines are taken away, and what they
/// moved is broken anew.
pub fn page(text: &str, folder: &Path, columns: u16) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(effect) if is_effect(effect) && line.starts_with(HANGING) => {
                effect.push(' ');
                effect.push_str(line.trim_start());
            }
            // who runs this and where: as long as it is
            Some(item) if is_item(item) && line.starts_with("   ") => {
                item.push_str(if item.contains("ProgramName") { "" } else { "\n" });
                item.push_str(line);
            }
            Some(clock) if clock.starts_with("server_time ") && line.starts_with("    ") => {}
            _ => lines.push(line.to_owned()),
        }
    }
    for line in &mut lines {
        if is_item(line) && line.contains("ProgramName") {
            *line = format!("{}. (a session)", line.split('.').next().unwrap_or_default());
        }
    }
    let lines: Vec<String> = lines.iter().flat_map(|line| line.split('\n')).map(|line| untimed(line, columns)).collect();
    normal(&lines.join("\n"), folder)
}

/// Before the second line of an effect.
const HANGING: &str = "           ";

/// `1. name value · name value`, a row of a table that is too wide
fn is_item(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, rest)| number.bytes().all(|b| b.is_ascii_digit()) && rest.contains(char::is_whitespace))
}

fn is_effect(line: &str) -> bool {
    ["   CHANGE ", "   read ", "   keep "].iter().any(|begin| line.starts_with(begin))
}

fn untimed(line: &str, columns: u16) -> String {
    let line = &digits(line);
    if line.starts_with("by ") {
        return "by WHO on HOST".to_owned();
    }
    if let Some((before, _)) = line.split_once("done in ").filter(|(before, _)| before.trim().is_empty()) {
        return format!("{before}done in TIME");
    }
    if !is_effect(line) {
        return line.to_owned();
    }
    let mut text = line.to_owned();
    if let Some((before, tail)) = line.strip_suffix(')').and_then(|line| line.rsplit_once('(')) {
        let parts: Vec<&str> =
            tail.split(", ").filter(|part| !is_time(part)).map(|part| if part.starts_with("failed") { "failed" } else { part }).collect();
        text = if parts.is_empty() { before.trim_end().to_owned() } else { format!("{before}({})", parts.join(", ")) };
    }
    let options = textwrap::Options::new(columns.into())
        .subsequent_indent(HANGING)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(&text, options)
}

/// A line without the name of a temporary folder, a clock's fractions, and how much room this machine's disk has.
fn digits(line: &str) -> String {
    if let Some((before, _)) = line.split_once("server_time ") {
        return format!("{before}server_time NOW");
    }
    let mut line = line.to_owned();
    // `2026-07-17T03:21:01Z` is the lab's clock now
    for (at, _) in line.clone().match_indices('Z') {
        if let Some(time) = at.checked_sub(6).filter(|from| line.get(*from..at).is_some_and(|time| time.starts_with(':'))) {
            line.replace_range(time..at, ":..:..");
        }
    }
    if let Some(at) = line.find("/.tmp").map(|at| at + "/.tmp".len()).filter(|at| line.len() >= at + 6) {
        line.replace_range(at..at + 6, "......");
    }
    let room = line.starts_with("│ D ") || line.starts_with("│ E ");
    match line.split_once(" MB free") {
        Some((before, after)) => {
            let kept = before.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{kept}N MB free{after}")
        }
        None if room => format!("{} N │", line.split('┆').next().unwrap_or_default()),
        None => line,
    }
}

/// `349 ms`, `1.2 s`, `2 min 03 s`
fn is_time(text: &str) -> bool {
    let mut words = text.split(' ');
    words.next().is_some_and(|number| number.parse::<f64>().is_ok()) && matches!(words.next(), Some("ms" | "s" | "min"))
}
