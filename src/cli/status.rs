//! `erlmcp status` and `erlmcp ping`: how the running node is.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::control::{Look, read};
use super::exit::{Failure, print, print_json};
use super::layout::{columns, mebibytes, span};

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    look: Look,
}

#[derive(Deserialize)]
struct Figures {
    status: String,
    node: String,
    version: String,
    pid: u32,
    uptime_s: u64,
    sessions: Vec<Sessions>,
    requests_in_flight: u64,
    restarts: u64,
    memory_rss_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Sessions {
    era: String,
    transport: String,
    count: u64,
}

impl Status {
    pub(super) fn run(self) -> Result<(), Failure> {
        let answer = self.look.target.ask("status")?;
        if self.look.json {
            return print(answer.get());
        }
        let figures: Figures = read(&answer)?;
        let sessions = figures
            .sessions
            .iter()
            .map(|Sessions { era, transport, count }| format!("{count} {era} over {transport}"));
        let sessions = Some(sessions.collect::<Vec<_>>().join(", ")).filter(|s| !s.is_empty());
        let rows = [
            ("node", format!("{}, version {}", figures.node, figures.version)),
            ("status", figures.status),
            ("pid", figures.pid.to_string()),
            ("uptime", span(figures.uptime_s)),
            ("sessions", sessions.unwrap_or_else(|| "0".to_owned())),
            ("requests in flight", figures.requests_in_flight.to_string()),
            ("restarts", figures.restarts.to_string()),
            ("memory", figures.memory_rss_bytes.map_or_else(|| "unknown".to_owned(), mebibytes)),
        ];
        print(&columns(&rows.map(|(name, value)| [name.to_owned(), value])))
    }
}

#[derive(Debug, Args)]
pub(super) struct Ping {
    #[command(flatten)]
    look: Look,
}

impl Ping {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.look.target.ask("ping")?;
        if self.look.json { print_json(&json!({ "ping": "pong" })) } else { print("pong") }
    }
}
