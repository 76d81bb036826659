//! The order of effects: an abstract run of a runbook over every way it can take. Nothing is performed; values are followed as
//! far as they are constant, and for each call of a primitive it is worked out what must, and what can, have happened
//! before. Branches, loops, early returns, `try`, functions of all files, and the closures given to `step`, `wait_until` and
//! `done_when` are followed; a function is followed once for the same arguments, also over several runbooks.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use foldhash::quality::FixedState;
use rhai::{ASTFlags, Expr, FnCallExpr, ImmutableString, Position, Stmt, Token};

use super::acts::{self, Act, ActKind};
use super::event::{Call, Event, Facts, Inside, Reading, Run, Sql};
use super::narrow;
use super::value::{ALTERNATIVES, Closure, Origin, Piece, Tags, Text, Value};
use super::ways::{Change, Way, Ways, excuse, excused, meet, surely, together, told, unsure};
use crate::primitives::{self, Class};
use crate::script::Script;
use crate::script::engine::SITE;
use crate::script::walk::Function;
use crate::site::Site;

/// Nested calls that are followed; a runbook that goes deeper is stopped when it runs.
const DEPTH: usize = 48;
/// Expressions that are looked at for one runbook.
const MOST: usize = 400_000;
/// How often a statement is looked at, at most, because of loops over lists that are written out.
const TURNS: usize = 64;
/// Columns of sys.databases that say nothing of whether a database is online.
const NO_STATE: &[&str] = &[
    "name",
    "database_id",
    "create_date",
    "compatibility_level",
    "owner_sid",
    "recovery_model",
    "recovery_model_desc",
    "log_reuse_wait_desc",
    "mirroring_guid",
    "mirroring_role_desc",
    "mirroring_state_desc",
    "is_in_standby",
    "is_read_only",
    "user_access",
    "user_access_desc",
];

/// Methods that may change what they are called on: its value is not known any more.
const CHANGES: &[&str] = &[
    "push",
    "append",
    "insert",
    "remove",
    "clear",
    "pop",
    "shift",
    "truncate",
    "set",
    "replace",
    "trim",
    "chop",
    "pad",
    "reverse",
    "retain",
    "drain",
    "splice",
    "mixin",
    "fill_with",
    "crop",
    "dedup",
    "make_upper",
    "make_lower",
];

/// A function followed for some arguments; everything is told from its beginning on.
#[derive(Clone)]
struct Summary {
    events: Vec<(Event, Change)>,
    end: Option<Change>,
    /// what holds wherever it may raise an error
    raised: Option<Change>,
    value: Value,
    called: BTreeSet<(usize, usize)>,
    complete: bool,
}

/// A function, by its file and index, and what it is called with.
type Asked = (usize, usize, Vec<Value>);

/// Functions that were followed, for scripts that have the same modules in the same order.
#[derive(Default)]
pub struct Memo {
    summaries: RefCell<HashMap<Asked, Rc<Summary>, FixedState>>,
    /// T-SQL texts that were read
    readings: RefCell<HashMap<String, Arc<Reading>, FixedState>>,
}

impl Memo {
    fn read(&self, text: &Text) -> Sql {
        let rendered = text.rendered();
        let known = self.readings.borrow().get(&rendered).cloned();
        let reading = known.unwrap_or_else(|| {
            let reading = Arc::new(Reading::of(rendered.clone()));
            self.readings.borrow_mut().insert(rendered, reading.clone());
            reading
        });
        Sql::read(text, reading)
    }
}

#[derive(Clone)]
struct Variable {
    name: Arc<str>,
    value: Value,
    /// another number for another value
    version: u64,
}

/// The variables of a frame at some point; a point that has the same shares them.
type Variables = Rc<Vec<Variable>>;

struct Frame {
    id: u64,
    variables: Variables,
    returned: Ways,
    value: Option<Value>,
    loops: Vec<Loop>,
}

/// Ways that lead to one place, and the variables there.
type Side = (Ways, Variables);

#[derive(Default)]
struct Loop {
    left: Vec<Side>,
    again: Vec<Side>,
    value: Option<Value>,
}

struct Walk<'a> {
    script: &'a Script,
    memo: &'a Memo,
    file: usize,
    frames: Vec<Frame>,
    ways: Ways,
    /// what holds at each point of the `try` blocks around, and of the function
    raised: Vec<Option<Change>>,
    events: Vec<(Event, Change)>,
    called: BTreeSet<(usize, usize)>,
    step: u32,
    steps: u32,
    /// loops around
    loops: u32,
    /// how often a statement here is looked at, because of loops over lists that are written out
    turns: usize,
    inside: Inside,
    following: Vec<(usize, usize)>,
    looked: usize,
    complete: bool,
    versions: u64,
    frames_made: u64,
}

/// Follows a runbook from its beginning.
pub fn run<'a>(script: &'a Script, memo: &'a Memo, site: Option<&'a Site>) -> Run<'a> {
    let mut walk = Walk::new(script, memo);
    walk.frames.push(Frame::new(0));
    walk.block(script.files[0].ast.statements(), false);
    walk.into_run(site, true)
}

/// Follows functions by themselves, with arguments of which nothing is known.
pub fn functions<'a>(script: &'a Script, memo: &'a Memo, site: Option<&'a Site>, which: &[(usize, usize)]) -> Run<'a> {
    let mut walk = Walk::new(script, memo);
    for (file, index) in which {
        let takes = script.files[*file].functions[*index].parameters.len();
        walk.frames.push(Frame::new(0));
        walk.ways = vec![Way::new(Change::SAME)];
        walk.call(*file, *index, vec![Value::unknown(Tags::PARAMETER); takes], Position::NONE);
        walk.frames.pop();
    }
    walk.into_run(site, false)
}

impl Frame {
    fn new(id: u64) -> Self {
        Self { id, variables: Rc::default(), returned: Ways::new(), value: None, loops: Vec::new() }
    }
}

/// Takes away what stands behind the first `depth` variables.
fn shorten(variables: &mut Variables, depth: usize) {
    if variables.len() > depth {
        Rc::make_mut(variables).truncate(depth);
    }
}

fn name_of(text: &str) -> Arc<str> {
    text.into()
}

impl<'a> Walk<'a> {
    fn new(script: &'a Script, memo: &'a Memo) -> Self {
        Self {
            script,
            memo,
            file: 0,
            frames: Vec::new(),
            ways: vec![Way::new(Change::SAME)],
            raised: vec![None],
            events: Vec::new(),
            called: BTreeSet::new(),
            step: 0,
            steps: 0,
            loops: 0,
            turns: 1,
            inside: Inside::Plain,
            following: Vec::new(),
            looked: 0,
            complete: true,
            versions: 0,
            frames_made: 0,
        }
    }

    fn into_run(self, site: Option<&'a Site>, whole: bool) -> Run<'a> {
        let told = |(mut event, change): (Event, Change)| {
            event.must = Facts(change.must.gen_);
            event.may = Facts(change.may.gen_);
            event
        };
        let (events, calls) = (self.events.into_iter().map(told).collect(), OnceCell::new());
        Run { script: self.script, events, calls, site, whole, called: self.called, complete: self.complete }
    }

    // ---- where the run is ----

    fn reached(&self) -> bool {
        !self.ways.is_empty()
    }

    /// An error may be raised here.
    fn point(&mut self) {
        if let Some(now) = together(&self.ways)
            && let Some(raised) = self.raised.last_mut()
        {
            *raised = Some(raised.map_or(now, |before| before.or(now)));
        }
    }

    fn each(&mut self, change: impl Fn(&mut Change)) {
        self.ways.iter_mut().for_each(|way| change(&mut way.change));
    }

    fn version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    // ---- variables ----

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("code is in a frame")
    }

    fn bind(&mut self, name: &str, value: Value) {
        let version = self.version();
        Rc::make_mut(&mut self.frame().variables).push(Variable { name: name_of(name), value, version });
    }

    fn variable(&self, name: &str) -> Option<&Variable> {
        self.frames.last()?.variables.iter().rev().find(|v| &*v.name == name)
    }

    fn set(&mut self, name: &str, value: Value) {
        let version = self.version();
        if let Some(variable) = Rc::make_mut(&mut self.frame().variables).iter_mut().rev().find(|v| &*v.name == name) {
            variable.value = value;
            variable.version = version;
        }
    }

