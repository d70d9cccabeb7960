//! A server of one tool, and the whole node around it: `cargo run --example hello`, then point a
//! client at <http://127.0.0.1:8080/mcp>.

use std::sync::Arc;

use erlmcp::config::Config;
use erlmcp::provider::native::{Context, NativeServer};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Greet {
    /// Who is greeted.
    name: String,
}

async fn greet(Greet { name }: Greet, _: Context) -> String {
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = NativeServer::builder("hello").tool("greet", "Greets someone.", greet).build()?;
    Ok(erlmcp::serve::serve(Config::default(), vec![Arc::new(server)]).await?)
}
