//! The servers that are measured.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use serde::Serialize;

use crate::messages::Era;
use crate::peers::Peer;
use crate::system::on_server_core;

/// A server, and how it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// This node; it logs warnings only.
    Erlmcp,
    /// This node as it comes: one log line per request, into a file.
    ErlmcpLogging,
    /// A handler of a few lines on warp, without sessions.
    Warp,
    /// A server of the official Rust SDK.
    Rmcp,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Erlmcp, Self::ErlmcpLogging, Self::Warp, Self::Rmcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Erlmcp => "erlmcp",
            Self::ErlmcpLogging => "erlmcp-logging",
            Self::Warp => "warp",
            Self::Rmcp => "rmcp",
        }
    }

    /// How its tool that gives a text back is called.
    pub(crate) fn echo(self) -> &'static str {
        match self {
            Self::Erlmcp | Self::ErlmcpLogging => "demo__echo",
            Self::Warp | Self::Rmcp => "echo",
        }
    }

    /// Whether a client has to open a session first.
    pub(crate) fn has_sessions(self, era: Era) -> bool {
        era == Era::Legacy && self != Self::Warp
    }

    /// Whether its sessions are measured; the log of requests has nothing to do with them.
    pub(crate) fn holds_sessions(self) -> bool {
        matches!(self, Self::Erlmcp | Self::Rmcp)
    }

    /// What starts it on a free port; it tells the address in a line with `http=` on stderr.
    pub(crate) fn command(self, erlmcp: &Path, max_connections: usize) -> std::io::Result<Command> {
        let peer = match self {
            Self::Erlmcp | Self::ErlmcpLogging => {
                let mut command = on_server_core(erlmcp);
                command.arg("start").env_remove("ERLMCP_CONFIG");
                let keys = ["http.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0"];
                // Nobody operates it, and another node may run beside it.
                for key in keys.into_iter().chain(["control.socket="]) {
                    command.args(["--set", key]);
                }
                command.args(["--set", &format!("http.max_connections={max_connections}")]);
                if self == Self::Erlmcp {
                    // But for the one line that tells the address.
                    command.args(["--set", "log.level=warn,erlmcp::node=info"]);
                }
                return Ok(command);
            }
            Self::Warp => Peer::Warp,
            Self::Rmcp => Peer::Rmcp,
        };
        let mut command = on_server_core(&std::env::current_exe()?);
        command.args(["--serve", peer.name()]);
        Ok(command)
    }
}
