//! What can happen in a run: each call of a primitive that some way through a runbook meets, with what is known of its
//! arguments and of what has happened before. Filled by [`super::order`], read by rules.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rhai::Position;

use super::acts::Act;
use super::value::{Piece, Text, Value};
use crate::facts::nearest;
use crate::primitives::{Class, Primitive, Type};
use crate::script::{Kind, Script};
use crate::site::Site;
use crate::tsql::classify::{self, Classified, PointOfNoReturn};
use crate::tsql::lex::{self, Token};
use crate::tsql::parameters::{self, Names};
use crate::tsql::statement::{self, SyntaxError};
use crate::tsql::syntax::Batch;

/// One call of a primitive as it is written, with what is known of its arguments on the ways that lead there.
pub struct Call {
    pub primitive: &'static Primitive,
    /// index into the script's files
    pub file: usize,
    /// of the call's name
    pub position: Position,
    /// as given, in order
    pub given: Vec<Value>,
    /// where each of them starts
    pub at: Vec<Position>,
    /// the T-SQL text of `sql` and `query`, one for each text it may be; empty when nothing is known of it
    pub sql: Vec<Sql>,
    /// what the call does to the recovery
    pub acts: Vec<Act>,
    class: OnceLock<Class>,
    clean: AtomicBool,
}

/// A T-SQL text as far as it is known.
#[derive(Debug)]
pub struct Sql {
    pub text: Text,
    reading: Arc<Reading>,
}

/// What is read in a text; the same for all texts that say the same.
#[derive(Debug)]
pub struct Reading {
    /// the text with [`Text::HOLE`] where data goes in
    pub rendered: String,
    /// those that mean something
    pub tokens: Vec<Token>,
    pub batch: Result<Batch, SyntaxError>,
    classified: OnceLock<Classified>,
    names: OnceLock<Names>,
    pub no_return: Vec<PointOfNoReturn>,
}

impl Reading {
    pub fn of(rendered: String) -> Self {
        let tokens = lex::significant(&rendered);
        let batch = statement::parse_tokens(&rendered, &tokens);
        let (classified, names) = (OnceLock::new(), OnceLock::new());
        Self { classified, names, no_return: classify::points_of_batch(&batch), batch, tokens, rendered }
    }

    /// Read or change; worked out when first asked for, since a SELECT is read a second time for it.
    pub fn classified(&self) -> &Classified {
        self.classified.get_or_init(|| classify::classify_parsed(&self.rendered, &self.batch))
    }

    /// What the host has a say in; read when first asked for.
    pub fn names(&self) -> &Names {
        self.names.get_or_init(|| parameters::names_of(&self.rendered, &self.tokens))
    }
}

impl Sql {
    pub fn of(text: &Text) -> Self {
        Self::read(text, Arc::new(Reading::of(text.rendered())))
    }

    /// A text that was read already.
    pub fn read(text: &Text, reading: Arc<Reading>) -> Self {
        Self { text: text.clone(), reading }
    }
}

impl Deref for Sql {
    type Target = Reading;

    fn deref(&self) -> &Reading {
        &self.reading
    }
}

impl Call {
    pub fn new(primitive: &'static Primitive, file: usize, position: Position, given: Vec<Value>, at: Vec<Position>) -> Self {
        let (class, clean) = (OnceLock::new(), AtomicBool::new(false));
        Self { primitive, file, position, given, at, sql: Vec::new(), acts: Vec::new(), class, clean }
    }

    /// True if no rule about calls found anything in it.
    pub(super) fn is_clean(&self) -> bool {
        self.clean.load(Ordering::Relaxed)
    }

    pub(super) fn set_clean(&self) {
        self.clean.store(true, Ordering::Relaxed);
    }

