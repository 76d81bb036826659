//! What is known of a value without running anything: constants, texts with holes where data goes in, closures, and where
//! the rest comes from. [`super::order`] computes these; rules read them.

use std::ops::Range;
use std::sync::Arc;

use rhai::Position;

/// Where data comes from, as bits: a value that was made of several has all of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(pub u32);

impl Tags {
    /// `sql` or `query`
    pub const QUERY: Tags = Tags(1);
    /// `log_chain` or `restore_logs`
    pub const CHAIN: Tags = Tags(2);
    /// `backups` or `copy_backups`
    pub const BACKUPS: Tags = Tags(4);
    /// `ps`
    pub const PS: Tags = Tags(8);
    /// `ask`
    pub const ASK: Tags = Tags(16);
    /// the constant `site`
    pub const SITE: Tags = Tags(32);
    /// a parameter of a function that is looked at by itself
    pub const PARAMETER: Tags = Tags(64);
    /// what `catch` caught
    pub const CAUGHT: Tags = Tags(128);
    /// a query whose text narrows its rows to one database: `DB_ID(@db)`, `dbid =`, `database_id =`, or a filter on `DBName`
    pub const ONE_DATABASE: Tags = Tags(256);
    /// `.sets` of a chain: what there is to apply
    pub const SETS: Tags = Tags(1 << 9);
    /// the state of databases, or rows that are filtered by it
    pub const STATE: Tags = Tags(1 << 10);
    /// a query whose rows are databases that are online
    pub const ONLINE_ROWS: Tags = Tags(1 << 11);
    /// where it is true, there is nothing to apply; the next ones likewise
    pub const EMPTY_IF_TRUE: Tags = Tags(1 << 12);
    pub const EMPTY_IF_FALSE: Tags = Tags(1 << 13);
    pub const ONLINE_IF_TRUE: Tags = Tags(1 << 14);
    pub const ONLINE_IF_FALSE: Tags = Tags(1 << 15);
    /// a query for databases
    pub const DATABASES: Tags = Tags(1 << 16);
    /// a query whose rows are databases that wait for log
    pub const RESTORING_ROWS: Tags = Tags(1 << 17);
    /// the number of a state: 0 is ONLINE, 1 RESTORING
    pub const STATE_CODE: Tags = Tags(1 << 18);
    /// what a closure made of values
    pub const MADE: Tags = Tags(1 << 19);
    /// surely true or false: what is made of it is not
    pub const TRUTH: Tags = Tags(1 << 20);
    const TRUE: Tags = Tags(Self::EMPTY_IF_TRUE.0 | Self::ONLINE_IF_TRUE.0);
    const FALSE: Tags = Tags(Self::EMPTY_IF_FALSE.0 | Self::ONLINE_IF_FALSE.0);

    pub fn with(self, other: Tags) -> Tags {
        Tags((self.0 | other.0) & !Self::TRUTH.0)
    }
    pub fn without(self, other: Tags) -> Tags {
        Tags(self.0 & !other.0)
    }
    /// Where a value comes from, without what its being true says.
    pub fn plain(self) -> Tags {
        self.without(Self::TRUE).without(Self::FALSE).without(Self::TRUTH)
    }
    /// Of `!a`.
    pub fn negated(self) -> Tags {
        let (says, opposite) = (self.0 & Self::TRUE.0, self.0 & Self::FALSE.0);
        Tags(self.plain().0 | (says << 1) | (opposite >> 1))
    }
    /// Of `a && b`: if it is true both are, if it is false one of them is.
    pub fn and(self, other: Tags) -> Tags {
        let (either, both) = (self.0 | other.0, self.0 & other.0);
        Tags(self.plain().with(other.plain()).0 | (either & Self::TRUE.0) | (both & Self::FALSE.0))
    }
    /// Of `a || b`.
    pub fn or(self, other: Tags) -> Tags {
        self.negated().and(other.negated()).negated()
    }
    pub fn has(self, other: Tags) -> bool {
        self.0 & other.0 != 0
    }
}

/// A literal in a file: where its expression starts, and which constant part of an interpolated text this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// index into the script's files
    pub file: u32,
    /// of the run's line space
    pub line: u32,
    pub column: u32,
    pub part: u16,
}

