//! One answer as it is written: tokens gathered into packets, DONEs with the bits that clients rely on.

use std::time::Duration;

use tokio::sync::mpsc;

use super::link::Link;
use super::prepared::Given;
use super::requests::error;
use super::tokens::{self, Change, DoneKind, done};
use super::{Cell, Column, Parameter, Reply, ServerMessage, Turn, Type};
use crate::wire::tls::{Header, kind, packets};

/// The way out: tokens become packets, packets go to the task that owns the socket. Blocks when the client does not read.
#[derive(Debug)]
pub struct Outlet {
    sender: mpsc::Sender<Vec<u8>>,
    pub packet_size: usize,
    pub session: u16,
    packet_id: u8,
    buffer: Vec<u8>,
    /// the buffer's last token is a DONE without "more"
    ended: bool,
}

/// Packets that are sent at once, so that small rows do not cost a wake-up each.
const AT_ONCE: usize = 8;

impl Outlet {
    pub fn new(sender: mpsc::Sender<Vec<u8>>, packet_size: usize) -> Self {
        Self { sender, packet_size, session: 0, packet_id: 1, buffer: Vec::new(), ended: false }
    }

    /// Where tokens are written; call [`Outlet::spill`] after.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Sends what fills whole packets, and keeps at least one byte: the last packet of an answer must not be empty.
    pub fn spill(&mut self, link: &Link) {
        let body = self.packet_size - Header::SIZE;
        if self.buffer.len() > body * AT_ONCE {
            let keep = (self.buffer.len() - 1) % body + 1;
            let rest = self.buffer.split_off(self.buffer.len() - keep);
            self.send(link, false);
            self.buffer = rest;
        }
    }

    /// Sends all of it; `end` ends the answer.
    pub fn send(&mut self, link: &Link, end: bool) {
        if self.buffer.is_empty() && !end {
            return;
        }
        let message = std::mem::take(&mut self.buffer);
        if link.gone() {
            return;
        }
        let bytes = packets(kind::RESPONSE, self.session, self.packet_size, &message, end, &mut self.packet_id);
        if end {
            self.packet_id = 1;
        }
        if self.sender.blocking_send(bytes).is_err() {
            link.set_gone();
        }
    }
}

/// A connection's transactions, as their descriptors are numbered.
#[derive(Debug, Default)]
pub struct Transactions {
    begun: u64,
    /// the open one's descriptor
    pub open: Option<u64>,
}

impl Transactions {
    /// Writes the ENVCHANGE of a transaction that was opened or ended.
    pub fn turn(&mut self, out: &mut Vec<u8>, turn: Turn) {
        let change = match turn {
            Turn::Began => {
                self.begun += 1;
                self.open = Some(self.begun);
                return tokens::write_change_bytes(out, Change::Began, &self.begun.to_le_bytes(), &[]);
            }
            Turn::Committed => Change::Committed,
            Turn::RolledBack => Change::RolledBack,
        };
        let descriptor = self.open.take().unwrap_or_default();
        tokens::write_change_bytes(out, change, &[], &descriptor.to_le_bytes());
    }
}

/// The answer to one batch, or to one call of an RPC message.
pub struct Answer<'a> {
    outlet: &'a mut Outlet,
    link: &'a Link,
    transactions: &'a mut Transactions,
    server: &'a str,
    /// TDS 7.3 and later know NBCROW
    compressed: bool,
    /// a call of an RPC message: DONEINPROC and a return status instead of DONE
    procedure: bool,
    given: &'a [Given],
    /// columns that the client has already; the first set that has them comes without
    known: &'a [Column],
    /// the DONE that waits to know whether it is the last: status and count
    pending: Option<(u16, u64)>,
    types: Vec<Type>,
    /// rows came since the last DONE
    selected: bool,
    /// an error came since the last DONE
    failed: bool,
    status: Option<i32>,
    outputs: Vec<Parameter>,
    errors: Vec<i32>,
    severest: u8,
    cut: bool,
}

/// DONE's command for SELECT (MS-TDS leaves the values to the server).
const SELECT: u16 = 0xC1;

/// From here on SQL Server ends the connection after the message.
const FATAL: u8 = 20;

impl<'a> Answer<'a> {
    pub fn new(outlet: &'a mut Outlet, link: &'a Link, transactions: &'a mut Transactions, server: &'a str, compressed: bool) -> Self {
        Self {
            outlet,
            link,
            transactions,
            server,
            compressed,
            procedure: false,
            given: &[],
            known: &[],
            pending: None,
            types: Vec::new(),
            selected: false,
            failed: false,
            status: None,
            outputs: Vec::new(),
            errors: Vec::new(),
            severest: 0,
            cut: false,
        }
    }

    /// The same for a procedure call.
    pub fn for_call(mut self, given: &'a [Given], known: &'a [Column]) -> Self {
        self.procedure = true;
        self.given = given;
        self.known = known;
        self
    }

    /// Whether tokens still go out: after an attention only its acknowledgement does.
    fn open(&self) -> bool {
        !self.cut && !self.link.cancelled()
    }

    fn settle(&mut self, more: u16) {
        if let Some((status, count)) = self.pending.take() {
            let kind = if self.procedure { DoneKind::InProcedure } else { DoneKind::Done };
            let command = if std::mem::take(&mut self.selected) { SELECT } else { 0 };
            tokens::write_done(self.outlet.buffer(), kind, status | more, command, count);
        }
    }

