//! The bodies of answers: read whole within a limit, or looked at from their beginning.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::client::reason;
use super::events::{Event, Parser};
use crate::provider::upstream::Failure;

/// Bytes of a body that is shown to an operator.
const SHOWN_BYTES: usize = 512;
/// How long a body that is only looked at may take.
const GLANCE: Duration = Duration::from_secs(1);

/// Reads a body whole.
///
/// # Errors
/// [`Failure::TooLarge`] and [`Failure::Lost`].
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::TooLarge { limit_bytes: limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunk(&mut body).await? {
        if whole.len() + chunk.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// How a body begins, as text for an operator.
pub(super) fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(body)).into_owned();
    let printable = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.collect()
}

/// Reads what is left of a body that nobody needs, so that its connection can be used again; one
/// that is long or slow isn't worth it.
pub(super) async fn discard(body: Incoming) {
    // Whatever comes of it, nobody waits for it.
    let _ = timeout(GLANCE, read(body, 64 * 1024)).await;
}

async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            // Trailers tell nothing.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(Failure::Lost(reason(&error))),
        }
    }
}

/// A body that is a stream of events.
pub(super) struct Events {
    body: Incoming,
    ready: VecDeque<Event>,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, ready: VecDeque::new() }
    }

    /// The next event; none where the stream ended in order. Who stops waiting loses nothing.
    ///
    /// # Errors
    /// [`Failure::TooLarge`] and [`Failure::Lost`].
    pub(super) async fn next(&mut self, parser: &mut Parser) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(chunk) = chunk(&mut self.body).await? else {
                return Ok(None);
            };
            let limit_bytes = parser.limit();
            let events = parser.feed(&chunk).map_err(|_| Failure::TooLarge { limit_bytes })?;
            self.ready.extend(events);
        }
    }
}
