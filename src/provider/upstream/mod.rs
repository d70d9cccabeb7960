//! Upstreams: other MCP servers, as providers. What stands here speaks with one running instance of
//! a server; who starts it, and starts it again, is `upstreams`.

pub mod connection;
pub mod failure;
mod faults;
pub mod http;
pub mod instances;
mod legacy;
mod modern;
pub mod parked;
pub mod process;
pub mod provider;
mod questions;
pub mod spec;
pub mod tail;
pub mod wire;

pub use connection::{Connection, Dispatch, News, OfferError, OpenError, Over, Peer, Settings};
pub use failure::Failure;
pub use instances::Instances;
pub use parked::Parked;
pub use provider::UpstreamProvider;
pub use spec::{Target, UpstreamSpec};
pub use tail::Tail;
pub use wire::{Closing, Inbox, Order, Outbound, Wire};

#[cfg(test)]
mod tests;
