//! The work of a wire over HTTP+SSE (2024-11-05): GET opens the stream on which everything comes,
//! and its first event names where messages are posted.
//!
//! **Owns**: the stream, and the tasks of its messages.
//! **Receives**: orders, as soon as it knows where to post. **Sends**: what comes, to its inbox.
//! **Fails when**: the stream ends, which nothing resumes in that revision.
//! **Restarted by**: whoever opened the wire.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

use super::body::{self, Events, discard};
use super::events::Parser;
use super::link::Link;
use super::request::{Outcome, post};
use super::stream::{self, NoStream};
use super::streamable::outcome;
use crate::provider::upstream::wire::Why;
use crate::provider::upstream::{Closing, Failure, Order, Outbound};

/// Posts that are under way at once; with one more, orders wait. Servers take each at once.
const POSTS: usize = 256;
/// How long the last messages may take when the wire is closed.
const LAST_MESSAGES: Duration = Duration::from_secs(1);
/// Bytes that are read of what a server says of a message that it does not take.
const REFUSAL_BYTES: usize = 256 * 1024;

/// Carries messages until it is told to end, or the stream ends.
pub(super) async fn work(link: Arc<Link>, mut orders: mpsc::Receiver<Order>) -> Closing {
    let mut parser = Parser::new(link.limits.message_bytes);
    let mut events = match stream::open(&link, &mut parser).await {
        Ok(events) => events,
        Err(no_stream) => return unopened(&no_stream),
    };
    let endpoint = match endpoint(&link, &mut events, &mut parser).await {
        Ok(endpoint) => Arc::new(endpoint),
        Err(closing) => return closing,
    };
    let mut posts = Posts { link, endpoint, tasks: JoinSet::new(), is_greeted: false };
    loop {
        let reached = tokio::select! {
            event = events.next(&mut parser) => match event {
                Ok(Some(event)) => {
                    if event.is_message() {
                        posts.link.deliver(&event.data, None);
                    }
                    None
                }
                Ok(None) => return crashed("its stream ended".to_owned()),
                Err(failure) => return crashed(failure.to_string()),
            },
            order = orders.recv(), if posts.tasks.len() < POSTS => match order {
                Some(order) => posts.obey(order).await,
                None => return posts.finish().await,
            },
            Some(ended) = posts.tasks.join_next() => outcome(ended),
        };
        // Nobody reached, or a message refused: the stream tells what that means for the rest.
        if reached == Some(Outcome::SessionLost) {
            let cause = "it knows nothing of its stream any more (HTTP status 404)".to_owned();
            return Closing { why: Why::SessionLost, cause };
        }
    }
}

fn crashed(cause: String) -> Closing {
    Closing { why: Why::Crashed, cause }
}

fn unopened(no_stream: &NoStream) -> Closing {
    crashed(match no_stream {
        NoStream::Later(reason) => format!("its stream can't be opened: {reason}"),
        NoStream::SessionLost => "its stream can't be opened".to_owned(),
        NoStream::Refused(status) => {
            format!("its stream can't be opened: HTTP status {status}")
        }
    })
}

/// Waits for the event that names where to post: within the stream's own origin, or what the node
/// says of itself would be told to somebody else.
async fn endpoint(link: &Link, events: &mut Events, parser: &mut Parser) -> Result<Url, Closing> {
    loop {
        let event = match events.next(parser).await {
            Ok(Some(event)) if event.kind == "endpoint" => event,
            Ok(Some(_)) => continue,
            Ok(None) => return Err(crashed("its stream ended at once".to_owned())),
            Err(failure) => return Err(crashed(failure.to_string())),
        };
        let named = std::str::from_utf8(&event.data).ok();
        return match named.and_then(|named| link.url().join(named.trim()).ok()) {
            Some(url) if url.origin() == link.url().origin() => Ok(url),
            Some(_) => {
                let cause = "messages are to be posted to another origin, which isn't done";
                Err(Closing { why: Why::Garbled, cause: cause.to_owned() })
            }
            None => {
                let cause = "it names no place where messages are to be posted".to_owned();
                Err(Closing { why: Why::Garbled, cause })
            }
        };
    }
}

struct Posts {
    link: Arc<Link>,
    endpoint: Arc<Url>,
    tasks: JoinSet<Outcome>,
    /// The server knows that the handshake is over.
    is_greeted: bool,
}

impl Posts {
    async fn obey(&mut self, order: Order) -> Option<Outcome> {
        let (link, to) = (self.link.clone(), self.endpoint.clone());
        match order {
            Order::Request(request) => {
                self.tasks.spawn(async move { ask(&link, &to, request).await });
            }
            // Nothing may overtake `notifications/initialized`, the first message.
            Order::Message(text) if !std::mem::replace(&mut self.is_greeted, true) => {
                return Some(post(&link, &to, text).await);
            }
            Order::Message(text) => {
                self.tasks.spawn(async move { post(&link, &to, text).await });
            }
            // All answers come on one stream, so there is nothing to end.
            Order::Abandon(_) => {}
            Order::Speak(revision) => link.speak(revision),
        }
        None
    }

    async fn finish(mut self) -> Closing {
        // What is not out by then is lost; nobody waits for it.
        let _ =
            timeout(LAST_MESSAGES, async { while self.tasks.join_next().await.is_some() {} }).await;
        Closing { why: Why::Told, cause: "it was told to".to_owned() }
    }
}

/// Posts a request; its answer comes on the stream.
async fn ask(link: &Link, to: &Url, request: Outbound) -> Outcome {
    let headers = link.agreed().request(&request);
    let sent = link.send(Method::POST, to, &headers, &request.text);
    let failure = match timeout(link.limits.message_timeout, sent).await {
        Ok(Ok(response)) if response.status().is_success() => {
            discard(response.into_body()).await;
            return Outcome::Reached;
        }
        Ok(Ok(response)) => {
            let status = response.status();
            let text = body::read(response.into_body(), REFUSAL_BYTES).await.unwrap_or_default();
            if link.deliver(&text, Some(request.id)).is_answer {
                return Outcome::Reached;
            }
            if status == StatusCode::NOT_FOUND {
                return Outcome::SessionLost;
            }
            Failure::Status { status: status.as_u16(), body: body::beginning(&text) }
        }
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Lost("it did not take the request in time".to_owned()),
    };
    let outcome = Outcome::from(&failure);
    link.fail(request.id, failure);
    outcome
}
