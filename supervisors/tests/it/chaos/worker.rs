//! The workers of the storm: four kinds that behave alike and do as they are told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{Child, ChildHandle, ExitReason, Link};
use tokio::sync::{Notify, mpsc, watch};

use super::ledger::{Cmd, Entry, Excuse, Fault, Ledger};
use super::plan::{Make, Nature, Stop};

pub(crate) type Starting = Pin<Box<dyn Future<Output = Result<Child<()>, ExitReason>> + Send>>;

/// More commands than any worker is told at once; what does not fit is lost.
const COMMANDS: usize = 16;
/// How long a worker of the test's own kind takes to die.
const DYING: Duration = Duration::from_millis(3);

/// The start function of the worker called `path`.
pub(crate) fn start(ledger: &Ledger, path: String, nature: Nature, link: Link) -> Starting {
    let fault = ledger.next_fault(&path);
    assert!(!matches!(fault, Some(Fault::Panic)), "chaos: the start function panics");
    let job = Job { ledger: ledger.clone(), path, nature, fault };
    Box::pin(async move {
        let child = make(job, link).await;
        if let Some(Fault::Late(time)) = fault {
            tokio::time::sleep(time).await;
        }
        child
    })
}

async fn make(job: Job, link: Link) -> Result<Child<()>, ExitReason> {
    let nature = job.nature;
    if nature.make == Make::Actor && !matches!(job.fault, Some(Fault::Ignore)) {
        // Its faults happen in its `pre_start`.
        return link.actor(Worker, job).await.map(|child| child.map(drop));
    }
    if !job.suffer().await? {
        return link.ignore();
    }
    let (entry, orders) = job.enter();
    let stop = nature.stop;
    match nature.make {
        Make::Trapping => link.trapping_task(|signal| async move {
            live(&entry, orders, stop, signal.requested()).await
        }),
        Make::Own => Ok(own(link, entry, orders, stop)),
        Make::Task | Make::Actor => {
            let entry = Arc::new(entry);
            let lent = entry.clone();
            let life = async move { live(&lent, orders, stop, std::future::pending()).await };
            link.task(Holding { life: Box::pin(life), _entry: entry })
        }
    }
}

struct Job {
    ledger: Ledger,
    path: String,
    nature: Nature,
    fault: Option<Fault>,
}

