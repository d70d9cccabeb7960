//! The words of a supervisor's and a child's specification, and what combinations are wrong.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// A child's name among its siblings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str> + ?Sized> From<&T> for ChildId {
    fn from(id: &T) -> Self {
        Self(id.as_ref().into())
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl Borrow<str> for ChildId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is restarted when one child has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the child that ended.
    OneForOne,
    /// All children: the others are stopped in reverse start order, then all are started in
    /// start order. Temporary ones stay away, and finished ones come back.
    OneForAll,
    /// The child that ended and those started after it.
    RestForOne,
}

impl Strategy {
    /// OTP's name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        }
    }
}

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always, whatever the reason, `normal` included.
    Permanent,
    /// Only after an abnormal exit.
    Transient,
    /// Never; its specification goes with it, also when a sibling's restart stopped it.
    Temporary,
}

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Killed at once, without being asked.
    BrutalKill,
    /// Asked to stop, and killed when it has not within this time.
    Timeout(Duration),
    /// Asked to stop, and waited for however long it takes. Meant for supervisors, which need
    /// the time of all their children; a worker that never ends blocks its supervisor for good.
    Infinity,
}

/// Whether a supervisor ends by itself when its significant children have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// As soon as one significant child ended for good by itself.
    AnySignificant,
    /// As soon as the last significant child ended for good by itself.
    AllSignificant,
}

/// What a child is; it decides the default of its shutdown, and where it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Anything that does work.
    Worker,
    /// Another supervisor.
    Supervisor,
}

/// How many restarts within how much time are too many.
///
/// With `restarts` 3 and `period` 5 s, the fourth restart within five seconds makes the
/// supervisor give up; with 0 the first does. OTP's default is 1 in 5 s.
///
/// OTP counts in whole seconds, so its window is up to one second longer than `period`; here it
/// is `period` exactly, and a restart that is just `period` old still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Intensity {
    /// Restarts that are still fine within `period`.
    pub restarts: u32,
    /// The window's length; not zero.
    pub period: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { restarts: 1, period: Duration::from_secs(5) }
    }
}

/// A pause before each restart that grows while restarts follow each other, and is jittered so
/// that many children that fail together do not come back together.
///
/// The n-th restart in a row waits `initial × factor^(n-1)`, at most `max`, less a random part of
/// up to `jitter` of it. A child that ran for `reset_after` starts over at `initial`. OTP has no
/// pauses: its supervisors restart at once, and retry as fast as intensity lets them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// Growth from one pause to the next; at least 1.
    pub factor: f64,
    /// The longest pause; at least `initial`.
    pub max: Duration,
    /// Which part of a pause is random, from 0 (none) to 1 (all of it).
    pub jitter: f64,
    /// How long a child has to run for its next pause to be `initial` again.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubling up to 30 s, half of it random, reset after a minute.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.5,
            reset_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    pub(crate) fn validate(&self) -> Result<(), SpecError> {
        let wrong = |field, rule| Err(SpecError::Backoff { field, rule });
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return wrong("factor", "must be a finite number of at least 1");
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return wrong("jitter", "must lie between 0 and 1");
        }
        if self.max < self.initial {
            return wrong("max", "must not be below `initial`");
        }
        Ok(())
    }
}

/// A supervisor's flags (OTP's `sup_flags()`), and what goes beyond them.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// Who is restarted with whom.
    pub strategy: Strategy,
    /// When to give up.
    pub intensity: Intensity,
    /// Whether to end with the significant children.
    pub auto_shutdown: AutoShutdown,
    /// Pauses before restarts; none, as in OTP, where this is `None`.
    pub backoff: Option<Backoff>,
    /// How long a killed child may take to end before it is given up as a zombie.
    pub kill_grace: Duration,
}

/// Long enough for a scheduler that is busy, short enough for an operator that waits.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(5);

impl Flags {
    /// OTP's defaults with the given strategy.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::Never,
            backoff: None,
            kill_grace: KILL_GRACE,
        }
    }

    /// Checks what types can't.
    ///
    /// # Errors
    /// Names the field and the rule.
    pub fn validate(&self) -> Result<(), SpecError> {
        validate_intensity("intensity", self.intensity)?;
        self.backoff.map_or(Ok(()), |backoff| backoff.validate())
    }
}

pub(crate) fn validate_intensity(
    field: &'static str,
    intensity: Intensity,
) -> Result<(), SpecError> {
    if intensity.period.is_zero() {
        return Err(SpecError::ZeroPeriod { field });
    }
    Ok(())
}

