//! The Model Context Protocol as data: decoding, eras, revisions, errors, results.
//!
//! **Invariant:** nothing below this module knows tokio, ractor, warp, a clock or any I/O; every
//! function maps values to values and never panics, whatever the bytes.

pub mod call;
pub mod client;
pub mod envelope;
pub mod error;
pub mod handshake;
pub mod header;
pub mod id;
pub mod level;
pub mod lines;
pub mod meta;
pub mod method;
pub mod notification;
pub mod params;
pub mod response;
pub mod result;
pub mod revision;
pub mod splice;

pub use call::{Call, Kind, Operation};
pub use client::{Ask, AskError, AskKind, ClientCapabilities};
pub use envelope::{Body, Incoming, Limits, Notification, Request, decode, decode_body};
pub use error::{Code, RpcError};
pub use id::RequestId;
pub use level::Level;
pub use method::Method;
pub use params::{Asked, Params, ParamsText};
pub use response::Response;
pub use result::ResultObject;
pub use revision::{Era, Revision};
