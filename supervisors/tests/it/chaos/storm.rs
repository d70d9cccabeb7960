//! One seed's storm, from the start of the tree to its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use supervisors::{ChildError, ChildKey, ExitReason, Restart, Root, Started, SupervisorRef};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::build::{Jobs, World};
use super::check;
use super::ledger::Excuse;
use super::schedule::{Call, Finale, JobsCall, Schedule, Step};

/// Longer than anything may take: with paused time it passes at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any stop or start that may still be under way.
const CALM: Duration = Duration::from_millis(120);

/// How a storm ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The tree was whole.
    Whole,
    /// The root gave up, or ended with its significant children.
    GaveUp,
    /// It was stopped or killed in the midst of it.
    Ended,
    /// It did not start.
    NotStarted,
}

/// A dynamic child that was started.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) via: Jobs,
    pub(crate) key: ChildKey,
    pub(crate) dynamic: String,
    pub(crate) number: u64,
}

/// A child that was added to a supervisor.
#[derive(Clone)]
pub(crate) struct Extra {
    pub(crate) via: SupervisorRef,
    pub(crate) path: String,
    pub(crate) restart: Restart,
}

/// What the calls brought about.
#[derive(Clone, Default)]
pub(crate) struct Known {
    jobs: Arc<Mutex<Vec<Job>>>,
    extras: Arc<Mutex<Vec<Extra>>>,
}

impl Known {
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.jobs.lock().unwrap().clone()
    }

    pub(crate) fn extras(&self) -> Vec<Extra> {
        self.extras.lock().unwrap().clone()
    }
}

struct Storm {
    world: Arc<World>,
    known: Known,
    calls: JoinSet<()>,
}

