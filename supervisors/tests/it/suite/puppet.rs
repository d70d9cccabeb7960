//! The puppets themselves: a task and an actor that behave alike.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{Child, ExitReason, ExitSignal, Link};
use tokio::sync::mpsc;

use super::world::{Kind, Life, OnStop, Order, Remote, Start, World};

/// Starts a puppet as its plan wants.
pub(crate) async fn start(world: World, id: String, link: Link) -> Result<Child<()>, ExitReason> {
    let name = format!("{id}#{}", link.run());
    let plan = world.next_start(&id);
    if let Start::Ignore = plan {
        world.log(format!("start {name} ignored"));
        return link.ignore();
    }
    match world.kind {
        Kind::Task => {
            let life = act(&world, plan, name).await?;
            let (orders, inbox) = mpsc::channel(16);
            world.register(&id, Remote::Task(orders));
            link.trapping_task(|signal| task(world, id, life, inbox, signal))
        }
        Kind::Actor => {
            let actor = link.actor(Puppet { world, id }, (plan, name)).await?;
            Ok(actor.map(drop))
        }
    }
}

/// Does what the plan says of a start.
async fn act(world: &World, plan: Start, name: String) -> Result<Life, ExitReason> {
    let plan = match plan {
        Start::Gated(plan) => {
            world.log(format!("start {name} waits"));
            world.pass_gate().await;
            *plan
        }
        plan => plan,
    };
    match plan {
        Start::Fail(reason) => {
            world.log(format!("start {name} fails"));
            Err(reason)
        }
        Start::Panic(text) => {
            world.log(format!("start {name} panics"));
            panic!("{text}")
        }
        Start::Ok | Start::Ignore | Start::Gated(_) => Ok(Life::begin(world, name)),
    }
}

async fn task(
    world: World,
    id: String,
    mut life: Life,
    mut inbox: mpsc::Receiver<Order>,
    signal: ExitSignal,
) -> ExitReason {
    let mut deaf = false;
    loop {
        tokio::select! {
            biased;
            Some(order) = inbox.recv() => return life.follow(order),
            reason = signal.requested(), if !deaf => match world.how_to_stop(&id) {
                OnStop::Obey => return life.end(reason),
                OnStop::Hang => deaf = true,
                OnStop::After(pause) => {
                    tokio::time::sleep(pause).await;
                    return life.end(reason);
                }
                OnStop::Reply(own) => return life.end(own),
            },
        }
    }
}

impl Life {
    fn follow(&mut self, order: Order) -> ExitReason {
        match order {
            Order::Exit(reason) => self.end(reason),
            Order::Panic(text) => {
                self.end(ExitReason::Panic(text.into()));
                panic!("{text}")
            }
        }
    }
}

struct Puppet {
    world: World,
    id: String,
}

impl Actor for Puppet {
    type Msg = Order;
    type State = Life;
    type Arguments = (Start, String);

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        (plan, name): Self::Arguments,
    ) -> Result<Life, ActorProcessingErr> {
        let life = act(&self.world, plan, name).await?;
        self.world.register(&self.id, Remote::Actor(myself));
        Ok(life)
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        life: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        match life.follow(order) {
            ExitReason::Normal => {
                myself.stop(None);
                Ok(())
            }
            reason => Err(reason.into()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Order>,
        life: &mut Life,
    ) -> Result<(), ActorProcessingErr> {
        if life.reason.is_some() {
            return Ok(());
        }
        match self.world.how_to_stop(&self.id) {
            OnStop::Obey => {}
            OnStop::Hang => std::future::pending().await,
            OnStop::After(pause) => tokio::time::sleep(pause).await,
            OnStop::Reply(own) => return Err(life.end(own).into()),
        }
        life.end(ExitReason::Shutdown);
        Ok(())
    }
}
