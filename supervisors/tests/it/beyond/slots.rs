//! Slots.

use std::collections::HashSet;

use supervisors::{
    Backoff, ChildSpec, DynamicSupervisor, ExitReason, Link, Restart, Shutdown, Slot, Strategy,
};
use tokio::task::JoinSet;

use super::ear::ear;
use super::puppet::{Puppet, PuppetRef};
use super::{for_ever, ms, one_for_one, tireless, until};

fn waiters(slot: &Slot<PuppetRef>) -> JoinSet<PuppetRef> {
    let wait = |_| {
        let slot = slot.clone();
        async move { slot.wait().await }
    };
    (0..8).map(wait).collect()
}

/// All who waited got the same.
async fn what_they_got(waiters: JoinSet<PuppetRef>) -> ractor::ActorId {
    let all: HashSet<_> = waiters.join_all().await.iter().map(|got| got.get_id()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_filled_emptied_and_refilled() {
    let slot = Slot::new();
    assert!(slot.get().is_none());
    let waiting = waiters(&slot);
    tokio::task::yield_now().await;
    let (ear, mut reports) = ear();
    let backoff = Backoff { initial: ms(50), jitter: 0.0, ..Backoff::default() };
    let sup = tireless(Strategy::OneForOne).backoff(backoff).observer(ear);
    let root = sup.child(Puppet::default().spec("a").slot(&slot)).start().await.unwrap();
    let mut seen = HashSet::from([what_they_got(waiting).await]);
    assert!(seen.contains(&slot.get().unwrap().get_id()));
    for _ in 0..3 {
        slot.get().unwrap().kill();
        let ended = supervisors::Context::ChildTerminated { restart: true };
        assert_eq!(reports.find(ended).await.reason, ExitReason::Killed);
        assert!(slot.get().is_none(), "it is empty when the end is reported");
        let now = what_they_got(waiters(&slot)).await;
        assert!(seen.insert(now), "it is another one");
        assert_eq!(slot.wait().await.get_id(), now);
    }
    root.terminate_child("a").await.unwrap();
    assert!(slot.get().is_none());
    root.restart_child("a").await.unwrap();
    assert!(seen.insert(slot.get().unwrap().get_id()));
    root.stop(ExitReason::Shutdown).await;
    assert!(slot.get().is_none());
}

#[tokio::test]
async fn what_did_not_start_is_in_no_slot() {
    let (failed, ignored) = (Slot::<()>::new(), Slot::<()>::new());
    let root = one_for_one().start().await.unwrap();
    let spec = ChildSpec::new("a", |_| async { Err(ExitReason::error("no")) });
    root.start_child(spec.slot(&failed)).await.unwrap_err();
    let spec = ChildSpec::new("b", |link: Link| async { link.ignore() });
    root.start_child(spec.slot(&ignored)).await.unwrap();
    assert_eq!((failed.get(), ignored.get()), (None, None));
}

#[tokio::test]
async fn each_dynamic_child_may_have_its_own() {
    let root = DynamicSupervisor::new("x", |slot: Slot<u32>, link: Link| async move {
        let run = link.run();
        let task = link.task(async move {
            if run == 1 {
                return Err("once");
            }
            for_ever().await;
            Ok(())
        });
        Ok(task?.map(|()| run).in_slot(&slot))
    })
    .restart(Restart::Transient)
    .shutdown(Shutdown::BrutalKill)
    .child_intensity(1, ms(1000))
    .start()
    .await
    .unwrap();
    let slots: Vec<Slot<u32>> = (0..5).map(|_| Slot::new()).collect();
    let mut keys = Vec::new();
    for slot in &slots {
        keys.push(root.start_child(slot.clone()).await.unwrap().key().unwrap());
    }
    for slot in &slots {
        until("its second run", async || slot.get() == Some(2)).await;
    }
    root.terminate_child(keys[2]).await.unwrap();
    let found: Vec<_> = slots.iter().map(Slot::get).collect();
    assert_eq!(found, [Some(2), Some(2), None, Some(2), Some(2)]);
}
