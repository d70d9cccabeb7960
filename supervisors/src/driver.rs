//! The supervisor as a ractor actor: it feeds a machine and does what the machine wants.
//!
//! *Owns* the handles of its children. *Receives* their ends, calls, and its parent's stop.
//! *Sends* reports, answers, and its own end. *Fails when* its machine is wrong, and then its
//! children are killed with it. *Restarted by* its own supervisor.
//!
//! **Invariant:** no handler awaits; a start that is not done at once goes on in a task that the
//! supervisor owns, so that a kill is obeyed at any time.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::child::{Child, ChildHandle, ExitGuard, Home, Leash};
use crate::core::{
    ChildError, ChildKey, Context, Done, Effect, FailedChild, Input, Machine, Outcome, Report, Time,
};
use crate::exit::ExitReason;
use crate::link::{Above, Link};
use crate::observer::{Observer, publish};
use crate::tree::Board;

/// What a child offers, whatever its type.
pub(crate) type AnyValue = Box<dyn Any + Send>;
pub(crate) type Starting =
    Pin<Box<dyn Future<Output = Result<Child<AnyValue>, ExitReason>> + Send>>;

type StartChild<M> = Box<dyn Fn(&mut M, ChildKey, Link) -> Starting + Send>;

/// How the children of a machine are started.
pub(crate) struct Recipe<M> {
    pub(crate) start: StartChild<M>,
    /// A child's limit; the same for all children of a dynamic supervisor.
    pub(crate) timeout: fn(&M, ChildKey) -> Option<Duration>,
    /// Whether the board shows each child, or only how many there are.
    pub(crate) lists_children: bool,
}

/// Where the answer to a call goes. A caller that has given up is no reason to fail.
pub(crate) struct ReplyTo {
    pub(crate) answer: oneshot::Sender<Result<(Done, Option<AnyValue>), ChildError>>,
    /// The call's place in the supervisor's bounded queue.
    pub(crate) _permit: OwnedSemaphorePermit,
}

pub(crate) enum Msg<M: Machine> {
    Boot(oneshot::Sender<Result<(), FailedChild>>),
    Started { key: ChildKey, run: u32, result: Result<Child<AnyValue>, ExitReason> },
    Exited { key: ChildKey, run: u32, reason: ExitReason },
    Retry { key: ChildKey, run: u32 },
    Call(M::Call),
    Stop(ExitReason),
    Tick,
}

pub(crate) struct Arguments<M> {
    pub(crate) machine: M,
    pub(crate) recipe: Recipe<M>,
    pub(crate) path: Arc<str>,
    pub(crate) board: Arc<Board>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Tells whoever supervises this supervisor.
    pub(crate) guard: ExitGuard,
    pub(crate) kill_grace: Duration,
}

pub(crate) struct Driver<M>(PhantomData<fn() -> M>);

impl<M> Driver<M> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct State<M: Machine> {
    machine: M,
    recipe: Recipe<M>,
    above: Arc<Above>,
    myself: ActorRef<Msg<M>>,
    /// By the slot of the child's key.
    handles: Vec<Option<Held>>,
    /// The start that goes on in a task.
    starting: Option<AbortHandle>,
    timer: Option<(Time, AbortHandle)>,
    origin: Instant,
    booted: Option<oneshot::Sender<Result<(), FailedChild>>>,
    /// What the child that was started last offers, until the caller who wanted it gets it.
    value: Option<AnyValue>,
    zombies: usize,
    over: bool,
    guard: Option<ExitGuard>,
    kill_grace: Duration,
}

struct Held {
    run: u32,
    handle: Leash,
}

impl<M: Machine<Reply = ReplyTo>> Actor for Driver<M> {
    type Msg = Msg<M>;
    type State = State<M>;
    type Arguments = Arguments<M>;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg<M>>,
        arguments: Arguments<M>,
    ) -> Result<State<M>, ActorProcessingErr> {
        Ok(State::new(myself, arguments))
    }

    async fn handle(
        &self,
        _: ActorRef<Msg<M>>,
        message: Msg<M>,
        state: &mut State<M>,
    ) -> Result<(), ActorProcessingErr> {
        state.on(message);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Msg<M>>,
        event: SupervisionEvent,
        _: &mut State<M>,
    ) -> Result<(), ActorProcessingErr> {
        // Children tell of their ends by their guards. ractor's event may hold the last state of
        // an actor that was killed, and dropping that may panic.
        if catch_unwind(AssertUnwindSafe(|| drop(event))).is_err() {
            tracing::warn!("a child's state panicked while it was dropped");
        }
        Ok(())
    }
}

