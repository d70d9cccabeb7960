//! The work of tasks is killed: its tasks end, once, and all others are kept.

use erlmcp::protocol::{ResultObject, Revision};
use erlmcp::tasks::{Inside, NewTask, Owner, Tasks};
use serde_json::Value;

use crate::harness::{TestNode, until, within};

const REVISION: Revision = Revision::V2026_07_28;

/// Creates a task whose work goes on for ever, or is done at once; gives its id.
async fn create(tasks: &Tasks, owner: &Owner, for_ever: bool) -> String {
    let work = move |inside: Inside| async move {
        if for_ever {
            inside.cancelled.cancelled().await;
        }
        Ok(ResultObject::empty())
    };
    let new = NewTask {
        revision: REVISION,
        ttl_ms: None,
        tool: "tool".into(),
        client: None,
        work: Box::new(move |inside| Box::pin(work(inside))),
    };
    let created = serde_json::to_value(within(tasks.create(owner, new)).await.unwrap()).unwrap();
    created["taskId"].as_str().unwrap().to_owned()
}

fn get(tasks: &Tasks, owner: &Owner, id: &str) -> Value {
    serde_json::to_value(tasks.get(owner, id, REVISION).unwrap()).unwrap()
}

#[tokio::test]
async fn only_tasks_whose_work_is_killed_fail() {
    let test = TestNode::start().await;
    let (tasks, owner) = (test.node.tasks(), Owner::new("somebody"));
    let is = |id: &str, status: &str| get(tasks, &owner, id)["status"] == status;

    let done = create(tasks, &owner, false).await;
    until(|| is(&done, "completed")).await;
    let killed = create(tasks, &owner, true).await;
    let supervisor = within(test.node.slots().tasks.wait()).await;
    let children = within(supervisor.which_children()).await.unwrap();
    assert_eq!(children.len(), 1);
    within(supervisor.terminate_child(children[0].key)).await.unwrap();
    until(|| is(&killed, "failed")).await;

    let orphaned = create(tasks, &owner, true).await;
    within(test.node.root().terminate_child("tasks")).await.unwrap();
    until(|| is(&orphaned, "failed")).await;
    within(test.node.root().restart_child("tasks")).await.unwrap();
    let next = create(tasks, &owner, false).await;
    until(|| is(&next, "completed")).await;

    for id in [&killed, &orphaned] {
        assert_eq!(get(tasks, &owner, id)["error"]["data"]["part"], "task");
    }
    assert!(is(&done, "completed"));
    test.stop().await;
}
