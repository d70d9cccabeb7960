//! One request: its POST, and all that comes of it until it has its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming as Received;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::timeout;
use tracing::{debug, warn};
use url::Url;

use super::body::{self, Events, discard};
use super::events::Parser;
use super::link::{Link, is_of_type};
use super::pace::Pace;
use super::stream::{self, NoStream};
use crate::protocol::header::name;
use crate::provider::upstream::{Failure, Outbound};

/// How long a stream may go on behind the answer. Most end at once, and then their connection can
/// be used again.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are read of an answer that tells of an error.
const ERROR_BYTES: usize = 256 * 1024;

/// What a message tells of the server, beside its own outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there.
    Reached,
    /// It is not, because of this.
    Unreachable(String),
    /// It has forgotten the session.
    SessionLost,
    /// Its own stream can't be opened any more, because of this.
    Broken(String),
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Unreachable(reason) => Self::Unreachable(reason.clone()),
            Failure::Status { .. } | Failure::Lost(_) | Failure::TooLarge { .. } => Self::Reached,
        }
    }
}

/// Why a request has no answer.
enum Missed {
    Failed(Failure),
    SessionLost,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Sends a request, and hands on all that comes of it.
pub(super) async fn carry(link: &Link, request: Outbound) -> Outcome {
    let id = request.id;
    match exchange(link, request).await {
        Ok(()) => Outcome::Reached,
        Err(Missed::SessionLost) => Outcome::SessionLost,
        Err(Missed::Failed(failure)) => {
            let outcome = Outcome::from(&failure);
            link.fail(id, failure);
            outcome
        }
    }
}

async fn exchange(link: &Link, request: Outbound) -> Result<(), Missed> {
    let headers = link.agreed().request(&request);
    let response = link.send(Method::POST, link.url(), &headers, &request.text).await?;
    let status = response.status();
    if status.is_success() {
        if request.method == "initialize" {
            link.join(response.headers());
        }
        if is_of_type(response.headers(), "text/event-stream") {
            return follow(link, response, request.id).await;
        }
    } else if forgot_session(status, &headers) {
        return Err(Missed::SessionLost);
    }
    let has_session = headers.contains_key(name::SESSION_ID);
    whole(link, response, request.id, has_session).await
}

/// Sends a message that has no answer: a notification, or the answer to a request of the server's.
pub(super) async fn post(link: &Link, to: &Url, text: Bytes) -> Outcome {
    let headers = link.agreed().message();
    let sent = link.send(Method::POST, to, &headers, &text);
    match timeout(link.limits.message_timeout, sent).await {
        Ok(Ok(response)) if forgot_session(response.status(), &headers) => Outcome::SessionLost,
        Ok(Ok(response)) => {
            let status = response.status();
            discard(response.into_body()).await;
            if !status.is_success() {
                warn!(server = link.name, %status, "the server refused a message");
            }
            Outcome::Reached
        }
        Ok(Err(failure)) => {
            warn!(server = link.name, %failure, "a message did not reach the server");
            Outcome::from(&failure)
        }
        Err(_) => {
            warn!(server = link.name, "the server did not take a message in time");
            Outcome::Reached
        }
    }
}

/// 404 to a message of a session says that the session is over (2025-03-26 and later).
pub(super) fn forgot_session(status: StatusCode, sent: &HeaderMap) -> bool {
    status == StatusCode::NOT_FOUND && sent.contains_key(name::SESSION_ID)
}

/// An answer that is no stream. What it holds counts, not what it is called: some servers answer
/// JSON as plain text.
async fn whole(
    link: &Link,
    response: Response<Received>,
    id: u64,
    has_session: bool,
) -> Result<(), Missed> {
    let status = response.status();
    let limit = link.limits.message_bytes;
    let limit = if status.is_success() { limit } else { limit.min(ERROR_BYTES) };
    let text = match body::read(response.into_body(), limit).await {
        Err(Failure::TooLarge { .. }) if !status.is_success() => Default::default(),
        read => read?,
    };
    if has_session && status == StatusCode::BAD_REQUEST && misses_session(&text) {
        return Err(Missed::SessionLost);
    }
    let delivered = link.deliver(&text, Some(id));
    let failure = match delivered.messages {
        _ if delivered.is_answer => return Ok(()),
        0 if !status.is_success() => {
            Failure::Status { status: status.as_u16(), body: body::beginning(&text) }
        }
        0 => Failure::Lost(format!("HTTP status {status}, and no message")),
        _ => Failure::Lost("it answered something else".to_owned()),
    };
    Err(failure.into())
}

/// Whether a 400 means that the session is over: it is about no request in particular, and has a
/// word on sessions. Many servers are made after an early example that doesn't answer 404; without
/// this, one that was restarted would refuse everything for good.
fn misses_session(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct About {
        #[serde(default)]
        id: Option<IgnoredAny>,
    }
    let is_about_request =
        serde_json::from_slice(text).is_ok_and(|about: About| about.id.is_some());
    let text = String::from_utf8_lossy(text).to_lowercase();
    !is_about_request && (text.contains("session") || text.contains("not initialized"))
}

/// An answer that is a stream. Where it ends before the answer, and its events have ids, it is
/// opened again (session era); servers do that on purpose while a request takes long.
async fn follow(link: &Link, response: Response<Received>, id: u64) -> Result<(), Missed> {
    let mut parser = Parser::new(link.limits.message_bytes);
    let mut pace = Pace::new(link.limits.first_pause, link.limits.longest_pause);
    let mut events = Events::new(response.into_body());
    loop {
        let Read::Broken(reason) = read(link, events, &mut parser, &mut pace, id).await? else {
            return Ok(());
        };
        if !link.agreed().is_legacy() || parser.last_id().is_none() {
            return Err(Failure::Lost(reason).into());
        }
        debug!(server = link.name, id, reason, "the stream of a request is opened again");
        events = match stream::resume(link, &mut parser, &mut pace).await {
            Ok(events) => events,
            Err(NoStream::SessionLost) => return Err(Missed::SessionLost),
            Err(NoStream::Later(reason)) => return Err(Failure::Lost(reason).into()),
            Err(NoStream::Refused(status)) => {
                let reason = format!("it isn't resumed: HTTP status {status}");
                return Err(Failure::Lost(reason).into());
            }
        };
    }
}

/// How far a stream went.
enum Read {
    /// Up to the answer, at least.
    Answered,
    /// Not so far, because of this.
    Broken(String),
}

/// Hands on the events of a stream until it ends.
async fn read(
    link: &Link,
    mut events: Events,
    parser: &mut Parser,
    pace: &mut Pace,
    id: u64,
) -> Result<Read, Failure> {
    let mut heard = false;
    let reason = loop {
        match events.next(parser).await {
            Ok(Some(event)) => {
                heard = true;
                if event.is_message() && link.deliver(&event.data, Some(id)).is_answer {
                    rest(link, events, parser, id).await;
                    return Ok(Read::Answered);
                }
            }
            Ok(None) => break "the stream ended".to_owned(),
            Err(Failure::Lost(reason)) => break reason,
            Err(failure) => return Err(failure),
        }
    };
    if heard {
        pace.reset()
    } else {
        pace.fail()
    }
    Ok(Read::Broken(reason))
}

/// Hands on what comes behind the answer, for a moment. That is there, so nothing fails any more.
async fn rest(link: &Link, mut events: Events, parser: &mut Parser, id: u64) {
    let read = async {
        while let Ok(Some(event)) = events.next(parser).await {
            if event.is_message() {
                link.deliver(&event.data, Some(id));
            }
        }
    };
    // Who goes on for longer is not listened to.
    let _ = timeout(LINGER, read).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_tells_that_a_session_is_over() {
        let check = |text: &str, expected| {
            assert_eq!(misses_session(text.as_bytes()), expected, "{text}");
        };
        check("Invalid or missing session ID", true);
        let message = "Bad Request: No valid session ID provided";
        let no_id =
            json!({ "jsonrpc": "2.0", "id": null, "error": { "message": message } }).to_string();
        check(&no_id, true);
        check(&no_id.replace("\"id\":null,", ""), true);
        check(&no_id.replace("No valid session ID provided", "Server not initialized"), true);
        check(&no_id.replace("null", "1"), false);
        check(&no_id.replace("No valid session ID provided", "no JSON"), false);
        check("", false);
    }
}
