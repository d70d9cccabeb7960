//! The running instances of one server, as its provider sees them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Connection;
use crate::protocol::RpcError;
use crate::provider::Who;

/// Who has the connections of a server.
pub trait Instances: Send + Sync {
    /// The least busy connection for whoever asks; where the sharing wants one of its own for them,
    /// it is started, and waited for. An `upstream_down` error comes at once where nothing is about
    /// to come.
    fn pick(&self, who: &Who) -> BoxFuture<'static, Result<Arc<Connection>, RpcError>>;

    /// How long one request may take, where the server has a limit of its own.
    fn timeout(&self) -> Option<Duration>;
}
