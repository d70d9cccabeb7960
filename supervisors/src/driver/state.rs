//! A running supervisor: its machine, the handles of its children, and what it has under way.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::held::{Held, Start};
use super::{AnyValue, Arguments, Msg, Recipe, ReplyTo, StartTimeout, flatten};
use crate::child::{Child, ChildHandle, ExitCell, ExitGuard, Home, Presence};
use crate::exit::ExitReason;
use crate::link::{Above, Link};
use crate::machine::{
    ChildError, ChildKey, Context, Done, Effect, FailedChild, Input, Machine, Outcome, Report, Time,
};
use crate::observer::publish;

pub(crate) struct State<M: Machine> {
    machine: M,
    recipe: Recipe<M>,
    above: Arc<Above>,
    myself: ActorRef<Msg<M>>,
    /// By the slot of the child's key.
    handles: Vec<Option<Held>>,
    /// The start that is under way; there is never more than one.
    starting: Option<Start>,
    timer: Option<(Time, AbortHandle)>,
    origin: Instant,
    booted: Option<oneshot::Sender<Result<(), FailedChild>>>,
    /// What the child that was started last offers, until the caller who wanted it gets it.
    value: Option<AnyValue>,
    /// Runs that were killed, given up, and have not ended.
    zombies: HashSet<(ChildKey, u32)>,
    /// Children whose entries the board still shows as they were.
    changed: Vec<ChildKey>,
    /// Answers that are given when the board shows what they tell of.
    answers: Vec<Answer>,
    /// Starts that were done at once, since the last message.
    at_once: u32,
    over: bool,
    guard: Option<ExitGuard>,
    kill_grace: Duration,
}

/// How many starts may be done for one message. A kill is obeyed between messages, so many
/// children must not be started by one.
const STARTS_AT_ONCE: u32 = 32;

type Answer = (ReplyTo, Result<(Done, Option<AnyValue>), ChildError>);

