//! A connection's thread: login, then one request after the other, each handed to the engine's [`Session`].

use tokio::sync::mpsc;

use super::answer::{Answer, Outlet, Transactions, acknowledge};
use super::cursor::Bad;
use super::link::{Item, Link};
use super::login::Login7;
use super::prepared::{Act, Prepared, Statement, Work};
use super::requests::{self, Transaction, error};
use super::tokens::{self, Change, DoneKind, done};
use super::{Cell, Engine, Login, Parameter, Reply, Request, ServerMessage, Session, Turn};
#[cfg(feature = "ntlm")]
use super::{LOGIN_TIME, ntlm};
use crate::wire::tls::{DEFAULT_PACKET_SIZE, Malformed, Message, kind, status};

/// TDS 7.4 and 7.3, as LOGIN7 and LOGINACK number them.
const TDS_74: u32 = 0x7400_0004;
const TDS_73: u32 = 0x730B_0003;
const TDS_72: u32 = 0x7209_0002;

/// Serves one connection to its end. Runs on a thread of its own; everything it sends goes to `sender`.
pub fn run(mut login: Login7, engine: &dyn Engine, link: &Link, sender: mpsc::Sender<Vec<u8>>) {
    let packet_size = match usize::try_from(login.packet_size).unwrap_or(usize::MAX) {
        0 => DEFAULT_PACKET_SIZE,
        asked => asked.clamp(512, 32_767),
    };
    let server = engine.server_name();
    let mut outlet = Outlet::new(sender, packet_size);
    let Some(tds) = tds_version(login.tds_version, engine.version()) else {
        tracing::warn!(version = format!("{:#x}", login.tds_version), "connection ended by the lab: the client speaks a TDS before 7.2");
        return;
    };
    let proved = match login.token.take() {
        Some(token) => prove(&token, &mut login.login, engine, link, &mut outlet),
        None => Ok(()),
    };
    let session = match proved.map_err(|refusal| vec![refusal]).and_then(|()| engine.login(&login.login)) {
        Ok(session) => session,
        Err(refusals) => {
            let record = engine.received(0, "login", "", &[]);
            for refusal in &refusals {
                tokens::write_message(outlet.buffer(), refusal, &server);
            }
            tokens::write_done(outlet.buffer(), DoneKind::Done, done::ERROR, 0, 0);
            engine.answered(record, refusals.iter().map(|refusal| refusal.number).collect());
            outlet.send(link, true);
            return;
        }
    };
    let id = session.id();
    link.set_session(id);
    outlet.session = id;
    let record = engine.received(id, "login", "", &[]);
    accept(&mut outlet, &login, tds, engine, &*session, &server);
    engine.answered(record, Vec::new());
    outlet.send(link, true);
    let mut thread =
        Thread { session, engine, link, outlet, server, tds, prepared: Prepared::default(), transactions: Transactions::default() };
    if let Err(bad) = thread.serve() {
        tracing::warn!(session = id, error = %bad, "connection ended by the lab: malformed request");
    }
    let record = engine.received(id, "logout", "", &[]);
    engine.answered(record, Vec::new());
}

/// The version both speak: the client's, but at most the server's; `None` below 7.2.
fn tds_version(client: u32, server: (u8, u8, u16)) -> Option<u32> {
    let most = if server.0 >= 11 { TDS_74 } else { TDS_73 };
    match client >> 24 {
        0x74.. => Some(most),
        0x73 => Some(client.min(TDS_73)),
        0x72 => Some(TDS_72),
        _ => None,
    }
}

/// Has a Windows account prove its password, by NTLM in one more exchange; `login` is the account's then.
#[cfg(feature = "ntlm")]
fn prove(token: &[u8], login: &mut Login, engine: &dyn Engine, link: &Link, outlet: &mut Outlet) -> Result<(), ServerMessage> {
    let asked = ntlm::read_negotiate(token).map_err(|_| untrusted())?;
    let mut challenge = [0; 8];
    openssl::rand::rand_bytes(&mut challenge).map_err(|_| untrusted())?;
    let server = engine.server_name();
    let machine = server.split('\\').next().unwrap_or_default();
    tokens::write_sspi(outlet.buffer(), &ntlm::write_challenge(asked, challenge, &engine.domain(), machine));
    outlet.send(link, true);
    let answer = match link.next_within(LOGIN_TIME) {
        Some(Item::Message { message: Message { kind: kind::SSPI | kind::LOGIN, body, .. }, .. }) => ntlm::Answer::read(&body),
        _ => return Err(untrusted()),
    };
    link.finish();
    let answer = answer.map_err(|_| untrusted())?;
    let account = format!("{}\\{}", answer.domain, answer.user);
    let password = engine.windows_password(&account).ok_or_else(untrusted)?;
    if !answer.proves(&password, challenge).is_ok_and(|proved| proved) {
        return Err(untrusted());
    }
    *login = Login { user: account, password, windows: true, ..std::mem::take(login) };
    Ok(())
}

