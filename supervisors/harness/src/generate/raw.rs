//! Raw scripts: shapes and selectors, drawn without looking at each other.

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::{Just, any};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Strategy as _, Union};

use super::family::Profile;
use crate::reason::Reason;
use crate::script::{AutoShutdown, Obey, Outcome, Restart, Shutdown, Strategy};

#[derive(Clone, Debug)]
pub(super) struct RawScript {
    pub(super) root: RawSup,
    pub(super) ops: Vec<RawOp>,
}

#[derive(Clone, Debug)]
pub(super) struct RawSup {
    pub(super) strategy: Strategy,
    pub(super) intensity: u32,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) children: Vec<RawNode>,
}

/// A child to be. What its place doesn't allow is mended when the script is built.
#[derive(Clone, Debug)]
pub(super) struct RawNode {
    pub(super) restart: Option<Restart>,
    pub(super) shutdown: Option<Shutdown>,
    pub(super) obey: Option<Obey>,
    pub(super) significant: bool,
    pub(super) plan: Vec<Outcome>,
    pub(super) sup: Option<RawSup>,
}

/// An operation to be. `site` selects a supervisor, `who` one of its (possible) children.
#[derive(Clone, Debug)]
pub(super) enum RawOp {
    Crash {
        site: u8,
        who: u8,
        reason: Reason,
    },
    Start {
        site: u8,
        who: u8,
        node: RawNode,
        bad_combination: bool,
    },
    Terminate {
        site: u8,
        who: u8,
    },
    Restart {
        site: u8,
        who: u8,
    },
    Delete {
        site: u8,
        who: u8,
    },
    GetChildspec {
        site: u8,
        who: u8,
    },
    Plan {
        site: u8,
        who: u8,
        plan: Vec<Outcome>,
    },
    /// Deaths of `count` neighbours, the plans being for the first ones among them.
    Batch {
        site: u8,
        first: u8,
        count: u8,
        reverse: bool,
        reason: Reason,
        plans: Vec<Vec<Outcome>>,
    },
    Stop {
        reason: Reason,
    },
}

pub(super) fn script(profile: &Profile) -> BoxedStrategy<RawScript> {
    let strategies = profile.strategies.clone();
    let (intensities, autos) = (profile.intensities.clone(), profile.autos.clone());
    let root = sup(profile, profile.depth, strategies, intensities, autos);
    let stop = prop_oneof![
        7 => Just(Reason::shutdown()),
        1 => select(vec![
            Reason::normal(),
            Reason::shutdown_with(Reason::atom("x")),
            Reason::atom("boom"),
        ]),
    ];
    (root, vec(op(profile), 1..=profile.max_ops), stop)
        .prop_map(|(root, mut ops, reason)| {
            ops.push(RawOp::Stop { reason });
            RawScript { root, ops }
        })
        .boxed()
}

fn sup(
    profile: &Profile,
    depth: u32,
    strategies: Vec<Strategy>,
    intensities: Vec<u32>,
    autos: Vec<AutoShutdown>,
) -> BoxedStrategy<RawSup> {
    let children = vec(node(profile, depth, profile.initial_plan), 1..=3);
    (select(strategies), select(intensities), select(autos), children)
        .prop_map(|(strategy, intensity, auto_shutdown, children)| RawSup {
            strategy,
            intensity,
            auto_shutdown,
            children,
        })
        .boxed()
}

fn node(profile: &Profile, depth: u32, plan_chance: f64) -> BoxedStrategy<RawNode> {
    let worker = worker(profile, plan_chance);
    if depth == 0 {
        return worker;
    }
    let strategies = vec![
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
        Strategy::SimpleOneForOne,
    ];
    let (intensities, autos) = (profile.nested_intensities.clone(), profile.nested_autos.clone());
    let supervisor = (worker.clone(), sup(profile, depth - 1, strategies, intensities, autos))
        .prop_map(|(node, sup)| RawNode { sup: Some(sup), ..node });
    prop_oneof![3 => worker, 2 => supervisor].boxed()
}

