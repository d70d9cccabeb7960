//! The session era over HTTP: opening, finding, asking and ending sessions, and their streams.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, unfold};
use http::StatusCode;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::answer::{Accepts, Answer, Reply};
use super::endpoint::Endpoint;
use super::mcp::{note_target, refuse};
use super::{SILENCE, sse};
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::handshake::Initialize;
use crate::protocol::header::Headers;
use crate::protocol::meta::Extras;
use crate::protocol::{
    Asked, Call, Code, Era, Incoming, Method, Notification, RequestId, Response, ResultObject,
    Revision, RpcError,
};
use crate::session::actor::SessionRequest;
use crate::session::events::{EventId, Found, StreamId};
use crate::session::exchange::{Exchange, First, Way};
use crate::session::streams::Reading;
use crate::session::table::InUse;
use crate::session::work::Outcome;
use crate::session::{Record, Transport};
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

    /// The answer to a message with this id and method, where it had them.
    pub fn answer(
        self,
        endpoint: &Endpoint,
        id: Option<RequestId>,
        method: Option<&str>,
    ) -> Answer {
        refuse(endpoint, self.status, id, method, self.error)
    }
}

/// Finds the session that a message belongs to.
///
/// # Errors
/// 400 without an id or with a revision that doesn't exist; 404 for an id that isn't known, the
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
    accepts: Accepts,
    request: Asked<'_>,
    place: InFlight,
) -> Reply {
    let initializes = request.method == Method::Initialize.as_str();
    if initializes && headers.session_id.is_none() {
        return initialize(endpoint, scope, request).await.into();
    }
    let record = match session(endpoint, scope, headers) {
        Ok(record) => record,
        Err(refusal) => {
            let (id, method) = (Some(request.id), Some(request.method.as_str()));
            return refusal.answer(endpoint, id, method).into();
        }
    };
    if initializes {
        let error = RpcError::new(Code::InvalidRequest, "This session is already initialized");
        let (id, method) = (Some(request.id), Some(request.method.as_str()));
        return refuse(endpoint, StatusCode::BAD_REQUEST, id, method, error).into();
    }
    let id = request.id.clone();
    let (exchange, mut first) = exchange(endpoint, &record, &request, accepts.events, place);
    let side = exchange.side();
    submit(endpoint, scope, &record, request, exchange).await;
    let mut first_or_silence = async || {
        if accepts.events {
            tokio::select! {
                first = &mut first => return first,
                () = tokio::time::sleep(SILENCE) => side.open_stream(),
            }
        }
        (&mut first).await
    };
    match first_or_silence().await {
        Ok(First::Answer(outcome, place)) => {
            let answer = Answer::of(endpoint.response(id, record.revision, *outcome), Era::Legacy);
            Answer { place, ..answer }.into()
        }
        Ok(First::Stream(reading)) => Reply::Events(events(endpoint, record, None, reading, None)),
        // An exchange answers even when it is dropped.
        Err(_dropped) => {
            Answer::refuse(StatusCode::OK, Some(id), RpcError::crashed("session")).into()
        }
    }
}

/// A request's exchange, and where it comes out.
pub fn exchange(
    endpoint: &Endpoint,
    record: &Arc<Record>,
    request: &Asked<'_>,
    events: bool,
    place: InFlight,
) -> (Exchange, oneshot::Receiver<First>) {
    let parts = &endpoint.0;
    let seen = Observation::begin(&parts.metrics, &request.id, &request.method, record.revision);
    let (sender, first) = oneshot::channel();
    let (id, record, health) = (request.id.clone(), Arc::clone(record), parts.health.clone());
    let way = Way::Http { first: sender, events };
    (Exchange::new(id, record, health, way, place, seen), first)
}

/// Parses a request and hands it to its session; its exchange is answered in any case.
pub async fn submit(
    endpoint: &Endpoint,
    scope: &Scope,
    record: &Arc<Record>,
    request: Asked<'_>,
    exchange: Exchange,
) {
    let params = &request.params;
    let parsed = Method::parse(&request.method, record.revision)
        .ok_or_else(|| RpcError::method_not_found(&request.method))
        .and_then(|method| Ok((Call::parse(method, params)?, Extras::parse(params)?)));
    match parsed {
        Err(error) => exchange.finish(Err(error)),
        Ok((call, extras)) => {
            note_target(endpoint, scope, &call, |target| exchange.goes_to(target));
            let request = SessionRequest { call, extras, exchange };
            endpoint.0.sessions.request(request).await;
        }
    }
}

async fn initialize(endpoint: &Endpoint, scope: &Scope, request: Asked<'_>) -> Answer {
    let (outcome, record) = open(endpoint, scope, Transport::Http, &request).await;
    let session = record.map(|record| record.id.clone());
    let response = Response { id: Some(request.id), outcome };
    Answer { session, ..Answer::of(response, Era::Legacy) }
}

