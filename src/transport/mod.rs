//! Transports: how messages come in and go out.

pub mod http;
