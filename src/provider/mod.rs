//! Providers: who answers a tool call, a prompt, a read or a completion. Native Rust code, and
//! handlers written for the official Rust SDK, and other MCP servers.

pub mod circle;
pub mod context;
pub mod demo;
pub mod native;
mod pace;
pub mod rmcp;
pub mod run;
pub mod upstream;
pub mod waits;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::broadcast;

pub use circle::Circle;
pub use context::{CallContext, ClientLink, Inputs, Side, Who};

use crate::catalogue::{Offer, ServerName};
use crate::protocol::{Ask, Kind, Operation, ResultObject, RpcError};

/// One call of a provider.
#[derive(Debug)]
pub struct ProviderCall {
    /// What is done, under the server's own names.
    pub operation: Operation,
    /// The request around it.
    pub context: CallContext,
}

/// Questions that have to be answered before a call can go on.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// What is asked, by keys that are unique for the request.
    pub asks: BTreeMap<String, Ask>,
    /// What the provider wants to know again when the answers are there.
    pub state: Option<Value>,
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The arguments don't fit the tool's schema.
    #[error("invalid arguments: {0}")]
    InvalidArguments(String),
    /// The call ends with this error.
    #[error("{}", .0.message)]
    Failed(RpcError),
    /// The client has to answer first, and then to send its request again (2026-07-28).
    #[error("input is required")]
    InputRequired(Box<Questions>),
}

impl From<RpcError> for CallError {
    fn from(error: RpcError) -> Self {
        Self::Failed(error)
    }
}

/// What a hosted server tells by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One of its lists changed.
    ListChanged(Kind),
    /// A resource changed.
    ResourceUpdated(String),
    /// More changed than could be told: anything may be different.
    Anything,
}

/// A server that lives in this process: the registry announces it when the node starts.
pub trait Hosted: Provider {
    /// Its name in paths and in front of its tools' names.
    fn name(&self) -> ServerName;

    /// What it offers now.
    fn offer(&self) -> BoxFuture<'static, Offer>;

    /// What it will tell from now on. Who falls behind has to take everything as changed.
    fn events(&self) -> broadcast::Receiver<Event>;

    /// What it does by itself while it is served; the registry runs it, and drops it when it ends.
    fn background(&self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// A server's side of the protocol. An implementation may panic, hang or fail: each costs only its
/// own call.
pub trait Provider: Send + Sync {
    /// Does what is asked. The future holds all that it needs, so that its owner can drop it any
    /// time.
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>>;
}
