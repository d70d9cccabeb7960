//! The supervisor at the top, whose owner is not a supervisor.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;

use crate::child::{Child, ChildHandle, Home, Leash};
use crate::exit::ExitReason;
use crate::link::{Above, Link};
use crate::machine::FailedChild;
use crate::observer::Observer;
use crate::policy::{ChildId, SpecError};
use crate::tree::Board;

/// A root supervisor, owned by whoever started it: dropping it kills the whole tree. It derefs to
/// the supervisor's reference.
#[must_use = "dropping a root kills its tree"]
pub struct Root<S> {
    supervisor: S,
    handle: Leash,
    exit: watch::Receiver<Option<ExitReason>>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Root<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}

impl<S> Deref for Root<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.supervisor
    }
}

impl<S> Root<S> {
    pub(crate) async fn start<F>(
        name: ChildId,
        observer: Option<Arc<dyn Observer>>,
        start: impl FnOnce(Link) -> F,
    ) -> Result<Self, StartError>
    where
        F: Future<Output = Result<Child<S>, ExitReason>>,
    {
        let (told, exit) = watch::channel(None);
        let home = Home::new(move |_, _, reason| {
            told.send_replace(Some(reason));
        });
        let board = Board::new("".into(), "");
        let above = Arc::new(Above { path: "".into(), cell: None, home, board, observer });
        let key = crate::machine::ChildKey::lone();
        match start(Link { key, run: 1, id: name, cell: Arc::default(), above }).await {
            Ok(Child { running: Some((handle, supervisor)) }) => {
                Ok(Self { supervisor, handle, exit })
            }
            Ok(Child { running: None }) => Err(StartError::Failed(ExitReason::Normal)),
            Err(reason) => Err(StartError::from(reason)),
        }
    }

    /// Stops the tree in order, each child in its own time, and waits for it. The tree's longest
    /// time to stop is its owner's choice: put a `timeout` around it, and then drop the root.
    ///
    /// Gives the reason with which the root ended: `reason`, unless it ended by itself before.
    pub async fn stop(&self, reason: ExitReason) -> ExitReason {
        self.handle.shutdown(reason);
        self.exited().await
    }

    /// Ends the root without asking, as an operator's `kill -9` would end a process: its children
    /// are killed with it, in no order.
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// Waits for the root's end, and tells its reason. [`ExitReason::Shutdown`] of a root that
    /// nobody stopped means that it gave up.
    pub async fn exited(&self) -> ExitReason {
        let mut exit = self.exit.clone();
        loop {
            if let Some(reason) = exit.borrow_and_update().clone() {
                return reason;
            }
            if exit.changed().await.is_err() {
                return exit.borrow().clone().unwrap_or(ExitReason::Killed);
            }
        }
    }
}

/// Why a root did not start.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A specification that can't be followed; nothing was started.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child did not start; those before it were stopped again.
    #[error(transparent)]
    Child(FailedChild),
    /// The supervisor itself ended.
    #[error("the supervisor ended while it started: {0}")]
    Failed(ExitReason),
}

impl From<ExitReason> for StartError {
    fn from(reason: ExitReason) -> Self {
        if let ExitReason::ShutdownWith(why) = &reason
            && let Some(failed) = why.downcast_ref::<FailedChild>()
        {
            return Self::Child(failed.clone());
        }
        Self::Failed(reason)
    }
}
