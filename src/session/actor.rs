//! The session actor: one per legacy client.
//!
//! *Owns* the client's requests in flight, as tasks, and what they ask the client. *Receives*
//! requests, notifications, the client's answers, and the end of its session. *Sends* answers and
//! questions. *Fails when* a part of it panics. *Restarted by* the dynamic supervisor `sessions`,
//! with the same record, hence under the same id; the crashed incarnation drops its exchanges, by
//! which each of its requests gets exactly one error.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exchange::Exchange;
use super::link::{Question, SessionLink};
use super::machine::{AskId, Effect, Input, Machine, Ticket};
use super::table::Record;
use super::work::{Caller, Outcome, Planned, Work};
use crate::admission::InFlight;
use crate::protocol::call::SessionCall;
use crate::protocol::error::ReceivedError;
use crate::protocol::meta::Extras;
use crate::protocol::notification::Outgoing;
use crate::protocol::{AskError, Call, Code, Notification, RequestId, ResultObject, RpcError};
use crate::provider::{ClientLink, Inputs, Side, Who};

/// What all sessions share.
#[derive(Clone)]
pub struct Config {
    /// How requests are worked on.
    pub work: Work,
    /// Requests of one session at once.
    pub max_in_flight: usize,
    /// How long a client may take to answer a question.
    pub ask_timeout: Duration,
}

/// A request on its way into a session.
pub struct SessionRequest {
    /// What is asked.
    pub call: Call,
    /// What stands beside its parameters.
    pub extras: Extras,
    /// Where the answer goes, and all that comes before it.
    pub exchange: Exchange,
}

/// What a session is told.
pub enum Msg {
    /// The client asks.
    Request(Box<SessionRequest>),
    /// The client tells.
    Notify(Notification, InFlight),
    /// The client answers a question.
    Reply(RequestId, Result<Box<RawValue>, Box<RawValue>>),
    /// The work on a request is done.
    Finished(Ticket, Outcome),
    /// A running request asks the client something.
    Ask(Box<Question>),
    /// It does not wait for the answer any more.
    Unask(AskId),
    /// The session is over.
    End,
}

/// The actor.
pub struct Session(pub Config);

struct Running {
    exchange: Exchange,
    cancelled: CancellationToken,
}

type Reply = oneshot::Sender<Result<Box<RawValue>, AskError>>;

/// The actor's state. Dropping it ends the tasks and answers what is in flight.
pub struct SessionState {
    record: Arc<Record>,
    caller: Caller,
    machine: Machine,
    running: HashMap<Ticket, Running>,
    questions: HashMap<AskId, (Ticket, Reply)>,
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
        record.publish(myself.clone());
        // Who ends the session marks it first and looks for the actor then; here it is the other
        // way round, so one of the two sees the other.
        if record.has_ended() {
            myself.stop(None);
        }
        // What tasks tell goes on to the client whichever incarnation there is.
        let later: Weak<dyn ClientLink> = Arc::<Record>::downgrade(&record);
        let caller =
            Caller { scope: record.scope.clone(), owner: record.owner(), later: Some(later) };
        Ok(SessionState {
            caller,
            record,
            machine: Machine::new(self.0.max_in_flight),
            running: HashMap::new(),
            questions: HashMap::new(),
            tasks: JoinSet::new(),
        })
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
            Msg::Reply(id, answer) => state.replied(id, answer),
            Msg::Finished(ticket, outcome) => state.finished(ticket, outcome),
            Msg::Ask(question) => state.asked(*question),
            Msg::Unask(id) => state.unasked(id),
            Msg::End => myself.stop(None),
        }
        Ok(())
    }
}

impl Session {
    fn requested(&self, myself: &ActorRef<Msg>, request: SessionRequest, state: &mut SessionState) {
        let SessionRequest { call, extras, exchange } = request;
        let ticket = match state.machine.on(Input::Requested(exchange.id().clone())) {
            Effect::Start(ticket) => ticket,
            Effect::Refuse(error) => return exchange.finish(Err(error)),
            // The machine answers a request with one of the two above.
            _ => return,
        };
        let cancelled = CancellationToken::new();
        let side = self.side(myself, state, ticket, &exchange, extras);
        state.running.insert(ticket, Running { exchange, cancelled: cancelled.clone() });
        let planned = match call {
            Call::Session(call) => Planned::Answer(self.change(&state.record, call)),
            call => self.0.work.plan(&state.caller, side, call, cancelled),
        };
        match planned {
            Planned::Answer(outcome) => state.finished(ticket, outcome),
            Planned::Run(work) => {
                let myself = myself.clone();
                state.tasks.spawn(async move {
                    let outcome = work.await;
                    // A session that is gone has nobody left to answer.
                    let _ = myself.cast(Msg::Finished(ticket, outcome));
                });
            }
        }
    }

