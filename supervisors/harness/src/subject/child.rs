//! Fake children that do what a script says, as ractor actors or as tasks.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{Child, ExitReason, ExitSignal, Link};
use tokio::sync::oneshot;

use super::tree::Shared;
use super::words;
use crate::path::Label;
use crate::reason::Reason;
use crate::world::OnStop;

/// What children are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ractor actors.
    Actor,
    /// tokio tasks that trap exits.
    Task,
}

/// How a running child is told to end.
#[derive(Debug)]
pub(super) enum Control {
    Actor(ActorRef<Crash>),
    Task(oneshot::Sender<Reason>),
}

impl Control {
    pub(super) fn crash(self, reason: &Reason) {
        // A child that has ended meanwhile can't be told.
        match self {
            Self::Actor(actor) if reason.is("kill") => actor.kill(),
            Self::Actor(actor) => drop(actor.cast(Crash(reason.clone()))),
            Self::Task(told) => drop(told.send(reason.clone())),
        }
    }
}

/// Tells the world of the child's end: the last thing that a child does is to drop this.
#[derive(Debug)]
struct Life {
    label: Label,
    shared: Shared,
    /// Without one, it was killed.
    reason: Option<Reason>,
}

impl Drop for Life {
    fn drop(&mut self) {
        let reason = self.reason.take().unwrap_or_else(Reason::killed);
        self.shared.world().exit(&self.label, reason);
    }
}

impl Life {
    /// What it does when it is asked to stop: the reason to end with, or never to end.
    async fn stop(&mut self, asked: &ExitReason) -> ExitReason {
        let on_stop = self.shared.world().on_stop(&self.label, words::reason(asked));
        match on_stop {
            OnStop::Exit(reason) => self.end(&reason),
            OnStop::Hang => std::future::pending().await,
        }
    }

    fn end(&mut self, reason: &Reason) -> ExitReason {
        self.reason = Some(reason.clone());
        words::exit_reason(reason)
    }
}

pub(super) async fn start(
    shared: Shared,
    label: Label,
    link: Link,
) -> Result<Child<()>, ExitReason> {
    shared.keep_key(&label, link.key());
    let life = Life { label: label.clone(), shared: shared.clone(), reason: None };
    match shared.kind() {
        Kind::Actor => {
            let child = link.actor(Fake, life).await?;
            Ok(child.map(|actor| shared.keep_control(&label, Control::Actor(actor))))
        }
        Kind::Task => {
            let (control, told) = oneshot::channel();
            shared.keep_control(&label, Control::Task(control));
            link.trapping_task(|exit| run(life, exit, told))
        }
    }
}

async fn run(mut life: Life, exit: ExitSignal, told: oneshot::Receiver<Reason>) -> ExitReason {
    tokio::select! {
        biased;
        Ok(reason) = told => {
            let reason = if reason.is("kill") { Reason::killed() } else { reason };
            life.end(&reason)
        }
        asked = exit.requested() => life.stop(&asked).await,
    }
}

struct Fake;

#[derive(Debug)]
pub(super) struct Crash(Reason);

impl Actor for Fake {
    type Msg = Crash;
    type State = Life;
    type Arguments = Life;

    async fn pre_start(&self, _: ActorRef<Crash>, life: Life) -> Result<Life, ActorProcessingErr> {
        Ok(life)
    }

    async fn handle(
        &self,
        myself: ActorRef<Crash>,
        Crash(reason): Crash,
        life: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        match life.end(&reason) {
            ExitReason::Normal => {
                myself.stop(None);
                Ok(())
            }
            other => Err(other.into()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Crash>,
        life: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        if life.reason.is_some() {
            return Ok(());
        }
        match life.stop(&ExitReason::Shutdown).await {
            ExitReason::Shutdown => Ok(()),
            other => Err(other.into()),
        }
    }
}
