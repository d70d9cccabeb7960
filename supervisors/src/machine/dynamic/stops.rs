//! How a [`Dynamic`] supervisor stops its children: one, or all of them at once.

use super::{Dynamic, Letter, Phase};
use crate::exit::ExitReason;
use crate::machine::life::{Next, Patience, is_shutdown_error};
use crate::machine::{ChildError, ChildKey, Context, Done, Effect, Time};

/// How many different errors of children are told apart when all are stopped.
const DISTINCT_ERRORS: usize = 32;

impl<A: Send + 'static, R: Send + 'static> Dynamic<A, R> {
    pub(super) fn terminate_child(&mut self, now: Time, key: ChildKey, reply: R) {
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
        // It stays dead until it is removed, so that it is not taken for one that runs.
        if let Some(reason) = child.life.dead.clone()
            && is_shutdown_error(&self.template, &reason)
        {
            self.report(Context::ShutdownError, key, &reason);
        }
        self.remove(key);
        self.reply(reply, Ok(Done::Ok));
    }

    pub(super) fn on_stopped(&mut self, reason: &ExitReason) {
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
    pub(super) fn halt(&mut self, now: Time, reason: ExitReason) {
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

    pub(super) fn on_halted(&mut self, key: ChildKey, reason: ExitReason) {
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

    pub(super) fn on_tick(&mut self, now: Time) {
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
}