impl<M: Machine<Reply = ReplyTo>> State<M> {
    fn new(myself: ActorRef<Msg<M>>, arguments: Arguments<M>) -> Self {
        let Arguments { machine, recipe, path, board, observer, guard, kill_grace } = arguments;
        let to = myself.clone();
        let home = Home::new(move |key, run, reason| {
            // A supervisor that is gone has no use for it.
            let _ = to.cast(Msg::Exited { key, run, reason });
        });
        let cell = Some(myself.get_cell());
        Self {
            machine,
            recipe,
            above: Arc::new(Above { path, cell, home, board, observer }),
            myself,
            handles: Vec::new(),
            starting: None,
            timer: None,
            origin: Instant::now(),
            booted: None,
            value: None,
            zombies: 0,
            over: false,
            guard: Some(guard),
            kill_grace,
        }
    }

    fn now(&self) -> Time {
        self.origin.elapsed()
    }

    fn on(&mut self, message: Msg<M>) {
        let input = match message {
            Msg::Boot(reply) => {
                self.booted = Some(reply);
                Input::Boot
            }
            Msg::Started { key, run, result } => {
                self.starting = None;
                self.keep(key, run, result)
            }
            Msg::Exited { key, run, reason } => {
                self.let_go(key, run);
                Input::Exited { key, run, reason }
            }
            Msg::Retry { key, run } => Input::Retry { key, run },
            Msg::Call(call) => Input::Call(call),
            Msg::Stop(reason) => Input::Stop(reason),
            Msg::Tick => {
                self.timer = None;
                Input::Tick
            }
        };
        self.feed(input);
        self.value = None;
        self.set_timer();
        self.zombies = self.zombies.min(self.above.home.alive());
        self.above.board.count(self.machine.counts(), self.zombies);
    }

    fn feed(&mut self, input: Input<M::Call>) {
        self.machine.handle(self.now(), input);
        while let Some(effect) = self.machine.next_effect() {
            self.run(effect);
        }
    }

    fn run(&mut self, effect: Effect<ReplyTo>) {
        match effect {
            Effect::Start { key, run } => self.start(key, run),
            Effect::Shutdown(key) => self.with(key, |child| child.shutdown(ExitReason::Shutdown)),
            Effect::Kill(key) => self.with(key, ChildHandle::kill),
            Effect::Retry { key, run } => self.send(Msg::Retry { key, run }),
            Effect::Report(report) => self.report(&report),
            Effect::Changed(key) if self.recipe.lists_children => {
                self.above.board.set(key, self.machine.child(key));
            }
            Effect::Changed(_) => {}
            Effect::Reply(to, outcome) => {
                let value = match outcome {
                    Ok(Done::Running(_)) => self.value.take(),
                    _ => None,
                };
                let _ = to.answer.send(outcome.map(|done| (done, value)));
            }
            Effect::Booted(outcome) => {
                if let Some(reply) = self.booted.take() {
                    let _ = reply.send(outcome);
                }
            }
            Effect::Exit(reason) => self.exit(reason),
        }
    }

    fn start(&mut self, key: ChildKey, run: u32) {
        let info = self.machine.child(key);
        let Some(id) = info.map(|info| info.id) else {
            return;
        };
        let link = Link { key, run, id, above: self.above.clone() };
        let made =
            catch_unwind(AssertUnwindSafe(|| (self.recipe.start)(&mut self.machine, key, link)));
        let result = match made {
            Err(panic) => Err(ExitReason::from_panic(&*panic)),
            Ok(starting) => {
                let mut starting = AssertUnwindSafe(starting).catch_unwind();
                match (&mut starting).now_or_never() {
                    Some(done) => flatten(done),
                    None => return self.start_in_task(key, run, starting),
                }
            }
        };
        let input = self.keep(key, run, result);
        self.machine.handle(self.now(), input);
    }

    #[expect(clippy::disallowed_methods, reason = "owned by the supervisor, which ends it")]
    fn start_in_task<F>(&mut self, key: ChildKey, run: u32, starting: F)
    where
        F: Future<Output = std::thread::Result<Result<Child<AnyValue>, ExitReason>>>
            + Send
            + 'static,
    {
        let limit = (self.recipe.timeout)(&self.machine, key);
        let myself = self.myself.clone();
        let task = tokio::spawn(async move {
            let result = match limit {
                None => flatten(starting.await),
                Some(limit) => match tokio::time::timeout(limit, starting).await {
                    Ok(done) => flatten(done),
                    Err(_) => Err(ExitReason::error(StartTimeout(limit))),
                },
            };
            let _ = myself.cast(Msg::Started { key, run, result });
        });
        self.starting = Some(task.abort_handle());
    }

