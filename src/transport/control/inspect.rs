//! What operators see of the node: its state, its tree, its sessions.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use supervisors::Tree;

use super::methods::Parts;
use crate::catalogue::Scope;
use crate::protocol::{Code, ResultObject, RpcError};
use crate::session::work::Outcome;
use crate::session::{Record, Table};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::SessionLabels;

/// How much of a session's id is shown: the whole of it is the client's secret.
const ID_CHARS: usize = 8;
/// Sessions on one page.
const PAGE: usize = 200;

/// `status`: the node in a few figures.
///
/// # Errors
/// Where the tree doesn't run yet.
pub fn status(parts: &Parts) -> Outcome {
    let node = &parts.endpoint.0;
    ResultObject::of(&json!({
        "status": node.health.status().as_str(),
        "node": node.node_name,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_s": node.started.elapsed().as_secs(),
        "sessions": session_counts(&node.metrics),
        "requests_in_flight": node.admission.in_flight(),
        "restarts": restarts(&look(parts)?),
        "memory_rss_bytes": memory(),
    }))
}

/// `tree`: the supervision tree, as text and as data.
///
/// # Errors
/// Where the tree doesn't run yet.
pub fn tree(parts: &Parts) -> Outcome {
    let tree = look(parts)?;
    ResultObject::of(&json!({ "text": tree.to_string(), "tree": tree }))
}

fn look(parts: &Parts) -> Result<Tree, RpcError> {
    let root = parts.root.get();
    root.map(|root| root.tree())
        .ok_or_else(|| RpcError::new(Code::InternalError, "The node is still starting"))
}

/// How often children were restarted, in a tree and all below it.
fn restarts(tree: &Tree) -> u64 {
    let below = tree.children.iter().filter_map(|child| child.tree.as_ref()).map(restarts);
    tree.restarts + below.sum::<u64>()
}

fn session_counts(metrics: &Metrics) -> Vec<Value> {
    let mut counts = Vec::new();
    for era in ["legacy", "modern"] {
        for transport in ["http", "sse", "stdio"] {
            if let Some(count) = metrics.sessions.get(&SessionLabels { era, transport }) {
                let count = count.get();
                counts.push(json!({ "era": era, "transport": transport, "count": count }));
            }
        }
    }
    counts
}

/// The memory that the process really holds, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// One session, as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    client: String,
    client_version: String,
    revision: &'static str,
    endpoint: String,
    idle_s: u64,
    /// Which incarnation of its actor runs.
    generation: u64,
}

/// `sessions`: one page of them, in the order of their ids.
///
/// # Errors
/// None that is known.
pub fn sessions(table: &Table, cursor: Option<&str>) -> Outcome {
    let mut records = table.all();
    records.sort_unstable_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    let after = cursor.unwrap_or_default();
    let left: Vec<_> = records.iter().filter(|record| short(record) > after).collect();
    // A cursor shows no more of an id than the page does, so ids that begin alike stay together.
    let more = |at: usize| left.get(at).map(|record| short(record));
    let mut end = PAGE.min(left.len());
    while end > 0 && end < left.len() && more(end) == more(end - 1) {
        end += 1;
    }
    let rows: Vec<Row> = left.iter().take(end).map(|record| row(table, record)).collect();
    let next = rows.last().filter(|_| end < left.len()).map(|row| row.id.clone());
    ResultObject::of(&json!({ "sessions": rows, "total": records.len(), "next_cursor": next }))
}

fn short(record: &Record) -> &str {
    record.id.as_str().get(..ID_CHARS).unwrap_or_default()
}

fn row(table: &Table, record: &Arc<Record>) -> Row {
    Row {
        id: short(record).to_owned(),
        client: record.client.name.clone(),
        client_version: record.client.version.clone(),
        revision: record.revision.as_str(),
        endpoint: match &record.scope {
            Scope::Federated => "/mcp".to_owned(),
            Scope::Server(server) => format!("/mcp/{server}"),
        },
        idle_s: table.silence(record).as_secs(),
        generation: record.generation(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Revision;
    use crate::protocol::handshake::{ClientInfo, Initialize};
    use crate::session::Transport;
    use crate::session::shelf::Shelf;

    #[test]
    fn pages_hold_each_session_once_and_no_whole_id() {
        let kept = crate::session::Config::default().kept();
        let table = Table::new(1_000, kept, Shelf::new(0));
        let client = ClientInfo { name: "c".into(), version: "1".into() };
        let revision = Revision::V2025_11_25;
        let initialize = Initialize { revision, client, capabilities: Default::default() };
        for _ in 0..450 {
            table.open(Scope::Server("demo".into()), Transport::Http, &initialize).unwrap();
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        for _ in 0..3 {
            let page = sessions(&table, cursor.as_deref()).unwrap();
            let page: Value = serde_json::to_value(&page).unwrap();
            assert_eq!(page["total"], 450);
            for row in page["sessions"].as_array().unwrap() {
                assert_eq!((&row["endpoint"], &row["client"]), (&json!("/mcp/demo"), &json!("c")));
                seen.push(row["id"].as_str().unwrap().to_owned());
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        assert_eq!((seen.len(), cursor), (450, None));
        assert!(seen.is_sorted() && seen.iter().all(|id| id.len() == ID_CHARS));
    }

    #[test]
    fn the_system_tells_how_much_memory_the_process_holds() {
        if cfg!(target_os = "linux") {
            assert!(memory().is_some_and(|bytes| bytes > 1_000_000), "{:?}", memory());
        }
    }
}
