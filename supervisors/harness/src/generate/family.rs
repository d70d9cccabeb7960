//! Families of scripts: what each puts its weight on.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::script::{AutoShutdown, Strategy};

/// A kind of script. Each is a different mix of the same ingredients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The three static strategies, all operations, no auto-shutdown.
    Static,
    /// Significant children under any_significant and all_significant.
    AutoShutdown,
    /// Starts that fail, crash or are ignored, in the initial specifications and later.
    Starts,
    /// Several deaths queued at once, often with failing restarts behind them.
    Queued,
    /// Children that don't stop when asked.
    Hanging,
    /// simple_one_for_one at the root.
    Dynamic,
    /// Two or three levels of supervisors of all strategies, with small intensities: escalation.
    Nested,
}

impl Family {
    pub const ALL: [Self; 7] = [
        Self::Static,
        Self::AutoShutdown,
        Self::Starts,
        Self::Queued,
        Self::Hanging,
        Self::Dynamic,
        Self::Nested,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::AutoShutdown => "auto_shutdown",
            Self::Starts => "starts",
            Self::Queued => "queued",
            Self::Hanging => "hanging",
            Self::Dynamic => "dynamic",
            Self::Nested => "nested",
        }
    }

    /// The family that a seed belongs to. Nested trees have the most to get wrong, so they come
    /// twice as often.
    pub fn of_seed(seed: u64) -> Self {
        let wheel = Self::ALL.len() as u64 + 1;
        let index = usize::try_from(seed % wheel).unwrap_or_default();
        Self::ALL.get(index).copied().unwrap_or(Self::Nested)
    }

    pub(super) fn profile(self) -> Profile {
        let base = Profile::default();
        match self {
            Self::Static => base,
            Self::AutoShutdown => Profile {
                autos: vec![AutoShutdown::AnySignificant, AutoShutdown::AllSignificant],
                intensities: vec![6, 2, 0, 20],
                ..base
            },
            Self::Starts => Profile { initial_plan: 0.3, plans: 8, batch_plan: 0.5, ..base },
            Self::Queued => Profile {
                autos: vec![
                    AutoShutdown::Never,
                    AutoShutdown::Never,
                    AutoShutdown::AnySignificant,
                    AutoShutdown::AllSignificant,
                ],
                batches: 12,
                batch_plan: 0.7,
                intensities: vec![6, 2, 8, 20],
                max_ops: 12,
                ..base
            },
            Self::Hanging => Profile { hanging: 6, max_ops: 10, ..base },
            Self::Dynamic => Profile {
                strategies: vec![Strategy::SimpleOneForOne],
                starts: 9,
                hanging: 1,
                batch_plan: 0.4,
                max_ops: 24,
                ..base
            },
            Self::Nested => Profile {
                depth: 2,
                initial_plan: 0.08,
                batch_plan: 0.4,
                hanging: 1,
                autos: vec![
                    AutoShutdown::Never,
                    AutoShutdown::Never,
                    AutoShutdown::Never,
                    AutoShutdown::Never,
                    AutoShutdown::AnySignificant,
                    AutoShutdown::AllSignificant,
                ],
                // The root has to outlive what its supervisors escalate to it.
                intensities: vec![20, 6, 3, 1],
                nested_autos: vec![
                    AutoShutdown::Never,
                    AutoShutdown::Never,
                    AutoShutdown::AnySignificant,
                    AutoShutdown::AllSignificant,
                ],
                nested_intensities: vec![1, 0, 0, 2],
                max_ops: 20,
                ..base
            },
        }
    }
}

impl Display for Family {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A family's name that doesn't exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no family of scripts: {0}")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, UnknownFamily> {
        let found = Self::ALL.into_iter().find(|family| family.name() == name);
        found.ok_or_else(|| UnknownFamily(name.to_owned()))
    }
}

/// What the raw strategies are drawn with. In lists the simplest value stands first: shrinking goes
/// there.
pub(super) struct Profile {
    pub(super) strategies: Vec<Strategy>,
    pub(super) autos: Vec<AutoShutdown>,
    pub(super) intensities: Vec<u32>,
    /// The same for supervisors below the root.
    pub(super) nested_autos: Vec<AutoShutdown>,
    pub(super) nested_intensities: Vec<u32>,
    /// How many levels of supervisors may stand below the root.
    pub(super) depth: u32,
    /// Probability that an initial specification plans its first starts.
    pub(super) initial_plan: f64,
    /// Probability that children of a batch of deaths have failing starts ahead.
    pub(super) batch_plan: f64,
    /// Weight of children that hang, beside eight of others; 0 for none.
    pub(super) hanging: u32,
    pub(super) starts: u32,
    pub(super) plans: u32,
    pub(super) batches: u32,
    pub(super) max_ops: usize,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            strategies: vec![Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne],
            autos: vec![AutoShutdown::Never],
            intensities: vec![6, 2, 1, 0, 20, 6],
            nested_autos: vec![AutoShutdown::Never],
            nested_intensities: vec![1],
            depth: 0,
            initial_plan: 0.03,
            batch_plan: 0.2,
            hanging: 0,
            starts: 3,
            plans: 3,
            batches: 3,
            max_ops: 16,
        }
    }
}
