//! Budgets of their own for dynamic children.

use supervisors::{
    ChildError, ChildKey, Context, DynamicRef, DynamicSupervisor, ExitReason, Link, Restart, Root,
};
use tokio::time::sleep;

use super::ear::ear;
use super::secs;

/// Fails by itself in each of its incarnations.
fn churning() -> DynamicSupervisor<bool, ()> {
    DynamicSupervisor::new("session", |churns: bool, link: Link| async move {
        link.task(async move {
            if !churns {
                super::for_ever().await;
            }
            Err::<(), _>("again")
        })
    })
    .restart(Restart::Permanent)
}

async fn start(root: &Root<DynamicRef<bool, ()>>, churns: bool) -> ChildKey {
    root.start_child(churns).await.unwrap().key().unwrap()
}

#[tokio::test]
async fn a_churning_child_is_given_up_alone() {
    let (ear, mut reports) = ear();
    let root = churning().child_intensity(3, secs(60)).observer(ear).start().await.unwrap();
    let before = start(&root, false).await;
    let churning = start(&root, true).await;
    let after = start(&root, false).await;
    reports.find(Context::ChildGaveUp).await;
    assert_eq!(root.which_child(churning).await, Err(ChildError::NotFound));
    assert_eq!(root.terminate_child(churning).await, Ok(()), "it has ended");
    for sibling in [before, after] {
        assert_eq!(root.which_child(sibling).await.unwrap().run, 1);
    }
    assert_eq!(root.tree().to_string(), "session  simple_one_for_one, active 2, restarts 3");
    // Whoever churns next has a whole budget again, and so have those that it ends beside.
    for _ in 0..5 {
        start(&root, true).await;
        reports.find(Context::ChildGaveUp).await;
    }
    assert_eq!(root.count_children().await.unwrap().active, 2);
    assert_eq!(root.tree().restarts, 18);
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
}

#[tokio::test]
async fn with_one_budget_for_all_it_ends_its_siblings() {
    let (ear, mut reports) = ear();
    let root = churning().intensity(3, secs(60)).observer(ear).start().await.unwrap();
    start(&root, false).await;
    start(&root, true).await;
    reports.find(Context::GaveUp).await;
    assert_eq!(root.exited().await, ExitReason::Shutdown);
    assert_eq!(root.start_child(false).await, Err(ChildError::NoProc));
}

#[tokio::test(start_paused = true)]
async fn a_child_s_budget_is_for_its_period() {
    let periodic = DynamicSupervisor::new("session", |(): (), link: Link| async move {
        link.task(async {
            sleep(secs(6)).await;
            Err::<(), _>("now and then")
        })
    });
    let (ear, mut reports) = ear();
    let calm = periodic.restart(Restart::Permanent).child_intensity(1, secs(5)).observer(ear);
    let calm = calm.start().await.unwrap();
    let key = calm.start_child(()).await.unwrap().key().unwrap();
    for run in 2..12 {
        reports.find(Context::Progress { restart: true }).await;
        assert_eq!(calm.which_child(key).await.unwrap().run, run);
    }
}
