//! `/mcp` and `/mcp/SERVER`: a body in, an answer or events out.

use futures_util::Stream;
use http::header::{ALLOW, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Method as HttpMethod, StatusCode};
use warp::Buf;
use warp::reply::Response;

use super::answer::{Accepts, Answer, Reply};
use super::body::{self, BodyError};
use super::endpoint::Endpoint;
use super::{batch, legacy, modern};
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::envelope::DecodeError;
use crate::protocol::header::{Headers, name};
use crate::protocol::meta::{self, Edge};
use crate::protocol::{
    Asked, Body, Call, Code, Era, Incoming, Limits, Notification, Operation, Params, ParamsText,
    Request, RequestId, Revision, RpcError, decode_body,
};
use crate::router;
use crate::telemetry::Target;
use crate::telemetry::observation::refused;

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
    let accepts = Accepts::of(&headers);
    let standard = standard(&headers);
    if !endpoint.serves(&scope) {
        let error = RpcError::new(Code::InvalidRequest, "There is no such server");
        return Answer::refuse(StatusCode::NOT_FOUND, None, error).into_response(accepts);
    }
    let reply = match method {
        HttpMethod::POST => {
            let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
            post(&endpoint, &scope, &standard, accepts, announced, chunks).await
        }
        // The modern era has neither: what it streams is the answer to a request.
        HttpMethod::GET | HttpMethod::DELETE if is_modern(&standard) => not_allowed().into(),
        HttpMethod::GET => legacy::get(&endpoint, &scope, &standard, accepts),
        HttpMethod::DELETE => legacy::delete(&endpoint, &scope, &standard).into(),
        _ => not_allowed().into(),
    };
    let mut response = reply.into_response(accepts);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    }
    response
}

fn is_modern(headers: &Headers) -> bool {
    let revision = headers.protocol_version.as_deref().and_then(Revision::parse);
    revision.is_some_and(|revision| revision.era() == Era::Modern)
}

fn not_allowed() -> Answer {
    let error = RpcError::new(Code::InvalidRequest, "This method isn't served here");
    Answer::refuse(StatusCode::METHOD_NOT_ALLOWED, None, error)
}

async fn post<S, B>(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    accepts: Accepts,
    announced: Option<usize>,
    chunks: S,
) -> Reply
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let parts = &endpoint.0;
    let (limit, patience) = (parts.http.body_limit_bytes, parts.http.body_timeout());
    let reading = body::read(chunks, announced, limit, patience, &parts.room);
    let Some(read) = parts.stopping.run_until_cancelled(reading).await else {
        return Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, stopped()).into();
    };
    let body = match read {
        Ok(body) => body,
        Err(error) => return unread(endpoint, error).into(),
    };
    let decoded = match decode_body(&body.bytes, Limits::default()) {
        Ok(decoded) => decoded,
        Err(DecodeError { id, error }) => {
            return refuse(endpoint, StatusCode::BAD_REQUEST, id, None, error).into();
        }
    };
    drop(body.bytes);
    let message = match decoded {
        Body::One(message) => message,
        Body::Batch(messages) => {
            return batch::post(endpoint, scope, headers, messages).await.into();
        }
    };
    // A place is taken when there is something to do, so that silent bodies hold none.
    let Some(place) = parts.admission.admit() else {
        let (id, method) = match message {
            Incoming::Request(request) => (Some(request.id), Some(request.method)),
            Incoming::Notification(notification) => (None, Some(notification.method)),
            Incoming::Response { .. } => (None, None),
        };
        let (status, error) = (StatusCode::SERVICE_UNAVAILABLE, overloaded_error(endpoint));
        return refuse(endpoint, status, id, method.as_deref(), error).into();
    };
    let place = place.with_room(body.room);
    match message {
        Incoming::Request(request) => {
            asked(endpoint, scope, headers, accepts, request, place).await
        }
        Incoming::Notification(notification) => {
            told(endpoint, scope, headers, notification, place).await.into()
        }
        Incoming::Response { .. } => {
            legacy::replied(endpoint, scope, headers, message).await.into()
        }
    }
}

