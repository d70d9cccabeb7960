//! What goes beyond OTP, on the real driver.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use supervisors::{
    Backoff, ChildError, ChildSpec, ChildState, Context, DynamicSupervisor, Event, ExitReason,
    Link, Observer, Restart, ShardedSupervisor, Shutdown, Slot, SpecError, StartError, Strategy,
    Supervisor,
};
use tokio::time::{Instant, sleep, timeout};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn for_ever() {
    std::future::pending::<()>().await;
}

/// Waits until something that no event tells of is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it never was so");
        tokio::task::yield_now().await;
    }
}

/// Counts what is alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct One(Alive);

impl Alive {
    fn one(&self) -> One {
        self.0.fetch_add(1, SeqCst);
        One(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test]
async fn a_key_leads_to_its_shard_and_a_shard_s_end_is_its_own_affair() {
    let alive = Alive::default();
    let counted = alive.clone();
    let shard = DynamicSupervisor::new("job", move |(): (), link: Link| {
        let one = counted.one();
        async move {
            link.task(async move {
                let _one = one;
                for_ever().await;
            })
        }
    });
    let sharded = ShardedSupervisor::new(4, shard).intensity(5, Duration::from_secs(60));
    let root = sharded.start().await.unwrap();
    for key in 0..100 {
        root.start_child(&key, ()).await.unwrap();
    }
    assert_eq!(root.count_children().await.unwrap().active, 100);
    let all: Vec<_> = root.tree().children.iter().map(|shard| shard.tree.clone()).collect();
    let sizes: Vec<_> = all.into_iter().map(|tree| tree.unwrap().counts.active).collect();
    assert!(sizes.iter().all(|&size| size > 5), "keys spread over the shards: {sizes:?}");

    root.supervisor().terminate_child("2").await.unwrap();
    until(async || alive.count() == 100 - sizes[2]).await;
    let answers: BTreeSet<_> = {
        let mut all = BTreeSet::new();
        for key in 0..100 {
            all.insert(format!("{:?}", root.start_child(&key, ()).await.map(|_| "started")));
        }
        all
    };
    let no_proc = format!("{:?}", Err::<(), _>(ChildError::NoProc));
    assert_eq!(answers, BTreeSet::from([no_proc, r#"Ok("started")"#.to_owned()]));
    root.supervisor().restart_child("2").await.unwrap();
    for key in 0..100 {
        root.start_child(&key, ()).await.unwrap();
    }
    drop(root);
    until(async || alive.count() == 0).await;
}

#[tokio::test]
async fn no_shards_are_no_supervisor() {
    let shard = DynamicSupervisor::new("job", |(): (), link: Link| async { link.task(for_ever()) });
    let error = ShardedSupervisor::new(0, shard).start().await.unwrap_err();
    assert_eq!(error, StartError::Spec(SpecError::NoShards));
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_empty_while_its_child_is_down() {
    let slot = Slot::new();
    let waiting = tokio::spawn({
        let slot = slot.clone();
        async move { slot.wait().await }
    });
    let backoff = Backoff { initial: ms(50), jitter: 0.0, ..Backoff::default() };
    let crash = Arc::new(tokio::sync::Notify::new());
    let told = crash.clone();
    let spec = ChildSpec::new("a", move |link: Link| {
        let (told, run) = (told.clone(), link.run());
        async move {
            let child = link.task(async move {
                told.notified().await;
                Err::<(), _>("told to")
            })?;
            Ok(child.map(|()| run))
        }
    });
    let root = Supervisor::new(Strategy::OneForOne)
        .intensity(9, Duration::from_secs(60))
        .backoff(backoff)
        .child(spec.slot(&slot))
        .start()
        .await
        .unwrap();
    assert_eq!((slot.get(), waiting.await.unwrap()), (Some(1), 1));
    for (run, pause) in [(2, ms(50)), (3, ms(100)), (4, ms(200))] {
        crash.notify_one();
        until(async || slot.get().is_none()).await;
        let down = Instant::now();
        assert_eq!(root.which_child("a").await.unwrap().state, ChildState::Restarting);
        assert_eq!(slot.wait().await, run);
        let lasted = down.elapsed();
        assert!(lasted >= pause && lasted < pause + ms(5), "{lasted:?}, not {pause:?}");
    }
    sleep(Duration::from_secs(61)).await;
    crash.notify_one();
    until(async || slot.get().is_none()).await;
    let down = Instant::now();
    assert_eq!(slot.wait().await, 5);
    assert!(down.elapsed() < ms(55), "a long run makes the next pause short again");
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(slot.get(), None);
}

#[derive(Default)]
struct Reports(Mutex<Vec<Context>>);

impl Observer for Reports {
    fn on_event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.context);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_can_not_be_killed_is_let_go_and_counted_until_it_ends() {
    let (stuck, reports) = (Arc::new(AtomicBool::new(true)), Arc::new(Reports::default()));
    let (begun, looped) = (Arc::new(AtomicBool::new(false)), stuck.clone());
    let entered = begun.clone();
    let spec = ChildSpec::task("stuck", move || {
        let (looped, entered) = (looped.clone(), entered.clone());
        async move {
            entered.store(true, SeqCst);
            while looped.load(SeqCst) {
                std::hint::spin_loop();
            }
        }
    });
    let root = Supervisor::new(Strategy::OneForOne)
        .observer(reports.clone())
        .kill_grace(ms(20))
        .child(ChildSpec::task("good", for_ever))
        .child(spec.shutdown(Shutdown::Timeout(ms(20))).restart(Restart::Temporary))
        .start()
        .await
        .unwrap();
    until(async || begun.load(SeqCst)).await;
    root.terminate_child("stuck").await.unwrap();
    assert!(reports.0.lock().unwrap().contains(&Context::Zombie));
    assert_eq!(root.tree().zombies, 1);
    assert_eq!(root.tree().to_string(), "root  one_for_one, zombies 1\n└─ good  running");
    root.start_child(ChildSpec::task("next", for_ever)).await.unwrap();
    stuck.store(false, SeqCst);
    until(async || root.tree().zombies == 0).await;
    assert_eq!(root.count_children().await.unwrap().active, 2);
}

/// The place of a zombie in its supervisor's table is free, and its late end is not taken for that
/// of the child that has the place now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_s_end_is_not_its_successor_s() {
    let (stuck, begun) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (looped, entered) = (stuck.clone(), begun.clone());
    let root = DynamicSupervisor::new("x", move |spins: bool, link: Link| {
        let (looped, entered) = (looped.clone(), entered.clone());
        async move {
            link.task(async move {
                while spins && looped.load(SeqCst) {
                    entered.store(true, SeqCst);
                    std::hint::spin_loop();
                }
                for_ever().await;
            })
        }
    });
    let root = root.shutdown(Shutdown::BrutalKill).kill_grace(ms(20)).start().await.unwrap();
    let zombie = root.start_child(true).await.unwrap().key().unwrap();
    until(async || begun.load(SeqCst)).await;
    root.terminate_child(zombie).await.unwrap();
    assert_eq!(root.tree().zombies, 1);
    let next = root.start_child(false).await.unwrap().key().unwrap();
    stuck.store(false, SeqCst);
    until(async || root.tree().zombies == 0).await;
    // A kill that hit the wrong one would be told by now, or by the second of these.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(root.count_children().await.unwrap().active, 1);
    }
    assert_eq!(root.which_child(next).await.unwrap().state, ChildState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_start_has_its_time_and_the_tree_can_be_looked_at_meanwhile() {
    let root = Supervisor::new(Strategy::OneForOne).name("app").start().await.unwrap();
    let spec = ChildSpec::new("slow", |link: Link| async move {
        for_ever().await;
        link.task(for_ever())
    });
    let asked = root.clone();
    let start = async move { asked.start_child(spec.start_timeout(Some(ms(100)))).await };
    let start = tokio::spawn(start);
    until(async || !root.tree().children.is_empty()).await;
    assert_eq!(root.tree().to_string(), "app  one_for_one\n└─ slow  starting");
    let error = start.await.unwrap().unwrap_err();
    assert!(matches!(&error, ChildError::Start(ExitReason::Error(_))), "{error:?}");
    assert!(error.to_string().contains("100ms"), "{error}");
    root.start_child(ChildSpec::task("good", for_ever)).await.unwrap();
}

#[tokio::test]
async fn who_gives_up_waiting_harms_nobody() {
    let root = Supervisor::new(Strategy::OneForOne).start().await.unwrap();
    for n in 0..50 {
        let spec = ChildSpec::task(n.to_string(), for_ever);
        let _ = timeout(Duration::ZERO, root.start_child(spec)).await;
        let _ = timeout(Duration::ZERO, root.terminate_child(n.to_string())).await;
    }
    // More callers than there are places.
    let calls: Vec<_> = (0..3_000)
        .map(|_| {
            let root = root.clone();
            tokio::spawn(async move { root.count_children().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_supervisor_is_restarted_on_cleared_ground() {
    let (alive, most) = (Alive::default(), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (alive.clone(), most.clone());
    let child = move |id: usize| {
        let (counted, peak) = (counted.clone(), peak.clone());
        ChildSpec::trapping_task(id.to_string(), move |_| {
            let one = counted.one();
            peak.fetch_max(counted.count(), SeqCst);
            async move {
                let _one = one;
                for_ever().await;
            }
        })
    };
    let below = (0..10).fold(Supervisor::new(Strategy::OneForOne), |sup, id| sup.child(child(id)));
    let spec = ChildSpec::supervisor("below", below).shutdown(Shutdown::BrutalKill);
    let root = Supervisor::new(Strategy::OneForOne).child(spec).start().await.unwrap();
    for _ in 0..50 {
        root.terminate_child("below").await.unwrap();
        assert_eq!(alive.count(), 0, "its children are gone before its end is told");
        root.restart_child("below").await.unwrap();
    }
    assert_eq!(most.load(SeqCst), 10, "never two generations at one time");
    drop(root);
    until(async || alive.count() == 0).await;
}

#[tokio::test]
async fn the_tree_is_json_too() {
    let below = Supervisor::new(Strategy::RestForOne).child(ChildSpec::task("x", for_ever));
    let root = Supervisor::new(Strategy::OneForAll)
        .name("app")
        .child(ChildSpec::supervisor("below", below))
        .start()
        .await
        .unwrap();
    let json = serde_json::to_value(root.tree()).unwrap();
    assert_eq!(json["strategy"], "one_for_all");
    assert_eq!(json["children"][0]["tree"]["name"], "app/below");
    assert_eq!(json["children"][0]["tree"]["children"][0]["state"], "running");
    root.stop(ExitReason::Shutdown).await;
    let ended = serde_json::to_value(root.tree()).unwrap();
    assert_eq!((&ended["ended"], &ended["counts"]["active"]), (&"shutdown".into(), &0.into()));
}
