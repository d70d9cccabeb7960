//! Supervisors of children with ids: their specification, and the reference to a running one.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};

use crate::calls::{Calls, Started};
use crate::child::{Child, ChildHandle, ExitGuard};
use crate::driver::{Arguments, Driver, Msg, Recipe, ReplyTo};
use crate::exit::ExitReason;
use crate::link::Link;
use crate::machine::{ChildError, ChildInfo, Counts, Done, Fixed, FixedCall, Machine};
use crate::observer::Observer;
use crate::policy::{
    AutoShutdown, Backoff, ChildId, Flags, Intensity, SpecError, SpecInfo, Strategy,
};
use crate::root::{Root, StartError};
use crate::spec::{ChildSpec, StartFn};
use crate::tree::{Board, Tree};

type FixedMachine = Fixed<StartFn, ReplyTo>;

/// A supervisor's specification: its flags, and its children in start order.
///
/// Nothing runs until [`start`](Self::start), or until the supervisor above starts it as a child.
///
/// ```
/// use std::time::Duration;
/// use supervisors::{ChildSpec, ExitReason, Strategy, Supervisor};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let root = Supervisor::new(Strategy::OneForOne)
///     .name("app")
///     .intensity(3, Duration::from_secs(5))
///     .child(ChildSpec::task("ticker", || async {
///         loop {
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///     }))
///     .start()
///     .await
///     .expect("its children start");
/// assert_eq!(root.count_children().await.unwrap().active, 1);
/// println!("{}", root.tree());
/// assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    name: Option<ChildId>,
    flags: Flags,
    observer: Option<Arc<dyn Observer>>,
    children: Vec<(SpecInfo, StartFn)>,
    /// The first child that can't be followed.
    flaw: Option<SpecError>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("flags", &self.flags)
            .field("children", &self.children.iter().map(|(info, _)| &info.id).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A supervisor without children, with OTP's defaults: it gives up at the second restart
    /// within five seconds.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        let (flags, children) = (Flags::new(strategy), Vec::new());
        Self { name: None, flags, observer: None, children, flaw: None }
    }

    /// A root's name, with which the paths in logs, events and trees begin. A supervisor below
    /// another is called by its child id.
    #[must_use]
    pub fn name(mut self, name: impl Into<ChildId>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives up when there are more than `restarts` restarts within `period`.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.flags.intensity = Intensity { restarts, period };
        self
    }

    /// Whether the supervisor ends, with [`ExitReason::Shutdown`], when significant children have.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.flags.auto_shutdown = auto_shutdown;
        self
    }

    /// Pauses before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.flags.backoff = Some(backoff);
        self
    }

    /// How long a killed child may take to end before it counts as a zombie; five seconds by
    /// default.
    #[must_use]
    pub fn kill_grace(mut self, kill_grace: Duration) -> Self {
        self.flags.kill_grace = kill_grace;
        self
    }

    /// Who hears of everything that happens here and below, unless a supervisor below has its own.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Adds a child; children start in the order in which they are added, and stop in reverse.
    #[must_use]
    pub fn child<T: Clone + Send + Sync + 'static>(mut self, spec: ChildSpec<T>) -> Self {
        match spec.into_parts() {
            Ok(child) => self.children.push(child),
            Err(flaw) => {
                self.flaw.get_or_insert(flaw);
            }
        }
        self
    }

    /// Checks the flags and all specifications; starting does the same first.
    ///
    /// # Errors
    /// The first one that can't be followed.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.machine().map(drop)
    }

    /// Starts a root supervisor and its children, each after the one before it has started.
    ///
    /// # Errors
    /// A specification that can't be followed, and then nothing was started; or a child that did
    /// not start, and then those before it were stopped again.
    pub async fn start(self) -> Result<Root<SupervisorRef>, StartError> {
        self.validate()?;
        let name = self.name.clone().unwrap_or_else(|| ChildId::from("root"));
        Root::start(name, self.observer.clone(), |link| self.start_below(link)).await
    }

    pub(crate) async fn start_below(self, link: Link) -> Result<Child<SupervisorRef>, ExitReason> {
        let machine = self.machine().map_err(ExitReason::error)?;
        let recipe = Recipe {
            start: Box::new(|machine: &mut FixedMachine, key, link| match machine.start_of(key) {
                Some(start) => start(link),
                None => Box::pin(std::future::ready(link.ignore())),
            }),
            timeout: |machine, key| machine.start_timeout(key),
            lists_children: true,
        };
        let strategy = self.flags.strategy.as_str();
        let (observer, kill_grace) = (self.observer, self.flags.kill_grace);
        let setup = Setup { machine, recipe, strategy, observer, kill_grace };
        let (child, board) = start_driver(setup, link).await?;
        Ok(child.map(|actor| SupervisorRef { calls: Calls::new(actor), board }))
    }

    fn machine(&self) -> Result<FixedMachine, SpecError> {
        match &self.flaw {
            Some(flaw) => Err(flaw.clone()),
            None => Fixed::new(self.flags, self.children.clone(), seed()),
        }
    }
}

