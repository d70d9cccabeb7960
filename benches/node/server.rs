//! The servers that are measured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, io};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

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
    /// The same over standard input and output, with nothing before it.
    RmcpPipe,
    /// This node before a server of the official Rust SDK over standard input and output.
    ErlmcpToPipe,
    /// supergateway before the same server, with sessions.
    Supergateway,
    /// mcp-proxy before the same server.
    McpProxy,
    /// This node before the server of the official Rust SDK over HTTP.
    ErlmcpToHttp,
}

/// Where a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At an address that it tells on stderr.
    Told,
    /// Where it was told to be.
    At(SocketAddr),
    /// At its standard input and output.
    Pipe,
}

/// Where programs are.
pub(crate) struct Programs {
    /// The node.
    pub(crate) erlmcp: PathBuf,
    /// The folder of supergateway and mcp-proxy, where they are installed.
    pub(crate) bridges: Option<PathBuf>,
}

impl Kind {
    /// Servers that answer by themselves.
    pub(crate) const PLAIN: [Self; 4] = [Self::Erlmcp, Self::ErlmcpLogging, Self::Warp, Self::Rmcp];
    /// One server over pipes and over HTTP, and what stands before it.
    pub(crate) const CHAINS: [Self; 6] = [
        Self::RmcpPipe,
        Self::ErlmcpToPipe,
        Self::Supergateway,
        Self::McpProxy,
        Self::Rmcp,
        Self::ErlmcpToHttp,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Erlmcp => "erlmcp",
            Self::ErlmcpLogging => "erlmcp-logging",
            Self::Warp => "warp",
            Self::Rmcp => "rmcp",
            Self::RmcpPipe => "rmcp-pipe",
            Self::ErlmcpToPipe => "erlmcp-to-pipe",
            Self::Supergateway => "supergateway",
            Self::McpProxy => "mcp-proxy",
            Self::ErlmcpToHttp => "erlmcp-to-http",
        }
    }

    /// How its tool that gives a text back is called.
    pub(crate) fn echo(self) -> &'static str {
        match self {
            Self::Erlmcp | Self::ErlmcpLogging => "demo__echo",
            Self::ErlmcpToPipe | Self::ErlmcpToHttp => "peer__echo",
            _ => "echo",
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

    /// Whether it knows requests without a session.
    pub(crate) fn speaks_modern(self) -> bool {
        !matches!(self, Self::Supergateway | Self::McpProxy)
    }

    /// The server that stands behind it as a process of its own that it did not start.
    pub(crate) fn behind(self) -> Option<Self> {
        (self == Self::ErlmcpToHttp).then_some(Self::Rmcp)
    }

    /// What answers without anything before it, if that is something else.
    pub(crate) fn direct(self) -> Option<Self> {
        match self {
            Self::ErlmcpToPipe | Self::Supergateway | Self::McpProxy => Some(Self::RmcpPipe),
            other => other.behind(),
        }
    }

    /// Whether it can't be started.
    pub(crate) fn is_missing(self, programs: &Programs) -> bool {
        matches!(self, Self::Supergateway | Self::McpProxy) && programs.bridges.is_none()
    }
}

/// What starts a server.
pub(crate) struct Start<'a> {
    pub(crate) kind: Kind,
    pub(crate) programs: &'a Programs,
    /// For at most so many connections.
    pub(crate) max_connections: usize,
    /// Where the server is that stands behind it.
    pub(crate) behind: Option<SocketAddr>,
    /// A file that it may have.
    pub(crate) file: PathBuf,
}

impl Start<'_> {
    /// The command, and where the server will be reached.
    ///
    /// # Errors
    /// Where its file can't be written, or there is no free port.
    pub(crate) fn command(&self) -> io::Result<(Command, Place)> {
        let peer = |peer: Peer| -> io::Result<Command> {
            let mut command = on_server_core(&std::env::current_exe()?);
            command.args(["--serve", peer.name()]);
            Ok(command)
        };
        match self.kind {
            Kind::Erlmcp | Kind::ErlmcpLogging => Ok((self.node(), Place::Told)),
            Kind::ErlmcpToPipe | Kind::ErlmcpToHttp => Ok((self.node_before()?, Place::Told)),
            Kind::Warp => Ok((peer(Peer::Warp)?, Place::Told)),
            Kind::Rmcp => Ok((peer(Peer::Rmcp)?, Place::Told)),
            Kind::RmcpPipe => Ok((peer(Peer::RmcpPipe)?, Place::Pipe)),
            Kind::Supergateway | Kind::McpProxy => self.bridge(),
        }
    }

    fn node(&self) -> Command {
        let mut command = on_server_core(&self.programs.erlmcp);
        command.arg("start").env_remove("ERLMCP_CONFIG");
        let keys = ["http.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0"];
        // Nobody operates it, and another node may run beside it.
        for key in keys.into_iter().chain(["control.socket="]) {
            command.args(["--set", key]);
        }
        command.args(["--set", &format!("http.max_connections={}", self.max_connections)]);
        if self.kind != Kind::ErlmcpLogging {
            // But for the one line that tells the address.
            command.args(["--set", "log.level=warn,erlmcp::node=info"]);
        }
        command
    }

    /// A node with one server behind it, told by a file as clients have it.
    fn node_before(&self) -> io::Result<Command> {
        let server = match self.behind {
            Some(address) => json!({ "type": "http", "url": format!("http://{address}/mcp") }),
            None => {
                let [program, arguments @ ..] = peer_command()?;
                json!({ "command": program, "args": arguments })
            }
        };
        fs::write(&self.file, json!({ "mcpServers": { "peer": server } }).to_string())?;
        let mut command = self.node();
        command.arg("--mcp-config").arg(&self.file);
        Ok(command)
    }

    fn bridge(&self) -> io::Result<(Command, Place)> {
        let missing = || io::Error::other(format!("{} is not installed", self.kind.name()));
        let folder = self.programs.bridges.as_ref().ok_or_else(missing)?;
        // Neither finds a free port by itself.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let port = address.port().to_string();
        let server = peer_command()?;
        let command = if self.kind == Kind::Supergateway {
            let mut command = on_server_core(&folder.join("node_modules/.bin/supergateway"));
            command.args(["--stdio", &server.join(" "), "--port", &port, "--logLevel", "none"]);
            command.args(["--outputTransport", "streamableHttp", "--stateful"]);
            command
        } else {
            let mut command = on_server_core(&folder.join("bin/mcp-proxy"));
            command.args(["--port", &port, "--log-level", "WARNING", "--"]).args(server);
            command
        };
        Ok((command, Place::At(address)))
    }
}

/// The server over standard input and output that stands behind others.
fn peer_command() -> io::Result<[String; 3]> {
    let program = std::env::current_exe()?.to_string_lossy().into_owned();
    Ok([program, "--serve".to_owned(), Peer::RmcpPipe.name().to_owned()])
}
