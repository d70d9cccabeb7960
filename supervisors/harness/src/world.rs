//! The fake child world on our side: what `otp_trace.escript` keeps in its tables.
//!
//! An adapter tells it of every start, stop request and exit, and it answers what the child does:
//! whether a start fails, how a child reacts to being stopped. It numbers the runs, knows who is
//! alive and keeps the events. It knows nothing of supervisors' rules.
//!
//! The order of calls is the order of events, so an adapter has to call it when the thing happens:
//! [`World::declare`] when a supervisor gets a specification, [`World::start`] when it calls the
//! start function, [`World::exit`] when a child has ended, [`World::report`] when it reports.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::path::{Id, Label, Path};
use crate::reason::Reason;
use crate::script::{Obey, Outcome, Spec};
use crate::trace::{Context, Event, Started, batch};

/// Book-keeping of one run of one script.
#[derive(Debug, Default)]
pub struct World {
    starts: HashMap<Path, u32>,
    plans: HashMap<Path, VecDeque<Outcome>>,
    /// Template ids of simple_one_for_one supervisors.
    templates: HashMap<Path, Id>,
    /// Who is alive, workers and supervisors, with what it does when asked to stop.
    alive: BTreeMap<Label, Obey>,
    events: Vec<Event>,
}

/// What a start gives. The event is already written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub label: Label,
    pub started: Started,
}

/// What a child does when it is asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It ends with this reason; call [`World::exit`] when it has.
    Exit(Reason),
    /// It goes on (already written down) until it is killed.
    Hang,
}

impl World {
    /// A world in which the root supervisor is about to start.
    pub fn new() -> Self {
        Self::default()
    }

    /// A supervisor is handed a specification: at its own start (each time), or by `start_child`
    /// before anything is checked. Sets the plan that the specification carries.
    pub fn declare(&mut self, sup: &Path, spec: &Spec) {
        if let Some(plan) = &spec.plan {
            self.plan(&sup.child(spec.id.clone()), plan);
        }
        if spec.simple {
            self.templates.insert(sup.clone(), spec.id.clone());
        }
    }

    /// Sets the outcomes of the next starts of a path, in place of those set before.
    pub fn plan(&mut self, path: &Path, outcomes: &[Outcome]) {
        self.plans.insert(path.clone(), outcomes.iter().cloned().collect());
    }

    /// The root supervisor runs: the one start that has no event.
    pub fn root_started(&mut self) -> Label {
        let label = Label { path: Path::root(), run: 1 };
        self.alive.insert(label.clone(), Obey::Obey);
        label
    }

    /// A start of a child is tried. For a supervisor, [`Started::Supervisor`] means that it begins
    /// to start its children; say [`World::supervisor_started`] or [`World::start_failed`] then.
    pub fn start(&mut self, path: &Path, spec: &Spec) -> Start {
        let run = self.starts.entry(path.clone()).or_default();
        *run += 1;
        let label = Label { path: path.clone(), run: *run };
        let outcome = self.plans.get_mut(path).and_then(VecDeque::pop_front);
        let started = match outcome.unwrap_or(Outcome::Ok) {
            Outcome::Ok if spec.is_supervisor() => Started::Supervisor,
            Outcome::Ok => Started::Ok,
            Outcome::Ignore => Started::Ignore,
            Outcome::Error(reason) => Started::Error(reason.normalised()),
            Outcome::Crash => Started::Crash,
        };
        if started == Started::Ok {
            self.alive.insert(label.clone(), spec.obey());
        }
        self.events.push(Event::Start { label: label.clone(), started: started.clone() });
        Start { label, started }
    }

    /// A supervisor has started all its children.
    pub fn supervisor_started(&mut self, label: &Label) {
        self.alive.insert(label.clone(), Obey::Obey);
    }

    /// A supervisor that had begun to start could not start its children.
    pub fn start_failed(&mut self, label: &Label, reason: Reason) {
        let (label, reason) = (label.clone(), reason.normalised());
        self.events.push(Event::StartFailed { label, reason });
    }

    /// A child is asked to stop, with this reason.
    pub fn on_stop(&mut self, label: &Label, reason: Reason) -> OnStop {
        match self.alive.get(label) {
            Some(Obey::Hang) => {
                let (label, reason) = (label.clone(), reason.normalised());
                self.events.push(Event::Hung { label, reason });
                OnStop::Hang
            }
            Some(Obey::Other) => OnStop::Exit(Reason::atom("other")),
            Some(Obey::Obey) | None => OnStop::Exit(reason),
        }
    }

    /// A child or supervisor has ended. Whether it was alive until now; only then is it an event.
    pub fn exit(&mut self, label: &Label, reason: Reason) -> bool {
        let was_alive = self.alive.remove(label).is_some();
        if was_alive {
            let (label, reason) = (label.clone(), reason.normalised());
            self.events.push(Event::Exit { label, reason });
        }
        was_alive
    }

