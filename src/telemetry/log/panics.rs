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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::panic::catch_unwind;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The hook stays for the whole process, which does the other tests no harm: where there is no
    /// log it is the hook from before.
    #[test]
    fn a_panic_is_one_line_that_tells_what_and_where() {
        hook();
        let written = Written::default();
        let out = written.clone();
        let log = tracing_subscriber::fmt().json().flatten_event(true);
        let log = log.with_writer(move || out.clone()).finish();
        let panicked =
            tracing::subscriber::with_default(log, || catch_unwind(|| panic!("on\npurpose {}", 1)));
        assert!(panicked.is_err());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &TARGET.into()));
        assert_eq!(line["panic"], "on\npurpose 1");
        assert!(line["location"].as_str().unwrap().starts_with(file!()), "{line}");
        assert!(line["thread"].as_str().unwrap().contains("a_panic_is_one_line"), "{line}");
    }
}
