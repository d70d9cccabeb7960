//! Upstreams: other MCP servers, as providers. What stands here speaks with one running instance of
//! a server; who starts it, and starts it again, is [`crate::upstreams`].

pub mod http;
pub mod process;
pub mod spec;
pub mod tail;
pub mod wire;

pub use spec::{Target, UpstreamSpec};
pub use tail::Tail;
pub use wire::{Closing, Failure, Inbox, Order, Outbound, Wire};
