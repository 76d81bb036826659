//! The account of a run as the fold of its record's events.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{
    Account, Change, Copied, Ending, Evidence, Failure, Fate, Kept, Kind, Loss, Moment, Note, Proof, Question, Restored, Seal, Server,
    Shift, Source, Stand, Step, Stretch, Text, Times, Unsure, What, sentences,
};
use crate::journal::{self, Chosen, Event, Left, Level, Line, Read, StepAhead, Summary};
use crate::report::human::seconds;

/// An effect that was begun.
struct Begun {
    step: Option<String>,
    primitive: String,
    class: String,
    server: Option<Text>,
    what: Text,
    arguments: Value,
    at: Timestamp,
    child: bool,
}

struct Fold<'a> {
    folder: &'a Path,
    account: Account,
    effects: HashMap<u64, Begun>,
    /// indexes into the steps, by title
    steps: HashMap<Option<String>, usize>,
    /// steps that are open: index, and since when
    open: Vec<(usize, u64)>,
    /// effects of the script under way
    flight: Vec<u64>,
    /// index into the questions
    asked: Option<usize>,
    reads: usize,
    sizes: HashMap<String, u64>,
    loss: Option<Value>,
    /// failures of a test's reads: one may be what ended the run
    inner: Vec<Failure>,
    ahead: Vec<StepAhead>,
    told: Vec<journal::Kept>,
    /// of the line before
    last: Timestamp,
}

/// The account but for its seal. The summary is of the same record.
pub(super) fn fold(folder: &Path, read: &Read, summary: &Summary, zone: &TimeZone) -> Account {
    let began = summary.started;
    let account = Account {
        run: Text::of(&summary.run),
        folder: Some(Text::of(&folder.display().to_string())),
        runbook: Text::of(&summary.runbook),
        site: Text::of(&summary.site),
        lab: summary.lab,
        ending: Ending::of(summary),
        exit: summary.exit,
        resume: (summary.resumable && !summary.running && !summary.abandoned).then(|| sentences::resume(folder)),
        began,
        ended: read.lines.last().map_or(began, |line| line.at),
        zone: zone.clone(),
        times: Times::default(),
        target_ms: None,
        shifts: Vec::new(),
        weak: Vec::new(),
        steps: Vec::new(),
        ahead: Vec::new(),
        stretches: Vec::new(),
        pauses: Vec::new(),
        moments: Vec::new(),
        loss: None,
        changes: Vec::new(),
        unsure: Vec::new(),
        questions: Vec::new(),
        failures: Vec::new(),
        notes: Vec::new(),
        copied: Vec::new(),
        restored: Vec::new(),
        kept: Vec::new(),
        servers: Vec::new(),
        sources: Vec::new(),
        seal: Seal { lines: 0, last: String::new(), problems: Vec::new() },
        why: None,
        help: None,
    };
    let mut fold = Fold {
        folder,
        account,
        effects: HashMap::new(),
        steps: HashMap::new(),
        open: Vec::new(),
        flight: Vec::new(),
        asked: None,
        reads: 0,
        sizes: HashMap::new(),
        loss: None,
        inner: Vec::new(),
        ahead: Vec::new(),
        told: Vec::new(),
        last: began,
    };
    for line in &read.lines {
        fold.line(line);
        fold.last = line.at;
    }
    fold.end(read)
}

fn optional(text: Option<&String>) -> Option<Text> {
    text.map(|text| Text::of(text))
}

/// What an effect does, with the server that it does it on.
fn named(server: Option<&Text>, what: &Text) -> String {
    server.map_or_else(|| what.to_string(), |server| format!("{server}: {what}"))
}

