//! The calls by which children are administered, and what they answer.

use supervisors::{ChildError, ChildSpec, ChildState, Link, Restart, Slot, Started, Strategy};

use super::look::{counts, finish, finish_pool, pool_counts, show, shows};
use super::puppet;
use super::world::both;
use ChildError::{AlreadyPresent, AlreadyStarted, NoProc, NotFound, Running};

#[tokio::test]
async fn child_adm() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForOne, 2, &["a"]).start().await.unwrap();
        let first = root.which_child("a").await.unwrap().key;
        let again = root.start_child(world.child("a")).await.unwrap_err();
        assert_eq!(again, AlreadyStarted(first));
        assert_eq!(root.terminate_child("b").await, Err(NotFound));
        assert_eq!(root.terminate_child("a").await, Ok(()));
        assert_eq!((show(&root).await, counts(&root).await), ("a:stopped".into(), [1, 0, 0, 1]));
        assert_eq!(root.terminate_child("a").await, Ok(()));
        assert_eq!(root.start_child(world.child("a")).await.unwrap_err(), AlreadyPresent);
        assert_eq!(root.restart_child("a").await.unwrap().key(), Some(first));
        assert_eq!((show(&root).await, counts(&root).await), ("a#2".into(), [1, 1, 0, 1]));
        assert_eq!(root.restart_child("a").await, Err(Running));
        assert_eq!(root.restart_child("b").await, Err(NotFound));
        assert_eq!(root.delete_child("a").await, Err(Running));
        assert_eq!(root.delete_child("b").await, Err(NotFound));
        assert_eq!(root.terminate_child("a").await, Ok(()));
        assert_eq!(root.delete_child("a").await, Ok(()));
        assert_eq!(root.restart_child("a").await, Err(NotFound));
        assert_eq!((show(&root).await, counts(&root).await), (String::new(), [0, 0, 0, 0]));
        let anew = root.start_child(world.child("a")).await.unwrap().key().unwrap();
        assert_ne!(anew, first, "another life has another key");
        world.expect(&["start a#1", "exit a#1 shutdown", "start a#2", "exit a#2 shutdown"]).await;
        world.expect(&["start a#1"]).await;
        let gone = root.clone();
        finish(&world, root, &["exit a#1 shutdown"]).await;
        assert_eq!(gone.start_child(world.child("a")).await.unwrap_err(), NoProc);
        assert_eq!(gone.terminate_child("a").await, Err(NoProc));
        assert_eq!(gone.restart_child("a").await, Err(NoProc));
        assert_eq!(gone.delete_child("a").await, Err(NoProc));
        assert_eq!(gone.which_children().await, Err(NoProc));
        assert_eq!(gone.which_child("a").await, Err(NoProc));
        assert_eq!(gone.count_children().await, Err(NoProc));
        assert_eq!(gone.get_childspec("a").await, Err(NoProc));
    })
    .await;
}

/// `restart_child` and `delete_child` do not exist here.
#[tokio::test]
async fn child_adm_simple() {
    both(async |world| {
        let pool = || world.dynamic(2).restart(Restart::Permanent);
        let (root, other) = (pool().start().await.unwrap(), pool().start().await.unwrap());
        assert_eq!(root.which_children().await, Ok(vec![]));
        assert_eq!(pool_counts(&root).await, [1, 0, 0, 0]);
        let a = root.start_child("a".into()).await.unwrap().key().unwrap();
        let b = root.start_child("b".into()).await.unwrap().key().unwrap();
        let foreign = other.start_child("c".into()).await.unwrap().key().unwrap();
        let mut keys: Vec<_> =
            root.which_children().await.unwrap().iter().map(|child| child.key).collect();
        keys.sort();
        assert_eq!((keys, pool_counts(&root).await), (vec![a, b], [1, 2, 0, 2]));
        world.expect(&["start a#1", "start b#1", "start c#1"]).await;
        assert_eq!(root.terminate_child(a).await, Ok(()));
        assert_eq!(pool_counts(&root).await, [1, 1, 0, 1]);
        assert_eq!(root.which_child(a).await, Err(NotFound));
        assert_eq!(root.terminate_child(a).await, Ok(()), "what has ended is terminated");
        assert_eq!(root.terminate_child(foreign).await, Err(NotFound));
        assert_eq!(other.which_child(foreign).await.unwrap().state, ChildState::Running);
        world.expect(&["exit a#1 shutdown"]).await;
        world.quiet();
        assert_eq!(other.terminate_child(foreign).await, Ok(()));
        world.expect(&["exit c#1 shutdown"]).await;
        let gone = root.clone();
        finish_pool(&world, root, &["exit b#1 shutdown"]).await;
        assert_eq!(gone.start_child("a".into()).await.unwrap_err(), NoProc);
        assert_eq!(gone.terminate_child(b).await, Err(NoProc));
        assert_eq!(gone.which_children().await, Err(NoProc));
        assert_eq!(gone.count_children().await, Err(NoProc));
    })
    .await;
}

