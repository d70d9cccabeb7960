//! What goes back over HTTP: a status, and one JSON-RPC message as JSON or as an event.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response as HttpResponse, StatusCode};
use warp::Reply as _;
use warp::reply::Response;

use super::sse;
use crate::admission::InFlight;
use crate::protocol::header::name::SESSION_ID;
use crate::protocol::{Code, Era, RequestId, Response as RpcResponse, RpcError};
use crate::session::SessionId;

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// `text/event-stream` by name: whoever takes anything does not expect events.
    pub events: bool,
    /// `application/json`, or nothing said.
    pub json: bool,
}

impl Accepts {
    /// Who takes JSON.
    pub const JSON: Self = Self { events: false, json: true };

    /// By `Accept`, leniently: many clients name one type, or none.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut events, mut json) = (false, false);
        for item in accepts.flat_map(|value| value.split(',')) {
            match item.split(';').next().unwrap_or_default().trim() {
                "text/event-stream" => events = true,
                "application/json" | "application/*" | "*/*" => json = true,
                _ => {}
            }
        }
        Self { events, json: json || !events }
    }
}

/// What goes back.
#[derive(Debug)]
pub enum Reply {
    /// One message, or none.
    Whole(Answer),
    /// Events, as they come.
    Events(Response),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Whole(answer)
    }
}

impl Reply {
    /// The bytes and headers.
    pub fn into_response(self, accepts: Accepts) -> Response {
        match self {
            Self::Whole(answer) => answer.into_response(accepts),
            Self::Events(response) => response,
        }
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The message's bytes; none for what isn't answered.
    pub message: Option<Bytes>,
    /// The id of the session that was opened.
    pub session: Option<SessionId>,
    /// The request's place in the node, kept until the client has taken the answer.
    pub place: Option<InFlight>,
}

impl Answer {
    /// A response, by its outcome.
    pub fn of(message: RpcResponse, era: Era) -> Self {
        let status = match &message.outcome {
            Ok(_) => StatusCode::OK,
            Err(error) => status_of(error.code, era),
        };
        Self::whole(status, message.encode(era))
    }

    /// A message with this status.
    pub fn whole(status: StatusCode, message: Vec<u8>) -> Self {
        Self { status, message: Some(Bytes::from(message)), session: None, place: None }
    }

    /// An error with the status that its class demands.
    pub fn refuse(status: StatusCode, id: Option<RequestId>, error: RpcError) -> Self {
        Self::whole(status, RpcResponse::error(id, error).encode(Era::Modern))
    }

    /// Taken, with nothing to say.
    pub fn accepted() -> Self {
        Self::empty(StatusCode::ACCEPTED)
    }

    /// A status alone.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, message: None, session: None, place: None }
    }

    /// The bytes and headers. Errors of HTTP's own are always JSON.
    pub fn into_response(self, accepts: Accepts) -> Response {
        let mut response = match self.message {
            None => Response::default(),
            Some(message) if !accepts.json && self.status == StatusCode::OK => {
                let mut response = HttpResponse::new(sse::message(None, &message)).into_response();
                sse::dress(&mut response);
                response
            }
            Some(message) => {
                let mut response = HttpResponse::new(message).into_response();
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
        };
        *response.status_mut() = self.status;
        if let Some(place) = self.place {
            response.extensions_mut().insert(Arc::new(place));
        }
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
fn status_of(code: Code, era: Era) -> StatusCode {
    match (code, era) {
        (Code::SessionNotFound, _) => StatusCode::NOT_FOUND,
        (Code::Overloaded | Code::ShuttingDown, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::MethodNotFound, Era::Modern) => StatusCode::NOT_FOUND,
        (
            Code::HeaderMismatch | Code::MissingClientCapability | Code::UnsupportedProtocolVersion,
            Era::Modern,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_leniently() {
        let table = [
            (None, false, true),
            (Some("*/*"), false, true),
            (Some("application/json"), false, true),
            (Some("application/json, text/event-stream"), true, true),
            (Some("text/event-stream;q=1, application/json;q=0.1"), true, true),
            (Some("text/event-stream"), true, false),
            (Some("text/html"), false, true),
        ];
        for (accept, events, json) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Accepts::of(&headers), Accepts { events, json }, "{accept:?}");
        }
    }
}
