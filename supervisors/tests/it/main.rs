//! The supervisors as their users meet them: real actors, real tasks.

mod basics;
mod chaos;
mod machine;
mod otp;
mod suite;
