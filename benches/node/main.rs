//! The node under load, beside two other servers: a handler on plain warp, which is what HTTP
//! itself costs, and a server of the official Rust SDK, which is the obvious alternative. And the
//! node before such a server, over pipes and over HTTP, beside that server alone and two bridges
//! that people put before servers over pipes: supergateway and mcp-proxy.
//!
//! Each server is a process of its own on core 1, started anew for every measurement; the load
//! comes from core 0, over HTTP/1.1 connections that are kept alive, each client asking again as
//! soon as it has its answer. Every answer is checked. The rounds go through all servers in turn,
//! so that whatever else the machine does hits all alike; the tables show medians over the rounds.
//!
//! `cargo bench --bench node` measures the binary that cargo builds for tests, whose dependencies
//! have the tests' features too; `scripts/bench-node.sh` (`make bench`) measures the one that is
//! shipped. `cargo test` runs a short round of everything, so that the bench can't rot.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark is no production code; it tells its figures, and what it is doing"
)]

mod arguments;
mod connection;
mod load;
mod messages;
mod peers;
mod pipe;
mod process;
mod report;
mod rounds;
mod server;
mod sessions;
mod system;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::rounds::Rounds;

fn main() -> ExitCode {
    let Some(arguments) = Arguments::for_this_run() else {
        // `cargo test NAME` hands NAME to everything that it runs; no test here has a name.
        return ExitCode::SUCCESS;
    };
    match run(&Arguments::parse_from(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("The bench broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<ExitCode> {
    if let Some(peer) = arguments.serve {
        peers::serve(peer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let notes = system::prepare();
    let rounds = Rounds::new(arguments, notes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(rounds.run())?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.text());
    }
    // A figure of wrong answers is no figure.
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
