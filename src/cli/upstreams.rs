//! `erlmcp upstreams`, `why` and `logs`: what runs behind the node, and what is wrong with it.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::control::{Look, read};
use super::exit::{Failure, print};
use super::layout::{columns, printable, span};

#[derive(Debug, Args)]
pub(super) struct Upstreams {
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
pub(super) struct Why {
    /// A tool's name on /mcp, such as github__search, or the name of a server.
    #[arg(value_name = "TOOL")]
    tool: String,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The server's name.
    #[arg(value_name = "SERVER")]
    server: String,
    /// How many of its last lines are shown.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: usize,
    #[command(flatten)]
    look: Look,
}

#[derive(Deserialize)]
struct All {
    upstreams: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    state: String,
    since_s: u64,
    cause: String,
    restarts: u64,
    in_flight: u64,
    instances: Vec<Instance>,
    tools: u64,
}

#[derive(Deserialize)]
struct Instance {
    pid: Option<u32>,
    revision: String,
}

impl Upstreams {
    pub(super) fn run(self) -> Result<(), Failure> {
        let answer = self.look.target.ask("upstreams")?;
        if self.look.json {
            return print(answer.get());
        }
        let All { upstreams } = read(&answer)?;
        if upstreams.is_empty() {
            return print("no upstreams; [mcp_servers.NAME] or --mcp-config names some");
        }
        let head = ["NAME", "STATE", "FOR", "PID", "SPEAKS", "RESTARTS", "BUSY", "TOOLS", "CAUSE"];
        let rows: Vec<_> =
            [head.map(str::to_owned)].into_iter().chain(upstreams.into_iter().map(cells)).collect();
        print(&columns(&rows))
    }
}

fn cells(row: Row) -> [String; 9] {
    let pids = row.instances.iter().filter_map(|instance| instance.pid);
    let pids: Vec<_> = pids.map(|pid| pid.to_string()).collect();
    let revision = row.instances.into_iter().next().map(|instance| instance.revision);
    [
        row.name,
        row.state,
        span(row.since_s),
        pids.join(" "),
        revision.unwrap_or_default(),
        row.restarts.to_string(),
        row.in_flight.to_string(),
        row.tools.to_string(),
        row.cause,
    ]
}

#[derive(Deserialize)]
struct Explained {
    text: String,
    why: Box<RawValue>,
}

impl Why {
    pub(super) fn run(self) -> Result<(), Failure> {
        let answer = self.look.target.ask_with("why", json!({ "tool": self.tool }))?;
        let Explained { text, why } = read(&answer)?;
        if self.look.json { print(why.get()) } else { print(&printable(&text)) }
    }
}

#[derive(Deserialize)]
struct Tail {
    lines: Vec<String>,
}

impl Logs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let params = json!({ "server": self.server, "lines": self.lines });
        let answer = self.look.target.ask_with("logs", params)?;
        if self.look.json {
            return print(answer.get());
        }
        let Tail { lines } = read(&answer)?;
        if lines.is_empty() {
            return print("it wrote nothing on its standard error");
        }
        print(&printable(&lines.join("\n")))
    }
}