    fn snapshot(&mut self) -> Variables {
        self.frame().variables.clone()
    }

    /// Leaves a scope: what was declared in it is gone.
    fn leave(&mut self, depth: usize) {
        shorten(&mut self.frame().variables, depth);
    }

    /// The run goes on where several sides end: those that are reached, with what each knows of the variables.
    fn join(&mut self, sides: Vec<Side>) {
        let mut sides: Vec<Side> = sides.into_iter().filter(|(ways, _)| !ways.is_empty()).collect();
        self.ways = Ways::new();
        let Some((_, first)) = sides.first() else { return };
        let mut all = first.clone();
        for index in 0..all.len() {
            let version = all[index].version;
            if sides.iter().all(|(_, variables)| variables.get(index).is_none_or(|other| other.version == version)) {
                continue;
            }
            self.versions += 1;
            let own = &mut Rc::make_mut(&mut all)[index];
            for (ways, variables) in &mut sides {
                let Some(variable) = variables.get(index) else { continue };
                own.value = own.value.or(&variable.value);
                for way in ways {
                    let known = constant(&variable.value).or_else(|| way.value_of(variable.version).cloned());
                    known.into_iter().for_each(|value| way.knows(self.versions, value));
                }
            }
            own.version = self.versions;
        }
        for (ways, _) in sides {
            meet(&mut self.ways, ways);
        }
        self.frame().variables = all;
    }

    /// The side that the run is on; it is taken from there.
    fn side(&mut self) -> Side {
        (std::mem::take(&mut self.ways), self.snapshot())
    }

    /// Goes on from a side.
    fn enter(&mut self, (ways, variables): Side) {
        self.ways = ways;
        self.frame().variables = variables;
    }

    fn is_told(&mut self, facts: u32) {
        self.ways.iter_mut().for_each(|way| way.is_told(facts));
    }

    // ---- statements ----

    /// Runs statements in a scope of their own; the value is the last one's.
    fn block(&mut self, statements: &[Stmt], scoped: bool) -> Value {
        let depth = self.frame().variables.len();
        let mut value = Value::Unit;
        for stmt in statements {
            if !self.reached() || self.looked > MOST {
                break;
            }
            value = self.statement(stmt);
        }
        if scoped {
            self.leave(depth);
        }
        value
    }

    fn statement(&mut self, stmt: &Stmt) -> Value {
        self.looked += 1;
        if self.looked > MOST {
            self.complete = false;
            return Value::unknown(Tags::default());
        }
        match stmt {
            Stmt::Expr(expr) => self.expression(expr),
            Stmt::FnCall(call, position) => self.function_call(call, *position),
            Stmt::Block(block) => self.block(block.statements(), true),
            Stmt::Var(parts, ..) => {
                let value = match &parts.1 {
                    // its statement was left out
                    Expr::Unit(_) if !self.script.files[self.file].whole => Value::unknown(Tags::default()),
                    value => self.expression(value),
                };
                self.bind(&parts.0.name, value);
                if matches!(&parts.1, Expr::FnCall(call, _) if call.name.as_str() == "step") {
                    let version = self.versions;
                    for way in &mut self.ways {
                        way.returned.take().into_iter().for_each(|value| way.knows(version, value));
                    }
                }
                Value::Unit
            }
            Stmt::Assignment(parts) => {
                self.assignment(&parts.0, &parts.1.lhs, &parts.1.rhs);
                Value::Unit
            }
            Stmt::If(flow, _) => {
                let (body, branch) = (flow.body.statements(), flow.branch.statements());
                self.branches(&flow.expr, &mut |walk| walk.block(body, true), &mut |walk| walk.block(branch, true))
            }
            Stmt::Switch(parts, _) => {
                let over = self.expression(&parts.0);
                let outer = excused(&self.ways);
                self.is_told(unsure(over.tags()));
                let cases = &parts.1;
                let before = self.side();
                let (mut sides, mut result) = (Vec::new(), None::<Value>);
                for case in &cases.expressions {
                    self.enter(before.clone());
                    if !matches!(case.lhs, Expr::BoolConstant(true, _) | Expr::Unit(_)) {
                        self.expression(&case.lhs);
                    }
                    let value = self.expression(&case.rhs);
                    result = Some(result.map_or(value.clone(), |r| r.or(&value)));
                    sides.push(self.side());
                }
                if cases.def_case.is_none() {
                    sides.push(before);
                    result = Some(result.map_or(Value::Unit, |r| r.or(&Value::Unit)));
                }
                excuse(sides.iter_mut().flat_map(|(ways, _)| ways), outer);
                self.join(sides);
                result.unwrap_or(Value::Unit)
            }
            Stmt::While(flow, _) => {
                let forever = matches!(flow.expr, Expr::Unit(_) | Expr::BoolConstant(true, _));
                let body = flow.body.statements();
                let condition = &flow.expr;
                self.looped((!forever).then_some(0), forever, &mut |walk| {
                    let asked = if forever { Value::Unit } else { walk.expression(condition) };
                    walk.is_told(told(&asked, true));
                    walk.block(body, true);
                    told(&asked, false)
                })
            }
            Stmt::Do(flow, ..) => {
                let body = flow.body.statements();
                let condition = &flow.expr;
                let forever = matches!((condition, stmt), (Expr::BoolConstant(true, _), Stmt::Do(_, flags, _)) if !flags.intersects(ASTFlags::NEGATED));
                let until = matches!(stmt, Stmt::Do(_, flags, _) if flags.intersects(ASTFlags::NEGATED));
                self.looped(None, forever, &mut |walk| {
                    walk.block(body, true);
                    if walk.reached() { told(&walk.expression(condition), until) } else { 0 }
                })
            }
            Stmt::For(parts, _) => {
                let over = self.expression(&parts.2.expr);
                let (name, counter) = (parts.0.name.to_string(), parts.1.as_ref().map(|c| c.name.to_string()));
                let body = parts.2.body.statements();
                let turn = |walk: &mut Self, item: &Value| {
                    let depth = walk.frame().variables.len();
                    walk.bind(&name, item.clone());
                    if let Some(counter) = &counter {
                        walk.bind(counter, Value::unknown(Tags::default()));
                    }
                    walk.block(body, true);
                    walk.leave(depth);
                };
                match &over {
                    Value::Array(items) if !items.is_empty() && items.len() * self.turns <= TURNS => self.each_item(items, &turn),
                    Value::Array(items) if items.is_empty() => Value::Unit,
                    over => {
                        let item = match over {
                            Value::Array(items) => items.iter().skip(1).fold(items[0].clone(), |all, item| all.or(item)),
                            other => Value::unknown(other.tags().plain()),
                        };
                        let surely = matches!(over, Value::Array(_)) || is_full_range(&parts.2.expr);
                        let skipped = (!surely).then(|| unsure(over.tags()));
                        self.looped(skipped, false, &mut |walk| {
                            turn(walk, &item);
                            0
                        })
                    }
                }
            }
            Stmt::TryCatch(flow, _) => {
                let before = (self.ways.clone(), self.snapshot());
                self.raised.push(None);
                let mut value = self.block(flow.body.statements(), true);
                // where nothing can raise, what follows is still looked at
                let raised = self.raised.pop().flatten().or(together(&before.0));
                let after = self.side();
                // what the body changed may have been changed or not where it raised
                let raised = raised.map_or_else(Ways::new, |change| vec![Way::new(change)]);
                self.join(vec![(raised.clone(), before.1), (raised, after.1.clone())]);
                if self.reached() {
                    let depth = self.frame().variables.len();
                    if let Expr::Variable(name, ..) = &flow.expr {
                        self.bind(&name.1, Value::unknown(Tags::CAUGHT));
                    }
                    let caught = self.block(flow.branch.statements(), true);
                    self.leave(depth);
                    value = value.or(&caught);
                }
                let caught = self.side();
                self.join(vec![after, caught]);
                value
            }
            Stmt::BreakLoop(value, flags, _) => {
                let value = value.as_ref().map(|v| self.expression(v));
                let side = self.side();
                let is_break = flags.intersects(ASTFlags::BREAK);
                if let Some(around) = self.frame().loops.last_mut() {
                    if is_break {
                        around.left.push(side);
                        if let Some(value) = value {
                            around.value = Some(around.value.take().map_or(value.clone(), |v| v.or(&value)));
                        }
                    } else {
                        around.again.push(side);
                    }
                }
                Value::Unit
            }
            Stmt::Return(value, flags, _) => {
                let value = value.as_ref().map_or(Value::Unit, |v| self.expression(v));
                if flags.intersects(ASTFlags::BREAK) {
                    self.point();
                    self.ways.clear();
                } else if self.reached() {
                    let mut ways = std::mem::take(&mut self.ways);
                    returning(&mut ways, &value);
                    let frame = self.frame();
                    meet(&mut frame.returned, ways);
                    frame.value = Some(frame.value.take().map_or(value.clone(), |v| v.or(&value)));
                }
                Value::Unit
            }
            // shared variables are still found by their names
            _ => Value::Unit,
        }
    }