    /// Ends a batch's tokens or a call's; `more`: another call of the same message follows. Returns the errors in order,
    /// and whether the connection ends with them.
    pub fn end(mut self, more: bool) -> (Vec<i32>, bool) {
        if self.failed {
            self.done(None);
        }
        if !self.open() {
            return (self.errors, self.severest >= FATAL || self.cut);
        }
        self.outlet.ended = !more;
        if !self.procedure {
            if self.pending.is_none() {
                self.pending = Some((0, 0));
            }
            self.settle(0);
        } else {
            self.settle(done::MORE);
            let failed = !self.errors.is_empty();
            let status = self.status.unwrap_or(self.own_status());
            tokens::write_status(self.outlet.buffer(), status);
            let mut left: Vec<&Given> = self.given.iter().filter(|given| given.output).collect();
            for parameter in std::mem::take(&mut self.outputs) {
                // several may have no name: they come in their order
                let at = left.iter().position(|given| given.name.eq_ignore_ascii_case(&parameter.name));
                let given = at.map(|at| left.remove(at));
                let (ordinal, name) = given.map_or((0, parameter.name.as_str()), |g| (g.ordinal, g.as_sent.as_str()));
                if tokens::write_output(self.outlet.buffer(), ordinal, name, &parameter).is_err() {
                    tracing::error!(parameter = parameter.name, "an output value does not fit its type");
                }
            }
            let status = if failed { done::ERROR } else { 0 } | if more { done::MORE } else { 0 };
            tokens::write_done(self.outlet.buffer(), DoneKind::Procedure, status, 0, 0);
        }
        (self.errors, self.severest >= FATAL || self.cut)
    }

    /// What a procedure returns that says nothing: 0, or the severity it failed with below -10.
    fn own_status(&self) -> i32 {
        match self.severest {
            0..=10 => 0,
            severity => 10 - i32::from(severity),
        }
    }
}

/// Ends a message but for sending its last packet: acknowledges the attentions that came for it, in it. Returns their records.
pub fn acknowledge(outlet: &mut Outlet, link: &Link) -> Vec<u64> {
    let attentions = link.finish();
    let ended = std::mem::take(&mut outlet.ended);
    for (i, _) in attentions.iter().enumerate() {
        if i > 0 {
            outlet.send(link, true);
        } else if ended {
            // it came too late to stop anything: one more token follows after all
            let status = outlet.buffer.len().saturating_sub(tokens::DONE_SIZE - 1);
            if let Some(low) = outlet.buffer.get_mut(status) {
                *low |= done::MORE.to_le_bytes()[0];
            }
        }
        tokens::write_done(outlet.buffer(), DoneKind::Done, done::ATTENTION, 0, 0);
    }
    attentions
}

impl Reply for Answer<'_> {
    fn columns(&mut self, columns: &[Column]) {
        self.types = columns.iter().map(|column| column.ty).collect();
        if self.open() {
            self.settle(done::MORE);
            match std::mem::take(&mut self.known) {
                known if !known.is_empty() && known == columns => tokens::write_known_columns(self.outlet.buffer()),
                _ => tokens::write_columns(self.outlet.buffer(), columns),
            }
            self.selected = true;
            self.outlet.spill(self.link);
        }
    }

    fn row(&mut self, cells: &[Cell]) {
        if !self.open() {
            return;
        }
        self.settle(done::MORE);
        if tokens::write_row(self.outlet.buffer(), &self.types, cells, self.compressed).is_err() {
            tracing::error!(?cells, types = ?self.types, "a row does not fit its columns");
            self.message(error(8114, 16, 5, "Error converting data type of a value to its column's."));
        }
        self.outlet.spill(self.link);
    }

    fn message(&mut self, message: ServerMessage) {
        if message.severity > 10 {
            self.errors.push(message.number);
            self.failed = true;
            self.severest = self.severest.max(message.severity);
        }
        if self.open() {
            self.settle(done::MORE);
            tokens::write_message(self.outlet.buffer(), &message, self.server);
            self.outlet.spill(self.link);
        }
    }

    fn done(&mut self, count: Option<u64>) {
        let failed = std::mem::take(&mut self.failed);
        if !self.open() {
            return;
        }
        self.settle(done::MORE);
        self.pending = Some(match count {
            _ if failed => (done::ERROR, 0),
            Some(count) => (done::COUNT, count),
            None => (0, 0),
        });
    }

    fn database(&mut self, old: &str, new: &str) {
        if self.open() {
            self.settle(done::MORE);
            tokens::write_change_text(self.outlet.buffer(), Change::Database, new, old);
        }
    }

    fn transaction(&mut self, turn: Turn) {
        // it happened, whether or not the client still listens
        let mut unsent = Vec::new();
        let open = self.open();
        if open {
            self.settle(done::MORE);
        }
        let out = if open { self.outlet.buffer() } else { &mut unsent };
        self.transactions.turn(out, turn);
    }

    fn status(&mut self, status: i32) {
        self.status = Some(status);
        if !self.procedure && self.open() {
            self.settle(done::MORE);
            tokens::write_status(self.outlet.buffer(), status);
        }
    }

    fn output(&mut self, parameter: &Parameter) {
        self.outputs.push(parameter.clone());
    }

    fn flush(&mut self) {
        if self.open() {
            self.outlet.send(self.link, false);
        }
    }

    fn cancelled(&self) -> bool {
        self.link.cancelled()
    }

    fn disconnected(&self) -> bool {
        self.link.gone()
    }

    fn wait(&mut self, time: Duration) -> bool {
        self.link.wait(time)
    }

    fn cut(&mut self) {
        self.cut = true;
        self.link.close();
    }
}
