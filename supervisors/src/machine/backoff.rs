//! Pauses before restarts, which OTP does not have.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ChildKey, Time};
use crate::policy::Backoff;

impl Backoff {
    /// The pause before the restart that follows `failures` earlier ones in a row.
    pub(crate) fn pause(&self, failures: u32, dice: &mut Dice) -> Duration {
        if self.initial.is_zero() {
            // Zero times a factor that has grown to infinity would be no number.
            return Duration::ZERO;
        }
        let exponent = i32::try_from(failures).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let full = grown.min(self.max.as_secs_f64());
        let pause = full * (1.0 - self.jitter * dice.roll());
        // A pause beyond what a duration holds is one of that length.
        Duration::try_from_secs_f64(pause).unwrap_or(self.max)
    }
}

/// Deterministic randomness (SplitMix64): the seed is an argument, so a run can be repeated.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, but not including, 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The upper 53 bits are what a double holds exactly.
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Children that wait for their restart, by the time at which it is due.
#[derive(Debug, Default)]
pub(crate) struct Pauses(BTreeSet<(Time, ChildKey, u32)>);

impl Pauses {
    pub(crate) fn insert(&mut self, due: Time, key: ChildKey, run: u32) {
        self.0.insert((due, key, run));
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.0.first().map(|&(due, ..)| due)
    }

    /// Takes the next child that is due at `now`. One whose restart was cancelled meanwhile
    /// comes out too; its run number tells.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(ChildKey, u32)> {
        self.next_due().filter(|&due| due <= now)?;
        self.0.pop_first().map(|(_, key, run)| (key, run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Backoff = Backoff {
        initial: Duration::from_millis(100),
        factor: 2.0,
        max: Duration::from_secs(1),
        jitter: 0.0,
        reset_after: Duration::from_secs(60),
    };

    #[test]
    fn grows_to_its_limit() {
        let mut dice = Dice::new(7);
        let pauses: Vec<u128> = (0..6).map(|n| PLAIN.pause(n, &mut dice).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(PLAIN.pause(u32::MAX, &mut dice), PLAIN.max);
        let endless = Backoff { initial: Duration::MAX, max: Duration::MAX, ..PLAIN };
        assert_eq!(endless.pause(3, &mut dice), Duration::MAX);
    }

    #[test]
    fn jitter_shortens_within_its_share_and_repeats_with_the_seed() {
        let jittered = Backoff { jitter: 0.5, ..PLAIN };
        let run = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| jittered.pause(0, &mut dice).as_micros()).collect::<Vec<_>>()
        };
        let pauses = run(1);
        assert!(pauses.iter().all(|us| (50_000..=100_000).contains(us)), "{pauses:?}");
        assert!(pauses.iter().any(|us| *us < 70_000) && pauses.iter().any(|us| *us > 80_000));
        assert_eq!(pauses, run(1));
        assert_ne!(pauses, run(2));
    }

    #[test]
    fn nonsense_is_named() {
        let cases = [
            (Backoff { factor: 0.5, ..PLAIN }, "factor"),
            (Backoff { factor: f64::NAN, ..PLAIN }, "factor"),
            (Backoff { jitter: 1.5, ..PLAIN }, "jitter"),
            (Backoff { max: Duration::ZERO, ..PLAIN }, "max"),
        ];
        for (backoff, field) in cases {
            let text = backoff.validate().unwrap_err().to_string();
            assert!(text.contains(field), "{text}");
        }
        assert_eq!(PLAIN.validate(), Ok(()));
    }
}
