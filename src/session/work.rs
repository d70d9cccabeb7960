//! The work on one request: what to answer at once, and what to run.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::rounds::Rounds;
use crate::catalogue::Scope;
use crate::protocol::call::TaskCall;
use crate::protocol::{Call, Code, Era, Operation, ResultObject, RpcError};
use crate::provider::run::{Ended, Job, run_boxed};
use crate::provider::{ClientLink, Provider, Side};
use crate::registry::{Published, Snapshot};
use crate::router::{Route, discover, list, route};
use crate::tasks::{self, Choice, Inside, NewTask, Owner, Tasks};
use crate::telemetry::metrics::Unsent;

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
    /// Counts what is told to clients too fast.
    pub unsent: Unsent,
}

/// A request with its way settled.
pub enum Planned {
    /// The answer is known.
    Answer(Outcome),
    /// A provider has to be called; dropping the future ends its work.
    Run(BoxFuture<'static, Outcome>),
}

/// Who asks.
#[derive(Clone)]
pub struct Caller {
    /// What it sees.
    pub scope: Scope,
    /// Whose its tasks are.
    pub owner: Owner,
    /// Where what its tasks tell goes, after their requests are answered.
    pub later: Option<Weak<dyn ClientLink>>,
}

impl Caller {
    /// Somebody without a session, as long as nobody is asked who they are.
    pub fn nobody(scope: &Scope) -> Self {
        Self { scope: scope.clone(), owner: Owner::new(NOBODY), later: None }
    }
}

impl Work {
    /// Settles the way of a request.
    pub fn plan(
        &self,
        caller: &Caller,
        side: Side,
        call: Call,
        cancelled: CancellationToken,
    ) -> Planned {
        let snapshot = self.published.load();
        let (catalogue, scope) = (&snapshot.catalogue, &caller.scope);
        Planned::Answer(match call {
            Call::Ping => Ok(ResultObject::empty()),
            Call::Discover => discover(catalogue, scope),
            Call::List(kind, cursor) => {
                list(catalogue, scope, side.revision, kind, cursor.as_deref())
            }
            Call::Operate(operation) => {
                return self.operate(&snapshot, caller, side, operation, cancelled);
            }
            Call::Task(call) => return self.task(caller, &side, call, cancelled),
            // Who holds the session or the stream answers these.
            Call::Session(_) | Call::Listen(_) => {
                Err(RpcError::new(Code::MethodNotFound, "Method not found here"))
            }
        })
    }

    /// Does the whole work here and now. Dropping the future cancels it.
    ///
    /// # Errors
    /// What the request's single answer says.
    pub async fn perform(&self, caller: &Caller, side: Side, call: Call) -> Outcome {
        let cancelled = CancellationToken::new();
        let _on_drop = cancelled.clone().drop_guard();
        match self.plan(caller, side, call, cancelled) {
            Planned::Answer(outcome) => outcome,
            Planned::Run(work) => work.await,
        }
    }

    fn task(
        &self,
        caller: &Caller,
        side: &Side,
        call: TaskCall,
        cancelled: CancellationToken,
    ) -> Planned {
        if side.revision.era() == Era::Modern
            && let Err(error) = tasks::check_extension(side.capabilities)
        {
            return Planned::Answer(Err(error));
        }
        let (tasks, owner, revision) = (&self.tasks, &caller.owner, side.revision);
        Planned::Answer(match call {
            TaskCall::Get(id) => tasks.get(owner, &id, revision),
            TaskCall::List(cursor) => tasks.list(owner, cursor.as_deref()),
            TaskCall::Cancel(id) => tasks.cancel(owner, &id, revision),
            TaskCall::Update(id, answers) => tasks.update(owner, &id, answers),
            TaskCall::Result(id) => {
                let (tasks, owner) = (tasks.clone(), owner.clone());
                let client = Arc::clone(&side.client);
                // As long as the task works, nothing but its client ends this.
                return Planned::Run(Box::pin(async move {
                    let result = tasks.result(&owner, &id, client);
                    let result = cancelled.run_until_cancelled(result).await;
                    result.unwrap_or_else(|| Err(RpcError::cancelled()))
                }));
            }
        })
    }

