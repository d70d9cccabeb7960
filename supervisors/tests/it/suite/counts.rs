//! How many children there are.

use supervisors::{
    ChildSpec, DynamicSupervisor, ExitReason, Link, Restart, ShardedSupervisor, Strategy,
    Supervisor,
};

use super::look::{counts, eventually, finish, finish_pool, pool_counts, show};
use super::world::{Start, both};

#[tokio::test]
async fn count_children() {
    both(async |world| {
        let root = world.dynamic(2).start().await.unwrap();
        for thousand in 0..2 {
            for number in 0..1000 {
                root.start_child((1000 * thousand + number).to_string()).await.unwrap();
            }
            let all = 1000 * (thousand + 1);
            assert_eq!(pool_counts(&root).await, [1, all, 0, all]);
            assert_eq!(root.which_children().await.unwrap().len(), all);
        }
        for number in 0..2000 {
            world.exit(&number.to_string(), ExitReason::Killed);
        }
        eventually("none is left", async || pool_counts(&root).await == [1, 0, 0, 0]).await;
        assert_eq!(root.which_children().await, Ok(vec![]));
        world.forget();
        finish_pool(&world, root, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn count_children_supervisor() {
    both(async |world| {
        let pool = DynamicSupervisor::new("x", |(): (), link: Link| async { link.task(async {}) });
        let below = Supervisor::new(Strategy::OneForOne);
        let root = world
            .root_of(Strategy::OneForOne, 2, &["a", "b"])
            .child(ChildSpec::supervisor("fixed", below))
            .child(ChildSpec::dynamic("dynamic", pool.clone()))
            .child(ChildSpec::sharded("sharded", ShardedSupervisor::new(2, pool)));
        let root = root.start().await.unwrap();
        assert_eq!(counts(&root).await, [5, 5, 3, 2]);
        for id in ["a", "fixed", "sharded"] {
            root.terminate_child(id).await.unwrap();
        }
        assert_eq!(counts(&root).await, [5, 2, 3, 2], "those that do not run count, too");
        assert_eq!(show(&root).await, "sharded:stopped dynamic#1 fixed:stopped b#1 a:stopped");
        root.delete_child("fixed").await.unwrap();
        assert_eq!(counts(&root).await, [4, 2, 2, 2]);
        world.forget();
        finish(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

/// A child that is being restarted counts, but is not active.
#[tokio::test]
async fn count_restarting_children() {
    both(async |world| {
        let root = world.dynamic(9).restart(Restart::Permanent).start().await.unwrap();
        for id in ["a", "b", "c"] {
            root.start_child(id.into()).await.unwrap();
        }
        world.expect(&["start a#1", "start b#1", "start c#1"]).await;
        assert_eq!(pool_counts(&root).await, [1, 3, 0, 3]);
        world.plan("a", [Start::fail("no").gated(), Start::Ok.gated()]);
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "pool child_terminated pool error: x"]).await;
        world.expect(&["start a#2 waits"]).await;
        // Asked while the start goes on, answered between it and the next try.
        let (count, ()) = tokio::join!(pool_counts(&root), async { world.open_gate() });
        assert_eq!(count, [1, 2, 0, 3]);
        world.expect(&["start a#2 fails", "pool start_error pool error: no"]).await;
        world.expect(&["start a#3 waits"]).await;
        let (count, ()) = tokio::join!(pool_counts(&root), async { world.open_gate() });
        assert_eq!(count, [1, 3, 0, 3]);
        world.expect(&["start a#3"]).await;
        let end = ["exit a#3 shutdown", "exit b#1 shutdown", "exit c#1 shutdown"];
        finish_pool(&world, root, &end).await;
    })
    .await;
}