    pub fn name(&self) -> &'static str {
        self.primitive.name
    }

    /// The value of a parameter by its name; nothing when it was left out.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        let index = self.index_of(name)?;
        self.given.get(index)
    }

    /// Which given argument stands for a parameter: an optional map before the options may be left out.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let parameter = self.primitive.parameters.iter().position(|p| p.name == name)?;
        match self.options_at() {
            _ if self.primitive.parameters[parameter].ty == Type::Options => self.options_at(),
            Some(options) if parameter >= options => None,
            _ => (parameter < self.given.len()).then_some(parameter),
        }
    }

    /// Which given argument holds the options.
    pub fn options_at(&self) -> Option<usize> {
        let parameters = self.primitive.parameters;
        let index = parameters.iter().position(|p| p.ty == Type::Options)?;
        let last = self.given.len().checked_sub(1)?;
        if last >= index {
            return Some(index);
        }
        // a last map that can only be options is taken for them
        let skipped = last + 1 == index && parameters[last].ty == Type::Map && !parameters[last].required;
        let Value::Map(entries) = &self.given[last] else { return None };
        let known = |key: &str| self.primitive.options.iter().any(|o| o.name == key);
        let only_options = !entries.is_empty()
            && (entries.iter().all(|(key, _)| known(key)) || entries.iter().any(|(_, v)| matches!(v, Value::Closure(_))));
        (skipped && only_options).then_some(last)
    }

    /// The value of an option, also of one that is misspelt; nothing when it was left out. See [`Call::options_known`].
    pub fn option(&self, key: &str) -> Option<&Value> {
        let options = self.given.get(self.options_at()?)?;
        let names = || self.primitive.options.iter().map(|option| option.name);
        let meant = |name: &str| names().all(|known| known != name) && nearest(name, names()) == Some(key);
        options.key(key).or_else(|| match options {
            Value::Map(entries) => entries.iter().find(|(name, _)| meant(name)).map(|(_, value)| value),
            _ => None,
        })
    }

    /// True unless the options come from somewhere that is not seen: then any of them may be given.
    pub fn options_known(&self) -> bool {
        self.options_at().is_none_or(|at| matches!(self.given[at], Value::Map(_)))
    }

    /// What the call does, as far as that is known: `FromText` and `FromCmdlet` are told from the arguments. What is not
    /// known counts as a change, as it does in a run.
    pub fn class(&self) -> Class {
        *self.class.get_or_init(|| self.work_out_class())
    }

    fn work_out_class(&self) -> Class {
        match self.primitive.class {
            Class::FromText => {
                let reads = !self.sql.is_empty() && self.sql.iter().all(|sql| sql.classified().class == classify::Class::Reads);
                if reads { Class::Reads } else { Class::Changes }
            }
            Class::FromCmdlet => {
                use crate::facts::cmdlets;
                let names = self.argument("cmdlet").and_then(Value::texts).unwrap_or_default();
                // a typographic dash is told by a rule of its own
                let plain = |name: String| super::rules::plain(&name).unwrap_or(name);
                let reads = |name: String| match cmdlets::find(&name).or_else(|| cmdlets::find(cmdlets::suggest(&name)?)) {
                    Some(cmdlet) => cmdlet.class == cmdlets::Class::Reads,
                    // what the catalogue does not know goes by its verb, as people read it
                    None => ["Get", "Show", "Test", "Find", "Measure", "Search", "Resolve"]
                        .iter()
                        .any(|verb| name.split('-').next().is_some_and(|own| own.eq_ignore_ascii_case(verb))),
                };
                if !names.is_empty() && names.iter().all(|name| name.as_constant().map(plain).is_some_and(reads)) {
                    Class::Reads
                } else {
                    Class::Changes
                }
            }
            class => class,
        }
    }

    pub fn changes(&self) -> bool {
        self.class() == Class::Changes
    }

    /// The one constant cmdlet that `ps` calls.
    pub fn cmdlet(&self) -> Option<String> {
        if self.name() == "ps" { self.argument("cmdlet")?.as_constant() } else { None }
    }

    /// A parameter of the cmdlet, in any case; nothing when it is surely not given.
    pub fn cmdlet_parameter(&self, name: &str) -> Option<&Value> {
        match self.argument("parameters")? {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value),
            other => Some(other),
        }
    }
}

/// What has happened before, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts(pub u32);

impl Facts {
    /// a confirm since the start, or since the last point of no return
    pub const CONFIRMED: Facts = Facts(1);
    /// an `irreversible` confirm since then
    pub const WORD: Facts = Facts(1 << 1);
    /// `copy_backups`
    pub const COPIED: Facts = Facts(1 << 2);
    /// `restore_logs`, or RESTORE LOG
    pub const RESTORED: Facts = Facts(1 << 3);
    /// a database was recovered
    pub const RECOVERED: Facts = Facts(1 << 4);
    /// msdb.dbo.log_shipping_secondary was read
    pub const READ_SECONDARY: Facts = Facts(1 << 5);
    /// msdb.dbo.log_shipping_secondary_databases was read
    pub const READ_DATABASES: Facts = Facts(1 << 6);
    /// a database was brought online, or seen to be
    pub const ONLINE: Facts = Facts(1 << 7);
    /// the pool was switched
    pub const SWITCHED: Facts = Facts(1 << 8);

