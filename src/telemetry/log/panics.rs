//! Panics in the log: a line like any other, so that a log of JSON lines stays one.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::dispatcher::get_default;
use tracing::subscriber::NoSubscriber;

/// The target of panics' lines.
const TARGET: &str = "erlmcp::panic";

/// Logs panics from now on. A supervisor or a caught call tells of a panic too, but not where it
/// happened.
pub(super) fn hook() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A panic inside the log itself finds no log; one on stderr is better than none.
        if get_default(|log| log.is::<NoSubscriber>()) {
            default(panic);
        } else {
            log(panic);
        }
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        target: TARGET,
        panic = panic.payload_as_str().unwrap_or("a payload that is no text"),
        location = panic.location().map(tracing::field::display),
        thread = thread.name(),
        task = tokio::task::try_id().map(tracing::field::display),
        backtrace = captured.then(|| tracing::field::display(&backtrace)),
        "panic"
    );
}
