//! The holder: a process between the node and a command, to which everything below the command
//! belongs, whatever group or session it moved to.
//!
//! It watches the pipes between the node and the command, and leaves what flows through them alone.
//! When the node has closed the command's standard input, the command has to stop: by itself, then
//! by SIGTERM, then by SIGKILL. When nobody reads its standard output any more, the node is gone or
//! done with it: everything is killed at once. When the command ends, what it left behind is
//! killed. The holder ends last, with the command's exit status; 128 and the signal's number, if a
//! signal ended it, as shells have it.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process,
    kill_process_group, setrlimit, wait,
};
use tokio::signal::unix::{Signal as Ended, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{descendants, exec};

/// The argument that asks for one: `__hold SHUTDOWN_MS DESCRIPTORS PROGRAM ARGUMENT…`.
pub(super) const ARGUMENT: &str = "__hold";

/// Tells the command, and all below it, who holds them.
pub(super) const HOLDER: &str = "ERLMCP_HOLDER";

/// What is told of a command that was killed before it could be seen to end.
const KILLED: u8 = 128 + 9;

/// What the pipes tell of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// It has nothing more to say.
    Closed,
    /// It does not listen any more.
    Gone,
}

/// Holds the command until nothing of it is left; the exit status.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let [shutdown_ms, descriptors, program, arguments @ ..] = arguments else {
        return exec::NOT_RUNNABLE;
    };
    let shutdown_ms = shutdown_ms.to_str().and_then(|ms| ms.parse().ok()).unwrap_or_default();
    if let Some(limit) = descriptors.to_str().and_then(|limit| limit.parse().ok()) {
        limit_descriptors(limit);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let held = runtime.and_then(|runtime| {
        runtime.block_on(hold(Duration::from_millis(shutdown_ms), program, arguments))
    });
    held.unwrap_or_else(|error| {
        let _ = io::Write::write_fmt(
            &mut io::stderr(),
            format_args!("{}'{}': {error}\n", exec::CANT_RUN, program.to_string_lossy()),
        );
        exec::NOT_RUNNABLE
    })
}

async fn hold(shutdown: Duration, program: &OsString, rest: &[OsString]) -> io::Result<u8> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    // Signals to the whole group, or to everything that is called erlmcp, are not for the holder:
    // it goes when its command does. Handlers are not inherited, ignoring would be.
    let swallowed = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let _swallowed = swallowed.map(signal);
    let mut ended = signal(SignalKind::child())?;
    let own_id = getpid().to_string();
    let mut command = Command::new("/proc/self/exe");
    command.arg(exec::ARGUMENT).arg(&own_id).arg(program).args(rest).env(HOLDER, &own_id);
    let command = Pid::from_child(&command.spawn()?);
    let (tell, mut node) = mpsc::channel(2);
    // It ends with the process.
    thread::Builder::new().spawn(move || watch(&tell))?;
    let (mut terminate, mut kill, mut status) = (None, None, None);
    while reap(command, &mut status) && status.is_none() {
        tokio::select! {
            told = node.recv() => match told {
                Some(Node::Closed) => {
                    let now = Instant::now();
                    (terminate, kill) = (Some(now + shutdown / 2), Some(now + shutdown));
                }
                Some(Node::Gone) | None => break,
            },
            () = at(terminate) => {
                terminate = None;
                let _ = kill_process_group(getpid(), Signal::TERM);
            }
            () = at(kill) => break,
            _ = ended.recv() => {}
        }
    }
    clear(command, &mut status, &mut ended).await;
    Ok(status.map_or(KILLED, code))
}

/// Kills and reaps all that is below, until nothing is.
///
/// What is born while the list is read is found in the next round, which comes when its parents
/// have ended: then it belongs to the holder.
async fn clear(command: Pid, status: &mut Option<ExitStatus>, ended: &mut Ended) {
    while reap(command, status) {
        for pid in descendants::below(getpid()) {
            let _ = kill_process(pid, Signal::KILL);
        }
        ended.recv().await;
    }
}

/// Reaps all children that have ended, and notes how the command did; whether there are others.
fn reap(command: Pid, status: &mut Option<ExitStatus>) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, found))) if pid == command => {
                *status = Some(ExitStatus::from_raw(found.as_raw()));
            }
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(KILLED)
}

/// Waits for the other ends of the pipes to be closed; what flows through them wakes nobody.
fn watch(tell: &mpsc::Sender<Node>) {
    let (input, output) = (io::stdin(), io::stdout());
    let mut both = [
        PollFd::from_borrowed_fd(output.as_fd(), PollFlags::empty()),
        PollFd::from_borrowed_fd(input.as_fd(), PollFlags::empty()),
    ];
    let mut pipes = both.as_mut_slice();
    loop {
        let failed = match poll(pipes, None) {
            Err(Errno::INTR) => continue,
            polled => polled.is_err(),
        };
        let is_closed = |pipe: Option<&PollFd<'_>>| pipe.is_some_and(|p| !p.revents().is_empty());
        let is_gone = failed || is_closed(pipes.first());
        if !is_gone && !is_closed(pipes.get(1)) {
            continue;
        }
        let told = if is_gone { Node::Gone } else { Node::Closed };
        if tell.blocking_send(told).is_err() || is_gone {
            return;
        }
        pipes = pipes.split_at_mut(1).0;
    }
}

/// The limit of open files that the node had before it raised its own.
fn limit_descriptors(current: u64) {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
}
