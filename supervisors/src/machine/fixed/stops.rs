//! How a [`Fixed`] supervisor stops children: one, some or all, the latest first.

use super::{Fixed, Letter, Phase, Then, Why};
use crate::exit::ExitReason;
use crate::machine::life::{ChildState, Next, Patience, is_shutdown_error};
use crate::machine::{ChildKey, Context, Done, Effect, FailedChild, Time};

/// Children that are being stopped one after the other, the latest first.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The last one to be stopped; all, when there is none.
    pub(super) from: Option<ChildKey>,
    pub(super) after: AfterSweep,
}

/// What follows when they are stopped.
#[derive(Debug)]
pub(super) enum AfterSweep {
    /// Start them again, in start order.
    Regroup,
    /// The supervisor ends.
    Exit(ExitReason),
    /// The supervisor's start failed.
    FailBoot(FailedChild),
}

impl<P: Send + 'static, R: Send + 'static> Fixed<P, R> {
    /// Stops all children and ends.
    pub(super) fn halt(&mut self, now: Time, after: AfterSweep) {
        self.sweep(now, self.roster.last(), Sweep { from: None, after });
    }

    /// Stops the children from `at` backwards.
    pub(super) fn sweep(&mut self, now: Time, mut at: Option<ChildKey>, sweep: Sweep) {
        while let Some(key) = at {
            if let Some(patience) = self.ask_to_stop(now, key) {
                self.phase = Phase::Stopping { key, patience, then: Then::Sweep(sweep) };
                return;
            }
            at = self.swept(key, &sweep);
        }
        self.after_sweep(sweep);
    }

    /// The child that was waited for has stopped: on to the one before it.
    pub(super) fn sweep_on(&mut self, now: Time, key: ChildKey, sweep: Sweep) {
        let at = self.swept(key, &sweep);
        self.sweep(now, at, sweep);
    }

    /// Temporary children are not coming back, so they go with their specification.
    fn swept(&mut self, key: ChildKey, sweep: &Sweep) -> Option<ChildKey> {
        let previous = self.roster.previous(key);
        self.retire(key);
        previous.filter(|_| sweep.from != Some(key))
    }

    fn after_sweep(&mut self, sweep: Sweep) {
        match sweep.after {
            AfterSweep::Regroup => {
                let first = sweep.from.or_else(|| self.roster.first());
                self.start_next(first, Why::Group);
            }
            AfterSweep::Exit(reason) => {
                self.phase = Phase::Down;
                self.fx.push_back(Effect::Exit(reason));
            }
            AfterSweep::FailBoot(failed) => {
                self.phase = Phase::Down;
                self.fx.push_back(Effect::Booted(Err(failed.clone())));
                self.fx.push_back(Effect::Exit(ExitReason::shutdown_with(failed)));
            }
        }
    }

    pub(super) fn on_stopped(&mut self, now: Time, reason: ExitReason) {
        let Phase::Stopping { key, then, .. } = std::mem::replace(&mut self.phase, Phase::Idle)
        else {
            return;
        };
        self.judge_stop(key, &reason);
        match then {
            Then::Reply(reply) => {
                self.retire(key);
                self.reply(reply, Ok(Done::Ok));
            }
            Then::Sweep(sweep) => self.sweep_on(now, key, sweep),
        }
    }

    pub(super) fn on_tick(&mut self, now: Time) {
        while let Some((key, run)) = self.pauses.pop_due(now) {
            self.inbox.push_back(Letter::Retry { key, run });
        }
        let kill_grace = self.flags.kill_grace;
        let Phase::Stopping { key, patience, .. } = &mut self.phase else {
            return;
        };
        let key = *key;
        match patience.tick(now, kill_grace) {
            Next::Wait => {}
            Next::Kill => self.fx.push_back(Effect::Kill(key)),
            Next::GiveUp => {
                self.report(Context::Zombie, key, &ExitReason::Zombie);
                self.on_stopped(now, ExitReason::Zombie);
            }
        }
    }

    /// Asks a child to stop. `None` when there is nothing to wait for: it does not run, or it has
    /// already ended, and then that end is what its stop is judged by.
    pub(super) fn ask_to_stop(&mut self, now: Time, key: ChildKey) -> Option<Patience> {
        let child = self.roster.get(key)?;
        if let Some(reason) = child.life.dead.clone() {
            self.judge_stop(key, &reason);
            return None;
        }
        if child.life.state != ChildState::Running {
            return None;
        }
        let patience = Patience::new(child.spec.shutdown, now, self.flags.kill_grace);
        self.fx.push_back(patience.effect(key));
        Some(patience)
    }

    fn judge_stop(&mut self, key: ChildKey, reason: &ExitReason) {
        let Some(child) = self.roster.get(key) else {
            return;
        };
        if is_shutdown_error(&child.spec, reason) {
            self.report(Context::ShutdownError, key, reason);
        }
    }
}
