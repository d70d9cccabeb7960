//! `erlmcp sessions`: who is connected to the running node.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::control::{ANSWER, Look, block_on, read};
use super::exit::{Failure, print, print_json};
use super::layout::{columns, span};

#[derive(Debug, Args)]
pub(super) struct Sessions {
    #[command(flatten)]
    look: Look,
    /// Most sessions that are listed.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
}

#[derive(Deserialize)]
struct Page {
    sessions: Vec<Row>,
    total: u64,
    next_cursor: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Row {
    id: String,
    client: String,
    client_version: String,
    revision: String,
    endpoint: String,
    idle_s: u64,
    generation: u64,
}

impl Sessions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (rows, total) = block_on(self.rows())?;
        if self.look.json {
            return print_json(&json!({ "sessions": rows, "total": total }));
        }
        let head = ["ID", "CLIENT", "REVISION", "ENDPOINT", "IDLE", "GENERATION"];
        let lines = rows.iter().map(|row| {
            let client = format!("{} {}", row.client, row.client_version);
            let (idle, generation) = (span(row.idle_s), row.generation.to_string());
            let (revision, endpoint) = (row.revision.clone(), row.endpoint.clone());
            [row.id.clone(), client, revision, endpoint, idle, generation]
        });
        let lines: Vec<_> = [head.map(str::to_owned)].into_iter().chain(lines).collect();
        let mut text = columns(&lines);
        let left = total.saturating_sub(rows.len() as u64);
        if left > 0 {
            text.push_str(&format!("and {left} more; --limit shows them\n"));
        }
        print(&text)
    }

    /// As many as were asked for, and how many there are.
    async fn rows(&self) -> Result<(Vec<Row>, u64), Failure> {
        let mut client = self.look.target.connect().await?;
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let page = client.ask("sessions", json!({ "cursor": cursor }), ANSWER).await?;
            let Page { sessions, total, next_cursor } = read(&page)?;
            rows.extend(sessions);
            if next_cursor.is_none() || rows.len() >= self.limit {
                rows.truncate(self.limit);
                return Ok((rows, total));
            }
            cursor = next_cursor;
        }
    }
}
