//! The Model Context Protocol as data: decoding, eras, revisions, errors, results.
//!
//! **Invariant:** nothing below this module knows tokio, ractor, warp, a clock or any I/O; every
//! function maps values to values and never panics, whatever the bytes.

pub mod call;
pub mod envelope;
pub mod error;
pub mod handshake;
pub mod header;
pub mod id;
pub mod meta;
pub mod response;
pub mod result;
pub mod revision;

pub use call::Call;
pub use envelope::{Incoming, Limits, Notification, Request, decode};
pub use error::{Code, RpcError};
pub use id::RequestId;
pub use response::Response;
pub use result::ResultObject;
pub use revision::{Era, Revision};
