//! `/mcp` and `/mcp/SERVER`: one message in, at most one out.

use std::sync::Arc;

use futures_util::Stream;
use http::header::{ALLOW, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Method as HttpMethod, StatusCode};
use warp::Buf;
use warp::reply::Response;

use super::answer::{Answer, Form};
use super::body::{self, BodyError};
use super::endpoint::Endpoint;
use super::legacy;
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::header::{Headers, name};
use crate::protocol::meta::{self, Edge};
use crate::protocol::{
    Call, Code, Incoming, Kind, Limits, Notification, Operation, Request, Revision, RpcError,
    decode,
};
use crate::provider::Side;
use crate::telemetry::Observation;

/// Answers whatever came to an MCP endpoint.
pub async fn respond<S, B>(
    scope: Scope,
    method: HttpMethod,
    headers: HeaderMap,
    chunks: S,
    endpoint: Endpoint,
) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let form = Form::of(&headers);
    let standard = standard(&headers);
    let answer = match method {
        _ if !endpoint.serves(&scope) => {
            let error = RpcError::new(Code::InvalidRequest, "There is no such server");
            Answer::refuse(StatusCode::NOT_FOUND, None, error)
        }
        HttpMethod::POST => {
            let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
            post(&endpoint, &scope, &standard, announced, chunks).await
        }
        HttpMethod::DELETE => legacy::delete(&endpoint, &scope, &standard),
        _ => {
            let error = RpcError::new(Code::InvalidRequest, "Only POST and DELETE are served here");
            Answer::refuse(StatusCode::METHOD_NOT_ALLOWED, None, error)
        }
    };
    let refused = answer.status == StatusCode::METHOD_NOT_ALLOWED;
    let mut response = answer.into_response(form);
    if refused {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
    }
    response
}

async fn post<S, B>(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    announced: Option<usize>,
    chunks: S,
) -> Answer
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    // A place first: what can't be worked on isn't read either.
    let Some(place) = endpoint.0.admission.admit() else {
        return overloaded(endpoint);
    };
    let http = &endpoint.0.http;
    let reading = body::read(chunks, announced, http.body_limit_bytes, http.body_timeout());
    let Some(read) = endpoint.0.stopping.run_until_cancelled(reading).await else {
        return Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, stopped());
    };
    let body = match read {
        Ok(body) => body,
        Err(error) => return unread(endpoint, error),
    };
    match decode(&body, Limits::default()) {
        Err(error) => Answer::refuse(StatusCode::BAD_REQUEST, error.id, error.error),
        Ok(Incoming::Request(request)) => asked(endpoint, scope, headers, request, place).await,
        Ok(Incoming::Notification(notification)) => {
            told(endpoint, scope, headers, notification, place).await
        }
        // We ask clients nothing yet, so any answer of theirs is a stray one.
        Ok(Incoming::Response { .. }) => match legacy::session(endpoint, scope, headers) {
            Ok(_) => Answer::accepted(),
            Err(refusal) => refusal.answer(None),
        },
    }
}

async fn asked(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    request: Request,
    place: InFlight,
) -> Answer {
    match meta::edge(headers, request.params.as_deref()) {
        Edge::Legacy => legacy::asked(endpoint, scope, headers, request, place).await,
        Edge::Modern => stateless(endpoint, scope, headers, request, place).await,
        Edge::Unknown(version) => {
            let error = RpcError::unsupported_version(&version);
            Answer::refuse(StatusCode::BAD_REQUEST, Some(request.id), error)
        }
    }
}

async fn told(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    notification: Notification,
    place: InFlight,
) -> Answer {
    match meta::edge(headers, notification.params.as_deref()) {
        Edge::Legacy => legacy::told(endpoint, scope, headers, notification, place).await,
        // The modern era has no notification from clients over HTTP; one that comes does no harm.
        Edge::Modern => Answer::accepted(),
        Edge::Unknown(version) => {
            let error = RpcError::unsupported_version(&version);
            Answer::refuse(StatusCode::BAD_REQUEST, None, error)
        }
    }
}

/// A request of the modern era: it belongs to its connection, and dropping this future, as hyper
/// does when the client goes away, cancels its work.
async fn stateless(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    request: Request,
    place: InFlight,
) -> Answer {
    let parts = &endpoint.0;
    let newest = Revision::V2026_07_28;
    let mut seen = Observation::begin(&parts.metrics, &request.id, &request.method, newest);
    let checked = match meta::check(headers, &request) {
        Ok(checked) => checked,
        Err(error) => {
            let status = match error.code {
                Code::MethodNotFound => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            };
            seen.finish(&Err(error.clone()));
            return Answer::refuse(status, Some(request.id), error);
        }
    };
    let revision = checked.revision;
    let outcome = match Call::parse(checked.method, request.params.as_deref()) {
        Err(error) => Err(error),
        Ok(call) => {
            note_tool(endpoint, scope, &call, &mut seen);
            let work = parts.work.perform(scope, Side::silent(revision), call);
            parts.stopping.run_until_cancelled(work).await.unwrap_or_else(|| Err(stopped()))
        }
    };
    drop(place);
    seen.finish(&outcome);
    endpoint.answer(request.id, revision, outcome)
}

/// Tells the observation which tool is called.
pub(super) fn note_tool(endpoint: &Endpoint, scope: &Scope, call: &Call, seen: &mut Observation) {
    if let Call::Operate(Operation::CallTool(call)) = call {
        let snapshot = endpoint.0.work.published.load();
        let tool = snapshot.catalogue.find(scope, Kind::Tools, &call.name);
        seen.calls(tool.map(|tool| Arc::clone(&tool.label)));
    }
}

fn stopped() -> RpcError {
    RpcError::new(Code::ShuttingDown, "The node stopped before it was done")
}

fn overloaded(endpoint: &Endpoint) -> Answer {
    endpoint.0.metrics.reject("requests.max_in_flight");
    let error = RpcError::overloaded("requests.max_in_flight");
    Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, error)
}

fn unread(endpoint: &Endpoint, error: BodyError) -> Answer {
    let limit = endpoint.0.http.body_limit_bytes;
    match error {
        BodyError::TooLarge => endpoint.0.metrics.reject("http.body_limit_bytes"),
        BodyError::TooSlow => endpoint.0.metrics.reject("http.body_timeout_ms"),
        BodyError::Broken => {}
    }
    let (status, message) = match error {
        BodyError::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("The body is larger than {limit} bytes"))
        }
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, error.to_string()),
        BodyError::Broken => (StatusCode::BAD_REQUEST, error.to_string()),
    };
    Answer::refuse(status, None, RpcError::new(Code::InvalidRequest, message))
}

/// The standard headers as text. A header that came twice becomes one text with a comma, as HTTP
/// folds it, and one that is no text becomes one that matches nothing.
fn standard(headers: &HeaderMap) -> Headers {
    let text = |name: &str| {
        let values = headers.get_all(name).iter();
        let all: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    Headers {
        protocol_version: text(name::PROTOCOL_VERSION),
        session_id: text(name::SESSION_ID),
        method: text(name::METHOD),
        name: text(name::NAME),
    }
}
