//! What a supervisor holds of its children: those that run, and the one that starts.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::child::{ExitCell, Leash};
use crate::machine::{ChildKey, Outcome};

/// A child's handle, and which of its incarnations it is.
pub(super) struct Held {
    pub(super) key: ChildKey,
    pub(super) run: u32,
    pub(super) handle: Leash,
}

/// A start that is under way.
pub(super) struct Start {
    pub(super) key: ChildKey,
    pub(super) run: u32,
    pub(super) cell: Arc<ExitCell>,
    /// Where it goes on, or what ends the wait for what it left behind.
    pub(super) task: Option<AbortHandle>,
    /// It failed, but what it had started already has not ended.
    pub(super) failed: Option<Outcome>,
}

impl Drop for Start {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
