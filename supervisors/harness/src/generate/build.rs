//! From raw scripts to valid ones: selectors become paths that the tree can have.

use std::collections::HashMap;

use super::raw::{RawNode, RawOp, RawScript, RawSup};
use crate::path::{Id, Path};
use crate::reason::Reason;
use crate::script::{
    AutoShutdown, Flags, Kind, Op, Outcome, Restart, Script, Shutdown, Spec, Strategy,
};
use crate::term::Term;

/// The restart window of every generated supervisor: so long that intensity is a plain counter.
const PERIOD_S: u64 = 3600;
const MAX_LEVEL: usize = 3;
const WORKERS: [&str; 4] = ["a", "b", "c", "d"];
const SUPERVISORS: [&str; 4] = ["s", "t", "u", "v"];

pub(super) fn script(raw: &RawScript) -> Script {
    let mut builder = Builder::default();
    let (flags, specs) = builder.supervisor(&Path::root(), &raw.root);
    for op in &raw.ops {
        builder.op(op);
    }
    Script { flags, specs, ops: builder.ops }
}

/// A supervisor that the tree may have, with the children that it may have.
#[derive(Clone)]
struct Site {
    path: Path,
    auto_shutdown: AutoShutdown,
    /// Ids of workers: those of the initial specifications and a fresh one.
    workers: Vec<Id>,
    /// Ids of supervisors, likewise. An id is never used for both.
    supervisors: Vec<Id>,
    /// The template of a simple_one_for_one supervisor.
    template: Option<Id>,
    /// How many keys of dynamic children have been given out: 1, 2, ...
    keys: i64,
}

impl Site {
    /// The full path of the child that a selector means, and the path by which `crash` finds it.
    fn child(&self, who: u8) -> (Path, Path) {
        match &self.template {
            Some(template) => {
                let key = 1 + i64::from(who) % self.keys.max(1);
                (self.path.child(template.clone()).child(key), self.path.child(key))
            }
            None => {
                let path = self.path.child(pick(&self.workers, who));
                (path.clone(), path)
            }
        }
    }

    fn children(&self) -> usize {
        match self.template {
            Some(_) => usize::try_from(self.keys).unwrap_or_default(),
            None => self.workers.len(),
        }
    }

    /// The id by which the supervisor's functions are told a child.
    fn id(&self, who: u8) -> Id {
        let ids: Vec<Id> =
            [&self.workers, &self.supervisors].into_iter().flatten().cloned().collect();
        self.template.clone().unwrap_or_else(|| pick(&ids, who))
    }

    /// Outcomes that restarts of this supervisor's children may have.
    fn allowed(&self, plan: &[Outcome]) -> Vec<Outcome> {
        let mended = plan.iter().map(|outcome| match outcome {
            Outcome::Ignore if self.template.is_some() => Outcome::Ok,
            outcome => outcome.clone(),
        });
        mended.collect()
    }
}

fn pick(ids: &[Id], who: u8) -> Id {
    let index = usize::from(who) % ids.len().max(1);
    ids.get(index).cloned().unwrap_or_else(|| Term::atom("nobody"))
}

#[derive(Default)]
struct Builder {
    /// The root's site stands first.
    sites: Vec<Site>,
    /// Supervisors that have been specified: an id keeps its shape when it is started anew.
    known: HashMap<Path, Spec>,
    ops: Vec<Op>,
}

