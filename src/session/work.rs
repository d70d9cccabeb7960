//! The work on one request: what to answer at once, and what to run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::rounds::Rounds;
use crate::catalogue::Scope;
use crate::protocol::{Call, Code, Era, Operation, ResultObject, RpcError};
use crate::provider::Side;
use crate::provider::run::{Ended, Job, run_boxed};
use crate::registry::{Published, Snapshot};
use crate::router::{Route, discover, list, route};
use crate::tasks::Tasks;

/// The single outcome of a request.
pub type Outcome = Result<ResultObject, RpcError>;

/// What requests need of the node.
#[derive(Clone)]
pub struct Work {
    /// The catalogue and the providers.
    pub published: Published,
    /// How long one request may take.
    pub timeout: Duration,
    /// What modern requests carry from round to round.
    pub rounds: Rounds,
    /// What goes on after its request is answered.
    pub tasks: Tasks,
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
        Planned::Answer(match call {
            Call::Ping => Ok(ResultObject::empty()),
            Call::Discover => discover(catalogue, scope),
            Call::List(kind, cursor) => {
                list(catalogue, scope, side.revision, kind, cursor.as_deref())
            }
            Call::Operate(operation) => {
                return self.operate(&snapshot, scope, side, operation, cancelled);
            }
            // Who holds the session, the stream or the tasks answers these.
            Call::Session(_) | Call::Listen(_) | Call::Task(_) => {
                Err(RpcError::new(Code::MethodNotFound, "Method not found here"))
            }
        })
    }

    fn operate(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        side: Side,
        operation: Operation,
        cancelled: CancellationToken,
    ) -> Planned {
        // The next round brings the published name again.
        let asked = (side.revision.era() == Era::Modern).then(|| operation.clone());
        let (server, operation) = match route(&snapshot.catalogue, scope, operation) {
            Route::Provider { server, operation, .. } => (server, operation),
            Route::Answer(outcome) => return Planned::Answer(outcome),
        };
        let Some(provider) = snapshot.provider(&server) else {
            return Planned::Answer(Err(RpcError::crashed("catalogue")));
        };
        let (rounds, inputs) = (self.rounds.clone(), Arc::clone(&side.inputs));
        let job = Job { operation, side, timeout: self.timeout, cancelled };
        let running = run_boxed(provider, job);
        Planned::Run(Box::pin(async move {
            match (running.await?, asked) {
                (Ended::Result(result), _) => Ok(result),
                (Ended::Questions(questions), Some(asked)) => {
                    rounds.ask(NOBODY, &asked, &inputs, questions)
                }
                (Ended::Questions(_), None) => {
                    let why = "The server asks in a way that this revision doesn't have";
                    Err(RpcError::new(Code::InternalError, why))
                }
            }
        }))
    }
}

/// Whose requests these are, as long as nobody is asked who they are.
pub const NOBODY: &str = "";
