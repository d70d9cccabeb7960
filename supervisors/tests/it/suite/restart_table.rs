//! Which exits a child is restarted after.

use supervisors::{Context, ExitReason, Restart, Strategy};

use super::look::{counts, finish, shows};
use super::world::{World, both};
use Restart::{Permanent, Temporary, Transient};

const NORMAL: &[ExitReason] = &[ExitReason::Normal];

fn shutdown() -> [ExitReason; 2] {
    [ExitReason::Shutdown, ExitReason::shutdown_with("some information")]
}

fn abnormal() -> [ExitReason; 3] {
    [ExitReason::error("boom"), ExitReason::Panic("oops".into()), ExitReason::Killed]
}

/// Lets the child end, and tells the text of the reason.
fn end(world: &World, reason: &ExitReason) -> String {
    match reason {
        ExitReason::Panic(_) => world.panic("a", "oops"),
        reason => world.exit("a", reason.clone()),
    }
    reason.to_string()
}

/// What was reported of the child's ends: whether it would be restarted, and why it ended.
fn reported(world: &World) -> Vec<(bool, ExitReason)> {
    let seen = world.seen().into_iter();
    seen.filter_map(|seen| match seen.context {
        Context::ChildTerminated { restart } => Some((restart, seen.reason)),
        _ => None,
    })
    .collect()
}

async fn is_restarted(restart: Restart, reasons: &[ExitReason]) {
    both(async |world| {
        let root = world.root(Strategy::OneForOne, 10).start().await.unwrap();
        root.start_child(world.child("a").restart(restart)).await.unwrap();
        world.expect(&["start a#1"]).await;
        for (run, reason) in (1..).zip(reasons) {
            let why = end(&world, reason);
            let exit = format!("exit a#{run} {why}");
            let report = format!("root child_terminated a {why}");
            let start = format!("start a#{}", run + 1);
            world.expect(&[&exit, &report, &start]).await;
            shows(&root, &format!("a#{}", run + 1)).await;
            assert_eq!(counts(&root).await, [1, 1, 0, 1]);
        }
        let expected: Vec<_> = reasons.iter().map(|reason| (true, reason.clone())).collect();
        assert_eq!(reported(&world), expected);
        let end = format!("exit a#{} shutdown", reasons.len() + 1);
        finish(&world, root, &[&end]).await;
    })
    .await;
}

async fn is_not_restarted(restart: Restart, reasons: &[ExitReason], reports: bool) {
    both(async |world| {
        for reason in reasons {
            let world = World::new(world.kind);
            // Not one restart is allowed.
            let root = world.root(Strategy::OneForOne, 0).start().await.unwrap();
            root.start_child(world.child("a").restart(restart)).await.unwrap();
            world.expect(&["start a#1"]).await;
            let why = end(&world, reason);
            world.expect(&[&format!("exit a#1 {why}")]).await;
            if reports {
                world.expect(&[&format!("root child_terminated a {why}")]).await;
                assert_eq!(reported(&world), [(false, reason.clone())]);
            }
            // A transient child keeps its specification, a temporary one does not.
            let (left, count) = match restart {
                Temporary => ("", [0, 0, 0, 0]),
                _ => ("a:stopped", [1, 0, 0, 1]),
            };
            shows(&root, left).await;
            assert_eq!(counts(&root).await, count);
            finish(&world, root, &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn permanent_normal() {
    is_restarted(Permanent, NORMAL).await;
}

#[tokio::test]
async fn permanent_shutdown() {
    is_restarted(Permanent, &shutdown()).await;
}

#[tokio::test]
async fn permanent_abnormal() {
    is_restarted(Permanent, &abnormal()).await;
}

#[tokio::test]
async fn transient_normal() {
    is_not_restarted(Transient, NORMAL, false).await;
}

#[tokio::test]
async fn transient_shutdown() {
    is_not_restarted(Transient, &shutdown(), false).await;
}

#[tokio::test]
async fn transient_abnormal() {
    is_restarted(Transient, &abnormal()).await;
}

#[tokio::test]
async fn temporary_normal() {
    is_not_restarted(Temporary, NORMAL, false).await;
}

#[tokio::test]
async fn temporary_shutdown() {
    is_not_restarted(Temporary, &shutdown(), false).await;
}

#[tokio::test]
async fn temporary_abnormal() {
    is_not_restarted(Temporary, &abnormal(), true).await;
}
