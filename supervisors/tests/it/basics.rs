//! A first tree of each kind.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{
    ChildSpec, ChildState, DynamicSupervisor, ExitReason, Link, Restart, Slot, Strategy, Supervisor,
};

struct Echo;

enum EchoMsg {
    Panic,
    Fail,
}

impl Actor for Echo {
    type Msg = EchoMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<EchoMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<EchoMsg>,
        message: EchoMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EchoMsg::Panic => panic!("asked to"),
            EchoMsg::Fail => Err("asked to".into()),
        }
    }
}

/// Waits until the supervisor has dealt with everything so that `check` holds.
async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !check().await {
        assert!(tokio::time::Instant::now() < deadline, "it never held");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn actors_and_tasks_come_back() {
    let slot = Slot::new();
    let root = Supervisor::new(Strategy::OneForOne)
        .name("app")
        .intensity(10, Duration::from_secs(60))
        .child(ChildSpec::actor("echo", || (Echo, ())).slot(&slot))
        .child(ChildSpec::task("idle", std::future::pending::<()>))
        .start()
        .await
        .unwrap();
    let first = slot.get().unwrap();
    first.cast(EchoMsg::Panic).unwrap();
    eventually(async || slot.get().is_some_and(|now| now.get_id() != first.get_id())).await;
    slot.get().unwrap().cast(EchoMsg::Fail).unwrap();
    eventually(async || root.which_child("echo").await.unwrap().run == 3).await;
    slot.get().unwrap().kill();
    eventually(async || root.which_child("echo").await.unwrap().run == 4).await;
    let tree = root.tree();
    assert_eq!(tree.children[0].restarts, 3, "{tree}");
    assert_eq!(root.which_child("idle").await.unwrap().run, 1);
    root.terminate_child("idle").await.unwrap();
    assert_eq!(root.which_child("idle").await.unwrap().state, ChildState::Stopped);
    root.restart_child("idle").await.unwrap();
    root.terminate_child("idle").await.unwrap();
    root.delete_child("idle").await.unwrap();
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    assert_eq!(slot.get().map(|actor| actor.get_id()), None);
}

#[tokio::test]
async fn nested_and_dynamic() {
    let sessions = Slot::new();
    let make = |name: String, link: Link| async move {
        link.task(async move {
            if name == "crash" {
                panic!("{name}");
            }
            std::future::pending::<()>().await;
        })
    };
    let dynamic = DynamicSupervisor::new("session", make)
        .restart(Restart::Transient)
        .child_intensity(2, Duration::from_secs(60));
    let below = Supervisor::new(Strategy::RestForOne)
        .child(ChildSpec::dynamic("sessions", dynamic).slot(&sessions));
    let root = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::supervisor("below", below))
        .start()
        .await
        .unwrap();
    let sessions = sessions.get().unwrap();
    let good = sessions.start_child("good".into()).await.unwrap().key().unwrap();
    sessions.start_child("crash".into()).await.unwrap();
    eventually(async || sessions.count_children().await.unwrap().workers == 1).await;
    assert_eq!(sessions.which_child(good).await.unwrap().run, 1);
    println!("{}", root.tree());
    root.stop(ExitReason::Shutdown).await;
}
