//! What comes from a server, sorted: answers to their requests, notifications and questions to the
//! one client that they belong to, and the rest to whoever listens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, mpsc};

use super::message;
use super::table::{Fault, Happening, NoOwner, Outcome, Table, Whose};
use super::visits::Visits;
use crate::bridge;
use crate::catalogue::ServerName;
use crate::protocol::envelope::{Incoming, Request};
use crate::protocol::{Ask, Code, Kind, RequestId, RpcError};
use crate::provider::upstream::wire::{Failure, Inbox, Order};
use crate::provider::{CallContext, Who};

/// News that wait for who listens; who is slower has to take everything as changed.
const WAITING_NEWS: usize = 256;

/// What a server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// One of its lists changed.
    ListChanged(Kind),
    /// A resource changed.
    ResourceUpdated(String),
}

/// The inbox of one connection. It is made before its wire, and the connection behind it.
pub struct Dispatch {
    name: ServerName,
    table: Mutex<Table<Arc<CallContext>>>,
    visits: Mutex<Visits>,
    /// Weak, as the wire has the inbox: it is to close when nobody else has something to say.
    orders: OnceLock<mpsc::WeakSender<Order>>,
    /// Whose the whole instance is, where it has a single owner.
    owner: OnceLock<Who>,
    news: broadcast::Sender<News>,
    /// A question was refused, and the log said so.
    has_refused: AtomicBool,
}

impl Dispatch {
    /// The inbox of a server's connection to be.
    pub fn new(name: ServerName) -> Self {
        Self {
            name,
            table: Mutex::default(),
            visits: Mutex::default(),
            orders: OnceLock::new(),
            owner: OnceLock::new(),
            news: broadcast::Sender::new(WAITING_NEWS),
            has_refused: AtomicBool::new(false),
        }
    }

    /// The server's name.
    pub(super) fn name(&self) -> &ServerName {
        &self.name
    }

    /// The wire is there, and whose all of it is.
    pub(super) fn attach(&self, orders: &mpsc::Sender<Order>, owner: Option<Who>) {
        // A second connection would be a mistake, and would find the first one's wire.
        let _ = self.orders.set(orders.downgrade());
        if let Some(owner) = owner {
            let _ = self.owner.set(owner);
        }
    }

    pub(super) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    pub(super) fn tell(&self, news: News) {
        // Nobody may listen; that is no fault.
        let _ = self.news.send(news);
    }

    /// A request begins.
    pub(super) fn begin(&self, call: Option<&Arc<CallContext>>) -> Result<u64, Fault> {
        self.table().begin(call.map(|call| (whose(call), Arc::clone(call))))
    }

    /// A call is another request's from now on.
    pub(super) fn hand_over(&self, id: u64, call: &Arc<CallContext>) {
        self.table().hand_over(id, whose(call), Arc::clone(call));
    }

    pub(super) fn sent(&self, id: u64) {
        self.table().sent(id);
    }

    pub(super) fn forget(&self, id: u64) {
        self.table().forget(id);
    }

    pub(super) fn poll(&self, id: u64, context: &Context<'_>) -> Poll<Happening> {
        self.table().poll(id, context.waker())
    }

    /// Nobody waits for a request any more; whether its server is to be told.
    pub(super) fn end(&self, id: u64) -> bool {
        let farewell = self.table().end(id);
        for question in farewell.questions {
            self.refuse(question, RpcError::new(Code::InternalError, "The call is over"));
        }
        farewell.cancel
    }

    /// Answers a question of the server's, where it still waits for that.
    pub(super) fn settle(&self, question: u64, answer: Result<Box<RawValue>, RpcError>) {
        let Some(id) = self.table().settle(question) else { return };
        match answer {
            Ok(result) => self.say(message::answer(&id, &result)),
            Err(error) => self.refuse(id, error),
        }
    }

    /// A call ended with an error that may send its client to URLs.
    pub(super) fn expect_visits(&self, error: &RpcError, who: &Who) {
        if let Some(data) = &error.data {
            self.visits().expect_all(data, who);
        }
    }

    /// Ends every request once, with `cause`; later ones find the connection closed. For whoever
    /// sees the wire end before there is a connection.
    pub fn close(&self, cause: &str) {
        let wakers = self.table().close(cause);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.table().in_flight()
    }

