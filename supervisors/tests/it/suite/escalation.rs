//! Restarts that keep failing bring the supervisor down, and its children with it.

use supervisors::{ExitReason, Restart, Strategy};

use super::look::gone;
use super::world::{Start, World, both};

/// Four restarts are fine, so the fifth start in vain is the last.
const RESTARTS: u32 = 4;

fn always_fails(world: &World, id: &str) {
    world.plan(id, std::iter::repeat_n(Start::fail("no"), 5));
}

/// The lines of a start that fails.
fn failure(id: &str, run: u32) -> [String; 2] {
    [format!("start {id}#{run} fails"), format!("root start_error {id} error: no")]
}

async fn expect(world: &World, lines: &[String]) {
    world.expect(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn one_for_one_escalation() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForOne, RESTARTS, &["a", "b"]);
        let root = root.start().await.unwrap();
        always_fails(&world, "a");
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "root child_terminated a error: x"]).await;
        for run in 2..=5 {
            expect(&world, &failure("a", run)).await;
        }
        gone(&world, &root, &["root gave_up a shutdown", "exit b#1 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn one_for_all_escalation() {
    both(async |world| {
        let root = world.root_of(Strategy::OneForAll, RESTARTS, &["a", "b"]);
        let root = root.start().await.unwrap();
        always_fails(&world, "b");
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "root child_terminated a error: x"]).await;
        world.expect(&["exit b#1 shutdown"]).await;
        for run in 2..=5 {
            world.expect(&[&format!("start a#{run}")]).await;
            expect(&world, &failure("b", run)).await;
            if run < 5 {
                world.expect(&[&format!("exit a#{run} shutdown")]).await;
            }
        }
        gone(&world, &root, &["root gave_up b shutdown", "exit a#5 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn rest_for_one_escalation() {
    both(async |world| {
        let root = world.root_of(Strategy::RestForOne, RESTARTS, &["a", "b"]);
        let root = root.start().await.unwrap();
        always_fails(&world, "b");
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "root child_terminated a error: x"]).await;
        world.expect(&["exit b#1 shutdown", "start a#2"]).await;
        for run in 2..=5 {
            expect(&world, &failure("b", run)).await;
        }
        gone(&world, &root, &["root gave_up b shutdown", "exit a#2 shutdown"]).await;
    })
    .await;
}

#[tokio::test]
async fn simple_one_for_one_escalation() {
    both(async |world| {
        let root = world.dynamic(RESTARTS).restart(Restart::Permanent).start().await.unwrap();
        for id in ["a", "b"] {
            root.start_child(id.into()).await.unwrap();
        }
        always_fails(&world, "a");
        world.expect(&["start a#1", "start b#1"]).await;
        world.crash("a", "x");
        world.expect(&["exit a#1 error: x", "pool child_terminated pool error: x"]).await;
        for run in 2..=5 {
            let start = format!("start a#{run} fails");
            world.expect(&[&start, "pool start_error pool error: no"]).await;
        }
        world.expect(&["pool gave_up pool shutdown", "exit b#1 shutdown"]).await;
        assert_eq!(root.exited().await, ExitReason::Shutdown);
        world.quiet();
    })
    .await;
}
