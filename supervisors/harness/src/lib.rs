//! Differential tests of `supervisors` against Erlang/OTP's own `supervisor`.
//!
//! A [`script::Script`] is a supervisor's flags and child specifications followed by operations.
//! The same script is run twice: on real OTP through `otp/otp_trace.escript` (module [`otp`]), and
//! on a [`replay::Subject`], an adapter around our supervisor that keeps its fake children in a
//! [`world::World`]. Both give a canonical [`trace`] without process ids, times or stack traces,
//! and the traces have to be equal line by line.
//!
//! Reading order: [`term`] (Erlang terms as text), [`reason`] and [`path`] (the two vocabularies),
//! [`script`] (what is run), [`trace`] (what is seen), [`generate`] (random scripts), [`otp`] (the
//! real thing), [`world`] and [`replay`] (our side), [`fixtures`] (recorded traces).

pub mod fixtures;
pub mod generate;
pub mod otp;
pub mod path;
pub mod reason;
pub mod replay;
pub mod script;
pub mod subject;
pub mod term;
pub mod trace;
pub mod world;