/// Runs the storm; what went wrong otherwise.
pub(crate) async fn run(world: Arc<World>, schedule: &Schedule) -> Result<End, String> {
    let base = alive_tasks();
    let mut storm = Storm { world: world.clone(), known: Known::default(), calls: JoinSet::new() };
    for step in &schedule.boot {
        storm.step(step).await;
    }
    let started = timeout(DEADLINE, world.root().start()).await;
    let end = match started.map_err(|_| "the root's start does not end")? {
        Err(_) if !schedule.boot.is_empty() => End::NotStarted,
        Err(error) => return Err(format!("the root did not start: {error}")),
        Ok(root) => {
            world.started(&root);
            storm.blow(root, schedule).await?
        }
    };
    drop(storm.known);
    answered(&mut storm.calls).await?;
    nothing_left(&world, base).await?;
    check::verdicts(&world)?;
    Ok(end)
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Each call was answered, or its caller went away.
async fn answered(calls: &mut JoinSet<()>) -> Result<(), String> {
    let all = async {
        while let Some(call) = calls.join_next().await {
            call.map_err(|error| format!("a caller panicked: {error}"))?;
        }
        Ok(())
    };
    timeout(DEADLINE, all).await.map_err(|_| "a call was never answered")?
}

/// Waits until the tree's last task is gone.
async fn nothing_left(world: &World, base: usize) -> Result<(), String> {
    let limit = Instant::now() + DEADLINE;
    while alive_tasks() > base || !world.ledger.alive().is_empty() {
        if Instant::now() >= limit {
            let (tasks, alive) = (alive_tasks() - base, world.ledger.alive());
            return Err(format!("{tasks} tasks leaked; alive: {alive:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

impl Storm {
    async fn blow(
        &mut self,
        root: Root<SupervisorRef>,
        schedule: &Schedule,
    ) -> Result<End, String> {
        for step in &schedule.steps {
            self.step(step).await;
            check::verdicts(&self.world)?;
            if let Some(reason) = root.exited().now_or_never() {
                return self.ended_by_itself(&root, &reason).await;
            }
        }
        match schedule.finale {
            Finale::Inspect => self.inspect(&root).await,
            Finale::Stop => {
                self.stop(&root, ExitReason::shutdown_with("chaos: enough")).await?;
                Ok(End::Ended)
            }
            Finale::Kill => {
                self.world.ledger.note_kill("root");
                root.kill();
                let reason = self.exit_of(&root).await?;
                if reason != ExitReason::Killed && !self.may_end_itself(&reason) {
                    return Err(format!("a killed root ended with {reason}"));
                }
                Ok(End::Ended)
            }
            Finale::Drop => {
                self.world.ledger.note_kill("root");
                drop(root);
                Ok(End::Ended)
            }
        }
    }

    /// The storm abates; the tree has to become whole, and to stay it.
    async fn inspect(&mut self, root: &Root<SupervisorRef>) -> Result<End, String> {
        self.world.ledger.heal();
        self.world.ledger.note("the storm abates".into());
        answered(&mut self.calls).await?;
        let limit = Instant::now() + DEADLINE;
        let (mut whole_since, mut pause) = (None, Duration::from_millis(2));
        loop {
            if let Some(reason) = root.exited().now_or_never() {
                return self.ended_by_itself(root, &reason).await;
            }
            let now = Instant::now();
            match check::whole(&self.world, &self.known).await {
                Ok(()) if now >= *whole_since.get_or_insert(now) + CALM => break,
                Ok(()) => {}
                Err(why) if now >= limit => return Err(format!("{why}\n{}", root.tree())),
                Err(_) => whole_since = None,
            }
            check::verdicts(&self.world)?;
            tokio::time::sleep(pause).await;
            // What is not whole soon will hardly be: no need to look as often.
            pause = (pause + pause / 8).min(CALM / 3);
        }
        let order = check::stop_order(&self.world, &self.world.plan, root).await;
        self.world.ledger.take_left();
        if self.stop(root, ExitReason::Shutdown).await? {
            let left = self.world.ledger.take_left();
            check::stopped_in_order(order.ok_or("it stopped answering")?, &left)?;
        }
        Ok(End::Whole)
    }

    /// Stops the root; whether it was this that ended it.
    async fn stop(&self, root: &Root<SupervisorRef>, wanted: ExitReason) -> Result<bool, String> {
        let stopped = timeout(DEADLINE, root.stop(wanted.clone())).await;
        let reason = stopped.map_err(|_| format!("it does not stop\n{}", root.tree()))?;
        self.emptied(root).await?;
        if reason.to_string() == wanted.to_string() {
            return Ok(true);
        }
        if self.may_end_itself(&reason) {
            return Ok(false);
        }
        Err(format!("stopped with {wanted}, it ended with {reason}"))
    }

    async fn ended_by_itself(
        &self,
        root: &Root<SupervisorRef>,
        reason: &ExitReason,
    ) -> Result<End, String> {
        self.emptied(root).await?;
        if self.may_end_itself(reason) {
            return Ok(End::GaveUp);
        }
        Err(format!("the root ended with {reason}, and nobody knows why\n{}", root.tree()))
    }

    fn may_end_itself(&self, reason: &ExitReason) -> bool {
        let World { ledger, plan, .. } = &*self.world;
        match reason {
            ExitReason::Killed => ledger.was_killed("root"),
            ExitReason::Shutdown => {
                plan.may_end_itself() || ledger.gave_up().iter().any(|(path, _)| path == "root")
            }
            _ => false,
        }
    }

    async fn exit_of(&self, root: &Root<SupervisorRef>) -> Result<ExitReason, String> {
        let reason = timeout(DEADLINE, root.exited()).await;
        self.emptied(root).await?;
        reason.map_err(|_| "the root does not end".into())
    }

    /// The root has told its end: nobody may be alive at this moment, and no call may hang.
    async fn emptied(&self, root: &Root<SupervisorRef>) -> Result<(), String> {
        let alive = self.world.ledger.alive();
        if !alive.is_empty() {
            return Err(format!("alive when the root had ended: {alive:?}"));
        }
        let call = timeout(DEADLINE, root.count_children()).await;
        match call.map_err(|_| "an ended root leaves a call unanswered")? {
            Err(ChildError::NoProc) => Ok(()),
            other => Err(format!("an ended root answers {other:?}")),
        }
    }

    async fn step(&mut self, step: &Step) {
        let ledger = &self.world.ledger;
        ledger.note(format!("{step:?}"));
        match step {
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Poke { picks, cmd } => {
                for pick in picks {
                    let told = ledger.poke(*pick, *cmd);
                    ledger.note(format!("told: {told:?}"));
                }
            }
            Step::Kill { pick } => {
                let killed = ledger.kill(*pick);
                ledger.note(format!("killed: {killed:?}"));
            }
            Step::Fault { path, fault, times } => ledger.plan_faults(path, *fault, *times),
            Step::Call { supervisor, call, patience } => {
                let Some(slot) = self.world.running(supervisor) else { return };
                let (world, known) = (self.world.clone(), self.known.clone());
                let (path, call, patience) = (supervisor.clone(), call.clone(), *patience);
                self.calls.spawn(async move {
                    let excused = path_of(&path, &call);
                    let doing = make(&world, &known, slot, &path, call);
                    with_patience(patience, &world, excused, doing).await;
                });
            }
            Step::Jobs { dynamic, call, patience } => {
                let Some(slot) = self.world.dynamics[dynamic].get() else { return };
                let (world, known) = (self.world.clone(), self.known.clone());
                let (path, call, patience) = (dynamic.clone(), call.clone(), *patience);
                self.calls.spawn(async move {
                    let jobs = known.jobs();
                    let mine: Vec<&Job> = jobs.iter().filter(|job| job.dynamic == path).collect();
                    let excused = match call {
                        JobsCall::Terminate(pick) => usize::try_from(pick)
                            .unwrap()
                            .checked_rem(mine.len())
                            .map(|at| (mine[at].key, format!("{path}/{}", mine[at].number))),
                        _ => None,
                    };
                    let key = excused.as_ref().map(|(key, _)| *key);
                    let excused = excused.map(|(_, path)| path);
                    let doing = make_jobs(&known, slot, &path, call, key);
                    with_patience(patience, &world, excused, doing).await;
                });
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The child that a call may take down.
fn path_of(supervisor: &str, call: &Call) -> Option<String> {
    match call {
        Call::Terminate(id) | Call::Delete(id) => Some(format!("{supervisor}/{id}")),
        _ => None,
    }
}

/// Makes the call. The child that it may take down is excused before, since the call may be done
/// before its answer comes, and after, since the child may have been started in between.
async fn with_patience(
    patience: Option<Duration>,
    world: &World,
    excused: Option<String>,
    doing: impl Future<Output = ()>,
) {
    let excuse = |excuse| {
        if let Some(path) = &excused {
            world.ledger.excuse(path, excuse);
        }
    };
    excuse(Excuse::Api);
    let done = match patience {
        None => {
            doing.await;
            true
        }
        Some(limit) => timeout(limit, doing).await.is_ok(),
    };
    world.ledger.note(format!("a call about {excused:?} was answered: {done}"));
    excuse(if done { Excuse::Api } else { Excuse::Unknown });
}

/// Errors are answers like others here: what has to hold is checked at the end.
async fn make(
    world: &Arc<World>,
    known: &Known,
    supervisor: SupervisorRef,
    path: &str,
    call: Call,
) {
    match call {
        Call::Start(child) => {
            let added = child.id.starts_with('x');
            let started = world.start_child(&supervisor, path, &child).await;
            if added && started == Ok(true) {
                let path = format!("{path}/{}", child.id);
                let extra = Extra { via: supervisor, path, restart: child.restart };
                known.extras.lock().unwrap().push(extra);
            }
        }
        Call::Terminate(id) => drop(supervisor.terminate_child(id).await),
        Call::Restart(id) => drop(supervisor.restart_child(id).await),
        Call::Delete(id) => drop(supervisor.delete_child(id).await),
        Call::Reconfigure => {
            let plans = world.plan.supervisors();
            if let Some(plan) = plans.into_iter().find(|plan| plan.path == path) {
                drop(supervisor.reconfigure(world.supervisor(plan)).await);
            }
        }
        Call::Look(id) => {
            drop(supervisor.which_child(id.clone()).await);
            drop(supervisor.get_childspec(id).await);
            drop(supervisor.tree());
        }
    }
}

async fn make_jobs(
    known: &Known,
    dynamic: Jobs,
    path: &str,
    call: JobsCall,
    key: Option<ChildKey>,
) {
    match (call, key) {
        (JobsCall::Start(job), _) => {
            let (via, started) = (dynamic.clone(), dynamic.start_child(job).await);
            if let Ok(Started::Running { key, .. }) = started {
                let (dynamic, number) = (path.to_owned(), job.number);
                let job = Job { via, key, dynamic, number };
                known.jobs.lock().unwrap().push(job);
            }
        }
        (JobsCall::Terminate(_), Some(key)) => drop(dynamic.terminate_child(key).await),
        _ => {
            drop(dynamic.which_children().await);
            drop(dynamic.tree());
        }
    }
}
