//! The machine for any number of children of one kind: `simple_one_for_one`.

use std::collections::VecDeque;

use super::backoff::{Dice, Pauses};
use super::life::{
    ChildInfo, ChildState, Counts, Effects, Life, Next, Patience, is_shutdown_error, judge_exit,
    report,
};
use super::roster::Roster;
use super::window::Window;
use super::{
    Backoff, ChildError, ChildKey, Context, Done, Effect, Input, Machine, Outcome, Query, Time,
};
use crate::exit::ExitReason;
use crate::policy::{
    ChildType, Flags, Intensity, Restart, SpecError, SpecInfo, validate_intensity,
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

/// How many different errors of children are told apart when all are stopped.
const DISTINCT_ERRORS: usize = 32;

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

    fn terminate_child(&mut self, now: Time, key: ChildKey, reply: R) {
        let Some(child) = self.roster.get_mut(key) else {
            // Like OTP: what has ended is terminated, what is somebody else's is not found.
            let outcome =
                if self.roster.issued(key) { Ok(Done::Ok) } else { Err(ChildError::NotFound) };
            return self.reply(reply, outcome);
        };
        if child.life.is_alive() {
            let patience = Patience::new(self.template.shutdown, now, self.flags.kill_grace);
            self.fx.push_back(patience.effect(key));
            self.phase = Phase::Stopping { key, patience, reply };
            return;
        }
        if let Some(reason) = child.life.dead.take()
            && is_shutdown_error(&self.template, &reason)
        {
            self.report(Context::ShutdownError, key, &reason);
        }
        self.remove(key);
        self.reply(reply, Ok(Done::Ok));
    }

    fn on_exited(&mut self, key: ChildKey, run: u32, reason: ExitReason) {
        let Some(child) = self.roster.get_mut(key).filter(|child| child.life.may_exit(run)) else {
            return;
        };
        match &self.phase {
            Phase::Stopping { key: stopping, .. } if *stopping == key => self.on_stopped(&reason),
            Phase::Halting { .. } => self.on_halted(key, reason),
            _ => {
                self.active -= usize::from(child.life.is_alive());
                child.life.dead = Some(reason);
                self.inbox.push_back(Letter::Exit { key, run });
            }
        }
    }

    fn on_death(&mut self, now: Time, key: ChildKey, run: u32) {
        let Some(child) = self.roster.get_mut(key).filter(|child| child.life.run == run) else {
            return;
        };
        let Some(reason) = child.life.dead.take() else {
            return;
        };
        let verdict = judge_exit(self.template.restart, &reason);
        if verdict.report {
            self.report(Context::ChildTerminated { restart: verdict.restart }, key, &reason);
        }
        match (verdict.restart, self.flags.backoff) {
            (false, _) => self.discard(key),
            (true, None) => self.restart(now, key),
            (true, Some(backoff)) => self.pause(now, key, &backoff),
        }
    }

    fn pause(&mut self, now: Time, key: ChildKey, backoff: &Backoff) {
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        let due = now.saturating_add(child.life.pause(now, backoff, &mut self.dice));
        child.life.state = ChildState::Restarting;
        let run = child.life.run;
        self.pauses.insert(due, key, run);
    }

    fn restart(&mut self, now: Time, key: ChildKey) {
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        let Some(own) = self.child_intensity else {
            if self.window.admit(now) {
                return self.begin(key, None);
            }
            self.report(Context::GaveUp, key, &ExitReason::Shutdown);
            self.discard(key);
            return self.halt(now, ExitReason::Shutdown);
        };
        if child.window.get_or_insert_with(|| Box::new(Window::new(own))).admit(now) {
            return self.begin(key, None);
        }
        self.report(Context::ChildGaveUp, key, &ExitReason::Shutdown);
        self.discard(key);
    }

    fn begin(&mut self, key: ChildKey, added: Option<R>) {
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        let run = child.life.begin();
        self.phase = Phase::Starting { key, added };
        self.fx.push_back(Effect::Start { key, run });
    }

    fn on_started(&mut self, now: Time, key: ChildKey, run: u32, outcome: Outcome) {
        let expected = matches!(&self.phase, Phase::Starting { key: k, .. } if *k == key);
        let Some(child) = self.roster.get_mut(key).filter(|c| expected && c.life.run == run) else {
            return;
        };
        let Phase::Starting { added, .. } = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return;
        };
        match (outcome, added) {
            (Outcome::Running, added) => {
                child.life.settle(now);
                self.active += usize::from(child.life.is_alive());
                let context = Context::Progress { restart: added.is_none() };
                self.report(context, key, &ExitReason::Normal);
                if let Some(reply) = added {
                    self.reply(reply, Ok(Done::Running(key)));
                }
            }
            (Outcome::Ignored, added) => {
                self.discard(key);
                if let Some(reply) = added {
                    self.reply(reply, Ok(Done::Ignored));
                }
            }
            (Outcome::Failed(reason), Some(reply)) => {
                self.discard(key);
                self.reply(reply, Err(ChildError::Start(reason)));
            }
            (Outcome::Failed(reason), None) => self.on_restart_failed(now, key, run, &reason),
        }
    }

    fn on_restart_failed(&mut self, now: Time, key: ChildKey, run: u32, reason: &ExitReason) {
        self.report(Context::StartError, key, reason);
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        child.life.dead = None;
        match self.flags.backoff {
            Some(backoff) => self.pause(now, key, &backoff),
            None => {
                child.life.state = ChildState::Restarting;
                self.fx.push_back(Effect::Retry { key, run });
            }
        }
    }

    fn on_stopped(&mut self, reason: &ExitReason) {
        let Phase::Stopping { key, reply, .. } = std::mem::replace(&mut self.phase, Phase::Idle)
        else {
            return;
        };
        if is_shutdown_error(&self.template, reason) {
            self.report(Context::ShutdownError, key, reason);
        }
        self.remove(key);
        self.reply(reply, Ok(Done::Ok));
    }

    /// Stops all children at once, with one common time to stop.
    fn halt(&mut self, now: Time, reason: ExitReason) {
        let patience = Patience::new(self.template.shutdown, now, self.flags.kill_grace);
        let (mut left, mut dead) = (0, Vec::new());
        for (key, child) in self.roster.iter() {
            if child.life.is_alive() {
                left += 1;
                self.fx.push_back(patience.effect(key));
            } else if let Some(reason) = &child.life.dead {
                dead.push((key, reason.clone()));
            }
        }
        self.phase = Phase::Halting { left, patience, reason, errors: Vec::new() };
        for (key, reason) in dead {
            self.keep_error(key, reason);
        }
        self.exit_when_halted();
    }

    fn on_halted(&mut self, key: ChildKey, reason: ExitReason) {
        self.remove(key);
        self.keep_error(key, reason);
        if let Phase::Halting { left, .. } = &mut self.phase {
            *left = left.saturating_sub(1);
        }
        self.exit_when_halted();
    }

    /// Each different error is reported once, however many children had it.
    fn keep_error(&mut self, key: ChildKey, reason: ExitReason) {
        let Phase::Halting { errors, .. } = &mut self.phase else {
            return;
        };
        let news = is_shutdown_error(&self.template, &reason)
            && errors.len() < DISTINCT_ERRORS
            && !errors.iter().any(|(_, known)| *known == reason);
        if news {
            errors.push((key, reason));
        }
    }

    fn exit_when_halted(&mut self) {
        if !matches!(&self.phase, Phase::Halting { left: 0, .. }) {
            return;
        }
        let Phase::Halting { reason, errors, .. } = std::mem::replace(&mut self.phase, Phase::Down)
        else {
            return;
        };
        for (key, error) in &errors {
            self.report(Context::ShutdownError, *key, error);
        }
        self.fx.push_back(Effect::Exit(reason));
    }

    fn on_tick(&mut self, now: Time) {
        while let Some((key, run)) = self.pauses.pop_due(now) {
            self.inbox.push_back(Letter::Retry { key, run });
        }
        let kill_grace = self.flags.kill_grace;
        match &mut self.phase {
            Phase::Stopping { key, patience, .. } => {
                let key = *key;
                match patience.tick(now, kill_grace) {
                    Next::Wait => {}
                    Next::Kill => self.fx.push_back(Effect::Kill(key)),
                    Next::GiveUp => {
                        self.report(Context::Zombie, key, &ExitReason::Zombie);
                        self.on_stopped(&ExitReason::Zombie);
                    }
                }
            }
            Phase::Halting { patience, .. } => match patience.tick(now, kill_grace) {
                Next::Wait => {}
                Next::Kill => self.kill_all(),
                Next::GiveUp => self.give_up_all(),
            },
            _ => {}
        }
    }

    fn kill_all(&mut self) {
        let alive = self.roster.iter().filter(|(_, child)| child.life.is_alive());
        self.fx.extend(alive.map(|(key, _)| Effect::Kill(key)));
    }

    fn give_up_all(&mut self) {
        let alive = self.roster.iter().filter(|(_, child)| child.life.is_alive());
        let zombies: Vec<ChildKey> = alive.map(|(key, _)| key).collect();
        for key in zombies {
            self.report(Context::Zombie, key, &ExitReason::Zombie);
            self.on_halted(key, ExitReason::Zombie);
        }
    }

    /// Forgets a child that does not run.
    fn discard(&mut self, key: ChildKey) {
        self.roster.remove(key);
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
