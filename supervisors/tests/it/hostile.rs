//! What other people's code can do to a supervisor: panic where nobody expects it, look where it
//! must not, change its mind. The supervisor and the child's siblings go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use supervisors::{
    Backoff, Child, ChildHandle, ChildSpec, DynamicSupervisor, Event, ExitReason, Link, Observer,
    Restart, Root, Slot, SpecError, Strategy, Supervisor, SupervisorRef,
};
use tokio::time::{Instant, sleep, timeout};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn for_ever() {
    std::future::pending::<()>().await;
}

fn one_for_one() -> Supervisor {
    Supervisor::new(Strategy::OneForOne)
}

async fn goes_on(root: &Root<SupervisorRef>) {
    let counts = timeout(Duration::from_secs(60), root.count_children()).await;
    assert!(counts.expect("it answers").is_ok(), "the supervisor has ended: {}", root.tree());
}

/// Panics when it is dropped, once it is armed.
#[derive(Clone, Default)]
struct Grenade(Arc<AtomicBool>);

impl Grenade {
    fn armed() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(!self.0.swap(false, SeqCst), "a grenade went off");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_start_that_panics_while_it_is_dropped_has_failed() {
    let spec = ChildSpec::new("late", |link: Link| async move {
        let _grenade = Grenade::armed();
        for_ever().await;
        link.task(for_ever())
    });
    let start = one_for_one().child(spec.start_timeout(Some(ms(10)))).start();
    let started = timeout(Duration::from_secs(3600), start).await;
    assert!(started.expect("the supervisor hears of it").is_err());
}

/// An error whose text can't be had.
#[derive(Debug)]
struct NoText;

impl std::fmt::Display for NoText {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no text")
    }
}

impl std::error::Error for NoText {}

/// Reads each reason, as a log would.
struct Reader;

