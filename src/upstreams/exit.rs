//! How an instance ended, precisely.

use std::fmt;
use std::time::Duration;

use super::machine::End;
use crate::provider::upstream::{Closing, OpenError, wire};

/// The end of one instance.
#[derive(Debug, Clone)]
pub struct Exit {
    /// What it counts as.
    pub(super) end: End,
    /// Its class, a label.
    pub(super) reason: &'static str,
    /// Why, with its exit status, in one sentence.
    pub(super) cause: String,
    /// Whether it can't be trusted to stop in order.
    pub(super) kills: bool,
    /// How long it lived.
    pub(super) uptime: Duration,
}

impl Exit {
    fn new(end: End, reason: &'static str, cause: impl Into<String>) -> Self {
        Self { end, reason, cause: cause.into(), kills: false, uptime: Duration::ZERO }
    }

    fn killed(self) -> Self {
        Self { kills: true, ..self }
    }

    /// It was told to stop.
    pub(super) fn told() -> Self {
        Self::new(End::Finished, "told", "it was told to stop")
    }

    /// Its wire ended.
    pub(super) fn of(closing: &Closing) -> Self {
        let (end, reason) = match closing.why {
            wire::Why::Told | wire::Why::Finished => (End::Finished, "finished"),
            wire::Why::Crashed => (End::Crashed, "crashed"),
            wire::Why::SessionLost => (End::SessionLost, "session_lost"),
            wire::Why::Garbled => (End::Crashed, "garbled"),
        };
        Self::new(end, reason, closing.cause.clone())
    }

    /// It could not be started.
    pub(super) fn unstarted(cause: String) -> Self {
        Self::new(End::Crashed, "unstarted", cause)
    }

    /// It did not do its part of the handshake.
    pub(super) fn unopened(error: &OpenError) -> Self {
        Self::new(End::Crashed, "handshake", error.to_string()).killed()
    }

    /// It did not say what it offers.
    pub(super) fn unlisted(error: &dyn fmt::Display) -> Self {
        let cause = format!("it did not say what it offers: {error}");
        Self::new(End::Crashed, "unlisted", cause).killed()
    }

    /// It took too long to start.
    pub(super) fn slow(limit: Duration) -> Self {
        let cause = format!(
            "it was not ready within {limit:?}; where it needs longer, raise its start_timeout_ms"
        );
        Self::new(End::Crashed, "slow", cause).killed()
    }

    /// It says nothing any more.
    pub(super) fn hung(silent: Duration) -> Self {
        let cause = format!("it hangs: it has said nothing for {} s", silent.as_secs());
        Self::new(End::Crashed, "hung", cause).killed()
    }

    /// It can't be reached any more.
    pub(super) fn unreachable(why: &str) -> Self {
        Self::new(End::Crashed, "unreachable", format!("it can't be reached: {why}")).killed()
    }

    /// Its own supervision panicked.
    pub(super) fn panicked() -> Self {
        Self::new(End::Crashed, "panicked", "the node's own code for it panicked").killed()
    }
}
