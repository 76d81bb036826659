//! What a stretch of a run does to the facts, and the ways that lead to a place of it: the arithmetic of [`super::order`].

use super::event::Facts;
use super::value::Tags;

/// Ways that are kept apart by what was tested on them.
const WAYS: usize = 8;

/// What a stretch of a run does to one set of facts: `(before & keep) | gen`, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    pub gen_: u32,
    pub keep: u32,
}

impl Bits {
    pub const SAME: Bits = Bits { gen_: 0, keep: u32::MAX };

    pub fn then(self, next: Bits) -> Bits {
        Bits { gen_: next.gen_ | (self.gen_ & next.keep), keep: self.keep & next.keep }
    }
}

/// What a stretch of a run does to the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub must: Bits,
    pub may: Bits,
}

impl Change {
    pub const SAME: Change = Change { must: Bits::SAME, may: Bits::SAME };

    pub fn then(self, next: Change) -> Change {
        Change { must: self.must.then(next.must), may: self.may.then(next.may) }
    }

    /// One or the other.
    pub fn or(self, other: Change) -> Change {
        let (a, b) = (self.must, other.must);
        let must = Bits { gen_: a.gen_ & b.gen_, keep: (a.keep | a.gen_) & (b.keep | b.gen_) };
        let (a, b) = (self.may, other.may);
        Change { must, may: Bits { gen_: a.gen_ | b.gen_, keep: a.keep | b.keep } }
    }

    pub fn gains(&mut self, facts: Facts, surely: bool) {
        self.may.gen_ |= facts.0;
        if surely {
            self.must.gen_ |= facts.0;
        }
    }

    pub fn loses(&mut self, facts: Facts) {
        for bits in [&mut self.must, &mut self.may] {
            bits.gen_ &= !facts.0;
            bits.keep &= !facts.0;
        }
    }
}

/// A way that leads to some place.
#[derive(Clone)]
pub struct Way {
    /// what was tested on it, and the answer
    pub tested: Vec<(u64, bool)>,
    pub change: Change,
    /// facts that a test on it excuses: there was nothing to do
    pub excused: u32,
}

impl Way {
    pub fn new(change: Change) -> Self {
        Self { tested: Vec::new(), change, excused: 0 }
    }
}

/// Ways that lead to one place; none: the place is not reached.
pub type Ways = Vec<Way>;

pub fn meet(ways: &mut Ways, others: Ways) {
    for other in others {
        match ways.iter_mut().find(|own| own.change == other.change) {
            Some(own) => {
                own.tested.retain(|test| other.tested.contains(test));
                own.excused &= other.excused;
            }
            None => ways.push(other),
        }
    }
    if ways.len() > WAYS {
        let all = together(ways).unwrap_or(Change::SAME);
        *ways = vec![Way::new(all)];
    }
}

pub fn together(ways: &Ways) -> Option<Change> {
    ways.iter().map(|way| way.change).reduce(Change::or)
}

/// A way that was left because there was nothing to do leaves nothing out of what the others do.
pub fn excuse(ways: &mut Ways) {
    let done: Vec<u32> = ways.iter().map(|way| way.change.must.gen_).collect();
    for (index, way) in ways.iter_mut().enumerate() {
        let others = done.iter().enumerate().filter(|(other, _)| *other != index).fold(0, |all, (_, done)| all | done);
        way.change.must.gen_ |= others & way.excused;
        way.excused = 0;
    }
}

/// The facts that a test of such values excuses.
pub fn excused_by(tags: Tags) -> u32 {
    let mut facts = 0;
    if tags.has(Tags::CHAIN) {
        facts |= Facts::RESTORED.0 | Facts::COPIED.0;
    }
    if tags.has(Tags::QUERY) {
        facts |= Facts::RECOVERED.0 | Facts::REMOVED.0;
    }
    if tags.has(Tags::BACKUPS) {
        facts |= Facts::COPIED.0;
    }
    facts
}