impl Job {
    /// Suffers the planned fault; whether the worker starts after all.
    async fn suffer(&self) -> Result<bool, ExitReason> {
        match self.fault {
            None | Some(Fault::Panic | Fault::Late(_)) => {}
            Some(Fault::Error) => return Err(ExitReason::error("chaos: it does not start")),
            Some(Fault::Ignore) => {
                self.ledger.excuse(&self.path, Excuse::Ignored);
                return Ok(false);
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            Some(Fault::SlowError(time)) => {
                tokio::time::sleep(time).await;
                return Err(ExitReason::error("chaos: it does not start, after a while"));
            }
            Some(Fault::SlowPanic) => {
                tokio::task::yield_now().await;
                panic!("chaos: the start panics");
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
        Ok(true)
    }

    fn is_late(&self) -> bool {
        matches!(self.fault, Some(Fault::Late(_)))
    }

    fn enter(&self) -> (Entry, mpsc::Receiver<Cmd>) {
        let entry = self.ledger.enter(&self.path, self.nature, self.is_late());
        let (orders, told) = mpsc::channel(COMMANDS);
        let poke = move |cmd| {
            let _ = orders.try_send(cmd);
        };
        self.ledger.reach(&self.path, Box::new(poke));
        (entry, told)
    }
}

/// A task's life, until it is told to end or asked to stop.
async fn live(
    entry: &Entry,
    mut orders: mpsc::Receiver<Cmd>,
    stop: Stop,
    asked: impl Future<Output = ExitReason>,
) -> ExitReason {
    tokio::pin!(asked);
    loop {
        let cmd = tokio::select! {
            biased;
            reason = &mut asked => {
                entry.warned();
                linger(stop).await;
                return reason;
            }
            Some(cmd) = orders.recv() => cmd,
        };
        if let Some(reason) = obey(entry, cmd).await {
            return reason;
        }
    }
}

async fn linger(stop: Stop) {
    match stop {
        Stop::Obey => {}
        Stop::Slow(time) => tokio::time::sleep(time).await,
        Stop::Refuse => std::future::pending().await,
    }
}

/// Does as it is told; the reason to end with, if it is to end.
async fn obey(entry: &Entry, cmd: Cmd) -> Option<ExitReason> {
    entry.warned();
    match cmd {
        Cmd::Error => Some(ExitReason::error("chaos: told to fail")),
        Cmd::Panic => panic!("chaos: told to panic"),
        Cmd::Normal => {
            entry.ends_orderly();
            Some(ExitReason::Normal)
        }
        Cmd::Shutdown => {
            entry.ends_orderly();
            Some(ExitReason::shutdown_with("chaos: told to end"))
        }
        Cmd::Hang => std::future::pending().await,
        Cmd::Block(time) => {
            std::thread::sleep(time);
            None
        }
        // Only actors can.
        Cmd::KillMyself | Cmd::KillSupervisor => None,
    }
}

/// A future that keeps its state when it is done, unlike an async block: it has to be dropped.
struct Holding<F> {
    life: Pin<Box<F>>,
    _entry: Arc<Entry>,
}

impl<F: Future> Future for Holding<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.life.as_mut().poll(context)
    }
}

/// A kind of child that the crate does not know: a task with a handle of the test's own. It takes
/// a while to die, so that whoever does not wait for its end meets it.
fn own(link: Link, entry: Entry, orders: mpsc::Receiver<Cmd>, stop: Stop) -> Child<()> {
    let guard = link.guard();
    let (shutdown, mut asked) = watch::channel(None::<ExitReason>);
    let killed = Arc::new(Notify::new());
    let (told, ledger, path) = (killed.clone(), entry.ledger().clone(), entry.path.clone());
    tokio::spawn(async move {
        // Dropped last.
        let guard = guard;
        let entry = entry;
        let asked = async {
            let reason = asked.wait_for(Option::is_some).await.ok().and_then(|r| r.clone());
            match reason {
                Some(reason) => reason,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = told.notified() => tokio::time::sleep(DYING).await,
            reason = live(&entry, orders, stop, asked) => guard.set(reason),
        }
    });
    let kill = killed.clone();
    ledger.reach_kill(&path, Box::new(move || kill.notify_one()));
    Child::new(Own { shutdown, killed }, ())
}

struct Own {
    shutdown: watch::Sender<Option<ExitReason>>,
    killed: Arc<Notify>,
}

impl ChildHandle for Own {
    fn shutdown(&self, reason: ExitReason) {
        self.shutdown.send_replace(Some(reason));
    }

    fn kill(&self) {
        self.killed.notify_one();
    }
}

struct Worker;

struct State {
    entry: Entry,
    stop: Stop,
}

impl Actor for Worker {
    type Msg = Cmd;
    type State = State;
    type Arguments = Job;

    async fn pre_start(
        &self,
        myself: ActorRef<Cmd>,
        job: Job,
    ) -> Result<State, ActorProcessingErr> {
        job.suffer().await?;
        let entry = job.ledger.enter(&job.path, job.nature, job.is_late());
        let actor = myself.clone();
        let poke = move |cmd| {
            let _ = actor.cast(cmd);
        };
        job.ledger.reach(&job.path, Box::new(poke));
        job.ledger.reach_kill(&job.path, Box::new(move || myself.kill()));
        Ok(State { entry, stop: job.nature.stop })
    }

    async fn handle(
        &self,
        myself: ActorRef<Cmd>,
        cmd: Cmd,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match cmd {
            Cmd::KillMyself => {
                state.entry.warned();
                myself.kill();
            }
            Cmd::KillSupervisor => {
                if let Some(supervisor) = myself.get_cell().try_get_supervisor() {
                    let (above, _) = state.entry.path.rsplit_once('/').unwrap_or_default();
                    state.entry.ledger().note_kill(above);
                    supervisor.kill();
                }
            }
            cmd => match obey(&state.entry, cmd).await {
                Some(ExitReason::Normal) => myself.stop(None),
                Some(reason) => return Err(reason.into()),
                None => {}
            },
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Cmd>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.entry.warned();
        linger(state.stop).await;
        Ok(())
    }
}

/// How long a start may take before its supervisor calls it failed.
pub(crate) const START_TIMEOUT: Duration = Duration::from_millis(20);
