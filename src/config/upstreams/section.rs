//! What all upstreams have in common. `[upstreams]`

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::SEPARATOR;

/// What all upstreams have in common. `[upstreams]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamsConfig {
    /// Files of MCP clients whose servers are served: JSON with `mcpServers` or `servers`, or TOML
    /// with `mcp_servers`. `--mcp-config` adds to them.
    pub files: Vec<PathBuf>,
    /// Whether tools and prompts of `/mcp` bear their server's name in front. Without it, the first
    /// server with a name has it.
    pub prefix_names: bool,
    /// What stands between a server's and a tool's name there.
    pub separator: String,
    /// How long the lists still show what a server had after it was lost.
    pub list_grace_ms: u64,
}

impl Default for UpstreamsConfig {
    /// A server that is back within a second was a blink: telling all clients to list again would
    /// cost more than it is worth.
    fn default() -> Self {
        Self {
            files: Vec::new(),
            prefix_names: true,
            separator: SEPARATOR.to_owned(),
            list_grace_ms: 1_000,
        }
    }
}

impl UpstreamsConfig {
    /// How long the lists still show what a server had after it was lost.
    pub fn list_grace(&self) -> Duration {
        Duration::from_millis(self.list_grace_ms)
    }
}
