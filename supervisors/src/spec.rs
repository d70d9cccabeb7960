//! A child's specification: what OTP calls `child_spec()`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};

use crate::child::{Child, Leash};
use crate::driver::{AnyValue, Starting, any};
use crate::dynamic::{DynamicRef, DynamicSupervisor};
use crate::exit::{ExitReason, IntoExit};
use crate::link::Link;
use crate::policy::{ChildId, ChildType, Restart, Shutdown, SpecError, SpecInfo};
use crate::sharded::{ShardedRef, ShardedSupervisor};
use crate::slot::Slot;
use crate::supervisor::{Supervisor, SupervisorRef};
use crate::task::ExitSignal;

/// A start function whose child's type is forgotten.
pub(crate) type StartFn = Arc<dyn Fn(Link) -> Starting + Send + Sync>;

/// A child's specification. `T` is what the running child offers to others.
#[derive(Clone)]
pub struct ChildSpec<T = ()> {
    info: SpecInfo,
    start: StartFn,
    /// What is wrong with it, where it is a supervisor.
    flaw: Option<SpecError>,
    offers: std::marker::PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for ChildSpec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChildSpec").field(&self.info).finish()
    }
}

impl<T: Clone + Send + Sync + 'static> ChildSpec<T> {
    /// A child that `start` starts, with the link that it is given. It runs for each incarnation.
    ///
    /// A start function blocks its supervisor: while it runs, nothing else is started, stopped or
    /// restarted there. This is OTP's rule, and what makes the start order mean something; what
    /// takes long belongs into the child's own work.
    pub fn new<F>(id: impl Into<ChildId>, start: impl Fn(Link) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Child<T>, ExitReason>> + Send + 'static,
    {
        Self::of(id, ChildType::Worker, move |link| {
            let starting = start(link);
            Box::pin(async { starting.await.map(|child| child.map(any)) })
        })
    }

    fn of(
        id: impl Into<ChildId>,
        child_type: ChildType,
        start: impl Fn(Link) -> Starting + Send + Sync + 'static,
    ) -> Self {
        Self {
            info: SpecInfo::new(id, child_type),
            start: Arc::new(start),
            flaw: None,
            offers: std::marker::PhantomData,
        }
    }

    /// When it is started again; [`Restart::Permanent`] by default.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.info.restart = restart;
        self
    }

    /// How it is stopped; five seconds by default, and for a supervisor as long as it takes.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.info.shutdown = shutdown;
        self
    }

    /// Whether it counts as a worker or a supervisor; for a child that [`new`](Self::new) made.
    #[must_use]
    pub fn child_type(mut self, child_type: ChildType) -> Self {
        self.info.child_type = child_type;
        self
    }

    /// Whether its end may end the supervisor, by the supervisor's
    /// [`auto_shutdown`](Supervisor::auto_shutdown).
    #[must_use]
    pub fn significant(mut self, significant: bool) -> Self {
        self.info.significant = significant;
        self
    }

    /// How long its start may take; a minute by default, and for a supervisor as long as it takes.
    /// `None` waits for ever, as OTP does.
    #[must_use]
    pub fn start_timeout(mut self, limit: Option<Duration>) -> Self {
        self.info.start_timeout = limit;
        self
    }

    /// Publishes what the running child offers in `slot`.
    #[must_use]
    pub fn slot(mut self, slot: &Slot<T>) -> Self {
        let (start, slot) = (self.start, slot.clone());
        self.start = Arc::new(move |link| {
            let (starting, slot) = (start(link), slot.clone());
            Box::pin(async move {
                let child = starting.await?;
                Ok(Child { running: child.running.map(|running| lend(&slot, running)) })
            })
        });
        self
    }

    pub(crate) fn into_parts(self) -> Result<(SpecInfo, StartFn), SpecError> {
        match self.flaw {
            Some(flaw) => Err(SpecError::Below { id: self.info.id, source: Box::new(flaw) }),
            None => Ok((self.info, self.start)),
        }
    }
}

impl ChildSpec {
    /// A task that does not trap exits: a shutdown drops it at its next await.
    ///
    /// A task that computes without an await can't be ended by anybody; see
    /// [`ExitReason::Zombie`].
    pub fn task<F>(id: impl Into<ChildId>, work: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output: IntoExit> + Send + 'static,
    {
        Self::new(id, move |link| std::future::ready(link.task(work())))
    }

    /// A task that traps exits: it is told of a shutdown, and has the time of its specification.
    pub fn trapping_task<F>(
        id: impl Into<ChildId>,
        work: impl Fn(ExitSignal) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output: IntoExit> + Send + 'static,
    {
        Self::new(id, move |link| std::future::ready(link.trapping_task(&work)))
    }
}

impl<M: ractor::Message + Sync> ChildSpec<ActorRef<M>> {
    /// A ractor actor; `make` gives the actor and its arguments for each incarnation.
    ///
    /// ractor's `post_stop` is called when the actor stops in an orderly way, but not after an
    /// error, a panic or a kill; OTP's `terminate` is also called after an error.
    pub fn actor<A: Actor<Msg = M>>(
        id: impl Into<ChildId>,
        make: impl Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    ) -> Self {
        Self::new(id, move |link| {
            let (actor, arguments) = make();
            link.actor(actor, arguments)
        })
    }
}

impl ChildSpec<SupervisorRef> {
    /// Another supervisor. It is given as long as it takes to stop, since it needs the time of all
    /// of its children.
    pub fn supervisor(id: impl Into<ChildId>, supervisor: Supervisor) -> Self {
        let flaw = supervisor.validate().err();
        let spec = Self::of(id, ChildType::Supervisor, move |link| {
            let supervisor = supervisor.clone();
            Box::pin(async { supervisor.start_below(link).await.map(|child| child.map(any)) })
        });
        Self { flaw, ..spec }
    }
}

impl<A: Send + 'static, T: Clone + Send + Sync + 'static> ChildSpec<DynamicRef<A, T>> {
    /// A dynamic supervisor.
    ///
    /// When it is restarted, its children are not: what started them has to start them again.
    pub fn dynamic(id: impl Into<ChildId>, supervisor: DynamicSupervisor<A, T>) -> Self {
        let flaw = supervisor.validate().err();
        let spec = Self::of(id, ChildType::Supervisor, move |link| {
            let supervisor = supervisor.clone();
            Box::pin(async { supervisor.start_below(link).await.map(|child| child.map(any)) })
        });
        Self { flaw, ..spec }
    }
}

impl<A: Send + 'static, T: Clone + Send + Sync + 'static> ChildSpec<ShardedRef<A, T>> {
    /// A sharded supervisor.
    pub fn sharded(id: impl Into<ChildId>, supervisor: ShardedSupervisor<A, T>) -> Self {
        let flaw = supervisor.validate().err();
        let spec = Self::of(id, ChildType::Supervisor, move |link| {
            let supervisor = supervisor.clone();
            Box::pin(async { supervisor.start_below(link).await.map(|child| child.map(any)) })
        });
        Self { flaw, ..spec }
    }
}

fn lend<T: Clone + Send + Sync + 'static>(
    slot: &Slot<T>,
    (handle, value): (Leash, AnyValue),
) -> (Leash, AnyValue) {
    match value.downcast_ref::<T>().cloned() {
        Some(offered) => (Leash::new(slot.lend(offered, handle)), value),
        None => (handle, value),
    }
}
