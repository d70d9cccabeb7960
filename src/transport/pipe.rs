//! A client behind one ordered channel of messages: standard input and output, or the event stream
//! of HTTP+SSE. Both eras share it, each message settling its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::http::endpoint::Endpoint;
use super::http::{legacy, mcp};
use crate::catalogue::Scope;
use crate::protocol::call::Filter;
use crate::protocol::header::Headers;
use crate::protocol::meta::{self, Checked, Edge, Extras};
use crate::protocol::{
    Body, Call, Code, Era, Incoming, Limits, Method, Notification, Request, RequestId, Response,
    ResultObject, Revision, RpcError, decode_body,
};
use crate::session::events::{Found, StreamId};
use crate::session::exchange::{Exchange, Way};
use crate::session::listen::{self, Listen};
use crate::session::modern::Begun;
use crate::session::work::{NOBODY, Outcome, Planned};
use crate::session::{Record, Transport};
use crate::tasks::Owner;
use crate::telemetry::Observation;

/// Messages that wait to be written. Each answer has its room before its request is taken.
pub const WAITING: usize = 256;

/// What outlives the one who serves the pipe: its session, and the way out.
#[derive(Clone)]
pub struct Link {
    /// What requests use.
    pub endpoint: Endpoint,
    /// What the client sees.
    pub scope: Scope,
    /// What the pipe is.
    pub transport: Transport,
    /// To the client.
    pub out: mpsc::Sender<Bytes>,
    record: Arc<Mutex<Option<Arc<Record>>>>,
}

impl Link {
    /// A client that has not initialized yet, if it ever will.
    pub fn new(
        endpoint: Endpoint,
        scope: Scope,
        transport: Transport,
        out: mpsc::Sender<Bytes>,
    ) -> Self {
        Self { endpoint, scope, transport, out, record: Arc::default() }
    }

    /// The session, once there is one.
    pub fn record(&self) -> Option<Arc<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client is gone.
    pub fn end(&self) {
        if let Some(record) = self.record() {
            self.endpoint.0.sessions.end(&record);
        }
    }

    fn opened(&self, record: Arc<Record>) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }
}

/// Who serves a pipe. Dropping it ends the modern requests, each with an answer.
pub struct Pipe {
    link: Link,
    tasks: JoinSet<()>,
    /// Modern requests that are being worked on.
    running: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
}

impl Pipe {
    /// Serves the client behind a link, from its next message on.
    pub fn new(link: Link) -> Self {
        let mut pipe = Self { link, tasks: JoinSet::new(), running: Arc::default() };
        if let Some(record) = pipe.link.record() {
            pipe.pump(&record);
        }
        pipe
    }

    /// Takes one message, once there is room for its answer.
    pub async fn take(&mut self, message: &[u8]) {
        while self.tasks.try_join_next().is_some() {}
        let incoming = match decode_body(message, Limits::default()) {
            Ok(Body::One(incoming)) => incoming,
            Ok(Body::Batch(messages)) => return self.batch(messages).await,
            Err(error) => return self.send(error.id, Err(error.error)).await,
        };
        match incoming {
            Incoming::Request(request) => {
                match meta::edge(&Headers::default(), request.params.as_deref()) {
                    Edge::Modern => self.modern(request).await,
                    // Without a header no revision is unknown.
                    Edge::Legacy | Edge::Unknown(_) => self.legacy(request).await,
                }
            }
            Incoming::Notification(notification) => self.told(notification).await,
            Incoming::Response { id: Some(id), outcome } => {
                if let Some(record) = self.link.record() {
                    let _ = self.link.endpoint.0.sessions.reply(&record, id, outcome).await;
                }
            }
            // An error to something that the client could not read says nothing that helps.
            Incoming::Response { id: None, .. } => {}
        }
    }

    /// Says that a message was too long to be read.
    pub async fn refuse_long(&self, limit: usize) {
        let why = format!("Invalid request: a message may have {limit} bytes");
        self.send(None, Err(RpcError::new(Code::InvalidRequest, why))).await;
    }

