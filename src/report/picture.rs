//! The run on a time axis: a lane for each step, what was done in it, and how the whole compares with the promised time.
//! Places on the axis are percentages, so that the picture is as wide as the page and its letters keep their size. Nothing
//! is told by colour alone: each kind has a shape or a pattern, and the table below the picture says the same in words.

use maud::{Markup, html};

use super::account::{Account, Kind, Stretch, promised};
use super::human::{plural, seconds};

/// Stretches of a kind that are nearer than this, in percent of the width, become one: nobody could tell them apart.
const GRAIN: f64 = 0.25;
/// Steps beyond this share lanes.
const LANES: usize = 40;
/// Percent of the width that a time when nothing ran takes, however long it was.
const PAUSE: f64 = 4.0;
/// Heights in pixels.
const LANE: usize = 42;
const TOP: usize = 34;

/// Milliseconds to percent; times when nothing ran are cut out, but for a mark.
struct Axis {
    /// from, to, and where on the axis
    parts: Vec<(u64, u64, f64, f64)>,
    pauses: Vec<(u64, u64, f64, f64)>,
}

impl Axis {
    fn of(account: &Account) -> Self {
        // a pause that is short beside the work needs no cut
        let total = account.times.total.max(1);
        let cut: Vec<(u64, u64)> = account.pauses.iter().copied().filter(|(from, to)| (to - from) * 12 > total).collect();
        // many resumes, each after a pause, share what the pauses may take in all
        let pause = PAUSE.min(30.0 / cut.len().max(1) as f64);
        let ran = total.saturating_sub(cut.iter().map(|(from, to)| to - from).sum()).max(1);
        let scale = (100.0 - pause * cut.len() as f64) / ran as f64;
        let (mut parts, mut pauses, mut at, mut from) = (Vec::new(), Vec::new(), 0.0, 0);
        for (begins, ends) in cut {
            let to = at + begins.saturating_sub(from) as f64 * scale;
            parts.push((from, begins, at, to));
            pauses.push((begins, ends, to, to + pause));
            (at, from) = (to + pause, ends);
        }
        parts.push((from, total.max(from), at, 100.0));
        Self { parts, pauses }
    }

    fn x(&self, ms: u64) -> f64 {
        let inside = |&&(from, to, ..): &&(u64, u64, f64, f64)| (from..=to).contains(&ms);
        let part = self.parts.iter().find(inside).or_else(|| self.pauses.iter().find(inside));
        part.map_or(100.0, |&(from, to, left, right)| {
            let share = if to > from { (ms - from) as f64 / (to - from) as f64 } else { 0.0 };
            left + share * (right - left)
        })
    }

    /// Times worth a mark: round ones, few, and none where the axis is cut.
    fn ticks(&self) -> Vec<u64> {
        const ROUND: &[u64] = &[
            1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
            1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 86_400_000,
        ];
        let ran: u64 = self.parts.iter().map(|(from, to, ..)| to - from).sum();
        let every = ROUND.iter().copied().find(|every| ran / every <= 5).unwrap_or(ran / 4).max(1);
        let mut ticks = vec![0];
        let mut last = 0.0;
        for &(from, to, ..) in &self.parts {
            for tick in (from.div_ceil(every)..=to / every).map(|n| n * every) {
                let x = self.x(tick);
                if x - last >= 14.0 && x <= 92.0 {
                    ticks.push(tick);
                    last = x;
                }
            }
        }
        ticks
    }
}

/// A time at the axis, which may lie between two seconds.
fn on_the_axis(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        1000..60_000 if !ms.is_multiple_of(1000) => format!("{} s", ms as f64 / 1000.0),
        _ => promised(ms),
    }
}

/// A place on the axis as SVG takes it.
fn percent(x: f64) -> String {
    format!("{:.2}%", x.clamp(0.0, 100.0))
}

/// Stretches of one lane and one kind, those that lie together as one.
fn merged(axis: &Axis, stretches: impl Iterator<Item = Stretch>) -> Vec<(f64, f64)> {
    let mut places: Vec<(f64, f64)> = stretches.map(|stretch| (axis.x(stretch.from), axis.x(stretch.to))).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in places {
        match merged.last_mut() {
            Some(last) if from - last.1 < GRAIN => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Read, "read", "reading"),
    (Kind::Change, "change", "changing"),
    (Kind::Wait, "wait", "waiting for a server"),
    (Kind::Person, "person", "waiting for a person"),
    (Kind::Failure, "failure", "failed"),
];

/// One stretch of a kind: top and height are in pixels from the lane's top.
fn mark(kind: Kind, class: &str, lane: usize, (from, to): (f64, f64)) -> Markup {
    let (top, height) = match kind {
        Kind::Read => (29, 5),
        Kind::Change => (20, 14),
        Kind::Wait | Kind::Person => (22, 12),
        Kind::Failure => (20, 14),
    };
    let y = TOP + lane * LANE + top;
    html! {
        rect .(class) x=(percent(from)) y=(y) width=(percent(to - from)) height=(height) {}
        @if kind == Kind::Failure { use href="#failed" x=(percent(to)) y=(y + 7) {} }
    }
}

/// The patterns and signs that the pictures use.
fn defs() -> Markup {
    html! {
        defs {
            pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect .ground width="6" height="6" {}
                rect .wait-ink width="3" height="6" {}
            }
            pattern #dots width="6" height="6" patternUnits="userSpaceOnUse" {
                rect .ground width="6" height="6" {}
                circle .person-ink cx="3" cy="3" r="1.7" {}
            }
            path #failed .failed d="M-5-5 5 5M5-5-5 5" {}
        }
    }
}

