//! Transports: how clients reach the node.

pub mod control;
pub mod http;
pub mod lines;
pub mod listener;
pub mod pipe;
pub mod stdio;
