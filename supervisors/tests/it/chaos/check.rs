//! What has to hold when the storm is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use supervisors::{ChildError, ChildInfo, ChildState, Restart, Shutdown, Strategy, SupervisorRef};
use tokio::time::timeout;

use super::build::World;
use super::ledger::Excuse;
use super::plan::{ChildPlan, Kind, SupPlan};
use super::storm::{DEADLINE, Known};

/// A retry may wait for what its supervisor is doing.
const BUSY: Duration = Duration::from_millis(500);

/// What was seen to go wrong at once, and whether each supervisor that gave up had to.
pub(crate) fn verdicts(world: &World) -> Result<(), String> {
    let violations = world.ledger.violations();
    if !violations.is_empty() {
        return Err(violations.join("\n"));
    }
    let mut limits = BTreeMap::new();
    for plan in world.plan.supervisors() {
        let pause = plan.backoff.map(|backoff| backoff.max).unwrap_or_default();
        limits.insert(&plan.path, (plan.intensity, pause, false));
    }
    for plan in world.plan.dynamics() {
        let pause = plan.backoff.map(|backoff| backoff.max).unwrap_or_default();
        limits.insert(&plan.path, (plan.intensity, pause, plan.per_child));
    }
    for (path, at) in world.ledger.gave_up() {
        let (intensity, pause, per_child) = limits[&path];
        let window = intensity.period + pause + BUSY;
        let restarts = world.ledger.restarts(&path, at, window);
        if per_child || restarts <= intensity.restarts as usize {
            return Err(format!("{path} gave up after {restarts} restarts: {intensity:?}"));
        }
    }
    Ok(())
}

/// Everything that has to run runs once, and whoever does not has an excuse.
pub(crate) async fn whole(world: &World, known: &Known) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let root = world.running("root").ok_or("no root")?;
    supervisor(world, known, &world.plan, &root, &mut seen).await?;
    let alive: BTreeSet<String> = world.ledger.alive().into_iter().collect();
    if alive != seen {
        return Err(format!("alive: {alive:?}; supervised: {seen:?}"));
    }
    extras(world, known).await
}

async fn ask<T>(
    what: &str,
    call: impl Future<Output = Result<T, ChildError>>,
) -> Result<T, String> {
    let answer = timeout(DEADLINE, call).await.map_err(|_| format!("{what} does not answer"))?;
    answer.map_err(|error| format!("{what}: {error}"))
}

async fn supervisor(
    world: &World,
    known: &Known,
    plan: &SupPlan,
    running: &SupervisorRef,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let path = &plan.path;
    let children = ask(path, running.which_children()).await?;
    let counts = ask(path, running.count_children()).await?;
    let active = children.iter().filter(|child| child.state == ChildState::Running).count();
    if counts.active != active || counts.specs != children.len() {
        return Err(format!("{path}: {counts:?} of {children:?}"));
    }
    let drawn = running.tree().children;
    let drawn = drawn.iter().rev().map(|node| (&node.id, node.state));
    // The picture has the order of first appearance; a changed order is not drawn.
    let drawn: BTreeMap<_, _> = drawn.map(|(id, state)| (id.to_string(), state)).collect();
    let listed: BTreeMap<_, _> =
        children.iter().map(|child| (child.id.to_string(), child.state)).collect();
    if drawn != listed {
        return Err(format!("{path} is drawn as {drawn:?}, but has {listed:?}"));
    }
    for info in &children {
        let below = format!("{path}/{}", info.id);
        let planned = plan.children.iter().find(|child| child.id == info.id.as_str());
        let restart = match planned {
            Some(child) => child.restart,
            // Added by a call; how it may rest is checked where it is known.
            None => Restart::Temporary,
        };
        match info.state {
            ChildState::Running => Box::pin(child(world, known, &below, planned, seen)).await?,
            ChildState::Stopped => stopped(world, &below, restart, planned)?,
            ChildState::Starting | ChildState::Restarting => {
                return Err(format!("{below} is {:?}", info.state));
            }
        }
    }
    for planned in &plan.children {
        let below = format!("{path}/{}", planned.id);
        let absent = !children.iter().any(|info| info.id.as_str() == planned.id);
        if absent && planned.restart != Restart::Temporary && !excused_by_call(world, &below) {
            return Err(format!("{below} was forgotten"));
        }
    }
    Ok(())
}

async fn child(
    world: &World,
    known: &Known,
    path: &str,
    planned: Option<&ChildPlan>,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    match planned.map(|child| &child.kind) {
        None => {
            seen.insert(path.into());
        }
        Some(Kind::Leaf(_)) => {
            if world.workers[path].get().is_none() {
                return Err(format!("{path} runs, but its slot is empty"));
            }
            seen.insert(path.into());
        }
        Some(Kind::Supervisor(plan)) => {
            let running = world.running(path);
            let running = running.ok_or_else(|| format!("{path} runs, but its slot is empty"))?;
            supervisor(world, known, plan, &running, seen).await?;
        }
        Some(Kind::Dynamic(plan)) => {
            let running = world.dynamics[path].get();
            let running = running.ok_or_else(|| format!("{path} runs, but its slot is empty"))?;
            let children = ask(path, running.which_children()).await?;
            let counts = ask(path, running.count_children()).await?;
            let prefix = format!("{path}/");
            let alive = world.ledger.alive();
            let alive: Vec<_> = alive.into_iter().filter(|p| p.starts_with(&prefix)).collect();
            let all_run = children.iter().all(|child| child.state == ChildState::Running);
            if !all_run || counts.active != children.len() || alive.len() != children.len() {
                return Err(format!("{path} has {children:?}; alive: {alive:?}"));
            }
            seen.extend(alive);
            jobs(world, known, plan).await?;
        }
    }
    Ok(())
}

