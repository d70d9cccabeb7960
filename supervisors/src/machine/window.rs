//! Restart intensity: how many restarts lie within a window of time.

use std::collections::VecDeque;

use super::Time;
use crate::policy::Intensity;

/// The restarts of the last `period`.
#[derive(Debug)]
pub(crate) struct Window {
    intensity: Intensity,
    /// Oldest first. At most `restarts + 1` long: who exceeds it gives up.
    restarts: VecDeque<Time>,
}

impl Window {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Counts a restart at `now`; `false` when it is one too many.
    pub(crate) fn admit(&mut self, now: Time) -> bool {
        self.restarts.push_back(now);
        let Intensity { restarts, period } = self.intensity;
        while self.restarts.front().is_some_and(|&at| now.saturating_sub(at) > period) {
            self.restarts.pop_front();
        }
        self.restarts.len() <= restarts as usize
    }

    /// Follows a changed intensity, keeping what was counted.
    pub(crate) fn retune(&mut self, intensity: Intensity) {
        self.intensity = intensity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(restarts: u32, period_ms: u64, at_ms: &[u64], expected: &[bool]) {
        let period = Duration::from_millis(period_ms);
        let mut window = Window::new(Intensity { restarts, period });
        let got: Vec<bool> =
            at_ms.iter().map(|&ms| window.admit(Duration::from_millis(ms))).collect();
        assert_eq!(got, expected, "{restarts} in {period_ms} ms at {at_ms:?}");
    }

    #[test]
    fn counts_within_the_period() {
        check(0, 1000, &[0], &[false]);
        check(1, 1000, &[0, 1000], &[true, false]);
        check(1, 1000, &[0, 1001], &[true, true]);
        check(2, 1000, &[0, 500, 1000, 1001], &[true, true, false, false]);
        check(2, 1000, &[0, 600, 1200, 1800, 2400], &[true, true, true, true, true]);
    }
}