/// What a supervisor's actor is started with.
pub(crate) struct Setup<M> {
    pub(crate) machine: M,
    pub(crate) recipe: Recipe<M>,
    pub(crate) strategy: &'static str,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) kill_grace: Duration,
}

/// Starts a supervisor's actor and waits until its initial children have started.
pub(crate) async fn start_driver<M: Machine<Reply = ReplyTo>>(
    setup: Setup<M>,
    link: Link,
) -> Result<(Child<ActorRef<Msg<M>>>, Arc<Board>), ExitReason> {
    let above = link.above.clone();
    let path: Arc<str> = above.path_of(&link.id);
    let board = Board::new(path.clone(), setup.strategy);
    above.board.attach(link.key, board.clone());
    let guard: ExitGuard = link.guard();
    let arguments = Arguments {
        machine: setup.machine,
        recipe: setup.recipe,
        path,
        board: board.clone(),
        observer: setup.observer.or_else(|| above.observer.clone()),
        guard,
        kill_grace: setup.kill_grace,
    };
    #[expect(clippy::disallowed_methods, reason = "a supervisor's actor, linked to its parent's")]
    let started = match &above.cell {
        Some(cell) => Actor::spawn_linked(None, Driver::new(), arguments, cell.clone()).await,
        None => Actor::spawn(None, Driver::new(), arguments).await,
    };
    let (actor, _) = started.map_err(ExitReason::error)?;
    // From here on the child ends with this value, also when nobody waits for the start any more.
    let child = Child::new(Handle(actor.clone()), actor.clone());
    let (reply, booted) = tokio::sync::oneshot::channel();
    let _ = actor.cast(Msg::Boot(reply));
    match booted.await {
        Ok(Ok(())) => Ok((child, board)),
        Ok(Err(failed)) => Err(ExitReason::shutdown_with(failed)),
        Err(_) => Err(ExitReason::Killed),
    }
}

struct Handle<M: Machine>(ActorRef<Msg<M>>);

impl<M: Machine> ChildHandle for Handle<M> {
    fn shutdown(&self, reason: ExitReason) {
        // One that can't be reached has ended, and its guard tells.
        let _ = self.0.cast(Msg::Stop(reason));
    }

    fn kill(&self) {
        self.0.kill();
    }
}

/// A running supervisor.
///
/// Calls are answered in the order in which they come, and wait while the supervisor starts or
/// stops a child. They are bounded: a caller whose call finds the queue full waits for a place. A
/// caller that gives up harms nobody; what it asked for may still be done.
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    calls: Calls<FixedMachine>,
    board: Arc<Board>,
}

