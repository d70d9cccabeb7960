//! The state of a tree between two operations: `which_children` and `count_children` as lines.

use std::fmt::{self, Display, Formatter};

use crate::path::{Id, Path};

/// One supervisor's children. `running` is `None` when the supervisor itself isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub path: Path,
    pub running: Option<Running>,
}

/// What a running supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// As `which_children` lists them: last started first. Under simple_one_for_one the order is
    /// undefined in OTP, so there they are sorted by key.
    pub children: Vec<Slot>,
    pub counts: Counts,
}

impl Snapshot {
    pub fn down(path: Path) -> Self {
        Self { path, running: None }
    }

    pub fn running(path: Path, children: Vec<Slot>, counts: Counts) -> Self {
        Self { path, running: Some(Running { children, counts }) }
    }

    /// The same for a simple_one_for_one supervisor: sorts the children by key.
    pub fn dynamic(path: Path, mut children: Vec<Slot>, counts: Counts) -> Self {
        children.sort_by(|a, b| a.id.cmp(&b.id));
        Self::running(path, children, counts)
    }
}

impl Display for Snapshot {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(Running { children, counts }) = &self.running else {
            return write!(out, "{} down", self.path);
        };
        write!(out, "{} [", self.path)?;
        for (index, child) in children.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(out, "{space}{child}")?;
        }
        write!(out, "] {counts}")
    }
}

/// One child as `which_children` lists it. Under simple_one_for_one its key stands for its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub id: Id,
    pub state: SlotState,
}

impl Slot {
    pub fn run(id: impl Into<Id>, run: u32) -> Self {
        Self { id: id.into(), state: SlotState::Run(run) }
    }
}

impl Display for Slot {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}=", self.id)?;
        match self.state {
            SlotState::Run(run) => write!(out, "run#{run}"),
            SlotState::Undefined => out.write_str("undefined"),
            SlotState::Restarting => out.write_str("restarting"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotState {
    /// Alive, in the run with this number.
    Run(u32),
    Undefined,
    Restarting,
}

/// `count_children`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    pub specs: usize,
    pub active: usize,
    pub supervisors: usize,
    pub workers: usize,
}

impl Display for Counts {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { specs, active, supervisors, workers } = self;
        write!(out, "specs:{specs},active:{active},supervisors:{supervisors},workers:{workers}")
    }
}
