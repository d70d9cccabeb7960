//! A script's tree, built of real supervisors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use supervisors::{
    Child, ChildError, ChildInfo, ChildKey, ChildSpec, ChildType, Counts, DynamicRef,
    DynamicSupervisor, Event, ExitReason, Link, Observer, Root, StartError, Strategy, Supervisor,
    SupervisorRef,
};

use super::child::{self, Control, Kind};
use super::words;
use crate::path::{Id, Label, Path};
use crate::reason::Reason;
use crate::script::{Flags, Spec};
use crate::trace::Started;
use crate::world::World;

/// What the script's runner, the children and the supervisors' observer share.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    world: Mutex<World>,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    sups: HashMap<Path, Ref>,
    controls: HashMap<Label, Control>,
    keys: HashMap<Label, ChildKey>,
    labels: HashMap<ChildKey, Label>,
}

/// A running supervisor.
#[derive(Clone, Debug)]
pub(super) enum Ref {
    Fixed(SupervisorRef),
    Dynamic(DynamicRef<Id, ()>),
}

#[derive(Debug)]
pub(super) enum SupRoot {
    Fixed(Root<SupervisorRef>),
    Dynamic(Root<DynamicRef<Id, ()>>),
}

impl Ref {
    pub(super) async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        match self {
            Self::Fixed(sup) => sup.which_children().await,
            Self::Dynamic(sup) => sup.which_children().await,
        }
    }

    pub(super) async fn count_children(&self) -> Result<Counts, ChildError> {
        match self {
            Self::Fixed(sup) => sup.count_children().await,
            Self::Dynamic(sup) => sup.count_children().await,
        }
    }

    /// Why it ended.
    fn ended(&self) -> Option<ExitReason> {
        match self {
            Self::Fixed(sup) => sup.tree().ended,
            Self::Dynamic(sup) => sup.tree().ended,
        }
    }
}

impl Shared {
    pub(super) fn new(kind: Kind) -> Self {
        Self(Arc::new(Inner { kind, world: Mutex::default(), tables: Mutex::default() }))
    }

    pub(super) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The supervisor at a path, if it runs.
    pub(super) fn sup(&self, path: &Path) -> Option<Ref> {
        self.world().living(path)?;
        self.tables().sups.get(path).cloned()
    }

    pub(super) fn keep_key(&self, label: &Label, key: ChildKey) {
        let mut tables = self.tables();
        tables.keys.insert(label.clone(), key);
        tables.labels.insert(key, label.clone());
    }

    pub(super) fn key_of(&self, label: &Label) -> Option<ChildKey> {
        self.tables().keys.get(label).copied()
    }

    pub(super) fn label_of(&self, key: ChildKey) -> Option<Label> {
        self.tables().labels.get(&key).cloned()
    }

    pub(super) fn keep_control(&self, label: &Label, control: Control) {
        self.tables().controls.insert(label.clone(), control);
    }

    pub(super) fn crash(&self, label: &Label, reason: &Reason) {
        let control = self.tables().controls.remove(label);
        if let Some(control) = control {
            control.crash(reason);
        }
    }
}

/// A supervisor's reports are the world's.
struct Reports(SupLife);

impl Observer for Reports {
    fn on_event(&self, event: &Event<'_>) {
        let Some(context) = words::context(event.context) else { return };
        let ids = event.supervisor.split('/').skip(1);
        let path = ids.fold(Path::root(), |path, id| path.child(Id::atom(id)));
        let reason = words::report_reason(event.context, event.reason);
        self.0.shared.world().report(&path, context, &Id::atom(event.child.as_str()), reason);
    }
}

/// Tells the world of a supervisor's end. The supervisor owns it in its observer, which it drops
/// before its own supervisor hears of its end.
struct SupLife {
    label: Label,
    shared: Shared,
    sup: Arc<OnceLock<Ref>>,
}

impl Drop for SupLife {
    fn drop(&mut self) {
        // One that did not start has no reference, and is no news.
        let Some(sup) = self.sup.get() else { return };
        let reason = sup.ended().unwrap_or(ExitReason::Killed);
        self.shared.world().exit(&self.label, words::reason(&reason));
    }
}

pub(super) async fn root(
    shared: &Shared,
    flags: &Flags,
    specs: &[Spec],
) -> Result<SupRoot, StartError> {
    let label = Label { path: Path::root(), run: 1 };
    let (reports, sup) = begin(shared, &label, specs);
    let (root, running) = if words::strategy(flags).is_some() {
        let root = fixed(shared, &label.path, flags, specs, reports).name("root").start().await?;
        let running = Ref::Fixed(root.clone());
        (SupRoot::Fixed(root), running)
    } else {
        let root = dynamic(shared, &label.path, flags, specs, reports).name("root").start().await?;
        let running = Ref::Dynamic(root.clone());
        (SupRoot::Dynamic(root), running)
    };
    shared.world().root_started();
    settle(shared, &label, &sup, running);
    Ok(root)
}

