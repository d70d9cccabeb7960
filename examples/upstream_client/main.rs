//! The node as a client, for the official conformance suite: it stands before the suite's server,
//! and somebody uses all that the server offers.
//!
//! ```text
//! npx @modelcontextprotocol/conformance client --requirements 2026-07-28 \
//!     --command target/debug/examples/upstream_client
//! ```
//!
//! The suite adds the server's URL, and tells by `MCP_CONFORMANCE_CONTEXT` which calls it wants to
//! see, and who the node is, where that matters.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "the suite tells by the environment; an index into JSON gives null"
)]

mod sample;
mod user;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use clap::Parser;
use erlmcp::config::Config;
use erlmcp::node::{Doors, Listeners, Node};
use erlmcp::provider::upstream::spec::{HttpTarget, HttpTransport, UpstreamAuth};
use erlmcp::provider::upstream::{Target, UpstreamSpec};
use erlmcp::telemetry;
use serde_json::{Value, json};

use crate::user::User;

/// How long the node may take until the server answers it: the suite runs all scenarios at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks whether it does.
const PAUSE: Duration = Duration::from_millis(100);
/// Before the first call: the node opens a stream of its own beside it, and a scenario takes one
/// that comes later for a call's stream that is opened again.
const SETTLE: Duration = Duration::from_millis(700);
/// An upstream that isn't there.
const DOWN: i64 = -31007;

/// Uses a server through the node.
#[derive(Debug, Parser)]
#[command(name = "upstream_client")]
struct Arguments {
    /// The server's MCP endpoint.
    url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { url } = Arguments::parse();
    let wanted = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let wanted: Value = serde_json::from_str(&wanted).unwrap_or_default();
    let mut config = Config::default();
    let (transport, auth) = (HttpTransport::Auto, credentials(&wanted));
    let target = HttpTarget { url, transport, headers: BTreeMap::new(), auth };
    config.log.level = "warn".to_owned();
    config.mcp_servers.insert("server".into(), UpstreamSpec::new(Target::Http(target)));
    let _flush = telemetry::log::install(&config.log, false);
    let http = TcpListener::bind("127.0.0.1:0")?;
    let listeners = Listeners { http, metrics: TcpListener::bind("127.0.0.1:0")?, control: None };
    let node = Node::start_with(config, Doors::from(listeners), Vec::new()).await?;
    let used = use_all(&format!("http://{}/mcp/server", node.http_address()), &wanted).await;
    node.stop(PATIENCE).await;
    used
}

/// Who the node is at the suite's authorization server, where it is to be somebody.
fn credentials(wanted: &Value) -> Option<UpstreamAuth> {
    Some(UpstreamAuth::ClientCredentials {
        client_id: wanted["client_id"].as_str()?.to_owned(),
        client_secret: wanted["client_secret"].as_str()?.into(),
        scopes: Vec::new(),
    })
}

/// Uses all that there is, as the suite wants it.
async fn use_all(url: &str, wanted: &Value) -> Result<(), Box<dyn Error>> {
    let mut user = User::open(url).await?;
    ready(&mut user).await?;
    tokio::time::sleep(SETTLE).await;
    let tools = user.list("tools/list", "tools").await?;
    let calls = match wanted["toolCalls"].as_array() {
        Some(calls) => calls.clone(),
        None => tools.iter().map(sample::call).collect(),
    };
    for call in calls {
        user.ask("tools/call", call).await?;
    }
    for prompt in user.list("prompts/list", "prompts").await? {
        user.ask("prompts/get", sample::prompt(&prompt)).await?;
    }
    for resource in user.list("resources/list", "resources").await? {
        user.ask("resources/read", json!({ "uri": resource["uri"] })).await?;
    }
    Ok(())
}

/// Waits until the server is there: then it is known that it has no such tool.
async fn ready(user: &mut User) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    loop {
        let answer = user.ask("tools/call", json!({ "name": "nobody_has_this" })).await?;
        let error = &answer["error"];
        if error["code"] != DOWN {
            return Ok(());
        }
        // One that lets nobody in will not do so later.
        if error["data"]["state"] == "quarantined" || began.elapsed() > PATIENCE {
            return Err(error.to_string().into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
