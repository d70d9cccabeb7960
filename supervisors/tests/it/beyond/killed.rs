//! Supervisors that are killed: what is below them is gone before it is started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use supervisors::{
    ChildSpec, ChildType, DynamicRef, DynamicSupervisor, ExitReason, Link, Root, Shutdown, Slot,
    Strategy, Supervisor, SupervisorRef,
};

use super::puppet::{Order, Puppet, PuppetRef};
use super::{Alive, for_ever, ms, tireless, until};

/// How often each generation found something of the one before it.
#[derive(Clone, Default)]
struct Ledger {
    alive: Alive,
    leftovers: Arc<AtomicUsize>,
}

impl Ledger {
    /// A child that looks, as the first of its generation, whether the ground is cleared.
    fn first(&self, id: &str) -> ChildSpec {
        let ledger = self.clone();
        ChildSpec::new(id, move |link: Link| {
            ledger.leftovers.fetch_add(ledger.alive.now(), SeqCst);
            std::future::ready(link.task(for_ever()))
        })
    }

    /// One that does not care about a shutdown, and whose end takes time.
    fn deaf(&self, id: &str) -> ChildSpec {
        let alive = self.alive.clone();
        ChildSpec::trapping_task(id, move |_| {
            let late = Late(Some(alive.one()));
            async move {
                let _late = late;
                for_ever().await;
            }
        })
    }

    fn puppet(&self) -> Puppet {
        Puppet { alive: self.alive.clone(), ..Puppet::default() }
    }

    fn dynamic(&self) -> DynamicSupervisor<(), PuppetRef> {
        let puppet = self.puppet();
        DynamicSupervisor::new("x", move |(): (), link: Link| link.actor(puppet.clone(), ()))
    }
}

struct Late(Option<super::One>);

impl Drop for Late {
    fn drop(&mut self) {
        for _ in 0..5_000 {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
        self.0 = None;
    }
}

/// A tree of three levels, and what is needed to hurt it.
struct Family {
    ledger: Ledger,
    root: Root<SupervisorRef>,
    puppet: Slot<PuppetRef>,
    dynamic: Slot<DynamicRef<(), PuppetRef>>,
}

const DYNAMIC: usize = 10;
/// Two deaf ones, the puppet, and the dynamic children.
const ALL: usize = 3 + DYNAMIC;

impl Family {
    async fn new(shutdown: Shutdown) -> Self {
        let (ledger, puppet, dynamic) = (Ledger::default(), Slot::new(), Slot::new());
        let inner = Supervisor::new(Strategy::OneForAll)
            .child(ledger.deaf("deaf"))
            .child(ChildSpec::dynamic("dynamic", ledger.dynamic()).slot(&dynamic));
        let middle = Supervisor::new(Strategy::RestForOne)
            .child(ledger.first("first"))
            .child(ledger.deaf("deaf"))
            .child(ledger.puppet().spec("puppet").slot(&puppet))
            .child(ChildSpec::supervisor("inner", inner));
        let spec = ChildSpec::supervisor("middle", middle).shutdown(shutdown);
        let root = tireless(Strategy::OneForOne).child(spec).start().await.unwrap();
        let family = Self { ledger, root, puppet, dynamic };
        family.fill().await;
        family
    }

    async fn fill(&self) {
        let dynamic = self.dynamic.wait().await;
        for _ in 0..DYNAMIC {
            dynamic.start_child(()).await.unwrap();
        }
        assert_eq!(self.ledger.alive.now(), ALL);
    }

    async fn ends_clean(self) {
        self.root.stop(ExitReason::Shutdown).await;
        assert_eq!(self.ledger.alive.now(), 0);
        assert_eq!(self.ledger.leftovers.load(SeqCst), 0);
        assert_eq!(self.ledger.alive.most(), ALL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brutal_kill_by_its_parent_takes_everything_below_with_it() {
    let family = Family::new(Shutdown::BrutalKill).await;
    for _ in 0..40 {
        family.root.terminate_child("middle").await.unwrap();
        assert_eq!(family.ledger.alive.now(), 0, "all is gone when its end is told");
        family.root.restart_child("middle").await.unwrap();
        family.fill().await;
    }
    family.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_is_killed_comes_back_on_cleared_ground() {
    // Its deaf children are killed with it, so that nobody waits for five seconds.
    let family = Family::new(Shutdown::BrutalKill).await;
    for round in 1..=40 {
        let puppet = family.puppet.wait().await;
        puppet.cast(Order::KillSupervisor).unwrap();
        super::until_run(&family.root, "middle", round + 1).await;
        family.fill().await;
        assert_eq!(family.ledger.leftovers.load(SeqCst), 0, "round {round}");
    }
    // The machine answers a look at it before the tree shows what it saw.
    until("40 restarts are shown", async || family.root.tree().restarts == 40).await;
    family.root.terminate_child("middle").await.unwrap();
    family.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dynamic_supervisor_that_is_killed_takes_its_children_with_it() {
    let (ledger, slot) = (Ledger::default(), Slot::new());
    let counted = ledger.clone();
    // It looks, each time it is started, whether any of its children is left.
    let spec = ChildSpec::new("dynamic", move |link: Link| {
        counted.leftovers.fetch_add(counted.alive.now(), SeqCst);
        link.dynamic(counted.dynamic())
    });
    let spec = spec.child_type(ChildType::Supervisor).shutdown(Shutdown::BrutalKill);
    let root = tireless(Strategy::OneForOne).child(spec.slot(&slot)).start().await.unwrap();
    for round in 1..=40_u32 {
        let dynamic = slot.wait().await;
        let mut last = None;
        for _ in 0..DYNAMIC {
            last = dynamic.start_child(()).await.unwrap().value();
        }
        assert_eq!(dynamic.count_children().await.unwrap().active, DYNAMIC);
        if round.is_multiple_of(2) {
            root.terminate_child("dynamic").await.unwrap();
            assert_eq!(ledger.alive.now(), 0, "round {round}");
            root.restart_child("dynamic").await.unwrap();
        } else {
            last.unwrap().cast(Order::KillSupervisor).unwrap();
            super::until_run(&root, "dynamic", round + 1).await;
        }
        assert!(dynamic.count_children().await.is_err(), "this incarnation has ended");
        assert_eq!(
            slot.wait().await.count_children().await.unwrap().active,
            0,
            "children stay away"
        );
    }
    assert_eq!((ledger.leftovers.load(SeqCst), ledger.alive.most()), (0, DYNAMIC));
    root.stop(ExitReason::Shutdown).await;
    assert_eq!(ledger.alive.now(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_start_leaves_nothing() {
    let ledger = Ledger::default();
    let counted = ledger.clone();
    let hanging = ChildSpec::new("hanging", move |link: Link| {
        let one = counted.alive.one();
        async move {
            let _one = one;
            for_ever().await;
            link.task(for_ever())
        }
    });
    let slot = Slot::new();
    let below = Supervisor::new(Strategy::OneForOne).child(ledger.deaf("deaf"));
    let spec = ChildSpec::supervisor("below", below).shutdown(Shutdown::BrutalKill).slot(&slot);
    let root = tireless(Strategy::OneForOne).kill_grace(ms(60_000)).child(spec);
    let root = root.start().await.unwrap();
    let asked = slot.get().unwrap();
    let start = tokio::spawn(async move { asked.start_child(hanging).await });
    until("it hangs", async || ledger.alive.now() == 2).await;
    root.terminate_child("below").await.unwrap();
    assert_eq!(ledger.alive.now(), 0);
    assert_eq!(start.await.unwrap(), Err(supervisors::ChildError::NoProc));
}
