//! Upstreams that are commands: each a process tree of its own, spoken to by standard input and
//! output (MCP transports, "stdio").
//!
//! ```text
//! node ─ holder ─ command ─ …      the holder watches the pipes, the command uses them
//! ```
//!
//! **Invariant:** when a wire's work has ended, nothing of its tree is left; when it was dropped,
//! or the node was killed, nothing is left a moment later. `hold.rs` says how.

mod cause;
mod chatter;
mod descendants;
mod exec;
mod hold;
mod launcher;
mod program;
mod reader;
pub mod reaper;
mod torn;
mod tree;
mod vitals;
mod work;
mod writer;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::process::Command;
use tokio::sync::mpsc;

pub use launcher::Launcher;
pub use program::StartError;
pub use reaper::adopt;
pub use vitals::Vitals;

use self::chatter::Chatter;
use self::reader::Reader;
use self::tree::Tree;
use self::work::Work;
use super::spec;
use super::tail::Tail;
use super::wire::{Inbox, WAITING_ORDERS, Wire};

/// What is known of an instance beside its command.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's name, for the log.
    pub name: String,
    /// How long it may take to stop before it is killed: half of it after the end of its input,
    /// half of it after SIGTERM.
    pub shutdown: Duration,
    /// Bytes of the largest message that is taken from it.
    pub message_limit_bytes: usize,
}

/// Bytes of the largest message: pictures and whole files come as base64 in one of them.
pub const MESSAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Does what a part of a process tree has to do, and says with which exit code to end, where this
/// process was started as one; `None` otherwise. A program that runs nodes calls it first of all,
/// before it starts threads or reads its arguments; without it [`Launcher::own`] has no holder.
pub fn launched() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    launcher::launched(&arguments).map(ExitCode::from)
}

/// Starts a command, within a runtime, and opens the wire to it.
///
/// # Errors
/// Where the command can't be started, with what to do about it. What is seen only when it starts
/// to run, like a missing interpreter, is the cause of the wire's end.
pub fn open(
    settings: Settings,
    command: &spec::Command,
    launcher: &Launcher,
    tail: Tail,
    inbox: Arc<dyn Inbox>,
) -> Result<(Wire, Vitals), StartError> {
    let Settings { name, shutdown, message_limit_bytes } = settings;
    let path = launcher.path(command);
    let program = program::find(&command.program, path, command.cwd.as_deref())?;
    let start = launcher.command(&program, command, shutdown);
    let mut child = Command::from(start).spawn()?;
    let pid = child.id().unwrap_or_default();
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(StartError::Refused(std::io::ErrorKind::BrokenPipe.into()));
    };
    let tree = Tree::new(child, launcher.holds())?;
    let vitals = Vitals::new(pid, launcher.holds(), SystemTime::now());
    let (give, orders) = mpsc::channel(WAITING_ORDERS);
    let noise = Chatter::new(name.clone(), "stdout", tail.clone());
    let reader = Reader { inbox, vitals: vitals.clone(), noise, limit_bytes: message_limit_bytes };
    let work = Work {
        tree,
        stdin,
        stdout,
        stderr,
        orders,
        reader,
        chatter: Chatter::new(name, "stderr", tail.clone()),
        shutdown,
        vitals: vitals.clone(),
        tail,
    };
    Ok((Wire { orders: give, work: Box::pin(work.run()) }, vitals))
}
