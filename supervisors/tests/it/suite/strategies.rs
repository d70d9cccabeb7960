//! Who is restarted with whom, and how many restarts are too many.

use std::sync::Arc;
use std::time::Duration;

use supervisors::{DynamicSupervisor, ExitReason, Link, Restart, Strategy};

use super::look::{counts, eventually, finish, finish_pool, gone, pool_counts, shows};
use super::puppet;
use super::world::{Start, both};

#[tokio::test(start_paused = true)]
async fn multiple_restarts() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForOne, 0, &["a"]);
        let root = root.intensity(1, Duration::from_secs(1)).start().await.unwrap();
        for run in 1..=5 {
            world.crash("a", "boom");
            shows(&root, &format!("a#{}", run + 1)).await;
            tokio::time::advance(Duration::from_millis(1001)).await;
        }
        root.terminate_child("a").await.unwrap();
        root.delete_child("a").await.unwrap();
        world.forget();
        finish(&world, root, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn one_for_one() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForOne, 2, &["a", "b"]).start().await.unwrap();
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "root child_terminated a error: x"]).await;
        world.expect(&["start a#2"]).await;
        shows(&root, "b#1 a#2").await;
        assert_eq!(counts(&root).await, [2, 2, 0, 2]);
        world.crash("b", "y");
        world.expect(&["exit b#1 error: y", "root child_terminated b error: y"]).await;
        world.expect(&["start b#2"]).await;
        shows(&root, "b#2 a#2").await;
        world.crash("b", "z");
        let end = [
            "exit b#2 error: z",
            "root child_terminated b error: z",
            "root gave_up b shutdown",
            "exit a#2 shutdown",
        ];
        gone(&world, &root, &end).await;
    })
    .await;
}

#[tokio::test]
async fn one_for_all() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForAll, 2, &["a", "b", "c"]).start().await.unwrap();
        world.expect(&["start a#1", "start b#1", "start c#1"]).await;
        for run in 1..=2 {
            world.crash("b", "x");
            let lines = [
                format!("exit b#{run} error: x"),
                "root child_terminated b error: x".into(),
                format!("exit c#{run} shutdown"),
                format!("exit a#{run} shutdown"),
                format!("start a#{}", run + 1),
                format!("start b#{}", run + 1),
                format!("start c#{}", run + 1),
            ];
            world.expect(&lines.each_ref().map(String::as_str)).await;
        }
        shows(&root, "c#3 b#3 a#3").await;
        assert_eq!(counts(&root).await, [3, 3, 0, 3]);
        world.crash("a", "y");
        let end = [
            "exit a#3 error: y",
            "root child_terminated a error: y",
            "root gave_up a shutdown",
            "exit c#3 shutdown",
            "exit b#3 shutdown",
        ];
        gone(&world, &root, &end).await;
    })
    .await;
}

#[tokio::test]
async fn rest_for_one() {
    both(async |world| {
        let root = world.root_of(Strategy::RestForOne, 2, &["a", "b", "c"]).start().await.unwrap();
        world.expect(&["start a#1", "start b#1", "start c#1"]).await;
        world.crash("b", "x");
        world.expect(&["exit b#1 error: x", "root child_terminated b error: x"]).await;
        world.expect(&["exit c#1 shutdown", "start b#2", "start c#2"]).await;
        shows(&root, "c#2 b#2 a#1").await;
        assert_eq!(counts(&root).await, [3, 3, 0, 3]);
        world.crash("c", "y");
        world.expect(&["exit c#2 error: y", "root child_terminated c error: y"]).await;
        world.expect(&["start c#3"]).await;
        shows(&root, "c#3 b#2 a#1").await;
        world.crash("b", "z");
        let end = [
            "exit b#2 error: z",
            "root child_terminated b error: z",
            "root gave_up b shutdown",
            "exit c#3 shutdown",
            "exit a#1 shutdown",
        ];
        gone(&world, &root, &end).await;
    })
    .await;
}

