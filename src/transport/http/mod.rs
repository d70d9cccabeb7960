//! Streamable HTTP: our own accept loop, warp's filters for the routes.

pub mod activity;
pub mod answer;
pub mod batch;
pub mod body;
pub mod connections;
pub mod cors;
pub mod descriptors;
pub mod endpoint;
pub mod guard;
pub mod legacy;
pub mod listener;
pub mod mcp;
pub mod modern;
pub mod open;
pub mod peer;
pub mod probes;
pub mod responder;
pub mod routes;
pub mod socket;
pub mod sse;
pub mod sse2024;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use connections::Connections;
pub use endpoint::Endpoint;
pub use socket::Socket;

/// A call that is silent for this long is answered by events: proxies see it live, and a client of
/// the session era that loses its connection can come back for the answer.
const SILENCE: Duration = Duration::from_secs(1);

/// The HTTP transport. `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where MCP is served. Loopback, as long as nothing else is said: it has no authentication.
    pub listen: SocketAddr,
    /// Open connections at once; more wait in the backlog.
    pub max_connections: usize,
    /// How long a request's head may take, and how long an idle connection is kept.
    pub header_timeout_ms: u64,
    /// How long a request's body may take.
    pub body_timeout_ms: u64,
    /// The largest body that is read.
    pub body_limit_bytes: usize,
    /// Room for the bodies of all requests together; past it they are refused.
    pub body_room_bytes: usize,
    /// Names in `Host` that are served, with or without port. Empty: loopback names on a loopback
    /// address, any name elsewhere.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call. Empty: loopback ones on a loopback address, else none.
    pub allowed_origins: Vec<String>,
    /// Serve HTTP+SSE of 2024-11-05, too, at `/sse` and `/messages`.
    pub legacy_sse: bool,
    /// Serve on a non-loopback address in production though nobody is asked who they are.
    pub allow_unauthenticated: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            max_connections: 10_000,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            // Base64 of a three-megabyte picture; larger things travel as resource links.
            body_limit_bytes: 4 * 1024 * 1024,
            body_room_bytes: 256 * 1024 * 1024,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            // Deprecated since 2025-03-26; clients that know nothing newer are rare.
            legacy_sse: false,
            allow_unauthenticated: false,
        }
    }
}

impl Config {
    /// How long a request's head may take.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// How long a request's body may take.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}

/// The listener for operators: metrics and probes, no MCP. `[metrics]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where metrics and probes are served.
    pub listen: SocketAddr,
}

impl Default for MetricsConfig {
    /// Loopback, like the other listener: metrics tell a lot about a node.
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 9100).into() }
    }
}
