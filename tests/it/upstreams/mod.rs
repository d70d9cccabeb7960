//! Other servers behind the node: bad ones, real ones, and those of the official suites.

mod bad_input;
mod behind;
mod bridge;
mod bytes;
mod eras;
mod faults;
mod fleet;
mod health;
mod kills;
mod one_era;
mod real;
mod sharing;
mod suites;