    /// What changes the session itself; its record outlives the actor.
    fn change(&self, record: &Record, call: SessionCall) -> Outcome {
        match call {
            SessionCall::SetLevel(level) => record.set_level(level),
            SessionCall::Subscribe(uri) => {
                let published = &self.0.work.published;
                let interest = published.subscribe(&record.scope, &uri, &record.who());
                if !record.subscribe(uri, interest) {
                    let why = "This session is subscribed to too many resources";
                    return Err(RpcError::new(Code::InvalidParams, why));
                }
            }
            SessionCall::Unsubscribe(uri) => record.unsubscribe(&uri),
        }
        Ok(ResultObject::empty())
    }

    fn side(
        &self,
        myself: &ActorRef<Msg>,
        state: &SessionState,
        ticket: Ticket,
        exchange: &Exchange,
        extras: Extras,
    ) -> Side {
        let record = &state.record;
        let link = SessionLink {
            side: exchange.side(),
            record: Arc::clone(record),
            actor: myself.clone(),
            ticket,
            patience: self.0.ask_timeout,
        };
        let who = Who { later: state.caller.later.clone(), ..record.who() };
        Side {
            who,
            revision: record.revision,
            capabilities: record.capabilities,
            params: extras.params,
            meta: extras.meta.map(Arc::from),
            progress_token: extras.progress_token.map(Arc::from),
            inputs: Arc::new(Inputs::default()),
            client: Arc::new(link),
            spent: exchange.spent(),
        }
    }
}

fn is_cancelled(outcome: &Outcome) -> bool {
    matches!(outcome, Err(error) if error.code == Code::Cancelled)
}

impl SessionState {
    fn finished(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Effect::Answer(ticket) = self.machine.on(Input::Finished(ticket))
            && let Some(running) = self.running.remove(&ticket)
        {
            // The same error may also be what was asked for: the result of a cancelled task.
            if running.cancelled.is_cancelled() && is_cancelled(&outcome) {
                running.exchange.withdraw(outcome);
            } else {
                running.exchange.finish(outcome);
            }
        }
        // Tasks that have ended are kept until they are asked for.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Unknown and malformed notifications are ignored, as the specification says.
    fn notified(&mut self, notification: &Notification) {
        let input = match notification.method.as_str() {
            "notifications/initialized" => Input::Initialized,
            "notifications/cancelled" => match notification.cancelled() {
                Some(id) => Input::Cancelled(id),
                None => return,
            },
            _ => return,
        };
        if let Effect::Cancel(ticket) = self.machine.on(input)
            && let Some(running) = self.running.get(&ticket)
        {
            running.cancelled.cancel();
        }
    }

    fn asked(&mut self, question: Question) {
        let Question { ticket, id, ask, reply } = question;
        let Effect::Send(id) = self.machine.on(Input::Asked(ticket, id)) else { return };
        let message = Bytes::from(ask.encode(&id.to_request_id()));
        let sent = self.running.get(&ticket).is_some_and(|r| r.exchange.side().ask(message));
        if sent {
            self.questions.insert(id, (ticket, reply));
        } else {
            self.machine.on(Input::Unasked(id));
        }
    }

    /// Answers to what nobody asked are ignored.
    fn replied(&mut self, id: RequestId, answer: Result<Box<RawValue>, Box<RawValue>>) {
        if let Effect::Resolve(ask) = self.machine.on(Input::Replied(id))
            && let Some((_, reply)) = self.questions.remove(&ask)
        {
            let answer = answer.map_err(|error| match serde_json::from_str(error.get()) {
                Ok(ReceivedError { code, message, .. }) => AskError::Refused { code, message },
                Err(_) => AskError::Refused { code: 0, message: "with no readable error".into() },
            });
            // Who asked may have gone meanwhile.
            let _ = reply.send(answer);
        }
    }

    fn unasked(&mut self, id: AskId) {
        if let Effect::Withdraw(id) = self.machine.on(Input::Unasked(id))
            && let Some((ticket, _)) = self.questions.remove(&id)
            && let Some(running) = self.running.get(&ticket)
        {
            let cancelled = Outgoing::cancelled(&id.to_request_id(), "nobody waits any more");
            running.exchange.side().notify(&cancelled);
        }
    }
}
