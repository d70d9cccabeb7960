//! Providers: who answers a tool call. Native Rust code for now; other MCP servers later.

pub mod demo;
pub mod native;
pub mod run;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::protocol::{ResultObject, Revision, RpcError};

/// What a call may know about the request that it serves.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The revision of the client's edge.
    pub revision: Revision,
    /// Cancelled when nobody waits for the result any more. The call's future is dropped then;
    /// work that runs elsewhere should watch this.
    pub cancelled: CancellationToken,
    /// When the call's future is dropped at the latest.
    pub deadline: tokio::time::Instant,
}

/// One call of a tool.
#[derive(Debug)]
pub struct ProviderCall {
    /// The tool's plain name.
    pub tool: Arc<str>,
    /// The arguments' text, an object.
    pub arguments: Option<Box<RawValue>>,
    /// The request around it.
    pub context: CallContext,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The arguments don't fit the tool's schema.
    #[error("invalid arguments: {0}")]
    InvalidArguments(String),
    /// The call ends with this error.
    #[error("{}", .0.message)]
    Failed(RpcError),
}

/// A server of tools. An implementation may panic, hang or fail: each costs only its own call.
pub trait Provider: Send + Sync {
    /// Calls a tool. The future holds all that it needs, so that its owner can drop it any time.
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>>;
}