    /// Two ways, by a condition.
    fn branches(
        &mut self,
        condition: &Expr,
        then: &mut dyn FnMut(&mut Self) -> Value,
        otherwise: &mut dyn FnMut(&mut Self) -> Value,
    ) -> Value {
        let tested = self.expression(condition);
        if !self.reached() {
            return Value::Unit;
        }
        match tested {
            Value::Bool(true) => return then(self),
            Value::Bool(false) => return otherwise(self),
            _ => {}
        }
        let key = self.key(condition);
        let before = self.side();
        let side = |walk: &mut Self, is: bool, body: &mut dyn FnMut(&mut Self) -> Value| {
            walk.enter(before.clone());
            let mut ways = std::mem::take(&mut walk.ways);
            ways.retain(|way| walk.known(way, condition).is_none_or(|known| known == is));
            if let Some((key, positive)) = key {
                let is = is == positive;
                ways.retain(|way| !way.tested.contains(&(key, !is)));
                ways.iter_mut().filter(|way| !way.tested.contains(&(key, is))).for_each(|way| way.tested.push((key, is)));
            }
            walk.ways = ways;
            walk.is_told(told(&tested, is));
            let value = if walk.reached() { body(walk) } else { Value::Unit };
            (value, walk.side())
        };
        let (value, mut yes) = side(self, true, then);
        let (other, mut no) = side(self, false, otherwise);
        let result = match (yes.0.is_empty(), no.0.is_empty()) {
            (true, false) => other,
            (false, true) => value,
            _ => value.or(&other),
        };
        if !yes.0.is_empty() && !no.0.is_empty() {
            let (in_yes, in_no) = (surely(&yes.0), surely(&no.0));
            let acts = !Facts::ONLINE.0;
            yes.0.iter_mut().for_each(|way| way.change.must.gen_ |= in_no & told(&tested, true) & acts);
            no.0.iter_mut().for_each(|way| way.change.must.gen_ |= in_yes & told(&tested, false) & acts);
        }
        // what goes on from here is excused of nothing more than before
        let outer = excused(&before.0);
        yes.0.iter_mut().chain(&mut no.0).for_each(|way| way.excused &= outer);
        self.join(vec![yes, no]);
        result
    }

    /// What a condition is on a way that knows the variable it asks for.
    fn known(&self, way: &Way, condition: &Expr) -> Option<bool> {
        let value = |expr: &Expr| match expr {
            Expr::Variable(parts, ..) if parts.2.is_empty() => way.value_of(self.variable(&parts.1)?.version).cloned(),
            Expr::StringConstant(text, _) => Some(Value::text(text)),
            Expr::BoolConstant(value, _) => Some(Value::Bool(*value)),
            Expr::IntegerConstant(value, _) => Some(Value::Int(*value)),
            Expr::Unit(_) => Some(Value::Unit),
            _ => None,
        };
        let Expr::FnCall(call, _) = condition else { return value(condition)?.as_bool() };
        match (&call.op_token, &*call.args) {
            (Some(Token::Bang), [inner]) => self.known(way, inner).map(|known| !known),
            (Some(Token::EqualsTo), [a, b]) => Some(value(a)? == value(b)?),
            (Some(Token::NotEqualsTo), [a, b]) => Some(value(a)? != value(b)?),
            _ => None,
        }
    }

    /// A loop, counted once. `skipped`: what surely holds if the body does not run at all, where that can be; `forever`: it
    /// ends by `break` only. The body tells what holds where the loop ends after it.
    fn looped(&mut self, skipped: Option<u32>, forever: bool, body: &mut dyn FnMut(&mut Self) -> u32) -> Value {
        let mut before = (self.ways.clone(), self.snapshot());
        let depth = before.1.len();
        self.frame().loops.push(Loop::default());
        self.loops += 1;
        let ended = body(self);
        self.loops -= 1;
        let mut around = self.frame().loops.pop().unwrap_or_default();
        let mut sides = vec![self.side()];
        sides.append(&mut around.again);
        // it may be left in a later turn, too
        if let Some(turn) = sides.iter().filter_map(|(ways, _)| together(ways)).reduce(Change::or) {
            around.left.iter_mut().flat_map(|(ways, _)| ways).for_each(|way| way.change.may.gen_ |= turn.may.gen_);
        }
        if forever {
            sides.clear();
        }
        sides.iter_mut().flat_map(|(ways, _)| ways).for_each(|way| way.is_told(ended));
        sides.append(&mut around.left);
        for (_, variables) in &mut sides {
            shorten(variables, depth);
            for (index, old) in before.1.iter().enumerate() {
                let changed = variables.get(index).filter(|own| own.version != old.version && grows(&old.value, &own.value));
                if let Some(tags) = changed.map(|own| own.value.tags()) {
                    Rc::make_mut(variables)[index].value = Value::unknown(tags);
                }
            }
        }
        let outer = excused(&before.0);
        if let Some(skipped) = skipped {
            before.0.iter_mut().for_each(|way| way.is_told(skipped | ended));
            sides.push(before);
        }
        excuse(sides.iter_mut().flat_map(|(ways, _)| ways), outer);
        self.join(sides);
        around.value.unwrap_or(Value::Unit)
    }

    /// A loop over a list that is written out: the body with each item in turn, so that what is put together is known. It
    /// counts once all the same: what one turn takes away is there again in the next.
    fn each_item(&mut self, items: &[Value], turn: &dyn Fn(&mut Self, &Value)) -> Value {
        let before = self.ways.clone();
        let depth = self.frame().variables.len();
        self.turns *= items.len();
        self.loops += 1;
        let (mut left, mut result, mut done, mut perhaps) = (Vec::new(), None::<Value>, 0, 0);
        for item in items {
            self.ways = before.clone();
            // what earlier turns surely did, they did
            self.ways.iter_mut().for_each(|way| {
                way.change.must.gen_ |= done;
                way.change.may.gen_ |= perhaps;
            });
            self.frame().loops.push(Loop::default());
            turn(self, item);
            let around = self.frame().loops.pop().unwrap_or_default();
            let mut sides = vec![self.side()];
            sides.extend(around.again);
            sides.iter_mut().for_each(|(_, variables)| shorten(variables, depth));
            left.extend(around.left);
            result = result.or(around.value);
            self.join(sides);
            let Some(ends) = together(&self.ways) else { break };
            done |= surely(&self.ways);
            perhaps |= ends.may.gen_;
        }
        self.loops -= 1;
        self.turns /= items.len();
        self.ways.iter_mut().for_each(|way| way.change.must.gen_ |= done);
        let mut sides = vec![self.side()];
        left.iter_mut().for_each(|(_, variables): &mut Side| shorten(variables, depth));
        sides.append(&mut left);
        sides.iter_mut().flat_map(|(ways, _)| ways).for_each(|way| way.change.may.gen_ |= perhaps);
        excuse(sides.iter_mut().flat_map(|(ways, _)| ways), excused(&before));
        self.join(sides);
        result.unwrap_or(Value::Unit)
    }

