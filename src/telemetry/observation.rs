//! One request, watched from its decoding to its answer: one log line, one measurement.

use std::sync::Arc;
use std::time::Instant;

use super::metrics::OperationLabels;
use super::{Metrics, Spent};
use crate::protocol::error::Blame;
use crate::protocol::{Code, Era, Method, RequestId, ResultObject, Revision, RpcError};

/// Longest request id that is logged, in characters: a client chooses it.
const ID_CHARS: usize = 64;

/// A request under way. One that is dropped without an answer is told as `disconnected`.
pub struct Observation {
    metrics: Metrics,
    started: Instant,
    id: String,
    method: &'static str,
    tool: Arc<str>,
    upstream: Option<Arc<str>>,
    spent: Spent,
    revision: Revision,
    told: bool,
}

/// Where a request goes.
#[derive(Debug, Default)]
pub struct Target {
    /// The tool that is called, by its federated name; `_other` where there is no such tool.
    pub tool: Option<Arc<str>>,
    /// The server behind the node that does it.
    pub upstream: Option<Arc<str>>,
}

impl Observation {
    /// Begins to watch a request.
    pub fn begin(metrics: &Metrics, id: &RequestId, method: &str, revision: Revision) -> Self {
        Self {
            metrics: metrics.clone(),
            started: Instant::now(),
            id: logged(id),
            method: Method::label(method),
            tool: "".into(),
            upstream: None,
            spent: Spent::default(),
            revision,
            told: false,
        }
    }

    /// Notes where it goes.
    pub fn goes_to(&mut self, target: Target) {
        let Target { tool, upstream } = target;
        self.tool = tool.unwrap_or_else(|| Arc::clone(&self.tool));
        self.upstream = upstream;
    }

    /// Where upstreams note how long they took.
    pub fn spent(&self) -> Spent {
        self.spent.clone()
    }

    /// Ends with the request's only answer.
    pub fn finish(mut self, outcome: &Result<ResultObject, RpcError>) {
        match outcome {
            Ok(result) if result.get("isError") == Some("true") => {
                self.tell("tool_error", Blame::None);
            }
            Ok(_) => self.tell("", Blame::None),
            Err(error) => {
                let blame = match error.code {
                    // It is the server that was too slow.
                    Code::TimedOut if self.upstream.is_some() => Blame::Upstream,
                    code => code.blame(),
                };
                self.tell(&error.code.label(self.revision.era()), blame)
            }
        }
    }

    fn tell(&mut self, error_type: &str, blame: Blame) {
        self.told = true;
        let duration = self.started.elapsed();
        let labels = OperationLabels {
            mcp_method_name: self.method,
            gen_ai_tool_name: Arc::clone(&self.tool),
            error_type: error_type.to_owned(),
            mcp_protocol_version: self.revision.as_str(),
        };
        self.metrics.operation_duration.get_or_create(&labels).observe(duration.as_secs_f64());
        let upstream = self.upstream.as_deref().unwrap_or_default();
        let spent = self.spent.total();
        if !spent.is_zero() {
            let overhead = duration.saturating_sub(spent);
            self.metrics.proxy_overhead.observe(overhead.as_secs_f64());
        }
        tracing::info!(
            target: "erlmcp::request",
            request_id = %self.id,
            era = self.revision.era().as_str(),
            method = self.method,
            tool = &*self.tool,
            upstream,
            outcome = if error_type.is_empty() { "ok" } else { error_type },
            blame = blame.as_str(),
            duration_ms = duration.as_secs_f64() * 1_000.0,
            "request"
        );
    }
}

/// Tells of a request that was refused before its session or revision was known, and perhaps even
/// its id and method.
pub fn refused(metrics: &Metrics, id: Option<&RequestId>, method: Option<&str>, error: &RpcError) {
    let method = method.map_or("", Method::label);
    let labels = OperationLabels {
        mcp_method_name: method,
        gen_ai_tool_name: "".into(),
        error_type: error.code.label(Era::Modern),
        mcp_protocol_version: "",
    };
    metrics.operation_duration.get_or_create(&labels).observe(0.0);
    tracing::info!(
        target: "erlmcp::request",
        request_id = %id.map(logged).unwrap_or_default(),
        method,
        outcome = labels.error_type.as_str(),
        blame = error.code.blame().as_str(),
        why = error.message.as_str(),
        "request"
    );
}

fn logged(id: &RequestId) -> String {
    id.to_string().chars().take(ID_CHARS).map(printable).collect()
}

/// A line break in an id would forge lines of the text log.
fn printable(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.told {
            self.tell("disconnected", Blame::Client);
        }
    }
}