impl SupervisorRef {
    /// Starts a child after all others. Its specification is kept, unless the start fails.
    ///
    /// # Errors
    /// [`ChildError::AlreadyStarted`] or [`ChildError::AlreadyPresent`] for an id that exists;
    /// [`ChildError::Spec`]; [`ChildError::Start`]; [`ChildError::NoProc`].
    pub async fn start_child<T: Clone + Send + Sync + 'static>(
        &self,
        spec: ChildSpec<T>,
    ) -> Result<Started<T>, ChildError> {
        let (info, start) = spec.into_parts()?;
        self.calls.start(|reply| FixedCall::Start(info, start, reply)).await
    }

    /// Stops a child, and cancels a restart that is being waited for. Its specification stays,
    /// unless it is temporary. Stopping a child that does not run is fine.
    ///
    /// # Errors
    /// [`ChildError::NotFound`]; [`ChildError::NoProc`].
    pub async fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), ChildError> {
        let id = id.into();
        self.calls.ask(|reply| FixedCall::Terminate(id, reply)).await.map(drop)
    }

    /// Starts a child that was stopped. What it offers is found in its slot.
    ///
    /// # Errors
    /// [`ChildError::Running`]; [`ChildError::Restarting`]; [`ChildError::NotFound`];
    /// [`ChildError::Start`], and then its specification stays; [`ChildError::NoProc`].
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<Started<()>, ChildError> {
        let id = id.into();
        match self.calls.ask(|reply| FixedCall::Restart(id, reply)).await? {
            (Done::Running(key), _) => Ok(Started::Running { key, value: () }),
            _ => Ok(Started::Ignored),
        }
    }

    /// Removes the specification of a child that was stopped.
    ///
    /// # Errors
    /// [`ChildError::Running`]; [`ChildError::Restarting`]; [`ChildError::NotFound`];
    /// [`ChildError::NoProc`].
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), ChildError> {
        let id = id.into();
        self.calls.ask(|reply| FixedCall::Delete(id, reply)).await.map(drop)
    }

    /// Follows another specification from now on: flags, the children's specifications and their
    /// order. Running children go on; new ones are not started, and those that the new
    /// specification does not have stay, behind the others (OTP's `code_change`).
    ///
    /// # Errors
    /// [`ChildError::Spec`], and then nothing changed; [`ChildError::NoProc`].
    pub async fn reconfigure(&self, supervisor: Supervisor) -> Result<(), ChildError> {
        let Supervisor { flags, children, flaw, .. } = supervisor;
        flaw.map_or(Ok(()), Err)?;
        self.calls.ask(|reply| FixedCall::Reconfigure(flags, children, reply)).await.map(drop)
    }

    /// All children, the latest first.
    ///
    /// # Errors
    /// [`ChildError::NoProc`].
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        self.query(Fixed::which_children).await
    }

    /// One child.
    ///
    /// # Errors
    /// [`ChildError::NotFound`]; [`ChildError::NoProc`].
    pub async fn which_child(&self, id: impl Into<ChildId>) -> Result<ChildInfo, ChildError> {
        let id = id.into();
        self.query(move |machine| machine.find(&id)).await?.ok_or(ChildError::NotFound)
    }

    /// How many children there are.
    ///
    /// # Errors
    /// [`ChildError::NoProc`].
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        self.query(Machine::counts).await
    }

    /// A child's specification, without its start function.
    ///
    /// # Errors
    /// [`ChildError::NotFound`]; [`ChildError::NoProc`].
    pub async fn get_childspec(&self, id: impl Into<ChildId>) -> Result<SpecInfo, ChildError> {
        let id = id.into();
        self.query(move |machine| machine.spec(&id).cloned()).await?.ok_or(ChildError::NotFound)
    }

    /// This supervisor and everything below it. No supervisor is asked, so this also works while
    /// one is busy, and after one has ended.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.board.tree()
    }

    async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&FixedMachine) -> T + Send + 'static,
    ) -> Result<T, ChildError> {
        self.calls.query(look, FixedCall::Query).await
    }
}

/// A seed for the jitter of pauses. Nobody depends on its quality, only on its being different.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

impl Link {
    /// Starts a supervisor of children with ids.
    ///
    /// # Errors
    /// A specification that can't be followed, or, as `{shutdown, {failed_to_start_child, ..}}`,
    /// the [`FailedChild`](crate::FailedChild) that did not start.
    pub async fn supervisor(
        self,
        supervisor: Supervisor,
    ) -> Result<Child<SupervisorRef>, ExitReason> {
        supervisor.start_below(self).await
    }
}
