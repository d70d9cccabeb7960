//! The machine for children with ids and an order: one_for_one, one_for_all, rest_for_one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

mod calls;
mod exits;
mod starts;
mod stops;

use stops::{AfterSweep, Sweep};

use super::backoff::{Dice, Pauses};
use super::life::{ChildInfo, ChildState, Counts, Effects, Life, Patience, report};
use super::roster::Roster;
use super::window::Window;
use super::{ChildError, ChildKey, Context, Done, Effect, Input, Machine, Query, Time};
use crate::contain::contain;
use crate::exit::ExitReason;
use crate::policy::{ChildId, ChildType, Flags, Restart, SpecError, SpecInfo};

/// A supervisor of children with ids. `P` is what the driver needs to start a child, `R` is where
/// the answer to a call goes; the machine looks into neither.
#[derive(Debug)]
pub struct Fixed<P, R> {
    flags: Flags,
    roster: Roster<Child<P>>,
    ids: HashMap<ChildId, ChildKey>,
    phase: Phase<R>,
    inbox: VecDeque<Letter<P, R>>,
    window: Window,
    pauses: Pauses,
    dice: Dice,
    tally: Tally,
    fx: Effects<R>,
}

#[derive(Debug)]
struct Child<P> {
    spec: SpecInfo,
    life: Life,
    /// Gone once a temporary child runs: nothing will start it again.
    start: Option<P>,
}

/// What the supervisor is doing; it does one thing at a time.
#[derive(Debug)]
enum Phase<R> {
    Idle,
    /// A child's start was asked for.
    Starting {
        key: ChildKey,
        why: Why<R>,
    },
    /// A child's stop was asked for.
    Stopping {
        key: ChildKey,
        patience: Patience,
        then: Then<R>,
    },
    Down,
}

/// For whom a child is started.
#[derive(Debug)]
enum Why<R> {
    /// The supervisor's own start.
    Boot,
    /// `start_child`.
    Added(R),
    /// `restart_child`.
    Revived(R),
    /// It ended, and is restarted alone.
    Restart,
    /// It is restarted with others; the next in order follows.
    Group,
}

/// What follows a child's stop.
#[derive(Debug)]
enum Then<R> {
    Reply(R),
    Sweep(Sweep),
}

/// Sums over all children, kept up to date with each change.
#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    /// Significant children that have not ended for good.
    significant: usize,
}

impl Tally {
    fn add<P>(&mut self, child: &Child<P>) {
        self.counts.specs += 1;
        *self.of_type(child) += 1;
        self.counts.active += usize::from(child.life.is_alive());
        self.significant += usize::from(child.is_significant());
    }

    fn subtract<P>(&mut self, child: &Child<P>) {
        self.counts.specs -= 1;
        *self.of_type(child) -= 1;
        self.counts.active -= usize::from(child.life.is_alive());
        self.significant -= usize::from(child.is_significant());
    }

    fn of_type<P>(&mut self, child: &Child<P>) -> &mut usize {
        match child.spec.child_type {
            ChildType::Worker => &mut self.counts.workers,
            ChildType::Supervisor => &mut self.counts.supervisors,
        }
    }
}

/// A call from outside.
pub enum FixedCall<P, R> {
    /// `start_child/2`.
    Start(SpecInfo, P, R),
    /// `terminate_child/2`.
    Terminate(ChildId, R),
    /// `restart_child/2`.
    Restart(ChildId, R),
    /// `delete_child/2`.
    Delete(ChildId, R),
    /// OTP's `code_change`: new flags and specifications; running children go on.
    Reconfigure(Flags, Vec<(SpecInfo, P)>, R),
    /// Looks at the machine when its turn comes.
    Query(Query<Fixed<P, R>>),
}

