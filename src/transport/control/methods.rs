//! The methods of the control socket: what each is asked, and what it answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use supervisors::SupervisorRef;

use super::orders::{Order, Orders};
use super::{inspect, upstreams};
use crate::catalogue::Scope;
use crate::protocol::call::ToolCall;
use crate::protocol::envelope::is_object;
use crate::protocol::{
    Call, Code, Era, Incoming, Limits, Method, Operation, Request, RequestId, Response,
    ResultObject, Revision, RpcError, decode,
};
use crate::provider::Side;
use crate::session::Work;
use crate::session::work::{Caller, Outcome};
use crate::telemetry::{Observation, Status};
use crate::transport::http::Endpoint;
use crate::transport::http::mcp;

/// Calls from here are made by the newest revision.
const REVISION: Revision = Revision::LATEST;

/// The methods; clones share their parts.
#[derive(Clone)]
pub struct Methods(pub Arc<Parts>);

/// What the methods work with.
pub struct Parts {
    /// The node as its clients see it.
    pub endpoint: Endpoint,
    /// The root of its tree, once that runs.
    pub root: OnceLock<SupervisorRef>,
    /// Where orders are given.
    pub orders: Orders,
    /// How long the node takes at most to stop in order.
    pub stop_limit: Duration,
    /// How long it drains before that, at most.
    pub drain_limit: Duration,
    /// Reads the configuration again, where there is one to read.
    pub reload: Option<Reload>,
}

/// Reads the configuration again, and applies what changed; where told so, it only looks.
pub type Reload = Arc<dyn Fn(bool) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One line of answer.
#[derive(Debug)]
pub struct Reply {
    /// The line, with its end.
    pub line: Vec<u8>,
    /// What is to be done once the line is sent.
    pub order: Option<Order>,
}

impl Reply {
    /// An answer to something that is no request.
    pub fn refusal(error: RpcError) -> Self {
        Self::new(Response::error(None, error), None)
    }

    fn new(response: Response, order: Option<Order>) -> Self {
        let mut line = response.encode(Era::Modern);
        line.push(b'\n');
        Self { line, order }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SessionsParams {
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallParams {
    /// The tool's federated name.
    tool: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
    /// How long the caller waits; the node's own limit holds anyway.
    #[serde(default)]
    timeout_ms: Option<u64>,
}

impl Methods {
    /// Answers a line; `None` for what has no answer, as a notification.
    pub async fn answer(&self, line: &[u8]) -> Option<Reply> {
        match decode(line, Limits::default()) {
            Ok(Incoming::Request(request)) => Some(self.respond(request).await),
            Ok(Incoming::Notification(_) | Incoming::Response { .. }) => None,
            Err(error) => Some(Reply::new(Response::error(error.id, error.error), None)),
        }
    }

    /// Tells the node to do as an operator asked.
    pub fn order(&self, order: Order) {
        self.0.orders.give(order);
    }

    async fn respond(&self, request: Request) -> Reply {
        let Request { id, method, params } = request;
        let params = params.as_deref();
        let (outcome, order) = match method.as_str() {
            "ping" => (nothing(params).map(|()| ResultObject::empty()), None),
            "status" => (nothing(params).and_then(|()| inspect::status(&self.0)), None),
            "tree" => (nothing(params).and_then(|()| inspect::tree(&self.0)), None),
            "sessions" => (self.sessions(params), None),
            "call" => (self.call(&id, params).await, None),
            "upstreams" => (nothing(params).and_then(|()| upstreams::list(&self.0)), None),
            "why" => (upstreams::why(&self.0, params), None),
            "logs" => (upstreams::logs(&self.0, params), None),
            "restart" => (upstreams::restart(&self.0, params), None),
            "reload" => (upstreams::reload(&self.0, params).await, None),
            "drain" => self.stop(params, Order::Drain),
            "stop" => self.stop(params, Order::Stop),
            _ => (Err(RpcError::method_not_found(&method)), None),
        };
        Reply::new(Response { id: Some(id), outcome }, order)
    }

    fn sessions(&self, params: Option<&RawValue>) -> Outcome {
        let SessionsParams { cursor } = read(params)?.unwrap_or_default();
        inspect::sessions(&self.0.endpoint.0.sessions.table, cursor.as_deref())
    }

    /// Runs a tool as a client of `/mcp` would.
    async fn call(&self, id: &RequestId, params: Option<&RawValue>) -> Outcome {
        let params: Option<CallParams> = read(params)?;
        let CallParams { tool, arguments, timeout_ms } =
            params.ok_or_else(|| RpcError::invalid_params("tool missing"))?;
        if arguments.as_deref().is_some_and(|raw| !is_object(raw)) {
            return Err(RpcError::invalid_params("arguments must be an object"));
        }
        let parts = &self.0.endpoint.0;
        if parts.health.status() >= Status::Draining {
            return Err(stopping());
        }
        let _place = parts.admission.admit().ok_or_else(|| {
            parts.metrics.reject("requests.max_in_flight");
            RpcError::overloaded("requests.max_in_flight")
        })?;
        let mut seen = Observation::begin(&parts.metrics, id, Method::CallTool.as_str(), REVISION);
        let asked = timeout_ms.map_or(Duration::MAX, Duration::from_millis);
        let work = Work { timeout: parts.work.timeout.min(asked), ..parts.work.clone() };
        let call = ToolCall { name: tool, arguments, task: None };
        let call = Call::Operate(Operation::CallTool(call));
        let endpoint = &self.0.endpoint;
        mcp::note_target(endpoint, &Scope::Federated, &call, |target| seen.goes_to(target));
        let caller = Caller::nobody(&Scope::Federated);
        let side = Side { spent: seen.spent(), ..Side::silent(REVISION) };
        let work = work.perform(&caller, side, call);
        let outcome = parts.stopping.run_until_cancelled(work).await;
        let outcome = outcome.unwrap_or_else(|| Err(stopping()));
        seen.finish(&outcome);
        outcome
    }

    /// Says how long it takes; the order itself is given once that is told.
    fn stop(&self, params: Option<&RawValue>, order: Order) -> (Outcome, Option<Order>) {
        if let Err(error) = nothing(params) {
            return (Err(error), None);
        }
        let Parts { stop_limit, drain_limit, .. } = &*self.0;
        let limit = match order {
            Order::Drain => *drain_limit + *stop_limit,
            Order::Stop => *stop_limit,
        };
        tracing::info!(?order, "an operator tells the node to stop");
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        (ResultObject::of(&json!({ "limit_ms": limit_ms })), Some(order))
    }
}

fn stopping() -> RpcError {
    RpcError::new(Code::ShuttingDown, "The node is stopping")
}

fn nothing(params: Option<&RawValue>) -> Result<(), RpcError> {
    read::<Nothing>(params).map(drop)
}

/// Reads a method's parameters; `None` where there are none.
///
/// # Errors
/// -32602 where they don't fit.
pub(super) fn read<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<Option<T>, RpcError> {
    params.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(RpcError::invalid_params)
}
