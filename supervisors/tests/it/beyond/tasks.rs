//! Tasks: those that trap exits and those that don't.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use supervisors::{ChildSpec, Context, ExitReason, Restart, Shutdown, Strategy};
use tokio::time::{Instant, sleep};

use super::ear::ear;
use super::{Alive, ms, one_for_one, secs, tireless};

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_trap_ends_with_shutdown_at_its_next_await() {
    let (ear, mut reports) = ear();
    let (alive, awaits) = (Alive::default(), Arc::new(AtomicUsize::new(0)));
    let (counted, passed) = (alive.clone(), awaits.clone());
    let spec = ChildSpec::task("a", move || {
        let (one, passed) = (counted.one(), passed.clone());
        async move {
            let _one = one;
            for _ in 0..3 {
                passed.fetch_add(1, SeqCst);
                sleep(secs(1)).await;
            }
        }
    });
    let root = one_for_one().observer(ear).child(spec).start().await.unwrap();
    sleep(ms(1_500)).await;
    assert_eq!(awaits.load(SeqCst), 2);
    let asked = Instant::now();
    root.terminate_child("a").await.unwrap();
    assert_eq!((asked.elapsed(), alive.now()), (Duration::ZERO, 0));
    sleep(secs(10)).await;
    assert_eq!(awaits.load(SeqCst), 2, "it went no further");
    // Any reason but `shutdown` of a permanent child would have been an error.
    assert_eq!(reports.contexts_of("a"), [Context::Progress { restart: false }]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_traps_is_told_and_may_take_its_time() {
    let (ear, mut reports) = ear();
    let cleaned = Arc::new(AtomicBool::new(false));
    let done = cleaned.clone();
    let spec = ChildSpec::trapping_task("a", move |exit| {
        let done = done.clone();
        async move {
            assert!(!exit.is_requested());
            let reason = exit.requested().await;
            assert!(exit.is_requested());
            assert_eq!(reason, ExitReason::Shutdown);
            sleep(secs(3)).await;
            done.store(true, SeqCst);
            reason
        }
    });
    let root = one_for_one().observer(ear).child(spec).start().await.unwrap();
    sleep(secs(1)).await;
    let asked = Instant::now();
    root.terminate_child("a").await.unwrap();
    assert!(asked.elapsed() >= secs(3) && asked.elapsed() < ms(3_005), "{:?}", asked.elapsed());
    assert!(cleaned.load(SeqCst));
    assert_eq!(reports.contexts_of("a"), [Context::Progress { restart: false }]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_traps_has_no_more_than_its_time() {
    let (ear, mut reports) = ear();
    let (alive, asked_for) = (Alive::default(), Arc::new(AtomicBool::new(false)));
    let (counted, told) = (alive.clone(), asked_for.clone());
    let spec = ChildSpec::trapping_task("a", move |exit| {
        let (one, told) = (counted.one(), told.clone());
        async move {
            let _one = one;
            exit.requested().await;
            told.store(true, SeqCst);
            super::for_ever().await;
        }
    });
    let spec = spec.shutdown(Shutdown::Timeout(secs(2)));
    let root = one_for_one().observer(ear).child(spec.clone()).start().await.unwrap();
    let asked = Instant::now();
    root.terminate_child("a").await.unwrap();
    assert!(asked.elapsed() >= secs(2) && asked.elapsed() < ms(2_005), "{:?}", asked.elapsed());
    assert_eq!((alive.now(), asked_for.swap(false, SeqCst)), (0, true));
    assert_eq!(reports.find(Context::ShutdownError).await.reason, ExitReason::Killed);

    let spec = spec.shutdown(Shutdown::BrutalKill);
    let root = one_for_one().child(spec).start().await.unwrap();
    let asked = Instant::now();
    root.terminate_child("a").await.unwrap();
    assert_eq!((asked.elapsed(), alive.now()), (Duration::ZERO, 0));
    assert!(!asked_for.load(SeqCst), "who is killed is not asked");
}

#[tokio::test(start_paused = true)]
async fn what_a_task_returns_is_its_reason() {
    let (ear, mut reports) = ear();
    let root = tireless(Strategy::OneForOne).observer(ear).start().await.unwrap();
    let result = |id: &str, result: Result<(), &'static str>| {
        ChildSpec::task(id, move || async move { result })
    };
    let typed = ExitReason::shutdown_with("done");
    let given = typed.clone();
    let specs = [
        (ChildSpec::task("unit", || async {}), ExitReason::Normal),
        (result("ok", Ok(())), ExitReason::Normal),
        (result("error", Err("no")), ExitReason::error("no")),
        (ChildSpec::task("typed", move || std::future::ready(given.clone())), typed.clone()),
        (
            ChildSpec::task("inside", || async { Err::<(), _>(ExitReason::Shutdown) }),
            ExitReason::Shutdown,
        ),
        (
            ChildSpec::task("panic", || async {
                assert!(std::env::args().count() == 0, "bang");
            }),
            ExitReason::Panic("bang".into()),
        ),
    ];
    for (spec, reason) in specs {
        let spec = spec.restart(Restart::Permanent);
        root.start_child(spec).await.unwrap();
        let ended = reports.find(Context::ChildTerminated { restart: true }).await;
        assert_eq!(ended.reason, reason, "{}", ended.child);
        root.terminate_child(&*ended.child).await.unwrap();
        root.delete_child(&*ended.child).await.unwrap();
        reports.drain();
    }
}

async fn for_good(ticks: Arc<AtomicUsize>) -> ! {
    loop {
        sleep(secs(1)).await;
        ticks.fetch_add(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn endless_loops_are_tasks_without_further_ado() {
    let ticks = Arc::new(AtomicUsize::new(0));
    let (block, function, trapping) = (ticks.clone(), ticks.clone(), ticks.clone());
    let root = one_for_one()
        .child(ChildSpec::task("block", move || {
            let ticks = block.clone();
            async move {
                loop {
                    sleep(secs(1)).await;
                    ticks.fetch_add(1, SeqCst);
                }
            }
        }))
        .child(ChildSpec::task("function", move || for_good(function.clone())))
        .child(ChildSpec::trapping_task("trapping", move |_| for_good(trapping.clone())))
        .start()
        .await
        .unwrap();
    sleep(ms(10_500)).await;
    assert_eq!(ticks.load(SeqCst), 30);
    for id in ["block", "function"] {
        root.terminate_child(id).await.unwrap();
    }
    sleep(secs(10)).await;
    assert_eq!(ticks.load(SeqCst), 40, "one is left");
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
}
