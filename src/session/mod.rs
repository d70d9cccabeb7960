//! Sessions of legacy clients, and the work on one request, which modern clients share.

pub mod actor;
pub mod expiry;
pub mod front;
pub mod machine;
pub mod table;
pub mod work;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use front::{SessionSupervisor, Sessions};
pub use table::{Record, SessionId, Table};
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
    /// How long a request waits for a session that is being restarted.
    pub restart_wait_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { max: 100_000, idle_timeout_s: 86_400, restart_wait_ms: 5_000 }
    }
}

impl Config {
    /// How long a session may be silent.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }

    /// How long a request waits for a restart.
    pub fn restart_wait(&self) -> Duration {
        Duration::from_millis(self.restart_wait_ms)
    }
}