    /// What a condition asks, so that the same one asked again is known; false: it is the opposite.
    fn key(&self, condition: &Expr) -> Option<(u64, bool)> {
        let mut hasher = FixedState::default().build_hasher();
        let positive = match condition {
            Expr::FnCall(call, _) if matches!(call.op_token, Some(Token::Bang)) => {
                self.hash(call.args.first()?, &mut hasher)?;
                false
            }
            Expr::FnCall(call, _) if matches!(call.op_token, Some(Token::NotEqualsTo)) => {
                "==".hash(&mut hasher);
                for arg in &call.args {
                    self.hash(arg, &mut hasher)?;
                }
                false
            }
            other => {
                self.hash(other, &mut hasher)?;
                true
            }
        };
        Some((hasher.finish(), positive))
    }

    fn hash(&self, expr: &Expr, hasher: &mut impl Hasher) -> Option<()> {
        match expr {
            Expr::BoolConstant(b, _) => b.hash(hasher),
            Expr::IntegerConstant(i, _) => i.hash(hasher),
            Expr::StringConstant(s, _) => s.as_str().hash(hasher),
            Expr::Unit(_) => "()".hash(hasher),
            Expr::Property(parts, _) => parts.2.as_str().hash(hasher),
            Expr::Variable(parts, ..) if parts.2.is_empty() => match self.variable(&parts.1) {
                Some(variable) => variable.version.hash(hasher),
                None if parts.1.as_str() == SITE => SITE.hash(hasher),
                None => return None,
            },
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
                matches!(expr, Expr::Dot(..)).hash(hasher);
                self.hash(&pair.lhs, hasher)?;
                self.hash(&pair.rhs, hasher)?;
            }
            Expr::MethodCall(call, _) => {
                call.name.as_str().hash(hasher);
                for arg in &call.args {
                    self.hash(arg, hasher)?;
                }
            }
            Expr::FnCall(call, _) if call.is_operator_call() => {
                call.name.as_str().hash(hasher);
                for arg in &call.args {
                    self.hash(arg, hasher)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn assignment(&mut self, operation: &rhai::OpAssignment, target: &Expr, value: &Expr) {
        let at = self.origin(value.start_position(), 0);
        let value = self.expression(value);
        match target {
            Expr::Variable(parts, ..) => {
                let name = parts.1.to_string();
                let new = if operation.is_op_assignment() {
                    let old = self.variable(&name).map_or_else(|| Value::unknown(Tags::default()), |v| v.value.clone());
                    if matches!(operation.get_op_assignment_info(), Some((_, _, Token::PlusAssign, ..))) {
                        add(&old, &value, [None, at])
                    } else {
                        Value::unknown(old.tags().with(value.tags()))
                    }
                } else {
                    value
                };
                self.set(&name, new);
            }
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
                if let Expr::Variable(parts, ..) = &pair.lhs {
                    let name = parts.1.to_string();
                    let old = self.variable(&name).map(|v| v.value.clone());
                    let new = match (&old, &pair.rhs) {
                        (Some(Value::Map(entries)), Expr::Property(property, _)) if !operation.is_op_assignment() => {
                            with_key(entries, &property.2, value)
                        }
                        (Some(Value::Map(entries)), Expr::StringConstant(key, _)) if !operation.is_op_assignment() => {
                            with_key(entries, key, value)
                        }
                        (old, _) => Value::unknown(old.as_ref().map_or_else(Tags::default, Value::tags).with(value.tags())),
                    };
                    self.expression(target);
                    self.set(&name, new);
                } else {
                    self.expression(target);
                }
            }
            other => {
                self.expression(other);
            }
        }
    }

    // ---- expressions ----

    fn origin(&self, position: Position, part: usize) -> Option<Origin> {
        Some(Origin::new(self.file, position, part))
    }

    fn expression(&mut self, expr: &Expr) -> Value {
        self.looked += 1;
        if self.looked > MOST {
            self.complete = false;
            return Value::unknown(Tags::default());
        }
        match expr {
            Expr::StringConstant(text, position) => Value::Text(Text::constant(text.as_str(), self.origin(*position, 0))),
            Expr::CharConstant(ch, position) => Value::Text(Text::constant(ch.to_string(), self.origin(*position, 0))),
            Expr::BoolConstant(value, _) => Value::Bool(*value),
            Expr::IntegerConstant(value, _) => Value::Int(*value),
            Expr::Unit(_) => Value::Unit,
            Expr::DynamicConstant(..) => match written_closure(expr) {
                Some((name, captured)) => self.closure(name, captured),
                None => Value::unknown(Tags::default()),
            },
            Expr::InterpolatedString(parts, position) => self.interpolated(parts, *position),
            Expr::Array(items, _) => Value::Array(Arc::new(items.iter().map(|item| self.expression(item)).collect())),
            Expr::Map(parts, _) => {
                let entries = parts.0.iter().map(|(key, value)| (name_of(&key.name), self.expression(value))).collect();
                Value::Map(Arc::new(entries))
            }
            Expr::Variable(parts, ..) => self.mentioned(&parts.1, !parts.2.is_empty(), parts.2.path.first().map(|p| p.name.as_str())),
            Expr::Stmt(block) => match written_closure(expr) {
                Some((name, captured)) => self.closure(name, captured),
                None => self.block(block.statements(), true),
            },
            Expr::FnCall(call, position) => self.function_call(call, *position),
            Expr::Dot(pair, flags, _) => self.chain(&pair.lhs, &pair.rhs, *flags, true),
            Expr::Index(pair, flags, _) => self.chain(&pair.lhs, &pair.rhs, *flags, false),
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                let mut tags = Tags::default();
                let mut first = None;
                let mut alternatives: Option<Value> = None;
                for (n, part) in parts.iter().enumerate() {
                    if n == 0 {
                        let value = self.expression(part);
                        tags = value.tags();
                        first = value.as_bool();
                        alternatives = Some(value);
                        continue;
                    }
                    // what stands further right may not be asked
                    let before = (self.ways.clone(), self.snapshot());
                    let value = self.expression(part);
                    tags = match expr {
                        Expr::And(..) => tags.and(value.tags()),
                        Expr::Or(..) => tags.or(value.tags()),
                        _ => tags.with(value.tags()),
                    };
                    alternatives = alternatives.map(|v| v.or(&value));
                    let after = self.side();
                    self.join(vec![before, after]);
                }
                match expr {
                    Expr::And(..) if first == Some(false) => Value::Bool(false),
                    Expr::Or(..) if first == Some(true) => Value::Bool(true),
                    Expr::Coalesce(..) => alternatives.unwrap_or(Value::Unit),
                    _ => Value::unknown(tags).as_truth(),
                }
            }
            _ => Value::unknown(Tags::default()),
        }
    }

    fn closure(&mut self, name: ImmutableString, captured: Vec<Arc<str>>) -> Value {
        let Some((file, function)) = self.script.function_of(&name) else { return Value::unknown(Tags::default()) };
        let takes = self.script.files[file].functions[function].parameters.len().saturating_sub(captured.len());
        let values = captured.iter().map(|name| self.variable(name).map_or_else(|| self.outside(name), |v| v.value.clone())).collect();
        let home = self.frame().id;
        Value::Closure(Arc::new(Closure { file, function, captured, values, home, takes }))
    }

    /// A name that is no variable here.
    fn outside(&self, name: &str) -> Value {
        if name == SITE { Value::Unknown { path: Some(SITE.into()), tags: Tags::SITE } } else { Value::unknown(Tags::default()) }
    }

    fn mentioned(&mut self, name: &str, qualified: bool, namespace: Option<&str>) -> Value {
        if !qualified {
            return self.variable(name).map_or_else(|| self.outside(name), |v| v.value.clone());
        }
        let file = match namespace {
            Some("global") => Some(self.file),
            Some(alias) => self.script.imports[self.file].iter().find(|i| i.alias == alias).map(|i| i.file),
            None => None,
        };
        file.map_or_else(|| Value::unknown(Tags::default()), |file| self.constant(file, name))
    }

    /// A constant at the top of a file.
    fn constant(&mut self, file: usize, name: &str) -> Value {
        let statements = self.script.files[file].ast.statements();
        let found = statements.iter().find_map(|stmt| match stmt {
            Stmt::Var(parts, flags, _) if flags.intersects(ASTFlags::CONSTANT) && parts.0.name.as_str() == name => Some(&parts.1),
            _ => None,
        });
        let Some(expr) = found else { return Value::unknown(Tags::default()) };
        if self.frames.len() > DEPTH {
            return Value::unknown(Tags::default());
        }
        let here = std::mem::replace(&mut self.file, file);
        self.frames_made += 1;
        self.frames.push(Frame::new(self.frames_made));
        let value = self.expression(expr);
        self.frames.pop();
        self.file = here;
        value
    }

    fn interpolated(&mut self, parts: &[Expr], position: Position) -> Value {
        let mut texts: Vec<Vec<Piece>> = vec![Vec::new()];
        let mut values = 0;
        for part in parts {
            if let Expr::StringConstant(text, _) = part {
                let text: Arc<str> = text.as_str().into();
                let origin = self.origin(position, values);
                texts.iter_mut().for_each(|all| all.push(Piece::Constant { text: text.clone(), origin }));
                continue;
            }
            values += 1;
            let value = self.expression(part);
            let origin = self.origin(part.start_position(), 0);
            let pieces: Vec<_> = value.alternatives().iter().map(|one| pieces_of(one, origin)).collect();
            texts = texts.iter().flat_map(|text| pieces.iter().map(|more| [text, &**more].concat())).take(ALTERNATIVES).collect();
        }
        let texts: Vec<Value> = texts.into_iter().map(|pieces| Value::Text(Text { pieces: pieces.into() })).collect();
        Value::one_of(&texts)
    }

    /// `a.b[c].d(e)`: a value and what is taken from it, link by link.
    fn chain(&mut self, base: &Expr, rest: &Expr, flags: ASTFlags, dot: bool) -> Value {
        let variable = match base {
            Expr::Variable(parts, ..) if parts.2.is_empty() => Some(parts.1.to_string()),
            _ => None,
        };
        let mut value = self.expression(base);
        let (mut rest, mut flags, mut dot, mut first) = (rest, flags, dot, true);
        loop {
            let ends = flags.intersects(ASTFlags::BREAK) && !dot;
            let (link, next) = match rest {
                Expr::Dot(pair, own, _) if !ends => (&pair.lhs, Some((&pair.rhs, *own, true))),
                Expr::Index(pair, own, _) if !ends => (&pair.lhs, Some((&pair.rhs, *own, false))),
                other => (other, None),
            };
            value = match link {
                Expr::Property(parts, _) if dot => property(&value, &parts.2),
                Expr::MethodCall(call, position) if dot => self.method(&value, call, *position, variable.as_deref().filter(|_| first)),
                index => {
                    let at = self.expression(index);
                    indexed(&value, &at)
                }
            };
            first = false;
            match next {
                Some((more, own, is_dot)) => (rest, flags, dot) = (more, own, is_dot),
                None => return value,
            }
        }
    }

    fn method(&mut self, receiver: &Value, call: &FnCallExpr, position: Position, variable: Option<&str>) -> Value {
        let name = call.name.as_str();
        let args: Vec<Value> = call.args.iter().map(|arg| self.expression(arg)).collect();
        // a method that the file defines
        if let Some(index) =
            self.script.files[self.file].functions.iter().position(|f| f.name == name && f.parameters.len() == args.len() + 1)
            && !self.script.names.functions.contains(name)
        {
            let all = std::iter::once(receiver.clone()).chain(args).collect();
            return self.call(self.file, index, all, position);
        }
        let mut tags = args.iter().fold(receiver.tags(), |tags, arg| tags.with(arg.tags())).plain();
        self.point();
        for arg in &args {
            if let Value::Closure(closure) = arg {
                let item = match receiver {
                    Value::Array(items) if !items.is_empty() => items.iter().skip(1).fold(items[0].clone(), |all, item| all.or(item)),
                    other => Value::unknown(other.tags().plain()),
                };
                let closure = closure.clone();
                let items = vec![item; closure.takes];
                let mut result = Value::Unit;
                self.looped(Some(unsure(receiver.tags())), false, &mut |walk| {
                    result = walk.run_closure(&closure, items.clone());
                    0
                });
                let says = result.tags();
                tags = tags.with(if matches!(name, "all" | "some") { says } else { says.plain() });
                if !matches!(name, "filter" | "retain") {
                    tags = tags.with(Tags::MADE);
                }
                if name == "filter" && says.has(Tags::ONLINE_IF_TRUE) {
                    tags = tags.with(Tags::ONLINE_ROWS);
                }
                if matches!(name, "filter" | "retain")
                    && narrow::keeps(&self.script.files[closure.file].functions[closure.function].statements)
                {
                    tags = tags.with(Tags::ONE_DATABASE);
                }
            }
        }
        if let Some(variable) = variable
            && CHANGES.contains(&name)
        {
            self.set(variable, Value::unknown(tags));
        }
        match (name, receiver, args.first()) {
            ("get", value, Some(Value::Text(key))) => key.as_constant().map_or_else(|| Value::unknown(tags), |key| property(value, &key)),
            ("len", Value::Array(items), _) => Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX)),
            ("to_string", Value::Text(text), _) => Value::Text(text.clone()),
            ("column", value, _) => Value::unknown(value.tags()),
            ("is_empty", ..) => compared(&Token::EqualsTo, tags, &Value::Int(0)),
            _ => Value::unknown(tags),
        }
    }

    fn function_call(&mut self, call: &FnCallExpr, position: Position) -> Value {
        let name = call.name.as_str();
        if !call.is_qualified() && !call.is_operator_call() && self.script.names.primitives.contains(name) {
            return self.primitive(name, call, position);
        }
        if let Some(meant) = self.script.astray(position) {
            return self.astray(call, meant, position);
        }
        let args: Vec<Value> = call.args.iter().map(|arg| self.expression(arg)).collect();
        if !self.reached() {
            return Value::Unit;
        }
        if call.is_operator_call() {
            return self.operator(call, &args);
        }
        let target = if call.is_qualified() {
            let alias = call.namespace.path.first().map(|p| p.name.as_str());
            self.script.imports[self.file].iter().find(|i| Some(i.alias.as_str()) == alias).map(|i| i.file)
        } else {
            Some(self.file)
        };
        let found = target.and_then(|file| {
            let index = self.script.files[file].functions.iter().position(|f| f.name == name && f.parameters.len() == args.len())?;
            Some((file, index))
        });
        match found {
            Some((file, index)) => self.call(file, index, args, position),
            None if target.is_none() => self.anything(),
            None => {
                let tags = args.iter().fold(Tags::default(), |tags, arg| tags.with(arg.tags()));
                self.point();
                Value::unknown(tags)
            }
        }
    }

    /// A call of what nothing defines is taken for what it most likely means.
    fn astray(&mut self, call: &FnCallExpr, meant: Option<&str>, position: Position) -> Value {
        let takes = |primitive: &primitives::Primitive| {
            let required = primitive.parameters.iter().filter(|parameter| parameter.required).count();
            (required..=primitive.parameters.len()).contains(&call.args.len())
        };
        if let Some(name) = meant.filter(|name| !call.is_qualified() && primitives::find(name).is_some_and(takes)) {
            return self.primitive(name, call, position);
        }
        let args: Vec<Value> = call.args.iter().map(|arg| self.expression(arg)).collect();
        let Some(meant) = meant.filter(|_| self.reached()) else { return self.anything() };
        let (alias, name) = match (meant.split_once("::"), call.namespace.path.first()) {
            (Some((alias, name)), _) => (Some(alias), name),
            (None, alias) => (alias.map(|alias| alias.name.as_str()), meant),
        };
        let file = match alias {
            Some(alias) => self.script.imports[self.file].iter().find(|import| import.alias == alias).map(|import| import.file),
            None => Some(self.file),
        };
        let fits = |function: &Function| function.name == name && function.parameters.len() == args.len();
        let found = file.and_then(|file| Some((file, self.script.files[file].functions.iter().position(fits)?)));
        match found {
            Some((file, index)) => self.call(file, index, args, position),
            None if self.script.names.functions.contains(name) => Value::unknown(Tags::default()),
            None => self.anything(),
        }
    }

    /// What nobody knows: whatever is asked for later may have been done there.
    fn anything(&mut self) -> Value {
        self.point();
        self.each(|change| change.must.gen_ = u32::MAX);
        Value::unknown(Tags::default())
    }

    fn operator(&mut self, call: &FnCallExpr, args: &[Value]) -> Value {
        use Token::{Bang, EqualsTo, GreaterThan, GreaterThanEqualsTo, LessThan, LessThanEqualsTo, NotEqualsTo};
        let value = self.operation(call, args);
        match call.op_token {
            Some(Bang | EqualsTo | NotEqualsTo | LessThan | LessThanEqualsTo | GreaterThan | GreaterThanEqualsTo) => value.as_truth(),
            _ => value,
        }
    }

    fn operation(&mut self, call: &FnCallExpr, args: &[Value]) -> Value {
        let tags = args.iter().fold(Tags::default(), |tags, arg| tags.with(arg.tags()));
        match (&call.op_token, args) {
            (Some(Token::Plus), [a, b]) => {
                let at = [&call.args[0], &call.args[1]].map(|arg| self.origin(arg.start_position(), 0));
                add(a, b, at)
            }
            (Some(Token::Bang), [value]) => Value::one_of(&value.alternatives().iter().map(negated).collect::<Vec<_>>()),
            (Some(operator), [a, b]) if mirrored(operator).is_some() => match (constant(a), constant(b)) {
                (None, Some(constant)) => compared(operator, tags, &constant),
                (Some(constant), None) => compared(&mirrored(operator).unwrap_or(Token::EqualsTo), tags, &constant),
                (Some(a), Some(b)) if matches!(operator, Token::EqualsTo) => Value::Bool(a == b),
                (Some(a), Some(b)) if matches!(operator, Token::NotEqualsTo) => Value::Bool(a != b),
                _ => Value::unknown(tags.plain()),
            },
            (Some(Token::UnaryMinus), [Value::Int(value)]) => value.checked_neg().map_or_else(|| Value::unknown(tags), Value::Int),
            _ => Value::unknown(tags.plain()),
        }
    }

    // ---- calls ----

    /// A function of a file, followed once for these arguments.
    fn call(&mut self, file: usize, index: usize, args: Vec<Value>, position: Position) -> Value {
        self.called.insert((file, index));
        let again = self.following.iter().filter(|f| **f == (file, index)).count();
        if again > 1 || self.following.len() > DEPTH {
            // a function that calls itself: what it does was seen the first time
            return Value::unknown(args.iter().fold(Tags::default(), |tags, arg| tags.with(arg.tags())));
        }
        let args: Vec<Value> = args.into_iter().map(short).collect();
        let has_closure = args.iter().any(|arg| matches!(arg, Value::Closure(_)));
        let key = (file, index, args);
        let known = self.memo.summaries.borrow().get(&key).cloned().filter(|_| again == 0);
        let summary = match known {
            Some(summary) => summary,
            None => {
                let summary = Rc::new(self.follow(file, index, &key.2));
                // the runbook's own functions are another's in the next script
                if again == 0 && file > 0 && !has_closure && summary.complete {
                    self.memo.summaries.borrow_mut().insert(key, summary.clone());
                }
                summary
            }
        };
        self.apply(&summary, position)
    }

    /// What a function does, told from its beginning.
    fn follow(&mut self, file: usize, index: usize, args: &[Value]) -> Summary {
        let function = &self.script.files[file].functions[index];
        self.frames_made += 1;
        let mut inner = Walk::new(self.script, self.memo);
        inner.file = file;
        inner.following = self.following.clone();
        inner.following.push((file, index));
        inner.looked = self.looked;
        inner.turns = self.turns;
        inner.versions = self.versions;
        inner.frames_made = self.frames_made;
        let mut frame = Frame::new(self.frames_made);
        frame.variables = function
            .parameters
            .iter()
            .zip(args)
            .enumerate()
            .map(|(n, (name, value))| Variable { name: name_of(name), value: value.clone(), version: self.versions + 1 + n as u64 })
            .collect::<Vec<_>>()
            .into();
        inner.versions += args.len() as u64 + 1;
        inner.frames.push(frame);
        let value = inner.block(&function.statements, false);
        self.looked = inner.looked;
        self.versions = inner.versions;
        self.frames_made = inner.frames_made;
        let frame = inner.frames.pop().unwrap_or_else(|| Frame::new(0));
        let value = match frame.value {
            Some(returned) if inner.ways.is_empty() => returned,
            Some(returned) => returned.or(&value),
            None => value,
        };
        let mut ways = inner.ways;
        ways.extend(frame.returned);
        excuse(ways.iter_mut(), 0);
        Summary {
            events: inner.events,
            end: together(&ways),
            raised: inner.raised.pop().flatten(),
            value,
            called: inner.called,
            complete: inner.complete,
        }
    }

    /// Goes on after a function that was followed before.
    fn apply(&mut self, summary: &Summary, position: Position) -> Value {
        let Some(now) = together(&self.ways) else { return Value::Unit };
        self.complete &= summary.complete;
        self.called.extend(summary.called.iter().copied());
        let steps = self.steps;
        let here = (self.file, position);
        for (event, change) in &summary.events {
            let mut event = event.clone();
            if event.step == 0 {
                event.step = self.step;
            } else {
                self.steps = self.steps.max(steps + event.step);
                event.step += steps;
            }
            if self.inside != Inside::Plain {
                event.inside = self.inside;
            }
            event.in_loop |= self.loops > 0;
            let mut through = Vec::with_capacity(event.through.len() + 1);
            if position != Position::NONE {
                through.push(here);
            }
            through.extend(event.through.iter().copied());
            event.through = Arc::new(through);
            self.events.push((event, now.then(*change)));
        }
        if let Some(raised) = summary.raised
            && let Some(outer) = self.raised.last_mut()
        {
            let all = now.then(raised);
            *outer = Some(outer.map_or(all, |before| before.or(all)));
        }
        match summary.end {
            Some(end) => self.each(|change| *change = change.then(end)),
            None => self.ways.clear(),
        }
        summary.value.clone()
    }

    /// The body of a closure, where it is run.
    fn run_closure(&mut self, closure: &Closure, given: Vec<Value>) -> Value {
        if self.frames.len() > DEPTH || self.following.iter().filter(|f| **f == (closure.file, closure.function)).count() > 1 {
            return Value::unknown(Tags::default());
        }
        let function = &self.script.files[closure.file].functions[closure.function];
        self.following.push((closure.file, closure.function));
        let at_home = self.frame().id == closure.home;
        let mut variables = Vec::new();
        for (name, value) in closure.captured.iter().zip(&closure.values) {
            let own = self.variable(name).filter(|_| at_home).cloned();
            variables.push(own.unwrap_or_else(|| Variable { name: name.clone(), value: value.clone(), version: 0 }));
        }
        for (name, value) in function.parameters.iter().skip(closure.captured.len()).zip(given) {
            let version = self.version();
            variables.push(Variable { name: name_of(name), value, version });
        }
        self.frames_made += 1;
        let id = self.frames_made;
        self.frames.push(Frame { variables: variables.into(), ..Frame::new(id) });
        let here = std::mem::replace(&mut self.file, closure.file);
        let outer = excused(&self.ways);
        let value = self.block(&function.statements, false);
        self.file = here;
        returning(&mut self.ways, &value);
        let frame = self.frames.pop().unwrap_or_else(|| Frame::new(0));
        let value = match frame.value {
            Some(returned) if self.ways.is_empty() => returned,
            Some(returned) => returned.or(&value),
            None => value,
        };
        let mut ways = std::mem::take(&mut self.ways);
        ways.extend(frame.returned);
        excuse(ways.iter_mut(), outer);
        meet(&mut self.ways, ways);
        if at_home {
            for variable in frame.variables.iter().take(closure.captured.len()) {
                let own = self.frame().variables.iter().rposition(|v| v.name == variable.name);
                if let Some(index) = own.filter(|index| self.frame().variables[*index].version != variable.version) {
                    Rc::make_mut(&mut self.frame().variables)[index] = variable.clone();
                }
            }
        }
        self.following.pop();
        value
    }

    fn primitive(&mut self, name: &str, written: &FnCallExpr, position: Position) -> Value {
        let Some(primitive) = primitives::find(name) else { return Value::unknown(Tags::default()) };
        let given: Vec<Value> = written.args.iter().map(|arg| self.expression(arg)).collect();
        let Some(now) = together(&self.ways) else { return Value::Unit };
        let at = written.args.iter().map(Expr::start_position).collect();
        let mut call = Call::new(primitive, self.file, position, given, at);
        if matches!(primitive.name, "sql" | "query")
            && let Some(texts) = call.argument("text").and_then(Value::texts)
        {
            call.sql = texts.into_iter().map(|text| self.memo.read(text)).collect();
        }
        call.acts = acts::acts(&call);
        let call = Arc::new(call);
        // who answers "no" stops the run, which no `catch` can catch
        let raises = !matches!(call.class(), Class::Asks | Class::Tells) || primitive.name == "fail";
        if raises {
            self.point();
        }
        if primitive.name == "step" {
            self.steps += 1;
            let outer = std::mem::replace(&mut self.step, self.steps);
            self.happens(&call, now);
            let value = self.body(&call, 1);
            self.step = outer;
            return value;
        }
        self.happens(&call, now);
        if primitive.name == "fail" {
            self.ways.clear();
            return Value::Unit;
        }
        self.acts(&call.acts);
        if acts::may_bring_online(&call) {
            self.is_told(Facts::ONLINE.0);
        }
        if raises {
            self.point();
        }
        for (test, inside) in [(call.option("done_when"), Inside::DoneWhen), (call.argument("condition"), Inside::WaitUntil)] {
            if let Some(Value::Closure(test)) = test {
                let answer = self.asked(&test.clone(), inside);
                // the run goes on when it was true
                self.is_told(told(&answer, true) & Facts::ONLINE.0);
            }
        }
        result_of(&call)
    }

    fn happens(&mut self, call: &Arc<Call>, before: Change) {
        let event = Event {
            call: call.clone(),
            must: Facts::default(),
            may: Facts::default(),
            step: self.step,
            inside: self.inside,
            in_loop: self.loops > 0,
            through: Arc::default(),
        };
        self.events.push((event, before));
    }

    fn acts(&mut self, acts: &[Act]) {
        for act in acts {
            let surely = act.always;
            let ends_word = matches!(act.kind, ActKind::Recover | ActKind::Drop | ActKind::Replace | ActKind::MirrorDrop);
            if ends_word && surely && self.inside == Inside::Plain {
                self.each(|change| {
                    change.loses(Facts::CONFIRMED);
                    change.loses(Facts::WORD);
                });
            }
            let facts = match act.kind {
                ActKind::Confirm { irreversible: true } => Facts(Facts::CONFIRMED.0 | Facts::WORD.0),
                ActKind::Confirm { irreversible: false } => Facts::CONFIRMED,
                ActKind::Copy => Facts::COPIED,
                ActKind::RestoreLogs => Facts::RESTORED,
                ActKind::Recover => Facts(Facts::RECOVERED.0 | Facts::ONLINE.0),
                ActKind::ReadSecondary => Facts::READ_SECONDARY,
                ActKind::ReadDatabases => Facts::READ_DATABASES,
                ActKind::SwitchPool => Facts::SWITCHED,
                ActKind::RemoveShipping
                | ActKind::Drop
                | ActKind::Replace
                | ActKind::Kill
                | ActKind::ForceService
                | ActKind::MirrorDrop => continue,
            };
            self.each(|change| change.gains(facts, surely));
        }
    }

    /// A closure that is given to `step`.
    fn body(&mut self, call: &Call, index: usize) -> Value {
        match call.given.get(index) {
            Some(Value::Closure(closure)) => self.run_closure(&closure.clone(), Vec::new()),
            _ => Value::unknown(Tags::default()),
        }
    }

    /// A closure that only looks: it works on copies, and the run goes on as if it had not been asked.
    fn asked(&mut self, closure: &Closure, inside: Inside) -> Value {
        let before = (self.ways.clone(), self.snapshot());
        let outer = if self.inside == Inside::Plain { std::mem::replace(&mut self.inside, inside) } else { self.inside };
        let answer = self.run_closure(closure, Vec::new());
        self.inside = outer;
        self.enter(before);
        answer
    }
}

