//! An MCP server over standard input and output that misbehaves as it is told: the tests of the
//! node, and of whatever else supervises MCP servers, run it.
//!
//! ```text
//! cargo run --example unruly -- --exit-at-start 3
//! ```
//!
//! It speaks the session era (revision 2025-11-25), or with `--modern` that of 2026-07-28 alone.
//! How it starts is told by arguments, which `--help` lists; they go together:
//!
//! | argument | what it does |
//! |---|---|
//! | `--exit-at-start CODE` | exits at once |
//! | `--exit-while FILE` | exits with 1 as long as there is such a file |
//! | `--exit-after MS` | exits with 1 after a while, whatever runs |
//! | `--usage` | prints how it is used, and exits with 2 |
//! | `--slow-start MS` | waits before it reads anything |
//! | `--never-answers-initialize` | reads everything, and answers nothing |
//! | `--forks-grandchild` | starts a process of its own session that holds its pipes |
//! | `--ignores-sigterm`, `--ignores-stdin-end` | does not go when it should |
//! | `--noise` | writes what is no message on standard output, before each message |
//! | `--paged` | lists come in pages of three |
//! | `--odd-definitions` | has tools that nobody should offer, too |
//!
//! What it does later is told by calling its tools, which `tools.rs` lists.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "it exits and reads the environment as other servers do; an index into JSON gives null"
)]

mod arguments;
mod faults;
mod library;
mod outcome;
mod output;
mod questions;
mod serve;
mod server;
mod tools;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(leaves_group) = arguments.grandchild {
        return faults::outlive(leaves_group).await;
    }
    eprintln!("unruly: {} starts", std::process::id());
    if let Some(code) = ends_at_start(&arguments) {
        return Ok(code);
    }
    // Whoever listens to a signal isn't ended by it.
    let _deaf =
        if arguments.ignores_sigterm { Some(signal(SignalKind::terminate())?) } else { None };
    sleep(Duration::from_millis(arguments.slow_start)).await;
    if arguments.forks_grandchild {
        let pid = faults::fork(true)?;
        eprintln!("unruly: started {pid}, which goes its own way");
    }
    serve::serve(arguments).await
}

/// With what it exits before it did anything.
fn ends_at_start(arguments: &Arguments) -> Option<ExitCode> {
    if arguments.usage {
        eprintln!(
            "error: a required argument is missing\n\n{}",
            Arguments::command().render_usage()
        );
        return Some(ExitCode::from(2));
    }
    if let Some(file) =
        arguments.exit_while.as_deref().filter(|file| fs::exists(file).is_ok_and(|is| is))
    {
        eprintln!("unruly: exits, because there is {}", file.display());
        return Some(ExitCode::FAILURE);
    }
    let code = arguments.exit_at_start?;
    eprintln!("unruly: exits with {code}, as it was told");
    Some(ExitCode::from(code))
}
