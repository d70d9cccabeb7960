//! Callers that give up, and very many of them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use supervisors::{
    ChildError, ChildSpec, ChildState, ExitReason, Link, Root, Started, SupervisorRef,
};
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::{Alive, for_ever, one_for_one, until};

const MANY: usize = 2_000;

fn counted(id: &str, alive: &Alive) -> ChildSpec {
    let alive = alive.clone();
    ChildSpec::task(id, move || {
        let one = alive.one();
        async move {
            let _one = one;
            for_ever().await;
        }
    })
}

/// Starts when it is let go.
fn gated(go: &Arc<Notify>) -> ChildSpec {
    let go = go.clone();
    ChildSpec::new("gated", move |link: Link| {
        let go = go.clone();
        async move {
            go.notified().await;
            link.task(for_ever())
        }
    })
}

/// Polls a call a few times, and then drops it.
async fn give_up<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = polled {
            return Some(answer);
        }
        yield_now().await;
    }
    None
}

/// What the supervisor thinks that runs is what runs.
async fn agrees(root: &Root<SupervisorRef>, alive: &Alive, others: usize) {
    let children = root.which_children().await.unwrap();
    let running = children.iter().filter(|child| child.state == ChildState::Running).count();
    assert_eq!(running, alive.now() + others);
    assert_eq!(root.count_children().await.unwrap().active, running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_be_dropped_at_any_point() {
    let alive = Alive::default();
    let root = one_for_one().start().await.unwrap();
    for n in 0..400_usize {
        let id = format!("{}", n % 40);
        match n % 4 {
            0 => drop(give_up(n % 7, root.start_child(counted(&id, &alive))).await),
            1 => drop(give_up(n % 5, root.terminate_child(&id)).await),
            2 => drop(timeout(Duration::ZERO, root.restart_child(&id)).await),
            _ => tokio::select! {
                biased;
                _ = root.start_child(counted(&id, &alive)) => {}
                _ = root.delete_child(&id) => {}
                () = std::future::ready(()) => {}
            },
        }
    }
    agrees(&root, &alive, 0).await;
    assert!(alive.ever() > 0, "some of it was done");
    root.start_child(counted("last", &alive)).await.unwrap();
    for child in root.which_children().await.unwrap() {
        root.terminate_child(child.id.as_str()).await.unwrap();
        root.delete_child(child.id.as_str()).await.unwrap();
    }
    assert_eq!((alive.now(), root.which_children().await.unwrap().len()), (0, 0));
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
}

/// A supervisor that is busy until it is let go, and the call that makes it so.
async fn busy(go: &Arc<Notify>) -> (Root<SupervisorRef>, JoinSet<Result<Started<()>, ChildError>>) {
    let root = one_for_one().start().await.unwrap();
    let (asked, spec) = (root.clone(), gated(go));
    let mut calls = JoinSet::new();
    calls.spawn(async move { asked.start_child(spec).await });
    until("it is busy", async || root.tree().to_string().contains("gated  starting")).await;
    (root, calls)
}

#[tokio::test]
async fn calls_that_were_given_up_in_the_queue_are_done_or_not_but_harm_nobody() {
    let (alive, go) = (Alive::default(), Arc::new(Notify::new()));
    let (root, mut gated) = busy(&go).await;
    for n in 0..MANY {
        // Those beyond the last place never get into the queue.
        assert!(give_up(2, root.start_child(counted(&n.to_string(), &alive))).await.is_none());
    }
    assert_eq!(alive.ever(), 0, "it is busy");
    go.notify_one();
    gated.join_next().await.unwrap().unwrap().unwrap();
    agrees(&root, &alive, 1).await;
    assert_eq!(alive.now(), 1_023, "those that had a place beside the busy one's caller");
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(alive.now(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_callers_than_places_all_get_their_answers() {
    let (alive, go) = (Alive::default(), Arc::new(Notify::new()));
    let (root, mut calls) = busy(&go).await;
    for n in 0..MANY {
        let (asked, spec) = (root.clone(), counted(&n.to_string(), &alive));
        calls.spawn(async move { asked.start_child(spec).await });
    }
    let mut queries = JoinSet::new();
    for n in 0..MANY {
        let asked = root.clone();
        queries.spawn(async move {
            match n % 3 {
                0 => asked.count_children().await.map(drop),
                1 => asked.which_child("gated").await.map(drop),
                _ => asked.get_childspec("gated").await.map(drop),
            }
        });
    }
    go.notify_one();
    let mut keys = std::collections::HashSet::new();
    while let Some(answer) = calls.join_next().await {
        assert!(keys.insert(answer.unwrap().unwrap().key().unwrap()));
    }
    while let Some(answer) = queries.join_next().await {
        answer.unwrap().unwrap();
    }
    assert_eq!((keys.len(), alive.now()), (MANY + 1, MANY));
    agrees(&root, &alive, 1).await;
    let mut stops = JoinSet::new();
    for n in 0..MANY {
        let asked = root.clone();
        stops.spawn(async move { asked.terminate_child(n.to_string()).await });
    }
    while let Some(answer) = stops.join_next().await {
        answer.unwrap().unwrap();
    }
    assert_eq!(alive.now(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_are_told_when_the_supervisor_ends() {
    for killed in [true, false] {
        let (alive, go) = (Alive::default(), Arc::new(Notify::new()));
        let (root, mut calls) = busy(&go).await;
        // The stop stands before all of them.
        if !killed {
            drop(give_up(1, root.stop(ExitReason::Shutdown)).await);
        }
        for n in 0..MANY {
            let (asked, spec) = (root.clone(), counted(&n.to_string(), &alive));
            calls.spawn(async move { asked.start_child(spec).await });
        }
        if killed {
            root.kill();
        } else {
            go.notify_one();
        }
        let mut refused = 0;
        while let Some(answer) = calls.join_next().await {
            refused += usize::from(answer.unwrap() == Err(ChildError::NoProc));
        }
        assert_eq!(refused, MANY + usize::from(killed));
        let reason = if killed { ExitReason::Killed } else { ExitReason::Shutdown };
        assert_eq!((root.exited().await, alive.now()), (reason, 0));
    }
}
