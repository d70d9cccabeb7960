//! Children that nobody can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use supervisors::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, Link, Restart, Shutdown, Strategy,
    Supervisor,
};

use super::ear::ear;
use super::{for_ever, ms, one_for_one, until};

/// Computes without an await until it is released. Releases itself when a test fails.
#[derive(Clone, Default)]
struct Loop {
    entered: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
    released: Arc<AtomicBool>,
}

impl Loop {
    fn spin(&self) {
        self.entered.fetch_add(1, SeqCst);
        while !self.released.load(SeqCst) {
            std::hint::spin_loop();
        }
        self.left.fetch_add(1, SeqCst);
    }

    async fn entered(&self, times: usize) {
        until("it loops", async || self.entered.load(SeqCst) == times).await;
    }
}

/// So that a test that fails ends, too: a runtime waits for its threads.
struct Release(Loop);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.released.store(true, SeqCst);
    }
}

/// Loops in its first run only.
fn looping(stuck: &Loop) -> ChildSpec {
    let stuck = stuck.clone();
    ChildSpec::new("stuck", move |link: Link| {
        let (stuck, run) = (stuck.clone(), link.run());
        let child = link.task(async move {
            if run == 1 {
                stuck.spin();
            }
            for_ever().await;
        });
        std::future::ready(child)
    })
}

fn impatient() -> Supervisor {
    one_for_one().kill_grace(ms(20))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_child_that_does_not_end_is_let_go_of_and_its_place_is_free() {
    for shutdown in [Shutdown::Timeout(ms(20)), Shutdown::BrutalKill] {
        let (ear, mut reports) = ear();
        let stuck = Loop::default();
        let _release = Release(stuck.clone());
        let good = ChildSpec::task("good", for_ever);
        let root = impatient()
            .observer(ear)
            .child(good)
            .child(looping(&stuck).shutdown(shutdown))
            .start()
            .await
            .unwrap();
        stuck.entered(1).await;
        root.terminate_child("stuck").await.unwrap();
        assert_eq!(reports.find(Context::Zombie).await.reason, ExitReason::Zombie);
        assert_eq!(reports.find(Context::ShutdownError).await.reason, ExitReason::Zombie);
        let with_zombie = "\
root  one_for_one, zombies 1
├─ good  running
└─ stuck  stopped";
        assert_eq!(root.tree().to_string(), with_zombie);
        assert_eq!(serde_json::to_value(root.tree()).unwrap()["zombies"], 1);
        // Another incarnation runs beside it, and its late end is not taken for that one's.
        root.restart_child("stuck").await.unwrap();
        assert_eq!(root.tree().zombies, 1);
        stuck.released.store(true, SeqCst);
        until("no zombie", async || root.tree().zombies == 0).await;
        assert_eq!(stuck.left.load(SeqCst), 1);
        assert_eq!(root.which_child("stuck").await.unwrap().run, 2);
        assert_eq!(root.count_children().await.unwrap().active, 2);
        assert_eq!(reports.find(Context::Progress { restart: false }).await.child, "stuck");
        assert_eq!(reports.contexts_of("stuck"), []);
        assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dynamic_children_that_do_not_end_are_counted_one_by_one() {
    let stuck = Loop::default();
    let (_release, looped) = (Release(stuck.clone()), stuck.clone());
    let root = DynamicSupervisor::new("x", move |spins: bool, link: Link| {
        let looped = looped.clone();
        async move {
            link.task(async move {
                if spins {
                    looped.spin();
                }
                for_ever().await;
            })
        }
    });
    let root = root.shutdown(Shutdown::Timeout(ms(20))).kill_grace(ms(20)).start().await.unwrap();
    for zombies in 1..=2 {
        let key = root.start_child(true).await.unwrap().key().unwrap();
        stuck.entered(zombies).await;
        root.terminate_child(key).await.unwrap();
        assert_eq!(root.tree().zombies, zombies);
        root.start_child(false).await.unwrap();
        assert_eq!(root.count_children().await.unwrap().active, zombies);
    }
    let text = "x  simple_one_for_one, active 2, zombies 2";
    assert_eq!(root.tree().to_string(), text);
    stuck.released.store(true, SeqCst);
    until("no zombie", async || root.tree().zombies == 0).await;
    assert_eq!(root.count_children().await.unwrap().active, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_zombie_s_end_is_no_end_of_the_child_that_came_after_it() {
    let stuck = Loop::default();
    let _release = Release(stuck.clone());
    let spec = looping(&stuck).shutdown(Shutdown::BrutalKill).restart(Restart::Temporary);
    let root = impatient().child(spec).start().await.unwrap();
    stuck.entered(1).await;
    root.terminate_child("stuck").await.unwrap();
    // The zombie's specification is gone, so that its place in the table may be used again.
    root.start_child(ChildSpec::task("next", for_ever)).await.unwrap();
    stuck.released.store(true, SeqCst);
    until("no zombie", async || root.tree().zombies == 0).await;
    // Whatever else comes of the zombie's end is behind it by then.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert_eq!(root.which_child("next").await.unwrap().run, 1);
    }
    assert_eq!(root.count_children().await.unwrap().active, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tree_stops_and_restarts_around_a_zombie() {
    let stuck = Loop::default();
    let _release = Release(stuck.clone());
    let below = impatient().child(looping(&stuck).shutdown(Shutdown::Timeout(ms(20))));
    let root = Supervisor::new(Strategy::OneForAll)
        .child(ChildSpec::supervisor("below", below))
        .start()
        .await
        .unwrap();
    stuck.entered(1).await;
    root.terminate_child("below").await.unwrap();
    root.restart_child("below").await.unwrap();
    stuck.entered(2).await;
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    assert_eq!(stuck.left.load(SeqCst), 0, "both still loop");
}
