//! The supervisor as a ractor actor: it feeds a machine and does what the machine wants.
//!
//! *Owns* the handles of its children. *Receives* their ends, calls, and its parent's stop.
//! *Sends* reports, answers, and its own end. *Fails when* its machine is wrong, and then its
//! children are killed with it. *Restarted by* its own supervisor.
//!
//! **Invariant:** no handler awaits; a start that is not done at once goes on in a task that the
//! supervisor owns, so that a kill is obeyed at any time.

mod held;
mod state;

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::child::{Child, ExitGuard};
use crate::exit::ExitReason;
use crate::link::Link;
use crate::machine::{ChildError, ChildKey, Done, FailedChild, Machine};
use crate::observer::Observer;
use crate::tree::Board;

pub(crate) use state::State;

/// What a child offers, whatever its type.
pub(crate) type AnyValue = Box<dyn Any + Send>;

pub(crate) fn any<T: Send + 'static>(value: T) -> AnyValue {
    Box::new(value)
}

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
    Started {
        key: ChildKey,
        run: u32,
        result: Result<Child<AnyValue>, ExitReason>,
    },
    Exited {
        key: ChildKey,
        run: u32,
        reason: ExitReason,
    },
    /// A start failed a while ago, and what it left behind has still not ended.
    Abandoned {
        key: ChildKey,
        run: u32,
    },
    Retry {
        key: ChildKey,
        run: u32,
    },
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

fn flatten(
    done: std::thread::Result<Result<Child<AnyValue>, ExitReason>>,
) -> Result<Child<AnyValue>, ExitReason> {
    done.unwrap_or_else(|panic| Err(ExitReason::from_panic(&*panic)))
}

#[derive(Debug, thiserror::Error)]
#[error("the start function was not done after {0:?}")]
struct StartTimeout(Duration);
