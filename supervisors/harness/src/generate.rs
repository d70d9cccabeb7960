//! Random scripts, as proptest strategies and, for a seed, as plain values.
//!
//! A strategy draws a *raw* script (shapes and selectors, module `raw`) and maps it to a valid one
//! (module `build`): paths are picked among those that the tree can have, keys of dynamic children
//! are given out in order. Any raw script is valid, so shrinking never leaves the grammar.
//!
//! Kept out, because OTP itself has no defined order there or because newer releases differ:
//!
//! - killing a supervisor, or stopping one with `brutal_kill` or a time limit that its children
//!   could exceed: the children of a killed supervisor die unordered;
//! - deaths under two supervisors at once: which of the two acts first is a race;
//! - a child that hangs under a shutdown other than 30 ms (nothing would end it), and one that
//!   obeys under 30 ms (on a busy machine it may be late);
//! - the same key twice under one simple_one_for_one supervisor;
//! - the root's stop by `kill`;
//! - `ignore` from the *re*start of a simple_one_for_one child (OTP 25 keeps a bogus child);
//! - `auto_shutdown` together with simple_one_for_one (newer releases refuse it);
//! - `{error, {already_started, Pid}}` from a start function (newer releases don't wrap it).

mod build;
mod family;
mod raw;

use proptest::strategy::{BoxedStrategy, Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::script::Script;

pub use family::Family;

impl Family {
    /// Scripts of this family, with shrinking.
    pub fn strategy(self) -> BoxedStrategy<Script> {
        raw::script(&self.profile()).prop_map(|raw| build::script(&raw)).boxed()
    }

    /// The script of this family that belongs to a seed. The same seed gives the same script as
    /// long as neither the generator nor proptest's own drawing changes.
    pub fn script(self, seed: u64) -> Script {
        let config = Config { failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &spread(seed));
        let tree = self.strategy().new_tree(&mut TestRunner::new_with_rng(config, rng));
        #[expect(clippy::expect_used, reason = "no strategy here filters, so none can reject")]
        tree.expect("a script").current()
    }
}

impl Script {
    /// A script of any family; the seed chooses the family too.
    pub fn random(seed: u64) -> Self {
        Family::of_seed(seed).script(seed)
    }
}

/// A seed as the 32 bytes that the generator wants. ChaCha needs no more mixing than this.
fn spread(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, seeded) in bytes.iter_mut().zip(seed.to_le_bytes()) {
        *byte = seeded;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_script() {
        for seed in 0..40 {
            assert_eq!(Script::random(seed), Script::random(seed), "seed {seed}");
        }
        let scripts: Vec<_> = (0..40).map(|seed| Family::Nested.script(seed)).collect();
        let distinct = scripts.iter().filter(|a| scripts.iter().filter(|b| a == b).count() == 1);
        assert!(distinct.count() > 35, "seeds give different scripts");
    }

    #[test]
    fn scripts_are_read_back() {
        for seed in 0..200 {
            let script = Script::random(seed);
            assert_eq!(Script::parse(&script.to_string()).as_ref(), Ok(&script), "seed {seed}");
        }
    }

    /// Shrinking a script to "has a crash" ends at a single operation under a minimal tree.
    #[test]
    fn strategies_shrink() {
        for family in Family::ALL {
            let mut runner = TestRunner::new_with_rng(
                Config { failure_persistence: None, ..Config::default() },
                TestRng::from_seed(RngAlgorithm::ChaCha, &spread(7)),
            );
            let has_start = |script: &Script| script.to_string().contains("start_child");
            let tree = (0..200)
                .map(|_| family.strategy().new_tree(&mut runner).unwrap())
                .find(|tree| has_start(&tree.current()));
            let mut tree = tree.unwrap_or_else(|| panic!("{family}: no script with start_child"));
            while tree.simplify() {
                while !has_start(&tree.current()) && tree.complicate() {}
            }
            let smallest = tree.current();
            assert!(has_start(&smallest), "{family}: {smallest}");
            assert!(smallest.ops.len() <= 3, "{family}: {smallest}");
        }
    }
}