/// What the marks mean, each drawn as it is in the picture.
fn legend(account: &Account) -> Markup {
    let there = |kind| account.stretches.iter().any(|stretch| stretch.kind == kind);
    html! {
        ul .legend {
            @for (kind, class, words) in KINDS.iter().filter(|(kind, ..)| there(*kind)) {
                li {
                    svg width="22" height="16" aria-hidden="true" {
                        @match kind {
                            Kind::Failure => { use href="#failed" x="11" y="8" {} }
                            Kind::Read => { rect .(class) y="6" width="22" height="5" {} }
                            _ => { rect .(class) x="1" y="2" width="20" height="12" {} }
                        }
                    }
                    (words)
                }
            }
            @if !account.pauses.is_empty() {
                li { svg width="22" height="16" aria-hidden="true" { rect .pause x="1" width="20" height="16" {} } "nothing ran, then resumed" }
            }
        }
    }
}

/// The timeline.
pub(super) fn timeline(account: &Account) -> Markup {
    let axis = Axis::of(account);
    let each = account.steps.len().div_ceil(LANES).max(1);
    let lanes: Vec<&[super::account::Step]> = account.steps.chunks(each).collect();
    let bottom = TOP + lanes.len() * LANE;
    let target = account.target_ms.filter(|target| *target <= account.times.total);
    let label = |lane: &[super::account::Step], most: usize| {
        let first = lane.first().and_then(|step| step.title.as_ref());
        let title = first.map_or_else(|| "outside of the steps".to_owned(), |title| title.one_line().cut(most).to_string());
        if lane.len() > 1 { format!("{title} and {} more", lane.len() - 1) } else { title }
    };
    html! {
        figure .picture {
            svg width="100%" height=(bottom + 22) role="img" aria-labelledby="picture-title picture-text" {
                title #picture-title { "Timeline of the run" }
                desc #picture-text {
                    (plural(account.steps.len(), "step")) " in " (seconds(account.times.total)) ", each with what was done in it. "
                    "The table below says the same in words."
                }
                (defs())
                @for (from, to, left, right) in &axis.pauses {
                    rect .pause x=(percent(*left)) y=(TOP - 8) width=(percent(right - left)) height=(bottom - TOP + 8) {
                        title { "nothing ran for " (seconds(to - from)) }
                    }
                    text .tick x=(percent((left + right) / 2.0)) y=(TOP - 14) text-anchor=(anchor((left + right) / 2.0)) { (seconds(to - from)) " off" }
                }
                @for tick in axis.ticks() {
                    line .grid x1=(percent(axis.x(tick))) x2=(percent(axis.x(tick))) y1=(TOP - 8) y2=(bottom) {}
                    text .tick x=(percent(axis.x(tick))) y=(bottom + 16) text-anchor=(anchor(axis.x(tick))) { (on_the_axis(tick)) }
                }
                @for (n, lane) in lanes.iter().enumerate() {
                    @let indexes = n * each..(n + 1) * each;
                    @let y = TOP + n * LANE;
                    text .lane.long y=(y + 12) { (label(lane, 96)) }
                    text .lane.short y=(y + 12) aria-hidden="true" { (label(lane, 40)) }
                    @for (from, to) in lane.iter().flat_map(|step| &step.periods) {
                        rect .track x=(percent(axis.x(*from))) y=(y + 18) width=(percent(axis.x(*to) - axis.x(*from))) height="18" rx="3" {}
                    }
                    @for (kind, class, _) in KINDS {
                        @for place in merged(&axis, account.stretches.iter().copied().filter(|s| s.kind == kind && indexes.contains(&s.step))) {
                            (mark(kind, class, n, place))
                        }
                    }
                }
                @for (_, to) in &account.pauses {
                    line .resumed x1=(percent(axis.x(*to))) x2=(percent(axis.x(*to))) y1=(TOP - 8) y2=(bottom) { title { "resumed" } }
                }
                @if let Some(target) = target {
                    line .target x1=(percent(axis.x(target))) x2=(percent(axis.x(target))) y1="14" y2=(bottom) {}
                    text .tick x=(percent(axis.x(target))) y="11" text-anchor=(anchor(axis.x(target))) { "target " (promised(target)) }
                }
            }
            figcaption { (legend(account)) }
        }
    }
}

/// Words at the edges stay inside.
fn anchor(x: f64) -> &'static str {
    match x {
        x if x < 8.0 => "start",
        x if x > 88.0 => "end",
        _ => "middle",
    }
}

/// The time that was taken, by what it was spent on, against the promised time.
pub(super) fn against_target(account: &Account) -> Markup {
    let times = account.times;
    let whole = times.total.max(account.target_ms.unwrap_or(0)).max(1) as f64;
    let share = |ms: u64| ms as f64 / whole * 100.0;
    let parts = [("change", times.working), ("person", times.asked), ("pause", times.away)];
    let mut from = 0.0;
    let mut bars = Vec::new();
    for (class, ms) in parts.into_iter().filter(|(_, ms)| *ms > 0) {
        bars.push((class, from, share(ms)));
        from += share(ms);
    }
    html! {
        svg .bar width="100%" height="46" role="img" aria-labelledby="bar-title bar-text" {
            title #bar-title { "Time against the target" }
            desc #bar-text { (account.duration()) }
            rect .track x="0" y="20" width="100%" height="20" rx="3" {}
            @for (class, from, wide) in bars {
                rect .(class) x=(percent(from)) y="20" width=(percent(wide)) height="20" {}
            }
            @if let Some(target) = account.target_ms {
                line .target x1=(percent(share(target))) x2=(percent(share(target))) y1="14" y2="44" {}
                text .tick x=(percent(share(target))) y="11" text-anchor=(anchor(share(target))) { "target " (promised(target)) }
            }
        }
    }
}
