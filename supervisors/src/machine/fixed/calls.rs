//! What a [`Fixed`] supervisor does when it is called.

use std::collections::HashSet;

use super::{Fixed, FixedCall, Phase, Then, Why, check_all};
use crate::machine::life::ChildState;
use crate::machine::{ChildError, ChildKey, Done, Effect, Time};
use crate::policy::{ChildId, Flags, SpecError, SpecInfo};

impl<P: Send + 'static, R: Send + 'static> Fixed<P, R> {
    pub(super) fn on_call(&mut self, now: Time, call: FixedCall<P, R>) {
        match call {
            FixedCall::Start(spec, start, reply) => self.start_child(spec, start, reply),
            FixedCall::Terminate(id, reply) => self.terminate_child(now, &id, reply),
            FixedCall::Restart(id, reply) => match self.stopped(&id) {
                Ok(key) => self.begin(key, Why::Revived(reply)),
                Err(error) => self.reply(reply, Err(error)),
            },
            FixedCall::Delete(id, reply) => {
                let outcome = self.stopped(&id).map(|key| {
                    self.remove(key);
                    Done::Ok
                });
                self.reply(reply, outcome);
            }
            FixedCall::Reconfigure(flags, specs, reply) => {
                let outcome = self.reconfigure(flags, specs).map(|()| Done::Ok);
                self.reply(reply, outcome.map_err(ChildError::Spec));
            }
            FixedCall::Query(look) => look(self),
        }
    }

    fn start_child(&mut self, spec: SpecInfo, start: P, reply: R) {
        if let Err(error) = spec.validate(self.flags.auto_shutdown) {
            return self.reply(reply, Err(ChildError::Spec(error)));
        }
        if let Some(child) = self.find(&spec.id) {
            let error = match child.state {
                ChildState::Running => ChildError::AlreadyStarted(child.key),
                _ => ChildError::AlreadyPresent,
            };
            return self.reply(reply, Err(error));
        }
        let key = self.add(spec, start);
        self.begin(key, Why::Added(reply));
    }

    fn terminate_child(&mut self, now: Time, id: &ChildId, reply: R) {
        let Some(&key) = self.ids.get(id) else {
            return self.reply(reply, Err(ChildError::NotFound));
        };
        if let Some(patience) = self.ask_to_stop(now, key) {
            self.phase = Phase::Stopping { key, patience, then: Then::Reply(reply) };
        } else {
            self.retire(key);
            self.reply(reply, Ok(Done::Ok));
        }
    }

    /// The key of a child that is stopped for good.
    fn stopped(&self, id: &ChildId) -> Result<ChildKey, ChildError> {
        let child = self.find(id).ok_or(ChildError::NotFound)?;
        match child.state {
            ChildState::Stopped => Ok(child.key),
            ChildState::Restarting => Err(ChildError::Restarting),
            ChildState::Running | ChildState::Starting => Err(ChildError::Running),
        }
    }

    fn reconfigure(&mut self, flags: Flags, specs: Vec<(SpecInfo, P)>) -> Result<(), SpecError> {
        check_all(&flags, &specs)?;
        self.flags = flags;
        self.window.retune(flags.intensity);
        let kept: Vec<ChildKey> = {
            let new: HashSet<_> = specs.iter().map(|(s, _)| &s.id).collect();
            let old = self.roster.iter().filter(|(_, child)| !new.contains(&child.spec.id));
            old.map(|(key, _)| key).collect()
        };
        for (spec, start) in specs {
            let Some(&key) = self.ids.get(&spec.id) else {
                self.add(spec, start);
                continue;
            };
            self.change(key, |child| {
                child.spec = spec;
                child.start = Some(start);
            });
            self.roster.move_last(key);
        }
        for key in kept {
            self.roster.move_last(key);
        }
        let order = self.roster.iter().map(|(key, _)| key).collect();
        self.fx.push_back(Effect::Reconfigured { flags, order });
        Ok(())
    }
}
