//! How a [`Dynamic`] supervisor starts its children, and what it does when one ends by itself.

use super::{Dynamic, Letter, Phase};
use crate::exit::ExitReason;
use crate::machine::life::{ChildState, judge_exit};
use crate::machine::window::Window;
use crate::machine::{ChildError, ChildKey, Context, Done, Effect, Outcome, Time};
use crate::policy::Backoff;

impl<A: Send + 'static, R: Send + 'static> Dynamic<A, R> {
    pub(super) fn on_exited(&mut self, key: ChildKey, run: u32, reason: ExitReason) {
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

    pub(super) fn on_death(&mut self, now: Time, key: ChildKey, run: u32) {
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

    pub(super) fn restart(&mut self, now: Time, key: ChildKey) {
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

    pub(super) fn begin(&mut self, key: ChildKey, added: Option<R>) {
        let Some(child) = self.roster.get_mut(key) else {
            return;
        };
        let run = child.life.begin();
        self.phase = Phase::Starting { key, added };
        self.fx.push_back(Effect::Start { key, run });
    }

    pub(super) fn on_started(&mut self, now: Time, key: ChildKey, run: u32, outcome: Outcome) {
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
}