/// A child's specification without its start function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecInfo {
    /// Unique among the siblings.
    pub id: ChildId,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end may end the supervisor.
    pub significant: bool,
    /// Worker or supervisor.
    pub child_type: ChildType,
    /// How long its start function may take; a later start counts as failed. Beyond OTP, whose
    /// supervisor waits for a start for ever.
    pub start_timeout: Option<Duration>,
}

/// Long enough for a start that waits for a slow peer, and an end for one that hangs.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl SpecInfo {
    /// OTP's defaults: permanent; five seconds to stop for a worker, as long as it takes for a
    /// supervisor; not significant. A worker has a minute to start.
    pub fn new(id: impl Into<ChildId>, child_type: ChildType) -> Self {
        Self {
            id: id.into(),
            restart: Restart::Permanent,
            shutdown: match child_type {
                ChildType::Worker => Shutdown::Timeout(Duration::from_secs(5)),
                ChildType::Supervisor => Shutdown::Infinity,
            },
            significant: false,
            child_type,
            start_timeout: match child_type {
                ChildType::Worker => Some(START_TIMEOUT),
                // It starts its own children, and each of them has its time.
                ChildType::Supervisor => None,
            },
        }
    }

    /// Checks the specification against its supervisor's flags, before anything starts.
    ///
    /// # Errors
    /// Names the child and the rule.
    pub fn validate(&self, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
        let id = || self.id.clone();
        if self.id.as_str().is_empty() {
            return Err(SpecError::EmptyId);
        }
        if self.significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown { id: id() });
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { id: id() });
        }
        Ok(())
    }
}

/// A specification that can't be followed. Nothing was started.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A child without a name.
    #[error("`id` is empty: a child is named among its siblings")]
    EmptyId,
    /// Two children of one supervisor with the same id (OTP's `duplicate_child_name`).
    #[error("`id` \"{id}\" stands twice: ids are unique among siblings")]
    DuplicateId {
        /// The id.
        id: ChildId,
    },
    /// OTP's `bad_combination` of `significant` and `restart`.
    #[error(
        "child \"{id}\": `significant` with `restart = permanent`: a permanent child never ends \
         for good; make it transient or temporary"
    )]
    SignificantPermanent {
        /// The child.
        id: ChildId,
    },
    /// OTP's `bad_combination` of `significant` and `auto_shutdown`.
    #[error(
        "child \"{id}\": `significant` under `auto_shutdown = never`: nothing would come of its \
         end; set auto_shutdown on the supervisor"
    )]
    SignificantWithoutAutoShutdown {
        /// The child.
        id: ChildId,
    },
    /// Dynamic children differ only in their argument, so none of them is significant.
    #[error("`auto_shutdown` on a dynamic supervisor: its children can't be significant")]
    AutoShutdownOfDynamic,
    /// A window of no length.
    #[error("`{field}.period` is zero: restarts are counted within a time above zero")]
    ZeroPeriod {
        /// Which intensity.
        field: &'static str,
    },
    /// A pause that makes no sense.
    #[error("`backoff.{field}` {rule}")]
    Backoff {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A supervisor among the children can't be followed.
    #[error("child \"{id}\": {source}")]
    Below {
        /// The child.
        id: ChildId,
        /// What is wrong with it.
        source: Box<SpecError>,
    },
    /// A sharded supervisor without shards.
    #[error("`shards` is zero: at least one supervisor is needed")]
    NoShards,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(restart: Restart, significant: bool) -> SpecInfo {
        SpecInfo { restart, significant, ..SpecInfo::new("a", ChildType::Worker) }
    }

    #[test]
    fn combinations() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for auto in [Never, AnySignificant, AllSignificant] {
                assert_eq!(spec(restart, false).validate(auto), Ok(()));
                let allowed = restart != Restart::Permanent && auto != Never;
                assert_eq!(spec(restart, true).validate(auto).is_ok(), allowed);
            }
        }
    }

    #[test]
    fn errors_name_field_and_rule() {
        let text = spec(Restart::Permanent, true)
            .validate(AutoShutdown::AnySignificant)
            .unwrap_err()
            .to_string();
        assert!(text.contains("\"a\"") && text.contains("`significant`"), "{text}");
        let flags = Flags {
            intensity: Intensity { restarts: 1, period: Duration::ZERO },
            ..Flags::new(Strategy::OneForOne)
        };
        assert!(flags.validate().unwrap_err().to_string().contains("`intensity.period`"));
        let nameless = SpecInfo::new("", ChildType::Worker);
        assert_eq!(nameless.validate(AutoShutdown::Never), Err(SpecError::EmptyId));
    }
}
