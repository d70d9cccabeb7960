//! Transports: how clients reach the node.

pub mod control;
pub mod http;
pub mod pipe;
pub mod stdio;
pub mod lines;
