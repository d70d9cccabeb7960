//! The front of all sessions: opening, finding, asking and ending them, whatever crashes.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use ractor::{ActorRef, MessagingErr};
use serde_json::value::RawValue;
use supervisors::{ChildError, DynamicRef, DynamicSupervisor, Link, Restart, Slot, Started};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::Config;
use super::actor::{self, Msg, Session, SessionRequest};
use super::events::StreamId;
use super::table::{Record, Table, Transport};
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::handshake::Initialize;
use crate::protocol::{Code, Notification, RequestId, RpcError};
use crate::tasks::Tasks;
use crate::telemetry::metrics::SessionLabels;
use crate::telemetry::{Health, Metrics};
use crate::upstreams::Upstreams;

/// The running supervisor of all session actors.
pub type SessionSupervisor = DynamicRef<Arc<Record>, ActorRef<Msg>>;

/// How long a dead actor's restart is waited for before its supervisor is asked about it.
const PATIENCE: Duration = Duration::from_millis(50);

/// The supervisor's specification. A session that ends by itself is over; one that crashes is
/// started again. Each has a budget of its own, because a session that crashes with its client's
/// every request must not end the others.
pub fn supervisor(config: actor::Config) -> DynamicSupervisor<Arc<Record>, ActorRef<Msg>> {
    DynamicSupervisor::new("session", move |record: Arc<Record>, link: Link| {
        let session = Session(config.clone());
        async move {
            // One that ended while its actor was down has nothing to come back for.
            if record.has_ended() { link.ignore() } else { link.actor(session, record).await }
        }
    })
    .restart(Restart::Transient)
    .child_intensity(5, Duration::from_secs(10))
}

/// The handle that transports use.
#[derive(Clone)]
pub struct Sessions {
    /// All sessions.
    pub table: Table,
    /// Their supervisor.
    pub supervisor: Slot<SessionSupervisor>,
    /// Revivals under way; each ends within `sessions.restart_wait_ms`.
    pub starts: TaskTracker,
    /// Limits.
    pub config: Config,
    /// Tasks end with the session that owns them.
    pub tasks: Tasks,
    /// What a session has alone of upstreams ends with it.
    pub upstreams: Upstreams,
    /// Where sessions are counted.
    pub metrics: Metrics,
    /// Tells a crash from the node's end.
    pub health: Health,
}

impl Sessions {
    /// Opens a session; its actor runs when this returns.
    ///
    /// # Errors
    /// Where there are too many, or the actor can't be started.
    pub async fn open(
        &self,
        scope: Scope,
        transport: Transport,
        initialize: &Initialize,
    ) -> Result<Arc<Record>, RpcError> {
        let mut record = self.table.open(scope.clone(), transport, initialize);
        if record.is_none() && self.make_room() {
            record = self.table.open(scope, transport, initialize);
        }
        let Some(record) = record else {
            self.metrics.reject("sessions.max");
            return Err(RpcError::overloaded("sessions.max"));
        };
        self.count(transport).inc();
        // A client that goes away meanwhile drops this future: the guard then takes back the
        // session whose id nobody ever learns.
        let unopened = Unopened { sessions: self, record: Some(record) };
        let started = match &unopened.record {
            Some(record) => timeout(self.config.restart_wait(), self.start(record)).await,
            None => Ok(None),
        };
        match started {
            Ok(Some(())) => unopened.opened().ok_or_else(|| RpcError::crashed("session")),
            _ => Err(RpcError::new(Code::InternalError, "The session could not be started")),
        }
    }

    /// Hands a session a request, whose exchange is answered in any case.
    pub async fn request(&self, request: SessionRequest) {
        let record = Arc::clone(request.exchange.record());
        let undelivered = self.deliver(&record, Msg::Request(Box::new(request))).await;
        if let Err((Msg::Request(request), error)) = undelivered {
            request.exchange.finish(Err(error));
        }
    }

    /// Tells a session something.
    ///
    /// # Errors
    /// Where it can't be reached.
    pub async fn notify(
        &self,
        record: &Arc<Record>,
        notification: Notification,
        place: InFlight,
    ) -> Result<(), RpcError> {
        let told = self.deliver(record, Msg::Notify(notification, place)).await;
        told.map_err(|(_, error)| error)
    }

