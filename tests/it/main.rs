//! Tests of a whole node: real bytes in, real bytes out.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails panics, tells its figures, and ends its tasks by ending"
)]

mod children;
mod cli;
mod clients;
mod conformance;
mod control;
mod dice;
mod documents;
mod drain;
mod eras;
mod events;
mod faults;
mod harness;
mod held;
mod hostile;
mod hosting;
mod limits;
mod modern;
mod pipes;
mod process;
mod proxy;
mod raw;
mod seeds;
mod sessions;
mod streams;
mod talker;
mod tasks;
mod upstreams;
mod verbatim;
