//! How a [`Fixed`] supervisor starts a child, and what follows.

use super::stops::AfterSweep;
use super::{Fixed, Phase, Why};
use crate::contain::contain;
use crate::exit::ExitReason;
use crate::machine::{ChildError, ChildKey, Context, Done, Effect, FailedChild, Outcome, Time};

impl<P: Send + 'static, R: Send + 'static> Fixed<P, R> {
    /// Starts the initial children from `next` on.
    pub(super) fn start_first(&mut self, next: Option<ChildKey>) {
        if next.is_none() {
            self.fx.push_back(Effect::Booted(Ok(())));
        }
        self.start_next(next, Why::Boot);
    }

    pub(super) fn start_next(&mut self, next: Option<ChildKey>, why: Why<R>) {
        match next {
            Some(key) => self.begin(key, why),
            None => self.phase = Phase::Idle,
        }
    }

    pub(super) fn begin(&mut self, key: ChildKey, why: Why<R>) {
        let mut run = 0;
        self.change(key, |child| run = child.life.begin());
        self.phase = Phase::Starting { key, why };
        self.fx.push_back(Effect::Start { key, run });
    }

    pub(super) fn on_started(&mut self, now: Time, key: ChildKey, run: u32, outcome: Outcome) {
        let expected = matches!(&self.phase, Phase::Starting { key: k, .. } if *k == key)
            && self.roster.get(key).is_some_and(|child| child.life.run == run);
        if !expected {
            return;
        }
        let Phase::Starting { why, .. } = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return;
        };
        let next = self.roster.next(key);
        match &outcome {
            Outcome::Running => self.on_running(now, key, &why),
            Outcome::Ignored => self.retire_ignored(key, &why),
            Outcome::Failed(_) => self.change(key, |child| child.life.end()),
        }
        match (why, outcome) {
            (Why::Boot, Outcome::Failed(reason)) => self.on_boot_failed(now, key, reason),
            (Why::Boot, _) => self.start_first(next),
            (Why::Group | Why::Restart, Outcome::Failed(reason)) => {
                self.on_restart_failed(now, key, run, &reason);
            }
            (Why::Group, _) => self.start_next(next, Why::Group),
            (Why::Restart, _) => {}
            (Why::Added(reply), Outcome::Failed(reason)) => {
                self.remove(key);
                self.reply(reply, Err(ChildError::Start(reason)));
            }
            (Why::Revived(reply), Outcome::Failed(reason)) => {
                self.reply(reply, Err(ChildError::Start(reason)));
            }
            (Why::Added(reply) | Why::Revived(reply), Outcome::Running) => {
                self.reply(reply, Ok(Done::Running(key)));
            }
            (Why::Added(reply) | Why::Revived(reply), Outcome::Ignored) => {
                self.reply(reply, Ok(Done::Ignored));
            }
        }
    }

    fn on_running(&mut self, now: Time, key: ChildKey, why: &Why<R>) {
        self.change(key, |child| {
            child.life.settle(now);
            if child.is_temporary() {
                contain("a child's start function", || drop(child.start.take()));
            }
        });
        let restart = matches!(why, Why::Restart | Why::Group);
        self.report(Context::Progress { restart }, key, &ExitReason::Normal);
    }

    /// An ignored child keeps its specification, unless it is temporary; one that was only
    /// revived has it already.
    fn retire_ignored(&mut self, key: ChildKey, why: &Why<R>) {
        match why {
            Why::Boot | Why::Added(_) => self.retire(key),
            Why::Revived(_) | Why::Restart | Why::Group => {
                self.change(key, |child| child.life.end());
            }
        }
    }

    fn on_boot_failed(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        let Some(child) = self.roster.get(key) else {
            return;
        };
        let id = child.spec.id.clone();
        self.report(Context::StartError, key, &reason);
        self.halt(now, AfterSweep::FailBoot(FailedChild { id, reason }));
    }
}