/// This build has no NTLM.
#[cfg(not(feature = "ntlm"))]
fn prove(_: &[u8], _: &mut Login, _: &dyn Engine, _: &Link, _: &mut Outlet) -> Result<(), ServerMessage> {
    Err(untrusted())
}

/// What a server says of an account that nobody it trusts vouches for.
fn untrusted() -> ServerMessage {
    let text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
    error(18452, 14, 1, text)
}

/// The answer to a login that succeeded.
fn accept(outlet: &mut Outlet, login: &Login7, tds: u32, engine: &dyn Engine, session: &dyn Session, server: &str) {
    let database = session.database();
    let granted = outlet.packet_size.to_string();
    let info = |number, state, text: String| ServerMessage { line: 1, ..error(number, 10, state, &text) };
    let out = outlet.buffer();
    tokens::write_change_text(out, Change::Database, &database, "master");
    tokens::write_message(out, &info(5701, 2, format!("Changed database context to '{database}'.")), server);
    tokens::write_collation_change(out);
    tokens::write_change_text(out, Change::Language, "us_english", "");
    tokens::write_message(out, &info(5703, 1, "Changed language setting to us_english.".into()), server);
    tokens::write_login_ack(out, tds, engine.version());
    tokens::write_change_text(out, Change::PacketSize, &granted, &DEFAULT_PACKET_SIZE.to_string());
    if !login.features.is_empty() && tds == TDS_74 {
        tokens::write_features(out, &login.features);
    }
    tokens::write_done(out, DoneKind::Done, 0, 0, 0);
}

/// Why a connection is closed after login.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Bad(#[from] Bad),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

struct Thread<'a> {
    session: Box<dyn Session>,
    engine: &'a dyn Engine,
    link: &'a Link,
    outlet: Outlet,
    server: String,
    tds: u32,
    prepared: Prepared,
    transactions: Transactions,
}

