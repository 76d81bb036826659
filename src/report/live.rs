//! What the part of the screen that is drawn anew says: the steps, done and to come, the effect under way and how far it is.
//! Lines only, made from the events of the run; `moving` draws them.

use std::time::{Duration, Instant};

use textwrap::core::display_width;

use super::Style;
use super::human::{plural, seconds};
use super::moving::Shown;
use crate::journal::{Event, Level, Progress, StepAhead};

/// Narrower than this, a mark stands for a word, and what stood beside the bar stands below it.
const WIDE: usize = 60;
/// An effect that takes less is not timed on the screen.
const SOON: Duration = Duration::from_secs(1);
/// Before this, a rate says little.
const RATED: Duration = Duration::from_secs(1);

/// A run under way.
pub(super) struct Live {
    began: Instant,
    steps: Vec<Step>,
    warnings: usize,
    doing: Option<Doing>,
}

struct Step {
    title: String,
    is: Is,
}

#[derive(Clone, Copy, PartialEq)]
enum Is {
    ToCome,
    Perhaps,
    Now(Instant),
    /// with how long it took; not known of one that the record has
    Done(Option<u64>),
    Ended(u64),
}

/// The effect under way.
struct Doing {
    effect: u64,
    waits: bool,
    summary: String,
    since: Instant,
    progress: Option<Progress>,
    /// when its first progress was told
    first: Option<Instant>,
}

