//! A session's streams: its kept events, and a way to wait for more. They live above the session's
//! actor, so that its death ends no stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use super::events::{EventId, Events, Found, Limits, Reader, StreamId};
use super::shelf::Shelf;

/// The streams; clones share them.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    events: Mutex<Events>,
    more: Notify,
}

/// One client's view of one stream.
#[derive(Debug)]
pub struct Reading {
    streams: Streams,
    reader: Reader,
}

impl Streams {
    /// No streams but the session's own.
    pub fn new(limits: Limits, shelf: Shelf) -> Self {
        let events = Mutex::new(Events::new(limits, shelf));
        Self(Arc::new(Inner { born: Instant::now(), events, more: Notify::new() }))
    }

    /// Opens a stream for a request, and reads it.
    pub fn open(&self) -> (StreamId, Reading) {
        let reader = self.events().open();
        (reader.stream(), Reading { streams: self.clone(), reader })
    }

    /// Adds an event to a stream.
    pub fn push(&self, stream: StreamId, data: Bytes) {
        self.events().push(stream, data);
        self.0.more.notify_waiters();
    }

    /// Adds an event to the session's own stream, unless it waits there already.
    pub fn push_once(&self, data: Bytes) {
        self.events().push_once(StreamId::OWN, data);
        self.0.more.notify_waiters();
    }

    /// Adds the last event of a stream.
    pub fn finish(&self, stream: StreamId, data: Bytes) {
        let now = self.now_ms();
        self.events().finish(stream, data, now);
        self.0.more.notify_waiters();
    }

    /// Sends the reader of a stream away; it comes back for the rest.
    pub fn release(&self, stream: StreamId) {
        self.events().release(stream);
        self.0.more.notify_waiters();
    }

    /// Ends a stream behind what it has: the session's own one when the session is over.
    pub fn end(&self, stream: StreamId) {
        let now = self.now_ms();
        self.events().end(stream, now);
        self.0.more.notify_waiters();
    }

    /// Drops what is too old.
    pub fn expire(&self) {
        let now = self.now_ms();
        self.events().expire(now);
    }

    /// Reads a stream; whoever read it before is at its end.
    pub fn read(&self, stream: StreamId) -> Option<Reading> {
        let reader = self.events().read(stream)?;
        self.0.more.notify_waiters();
        Some(Reading { streams: self.clone(), reader })
    }

    /// Reads on behind an event.
    pub fn read_behind(&self, last: EventId) -> Option<Reading> {
        let reader = self.events().read_behind(last)?;
        self.0.more.notify_waiters();
        Some(Reading { streams: self.clone(), reader })
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Reading {
    /// The event that it reads on behind: [`Streams::read_behind`] gets here again.
    pub fn place(&self) -> EventId {
        self.reader.place()
    }

    /// Waits for what comes next; never [`Found::Nothing`].
    pub async fn next(&mut self) -> Found {
        loop {
            let more = self.streams.0.more.notified();
            let found = self.streams.events().next(&mut self.reader);
            if found != Found::Nothing {
                return found;
            }
            more.await;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.streams.events().leave(&self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_waits_for_what_comes() {
        let limits = Limits { events: 8, bytes: 1_000, age_ms: 1_000 };
        let streams = Streams::new(limits, Shelf::new(1_000));
        let (stream, mut reading) = streams.open();
        let writer = async {
            streams.push(stream, Bytes::from_static(b"a"));
            tokio::task::yield_now().await;
            streams.finish(stream, Bytes::from_static(b"b"));
        };
        let reader = async {
            let mut texts = Vec::new();
            while let Found::Event(_, data) = reading.next().await {
                texts.push(data);
            }
            texts
        };
        let (texts, ()) = tokio::join!(reader, writer);
        assert_eq!(texts, ["a", "b"]);
    }
}
