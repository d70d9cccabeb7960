//! Looks at supervisors from outside, by calls that wait for their turn.

use std::time::{Duration, Instant};

use supervisors::{ChildInfo, ChildState, Counts, DynamicRef, ExitReason, Root, SupervisorRef};

use super::world::World;

/// A root of puppets with ids.
pub(crate) type Fixed = Root<SupervisorRef>;
/// A root of puppets named by their argument.
pub(crate) type Pool = Root<DynamicRef<String, ()>>;

/// Asks until it holds. What it asks has to go through the supervisor, so that there is progress.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "it never held: {what}");
        tokio::task::yield_now().await;
    }
}

/// All children as text, the latest first: `b#1 a:stopped`.
pub(crate) async fn show(supervisor: &SupervisorRef) -> String {
    let children = supervisor.which_children().await.unwrap();
    children.iter().map(draw).collect::<Vec<_>>().join(" ")
}

fn draw(child: &ChildInfo) -> String {
    match child.state {
        ChildState::Running => format!("{}#{}", child.id, child.run),
        state => format!("{}:{state}", child.id),
    }
}

/// Waits until the children are as in [`show`]'s text.
pub(crate) async fn shows(supervisor: &SupervisorRef, expected: &str) {
    let what = format!("the children are {expected:?}");
    eventually(&what, async || show(supervisor).await == expected).await;
}

/// Specifications, active children, supervisors, workers.
pub(crate) fn four(counts: Counts) -> [usize; 4] {
    [counts.specs, counts.active, counts.supervisors, counts.workers]
}

pub(crate) async fn counts(supervisor: &SupervisorRef) -> [usize; 4] {
    four(supervisor.count_children().await.unwrap())
}

/// The same of a dynamic supervisor.
pub(crate) async fn pool_counts(pool: &DynamicRef<String, ()>) -> [usize; 4] {
    four(pool.count_children().await.unwrap())
}

/// Stops the root in order; then nothing is left, and only these lines were still to come.
pub(crate) async fn finish(world: &World, root: Fixed, lines: &[&str]) {
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    world.expect(lines).await;
    world.quiet();
    assert_eq!(world.alive(), 0);
}

/// The same of a dynamic supervisor, whose children stop in no order.
pub(crate) async fn finish_pool(world: &World, root: Pool, lines: &[&str]) {
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    world.expect_any(lines).await;
    world.quiet();
    assert_eq!(world.alive(), 0);
}

/// The root ended by itself, which is with `shutdown`; these lines came, and nothing is left.
pub(crate) async fn gone(world: &World, root: &Fixed, lines: &[&str]) {
    world.expect(lines).await;
    assert_eq!(root.exited().await, ExitReason::Shutdown);
    world.quiet();
    assert_eq!(world.alive(), 0);
}
