//! What storms found, each made small enough to happen every time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use supervisors::{
    Child, ChildHandle, ChildSpec, ChildState, DynamicRef, DynamicSupervisor, ExitReason, Link,
    Restart, Slot, Strategy, Supervisor,
};
use tokio::sync::Notify;

/// How many are alive, and the most that ever were at one time.
#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
    starts: AtomicUsize,
}

struct One(Arc<Alive>);

impl One {
    fn new(alive: &Arc<Alive>) -> Self {
        let now = alive.now.fetch_add(1, Ordering::SeqCst) + 1;
        alive.most.fetch_max(now, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A child that needs a while to end when it is killed.
struct Reluctant(Arc<Notify>);

impl ChildHandle for Reluctant {
    fn shutdown(&self, _: ExitReason) {
        self.kill();
    }

    fn kill(&self) {
        self.0.notify_one();
    }
}

fn reluctant(link: Link, one: One) -> Child<()> {
    let (killed, guard) = (Arc::new(Notify::new()), link.guard());
    let told = killed.clone();
    tokio::spawn(async move {
        let _guard = guard;
        let _one = one;
        told.notified().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    Child::new(Reluctant(killed), ())
}

/// Seed 35 of several threads: a start whose time was over had its worker still running when the
/// next one was made.
async fn a_failed_start_takes_its_worker_along(
    fail: impl Fn(
        Child<()>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Child<()>, ExitReason>> + Send>>
    + Clone
    + Send
    + Sync
    + 'static,
) {
    let alive = Arc::new(Alive::default());
    let counted = alive.clone();
    let spec = ChildSpec::new("late", move |link| {
        let first = counted.starts.fetch_add(1, Ordering::SeqCst) == 1;
        let child = reluctant(link, One::new(&counted));
        let fail = fail.clone();
        async move { if first { fail(child).await } else { Ok(child) } }
    });
    let slot = Slot::new();
    let root = Supervisor::new(Strategy::OneForOne)
        .intensity(10, Duration::from_secs(60))
        .child(spec.start_timeout(Some(Duration::from_millis(20))))
        .child(ChildSpec::task("other", std::future::pending::<()>).slot(&slot))
        .start()
        .await
        .unwrap();
    // Its second start is the one that fails; the third is the one that may not come too early.
    root.terminate_child("late").await.unwrap();
    assert!(root.restart_child("late").await.is_err());
    root.restart_child("late").await.unwrap();
    assert_eq!(alive.starts.load(Ordering::SeqCst), 3);
    assert_eq!(alive.most.load(Ordering::SeqCst), 1, "two incarnations at one time");
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(alive.now.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_times_out_takes_its_worker_along() {
    a_failed_start_takes_its_worker_along(|child| {
        Box::pin(async move {
            std::future::pending::<()>().await;
            Ok(child)
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_at_once_takes_its_worker_along() {
    a_failed_start_takes_its_worker_along(|child| {
        drop(child);
        Box::pin(std::future::ready(Err(ExitReason::error("no"))))
    })
    .await;
}

/// A worker that ends while its start function still runs does not stay in its slot.
#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_during_its_start_leaves_its_slot() {
    let slot = Slot::new();
    let spec = ChildSpec::new("brief", |link: Link| async {
        let child = link.task(async {});
        tokio::time::sleep(Duration::from_millis(1)).await;
        child
    });
    let root = Supervisor::new(Strategy::OneForOne)
        .child(spec.restart(Restart::Transient).slot(&slot))
        .start()
        .await
        .unwrap();
    // Later than anything that is under way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(root.which_child("brief").await.unwrap().state, ChildState::Stopped);
    assert_eq!(slot.get(), None);
    root.stop(ExitReason::Shutdown).await;
}

/// Seed 11393: a job ended while its supervisor was busy, after a call to stop it had come; when
/// that call's turn came, the job was no longer counted a second time.
#[tokio::test(start_paused = true)]
async fn a_job_that_ends_before_its_stop_is_uncounted_once() {
    let crash = Arc::new(Notify::new());
    let told = crash.clone();
    let make = move |slow: bool, link: Link| {
        let told = told.clone();
        async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            link.task(async move {
                told.notified().await;
                ExitReason::error("told to fail")
            })
        }
    };
    let root = DynamicSupervisor::new("job", make).start().await.unwrap();
    let quick = root.start_child(false).await.unwrap().key().unwrap();
    let (starts, stops) = (DynamicRef::clone(&root), DynamicRef::clone(&root));
    let starting = tokio::spawn(async move { starts.start_child(true).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let stopping = tokio::spawn(async move { stops.terminate_child(quick).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    crash.notify_one();
    starting.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
    let counts = root.count_children().await.unwrap();
    assert_eq!((counts.active, counts.workers), (1, 1));
    root.stop(ExitReason::Shutdown).await;
}
