//! What can be seen of a child from outside, while it runs and afterwards.

use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// A child's vital signs. Clones share them.
#[derive(Debug, Clone)]
pub struct Vitals(Arc<Signs>);

#[derive(Debug)]
struct Signs {
    /// The process that was started.
    pid: u32,
    /// It is a holder, and the command its child.
    is_held: bool,
    started: SystemTime,
    messages: AtomicU64,
    noise: AtomicU64,
    cut: AtomicU64,
    stderr_lines: AtomicU64,
}

impl Vitals {
    pub(super) fn new(pid: u32, is_held: bool, started: SystemTime) -> Self {
        Self(Arc::new(Signs {
            pid,
            is_held,
            started,
            messages: AtomicU64::new(0),
            noise: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            stderr_lines: AtomicU64::new(0),
        }))
    }

    /// The command's process id; `None` where it has ended. Asks the system.
    pub fn pid(&self) -> Option<u32> {
        let started = self.0.pid;
        if !self.0.is_held {
            let stat = read_to_string(format!("/proc/{started}/stat")).ok()?;
            return (!stat.contains(") Z ")).then_some(started);
        }
        let children = read_to_string(format!("/proc/{started}/task/{started}/children")).ok()?;
        // The oldest; what the holder adopted comes behind it.
        children.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Whether it was stopped by a signal, and so does nothing at all. Asks the system.
    pub fn is_stopped(&self) -> bool {
        let stat = self.pid().and_then(|pid| read_to_string(format!("/proc/{pid}/stat")).ok());
        // The state comes behind the name, which may have brackets itself.
        let state = stat.as_deref().and_then(|stat| stat.rsplit(") ").next()?.chars().next());
        matches!(state, Some('T' | 't'))
    }

    /// When it was started.
    pub fn started(&self) -> SystemTime {
        self.0.started
    }

    /// Messages that came from it.
    pub fn messages(&self) -> u64 {
        self.0.messages.load(Ordering::Relaxed)
    }

    /// Lines of its standard output that are no messages.
    pub fn noise(&self) -> u64 {
        self.0.noise.load(Ordering::Relaxed)
    }

    /// Messages that were too long, and were not read.
    pub fn cut(&self) -> u64 {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// Lines of its standard error.
    pub fn stderr_lines(&self) -> u64 {
        self.0.stderr_lines.load(Ordering::Relaxed)
    }

    pub(super) fn count_message(&self) {
        self.0.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_noise(&self) {
        self.0.noise.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_cut(&self) {
        self.0.cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_stderr_line(&self) {
        self.0.stderr_lines.fetch_add(1, Ordering::Relaxed);
    }
}
