//! Streams that GET opens (session era): the server's own, and those of requests that broke off
//! before their answer.

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use super::body::{Events, discard};
use super::events::Parser;
use super::link::{Link, is_of_type};
use super::pace::{Pace, random};
use super::request::{Outcome, forgot_session};
use crate::provider::upstream::Failure;

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoStream {
    /// There never will be.
    Refused(StatusCode),
    /// The server has forgotten the session.
    SessionLost,
    /// There may be one later.
    Later(String),
}

/// Asks for a stream: a new one, or the one that the parser has read until now.
pub(super) async fn open(link: &Link, parser: &mut Parser) -> Result<Events, NoStream> {
    let headers = link.agreed().stream(parser.last_id());
    let response = match link.send(Method::GET, link.url(), &headers, &Bytes::new()).await {
        Ok(response) => response,
        Err(Failure::Unreachable(reason) | Failure::Lost(reason)) => {
            return Err(NoStream::Later(reason));
        }
        Err(failure) => return Err(NoStream::Later(failure.to_string())),
    };
    let status = response.status();
    if status.is_success() && is_of_type(response.headers(), "text/event-stream") {
        parser.reconnected();
        return Ok(Events::new(response.into_body()));
    }
    discard(response.into_body()).await;
    Err(match status {
        _ if forgot_session(status, &headers) => NoStream::SessionLost,
        // Another stream that the server has not seen end yet; too many requests; its own trouble.
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            NoStream::Later(format!("HTTP status {status}"))
        }
        StatusCode::NOT_IMPLEMENTED => NoStream::Refused(status),
        _ if status.is_server_error() => NoStream::Later(format!("HTTP status {status}")),
        _ => NoStream::Refused(status),
    })
}

/// Keeps the server's own stream open, on which it says what belongs to no request. It ends where
/// the server has no such stream, and where one that there was can't be opened again.
pub(super) async fn listen(link: &Link) -> Outcome {
    let mut parser = Parser::new(link.limits.message_bytes);
    let mut pace = Pace::new(link.limits.first_pause, link.limits.longest_pause);
    let mut has_been_open = false;
    loop {
        let reason = match open(link, &mut parser).await {
            Ok(events) => {
                has_been_open = true;
                let since = Instant::now();
                let (heard, reason) = hear(link, events, &mut parser).await;
                // Proxies cut streams that are silent; that is no fault of the server's.
                if heard || since.elapsed() >= link.limits.longest_pause {
                    pace.reset();
                } else {
                    pace.fail();
                }
                reason
            }
            Err(NoStream::SessionLost) if has_been_open => return Outcome::SessionLost,
            Err(NoStream::SessionLost) => return Outcome::Reached,
            Err(NoStream::Refused(status)) => {
                debug!(server = link.name, %status, "the server has no stream of its own");
                return Outcome::Reached;
            }
            Err(NoStream::Later(reason)) => {
                pace.fail();
                reason
            }
        };
        if pace.failures() >= link.limits.attempts {
            if has_been_open {
                return Outcome::Broken(reason);
            }
            // It answers requests, as far as anybody knows.
            info!(
                server = link.name,
                reason, "the server's own stream can't be opened, so it is done without"
            );
            return Outcome::Reached;
        }
        debug!(server = link.name, reason, "the server's own stream ended");
        sleep(pace.pause(parser.retry(), random())).await;
    }
}

/// Hands on what comes until the stream ends: whether anything did, and why it ended.
async fn hear(link: &Link, mut events: Events, parser: &mut Parser) -> (bool, String) {
    let mut heard = false;
    loop {
        match events.next(parser).await {
            Ok(Some(event)) => {
                heard = true;
                if event.is_message() {
                    link.deliver(&event.data, None);
                }
            }
            Ok(None) => return (heard, "the stream ended".to_owned()),
            // The same event would come again.
            Err(failure @ Failure::TooLarge { .. }) => return (false, failure.to_string()),
            Err(failure) => return (heard, failure.to_string()),
        }
    }
}

/// Opens the stream of a request again, behind the event that came last.
///
/// # Errors
/// Where it can't be opened again, or not for several times in a row.
pub(super) async fn resume(
    link: &Link,
    parser: &mut Parser,
    pace: &mut Pace,
) -> Result<Events, NoStream> {
    loop {
        sleep(pace.pause(parser.retry(), random())).await;
        let opened = open(link, parser).await;
        if !matches!(opened, Err(NoStream::Later(_))) {
            return opened;
        }
        pace.fail();
        if pace.failures() >= link.limits.attempts {
            return opened;
        }
    }
}
