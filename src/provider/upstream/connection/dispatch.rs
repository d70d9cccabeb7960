//! What comes from a server, sorted: answers to their requests, notifications and questions to the
//! one client that they belong to, and the rest to whoever listens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, mpsc};

use super::message;
use super::table::{Fault, Happening, NoOwner, Outcome, Table, Whose};
use super::visits::Visits;
use crate::bridge;
use crate::catalogue::ServerName;
use crate::protocol::envelope::{Incoming, Notification, Request};
use crate::protocol::notification::Outgoing;
use crate::protocol::{Ask, Code, Kind, Level, RequestId, RpcError};
use crate::provider::upstream::wire::{Failure, Inbox, Order};
use crate::provider::{CallContext, Who};

/// News that wait for who listens; who is slower has to take everything as changed.
const WAITING_NEWS: usize = 256;
/// How much of what a server says the log shows, in bytes.
const SHOWN_BYTES: usize = 1_024;

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

    fn say(&self, message: Bytes) {
        self.order(Order::Message(message));
    }

    fn refuse(&self, id: RequestId, error: RpcError) {
        self.say(message::refusal(id, error));
    }

    fn table(&self) -> MutexGuard<'_, Table<Arc<CallContext>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visits(&self) -> MutexGuard<'_, Visits> {
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

    fn told(&self, notification: &Notification, of: Option<u64>) {
        let params = notification.params.as_deref();
        let tell = |kind| self.tell(News::ListChanged(kind));
        match notification.method.as_str() {
            "notifications/progress" => self.progressed(params),
            "notifications/message" => self.logged(params, of),
            "notifications/tools/list_changed" => tell(Kind::Tools),
            "notifications/prompts/list_changed" => tell(Kind::Prompts),
            "notifications/resources/list_changed" => {
                tell(Kind::Resources);
                tell(Kind::Templates);
            }
            "notifications/resources/updated" => {
                if let Some(Updated { uri }) = read(params) {
                    self.tell(News::ResourceUpdated(uri));
                }
            }
            "notifications/elicitation/complete" => self.completed(params),
            "notifications/subscriptions/acknowledged" => self.acknowledged(params, of),
            "notifications/cancelled" => self.withdrawn(notification),
            other => {
                let method = message::cut(other, SHOWN_BYTES);
                tracing::debug!(server = %self.name, method, "it told what nobody knows");
            }
        }
    }

    /// The token is our id; the client gets its own back.
    fn progressed(&self, params: Option<&RawValue>) {
        let (Some(params), Some(Progressed { progress_token, progress })) = (params, read(params))
        else {
            return;
        };
        let call = self.table().caller(progress_token).cloned();
        if let Some(call) = call {
            call.pass_progress(progress, params);
        }
    }

    fn logged(&self, params: Option<&RawValue>, of: Option<u64>) {
        let (Some(params), Some(Logged { level })) = (params, read(params)) else { return };
        let message = message::cut(params.get(), SHOWN_BYTES);
        tracing::debug!(server = %self.name, ?level, message, "it says");
        let call = self.table().hearer(of).cloned();
        if let Some(call) = call {
            return call.pass_log(level, params);
        }
        let later = self.owner.get().and_then(|owner| owner.later.as_ref());
        let later = later.and_then(Weak::upgrade);
        if let Some(client) = later.filter(|it| it.log_level().is_some_and(|wants| level >= wants))
        {
            client.notify(&Outgoing::passed("notifications/message", params));
        }
    }

    fn completed(&self, params: Option<&RawValue>) {
        let (Some(params), Some(Completed { elicitation_id })) = (params, read(params)) else {
            return;
        };
        let client = self.visits().take(&elicitation_id);
        if let Some(client) = client {
            client.notify(&Outgoing::passed("notifications/elicitation/complete", params));
        }
    }

    /// A stream of notifications is open; over a pipe only its mark says which.
    fn acknowledged(&self, params: Option<&RawValue>, of: Option<u64>) {
        let marked = read(params).map(|Marked { meta }| meta.subscription_id);
        let Some(id) = marked.or(of) else { return };
        let waker = self.table().acknowledge(id);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn withdrawn(&self, notification: &Notification) {
        let Some(id) = notification.cancelled() else { return };
        let waker = self.table().withdraw(&id);
        if let Some(waker) = waker {
            waker.wake();
        }
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progressed {
    progress_token: u64,
    progress: f64,
}

#[derive(Deserialize)]
struct Logged {
    level: Level,
}

#[derive(Deserialize)]
struct Updated {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    elicitation_id: String,
}

#[derive(Deserialize)]
struct Marked {
    #[serde(rename = "_meta")]
    meta: Mark,
}

#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    subscription_id: u64,
}

fn read<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(params?.get()).ok()
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