    pub(super) fn strays(&self) -> u64 {
        self.table().strays()
    }

    /// Gives an order without waiting: what comes from the wire's own work must not wait for it.
    pub(super) fn order(&self, order: Order) {
        let sender = self.orders.get().and_then(mpsc::WeakSender::upgrade);
        if sender.is_some_and(|sender| sender.try_send(order).is_err()) {
            tracing::debug!(server = %self.name, "it takes nothing more, so it is told less");
        }
    }

    /// Whose the whole instance is.
    pub(super) fn owner(&self) -> Option<&Who> {
        self.owner.get()
    }

    fn say(&self, message: Bytes) {
        self.order(Order::Message(message));
    }

    fn refuse(&self, id: RequestId, error: RpcError) {
        self.say(message::refusal(id, error));
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table<Arc<CallContext>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn visits(&self) -> MutexGuard<'_, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, id: u64, outcome: Outcome) {
        let waker = self.table().answer(id, outcome);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn stray(&self) {
        self.table().stray();
        tracing::debug!(server = %self.name, "it answered what it was not asked");
    }

    fn asked(&self, request: Request, of: Option<u64>) {
        let Request { id, method, params } = request;
        if method == "ping" {
            return self.say(message::pong(&id));
        }
        let Some(ask) = bridge::ask(&method, params) else {
            return self.refuse(id, RpcError::method_not_found(&method));
        };
        match self.pass_on(&id, ask, of) {
            Ok(Some(waker)) => waker.wake(),
            Ok(None) => {}
            Err(error) => {
                let (server, why) = (&self.name, &error.message);
                // An operator should know once, and not with each of a thousand questions.
                if self.has_refused.swap(true, Ordering::Relaxed) {
                    tracing::debug!(%server, method, why, "a question reaches no client");
                } else {
                    tracing::info!(%server, method, why, "a question reaches no client");
                }
                self.refuse(id, error);
            }
        }
    }

    /// Hands a question to the call that it belongs to.
    fn pass_on(
        &self,
        id: &RequestId,
        ask: Ask,
        of: Option<u64>,
    ) -> Result<Option<Waker>, RpcError> {
        let mut table = self.table();
        let owner = table.owner(of).map_err(unowned)?;
        if let Some(call) = table.caller(owner) {
            bridge::check_ask(&ask, call.side.capabilities)?;
            self.visits().expect_of(&ask, &call.side.who);
        }
        let overloaded = |_| RpcError::new(Code::InternalError, "Too many questions are open");
        table.ask(owner, id.clone(), ask).map_err(overloaded)
    }
}

impl Inbox for Dispatch {
    fn message(&self, message: Incoming, of: Option<u64>) {
        match message {
            Incoming::Response { id, outcome } => {
                let id = match id {
                    Some(id) => number(&id),
                    // An error to what the server could not read: its own stream tells which.
                    None => of,
                };
                let outcome = outcome.map_err(|raw| Fault::Answered(message::error(&raw)));
                match id {
                    Some(id) => self.answered(id, outcome),
                    None => self.stray(),
                }
            }
            Incoming::Request(request) => self.asked(request, of),
            Incoming::Notification(notification) => self.told(&notification, of),
        }
    }

    fn failed(&self, id: u64, failure: Failure) {
        self.answered(id, Err(Fault::Failed(failure)));
    }
}

fn whose(call: &CallContext) -> Whose {
    let Who { principal, session, .. } = &call.side.who;
    Whose { principal: Arc::clone(principal), session: session.clone() }
}

/// Our ids are numbers; anything else is none of them.
fn number(id: &RequestId) -> Option<u64> {
    match id {
        RequestId::Integer(id) => u64::try_from(*id).ok(),
        RequestId::Unsigned(id) => Some(*id),
        RequestId::Text(_) => None,
    }
}

fn unowned(why: NoOwner) -> RpcError {
    let why = match why {
        NoOwner::Idle => "No client has a request here that this could belong to",
        NoOwner::Ambiguous => {
            "Several clients have requests here, and nothing says to which of them this belongs; \
             share = \"session\" gives each its own server"
        }
    };
    RpcError::new(Code::InternalError, why)
}
