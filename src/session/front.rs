//! The front of all sessions: opening, finding, asking and ending them, whatever crashes.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use ractor::{ActorRef, MessagingErr};
use supervisors::{ChildError, DynamicRef, DynamicSupervisor, Link, Restart, Slot, Started};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::Config;
use super::actor::{self, Msg, Session, SessionRequest};
use super::table::{Record, Table};
use super::work::Outcome;
use crate::admission::InFlight;
use crate::catalogue::Scope;
use crate::protocol::handshake::Initialize;
use crate::protocol::{Call, Code, Notification, RequestId, RpcError};
use crate::telemetry::metrics::SessionLabels;
use crate::telemetry::{Health, Metrics, Status};

/// The running supervisor of all session actors.
pub type SessionSupervisor = DynamicRef<Arc<Record>, ActorRef<Msg>>;

/// How long a dead actor's restart is waited for before its supervisor is asked about it.
const PATIENCE: Duration = Duration::from_millis(50);
/// An answer is expected this much after the request's own deadline: only a wedged actor needs it.
const MARGIN: Duration = Duration::from_secs(5);

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
    /// How long one request may take.
    pub request_timeout: Duration,
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
        initialize: &Initialize,
    ) -> Result<Arc<Record>, RpcError> {
        let Some(record) = self.table.open(scope, initialize) else {
            self.metrics.reject("sessions.max");
            return Err(RpcError::overloaded("sessions.max"));
        };
        self.count().inc();
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

    /// Asks a session, and waits for the single outcome.
    ///
    /// # Errors
    /// What the request's answer says; where its actor dies under it, that.
    pub async fn request(
        &self,
        record: &Arc<Record>,
        id: RequestId,
        call: Call,
        place: InFlight,
    ) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let request = Box::new(SessionRequest { id, call, place, reply });
        self.deliver(record, Msg::Request(request)).await?;
        let limit = self.request_timeout + MARGIN;
        let outcome = timeout(limit, outcome).await;
        self.table.touch(record);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) if record.has_ended() => Err(ended()),
            Ok(Err(_dropped)) if self.health.status() >= Status::Draining => {
                Err(RpcError::new(Code::ShuttingDown, "The node stopped before it was done"))
            }
            Ok(Err(_dropped)) => Err(RpcError::crashed("session")),
            Err(_elapsed) => Err(RpcError::timed_out(millis(self.request_timeout))),
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
        self.deliver(record, Msg::Notify(notification, place)).await
    }

    /// Ends a session: from now on its id is unknown.
    pub fn end(&self, record: &Record) {
        if self.table.remove(record) {
            self.count().dec();
        }
        if let Some(actor) = record.actor().borrow().as_ref() {
            // One that is dead, and may come back for a moment, finds that it has ended.
            let _ = actor.cast(Msg::End);
        }
    }

    /// Hands a message to the session's actor, and waits for the next incarnation while it is
    /// being restarted.
    async fn deliver(&self, record: &Arc<Record>, mut message: Msg) -> Result<(), RpcError> {
        let deadline = Instant::now() + self.config.restart_wait();
        let mut actors = record.actor();
        loop {
            let actor = actors.borrow_and_update().clone();
            message = match actor {
                None => message,
                Some(actor) => match actor.send_message(message) {
                    Ok(()) => return Ok(()),
                    Err(MessagingErr::SendErr(message)) => message,
                    Err(_) => return Err(RpcError::crashed("session")),
                },
            };
            if record.has_ended() {
                return Err(ended());
            }
            if timeout(PATIENCE, actors.changed()).await.is_ok() {
                continue;
            }
            match timeout_at(deadline, self.revive(record)).await {
                Ok(()) if Instant::now() < deadline => {}
                _ => return Err(RpcError::crashed("session")),
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

    fn count(&self) -> Gauge {
        let labels = SessionLabels { era: "legacy", transport: "http" };
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ended() -> RpcError {
    RpcError::new(Code::SessionNotFound, "The session has ended; initialize a new one")
}
