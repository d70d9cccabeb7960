//! How long to wait before a stream is opened again. Pure.

use std::time::Duration;

/// Pauses that grow from failure to failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Pace {
    /// Begins with `first`, and never exceeds `longest`.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed since all was well.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a failure.
    pub(super) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The next pause. What the server asked for is kept to, within bounds; beyond that, failures
    /// double it, and `random` shortens it by up to a half, so that not all come back at once.
    pub(super) fn pause(&self, asked: Option<Duration>, random: u64) -> Duration {
        let least = asked.unwrap_or(Duration::ZERO).min(self.longest);
        if self.failures == 0 && asked.is_some() {
            return least;
        }
        let doubled = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        let grown = self.first.saturating_mul(doubled).min(self.longest);
        let share = (random % 1_000) as f64 / 2_000.0;
        grown.mul_f64(1.0 - share).max(least)
    }
}

/// A number that differs from call to call. Nobody depends on its quality.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(100), ms(1_000));
        let mut paused = Vec::new();
        for _ in 0..6 {
            pace.fail();
            paused.push(pace.pause(None, 0));
        }
        assert_eq!(paused, [100, 200, 400, 800, 1_000, 1_000].map(ms));
        assert_eq!(pace.pause(None, 999).as_millis(), 500);
        assert_eq!(pace.pause(Some(ms(990)), 999), ms(990), "never sooner than asked");
        pace.reset();
        assert_eq!(pace.pause(Some(ms(5)), 0), ms(5), "as asked");
        assert_eq!(pace.pause(Some(ms(5_000)), 0), ms(1_000), "within bounds");
        assert_eq!(pace.pause(None, 0), ms(100));
    }
}
