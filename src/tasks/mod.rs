//! Tasks: calls whose client doesn't wait for the answer, in both eras. In 2025-11-25 the client
//! asks for them (`params.task`), since 2026-07-28 the node makes them for clients that know the
//! extension `io.modelcontextprotocol/tasks`.
//!
//! The record of each task lives in a table above the actors, so a task outlives whatever crashes
//! under it; the work on it is a child of the dynamic supervisor `tasks`. A task whose work dies
//! is not run again: it ends `failed`, and its client is told why.

pub mod choice;
mod clock;
pub mod expiry;
pub mod front;
mod link;
pub mod machine;
mod record;
mod retrieval;
mod table;
pub mod wire;
pub mod work;
#[cfg(test)]
mod world_tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use choice::{Choice, check_extension, choose};
pub use front::{NewTask, Tasks};
pub use record::{Owner, TaskChange, TaskId};
pub use work::{Inside, TaskSupervisor, Work};

/// Tasks. `[tasks]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Tasks that are kept at once, running or ended.
    pub max: usize,
    /// Tasks of one owner at once, so that none can use up the node.
    pub max_per_owner: usize,
    /// How long a task is kept, from its creation on, where its client doesn't say.
    pub default_ttl_ms: u64,
    /// How long one is kept at most, whatever its client says.
    pub max_ttl_ms: u64,
    /// How often clients are told to look.
    pub poll_interval_ms: u64,
    /// How long the work of a task may take, the waiting for answers included.
    pub timeout_ms: u64,
    /// How long a task waits for the answer to a question.
    pub ask_timeout_ms: u64,
}

impl Default for Config {
    /// Work of half an hour fits, and its client has as long again to fetch the result; a result
    /// that nobody fetched for a day is waste. People answer questions within minutes. A look per
    /// second costs little, and is soon enough for a person who waits.
    fn default() -> Self {
        Self {
            max: 10_000,
            max_per_owner: 1_000,
            default_ttl_ms: 3_600_000,
            max_ttl_ms: 86_400_000,
            poll_interval_ms: 1_000,
            timeout_ms: 1_800_000,
            ask_timeout_ms: 600_000,
        }
    }
}

impl Config {
    /// How long a task is kept whose client wants `wished`, in milliseconds: within the bounds,
    /// and long enough for its client to look twice.
    fn ttl_ms(&self, wished: Option<u64>) -> u64 {
        let least = self.poll_interval_ms.saturating_mul(2);
        wished.unwrap_or(self.default_ttl_ms).max(least).min(self.max_ttl_ms)
    }

    /// How long the work of a task may take that is kept for `ttl_ms`.
    fn time_limit(&self, ttl_ms: u64) -> Duration {
        Duration::from_millis(self.timeout_ms.min(ttl_ms))
    }

    /// How long a task waits for an answer.
    fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_granted_within_bounds() {
        let config = Config::default();
        for (wished, granted) in [
            (None, config.default_ttl_ms),
            (Some(0), 2 * config.poll_interval_ms),
            (Some(60_000), 60_000),
            (Some(u64::MAX), config.max_ttl_ms),
        ] {
            assert_eq!(config.ttl_ms(wished), granted, "{wished:?}");
        }
        assert_eq!(config.time_limit(60_000), Duration::from_secs(60));
        assert_eq!(config.time_limit(config.max_ttl_ms), Duration::from_millis(config.timeout_ms));
    }
}
