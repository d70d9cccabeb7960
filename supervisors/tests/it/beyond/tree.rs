//! The tree: text, JSON, a supervisor that is busy, and one that has ended.

use std::sync::Arc;

use supervisors::{
    ChildSpec, DynamicSupervisor, ExitReason, Link, Restart, Root, Slot, Strategy, Supervisor,
    SupervisorRef,
};
use tokio::sync::Notify;

use super::puppet::Puppet;
use super::{for_ever, one_for_one, secs, until, until_run};

fn dynamic() -> DynamicSupervisor<(), ()> {
    DynamicSupervisor::new("session", |(): (), link: Link| async { link.task(for_ever()) })
}

async fn nested() -> (Root<SupervisorRef>, Slot<SupervisorRef>) {
    let (sessions, below, puppet) = (Slot::new(), Slot::new(), Slot::new());
    let web = Supervisor::new(Strategy::RestForOne)
        .child(ChildSpec::task("listener", for_ever))
        .child(ChildSpec::dynamic("sessions", dynamic()).slot(&sessions));
    let top = Supervisor::new(Strategy::OneForAll)
        .name("app")
        .intensity(9, secs(60))
        .child(ChildSpec::new("off", |link: Link| async { link.ignore::<()>() }))
        .child(ChildSpec::supervisor("web", web).slot(&below))
        .child(Puppet::default().spec("clock").restart(Restart::Transient).slot(&puppet));
    let root = top.start().await.unwrap();
    let before = below.get().unwrap();
    puppet.get().unwrap().kill();
    until_run(&root, "clock", 2).await;
    for _ in 0..3 {
        sessions.wait().await.start_child(()).await.unwrap();
    }
    assert_eq!(before.tree().ended, Some(ExitReason::Shutdown), "the first one's picture stays");
    (root, below)
}

const TEXT: &str = "\
app  one_for_all
├─ off  stopped
├─ web  running, restarts 1  rest_for_one
│  ├─ listener  running
│  └─ sessions  running  simple_one_for_one, active 3
└─ clock  running, restarts 1";

#[tokio::test]
async fn the_tree_as_text() {
    let (root, below) = nested().await;
    assert_eq!(root.tree().to_string(), TEXT);
    let part = "web  rest_for_one
├─ listener  running
└─ sessions  running  simple_one_for_one, active 3";
    assert_eq!(below.get().unwrap().tree().to_string(), part);
}

#[tokio::test]
async fn the_tree_as_json() {
    let (root, _) = nested().await;
    let expected = serde_json::json!({
        "name": "app",
        "strategy": "one_for_all",
        "counts": {"specs": 3, "active": 2, "supervisors": 1, "workers": 2},
        "restarts": 2,
        "zombies": 0,
        "children": [
            {"id": "off", "child_type": "worker", "state": "stopped", "restarts": 0},
            {"id": "web", "child_type": "supervisor", "state": "running", "restarts": 1, "tree": {
                "name": "app/web",
                "strategy": "rest_for_one",
                "counts": {"specs": 2, "active": 2, "supervisors": 1, "workers": 1},
                "restarts": 0,
                "zombies": 0,
                "children": [
                    {"id": "listener", "child_type": "worker", "state": "running", "restarts": 0},
                    {
                        "id": "sessions",
                        "child_type": "supervisor",
                        "state": "running",
                        "restarts": 0,
                        "tree": {
                            "name": "app/web/sessions",
                            "strategy": "simple_one_for_one",
                            "counts": {"specs": 1, "active": 3, "supervisors": 0, "workers": 3},
                            "restarts": 0,
                            "zombies": 0,
                            "children": [],
                        },
                    },
                ],
            }},
            {"id": "clock", "child_type": "worker", "state": "running", "restarts": 1},
        ],
    });
    assert_eq!(serde_json::to_value(root.tree()).unwrap(), expected);
}

#[tokio::test]
async fn the_tree_of_a_supervisor_that_is_busy() {
    let (root, below) = nested().await;
    let (go, below) = (Arc::new(Notify::new()), below.get().unwrap());
    let gate = go.clone();
    let slow = ChildSpec::new("slow", move |link: Link| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            link.task(for_ever())
        }
    });
    let asked = below.clone();
    let start = tokio::spawn(async move { asked.start_child(slow).await });
    let busy = "\
app  one_for_all
├─ off  stopped
├─ web  running, restarts 1  rest_for_one
│  ├─ listener  running
│  ├─ sessions  running  simple_one_for_one, active 3
│  └─ slow  starting
└─ clock  running, restarts 1";
    until("it starts", async || root.tree().to_string().contains("slow")).await;
    assert_eq!(root.tree().to_string(), busy);
    go.notify_one();
    start.await.unwrap().unwrap();
    assert_eq!(root.tree().to_string(), busy.replace("starting", "running"));
}

#[tokio::test]
async fn the_tree_of_a_supervisor_that_is_still_starting() {
    let go = Arc::new(Notify::new());
    let (gate, slot) = (go.clone(), Slot::new());
    let dynamic = dynamic();
    let slow = ChildSpec::new("slow", move |link: Link| {
        let (gate, dynamic) = (gate.clone(), dynamic.clone());
        async move {
            gate.notified().await;
            link.dynamic(dynamic).await
        }
    });
    let below = one_for_one().child(ChildSpec::task("x", for_ever)).child(slow.slot(&slot));
    let root = one_for_one().start().await.unwrap();
    let asked = root.clone();
    let spec = ChildSpec::supervisor("below", below);
    let start = tokio::spawn(async move { asked.start_child(spec).await });
    until("it starts", async || !root.tree().children.is_empty()).await;
    assert_eq!(root.tree().to_string(), "root  one_for_one\n└─ below  starting");
    go.notify_one();
    start.await.unwrap().unwrap();
    let text = "\
root  one_for_one
└─ below  running  one_for_one
   ├─ x  running
   └─ slow  running  simple_one_for_one, active 0";
    assert_eq!(root.tree().to_string(), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_what_was_started_when_its_starter_hears_of_it() {
    for round in 0..2_000 {
        let sup = one_for_one().child(ChildSpec::task("first", for_ever));
        let root = sup.start().await.unwrap();
        let text = "root  one_for_one\n└─ first  running";
        assert_eq!(root.tree().to_string(), text, "round {round}");
        root.start_child(ChildSpec::task("second", for_ever)).await.unwrap();
        let text = "root  one_for_one\n├─ first  running\n└─ second  running";
        assert_eq!(root.tree().to_string(), text, "round {round}");
    }
}

#[tokio::test]
async fn the_tree_of_a_root_that_has_ended_tells_why() {
    let (root, _) = nested().await;
    root.stop(ExitReason::shutdown_with("tired")).await;
    let text = "\
app  one_for_all, ended (shutdown: tired)
├─ off  stopped
├─ web  stopped, restarts 1
└─ clock  stopped, restarts 1";
    assert_eq!(root.tree().to_string(), text);

    let (root, _) = nested().await;
    root.kill();
    root.exited().await;
    assert_eq!(root.tree().ended, Some(ExitReason::Killed));

    let churns = ChildSpec::task("churns", || async { Err::<(), _>("again") });
    let root = one_for_one().intensity(2, secs(60)).child(churns).start().await.unwrap();
    root.exited().await;
    let text = "root  one_for_one, ended (shutdown)\n└─ churns  stopped, restarts 2";
    assert_eq!(root.tree().to_string(), text);
}
