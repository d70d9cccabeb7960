//! The bounded way into a supervisor.

use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::driver::{AnyValue, Msg, ReplyTo};
use crate::machine::{ChildError, ChildKey, Done, Machine};

/// How many calls may wait at one supervisor; its mailbox has no bound of its own.
const MAX_PENDING_CALLS: usize = 1024;

/// Calls one supervisor.
pub(crate) struct Calls<M: Machine> {
    actor: ActorRef<Msg<M>>,
    places: Arc<Semaphore>,
}

impl<M: Machine> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone(), places: self.places.clone() }
    }
}

impl<M: Machine> std::fmt::Debug for Calls<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls").field("actor", &self.actor.get_id()).finish_non_exhaustive()
    }
}

impl<M: Machine<Reply = ReplyTo>> Calls<M> {
    pub(crate) fn new(actor: ActorRef<Msg<M>>) -> Self {
        Self { actor, places: Arc::new(Semaphore::new(MAX_PENDING_CALLS)) }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, ChildError> {
        self.places.clone().acquire_owned().await.map_err(|_| ChildError::NoProc)
    }

    /// Makes a call that changes something.
    pub(crate) async fn ask(
        &self,
        call: impl FnOnce(ReplyTo) -> M::Call,
    ) -> Result<(Done, Option<AnyValue>), ChildError> {
        let (answer, answered) = oneshot::channel();
        let call = call(ReplyTo { answer, _permit: self.place().await? });
        self.actor.cast(Msg::Call(call)).map_err(|_| ChildError::NoProc)?;
        answered.await.map_err(|_| ChildError::NoProc)?
    }

    /// Starts a child that offers a `T`.
    pub(crate) async fn start<T: 'static>(
        &self,
        call: impl FnOnce(ReplyTo) -> M::Call,
    ) -> Result<Started<T>, ChildError> {
        let (done, value) = self.ask(call).await?;
        let value = value.and_then(|value| value.downcast::<T>().ok());
        match (done, value) {
            (Done::Running(key), Some(value)) => Ok(Started::Running { key, value: *value }),
            _ => Ok(Started::Ignored),
        }
    }

    /// Looks at the machine when the call's turn comes.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&M) -> T + Send + 'static,
        call: impl FnOnce(Box<dyn FnOnce(&M) + Send>) -> M::Call,
    ) -> Result<T, ChildError> {
        let (answer, answered) = oneshot::channel();
        let permit = self.place().await?;
        let look = Box::new(move |machine: &M| {
            let _ = answer.send(look(machine));
            drop(permit);
        });
        self.actor.cast(Msg::Call(call(look))).map_err(|_| ChildError::NoProc)?;
        answered.await.map_err(|_| ChildError::NoProc)
    }
}

/// What a started child offers, or that its start function decided not to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started<T> {
    /// It runs.
    Running {
        /// Its identity, the same for all its incarnations.
        key: ChildKey,
        /// What it offers.
        value: T,
    },
    /// It was not started (OTP's `ignore`).
    Ignored,
}

impl<T> Started<T> {
    /// What the child offers, if it runs.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Running { value, .. } => Some(value),
            Self::Ignored => None,
        }
    }

    /// The child's identity, if it runs.
    pub fn key(&self) -> Option<ChildKey> {
        match self {
            Self::Running { key, .. } => Some(*key),
            Self::Ignored => None,
        }
    }
}
