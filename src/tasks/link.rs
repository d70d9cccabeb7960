//! The client as the work inside a task sees it: questions become the task's, and wait there for
//! whoever brings the answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::record::Record;
use super::wire::related_notification;
use crate::protocol::notification::Outgoing;
use crate::protocol::{Ask, AskError, Era, Level, Revision};
use crate::provider::ClientLink;

/// The link. Only the work and what it hands out hold it.
pub(super) struct TaskLink {
    record: Arc<Record>,
    /// Where log messages and progress go. Not the task's: it must not keep a client's connection
    /// open, and outlives many.
    client: Option<Weak<dyn ClientLink>>,
    ask_timeout: Duration,
}

impl TaskLink {
    pub(super) fn new(
        record: Arc<Record>,
        revision: Revision,
        client: Option<Weak<dyn ClientLink>>,
        ask_timeout: Duration,
    ) -> Self {
        // Since 2026-07-28 tasks have neither log messages nor progress.
        let client = client.filter(|_| revision.era() == Era::Legacy);
        Self { record, client, ask_timeout }
    }

    fn client(&self) -> Option<Arc<dyn ClientLink>> {
        // Progress stops when the task ends.
        if self.record.ended.is_cancelled() { None } else { self.client.as_ref()?.upgrade() }
    }
}

impl ClientLink for TaskLink {
    fn notify(&self, notification: &Outgoing) {
        if let Some(client) = self.client()
            && let Ok(related) = related_notification(notification, self.record.id.as_str())
        {
            client.notify(&related);
        }
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        let (record, limit) = (self.record.clone(), self.ask_timeout);
        Box::pin(async move {
            let (key, answer) = record.ask(ask)?;
            // Also where this future is dropped: nobody waits for the answer then.
            let _open = Open { record, key };
            match timeout(limit, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_ended)) => Err(AskError::Gone),
                Err(_elapsed) => Err(AskError::TimedOut),
            }
        })
    }

    fn log_level(&self) -> Option<Level> {
        self.client()?.log_level()
    }

    fn can_wait(&self) -> bool {
        true
    }
}

/// A question that is taken back when nobody waits for its answer any more.
struct Open {
    record: Arc<Record>,
    key: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record.withdraw(&self.key);
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
