//! An actor that ends as it is told.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{ChildSpec, ExitReason};

use super::{Alive, One};

pub(super) enum Order {
    Fail(ActorProcessingErr),
    Panic(&'static str),
    /// Ends the puppet's supervisor as a kill from outside would.
    KillSupervisor,
}

/// How a part of the actor that runs once goes.
#[derive(Clone, Debug, Default)]
pub(super) enum Part {
    #[default]
    Ok,
    Fail(&'static str),
    Reason(ExitReason),
    Panic(&'static str),
}

impl Part {
    fn play(&self) -> Result<(), ActorProcessingErr> {
        match self {
            Self::Ok => Ok(()),
            Self::Fail(text) => Err((*text).into()),
            Self::Reason(reason) => Err(reason.clone().into()),
            Self::Panic(text) => panic!("{text}"),
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Puppet {
    pub(super) pre_start: Part,
    pub(super) post_stop: Part,
    pub(super) alive: Alive,
}

pub(super) type PuppetRef = ActorRef<Order>;

impl Puppet {
    pub(super) fn spec(self, id: &str) -> ChildSpec<PuppetRef> {
        ChildSpec::actor(id, move || (self.clone(), ()))
    }
}

impl Actor for Puppet {
    type Msg = Order;
    type State = One;
    type Arguments = ();

    async fn pre_start(&self, _: PuppetRef, (): ()) -> Result<One, ActorProcessingErr> {
        let one = self.alive.one();
        self.pre_start.play()?;
        Ok(one)
    }

    async fn handle(
        &self,
        myself: PuppetRef,
        order: Order,
        _: &mut One,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Fail(error) => Err(error),
            Order::Panic(text) => panic!("{text}"),
            Order::KillSupervisor => {
                myself.try_get_supervisor().expect("it has one").kill();
                Ok(())
            }
        }
    }

    async fn post_stop(&self, _: PuppetRef, _: &mut One) -> Result<(), ActorProcessingErr> {
        self.post_stop.play()
    }
}
