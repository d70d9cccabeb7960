//! The keeper of one upstream: it starts its instances, starts them again when they end, and gives
//! them up where that helps nobody.
//!
//! *Owns* the upstream's instances, as tasks, and the rules' state. *Receives* what its instances
//! tell, what clients want, the passing of time, and orders of operators. *Sends* announcements to
//! the registry, and writes on the upstream's board. *Fails when* a part of it panics. *Restarted
//! by* the supervisor `upstreams`: its instances end with it, each of their calls gets one error,
//! and the next incarnation begins anew from the specification on the board.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::board::Board;
use super::exit::Exit;
use super::instance::Instance;
use super::machine::{Effect, Input, Machine, MemberId, Policy};
use super::members::{Members, Started};
use super::pool::Hope;
use super::{Shared, report};
use crate::provider::upstream::spec::{Share, UpstreamSpec};
use crate::provider::{Circle, Who};

/// What a keeper is told.
pub enum Msg {
    /// A member's instance serves, and its offer is on the board.
    Ready(MemberId),
    /// What an instance offers is another than before, and on the board.
    Offered,
    /// A member's instance has ended, wholly.
    Ended(MemberId, Exit),
    /// Something is due.
    Tick,
    /// Somebody waits for an instance that they share with their circle.
    Want(Who),
    /// This circle is no more.
    Release(Circle),
    /// An operator wants all instances started anew.
    Restart,
    /// The specification on the board has other rules.
    Respecified,
    /// All instances are to stop, for good; the answer comes when they have.
    Close(RpcReplyPort<()>),
}

/// The actor.
pub struct Keeper;

/// The actor's state. Dropping it kills the instances.
pub struct KeeperState {
    board: Arc<Board>,
    shared: Shared,
    machine: Machine,
    begun: Instant,
    members: Members,
    /// Whether the catalogue lists what it has.
    is_listed: bool,
    /// When it no longer does, where instances come back no sooner.
    unlist_at: Option<Instant>,
    closing: Option<Vec<RpcReplyPort<()>>>,
    alarm: Option<AbortHandle>,
    instances: JoinSet<()>,
    chores: JoinSet<()>,
}

impl Actor for Keeper {
    type Msg = Msg;
    type State = KeeperState;
    type Arguments = (Arc<Board>, Shared);

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        (board, shared): Self::Arguments,
    ) -> Result<KeeperState, ActorProcessingErr> {
        // What an incarnation before this one left there has ended with it.
        board.pool.clear();
        let spec = board.spec();
        let machine = Machine::new(policy(&spec, board.share()));
        let mut chores = JoinSet::new();
        if board.share() != Share::Node {
            chores.spawn(want_what_is_listened_to(Arc::clone(&board), shared.clone()));
        }
        let mut state = KeeperState {
            is_listed: board.state().serves(),
            board,
            shared,
            machine,
            begun: Instant::now(),
            members: Members::default(),
            unlist_at: None,
            closing: None,
            alarm: None,
            instances: JoinSet::new(),
            chores,
        };
        // Where each circle has its own, one is started all the same: to learn what there is.
        let first = if state.is_on_demand() { 1 } else { spec.instances };
        for _ in 0..first {
            state.open(&myself, Circle::All, None);
        }
        state.settle(&myself, None);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg>,
        message: Msg,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Ready(member) => state.on(&myself, Input::Ready(member), None),
            Msg::Offered => state.announce(),
            Msg::Ended(member, exit) => state.ended(&myself, member, &exit),
            Msg::Tick => state.tick(&myself),
            Msg::Want(who) => state.want(&myself, who),
            Msg::Release(circle) => state.release(&myself, &circle),
            Msg::Restart => state.on(&myself, Input::Restart, None),
            Msg::Respecified => state.respecified(&myself),
            Msg::Close(reply) => state.close(&myself, reply),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Msg>,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        state.chores.abort_all();
        state.members.stop_all();
        while state.instances.join_next().await.is_some() {}
        Ok(())
    }
}

fn policy(spec: &UpstreamSpec, share: Share) -> Policy {
    let (restart, max_restarts, window) = (spec.restart, spec.max_restarts, spec.window);
    Policy { restart, max_restarts, window, on_demand: share != Share::Node }
}

