//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// An MCP server that misbehaves as it is told.
#[derive(Debug, Clone, Parser)]
#[command(name = "unruly")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Arguments {
    /// Speaks the revision 2026-07-28 instead of 2025-11-25.
    #[arg(long)]
    pub(crate) modern: bool,
    /// Exits with this status at once.
    #[arg(long, value_name = "CODE")]
    pub(crate) exit_at_start: Option<u8>,
    /// Exits with status 1 at once where this file is.
    #[arg(long, value_name = "FILE")]
    pub(crate) exit_while: Option<PathBuf>,
    /// Exits with status 1 so long after it began to read.
    #[arg(long, value_name = "MS")]
    pub(crate) exit_after: Option<u64>,
    /// Prints how it is used, and exits with status 2.
    #[arg(long)]
    pub(crate) usage: bool,
    /// Waits before it reads anything.
    #[arg(long, value_name = "MS", default_value_t)]
    pub(crate) slow_start: u64,
    /// Reads everything, and answers nothing.
    #[arg(long)]
    pub(crate) never_answers_initialize: bool,
    /// Starts a process that holds its pipes, in a session of its own.
    #[arg(long)]
    pub(crate) forks_grandchild: bool,
    /// Is not ended by SIGTERM.
    #[arg(long)]
    pub(crate) ignores_sigterm: bool,
    /// Goes on when its standard input ends.
    #[arg(long)]
    pub(crate) ignores_stdin_end: bool,
    /// Writes what is no message on standard output, before each message.
    #[arg(long)]
    pub(crate) noise: bool,
    /// Gives lists in pages of three.
    #[arg(long)]
    pub(crate) paged: bool,
    /// Has tools that nobody should offer, too.
    #[arg(long)]
    pub(crate) odd_definitions: bool,
    /// Is the process that it starts; in a session of its own, or not.
    #[arg(long, value_name = "LEAVES", hide = true)]
    pub(crate) grandchild: Option<bool>,
}
