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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tls::status;

    const MORE: u16 = 0x01;
    const ERROR: u16 = 0x02;
    const COUNT: u16 = 0x10;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// INFO or ERROR (MS-TDS 2.2.7.13, 2.2.7.10).
    fn message(number: i32, severity: u8, text: &str) -> Vec<u8> {
        let mut body = number.to_le_bytes().to_vec();
        body.extend([7, severity]);
        body.extend(u16::try_from(text.encode_utf16().count()).unwrap().to_le_bytes());
        body.extend(utf16(text));
        body.push(3);
        body.extend(utf16("SQL"));
        body.push(4);
        body.extend(utf16("proc"));
        body.extend(9_i32.to_le_bytes());
        let mut token = vec![if severity > 10 { 0xAA } else { 0xAB }];
        token.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        token.extend(body);
        token
    }

    fn done(bits: u16, command: u16, rows: u64) -> Vec<u8> {
        let mut token = vec![0xFD];
        token.extend(bits.to_le_bytes());
        token.extend(command.to_le_bytes());
        token.extend(rows.to_le_bytes());
        token
    }

    /// COLMETADATA of one varbinary(max), and a row of that many bytes.
    fn blob(length: usize) -> Vec<u8> {
        let mut token = vec![0x81, 1, 0, 0, 0, 0, 0, 1, 0, 0xA5, 0xFF, 0xFF, 1];
        token.extend(utf16("b"));
        token.push(0xD1);
        token.extend(u64::try_from(length).unwrap().to_le_bytes());
        token.extend(u32::try_from(length).unwrap().to_le_bytes());
        token.extend(vec![5; length]);
        token.extend([0; 4]);
        token
    }

    /// Feeds an answer in packets of that many bytes; returns the numbers heard after each packet.
    fn feed(tap: &Tap, answer: &[u8], size: usize) -> Vec<usize> {
        let heard = Arc::new(Mutex::new(0));
        let count = Arc::clone(&heard);
        tap.begin(Some(Arc::new(move |_| *count.lock().unwrap() += 1)));
        let packets: Vec<_> = answer.chunks(size).collect();
        let mut progress = Vec::new();
        for (i, body) in packets.iter().enumerate() {
            let status = if i + 1 == packets.len() { status::END } else { 0 };
            let header = Header { kind: kind::RESPONSE, status, length: 0, spid: 51, packet_id: 0, window: 0 };
            tap.packet("backup", &header, body);
            progress.push(*heard.lock().unwrap());
        }
        progress
    }

    #[test]
    fn an_answer_is_read_alike_however_it_is_cut_into_packets() {
        let answer = [
            message(4035, 10, "Processed."),
            blob(3000),
            done(COUNT | MORE, SELECT, 1),
            done(COUNT | MORE, 0xC4, 17),
            message(4305, 16, "begins at LSN 42"),
            message(3013, 16, "terminating"),
            done(ERROR, 0, 0),
        ]
        .concat();
        for size in [1, 2, 7, 100, 4088, answer.len()] {
            let tap = Tap::default();
            feed(&tap, &answer, size);
            let record = tap.take();
            let numbers: Vec<_> = record.messages.iter().map(|m| (m.number, m.severity, m.state, m.line)).collect();
            assert_eq!(numbers, [(4035, 10, 7, 9), (4305, 16, 7, 9), (3013, 16, 7, 9)], "{size}");
            assert_eq!(record.messages[1].procedure, "proc");
            assert_eq!((record.affected, record.sets.len()), (vec![17], 1), "{size}");
            assert!(record.failed && record.complete && !record.incomplete, "{size}");
        }
    }

    #[test]
    fn messages_are_heard_with_the_packet_that_completes_them() {
        let first = message(3211, 10, "10 percent");
        let answer = [first.clone(), message(3211, 10, "20 percent"), done(0, 0, 0)].concat();
        let progress = feed(&Tap::default(), &answer, first.len());
        assert_eq!(progress, [1, 2, 2]);
    }

    #[test]
    fn an_environment_change_of_an_unknown_kind_is_passed_over() {
        let answer = [vec![0xE3, 3, 0, 99, 0, 0], message(4035, 10, "after"), done(0, 0, 0)].concat();
        let tap = Tap::default();
        feed(&tap, &answer, answer.len());
        let record = tap.take();
        assert_eq!((record.messages.len(), record.incomplete, record.complete), (1, false, true));
    }

    #[test]
    fn after_a_token_that_it_cannot_read_it_says_so_and_keeps_what_came_before() {
        let tap = Tap::default();
        feed(&tap, &[message(4035, 10, "before"), vec![0x02, 1, 2, 3]].concat(), 4088);
        let record = tap.take();
        assert_eq!((record.messages.len(), record.incomplete), (1, true));
        feed(&tap, &[message(4035, 10, "later"), done(0, 0, 0)].concat(), 4088);
        let record = tap.take();
        assert_eq!((record.messages.len(), record.incomplete, record.complete), (0, true, true));
    }

    #[test]
    fn an_answer_without_its_last_done_is_not_complete() {
        for answer in [message(4035, 10, "only"), [done(MORE, 0, 0), message(1, 10, "x")].concat(), done(MORE, 0, 0)] {
            let tap = Tap::default();
            feed(&tap, &answer, 4088);
            assert!(!tap.take().complete);
        }
    }
}