impl<P, R> std::fmt::Debug for FixedCall<P, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(spec, ..) => write!(f, "Start({})", spec.id),
            Self::Terminate(id, _) => write!(f, "Terminate({id})"),
            Self::Restart(id, _) => write!(f, "Restart({id})"),
            Self::Delete(id, _) => write!(f, "Delete({id})"),
            Self::Reconfigure(..) => f.write_str("Reconfigure"),
            Self::Query(_) => f.write_str("Query"),
        }
    }
}

/// What waits until the supervisor is idle.
#[derive(Debug)]
enum Letter<P, R> {
    Exit { key: ChildKey, run: u32 },
    Retry { key: ChildKey, run: u32 },
    Call(FixedCall<P, R>),
    Stop(ExitReason),
}

impl<P: Send + 'static, R: Send + 'static> Machine for Fixed<P, R> {
    type Call = FixedCall<P, R>;
    type Reply = R;

    fn handle(&mut self, now: Time, input: Input<Self::Call>) {
        match input {
            Input::Boot => self.start_first(self.roster.first()),
            Input::Started { key, run, outcome } => self.on_started(now, key, run, outcome),
            Input::Exited { key, run, reason } => self.on_exited(now, key, run, reason),
            Input::Retry { key, run } => self.inbox.push_back(Letter::Retry { key, run }),
            Input::Call(call) => self.inbox.push_back(Letter::Call(call)),
            Input::Stop(reason) => self.inbox.push_back(Letter::Stop(reason)),
            Input::Tick => self.on_tick(now),
        }
        while matches!(self.phase, Phase::Idle) {
            let Some(letter) = self.inbox.pop_front() else {
                break;
            };
            self.open(now, letter);
        }
    }

    fn next_effect(&mut self) -> Option<Effect<R>> {
        self.fx.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        let stop = match &self.phase {
            Phase::Stopping { patience, .. } => patience.deadline(),
            _ => None,
        };
        [stop, self.pauses.next_due()].into_iter().flatten().min()
    }

    fn child(&self, key: ChildKey) -> Option<ChildInfo> {
        self.roster.get(key).map(|child| child.info(key))
    }

    fn counts(&self) -> Counts {
        self.tally.counts
    }
}

impl<P> Child<P> {
    fn info(&self, key: ChildKey) -> ChildInfo {
        ChildInfo {
            id: self.spec.id.clone(),
            key,
            child_type: self.spec.child_type,
            state: self.life.state,
            run: self.life.run,
        }
    }

    /// Whether the supervisor may end by this child's end, which has not come.
    fn is_significant(&self) -> bool {
        self.spec.significant && self.life.state != ChildState::Stopped
    }

    fn is_temporary(&self) -> bool {
        self.spec.restart == Restart::Temporary
    }
}

impl<P: Send + 'static, R: Send + 'static> Fixed<P, R> {
    /// A supervisor that waits for [`Input::Boot`]. `seed` is for the jitter of pauses.
    ///
    /// # Errors
    /// A specification or a combination of flags that can't be followed.
    pub fn new(flags: Flags, specs: Vec<(SpecInfo, P)>, seed: u64) -> Result<Self, SpecError> {
        check_all(&flags, &specs)?;
        let mut machine = Self {
            flags,
            roster: Roster::new(),
            ids: HashMap::new(),
            phase: Phase::Idle,
            inbox: VecDeque::new(),
            window: Window::new(flags.intensity),
            pauses: Pauses::default(),
            dice: Dice::new(seed),
            tally: Tally::default(),
            fx: VecDeque::new(),
        };
        for (spec, start) in specs {
            machine.add(spec, start);
        }
        Ok(machine)
    }

    /// What the driver needs to start this child.
    pub fn start_of(&self, key: ChildKey) -> Option<&P> {
        self.roster.get(key)?.start.as_ref()
    }

    /// How long this child's start may take.
    pub fn start_timeout(&self, key: ChildKey) -> Option<Duration> {
        self.roster.get(key)?.spec.start_timeout
    }

