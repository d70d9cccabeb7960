//! The children that the cases play with: puppets that do as they are told, and a log of all that
//! happens to them, in one order with what their supervisors report.
//!
//! The log's lines are `start a#1`, `exit a#1 shutdown`, `root child_terminated a error: boom`;
//! `a#2` is the second start of `a` that its supervisor tried.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use supervisors::{
    ChildSpec, Context, DynamicSupervisor, Event, ExitReason, Observer, Strategy, Supervisor,
};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::puppet;

/// What a puppet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Actor,
}

/// How a start goes.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Ok,
    Ignore,
    Fail(ExitReason),
    Panic(&'static str),
    /// It waits for [`World::open_gate`], and then goes like this.
    Gated(Box<Start>),
}

impl Start {
    pub(crate) fn fail(why: &str) -> Self {
        Self::Fail(ExitReason::error(why))
    }

    pub(crate) fn gated(self) -> Self {
        Self::Gated(Box::new(self))
    }
}

/// What a puppet does when it is asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) enum OnStop {
    #[default]
    Obey,
    Hang,
    After(Duration),
    /// It ends at once, but with a reason of its own.
    Reply(ExitReason),
}

/// What a puppet is told by a test.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Exit(ExitReason),
    Panic(&'static str),
}

/// The running incarnation of a puppet.
#[derive(Clone)]
pub(crate) enum Remote {
    Task(mpsc::Sender<Order>),
    Actor(ActorRef<Order>),
}

/// A report as an observer got it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) supervisor: String,
    pub(crate) child: String,
    pub(crate) context: Context,
    pub(crate) reason: ExitReason,
}

/// A stage with puppets of one kind.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) kind: Kind,
    shared: Arc<Shared>,
}

struct Shared {
    log: Mutex<Vec<String>>,
    seen: Mutex<Vec<Seen>>,
    news: Notify,
    plans: Mutex<HashMap<String, VecDeque<Start>>>,
    on_stop: Mutex<HashMap<String, OnStop>>,
    remotes: Mutex<HashMap<String, Remote>>,
    gate: Semaphore,
    alive: AtomicUsize,
}

/// Runs a case for both kinds of children.
pub(crate) async fn both(case: impl AsyncFn(World)) {
    for kind in [Kind::Task, Kind::Actor] {
        case(World::new(kind)).await;
    }
}

