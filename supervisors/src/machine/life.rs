//! What the two machines share: a child's life, how it is stopped, and how its end is judged.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::{ChildKey, Context, Effect, Report, Time};
use crate::exit::ExitReason;
use crate::machine::backoff::Dice;
use crate::policy::{Backoff, ChildId, ChildType, Restart, Shutdown, SpecInfo};

/// Effects that wait to be fetched.
pub(super) type Effects<R> = VecDeque<Effect<R>>;

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// Its start function runs. (An OTP supervisor can't be asked meanwhile.)
    Starting,
    /// It runs, or its end has not been dealt with yet.
    Running,
    /// Its restart failed or is being waited for, and will be tried (OTP's `restarting`).
    Restarting,
    /// It does not run, and nothing is about to change that (OTP's `undefined`).
    #[default]
    Stopped,
}

/// A child as [`which_children`](crate::SupervisorRef::which_children) tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// The child's name; all children of a dynamic supervisor have the same.
    pub id: ChildId,
    /// Its identity, for the whole of its life.
    pub key: ChildKey,
    /// Worker or supervisor.
    pub child_type: ChildType,
    /// Where it is in its life.
    pub state: ChildState,
    /// Which incarnation this is, counting each start that was tried from 1.
    pub run: u32,
}

/// How many children there are (OTP's `count_children`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Specifications; always 1 for a dynamic supervisor.
    pub specs: usize,
    /// Children that run; one whose end has not been dealt with yet does not count.
    pub active: usize,
    /// Children that are supervisors, running or not.
    pub supervisors: usize,
    /// Children that are workers, running or not.
    pub workers: usize,
}

/// One child's life.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) state: ChildState,
    /// The number of the latest incarnation.
    pub(super) run: u32,
    /// Why it ended, from when that is known until the supervisor deals with it.
    pub(super) dead: Option<ExitReason>,
    /// When the latest incarnation began to run.
    since: Time,
    /// Restarts in a row.
    failures: u32,
}

impl Life {
    /// A new incarnation begins; its number.
    pub(super) fn begin(&mut self) -> u32 {
        self.state = ChildState::Starting;
        self.run = self.run.wrapping_add(1);
        self.dead = None;
        self.run
    }

    pub(super) fn settle(&mut self, now: Time) {
        self.state = ChildState::Running;
        self.since = now;
    }

    pub(super) fn end(&mut self) {
        self.state = ChildState::Stopped;
        self.dead = None;
    }

    /// Whether an exit of this run is news.
    pub(super) fn may_exit(&self, run: u32) -> bool {
        let alive = matches!(self.state, ChildState::Starting | ChildState::Running);
        alive && self.run == run && self.dead.is_none()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state == ChildState::Running && self.dead.is_none()
    }

    /// The pause before the next restart.
    pub(super) fn pause(&mut self, now: Time, backoff: &Backoff, dice: &mut Dice) -> Duration {
        let ran = self.state == ChildState::Running;
        if ran && now.saturating_sub(self.since) >= backoff.reset_after {
            self.failures = 0;
        }
        let pause = backoff.pause(self.failures, dice);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// What is to be done about a child that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Report `child_terminated`.
    pub(super) report: bool,
    /// Start it again.
    pub(super) restart: bool,
}

/// Rule 3: permanent children are always restarted, and reported even after `normal`.
pub(super) fn judge_exit(restart: Restart, reason: &ExitReason) -> Verdict {
    match restart {
        Restart::Permanent => Verdict { report: true, restart: true },
        _ if !reason.is_abnormal() => Verdict { report: false, restart: false },
        Restart::Transient => Verdict { report: true, restart: true },
        Restart::Temporary => Verdict { report: true, restart: false },
    }
}

/// Rule 9: whether the reason with which a child obeyed its stop is an error to be reported.
pub(super) fn is_shutdown_error(spec: &SpecInfo, reason: &ExitReason) -> bool {
    let permanent = spec.restart == Restart::Permanent;
    match reason {
        ExitReason::Killed => spec.shutdown != Shutdown::BrutalKill,
        ExitReason::Shutdown => spec.shutdown == Shutdown::BrutalKill && permanent,
        ExitReason::Normal | ExitReason::ShutdownWith(_) => permanent,
        _ => true,
    }
}

/// A stop that is under way: asked, then killed, then given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    killed: bool,
    deadline: Option<Time>,
}

/// What to do when patience has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has not.
    Wait,
    /// Kill.
    Kill,
    /// Killed long ago: let go.
    GiveUp,
}

