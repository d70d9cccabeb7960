//! The machine for any number of children of one kind: `simple_one_for_one`.

mod lives;
mod stops;

use std::collections::VecDeque;

use super::backoff::{Dice, Pauses};
use super::life::{ChildInfo, ChildState, Counts, Effects, Life, Patience, report};
use super::roster::Roster;
use super::window::Window;
use super::{ChildError, ChildKey, Context, Done, Effect, Input, Machine, Query, Time};
use crate::contain::contain;
use crate::exit::ExitReason;
use crate::policy::{
    AutoShutdown, ChildType, Flags, Intensity, Restart, SpecError, SpecInfo, validate_intensity,
};

/// A supervisor of children that differ only in their argument `A`. `R` is where the answer to a
/// call goes.
///
/// The arguments of temporary children are not kept, since nothing will start them again.
#[derive(Debug)]
pub struct Dynamic<A, R> {
    flags: Flags,
    template: SpecInfo,
    /// Each child's own budget; where there is one, the supervisor's is not used.
    child_intensity: Option<Intensity>,
    /// How to keep an argument for a restart while a start uses it.
    copy: Option<fn(&A) -> A>,
    roster: Roster<Child<A>>,
    phase: Phase<R>,
    inbox: VecDeque<Letter<A, R>>,
    window: Window,
    pauses: Pauses,
    dice: Dice,
    /// Children that run, whatever they are called.
    active: usize,
    fx: Effects<R>,
}

#[derive(Debug)]
struct Child<A> {
    life: Life,
    argument: Option<A>,
    /// Made with the first restart: most children never have one.
    window: Option<Box<Window>>,
}

#[derive(Debug)]
enum Phase<R> {
    Idle,
    Starting {
        key: ChildKey,
        added: Option<R>,
    },
    Stopping {
        key: ChildKey,
        patience: Patience,
        reply: R,
    },
    /// All at once: OTP gives dynamic children one common time to stop.
    Halting {
        left: usize,
        patience: Patience,
        reason: ExitReason,
        errors: Vec<(ChildKey, ExitReason)>,
    },
    Down,
}

/// A call from outside.
pub enum DynamicCall<A, R> {
    /// `start_child/2`.
    Start(A, R),
    /// `terminate_child/2`.
    Terminate(ChildKey, R),
    /// Looks at the machine when its turn comes.
    Query(Query<Dynamic<A, R>>),
}

impl<A, R> std::fmt::Debug for DynamicCall<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start(..) => "Start",
            Self::Terminate(..) => "Terminate",
            Self::Query(_) => "Query",
        })
    }
}

#[derive(Debug)]
enum Letter<A, R> {
    Exit { key: ChildKey, run: u32 },
    Retry { key: ChildKey, run: u32 },
    Call(DynamicCall<A, R>),
    Stop(ExitReason),
}

impl<A: Send + 'static, R: Send + 'static> Machine for Dynamic<A, R> {
    type Call = DynamicCall<A, R>;
    type Reply = R;

    fn handle(&mut self, now: Time, input: Input<Self::Call>) {
        match input {
            Input::Boot => self.fx.push_back(Effect::Booted(Ok(()))),
            Input::Started { key, run, outcome } => self.on_started(now, key, run, outcome),
            Input::Exited { key, run, reason } => self.on_exited(key, run, reason),
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
            Phase::Stopping { patience, .. } | Phase::Halting { patience, .. } => {
                patience.deadline()
            }
            _ => None,
        };
        [stop, self.pauses.next_due()].into_iter().flatten().min()
    }

    fn child(&self, key: ChildKey) -> Option<ChildInfo> {
        self.roster.get(key).map(|child| self.info(key, child))
    }

    fn counts(&self) -> Counts {
        let total = self.roster.len();
        let (supervisors, workers) = match self.template.child_type {
            ChildType::Supervisor => (total, 0),
            ChildType::Worker => (0, total),
        };
        Counts { specs: 1, active: self.active, supervisors, workers }
    }
}