    pub fn has(self, other: Facts) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a call stands with respect to the effects around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inside {
    Plain,
    DoneWhen,
    WaitUntil,
}

/// A call of a primitive on some way through a run.
#[derive(Clone)]
pub struct Event {
    pub call: Arc<Call>,
    /// what has happened on every way that leads here, and on some way
    pub must: Facts,
    pub may: Facts,
    /// 0: outside of every step; else the same number for calls in the same step
    pub step: u32,
    pub inside: Inside,
    /// it may happen again and again
    pub in_loop: bool,
    /// calls that lead here, outermost first: file and position
    pub through: Arc<Vec<(usize, Position)>>,
}

/// All that can happen, in the order of the text as it runs.
pub struct Run<'a> {
    pub script: &'a Script,
    pub events: Vec<Event>,
    pub(super) calls: OnceCell<Vec<Arc<Call>>>,
    pub site: Option<&'a Site>,
    /// A runbook from its beginning; else functions looked at one by one, because nothing that is checked calls them:
    /// rules about order say nothing then.
    pub whole: bool,
    /// Functions that are called on some way: file and index.
    pub called: BTreeSet<(usize, usize)>,
    /// Closures and functions were followed to their end; else rules that need all of the run say nothing.
    pub complete: bool,
}

impl Run<'_> {
    /// The same run, with these of its events alone.
    pub fn with(&self, events: Vec<Event>) -> Self {
        Self { events, calls: OnceCell::new(), called: BTreeSet::new(), ..*self }
    }

    /// Every call of these events once, however many ways lead to it; found when first asked for.
    pub fn calls(&self) -> &[Arc<Call>] {
        self.calls.get_or_init(|| {
            let mut seen = HashSet::new();
            self.events.iter().filter(|event| seen.insert(Arc::as_ptr(&event.call))).map(|event| event.call.clone()).collect()
        })
    }

    /// True for a call in one of the program's own modules, whose texts are checked where they are made.
    pub fn is_built_in(&self, call: &Call) -> bool {
        self.script.files[call.file].kind == Kind::Embedded
    }

    /// The bytes of a call's name.
    pub fn name_span(&self, call: &Call) -> Range<usize> {
        self.script.files[call.file].span_at(call.position)
    }

    /// The bytes of a given argument.
    pub fn argument_span(&self, call: &Call, index: usize) -> Range<usize> {
        let written = self.script.arguments(call.position);
        written.get(index).map_or_else(|| self.name_span(call), |argument| argument.span.clone())
    }

    /// The bytes of an option's key, or of a key of any map that is written out as an argument.
    pub fn key_span(&self, call: &Call, index: usize, key: &str) -> Range<usize> {
        let written = self.script.arguments(call.position);
        let found = written.get(index).and_then(|argument| argument.keys.iter().find(|k| k.key == key)).map(|k| k.span.clone());
        found.unwrap_or_else(|| self.argument_span(call, index))
    }

    /// The bytes of what such a key holds.
    pub fn value_span(&self, call: &Call, index: usize, key: &str) -> Range<usize> {
        let written = self.script.arguments(call.position);
        let found = written.get(index).and_then(|argument| argument.keys.iter().find(|k| k.key == key)).map(|k| k.value.span.clone());
        found.unwrap_or_else(|| self.argument_span(call, index))
    }

    /// The file and bytes of a range of a text's rendering, as near as its pieces tell; the whole argument otherwise.
    pub fn text_span(&self, call: &Call, argument: usize, text: &Text, range: &Range<usize>) -> (usize, Range<usize>) {
        let mut spans = text.pieces_at(range).into_iter().filter_map(|(piece, own)| {
            let (Piece::Constant { origin, .. } | Piece::Data { origin, .. }) = piece;
            let origin = origin.as_ref()?;
            let literal = matches!(piece, Piece::Constant { .. }).then_some((origin.file, origin.line, origin.column));
            let (file, span) = match piece {
                Piece::Constant { text, .. } => {
                    self.script.span_in_literal(origin.file as usize, origin.position(), origin.part.into(), text, &own)?
                }
                Piece::Data { .. } => (origin.file as usize, self.script.files[origin.file as usize].span_at(origin.position())),
            };
            Some((literal, file, span))
        });
        let Some((literal, file, first)) = spans.next() else { return (call.file, self.argument_span(call, argument)) };
        // pieces of one literal read as one range; those from elsewhere stay away
        let same = |own: Option<(u32, u32, u32)>| literal.is_none() || own.is_none() || own == literal;
        let goes_on =
            |own: Option<(u32, u32, u32)>, other: usize, span: &Range<usize>| other == file && same(own) && span.start >= first.start;
        let end = spans.rfind(|(own, other, span)| goes_on(*own, *other, span)).map(|(_, _, span)| span.end);
        (file, first.start..end.unwrap_or(first.end).max(first.end))
    }
}
