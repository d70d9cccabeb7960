//! Pauses before restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use supervisors::{
    Backoff, ChildError, ChildSpec, ChildState, Context, DynamicSupervisor, ExitReason, Link,
    Restart, Strategy,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::ear::{Reports, ear};
use super::{for_ever, ms, secs, tireless};

const BACKOFF: Backoff =
    Backoff { initial: ms(100), factor: 2.0, max: ms(400), jitter: 0.0, reset_after: secs(10) };

/// A task that fails when it is told to.
fn crashing(crash: &Arc<Notify>) -> ChildSpec {
    let crash = crash.clone();
    ChildSpec::task("a", move || {
        let crash = crash.clone();
        async move {
            crash.notified().await;
            Err::<(), _>("told to")
        }
    })
}

/// How long it takes until the child that ended next is back.
async fn pause(reports: &mut Reports) -> Duration {
    let ended = reports.find(Context::ChildTerminated { restart: true }).await;
    let back = reports.find(Context::Progress { restart: true }).await;
    back.at - ended.at
}

fn is_about(is: Duration, expected: Duration) {
    assert!(is >= expected && is <= expected + ms(2), "{is:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_are_capped_and_start_over_after_a_long_run() {
    let (ear, mut reports) = ear();
    let crash = Arc::new(Notify::new());
    let sup = tireless(Strategy::OneForOne).backoff(BACKOFF).observer(ear);
    let root = sup.child(crashing(&crash)).start().await.unwrap();
    for (ran, expected) in [(0, 100), (0, 200), (9_000, 400), (0, 400), (10_000, 100), (0, 200)] {
        sleep(ms(ran)).await;
        crash.notify_one();
        is_about(pause(&mut reports).await, ms(expected));
    }
    assert_eq!(root.which_child("a").await.unwrap().run, 7);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_followed_by_a_longer_pause() {
    let (ear, mut reports) = ear();
    let spec = ChildSpec::new("a", |link: Link| async move {
        match link.run() {
            1 => link.task(async { Err::<(), _>("at once") }),
            2..=4 => Err(ExitReason::error("not yet")),
            _ => link.task(for_ever()),
        }
    });
    let sup = tireless(Strategy::OneForOne).backoff(BACKOFF).observer(ear);
    let root = sup.child(spec).start().await.unwrap();
    let mut last = reports.find(Context::ChildTerminated { restart: true }).await.at;
    for expected in [100, 200, 400] {
        let failed = reports.find(Context::StartError).await;
        is_about(failed.at - last, ms(expected));
        last = failed.at;
    }
    is_about(reports.find(Context::Progress { restart: true }).await.at - last, ms(400));
    assert_eq!(root.which_child("a").await.unwrap().run, 5);
}

#[tokio::test(start_paused = true)]
async fn a_stop_cancels_a_restart_that_is_waited_for() {
    let (ear, mut reports) = ear();
    let crash = Arc::new(Notify::new());
    let sup = tireless(Strategy::OneForOne).backoff(BACKOFF).observer(ear);
    let root = sup.child(crashing(&crash)).start().await.unwrap();
    crash.notify_one();
    reports.find(Context::ChildTerminated { restart: true }).await;
    assert_eq!(root.which_child("a").await.unwrap().state, ChildState::Restarting);
    assert_eq!(root.restart_child("a").await, Err(ChildError::Restarting));
    assert_eq!(root.delete_child("a").await, Err(ChildError::Restarting));
    let asked = Instant::now();
    root.terminate_child("a").await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    sleep(secs(3600)).await;
    let child = root.which_child("a").await.unwrap();
    assert_eq!((child.state, child.run), (ChildState::Stopped, 1));

    // The pause that was cancelled does not hurry one that is waited for later.
    root.restart_child("a").await.unwrap();
    crash.notify_one();
    reports.find(Context::ChildTerminated { restart: true }).await;
    root.terminate_child("a").await.unwrap();
    root.restart_child("a").await.unwrap();
    sleep(secs(3600)).await;
    assert_eq!(root.which_child("a").await.unwrap().run, 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_pause_when_the_supervisor_stops() {
    let (ear, mut reports) = ear();
    let crash = Arc::new(Notify::new());
    let sup = tireless(Strategy::OneForAll).backoff(BACKOFF).observer(ear);
    let root = sup.child(crashing(&crash)).start().await.unwrap();
    crash.notify_one();
    let ended = reports.find(Context::ChildTerminated { restart: true }).await;
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(ended.at.elapsed(), Duration::ZERO);
    sleep(secs(3600)).await;
    assert_eq!(reports.contexts_of("a"), []);
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_that_fail_together_come_back_apart() {
    let (ear, mut reports) = ear();
    let (crash, starts) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let (told, counted) = (crash.clone(), starts.clone());
    let root = DynamicSupervisor::new("x", move |(): (), link: Link| {
        counted.fetch_add(1, SeqCst);
        let told = told.clone();
        async move {
            link.task(async move {
                told.notified().await;
                Err::<(), _>("told to")
            })
        }
    })
    .restart(Restart::Permanent)
    .intensity(u32::MAX, ms(1))
    .backoff(Backoff { jitter: 0.5, ..BACKOFF })
    .observer(ear)
    .start()
    .await
    .unwrap();
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(root.start_child(()).await.unwrap().key().unwrap());
    }
    // All of them are waiting for it.
    sleep(ms(1)).await;
    reports.drain();
    crash.notify_waiters();
    sleep(ms(1)).await;
    for key in keys.drain(..5) {
        assert_eq!(root.which_child(key).await.unwrap().state, ChildState::Restarting);
        root.terminate_child(key).await.unwrap();
    }
    sleep(secs(5)).await;
    assert_eq!(starts.load(SeqCst), 20 + 15, "five were cancelled");
    let heard = reports.drain();
    let at = |context| heard.iter().filter(move |heard| heard.context == context).map(|h| h.at);
    let ended = at(Context::ChildTerminated { restart: true }).next().unwrap();
    let back: Vec<_> = at(Context::Progress { restart: true }).map(|at| at - ended).collect();
    assert!(back.iter().all(|&pause| pause >= ms(50) && pause <= ms(102)), "{back:?}");
    assert!(back[14] - back[0] > ms(10), "{back:?}");
    assert_eq!(root.count_children().await.unwrap().active, 15);
}
