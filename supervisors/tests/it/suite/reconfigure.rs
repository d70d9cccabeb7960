//! Another specification for a supervisor that runs: OTP's `code_change`.

use std::time::Duration;

use supervisors::{ChildError, Shutdown, SpecError, Strategy};

use super::look::{finish, show, shows};
use super::world::{Start, both};

#[tokio::test]
async fn code_change() {
    both(async |world| {
        let flags = |restarts| world.root(Strategy::OneForOne, restarts);
        let root = flags(0).start().await.unwrap();
        assert_eq!(show(&root).await, "");
        // Children are added, but not started.
        let kill = Shutdown::BrutalKill;
        let two = flags(0).child(world.child("a")).child(world.child("b").shutdown(kill));
        root.reconfigure(two).await.unwrap();
        assert_eq!(show(&root).await, "b:stopped a:stopped");
        world.quiet();
        for id in ["a", "b"] {
            root.restart_child(id).await.unwrap();
        }
        world.expect(&["start a#1", "start b#1"]).await;
        // What can't be followed changes nothing.
        let wrong = flags(7).child(world.child("c")).child(world.child("c"));
        let refused = root.reconfigure(wrong).await.unwrap_err();
        assert_eq!(refused, ChildError::Spec(SpecError::DuplicateId { id: "c".into() }));
        let wrong = flags(7).intensity(7, Duration::ZERO);
        let refused = root.reconfigure(wrong).await.unwrap_err();
        assert_eq!(refused, ChildError::Spec(SpecError::ZeroPeriod { field: "intensity" }));
        assert_eq!(show(&root).await, "b#1 a#1");
        // One that is no longer wanted stays, behind the others.
        let other = flags(1).child(world.child("a").shutdown(kill)).child(world.child("c"));
        root.reconfigure(other).await.unwrap();
        assert_eq!(show(&root).await, "b#1 c:stopped a#1");
        // The new flags count: one restart is fine now.
        world.crash("b", "x");
        world.expect(&["exit b#1 error: x", "root child_terminated b error: x"]).await;
        world.expect(&["start b#2"]).await;
        shows(&root, "b#2 c:stopped a#1").await;
        finish(&world, root, &["exit b#2 killed", "exit a#1 killed"]).await;
    })
    .await;
}

#[tokio::test]
async fn code_change_map() {
    both(async |world| {
        let seconds = |seconds| Shutdown::Timeout(Duration::from_secs(seconds));
        let with = |time| {
            let root = world.root(Strategy::OneForOne, 1);
            root.child(world.child("a").shutdown(seconds(time)))
        };
        let root = with(2).child(world.child("b")).start().await.unwrap();
        assert_eq!(root.get_childspec("a").await.unwrap().shutdown, seconds(2));
        let key = root.which_child("a").await.unwrap().key;
        root.reconfigure(with(1)).await.unwrap();
        assert_eq!(root.get_childspec("a").await.unwrap().shutdown, seconds(1));
        // It is the same child, and its next start follows the new specification.
        assert_eq!(root.which_child("a").await.unwrap().key, key);
        world.plan("a", [Start::fail("no"), Start::Ok]);
        root.terminate_child("a").await.unwrap();
        assert!(root.restart_child("a").await.is_err());
        root.restart_child("a").await.unwrap();
        // And another strategy for all.
        let all = world.root_of(Strategy::OneForAll, 1, &["a", "b"]);
        root.reconfigure(all).await.unwrap();
        world.forget();
        world.crash("a", "x");
        world.expect(&["exit a#3 error: x", "root child_terminated a error: x"]).await;
        world.expect(&["exit b#1 shutdown", "start a#4", "start b#2"]).await;
        finish(&world, root, &["exit b#2 shutdown", "exit a#4 shutdown"]).await;
    })
    .await;
}
