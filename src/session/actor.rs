//! The session actor: one per legacy client.
//!
//! *Owns* the client's requests in flight, as tasks, and the channels of their answers.
//! *Receives* requests, notifications and the end of its session. *Sends* answers.
//! *Fails when* a part of it panics. *Restarted by* the dynamic supervisor `sessions`, with the
//! same record, hence under the same id; the channels of the crashed incarnation close, by which
//! each of its requests gets exactly one error.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::machine::{Effect, Input, Machine, Ticket};
use super::table::Record;
use super::work::{Outcome, Planned, Work};
use crate::admission::InFlight;
use crate::protocol::{Call, Notification, RequestId};
use crate::provider::Side;

/// What all sessions share.
#[derive(Clone)]
pub struct Config {
    /// How requests are worked on.
    pub work: Work,
    /// Requests of one session at once.
    pub max_in_flight: usize,
}

/// A request on its way into a session.
#[derive(Debug)]
pub struct SessionRequest {
    /// The id.
    pub id: RequestId,
    /// What is asked.
    pub call: Call,
    /// Its place in the node, kept until the work is done.
    pub place: InFlight,
    /// Where the answer goes. Dropped without one, it tells of a crash.
    pub reply: oneshot::Sender<Outcome>,
}

/// What a session is told.
#[derive(Debug)]
pub enum Msg {
    /// The client asks.
    Request(Box<SessionRequest>),
    /// The client tells.
    Notify(Notification, InFlight),
    /// The work on a request is done.
    Finished(Ticket, Outcome),
    /// The session is over.
    End,
}

/// The actor.
pub struct Session(pub Config);

struct Running {
    reply: oneshot::Sender<Outcome>,
    cancelled: CancellationToken,
}

/// The actor's state. Dropping it ends the tasks and closes the channels.
pub struct SessionState {
    record: Arc<Record>,
    machine: Machine,
    running: HashMap<Ticket, Running>,
    tasks: JoinSet<()>,
}

impl Actor for Session {
    type Msg = Msg;
    type State = SessionState;
    type Arguments = Arc<Record>;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        record: Arc<Record>,
    ) -> Result<SessionState, ActorProcessingErr> {
        let machine = Machine::new(self.0.max_in_flight);
        record.publish(myself.clone());
        // Who ends the session marks it first and looks for the actor then; here it is the other
        // way round, so one of the two sees the other.
        if record.has_ended() {
            myself.stop(None);
        }
        Ok(SessionState { record, machine, running: HashMap::new(), tasks: JoinSet::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg>,
        message: Msg,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Request(request) => self.requested(&myself, *request, state),
            Msg::Notify(notification, place) => {
                state.notified(&notification);
                drop(place);
            }
            Msg::Finished(ticket, outcome) => state.finished(ticket, outcome),
            Msg::End => myself.stop(None),
        }
        Ok(())
    }
}

impl Session {
    fn requested(&self, myself: &ActorRef<Msg>, request: SessionRequest, state: &mut SessionState) {
        let SessionRequest { id, call, place, reply } = request;
        let ticket = match state.machine.on(Input::Requested(id)) {
            Effect::Start(ticket) => ticket,
            Effect::Refuse(error) => return answer(reply, Err(error)),
            // The machine answers a request with one of the two above.
            Effect::Answer(_) | Effect::Cancel(_) | Effect::Ignore => return,
        };
        let cancelled = CancellationToken::new();
        state.running.insert(ticket, Running { reply, cancelled: cancelled.clone() });
        let record = &state.record;
        match self.0.work.plan(&record.scope, Side::silent(record.revision), call, cancelled) {
            Planned::Answer(outcome) => state.finished(ticket, outcome),
            Planned::Run(work) => {
                let myself = myself.clone();
                state.tasks.spawn(async move {
                    let outcome = work.await;
                    drop(place);
                    // A session that is gone has nobody left to answer.
                    let _ = myself.cast(Msg::Finished(ticket, outcome));
                });
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    request_id: RequestId,
}

impl SessionState {
    fn finished(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Effect::Answer(ticket) = self.machine.on(Input::Finished(ticket))
            && let Some(running) = self.running.remove(&ticket)
        {
            answer(running.reply, outcome);
        }
        // Tasks that have ended are kept until they are asked for.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Unknown and malformed notifications are ignored, as the specification says.
    fn notified(&mut self, notification: &Notification) {
        let input = match notification.method.as_str() {
            "notifications/initialized" => Input::Initialized,
            "notifications/cancelled" => {
                let params = notification.params.as_ref().map_or("", |raw| raw.get());
                match serde_json::from_str(params) {
                    Ok(Cancelled { request_id }) => Input::Cancelled(request_id),
                    Err(_) => return,
                }
            }
            _ => return,
        };
        if let Effect::Cancel(ticket) = self.machine.on(input)
            && let Some(running) = self.running.get(&ticket)
        {
            running.cancelled.cancel();
        }
    }
}

/// A client that is gone doesn't wait for its answer any more.
fn answer(reply: oneshot::Sender<Outcome>, outcome: Outcome) {
    let _ = reply.send(outcome);
}