    /// A child's specification.
    #[must_use]
    pub fn spec(&self, id: &ChildId) -> Option<&SpecInfo> {
        self.roster.get(*self.ids.get(id)?).map(|child| &child.spec)
    }

    /// A child by its id.
    #[must_use]
    pub fn find(&self, id: &ChildId) -> Option<ChildInfo> {
        self.child(*self.ids.get(id)?)
    }

    /// All children, the latest first.
    #[must_use]
    pub fn which_children(&self) -> Vec<ChildInfo> {
        let mut all: Vec<_> = self.roster.iter().map(|(key, child)| child.info(key)).collect();
        all.reverse();
        all
    }

    fn open(&mut self, now: Time, letter: Letter<P, R>) {
        match letter {
            Letter::Exit { key, run } => self.on_death(now, key, run),
            Letter::Retry { key, run } => {
                if self.is_restarting(key, run) {
                    self.restart(now, key);
                }
            }
            Letter::Call(call) => self.on_call(now, call),
            Letter::Stop(reason) => self.halt(now, AfterSweep::Exit(reason)),
        }
    }

    fn on_exited(&mut self, now: Time, key: ChildKey, run: u32, reason: ExitReason) {
        let news = self.roster.get(key).is_some_and(|child| child.life.may_exit(run));
        if !news {
            return;
        }
        if matches!(&self.phase, Phase::Stopping { key: stopping, .. } if *stopping == key) {
            return self.on_stopped(now, reason);
        }
        self.change(key, |child| child.life.dead = Some(reason));
        self.inbox.push_back(Letter::Exit { key, run });
    }

    fn add(&mut self, spec: SpecInfo, start: P) -> ChildKey {
        let id = spec.id.clone();
        let child = Child { spec, life: Life::default(), start: Some(start) };
        self.tally.add(&child);
        let key = self.roster.push(child);
        self.ids.insert(id, key);
        self.fx.push_back(Effect::Changed(key));
        key
    }

    fn remove(&mut self, key: ChildKey) {
        self.set_state(key, ChildState::Stopped);
        if let Some(child) = self.roster.remove(key) {
            self.tally.subtract(&child);
            self.ids.remove(&child.spec.id);
            contain("a child's start function", || drop(child));
        }
    }

    /// The child ended for good: a temporary one goes with its specification (`del_child`).
    fn retire(&mut self, key: ChildKey) {
        if self.roster.get(key).is_some_and(Child::is_temporary) {
            self.remove(key);
        } else {
            self.set_state(key, ChildState::Stopped);
        }
    }

    fn set_state(&mut self, key: ChildKey, state: ChildState) {
        self.change(key, |child| {
            child.life.dead = None;
            child.life.state = state;
        });
    }

    /// Changes a child, and keeps the sums true.
    fn change(&mut self, key: ChildKey, change: impl FnOnce(&mut Child<P>)) {
        let Some(child) = self.roster.get_mut(key) else { return };
        self.tally.subtract(child);
        change(child);
        self.tally.add(child);
        self.fx.push_back(Effect::Changed(key));
    }

    fn report(&mut self, context: Context, key: ChildKey, reason: &ExitReason) {
        if let Some(child) = self.roster.get(key) {
            report(&mut self.fx, context, key, &child.spec.id, reason);
        }
    }

    fn reply(&mut self, reply: R, outcome: Result<Done, ChildError>) {
        self.fx.push_back(Effect::Reply(reply, outcome));
    }
}

fn check_all<P>(flags: &Flags, specs: &[(SpecInfo, P)]) -> Result<(), SpecError> {
    flags.validate()?;
    let mut seen = HashSet::new();
    for (spec, _) in specs {
        spec.validate(flags.auto_shutdown)?;
        if !seen.insert(&spec.id) {
            return Err(SpecError::DuplicateId { id: spec.id.clone() });
        }
    }
    Ok(())
}
