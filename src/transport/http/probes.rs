//! Probes and metrics.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use warp::Reply;
use warp::reply::Response;

use super::endpoint::Endpoint;
use crate::telemetry::Status;
use crate::upstreams::State;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/health`: how the node is, for people and load balancers.
pub fn health(endpoint: &Endpoint) -> Response {
    let parts = &endpoint.0;
    let status = parts.health.status();
    let upstreams = parts.upstreams.states();
    let ails =
        |state: &State| matches!(state, State::Degraded | State::Restarting | State::Quarantined);
    // The node itself serves, so that nobody is to take its traffic away.
    let is_degraded = status == Status::Ok && upstreams.values().any(ails);
    let report = json!({
        "status": if is_degraded { "degraded" } else { status.as_str() },
        "node": parts.node_name,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": parts.started.elapsed().as_secs(),
        "sessions": parts.sessions.table.len(),
        "requests_in_flight": parts.admission.in_flight(),
        "upstreams": upstreams,
    });
    warp::reply::with_status(warp::reply::json(&report), code(status)).into_response()
}

/// `/livez`: the process answers. Failing it means a restart, so nothing else may fail it.
pub fn live() -> Response {
    "ok\n".into_response()
}

/// `/readyz`: whether new work should be sent here.
pub fn ready(endpoint: &Endpoint) -> Response {
    let status = endpoint.0.health.status();
    warp::reply::with_status(format!("{}\n", status.as_str()), code(status)).into_response()
}

/// `/ping`
pub fn ping() -> Response {
    "pong\n".into_response()
}

/// `/metrics`
pub fn metrics(endpoint: &Endpoint) -> Response {
    match endpoint.0.metrics.encode() {
        Ok(text) => warp::reply::with_header(text, CONTENT_TYPE, METRICS_TYPE).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn code(status: Status) -> StatusCode {
    if status.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
