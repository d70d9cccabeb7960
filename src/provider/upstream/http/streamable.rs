//! The work of a wire over Streamable HTTP: it takes orders, and owns a task for each message.
//!
//! **Owns**: the tasks of its messages, and the one that keeps the server's own stream.
//! **Receives**: orders. **Sends**: what comes, to its inbox.
//! **Fails when**: nobody is reached several times in a row, the session is lost, or the server's
//! own stream can't be opened any more. **Restarted by**: whoever opened the wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;

use super::link::Link;
use super::request::{Outcome, carry, post};
use super::stream::listen;
use crate::protocol::header::name;
use crate::provider::upstream::wire::Why;
use crate::provider::upstream::{Closing, Failure, Order, Outbound};

/// How often in a row nobody may be reached.
const UNREACHED: u32 = 3;
/// Messages without an answer that are under way at once; with one more, orders wait.
const MESSAGES: usize = 256;
/// How long the last messages may take when the wire is closed, and how long the farewell.
const LAST_MESSAGES: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_secs(2);

/// Carries messages until it is told to end, or the server is gone.
pub(super) async fn work(link: Arc<Link>, mut orders: mpsc::Receiver<Order>) -> Closing {
    let mut work = Work {
        link,
        requests: JoinSet::new(),
        running: HashMap::new(),
        messages: JoinSet::new(),
        is_greeted: false,
        unreached: 0,
    };
    loop {
        let outcome = tokio::select! {
            order = orders.recv(), if work.messages.len() < MESSAGES => match order {
                Some(order) => work.obey(order).await,
                None => return work.finish().await,
            },
            Some(ended) = work.requests.join_next() => work.ended(ended),
            Some(ended) = work.messages.join_next() => outcome(ended),
        };
        if let Some(closing) = outcome.and_then(|outcome| work.judge(outcome)) {
            return closing;
        }
    }
}

struct Work {
    link: Arc<Link>,
    /// Requests, by their ids, and the server's own stream, which has none.
    requests: JoinSet<(Option<u64>, Outcome)>,
    running: HashMap<u64, AbortHandle>,
    messages: JoinSet<Outcome>,
    /// The server knows that the handshake is over (session era).
    is_greeted: bool,
    /// How often nobody was reached since somebody was.
    unreached: u32,
}

impl Work {
    async fn obey(&mut self, order: Order) -> Option<Outcome> {
        match order {
            Order::Request(request) => self.start(request),
            Order::Message(text) => return self.post(text).await,
            Order::Abandon(id) => {
                if let Some(task) = self.running.remove(&id) {
                    task.abort();
                }
            }
            Order::Speak(revision) => self.link.speak(revision),
        }
        None
    }

    fn start(&mut self, request: Outbound) {
        let id = request.id;
        if self.running.len() >= self.link.limits.requests {
            let reason = "too many requests are under way".to_owned();
            return self.link.fail(id, Failure::Unreachable(reason));
        }
        let link = self.link.clone();
        let task = self.requests.spawn(async move { (Some(id), carry(&link, request).await) });
        self.running.insert(id, task);
    }

    /// The first message of a session is `notifications/initialized`. Nothing may overtake it, and
    /// behind it the server may speak for itself.
    async fn post(&mut self, text: Bytes) -> Option<Outcome> {
        let link = self.link.clone();
        if self.is_greeted || !link.agreed().is_legacy() {
            self.messages.spawn(async move { post(&link, link.url(), text).await });
            return None;
        }
        self.is_greeted = true;
        let outcome = post(&link, link.url(), text).await;
        if outcome == Outcome::Reached {
            self.requests.spawn(async move { (None, listen(&link).await) });
        }
        Some(outcome)
    }

    fn ended(&mut self, ended: Result<(Option<u64>, Outcome), JoinError>) -> Option<Outcome> {
        let (id, outcome) = outcome(ended)?;
        if let Some(id) = id {
            self.running.remove(&id);
        }
        Some(outcome)
    }

    /// What the outcome of a message means for the wire.
    fn judge(&mut self, outcome: Outcome) -> Option<Closing> {
        let crashed = |cause| Some(Closing { why: Why::Crashed, cause });
        match outcome {
            Outcome::Reached => {
                self.unreached = 0;
                None
            }
            Outcome::Unreachable(reason) => {
                self.unreached += 1;
                let is_gone = self.unreached >= UNREACHED;
                is_gone.then(|| Closing {
                    why: Why::Crashed,
                    cause: format!("it could not be reached {UNREACHED} times in a row: {reason}"),
                })
            }
            Outcome::SessionLost => Some(Closing {
                why: Why::SessionLost,
                cause: "it has forgotten the session".to_owned(),
            }),
            Outcome::Broken(reason) => {
                crashed(format!("its own stream can't be opened again: {reason}"))
            }
        }
    }

    /// Ends in order: the last messages get out, and the server may forget the session.
    async fn finish(mut self) -> Closing {
        self.requests.abort_all();
        // What is not out by then is lost; nobody waits for it.
        let _ =
            timeout(LAST_MESSAGES, async { while self.messages.join_next().await.is_some() {} })
                .await;
        let headers = self.link.agreed().session();
        if headers.contains_key(name::SESSION_ID) {
            let nothing = Bytes::new();
            let farewell = self.link.send(Method::DELETE, self.link.url(), &headers, &nothing);
            // A server need not take it, and forgets idle sessions by itself.
            let _ = timeout(FAREWELL, farewell).await;
        }
        Closing { why: Why::Told, cause: "it was told to".to_owned() }
    }
}

/// What a task came to; nothing where it was aborted. A panic is a fault of ours, so it goes on.
pub(super) fn outcome<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(outcome) => Some(outcome),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
