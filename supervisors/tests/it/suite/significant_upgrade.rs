//! `auto_shutdown` and `significant` can be changed while the supervisor runs.

use supervisors::{AutoShutdown, ChildError, ExitReason, Restart, SpecError, Strategy, Supervisor};

use super::look::{Fixed, finish, gone, shows};
use super::world::{World, both};
use AutoShutdown::{AllSignificant, AnySignificant, Never};

fn root(world: &World, auto: AutoShutdown) -> Supervisor {
    world.root(Strategy::OneForOne, 1).auto_shutdown(auto)
}

async fn add(world: &World, root: &Fixed, id: &str) -> Result<(), ChildError> {
    let child = world.child(id).restart(Restart::Transient).significant(true);
    root.start_child(child).await.map(drop)
}

fn useless(id: &str) -> ChildError {
    ChildError::Spec(SpecError::SignificantWithoutAutoShutdown { id: id.into() })
}

/// Two significant children, started before or after the change, as it allows.
async fn upgraded(world: &World, from: AutoShutdown, to: AutoShutdown) -> Fixed {
    let running = root(world, from).start().await.unwrap();
    if from == Never {
        assert_eq!(add(world, &running, "a").await, Err(useless("a")));
        running.reconfigure(root(world, to)).await.unwrap();
    }
    for id in ["a", "b"] {
        add(world, &running, id).await.unwrap();
    }
    if from != Never {
        running.reconfigure(root(world, to)).await.unwrap();
    }
    world.expect(&["start a#1", "start b#1"]).await;
    shows(&running, "b#1 a#1").await;
    world.exit("a", ExitReason::Normal);
    world.expect(&["exit a#1 normal"]).await;
    running
}

#[tokio::test]
async fn significant_upgrade_never_any() {
    both(async |world| {
        let root = upgraded(&world, Never, AnySignificant).await;
        gone(&world, &root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn significant_upgrade_all_any() {
    both(async |world| {
        let root = upgraded(&world, AllSignificant, AnySignificant).await;
        gone(&world, &root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

async fn all_have_to_end(from: AutoShutdown) {
    both(async |world| {
        let root = upgraded(&world, from, AllSignificant).await;
        shows(&root, "b#1 a:stopped").await;
        world.exit("b", ExitReason::Normal);
        gone(&world, &root, &["exit b#1 normal"]).await;
    })
    .await;
}

#[tokio::test]
async fn significant_upgrade_never_all() {
    all_have_to_end(Never).await;
}

#[tokio::test]
async fn significant_upgrade_any_all() {
    all_have_to_end(AnySignificant).await;
}

async fn none_has_to_end(from: AutoShutdown) {
    both(async |world| {
        let root = upgraded(&world, from, Never).await;
        shows(&root, "b#1 a:stopped").await;
        assert_eq!(add(&world, &root, "c").await, Err(useless("c")));
        root.restart_child("a").await.unwrap();
        world.expect(&["start a#2"]).await;
        finish(&world, root, &["exit b#1 shutdown", "exit a#2 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn significant_upgrade_any_never() {
    none_has_to_end(AnySignificant).await;
}

#[tokio::test]
async fn significant_upgrade_all_never() {
    none_has_to_end(AllSignificant).await;
}

#[tokio::test]
async fn significant_upgrade_child() {
    both(async |world| {
        let with = |auto, significant| {
            let child = world.child("a").restart(Restart::Transient).significant(significant);
            root(&world, auto).child(child)
        };
        // Not under `never`; and then nothing has changed.
        let running = with(Never, false).start().await.unwrap();
        assert_eq!(running.reconfigure(with(Never, true)).await, Err(useless("a")));
        assert!(!running.get_childspec("a").await.unwrap().significant);
        world.expect(&["start a#1"]).await;
        finish(&world, running, &["exit a#1 shutdown"]).await;

        let running = with(AnySignificant, false).start().await.unwrap();
        running.reconfigure(with(AnySignificant, true)).await.unwrap();
        shows(&running, "a#1").await;
        world.exit("a", ExitReason::Normal);
        gone(&world, &running, &["start a#1", "exit a#1 normal"]).await;

        let running = with(AnySignificant, true).start().await.unwrap();
        running.reconfigure(with(AnySignificant, false)).await.unwrap();
        shows(&running, "a#1").await;
        world.exit("a", ExitReason::Normal);
        shows(&running, "a:stopped").await;
        world.expect(&["start a#1", "exit a#1 normal"]).await;
        finish(&world, running, &[]).await;
    })
    .await;
}
