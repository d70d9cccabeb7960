//! A call at a server of the session era: it asks the client while the call runs.
//!
//! A client that can't be asked meanwhile gets the questions as the end of its request. The call
//! itself is parked then: it stays open at its server, and the client's next request goes on with
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::connection::{Begun, Connection, Fault, Happening, Live, Question, Task, without_task};
use super::faults;
use super::parked::{Parked, ParkedCall};
use super::questions::Asking;
use crate::bridge;
use crate::catalogue::ServerName;
use crate::protocol::{Ask, Era, Operation, ResultObject, RpcError};
use crate::provider::{CallContext, CallError, Questions};

/// How long further questions may take to come behind one: a server that asks several things at
/// once doesn't write them at once, and each round costs a person more than that.
const GATHER: Duration = Duration::from_millis(50);

/// A call that runs, and what its client was asked for it without an answer yet.
pub(super) struct Talk {
    pub(super) server: ServerName,
    pub(super) live: Live,
    /// The task as which the server runs it.
    pub(super) task: Option<Task>,
    /// Questions whose answers the client will bring, by their keys.
    pub(super) open: BTreeMap<String, (u64, Ask)>,
    /// Questions that were given keys so far.
    pub(super) keys: u64,
}

/// Does the call.
///
/// # Errors
/// The server's own, what became of it, and its questions to a client that can't be asked
/// meanwhile.
pub(super) async fn call(
    connection: &Connection,
    operation: &Operation,
    context: &Arc<CallContext>,
    parked: &Parked,
) -> Result<ResultObject, CallError> {
    let server = Arc::clone(connection.name());
    let (live, task) = match connection.begin_legacy(operation, context).await {
        Ok(Begun::Runs(live, task)) => (live, task),
        Ok(Begun::Done(result)) => return passed(&server, result, context),
        Err(Fault::Answered(error)) => {
            let to = context.side.revision.era();
            return Err(bridge::error_for_client(error, operation, Era::Legacy, to).into());
        }
        Err(fault) => return Err(faults::told(&server, fault).into()),
    };
    let talk = Talk { server, live, task, open: BTreeMap::new(), keys: 0 };
    talk.go_on(operation, context, parked).await
}

impl Talk {
    /// Goes on with a call that was parked: with the answers that its client brings, and for it.
    ///
    /// # Errors
    /// Those of [`call`].
    pub(super) async fn resume(
        mut self,
        operation: &Operation,
        context: &Arc<CallContext>,
        parked: &Parked,
    ) -> Result<ResultObject, CallError> {
        self.live.hand_over(context);
        let answers = &context.side.inputs.answers;
        let live = &self.live;
        self.open.retain(|key, (number, _)| match answers.get(key) {
            Some(answer) => {
                live.answer(*number, Ok(answer.clone()));
                false
            }
            None => true,
        });
        self.go_on(operation, context, parked).await
    }

    async fn go_on(
        mut self,
        operation: &Operation,
        context: &Arc<CallContext>,
        parked: &Parked,
    ) -> Result<ResultObject, CallError> {
        let mut asking = Asking::default();
        loop {
            // What is asked together is told together; what comes later has its own round.
            let happening = if self.open.is_empty() {
                tokio::select! {
                    happening = self.live.next() => happening,
                    (number, reply) = asking.next() => {
                        self.live.answer(number, reply.map_err(bridge::answer_error));
                        continue;
                    }
                }
            } else {
                match timeout(GATHER, self.live.next()).await {
                    Ok(happening) => happening,
                    Err(_) => return Err(self.park(context, parked)),
                }
            };
            match happening {
                Happening::Done(outcome) => return self.finish(outcome, operation, context),
                Happening::Asked(Question { number, ask }) => {
                    if context.side.client.can_wait() {
                        asking.ask(number, ask, context);
                    } else {
                        self.keys += 1;
                        self.open.insert(format!("question-{}", self.keys), (number, ask));
                    }
                }
                Happening::Withdrawn(number) => {
                    asking.withdraw(number);
                    self.open.retain(|_, (open, _)| *open != number);
                }
                Happening::Acknowledged => {}
            }
        }
    }

    /// Leaves the call at its server, and asks the client to come back with the answers.
    fn park(self, context: &CallContext, parked: &Parked) -> CallError {
        let asks = self.open.iter().map(|(key, (_, ask))| (key.clone(), ask.clone())).collect();
        let principal = Arc::clone(&context.side.who.principal);
        match parked.park(ParkedCall { talk: self, principal, since: Instant::now() }) {
            Ok(id) => {
                let state = Some(json!({ "parked": id }));
                CallError::InputRequired(Box::new(Questions { asks, state }))
            }
            Err(error) => error.into(),
        }
    }

    fn finish(
        mut self,
        outcome: Result<Box<RawValue>, Fault>,
        operation: &Operation,
        context: &CallContext,
    ) -> Result<ResultObject, CallError> {
        let was_task = self.task.as_mut().map(Task::ended).is_some();
        match outcome {
            Ok(result) => {
                let mut result = passed(&self.server, result, context)?;
                if was_task {
                    without_task(&mut result);
                }
                Ok(result)
            }
            Err(Fault::Answered(error)) => Err(self.refused(error, operation, context)),
            Err(fault) => Err(faults::told(&self.server, fault).into()),
        }
    }

    /// The server's own error, as the client knows it.
    fn refused(&self, error: RpcError, operation: &Operation, context: &CallContext) -> CallError {
        let side = &context.side;
        let to = side.revision.era();
        self.live.expect_visits(&error, &side.who);
        let can_visit = to == Era::Modern && side.capabilities.elicitation_url;
        match bridge::visits(&error).filter(|_| can_visit) {
            Some(asks) => {
                // The call is over; the client begins it anew when it was there.
                let state = Some(json!({}));
                CallError::InputRequired(Box::new(Questions { asks, state }))
            }
            None => bridge::error_for_client(error, operation, Era::Legacy, to).into(),
        }
    }
}

/// A result on its way to the client.
fn passed(
    server: &str,
    result: Box<RawValue>,
    context: &CallContext,
) -> Result<ResultObject, CallError> {
    let result = bridge::result(result);
    let mut result = result.map_err(|why| RpcError::upstream_invalid(server, why))?;
    bridge::result_for_client(&mut result, Era::Legacy, context.side.revision);
    Ok(result)
}
