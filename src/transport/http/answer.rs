//! What goes back over HTTP: a status, and one JSON-RPC message as JSON or as an event.

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use http::{Response as HttpResponse, StatusCode};
use warp::Reply;
use warp::reply::Response;

use crate::protocol::header::name::SESSION_ID;
use crate::protocol::{Code, Era, RequestId, Response as RpcResponse, RpcError};
use crate::session::SessionId;

/// How a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/json`
    Json,
    /// `text/event-stream`
    Events,
}

impl Form {
    /// By `Accept`, leniently: many clients name one type, or none. JSON wherever it will do.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut events, mut json) = (false, false);
        for item in accepts.by_ref().flat_map(|value| value.split(',')) {
            match item.split(';').next().unwrap_or_default().trim() {
                "text/event-stream" => events = true,
                "application/json" | "application/*" | "*/*" => json = true,
                _ => {}
            }
        }
        if events && !json { Self::Events } else { Self::Json }
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The message; none for what isn't answered.
    pub message: Option<RpcResponse>,
    /// The id of the session that was opened.
    pub session: Option<SessionId>,
}

impl Answer {
    /// A response, by its outcome.
    pub fn of(message: RpcResponse) -> Self {
        let status = match &message.outcome {
            Ok(_) => StatusCode::OK,
            Err(error) => status_of(error.code),
        };
        Self { status, message: Some(message), session: None }
    }

    /// An error with the status that its class demands.
    pub fn refuse(status: StatusCode, id: Option<RequestId>, error: RpcError) -> Self {
        Self { status, message: Some(RpcResponse::error(id, error)), session: None }
    }

    /// Taken, with nothing to say.
    pub fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, message: None, session: None }
    }

    /// The bytes and headers. Errors of HTTP's own are always JSON.
    pub fn into_response(self, form: Form) -> Response {
        let mut response = match &self.message {
            None => Response::default(),
            Some(message) if form == Form::Events && self.status == StatusCode::OK => {
                event(&message.encode(Era::Legacy))
            }
            Some(message) => json(message.encode(Era::Legacy)),
        };
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(id) = self.session.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
            headers.insert(HeaderName::from_static(SESSION_ID), id);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The status of an error that a request's own work gave. The specification leaves it open; 200 is
/// what clients expect, but for the classes that HTTP has a meaning for.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::SessionNotFound => StatusCode::NOT_FOUND,
        Code::Overloaded | Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

fn json(body: Vec<u8>) -> Response {
    with_type("application/json", body)
}

/// One event with the message; the stream ends behind it.
fn event(message: &[u8]) -> Response {
    let mut body = b"event: message\ndata: ".to_vec();
    body.extend_from_slice(message);
    body.extend_from_slice(b"\n\n");
    let mut response = with_type("text/event-stream", body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies of nginx's kind keep events back unless told.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn with_type(content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = HttpResponse::new(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_chosen_leniently() {
        let table = [
            (None, Form::Json),
            (Some("*/*"), Form::Json),
            (Some("application/json"), Form::Json),
            (Some("application/json, text/event-stream"), Form::Json),
            (Some("text/event-stream;q=1, application/json;q=0.1"), Form::Json),
            (Some("text/event-stream"), Form::Events),
            (Some("text/html"), Form::Json),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Form::of(&headers), expected, "{accept:?}");
        }
    }
}
