//! The work on one request: what to answer at once, and what to run.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Scope;
use crate::protocol::{Call, ResultObject, Revision, RpcError};
use crate::provider::run::{Job, run_boxed};
use crate::registry::Published;
use crate::router::{Route, route};

/// The single outcome of a request.
pub type Outcome = Result<ResultObject, RpcError>;

/// What requests need of the node.
#[derive(Clone)]
pub struct Work {
    /// The catalogue and the providers.
    pub published: Published,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A request with its way settled.
pub enum Planned {
    /// The answer is known.
    Answer(Outcome),
    /// A provider has to be called; dropping the future ends its work.
    Run(BoxFuture<'static, Outcome>),
}

impl Work {
    /// Settles the way of a request.
    pub fn plan(
        &self,
        scope: &Scope,
        revision: Revision,
        call: Call,
        cancelled: CancellationToken,
    ) -> Planned {
        let snapshot = self.published.load();
        match route(&snapshot.catalogue, scope, revision, call) {
            Route::Answer(outcome) => Planned::Answer(outcome),
            Route::Provider { server, tool, arguments } => match snapshot.provider(&server) {
                Some(provider) => {
                    let job = Job { tool, arguments, revision, timeout: self.timeout, cancelled };
                    Planned::Run(run_boxed(provider, job))
                }
                None => Planned::Answer(Err(RpcError::crashed("catalogue"))),
            },
        }
    }

    /// Does the whole work here and now: for requests without a session, whose future belongs to
    /// their connection. A client that goes away drops it, and that is its cancellation.
    ///
    /// # Errors
    /// What the request's single answer says.
    pub async fn perform(&self, scope: &Scope, revision: Revision, call: Call) -> Outcome {
        let cancelled = CancellationToken::new();
        let _on_drop = cancelled.clone().drop_guard();
        match self.plan(scope, revision, call, cancelled) {
            Planned::Answer(outcome) => outcome,
            Planned::Run(work) => work.await,
        }
    }
}
