//! What happens to the tree, in which order: made from the seed alone.

use std::time::Duration;

use supervisors::AutoShutdown;

use super::build::Job;
use super::dice::Dice;
use super::ledger::{Cmd, Fault};
use super::plan::{self, ChildPlan, Kind, SupPlan};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Wait(Duration),
    /// Workers are told something, all before anybody can react; each by its number among those
    /// that live.
    Poke {
        picks: Vec<u64>,
        cmd: Cmd,
    },
    /// A worker is killed from outside.
    Kill {
        pick: u64,
    },
    /// The next starts of a worker go wrong.
    Fault {
        path: String,
        fault: Fault,
        times: u64,
    },
    /// Somebody calls a supervisor, and goes away when the answer takes longer than `patience`.
    Call {
        supervisor: String,
        call: Call,
        patience: Option<Duration>,
    },
    /// Somebody calls a dynamic supervisor.
    Jobs {
        dynamic: String,
        call: JobsCall,
        patience: Option<Duration>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Start(ChildPlan),
    Terminate(String),
    Restart(String),
    Delete(String),
    Reconfigure,
    Look(String),
}

#[derive(Clone, Debug)]
pub(crate) enum JobsCall {
    Start(Job),
    /// One of those that were started, by its number.
    Terminate(u64),
    Look,
}

/// How it all ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finale {
    /// The storm abates, the tree is inspected, then stopped.
    Inspect,
    /// The tree is stopped in the midst of it.
    Stop,
    Kill,
    Drop,
}

#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Faults of the very first starts.
    pub(crate) boot: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    pub(crate) finale: Finale,
}

/// `threads`: there are several, so that one may be blocked.
pub(crate) fn schedule(dice: &mut Dice, tree: &SupPlan, threads: bool) -> Schedule {
    let mut maker = Maker { tree, dice, threads, numbers: 0 };
    let boot = if maker.dice.chance(12) { vec![maker.fault()] } else { Vec::new() };
    let length = maker.dice.between(10, 60);
    // Some storms are gusts, others drizzle.
    let calm = maker.dice.between(5, 60);
    let mut steps = Vec::new();
    for _ in 0..length {
        steps.push(maker.step());
        if maker.dice.chance(calm) {
            steps.push(Step::Wait(maker.dice.ms(1, 25)));
        }
    }
    let finale = maker.dice.weighted(&[
        (7, Finale::Inspect),
        (1, Finale::Stop),
        (1, Finale::Kill),
        (1, Finale::Drop),
    ]);
    Schedule { boot, steps, finale }
}

struct Maker<'a> {
    tree: &'a SupPlan,
    dice: &'a mut Dice,
    threads: bool,
    /// For children that calls add.
    numbers: u64,
}

impl Maker<'_> {
    fn step(&mut self) -> Step {
        match self.dice.between(0, 99) {
            0..=37 => {
                let picks = (0..self.dice.weighted(&[(6, 1), (2, 2), (1, 4)]))
                    .map(|_| self.dice.roll())
                    .collect();
                Step::Poke { picks, cmd: self.cmd() }
            }
            38..=45 => Step::Kill { pick: self.dice.roll() },
            46..=60 => self.fault(),
            61..=82 => self.call(),
            _ => self.jobs().unwrap_or_else(|| self.call()),
        }
    }

    fn cmd(&mut self) -> Cmd {
        let busy = if self.threads { 3 } else { 0 };
        let block = Cmd::Block(self.dice.ms(1, 15));
        self.dice.weighted(&[
            (20, Cmd::Error),
            (15, Cmd::Panic),
            (12, Cmd::Normal),
            (6, Cmd::Shutdown),
            (10, Cmd::Hang),
            (8, Cmd::KillMyself),
            (4, Cmd::KillSupervisor),
            (busy, block),
        ])
    }

    fn fault(&mut self) -> Step {
        let mut paths = self.tree.workers();
        let extras = self.numbers;
        paths.extend((0..extras).map(|at| format!("{}/{at}", self.some_dynamic())));
        let path = self.some(&paths).unwrap_or_else(|| "root/none".into());
        let fault = match self.dice.between(0, 7) {
            0 => Fault::Error,
            1 => Fault::Panic,
            2 => Fault::Ignore,
            3 => Fault::Slow(self.dice.ms(1, 15)),
            4 => Fault::SlowError(self.dice.ms(1, 15)),
            5 => Fault::SlowPanic,
            6 => Fault::Late(self.dice.ms(1, 25)),
            _ => Fault::Hang,
        };
        Step::Fault { path, fault, times: self.dice.weighted(&[(6, 1), (3, 2), (1, 6)]) }
    }

    fn some_dynamic(&self) -> String {
        self.tree.dynamics().first().map_or_else(|| "root/none".into(), |plan| plan.path.clone())
    }

    fn some<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let at = usize::try_from(self.dice.roll()).unwrap().checked_rem(all.len())?;
        all.get(at).cloned()
    }

    fn patience(&mut self) -> Option<Duration> {
        self.dice.chance(20).then(|| self.dice.ms(0, 10))
    }

    fn call(&mut self) -> Step {
        let supervisors = self.tree.supervisors();
        let plan = self.some(&supervisors).expect("there is a root");
        let child = self.some(&plan.children).expect("each supervisor has a child");
        // Whole branches are taken down rarely, or little would be left for the storm.
        let branch = !matches!(child.kind, Kind::Leaf(_));
        let call = match self.dice.between(0, 9) {
            0..=1 if !branch || self.dice.chance(30) => Call::Terminate(child.id),
            2..=3 => Call::Restart(child.id),
            4 => Call::Delete(child.id),
            5 => Call::Start(child),
            6..=7 => {
                self.numbers += 1;
                let id = format!("x{}", self.numbers);
                let auto = AutoShutdown::Never;
                Call::Start(plan::child(self.dice, &plan.path, &id, auto, None))
            }
            8 if self.dice.chance(40) => Call::Reconfigure,
            _ => Call::Look(child.id),
        };
        Step::Call { supervisor: plan.path.clone(), call, patience: self.patience() }
    }

    fn jobs(&mut self) -> Option<Step> {
        let dynamics = self.tree.dynamics();
        let plan = self.some(&dynamics)?;
        let call = match self.dice.between(0, 9) {
            0..=5 => {
                self.numbers += 1;
                let nature = plan::nature(self.dice, true);
                JobsCall::Start(Job { number: self.numbers, nature })
            }
            6..=7 => JobsCall::Terminate(self.dice.roll()),
            _ => JobsCall::Look,
        };
        Some(Step::Jobs { dynamic: plan.path.clone(), call, patience: self.patience() })
    }
}
