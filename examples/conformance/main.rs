//! The server that the official conformance suites ask for, on a node of its own.
//!
//! ```text
//! cargo run --release --example conformance -- --listen 127.0.0.1:8080
//! npx @modelcontextprotocol/conformance server --url http://127.0.0.1:8080/mcp/conformance
//! ```
//!
//! With `--stdio` it serves one client on standard input and output instead, with `--era` as a
//! server that knows one era only: so it stands behind another node.

mod changes;
mod contents;
mod library;
mod one_era;
mod questions;
mod rounds;
mod work;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use erlmcp::config::Config;
use erlmcp::node::{Doors, Setup};
use erlmcp::provider::Hosted;
use erlmcp::provider::native::{BuildError, NativeServer, ServerBuilder};
use erlmcp::serve::{serve, serve_as};
use erlmcp::telemetry;

use crate::one_era::Era;

/// Serves the fixtures of the conformance suites at `/mcp/conformance`.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the node listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Serves standard input and output instead.
    #[arg(long)]
    stdio: bool,
    /// Knows this era only; for standard input and output.
    #[arg(long, value_name = "ERA", requires = "stdio")]
    era: Option<Era>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut config = Config::default();
    config.http.listen = arguments.listen;
    // The suites don't look at it: any free port will do.
    config.metrics.listen = (Ipv4Addr::LOCALHOST, 0).into();
    // Several may run at once, and nobody operates them.
    config.control.socket = PathBuf::new();
    // For clients of 2024-11-05, at `/sse/conformance`.
    config.http.legacy_sse = true;
    // The only server's tools are called as the suites call them.
    config.upstreams.prefix_names = false;
    let _flush = telemetry::log::install(&config.log, false);
    let hosted: Vec<Arc<dyn Hosted>> = vec![Arc::new(fixtures()?)];
    if !arguments.stdio {
        return Ok(serve(config, hosted).await?);
    }
    let (ends, work) = one_era::ends(arguments.era);
    let doors = Doors { stdio: Some(ends), ..Doors::default() };
    let setup = Setup::new(config, doors).hosting(hosted);
    let (served, passed) = tokio::join!(serve_as(setup), work);
    passed?;
    Ok(served?)
}

fn fixtures() -> Result<NativeServer, BuildError> {
    let parts: [fn(ServerBuilder) -> ServerBuilder; 6] =
        [contents::add, questions::add, rounds::add, work::add, library::add, changes::add];
    let server = NativeServer::builder("conformance");
    parts.into_iter().fold(server, |server, add| add(server)).build()
}