impl Builder {
    /// Makes a supervisor's flags and specifications, and sites of it and all below it.
    fn supervisor(&mut self, path: &Path, raw: &RawSup) -> (Flags, Vec<Spec>) {
        let dynamic = raw.strategy == Strategy::SimpleOneForOne;
        let auto_shutdown = if dynamic { AutoShutdown::Never } else { raw.auto_shutdown };
        let may_nest = path.ids().len() < MAX_LEVEL && !dynamic;
        let nested = |node: &&RawNode| may_nest && node.sup.is_some();
        let supervisors = raw.children.iter().filter(nested).count();
        let workers = raw.children.len() - supervisors;
        let ids = |names: [&str; 4], count| names.map(Term::from).into_iter().take(count).collect();
        let has_nested = supervisors > 0;
        let mut site = Site {
            path: path.clone(),
            auto_shutdown,
            workers: ids(WORKERS, workers + 1),
            supervisors: ids(SUPERVISORS, if has_nested { supervisors + 1 } else { 0 }),
            template: None,
            keys: 0,
        };
        if dynamic {
            site.template = Some(Term::atom("sess"));
        }
        self.sites.push(site.clone());
        let flags = Flags {
            strategy: Some(raw.strategy),
            intensity: Some(raw.intensity),
            period_s: Some(PERIOD_S),
            auto_shutdown: (auto_shutdown != AutoShutdown::Never).then_some(auto_shutdown),
        };
        if let Some(template) = site.template {
            let worker = raw.children.first().map(|node| worker(template, node));
            let template = worker.map(|spec| Spec { simple: true, plan: None, ..spec });
            return (flags, template.into_iter().collect());
        }
        let (mut worker_ids, mut supervisor_ids) =
            (site.workers.clone().into_iter(), site.supervisors.clone().into_iter());
        let mut specs = Vec::new();
        for node in &raw.children {
            let nested = nested(&node);
            let id = if nested { supervisor_ids.next() } else { worker_ids.next() };
            let id = id.unwrap_or_else(|| Term::atom("nobody"));
            specs.push(self.spec(&site, id, node, nested));
        }
        (flags, specs)
    }

    /// A child of a static supervisor.
    fn spec(&mut self, site: &Site, id: Id, node: &RawNode, nested: bool) -> Spec {
        let base = worker(id.clone(), node);
        let kind = match &node.sup {
            Some(raw) if nested => {
                let path = site.path.child(id);
                match self.known.get(&path) {
                    Some(known) => known.kind.clone(),
                    None => {
                        let (flags, children) = self.supervisor(&path, raw);
                        let spec =
                            Spec { kind: Kind::Supervisor { flags, children }, ..base.clone() };
                        self.known.insert(path, spec.clone());
                        spec.kind
                    }
                }
            }
            _ => base.kind.clone(),
        };
        let spec = match kind {
            // A supervisor is always given all the time it needs.
            Kind::Supervisor { .. } => {
                let shutdown = node.significant.then_some(Shutdown::Infinity);
                Spec { shutdown, obey: None, ..base }
            }
            Kind::Worker { .. } => base,
        };
        let possible = site.auto_shutdown != AutoShutdown::Never;
        let allowed = possible && spec.restart() != Restart::Permanent;
        Spec { significant: possible.then_some(allowed && node.significant), kind, ..spec }
    }

    fn op(&mut self, raw: &RawOp) {
        match raw {
            RawOp::Crash { site, who, reason } => {
                let (_, path) = self.site(*site).child(*who);
                self.ops.push(Op::Crash { path, reason: reason.clone() });
            }
            RawOp::Start { site, who, node, bad_combination } => {
                self.start(*site, *who, node, *bad_combination);
            }
            RawOp::Terminate { site, who } => self.terminate(*site, *who),
            RawOp::Restart { site, who } => {
                let (sup, id) = self.target(*site, *who);
                self.ops.push(Op::RestartChild { sup, id });
            }
            RawOp::Delete { site, who } => {
                let (sup, id) = self.target(*site, *who);
                self.ops.push(Op::DeleteChild { sup, id });
            }
            RawOp::GetChildspec { site, who } => {
                let (sup, id) = self.target(*site, *who);
                self.ops.push(Op::GetChildspec { sup, id });
            }
            RawOp::Plan { site, who, plan } => {
                let site = self.site(*site);
                let (path, outcomes) = (site.child(*who).0, site.allowed(plan));
                self.ops.push(Op::Plan { path, outcomes });
            }
            RawOp::Batch { site, first, count, reverse, reason, plans } => {
                let site = self.site(*site);
                let count = usize::from(*count).min(site.children());
                let neighbours = (0..=u8::MAX).map(|step| site.child(first.wrapping_add(step)).0);
                self.batch(&site, neighbours.collect(), count, *reverse, reason, plans);
            }
            RawOp::Stop { reason } => self.ops.push(Op::Stop { reason: reason.clone() }),
        }
    }

