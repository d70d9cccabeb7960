//! Other people's code: its panics end here.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs or drops what others wrote, and logs a panic.
pub(crate) fn contain<T>(what: &str, act: impl FnOnce() -> T) {
    if catch_unwind(AssertUnwindSafe(act)).is_err() {
        tracing::error!("{what} panicked");
    }
}