impl Live {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, steps: Vec::new(), warnings: 0, doing: None }
    }

    /// Takes in one event.
    pub(super) fn hear(&mut self, event: &Event, now: Instant) {
        match event {
            Event::RunStarted { steps, .. } | Event::Resumed { steps, .. } => self.ahead(steps),
            Event::StepStarted { step } => self.set(step, Is::Now(now)),
            Event::StepFinished { step, ms, ok: true } => self.set(step, Is::Done(Some(*ms))),
            Event::StepFinished { step, ms, ok: false } => self.set(step, Is::Ended(*ms)),
            Event::Note { level: Level::Warn, .. } => self.warnings += 1,
            Event::EffectStarted { effect, class, primitive, summary, parent: None, .. } if class != "asks" => {
                let waits = primitive == "wait_until";
                self.doing = Some(Doing { effect: *effect, waits, summary: summary.clone(), since: now, progress: None, first: None });
            }
            Event::EffectFinished { parent: None, .. } | Event::EffectFailed { parent: None, .. } => self.doing = None,
            _ => {}
        }
    }

    /// A step that the record has.
    pub(super) fn before(&mut self, title: &str) {
        self.set(title, Is::Done(None));
    }

    /// How far the effect under way is.
    pub(super) fn progress(&mut self, progress: &Progress, now: Instant) {
        if let Some(doing) = self.doing.as_mut().filter(|doing| doing.effect == progress.effect) {
            doing.first.get_or_insert(now);
            doing.progress = Some(progress.clone());
        }
    }

    fn ahead(&mut self, steps: &[StepAhead]) {
        let is = |step: &StepAhead| if step.perhaps { Is::Perhaps } else { Is::ToCome };
        self.steps = steps.iter().map(|step| Step { title: step.title.clone(), is: is(step) }).collect();
    }

    fn set(&mut self, title: &str, is: Is) {
        let at = self.steps.iter().position(|step| step.title == title).unwrap_or_else(|| {
            // its title was put together when it began
            let at = self.steps.iter().rposition(|step| !matches!(step.is, Is::ToCome | Is::Perhaps)).map_or(0, |last| last + 1);
            self.steps.insert(at, Step { title: title.to_owned(), is });
            at
        });
        self.steps[at].is = is;
        if let Is::Now(_) = is {
            // the run has gone past what might have come before it
            let mut index = 0;
            self.steps.retain(|step| {
                index += 1;
                index > at || step.is != Is::Perhaps
            });
        }
    }

    fn heading(&self, now: Instant, width: usize) -> String {
        let done = self.steps.iter().filter(|step| matches!(step.is, Is::Done(_))).count();
        let all = self.steps.iter().filter(|step| step.is != Is::Perhaps).count();
        let took = clock(now.duration_since(self.began));
        let mut text = if width < WIDE {
            format!("{done} of {all} · {took}")
        } else {
            format!("── {done} of {} done · {took}", plural(all, "step"))
        };
        if self.warnings > 0 {
            text.push_str(&format!(" · {}", plural(self.warnings, "warning")));
        }
        text
    }

    /// As many steps as fit: those under way, then what comes next, then what is done; the others in a number each.
    fn folded(&self, room: usize) -> Vec<(Option<&Step>, String)> {
        let now = self.steps.iter().position(|step| matches!(step.is, Is::Now(_)));
        let now = now.unwrap_or_else(|| self.steps.iter().take_while(|step| !matches!(step.is, Is::ToCome | Is::Perhaps)).count());
        let (mut from, mut to) = (now, self.steps.len());
        if to - from <= room {
            from = to.saturating_sub(room);
        }
        if to - from > room || from > 0 {
            let kept = room.saturating_sub(usize::from(from > 0));
            if to - from > kept {
                to = from + kept.saturating_sub(1).max(1);
            }
        }
        let mut lines = Vec::new();
        if from > 0 && room > 2 {
            // the line that tells the number takes the place of one of them
            let from = if to - from + 1 > room { from + 1 } else { from };
            lines.push((None, format!("{} before", plural(from.min(now), "step"))));
            lines.extend(self.steps[from.min(now)..to].iter().map(|step| (Some(step), String::new())));
        } else {
            lines.extend(self.steps[from..to].iter().map(|step| (Some(step), String::new())));
        }
        if to < self.steps.len() {
            lines.push((None, format!("{} more to come", self.steps.len() - to)));
        }
        lines
    }

    /// The effect under way, its bar, and what is being done.
    fn under_way(&self, style: &Style, now: Instant) -> Vec<String> {
        let Some(doing) = &self.doing else { return Vec::new() };
        let width = style.width;
        let indent = if width < WIDE { "  " } else { "         " };
        let took = now.duration_since(doing.since);
        let took = if took < SOON { String::new() } else { clock(took) };
        let mut lines = vec![beside(&format!("{indent}{}", doing.summary), &took, width)];
        let Some(progress) = &doing.progress else { return lines };
        if let Some(fraction) = progress.fraction.map(|fraction| fraction.clamp(0.0, 1.0)) {
            let bar = if width < WIDE { 16 } else { 30.min(width / 3) };
            let full = (fraction * bar as f64).floor() as usize;
            let mut parts = vec![format!("{}{} {:>3.0} %", "█".repeat(full), "░".repeat(bar - full), fraction * 100.0)];
            let since = doing.first.map_or(Duration::ZERO, |first| now.duration_since(first));
            let rated = since >= RATED && fraction > 0.0;
            if let Some((done, all)) = progress.bytes {
                parts.push(format!("{} of {}", bytes(done), bytes(all)));
                if rated {
                    parts.push(format!("{}/s", bytes((done as f64 / since.as_secs_f64()) as u64)));
                }
            }
            if rated && !doing.waits && fraction < 1.0 {
                parts.push(format!("{} left", clock(since.mul_f64((1.0 - fraction) / fraction))));
            }
            let below = if width < WIDE { parts.split_off(1) } else { Vec::new() };
            for parts in [parts, below].iter_mut().filter(|parts| !parts.is_empty()) {
                // how fast it is says least
                if parts.len() > 2 && display_width(&parts.join(" · ")) + indent.len() > width {
                    parts.remove(parts.len() - 2);
                }
                lines.push(cut(&format!("{indent}{}", parts.join(" · ")), width));
            }
        }
        lines.push(cut(&format!("{indent}{}", progress.text), width));
        lines
    }
}

impl Shown for Live {
    fn lines(&self, style: &Style, height: usize, now: Instant) -> Vec<String> {
        let width = style.width;
        let under_way = self.under_way(style, now);
        let room = height.saturating_sub(1 + under_way.len()).max(1);
        let mut lines = vec![style.paint("2", &cut(&self.heading(now, width), width))];
        let mut below = Some(under_way);
        for (step, folded) in self.folded(room) {
            lines.push(match step {
                Some(step) => step_line(step, style, now),
                None => style.paint("2", &cut(&format!("{}{folded}", if width < WIDE { "· " } else { "         " }), width)),
            });
            if step.is_some_and(|step| matches!(step.is, Is::Now(_))) {
                lines.extend(below.take().unwrap_or_default());
            }
        }
        lines.extend(below.unwrap_or_default());
        lines.truncate(height.max(1));
        lines
    }
}

