//! The command line: one file for each command or pair of commands.
//!
//! `start` runs a node; the commands below it ask one that runs, through its control socket.

mod bridge;
mod call;
mod check;
mod configured;
mod control;
mod exit;
mod health;
mod layout;
mod reload;
mod sessions;
mod start;
mod status;
mod stop;
mod tree;
mod upstreams;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A server node for the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(name = "erlmcp", version, after_help = exit::CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node in the foreground, until SIGTERM, SIGINT, `drain` or `stop`.
    #[command(alias = "foreground")]
    Start(start::Start),
    /// Serves one client on standard input and output; the log goes to standard error.
    Stdio(start::Stdio),
    /// Serves one stdio server over HTTP, to clients of each era: `bridge --port 8000 -- CMD`.
    Bridge(bridge::Bridge),
    /// Checks the configuration and tells all that is wrong with it.
    Check(check::Check),
    /// Prints the version.
    Version(check::Version),
    /// Asks a node over HTTP how it is; for probes. Fails unless it is ok or degraded.
    Health(health::Health),
    /// Shows the running node in a few figures.
    Status(status::Status),
    /// Asks the running node for a sign of life.
    Ping(status::Ping),
    /// Draws the supervision tree of the running node.
    Tree(tree::Tree),
    /// Lists the open sessions of the running node.
    Sessions(sessions::Sessions),
    /// Calls a tool of the running node, as a client of /mcp would.
    Call(call::Call),
    /// Lists the servers behind the running node, and how each is.
    Upstreams(upstreams::Upstreams),
    /// Tells why a tool, or a server, is there or isn't.
    Why(upstreams::Why),
    /// Shows what a server behind the running node wrote on its standard error.
    Logs(upstreams::Logs),
    /// Starts a server behind the running node anew, also a quarantined one.
    Restart(reload::Restart),
    /// Lets the running node read its configuration again, and apply what changed.
    Reload(reload::Reload),
    /// Lets the running node finish what is in flight, and stops it; waits for its end.
    Drain(stop::Drain),
    /// Stops the running node now, in order; waits for its end.
    Stop(stop::Stop),
}

impl Cli {
    /// Reads the arguments; usage errors end the process with 2.
    pub fn from_arguments() -> Self {
        Self::parse()
    }

    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        exit::code(match self.command {
            Command::Start(start) => start.run(),
            Command::Stdio(stdio) => stdio.run(),
            Command::Bridge(bridge) => bridge.run(),
            Command::Check(check) => check.run(),
            Command::Version(version) => version.run(),
            Command::Health(health) => health.run(),
            Command::Status(status) => status.run(),
            Command::Ping(ping) => ping.run(),
            Command::Tree(tree) => tree.run(),
            Command::Sessions(sessions) => sessions.run(),
            Command::Call(call) => call.run(),
            Command::Upstreams(upstreams) => upstreams.run(),
            Command::Why(why) => why.run(),
            Command::Logs(logs) => logs.run(),
            Command::Restart(restart) => restart.run(),
            Command::Reload(reload) => reload.run(),
            Command::Drain(drain) => drain.run(),
            Command::Stop(stop) => stop.run(),
        })
    }
}
