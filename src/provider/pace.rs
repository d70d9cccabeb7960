//! How fast a call tells its client things beside its answer (MCP "Progress" and "Logging": both
//! should be rate limited). Steps of progress that come too fast are left out but for the newest;
//! log messages that do are lost. Both are counted.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::ClientLink;
use crate::protocol::notification::Outgoing;
use crate::telemetry::metrics::Unsent;

/// No display needs more than ten steps a second; short calls may tell theirs at once.
const PROGRESS: Rate = Rate { every: Duration::from_millis(100), burst: 16 };
/// As much as somebody can look through, and what a call says in one go.
const LOG: Rate = Rate { every: Duration::from_millis(10), burst: 256 };

/// So many at once, and then one at a time.
#[derive(Debug, Clone, Copy)]
struct Rate {
    every: Duration,
    burst: u32,
}

/// What was used of a rate, as the time at which all of it is there again. Pure.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    full: Option<Instant>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, full: None }
    }

    /// When the next one may go, where that isn't now.
    fn free(&self, now: Instant) -> Option<Instant> {
        let Rate { every, burst } = self.rate;
        let free = (self.full? + every).checked_sub(every * burst)?;
        (free > now).then_some(free)
    }

    fn take(&mut self, now: Instant) {
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + self.rate.every);
    }
}

struct State {
    progress: Bucket,
    log: Bucket,
    /// The last step told, or kept; it has to grow.
    told: f64,
    /// The newest step that came too fast.
    kept: Option<Outgoing>,
}

/// What one call told its client.
pub(super) struct Pace {
    state: Mutex<State>,
    kept: Notify,
    unsent: Unsent,
}

impl Pace {
    pub(super) fn new(unsent: Unsent) -> Self {
        let state = State {
            progress: Bucket::new(PROGRESS),
            log: Bucket::new(LOG),
            told: f64::NEG_INFINITY,
            kept: None,
        };
        Self { state: Mutex::new(state), kept: Notify::new(), unsent }
    }

    /// Tells how far the work is; what doesn't grow, or is no number, is not told.
    pub(super) fn progress(
        &self,
        client: &dyn ClientLink,
        done: f64,
        notification: impl FnOnce() -> Option<Outgoing>,
    ) {
        let mut state = self.lock();
        if !done.is_finite() || done <= state.told {
            return;
        }
        let Some(notification) = notification() else { return };
        state.told = done;
        let now = Instant::now();
        if state.kept.is_none() && state.progress.free(now).is_none() {
            state.progress.take(now);
            // Under the lock, so that no step overtakes another; it never waits.
            client.notify(&notification);
        } else {
            if state.kept.replace(notification).is_some() {
                self.unsent.progress.inc();
            }
            drop(state);
            self.kept.notify_one();
        }
    }

    /// Sends a log message, and the progress before it first.
    pub(super) fn log(&self, client: &dyn ClientLink, message: impl FnOnce() -> Outgoing) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.log.free(now).is_some() {
            self.unsent.log.inc();
            return;
        }
        state.log.take(now);
        state.flush(client, now);
        client.notify(&message());
    }

    /// Sends what was kept: something comes now that it belongs before.
    pub(super) fn flush(&self, client: &dyn ClientLink) {
        self.lock().flush(client, Instant::now());
    }

    /// Sends what is kept when its time comes, for ever.
    pub(super) async fn keep_up(&self, client: &dyn ClientLink) -> Infallible {
        loop {
            let now = Instant::now();
            let free = {
                let mut state = self.lock();
                match state.progress.free(now) {
                    None => {
                        state.flush(client, now);
                        None
                    }
                    free => free.filter(|_| state.kept.is_some()),
                }
            };
            match free {
                Some(free) => sleep_until(free).await,
                None => self.kept.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn flush(&mut self, client: &dyn ClientLink, now: Instant) {
        if let Some(kept) = self.kept.take() {
            self.progress.take(now);
            client.notify(&kept);
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
