//! What a [`Fixed`] supervisor does when a child ends by itself.

use super::stops::{AfterSweep, Sweep};
use super::{Fixed, Phase, Why};
use crate::exit::ExitReason;
use crate::machine::life::{ChildState, judge_exit};
use crate::machine::{ChildKey, Context, Effect, Time};
use crate::policy::{AutoShutdown, Backoff, SpecInfo, Strategy};

impl<P: Send + 'static, R: Send + 'static> Fixed<P, R> {
    /// A child ended by itself, and its turn has come. If a stop got to it first, it is not news.
    pub(super) fn on_death(&mut self, now: Time, key: ChildKey, run: u32) {
        let Some(child) = self.roster.get(key).filter(|child| child.life.run == run) else {
            return;
        };
        let Some(reason) = child.life.dead.clone() else {
            return;
        };
        let spec = child.spec.clone();
        let verdict = judge_exit(spec.restart, &reason);
        if verdict.report {
            let context = Context::ChildTerminated { restart: verdict.restart };
            self.report(context, key, &reason);
        }
        if verdict.restart {
            self.restart_in_time(now, key);
        } else {
            self.retire(key);
            if self.is_auto_shutdown(&spec) {
                self.halt(now, AfterSweep::Exit(ExitReason::Shutdown));
            }
        }
    }

    fn is_auto_shutdown(&self, ended: &SpecInfo) -> bool {
        ended.significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => self.tally.significant == 0,
            }
    }

    /// Restarts now, or after a pause where there are pauses.
    fn restart_in_time(&mut self, now: Time, key: ChildKey) {
        let Some(backoff) = self.flags.backoff else {
            return self.restart(now, key);
        };
        self.pause(now, key, &backoff);
    }

    fn pause(&mut self, now: Time, key: ChildKey, backoff: &Backoff) {
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        let due = now.saturating_add(child.life.pause(now, backoff, &mut self.dice));
        let run = child.life.run;
        self.set_state(key, ChildState::Restarting);
        self.pauses.insert(due, key, run);
    }

    pub(super) fn restart(&mut self, now: Time, key: ChildKey) {
        if !self.window.admit(now) {
            self.report(Context::GaveUp, key, &ExitReason::Shutdown);
            self.retire(key);
            return self.halt(now, AfterSweep::Exit(ExitReason::Shutdown));
        }
        self.set_state(key, ChildState::Stopped);
        let from = match self.flags.strategy {
            Strategy::OneForOne => return self.begin(key, Why::Restart),
            Strategy::RestForOne => Some(key),
            Strategy::OneForAll => None,
        };
        self.sweep(now, self.roster.last(), Sweep { from, after: AfterSweep::Regroup });
    }

    /// A restart failed: it is tried again behind everything that is already queued, or after a
    /// pause where there are pauses.
    pub(super) fn on_restart_failed(
        &mut self,
        now: Time,
        key: ChildKey,
        run: u32,
        reason: &ExitReason,
    ) {
        self.report(Context::StartError, key, reason);
        match self.flags.backoff {
            Some(backoff) => self.pause(now, key, &backoff),
            None => {
                self.set_state(key, ChildState::Restarting);
                self.fx.push_back(Effect::Retry { key, run });
            }
        }
        self.phase = Phase::Idle;
    }

    pub(super) fn is_restarting(&self, key: ChildKey, run: u32) -> bool {
        let life = self.roster.get(key).map(|child| &child.life);
        life.is_some_and(|life| life.state == ChildState::Restarting && life.run == run)
    }
}
