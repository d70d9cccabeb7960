//! Sessions of legacy clients, and the work on one request, which modern clients share.

pub mod actor;
pub mod bulletin;
pub mod events;
pub mod exchange;
pub mod expiry;
pub mod front;
pub mod link;
pub mod listen;
pub mod machine;
pub mod modern;
pub mod rounds;
pub mod seal;
pub mod shelf;
pub mod streams;
pub mod table;
pub mod work;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use front::{SessionSupervisor, Sessions};
pub use table::{Record, SessionId, Table, Transport};
pub use work::{Planned, Work};

/// Sessions. `[sessions]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Open sessions at once. Clients rarely end theirs, so without a bound they only add up.
    pub max: usize,
    /// How long a session may be silent. Clients keep an agent's session over lunch and over
    /// night; what ends it early strands them.
    pub idle_timeout_s: u64,
    /// How long a session must have been silent to make room for a new one, once there are `max`.
    pub yield_after_s: u64,
    /// How long a request waits for a session that is being restarted.
    pub restart_wait_ms: u64,
    /// Events that one session keeps for a client that lost its stream.
    pub kept_events: usize,
    /// Bytes of such events; one event may be larger.
    pub kept_bytes: usize,
    /// Bytes of such events of all sessions together; past it, each keeps 64 KiB.
    pub kept_total_bytes: usize,
    /// How long the events of an answered request are kept.
    pub kept_s: u64,
    /// How long a client may take to answer a question, as when its person has to.
    pub ask_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max: 100_000,
            idle_timeout_s: 86_400,
            // Nobody waits for a session that long between two calls of one task; and to fill the
            // table within it takes more than a few clients that leave their sessions.
            yield_after_s: 60,
            restart_wait_ms: 5_000,
            kept_events: 256,
            kept_bytes: 1024 * 1024,
            kept_total_bytes: 256 * 1024 * 1024,
            kept_s: 300,
            ask_timeout_ms: 300_000,
        }
    }
}

impl Config {
    /// How long a session may be silent.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }

    /// How long a session must have been silent to make room.
    pub fn yield_after(&self) -> Duration {
        Duration::from_secs(self.yield_after_s)
    }

    /// How long a client may take to answer a question.
    pub fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms)
    }

    /// How much of its streams a session keeps.
    pub fn kept(&self) -> events::Limits {
        let age_ms = self.kept_s.saturating_mul(1_000);
        events::Limits { events: self.kept_events, bytes: self.kept_bytes, age_ms }
    }

    /// How long a request waits for a restart.
    pub fn restart_wait(&self) -> Duration {
        Duration::from_millis(self.restart_wait_ms)
    }
}