/// A short text that is a word is the same wherever it is written: its place is left out, so that a function is followed once.
fn short(value: Value) -> Value {
    match value {
        Value::Text(text) if text.as_constant().is_some_and(|t| t.len() <= 40 && !t.contains(char::is_whitespace)) => {
            Value::text(&text.rendered())
        }
        other => other,
    }
}

fn is_full_range(expr: &Expr) -> bool {
    let Expr::FnCall(call, _) = expr else { return false };
    let (Some(Expr::IntegerConstant(from, _)), Some(Expr::IntegerConstant(to, _))) = (call.args.first(), call.args.get(1)) else {
        return false;
    };
    match call.op_token {
        Some(Token::ExclusiveRange) => from < to,
        Some(Token::InclusiveRange) => from <= to,
        _ => false,
    }
}

fn with_key(entries: &[(Arc<str>, Value)], key: &str, value: Value) -> Value {
    let mut all: Vec<(Arc<str>, Value)> = entries.iter().filter(|(name, _)| &**name != key).cloned().collect();
    all.push((name_of(key), value));
    Value::Map(Arc::new(all))
}

/// What `+` makes of two values, which stand at these places.
fn add(a: &Value, b: &Value, at: [Option<Origin>; 2]) -> Value {
    let tags = a.tags().with(b.tags());
    let mut sums = Vec::new();
    for a in a.alternatives() {
        for b in b.alternatives() {
            sums.push(match (a, b) {
                (Value::Map(own), Value::Map(more)) => {
                    let mut all: Vec<(Arc<str>, Value)> = own.to_vec();
                    for (key, value) in more.iter() {
                        all.retain(|(name, _)| name != key);
                        all.push((key.clone(), value.clone()));
                    }
                    Value::Map(Arc::new(all))
                }
                (Value::Array(own), Value::Array(more)) => Value::Array(Arc::new(own.iter().chain(more.iter()).cloned().collect())),
                (Value::Text(_), _) | (_, Value::Text(_))
                    if !matches!((a, b), (Value::Array(_) | Value::Map(_), _) | (_, Value::Array(_) | Value::Map(_))) =>
                {
                    let pieces = [pieces_of(a, at[0]), pieces_of(b, at[1])].concat().into();
                    Value::Text(Text { pieces })
                }
                _ => Value::unknown(tags),
            });
        }
    }
    if sums.len() > ALTERNATIVES { Value::unknown(tags) } else { Value::one_of(&sums) }
}