impl Origin {
    pub fn new(file: usize, position: Position, part: usize) -> Self {
        let number = |n: Option<usize>| u32::try_from(n.unwrap_or(0)).unwrap_or(0);
        Self {
            file: u32::try_from(file).unwrap_or(u32::MAX),
            line: number(position.line()),
            column: number(position.position()),
            part: u16::try_from(part).unwrap_or(u16::MAX),
        }
    }
    /// Where the literal's expression starts.
    pub fn position(&self) -> Position {
        if self.line == 0 {
            return Position::NONE;
        }
        Position::new(u16::try_from(self.line).unwrap_or(u16::MAX), u16::try_from(self.column).unwrap_or(u16::MAX))
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    Constant {
        text: Arc<str>,
        origin: Option<Origin>,
    },
    /// A value goes in here; `path` names it where it has a name, such as `site.pool` or a variable's.
    Data {
        path: Option<Arc<str>>,
        tags: Tags,
        origin: Option<Origin>,
    },
}

/// A text, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text {
    pub pieces: Arc<[Piece]>,
}

impl Text {
    pub fn constant(text: impl Into<Arc<str>>, origin: Option<Origin>) -> Self {
        Self { pieces: Arc::new([Piece::Constant { text: text.into(), origin }]) }
    }

    /// True if no value goes into it.
    pub fn is_constant(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Constant { .. }))
    }

    /// The text itself, if it is constant.
    pub fn as_constant(&self) -> Option<String> {
        self.is_constant().then(|| self.rendered())
    }

    /// The text with [`Text::HOLE`] for each value that goes in.
    pub fn rendered(&self) -> String {
        let mut text = String::new();
        for piece in self.pieces.iter() {
            match piece {
                Piece::Constant { text: part, .. } => text.push_str(part),
                Piece::Data { .. } => text.push_str(Self::HOLE),
            }
        }
        text
    }

    /// What stands for a value in [`Text::rendered`]: the T-SQL reader takes it for a placeholder.
    pub const HOLE: &'static str = "{__data__}";

    /// The pieces that bytes of [`Text::rendered`] lie in, each with the bytes of its own.
    pub fn pieces_at(&self, range: &Range<usize>) -> Vec<(&Piece, Range<usize>)> {
        let mut found = Vec::new();
        let mut at = 0;
        for piece in self.pieces.iter() {
            let length = match piece {
                Piece::Constant { text, .. } => text.len(),
                Piece::Data { .. } => Self::HOLE.len(),
            };
            let (start, end) = (range.start.max(at), range.end.min(at + length));
            if start < end || (range.is_empty() && start == end && start >= at && start <= at + length) {
                found.push((piece, start - at..end - at));
            }
            at += length;
        }
        found
    }

    pub fn tags(&self) -> Tags {
        self.pieces.iter().fold(Tags::default(), |tags, piece| match piece {
            Piece::Data { tags: own, .. } => tags.with(*own),
            Piece::Constant { .. } => tags,
        })
    }
}

/// A closure that was written out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Closure {
    pub file: usize,
    /// index into the file's functions
    pub function: usize,
    /// names of what it captures: its first parameters
    pub captured: Vec<Arc<str>>,
    /// what those were where it was written, and the frame that has them
    pub values: Vec<Value>,
    pub home: u64,
    /// parameters besides those
    pub takes: usize,
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Data; `path` is its name where it has one that stays the same (`site.backups.copy_to`).
    Unknown {
        path: Option<Arc<str>>,
        tags: Tags,
    },
    Text(Text),
    Bool(bool),
    Int(i64),
    Unit,
    Array(Arc<Vec<Value>>),
    /// A map with these keys and no others.
    Map(Arc<Vec<(Arc<str>, Value)>>),
    Closure(Arc<Closure>),
    /// One of several, by the way the run took; never nested, never fewer than two.
    OneOf(Arc<Vec<Value>>),
}

/// How many alternatives of a value are followed.
pub const ALTERNATIVES: usize = 8;

impl Value {
    pub fn unknown(tags: Tags) -> Self {
        Self::Unknown { path: None, tags }
    }

    /// The same, known to be true or false.
    pub fn as_truth(self) -> Self {
        match self {
            Self::Unknown { path, tags } => Self::Unknown { path, tags: Tags(tags.0 | Tags::TRUTH.0) },
            known => known,
        }
    }

