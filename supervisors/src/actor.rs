//! Children that are ractor actors.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::child::{Child, ChildHandle, ExitCell, ExitGuard};
use crate::exit::ExitReason;

/// Spawns `actor` linked to its supervisor.
///
/// ractor tells a supervisor of an exit by a text, and before the actor's state is dropped. So the
/// actor is wrapped: the wrapper writes the typed reason, and the guard that the wrapper and its
/// state share tells of the end when the last of the two is dropped.
pub(crate) async fn spawn<A: Actor>(
    guard: ExitGuard,
    supervisor: Option<ActorCell>,
    actor: A,
    arguments: A::Arguments,
) -> Result<Child<ActorRef<A::Msg>>, ExitReason> {
    let exit = guard.cell();
    let guard = Arc::new(guard);
    let wrapped = Supervised { actor, guard: guard.clone() };
    let Some(supervisor) = supervisor else {
        return Err(ExitReason::error("no supervisor"));
    };
    #[expect(clippy::disallowed_methods, reason = "this is where actors get their supervisor")]
    let started = Actor::spawn_linked(None, wrapped, (arguments, guard), supervisor).await;
    match started {
        Ok((actor, _)) => Ok(Child::new(Handle { cell: actor.get_cell(), exit }, actor)),
        Err(ractor::SpawnErr::StartupFailed(error)) => Err(ExitReason::from_actor(error)),
        Err(error) => Err(ExitReason::error(error)),
    }
}

struct Handle {
    cell: ActorCell,
    exit: Arc<ExitCell>,
}

impl ChildHandle for Handle {
    fn shutdown(&self, reason: ExitReason) {
        self.exit.ask(reason);
        self.cell.stop(None);
    }

    fn kill(&self) {
        self.cell.kill();
    }
}

/// The actor, and what tells of its end; dropped in this order.
struct Supervised<A> {
    actor: A,
    guard: Arc<ExitGuard>,
}

/// The actor's state, and what tells of its end; dropped in this order.
struct State<S> {
    /// Taken out and dropped by the actor's own task when it stops in an orderly way.
    state: Option<S>,
    _guard: Arc<ExitGuard>,
}

impl<A: Actor> Supervised<A> {
    /// Runs a part of the actor and keeps the reason if the actor ends by it.
    async fn watch<T>(
        &self,
        part: impl Future<Output = Result<T, ActorProcessingErr>>,
    ) -> Result<T, ActorProcessingErr> {
        let reason = match AssertUnwindSafe(part).catch_unwind().await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => ExitReason::from_actor(error),
            Err(panic) => ExitReason::from_panic(&*panic),
        };
        self.guard.set(reason.clone());
        Err(reason.into())
    }
}

impl<A: Actor> Actor for Supervised<A> {
    type Msg = A::Msg;
    type State = State<A::State>;
    type Arguments = (A::Arguments, Arc<ExitGuard>);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (arguments, guard): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let state = self.watch(async { self.actor.pre_start(myself, arguments).await }).await?;
        Ok(State { state: Some(state), _guard: guard })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(state) = &mut state.state else {
            return Ok(());
        };
        self.watch(async { self.actor.post_start(myself, state).await }).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(state) = &mut state.state else {
            return Ok(());
        };
        self.watch(async { self.actor.handle(myself, message, state).await }).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(state) = &mut state.state else {
            return Ok(());
        };
        self.watch(async { self.actor.handle_supervisor_evt(myself, event, state).await }).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(mut inner) = state.state.take() else {
            return Ok(());
        };
        self.watch(async {
            self.actor.post_stop(myself, &mut inner).await?;
            drop(inner);
            Ok(())
        })
        .await?;
        self.guard.set(self.guard.cell().asked().unwrap_or(ExitReason::Normal));
        Ok(())
    }
}