/// What a value adds to a text.
fn pieces_of(value: &Value, origin: Option<Origin>) -> Arc<[Piece]> {
    let constant = |text: String| Piece::Constant { text: text.into(), origin };
    Arc::new([match value {
        Value::Text(text) => return text.pieces.clone(),
        Value::Int(number) => constant(number.to_string()),
        Value::Bool(value) => constant(value.to_string()),
        Value::Unknown { path, tags } => Piece::Data { path: path.clone(), tags: *tags, origin },
        other => Piece::Data { path: None, tags: other.tags(), origin },
    }])
}

fn property(value: &Value, name: &str) -> Value {
    let one = |value: &Value| match value {
        Value::Map(entries) => {
            entries.iter().find(|(key, _)| &**key == name).map_or_else(|| Value::unknown(Tags::default()), |(_, value)| value.clone())
        }
        Value::Unknown { path, tags } => {
            let path = path.as_ref().filter(|_| tags.has(Tags::SITE)).map(|path| format!("{path}.{name}").into());
            let mut tags = tags.plain().without(Tags::SETS);
            if tags.has(Tags::CHAIN) && name == "sets" {
                tags = tags.with(Tags::SETS);
            }
            if tags.has(Tags::DATABASES) && matches!(name, "state" | "state_desc") {
                tags = tags.with(Tags::STATE).with(if name == "state" { Tags::STATE_CODE } else { Tags::default() });
            } else if NO_STATE.contains(&name) {
                tags = tags.without(Tags::STATE);
            }
            Value::Unknown { path, tags }
        }
        other => Value::unknown(other.tags()),
    };
    Value::one_of(&value.alternatives().iter().map(one).collect::<Vec<_>>())
}

