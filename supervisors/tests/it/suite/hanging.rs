//! Calls while a restart is tried again and again. They are made while a start goes on, and so are
//! answered between its failure and the next try.

use supervisors::{ChildError, ExitReason, Restart, Shutdown, Strategy};

use super::look::{counts, finish, finish_pool, pool_counts, show, shows};
use super::world::{Start, World, both};
use ChildError::{AlreadyPresent, Restarting};

fn fails(world: &World, times: usize) {
    world.plan("a", std::iter::repeat_n(Start::fail("no").gated(), times));
}

#[tokio::test]
async fn hanging_restart_loop() {
    both(async |world| {
        let child = || world.child("a").shutdown(Shutdown::BrutalKill);
        let root = world.root(Strategy::OneForOne, 8).child(child()).start().await.unwrap();
        fails(&world, 2);
        world.crash("a", "x");
        world.expect(&["start a#1", "exit a#1 error: x"]).await;
        world.expect(&["root child_terminated a error: x", "start a#2 waits"]).await;
        let (start, restart, delete, which, count, ()) = tokio::join!(
            root.start_child(child()),
            root.restart_child("a"),
            root.delete_child("a"),
            show(&root),
            counts(&root),
            async { world.open_gate() },
        );
        assert_eq!(start.map(drop), Err(AlreadyPresent));
        assert_eq!((restart.map(drop), delete), (Err(Restarting), Err(Restarting)));
        assert_eq!((which.as_str(), count), ("a:restarting", [1, 0, 0, 1]));
        world.expect(&["start a#2 fails", "root start_error a error: no"]).await;
        world.expect(&["start a#3 waits"]).await;
        // Stopping it now cancels the next try.
        let (stopped, ()) = tokio::join!(root.terminate_child("a"), async { world.open_gate() });
        assert_eq!((stopped, show(&root).await.as_str()), (Ok(()), "a:stopped"));
        world.expect(&["start a#3 fails", "root start_error a error: no"]).await;
        root.restart_child("a").await.unwrap();
        world.expect(&["start a#4"]).await;
        // The supervisor can be stopped in the middle of it, too.
        fails(&world, 1);
        world.crash("a", "y");
        world.expect(&["exit a#4 error: y", "root child_terminated a error: y"]).await;
        world.expect(&["start a#5 waits"]).await;
        let end = ["start a#5 fails", "root start_error a error: no"];
        tokio::join!(finish(&world, root, &end), async { world.open_gate() });
    })
    .await;
}

#[tokio::test]
async fn hanging_restart_loop_rest_for_one() {
    both(async |world| {
        let kill = Shutdown::BrutalKill;
        let root = ["0", "a", "z"].iter().fold(world.root(Strategy::RestForOne, 8), |root, id| {
            root.child(world.child(id).shutdown(kill))
        });
        let root = root.start().await.unwrap();
        fails(&world, 2);
        world.expect(&["start 0#1", "start a#1", "start z#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "root child_terminated a error: x"]).await;
        world.expect(&["exit z#1 killed", "start a#2 waits"]).await;
        let (start, restart, delete, which, count, ()) = tokio::join!(
            root.start_child(world.child("a")),
            root.restart_child("a"),
            root.delete_child("a"),
            show(&root),
            counts(&root),
            async { world.open_gate() },
        );
        assert_eq!(start.map(drop), Err(AlreadyPresent));
        assert_eq!((restart.map(drop), delete), (Err(Restarting), Err(Restarting)));
        assert_eq!((which.as_str(), count), ("z:stopped a:restarting 0#1", [3, 1, 0, 3]));
        world.expect(&["start a#2 fails", "root start_error a error: no"]).await;
        world.expect(&["start a#3 waits"]).await;
        let (stopped, ()) = tokio::join!(root.terminate_child("a"), async { world.open_gate() });
        assert_eq!((stopped, show(&root).await.as_str()), (Ok(()), "z:stopped a:stopped 0#1"));
        world.expect(&["start a#3 fails", "root start_error a error: no"]).await;
        root.restart_child("a").await.unwrap();
        world.expect(&["start a#4"]).await;
        shows(&root, "z:stopped a#4 0#1").await;
        fails(&world, 1);
        world.crash("a", "y");
        world.expect(&["exit a#4 error: y", "root child_terminated a error: y"]).await;
        world.expect(&["start a#5 waits"]).await;
        let end = ["start a#5 fails", "root start_error a error: no", "exit 0#1 killed"];
        tokio::join!(finish(&world, root, &end), async { world.open_gate() });
    })
    .await;
}

#[tokio::test]
async fn hanging_restart_loop_simple() {
    both(async |world| {
        let root = world.dynamic(8).restart(Restart::Permanent).shutdown(Shutdown::BrutalKill);
        let root = root.start().await.unwrap();
        let key = root.start_child("a".into()).await.unwrap().key().unwrap();
        fails(&world, 2);
        world.crash("a", "x");
        world.expect(&["start a#1", "exit a#1 error: x"]).await;
        world.expect(&["pool child_terminated pool error: x", "start a#2 waits"]).await;
        let (child, count, ()) =
            tokio::join!(root.which_child(key), pool_counts(&root), async { world.open_gate() });
        assert_eq!(child.unwrap().state.to_string(), "restarting");
        assert_eq!(count, [1, 0, 0, 1]);
        world.expect(&["start a#2 fails", "pool start_error pool error: no"]).await;
        world.expect(&["start a#3 waits"]).await;
        let (stopped, ()) = tokio::join!(root.terminate_child(key), async { world.open_gate() });
        assert_eq!((stopped, root.which_children().await), (Ok(()), Ok(vec![])));
        world.expect(&["start a#3 fails", "pool start_error pool error: no"]).await;
        root.start_child("a".into()).await.unwrap();
        fails(&world, 1);
        world.crash("a", "y");
        world.expect(&["start a#1", "exit a#1 error: y"]).await;
        world.expect(&["pool child_terminated pool error: y", "start a#2 waits"]).await;
        let stopping = async {
            assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
        };
        tokio::join!(stopping, async { world.open_gate() });
        finish_pool(&world, root, &["start a#2 fails", "pool start_error pool error: no"]).await;
    })
    .await;
}
