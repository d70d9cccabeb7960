//! What a supervisor tells the outside: log events, and a hook for metrics.

use std::sync::Arc;

use crate::exit::ExitReason;
use crate::machine::{Context, Report};
use crate::policy::ChildId;

/// Hears of everything that a supervisor reports, for instance to count it.
///
/// It is called by the supervisor itself, so it must be quick and must not block. A supervisor
/// hands its observer down to the supervisors below it. A panic in it is caught and logged.
pub trait Observer: Send + Sync + 'static {
    /// Something was reported.
    fn on_event(&self, event: &Event<'_>);
}

/// A report with the supervisor that made it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The supervisor's path from the root, such as `erlmcp/transports`.
    pub supervisor: &'a str,
    /// The child that it is about.
    pub child: &'a ChildId,
    /// What happened.
    pub context: Context,
    /// Why.
    pub reason: &'a ExitReason,
}

/// Logs a report as a `tracing` event and passes it to the observer.
pub(crate) fn publish(supervisor: &str, report: &Report, observer: Option<&Arc<dyn Observer>>) {
    log(supervisor, report);
    let Some(observer) = observer else { return };
    let Report { context, child, reason, .. } = report;
    let event = Event { supervisor, child, context: *context, reason };
    let heard = std::panic::AssertUnwindSafe(|| observer.on_event(&event));
    if std::panic::catch_unwind(heard).is_err() {
        tracing::error!(supervisor, "the supervisor's observer panicked");
    }
}

/// OTP logs progress at info and the rest as errors; here what supervision mends is a warning,
/// and what it could not mend an error.
fn log(supervisor: &str, report: &Report) {
    let Report { context, child, reason, .. } = report;
    match context {
        Context::Progress { restart: false } => {
            tracing::debug!(supervisor, %child, "child started")
        }
        Context::Progress { restart: true } => {
            tracing::info!(supervisor, %child, "child restarted")
        }
        Context::ChildTerminated { restart } => {
            tracing::warn!(supervisor, %child, %reason, restart, "child terminated");
        }
        Context::StartError => {
            tracing::warn!(supervisor, %child, %reason, "child failed to start");
        }
        Context::ShutdownError => {
            tracing::warn!(supervisor, %child, %reason, "child did not stop as asked");
        }
        Context::GaveUp => {
            tracing::error!(supervisor, %child, "restart intensity reached, supervisor gives up");
        }
        Context::ChildGaveUp => {
            tracing::error!(supervisor, %child, "restart intensity reached, child is given up");
        }
        Context::Zombie => {
            tracing::error!(supervisor, %child, "child was killed but does not end; let go of it");
        }
    }
}
