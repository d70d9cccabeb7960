//! The supervisors as their users meet them: real actors, real tasks.

mod basics;
mod machine;
mod otp;