#[tokio::test]
async fn one_for_all_other_child_fails_restart() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForAll, 3, &["a", "b"]).start().await.unwrap();
        world.plan("b", [Start::fail("no")]);
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "die");
        world
            .expect(&[
                "exit a#1 error: die",
                "root child_terminated a error: die",
                "exit b#1 shutdown",
                "start a#2",
                "start b#2 fails",
                "root start_error b error: no",
                // The one that was restarted already is stopped, and all are tried again.
                "exit a#2 shutdown",
                "start a#3",
                "start b#3",
            ])
            .await;
        shows(&root, "b#3 a#3").await;
        finish(&world, root, &["exit b#3 shutdown", "exit a#3 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn rest_for_one_other_child_fails_restart() {
    both(async |world| {
        let root = world.root_of(Strategy::RestForOne, 3, &["a", "b"]).start().await.unwrap();
        world.plan("b", [Start::fail("no")]);
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "die");
        world
            .expect(&[
                "exit a#1 error: die",
                "root child_terminated a error: die",
                "exit b#1 shutdown",
                "start a#2",
                "start b#2 fails",
                "root start_error b error: no",
                // The one that was restarted already stays.
                "start b#3",
            ])
            .await;
        shows(&root, "b#3 a#2").await;
        finish(&world, root, &["exit b#3 shutdown", "exit a#2 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn simple_one_for_one() {
    both(async |world| {
        let root = world.dynamic(2).restart(Restart::Permanent).start().await.unwrap();
        for id in ["a", "b"] {
            root.start_child(id.into()).await.unwrap();
        }
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "pool child_terminated pool error: x"]).await;
        world.expect(&["start a#2"]).await;
        assert_eq!(pool_counts(&root).await, [1, 2, 0, 2]);
        world.crash("b", "y");
        world.expect(&["exit b#1 error: y", "pool child_terminated pool error: y"]).await;
        world.expect(&["start b#2"]).await;
        world.crash("b", "z");
        let end = [
            "exit b#2 error: z",
            "pool child_terminated pool error: z",
            "pool gave_up pool shutdown",
            "exit a#2 shutdown",
        ];
        world.expect(&end).await;
        assert_eq!(root.exited().await, ExitReason::Shutdown);
        world.quiet();
    })
    .await;
}

#[tokio::test]
async fn simple_one_for_one_extra() {
    both(async |world| {
        let stage = world.clone();
        let pool = DynamicSupervisor::new("pool", move |id: String, link: Link| {
            let stage = stage.clone();
            async move {
                let child = puppet::start(stage, id.clone(), link).await?;
                Ok(child.map(|()| format!("information on {id}")))
            }
        });
        let root = pool.restart(Restart::Permanent).intensity(2, Duration::from_secs(9));
        let root = root.start().await.unwrap();
        let started = root.start_child("a".into()).await.unwrap();
        let key = started.key().unwrap();
        assert_eq!(started.value().as_deref(), Some("information on a"));
        world.expect(&["start a#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "start a#2"]).await;
        eventually("a runs again", async || root.which_child(key).await.unwrap().run == 2).await;
        assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
        world.expect(&["exit a#2 shutdown"]).await;
    })
    .await;
}

/// OTP once started a child with another one's arguments. Each comes back with its own; those of
/// temporary children are not kept.
#[tokio::test]
async fn simple_one_for_one_corruption() {
    both(async |world| {
        for (restart, kept) in [(Restart::Permanent, true), (Restart::Temporary, false)] {
            let stage = world.clone();
            let pool = DynamicSupervisor::new("pool", move |id: Arc<str>, link: Link| {
                puppet::start(stage.clone(), id.to_string(), link)
            });
            let root = pool.restart(restart).intensity(3, Duration::from_secs(9));
            let root = root.start().await.unwrap();
            let ids: [Arc<str>; 3] = ["a", "b", "c"].map(Arc::from);
            for id in &ids {
                root.start_child(id.clone()).await.unwrap();
                assert_eq!(Arc::strong_count(id), if kept { 2 } else { 1 });
            }
            world.expect(&["start a#1", "start b#1", "start c#1"]).await;
            for id in ["b", "a", "c"] {
                world.crash(id, "x");
                world.expect(&[&format!("exit {id}#1 error: x")]).await;
                if kept {
                    world.expect(&[&format!("start {id}#2")]).await;
                }
            }
            assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
            world.take(if kept { 3 } else { 0 }).await;
            world.quiet();
        }
    })
    .await;
}

#[tokio::test]
async fn simple_one_for_one_restart_ignore() {
    both(async |world| {
        let root = world.dynamic(2).restart(Restart::Permanent).start().await.unwrap();
        root.start_child("a".into()).await.unwrap();
        world.plan("a", [Start::Ignore]);
        world.crash("a", "x");
        world.expect(&["start a#1", "exit a#1 error: x"]).await;
        world.expect(&["pool child_terminated pool error: x", "start a#2 ignored"]).await;
        assert_eq!(root.which_children().await, Ok(vec![]));
        assert_eq!(pool_counts(&root).await, [1, 0, 0, 0]);
        finish_pool(&world, root, &[]).await;
    })
    .await;
}

/// A temporary child that is stopped because of a sibling stays away.
#[tokio::test]
async fn temporary_bystander() {
    both(async |world| {
        for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
            let root = world.root_of(strategy, 2, &["a"]);
            let root = root.child(world.child("b").restart(Restart::Temporary));
            let root = root.start().await.unwrap();
            world.expect(&["start a#1", "start b#1"]).await;
            world.exit("a", ExitReason::Normal);
            world.expect(&["exit a#1 normal", "root child_terminated a normal"]).await;
            world.expect(&["exit b#1 shutdown", "start a#2"]).await;
            shows(&root, "a#2").await;
            finish(&world, root, &["exit a#2 shutdown"]).await;
        }
    })
    .await;
}
