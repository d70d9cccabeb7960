//! The real driver: supervisors on ractor with actors or tasks as children, on a runtime of one
//! thread with paused time, so that a run is the same each time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use supervisors::{
    ChildError, ChildInfo, ChildSpec, ChildState, ExitReason, Root, Started, SupervisorRef,
};
use tokio::runtime::Runtime;

use super::tree::{Ref, Shared, SupRoot, build, root};
use super::words::{self, Call};
use crate::path::{Id, Path};
use crate::reason::Reason;
use crate::replay::Subject;
use crate::script::{Flags, Op, Spec};
use crate::trace::{Event, Ret, Slot, SlotState, Snapshot};

pub use super::child::Kind;

/// A tree of real supervisors.
#[derive(Debug)]
pub struct Real {
    runtime: Runtime,
    shared: Shared,
    root: Option<SupRoot>,
}

/// Time for everything that is ready to happen; nothing in a script waits less.
const TICK: Duration = Duration::from_millis(1);
/// Virtual time after which nothing more is going to happen.
const DEADLOCK: Duration = Duration::from_secs(24 * 60 * 60);
/// Rounds after which a tree that is never quiet counts as livelocked.
const ROUNDS: usize = 10_000;

impl Real {
    /// An empty world whose children are of this kind.
    ///
    /// # Errors
    /// The runtime could not be made.
    pub fn new(kind: Kind) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        Ok(Self { runtime, shared: Shared::new(kind), root: None })
    }

    /// Runs to the end. Time is virtual, so where everybody waits for everybody this ends at once.
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let done = self.runtime.block_on(async { tokio::time::timeout(DEADLOCK, work).await });
        #[expect(clippy::expect_used, reason = "a tree that hangs has failed the test")]
        done.expect("the tree is stuck: everybody waits")
    }
}

/// Until no exit is undelivered and no restart pending.
async fn settle(shared: &Shared) {
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        tokio::time::sleep(TICK).await;
        quiet = if busy(shared, Path::root()).await { 0 } else { quiet + 1 };
        if quiet == 3 {
            return;
        }
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn busy(shared: &Shared, path: Path) -> Later<'_, bool> {
    Box::pin(async move {
        let Some(sup) = shared.sup(&path) else { return false };
        let Ok(children) = sup.which_children().await else { return false };
        for child in children {
            if child.state == ChildState::Restarting || child.state == ChildState::Starting {
                return true;
            }
            let below = path.child(Id::atom(child.id.as_str()));
            if child.state == ChildState::Running && busy(shared, below).await {
                return true;
            }
        }
        false
    })
}

fn snapshot<'a>(shared: &'a Shared, path: Path, to: &'a mut Vec<Snapshot>) -> Later<'a, ()> {
    Box::pin(async move {
        let Some(sup) = shared.sup(&path) else { return };
        let (Ok(children), Ok(counts)) = (sup.which_children().await, sup.count_children().await)
        else {
            return;
        };
        let counts = words::counts(counts);
        let dynamic = matches!(sup, Ref::Dynamic(_));
        let slots = children.iter().filter_map(|child| slot(shared, child, dynamic)).collect();
        to.push(match dynamic {
            true => Snapshot::dynamic(path.clone(), slots, counts),
            false => Snapshot::running(path.clone(), slots, counts),
        });
        for child in children.iter().filter(|child| child.state == ChildState::Running) {
            snapshot(shared, path.child(Id::atom(child.id.as_str())), to).await;
        }
    })
}

fn slot(shared: &Shared, child: &ChildInfo, dynamic: bool) -> Option<Slot> {
    let label = shared.label_of(child.key);
    let id = match label.as_ref().filter(|_| dynamic) {
        Some(label) => label.path.last()?.clone(),
        None => Id::atom(child.id.as_str()),
    };
    let state = match child.state {
        ChildState::Running => SlotState::Run(label?.run),
        ChildState::Restarting => SlotState::Restarting,
        ChildState::Stopped | ChildState::Starting => SlotState::Undefined,
    };
    Some(Slot { id, state })
}

fn done<T>(call: Call, answer: Result<Started<T>, ChildError>) -> Ret {
    match answer {
        Ok(Started::Running { .. }) => Ret::OkPid,
        Ok(Started::Ignored) => Ret::OkUndefined,
        Err(error) => words::error_ret(call, &error),
    }
}

fn ok(answer: Result<(), ChildError>) -> Ret {
    answer.map_or_else(|error| words::error_ret(Call::Bare, &error), |()| Ret::Ok)
}

async fn start_child(shared: &Shared, sup: &Path, spec: &Spec) -> Ret {
    let Some(Ref::Fixed(at)) = shared.sup(sup) else { return Ret::NoProc };
    shared.world().declare(sup, spec);
    let spec: ChildSpec = build(shared, sup, spec);
    done(Call::StartChild, at.start_child(spec).await)
}

async fn start_dynamic(shared: &Shared, sup: &Path, key: &Id) -> Ret {
    match shared.sup(sup) {
        Some(Ref::Dynamic(at)) => done(Call::Bare, at.start_child(key.clone()).await),
        _ => Ret::NoProc,
    }
}

