//! Supervisors that end with their significant children.

use supervisors::machine::{Dynamic, Machine};
use supervisors::{
    AutoShutdown, ChildSpec, ChildType, ExitReason, Flags, Restart, Slot, SpecInfo, Strategy,
};

use super::look::{Fixed, finish, gone, show, shows};
use super::world::{World, both};
use AutoShutdown::{AllSignificant, AnySignificant, Never};

/// A root with two children of this kind.
async fn pair(world: &World, auto: AutoShutdown, restart: Restart, significant: bool) -> Fixed {
    let root = ["a", "b"]
        .iter()
        .fold(world.root(Strategy::OneForOne, 5).auto_shutdown(auto), |root, id| {
            root.child(world.child(id).restart(restart).significant(significant))
        });
    let root = root.start().await.unwrap();
    world.expect(&["start a#1", "start b#1"]).await;
    root
}

async fn never_shuts_down(restart: Restart) {
    both(async |world| {
        for auto in [Never, AnySignificant, AllSignificant] {
            let root = pair(&world, auto, restart, false).await;
            for id in ["a", "b"] {
                world.exit(id, ExitReason::Normal);
                world.expect(&[&format!("exit {id}#1 normal")]).await;
            }
            let left = if restart == Restart::Temporary { "" } else { "b:stopped a:stopped" };
            shows(&root, left).await;
            finish(&world, root, &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nonsignificant_temporary() {
    never_shuts_down(Restart::Temporary).await;
}

#[tokio::test]
async fn nonsignificant_transient() {
    never_shuts_down(Restart::Transient).await;
}

/// After this end by itself, with these lines, a child is gone for good.
async fn shuts_down(world: &World, restart: Restart, reason: &ExitReason, reported: bool) {
    let ends = |id: &str| {
        let mut lines = vec![format!("exit {id}#1 {reason}")];
        if reported {
            lines.push(format!("root child_terminated {id} {reason}"));
        }
        lines
    };
    let root = pair(world, AnySignificant, restart, true).await;
    world.exit("a", reason.clone());
    let mut lines = ends("a");
    lines.push("exit b#1 shutdown".into());
    gone(world, &root, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let root = pair(world, AllSignificant, restart, true).await;
    world.exit("a", reason.clone());
    let lines = ends("a");
    world.expect(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let left = if restart == Restart::Temporary { "b#1" } else { "b#1 a:stopped" };
    shows(&root, left).await;
    world.exit("b", reason.clone());
    let lines = ends("b");
    gone(world, &root, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Stopping significant children by hand ends nothing.
async fn stopping_by_hand(world: &World, restart: Restart) {
    for auto in [AnySignificant, AllSignificant] {
        let root = pair(world, auto, restart, true).await;
        for id in ["a", "b"] {
            root.terminate_child(id).await.unwrap();
            world.expect(&[&format!("exit {id}#1 shutdown")]).await;
        }
        let left = if restart == Restart::Temporary { "" } else { "b:stopped a:stopped" };
        assert_eq!(show(&root).await, left);
        finish(world, root, &[]).await;
    }
}

#[tokio::test]
async fn significant_temporary() {
    both(async |world| {
        let orderly = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("x")];
        for reason in orderly {
            shuts_down(&world, Restart::Temporary, &reason, false).await;
        }
        for reason in [ExitReason::error("x"), ExitReason::Killed] {
            shuts_down(&world, Restart::Temporary, &reason, true).await;
        }
        stopping_by_hand(&world, Restart::Temporary).await;
    })
    .await;
}

#[tokio::test]
async fn significant_transient() {
    both(async |world| {
        let orderly = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("x")];
        for reason in orderly {
            shuts_down(&world, Restart::Transient, &reason, false).await;
        }
        for auto in [AnySignificant, AllSignificant] {
            let root = pair(&world, auto, Restart::Transient, true).await;
            for (id, reason) in [("a", ExitReason::error("x")), ("b", ExitReason::Killed)] {
                world.exit(id, reason.clone());
                let exit = format!("exit {id}#1 {reason}");
                let report = format!("root child_terminated {id} {reason}");
                world.expect(&[&exit, &report, &format!("start {id}#2")]).await;
            }
            finish(&world, root, &["exit b#2 shutdown", "exit a#2 shutdown"]).await;
        }
        stopping_by_hand(&world, Restart::Transient).await;
    })
    .await;
}

/// A dynamic supervisor can't be given `auto_shutdown` or significant children; its machine, which
/// can, refuses both.
#[tokio::test]
async fn significant_simple() {
    type Pool = Dynamic<(), ()>;
    let pool = |auto_shutdown, significant| {
        let flags = Flags { auto_shutdown, ..Flags::new(Strategy::OneForOne) };
        let template = SpecInfo {
            restart: Restart::Temporary,
            significant,
            ..SpecInfo::new("pool", ChildType::Worker)
        };
        Pool::new(flags, template, None, None, 0).map(|pool| pool.counts().specs)
    };
    assert_eq!(pool(Never, false), Ok(1));
    assert!(pool(Never, true).is_err(), "a significant template");
    for auto in [AnySignificant, AllSignificant] {
        for significant in [false, true] {
            assert!(pool(auto, significant).is_err(), "{auto:?}, significant: {significant}");
        }
    }
}

/// Significant children that are stopped because of a sibling end nothing.
#[tokio::test]
async fn significant_bystander() {
    both(async |world| {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            for auto in [AnySignificant, AllSignificant] {
                let child = |id| world.child(id).restart(Restart::Transient);
                let root = world.root(strategy, 5).auto_shutdown(auto);
                let root = root.child(child("a").significant(true)).child(child("b"));
                let root = root.child(child("c").significant(true)).start().await.unwrap();
                world.expect(&["start a#1", "start b#1", "start c#1"]).await;
                world.exit("b", ExitReason::Killed);
                world.expect(&["exit b#1 killed", "root child_terminated b killed"]).await;
                let (lines, after): (&[&str], _) = match strategy {
                    Strategy::OneForOne => (&["start b#2"], "c#1 b#2 a#1"),
                    Strategy::RestForOne => {
                        (&["exit c#1 shutdown", "start b#2", "start c#2"], "c#2 b#2 a#1")
                    }
                    Strategy::OneForAll => (
                        &[
                            "exit c#1 shutdown",
                            "exit a#1 shutdown",
                            "start a#2",
                            "start b#2",
                            "start c#2",
                        ],
                        "c#2 b#2 a#2",
                    ),
                };
                world.expect(lines).await;
                shows(&root, after).await;
                assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
                world.take(3).await;
                world.quiet();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn significant_escalation() {
    both(async |world| {
        for significant in [true, false] {
            let worker = world.child("worker").restart(Restart::Transient).significant(true);
            let below = world.root(Strategy::OneForOne, 1).auto_shutdown(AnySignificant);
            let below = ChildSpec::supervisor("below", below.child(worker));
            let below = below.restart(Restart::Transient).significant(significant);
            let (slot, root) = (Slot::new(), world.root(Strategy::OneForOne, 1));
            let root = root.auto_shutdown(AnySignificant).child(below.slot(&slot));
            let root = root.start().await.unwrap();
            world.expect(&["start worker#1"]).await;
            world.exit("worker", ExitReason::Normal);
            world.expect(&["exit worker#1 normal"]).await;
            if significant {
                gone(&world, &root, &[]).await;
            } else {
                shows(&root, "below:stopped").await;
                finish(&world, root, &[]).await;
            }
            assert!(slot.get().is_none());
        }
    })
    .await;
}