impl Fold<'_> {
    fn since(&self, at: Timestamp) -> u64 {
        u64::try_from(at.duration_since(self.account.began).as_millis()).unwrap_or(0)
    }

    fn moment(&mut self, at: Timestamp, what: What, text: &str) {
        let since = self.since(at);
        let mut push = |what, text| self.account.moments.push(Moment { at, since, what, text });
        if self.reads > 0 {
            push(What::Reads(self.reads), Text::default());
            self.reads = 0;
        }
        push(what, Text::of(text));
    }

    fn step(&mut self, title: Option<&String>) -> usize {
        let key = title.cloned();
        if let Some(index) = self.steps.get(&key) {
            return *index;
        }
        let index = self.account.steps.len();
        let title = optional(title);
        let stand = if title.is_some() { Stand::Open } else { Stand::Done };
        self.account.steps.push(Step { title, periods: Vec::new(), stand, reads: 0, changes: 0, questions: 0, failures: 0 });
        self.steps.insert(key, index);
        index
    }

    fn stretch(&mut self, step: usize, kind: Kind, from: Timestamp, to: Timestamp) {
        let (from, to) = (self.since(from), self.since(to));
        // nobody opens what is done outside of the steps: its effects make its periods
        if self.account.steps[step].title.is_none() {
            self.account.steps[step].periods.push((from, to));
        }
        self.account.stretches.push(Stretch { step, kind, from, to });
    }

    /// An evaluation of the script has come to its end: nothing is open any more.
    fn close(&mut self, at: Timestamp) {
        let to = self.since(at);
        for (index, from) in std::mem::take(&mut self.open) {
            self.account.steps[index].periods.push((from, to));
        }
        self.unanswered(at);
        for effect in std::mem::take(&mut self.flight) {
            if let Some(begun) = self.effects.get(&effect).filter(|begun| begun.class == "changes") {
                let (step, began) = (begun.step.clone(), begun.at);
                let step = self.step(step.as_ref());
                self.stretch(step, Kind::Change, began, at);
            }
        }
    }

    /// A question that the run ended on.
    fn unanswered(&mut self, at: Timestamp) {
        let Some(index) = self.asked.take() else { return };
        let question = &mut self.account.questions[index];
        let asked = question.at;
        question.waited_ms = u64::try_from(at.duration_since(asked).as_millis()).unwrap_or(0);
        self.account.times.asked += question.waited_ms;
        let step = question.step.as_ref().map(|step| step.as_str().to_owned());
        let step = self.step(step.as_ref());
        self.stretch(step, Kind::Person, asked, at);
    }

    fn shift(&mut self, shift: Shift, target: Option<u64>) {
        self.account.target_ms = target.or(self.account.target_ms);
        self.account.shifts.push(shift);
    }

    fn who(&self) -> String {
        self.account.shifts.last().map(Shift::who).unwrap_or_default()
    }

    /// Who gave an answer, from the word in the record.
    fn by(&self, by: &str) -> Text {
        Text::of(&match by {
            "terminal" => format!("{}, at the terminal", self.who()),
            by => format!("{by}, given beforehand by {}", self.who()),
        })
    }

    fn line(&mut self, line: &Line) {
        let at = line.at;
        match &line.event {
            Event::RunStarted {
                program,
                operator,
                host,
                unattended,
                weak,
                sources,
                recovery_time_target_ms,
                steps,
                lab,
                arguments,
                ..
            } => {
                if *lab && arguments.iter().any(|word| word == "rehearse") {
                    // its servers are gone
                    self.account.resume = None;
                }
                let shift = Shift::of(at, operator, host, program, *unattended);
                self.shift(shift, *recovery_time_target_ms);
                self.ahead.clone_from(steps);
                self.account.weak = weak.iter().map(|weak| Text::of(weak)).collect();
                self.account.sources =
                    sources.iter().map(|source| Source { name: Text::of(&source.name), blake3: Text::of(&source.blake3) }).collect();
            }
            Event::Resumed { program, operator, host, unattended, differs, cut, steps, .. } => {
                self.close(self.last);
                let (from, to) = (self.since(self.last), self.since(at));
                self.account.times.away += to - from;
                self.account.pauses.push((from, to));
                (self.account.why, self.account.help) = (None, None);
                let shift = Shift {
                    differs: differs.iter().map(|differs| Text::of(differs)).collect(),
                    cut: *cut,
                    ..Shift::of(at, operator, host, program, *unattended)
                };
                let told = format!("RESUMED by {}, cutover {program}, {}", shift.who(), sentences::utc(at));
                self.shift(shift, None);
                self.moment(at, What::Resumed, &told);
                for differs in differs {
                    self.moment(at, What::Differs, differs);
                }
                if !steps.is_empty() {
                    self.ahead.clone_from(steps);
                }
            }
            Event::Interrupted { times } => {
                self.moment(at, What::Signal, if *times < 2 { "asked to stop" } else { "asked to stop at once" });
            }
            Event::Choice { effect, chosen, reason, by, .. } => {
                let waited = self.since(at) - self.since(self.last);
                self.account.times.asked += waited;
                let reason = reason.as_ref().map(|reason| Text::of(reason));
                let told = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                self.moment(at, What::Choice, &format!("{}{told} ({by})", chosen.word()));
                let by = self.by(by);
                let step = self.fated(*effect, &Fate::Chosen { chosen: *chosen, reason, by });
                if waited > 0 {
                    let step = step.or(self.account.stretches.last().map(|stretch| stretch.step));
                    let step = step.unwrap_or_else(|| self.step(None));
                    self.stretch(step, Kind::Person, self.last, at);
                }
                if *chosen != Chosen::Stop {
                    self.close(at);
                }
            }
            Event::StepAnswer { step, answer, by } => {
                let waited_ms = self.since(at) - self.since(self.last);
                self.account.times.asked += waited_ms;
                self.moment(at, What::Answer, &format!("begin {step}? {answer} ({by})"));
                let question = Question {
                    step: Some(Text::of(step)),
                    id: None,
                    kind: journal::QuestionKind::Confirm,
                    text: Text::of(&format!("begin the step {step}?")),
                    choices: Vec::new(),
                    typed: None,
                    irreversible: false,
                    at: self.last,
                    waited_ms,
                    shown: Vec::new(),
                    instructions: None,
                    answer: Some(Text::of(answer)),
                    by: self.by(by),
                };
                self.account.questions.push(question);
            }
            Event::StepStarted { step } => {
                let index = self.step(Some(step));
                let since = self.since(at);
                self.account.steps[index].stand = Stand::Open;
                self.open.push((index, since));
                self.moment(at, What::Step, step);
            }
            Event::StepFinished { step, ok, .. } => {
                let index = self.step(Some(step));
                self.account.steps[index].stand = if *ok { Stand::Done } else { Stand::EndedEarly };
                if let Some(open) = self.open.iter().rposition(|(open, _)| *open == index) {
                    let (_, from) = self.open.remove(open);
                    let to = self.since(at);
                    self.account.steps[index].periods.push((from, to));
                }
            }
            Event::EffectStarted { effect, step, primitive, class, server, summary, arguments, parent, .. } => {
                let begun = Begun {
                    step: step.clone(),
                    primitive: primitive.clone(),
                    class: class.clone(),
                    server: optional(server.as_ref()),
                    what: Text::of(summary),
                    arguments: if primitive == "keep" || class == "asks" { arguments.clone() } else { Value::Null },
                    at,
                    child: parent.is_some(),
                };
                self.effects.insert(*effect, begun);
                if parent.is_none() {
                    self.flight.push(*effect);
                }
            }
            // who asks before a step is told with the answer, whose wait begins here
            Event::StepQuestion { .. } | Event::EffectTested { .. } => {}
            Event::EffectFinished { effect, ms, already_done, verified, resolved, outcome, .. } => {
                let proof = match (already_done, resolved, verified) {
                    (true, ..) => Proof::InForceBefore,
                    (_, Some(resolved), _) => Proof::Resolved(*resolved),
                    (_, None, true) => Proof::Verified,
                    (_, None, false) => Proof::Unverified,
                };
                self.finished(*effect, at, *ms, proof, outcome);
            }
            Event::EffectFailed { effect, .. } => self.failed(*effect, at, &line.event),
            Event::Question { effect, step, id, kind, text, choices, typed, irreversible, .. } => {
                self.moment(at, What::Asked, text);
                let index = self.step(step.as_ref());
                self.account.steps[index].questions += 1;
                let arguments = self.effects.get(effect).map_or(&Value::Null, |begun| &begun.arguments);
                let (shown, instructions) = (Evidence::of(&arguments["show"]), arguments["instructions"].as_str().map(Text::of));
                self.asked = Some(self.account.questions.len());
                self.account.questions.push(Question {
                    step: optional(step.as_ref()),
                    id: optional(id.as_ref()),
                    kind: *kind,
                    text: Text::of(text),
                    choices: choices.iter().map(|choice| Text::of(choice)).collect(),
                    typed: optional(typed.as_ref()),
                    irreversible: *irreversible,
                    at,
                    waited_ms: 0,
                    shown,
                    instructions,
                    answer: None,
                    by: Text::of(&self.who()),
                });
            }
            Event::Answer { answer, by, .. } => {
                self.moment(at, What::Answer, &format!("{answer} ({by})"));
                let by = self.by(by);
                if let Some(question) = self.asked.map(|index| &mut self.account.questions[index]) {
                    (question.answer, question.by) = (Some(Text::of(answer)), by);
                }
                self.unanswered(at);
            }
            Event::Note { step, level, text, .. } => {
                self.moment(at, if *level == Level::Warn { What::Warning } else { What::Note }, text);
                self.account.notes.push(Note { step: optional(step.as_ref()), level: *level, text: Text::of(text), at });
            }
            Event::RunFinished { outcome, exit, loss, kept, ended_by, why, help, .. } => {
                self.close(at);
                self.moment(at, What::End, &format!("{} (exit {exit})", outcome.word()));
                self.fated(*ended_by, &Fate::Ended);
                self.loss = loss.clone().or(self.loss.take());
                self.told.clone_from(kept);
                (self.account.why, self.account.help) = (optional(why.as_ref()), optional(help.as_ref()));
            }
        }
    }

    fn finished(&mut self, effect: u64, at: Timestamp, ms: u64, proof: Proof, recorded: &Value) {
        self.flight.retain(|flight| *flight != effect);
        let Some(begun) = self.effects.get(&effect).filter(|begun| !begun.child) else {
            return self.versions(effect, recorded);
        };
        let (step, server, what, began) = (begun.step.clone(), begun.server.clone(), begun.what.clone(), begun.at);
        let (index, title) = (self.step(step.as_ref()), optional(step.as_ref()));
        let begun = &self.effects[&effect];
        match begun.class.as_str() {
            "reads" => {
                let kind = if begun.primitive == "wait_until" { Kind::Wait } else { Kind::Read };
                self.reads += 1;
                self.account.steps[index].reads += 1;
                self.stretch(index, kind, began, at);
                self.versions(effect, recorded);
            }
            "changes" => {
                let told = format!("{} ({}, {})", named(server.as_ref(), &what), proof.words(), seconds(ms));
                // what cannot be read is told with the seal
                match begun.primitive.as_str() {
                    "copy_backups" => {
                        let outcome = journal::outcome(self.folder, recorded).unwrap_or_default();
                        self.account.copied.extend(Copied::of(title.clone(), &outcome, ms, &mut self.sizes));
                    }
                    "restore_logs" => {
                        let outcome = journal::outcome(self.folder, recorded).unwrap_or_default();
                        self.account.restored.extend(Restored::of(title.clone(), server.clone(), &outcome, ms, &self.sizes));
                        self.loss = Some(outcome["loss"].clone()).filter(|loss| loss.is_object()).or(self.loss.take());
                    }
                    _ => {}
                }
                self.account.steps[index].changes += 1;
                self.stretch(index, Kind::Change, began, at);
                self.moment(at, What::Change, &told);
                self.account.changes.push(Change { step: title, server, what, at: began, ms, proof });
            }
            "tells" if begun.primitive == "keep" => {
                let path = recorded.as_str().unwrap_or_default();
                let arguments = &begun.arguments;
                let kept = Kept {
                    name: Text::of(path.rsplit(['/', '\\']).next().unwrap_or(path)),
                    about: None,
                    command: None,
                    leaves: None,
                    bytes: arguments["bytes"].as_u64(),
                    blake3: arguments["blake3"].as_str().map(Text::of),
                };
                self.account.kept.push(kept);
            }
            _ => {}
        }
    }

    /// Versions that a server told in an answer with the columns `version` and `edition`.
    fn versions(&mut self, effect: u64, outcome: &Value) {
        let Some(key) = self.effects.get(&effect).and_then(|begun| begun.server.clone()) else { return };
        for set in outcome["sets"].as_array().into_iter().flatten() {
            let columns: Vec<&str> = set["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let column = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            let (Some(version), Some(edition)) = (column("version"), column("edition")) else { continue };
            let row = &set["rows"][0];
            let cell = |index: usize| Text::of(row[index].as_str().unwrap_or_default());
            let name = column("server_name").map(cell).unwrap_or_default();
            let server = Server { key: key.clone(), name, version: cell(version), edition: cell(edition) };
            if !server.version.is_empty() && !self.account.servers.contains(&server) {
                self.account.servers.push(server);
            }
        }
    }

    fn failed(&mut self, effect: u64, at: Timestamp, event: &Event) {
        let Event::EffectFailed { step, ms, message, number, code, messages, state, help, title, means, made, left, class, .. } = event
        else {
            return;
        };
        let Some(begun) = self.effects.get(&effect) else { return };
        let (child, began) = (begun.child, begun.at);
        let failure = Failure {
            effect,
            step: optional(step.as_ref()),
            server: begun.server.clone(),
            what: begun.what.clone(),
            changes: class == "changes",
            at,
            ms: *ms,
            message: Text::of(message),
            number: *number,
            code: optional(code.as_ref()),
            title: optional(title.as_ref()),
            means: optional(means.as_ref()),
            state: optional(state.as_ref()),
            help: optional(help.as_ref()),
            said: messages.iter().map(|said| Text::of(&said.shown)).collect(),
            left: *left,
            fate: Fate::WentOn,
            done_later: None,
        };
        if child {
            return self.inner.push(failure);
        }
        self.flight.retain(|flight| *flight != effect);
        self.unanswered(at);
        let index = self.step(step.as_ref());
        self.account.steps[index].failures += 1;
        self.stretch(index, Kind::Failure, began, at);
        let left = match left {
            Left::Known => "",
            Left::Unknown => "; it may be made in part",
            Left::InDoubt => "; it may be in force",
        };
        self.moment(at, What::Failed, &format!("{}: {message}{left}", named(failure.server.as_ref(), &failure.what)));
        if let Some(made) = made {
            let change = Change {
                step: failure.step.clone(),
                server: failure.server.clone(),
                what: Text::of(made),
                at: began,
                ms: *ms,
                proof: Proof::BeforeFailure,
            };
            self.account.changes.push(change);
        }
        self.account.failures.push(failure);
    }

    /// Notes what came of a failure; the index of its step. A choice says more than that the run ended.
    fn fated(&mut self, effect: Option<u64>, fate: &Fate) -> Option<usize> {
        let effect = effect?;
        if let Some(inner) = self.inner.iter().position(|failure| failure.effect == effect) {
            let failure = self.inner.remove(inner);
            self.account.failures.push(failure);
        }
        let failure = self.account.failures.iter_mut().rev().find(|failure| failure.effect == effect)?;
        if failure.fate == Fate::WentOn {
            failure.fate = fate.clone();
        }
        let step = failure.step.as_ref().map(|step| step.as_str().to_owned());
        Some(self.step(step.as_ref()))
    }

    fn end(mut self, read: &Read) -> Account {
        self.close(self.last);
        if self.reads > 0 {
            let (at, since) = (self.last, self.since(self.last));
            self.account.moments.push(Moment { at, since, what: What::Reads(self.reads), text: Text::default() });
        }
        let mut account = self.account;
        account.times.total = u64::try_from(account.ended.duration_since(account.began).as_millis()).unwrap_or(0);
        account.times.working = account.times.total.saturating_sub(account.times.asked + account.times.away);
        let doubt = read.history.in_doubt();
        let perhaps = read.history.perhaps();
        let unsure = |why: &'static str| {
            move |change: &journal::Change| Unsure {
                step: optional(change.step.as_ref()),
                what: Text::of(&named(optional(change.server.as_ref()).as_ref(), &Text::of(&change.summary))),
                why,
            }
        };
        account.unsure = doubt.iter().map(unsure("may or may not be in force")).collect();
        account.unsure.extend(perhaps.iter().map(unsure("failed, and may be made in part")));
        account.ahead = self
            .ahead
            .iter()
            .filter(|step| !self.steps.contains_key(&Some(step.title.clone())))
            .map(|step| (Text::of(&step.title), step.perhaps))
            .collect();
        for failure in &mut account.failures {
            let same = |change: &&Change| change.at >= failure.at && change.step == failure.step && change.what == failure.what;
            failure.done_later = account.changes.iter().find(same).map(|change| change.at);
        }
        for told in &self.told {
            let name = Text::of(told.path.rsplit(['/', '\\']).next().unwrap_or(&told.path));
            let about = Some(Text::of(&told.about));
            let (command, leaves) = (optional(told.command.as_ref()), optional(told.leaves.as_ref()));
            match account.kept.iter_mut().find(|kept| kept.name == name) {
                Some(kept) => (kept.about, kept.command, kept.leaves) = (about, command, leaves),
                None => account.kept.push(Kept { name, about, command, leaves, bytes: None, blake3: None }),
            }
        }
        account.loss = self.loss.as_ref().and_then(loss);
        account
    }
}

/// A recorded loss statement.
fn loss(record: &Value) -> Option<Loss> {
    let lines: Vec<Text> = record["lines"].as_array()?.iter().filter_map(Value::as_str).map(Text::of).collect();
    let at_most = record["at_most_seconds"].as_u64();
    let until = match (record["safe_until_utc"].as_str().and_then(|at| at.parse().ok()), record["safe_until"].as_str()) {
        (Some(at), _) => Some(sentences::utc(at)),
        (None, Some(at)) => Some(format!("{} by the primary's clock", at.replace('T', " "))),
        (None, None) => None,
    };
    let sentence = match (until, at_most) {
        (Some(until), Some(most)) => format!(
            "What was committed before {until} is certainly kept; of later work at most {} is lost, if the primary worked on until they were applied.",
            sentences::promised(most * 1000)
        ),
        (Some(until), None) => {
            format!("What was committed before {until} is certainly kept; how much of later work is lost cannot be told from here.")
        }
        (None, _) => "How much work is lost cannot be told from the record.".to_owned(),
    };
    Some(Loss { lines, sentence: Text::of(&sentence), at_most })
}