/// A call that dynamic supervisors don't have; OTP's refuse it.
async fn of_fixed<F>(shared: &Shared, sup: &Path, call: impl FnOnce(SupervisorRef) -> F) -> Ret
where
    F: Future<Output = Ret>,
{
    match shared.sup(sup) {
        Some(Ref::Fixed(at)) => call(at).await,
        Some(Ref::Dynamic(_)) => Ret::error("simple_one_for_one"),
        None => Ret::NoProc,
    }
}

async fn terminate_dynamic(shared: &Shared, sup: &Path, key: &Id) -> Ret {
    let label = shared.world().find(&sup.child(key.clone()));
    let child = label.and_then(|label| shared.key_of(&label));
    match (shared.sup(sup), child) {
        (Some(Ref::Dynamic(at)), Some(child)) => ok(at.terminate_child(child).await),
        _ => Ret::NoProc,
    }
}

async fn get_childspec(shared: &Shared, sup: &Path, id: &Id) -> Ret {
    let name = words::child_id(id);
    let info = match shared.sup(sup) {
        Some(Ref::Fixed(at)) => at.get_childspec(name).await,
        Some(Ref::Dynamic(at)) => match at.get_childspec().await {
            Ok(info) if info.id == name => Ok(info),
            Ok(_) => Err(ChildError::NotFound),
            Err(error) => Err(error),
        },
        None => return Ret::NoProc,
    };
    match info {
        Ok(info) => words::spec_ret(&info),
        Err(error) => words::error_ret(Call::Bare, &error),
    }
}

async fn crash(shared: &Shared, path: &Path, reason: &Reason) -> Ret {
    let Some(label) = shared.world().find(path) else { return Ret::NoProc };
    shared.crash(&label, reason);
    settle(shared).await;
    Ret::Ok
}

/// The children are told one after the other while nothing else runs, so that all of them have
/// ended before their supervisor hears of the first.
async fn crash_all(shared: &Shared, sup: &Path, paths: &[Path], reason: &Reason) -> Ret {
    if shared.sup(sup).is_none() {
        return Ret::NoProc;
    }
    let living: Vec<_> = paths.iter().filter_map(|path| shared.world().living(path)).collect();
    for label in &living {
        shared.crash(label, reason);
    }
    settle(shared).await;
    Ret::Crashed(living.len())
}

async fn stop<S>(root: &Root<S>, reason: ExitReason) -> Ret {
    Ret::Stopped(words::reason(&root.stop(reason).await))
}

impl Subject for Real {
    fn start_link(&mut self, flags: &Flags, specs: &[Spec]) -> Ret {
        let started = self.run(root(&self.shared, flags, specs));
        let ret = match started {
            Ok(root) => {
                self.root = Some(root);
                Ret::OkPid
            }
            Err(error) => words::start_link_ret(&error),
        };
        self.run(settle(&self.shared));
        ret
    }

    fn apply(&mut self, op: &Op) -> Ret {
        let shared = &self.shared;
        if shared.sup(&Path::root()).is_none() && !matches!(op, Op::Plan { .. }) {
            return Ret::NoProc;
        }
        let work = async {
            let ret = match op {
                Op::StartChild { sup, spec } => start_child(shared, sup, spec).await,
                Op::StartDynamic { sup, key } => start_dynamic(shared, sup, key).await,
                Op::TerminateDynamic { sup, key } => terminate_dynamic(shared, sup, key).await,
                Op::GetChildspec { sup, id } => get_childspec(shared, sup, id).await,
                Op::TerminateChild { sup, id } => {
                    let id = words::child_id(id);
                    of_fixed(shared, sup, async |at| ok(at.terminate_child(id).await)).await
                }
                Op::RestartChild { sup, id } => {
                    let id = words::child_id(id);
                    let restart =
                        async |at: SupervisorRef| done(Call::Bare, at.restart_child(id).await);
                    of_fixed(shared, sup, restart).await
                }
                Op::DeleteChild { sup, id } => {
                    let id = words::child_id(id);
                    of_fixed(shared, sup, async |at| ok(at.delete_child(id).await)).await
                }
                Op::Plan { path, outcomes } => {
                    shared.world().plan(path, outcomes);
                    Ret::Ok
                }
                Op::Crash { path, reason } => crash(shared, path, reason).await,
                Op::CrashAll { sup, paths, reason } => crash_all(shared, sup, paths, reason).await,
                Op::Stop { reason } => match &self.root {
                    Some(SupRoot::Fixed(root)) => stop(root, words::exit_reason(reason)).await,
                    Some(SupRoot::Dynamic(root)) => stop(root, words::exit_reason(reason)).await,
                    None => Ret::NoProc,
                },
            };
            settle(shared).await;
            ret
        };
        self.run(work)
    }

    fn take_events(&mut self) -> Vec<Event> {
        self.shared.world().take_events()
    }

    fn snapshots(&mut self) -> Vec<Snapshot> {
        let mut all = Vec::new();
        self.run(snapshot(&self.shared, Path::root(), &mut all));
        if all.is_empty() {
            all.push(Snapshot::down(Path::root()));
        }
        all
    }
}
