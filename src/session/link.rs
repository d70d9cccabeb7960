//! The way from a call in a session to its client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ractor::ActorRef;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::actor::Msg;
use super::events::StreamId;
use super::exchange::SideWay;
use super::machine::{AskId, Ticket};
use super::table::Record;
use crate::protocol::notification::Outgoing;
use crate::protocol::{Ask, AskError, Level};
use crate::provider::ClientLink;

/// The link of one request.
pub struct SessionLink {
    /// The way for what isn't the answer.
    pub side: SideWay,
    /// The session.
    pub record: Arc<Record>,
    /// The incarnation of its actor that works on the request.
    pub actor: ActorRef<Msg>,
    /// The request.
    pub ticket: Ticket,
    /// How long the client may take to answer.
    pub patience: Duration,
}

/// A question on its way to the client.
#[derive(Debug)]
pub struct Question {
    /// Which request asks.
    pub ticket: Ticket,
    /// Under which id.
    pub id: AskId,
    /// What.
    pub ask: Ask,
    /// Where the client's answer goes. Dropped without one, it tells that none will come.
    pub reply: oneshot::Sender<Result<Box<RawValue>, AskError>>,
}

/// Tells the session when nobody waits any more.
struct Unasked(ActorRef<Msg>, AskId);

impl Drop for Unasked {
    fn drop(&mut self) {
        // An actor that is gone has forgotten all questions.
        let _ = self.0.cast(Msg::Unask(self.1));
    }
}

impl ClientLink for SessionLink {
    fn notify(&self, notification: &Outgoing) {
        self.side.notify(notification);
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        let (reply, answer) = oneshot::channel();
        let id = self.record.next_ask();
        let question = Box::new(Question { ticket: self.ticket, id, ask, reply });
        let sent = self.actor.cast(Msg::Ask(question)).is_ok();
        let unasked = Unasked(self.actor.clone(), id);
        let patience = self.patience;
        Box::pin(async move {
            let _unasked = unasked;
            if !sent {
                return Err(AskError::Gone);
            }
            match timeout(patience, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_dropped)) => Err(AskError::Gone),
                Err(_elapsed) => Err(AskError::TimedOut),
            }
        })
    }

    fn log_level(&self) -> Option<Level> {
        Some(self.record.level())
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn release_stream(&self) {
        self.side.release();
    }
}

/// The session's own stream, for what belongs to no request any more: what tasks tell. It goes on
/// whichever incarnation of the actor there is.
impl ClientLink for Record {
    fn notify(&self, notification: &Outgoing) {
        self.streams.push(StreamId::OWN, Bytes::from(notification.encode(None)));
    }

    fn ask(&self, _: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        Box::pin(std::future::ready(Err(AskError::Gone)))
    }

    fn log_level(&self) -> Option<Level> {
        Some(self.level())
    }

    fn can_wait(&self) -> bool {
        false
    }
}
