//! A client behind one ordered channel of messages: standard input and output, or the event stream
//! of HTTP+SSE. Both eras share it, each message settling its own.

mod modern;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Scope;
use crate::protocol::envelope::DecodeError;
use crate::protocol::header::Headers;
use crate::protocol::meta::{self, Edge};
use crate::protocol::{
    Asked, Body, Code, Era, Incoming, Limits, Method, Notification, Params, ParamsText, Request,
    RequestId, Response, ResultObject, Revision, RpcError, decode_body,
};
use crate::session::events::{Found, StreamId};
use crate::session::exchange::{Exchange, Way};
use crate::session::table::InUse;
use crate::session::work::Outcome;
use crate::session::{Record, Transport};
use crate::telemetry::Observation;
use crate::telemetry::observation::refused;
use crate::transport::http::endpoint::Endpoint;
use crate::transport::http::{batch, legacy, mcp};

/// Messages beside the answers that wait to be written.
const WAITING: usize = 256;

/// Messages that may wait to be written to one client. Each answer has its room before its request
/// is taken, and what requests send meanwhile has room beside as many of each era as there may be.
pub fn room(endpoint: &Endpoint) -> usize {
    let answers = endpoint.0.max_in_flight_per_client.saturating_mul(2);
    answers.saturating_add(WAITING).min(Semaphore::MAX_PERMITS)
}

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

    /// The session, once there is one, and as long as nobody ended it.
    pub fn record(&self) -> Option<Arc<Record>> {
        self.last_record().filter(|record| !record.has_ended())
    }

    fn last_record(&self) -> Option<Arc<Record>> {
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
            Err(DecodeError { id, error }) => {
                return self.refuse(Era::Legacy, id, None, error).await;
            }
        };
        match incoming {
            Incoming::Request(request) => self.asked(request).await,
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
        let error = RpcError::new(Code::InvalidRequest, why);
        self.refuse(Era::Legacy, None, None, error).await;
    }

    /// Waits until the modern requests are answered. Streams have no end of their own.
    pub async fn finished(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    async fn asked(&mut self, request: Request) {
        let Request { id, method, params } = request;
        let text = params.map(ParamsText::from);
        let params = match Params::of(text.as_ref()) {
            Ok(params) => params,
            Err(error) => {
                return self.refuse(Era::Legacy, Some(id), Some(&method), error).await;
            }
        };
        let edge = meta::edge(&Headers::default(), &params);
        let request = Asked { id, method, params };
        match edge {
            Edge::Modern => self.modern(request).await,
            // Without a header no revision is unknown.
            Edge::Legacy | Edge::Unknown(_) => self.legacy(request).await,
        }
    }

    async fn legacy(&mut self, request: Asked<'_>) {
        let link = &self.link;
        let Some(record) = link.record() else {
            return self.initialize(request).await;
        };
        let (id, method) = (request.id.clone(), request.method.as_str());
        if method == Method::Initialize.as_str() {
            let error = RpcError::new(Code::InvalidRequest, "This session is already initialized");
            return self.refuse(Era::Legacy, Some(id), Some(method), error).await;
        }
        let parts = &link.endpoint.0;
        let Some(place) = parts.admission.admit() else {
            let error = mcp::overloaded_error(&link.endpoint);
            return self.refuse(Era::Legacy, Some(id), Some(method), error).await;
        };
        let Ok(answer) = link.out.clone().reserve_owned().await else { return };
        let way = Way::Pipe { answer, rest: link.out.clone() };
        let seen = Observation::begin(&parts.metrics, &id, &request.method, record.revision);
        let health = parts.health.clone();
        let exchange = Exchange::new(id, Arc::clone(&record), health, way, place, seen);
        legacy::submit(&link.endpoint, &link.scope, &record, request, exchange).await;
    }

    async fn initialize(&mut self, request: Asked<'_>) {
        let link = &self.link;
        let (id, method) = (request.id.clone(), request.method.as_str());
        if method == Method::Ping.as_str() {
            let (metrics, revision) = (&link.endpoint.0.metrics, Revision::LATEST_LEGACY);
            let outcome = Ok(ResultObject::empty());
            Observation::begin(metrics, &id, method, revision).finish(&outcome);
            return self.send(Era::Legacy, Some(id), outcome).await;
        }
        if method != Method::Initialize.as_str() {
            let error = match link.last_record() {
                None => {
                    RpcError::new(Code::InvalidRequest, "There is no session; initialize first")
                }
                Some(_) => RpcError::session_ended(),
            };
            return self.refuse(Era::Legacy, Some(id), Some(method), error).await;
        }
        let (outcome, record) =
            legacy::open(&link.endpoint, &link.scope, link.transport, &request).await;
        self.send(Era::Legacy, Some(id), outcome).await;
        if let Some(record) = record {
            self.link.opened(Arc::clone(&record));
            self.pump(&record);
        }
    }

    /// Carries what the session sends by itself.
    fn pump(&mut self, record: &Arc<Record>) {
        let open = InUse::of(record);
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
                    Found::Nothing | Found::End => return,
                }
            }
        });
    }

    async fn batch(&mut self, messages: Vec<Result<Incoming, DecodeError>>) {
        let link = self.link.clone();
        match link.record().filter(|record| record.revision.has_batches()) {
            Some(record) => {
                let Ok(answer) = link.out.clone().reserve_owned().await else { return };
                // A task, because its requests may ask what the client answers by a later message.
                self.tasks.spawn(async move {
                    let (endpoint, scope) = (&link.endpoint, &link.scope);
                    let responses = batch::responses(endpoint, scope, &record, messages).await;
                    if let Some(responses) = responses {
                        answer.send(Bytes::from(responses));
                    }
                });
            }
            None => self.refuse(Era::Legacy, None, None, batch::unknown()).await,
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

    /// Answers what nobody works on; it is logged and counted.
    async fn refuse(&self, era: Era, id: Option<RequestId>, method: Option<&str>, error: RpcError) {
        refused(&self.link.endpoint.0.metrics, id.as_ref(), method, &error);
        self.send(era, id, Err(error)).await;
    }

    async fn send(&self, era: Era, id: Option<RequestId>, outcome: Outcome) {
        let message = Response { id, outcome }.encode(era);
        // A client that is gone reads no answer.
        let _ = self.link.out.send(Bytes::from(message)).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
