//! The supervisors as their users meet them: real actors, real tasks.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails panics, tells its figures, and ends its tasks by ending"
)]

mod basics;
mod beyond;
mod chaos;
mod features;
mod hostile;
mod machine;
mod otp;
mod suite;