/// The jobs that are known to have been started run, unless they had a reason to end.
async fn jobs(world: &World, known: &Known, plan: &super::plan::DynPlan) -> Result<(), String> {
    for job in known.jobs().into_iter().filter(|job| job.dynamic == plan.path) {
        let path = format!("{}/{}", plan.path, job.number);
        match job.via.which_child(job.key).await {
            Ok(info) if info.state == ChildState::Running && world.ledger.is_alive(&path) => {}
            Ok(info) => return Err(format!("{path}: {info:?}")),
            // Another incarnation of the supervisor: its jobs went with it.
            Err(ChildError::NoProc) => {}
            Err(_) => {
                let intensity = plan.intensity.restarts;
                let tried = world.ledger.tried(&path);
                let gave_up = plan.per_child && tried > intensity;
                if !gave_up && !may_rest(world, &path, plan.restart) {
                    return Err(format!("{path} is lost ({:?})", plan.restart));
                }
            }
        }
    }
    Ok(())
}

async fn extras(world: &World, known: &Known) -> Result<(), String> {
    for extra in known.extras() {
        let (_, id) = extra.path.rsplit_once('/').unwrap_or_default();
        match extra.via.which_child(id).await {
            Ok(ChildInfo { state: ChildState::Running, .. }) | Err(ChildError::NoProc) => {}
            Ok(_) | Err(_) if may_rest(world, &extra.path, extra.restart) => {}
            other => return Err(format!("{} is lost: {other:?}", extra.path)),
        }
    }
    Ok(())
}

fn stopped(
    world: &World,
    path: &str,
    restart: Restart,
    planned: Option<&ChildPlan>,
) -> Result<(), String> {
    let prefix = format!("{path}/");
    let alive = world.ledger.alive();
    let left: Vec<_> = alive.iter().filter(|p| *p == path || p.starts_with(&prefix)).collect();
    if !left.is_empty() {
        return Err(format!("{path} is stopped, but alive: {left:?}"));
    }
    if world.workers.get(path).is_some_and(|slot| slot.get().is_some()) {
        return Err(format!("{path} is stopped, but still in its slot"));
    }
    let ends_itself = matches!(
        planned.map(|child| &child.kind),
        Some(Kind::Supervisor(plan)) if plan.may_end_itself()
    );
    let excused = may_rest(world, path, restart) || (ends_itself && restart != Restart::Permanent);
    if excused { Ok(()) } else { Err(format!("{path} ({restart:?}) is lost")) }
}

fn excused_by_call(world: &World, path: &str) -> bool {
    let excuses = world.ledger.excuses(path);
    [Excuse::Api, Excuse::Unknown].iter().any(|excuse| excuses.contains(excuse))
}

/// Like in OTP, the children of a group wait for the one whose start failed; when a call stops that
/// one, its restart is not tried again, and nobody starts them.
fn waits_for_nobody(world: &World, path: &str) -> bool {
    let (supervisor, _) = path.rsplit_once('/').unwrap_or_default();
    let plans = world.plan.supervisors();
    let plan = plans.into_iter().find(|plan| plan.path == supervisor);
    plan.is_some_and(|plan| plan.strategy != Strategy::OneForOne)
        && world.ledger.gave_up_start(supervisor)
}

fn may_rest(world: &World, path: &str, restart: Restart) -> bool {
    let excuses = world.ledger.excuses(path);
    if waits_for_nobody(world, path) {
        return true;
    }
    match restart {
        Restart::Temporary => true,
        Restart::Transient => !excuses.is_empty(),
        Restart::Permanent => excused_by_call(world, path) || excuses.contains(&Excuse::Ignored),
    }
}

/// Who stops after whom: a group is stopped when all before it are; within it there is no order.
pub(crate) async fn stop_order(
    world: &World,
    plan: &SupPlan,
    running: &SupervisorRef,
) -> Option<Vec<BTreeSet<String>>> {
    let mut order = Vec::new();
    for info in running.which_children().await.ok()? {
        if info.state != ChildState::Running {
            continue;
        }
        let path = format!("{}/{}", plan.path, info.id);
        let planned = plan.children.iter().find(|child| child.id == info.id.as_str());
        match planned.map(|child| (&child.kind, child.shutdown)) {
            Some((Kind::Supervisor(below), Shutdown::Infinity)) => {
                let running = world.running(&path)?;
                order.extend(Box::pin(stop_order(world, below, &running)).await?);
            }
            // Killed, or all at once: no order.
            Some((Kind::Supervisor(_) | Kind::Dynamic(_), _)) => {
                let prefix = format!("{path}/");
                let alive = world.ledger.alive().into_iter();
                order.push(alive.filter(|p| p.starts_with(&prefix)).collect());
            }
            _ => order.push(BTreeSet::from([path])),
        }
    }
    Some(order)
}

pub(crate) fn stopped_in_order(
    order: Vec<BTreeSet<String>>,
    left: &[String],
) -> Result<(), String> {
    let mut rest = left.iter();
    for group in order {
        let got: BTreeSet<String> = rest.by_ref().take(group.len()).cloned().collect();
        if got != group {
            return Err(format!("{got:?} stopped when it was {group:?}'s turn; all: {left:?}"));
        }
    }
    match rest.next() {
        None => Ok(()),
        Some(_) => Err(format!("more stopped than ran: {left:?}")),
    }
}
