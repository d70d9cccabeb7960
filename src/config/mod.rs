//! The configuration: a struct per module beside its code, composed and checked here.
//!
//! Order: defaults < file < environment < flags. All problems are told at once. This is the only
//! module that reads the environment.

mod bridge;
mod layers;
mod load;
mod rules;
mod sections;
pub mod upstreams;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bridge::Bridge;
pub use load::{Checked, Sources, environment};
pub use upstreams::{Difference, UpstreamsConfig};

use crate::catalogue::ServerName;
use crate::provider::upstream::UpstreamSpec;
use crate::secret::Secret;
use crate::transport::{control, http};
use crate::{admission, session, tasks, telemetry};

/// Whether mistakes may be costly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// On a developer's machine.
    Development,
    /// Serving others.
    Production,
}

/// The node itself. `[node]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The node's name in logs and probes.
    pub name: String,
    /// `development` or `production`.
    pub env: Environment,
    /// The node's shared secret, as Erlang's nodes have one; empty for none.
    pub cookie: Secret,
    /// Start in production with a cookie that everybody knows.
    pub allow_default_cookie: bool,
    /// Serve `demo`, in which every feature is alive.
    pub demo: bool,
}

impl Default for NodeConfig {
    /// A node that nobody configured is one that somebody tries out.
    fn default() -> Self {
        Self {
            name: "erlmcp".to_owned(),
            env: Environment::Development,
            cookie: Secret::default(),
            allow_default_cookie: false,
            demo: true,
        }
    }
}

/// Stopping. `[shutdown]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long the node goes on accepting after it stopped being ready, for load balancers that
    /// notice late.
    pub delay_ms: u64,
    /// How long requests in flight may then take to finish.
    pub drain_ms: u64,
}

impl Default for ShutdownConfig {
    /// No delay, as there is no load balancer by default; the drain fits into the ten seconds
    /// that Docker gives before it kills.
    fn default() -> Self {
        Self { delay_ms: 0, drain_ms: 8_000 }
    }
}

impl ShutdownConfig {
    /// How long the node goes on accepting.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// How long requests may take to finish.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The node itself.
    pub node: NodeConfig,
    /// The HTTP transport.
    pub http: http::Config,
    /// The operators' listener.
    pub metrics: http::MetricsConfig,
    /// The control socket.
    pub control: control::Config,
    /// Sessions.
    pub sessions: session::Config,
    /// Tasks.
    pub tasks: tasks::Config,
    /// Requests.
    pub requests: admission::Config,
    /// Stopping.
    pub shutdown: ShutdownConfig,
    /// The log.
    pub log: telemetry::log::Config,
    /// What all upstreams have in common.
    pub upstreams: UpstreamsConfig,
    /// The upstreams, everything expanded: `[mcp_servers.NAME]`, and the entries of clients' files.
    #[serde(skip)]
    pub mcp_servers: BTreeMap<ServerName, UpstreamSpec>,
}

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, variable or flag that has the key, where it is a server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The key's path, or what could not be read.
    pub key: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

impl Problem {
    fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { origin: None, key: key.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, what } = self;
        if let Some(origin) = origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{key}: {what}")
    }
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
