//! One pure machine in the tree, whichever of the two it is.

use std::collections::HashMap;
use std::time::Duration;

use supervisors::machine::{
    ChildInfo, ChildKey, ChildState, Counts, Dynamic, DynamicCall, Effect, Fixed, FixedCall, Input,
    Machine as _, Outcome,
};
use supervisors::{ExitReason, SpecError};

use super::words;
use crate::path::{Id, Label, Path};
use crate::script::{Flags, Spec};
use crate::trace::{Slot, SlotState};

#[derive(Debug)]
pub(super) struct Sup {
    pub(super) machine: Machine,
    pub(super) parent: Option<(Label, ChildKey, u32)>,
    /// The trace's label of each child's latest run.
    pub(super) labels: HashMap<ChildKey, (Label, u32)>,
    /// Those of its children that are supervisors or fake children that run.
    pub(super) booted: bool,
}

#[derive(Debug)]
pub(super) enum Machine {
    Fixed(Fixed<Spec, ()>),
    /// The template, and the machine whose argument is the child's key in the script.
    Dynamic(Box<Spec>, Dynamic<Id, ()>),
}

/// An input, whichever the machine is.
#[derive(Debug)]
pub(super) enum Mail {
    Boot,
    Started { key: ChildKey, run: u32, outcome: Outcome },
    Exited { key: ChildKey, run: u32, reason: ExitReason },
    Retry { key: ChildKey, run: u32 },
    Fixed(FixedCall<Spec, ()>),
    Dynamic(DynamicCall<Id, ()>),
    Stop(ExitReason),
    Tick,
}

impl Machine {
    pub(super) fn new(flags: &Flags, specs: &[Spec]) -> Result<Self, SpecError> {
        let core = words::core_flags(flags);
        if words::strategy(flags).is_some() {
            let specs = specs.iter().map(|spec| (words::spec_info(spec), spec.clone())).collect();
            return Fixed::new(core, specs, 0).map(Self::Fixed);
        }
        let template = specs.first().ok_or(SpecError::EmptyId)?;
        let machine = Dynamic::new(core, words::spec_info(template), None, Some(Id::clone), 0)?;
        Ok(Self::Dynamic(Box::new(template.clone()), machine))
    }

    pub(super) fn handle(&mut self, now: Duration, mail: Mail) {
        match self {
            Self::Fixed(machine) => {
                if let Some(input) = mail.into_input(|mail| match mail {
                    Mail::Fixed(call) => Some(call),
                    _ => None,
                }) {
                    machine.handle(now, input);
                }
            }
            Self::Dynamic(_, machine) => {
                if let Some(input) = mail.into_input(|mail| match mail {
                    Mail::Dynamic(call) => Some(call),
                    _ => None,
                }) {
                    machine.handle(now, input);
                }
            }
        }
    }

    pub(super) fn next_effect(&mut self) -> Option<Effect<()>> {
        match self {
            Self::Fixed(machine) => machine.next_effect(),
            Self::Dynamic(_, machine) => machine.next_effect(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Fixed(machine) => machine.deadline(),
            Self::Dynamic(_, machine) => machine.deadline(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Fixed(machine) => machine.counts(),
            Self::Dynamic(_, machine) => machine.counts(),
        }
    }

    pub(super) fn children(&self) -> Vec<ChildInfo> {
        match self {
            Self::Fixed(machine) => machine.which_children(),
            Self::Dynamic(_, machine) => machine.which_children(),
        }
    }

    /// What is started as this child: its specification, and the last part of its path.
    pub(super) fn whats_started(&mut self, path: &Path, key: ChildKey) -> Option<(Path, Spec)> {
        match self {
            Self::Fixed(machine) => {
                let spec = machine.start_of(key)?.clone();
                Some((path.child(spec.id.clone()), spec))
            }
            Self::Dynamic(template, machine) => {
                let argument = machine.argument(key)?;
                Some((path.child(template.id.clone()).child(argument), (**template).clone()))
            }
        }
    }
}

impl Mail {
    pub(super) fn into_input<C>(self, call: impl FnOnce(Self) -> Option<C>) -> Option<Input<C>> {
        Some(match self {
            Self::Boot => Input::Boot,
            Self::Started { key, run, outcome } => Input::Started { key, run, outcome },
            Self::Exited { key, run, reason } => Input::Exited { key, run, reason },
            Self::Retry { key, run } => Input::Retry { key, run },
            Self::Stop(reason) => Input::Stop(reason),
            Self::Tick => Input::Tick,
            Self::Fixed(_) | Self::Dynamic(_) => Input::Call(call(self)?),
        })
    }
}

impl Sup {
    pub(super) fn slot(&self, child: &ChildInfo, dynamic: bool) -> Option<Slot> {
        let label = self.labels.get(&child.key).map(|(label, _)| label);
        let id = match label.filter(|_| dynamic) {
            Some(label) => label.path.last()?.clone(),
            None => Id::atom(child.id.as_str()),
        };
        let state = match child.state {
            ChildState::Running => SlotState::Run(label?.run),
            ChildState::Restarting => SlotState::Restarting,
            ChildState::Stopped | ChildState::Starting => SlotState::Undefined,
        };
        Some(Slot { id, state })
    }
}
