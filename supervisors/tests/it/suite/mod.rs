//! OTP's own `supervisor_SUITE`, case by case, under the names that the cases have there. The
//! table `tests/SUITE.md` says what each of them proves, and why a few do not apply.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case that can't go on has failed"
)]

mod child_adm;
mod counts;
mod escalation;
mod hanging;
mod kept;
mod look;
mod progress;
mod puppet;
mod reconfigure;
mod restart_table;
mod scale;
mod significant;
mod significant_upgrade;
mod specs;
mod start;
mod stop;
mod strategies;
mod table;
mod tree;
mod world;