/// A supervisor is handed its children's specifications.
fn begin(shared: &Shared, label: &Label, specs: &[Spec]) -> (Arc<Reports>, Arc<OnceLock<Ref>>) {
    for spec in specs {
        shared.world().declare(&label.path, spec);
    }
    let (label, shared, sup) = (label.clone(), shared.clone(), Arc::default());
    (Arc::new(Reports(SupLife { label, shared, sup: Arc::clone(&sup) })), sup)
}

fn settle(shared: &Shared, label: &Label, sup: &OnceLock<Ref>, running: Ref) {
    shared.tables().sups.insert(label.path.clone(), running.clone());
    let _ = sup.set(running);
}

fn fixed(
    shared: &Shared,
    path: &Path,
    flags: &Flags,
    specs: &[Spec],
    reports: Arc<Reports>,
) -> Supervisor {
    let intensity = words::intensity(flags);
    let sup = Supervisor::new(words::strategy(flags).unwrap_or(Strategy::OneForOne))
        .observer(reports)
        .intensity(intensity.restarts, intensity.period)
        .auto_shutdown(words::auto_shutdown(flags));
    specs.iter().fold(sup, |sup, spec| sup.child(build(shared, path, spec)))
}

fn dynamic(
    shared: &Shared,
    path: &Path,
    flags: &Flags,
    specs: &[Spec],
    reports: Arc<Reports>,
) -> DynamicSupervisor<Id, ()> {
    let template = specs.first().cloned().unwrap_or_else(|| Spec::new("none"));
    let (path, intensity) = (path.child(template.id.clone()), words::intensity(flags));
    let (restart, shutdown) = (words::restart(&template), words::shutdown(&template));
    let shared = shared.clone();
    DynamicSupervisor::new(words::child_id(&template.id.clone()), move |key: Id, link| {
        start(shared.clone(), path.child(key), template.clone(), link)
    })
    .observer(reports)
    .intensity(intensity.restarts, intensity.period)
    .restart(restart)
    .shutdown(shutdown)
}

/// A child's specification.
pub(super) fn build(shared: &Shared, sup: &Path, spec: &Spec) -> ChildSpec {
    let child_type = if spec.is_supervisor() { ChildType::Supervisor } else { ChildType::Worker };
    let (path, kept, shared) = (sup.child(spec.id.clone()), spec.clone(), shared.clone());
    ChildSpec::new(words::child_id(&spec.id), move |link| {
        start(shared.clone(), path.clone(), kept.clone(), link)
    })
    .child_type(child_type)
    .restart(words::restart(spec))
    .shutdown(words::shutdown(spec))
    .significant(spec.significant())
}

/// A start function: does what the script's plan says.
async fn start(
    shared: Shared,
    path: Path,
    spec: Spec,
    link: Link,
) -> Result<Child<()>, ExitReason> {
    let start = shared.world().start(&path, &spec);
    match start.started {
        Started::Ok => child::start(shared, start.label, link).await,
        Started::Ignore => link.ignore(),
        Started::Error(reason) => Err(words::exit_reason(&reason)),
        // A real panic, but without its message on stderr.
        Started::Crash => std::panic::resume_unwind(Box::new("start_crash")),
        Started::Supervisor => start_supervisor(shared, start.label, spec, link).await,
    }
}

async fn start_supervisor(
    shared: Shared,
    label: Label,
    spec: Spec,
    link: Link,
) -> Result<Child<()>, ExitReason> {
    let crate::script::Kind::Supervisor { flags, children } = &spec.kind else {
        return link.ignore();
    };
    shared.keep_key(&label, link.key());
    let (reports, sup) = begin(&shared, &label, children);
    let started = if words::strategy(flags).is_some() {
        let below = fixed(&shared, &label.path, flags, children, reports);
        link.supervisor(below).await.map(|child| child.map(Ref::Fixed))
    } else {
        let below = dynamic(&shared, &label.path, flags, children, reports);
        link.dynamic(below).await.map(|child| child.map(Ref::Dynamic))
    };
    match started {
        Ok(child) => {
            shared.world().supervisor_started(&label);
            Ok(child.map(|running| settle(&shared, &label, &sup, running)))
        }
        Err(reason) => {
            shared.world().start_failed(&label, words::reason(&reason));
            Err(reason)
        }
    }
}