fn indexed(value: &Value, at: &Value) -> Value {
    match (value, at) {
        (value, Value::Text(key)) => key.as_constant().map_or_else(|| Value::unknown(value.tags()), |key| property(value, &key)),
        (Value::Array(items), Value::Int(n)) => {
            let index = if *n < 0 { usize::try_from(n + items.len() as i64) } else { usize::try_from(*n) };
            index.ok().and_then(|i| items.get(i)).cloned().unwrap_or(Value::Unit)
        }
        (value, at) => Value::unknown(value.tags().with(at.tags())),
    }
}

/// What is known of what a primitive returns.
fn result_of(call: &Call) -> Value {
    match call.name() {
        "sql" | "query" => {
            let narrow = !call.sql.is_empty() && call.sql.iter().all(|sql| narrow::text(sql));
            let tags = call.sql.iter().fold(Tags::QUERY, |tags, sql| tags.with(state_asked(&sql.rendered)));
            Value::unknown(if narrow { tags.with(Tags::ONE_DATABASE) } else { tags })
        }
        "log_chain" | "restore_logs" => Value::unknown(Tags::CHAIN),
        "backups" | "copy_backups" => Value::unknown(Tags::BACKUPS),
        "ps" => Value::unknown(Tags::PS),
        "ask" => Value::unknown(Tags::ASK),
        "keep" => Value::unknown(Tags::default()),
        _ => Value::Unit,
    }
}

