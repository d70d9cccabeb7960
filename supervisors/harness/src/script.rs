//! A script: a root supervisor's flags and child specifications, then operations on the tree.
//!
//! Keys that a script leaves out stay left out (`None`), so that OTP's own defaults are put to the
//! test as well; the accessors (`Spec::restart()`, ...) give the value that OTP then takes.
//! `Display` prints the text that `otp_trace.escript` reads, [`Script::parse`] reads it.

mod read;
mod write;

use crate::path::{Id, Path};
use crate::reason::Reason;

pub use read::ScriptError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub flags: Flags,
    pub specs: Vec<Spec>,
    pub ops: Vec<Op>,
}

/// A supervisor's flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub strategy: Option<Strategy>,
    /// How many restarts within `period_s` are tolerated; one more and the supervisor gives up.
    pub intensity: Option<u32>,
    pub period_s: Option<u64>,
    pub auto_shutdown: Option<AutoShutdown>,
}

impl Flags {
    pub fn strategy(&self) -> Strategy {
        self.strategy.unwrap_or(Strategy::OneForOne)
    }

    pub fn intensity(&self) -> u32 {
        self.intensity.unwrap_or(1)
    }

    pub fn period_s(&self) -> u64 {
        self.period_s.unwrap_or(5)
    }

    pub fn auto_shutdown(&self) -> AutoShutdown {
        self.auto_shutdown.unwrap_or(AutoShutdown::Never)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
    SimpleOneForOne,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    Never,
    AnySignificant,
    AllSignificant,
}

/// A child specification, together with what the fake child does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub id: Id,
    pub restart: Option<Restart>,
    pub shutdown: Option<Shutdown>,
    pub kind: Kind,
    pub significant: Option<bool>,
    /// What a worker does when its supervisor asks it to stop.
    pub obey: Option<Obey>,
    /// Whether a worker traps exits. One that doesn't is ended by the request itself.
    pub trap: Option<bool>,
    /// Outcomes of the next starts, set anew each time the specification is handed to a supervisor
    /// (at the supervisor's own start, and by `start_child` whatever that answers).
    pub plan: Option<Vec<Outcome>>,
    /// A template of simple_one_for_one: its children have the path `SUP/ID/KEY`.
    pub simple: bool,
}

impl Spec {
    /// A specification that leaves everything to the defaults.
    pub fn new(id: impl Into<Id>) -> Self {
        Self {
            id: id.into(),
            restart: None,
            shutdown: None,
            kind: Kind::Worker { named: false },
            significant: None,
            obey: None,
            trap: None,
            plan: None,
            simple: false,
        }
    }

    pub fn restart(&self) -> Restart {
        self.restart.unwrap_or(Restart::Permanent)
    }

    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.unwrap_or(match self.kind {
            Kind::Worker { .. } => Shutdown::TimeoutMs(5000),
            Kind::Supervisor { .. } => Shutdown::Infinity,
        })
    }

    pub fn significant(&self) -> bool {
        self.significant.unwrap_or(false)
    }

    pub fn is_supervisor(&self) -> bool {
        matches!(self.kind, Kind::Supervisor { .. })
    }

    /// What the child really does at a stop: one that doesn't trap exits can't but obey.
    pub fn obey(&self) -> Obey {
        match self.trap {
            Some(false) => Obey::Obey,
            _ => self.obey.unwrap_or(Obey::Obey),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    Permanent,
    Transient,
    Temporary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    BrutalKill,
    TimeoutMs(u64),
    Infinity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `named` tells whether `type => worker` is spelt out.
    Worker { named: bool },
    /// A supervisor with its own flags and children (both `#{}` and `[]` where left out).
    Supervisor { flags: Flags, children: Vec<Spec> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obey {
    /// Ends with the reason that it is given.
    Obey,
    /// Never ends by itself; has to be killed.
    Hang,
    /// Ends with the reason `other`.
    Other,
}

/// What a planned start does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Ok,
    Ignore,
    Error(Reason),
    /// The start function itself crashes; the reason is `start_crash`.
    Crash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    StartChild {
        sup: Path,
        spec: Box<Spec>,
    },
    /// Starts a child of a simple_one_for_one supervisor; `key` is its argument and last id.
    StartDynamic {
        sup: Path,
        key: Id,
    },
    TerminateChild {
        sup: Path,
        id: Id,
    },
    /// Terminates a child of a simple_one_for_one supervisor, by process id as OTP asks for.
    TerminateDynamic {
        sup: Path,
        key: Id,
    },
    RestartChild {
        sup: Path,
        id: Id,
    },
    DeleteChild {
        sup: Path,
        id: Id,
    },
    GetChildspec {
        sup: Path,
        id: Id,
    },
    /// Sets the outcomes of the next starts of a path.
    Plan {
        path: Path,
        outcomes: Vec<Outcome>,
    },
    /// Makes a child end. A simple_one_for_one child is addressed as `[SUP.., KEY]` here.
    Crash {
        path: Path,
        reason: Reason,
    },
    /// Makes several children of one supervisor end before it hears of any: their exits are queued
    /// in the order given. The paths are full ones (`[SUP.., ID, KEY]` under simple_one_for_one).
    CrashAll {
        sup: Path,
        paths: Vec<Path>,
        reason: Reason,
    },
    /// The parent's exit signal to the root supervisor.
    Stop {
        reason: Reason,
    },
}
