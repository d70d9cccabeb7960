//! The pure machines: a tree of them in one thread, with virtual time and fake children.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use supervisors::machine::{
    ChildError, ChildKey, ChildState, Done, DynamicCall, Effect, FailedChild, FixedCall, Outcome,
    Report,
};
use supervisors::{ExitReason, SpecError};

use super::sup::{Machine, Mail, Sup};
use super::words::{self, Call};
use crate::path::{Id, Label, Path};
use crate::reason::Reason;
use crate::replay::Subject;
use crate::script::{Flags, Kind, Op, Spec};
use crate::trace::{Event, Ret, Snapshot, Started};
use crate::world::{OnStop, World};

type Answer = Result<Done, ChildError>;

/// A tree of machines.
#[derive(Debug, Default)]
pub struct Machines {
    world: World,
    sups: HashMap<Label, Sup>,
    /// Everybody's mailbox; one for all, which keeps the order of causes.
    mail: VecDeque<(Label, Mail)>,
    now: Duration,
    root: Option<Label>,
    answer: Option<Answer>,
    root_exit: Option<Reason>,
    root_start: Option<Result<(), FailedChild>>,
}

impl Machines {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn send(&mut self, to: &Label, mail: Mail) {
        self.mail.push_back((to.clone(), mail));
    }

    /// Until nothing is queued and no time-out is awaited.
    fn settle(&mut self) {
        loop {
            while let Some((to, mail)) = self.mail.pop_front() {
                self.deliver(&to, mail);
            }
            let next = self.sups.iter().filter_map(|(at, sup)| Some((sup.machine.deadline()?, at)));
            let Some((due, label)) = next.min().map(|(due, label)| (due, label.clone())) else {
                return;
            };
            self.now = self.now.max(due);
            self.send(&label, Mail::Tick);
        }
    }

    fn deliver(&mut self, to: &Label, mail: Mail) {
        let Some(sup) = self.sups.get_mut(to) else { return };
        sup.machine.handle(self.now, mail);
        while let Some(effect) = self.sups.get_mut(to).and_then(|s| s.machine.next_effect()) {
            self.run(to, effect);
        }
    }

    fn run(&mut self, of: &Label, effect: Effect<()>) {
        match effect {
            Effect::Start { key, run } => self.start(of, key, run),
            Effect::Shutdown(key) => self.shutdown(of, key),
            Effect::Kill(key) => self.kill(of, key),
            Effect::Retry { key, run } => self.send(of, Mail::Retry { key, run }),
            Effect::Report(report) => self.report(of, &report),
            Effect::Reply((), answer) => self.answer = Some(answer),
            Effect::Booted(outcome) => self.booted(of, outcome),
            Effect::Exit(reason) => self.exit(of, &reason),
            Effect::Changed(_) | Effect::Reconfigured { .. } => {}
        }
    }

    fn start(&mut self, of: &Label, key: ChildKey, run: u32) {
        let Some(sup) = self.sups.get_mut(of) else { return };
        let Some((path, spec)) = sup.machine.whats_started(&of.path, key) else { return };
        let start = self.world.start(&path, &spec);
        sup.labels.insert(key, (start.label.clone(), run));
        let outcome = match start.started {
            Started::Ok => Outcome::Running,
            Started::Ignore => Outcome::Ignored,
            Started::Error(why) => Outcome::Failed(words::exit_reason(&why)),
            Started::Crash => Outcome::Failed(ExitReason::Panic("start_crash".into())),
            Started::Supervisor => {
                let Kind::Supervisor { flags, children } = &spec.kind else { return };
                let parent = Some((of.clone(), key, run));
                match self.add_supervisor(&start.label, flags, children, parent) {
                    Ok(()) => return self.send(&start.label, Mail::Boot),
                    Err(error) => Outcome::Failed(ExitReason::error(error)),
                }
            }
        };
        // The machine waits for nothing else, so this is not queued.
        self.deliver_now(of, Mail::Started { key, run, outcome });
    }

    fn deliver_now(&mut self, to: &Label, mail: Mail) {
        if let Some(sup) = self.sups.get_mut(to) {
            sup.machine.handle(self.now, mail);
        }
    }

    fn add_supervisor(
        &mut self,
        label: &Label,
        flags: &Flags,
        specs: &[Spec],
        parent: Option<(Label, ChildKey, u32)>,
    ) -> Result<(), SpecError> {
        for spec in specs {
            self.world.declare(&label.path, spec);
        }
        let machine = Machine::new(flags, specs)?;
        let sup = Sup { machine, parent, labels: HashMap::new(), booted: false };
        self.sups.insert(label.clone(), sup);
        Ok(())
    }

    fn booted(&mut self, of: &Label, outcome: Result<(), FailedChild>) {
        let Some(sup) = self.sups.get_mut(of) else { return };
        sup.booted = outcome.is_ok();
        let Some((parent, key, run)) = sup.parent.clone() else {
            self.root_start = Some(outcome);
            return;
        };
        let outcome = match outcome {
            Ok(()) => {
                self.world.supervisor_started(of);
                Outcome::Running
            }
            Err(failed) => {
                let exit = ExitReason::shutdown_with(failed);
                self.world.start_failed(of, words::reason(&exit));
                Outcome::Failed(exit)
            }
        };
        self.send(&parent, Mail::Started { key, run, outcome });
    }

