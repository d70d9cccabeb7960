//! Batches, which only 2025-03-26 has: several messages in one body, one array of responses.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::legacy::{exchange, session, submit};
use super::mcp;
use crate::catalogue::Scope;
use crate::protocol::envelope::DecodeError;
use crate::protocol::header::Headers;
use crate::protocol::{
    Asked, Code, Era, Incoming, Params, ParamsText, Request, Response, RpcError,
};
use crate::session::Record;
use crate::session::exchange::First;
use crate::telemetry::observation::refused;

/// Answers a batch that was posted.
pub async fn post(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    messages: Vec<Result<Incoming, DecodeError>>,
) -> Answer {
    let record = match session(endpoint, scope, headers) {
        Ok(record) => record,
        Err(refusal) => return refusal.answer(endpoint, None, None),
    };
    if !record.revision.has_batches() {
        return mcp::refuse(endpoint, StatusCode::BAD_REQUEST, None, None, unknown());
    }
    match responses(endpoint, scope, &record, messages).await {
        Some(body) => Answer::whole(StatusCode::OK, body),
        None => Answer::accepted(),
    }
}

/// The error to several messages at once where the revision does not have that.
pub fn unknown() -> RpcError {
    let why = "Invalid request: batches are not part of this protocol revision";
    RpcError::new(Code::InvalidRequest, why)
}

/// The responses to a batch, as one array; none where nothing is to be answered.
pub async fn responses(
    endpoint: &Endpoint,
    scope: &Scope,
    record: &Arc<Record>,
    messages: Vec<Result<Incoming, DecodeError>>,
) -> Option<Vec<u8>> {
    let each = messages.into_iter().map(|message| of_batch(endpoint, scope, record, message));
    let responses: Vec<Vec<u8>> = join_all(each).await.into_iter().flatten().collect();
    if responses.is_empty() {
        return None;
    }
    let mut body = b"[".to_vec();
    body.extend(responses.join(&b','));
    body.push(b']');
    Some(body)
}

/// One message of a batch; its response, where it has one.
async fn of_batch(
    endpoint: &Endpoint,
    scope: &Scope,
    record: &Arc<Record>,
    message: Result<Incoming, DecodeError>,
) -> Option<Vec<u8>> {
    let respond = |id, outcome| Some(Response { id, outcome }.encode(Era::Legacy));
    let sessions = &endpoint.0.sessions;
    let request = match message {
        Err(error) => {
            refused(&endpoint.0.metrics, error.id.as_ref(), None, &error.error);
            return respond(error.id, Err(error.error));
        }
        Ok(Incoming::Request(request)) => request,
        Ok(Incoming::Notification(notification)) => {
            let place = endpoint.0.admission.admit()?;
            let _ = sessions.notify(record, notification, place).await;
            return None;
        }
        Ok(Incoming::Response { id, outcome }) => {
            let _ = sessions.reply(record, id?, outcome).await;
            return None;
        }
    };
    let Request { id, method, params } = request;
    let text = params.map(ParamsText::from);
    let request = match Params::of(text.as_ref()) {
        Ok(params) => Asked { id: id.clone(), method, params },
        Err(error) => {
            refused(&endpoint.0.metrics, Some(&id), Some(&method), &error);
            return respond(Some(id), Err(error));
        }
    };
    let Some(place) = endpoint.0.admission.admit() else {
        let error = mcp::overloaded_error(endpoint);
        refused(&endpoint.0.metrics, Some(&id), Some(&request.method), &error);
        return respond(Some(id), Err(error));
    };
    let (exchange, first) = exchange(endpoint, record, &request, false, place);
    submit(endpoint, scope, record, request, exchange).await;
    match first.await {
        Ok(First::Answer(outcome, _place)) => respond(Some(id), *outcome),
        // No events were allowed, and an exchange answers even when it is dropped.
        Ok(First::Stream(_)) | Err(_) => respond(Some(id), Err(RpcError::crashed("session"))),
    }
}
