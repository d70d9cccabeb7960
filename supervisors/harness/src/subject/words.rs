//! Scripts' words as ours, and ours as traces'.

use std::fmt;
use std::time::Duration;

use supervisors::machine::{Context, Counts};
use supervisors::{
    AutoShutdown, ChildError, ChildId, ChildType, ExitReason, FailedChild, Flags, Intensity,
    Restart, Shutdown, SpecInfo, StartError, Strategy,
};

use crate::path::Id;
use crate::reason::Reason;
use crate::script;
use crate::trace::{self, Ret};

/// A script's reason inside of ours.
#[derive(Clone, Debug)]
pub(super) struct Term(pub(super) Reason);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Term {}

pub(super) fn exit_reason(reason: &Reason) -> ExitReason {
    match reason {
        Reason::Atom(name) if name == "normal" => ExitReason::Normal,
        Reason::Atom(name) if name == "shutdown" => ExitReason::Shutdown,
        Reason::Atom(name) if name == "kill" || name == "killed" => ExitReason::Killed,
        Reason::Shutdown(inner) => ExitReason::shutdown_with(Term((**inner).clone())),
        other => ExitReason::error(Term(other.clone())),
    }
}

pub(super) fn reason(exit: &ExitReason) -> Reason {
    match exit {
        ExitReason::Normal => Reason::normal(),
        ExitReason::Shutdown => Reason::shutdown(),
        ExitReason::Killed => Reason::killed(),
        ExitReason::Zombie => Reason::atom("zombie"),
        ExitReason::Panic(text) => Reason::atom(text.to_string()),
        ExitReason::Error(error) => term(&**error),
        ExitReason::ShutdownWith(why) => Reason::shutdown_with(term(&**why)),
    }
}

fn term(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Reason {
    if let Some(Term(reason)) = error.downcast_ref() {
        return reason.clone();
    }
    match error.downcast_ref::<FailedChild>() {
        Some(failed) => Reason::FailedToStartChild(
            Id::atom(failed.id.as_str()),
            Box::new(reason(&failed.reason)),
        ),
        None => Reason::atom("other_term"),
    }
}

pub(super) fn child_id(id: &Id) -> ChildId {
    ChildId::from(id.to_string())
}

/// `None` for `simple_one_for_one`, which is another kind of supervisor here.
pub(super) fn strategy(flags: &script::Flags) -> Option<Strategy> {
    match flags.strategy() {
        script::Strategy::OneForOne => Some(Strategy::OneForOne),
        script::Strategy::OneForAll => Some(Strategy::OneForAll),
        script::Strategy::RestForOne => Some(Strategy::RestForOne),
        script::Strategy::SimpleOneForOne => None,
    }
}

pub(super) fn intensity(flags: &script::Flags) -> Intensity {
    Intensity { restarts: flags.intensity(), period: Duration::from_secs(flags.period_s()) }
}

pub(super) fn auto_shutdown(flags: &script::Flags) -> AutoShutdown {
    match flags.auto_shutdown() {
        script::AutoShutdown::Never => AutoShutdown::Never,
        script::AutoShutdown::AnySignificant => AutoShutdown::AnySignificant,
        script::AutoShutdown::AllSignificant => AutoShutdown::AllSignificant,
    }
}

pub(super) fn core_flags(flags: &script::Flags) -> Flags {
    Flags {
        intensity: intensity(flags),
        auto_shutdown: auto_shutdown(flags),
        ..Flags::new(strategy(flags).unwrap_or(Strategy::OneForOne))
    }
}

pub(super) fn restart(spec: &script::Spec) -> Restart {
    match spec.restart() {
        script::Restart::Permanent => Restart::Permanent,
        script::Restart::Transient => Restart::Transient,
        script::Restart::Temporary => Restart::Temporary,
    }
}

pub(super) fn shutdown(spec: &script::Spec) -> Shutdown {
    match spec.shutdown() {
        script::Shutdown::BrutalKill => Shutdown::BrutalKill,
        script::Shutdown::TimeoutMs(ms) => Shutdown::Timeout(Duration::from_millis(ms)),
        script::Shutdown::Infinity => Shutdown::Infinity,
    }
}

pub(super) fn spec_info(spec: &script::Spec) -> SpecInfo {
    let child_type = if spec.is_supervisor() { ChildType::Supervisor } else { ChildType::Worker };
    let mut info = SpecInfo::new(child_id(&spec.id), child_type);
    info.restart = restart(spec);
    info.shutdown = shutdown(spec);
    info.significant = spec.significant();
    info
}

/// What `get_childspec` answers.
pub(super) fn spec_ret(info: &SpecInfo) -> Ret {
    Ret::Spec {
        id: Id::atom(info.id.as_str()),
        restart: match info.restart {
            Restart::Permanent => script::Restart::Permanent,
            Restart::Transient => script::Restart::Transient,
            Restart::Temporary => script::Restart::Temporary,
        },
        shutdown: match info.shutdown {
            Shutdown::BrutalKill => script::Shutdown::BrutalKill,
            Shutdown::Timeout(limit) => {
                script::Shutdown::TimeoutMs(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
            }
            Shutdown::Infinity => script::Shutdown::Infinity,
        },
        supervisor: info.child_type == ChildType::Supervisor,
        significant: info.significant,
    }
}

/// `None` for what OTP does not report.
pub(super) fn context(context: Context) -> Option<trace::Context> {
    match context {
        Context::ChildTerminated { .. } => Some(trace::Context::ChildTerminated),
        Context::StartError => Some(trace::Context::StartError),
        Context::ShutdownError => Some(trace::Context::ShutdownError),
        Context::GaveUp => Some(trace::Context::Shutdown),
        Context::Progress { .. } | Context::ChildGaveUp | Context::Zombie => None,
    }
}

/// The reason that a report shows: OTP's for giving up is a constant.
pub(super) fn report_reason(context: Context, exit: &ExitReason) -> Reason {
    match context {
        Context::GaveUp => Reason::atom("reached_max_restart_intensity"),
        _ => reason(exit),
    }
}

pub(super) fn counts(counts: Counts) -> trace::Counts {
    let Counts { specs, active, supervisors, workers } = counts;
    trace::Counts { specs, active, supervisors, workers }
}

/// Which call an error answers; OTP wraps the reason of a failed start in different ways.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    StartChild,
    /// `restart_child`, and `start_child` of a dynamic supervisor.
    Bare,
}

pub(super) fn error_ret(call: Call, error: &ChildError) -> Ret {
    match error {
        ChildError::AlreadyStarted(_) => Ret::error("already_started"),
        ChildError::AlreadyPresent => Ret::error("already_present"),
        ChildError::NotFound => Ret::error("not_found"),
        ChildError::Running => Ret::error("running"),
        ChildError::Restarting => Ret::error("restarting"),
        ChildError::Spec(_) => Ret::error("bad_combination"),
        ChildError::Start(exit) => {
            let crashed = reason(exit).is("start_crash");
            match call {
                Call::Bare if !crashed => Ret::Error(reason(exit)),
                _ => Ret::StartError(reason(exit)),
            }
        }
        _ => Ret::NoProc,
    }
}

/// What `start_link` answers when the root does not start.
pub(super) fn start_link_ret(error: &StartError) -> Ret {
    match error {
        StartError::Child(failed) => Ret::Error(Reason::failed_to_start_child(
            Id::atom(failed.id.as_str()),
            reason(&failed.reason),
        )),
        StartError::Failed(exit) => Ret::Error(reason(exit)),
        _ => Ret::error("start_spec"),
    }
}
