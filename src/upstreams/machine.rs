//! The rules by which one upstream's instances are started, started again and given up. Pure: time
//! and chance are arguments, and what is to be done comes back as effects.
//!
//! A *member* is a place for one instance, which stays while instances come and go. The first
//! restart happens at once, since most crashes are bad luck; further ones pause for longer and
//! longer. A member that was restarted too often within the window, or that never gets ready, is
//! quarantined: it is left alone for a minute, then for twice as long, and so on. An instance that
//! was ready for longer than the window makes all of that forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use crate::provider::upstream::spec::Restart;

/// The pause before the second restart; the first has none.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the first quarantine lasts.
const QUARANTINE: Duration = Duration::from_secs(60);
/// How long the longest lasts.
const LONGEST_QUARANTINE: Duration = Duration::from_secs(15 * 60);
/// An instance that was ready for this long and then lost its session only needs another one.
const SETTLED: Duration = Duration::from_secs(1);

/// One member's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MemberId(pub u64);

/// How an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It starts for the first time.
    Starting,
    /// It serves.
    Ready,
    /// It serves, but some of its instances don't run.
    Degraded,
    /// It ended and is started again.
    Restarting,
    /// It ended too often, and is left alone for a while.
    Quarantined,
    /// It is not to run.
    Disabled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Starting,
        Self::Ready,
        Self::Degraded,
        Self::Restarting,
        Self::Quarantined,
        Self::Disabled,
    ];

    /// The name in logs, labels and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
            Self::Disabled => "disabled",
        }
    }

    /// Whether calls are served.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// How often an upstream may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// When an instance that ended is started again.
    pub restart: Restart,
    /// How many restarts within the window are bad luck.
    pub max_restarts: u32,
    /// The window.
    pub window: Duration,
    /// Whether members come with those who ask, so that having none is no fault.
    pub on_demand: bool,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with exit status 0.
    Finished,
    /// In any other way.
    Crashed,
    /// Its server forgot the session (404): a new handshake mends that.
    SessionLost,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// There is a new member.
    Open(MemberId),
    /// A member's instance serves.
    Ready(MemberId),
    /// A member's instance has ended, wholly.
    Ended(MemberId, End),
    /// Time has passed.
    Tick,
    /// An operator wants all of them started anew.
    Restart,
    /// A member is to go.
    Close(MemberId),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start an instance of the member.
    Start(MemberId),
    /// Stop the member's instance; its end is told as any other.
    Stop(MemberId),
    /// The member is gone.
    Forget(MemberId),
}

/// Where a member is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready {
        since: Duration,
    },
    Resting {
        until: Duration,
    },
    Quarantined {
        until: Duration,
    },
    /// It ended, and isn't started again.
    Over,
    Stopping {
        starts_again: bool,
    },
}

/// One member, with what counts against it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    phase: Phase,
    /// When it was restarted, as far as that lies within the window.
    restarts: VecDeque<Duration>,
    /// Restarts since it was last ready for long.
    in_a_row: u32,
    /// Instances since the last one that got ready.
    unready: u32,
    /// Quarantines since it was last ready for long.
    quarantines: u32,
    /// The instance that starts is the only try after a quarantine.
    is_on_trial: bool,
}

impl Member {
    fn new() -> Self {
        Self {
            phase: Phase::Starting,
            restarts: VecDeque::new(),
            in_a_row: 0,
            unready: 0,
            quarantines: 0,
            is_on_trial: false,
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready { .. })
    }

    /// Its instance ended by itself; what is to be done now.
    fn ended(&mut self, end: End, policy: &Policy, now: Duration, jitter: f64) {
        let was_ready = match self.phase {
            Phase::Ready { since } => Some(now.saturating_sub(since)),
            _ => None,
        };
        if was_ready.is_some_and(|time| time > policy.window) {
            *self = Self::new();
        }
        let is_over = match policy.restart {
            Restart::Permanent => false,
            Restart::Transient => end == End::Finished,
            Restart::Temporary => true,
        };
        self.phase = if is_over {
            Phase::Over
        } else if end == End::SessionLost && was_ready.is_some_and(|time| time >= SETTLED) {
            Phase::Starting
        } else {
            self.failed(was_ready.is_some(), policy, now, jitter)
        };
    }

    fn failed(&mut self, was_ready: bool, policy: &Policy, now: Duration, jitter: f64) -> Phase {
        while self.restarts.front().is_some_and(|at| now.saturating_sub(*at) > policy.window) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        self.unready = if was_ready { 0 } else { self.unready.saturating_add(1) };
        let max = policy.max_restarts;
        let is_too_often = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX) > max;
        if is_too_often || self.unready > max || self.is_on_trial {
            let until = now + quarantine(self.quarantines);
            self.quarantines = self.quarantines.saturating_add(1);
            self.restarts.clear();
            return Phase::Quarantined { until };
        }
        let pause = pause(self.in_a_row, jitter);
        self.in_a_row = self.in_a_row.saturating_add(1);
        if pause.is_zero() { Phase::Starting } else { Phase::Resting { until: now + pause } }
    }
}

/// The pause before a restart, after so many in a row: none, then between a half and the whole of
/// a time that doubles.
fn pause(in_a_row: u32, jitter: f64) -> Duration {
    let Some(doublings) = in_a_row.checked_sub(1) else { return Duration::ZERO };
    let whole = FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

fn quarantine(before: u32) -> Duration {
    QUARANTINE.saturating_mul(1 << before.min(16)).min(LONGEST_QUARANTINE)
}

/// The members of one upstream.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    members: BTreeMap<MemberId, Member>,
    /// Whether any instance ever got ready, so that what it offers is known.
    was_ready: bool,
}

