//! Supervisors of any number of children of one kind, and the reference to a running one.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::calls::{Calls, Started};
use crate::child::Child;
use crate::driver::{Recipe, ReplyTo, Starting, any};
use crate::exit::ExitReason;
use crate::link::Link;
use crate::machine::{ChildError, ChildInfo, ChildKey, Counts, Dynamic, DynamicCall, Machine};
use crate::observer::Observer;
use crate::policy::{
    Backoff, ChildId, ChildType, Flags, Intensity, Restart, Shutdown, SpecError, SpecInfo, Strategy,
};
use crate::root::{Root, StartError};
use crate::supervisor::{Setup, seed, start_driver};
use crate::tree::{Board, Tree};

type DynamicMachine<A> = Dynamic<A, ReplyTo>;
type Factory<A> = Arc<dyn Fn(A, Link) -> Starting + Send + Sync>;

/// The specification of a supervisor whose children differ only in their argument `A`; OTP's
/// `simple_one_for_one`. `T` is what a running child offers.
///
/// Children are temporary unless [`restart`](Self::restart) says otherwise, since most dynamic
/// children are; OTP's default is permanent.
///
/// ```
/// use supervisors::{DynamicSupervisor, Link};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let root = DynamicSupervisor::new("greeter", |name: String, link: Link| async {
///     link.task(async move { println!("hello {name}") })
/// })
/// .start()
/// .await
/// .expect("it has no children yet");
/// root.start_child("ada".to_owned()).await.expect("it starts");
/// # }
/// ```
pub struct DynamicSupervisor<A, T> {
    name: Option<ChildId>,
    flags: Flags,
    template: SpecInfo,
    child_intensity: Option<Intensity>,
    copy: Option<fn(&A) -> A>,
    observer: Option<Arc<dyn Observer>>,
    factory: Factory<A>,
    offers: PhantomData<fn() -> T>,
}

impl<A, T> Clone for DynamicSupervisor<A, T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            flags: self.flags,
            template: self.template.clone(),
            child_intensity: self.child_intensity,
            copy: self.copy,
            observer: self.observer.clone(),
            factory: self.factory.clone(),
            offers: PhantomData,
        }
    }
}

impl<A, T> std::fmt::Debug for DynamicSupervisor<A, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicSupervisor")
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

impl<A: Send + 'static, T: Clone + Send + Sync + 'static> DynamicSupervisor<A, T> {
    /// A supervisor of children that `start` starts. `id` is what each of them is called.
    pub fn new<F>(
        id: impl Into<ChildId>,
        start: impl Fn(A, Link) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Child<T>, ExitReason>> + Send + 'static,
    {
        let mut template = SpecInfo::new(id, ChildType::Worker);
        template.restart = Restart::Temporary;
        Self {
            name: None,
            flags: Flags::new(Strategy::OneForOne),
            template,
            child_intensity: None,
            copy: None,
            observer: None,
            factory: Arc::new(move |argument, link| {
                let starting = start(argument, link);
                Box::pin(async { starting.await.map(|child| child.map(any)) })
            }),
            offers: PhantomData,
        }
    }

    /// A root's name, with which the paths in logs, events and trees begin; its children's id by
    /// default. A supervisor below another is called by its child id.
    #[must_use]
    pub fn name(mut self, name: impl Into<ChildId>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// When children are started again, with a copy of their argument.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self
    where
        A: Clone,
    {
        self.template.restart = restart;
        self.copy = Some(A::clone);
        self
    }

    /// Whether children count as workers, which is the default, or as supervisors.
    #[must_use]
    pub fn child_type(mut self, child_type: ChildType) -> Self {
        self.template.child_type = child_type;
        self
    }

    /// How children are stopped; within five seconds by default. When the supervisor stops, this
    /// is one common time for all of them.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.template.shutdown = shutdown;
        self
    }

    /// How long a child's start may take; a minute by default.
    #[must_use]
    pub fn start_timeout(mut self, limit: Option<Duration>) -> Self {
        self.template.start_timeout = limit;
        self
    }

    /// Gives up, with all children, when there are more than `restarts` restarts within `period`.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.flags.intensity = Intensity { restarts, period };
        self.child_intensity = None;
        self
    }

    /// Gives each child a budget of its own instead of one for all: a child with more than
    /// `restarts` restarts within `period` is given up, and the others do not notice. Beyond OTP,
    /// where one churning child ends all of its siblings.
    #[must_use]
    pub fn child_intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.child_intensity = Some(Intensity { restarts, period });
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