/// OTP's `Info` is here what the child offers, in its own type.
#[tokio::test]
async fn extra_return() {
    both(async |world| {
        let informed = |id: &'static str| {
            let world = world.clone();
            ChildSpec::new(id, move |link: Link| {
                let world = world.clone();
                async move {
                    let run = link.run();
                    let child = puppet::start(world, id.to_owned(), link).await?;
                    Ok(child.map(|()| format!("information {run}")))
                }
            })
        };
        let slot = Slot::new();
        let root = world.root(Strategy::OneForOne, 2).child(informed("a").slot(&slot));
        let root = root.start().await.unwrap();
        assert_eq!(slot.get().as_deref(), Some("information 1"));
        root.terminate_child("a").await.unwrap();
        assert_eq!(slot.get(), None);
        assert!(root.restart_child("a").await.unwrap().key().is_some());
        assert_eq!(slot.get().as_deref(), Some("information 2"));
        world.crash("a", "boom");
        shows(&root, "a#3").await;
        assert_eq!(slot.get().as_deref(), Some("information 3"));
        let Started::Running { value, .. } = root.start_child(informed("b")).await.unwrap() else {
            panic!("it does not run");
        };
        assert_eq!(value, "information 1");
        world.forget();
        finish(&world, root, &["exit b#1 shutdown", "exit a#3 shutdown"]).await;
        assert_eq!(slot.get(), None);
    })
    .await;
}

#[tokio::test]
async fn which_children() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        assert_eq!(root.which_children().await, Ok(vec![]));
        assert_eq!(root.which_child("x").await, Err(NotFound));
        for id in ["a", "b"] {
            let key = root.start_child(world.child(id)).await.unwrap().key().unwrap();
            let child = root.which_child(id).await.unwrap();
            assert_eq!((child.key, child.id.as_str(), child.run), (key, id, 1));
            assert_eq!(root.which_children().await.unwrap()[0], child, "the latest first");
        }
        assert_eq!(show(&root).await, "b#1 a#1");
        root.terminate_child("a").await.unwrap();
        assert_eq!(show(&root).await, "b#1 a:stopped");
        assert_eq!(root.which_child("a").await.unwrap().state, ChildState::Stopped);
        root.delete_child("a").await.unwrap();
        assert_eq!(show(&root).await, "b#1");
        assert_eq!(root.which_child("a").await, Err(NotFound));
        world.expect(&["start a#1", "start b#1", "exit a#1 shutdown"]).await;
        finish(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn which_children_simple_one_for_one() {
    both(async |world| {
        let root = world.dynamic(2).start().await.unwrap();
        let a = root.start_child("a".into()).await.unwrap().key().unwrap();
        let b = root.start_child("b".into()).await.unwrap().key().unwrap();
        assert_eq!(root.which_children().await.unwrap().len(), 2);
        assert_eq!(root.which_child(a).await.unwrap().key, a);
        root.terminate_child(a).await.unwrap();
        assert_eq!(root.which_child(a).await, Err(NotFound));
        assert_eq!(root.which_children().await.unwrap(), [root.which_child(b).await.unwrap()]);
        world.expect(&["start a#1", "start b#1", "exit a#1 shutdown"]).await;
        finish_pool(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}
