//! From the plan to specifications, and the slots by which the storm finds what runs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use supervisors::{
    ChildError, ChildSpec, DynamicRef, DynamicSupervisor, Link, Slot, Started, Supervisor,
    SupervisorRef,
};

use super::ledger::Ledger;
use super::plan::{ChildPlan, DynPlan, Kind, Nature, SupPlan};
use super::worker::{START_TIMEOUT, start};

/// A dynamic child's argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) nature: Nature,
}

pub(crate) type Jobs = DynamicRef<Job, ()>;

/// What the storm and the checks know of a tree.
pub(crate) struct World {
    pub(crate) plan: SupPlan,
    pub(crate) ledger: Ledger,
    root: OnceLock<SupervisorRef>,
    supervisors: BTreeMap<String, Slot<SupervisorRef>>,
    pub(crate) dynamics: BTreeMap<String, Slot<Jobs>>,
    pub(crate) workers: BTreeMap<String, Slot<()>>,
}

impl World {
    pub(crate) fn new(plan: SupPlan, threads: bool) -> Arc<Self> {
        let below = plan.supervisors().into_iter();
        let supervisors = below.map(|plan| (plan.path.clone(), Slot::new())).collect();
        let dynamics = plan.dynamics().into_iter().map(|plan| (plan.path.clone(), Slot::new()));
        let dynamics = dynamics.collect();
        let workers = plan.workers().into_iter().map(|path| (path, Slot::new())).collect();
        let (root, ledger) = (OnceLock::new(), Ledger::default());
        ledger.set_up(plan.gentle(), threads);
        Arc::new(Self { plan, ledger, root, supervisors, dynamics, workers })
    }

    pub(crate) fn root(self: &Arc<Self>) -> Supervisor {
        let observer = Arc::new(self.ledger.clone());
        self.supervisor(&self.plan).name("root").observer(observer)
    }

    pub(crate) fn started(&self, root: &SupervisorRef) {
        assert!(self.root.set(root.clone()).is_ok(), "there is one root");
    }

    /// The running supervisor of this path. What a root is has no slot.
    pub(crate) fn running(&self, path: &str) -> Option<SupervisorRef> {
        self.root.get().filter(|_| path == "root").cloned().or_else(|| self.supervisors[path].get())
    }

    pub(crate) fn supervisor(self: &Arc<Self>, plan: &SupPlan) -> Supervisor {
        let mut supervisor = Supervisor::new(plan.strategy)
            .intensity(plan.intensity.restarts, plan.intensity.period)
            .auto_shutdown(plan.auto_shutdown);
        if let Some(backoff) = plan.backoff {
            supervisor = supervisor.backoff(backoff);
        }
        for child in &plan.children {
            supervisor = match &child.kind {
                Kind::Leaf(nature) => supervisor.child(self.worker(&plan.path, child, *nature)),
                Kind::Supervisor(below) => supervisor.child(self.below(child, below)),
                Kind::Dynamic(below) => supervisor.child(self.dynamic(child, below)),
            };
        }
        supervisor
    }

    /// Starts a child by a call, as the plan has it.
    pub(crate) async fn start_child(
        self: &Arc<Self>,
        supervisor: &SupervisorRef,
        above: &str,
        child: &ChildPlan,
    ) -> Result<bool, ChildError> {
        fn runs<T>(started: &Started<T>) -> bool {
            started.key().is_some()
        }
        match &child.kind {
            Kind::Leaf(nature) => {
                let spec = self.worker(above, child, *nature);
                supervisor.start_child(spec).await.map(|started| runs(&started))
            }
            Kind::Supervisor(below) => {
                let spec = self.below(child, below);
                supervisor.start_child(spec).await.map(|started| runs(&started))
            }
            Kind::Dynamic(below) => {
                let spec = self.dynamic(child, below);
                supervisor.start_child(spec).await.map(|started| runs(&started))
            }
        }
    }

    fn worker(&self, above: &str, child: &ChildPlan, nature: Nature) -> ChildSpec {
        let path = format!("{above}/{}", child.id);
        let slot = self.workers.get(&path);
        let ledger = self.ledger.clone();
        let spec = ChildSpec::new(child.id.as_str(), move |link| {
            start(&ledger, path.clone(), nature, link)
        });
        let spec = common(spec, child).start_timeout(Some(START_TIMEOUT));
        match slot {
            Some(slot) => spec.slot(slot),
            None => spec,
        }
    }

    fn below(self: &Arc<Self>, child: &ChildPlan, plan: &SupPlan) -> ChildSpec<SupervisorRef> {
        let spec = ChildSpec::supervisor(child.id.as_str(), self.supervisor(plan));
        common(spec, child).slot(&self.supervisors[&plan.path])
    }

    fn dynamic(&self, child: &ChildPlan, plan: &DynPlan) -> ChildSpec<Jobs> {
        let (ledger, path) = (self.ledger.clone(), plan.path.clone());
        let make = move |job: Job, link: Link| {
            start(&ledger, format!("{path}/{}", job.number), job.nature, link)
        };
        let mut dynamic = DynamicSupervisor::new("job", make)
            .restart(plan.restart)
            .shutdown(plan.shutdown)
            .start_timeout(Some(START_TIMEOUT));
        let supervisors::Intensity { restarts, period } = plan.intensity;
        dynamic = if plan.per_child {
            dynamic.child_intensity(restarts, period)
        } else {
            dynamic.intensity(restarts, period)
        };
        if let Some(backoff) = plan.backoff {
            dynamic = dynamic.backoff(backoff);
        }
        let spec = ChildSpec::dynamic(child.id.as_str(), dynamic);
        common(spec, child).slot(&self.dynamics[&plan.path])
    }
}

fn common<T: Clone + Send + Sync + 'static>(spec: ChildSpec<T>, child: &ChildPlan) -> ChildSpec<T> {
    spec.restart(child.restart).shutdown(child.shutdown).significant(child.significant)
}