    fn operate(
        &self,
        snapshot: &Snapshot,
        caller: &Caller,
        side: Side,
        operation: Operation,
        cancelled: CancellationToken,
    ) -> Planned {
        // The next round brings the published name again.
        let asked = (side.revision.era() == Era::Modern).then(|| operation.clone());
        let (server, operation, support, asks_first, label) =
            match route(&snapshot.catalogue, &caller.scope, operation) {
                Route::Provider { server, operation, task_support, asks_first, label } => {
                    (server, operation, task_support, asks_first, label)
                }
                Route::Answer(outcome) => return Planned::Answer(outcome),
            };
        let Some(provider) = snapshot.provider(&server) else {
            return Planned::Answer(Err(RpcError::crashed("catalogue")));
        };
        let request = match &operation {
            Operation::CallTool(call) => call.task,
            _ => None,
        };
        match tasks::choose(support, side.revision, side.capabilities, request) {
            Err(error) => return Planned::Answer(Err(error)),
            // Questions that come before the task are asked by the plain call.
            Ok(Choice::Task { .. })
                if asks_first && asked.is_some() && side.inputs.answers.is_empty() => {}
            Ok(Choice::Task { ttl_ms }) => {
                return self.become_task(caller, ttl_ms, label, provider, operation, side);
            }
            Ok(Choice::Plain) => {}
        }
        let (rounds, scope) = (self.rounds.clone(), caller.scope.clone());
        let inputs = Arc::clone(&side.inputs);
        let hints = asked.is_some() && matches!(operation, Operation::ReadResource(_));
        let unsent = self.unsent.clone();
        let job = Job { operation, side, timeout: self.timeout, cancelled, unsent };
        let running = run_boxed(provider, job);
        Planned::Run(Box::pin(async move {
            match (running.await?, asked) {
                (Ended::Result(result), _) if hints => hinted(result),
                (Ended::Result(result), _) => Ok(result),
                (Ended::Questions(questions), Some(asked)) => {
                    rounds.ask(&scope, NOBODY, &asked, &inputs, questions)
                }
                (Ended::Questions(_), None) => Err(cannot_ask()),
            }
        }))
    }

    /// The call goes on as a task; its request is answered with that.
    fn become_task(
        &self,
        caller: &Caller,
        ttl_ms: Option<u64>,
        tool: Arc<str>,
        provider: Arc<dyn Provider>,
        operation: Operation,
        side: Side,
    ) -> Planned {
        let (tasks, owner, client) =
            (self.tasks.clone(), caller.owner.clone(), caller.later.clone());
        let (revision, unsent) = (side.revision, self.unsent.clone());
        let work = move |inside: Inside| -> BoxFuture<'static, Outcome> {
            let side = Side { client: inside.client, ..side };
            let (timeout, cancelled) = (inside.time_limit, inside.cancelled);
            let running = run_boxed(provider, Job { operation, side, timeout, cancelled, unsent });
            Box::pin(async move {
                match running.await? {
                    Ended::Result(result) => Ok(result),
                    Ended::Questions(_) => Err(cannot_ask()),
                }
            })
        };
        let new = NewTask { revision, ttl_ms, tool, client, work: Box::new(work) };
        Planned::Run(Box::pin(async move { tasks.create(&owner, new).await }))
    }
}

/// A modern `resources/read` says how long it holds; where its server doesn't, not at all.
fn hinted(mut result: ResultObject) -> Outcome {
    let encoded = |_| RpcError::new(Code::InternalError, "The result could not be encoded");
    if result.get("ttlMs").is_none() {
        result.set("ttlMs", &0).map_err(encoded)?;
    }
    if result.get("cacheScope").is_none() {
        result.set("cacheScope", &"private").map_err(encoded)?;
    }
    Ok(result)
}

/// The error to a server that asks by ending its call where that can't be.
fn cannot_ask() -> RpcError {
    let why = "The server asks in a way that can't be answered here";
    RpcError::new(Code::InternalError, why)
}

/// Whose requests these are, as long as nobody is asked who they are.
pub const NOBODY: &str = "";