async fn asked(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    accepts: Accepts,
    request: Request,
    place: InFlight,
) -> Reply {
    let Request { id, method, params } = request;
    let text = params.map(ParamsText::from);
    let params = match Params::of(text.as_ref()) {
        Ok(params) => params,
        Err(error) => {
            let status = StatusCode::BAD_REQUEST;
            return refuse(endpoint, status, Some(id), Some(&method), error).into();
        }
    };
    let edge = meta::edge(headers, &params);
    let request = Asked { id, method, params };
    match edge {
        Edge::Legacy => legacy::asked(endpoint, scope, headers, accepts, request, place).await,
        Edge::Modern => modern::asked(endpoint, scope, headers, accepts, request, place).await,
        Edge::Unknown(version) => {
            let (id, method) = (Some(request.id), Some(request.method.as_str()));
            let error = RpcError::unsupported_version(&version);
            refuse(endpoint, StatusCode::BAD_REQUEST, id, method, error).into()
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
    // One that can't be read is ignored further on.
    let params = Params::seen(notification.params.as_deref()).unwrap_or_default();
    match meta::edge(headers, &params) {
        Edge::Legacy => legacy::told(endpoint, scope, headers, notification, place).await,
        // The modern era has no notification from clients over HTTP; one that comes does no harm.
        Edge::Modern => Answer::accepted(),
        Edge::Unknown(version) => {
            let method = Some(notification.method.as_str());
            let error = RpcError::unsupported_version(&version);
            refuse(endpoint, StatusCode::BAD_REQUEST, None, method, error)
        }
    }
}

/// Tells where a call goes.
pub fn note_target(endpoint: &Endpoint, scope: &Scope, call: &Call, note: impl FnOnce(Target)) {
    if let Call::Operate(operation) = call {
        let snapshot = endpoint.0.work.published.load();
        let (server, label) = router::target(&snapshot.catalogue, scope, operation);
        let tool = matches!(operation, Operation::CallTool(_));
        note(Target {
            tool: tool.then(|| label.unwrap_or_else(|| "_other".into())),
            upstream: server.filter(|server| endpoint.0.upstreams.knows(server)),
        });
    }
}

/// The error to what the node's end cut off.
pub fn stopped() -> RpcError {
    RpcError::new(Code::ShuttingDown, "The node stopped before it was done")
}

/// The error to a request that finds no place; it is counted.
pub fn overloaded_error(endpoint: &Endpoint) -> RpcError {
    endpoint.0.metrics.reject("requests.max_in_flight");
    RpcError::overloaded("requests.max_in_flight")
}

/// The answer to a body that could not be read; it is counted.
pub fn unread(endpoint: &Endpoint, error: BodyError) -> Answer {
    let limit = endpoint.0.http.body_limit_bytes;
    let (reason, status) = match error {
        BodyError::TooLarge => ("http.body_limit_bytes", StatusCode::PAYLOAD_TOO_LARGE),
        BodyError::TooSlow => ("http.body_timeout_ms", StatusCode::REQUEST_TIMEOUT),
        BodyError::NoRoom => ("http.body_room_bytes", StatusCode::SERVICE_UNAVAILABLE),
        BodyError::Broken => ("body broken off", StatusCode::BAD_REQUEST),
    };
    endpoint.0.metrics.reject(reason);
    let error = match error {
        BodyError::NoRoom => RpcError::overloaded(reason),
        BodyError::TooLarge => {
            let why = format!("The body is larger than {limit} bytes");
            RpcError::new(Code::InvalidRequest, why)
        }
        BodyError::TooSlow | BodyError::Broken => {
            RpcError::new(Code::InvalidRequest, error.to_string())
        }
    };
    refuse(endpoint, status, None, None, error)
}

/// The answer to what is refused before anybody works on it; it is logged and counted.
pub fn refuse(
    endpoint: &Endpoint,
    status: StatusCode,
    id: Option<RequestId>,
    method: Option<&str>,
    error: RpcError,
) -> Answer {
    refused(&endpoint.0.metrics, id.as_ref(), method, &error);
    Answer::refuse(status, id, error)
}

/// The standard headers as text. A header that came twice becomes one text with a comma, as HTTP
/// folds it, and one that is no text becomes one that matches nothing.
fn standard(headers: &HeaderMap) -> Headers {
    let text = |name: &str| {
        let values = headers.get_all(name).iter();
        let all: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let names = headers.keys().map(http::HeaderName::as_str);
    let params = names.filter_map(|key| {
        let short = key.strip_prefix(name::PARAM_PREFIX)?;
        Some((short.to_owned(), text(key)?))
    });
    Headers {
        protocol_version: text(name::PROTOCOL_VERSION),
        session_id: text(name::SESSION_ID),
        method: text(name::METHOD),
        name: text(name::NAME),
        params: params.collect(),
        last_event_id: text(name::LAST_EVENT_ID),
    }
}
