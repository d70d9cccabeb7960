//! What is seen of a run: canonical lines, equal byte for byte to those of `otp_trace.escript`.
//!
//! A run gives one [`Step`] per operation (and one for the start): the operation, the events until
//! everything is quiet again, the operation's answer and the state of the tree.

mod parse;
mod state;

use std::fmt::{self, Display, Formatter};

use crate::path::{Id, Label, Path};
use crate::reason::Reason;
use crate::script::{Op, Restart, Shutdown};
use crate::term::Term;

pub use parse::{Line, LineError};
pub use state::{Counts, Running, Slot, SlotState, Snapshot};

/// All that happened by one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub index: usize,
    /// `None` for the start of the root supervisor.
    pub op: Option<Op>,
    /// In canonical order, see [`batch`].
    pub events: Vec<Event>,
    pub ret: Ret,
    /// The root's snapshot, then those of its supervisors, depth first.
    pub states: Vec<Snapshot>,
}

impl Step {
    /// The step as lines of a trace.
    pub fn lines(&self) -> Vec<String> {
        let op = Line::Op { index: self.index, op: self.op.clone() };
        let events = self.events.iter().cloned().map(Line::Event);
        let ret = Line::Ret { index: self.index, ret: self.ret.clone() };
        let states = self.states.iter().cloned().map(Line::State);
        std::iter::once(op)
            .chain(events)
            .chain([ret])
            .chain(states)
            .map(|line| line.to_string())
            .collect()
    }
}

/// Something that happened in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A start was tried, with this outcome.
    Start { label: Label, started: Started },
    /// A supervisor that had begun to start could not start its children.
    StartFailed { label: Label, reason: Reason },
    /// A child, or a supervisor, ended.
    Exit { label: Label, reason: Reason },
    /// A child was asked to stop and doesn't.
    Hung { label: Label, reason: Reason },
    /// A supervisor's error report.
    Report { supervisor: Path, context: Context, id: Id, reason: Reason },
    /// The harness gave up waiting for quiet.
    Livelock,
}

impl Display for Event {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { label, started } => write!(out, "start {label} {started}"),
            Self::StartFailed { label, reason } => {
                write!(out, "start_failed {label} {{error,{reason}}}")
            }
            Self::Exit { label, reason } => write!(out, "exit {label} {reason}"),
            Self::Hung { label, reason } => write!(out, "hung {label} {reason}"),
            Self::Report { supervisor, context, id, reason } => {
                write!(out, "report {supervisor} {context} {id} {reason}")
            }
            Self::Livelock => out.write_str("livelock"),
        }
    }
}

/// The outcome of a start that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// A worker runs.
    Ok,
    /// A supervisor begins to start its own children.
    Supervisor,
    Ignore,
    Error(Reason),
    Crash,
}

impl Display for Started {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => out.write_str("ok"),
            Self::Supervisor => out.write_str("sup"),
            Self::Ignore => out.write_str("ignore"),
            Self::Error(reason) => write!(out, "{{error,{reason}}}"),
            Self::Crash => out.write_str("crash"),
        }
    }
}

/// What a supervisor's error report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    StartError,
    ChildTerminated,
    ShutdownError,
    /// The supervisor gives up.
    Shutdown,
}

impl Context {
    pub const ALL: [Self; 4] =
        [Self::StartError, Self::ChildTerminated, Self::ShutdownError, Self::Shutdown];

    pub fn name(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Display for Context {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Puts events into canonical order: OTP ends the children of a simple_one_for_one supervisor all
/// at once, so exits (and refusals to exit) of such children that follow each other are sorted.
pub fn batch(events: Vec<Event>) -> Vec<Event> {
    let mut sorted: Vec<Event> = Vec::with_capacity(events.len());
    let mut run: Vec<(u8, Label, Reason)> = Vec::new();
    for event in events {
        match event {
            Event::Exit { label, reason } if is_dynamic(&label) => run.push((0, label, reason)),
            Event::Hung { label, reason } if is_dynamic(&label) => run.push((1, label, reason)),
            other => {
                flush(&mut run, &mut sorted);
                sorted.push(other);
            }
        }
    }
    flush(&mut run, &mut sorted);
    sorted
}

fn flush(run: &mut Vec<(u8, Label, Reason)>, sorted: &mut Vec<Event>) {
    run.sort();
    sorted.extend(run.drain(..).map(|(kind, label, reason)| match kind {
        0 => Event::Exit { label, reason },
        _ => Event::Hung { label, reason },
    }));
}

/// Children of simple_one_for_one have integers as keys; all other ids in scripts are atoms.
fn is_dynamic(label: &Label) -> bool {
    matches!(label.path.last(), Some(Term::Int(_)))
}

/// An operation's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ret {
    Ok,
    /// `{ok, Pid}`.
    OkPid,
    /// `{ok, undefined}`: the start was ignored.
    OkUndefined,
    /// `{ok, ChildSpec}`.
    Spec {
        id: Id,
        restart: Restart,
        shutdown: Shutdown,
        supervisor: bool,
        significant: bool,
    },
    /// `{error, Reason}`: `not_found`, `running`, `already_present`, ... or why a start failed.
    Error(Reason),
    /// `{error, {Reason, Child}}` of `start_child`, and `{error, {'EXIT', Reason}}`.
    StartError(Reason),
    /// `crash_all`: so many of the named children were alive.
    Crashed(usize),
    /// `stop`: the root ended with this reason.
    Stopped(Reason),
    /// Whom the operation names isn't there.
    NoProc,
    /// The supervisor died while it was asked.
    Died(Reason),
    /// `crash`: the process is still alive after two seconds.
    Timeout,
}

impl Ret {
    /// `{error, Name}`.
    pub fn error(name: &str) -> Self {
        Self::Error(Reason::atom(name))
    }

    pub fn to_term(&self) -> Term {
        let error = |inner: Term| Term::tagged("error", [inner]);
        match self {
            Self::Ok => Term::atom("ok"),
            Self::OkPid => Term::atom("ok_pid"),
            Self::OkUndefined => Term::atom("ok_undefined"),
            Self::Spec { id, restart, shutdown, supervisor, significant } => Term::tagged(
                "spec",
                [
                    id.clone(),
                    (*restart).into(),
                    (*shutdown).into(),
                    Term::atom(if *supervisor { "supervisor" } else { "worker" }),
                    Term::atom(if *significant { "true" } else { "false" }),
                ],
            ),
            Self::Error(reason) => error(reason.to_term()),
            Self::StartError(reason) => error(Term::tagged("start", [reason.to_term()])),
            Self::Crashed(count) => {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                Term::tagged("crashed", [Term::Int(count)])
            }
            Self::Stopped(reason) => Term::tagged("stopped", [reason.to_term()]),
            Self::NoProc => Term::atom("noproc"),
            Self::Died(reason) => Term::tagged("died", [reason.to_term()]),
            Self::Timeout => Term::atom("timeout"),
        }
    }
}

impl Display for Ret {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.to_term().fmt(out)
    }
}
