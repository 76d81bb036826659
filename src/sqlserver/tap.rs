//! A second reader of the plaintext answers, beside tiberius: it keeps every message with number, severity, state, procedure
//! and line (tiberius keeps the first error only), counts, return codes, and the declared types of columns.
//!
//! Fed by the shim (`tls.rs`) packet by packet, before a packet is forwarded, so that everything is known when tiberius sees
//! the end of the answer. It belongs to one connection. When it meets what it cannot read it stops reading for good.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tds_protocol::token::{ColMetaData, ServerError, ServerInfo, Token, TokenParser, TokenType};
use tds_protocol::types::TypeId;

use super::value::Message;
use crate::wire::tls::{Header, kind};

/// Called with each message as it comes in, from the task that reads the socket: must be quick.
pub type OnMessage = Arc<dyn Fn(&Message) + Send + Sync>;

/// MS-TDS 2.2.7.6: CurCmd of a SELECT.
const SELECT: u16 = 0x00C1;
/// A token that needs more than this is read again only when twice as much is there: a large row must not be read anew
/// with every packet.
const EAGER: usize = 64 * 1024;
/// More than this in one token is no row of ours.
const LIMIT: usize = 1 << 30;

/// The declared type of one column (COLMETADATA, MS-TDS 2.2.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) ty: TypeId,
    pub(super) precision: Option<u8>,
    pub(super) scale: Option<u8>,
}

/// What was read of one answer.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) messages: Vec<Message>,
    /// one entry per statement that counted rows other than those it returned
    pub(super) affected: Vec<u64>,
    /// one entry per COLMETADATA
    pub(super) sets: Vec<Vec<Declared>>,
    pub(super) status: Option<i32>,
    /// a DONE token had its error bit set
    pub(super) failed: bool,
    /// the server acknowledged an attention
    pub(super) stopped: bool,
    /// the answer's last DONE token has passed, and the last packet with it
    pub(super) complete: bool,
    /// some of the answer could not be read
    pub(super) incomplete: bool,
}

#[derive(Default)]
struct State {
    record: Record,
    on_message: Option<OnMessage>,
    /// bytes of the answer that are not read yet
    pending: Vec<u8>,
    /// do not try again before that many are there
    retry_at: usize,
    columns: Option<ColMetaData>,
    /// a COLMETADATA came since the last DONE
    returned_rows: bool,
    /// the last token was a DONE that nothing follows
    final_done: bool,
    /// why it stopped reading
    blind: Option<String>,
}

/// One connection's tap.
#[derive(Default)]
pub(super) struct Tap(Mutex<State>);

impl Tap {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the record of the next answer.
    pub(super) fn begin(&self, on_message: Option<OnMessage>) {
        let mut state = self.lock();
        state.record = Record::default();
        state.on_message = on_message;
        state.pending.clear();
        state.retry_at = 0;
        state.columns = None;
        state.returned_rows = false;
        state.final_done = false;
    }

    /// The record of the answer so far; what comes later is put into a new one.
    pub(super) fn take(&self) -> Record {
        let mut state = self.lock();
        state.on_message = None;
        let mut record = std::mem::take(&mut state.record);
        record.incomplete |= state.blind.is_some();
        record
    }

    /// True once the server acknowledged an attention.
    pub(super) fn stopped(&self) -> bool {
        self.lock().record.stopped
    }

    /// Reads one packet from the server. True if it held the acknowledgement of an attention.
    pub(super) fn packet(&self, server: &str, header: &Header, body: &[u8]) -> bool {
        if header.kind != kind::RESPONSE {
            return false;
        }
        let mut state = self.lock();
        let seen = state.record.messages.len();
        let sighted = state.blind.is_none();
        state.read(body, header.last());
        if let Some(why) = state.blind.as_ref().filter(|_| sighted) {
            tracing::warn!(server, why, "messages of this connection may be incomplete from here on");
        }
        let news = state.record.messages.get(seen..).unwrap_or_default().to_vec();
        let on_message = state.on_message.clone();
        let stopped = state.record.stopped;
        drop(state);
        if let Some(on_message) = on_message {
            news.iter().for_each(|m| on_message(m));
        }
        stopped
    }
}

impl State {
    fn read(&mut self, body: &[u8], last: bool) {
        if self.blind.is_some() {
            self.record.complete = last;
            return;
        }
        self.pending.extend_from_slice(body);
        if last || self.pending.len() >= self.retry_at {
            self.tokens(last);
        }
        if last {
            self.record.complete = self.final_done || self.blind.is_some();
            self.columns = None;
            self.retry_at = 0;
            self.pending.clear();
        } else if self.pending.len() > LIMIT {
            self.give_up("a token is larger than 1 GiB".into());
        }
    }

    fn give_up(&mut self, why: String) {
        self.blind = Some(why);
        self.pending = Vec::new();
    }

    /// Reads as many tokens as are there.
    fn tokens(&mut self, last: bool) {
        let mut parser = TokenParser::new(self.pending.clone().into());
        loop {
            let ty = parser.peek_token_type();
            match parser.next_token_with_metadata(self.columns.as_ref()) {
                Ok(Some(token)) => self.token(token),
                Ok(None) => break,
                // an ENVCHANGE of a kind that the parser does not know still says how long it is
                Err(_) if ty == Some(TokenType::EnvChange) && parser.skip_token().is_ok() => {}
                Err(error) if last || ty.is_none() => return self.give_up(error.to_string()),
                // not all of it is there yet
                Err(_) => break,
            }
        }
        self.pending.drain(..parser.position());
        let left = self.pending.len();
        self.retry_at = if left < EAGER { 0 } else { left * 2 };
    }

    fn token(&mut self, token: Token) {
        self.final_done = match &token {
            Token::Done(d) => !d.status.more,
            Token::DoneProc(d) => !d.status.more,
            _ => false,
        };
        match token {
            Token::Error(ServerError { number, state, class, message, server, procedure, line })
            | Token::Info(ServerInfo { number, state, class, message, server, procedure, line }) => {
                self.record.messages.push(Message {
                    number,
                    severity: class,
                    state,
                    text: message,
                    server,
                    procedure,
                    line: u32::try_from(line).unwrap_or(0),
                });
            }
            Token::ColMetaData(columns) if !columns.is_empty() => {
                let declared = |c: &tds_protocol::token::ColumnData| Declared {
                    ty: c.type_id,
                    precision: c.type_info.precision,
                    scale: c.type_info.scale,
                };
                self.record.sets.push(columns.columns.iter().map(declared).collect());
                self.returned_rows = true;
                self.columns = Some(columns);
            }
            Token::Done(d) => self.done(d.status, d.cur_cmd, d.row_count),
            Token::DoneInProc(d) => self.done(d.status, d.cur_cmd, d.row_count),
            Token::DoneProc(d) => self.done(d.status, d.cur_cmd, d.row_count),
            Token::ReturnStatus(status) => self.record.status = Some(status),
            _ => {}
        }
    }

    fn done(&mut self, status: tds_protocol::token::DoneStatus, command: u16, rows: u64) {
        self.record.failed |= status.error || status.srverror;
        self.record.stopped |= status.attn;
        let returned = std::mem::take(&mut self.returned_rows);
        let is_select = if command == 0 { returned } else { command == SELECT };
        if status.count && !is_select {
            self.record.affected.push(rows);
        }
    }
}