    /// Who hears of everything that happens here; the observer of the supervisor above, unless
    /// set.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Checks the flags and the children's template; starting does the same first.
    ///
    /// # Errors
    /// What can't be followed.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.machine().map(drop)
    }

    /// Starts it as a root, without children.
    ///
    /// # Errors
    /// A specification that can't be followed.
    pub async fn start(self) -> Result<Root<DynamicRef<A, T>>, StartError> {
        self.validate()?;
        let name = self.name.clone().unwrap_or_else(|| self.template.id.clone());
        Root::start(name, self.observer.clone(), |link| self.start_below(link)).await
    }

    pub(crate) async fn start_below(
        self,
        link: Link,
    ) -> Result<Child<DynamicRef<A, T>>, ExitReason> {
        let machine = self.machine().map_err(ExitReason::error)?;
        let factory = self.factory;
        let recipe = Recipe {
            start: Box::new(move |machine: &mut DynamicMachine<A>, key, link| {
                match machine.argument(key) {
                    Some(argument) => factory(argument, link),
                    None => Box::pin(std::future::ready(link.ignore())),
                }
            }),
            timeout: |machine, _| machine.template().start_timeout,
            lists_children: false,
        };
        let (observer, kill_grace) = (self.observer, self.flags.kill_grace);
        let strategy = "simple_one_for_one";
        let setup = Setup { machine, recipe, strategy, observer, kill_grace };
        let (child, board) = start_driver(setup, link).await?;
        Ok(child.map(|actor| DynamicRef { calls: Calls::new(actor), board, offers: PhantomData }))
    }

    fn machine(&self) -> Result<DynamicMachine<A>, SpecError> {
        let (flags, template) = (self.flags, self.template.clone());
        Dynamic::new(flags, template, self.child_intensity, self.copy, seed())
    }
}

/// A running dynamic supervisor.
///
/// OTP answers `restart_child` and `delete_child` with `{error, simple_one_for_one}`; here they do
/// not exist. Otherwise calls behave as those of a [`SupervisorRef`](crate::SupervisorRef).
pub struct DynamicRef<A: Send + 'static, T> {
    calls: Calls<DynamicMachine<A>>,
    board: Arc<Board>,
    offers: PhantomData<fn() -> T>,
}

impl<A: Send + 'static, T> Clone for DynamicRef<A, T> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), board: self.board.clone(), offers: PhantomData }
    }
}

impl<A: Send + 'static, T> std::fmt::Debug for DynamicRef<A, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicRef").field("board", &self.board).finish_non_exhaustive()
    }
}

impl<A: Send + 'static, T: 'static> DynamicRef<A, T> {
    /// Starts a child.
    ///
    /// # Errors
    /// [`ChildError::Start`]; [`ChildError::NoProc`].
    pub async fn start_child(&self, argument: A) -> Result<Started<T>, ChildError> {
        self.calls.start(|reply| DynamicCall::Start(argument, reply)).await
    }

    /// Stops a child for good. Stopping one that has ended is fine.
    ///
    /// # Errors
    /// [`ChildError::NotFound`] for another supervisor's child; [`ChildError::NoProc`].
    pub async fn terminate_child(&self, key: ChildKey) -> Result<(), ChildError> {
        self.calls.ask(|reply| DynamicCall::Terminate(key, reply)).await.map(drop)
    }

    /// All children, in no order. With very many children this takes its time, and the
    /// supervisor's.
    ///
    /// # Errors
    /// [`ChildError::NoProc`].
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        self.query(Dynamic::which_children).await
    }

    /// One child.
    ///
    /// # Errors
    /// [`ChildError::NotFound`]; [`ChildError::NoProc`].
    pub async fn which_child(&self, key: ChildKey) -> Result<ChildInfo, ChildError> {
        self.query(move |machine| machine.child(key)).await?.ok_or(ChildError::NotFound)
    }

    /// How many children there are.
    ///
    /// # Errors
    /// [`ChildError::NoProc`].
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        self.query(Machine::counts).await
    }

    /// The children's common specification (OTP's `get_childspec`).
    ///
    /// # Errors
    /// [`ChildError::NoProc`].
    pub async fn get_childspec(&self) -> Result<SpecInfo, ChildError> {
        self.query(|machine| machine.template().clone()).await
    }

    /// This supervisor, with the number of its children. The supervisor is not asked.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.board.tree()
    }

    async fn query<V: Send + 'static>(
        &self,
        look: impl FnOnce(&DynamicMachine<A>) -> V + Send + 'static,
    ) -> Result<V, ChildError> {
        self.calls.query(look, DynamicCall::Query).await
    }
}

impl Link {
    /// Starts a dynamic supervisor.
    ///
    /// # Errors
    /// A specification that can't be followed.
    pub async fn dynamic<A: Send + 'static, T: Clone + Send + Sync + 'static>(
        self,
        supervisor: DynamicSupervisor<A, T>,
    ) -> Result<Child<DynamicRef<A, T>>, ExitReason> {
        supervisor.start_below(self).await
    }
}
