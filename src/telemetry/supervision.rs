//! Counts what the supervisors report.

use supervisors::{Context, Event, ExitReason, Observer};

use super::Metrics;
use super::metrics::{GaveUpLabels, RestartLabels};

/// The hook that the root supervisor is given.
pub struct RestartCounter(pub Metrics);

impl Observer for RestartCounter {
    fn on_event(&self, event: &Event<'_>) {
        let supervisor = || event.supervisor.to_owned();
        match event.context {
            Context::ChildTerminated { restart: true } => {
                let child = event.child.to_string();
                let labels = RestartLabels { supervisor: supervisor(), child, exit: kind(event) };
                self.0.child_restarts.get_or_create(&labels).inc();
            }
            Context::GaveUp | Context::ChildGaveUp => {
                let labels = GaveUpLabels { supervisor: supervisor() };
                self.0.supervisor_gave_up.get_or_create(&labels).inc();
            }
            _ => {}
        }
    }
}

/// The class of an exit reason: its text would make a label without bounds.
fn kind(event: &Event<'_>) -> &'static str {
    match event.reason {
        ExitReason::Normal => "normal",
        ExitReason::Shutdown | ExitReason::ShutdownWith(_) => "shutdown",
        ExitReason::Killed => "killed",
        ExitReason::Panic(_) => "panic",
        ExitReason::Zombie => "zombie",
        _ => "error",
    }
}