impl Machine {
    /// An upstream without members.
    pub fn new(policy: Policy) -> Self {
        Self { policy, members: BTreeMap::new(), was_ready: false }
    }

    /// Follows another policy from now on.
    pub fn follow(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Takes note of what happened at `now`, counted from any fixed moment. `jitter` is random,
    /// between 0 and 1.
    pub fn on(&mut self, input: Input, now: Duration, jitter: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Open(id) if !self.members.contains_key(&id) => {
                self.members.insert(id, Member::new());
                effects.push(Effect::Start(id));
            }
            Input::Open(_) => {}
            Input::Ready(id) => self.ready(id, now),
            Input::Ended(id, end) => self.ended(id, end, now, jitter, &mut effects),
            Input::Tick => {
                for (id, member) in &mut self.members {
                    match member.phase {
                        Phase::Resting { until } if until <= now => {}
                        Phase::Quarantined { until } if until <= now => member.is_on_trial = true,
                        _ => continue,
                    }
                    member.phase = Phase::Starting;
                    effects.push(Effect::Start(*id));
                }
            }
            Input::Restart => {
                for (id, member) in &mut self.members {
                    restart(*id, member, &mut effects);
                }
            }
            Input::Close(id) => self.close(id, &mut effects),
        }
        effects
    }

    fn ready(&mut self, id: MemberId, now: Duration) {
        if let Some(member) = self.members.get_mut(&id)
            && member.phase == Phase::Starting
        {
            member.phase = Phase::Ready { since: now };
            (member.unready, member.is_on_trial) = (0, false);
            self.was_ready = true;
        }
    }

    fn ended(
        &mut self,
        id: MemberId,
        end: End,
        now: Duration,
        jitter: f64,
        effects: &mut Vec<Effect>,
    ) {
        let Some(member) = self.members.get_mut(&id) else { return };
        match member.phase {
            Phase::Stopping { starts_again: false } => {
                self.members.remove(&id);
                effects.push(Effect::Forget(id));
                return;
            }
            Phase::Stopping { starts_again: true } => *member = Member::new(),
            Phase::Starting | Phase::Ready { .. } => {
                member.ended(end, &self.policy, now, jitter);
            }
            // There was no instance that could end.
            Phase::Resting { .. } | Phase::Quarantined { .. } | Phase::Over => return,
        }
        if member.phase == Phase::Starting {
            effects.push(Effect::Start(id));
        }
    }

    fn close(&mut self, id: MemberId, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.is_running() {
            effects.push(Effect::Stop(id));
        } else if !matches!(member.phase, Phase::Stopping { .. }) {
            self.members.remove(&id);
            effects.push(Effect::Forget(id));
            return;
        }
        member.phase = Phase::Stopping { starts_again: false };
    }

    /// How the upstream is.
    pub fn state(&self) -> State {
        let count = |is: fn(&Member) -> bool| self.members.values().filter(|m| is(m)).count();
        let ready = count(|member| matches!(member.phase, Phase::Ready { .. }));
        let new = count(|m| m.phase == Phase::Starting && m.in_a_row == 0 && !m.is_on_trial);
        let again = count(|m| m.phase == Phase::Starting && (m.in_a_row > 0 || m.is_on_trial));
        let resting = count(|m| matches!(m.phase, Phase::Resting { .. }));
        let quarantined = count(|m| matches!(m.phase, Phase::Quarantined { .. }));
        let stopping = count(|m| m.phase == Phase::Stopping { starts_again: true });
        let over = count(|member| member.phase == Phase::Over);
        let sick = again + resting + quarantined + over;
        if ready > 0 {
            return if sick == 0 { State::Ready } else { State::Degraded };
        }
        let known = self.policy.on_demand && self.was_ready;
        match () {
            () if known && sick == 0 && stopping == 0 => State::Ready,
            () if again + resting + stopping > 0 => State::Restarting,
            () if new > 0 && self.was_ready => State::Restarting,
            () if new > 0 => State::Starting,
            () if quarantined > 0 => State::Quarantined,
            () if over > 0 => State::Disabled,
            () => State::Starting,
        }
    }

    /// When something is due that no other input will bring.
    pub fn due(&self) -> Option<Duration> {
        let due = |member: &Member| match member.phase {
            Phase::Resting { until } | Phase::Quarantined { until } => Some(until),
            _ => None,
        };
        self.members.values().filter_map(due).min()
    }

    /// How a member is whose next instance nobody needs to wait for; `None` where one runs or is
    /// about to.
    pub fn rests(&self, id: MemberId) -> Option<State> {
        match self.members.get(&id)?.phase {
            Phase::Starting | Phase::Ready { .. } | Phase::Stopping { .. } => None,
            Phase::Resting { .. } => Some(State::Restarting),
            Phase::Quarantined { .. } => Some(State::Quarantined),
            Phase::Over => Some(State::Disabled),
        }
    }
}

fn restart(id: MemberId, member: &mut Member, effects: &mut Vec<Effect>) {
    match member.phase {
        Phase::Starting | Phase::Ready { .. } => {
            member.phase = Phase::Stopping { starts_again: true };
            effects.push(Effect::Stop(id));
        }
        Phase::Stopping { .. } => {}
        Phase::Resting { .. } | Phase::Quarantined { .. } | Phase::Over => {
            *member = Member::new();
            effects.push(Effect::Start(id));
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
