//! What a call knows of the request that it serves, and of the client behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::waits::Waits;
use super::{CallError, Questions};
use crate::protocol::notification::{LogMessage, Outgoing, Progress};
use crate::protocol::splice::Edits;
use crate::protocol::{Ask, AskError, ClientCapabilities, Level, ParamsText, Revision, RpcError};
use crate::telemetry::Spent;
use crate::telemetry::metrics::Unsent;

/// The way from a running call to its client, beside the answer.
pub trait ClientLink: Send + Sync {
    /// Sends a notification that belongs to the request. It never waits: a client that doesn't
    /// take what it is sent loses its stream, not the call its time.
    fn notify(&self, notification: &Outgoing);

    /// Asks the client and waits for its answer, in the legacy era and inside tasks.
    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>>;

    /// The least grave log messages that the client wants now; none means no messages.
    fn log_level(&self) -> Option<Level>;

    /// Whether [`ask`](Self::ask) can be answered while the call waits. Where not, the call ends
    /// with its questions, and begins anew with the answers.
    fn can_wait(&self) -> bool;

    /// Ends the event stream of this request without its answer: the client fetches the rest by
    /// `Last-Event-ID` (2025-11-25, "polling"). Ignored where there is no such stream.
    fn release_stream(&self) {}
}

/// Nobody: for calls whose client needs nothing but the answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl ClientLink for Nobody {
    fn notify(&self, _: &Outgoing) {}

    fn ask(&self, _: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        Box::pin(std::future::ready(Err(AskError::Gone)))
    }

    fn log_level(&self) -> Option<Level> {
        None
    }

    fn can_wait(&self) -> bool {
        false
    }
}

/// Answers of earlier rounds of the same request (2026-07-28), already checked to be the
/// client's own.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The answers by their keys.
    pub answers: BTreeMap<String, Box<RawValue>>,
    /// What the provider wanted to know again.
    pub state: Option<Value>,
}

/// Who is behind a request. Servers with state of their own are kept apart by it.
#[derive(Clone)]
pub struct Who {
    /// The principal; empty as long as nobody is asked who they are.
    pub principal: Arc<str>,
    /// The key of the session, where there is one. It may be a secret.
    pub session: Option<Arc<str>>,
    /// Where goes what concerns the client after its request is answered, if there is a way.
    pub later: Option<Weak<dyn ClientLink>>,
}

impl Who {
    /// Somebody without a session whom nobody asked who they are.
    pub fn nobody() -> Self {
        Self { principal: "".into(), session: None, later: None }
    }
}

/// What one edge tells of a request.
#[derive(Clone)]
pub struct Side {
    /// Who asks.
    pub who: Who,
    /// The revision of the client's edge.
    pub revision: Revision,
    /// What the client can do.
    pub capabilities: ClientCapabilities,
    /// All parameters of the request, as they came, under the names of the client's endpoint: for
    /// providers that pass them on. Others take what they need from the operation.
    pub params: Option<ParamsText>,
    /// The request's `_meta`, as it came.
    pub meta: Option<Arc<RawValue>>,
    /// By which the client recognises progress of this request.
    pub progress_token: Option<Arc<RawValue>>,
    /// Answers of earlier rounds.
    pub inputs: Arc<Inputs>,
    /// The way to the client.
    pub client: Arc<dyn ClientLink>,
    /// How long upstreams took for it.
    pub spent: Spent,
}

impl Side {
    /// An edge at which nobody is told or asked anything.
    pub fn silent(revision: Revision) -> Self {
        Self {
            who: Who::nobody(),
            revision,
            capabilities: ClientCapabilities::default(),
            params: None,
            meta: None,
            progress_token: None,
            inputs: Arc::default(),
            client: Arc::new(Nobody),
            spent: Spent::default(),
        }
    }
}

/// What a call may know about the request that it serves. Clones belong to the same call.
#[derive(Clone)]
pub struct CallContext {
    /// The client's edge.
    pub side: Side,
    /// Cancelled when nobody waits for the result any more. The call's future is dropped then;
    /// work that runs elsewhere should watch this.
    pub cancelled: CancellationToken,
    /// When the call's future is dropped at the latest, unless it waits for its client.
    pub deadline: Instant,
    /// How long the call waited for its client.
    pub(super) waits: Waits,
    /// What it told its client.
    pub(super) pace: Arc<Pace>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("revision", &self.side.revision).finish_non_exhaustive()
    }
}

