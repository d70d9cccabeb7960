//! The server that the official conformance suites ask for, on a node of its own.
//!
//! ```text
//! cargo run --release --example conformance -- --listen 127.0.0.1:8080
//! npx @modelcontextprotocol/conformance server --url http://127.0.0.1:8080/mcp/conformance
//! ```

mod changes;
mod contents;
mod library;
mod questions;
mod rounds;
mod work;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use erlmcp::config::Config;
use erlmcp::provider::native::{BuildError, NativeServer, ServerBuilder};
use erlmcp::serve::serve;
use erlmcp::telemetry;

/// Serves the fixtures of the conformance suites at `/mcp/conformance`.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the node listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.http.listen = Arguments::parse().listen;
    // The suites don't look at it: any free port will do.
    config.metrics.listen = (Ipv4Addr::LOCALHOST, 0).into();
    // Several may run at once, and nobody operates them.
    config.control.socket = PathBuf::new();
    let _flush = telemetry::log::install(&config.log, false);
    Ok(serve(config, vec![Arc::new(fixtures()?)]).await?)
}

fn fixtures() -> Result<NativeServer, BuildError> {
    let parts: [fn(ServerBuilder) -> ServerBuilder; 6] =
        [contents::add, questions::add, rounds::add, work::add, library::add, changes::add];
    let server = NativeServer::builder("conformance");
    parts.into_iter().fold(server, |server, add| add(server)).build()
}