impl Observer for Reader {
    fn on_event(&self, event: &Event<'_>) {
        assert!(!event.reason.to_string().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_text_ends_nobody_else() {
    let bad = ChildSpec::task("bad", || async { Err::<(), _>(NoText) });
    let root = one_for_one()
        .observer(Arc::new(Reader))
        .child(ChildSpec::task("good", for_ever))
        .child(bad.restart(Restart::Temporary))
        .start()
        .await
        .unwrap();
    sleep(ms(10)).await;
    goes_on(&root).await;

    let dynamic = DynamicSupervisor::new("bad", |(): (), link: Link| async move {
        link.trapping_task(|exit| async move {
            exit.requested().await;
            Err::<(), _>(NoText)
        })
    });
    let root = dynamic.start().await.unwrap();
    for _ in 0..3 {
        root.start_child(()).await.unwrap();
    }
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
}

/// A handle that does what it should, and panics.
struct Panicking(tokio::task::AbortHandle);

impl ChildHandle for Panicking {
    fn shutdown(&self, _: ExitReason) {
        panic!("shutdown");
    }

    fn kill(&self) {
        self.0.abort();
        panic!("kill");
    }
}

fn panicking(id: &str) -> ChildSpec {
    ChildSpec::new(id, |link: Link| async move {
        let guard = link.guard();
        let task = tokio::spawn(async move {
            let _guard = guard;
            for_ever().await;
        });
        Ok(Child::new(Panicking(task.abort_handle()), ()))
    })
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_panics_ends_nobody_else() {
    let root = one_for_one()
        .child(ChildSpec::task("good", for_ever))
        .child(panicking("a"))
        .child(panicking("b"))
        .start()
        .await
        .unwrap();
    root.terminate_child("a").await.unwrap();
    goes_on(&root).await;
    root.kill();
    assert_eq!(root.exited().await, ExitReason::Killed);
}

#[tokio::test(start_paused = true)]
async fn an_argument_that_panics_while_it_is_dropped_ends_nobody_else() {
    let root =
        DynamicSupervisor::new(
            "child",
            |_: Grenade, link: Link| async move { link.task(for_ever()) },
        )
        .restart(Restart::Transient)
        .start()
        .await
        .unwrap();
    let grenade = Grenade::default();
    let bad = root.start_child(grenade.clone()).await.unwrap().key().unwrap();
    let good = root.start_child(Grenade::default()).await.unwrap().key().unwrap();
    grenade.0.store(true, SeqCst);
    root.terminate_child(bad).await.unwrap();
    assert!(root.which_child(good).await.is_ok());
}

/// A value that looks at the slot that it was in.
#[derive(Clone)]
struct Nosy(Slot<Self>, Arc<AtomicBool>);

impl Drop for Nosy {
    fn drop(&mut self) {
        if self.1.swap(false, SeqCst) {
            assert!(self.0.get().is_none());
        }
    }
}

#[test]
fn a_slot_can_be_looked_at_while_its_value_is_dropped() {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (slot, armed) = (Slot::new(), Arc::new(AtomicBool::new(false)));
            let nosy = Nosy(slot.clone(), armed.clone());
            let spec = ChildSpec::new("nosy", move |link: Link| {
                let nosy = nosy.clone();
                async move { Ok(link.task(for_ever())?.map(|()| nosy)) }
            });
            let root = one_for_one().child(spec.slot(&slot)).start().await.unwrap();
            armed.store(true, SeqCst);
            root.terminate_child("nosy").await.unwrap();
            assert!(slot.get().is_none());
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(30)).expect("no deadlock");
}

#[tokio::test(start_paused = true)]
async fn an_exit_signal_wakes_all_who_wait_for_it() {
    let spec = ChildSpec::trapping_task("two", |exit| async move {
        let part = tokio::spawn({
            let exit = exit.clone();
            async move { exit.requested().await }
        });
        let reason = exit.requested().await;
        part.await.unwrap();
        reason
    });
    let root = one_for_one().child(spec).start().await.unwrap();
    sleep(ms(10)).await;
    let asked = Instant::now();
    root.stop(ExitReason::Shutdown).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "it was killed: {:?}", asked.elapsed());
}

/// Writes down what is reported.
#[derive(Default)]
struct Reports(Mutex<Vec<String>>);

impl Observer for Reports {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{:?} {}", event.context, event.reason));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_during_a_stop_is_reported_as_one() {
    let reports = Arc::new(Reports::default());
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let once = Mutex::new(Some((begun, may_go)));
    let spec = ChildSpec::task("busy", move || {
        let (begun, may_go) = once.lock().unwrap().take().expect("it starts once");
        async move {
            begun.send(()).unwrap();
            tokio::task::block_in_place(|| may_go.recv()).unwrap();
            assert!(std::env::args().count() == 0, "in the middle");
        }
    });
    let root = one_for_one()
        .observer(reports.clone())
        .child(spec.restart(Restart::Transient))
        .start()
        .await
        .unwrap();
    has_begun.await.unwrap();
    let asked = root.clone();
    let stop = tokio::spawn(async move { asked.terminate_child("busy").await });
    // The stop was asked for when a call behind it does not get through any more.
    while timeout(ms(20), root.count_children()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    stop.await.unwrap().unwrap();
    let reports = reports.0.lock().unwrap();
    assert!(reports.iter().any(|line| line.contains("in the middle")), "{reports:?}");
}

#[tokio::test]
async fn the_tree_follows_a_reconfiguration() {
    let of = |strategy, ids: [&str; 2]| {
        let sup = Supervisor::new(strategy);
        ids.iter().fold(sup, |sup, id| sup.child(ChildSpec::task(*id, for_ever)))
    };
    let root = of(Strategy::OneForOne, ["a", "b"]).start().await.unwrap();
    root.reconfigure(of(Strategy::RestForOne, ["b", "a"])).await.unwrap();
    assert_eq!(root.tree().to_string(), "root  rest_for_one\n├─ b  running\n└─ a  running");

    let below = one_for_one().child(ChildSpec::task("x", for_ever));
    let root = one_for_one().child(ChildSpec::supervisor("c", below)).start().await.unwrap();
    root.reconfigure(one_for_one().child(ChildSpec::task("c", for_ever))).await.unwrap();
    root.terminate_child("c").await.unwrap();
    root.restart_child("c").await.unwrap();
    assert_eq!(root.tree().to_string(), "root  one_for_one\n└─ c  running");
}

#[tokio::test]
async fn a_flaw_anywhere_in_the_tree_is_found_before_anything_starts() {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = started.clone();
    let twice = ChildSpec::task("x", for_ever);
    let below = one_for_one().child(twice.clone()).child(twice);
    let first = ChildSpec::task("first", move || {
        counted.fetch_add(1, SeqCst);
        for_ever()
    });
    let above = one_for_one().child(first).child(ChildSpec::supervisor("below", below));
    let flaw = above.validate().unwrap_err();
    assert!(matches!(&flaw, SpecError::Below { id, .. } if id.as_str() == "below"), "{flaw}");
    assert!(flaw.to_string().contains("\"x\""), "{flaw}");
    assert!(above.start().await.is_err());
    assert_eq!(started.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_zero_stays_zero() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    let backoff = Backoff { initial: Duration::ZERO, jitter: 0.0, ..Backoff::default() };
    let spec = ChildSpec::task("brief", move || {
        let so_far = counted.fetch_add(1, SeqCst);
        async move {
            if so_far > 1_100 {
                for_ever().await;
            }
            Err::<(), _>("again")
        }
    });
    let begun = Instant::now();
    let root = one_for_one().intensity(u32::MAX, ms(1)).backoff(backoff).child(spec);
    let _root = root.start().await.unwrap();
    while starts.load(SeqCst) <= 1_100 && begun.elapsed() < Duration::from_secs(20) {
        sleep(ms(10)).await;
    }
    assert!(starts.load(SeqCst) > 1_100, "{} starts", starts.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_is_obeyed_in_the_middle_of_a_large_boot() {
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (started, may_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(may_go)));
    let mut sup = one_for_one();
    for n in 0..400 {
        let (begun, may_go, started) = (begun.clone(), may_go.clone(), started.clone());
        sup = sup.child(ChildSpec::task(n.to_string(), move || {
            started.fetch_add(1, SeqCst);
            if n == 0 {
                begun.send(()).unwrap();
                tokio::task::block_in_place(|| may_go.lock().unwrap().recv()).unwrap();
            }
            for_ever()
        }));
    }
    let boot = tokio::spawn(sup.start());
    tokio::task::block_in_place(|| has_begun.recv()).unwrap();
    boot.abort();
    assert!(boot.await.is_err());
    go.send(()).unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    let deadline = Instant::now() + Duration::from_secs(30);
    while metrics.num_alive_tasks() > 0 {
        assert!(Instant::now() < deadline, "{} tasks are left", metrics.num_alive_tasks());
        tokio::task::yield_now().await;
    }
    assert!(started.load(SeqCst) < 400, "all children were started");
}
