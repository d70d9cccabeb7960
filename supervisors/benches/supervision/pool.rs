//! A supervisor with its children, and what is measured about it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use supervisors::{
    ChildId, ChildKey, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, Restart, Root,
    Started, Strategy, Supervisor, SupervisorRef,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bare::{self, Ask};
use crate::children::{self, Button, Kind, Running, Told, Victim, start_victim};

/// What supervises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Dynamic,
    OneForOne,
    Bare,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::OneForOne => "one_for_one",
            Self::Bare => "bare tokio",
        }
    }
}

/// How many callers start children at the same time in [`Pool::burst`].
pub(crate) const BURST: usize = 64;

// Neither a benchmark's crashes nor its restarts shall end the supervisor.
const RESTARTS: u32 = 1_000_000;
const PERIOD: Duration = Duration::from_millis(1);

enum Owner {
    Dynamic(Root<DynamicRef<usize, ()>>, Vec<Option<ChildKey>>),
    OneForOne(Root<SupervisorRef>, Vec<ChildId>),
    /// What asks the loop, and what owns it.
    Bare {
        asks: mpsc::Sender<Ask>,
        _owner: JoinSet<()>,
    },
}

pub(crate) struct Pool {
    kind: Kind,
    owner: Owner,
    told: Told,
    heard: mpsc::Receiver<Running>,
    /// By the child's index.
    buttons: Vec<Option<Button>>,
    next: usize,
}

impl Pool {
    /// A supervisor with `children` children that run.
    pub(crate) async fn fill(shape: Shape, kind: Kind, children: usize) -> Self {
        let (told, heard) = mpsc::channel(children + BURST);
        let buttons = std::iter::repeat_with(|| None).take(children).collect();
        let owner = match shape {
            Shape::Dynamic => {
                let supervisor = dynamic(kind, told.clone()).intensity(RESTARTS, PERIOD);
                let root = supervisor.restart(Restart::Permanent).start().await;
                Owner::Dynamic(root.expect("it starts"), vec![None; children])
            }
            Shape::OneForOne => {
                let mut above = Supervisor::new(Strategy::OneForOne).intensity(RESTARTS, PERIOD);
                let ids: Vec<_> = (0..children).map(|at| ChildId::from(at.to_string())).collect();
                for (index, id) in ids.iter().enumerate() {
                    above = above.child(spec(kind, index, id.clone(), told.clone()));
                }
                Owner::OneForOne(above.start().await.expect("it starts"), ids)
            }
            Shape::Bare => {
                let (asks, asked) = mpsc::channel(BURST);
                let mut owner = JoinSet::new();
                owner.spawn(bare::run(asked, told.clone()));
                Owner::Bare { asks, _owner: owner }
            }
        };
        let mut pool = Self { kind, owner, told, heard, buttons, next: 0 };
        for index in 0..children {
            if shape != Shape::OneForOne {
                pool.start(index).await;
            }
            pool.settle().await;
        }
        pool
    }

    /// Another child each time, far from the one before, so that none is in the caches only
    /// because it was there a moment ago.
    pub(crate) fn pick(&mut self) -> usize {
        self.next = (self.next + 7919) % self.buttons.len();
        self.next
    }

    pub(crate) async fn start(&mut self, index: usize) {
        match &mut self.owner {
            Owner::Dynamic(root, keys) => keys[index] = Some(start_dynamic(root, index).await),
            Owner::OneForOne(root, ids) => {
                let spec = spec(self.kind, index, ids[index].clone(), self.told.clone());
                root.start_child(spec).await.expect("it starts");
            }
            Owner::Bare { asks, .. } => bare::ask(asks, |answer| Ask::Start(index, answer)).await,
        }
    }

    /// Waits until a child that was started runs.
    pub(crate) async fn settle(&mut self) -> Instant {
        let running = self.heard.recv().await.expect("the pool keeps a sender");
        if let Some(place) = self.buttons.get_mut(running.index) {
            *place = Some(running.button);
        }
        running.at
    }

