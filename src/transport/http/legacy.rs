//! The session era over HTTP: opening, finding, asking and ending sessions.

use std::sync::Arc;

use http::StatusCode;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::mcp::note_tool;
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::handshake::Initialize;
use crate::protocol::header::Headers;
use crate::protocol::{
    Call, Code, Method, Notification, Request, RequestId, Response, Revision, RpcError,
};
use crate::session::Record;
use crate::session::work::Outcome;
use crate::telemetry::Observation;

/// Why a message reaches no session.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: RpcError,
}

impl Refusal {
    fn bad(error: RpcError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error }
    }

    /// The answer to a message with this id, where it had one.
    pub fn answer(self, id: Option<RequestId>) -> Answer {
        Answer::refuse(self.status, id, self.error)
    }
}

/// Finds the session that a message belongs to.
///
/// # Errors
/// 400 without an id or with a revision that isn't served; 404 for an id that isn't known, the
/// one status by which clients know that they have to initialize again.
pub fn session(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
) -> Result<Arc<Record>, Refusal> {
    let Some(id) = &headers.session_id else {
        let why = "Mcp-Session-Id is missing; initialize first";
        return Err(Refusal::bad(RpcError::new(Code::InvalidRequest, why)));
    };
    if let Some(version) = &headers.protocol_version
        && Revision::parse(version).is_none()
    {
        return Err(Refusal::bad(RpcError::unsupported_version(version)));
    }
    endpoint.0.sessions.table.find(id, scope).ok_or_else(|| Refusal {
        status: StatusCode::NOT_FOUND,
        error: RpcError::new(Code::SessionNotFound, "Unknown session; initialize a new one"),
    })
}

/// A request of the session era.
pub async fn asked(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    request: Request,
    place: InFlight,
) -> Answer {
    let initializes = request.method == Method::Initialize.as_str();
    if initializes && headers.session_id.is_none() {
        return initialize(endpoint, scope, request).await;
    }
    let record = match session(endpoint, scope, headers) {
        Ok(record) => record,
        Err(refusal) => return refusal.answer(Some(request.id)),
    };
    let parts = &endpoint.0;
    let revision = record.revision;
    let mut seen = Observation::begin(&parts.metrics, &request.id, &request.method, revision);
    let call = Method::parse(&request.method, revision)
        .ok_or_else(|| RpcError::method_not_found(&request.method))
        .and_then(|method| Call::parse(method, request.params.as_deref()));
    let outcome = match call {
        Err(error) => Err(error),
        Ok(call) => {
            note_tool(endpoint, scope, &call, &mut seen);
            parts.sessions.request(&record, request.id.clone(), call, place).await
        }
    };
    if matches!(&outcome, Err(error) if error.code == Code::Overloaded) {
        parts.metrics.reject("requests.max_in_flight_per_session");
    }
    seen.finish(&outcome);
    match outcome {
        Err(error) if initializes => {
            Answer::refuse(StatusCode::BAD_REQUEST, Some(request.id), error)
        }
        outcome => endpoint.answer(request.id, revision, outcome),
    }
}

async fn initialize(endpoint: &Endpoint, scope: &Scope, request: Request) -> Answer {
    let parts = &endpoint.0;
    let asked = Initialize::parse(request.params.as_deref());
    let revision = asked.as_ref().map_or(Revision::LATEST_LEGACY, |asked| asked.revision);
    let seen = Observation::begin(&parts.metrics, &request.id, &request.method, revision);
    let opened = match asked {
        Ok(asked) => open(endpoint, scope, &asked).await,
        Err(error) => Err(error),
    };
    let (outcome, session): (Outcome, _) = match opened {
        Ok((result, record)) => (Ok(result), Some(record.id.clone())),
        Err(error) => (Err(error), None),
    };
    seen.finish(&outcome);
    Answer { session, ..Answer::of(Response { id: Some(request.id), outcome }) }
}

async fn open(
    endpoint: &Endpoint,
    scope: &Scope,
    asked: &Initialize,
) -> Result<(crate::protocol::ResultObject, Arc<Record>), RpcError> {
    let result = asked.result(&endpoint.0.server, None)?;
    let record = endpoint.0.sessions.open(scope.clone(), asked).await?;
    Ok((result, record))
}

/// A notification of the session era.
pub async fn told(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    notification: Notification,
    place: InFlight,
) -> Answer {
    let record = match session(endpoint, scope, headers) {
        Ok(record) => record,
        Err(refusal) => return refusal.answer(None),
    };
    match endpoint.0.sessions.notify(&record, notification, place).await {
        Ok(()) => Answer::accepted(),
        Err(error) => Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, error),
    }
}

/// The client ends its session.
pub fn delete(endpoint: &Endpoint, scope: &Scope, headers: &Headers) -> Answer {
    match session(endpoint, scope, headers) {
        Ok(record) => {
            endpoint.0.sessions.end(&record);
            Answer { status: StatusCode::NO_CONTENT, message: None, session: None }
        }
        Err(refusal) => refusal.answer(None),
    }
}
