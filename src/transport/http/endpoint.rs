//! What the routes of a node share.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::body::Room;
use super::{Config, sse2024};
use crate::admission::Admission;
use crate::catalogue::Scope;
use crate::protocol::meta::ServerInfo;
use crate::protocol::{RequestId, Response, Revision, RpcError};
use crate::session::work::Outcome;
use crate::session::{Sessions, Work};
use crate::telemetry::{Health, Metrics};
use crate::upstreams::Upstreams;

/// The parts of the node that requests use; clones share them.
#[derive(Clone)]
pub struct Endpoint(pub Arc<Parts>);

/// See [`Endpoint`].
pub struct Parts {
    /// The transport's limits.
    pub http: Config,
    /// How requests are worked on.
    pub work: Work,
    /// All sessions.
    pub sessions: Sessions,
    /// All servers behind the node.
    pub upstreams: Upstreams,
    /// Who may come in.
    pub admission: Admission,
    /// Requests of one client at once.
    pub max_in_flight_per_client: usize,
    /// Room for bodies.
    pub room: Room,
    /// Room for what streams of notifications listen for.
    pub listening: Room,
    /// What is counted.
    pub metrics: Metrics,
    /// How the node is.
    pub health: Health,
    /// Open streams of HTTP+SSE.
    pub sse: sse2024::Streams,
    /// Cancelled when the drain begins: streams without an end of their own end now.
    pub ending: CancellationToken,
    /// Cancelled when the drain is over: what still runs is answered now.
    pub stopping: CancellationToken,
    /// Who answers.
    pub server: ServerInfo,
    /// The node's name, as the probes tell it.
    pub node_name: String,
    /// When the node started.
    pub started: Instant,
}

impl Endpoint {
    /// Whether there is an endpoint for this scope.
    pub fn serves(&self, scope: &Scope) -> bool {
        self.0.work.published.load().catalogue.serves(scope)
    }

    /// The one response to a request, dressed as its revision demands.
    pub fn response(&self, id: RequestId, revision: Revision, outcome: Outcome) -> Response {
        let outcome = outcome.and_then(|mut result| match result.dress(revision, &self.0.server) {
            Ok(()) => Ok(result),
            Err(_) => Err(RpcError::crashed("encoder")),
        });
        Response { id: Some(id), outcome }
    }
}
