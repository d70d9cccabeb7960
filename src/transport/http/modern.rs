//! The modern era over HTTP: each request belongs to its connection, and dropping what answers it,
//! as hyper does when the client goes away, cancels its work.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::{Accepts, Answer, Reply};
use super::endpoint::Endpoint;
use super::mcp::note_target;
use super::{SILENCE, sse};
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::header::Headers;
use crate::protocol::meta::{self, Checked, Extras};
use crate::protocol::{Asked, Call, Code, Era, RequestId, Response, Revision, RpcError};
use crate::provider::Who;
use crate::session::listen::{self, Listen};
use crate::session::work::{NOBODY, Outcome, Planned};
use crate::tasks::Owner;
use crate::telemetry::Observation;
use crate::telemetry::metrics::OpenStream;

/// Answers one request.
pub async fn asked(
    endpoint: &Endpoint,
    scope: &Scope,
    headers: &Headers,
    accepts: Accepts,
    request: Asked<'_>,
    place: InFlight,
) -> Reply {
    let parts = &endpoint.0;
    let newest = Revision::LATEST;
    let mut seen = Observation::begin(&parts.metrics, &request.id, &request.method, newest);
    let (checked, call, extras) = match parse(headers, &request) {
        Ok(parsed) => parsed,
        Err((status, error)) => {
            seen.finish(&Err(error.clone()));
            return Answer::refuse(status, Some(request.id), error).into();
        }
    };
    if let Call::Listen(filter) = call {
        seen.finish(&Ok(crate::protocol::ResultObject::empty()));
        return open_listen(endpoint, scope, accepts, request.id, filter, place);
    }
    note_target(endpoint, scope, &call, |target| seen.goes_to(target));
    let cancelled = CancellationToken::new();
    let begun = parts.work.check_mirrors(scope, &call, headers).and_then(|()| {
        let spent = seen.spent();
        parts.work.begin(scope, checked, call, extras, spent, cancelled.clone())
    });
    let mut running = Running {
        work: Box::pin(std::future::pending()),
        messages: None,
        endpoint: endpoint.clone(),
        id: request.id,
        revision: checked.revision,
        seen: Some(seen),
        place: Some(place),
        _cancel: cancelled.drop_guard(),
    };
    match begun {
        Err(error) => running.answer(Err(error)),
        Ok(begun) => match begun.planned {
            Planned::Answer(outcome) => running.answer(outcome),
            Planned::Run(work) => {
                running.work = work;
                running.messages = accepts.events.then_some(begun.messages);
                running.run(accepts).await
            }
        },
    }
}

fn parse(
    headers: &Headers,
    request: &Asked<'_>,
) -> Result<(Checked, Call, Extras), (StatusCode, RpcError)> {
    let checked = meta::check(headers, request).map_err(|error| {
        let status = match error.code {
            Code::MethodNotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, error)
    })?;
    let call = Call::parse(checked.method, &request.params);
    let call = call.and_then(|call| Ok((call, Extras::parse(&request.params)?)));
    let (call, extras) = call.map_err(|error| (StatusCode::OK, error))?;
    if let Call::Listen(filter) = &call {
        let checked = listen::check(filter, checked.capabilities);
        checked.map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    }
    Ok((checked, call, extras))
}

/// A request that is being worked on.
struct Running {
    work: BoxFuture<'static, Outcome>,
    messages: Option<mpsc::Receiver<Bytes>>,
    endpoint: Endpoint,
    id: RequestId,
    revision: Revision,
    seen: Option<Observation>,
    place: Option<InFlight>,
    _cancel: DropGuard,
}

enum Step {
    Message(Bytes),
    Done(Outcome),
}

