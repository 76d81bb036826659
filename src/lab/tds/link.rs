//! What a connection's two halves share: the task that reads the socket and the thread that runs the session.
//!
//! An attention belongs to the request it was sent after, whether that runs, waits, or is answered already; each is
//! acknowledged exactly once. All of that is decided under one lock, here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::tls::Message;

/// What waits for the session's thread, in the order it came. Attentions are record numbers of the engine's.
#[derive(Debug)]
pub enum Item {
    Message {
        message: Message,
        attentions: Vec<u64>,
    },
    /// an attention with nothing to cancel
    Attention(u64),
    /// a request that the client took back while sending it
    TakenBack,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    /// of the messages in it
    bytes: usize,
    /// a request is being answered
    busy: bool,
    /// those that came for it
    attentions: Vec<u64>,
    /// the client is gone, or the server closed the connection
    gone: bool,
}

/// One connection's shared state.
#[derive(Debug, Default)]
pub struct Link {
    state: Mutex<State>,
    woken: Condvar,
    closing: tokio::sync::Notify,
    session: AtomicU16,
}

/// More unanswered requests than any client sends: the protocol is one question, one answer.
const QUEUE: usize = 64;
/// And no more bytes than one message may have.
const QUEUED_BYTES: usize = super::server::MESSAGE_LIMIT;

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Message { message, .. } => message.body.len(),
            Self::Attention(_) | Self::TakenBack => 0,
        }
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's id, 0 before login.
    pub fn session(&self) -> u16 {
        self.session.load(Ordering::Relaxed)
    }

    pub fn set_session(&self, id: u16) {
        self.session.store(id, Ordering::Relaxed);
    }

    /// Queues a request; false if the client must be out of its mind.
    pub fn push(&self, item: Item) -> bool {
        let mut state = self.state();
        state.bytes += item.bytes();
        state.queue.push_back(item);
        self.woken.notify_all();
        state.queue.len() <= QUEUE && state.bytes <= QUEUED_BYTES
    }

    /// Takes in an attention.
    pub fn attention(&self, record: u64) -> bool {
        let mut state = self.state();
        let busy = state.busy;
        match state.queue.back_mut() {
            Some(Item::Message { attentions, .. }) => attentions.push(record),
            None if busy => state.attentions.push(record),
            _ => state.queue.push_back(Item::Attention(record)),
        }
        self.woken.notify_all();
        state.queue.len() <= QUEUE
    }

    /// The socket is gone; what was queued is still carried out, as a server does that has read it already.
    pub fn set_gone(&self) {
        self.state().gone = true;
        self.woken.notify_all();
    }

    /// Closes the connection at once, from this side.
    pub fn close(&self) {
        let mut state = self.state();
        state.gone = true;
        state.queue.clear();
        state.bytes = 0;
        self.woken.notify_all();
        self.closing.notify_one();
    }

    /// Completes once [`Link::close`] was called.
    pub async fn closed(&self) {
        self.closing.notified().await;
    }

    /// The next thing to do; `None` once the client is gone and nothing waits. A message makes the connection busy.
    pub fn next(&self) -> Option<Item> {
        self.next_within(Duration::MAX)
    }

    /// As [`Link::next`]; `None` also when nothing came for so long.
    pub fn next_within(&self, time: Duration) -> Option<Item> {
        let until = Instant::now().checked_add(time);
        let mut state = self.state();
        loop {
            if let Some(mut item) = state.queue.pop_front() {
                state.bytes -= item.bytes();
                if let Item::Message { attentions, .. } = &mut item {
                    state.busy = true;
                    state.attentions = std::mem::take(attentions);
                }
                return Some(item);
            }
            if state.gone {
                return None;
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.woken.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => self.woken.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Ends the running request and takes the attentions that came for it; later ones find the connection idle.
    pub fn finish(&self) -> Vec<u64> {
        let mut state = self.state();
        state.busy = false;
        std::mem::take(&mut state.attentions)
    }

    pub fn cancelled(&self) -> bool {
        let state = self.state();
        state.gone || !state.attentions.is_empty()
    }

    pub fn gone(&self) -> bool {
        self.state().gone
    }

    /// Sleeps until cancelled, at most `time`; true if cancelled.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        let mut state = self.state();
        loop {
            if state.gone || !state.attentions.is_empty() {
                return true;
            }
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            };
            if left.is_zero() {
                return false;
            }
            let left = left.min(Duration::from_secs(3600));
            state = self.woken.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