fn worker(profile: &Profile, plan_chance: f64) -> BoxedStrategy<RawNode> {
    let restart = select(vec![
        Some(Restart::Permanent),
        Some(Restart::Transient),
        Some(Restart::Permanent),
        Some(Restart::Temporary),
        Some(Restart::Transient),
        None,
    ]);
    (restart, stopping(profile.hanging), any::<bool>(), maybe_plan(plan_chance))
        .prop_map(|(restart, (shutdown, obey), significant, plan)| RawNode {
            restart,
            shutdown,
            obey,
            significant,
            plan,
            sup: None,
        })
        .boxed()
}

/// How a worker is stopped and what it does then. Only a hanging child ever waits for its time-out.
fn stopping(hanging: u32) -> BoxedStrategy<(Option<Shutdown>, Option<Obey>)> {
    let usual = select(vec![
        (Some(Shutdown::BrutalKill), Some(Obey::Obey)),
        (Some(Shutdown::TimeoutMs(5000)), Some(Obey::Obey)),
        (Some(Shutdown::Infinity), Some(Obey::Obey)),
        (None, None),
        (Some(Shutdown::TimeoutMs(5000)), Some(Obey::Other)),
        (Some(Shutdown::Infinity), Some(Obey::Other)),
        (Some(Shutdown::BrutalKill), Some(Obey::Other)),
    ]);
    if hanging == 0 {
        return usual.boxed();
    }
    let hang = Just((Some(Shutdown::TimeoutMs(30)), Some(Obey::Hang)));
    prop_oneof![8 => usual, hanging => hang].boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    prop_oneof![
        2 => Just(Outcome::Ok),
        3 => Just(Outcome::Error(Reason::atom("nope"))),
        2 => Just(Outcome::Crash),
        2 => Just(Outcome::Ignore),
    ]
    .boxed()
}

fn maybe_plan(chance: f64) -> BoxedStrategy<Vec<Outcome>> {
    // Half of the plans let the first start succeed: then the supervisor itself starts and meets
    // the failure later.
    let planned = (any::<bool>(), vec(outcome(), 1..=3)).prop_map(|(start, mut plan)| {
        if start {
            plan.insert(0, Outcome::Ok);
        }
        plan
    });
    proptest::option::weighted(chance, planned).prop_map(Option::unwrap_or_default).boxed()
}

fn reason() -> BoxedStrategy<Reason> {
    select(vec![
        Reason::atom("boom"),
        Reason::normal(),
        Reason::atom("boom"),
        Reason::shutdown(),
        Reason::shutdown_with(Reason::atom("x")),
        Reason::atom("kill"),
    ])
    .boxed()
}

fn op(profile: &Profile) -> BoxedStrategy<RawOp> {
    let at = || (any::<u8>(), any::<u8>());
    let crash = (at(), reason())
        .prop_map(|((site, who), reason)| RawOp::Crash { site, who, reason })
        .boxed();
    let started = node(profile, profile.depth.min(1), 0.15);
    let start = (at(), started, weighted(0.04))
        .prop_map(|((site, who), node, bad_combination)| RawOp::Start {
            site,
            who,
            node,
            bad_combination,
        })
        .boxed();
    let plan = (at(), vec(outcome(), 1..=3))
        .prop_map(|((site, who), plan)| RawOp::Plan { site, who, plan })
        .boxed();
    let plans = proptest::option::weighted(profile.batch_plan, vec(vec(outcome(), 1..=2), 1..=3))
        .prop_map(Option::unwrap_or_default);
    let batch = (at(), 1..=4_u8, any::<bool>(), reason(), plans)
        .prop_map(|((site, first), count, reverse, reason, plans)| RawOp::Batch {
            site,
            first,
            count,
            reverse,
            reason,
            plans,
        })
        .boxed();
    let simple = |make: fn(u8, u8) -> RawOp| at().prop_map(move |(site, who)| make(site, who));
    Union::new_weighted(vec![
        (8, crash),
        (profile.starts, start),
        (2, simple(|site, who| RawOp::Terminate { site, who }).boxed()),
        (2, simple(|site, who| RawOp::Restart { site, who }).boxed()),
        (2, simple(|site, who| RawOp::Delete { site, who }).boxed()),
        (1, simple(|site, who| RawOp::GetChildspec { site, who }).boxed()),
        (profile.plans, plan),
        (profile.batches, batch),
    ])
    .boxed()
}
