//! What a start function is given: the tie to the supervisor that the new child will hang on.

use std::future::Future;
use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorRef};

use crate::child::{Child, ExitCell, ExitGuard, Home};
use crate::exit::{ExitReason, IntoExit};
use crate::machine::ChildKey;
use crate::observer::Observer;
use crate::policy::ChildId;
use crate::task::{self, ExitSignal};
use crate::tree::Board;

/// The tie between one incarnation of a child and its supervisor.
///
/// A start function uses it up by starting the child with it, or by [`ignore`](Self::ignore).
#[derive(Debug)]
pub struct Link {
    pub(crate) key: ChildKey,
    pub(crate) run: u32,
    pub(crate) id: ChildId,
    pub(crate) cell: Arc<ExitCell>,
    pub(crate) above: Arc<Above>,
}

/// What a supervisor hands down to its children.
pub(crate) struct Above {
    /// The supervisor's path from the root.
    pub(crate) path: Arc<str>,
    /// The supervisor's actor; a root has nothing above it.
    pub(crate) cell: Option<ActorCell>,
    pub(crate) home: Arc<Home>,
    pub(crate) board: Arc<Board>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Above {
    /// The path of a supervisor below this one.
    pub(crate) fn path_of(&self, id: &ChildId) -> Arc<str> {
        match &*self.path {
            "" => id.as_str().into(),
            above => format!("{above}/{id}").into(),
        }
    }
}

impl std::fmt::Debug for Above {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Above").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Link {
    /// The child's identity, the same for all its incarnations.
    #[must_use]
    pub fn key(&self) -> ChildKey {
        self.key
    }

    /// Which incarnation this is, counting each start that was tried from 1.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The guard that tells the supervisor of this child's end, for kinds of children that this
    /// crate does not know. The child must own it, and drop it last.
    #[must_use]
    pub fn guard(self) -> ExitGuard {
        ExitGuard::new(self.key, self.run, self.cell, self.above.home.clone())
    }

    /// Decides not to start the child (OTP's `ignore`). That is no failure: a temporary child's
    /// specification goes, another child's stays and the child counts as stopped.
    pub fn ignore<T>(self) -> Result<Child<T>, ExitReason> {
        Ok(Child { running: None })
    }

    /// Starts a task that does not trap exits: a shutdown drops it at its next await, and its exit
    /// reason is then the one that it was asked for.
    pub fn task<F>(self, work: F) -> Result<Child<()>, ExitReason>
    where
        F: Future<Output: IntoExit> + Send + 'static,
    {
        Ok(task::spawn(self.guard(), work))
    }

    /// Starts a task that traps exits: it is told of a shutdown, and may take the time that its
    /// specification gives it.
    pub fn trapping_task<F>(
        self,
        work: impl FnOnce(ExitSignal) -> F,
    ) -> Result<Child<()>, ExitReason>
    where
        F: Future<Output: IntoExit> + Send + 'static,
    {
        Ok(task::spawn_trapping(self.guard(), work))
    }

    /// Starts a ractor actor, linked to the supervisor.
    ///
    /// # Errors
    /// What its `pre_start` failed with, a panic included.
    pub async fn actor<A: Actor>(
        self,
        actor: A,
        arguments: A::Arguments,
    ) -> Result<Child<ActorRef<A::Msg>>, ExitReason> {
        let supervisor = self.above.cell.clone();
        crate::actor::spawn(self.guard(), supervisor, actor, arguments).await
    }
}