    fn child(&self, of: &Label, key: ChildKey) -> Option<(Label, u32)> {
        self.sups.get(of)?.labels.get(&key).cloned()
    }

    fn shutdown(&mut self, of: &Label, key: ChildKey) {
        let Some((label, run)) = self.child(of, key) else { return };
        if self.sups.contains_key(&label) {
            return self.send(&label, Mail::Stop(ExitReason::Shutdown));
        }
        if let OnStop::Exit(why) = self.world.on_stop(&label, Reason::shutdown()) {
            self.end(of, key, run, &label, &why);
        }
    }

    fn kill(&mut self, of: &Label, key: ChildKey) {
        let Some((label, run)) = self.child(of, key) else { return };
        self.kill_below(&label);
        self.end(of, key, run, &label, &Reason::killed());
    }

    /// A killed supervisor takes everything below it along.
    fn kill_below(&mut self, label: &Label) {
        let Some(sup) = self.sups.remove(label) else { return };
        for (child, _) in sup.labels.values() {
            self.kill_below(child);
            self.world.exit(child, Reason::killed());
        }
    }

    fn end(&mut self, of: &Label, key: ChildKey, run: u32, label: &Label, why: &Reason) -> bool {
        let ended = self.world.exit(label, why.clone());
        if ended {
            let reason = words::exit_reason(why);
            self.send(of, Mail::Exited { key, run, reason });
        }
        ended
    }

    fn report(&mut self, of: &Label, report: &Report) {
        let Some(context) = words::context(report.context) else { return };
        let reason = words::report_reason(report.context, &report.reason);
        self.world.report(&of.path, context, &Id::atom(report.child.as_str()), reason);
    }

    fn exit(&mut self, of: &Label, reason: &ExitReason) {
        let Some(sup) = self.sups.remove(of) else { return };
        if !sup.booted {
            return;
        }
        let why = words::reason(reason);
        match sup.parent {
            Some((parent, key, run)) => {
                self.end(&parent, key, run, of, &why);
            }
            None => {
                self.world.exit(of, why.clone());
                self.root_exit = Some(why);
            }
        }
    }

    /// The supervisor that a path names, if it runs.
    fn sup(&self, path: &Path) -> Option<Label> {
        self.world.find(path).filter(|label| self.sups.contains_key(label))
    }

    fn ask(&mut self, sup: &Path, call: Call, mail: impl FnOnce(bool) -> Result<Mail, Ret>) -> Ret {
        let Some(label) = self.sup(sup) else { return Ret::NoProc };
        let Some(at) = self.sups.get(&label) else { return Ret::NoProc };
        let mail = match mail(matches!(at.machine, Machine::Dynamic(..))) {
            Ok(mail) => mail,
            Err(ret) => return ret,
        };
        self.answer = None;
        self.send(&label, mail);
        self.settle();
        match self.answer.take() {
            Some(Ok(Done::Running(_))) => Ret::OkPid,
            Some(Ok(Done::Ignored)) => Ret::OkUndefined,
            Some(Ok(Done::Ok)) => Ret::Ok,
            Some(Err(error)) => words::error_ret(call, &error),
            None => Ret::NoProc,
        }
    }

    fn terminate_dynamic(&mut self, sup: &Path, key: &Id) -> Ret {
        let Some(label) = self.world.find(&sup.child(key.clone())) else { return Ret::NoProc };
        let Some(owner) = self.sup(sup).and_then(|at| self.sups.get(&at)) else {
            return Ret::NoProc;
        };
        let found = owner.labels.iter().find(|(_, (child, _))| *child == label);
        let Some((&child, _)) = found else { return Ret::error("not_found") };
        self.ask(sup, Call::Bare, |_| Ok(Mail::Dynamic(DynamicCall::Terminate(child, ()))))
    }

    fn get_childspec(&self, sup: &Path, id: &Id) -> Ret {
        let Some(at) = self.sup(sup).and_then(|at| self.sups.get(&at)) else {
            return Ret::NoProc;
        };
        let id = words::child_id(id);
        let info = match &at.machine {
            Machine::Fixed(machine) => machine.spec(&id),
            Machine::Dynamic(_, machine) => Some(machine.template()).filter(|spec| spec.id == id),
        };
        info.map_or_else(|| Ret::error("not_found"), words::spec_ret)
    }

    /// Whose child this is, and by which key.
    fn owner(&self, label: &Label) -> Option<(Label, ChildKey, u32)> {
        self.sups.iter().find_map(|(of, sup)| {
            let mut children = sup.labels.iter();
            let (&key, (_, run)) = children.find(|(_, (child, _))| child == label)?;
            Some((of.clone(), key, *run))
        })
    }