    fn site(&self, selector: u8) -> Site {
        let index = usize::from(selector) % self.sites.len().max(1);
        self.sites.get(index).cloned().unwrap_or_else(|| Site {
            path: Path::root(),
            auto_shutdown: AutoShutdown::Never,
            workers: Vec::new(),
            supervisors: Vec::new(),
            template: None,
            keys: 0,
        })
    }

    fn target(&self, site: u8, who: u8) -> (Path, Id) {
        let site = self.site(site);
        let id = site.id(who);
        (site.path, id)
    }

    fn terminate(&mut self, site: u8, who: u8) {
        let site = self.site(site);
        let sup = site.path.clone();
        // Sometimes by id under simple_one_for_one as well, which OTP refuses.
        let op = match site.template {
            Some(_) if who % 8 != 7 => {
                Op::TerminateDynamic { sup, key: Term::Int(1 + i64::from(who) % site.keys.max(1)) }
            }
            _ => Op::TerminateChild { sup, id: site.id(who) },
        };
        self.ops.push(op);
    }

    fn start(&mut self, selector: u8, who: u8, node: &RawNode, bad_combination: bool) {
        let site = self.site(selector);
        let sup = site.path.clone();
        if site.template.is_some() {
            return self.start_dynamic(selector, node);
        }
        let nested = node.sup.is_some() && !site.supervisors.is_empty();
        let id = pick(if nested { &site.supervisors } else { &site.workers }, who);
        let mut spec = self.spec(&site, id, node, nested);
        if bad_combination && !nested {
            spec.significant = Some(true);
        }
        self.ops.push(Op::StartChild { sup, spec: Box::new(spec) });
    }

    /// Starts a dynamic child under a fresh key. Its first start may be planned to be ignored.
    fn start_dynamic(&mut self, selector: u8, node: &RawNode) {
        let index = usize::from(selector) % self.sites.len().max(1);
        let Some(site) = self.sites.get_mut(index) else {
            return;
        };
        site.keys += 1;
        let (sup, key) = (site.path.clone(), Term::Int(site.keys));
        if let Some((first, later)) = node.plan.split_first() {
            let template = site.template.clone().unwrap_or_else(|| Term::atom("nobody"));
            let path = sup.child(template).child(key.clone());
            let later = site.allowed(later);
            let outcomes = std::iter::once(first.clone()).chain(later).collect();
            self.ops.push(Op::Plan { path, outcomes });
        }
        self.ops.push(Op::StartDynamic { sup, key });
    }

    fn batch(
        &mut self,
        site: &Site,
        neighbours: Vec<Path>,
        count: usize,
        reverse: bool,
        reason: &Reason,
        plans: &[Vec<Outcome>],
    ) {
        let mut paths: Vec<Path> = Vec::with_capacity(count);
        for path in neighbours {
            if paths.len() < count && !paths.contains(&path) {
                paths.push(path);
            }
        }
        for (path, plan) in paths.iter().zip(plans) {
            self.ops.push(Op::Plan { path: path.clone(), outcomes: site.allowed(plan) });
        }
        if reverse {
            paths.reverse();
        }
        self.ops.push(Op::CrashAll { sup: site.path.clone(), paths, reason: reason.clone() });
    }
}

fn worker(id: Id, node: &RawNode) -> Spec {
    Spec {
        restart: node.restart,
        shutdown: node.shutdown,
        kind: Kind::Worker { named: node.restart.is_some() },
        obey: node.obey,
        plan: (!node.plan.is_empty()).then(|| node.plan.clone()),
        ..Spec::new(id)
    }
}