/// Who subscribed to a resource needs an instance that tells of it, without any call.
async fn want_what_is_listened_to(board: Arc<Board>, shared: Shared) {
    let interests = shared.published.interests();
    let mut changed = interests.watch(&board.name);
    loop {
        for who in interests.clients(&board.name) {
            board.want(&who).await;
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

impl KeeperState {
    fn is_on_demand(&self) -> bool {
        self.board.share() != Share::Node
    }

    /// Gives a circle one more member.
    fn open(&mut self, myself: &ActorRef<Msg>, circle: Circle, owner: Option<&Who>) {
        let id = self.board.next_member();
        self.members.add(id, circle, owner);
        self.follow(myself, Input::Open(id));
    }

    /// Takes note of what happened, does what follows from it, and tells whoever has to know.
    fn on(&mut self, myself: &ActorRef<Msg>, input: Input, exit: Option<&Exit>) {
        self.follow(myself, input);
        self.settle(myself, exit);
    }

    fn follow(&mut self, myself: &ActorRef<Msg>, input: Input) {
        let effects = self.machine.on(input, self.begun.elapsed(), self.shared.jitter());
        for effect in effects {
            match effect {
                Effect::Start(member) => self.start(myself, member),
                Effect::Stop(id) => self.members.stop(id),
                Effect::Forget(id) => self.forget(id),
            }
        }
    }

    fn start(&mut self, myself: &ActorRef<Msg>, member: MemberId) {
        let Some(Started { circle, owner, stop, after }) = self.members.start(member) else {
            return;
        };
        if let Some(reason) = after {
            self.board.restarted();
            self.shared.count_restart(&self.board.name, reason);
        }
        self.board.pool.hope(&circle, Hope::Coming);
        let (board, shared, keeper) =
            (Arc::clone(&self.board), self.shared.clone(), myself.clone());
        let instance = Instance { board, shared, member, circle, owner, stop, keeper };
        let myself = myself.clone();
        self.instances.spawn(async move {
            let exit = AssertUnwindSafe(instance.run()).catch_unwind().await;
            // A keeper that is gone has taken this task along.
            let _ = myself.cast(Msg::Ended(member, exit.unwrap_or_else(|_| Exit::panicked())));
        });
    }

    fn forget(&mut self, member: MemberId) {
        let last = self.members.remove(member).filter(|_| self.is_on_demand());
        if let Some(circle) = last {
            self.board.pool.remove(&circle);
        }
    }

    fn ended(&mut self, myself: &ActorRef<Msg>, id: MemberId, exit: &Exit) {
        while self.instances.try_join_next().is_some() {}
        let Some(was_told) = self.members.ended(id, exit) else { return };
        if !was_told {
            self.board.ended(&exit.cause, exit.uptime);
            report::ended(&self.board, id, exit);
        }
        self.follow(myself, Input::Ended(id, exit.end));
        self.settle(myself, (!was_told).then_some(exit));
        self.closed();
    }

    fn tick(&mut self, myself: &ActorRef<Msg>) {
        self.follow(myself, Input::Tick);
        if self.is_on_demand() {
            let idle = self.board.pool.idle(self.board.spec().idle_timeout);
            let interests = self.shared.published.interests().clone();
            for circle in idle {
                if circle == Circle::All || interests.of(&self.board.name, &circle).is_empty() {
                    self.release(myself, &circle);
                }
            }
        }
        self.settle(myself, None);
    }

    fn want(&mut self, myself: &ActorRef<Msg>, who: Who) {
        let circle = self.board.circle(&who);
        let owner = matches!(circle, Circle::Session(_)).then_some(&who);
        if self.closing.is_some() || !self.members.of(&circle).is_empty() {
            return;
        }
        for _ in 0..self.board.spec().instances {
            self.open(myself, circle.clone(), owner);
        }
        self.settle(myself, None);
    }

    fn release(&mut self, myself: &ActorRef<Msg>, circle: &Circle) {
        for id in self.members.of(circle) {
            self.follow(myself, Input::Close(id));
        }
        self.settle(myself, None);
    }

    fn respecified(&mut self, myself: &ActorRef<Msg>) {
        self.machine.follow(policy(&self.board.spec(), self.board.share()));
        match self.board.vet_again() {
            Ok(_) => self.announce(),
            Err(error) => report::unwritable(&self.board, &error),
        }
        self.settle(myself, None);
    }

    fn close(&mut self, myself: &ActorRef<Msg>, reply: RpcReplyPort<()>) {
        self.closing.get_or_insert_default().push(reply);
        for id in self.members.all() {
            self.follow(myself, Input::Close(id));
        }
        self.closed();
    }

    /// Answers those who wait for the end of all instances.
    fn closed(&mut self) {
        if self.members.any_runs() {
            return;
        }
        for reply in self.closing.iter_mut().flat_map(|waiting| waiting.drain(..)) {
            // Who asked may wait no longer.
            let _ = reply.send(());
        }
    }

    /// Brings the board, the catalogue, those who wait, and the alarm into line with the machine.
    fn settle(&mut self, myself: &ActorRef<Msg>, exit: Option<&Exit>) {
        if self.closing.is_some() {
            return;
        }
        let state = self.machine.state();
        let next_try = self.machine.due().map(|due| self.begun + due);
        let cause = report::cause(&self.board, state, exit);
        let is_other = self.board.cause() != cause;
        let before = self.board.became(state, cause, next_try);
        if before != state {
            self.shared.show_state(&self.board.name, state);
            report::became(&self.board, before, next_try);
        }
        self.members.hope(&self.machine, &self.board);
        let now = Instant::now();
        if state.serves() {
            self.unlist_at = None;
            if !self.is_listed {
                self.is_listed = true;
                self.announce();
            }
        } else if self.is_listed {
            let at = *self.unlist_at.get_or_insert(now + self.shared.pace.grace);
            if at <= now {
                (self.is_listed, self.unlist_at) = (false, None);
                self.announce();
            }
        } else if before != state || is_other {
            self.announce();
        }
        self.wake(myself, now);
    }

    fn announce(&self) {
        self.shared.announce(&self.board, self.is_listed);
    }

    /// Sets the alarm to the next thing that is due.
    fn wake(&mut self, myself: &ActorRef<Msg>, now: Instant) {
        let look = self.is_on_demand().then(|| {
            let idle = self.board.spec().idle_timeout / 10;
            now + idle.clamp(Duration::from_millis(50), Duration::from_secs(60))
        });
        let due = self.machine.due().map(|due| self.begun + due);
        let next = [due, self.unlist_at, look].into_iter().flatten().min();
        if let Some(alarm) = self.alarm.take() {
            alarm.abort();
        }
        while self.chores.try_join_next().is_some() {}
        if let Some(at) = next {
            let myself = myself.clone();
            self.alarm = Some(self.chores.spawn(async move {
                sleep_until(at).await;
                let _ = myself.cast(Msg::Tick);
            }));
        }
    }
}