/// No case takes longer, whatever its machine is busy with.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let shared = Shared {
            log: Mutex::default(),
            seen: Mutex::default(),
            news: Notify::new(),
            plans: Mutex::default(),
            on_stop: Mutex::default(),
            remotes: Mutex::default(),
            gate: Semaphore::new(0),
            alive: AtomicUsize::new(0),
        };
        Self { kind, shared: Arc::new(shared) }
    }

    /// A puppet under its name.
    pub(crate) fn child(&self, id: &str) -> ChildSpec {
        let (world, name) = (self.clone(), id.to_owned());
        ChildSpec::new(id, move |link| puppet::start(world.clone(), name.clone(), link))
    }

    /// A supervisor of puppets that are named by their argument.
    pub(crate) fn dynamic(&self, restarts: u32) -> DynamicSupervisor<String, ()> {
        let world = self.clone();
        DynamicSupervisor::new("pool", move |name, link| puppet::start(world.clone(), name, link))
            .intensity(restarts, HOUR)
            .observer(self.observer())
    }

    /// A supervisor called `root` that gives up after more than `restarts` restarts in an hour.
    pub(crate) fn root(&self, strategy: Strategy, restarts: u32) -> Supervisor {
        Supervisor::new(strategy).name("root").intensity(restarts, HOUR).observer(self.observer())
    }

    /// The same with children of these names.
    pub(crate) fn root_of(&self, strategy: Strategy, restarts: u32, ids: &[&str]) -> Supervisor {
        let root = self.root(strategy, restarts);
        ids.iter().fold(root, |root, id| root.child(self.child(id)))
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Recorder(self.clone()))
    }

    /// How the next starts of a puppet go; those after them are fine.
    pub(crate) fn plan(&self, id: &str, starts: impl IntoIterator<Item = Start>) {
        let mut plans = self.shared.plans.lock().unwrap();
        plans.entry(id.to_owned()).or_default().extend(starts);
    }

    pub(crate) fn next_start(&self, id: &str) -> Start {
        let mut plans = self.shared.plans.lock().unwrap();
        plans.get_mut(id).and_then(VecDeque::pop_front).unwrap_or(Start::Ok)
    }

    pub(crate) fn on_stop(&self, id: &str, on_stop: OnStop) {
        self.shared.on_stop.lock().unwrap().insert(id.to_owned(), on_stop);
    }

    pub(crate) fn how_to_stop(&self, id: &str) -> OnStop {
        self.shared.on_stop.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    pub(crate) async fn pass_gate(&self) {
        self.shared.gate.acquire().await.unwrap().forget();
    }

    /// Lets one gated start go on.
    pub(crate) fn open_gate(&self) {
        self.shared.gate.add_permits(1);
    }

    pub(crate) fn register(&self, id: &str, remote: Remote) {
        self.shared.remotes.lock().unwrap().insert(id.to_owned(), remote);
    }

    /// Makes the running puppet end with this reason.
    pub(crate) fn exit(&self, id: &str, reason: ExitReason) {
        match self.remote(id) {
            Remote::Actor(actor) if reason == ExitReason::Killed => actor.kill(),
            // Nobody but its supervisor can abort a task: it pretends.
            remote => remote.tell(Order::Exit(reason)),
        }
    }

    /// The same with an error of the given text.
    pub(crate) fn crash(&self, id: &str, why: &str) {
        self.exit(id, ExitReason::error(why));
    }

    pub(crate) fn panic(&self, id: &str, text: &'static str) {
        self.remote(id).tell(Order::Panic(text));
    }

    fn remote(&self, id: &str) -> Remote {
        self.shared.remotes.lock().unwrap()[id].clone()
    }

    /// The actor of the supervisor of a puppet that is an actor.
    pub(crate) fn supervisor_of(&self, id: &str) -> ActorCell {
        match self.remote(id) {
            Remote::Actor(actor) => actor.try_get_supervisor().unwrap(),
            Remote::Task(_) => panic!("a task does not know its supervisor"),
        }
    }

    /// How many puppets' states are alive.
    pub(crate) fn alive(&self) -> usize {
        self.shared.alive.load(Ordering::SeqCst)
    }

    pub(crate) fn log(&self, line: String) {
        self.shared.log.lock().unwrap().push(line);
        self.shared.news.notify_waiters();
    }

    /// Waits for the next `count` lines and takes them off the log.
    pub(crate) async fn take(&self, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let news = self.shared.news.notified();
                if let Some(lines) = self.take_now(count) {
                    return lines;
                }
                news.await;
            }
        };
        match tokio::time::timeout(LIMIT, enough).await {
            Ok(lines) => lines,
            Err(_) => panic!("no {count} lines, but {:#?}", self.shared.log.lock().unwrap()),
        }
    }

    fn take_now(&self, count: usize) -> Option<Vec<String>> {
        let mut log = self.shared.log.lock().unwrap();
        (log.len() >= count).then(|| log.drain(..count).collect())
    }

    /// Waits for these lines; they are the next ones, in this order.
    #[track_caller]
    pub(crate) fn expect<'a>(&'a self, lines: &'a [&str]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let got = self.take(lines.len()).await;
            assert_eq!(got, lines, "{:?} at {place}", self.kind);
        }
    }

    /// Waits for these lines, in whatever order.
    #[track_caller]
    pub(crate) fn expect_any<'a>(&'a self, lines: &'a [&str]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut got = self.take(lines.len()).await;
            let mut lines = lines.to_vec();
            got.sort_unstable();
            lines.sort_unstable();
            assert_eq!(got, lines, "{:?} at {place}", self.kind);
        }
    }

    /// Nothing was logged beyond what was taken.
    #[track_caller]
    pub(crate) fn quiet(&self) {
        let log = self.shared.log.lock().unwrap();
        assert!(log.is_empty(), "{:?}: {log:#?}", self.kind);
    }

    /// Forgets what was logged.
    pub(crate) fn forget(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// Everything that observers were told.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Remote {
    fn tell(&self, order: Order) {
        match self {
            Self::Task(orders) => orders.try_send(order).unwrap(),
            Self::Actor(actor) => actor.cast(order).unwrap(),
        }
    }
}

/// The state of a running puppet: it counts while it lives, and logs its end.
pub(crate) struct Life {
    world: World,
    name: String,
    /// Without one it was killed.
    pub(crate) reason: Option<ExitReason>,
}

impl Life {
    pub(crate) fn begin(world: &World, name: String) -> Self {
        world.shared.alive.fetch_add(1, Ordering::SeqCst);
        world.log(format!("start {name}"));
        Self { world: world.clone(), name, reason: None }
    }

    pub(crate) fn end(&mut self, reason: ExitReason) -> ExitReason {
        self.reason.insert(reason).clone()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let reason = self.reason.take().unwrap_or(ExitReason::Killed);
        self.world.shared.alive.fetch_sub(1, Ordering::SeqCst);
        self.world.log(format!("exit {} {reason}", self.name));
    }
}

/// Keeps every event, and logs all but progress, which the starts tell already.
struct Recorder(World);

impl Observer for Recorder {
    fn on_event(&self, event: &Event<'_>) {
        let seen = Seen {
            supervisor: event.supervisor.to_owned(),
            child: event.child.to_string(),
            context: event.context,
            reason: event.reason.clone(),
        };
        let context = match event.context {
            Context::Progress { .. } => None,
            Context::ChildTerminated { .. } => Some("child_terminated"),
            Context::StartError => Some("start_error"),
            Context::ShutdownError => Some("shutdown_error"),
            Context::GaveUp => Some("gave_up"),
            Context::ChildGaveUp => Some("child_gave_up"),
            Context::Zombie => Some("zombie"),
        };
        let Seen { supervisor, child, reason, .. } = &seen;
        let line = context.map(|context| format!("{supervisor} {context} {child} {reason}"));
        self.0.shared.seen.lock().unwrap().push(seen);
        if let Some(line) = line {
            self.0.log(line);
        }
    }
}