impl CallContext {
    /// The context of a call that ends at `deadline`.
    pub fn new(side: Side, cancelled: CancellationToken, deadline: Instant) -> Self {
        let pace = Arc::new(Pace::new(Unsent::default()));
        Self { side, cancelled, deadline, waits: Waits::default(), pace }
    }

    /// The revision of the client's edge.
    pub fn revision(&self) -> Revision {
        self.side.revision
    }

    /// Counts what is not sent, since it comes too fast.
    pub(super) fn counting(self, unsent: Unsent) -> Self {
        Self { pace: Arc::new(Pace::new(unsent)), ..self }
    }

    /// Tells the client how far the work is, where it asked for that. What doesn't grow is not
    /// told, as the specification wants; of what comes too fast, the newest.
    pub fn progress(&self, progress: Progress) {
        let Some(token) = &self.side.progress_token else { return };
        // JSON has no other numbers; a total that isn't one is not known.
        let total = progress.total.filter(|total| total.is_finite());
        let progress = Progress { total, ..progress };
        self.pace.progress(&*self.side.client, progress.progress, || {
            Some(Outgoing::progress(token, &progress))
        });
    }

    /// The same with what another server told, of which everything stays but the token.
    pub(super) fn pass_progress(&self, progress: f64, params: &RawValue) {
        let Some(token) = &self.side.progress_token else { return };
        self.pace.progress(&*self.side.client, progress, || {
            let mut edits = Edits::default();
            edits.put("progressToken", token.as_ref().to_owned());
            let params = RawValue::from_string(edits.apply(Some(params))).ok()?;
            Some(Outgoing::passed("notifications/progress", &params))
        });
    }

    /// Sends a log message, where the client wants messages of this level. One that comes too fast
    /// is lost.
    pub fn log(&self, message: &LogMessage) {
        if self.wants(message.level) {
            self.pace.log(&*self.side.client, || Outgoing::log(message));
        }
    }

    /// The same with what another server said.
    pub(super) fn pass_log(&self, level: Level, params: &RawValue) {
        if self.wants(level) {
            self.pace.log(&*self.side.client, || Outgoing::passed("notifications/message", params));
        }
    }

    fn wants(&self, level: Level) -> bool {
        self.side.client.log_level().is_some_and(|wanted| level >= wanted)
    }

    /// Asks the client several things at once, and gives its answers by their keys. In the legacy
    /// era, and in tasks, the call waits here. In a modern request it ends here with an error that
    /// has to be passed on: the client answers, sends its request again, and the call begins anew
    /// and finds the answers; `state` is then in [`Inputs::state`].
    ///
    /// # Errors
    /// Where the client can't be asked this, refuses, or is gone; and the one that asks it.
    pub async fn ask(
        &self,
        mut asks: BTreeMap<String, Ask>,
        state: Option<Value>,
    ) -> Result<BTreeMap<String, Box<RawValue>>, CallError> {
        let mut answers = BTreeMap::new();
        for key in asks.keys() {
            if let Some(answer) = self.side.inputs.answers.get(key) {
                answers.insert(key.clone(), answer.clone());
            }
        }
        asks.retain(|key, _| !answers.contains_key(key));
        for ask in asks.values() {
            ask.kind.check(self.side.capabilities)?;
        }
        if asks.is_empty() {
            return Ok(answers);
        }
        if !self.side.client.can_wait() {
            return Err(CallError::InputRequired(Box::new(Questions { asks, state })));
        }
        let _waiting = self.waits.begin();
        let asked = asks.into_iter().map(|(key, ask)| {
            let answer = self.side.client.ask(ask);
            async move { Ok::<_, AskError>((key, answer.await?)) }
        });
        let more = futures_util::future::try_join_all(asked).await.map_err(RpcError::from)?;
        answers.extend(more);
        Ok(answers)
    }
}
