//! The tree that a seed stands for: three levels of supervisors, with workers at each.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use supervisors::{AutoShutdown, Backoff, Intensity, Restart, Shutdown, Strategy};

use super::dice::Dice;

/// A supervisor to be built; its path is made of the ids from the root.
#[derive(Clone, Debug)]
pub(crate) struct SupPlan {
    pub(crate) path: String,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) children: Vec<ChildPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct ChildPlan {
    pub(crate) id: String,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Leaf(Nature),
    Supervisor(SupPlan),
    Dynamic(DynPlan),
}

/// A dynamic supervisor to be built, and the children that it gets first.
#[derive(Clone, Debug)]
pub(crate) struct DynPlan {
    pub(crate) path: String,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) intensity: Intensity,
    /// The intensity is each child's own.
    pub(crate) per_child: bool,
    pub(crate) backoff: Option<Backoff>,
}

/// What a worker is made of, and how it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    pub(crate) make: Make,
    pub(crate) stop: Stop,
    /// Its state panics while it is dropped.
    pub(crate) drop_panics: bool,
    /// Where there are several threads, its state takes a while to be dropped.
    pub(crate) drop_blocks: bool,
    /// It may be told to hang: its supervisor does not wait for it for ever.
    pub(crate) may_hang: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Task,
    Trapping,
    Actor,
    /// A kind that only the test knows, built on `Link::guard`.
    Own,
}

/// What a worker does when it is asked to stop; a plain task is never asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    Obey,
    Slow(Duration),
    Refuse,
}

const LEVELS: usize = 3;

pub(crate) fn tree(dice: &mut Dice) -> SupPlan {
    supervisor(dice, "root".into(), LEVELS)
}

fn supervisor(dice: &mut Dice, path: String, levels: usize) -> SupPlan {
    let strategy = dice.weighted(&[
        (1, Strategy::OneForOne),
        (1, Strategy::OneForAll),
        (1, Strategy::RestForOne),
    ]);
    let auto_shutdown = dice.weighted(&[
        (8, AutoShutdown::Never),
        (1, AutoShutdown::AnySignificant),
        (1, AutoShutdown::AllSignificant),
    ]);
    let intensity = intensity(dice, levels == LEVELS);
    let backoff = backoff(dice);
    let number = if levels > 1 { dice.between(2, 4) } else { dice.between(1, 4) };
    let children = (0..number)
        .map(|at| {
            // The first child goes all the way down, so that each tree has its full depth.
            let deeper = levels > 1 && (at == 0 || dice.chance(50));
            child(dice, &path, &format!("c{at}"), auto_shutdown, deeper.then_some(levels - 1))
        })
        .collect();
    SupPlan { path, strategy, intensity, auto_shutdown, backoff, children }
}

/// A child; a supervisor, if `levels` says how many there may be.
pub(crate) fn child(
    dice: &mut Dice,
    above: &str,
    id: &str,
    auto_shutdown: AutoShutdown,
    levels: Option<usize>,
) -> ChildPlan {
    let restart = restart(dice);
    let significant =
        auto_shutdown != AutoShutdown::Never && restart != Restart::Permanent && dice.chance(50);
    let path = format!("{above}/{id}");
    let (kind, shutdown) = match levels {
        None => {
            let (nature, shutdown) = worker(dice);
            (Kind::Leaf(nature), shutdown)
        }
        Some(levels) => {
            let shutdown = dice.weighted(&[
                (6, Shutdown::Infinity),
                (1, Shutdown::BrutalKill),
                (1, Shutdown::Timeout(Duration::from_millis(5))),
                (1, Shutdown::Timeout(Duration::from_millis(50))),
            ]);
            let kind = if id != "c0" && dice.chance(35) {
                Kind::Dynamic(dynamic(dice, path))
            } else {
                Kind::Supervisor(supervisor(dice, path, levels))
            };
            (kind, shutdown)
        }
    };
    ChildPlan { id: id.into(), restart, shutdown, significant, kind }
}

fn dynamic(dice: &mut Dice, path: String) -> DynPlan {
    DynPlan {
        path,
        restart: restart(dice),
        // One common time for all, so that each of them may hang.
        shutdown: if dice.chance(30) {
            Shutdown::BrutalKill
        } else {
            Shutdown::Timeout(dice.ms(1, 30))
        },
        intensity: intensity(dice, false),
        per_child: dice.chance(50),
        backoff: backoff(dice),
    }
}

