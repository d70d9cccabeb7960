//! A line to one instance of a server: requests go out, and what happens to them comes back.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::dispatch::Dispatch;
use super::message;
use super::table::{Fault, Happening, Outcome};
use crate::protocol::RpcError;
use crate::provider::upstream::wire::{Order, Outbound};
use crate::provider::{CallContext, Who};

/// The line. Clones are the same one. It keeps no wire open: whoever still waits for something, as
/// a parked call does, must not hold up the end of an instance.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) inbox: Arc<Dispatch>,
    pub(super) orders: mpsc::WeakSender<Order>,
}

/// A request to be sent.
pub(super) struct Draft {
    pub(super) method: &'static str,
    /// The parameters' text, by the request's id.
    pub(super) params: String,
    /// The name or URI that headers mirror.
    pub(super) name: Option<String>,
    /// Further values that headers mirror.
    pub(super) mirrored: Vec<(String, String)>,
}

impl Draft {
    /// A request that headers say nothing more of.
    pub(super) fn new(method: &'static str, params: String) -> Self {
        Self { method, params, name: None, mirrored: Vec::new() }
    }
}

/// How a server is told that nobody waits for a request any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// By `notifications/cancelled`.
    Notify,
    /// By the end of the request's own connection.
    HangUp,
}

/// A request under way. Dropping it cancels it.
pub(in crate::provider::upstream) struct Live {
    line: Line,
    id: u64,
    leaving: Leaving,
    forgotten: bool,
}

impl Line {
    /// Takes an id for a request, which is sent by [`Live::send`].
    ///
    /// # Errors
    /// Where the connection has ended.
    pub(super) fn begin(
        &self,
        call: Option<&Arc<CallContext>>,
        leaving: Leaving,
    ) -> Result<Live, Fault> {
        let id = self.inbox.begin(call)?;
        Ok(Live { line: self.clone(), id, leaving, forgotten: false })
    }

    /// A request of the node's own, to its outcome; `None` where that takes longer than `limit`.
    pub(super) async fn request(
        &self,
        draft: Draft,
        leaving: Leaving,
        limit: Duration,
    ) -> Option<Outcome> {
        let whole = async {
            let mut live = self.begin(None, leaving)?;
            live.send(draft).await?;
            live.outcome().await
        };
        timeout(limit, whole).await.ok()
    }

    /// Sends a notification; `false` where the wire has ended.
    pub(super) async fn notify(&self, message: Bytes) -> bool {
        self.give(Order::Message(message)).await
    }

    /// Gives the wire an order, as soon as it takes one; `false` where it has ended.
    pub(super) async fn give(&self, order: Order) -> bool {
        let Some(orders) = self.orders.upgrade() else { return false };
        orders.send(order).await.is_ok()
    }
}

impl Live {
    /// The request's id at its server.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Sends the request, as soon as the wire takes it.
    ///
    /// # Errors
    /// Where the wire has ended.
    pub(super) async fn send(&self, draft: Draft) -> Result<(), Fault> {
        let closed = || Fault::Closed { cause: "its connection is closed".into(), sent: false };
        let orders = self.line.orders.upgrade().ok_or_else(closed)?;
        let place = orders.reserve().await.map_err(|_| closed())?;
        self.line.inbox.sent(self.id);
        place.send(Order::Request(self.outbound(draft)));
        Ok(())
    }

    /// The same without waiting: where the wire takes nothing now, it isn't sent.
    pub(super) fn send_now(&self, draft: Draft) {
        self.line.inbox.sent(self.id);
        self.line.inbox.order(Order::Request(self.outbound(draft)));
    }

    fn outbound(&self, draft: Draft) -> Outbound {
        let Draft { method, params, name, mirrored } = draft;
        let text = message::request(self.id, method, &params);
        Outbound { id: self.id, text, method, name, mirrored }
    }

    /// What happens next. After the outcome nothing does.
    pub(in crate::provider::upstream) async fn next(&mut self) -> Happening {
        poll_fn(|context| self.line.inbox.poll(self.id, context)).await
    }

    /// The outcome of a request that belongs to no client.
    pub(in crate::provider::upstream) async fn outcome(&mut self) -> Outcome {
        loop {
            match self.next().await {
                Happening::Done(outcome) => return outcome,
                Happening::Asked(question) => {
                    let nobody = RpcError::method_not_found(question.ask.kind.method());
                    self.answer(question.number, Err(nobody));
                }
                Happening::Withdrawn(_) | Happening::Acknowledged => {}
            }
        }
    }

    /// Answers a question of the server's, where it still waits for that.
    pub(in crate::provider::upstream) fn answer(
        &self,
        question: u64,
        answer: Result<Box<RawValue>, RpcError>,
    ) {
        self.line.inbox.settle(question, answer);
    }

    /// The client of a call that ended is told, when its server says that it was where the error
    /// sends it.
    pub(in crate::provider::upstream) fn expect_visits(&self, error: &RpcError, who: &Who) {
        self.line.inbox.expect_visits(error, who);
    }

    /// Leaves a request to its server, whatever comes of it.
    pub(super) fn forget(mut self) {
        self.line.inbox.forget(self.id);
        self.forgotten = true;
    }

    /// The request goes on as another one of the client's.
    pub(in crate::provider::upstream) fn hand_over(&self, call: &Arc<CallContext>) {
        self.line.inbox.hand_over(self.id, call);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.forgotten && self.line.inbox.end(self.id) {
            if self.leaving == Leaving::Notify {
                self.line.inbox.order(Order::Message(message::cancelled(self.id)));
            }
            self.line.inbox.order(Order::Abandon(self.id));
        }
    }
}
