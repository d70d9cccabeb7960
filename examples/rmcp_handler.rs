//! A server written for the official Rust SDK, hosted unchanged in a whole node:
//! `cargo run --example rmcp_handler`, then ask `http://127.0.0.1:8080/mcp`.

use std::sync::atomic::{AtomicI64, Ordering};

use erlmcp::config::Config;
use erlmcp::provider::rmcp::host;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A counter that all clients share.
#[derive(Default)]
pub(crate) struct Counter(AtomicI64);

#[derive(Deserialize, JsonSchema)]
struct Step {
    /// How far to count.
    by: i64,
}

#[derive(Serialize, JsonSchema)]
struct Count {
    count: i64,
}

#[tool_router]
impl Counter {
    #[tool(description = "Counts on, and tells how far it came")]
    async fn count(&self, Parameters(Step { by }): Parameters<Step>) -> Json<Count> {
        Json(Count { count: self.0.fetch_add(by, Ordering::Relaxed) + by })
    }
}

#[tool_handler]
impl ServerHandler for Counter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hosted = vec![host("counter", Counter::default())];
    Ok(erlmcp::serve::serve(Config::default(), hosted).await?)
}