impl<M: Machine<Reply = ReplyTo>> State<M> {
    pub(super) fn new(myself: ActorRef<Msg<M>>, arguments: Arguments<M>) -> Self {
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
            zombies: HashSet::new(),
            changed: Vec::new(),
            answers: Vec::new(),
            at_once: 0,
            over: false,
            guard: Some(guard),
            kill_grace,
        }
    }

    fn now(&self) -> Time {
        self.origin.elapsed()
    }

    pub(super) fn on(&mut self, message: Msg<M>) {
        self.at_once = 0;
        let input = match message {
            Msg::Boot(reply) => {
                self.booted = Some(reply);
                Some(Input::Boot)
            }
            Msg::Started { key, run, result } => self.keep(key, run, result),
            Msg::Exited { key, run, reason } => {
                self.zombies.remove(&(key, run));
                self.let_go(key, run);
                let failed = self.take_failed(key, run);
                Some(failed.unwrap_or(Input::Exited { key, run, reason }))
            }
            Msg::Abandoned { key, run } => self.take_failed(key, run).inspect(|_| {
                tracing::error!(supervisor = &*self.above.path, "a failed start left a zombie");
                self.zombies.insert((key, run));
            }),
            Msg::Retry { key, run } => Some(Input::Retry { key, run }),
            Msg::Call(call) => Some(Input::Call(call)),
            Msg::Stop(reason) => Some(Input::Stop(reason)),
            Msg::Tick => {
                self.timer = None;
                Some(Input::Tick)
            }
        };
        if let Some(input) = input {
            self.feed(input);
        }
        self.value = None;
        self.set_timer();
        self.show();
        self.above.board.count(self.machine.counts(), self.zombies.len());
        for (to, answer) in self.answers.drain(..) {
            // A caller that has given up is no reason to fail.
            let _ = to.answer.send(answer);
        }
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
            Effect::Changed(key) => {
                if self.recipe.lists_children && self.changed.last() != Some(&key) {
                    self.changed.push(key);
                }
            }
            Effect::Reconfigured { flags, order } => {
                self.show();
                self.kill_grace = flags.kill_grace;
                self.above.board.arrange(flags.strategy.as_str(), &order);
            }
            Effect::Reply(to, outcome) => {
                let value = match outcome {
                    Ok(Done::Running(_)) => self.value.take(),
                    _ => None,
                };
                self.answers.push((to, outcome.map(|done| (done, value))));
            }
            Effect::Booted(outcome) => {
                // Who is told finds it on the board.
                self.show();
                self.above.board.count(self.machine.counts(), self.zombies.len());
                if let Some(reply) = self.booted.take() {
                    let _ = reply.send(outcome);
                }
            }
            Effect::Exit(reason) => self.exit(reason),
        }
    }

    /// Brings the board up to date.
    fn show(&mut self) {
        for key in self.changed.drain(..) {
            self.above.board.set(key, self.machine.child(key));
        }
    }

    fn start(&mut self, key: ChildKey, run: u32) {
        // A supervisor attaches itself to its line while it starts.
        self.show();
        let info = self.machine.child(key);
        let Some(id) = info.map(|info| info.id) else {
            return;
        };
        let cell = Arc::<ExitCell>::default();
        self.starting = Some(Start { key, run, cell: cell.clone(), task: None, failed: None });
        let link = Link { key, run, id, cell, above: self.above.clone() };
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
        self.at_once += 1;
        if self.at_once > STARTS_AT_ONCE {
            return self.send(Msg::Started { key, run, result });
        }
        if let Some(input) = self.keep(key, run, result) {
            self.machine.handle(self.now(), input);
        }
    }

    fn start_in_task<F>(&mut self, key: ChildKey, run: u32, starting: F)
    where
        F: Future<Output = std::thread::Result<Result<Child<AnyValue>, ExitReason>>>
            + Send
            + 'static,
    {
        let limit = (self.recipe.timeout)(&self.machine, key);
        // What it may still start counts as a child until it is over.
        let (myself, present) = (self.myself.clone(), Presence::new(self.above.home.clone()));
        let in_time = async move {
            match limit {
                None => flatten(starting.await),
                Some(limit) => match tokio::time::timeout(limit, starting).await {
                    Ok(done) => flatten(done),
                    Err(_) => Err(ExitReason::error(StartTimeout(limit))),
                },
            }
        };
        self.in_task(async move {
            // A start that is late is dropped, and may panic by that. Whatever happens, the
            // supervisor hears of it: it does nothing else until then.
            let done = AssertUnwindSafe(in_time).catch_unwind().await;
            let result = done.unwrap_or_else(|panic| Err(ExitReason::from_panic(&*panic)));
            drop(present);
            let _ = myself.cast(Msg::Started { key, run, result });
        });
    }

    #[expect(clippy::disallowed_methods, reason = "owned by the supervisor, which ends it")]
    fn in_task(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(start) = &mut self.starting {
            start.task = Some(tokio::spawn(work).abort_handle());
        }
    }

    /// Keeps the handle of a child that was started. `None` when it failed, but something that it
    /// had started before is still there: the failure is told when that has ended too.
    fn keep(
        &mut self,
        key: ChildKey,
        run: u32,
        result: Result<Child<AnyValue>, ExitReason>,
    ) -> Option<Input<M::Call>> {
        let mut start = self.starting.take_if(|start| start.key == key && start.run == run)?;
        let outcome = match result {
            Err(reason) => Outcome::Failed(reason),
            Ok(Child { running: None }) => Outcome::Ignored,
            Ok(Child { running: Some((handle, value)) }) => {
                // One that has ended already has no use for its handle, nor for its slot.
                if !start.cell.has_ended() {
                    self.hold(Held { key, run, handle });
                }
                self.value = Some(value);
                Outcome::Running
            }
        };
        if outcome == Outcome::Running || !start.cell.is_alive() {
            return Some(Input::Started { key, run, outcome });
        }
        start.failed = Some(outcome);
        self.starting = Some(start);
        let (myself, limit) = (self.myself.clone(), self.kill_grace);
        self.in_task(async move {
            tokio::time::sleep(limit).await;
            let _ = myself.cast(Msg::Abandoned { key, run });
        });
        None
    }

    /// What is told of a failed start when nothing that it started is left.
    fn take_failed(&mut self, key: ChildKey, run: u32) -> Option<Input<M::Call>> {
        let same =
            |start: &mut Start| start.key == key && start.run == run && start.failed.is_some();
        let outcome = self.starting.take_if(same)?.failed.take()?;
        Some(Input::Started { key, run, outcome })
    }

    fn hold(&mut self, held: Held) {
        let key = held.key;
        if self.handles.len() <= key.slot() {
            self.handles.resize_with(key.slot() + 1, || None);
        }
        if let Some(place) = self.handles.get_mut(key.slot()) {
            *place = Some(held);
        }
    }

    fn let_go(&mut self, key: ChildKey, run: u32) {
        let Some(place) = self.handles.get_mut(key.slot()) else {
            return;
        };
        if place.as_ref().is_some_and(|held| held.key == key && held.run == run) {
            *place = None;
        }
    }

    fn with(&self, key: ChildKey, act: impl FnOnce(&dyn ChildHandle)) {
        if let Some(Some(held)) = self.handles.get(key.slot())
            && held.key == key
        {
            act(&held.handle);
        }
    }

    fn report(&mut self, report: &Report) {
        publish(&self.above.path, report, self.above.observer.as_ref());
        match report.context {
            Context::Progress { restart: true } => self.above.board.restarted(report.key),
            Context::Zombie => {
                if let Some(Some(held)) = self.handles.get(report.key.slot()) {
                    self.zombies.insert((report.key, held.run));
                    self.let_go(report.key, held.run);
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
        // A time that no clock reaches needs no timer.
        let Some(at) = self.origin.checked_add(due) else { return };
        let myself = self.myself.clone();
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
        self.starting = None;
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
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