fn step_line(step: &Step, style: &Style, now: Instant) -> String {
    let (word, mark, code, took) = match step.is {
        Is::ToCome => ("to come", "·", "2", String::new()),
        Is::Perhaps => ("perhaps", "?", "2", String::new()),
        Is::Now(since) => ("now", "►", "1", clock(now.duration_since(since))),
        Is::Done(None) => ("before", "√", "2", String::new()),
        Is::Done(Some(ms)) => ("done", "√", "32", seconds(ms)),
        Is::Ended(ms) => ("ended", "x", "31", seconds(ms)),
    };
    let head = if style.width < WIDE { format!("{mark} ") } else { format!("{word:<9}") };
    style.paint(code, &beside(&format!("{head}{}", step.title), &took, style.width))
}

/// A text cut so that the other stands at the right edge.
pub(super) fn beside(text: &str, right: &str, width: usize) -> String {
    if right.is_empty() {
        return cut(text, width);
    }
    let Some(room) = width.checked_sub(display_width(right) + 2) else { return cut(text, width) };
    let text = cut(text, room);
    format!("{text}{}{right}", " ".repeat(width.saturating_sub(display_width(right) + display_width(&text))))
}

/// The beginning of a text that fits, in one line.
pub(super) fn cut(text: &str, width: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if display_width(&line) <= width {
        return line.trim_end().to_owned();
    }
    let mut kept = String::new();
    let mut wide = 0;
    for c in line.chars() {
        wide += display_width(c.encode_utf8(&mut [0; 4]));
        if wide >= width {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// A time as a clock shows it, in whole seconds.
pub(super) fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

/// A size in the unit that suits it; 1 KB are 1,000 bytes.
fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{:.0} KB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(titles: &[(&str, bool)]) -> Vec<StepAhead> {
        titles.iter().map(|(title, perhaps)| StepAhead { title: (*title).to_owned(), perhaps: *perhaps }).collect()
    }

    fn started(effect: u64, summary: &str, primitive: &str) -> Event {
        let event = serde_json::json!({ "event": "effect_started", "effect": effect, "step": null, "primitive": primitive,
            "class": "changes", "server": null, "summary": summary, "arguments": null, "file": "", "line": 0, "parent": null });
        serde_json::from_value(event).unwrap()
    }

    const TITLES: [(&str, bool); 8] = [
        ("Before anything is changed: what is there", false),
        ("1. Remove log shipping from the Persistent Chat Server Backup Log Shipping database", false),
        ("2. Copy any uncopied backup files from the backup share to the copy destination folder", false),
        ("3. Apply any unapplied transaction log backups in sequence to the secondary database", false),
        ("4. Bring the backup mgc database online", false),
        ("1, put off. Remove log shipping", true),
        ("5. Fail over to the mgc backup database", false),
        ("7. Set the Persistent Chat Server active servers", false),
    ];

    /// A run in its second step of the document, 83 seconds after its start.
    fn copying() -> (Live, Instant) {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut live = Live::new(start);
        live.ahead(&ahead(&TITLES));
        for (n, title) in [TITLES[0].0, TITLES[1].0].into_iter().enumerate() {
            live.hear(&Event::StepStarted { step: title.to_owned() }, at(n as u64));
            live.hear(&Event::StepFinished { step: title.to_owned(), ms: 2700 + n as u64 * 60_000, ok: true }, at(60));
        }
        live.hear(&Event::Note { step: None, level: Level::Warn, text: "primary is unknown from here".to_owned() }, at(60));
        live.hear(&Event::StepStarted { step: TITLES[2].0.to_owned() }, at(71));
        live.hear(&started(9, r"copy mgc_*.trn from \\dr-fs-01\LogShip to \\dr-sql-01\LogShip$", "copy_backups"), at(75));
        let text = "copying mgc_20261127050200.trn (8 of 15 files)".to_owned();
        let progress = Progress { effect: 9, text, fraction: Some(0.53), bytes: Some((12_100_000, 22_900_000)) };
        live.progress(&progress, at(76));
        (live, at(83))
    }

    fn drawn(width: usize, height: usize) -> String {
        let (live, now) = copying();
        let lines = live.lines(&Style { width, ..Style::PLAIN }, height, now);
        assert!(lines.len() <= height.max(1) && lines.iter().all(|line| display_width(line) <= width), "{lines:#?}");
        lines.join("\n")
    }

    #[test]
    fn a_wide_window_has_words_and_times() {
        insta::assert_snapshot!(drawn(100, 14), @r"
        ── 2 of 7 steps done · 1 min 23 s · 1 warning
        done     Before anything is changed: what is there                                             2.7 s
        done     1. Remove log shipping from the Persistent Chat Server Backup Log Shipping dat…  1 min 02 s
        now      2. Copy any uncopied backup files from the backup share to the copy destination fold…  12 s
                 copy mgc_*.trn from \\dr-fs-01\LogShip to \\dr-sql-01\LogShip$                          8 s
                 ███████████████░░░░░░░░░░░░░░░  53 % · 12.1 MB of 22.9 MB · 1.7 MB/s · 6 s left
                 copying mgc_20261127050200.trn (8 of 15 files)
        to come  3. Apply any unapplied transaction log backups in sequence to the secondary database
        to come  4. Bring the backup mgc database online
        perhaps  1, put off. Remove log shipping
        to come  5. Fail over to the mgc backup database
        to come  7. Set the Persistent Chat Server active servers
        ");
    }

    #[test]
    fn a_narrow_window_has_marks() {
        insta::assert_snapshot!(drawn(40, 14), @r"
        2 of 7 · 1 min 23 s · 1 warning
        √ Before anything is changed: wh…  2.7 s
        √ 1. Remove log shipping fr…  1 min 02 s
        ► 2. Copy any uncopied backup fil…  12 s
          copy mgc_*.trn from \\dr-fs-01\L…  8 s
          ████████░░░░░░░░  53 %
          12.1 MB of 22.9 MB · 6 s left
          copying mgc_20261127050200.trn (8 of…
        · 3. Apply any unapplied transaction lo…
        · 4. Bring the backup mgc database onli…
        ? 1, put off. Remove log shipping
        · 5. Fail over to the mgc backup databa…
        · 7. Set the Persistent Chat Server act…
        ");
    }

    #[test]
    fn a_low_window_folds_what_is_done_and_what_is_far_ahead() {
        insta::assert_snapshot!(drawn(80, 8), @r"
        ── 2 of 7 steps done · 1 min 23 s · 1 warning
                 2 steps before
        now      2. Copy any uncopied backup files from the backup share to the c…  12 s
                 copy mgc_*.trn from \\dr-fs-01\LogShip to \\dr-sql-01\LogShip$      8 s
                 █████████████░░░░░░░░░░░░░  53 % · 12.1 MB of 22.9 MB · 6 s left
                 copying mgc_20261127050200.trn (8 of 15 files)
        to come  3. Apply any unapplied transaction log backups in sequence to the seco…
                 4 more to come
        ");
    }

    #[test]
    fn no_window_is_too_small() {
        for width in 1..120 {
            for height in 0..16 {
                drawn(width, height);
            }
        }
    }

    #[test]
    fn a_wait_tells_its_own_time_left_and_a_step_that_did_not_come_goes_away() {
        let (mut live, now) = copying();
        live.hear(&Event::StepStarted { step: TITLES[6].0.to_owned() }, now);
        live.hear(&started(12, "wait for the copy and restore jobs to be idle", "wait_until"), now);
        let text = "waiting for the jobs, 41 s left".to_owned();
        live.progress(&Progress { effect: 12, text, fraction: Some(0.31), bytes: None }, now);
        let lines = live.lines(&Style::PLAIN, 14, now + Duration::from_secs(19)).join("\n");
        assert!(lines.contains("waiting for the jobs, 41 s left") && lines.matches("left").count() == 1, "{lines}");
        assert!(!lines.contains("put off"), "{lines}");
    }
}