    /// A supervisor reports. `id` is the child's, under simple_one_for_one the template's.
    pub fn report(&mut self, supervisor: &Path, context: Context, id: &Id, reason: Reason) {
        self.events.push(Event::Report {
            supervisor: supervisor.clone(),
            context,
            id: id.clone(),
            reason: reason.normalised(),
        });
    }

    pub fn is_alive(&self, label: &Label) -> bool {
        self.alive.contains_key(label)
    }

    /// The living run of a path: whom `crash_all` finds.
    pub fn living(&self, path: &Path) -> Option<Label> {
        let from = Label { path: path.clone(), run: 0 };
        let to = Label { path: path.clone(), run: u32::MAX };
        self.alive.range(from..=to).next_back().map(|(label, _)| label.clone())
    }

    /// The living run that `crash` and the like find by a path, where a dynamic child is named by
    /// its key alone, without the template's id.
    pub fn find(&self, path: &Path) -> Option<Label> {
        let dynamic = path.parent().and_then(|sup| {
            let template = self.templates.get(&sup)?;
            Some(sup.child(template.clone()).child(path.last()?.clone()))
        });
        self.living(&dynamic.unwrap_or_else(|| path.clone()))
    }

    /// How many starts of a path were tried.
    pub fn starts(&self, path: &Path) -> u32 {
        self.starts.get(path).copied().unwrap_or_default()
    }

    /// Everybody alive, by path. Empty when the tree is gone.
    pub fn all_alive(&self) -> impl Iterator<Item = &Label> {
        self.alive.keys()
    }

    /// The events since the last call, in canonical order.
    pub fn take_events(&mut self) -> Vec<Event> {
        let mut events = batch(std::mem::take(&mut self.events));
        // A simple_one_for_one supervisor that stops reports each distinct error once, in no
        // defined order; OTP's is that of the reasons.
        for run in events.chunk_by_mut(|a, b| self.is_unordered(a) && self.is_unordered(b)) {
            run.sort_by(|a, b| error_reason(a).cmp(&error_reason(b)));
        }
        events
    }

    fn is_unordered(&self, event: &Event) -> bool {
        match event {
            Event::Report { supervisor, context: Context::ShutdownError, .. } => {
                self.templates.contains_key(supervisor)
            }
            _ => false,
        }
    }
}

fn error_reason(event: &Event) -> Option<&Reason> {
    match event {
        Event::Report { reason, .. } => Some(reason),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(world: &mut World) -> Vec<String> {
        world.take_events().iter().map(Event::to_string).collect()
    }

    #[test]
    fn starts_are_counted_and_follow_the_plan() {
        let mut world = World::new();
        let (root, path) = (Path::root(), Path::root().child("a"));
        let plan = vec![Outcome::Error(Reason::atom("nope")), Outcome::Crash, Outcome::Ignore];
        let spec = Spec { plan: Some(plan), obey: Some(Obey::Other), ..Spec::new("a") };
        world.declare(&root, &spec);
        for _ in 0..3 {
            world.start(&path, &spec);
        }
        let label = world.start(&path, &spec).label;
        assert_eq!(world.living(&path), Some(label.clone()));
        let stopped = world.on_stop(&label, Reason::shutdown());
        assert_eq!(stopped, OnStop::Exit(Reason::atom("other")));
        assert!(world.exit(&label, Reason::atom("other")));
        assert!(!world.exit(&label, Reason::killed()), "nobody dies twice");
        assert_eq!((world.living(&path), world.starts(&path)), (None, 4));
        assert_eq!(
            lines(&mut world),
            [
                "start root/a#1 {error,nope}",
                "start root/a#2 crash",
                "start root/a#3 ignore",
                "start root/a#4 ok",
                "exit root/a#4 other",
            ]
        );
    }

    /// Dynamic children are found by key; a run of their exits is sorted, exits before refusals.
    #[test]
    fn dynamic_children() {
        let mut world = World::new();
        let root = Path::root();
        let spec = Spec { simple: true, obey: Some(Obey::Hang), ..Spec::new("sess") };
        world.declare(&root, &spec);
        let start =
            |world: &mut World, key: i64| world.start(&root.child("sess").child(key), &spec).label;
        let labels: Vec<_> = [10, 9, 2].map(|key| start(&mut world, key)).into();
        assert_eq!(world.find(&root.child(9)), labels.get(1).cloned());
        world.take_events();
        for label in &labels {
            assert_eq!(world.on_stop(label, Reason::shutdown()), OnStop::Hang);
            assert!(world.exit(label, Reason::killed()));
        }
        world.report(&root, Context::ShutdownError, &"sess".into(), Reason::killed());
        assert_eq!(
            lines(&mut world),
            [
                "exit root/sess/2#1 killed",
                "exit root/sess/9#1 killed",
                "exit root/sess/10#1 killed",
                "hung root/sess/2#1 shutdown",
                "hung root/sess/9#1 shutdown",
                "hung root/sess/10#1 shutdown",
                "report root shutdown_error sess killed",
            ]
        );
        assert_eq!(world.all_alive().count(), 0);
    }
}
