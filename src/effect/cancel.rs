//! Ctrl-C: once finishes the effect in flight and stops, twice cuts it off. SIGTERM and a closed terminal are once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How often the operator asked to stop. Cheap to clone; the signal handler holds one, `perform` another.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    times: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

impl Cancel {
    /// Counts one request to stop; returns how many there were.
    pub fn request(&self) -> usize {
        let times = self.times.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.notify_waiters();
        times
    }

    /// Asks to stop once, however often it is said: whoever ends a session or shuts a machine down says so more than once,
    /// and does not mean to cut anything off. True if nobody had asked before.
    pub fn request_once(&self) -> bool {
        self.times.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// True from the first request on: nothing new is begun.
    pub fn requested(&self) -> bool {
        self.times.load(Ordering::SeqCst) > 0
    }

    /// True from the second request on: what is under way is cut off.
    pub fn forced(&self) -> bool {
        self.times.load(Ordering::SeqCst) > 1
    }

    /// Returns at the second request.
    pub async fn until_forced(&self) {
        loop {
            let changed = self.changed.notified();
            if self.forced() {
                return;
            }
            changed.await;
        }
    }
}