    pub(crate) async fn terminate(&mut self, index: usize) {
        match &mut self.owner {
            Owner::Dynamic(root, keys) => {
                let key = keys[index].take().expect("it was started");
                root.terminate_child(key).await.expect("it stops");
            }
            Owner::OneForOne(root, ids) => {
                root.terminate_child(ids[index].clone()).await.expect("it stops");
            }
            Owner::Bare { asks, .. } => {
                bare::ask(asks, |answer| Ask::Terminate(index, answer)).await
            }
        }
    }

    /// Deletes a child that was terminated; only in a supervisor whose children have ids.
    pub(crate) async fn delete(&mut self, index: usize) {
        if let Owner::OneForOne(root, ids) = &mut self.owner {
            root.delete_child(ids[index].clone()).await.expect("it was there");
        }
    }

    pub(crate) async fn look_up(&mut self, index: usize) {
        match &mut self.owner {
            Owner::Dynamic(root, keys) => {
                let key = keys[index].expect("it was started");
                root.which_child(key).await.expect("it is there");
            }
            Owner::OneForOne(root, ids) => {
                root.which_child(ids[index].clone()).await.expect("it is there");
            }
            Owner::Bare { .. } => {}
        }
    }

    /// Makes a child crash; the time until its next incarnation runs.
    pub(crate) async fn crash(&mut self, index: usize) -> Duration {
        let button = self.buttons[index].take().expect("it runs");
        let from = Instant::now();
        button.press();
        self.settle().await.duration_since(from)
    }

    /// Starts [`BURST`] more children at once, by as many callers, and takes them away again; the
    /// time that one start took.
    pub(crate) async fn burst(&mut self) -> Duration {
        let Owner::Dynamic(root, _) = &self.owner else {
            return Duration::ZERO;
        };
        let (root, outside) = (DynamicRef::clone(root), self.buttons.len());
        let from = Instant::now();
        let keys = join_all((0..BURST).map(|_| start_dynamic(&root, outside))).await;
        let took = from.elapsed();
        // A task that is stopped before it ran tells nothing, hence in this order.
        for _ in 0..BURST {
            self.heard.recv().await.expect("the pool keeps a sender");
        }
        for key in keys {
            root.terminate_child(key).await.expect("it stops");
        }
        took / u32::try_from(BURST).expect("it is small")
    }

    /// Stops all children and the supervisor.
    pub(crate) async fn stop(self) {
        match self.owner {
            Owner::Dynamic(root, _) => drop(root.stop(ExitReason::Shutdown).await),
            Owner::OneForOne(root, _) => drop(root.stop(ExitReason::Shutdown).await),
            Owner::Bare { asks, .. } => bare::ask(&asks, Ask::Stop).await,
        }
    }
}

async fn start_dynamic(root: &DynamicRef<usize, ()>, index: usize) -> ChildKey {
    match root.start_child(index).await.expect("it starts") {
        Started::Running { key, .. } => key,
        Started::Ignored => unreachable!("no child here ignores its start"),
    }
}

fn dynamic(kind: Kind, told: Told) -> DynamicSupervisor<usize, ()> {
    match kind {
        Kind::Task => DynamicSupervisor::new("child", move |index, link| {
            std::future::ready(link.task(children::task(index, told.clone())))
        }),
        Kind::Actor => DynamicSupervisor::new("child", move |index, link| {
            start_victim(Victim { index, told: told.clone() }, link)
        }),
    }
}

fn spec(kind: Kind, index: usize, id: ChildId, told: Told) -> ChildSpec {
    match kind {
        Kind::Task => ChildSpec::task(id, move || children::task(index, told.clone())),
        Kind::Actor => {
            ChildSpec::new(id, move |link| start_victim(Victim { index, told: told.clone() }, link))
        }
    }
}