impl<A: Send + 'static, R: Send + 'static> Dynamic<A, R> {
    /// A supervisor without children. `copy` keeps a child's argument for its restarts; it is
    /// needed unless the template is temporary. `seed` is for the jitter of pauses.
    ///
    /// # Errors
    /// A template or a combination of flags that can't be followed.
    pub fn new(
        flags: Flags,
        template: SpecInfo,
        child_intensity: Option<Intensity>,
        copy: Option<fn(&A) -> A>,
        seed: u64,
    ) -> Result<Self, SpecError> {
        flags.validate()?;
        if flags.auto_shutdown != AutoShutdown::Never {
            return Err(SpecError::AutoShutdownOfDynamic);
        }
        template.validate(flags.auto_shutdown)?;
        if let Some(intensity) = child_intensity {
            validate_intensity("child_intensity", intensity)?;
        }
        Ok(Self {
            window: Window::new(flags.intensity),
            flags,
            template,
            child_intensity,
            copy,
            roster: Roster::new(),
            phase: Phase::Idle,
            inbox: VecDeque::new(),
            pauses: Pauses::default(),
            dice: Dice::new(seed),
            active: 0,
            fx: VecDeque::new(),
        })
    }

    /// The argument for the start that was just asked for. It is kept for restarts, where there
    /// will be any.
    pub fn argument(&mut self, key: ChildKey) -> Option<A> {
        let keep = self.template.restart != Restart::Temporary;
        let child = self.roster.get_mut(key)?;
        match self.copy {
            Some(copy) if keep => child.argument.as_ref().map(copy),
            _ => child.argument.take(),
        }
    }

    /// What all children have in common.
    #[must_use]
    pub fn template(&self) -> &SpecInfo {
        &self.template
    }

    /// All children, in no order.
    #[must_use]
    pub fn which_children(&self) -> Vec<ChildInfo> {
        self.roster.iter().map(|(key, child)| self.info(key, child)).collect()
    }

    fn info(&self, key: ChildKey, child: &Child<A>) -> ChildInfo {
        ChildInfo {
            id: self.template.id.clone(),
            key,
            child_type: self.template.child_type,
            state: child.life.state,
            run: child.life.run,
        }
    }

    fn open(&mut self, now: Time, letter: Letter<A, R>) {
        match letter {
            Letter::Exit { key, run } => self.on_death(now, key, run),
            Letter::Retry { key, run } => {
                let life = self.roster.get(key).map(|child| &child.life);
                let due = life
                    .is_some_and(|life| life.state == ChildState::Restarting && life.run == run);
                if due {
                    self.restart(now, key);
                }
            }
            Letter::Call(DynamicCall::Start(argument, reply)) => {
                let child = Child { life: Life::default(), argument: Some(argument), window: None };
                let key = self.roster.push(child);
                self.begin(key, Some(reply));
            }
            Letter::Call(DynamicCall::Terminate(key, reply)) => {
                self.terminate_child(now, key, reply);
            }
            Letter::Call(DynamicCall::Query(look)) => look(self),
            Letter::Stop(reason) => self.halt(now, reason),
        }
    }

    /// Forgets a child that does not run.
    fn discard(&mut self, key: ChildKey) {
        let child = self.roster.remove(key);
        contain("a child's argument", || drop(child));
        self.fx.push_back(Effect::Changed(key));
    }

    /// Forgets a child that was stopped, or whose end was known but not dealt with.
    fn remove(&mut self, key: ChildKey) {
        let alive = self.roster.get(key).is_some_and(|child| child.life.is_alive());
        self.active -= usize::from(alive);
        self.discard(key);
    }

    fn report(&mut self, context: Context, key: ChildKey, reason: &ExitReason) {
        report(&mut self.fx, context, key, &self.template.id, reason);
    }

    fn reply(&mut self, reply: R, outcome: Result<Done, ChildError>) {
        self.fx.push_back(Effect::Reply(reply, outcome));
    }
}
