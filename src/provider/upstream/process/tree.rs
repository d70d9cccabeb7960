//! A child and everything below it, as one thing that runs, stops and ends.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;
use tokio::time::timeout;

/// How much longer than it should a holder may take, before it is given up.
const MARGIN: Duration = Duration::from_secs(2);

/// A process tree. Dropping it kills it: by its holder, which sees its pipes closed, or else as far
/// as it stayed in one process group. Whoever is left unreaped then is so by tokio.
pub(super) struct Tree {
    child: Child,
    group: Pid,
    is_held: bool,
    runs: bool,
}

impl Tree {
    /// The child that was started, as the leader of its process group.
    ///
    /// # Errors
    /// Where it has ended already.
    pub(super) fn new(child: Child, is_held: bool) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = id.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { child, group, is_held, runs: true })
    }

    /// Waits for its end; `None` where nobody can tell how it ended.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().await.ok();
        self.runs = false;
        // What a holder that was killed, or a child without one, has left behind.
        let _ = kill_process_group(self.group, Signal::KILL);
        status
    }

    /// Waits for its end when its input is closed, and sees to it; `None` if that takes too long.
    pub(super) async fn stop(&mut self, shutdown: Duration) -> Option<ExitStatus> {
        self.wake();
        if self.is_held {
            return timeout(shutdown + MARGIN, self.ended()).await.ok().flatten();
        }
        if let Ok(status) = timeout(shutdown / 2, self.ended()).await {
            return status;
        }
        let _ = kill_process_group(self.group, Signal::TERM);
        timeout(shutdown / 2, self.ended()).await.ok().flatten()
    }

    /// Waits for its end when its output is closed too, which is when it is killed.
    pub(super) async fn kill(&mut self) -> Option<ExitStatus> {
        if !self.runs {
            return None;
        }
        self.wake();
        if self.is_held
            && let Ok(status) = timeout(MARGIN, self.ended()).await
        {
            return status;
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        timeout(MARGIN, self.ended()).await.ok().flatten()
    }

    /// Whether it has not been seen to end.
    pub(super) fn runs(&self) -> bool {
        self.runs
    }

    /// A holder that somebody stopped goes on.
    fn wake(&self) {
        if self.is_held && self.runs {
            let _ = kill_process(self.group, Signal::CONT);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // As long as it runs it is not reaped, so these ids are its own.
        self.wake();
        if self.runs && !self.is_held {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}
