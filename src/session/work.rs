//! The work on one request: what to answer at once, and what to run.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Scope;
use crate::protocol::{Call, ResultObject, RpcError};
use crate::provider::Side;
use crate::provider::run::{Ended, Job, run_boxed};
use crate::registry::Published;
use crate::router::{Route, discover, list, route};

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
        side: Side,
        call: Call,
        cancelled: CancellationToken,
    ) -> Planned {
        let snapshot = self.published.load();
        let catalogue = &snapshot.catalogue;
        let outcome = match call {
            Call::Ping => Ok(ResultObject::empty()),
            Call::Discover => discover(catalogue, scope),
            Call::List(kind, cursor) => {
                list(catalogue, scope, side.revision, kind, cursor.as_deref())
            }
            Call::Operate(operation) => match route(catalogue, scope, operation) {
                Route::Answer(outcome) => outcome,
                Route::Provider { server, operation, .. } => match snapshot.provider(&server) {
                    Some(provider) => {
                        let job = Job { operation, side, timeout: self.timeout, cancelled };
                        let work = run_boxed(provider, job);
                        return Planned::Run(Box::pin(async move {
                            match work.await? {
                                Ended::Result(result) => Ok(result),
                                Ended::Questions(_) => Err(RpcError::crashed("catalogue")),
                            }
                        }));
                    }
                    None => Err(RpcError::crashed("catalogue")),
                },
            },
            Call::Session(_) | Call::Listen(_) | Call::Task(_) => {
                Err(RpcError::method_not_found(""))
            }
        };
        Planned::Answer(outcome)
    }

    /// Does the whole work here and now: for requests without a session, whose future belongs to
    /// their connection. A client that goes away drops it, and that is its cancellation.
    ///
    /// # Errors
    /// What the request's single answer says.
    pub async fn perform(&self, scope: &Scope, side: Side, call: Call) -> Outcome {
        let cancelled = CancellationToken::new();
        let _on_drop = cancelled.clone().drop_guard();
        match self.plan(scope, side, call, cancelled) {
            Planned::Answer(outcome) => outcome,
            Planned::Run(work) => work.await,
        }
    }
}
