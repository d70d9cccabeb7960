//! Orphans that come to the node: as the first process of a container it inherits all of them, and
//! as [`adopter`](adopt) those of holders that were killed.
//!
//! Owns: nothing. Receives: SIGCHLD. Sends: SIGKILL, to what has lost its holder. Fails when:
//! signals can't be listened to. Restarted by: the root.

use std::collections::BTreeSet;
use std::fs::read;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::descendants::{self, Seen};
use super::hold::HOLDER;

/// How long a child may be a zombie before it is nobody's: whoever started it in this process asks
/// for its end at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes this process the one to which everything comes that its descendants leave behind. For
/// programs whose only children are those of [`open`](super::open).
pub fn adopt() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(getpid()));
}

/// Whether orphans come to this process.
fn adopts() -> bool {
    #[cfg(target_os = "linux")]
    let is_reaper = rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some());
    #[cfg(not(target_os = "linux"))]
    let is_reaper = false;
    is_reaper || getpid().is_init()
}

/// Reaps orphans that have ended, and kills those of lost holders, for as long as it runs.
///
/// # Errors
/// Where the process can't hear of its children's ends.
pub async fn run() -> io::Result<()> {
    let mut ends = signal(SignalKind::child())?;
    if !adopts() {
        return std::future::pending().await;
    }
    let mut before = BTreeSet::new();
    loop {
        let strays = strays();
        for stray in strays.intersection(&before) {
            tend(stray);
        }
        before = strays;
        if before.is_empty() {
            ends.recv().await;
        }
        sleep(PATIENCE).await;
    }
}

/// Children of this process that it may not have started.
fn strays() -> BTreeSet<Seen> {
    let own = getpid().as_raw_nonzero().get();
    let children = descendants::all().into_iter().filter(|seen| seen.parent == own);
    children.filter(|seen| seen.is_zombie || has_lost_holder(seen.pid)).collect()
}

/// A holder tells what it starts who holds it, and is the parent of all that is left of it.
fn has_lost_holder(pid: i32) -> bool {
    let environment = read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| {
        variable.strip_prefix(HOLDER.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    })
}

fn tend(stray: &Seen) {
    let Some(pid) = Pid::from_raw(stray.pid) else { return };
    if stray.is_zombie {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    } else {
        tracing::warn!(target: "erlmcp::upstream", pid = stray.pid, "a process lost its holder");
        let _ = kill_process(pid, Signal::KILL);
    }
}
