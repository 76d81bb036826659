//! What a stretch of a run does to the facts, and the ways that lead to a place of it: the arithmetic of [`super::order`].

use super::event::Facts;
use super::value::{Tags, Value};

/// Ways that are kept apart by what was tested on them.
const WAYS: usize = 24;
/// Variables whose value is known on one way.
const KNOWN: usize = 32;
const NOTHING_TO_APPLY: u32 = Facts::RESTORED.0 | Facts::COPIED.0;

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
    /// variables that have one constant value on it, by their versions
    pub known: Vec<(u64, Value)>,
    /// what the closure returns that it comes out of, if that is constant
    pub returned: Option<Value>,
}

impl Way {
    pub fn new(change: Change) -> Self {
        Self { tested: Vec::new(), change, excused: 0, known: Vec::new(), returned: None }
    }

    pub fn knows(&mut self, version: u64, value: Value) {
        if self.known.len() < KNOWN {
            self.known.push((version, value));
        }
    }

    pub fn value_of(&self, version: u64) -> Option<&Value> {
        self.known.iter().find(|(own, _)| *own == version).map(|(_, value)| value)
    }

    /// What a condition told: what was seen to be so holds, what there was nothing to do for is excused.
    pub fn is_told(&mut self, facts: u32) {
        self.change.gains(Facts(facts & Facts::ONLINE.0), true);
        self.excused |= facts & !Facts::ONLINE.0;
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
                own.known.retain(|known| other.known.contains(known));
                if own.returned != other.returned {
                    own.returned = None;
                }
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

/// A way that was left because there was nothing to do leaves nothing out of what the others do. From here on they are
/// excused of `outer` alone.
pub fn excuse<'a>(ways: impl Iterator<Item = &'a mut Way>, outer: u32) {
    let mut ways: Vec<&mut Way> = ways.collect();
    let done: Vec<u32> = ways.iter().map(|way| way.change.must.gen_).collect();
    for (index, way) in ways.iter_mut().enumerate() {
        let others = done.iter().enumerate().filter(|(other, _)| *other != index).fold(0, |all, (_, done)| all | done);
        way.change.must.gen_ |= others & way.excused;
        way.excused = outer;
    }
}

/// What all of these ways are excused of.
pub fn excused(ways: &Ways) -> u32 {
    ways.iter().fold(u32::MAX, |all, way| all & way.excused)
}

/// What surely holds on all of these ways.
pub fn surely(ways: &Ways) -> u32 {
    ways.iter().fold(u32::MAX, |all, way| all & way.change.must.gen_)
}

/// What a condition with that answer tells: that there was nothing to apply, or to copy, or that the database was seen online.
/// One on such things that is not understood tells it on both ways.
pub fn told(condition: &Value, answer: bool) -> u32 {
    let one = |value: &Value| match value {
        // this alternative does not come here
        Value::Bool(value) if *value != answer => u32::MAX,
        value => {
            let tags = value.tags();
            let says = |if_true, if_false| tags.has(if answer { if_true } else { if_false });
            let mut facts = unsure(tags);
            if says(Tags::EMPTY_IF_TRUE, Tags::EMPTY_IF_FALSE) {
                facts |= NOTHING_TO_APPLY;
            }
            if says(Tags::ONLINE_IF_TRUE, Tags::ONLINE_IF_FALSE) {
                facts |= Facts::ONLINE.0;
            }
            facts
        }
    };
    let facts = condition.alternatives().iter().fold(u32::MAX, |all, value| all & one(value));
    if facts == u32::MAX { 0 } else { facts }
}

/// What is taken to be told on every way that such values part: what they say is not understood.
pub fn unsure(tags: Tags) -> u32 {
    let mut facts = 0;
    if tags.has(Tags::SETS) {
        facts |= NOTHING_TO_APPLY;
    }
    if tags.has(Tags::STATE) {
        facts |= Facts::ONLINE.0;
    }
    if tags.has(Tags::BACKUPS) {
        facts |= Facts::COPIED.0;
    }
    facts
}