impl Patience {
    pub(super) fn new(shutdown: Shutdown, now: Time, kill_grace: Duration) -> Self {
        match shutdown {
            Shutdown::BrutalKill => {
                Self { killed: true, deadline: Some(now.saturating_add(kill_grace)) }
            }
            Shutdown::Timeout(limit) => {
                Self { killed: false, deadline: Some(now.saturating_add(limit)) }
            }
            Shutdown::Infinity => Self { killed: false, deadline: None },
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    pub(super) fn tick(&mut self, now: Time, kill_grace: Duration) -> Next {
        if self.deadline.is_none_or(|at| now < at) {
            return Next::Wait;
        }
        if self.killed {
            return Next::GiveUp;
        }
        *self = Self { killed: true, deadline: Some(now.saturating_add(kill_grace)) };
        Next::Kill
    }

    /// The effect that this stage of the stop asks for.
    pub(super) fn effect<R>(&self, key: ChildKey) -> Effect<R> {
        if self.killed { Effect::Kill(key) } else { Effect::Shutdown(key) }
    }
}

pub(super) fn report<R>(
    fx: &mut Effects<R>,
    context: Context,
    key: ChildKey,
    child: &ChildId,
    reason: &ExitReason,
) {
    let (child, reason) = (child.clone(), reason.clone());
    fx.push_back(Effect::Report(Report { context, child, key, reason }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_judged_by_restart_type_and_reason() {
        use Restart::{Permanent, Temporary, Transient};
        let orderly = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("x")];
        let abnormal = [ExitReason::Killed, ExitReason::error("x"), ExitReason::Panic("x".into())];
        let check = |restart, reasons: &[ExitReason], report, again| {
            for reason in reasons {
                let expected = Verdict { report, restart: again };
                assert_eq!(judge_exit(restart, reason), expected, "{restart:?} {reason}");
            }
        };
        check(Permanent, &orderly, true, true);
        check(Permanent, &abnormal, true, true);
        check(Transient, &orderly, false, false);
        check(Transient, &abnormal, true, true);
        check(Temporary, &orderly, false, false);
        check(Temporary, &abnormal, true, false);
    }

    #[test]
    fn stops_are_judged_by_how_they_were_asked_for() {
        let timeout = Shutdown::Timeout(Duration::from_secs(5));
        let kill = Shutdown::BrutalKill;
        let permanent = Restart::Permanent;
        let transient = Restart::Transient;
        let table = [
            (timeout, permanent, ExitReason::Shutdown, false),
            (timeout, permanent, ExitReason::Normal, true),
            (timeout, permanent, ExitReason::shutdown_with("x"), true),
            (timeout, permanent, ExitReason::Killed, true),
            (timeout, transient, ExitReason::Normal, false),
            (timeout, transient, ExitReason::shutdown_with("x"), false),
            (timeout, transient, ExitReason::Killed, true),
            (kill, permanent, ExitReason::Killed, false),
            (kill, permanent, ExitReason::Shutdown, true),
            (kill, transient, ExitReason::Shutdown, false),
            (kill, transient, ExitReason::error("x"), true),
            (Shutdown::Infinity, transient, ExitReason::Zombie, true),
        ];
        for (shutdown, restart, reason, error) in table {
            let spec = SpecInfo { shutdown, restart, ..SpecInfo::new("a", ChildType::Worker) };
            assert_eq!(is_shutdown_error(&spec, &reason), error, "{spec:?} {reason}");
        }
    }

    #[test]
    fn patience_runs_out_in_two_steps() {
        let grace = Duration::from_secs(5);
        let ms = Duration::from_millis;
        let mut patience = Patience::new(Shutdown::Timeout(ms(30)), ms(100), grace);
        assert_eq!(patience.tick(ms(129), grace), Next::Wait);
        assert_eq!(patience.tick(ms(130), grace), Next::Kill);
        assert_eq!(patience.tick(ms(5129), grace), Next::Wait);
        assert_eq!(patience.tick(ms(5130), grace), Next::GiveUp);
        let mut endless = Patience::new(Shutdown::Infinity, ms(0), grace);
        assert_eq!(endless.tick(Duration::from_secs(1 << 40), grace), Next::Wait);
    }

    #[test]
    fn failures_in_a_row_are_forgotten_after_a_long_run() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let mut dice = Dice::new(1);
        let mut life = Life::default();
        life.settle(Duration::ZERO);
        let mut pause = |at: u64| {
            let pause = life.pause(Duration::from_secs(at), &backoff, &mut dice);
            life.settle(Duration::from_secs(at));
            pause.as_millis()
        };
        assert_eq!([pause(1), pause(2), pause(3), pause(63)], [100, 200, 400, 100]);
    }
}