/// Opens a session, as its `initialize` asks.
pub async fn open(
    endpoint: &Endpoint,
    scope: &Scope,
    transport: Transport,
    request: &Asked<'_>,
) -> (Outcome, Option<Arc<Record>>) {
    let parts = &endpoint.0;
    let asked = Initialize::parse(request.params.text.map(|text| &**text));
    let revision = asked.as_ref().map_or(Revision::LATEST_LEGACY, |asked| asked.revision);
    let seen = Observation::begin(&parts.metrics, &request.id, &request.method, revision);
    let opened: Result<(ResultObject, Arc<Record>), RpcError> = async {
        let asked = asked?;
        let snapshot = parts.work.published.load();
        let result = asked.result(&parts.server, snapshot.catalogue.instructions(scope))?;
        let record = parts.sessions.open(scope.clone(), transport, &asked).await?;
        Ok((result, record))
    }
    .await;
    let (outcome, record) = match opened {
        Ok((result, record)) => (Ok(result), Some(record)),
        Err(error) => (Err(error), None),
    };
    seen.finish(&outcome);
    (outcome, record)
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
        Err(refusal) => return refusal.answer(endpoint, None, Some(&notification.method)),
    };
    accepted(endpoint.0.sessions.notify(&record, notification, place).await)
}

/// The client answers a question of ours.
pub async fn replied(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    message: Incoming,
) -> Answer {
    match (session(endpoint, scope, headers), message) {
        (Err(refusal), _) => refusal.answer(endpoint, None, None),
        (Ok(record), Incoming::Response { id: Some(id), outcome }) => {
            accepted(endpoint.0.sessions.reply(&record, id, outcome).await)
        }
        // An error to something that the client could not read says nothing that helps.
        (Ok(_), _) => Answer::accepted(),
    }
}

fn accepted(told: Result<(), RpcError>) -> Answer {
    match told {
        Ok(()) => Answer::accepted(),
        Err(error) => Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, None, error),
    }
}

/// GET: the session's own stream, or the rest of one that broke off.
pub fn get(endpoint: &Endpoint, scope: &Scope, headers: &Headers, accepts: Accepts) -> Reply {
    let record = match session(endpoint, scope, headers) {
        Ok(record) => record,
        Err(refusal) => return refusal.answer(endpoint, None, None).into(),
    };
    if !accepts.events {
        let why = "This is a stream of events; accept text/event-stream";
        let error = RpcError::new(Code::InvalidRequest, why);
        return Answer::refuse(StatusCode::NOT_ACCEPTABLE, None, error).into();
    }
    let last = headers.last_event_id.as_deref().and_then(EventId::parse);
    let (own, resumed) = (StreamId::OWN, last.and_then(|last| record.streams.read_behind(last)));
    let reading = match (resumed, last) {
        (Some(resumed), _) => Some((None, resumed)),
        (None, Some(last)) if last.stream != own => None,
        // An id that isn't known on the session's own stream begins anew, like none.
        (None, _) => record.streams.read(own).map(|reading| {
            let primed = record.revision.primes_streams().then(|| sse::priming(reading.place()));
            (primed, reading)
        }),
    };
    match reading {
        Some((primed, reading)) => {
            let ending = Some(endpoint.0.ending.clone());
            Reply::Events(events(endpoint, record, primed, reading, ending))
        }
        // Nothing comes on this stream any more. It is the one status by which clients do not come
        // back (HTML, "Server-sent events"): after an empty stream they would, for ever.
        None => Answer::empty(StatusCode::NO_CONTENT).into(),
    }
}

/// The client ends its session.
pub fn delete(endpoint: &Endpoint, scope: &Scope, headers: &Headers) -> Answer {
    match session(endpoint, scope, headers) {
        Ok(record) => {
            endpoint.0.sessions.end(&record);
            Answer::empty(StatusCode::NO_CONTENT)
        }
        Err(refusal) => refusal.answer(endpoint, None, None),
    }
}

/// A stream's events as a response, behind what primes it. `ending` ends one that would go on for
/// ever.
fn events(
    endpoint: &Endpoint,
    record: Arc<Record>,
    primed: Option<Bytes>,
    reading: Reading,
    ending: Option<CancellationToken>,
) -> warp::reply::Response {
    let parts = &endpoint.0;
    let open = (parts.metrics.open_stream("legacy", record.transport.as_str()), InUse::of(&record));
    let state = (reading, ending.unwrap_or_default(), open);
    let events = unfold(state, |(mut reading, ending, open)| async move {
        let event = match ending.run_until_cancelled(reading.next()).await? {
            Found::Event(id, data) if data.is_empty() => sse::priming(id),
            Found::Event(id, data) => sse::message(Some(id), &data),
            Found::Nothing | Found::End => return None,
        };
        Some((event, (reading, ending, open)))
    });
    sse::response(stream::iter(primed).chain(events))
}