impl Thread<'_> {
    fn serve(&mut self) -> Result<(), Fault> {
        while let Some(item) = self.link.next() {
            let ends = match item {
                Item::Attention(record) => {
                    tokens::write_done(self.outlet.buffer(), DoneKind::Done, done::ATTENTION, 0, 0);
                    self.engine.answered(record, Vec::new());
                    self.outlet.send(self.link, true);
                    false
                }
                Item::TakenBack => {
                    tokens::write_done(self.outlet.buffer(), DoneKind::Done, done::ERROR, 0, 0);
                    self.outlet.send(self.link, true);
                    false
                }
                Item::Message { message, .. } => {
                    let ends = self.answer(&message)?;
                    for record in acknowledge(&mut self.outlet, self.link) {
                        self.engine.answered(record, Vec::new());
                    }
                    self.outlet.send(self.link, true);
                    ends
                }
            };
            if ends {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers a message up to its last token; true if the connection ends with it.
    fn answer(&mut self, message: &Message) -> Result<bool, Fault> {
        if message.status & (status::RESET | status::RESET_KEEP_TRANSACTION) != 0 {
            self.reset(message.status & status::RESET != 0);
        }
        match message.kind {
            kind::BATCH => {
                let text = requests::read_batch(&message.body)?;
                let record = self.engine.received(self.session.id(), "batch", &text, &[]);
                let mut answer = Answer::new(&mut self.outlet, self.link, &mut self.transactions, &self.server, self.tds >= TDS_73);
                self.session.run(&Request::Batch { text, parameters: Vec::new() }, &mut answer);
                let (errors, ends) = answer.end(false);
                self.engine.answered(record, errors);
                Ok(ends)
            }
            kind::RPC => {
                let calls = requests::read_calls(&message.body)?;
                if calls.is_empty() {
                    return Err(Bad::Invalid("RPC without a call").into());
                }
                let last = calls.len() - 1;
                for (i, call) in calls.into_iter().enumerate() {
                    if i > 0 && self.link.cancelled() {
                        break;
                    }
                    let work = self.prepared.resolve(call);
                    if self.call(work, i < last) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            kind::TRANSACTION => {
                let request = requests::read_transaction(&message.body)?;
                self.transact(request);
                Ok(false)
            }
            other => Err(Malformed::Kind(other).into()),
        }
    }

    /// Answers one call of a message; `more`: another follows. True if the connection ends with it.
    fn call(&mut self, work: Work, more: bool) -> bool {
        let parameters = match &work.act {
            Act::Run(request) | Act::PrepareAndRun { request, .. } => request.parameters(),
            _ => &[],
        };
        let record = self.engine.received(self.session.id(), "rpc", &work.text, parameters);
        let mut answer = Answer::new(&mut self.outlet, self.link, &mut self.transactions, &self.server, self.tds >= TDS_73)
            .for_call(&work.given, &work.known);
        let (session, prepared) = (&mut *self.session, &mut self.prepared);
        match work.act {
            Act::Run(request) => session.run(&request, &mut answer),
            Act::Prepare { statement, handle } => {
                keep(session, prepared, statement, handle, true, &mut answer);
            }
            Act::PrepareAndRun { statement, request, handle } => {
                if keep(session, prepared, statement, handle, false, &mut answer) {
                    session.run(&request, &mut answer);
                }
            }
            Act::Nothing => {}
            Act::Refused(refusal) => answer.message(refusal),
        }
        let (errors, ends) = answer.end(more);
        self.engine.answered(record, errors);
        ends
    }

    fn reset(&mut self, transaction_too: bool) {
        if transaction_too && self.transactions.open.take().is_some() {
            self.session.transaction(false);
        }
        self.session.reset();
        self.prepared.clear();
        tokens::write_change_bytes(self.outlet.buffer(), Change::Reset, &[], &[]);
    }

    fn turn(&mut self, turn: Turn) {
        self.session.transaction(turn == Turn::Began);
        self.transactions.turn(self.outlet.buffer(), turn);
    }

    fn transact(&mut self, request: Option<Transaction>) {
        let (turn, begin) = match request {
            Some(Transaction::Begin) => {
                self.turn(Turn::Began);
                return self.transacted(None);
            }
            Some(Transaction::Save) => return self.transacted(None),
            Some(Transaction::Commit { begin }) => (Turn::Committed, begin),
            Some(Transaction::Rollback { begin }) => (Turn::RolledBack, begin),
            None => {
                let text = "This version of Microsoft SQL Server does not support distributed transactions.";
                return self.transacted(Some(error(3930, 16, 1, text)));
            }
        };
        if self.transactions.open.is_none() {
            let refusal = match turn {
                Turn::Committed => error(3902, 16, 1, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."),
                _ => error(3903, 16, 1, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."),
            };
            return self.transacted(Some(refusal));
        }
        self.turn(turn);
        if begin {
            self.turn(Turn::Began);
        }
        self.transacted(None);
    }

    fn transacted(&mut self, failure: Option<ServerMessage>) {
        let status = match &failure {
            Some(failure) => {
                tokens::write_message(self.outlet.buffer(), failure, &self.server);
                done::ERROR
            }
            None => 0,
        };
        tokens::write_done(self.outlet.buffer(), DoneKind::Done, status, 0, 0);
    }
}

/// Compiles a statement and keeps it; its handle goes to the answer, and its columns if they are to be `told`. False if it
/// cannot be compiled.
fn keep(
    session: &mut dyn Session,
    prepared: &mut Prepared,
    statement: Statement,
    handle: Parameter,
    told: bool,
    answer: &mut Answer<'_>,
) -> bool {
    let columns = match statement.text() {
        None => Some(Vec::new()),
        Some((text, parameters)) => session.describe(text, &parameters, answer),
    };
    let Some(columns) = columns else {
        answer.message(error(8180, 16, 1, "Statement(s) could not be prepared."));
        return false;
    };
    if told && !columns.is_empty() {
        answer.columns(&columns);
        answer.done(None);
    }
    match prepared.keep(statement, columns) {
        Ok(number) => answer.output(&Parameter { value: Cell::Int(number), ..handle }),
        Err(refusal) => {
            answer.message(refusal);
            return false;
        }
    }
    true
}
