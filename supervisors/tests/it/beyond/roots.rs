//! A root that is dropped, killed or stopped leaves no task and no state.

use supervisors::{
    Backoff, ChildSpec, DynamicSupervisor, ExitReason, Link, Root, Slot, Strategy, Supervisor,
    SupervisorRef,
};

use super::puppet::Puppet;
use super::{Alive, for_ever, ms, one_for_one, tireless, until};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// A tree with all kinds of children, a pause that is waited for, and a start that hangs.
async fn large(alive: &Alive) -> Root<SupervisorRef> {
    let puppet = Puppet { alive: alive.clone(), ..Puppet::default() };
    let (made, slot) = (puppet.clone(), Slot::new());
    let dynamic =
        DynamicSupervisor::new("x", move |(): (), link: Link| link.actor(made.clone(), ()));
    let task = |id: &str| {
        let alive = alive.clone();
        ChildSpec::trapping_task(id, move |exit| {
            let one = alive.one();
            async move {
                let _one = one;
                exit.requested().await
            }
        })
    };
    let failing = ChildSpec::task("failing", || async { Err::<(), _>("at once") });
    let patient = tireless(Strategy::OneForOne)
        .backoff(Backoff { initial: ms(600_000), max: ms(600_000), ..Backoff::default() })
        .child(failing);
    let below = Supervisor::new(Strategy::OneForAll)
        .child(task("task"))
        .child(puppet.spec("puppet"))
        .child(ChildSpec::dynamic("dynamic", dynamic).slot(&slot))
        .child(ChildSpec::supervisor("patient", patient));
    let root = one_for_one()
        .child(ChildSpec::supervisor("below", below))
        .child(task("task"))
        .start()
        .await
        .unwrap();
    for _ in 0..50 {
        slot.get().unwrap().start_child(()).await.unwrap();
    }
    until("the pause", async || root.tree().to_string().contains("failing  restarting")).await;
    assert_eq!(alive.now(), 53);
    root
}

async fn nothing_is_left(base: usize, alive: &Alive) {
    until("no state is left", async || alive.now() == 0).await;
    until("no task is left", async || tasks() == base).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_root_that_is_dropped_nothing_is_left() {
    let (base, alive) = (tasks(), Alive::default());
    for _ in 0..10 {
        let root = large(&alive).await;
        assert!(tasks() > base + 50);
        drop(root);
        nothing_is_left(base, &alive).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_root_that_is_dropped_while_a_start_hangs_nothing_is_left() {
    let (base, alive) = (tasks(), Alive::default());
    let root = large(&alive).await;
    let one = alive.one();
    let one = std::sync::Mutex::new(Some(one));
    let hanging = ChildSpec::new("hanging", move |link: Link| {
        let one = one.lock().unwrap().take();
        async move {
            let _one = one;
            for_ever().await;
            link.task(for_ever())
        }
    });
    let asked = root.clone();
    let call = tokio::spawn(async move { asked.start_child(hanging).await });
    until("it hangs", async || root.tree().to_string().contains("hanging  starting")).await;
    drop(root);
    assert_eq!(call.await.unwrap(), Err(supervisors::ChildError::NoProc));
    nothing_is_left(base, &alive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_root_that_is_killed_or_stopped_nothing_is_left() {
    let (base, alive) = (tasks(), Alive::default());
    let root = large(&alive).await;
    root.kill();
    assert_eq!(root.exited().await, ExitReason::Killed);
    assert_eq!(alive.now(), 0, "a killed root's end is told when all is gone");
    nothing_is_left(base, &alive).await;
    let root = large(&alive).await;
    assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
    assert_eq!(alive.now(), 0);
    nothing_is_left(base, &alive).await;
}
