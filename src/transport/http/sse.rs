//! Server-sent events (HTML standard, "Server-sent events"): their text, and the responses made of
//! them.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, Sleep, sleep_until};
use warp::Reply;
use warp::reply::Response;

use crate::session::events::EventId;

/// A comment is sent this often: proxies cut what is silent for 60 seconds, some for 30.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back, in milliseconds.
const RETRY_MS: u64 = 1_000;

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// One message as an event. JSON has line ends between its tokens only, where a blank does as well.
pub fn message(id: Option<EventId>, data: &[u8]) -> Bytes {
    let mut text = BytesMut::with_capacity(data.len() + 64);
    if let Some(id) = id {
        text.put_slice(format!("id: {id}\n").as_bytes());
    }
    text.put_slice(b"event: message\ndata: ");
    text.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    text.put_slice(b"\n\n");
    text.freeze()
}

/// The event without data that begins a stream: it has an id to come back with, and tells when.
pub fn priming(id: EventId) -> Bytes {
    Bytes::from(format!("id: {id}\nretry: {RETRY_MS}\ndata: \n\n"))
}

/// An event of another type, with plain text as its data.
pub fn named(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// A response of events: a comment at once, so that proxies and clients see it live, and others
/// while there is nothing to say. It ends with the stream.
pub fn response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let events = Alive {
        events: Mutex::new(Box::pin(events)),
        silence: Box::pin(sleep_until(Instant::now())),
    };
    let mut response = warp::reply::stream(events).into_response();
    dress(&mut response);
    response
}

/// The headers of events.
pub fn dress(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Proxies of nginx's kind keep events back unless told.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// Events, and comments where there are none.
struct Alive {
    /// A lock that nobody waits for: warp wants bodies that can be shared, and this one never is.
    events: Mutex<Pin<Box<dyn Stream<Item = Bytes> + Send>>>,
    silence: Pin<Box<Sleep>>,
}

impl Stream for Alive {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let events = self.events.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = match events.as_mut().poll_next(context) {
            Poll::Ready(Some(event)) => event,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if self.silence.as_mut().poll(context).is_ready() => COMMENT,
            Poll::Pending => return Poll::Pending,
        };
        self.silence.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(Ok(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[test]
    fn events_are_lines() {
        let id = EventId::parse("3-4");
        assert_eq!(message(id, b"{\n}"), "id: 3-4\nevent: message\ndata: { }\n\n");
        assert_eq!(message(None, b"{}"), "event: message\ndata: {}\n\n");
        assert_eq!(priming(id.unwrap()), "id: 3-4\nretry: 1000\ndata: \n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_stays_alive() {
        let silence = Box::pin(sleep_until(Instant::now()));
        let quiet = futures_util::stream::pending();
        let mut alive = Alive { events: Mutex::new(Box::pin(quiet)), silence };
        let start = Instant::now();
        for second in [0, 15, 30] {
            assert_eq!(alive.next().await.unwrap().unwrap(), COMMENT);
            assert_eq!(start.elapsed(), Duration::from_secs(second));
        }
    }
}
