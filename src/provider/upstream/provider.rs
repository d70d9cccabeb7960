//! A server behind the node, as a provider.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::instances::Instances;
use super::legacy;
use super::modern::{self, Round};
use super::parked::Parked;
use crate::catalogue::ServerName;
use crate::protocol::{Era, ResultObject, RpcError};
use crate::provider::{CallContext, CallError, Provider, ProviderCall};

/// The provider of one upstream, whatever instances of it run. Clones are the same one.
#[derive(Clone)]
pub struct UpstreamProvider {
    name: ServerName,
    instances: Arc<dyn Instances>,
    parked: Parked,
}

/// What a call carries in its client's hands from one round to the next.
#[derive(Deserialize)]
#[serde(untagged)]
enum Carried {
    /// A call that is parked under this id.
    Parked { parked: String },
    /// A round of a modern server.
    Round(Round),
}

impl UpstreamProvider {
    /// The provider of a server; `parked` is the whole node's.
    pub fn new(name: ServerName, instances: Arc<dyn Instances>, parked: Parked) -> Self {
        Self { name, instances, parked }
    }

    async fn perform(self, call: ProviderCall) -> Result<ResultObject, CallError> {
        let ProviderCall { operation, context } = call;
        let context = Arc::new(context);
        let round = match carried(&context) {
            Some(Carried::Parked { parked }) => {
                let principal = &context.side.who.principal;
                let call = self.parked.take(&parked, &self.name, principal)?;
                return call.talk.resume(&operation, &context, &self.parked).await;
            }
            Some(Carried::Round(round)) => Some(round),
            None => None,
        };
        let connection = self.instances.pick(&context.side.who).await?;
        match connection.peer().era() {
            Era::Legacy => legacy::call(&connection, &operation, &context, &self.parked).await,
            Era::Modern => modern::call(&connection, &operation, &context, round).await,
        }
    }
}

fn carried(context: &CallContext) -> Option<Carried> {
    let state = context.side.inputs.state.as_ref()?;
    serde_json::from_value(state.clone()).ok()
}

impl Provider for UpstreamProvider {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
        let Some(limit) = self.instances.timeout() else {
            return self.clone().perform(call).boxed();
        };
        let waits = call.context.waits.clone();
        let work = self.clone().perform(call);
        async move {
            tokio::select! {
                biased;
                outcome = work => outcome,
                // Out of the task's budget, as the node's own limit is.
                () = unconstrained(waits.spent(Instant::now() + limit)) => {
                    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                    Err(RpcError::timed_out(limit).into())
                }
            }
        }
        .boxed()
    }
}
