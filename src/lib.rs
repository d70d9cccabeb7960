//! erlmcp: a fault-tolerant server node for the Model Context Protocol, as an OTP supervision tree.
//!
//! Read [`tree`] first: it shows the whole tree at once. The modules below stand from the top of
//! the node to its bottom, and use each other in this direction only.

pub mod cli;
pub mod node;
pub mod serve;
pub mod tree;

pub mod config;

pub mod transport;

pub mod session;

pub mod tasks;

pub mod router;

pub mod upstreams;

pub mod registry;

pub mod provider;

pub mod admission;

pub mod telemetry;

pub mod catalogue;

pub mod bridge;

pub mod protocol;

pub mod secret;