/// What of the state of databases a text asks for: rows that it filters by state, or the state itself and nothing else.
fn state_asked(text: &str) -> Tags {
    let lower: String = text.to_ascii_lowercase().split_whitespace().collect();
    if !lower.contains("sys.databases") && !lower.contains("databasepropertyex") {
        return Tags::default();
    }
    let (wanted, from) = lower.split_once("from").unwrap_or((&lower, ""));
    let filter = from.split_once("where").map_or("", |(_, filter)| filter);
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if any(&["state=0", "='online'"]) {
        Tags::DATABASES.with(Tags::STATE).with(Tags::ONLINE_ROWS)
    } else if any(&["state=1", "='restoring'"]) {
        Tags::DATABASES.with(Tags::STATE).with(Tags::RESTORING_ROWS)
    } else if filter.contains("state") || (wanted.contains("state") && !wanted.contains(',')) || wanted.contains("databasepropertyex") {
        Tags::DATABASES.with(Tags::STATE)
    } else {
        Tags::DATABASES
    }
}

/// A value that is one constant and nothing else.
fn constant(value: &Value) -> Option<Value> {
    match value {
        Value::Text(text) => text.as_constant().map(|text| Value::text(&text)),
        Value::Bool(_) | Value::Int(_) | Value::Unit => Some(value.clone()),
        Value::Array(items) if items.is_empty() => Some(Value::Unit),
        _ => None,
    }
}

/// Notes on ways that leave a closure what it returns there.
fn returning(ways: &mut Ways, value: &Value) {
    let value = constant(value);
    ways.iter_mut().for_each(|way| way.returned.clone_from(&value));
}

fn negated(value: &Value) -> Value {
    match value {
        Value::Bool(value) => Value::Bool(!value),
        other => Value::unknown(other.tags().negated()),
    }
}

/// The comparison that `b` makes with `a` where `a` makes this one with `b`; nothing for what compares nothing.
fn mirrored(operator: &Token) -> Option<Token> {
    Some(match operator {
        Token::EqualsTo | Token::NotEqualsTo => operator.clone(),
        Token::LessThan => Token::GreaterThan,
        Token::GreaterThan => Token::LessThan,
        Token::LessThanEqualsTo => Token::GreaterThanEqualsTo,
        Token::GreaterThanEqualsTo => Token::LessThanEqualsTo,
        _ => return None,
    })
}

/// What a comparison with a constant says of the recovery, where the other value is what is to be applied, or the state of a
/// database.
fn compared(operator: &Token, tags: Tags, constant: &Value) -> Value {
    let equal = match operator {
        Token::EqualsTo => Some(true),
        Token::NotEqualsTo => Some(false),
        _ => None,
    };
    if let (Some(equal), Value::Bool(value)) = (equal, constant) {
        return Value::unknown(if equal == *value { tags } else { tags.negated() });
    }
    let mut says = tags.plain();
    let (empty_if, filled_if) = emptiness(operator, constant);
    let counted = matches!(constant, Value::Int(_) | Value::Unit);
    if tags.has(Tags::SETS) && counted {
        says = says.without(Tags::SETS).with(match empty_if {
            Some(true) => Tags::EMPTY_IF_TRUE,
            Some(false) => Tags::EMPTY_IF_FALSE,
            None => Tags::default(),
        });
    }
    let online_if = match (constant, equal) {
        (Value::Text(text), Some(equal)) if text.rendered() == "ONLINE" => Some(Some(equal)),
        (Value::Text(text), Some(equal)) if text.rendered() == "RESTORING" => Some(Some(!equal)),
        (Value::Int(0), Some(equal)) if tags.has(Tags::STATE_CODE) => Some(Some(equal)),
        (Value::Int(1), Some(equal)) if tags.has(Tags::STATE_CODE) => Some(Some(!equal)),
        _ if tags.has(Tags::ONLINE_ROWS) && counted => Some(filled_if),
        _ if tags.has(Tags::RESTORING_ROWS) && counted => Some(empty_if),
        _ => None,
    };
    if let (true, Some(online_if)) = (tags.has(Tags::DATABASES), online_if) {
        says = says.without(Tags::STATE).with(match online_if {
            Some(true) => Tags::ONLINE_IF_TRUE,
            Some(false) => Tags::ONLINE_IF_FALSE,
            None => Tags::default(),
        });
    }
    Value::unknown(says)
}

/// Which answer of a comparison says that a count is 0, or a value missing, and which that it is not.
fn emptiness(operator: &Token, constant: &Value) -> (Option<bool>, Option<bool>) {
    let number = match constant {
        Value::Int(number) => *number,
        _ => 0,
    };
    match (operator, number) {
        (Token::EqualsTo | Token::LessThanEqualsTo, 0) | (Token::LessThan, 1) => (Some(true), Some(false)),
        (Token::NotEqualsTo | Token::GreaterThan, 0) | (Token::GreaterThanEqualsTo, 1) => (Some(false), Some(true)),
        (Token::EqualsTo | Token::GreaterThan | Token::GreaterThanEqualsTo, 1..) => (None, Some(true)),
        (Token::NotEqualsTo, 1..) => (None, Some(false)),
        _ => (None, None),
    }
}

/// True for a text that is another with more behind it.
fn grows(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Text(old), Value::Text(new)) => new.pieces.len() > old.pieces.len() && new.pieces.starts_with(&old.pieces),
        _ => false,
    }
}

/// A closure that is written out: the name that Rhai gave it, and what it captures. One that captures something is a block
/// that shares it first.
fn written_closure(expr: &Expr) -> Option<(ImmutableString, Vec<Arc<str>>)> {
    let name = |expr: &Expr| match expr {
        Expr::DynamicConstant(value, _) => Some(value.read_lock::<rhai::FnPtr>()?.fn_name().into()),
        _ => None,
    };
    let Expr::Stmt(block) = expr else { return Some((name(expr)?, Vec::new())) };
    if !block.statements().iter().any(|stmt| matches!(stmt, Stmt::Share(_))) {
        return None;
    }
    block.statements().iter().find_map(|stmt| {
        let call = match stmt {
            Stmt::FnCall(call, _) => call,
            Stmt::Expr(expr) => match &**expr {
                Expr::FnCall(call, _) => call,
                _ => return None,
            },
            _ => return None,
        };
        let (pointer, captured) = call.args.split_first().filter(|_| call.name.as_str() == "curry")?;
        let captured = captured.iter().filter_map(|arg| match arg {
            Expr::Variable(parts, ..) => Some(name_of(&parts.1)),
            _ => None,
        });
        Some((name(pointer)?, captured.collect()))
    })
}

/// The file of a closure that stands as an argument, and its index among the file's functions, for rules that look at text
/// alone.
pub fn closure_index(script: &Script, expr: &Expr) -> Option<(usize, usize)> {
    script.function_of(&written_closure(expr)?.0)
}
