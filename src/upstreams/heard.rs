//! When an instance last said anything at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::Incoming;
use crate::provider::upstream::{Failure, Inbox};

/// The time of an instance's last message. Clones share it.
#[derive(Clone)]
pub(super) struct Heard {
    born: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for Heard {
    fn default() -> Self {
        Self { born: Instant::now(), last_ms: Arc::default() }
    }
}

impl Heard {
    /// When that was.
    pub(super) fn last(&self) -> Instant {
        self.born + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// It was now.
    pub(super) fn note(&self) {
        let ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// An inbox that notes each message on its way.
    pub(super) fn listen_to(&self, inbox: Arc<dyn Inbox>) -> Arc<dyn Inbox> {
        Arc::new(Ear { heard: self.clone(), inbox })
    }
}

struct Ear {
    heard: Heard,
    inbox: Arc<dyn Inbox>,
}

impl Inbox for Ear {
    fn message(&self, message: Incoming, of: Option<u64>) {
        self.heard.note();
        self.inbox.message(message, of);
    }

    fn failed(&self, id: u64, failure: Failure) {
        self.inbox.failed(id, failure);
    }
}
