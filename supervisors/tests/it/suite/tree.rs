//! Supervisors below supervisors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use supervisors::{ChildSpec, Context, ExitReason, Link, Slot, Strategy, SupervisorRef};

use super::look::{counts, eventually, finish, show, shows};
use super::puppet;
use super::world::{Kind, Start, World, both};

#[tokio::test]
async fn tree() {
    both(async |world| {
        let (one, two) = (Slot::new(), Slot::new());
        let one_spec = world.root_of(Strategy::OneForOne, 4, &["a", "b"]);
        let two_spec = world.root(Strategy::OneForOne, 4);
        let root = world
            .root(Strategy::OneForAll, 4)
            .child(ChildSpec::supervisor("one", one_spec).slot(&one))
            .child(ChildSpec::supervisor("two", two_spec).slot(&two));
        let root = root.start().await.unwrap();
        assert_eq!(counts(&root).await, [2, 2, 2, 0]);
        let (first, second) = (one.wait().await, two.wait().await);
        for id in ["c", "d"] {
            second.start_child(world.child(id)).await.unwrap();
        }
        world.expect(&["start a#1", "start b#1", "start c#1", "start d#1"]).await;
        // A worker's end is mended where it happened.
        world.crash("d", "x");
        world.expect(&["exit d#1 error: x", "root/two child_terminated d error: x"]).await;
        world.expect(&["start d#2"]).await;
        shows(&second, "d#2 c#1").await;
        assert_eq!((show(&first).await, counts(&root).await), ("b#1 a#1".into(), [2, 2, 2, 0]));
        // A worker that can't be mended takes its supervisor along, and that one its sibling.
        world.plan("c", std::iter::repeat_n(Start::fail("no"), 5));
        world.crash("c", "y");
        world.expect(&["exit c#1 error: y", "root/two child_terminated c error: y"]).await;
        for run in 2..=4 {
            let start = format!("start c#{run} fails");
            world.expect(&[&start, "root/two start_error c error: no"]).await;
        }
        world
            .expect(&[
                "root/two gave_up c shutdown",
                "exit d#2 shutdown",
                "root child_terminated two shutdown",
                "exit b#1 shutdown",
                "exit a#1 shutdown",
                "start a#1",
                "start b#1",
            ])
            .await;
        shows(&root, "two#2 one#2").await;
        assert_eq!(counts(&root).await, [2, 2, 2, 0]);
        assert_eq!(show(&one.wait().await).await, "b#1 a#1");
        assert_eq!(show(&two.wait().await).await, "", "nobody starts dynamic children again");
        finish(&world, root, &["exit b#1 shutdown", "exit a#1 shutdown"]).await;
    })
    .await;
}

/// A child that offers the number of its incarnation, counted across its supervisors.
fn numbered(world: &World, numbers: &Arc<AtomicU32>) -> ChildSpec<u32> {
    let (world, numbers) = (world.clone(), numbers.clone());
    ChildSpec::new("server", move |link: Link| {
        let (world, numbers) = (world.clone(), numbers.clone());
        async move {
            let child = puppet::start(world, "server".to_owned(), link).await?;
            Ok(child.map(|()| numbers.fetch_add(1, Ordering::Relaxed)))
        }
    })
}

/// OTP's case uses global names; here slots are how a child is found again.
#[tokio::test]
async fn simple_global_supervisor() {
    for end in ["kill supervisor", "kill worker", "exit worker", "restart worker"] {
        let world = World::new(Kind::Actor);
        let (server, below) = (Slot::new(), Slot::<SupervisorRef>::new());
        let middle = world.root(Strategy::OneForAll, 3);
        let middle = middle.child(numbered(&world, &Arc::default()).slot(&server));
        let middle = ChildSpec::supervisor("middle", middle).slot(&below);
        let root = world.root(Strategy::OneForAll, 3).child(middle).start().await.unwrap();
        world.expect(&["start server#1"]).await;
        assert_eq!(server.get(), Some(0));
        let before = below.get().unwrap();
        match end {
            "kill supervisor" => {
                world.supervisor_of("server").kill();
                world.expect(&["exit server#1 killed"]).await;
                world.expect(&["root child_terminated middle killed"]).await;
                world.expect(&["start server#1"]).await;
                eventually("the old one is gone", async || before.which_children().await.is_err())
                    .await;
            }
            "kill worker" => {
                world.exit("server", ExitReason::Killed);
                world.expect(&["exit server#1 killed"]).await;
                world.expect(&["root/middle child_terminated server killed"]).await;
                world.expect(&["start server#2"]).await;
            }
            "exit worker" => {
                world.exit("server", ExitReason::Normal);
                world.expect(&["exit server#1 normal"]).await;
                world.expect(&["root/middle child_terminated server normal"]).await;
                world.expect(&["start server#2"]).await;
            }
            _ => {
                before.terminate_child("server").await.unwrap();
                assert_eq!(server.get(), None);
                before.restart_child("server").await.unwrap();
                world.expect(&["exit server#1 shutdown", "start server#2"]).await;
            }
        }
        eventually("the next one is found", async || {
            let found = below.get();
            found.is_some_and(|_| server.get() == Some(1)) && root.count_children().await.is_ok()
        })
        .await;
        assert_eq!(counts(&below.wait().await).await, [1, 1, 0, 1], "{end}");
        // Then the whole tree is killed at once.
        root.kill();
        assert_eq!(root.exited().await, ExitReason::Killed);
        world.take(1).await;
        assert_eq!((world.alive(), server.get()), (0, None), "{end}");
        let gave_up = |context| matches!(context, Context::GaveUp | Context::ShutdownError);
        assert!(!world.seen().iter().any(|seen| gave_up(seen.context)), "{:?}", world.seen());
    }
}