/// A worker's nature, and the shutdown that goes with it.
pub(crate) fn worker(dice: &mut Dice) -> (Nature, Shutdown) {
    let shutdown = match dice.between(0, 9) {
        0..=1 => Shutdown::BrutalKill,
        2..=3 => Shutdown::Infinity,
        _ => Shutdown::Timeout(dice.ms(1, 30)),
    };
    let may_hang = shutdown != Shutdown::Infinity;
    (nature(dice, may_hang), shutdown)
}

pub(crate) fn nature(dice: &mut Dice, may_hang: bool) -> Nature {
    let make =
        dice.weighted(&[(3, Make::Task), (2, Make::Trapping), (3, Make::Actor), (2, Make::Own)]);
    let stop = match dice.between(0, 9) {
        0 if may_hang => Stop::Refuse,
        1..=3 => Stop::Slow(dice.ms(1, 40)),
        _ => Stop::Obey,
    };
    let (drop_panics, drop_blocks) = (dice.chance(8), dice.chance(20));
    Nature { make, stop, drop_panics, drop_blocks, may_hang }
}

fn restart(dice: &mut Dice) -> Restart {
    dice.weighted(&[(5, Restart::Permanent), (3, Restart::Transient), (1, Restart::Temporary)])
}

fn intensity(dice: &mut Dice, root: bool) -> Intensity {
    // A root that gives up ends the storm, so it is more patient.
    let restarts = match dice.between(0, 9) {
        0..=1 if !root => dice.between(0, 2),
        9 => 1000,
        _ => dice.between(4, 20),
    };
    Intensity { restarts: u32::try_from(restarts).unwrap(), period: dice.ms(30, 1000) }
}

fn backoff(dice: &mut Dice) -> Option<Backoff> {
    dice.chance(25).then(|| Backoff {
        initial: dice.ms(0, 5),
        factor: 2.0,
        max: Duration::from_millis(40),
        // The supervisors' own seeds are not ours to set: jitter would not repeat.
        jitter: 0.0,
        reset_after: dice.ms(20, 200),
    })
}

/// One line for each child.
impl fmt::Display for SupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, strategy, intensity, auto_shutdown, backoff, children } = self;
        writeln!(f, "{path}: {strategy:?} {intensity:?} {auto_shutdown:?} {backoff:?}")?;
        for ChildPlan { id, restart, shutdown, significant, kind } in children {
            write!(f, "{path}/{id}: {restart:?} {shutdown:?} significant {significant} ")?;
            match kind {
                Kind::Leaf(nature) => writeln!(f, "{nature:?}")?,
                Kind::Dynamic(plan) => writeln!(f, "{plan:?}")?,
                Kind::Supervisor(plan) => write!(f, "{plan}")?,
            }
        }
        Ok(())
    }
}

impl SupPlan {
    /// All static supervisors, this one first.
    pub(crate) fn supervisors(&self) -> Vec<&SupPlan> {
        let below = self.children.iter().flat_map(|child| match &child.kind {
            Kind::Supervisor(plan) => plan.supervisors(),
            _ => Vec::new(),
        });
        std::iter::once(self).chain(below).collect()
    }

    pub(crate) fn dynamics(&self) -> Vec<&DynPlan> {
        let children = self.supervisors().into_iter().flat_map(|plan| &plan.children);
        children
            .filter_map(|child| match &child.kind {
                Kind::Dynamic(plan) => Some(plan),
                _ => None,
            })
            .collect()
    }

    /// The paths of all workers that the tree begins with.
    pub(crate) fn workers(&self) -> Vec<String> {
        let all = self.supervisors().into_iter();
        all.flat_map(|plan| {
            let leaves = plan.children.iter().filter(|c| matches!(c.kind, Kind::Leaf(_)));
            leaves.map(|child| format!("{}/{}", plan.path, child.id))
        })
        .collect()
    }

    /// The paths of the workers that are asked to stop, and waited for however long it takes.
    pub(crate) fn gentle(&self) -> BTreeSet<String> {
        let gentle = self.children.iter().filter(|child| child.shutdown == Shutdown::Infinity);
        gentle
            .flat_map(|child| match &child.kind {
                // A plain task can't be asked.
                Kind::Leaf(nature) if nature.make != Make::Task => {
                    BTreeSet::from([format!("{}/{}", self.path, child.id)])
                }
                Kind::Supervisor(plan) => plan.gentle(),
                _ => BTreeSet::new(),
            })
            .collect()
    }

    /// Whether this supervisor may end because significant children have.
    pub(crate) fn may_end_itself(&self) -> bool {
        self.auto_shutdown != AutoShutdown::Never
    }
}