    /// Ends a child by itself; its supervisor hears of it when [`settle`](Self::settle) is called.
    fn crash(&mut self, label: &Label, reason: &Reason) -> Ret {
        let Some((of, key, run)) = self.owner(label) else { return Ret::NoProc };
        self.kill_below(label);
        let why = if reason.is("kill") { Reason::killed() } else { reason.clone() };
        self.end(&of, key, run, label, &why);
        Ret::Ok
    }

    fn stop(&mut self, reason: &Reason) -> Ret {
        let Some(root) = self.root.clone().filter(|root| self.sups.contains_key(root)) else {
            return Ret::NoProc;
        };
        self.send(&root, Mail::Stop(words::exit_reason(reason)));
        self.settle();
        self.root_exit.take().map_or(Ret::NoProc, Ret::Stopped)
    }

    fn snapshot(&self, label: &Label, to: &mut Vec<Snapshot>) {
        let Some(sup) = self.sups.get(label) else { return };
        let path = label.path.clone();
        let counts = words::counts(sup.machine.counts());
        let children = sup.machine.children();
        let dynamic = matches!(sup.machine, Machine::Dynamic(..));
        let slots = children.iter().filter_map(|child| sup.slot(child, dynamic)).collect();
        to.push(match dynamic {
            true => Snapshot::dynamic(path, slots, counts),
            false => Snapshot::running(path, slots, counts),
        });
        for child in children.iter().filter(|child| child.state == ChildState::Running) {
            if let Some((label, _)) = sup.labels.get(&child.key) {
                self.snapshot(label, to);
            }
        }
    }
}

impl Subject for Machines {
    fn start_link(&mut self, flags: &Flags, specs: &[Spec]) -> Ret {
        let root = Label { path: Path::root(), run: 1 };
        if let Err(error) = self.add_supervisor(&root, flags, specs, None) {
            return words::start_link_ret(&error.into());
        }
        self.root = Some(root.clone());
        self.send(&root, Mail::Boot);
        self.settle();
        match self.root_start.take() {
            Some(Ok(())) => {
                self.world.root_started();
                Ret::OkPid
            }
            Some(Err(failed)) => words::start_link_ret(&supervisors::StartError::Child(failed)),
            None => Ret::NoProc,
        }
    }

    fn apply(&mut self, op: &Op) -> Ret {
        let simple = |dynamic: bool| match dynamic {
            true => Err(Ret::error("simple_one_for_one")),
            false => Ok(()),
        };
        match op {
            Op::StartChild { sup, spec } => {
                if self.sup(sup).is_some() {
                    self.world.declare(sup, spec);
                }
                let (info, spec) = (words::spec_info(spec), (**spec).clone());
                self.ask(sup, Call::StartChild, |_| {
                    Ok(Mail::Fixed(FixedCall::Start(info, spec, ())))
                })
            }
            Op::StartDynamic { sup, key } => {
                let start = DynamicCall::Start(key.clone(), ());
                self.ask(sup, Call::Bare, |_| Ok(Mail::Dynamic(start)))
            }
            Op::TerminateChild { sup, id } => self.ask(sup, Call::Bare, |dynamic| {
                simple(dynamic)?;
                Ok(Mail::Fixed(FixedCall::Terminate(words::child_id(id), ())))
            }),
            Op::TerminateDynamic { sup, key } => self.terminate_dynamic(sup, key),
            Op::RestartChild { sup, id } => self.ask(sup, Call::Bare, |dynamic| {
                simple(dynamic)?;
                Ok(Mail::Fixed(FixedCall::Restart(words::child_id(id), ())))
            }),
            Op::DeleteChild { sup, id } => self.ask(sup, Call::Bare, |dynamic| {
                simple(dynamic)?;
                Ok(Mail::Fixed(FixedCall::Delete(words::child_id(id), ())))
            }),
            Op::GetChildspec { sup, id } => self.get_childspec(sup, id),
            Op::Plan { path, outcomes } => {
                self.world.plan(path, outcomes);
                Ret::Ok
            }
            Op::Crash { path, reason } => {
                let Some(label) = self.world.find(path) else { return Ret::NoProc };
                let ret = self.crash(&label, reason);
                self.settle();
                ret
            }
            Op::CrashAll { sup, paths, reason } => {
                if self.sup(sup).is_none() {
                    return Ret::NoProc;
                }
                let living: Vec<_> =
                    paths.iter().filter_map(|path| self.world.living(path)).collect();
                for label in &living {
                    self.crash(label, reason);
                }
                self.settle();
                Ret::Crashed(living.len())
            }
            Op::Stop { reason } => self.stop(reason),
        }
    }

    fn take_events(&mut self) -> Vec<Event> {
        self.world.take_events()
    }

    fn snapshots(&mut self) -> Vec<Snapshot> {
        let mut all = Vec::new();
        match self.root.clone().filter(|root| self.world.is_alive(root)) {
            Some(root) => self.snapshot(&root, &mut all),
            None => all.push(Snapshot::down(Path::root())),
        }
        all
    }
}
