//! The time that tasks tell: the calendar's when the node starts, and a steady clock from then on,
//! so that no task ends early or changes in the past because somebody sets the calendar.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The clock. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin_ms: u64,
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin_ms: millis(since_epoch), started: Instant::now() }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.origin_ms.saturating_add(millis(self.started.elapsed()))
    }

    /// When it will be `ms`.
    pub(super) fn at(&self, ms: u64) -> Instant {
        self.started + Duration::from_millis(ms.saturating_sub(self.origin_ms))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_from_the_calendar() {
        let clock = Clock::start();
        let start = clock.now_ms();
        // Later than when this was written.
        assert!(start > 1_764_000_000_000);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now_ms(), start + 1_500);
        assert_eq!(clock.at(start + 2_000) - Instant::now(), Duration::from_millis(500));
        assert!(clock.at(0) <= Instant::now());
    }
}
