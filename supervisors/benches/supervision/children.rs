//! What is supervised: a task and a ractor actor that do nothing but wait to be told to crash.

use std::future::pending;
use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{Child, ExitReason, Link};
use tokio::sync::{mpsc, oneshot};

/// What a child is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Actor,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Task, Self::Actor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Actor => "actor",
        }
    }
}

/// An incarnation's first act: it tells when it began to run, and how to make it crash.
pub(crate) struct Running {
    pub(crate) index: usize,
    pub(crate) at: Instant,
    pub(crate) button: Button,
}

/// Where incarnations tell that they run.
pub(crate) type Told = mpsc::Sender<Running>;

pub(crate) enum Button {
    Task(oneshot::Sender<()>),
    Actor(ActorRef<()>),
}

impl Button {
    pub(crate) fn press(self) {
        match self {
            Self::Task(button) => drop(button.send(())),
            Self::Actor(actor) => drop(actor.cast(())),
        }
    }
}

/// A task's work.
pub(crate) async fn task(index: usize, told: Told) -> Result<(), &'static str> {
    // The clock is read first, so that nothing that only the benchmark needs is counted.
    let at = Instant::now();
    let (button, pressed) = oneshot::channel();
    let _ = told.try_send(Running { index, at, button: Button::Task(button) });
    match pressed.await {
        Ok(()) => Err("told to crash"),
        Err(_) => pending().await,
    }
}

pub(crate) struct Victim {
    pub(crate) index: usize,
    pub(crate) told: Told,
}

impl Actor for Victim {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    // The first thing that runs in the actor's own task.
    async fn post_start(&self, me: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let at = Instant::now();
        let running = Running { index: self.index, at, button: Button::Actor(me) };
        let _ = self.told.try_send(running);
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("told to crash".into())
    }
}

/// Starts an actor whose supervisor's caller needs no reference to it.
pub(crate) async fn start_victim(victim: Victim, link: Link) -> Result<Child<()>, ExitReason> {
    link.actor(victim, ()).await.map(|child| child.map(drop))
}