    /// Waits until the modern requests are answered. Streams have no end of their own.
    pub async fn finished(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    async fn legacy(&mut self, request: Request) {
        let link = &self.link;
        let Some(record) = link.record() else {
            return self.initialize(request).await;
        };
        let id = request.id.clone();
        if request.method == Method::Initialize.as_str() {
            let why = "This session is already initialized";
            return self.send(Some(id), Err(RpcError::new(Code::InvalidRequest, why))).await;
        }
        let parts = &link.endpoint.0;
        let Some(place) = parts.admission.admit() else {
            return self.send(Some(id), Err(mcp::overloaded_error(&link.endpoint))).await;
        };
        let Ok(answer) = link.out.clone().reserve_owned().await else { return };
        let way = Way::Pipe { answer, rest: link.out.clone() };
        let seen = Observation::begin(&parts.metrics, &id, &request.method, record.revision);
        let health = parts.health.clone();
        let exchange = Exchange::new(id, Arc::clone(&record), health, way, place, seen);
        legacy::submit(&link.endpoint, &link.scope, &record, request, exchange).await;
    }

    async fn initialize(&mut self, request: Request) {
        let link = &self.link;
        if request.method == Method::Ping.as_str() {
            return self.send(Some(request.id), Ok(ResultObject::empty())).await;
        }
        if request.method != Method::Initialize.as_str() {
            let why = "There is no session; initialize first";
            let error = RpcError::new(Code::InvalidRequest, why);
            return self.send(Some(request.id), Err(error)).await;
        }
        let (outcome, record) =
            legacy::open(&link.endpoint, &link.scope, link.transport, &request).await;
        self.send(Some(request.id), outcome).await;
        if let Some(record) = record {
            self.link.opened(Arc::clone(&record));
            self.pump(&record);
        }
    }

    /// Carries what the session sends by itself.
    fn pump(&mut self, record: &Arc<Record>) {
        let open = self.link.endpoint.0.sessions.table.open_stream(record);
        let Some(mut reading) = record.streams.read(StreamId::OWN) else { return };
        let out = self.link.out.clone();
        self.tasks.spawn(async move {
            let _open = open;
            loop {
                match reading.next().await {
                    Found::Event(_, data) if data.is_empty() => {}
                    Found::Event(_, data) => {
                        if out.send(data).await.is_err() {
                            return;
                        }
                    }
                    Found::Nothing | Found::End | Found::Lost => return,
                }
            }
        });
    }

    async fn batch(
        &mut self,
        messages: Vec<Result<Incoming, crate::protocol::envelope::DecodeError>>,
    ) {
        let link = self.link.clone();
        match link.record().filter(|record| record.revision.has_batches()) {
            Some(record) => {
                let (endpoint, scope) = (&link.endpoint, &link.scope);
                let responses = legacy::responses(endpoint, scope, &record, messages).await;
                if let Some(responses) = responses {
                    let _ = link.out.send(Bytes::from(responses)).await;
                }
            }
            None => self.send(None, Err(legacy::no_batches())).await,
        }
    }

    async fn told(&mut self, notification: Notification) {
        if notification.method == "notifications/cancelled"
            && let Some(id) = notification.cancelled()
            && let Some(cancelled) = lock(&self.running).remove(&id)
        {
            return cancelled.cancel();
        }
        let parts = &self.link.endpoint.0;
        if let (Some(record), Some(place)) = (self.link.record(), parts.admission.admit()) {
            let _ = parts.sessions.notify(&record, notification, place).await;
        }
    }

    async fn modern(&mut self, request: Request) {
        let params = request.params.as_deref();
        let parsed = meta::check_bare(&request).and_then(|checked| {
            let call = Call::parse(checked.method, params)?;
            if let Call::Listen(filter) = &call {
                listen::check(filter, checked.capabilities)?;
            }
            Ok((checked, call, Extras::parse(params)?))
        });
        let parts = &self.link.endpoint.0;
        let method = &request.method;
        let mut seen = Observation::begin(&parts.metrics, &request.id, method, Revision::LATEST);
        let error = match parsed {
            Ok((checked, call, extras)) => {
                let cancelled = CancellationToken::new();
                let free = match lock(&self.running).entry(request.id.clone()) {
                    std::collections::hash_map::Entry::Occupied(_) => false,
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(cancelled.clone());
                        true
                    }
                };
                if free {
                    let scope = &self.link.scope;
                    mcp::note_tool(&self.link.endpoint, scope, &call, |tool| seen.calls(tool));
                    let asked = Asked { id: request.id, checked, seen, cancelled };
                    return self.work(asked, call, extras).await;
                }
                RpcError::new(
                    Code::InvalidRequest,
                    "Invalid request: a request with this id is still running",
                )
            }
            Err(error) => error,
        };
        seen.finish(&Err(error.clone()));
        self.send_as(Era::Modern, Some(request.id), Err(error)).await;
    }

