//! How supervisors start: in order, with children that are ignored, that fail, that crash.

use std::time::Duration;
use supervisors::{
    AutoShutdown, ChildError, ChildSpec, ExitReason, FailedChild, Intensity, Restart, Shutdown,
    SpecError, StartError, Strategy, Supervisor, SupervisorRef,
};

use super::look::{counts, finish, finish_pool, pool_counts, show};
use super::world::{Start, both};

const SIMPLE: [usize; 4] = [1, 1, 0, 1];

#[tokio::test]
async fn sup_start_normal() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        assert_eq!(counts(&root).await, [0, 0, 0, 0]);
        finish(&world, root, &[]).await;
    })
    .await;
}

/// OTP's supervisor callback may decide against a start; here a start function does.
#[tokio::test]
async fn sup_start_ignore_init() {
    both(async |world| {
        let below = ChildSpec::new("below", async |link| link.ignore::<SupervisorRef>());
        let root = world.root(Strategy::OneForOne, 2).child(below).child(world.child("a"));
        let root = root.start().await.unwrap();
        world.expect(&["start a#1"]).await;
        assert_eq!(show(&root).await, "a#1 below:stopped");
        finish(&world, root, &["exit a#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_ignore_child() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        world.plan("a", [Start::Ignore]);
        assert_eq!(root.start_child(world.child("a")).await.unwrap().value(), None);
        assert!(root.start_child(world.child("b")).await.unwrap().key().is_some());
        assert_eq!(show(&root).await, "b#1 a:stopped");
        assert_eq!(counts(&root).await, [2, 1, 0, 2]);
        world.expect(&["start a#1 ignored", "start b#1"]).await;
        finish(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_ignore_temporary_child() {
    both(async |world| {
        world.plan("a", [Start::Ignore]);
        let root = world
            .root(Strategy::OneForOne, 2)
            .child(world.child("a").restart(Restart::Temporary))
            .child(world.child("b").restart(Restart::Temporary));
        let root = root.start().await.unwrap();
        assert_eq!(show(&root).await, "b#1");
        assert_eq!(counts(&root).await, [1, 1, 0, 1]);
        world.expect(&["start a#1 ignored", "start b#1"]).await;
        finish(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_ignore_temporary_child_start_child() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        world.plan("a", [Start::Ignore]);
        for id in ["a", "b"] {
            let child = world.child(id).restart(Restart::Temporary);
            assert_eq!(root.start_child(child).await.unwrap().key().is_some(), id == "b");
        }
        assert_eq!(show(&root).await, "b#1");
        assert_eq!(counts(&root).await, [1, 1, 0, 1]);
        world.expect(&["start a#1 ignored", "start b#1"]).await;
        finish(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_ignore_temporary_child_start_child_simple() {
    ignored_in_a_pool(Restart::Temporary).await;
}

#[tokio::test]
async fn sup_start_ignore_permanent_child_start_child_simple() {
    ignored_in_a_pool(Restart::Permanent).await;
}

async fn ignored_in_a_pool(restart: Restart) {
    both(async |world| {
        let root = world.dynamic(2).restart(restart).start().await.unwrap();
        world.plan("a", [Start::Ignore]);
        assert_eq!(root.start_child("a".into()).await.unwrap().key(), None);
        let b = root.start_child("b".into()).await.unwrap().key().unwrap();
        let children = root.which_children().await.unwrap();
        assert_eq!(children.iter().map(|child| child.key).collect::<Vec<_>>(), [b]);
        assert_eq!(pool_counts(&root).await, SIMPLE);
        world.expect(&["start a#1 ignored", "start b#1"]).await;
        finish_pool(&world, root, &["exit b#1 shutdown"]).await;
    })
    .await;
}

/// A value of the wrong type can't be returned here; flags that can't be followed can.
#[tokio::test]
async fn sup_start_error_return() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).child(world.child("a"));
        let wrong = root.intensity(2, Duration::ZERO).start().await.unwrap_err();
        assert_eq!(wrong, StartError::Spec(SpecError::ZeroPeriod { field: "intensity" }));
        world.quiet();
    })
    .await;
}

#[tokio::test]
async fn sup_start_fail() {
    both(async |world| {
        world.plan("b", [Start::Panic("init")]);
        let root = world.root(Strategy::OneForOne, 2).child(world.child("a"));
        let root = root.child(world.child("b")).child(world.child("c"));
        let failed = FailedChild { id: "b".into(), reason: ExitReason::Panic("init".into()) };
        assert_eq!(root.start().await.unwrap_err(), StartError::Child(failed));
        world
            .expect(&[
                "start a#1",
                "start b#1 panics",
                "root start_error b panic: init",
                "exit a#1 shutdown",
            ])
            .await;
        world.quiet();
        assert_eq!(world.alive(), 0);
    })
    .await;
}

#[tokio::test]
async fn sup_start_child_returns_error() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        world.plan("a", [Start::fail("no"), Start::Panic("odd")]);
        for reason in [ExitReason::error("no"), ExitReason::Panic("odd".into())] {
            let refused = root.start_child(world.child("a")).await.unwrap_err();
            assert_eq!(refused, ChildError::Start(reason));
            assert_eq!(counts(&root).await, [0, 0, 0, 0]);
        }
        // Nothing is left of it: the same id can be used again.
        root.start_child(world.child("a")).await.unwrap();
        world.expect(&["start a#1 fails", "start a#1 panics", "start a#1"]).await;
        finish(&world, root, &["exit a#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_restart_child_returns_error() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).child(world.child("a"));
        let root = root.start().await.unwrap();
        root.terminate_child("a").await.unwrap();
        world.plan("a", [Start::fail("no"), Start::Panic("odd")]);
        for reason in [ExitReason::error("no"), ExitReason::Panic("odd".into())] {
            let refused = root.restart_child("a").await.unwrap_err();
            assert_eq!(refused, ChildError::Start(reason));
            assert_eq!(show(&root).await, "a:stopped");
        }
        root.restart_child("a").await.unwrap();
        world.expect(&["start a#1", "exit a#1 shutdown"]).await;
        world.expect(&["start a#2 fails", "start a#3 panics", "start a#4"]).await;
        finish(&world, root, &["exit a#4 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_child_returns_error_simple() {
    both(async |world| {
        let root = world.dynamic(2).start().await.unwrap();
        world.plan("a", [Start::fail("no")]);
        let refused = root.start_child("a".into()).await.unwrap_err();
        assert_eq!(refused, ChildError::Start(ExitReason::error("no")));
        assert_eq!(root.which_children().await.unwrap(), []);
        assert_eq!(pool_counts(&root).await, [1, 0, 0, 0]);
        finish_pool(&world, root, &["start a#1 fails"]).await;
    })
    .await;
}

#[tokio::test]
async fn sup_start_map() {
    both(async |world| {
        let below = Supervisor::new(Strategy::OneForOne);
        let root = world
            .root(Strategy::OneForOne, 1)
            .child(world.child("a"))
            .child(world.child("b").shutdown(Shutdown::BrutalKill))
            .child(ChildSpec::supervisor("c", below));
        let root = root.start().await.unwrap();
        let timeout = Shutdown::Timeout(Duration::from_secs(5));
        let table = [
            ("a", timeout, "worker"),
            ("b", Shutdown::BrutalKill, "worker"),
            ("c", Shutdown::Infinity, "supervisor"),
        ];
        for (id, shutdown, child_type) in table {
            let spec = root.get_childspec(id).await.unwrap();
            assert_eq!((spec.id.as_str(), spec.restart), (id, Restart::Permanent));
            assert_eq!((spec.shutdown, spec.significant), (shutdown, false));
            assert_eq!(format!("{:?}", spec.child_type).to_lowercase(), child_type);
        }
        assert_eq!(root.get_childspec("d").await.unwrap_err(), ChildError::NotFound);
        world.expect(&["start a#1", "start b#1"]).await;
        finish(&world, root, &["exit b#1 killed", "exit a#1 shutdown"]).await;
        let otp = Intensity { restarts: 1, period: Duration::from_secs(5) };
        assert_eq!(Intensity::default(), otp);
    })
    .await;
}

#[tokio::test]
async fn sup_start_map_simple() {
    both(async |world| {
        let root = world.dynamic(1).restart(Restart::Permanent).start().await.unwrap();
        let key = root.start_child("a".into()).await.unwrap().key().unwrap();
        let spec = root.get_childspec().await.unwrap();
        assert_eq!((spec.id.as_str(), spec.restart), ("pool", Restart::Permanent));
        assert_eq!(spec.shutdown, Shutdown::Timeout(Duration::from_secs(5)));
        assert_eq!(root.which_child(key).await.unwrap().id.as_str(), "pool");
        world.expect(&["start a#1"]).await;
        finish_pool(&world, root, &["exit a#1 shutdown"]).await;
    })
    .await;
}

/// A missing start function and unknown keys can't be written here.
#[tokio::test]
async fn sup_start_map_faulty_specs() {
    both(async |world| {
        let root = || world.root(Strategy::OneForOne, 2).child(world.child("a"));
        let nameless = root().child(world.child("")).start().await.unwrap_err();
        assert_eq!(nameless, StartError::Spec(SpecError::EmptyId));
        let twice = root().child(world.child("a")).start().await.unwrap_err();
        assert_eq!(twice, StartError::Spec(SpecError::DuplicateId { id: "a".into() }));
        let significant = world.child("b").restart(Restart::Transient).significant(true);
        let useless = root().child(significant.clone()).start().await.unwrap_err();
        let id = "b".into();
        assert_eq!(useless, StartError::Spec(SpecError::SignificantWithoutAutoShutdown { id }));
        world.quiet();
        let root = root().auto_shutdown(AutoShutdown::AnySignificant).child(significant);
        let root = root.start().await.unwrap();
        world.expect(&["start a#1", "start b#1"]).await;
        finish(&world, root, &["exit b#1 shutdown", "exit a#1 shutdown"]).await;
    })
    .await;
}

/// OTP's case boots an application; here a tree is one, and its start tells the reason upwards.
#[tokio::test]
async fn faulty_application_shutdown() {
    both(async |world| {
        world.plan("server", [Start::Panic("undefined function")]);
        let app = world.root(Strategy::OneForOne, 2).child(world.child("server"));
        let root = world.root(Strategy::OneForOne, 2).child(ChildSpec::supervisor("app", app));
        let StartError::Child(FailedChild { id, reason }) = root.start().await.unwrap_err() else {
            panic!("it was no child that failed");
        };
        assert_eq!(id.as_str(), "app");
        let ExitReason::ShutdownWith(why) = &reason else { panic!("{reason}") };
        let inner = why.downcast_ref::<FailedChild>().unwrap();
        assert_eq!(inner.id.as_str(), "server");
        assert_eq!(inner.reason, ExitReason::Panic("undefined function".into()));
        world
            .expect(&[
                "start server#1 panics",
                "root/app start_error server panic: undefined function",
                "root start_error app shutdown: child \"server\" failed to start: \
                 panic: undefined function",
            ])
            .await;
        world.quiet();
    })
    .await;
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("already started as number {0}")]
struct AlreadyStarted(u32);

/// What a start function fails with reaches the caller as it is, in its own type.
#[tokio::test]
async fn already_started_outside_supervisor() {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        world.plan("a", [Start::Fail(ExitReason::error(AlreadyStarted(7)))]);
        let child = world.child("a").restart(Restart::Transient);
        let refused = root.start_child(child).await.unwrap_err();
        let ChildError::Start(ExitReason::Error(why)) = refused else { panic!("{refused}") };
        assert_eq!(why.downcast_ref::<AlreadyStarted>(), Some(&AlreadyStarted(7)));
        finish(&world, root, &["start a#1 fails"]).await;
    })
    .await;
}