    pub fn text(text: &str) -> Self {
        Self::Text(Text::constant(text, None))
    }

    /// Each value that it may be.
    pub fn alternatives(&self) -> &[Value] {
        match self {
            Self::OneOf(values) => values,
            one => std::slice::from_ref(one),
        }
    }

    /// The texts that it may be; nothing if it may be something that is not known to be a text.
    pub fn texts(&self) -> Option<Vec<&Text>> {
        self.alternatives()
            .iter()
            .map(|value| match value {
                Self::Text(text) => Some(text),
                _ => None,
            })
            .collect()
    }

    /// The one constant text that it is.
    pub fn as_constant(&self) -> Option<String> {
        match self {
            Self::Text(text) => text.as_constant(),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of a key, if this is a map that is known.
    pub fn key(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| &**name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Where it comes from.
    pub fn tags(&self) -> Tags {
        match self {
            Self::Unknown { tags, .. } => *tags,
            Self::Text(text) => text.tags(),
            Self::Array(values) | Self::OneOf(values) => values.iter().fold(Tags::default(), |tags, v| tags.with(v.tags())),
            Self::Map(entries) => entries.iter().fold(Tags::default(), |tags, (_, v)| tags.with(v.tags())),
            _ => Tags::default(),
        }
    }

    /// What it is one of after two ways meet.
    pub fn or(&self, other: &Value) -> Value {
        if self == other { self.clone() } else { Self::one_of([self, other]) }
    }

    /// One of these, each of which may be one of several itself; nothing of none.
    pub fn one_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Value {
        let mut all: Vec<&Value> = Vec::new();
        for value in values.into_iter().flat_map(Value::alternatives) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        match all.as_slice() {
            [] => Value::Unit,
            [one] => (*one).clone(),
            many if many.len() > ALTERNATIVES => Value::unknown(many.iter().fold(Tags::default(), |tags, value| tags.with(value.tags()))),
            many => Value::OneOf(Arc::new(many.iter().copied().cloned().collect())),
        }
    }

    /// True if two values are surely not the same: different constants, or a constant beside a text that cannot be it.
    pub fn surely_differs(&self, other: &Value) -> bool {
        let shape = |text: &Text| {
            text.pieces
                .iter()
                .map(|p| match p {
                    Piece::Constant { text, .. } => Ok(text.clone()),
                    Piece::Data { path, .. } => Err(path.clone()),
                })
                .collect::<Vec<_>>()
        };
        self.alternatives().iter().all(|a| {
            other.alternatives().iter().all(|b| match (a, b) {
                (Value::Text(a), Value::Text(b)) => match (a.as_constant(), b.as_constant()) {
                    (Some(a), Some(b)) => a != b,
                    _ => longer(&shape(a), &shape(b)) || longer(&shape(b), &shape(a)) || apart(&shape(a), &shape(b)),
                },
                // `site.a` and `${site.a}/b`
                (Value::Unknown { path: Some(path), .. }, Value::Text(text))
                | (Value::Text(text), Value::Unknown { path: Some(path), .. }) => longer(&shape(text), &[Err(Some(path.clone()))]),
                (Value::Int(a), Value::Int(b)) => a != b,
                _ => false,
            })
        })
    }
}

/// True if two texts are the same but for one constant part.
fn apart(one: &[Result<Arc<str>, Option<Arc<str>>>], other: &[Result<Arc<str>, Option<Arc<str>>>]) -> bool {
    let differing: Vec<_> = one.iter().zip(other).filter(|(a, b)| a != b || matches!(a, Err(None))).collect();
    one.len() == other.len() && matches!(differing.as_slice(), [(Ok(_), Ok(_))])
}

/// True if a text begins with another and goes on with something constant.
fn longer(text: &[Result<Arc<str>, Option<Arc<str>>>], beginning: &[Result<Arc<str>, Option<Arc<str>>>]) -> bool {
    let known = |piece: &Result<Arc<str>, Option<Arc<str>>>| !matches!(piece, Err(None));
    text.len() > beginning.len()
        && text[..beginning.len()] == *beginning
        && beginning.iter().all(known)
        && text[beginning.len()..].iter().any(|piece| matches!(piece, Ok(part) if !part.is_empty()))
}