    async fn work(&mut self, asked: Asked, call: Call, extras: Extras) {
        let Ok(room) = self.link.out.clone().reserve_owned().await else { return };
        let endpoint = self.link.endpoint.clone();
        let parts = Arc::clone(&endpoint.0);
        let answer = Answer {
            room: Some(room),
            id: asked.id.clone(),
            revision: asked.checked.revision,
            endpoint,
            seen: Some(asked.seen),
            running: Arc::clone(&self.running),
        };
        let cancelled = asked.cancelled.clone();
        if let Call::Listen(filter) = call {
            let stream = self.listen(asked.id, filter, &cancelled);
            // The stream's last message is its answer.
            let entry = answer.streamed();
            self.tasks.spawn(async move {
                let _entry = entry;
                let _ = cancelled.run_until_cancelled(stream).await;
            });
            return;
        }
        let Some(place) = parts.admission.admit() else {
            return answer.give(Err(mcp::overloaded_error(&self.link.endpoint)));
        };
        let begun =
            parts.work.begin(&self.link.scope, asked.checked, call, extras, cancelled.clone());
        let (work, mut messages) = match begun {
            Err(error) => return answer.give(Err(error)),
            Ok(Begun { planned: Planned::Answer(outcome), .. }) => return answer.give(outcome),
            Ok(Begun { planned: Planned::Run(work), messages }) => (work, messages),
        };
        let out = self.link.out.clone();
        self.tasks.spawn(async move {
            let _place = place;
            let carry = async {
                while let Some(message) = messages.recv().await {
                    let _ = out.send(message).await;
                }
            };
            let work = cancelled.run_until_cancelled(work);
            // The messages end with the work, which holds their other end.
            match tokio::join!(work, carry).0 {
                Some(outcome) => answer.give(outcome),
                None => answer.withhold(),
            }
        });
    }

    fn listen(
        &self,
        id: RequestId,
        filter: Filter,
        cancelled: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let parts = &self.link.endpoint.0;
        let ending = parts.ending.child_token();
        let listen = Listen {
            id,
            filter,
            scope: self.link.scope.clone(),
            owner: Owner::new(NOBODY),
            tasks: parts.work.tasks.clone(),
            ending,
            server: parts.server.clone(),
        };
        let open = parts.metrics.open_stream("modern", self.link.transport.as_str());
        let messages = listen.messages(&parts.work.published);
        let (out, cancelled) = (self.link.out.clone(), cancelled.clone());
        async move {
            let _open = open;
            let mut messages = std::pin::pin!(messages);
            while let Some(message) = messages.next().await {
                if cancelled.is_cancelled() || out.send(message).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn send(&self, id: Option<RequestId>, outcome: Outcome) {
        self.send_as(Era::Legacy, id, outcome).await;
    }

    async fn send_as(&self, era: Era, id: Option<RequestId>, outcome: Outcome) {
        let message = Response { id, outcome }.encode(era);
        // A client that is gone reads no answer.
        let _ = self.link.out.send(Bytes::from(message)).await;
    }
}

/// A modern request that passed its checks.
struct Asked {
    id: RequestId,
    checked: Checked,
    seen: Observation,
    cancelled: CancellationToken,
}

/// Owes a modern request its answer; dropped without one, it tells of a crash.
struct Answer {
    room: Option<mpsc::OwnedPermit<Bytes>>,
    id: RequestId,
    revision: Revision,
    endpoint: Endpoint,
    seen: Option<Observation>,
    running: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
}

impl Answer {
    fn give(mut self, outcome: Outcome) {
        self.conclude(outcome);
    }

    /// The answer comes another way; what is left is the request's entry among the running ones.
    fn streamed(mut self) -> Self {
        self.room = None;
        if let Some(seen) = self.seen.take() {
            seen.finish(&Ok(ResultObject::empty()));
        }
        self
    }

    /// A cancelled request has no answer.
    fn withhold(mut self) {
        self.room = None;
        if let Some(seen) = self.seen.take() {
            seen.finish(&Err(RpcError::new(Code::Cancelled, "The request was cancelled")));
        }
    }

    fn conclude(&mut self, outcome: Outcome) {
        lock(&self.running).remove(&self.id);
        if let Some(seen) = self.seen.take() {
            seen.finish(&outcome);
        }
        if let Some(room) = self.room.take() {
            let response = self.endpoint.response(self.id.clone(), self.revision, outcome);
            room.send(Bytes::from(response.encode(Era::Modern)));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.conclude(Err(RpcError::crashed("transport")));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