    /// Hands a session the client's answer to a question.
    ///
    /// # Errors
    /// Where it can't be reached.
    pub async fn reply(
        &self,
        record: &Arc<Record>,
        id: RequestId,
        answer: Result<Box<RawValue>, Box<RawValue>>,
    ) -> Result<(), RpcError> {
        let told = self.deliver(record, Msg::Reply(id, answer)).await;
        told.map_err(|(_, error)| error)
    }

    /// Ends a session: from now on its id is unknown.
    pub fn end(&self, record: &Record) {
        if self.table.remove(record) {
            self.count(record.transport).dec();
            let seconds = record.born.elapsed().as_secs_f64();
            self.metrics.session_duration.observe(seconds);
        }
        record.streams.end(StreamId::OWN);
        record.unsubscribe_all();
        self.tasks.forget(&record.owner());
        self.upstreams.session_ended(&record.owner().key());
        if let Some(actor) = record.actor().borrow().as_ref() {
            // One that is dead, and may come back for a moment, finds that it has ended.
            let _ = actor.cast(Msg::End);
        }
    }

    /// Ends those that were silent for longest, if for long enough: their clients open another when
    /// they come back, which a client that is refused can't do. `false` where there are none.
    fn make_room(&self) -> bool {
        let silent = self.table.silent_for_longest(self.config.yield_after());
        if !silent.is_empty() {
            tracing::warn!(count = silent.len(), "sessions.max is reached; silent sessions end");
        }
        for record in &silent {
            self.metrics.sessions_evicted.inc();
            self.end(record);
        }
        !silent.is_empty()
    }

    /// Hands a message to the session's actor, and waits for the next incarnation while it is
    /// being restarted. Gives the message back where there is none.
    async fn deliver(&self, record: &Arc<Record>, mut message: Msg) -> Result<(), (Msg, RpcError)> {
        let deadline = Instant::now() + self.config.restart_wait();
        let mut actors = record.actor();
        loop {
            let actor = actors.borrow_and_update().clone();
            message = match actor {
                None => message,
                Some(actor) => match actor.send_message(message) {
                    Ok(()) => return Ok(()),
                    Err(MessagingErr::SendErr(message)) => message,
                    // A channel refuses a message of its own type for no other reason.
                    Err(_) => return Ok(()),
                },
            };
            if record.has_ended() {
                return Err((message, ended()));
            }
            if timeout(PATIENCE, actors.changed()).await.is_ok() {
                continue;
            }
            match timeout_at(deadline, self.revive(record)).await {
                Ok(()) if Instant::now() < deadline => {}
                _ => return Err((message, RpcError::crashed("session"))),
            }
        }
    }

    /// Starts the actor of a session that its supervisor doesn't know: the supervisor itself was
    /// restarted, or has given this child up.
    async fn revive(&self, record: &Arc<Record>) {
        let Some(key) = record.child() else { return };
        let supervisor = self.supervisor.wait().await;
        if let Err(ChildError::NotFound) = supervisor.which_child(key).await {
            // Of several requests that find it dead, the one that takes the key starts it.
            if record.set_child(None).is_some() {
                // A task, because whoever asks may go away: without its key, a session that dies
                // again would never come back.
                let (sessions, record) = (self.clone(), Arc::clone(record));
                let starting = self.starts.spawn(async move {
                    let limit = sessions.config.restart_wait();
                    if !matches!(timeout(limit, sessions.start(&record)).await, Ok(Some(()))) {
                        record.set_child(Some(key));
                    }
                });
                let _ = starting.await;
            }
        }
    }

    async fn start(&self, record: &Arc<Record>) -> Option<()> {
        let supervisor = self.supervisor.wait().await;
        match supervisor.start_child(Arc::clone(record)).await {
            Ok(Started::Running { key, .. }) => {
                record.set_child(Some(key));
                Some(())
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "a session did not start");
                None
            }
        }
    }

    fn count(&self, transport: Transport) -> Gauge {
        let labels = SessionLabels { era: "legacy", transport: transport.as_str() };
        self.metrics.sessions.get_or_create(&labels).clone()
    }
}

/// A session whose id isn't given out yet.
struct Unopened<'a> {
    sessions: &'a Sessions,
    record: Option<Arc<Record>>,
}

impl Unopened<'_> {
    fn opened(mut self) -> Option<Arc<Record>> {
        self.record.take()
    }
}

impl Drop for Unopened<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.sessions.end(&record);
        }
    }
}

fn ended() -> RpcError {
    RpcError::new(Code::SessionNotFound, "The session has ended; initialize a new one")
}