    /// Keeps the handle of a child that was started.
    fn keep(
        &mut self,
        key: ChildKey,
        run: u32,
        result: Result<Child<AnyValue>, ExitReason>,
    ) -> Input<M::Call> {
        let outcome = match result {
            Err(reason) => Outcome::Failed(reason),
            Ok(Child { running: None }) => Outcome::Ignored,
            Ok(Child { running: Some((handle, value)) }) => {
                if self.handles.len() <= key.slot() {
                    self.handles.resize_with(key.slot() + 1, || None);
                }
                if let Some(place) = self.handles.get_mut(key.slot()) {
                    *place = Some(Held { run, handle });
                }
                self.value = Some(value);
                Outcome::Running
            }
        };
        Input::Started { key, run, outcome }
    }

    fn let_go(&mut self, key: ChildKey, run: u32) {
        let Some(place) = self.handles.get_mut(key.slot()) else {
            return;
        };
        if place.as_ref().is_some_and(|held| held.run == run) {
            *place = None;
        }
    }

    fn with(&self, key: ChildKey, act: impl FnOnce(&dyn ChildHandle)) {
        if let Some(Some(held)) = self.handles.get(key.slot()) {
            act(&*held.handle);
        }
    }

    fn report(&mut self, report: &Report) {
        publish(&self.above.path, report, self.above.observer.as_ref());
        match report.context {
            Context::Progress { restart: true } => self.above.board.restarted(report.key),
            Context::Zombie => {
                self.zombies += 1;
                if let Some(place) = self.handles.get_mut(report.key.slot()) {
                    *place = None;
                }
            }
            _ => {}
        }
    }

    /// Wakes up for the machine's deadline. A timer that is early is left alone: it will find
    /// nothing to do, and be set again.
    #[expect(clippy::disallowed_methods, reason = "owned by the supervisor, which ends it")]
    fn set_timer(&mut self) {
        let Some(due) = self.machine.deadline() else {
            return;
        };
        if let Some((at, task)) = &self.timer {
            if *at <= due {
                return;
            }
            task.abort();
        }
        let (myself, at) = (self.myself.clone(), self.origin + due);
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            let _ = myself.cast(Msg::Tick);
        });
        self.timer = Some((due, task.abort_handle()));
    }

    fn exit(&mut self, reason: ExitReason) {
        self.over = true;
        self.above.board.close(reason.clone());
        if let Some(guard) = &self.guard {
            guard.set(reason);
        }
        self.myself.stop(None);
    }

    fn send(&self, message: Msg<M>) {
        // Only a supervisor that is over can't be reached, and it has nothing left to do.
        let _ = self.myself.cast(message);
    }
}

impl<M: Machine> Drop for State<M> {
    /// The supervisor is gone, and its children with it. One that was killed has to kill them; its
    /// own end is told when theirs have come, so that its successor finds nothing in the way.
    #[expect(clippy::disallowed_methods, reason = "ends by itself within kill_grace")]
    fn drop(&mut self) {
        self.above.board.close(ExitReason::Killed);
        for task in self.starting.iter().chain(self.timer.iter().map(|(_, task)| task)) {
            task.abort();
        }
        let Some(guard) = self.guard.take().filter(|_| !self.over) else {
            return;
        };
        // Their leashes go, and that kills them.
        self.handles.clear();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (home, limit) = (self.above.home.clone(), self.kill_grace);
            runtime.spawn(async move {
                let left = tokio::time::timeout(limit, home.emptied()).await;
                if left.is_err() {
                    tracing::error!(
                        left = home.alive(),
                        "children outlive their killed supervisor"
                    );
                }
                drop(guard);
            });
        }
    }
}

fn flatten(
    done: std::thread::Result<Result<Child<AnyValue>, ExitReason>>,
) -> Result<Child<AnyValue>, ExitReason> {
    done.unwrap_or_else(|panic| Err(ExitReason::from_panic(&*panic)))
}

#[derive(Debug, thiserror::Error)]
#[error("the start function was not done after {0:?}")]
struct StartTimeout(Duration);