impl Running {
    /// Answers as one message where nothing comes before the answer and it comes soon, else by
    /// events.
    async fn run(mut self, accepts: Accepts) -> Reply {
        let first = if accepts.events {
            tokio::select! {
                step = self.step() => Some(step),
                () = tokio::time::sleep(SILENCE) => None,
            }
        } else {
            Some(self.step().await)
        };
        match first {
            Some(Step::Done(outcome)) if self.has_no_messages() => self.answer(outcome),
            Some(Step::Done(outcome)) => {
                self.work = Box::pin(std::future::ready(outcome));
                self.events(None)
            }
            Some(Step::Message(message)) => self.events(Some(message)),
            None => self.events(None),
        }
    }

    /// The next thing that happens; messages before the answer that they came before.
    async fn step(&mut self) -> Step {
        let stopping = &self.endpoint.0.stopping;
        let messages = &mut self.messages;
        let next = async {
            match messages {
                Some(messages) => match messages.recv().await {
                    Some(message) => message,
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = next => Step::Message(message),
            outcome = &mut self.work => Step::Done(outcome),
            () = stopping.cancelled() => Step::Done(Err(super::mcp::stopped())),
        }
    }

    fn has_no_messages(&self) -> bool {
        self.messages.as_ref().is_none_or(mpsc::Receiver::is_empty)
    }

    fn response(&mut self, outcome: Outcome) -> Response {
        if let Some(seen) = self.seen.take() {
            seen.finish(&outcome);
        }
        self.endpoint.response(self.id.clone(), self.revision, outcome)
    }

    fn answer(mut self, outcome: Outcome) -> Reply {
        let answer = Answer::of(self.response(outcome), Era::Modern);
        Answer { place: self.place.take(), ..answer }.into()
    }

    fn events(self, first: Option<Bytes>) -> Reply {
        let open = self.endpoint.0.metrics.open_stream("modern", "http");
        let rest = unfold(Some((self, open)), |running| async move {
            let (mut running, open) = running?;
            match running.step().await {
                Step::Message(message) => Some((message, Some((running, open)))),
                Step::Done(outcome) => {
                    let waiting = running.messages.as_mut().and_then(|m| m.try_recv().ok());
                    if let Some(message) = waiting {
                        running.work = Box::pin(std::future::ready(outcome));
                        return Some((message, Some((running, open))));
                    }
                    let response = running.response(outcome).encode(Era::Modern);
                    Some((Bytes::from(response), None))
                }
            }
        });
        let all = futures_util::stream::iter(first).chain(rest);
        Reply::Events(sse::response(all.map(|message| sse::message(None, &message))))
    }
}

/// Opens a stream of notifications. It holds neither place nor room of the requests': what is open
/// all day would use them up. Streams are bounded by the connections, and by room of their own for
/// what they listen for.
fn open_listen(
    endpoint: &Endpoint,
    scope: &Scope,
    accepts: Accepts,
    id: RequestId,
    filter: crate::protocol::call::Filter,
    place: InFlight,
) -> Reply {
    drop(place);
    if !accepts.events {
        let why = "subscriptions/listen answers by events; accept text/event-stream";
        let error = RpcError::new(Code::InvalidRequest, why);
        return Answer::refuse(StatusCode::NOT_ACCEPTABLE, Some(id), error).into();
    }
    let parts = &endpoint.0;
    let Ok(room) = parts.listening.take(filter.bytes()) else {
        parts.metrics.reject("http.body_room_bytes");
        let error = RpcError::overloaded("http.body_room_bytes");
        return Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, Some(id), error).into();
    };
    let listen = Listen {
        who: Who::nobody(),
        id,
        filter,
        scope: scope.clone(),
        owner: Owner::new(NOBODY),
        tasks: parts.work.tasks.clone(),
        ending: parts.ending.clone(),
        server: parts.server.clone(),
        shares_way: false,
    };
    let open: OpenStream = parts.metrics.open_stream("modern", "http");
    let messages = listen.messages(&parts.work.published).map(move |message| {
        let _ = (&open, &room);
        sse::message(None, &message)
    });
    Reply::Events(sse::response(messages))
}
