//! The events of a session's streams, kept so that a client can fetch what it missed. Pure.
//!
//! A session has one stream of its own, which GET opens, and one for each request that is answered
//! by events. An event belongs to one stream, and its id names both: `STREAM-EVENT`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;

use super::shelf::Shelf;

/// Bytes that each session may keep, however little room there is: what a reader has not taken yet
/// must not go because others keep much.
const EACH: usize = 64 * 1024;

/// A stream of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// The stream that belongs to no request.
    pub const OWN: Self = Self(0);
}

/// An event's id, unique in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Its stream.
    pub stream: StreamId,
    /// Its place there, counting from 1.
    pub event: u64,
}

impl EventId {
    /// Reads what a client sends as `Last-Event-ID`; `None` for what no session gave out.
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, event) = text.split_once('-')?;
        Some(Self { stream: StreamId(stream.parse().ok()?), event: event.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream.0, self.event)
    }
}

/// How much a session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events, of all streams together.
    pub events: usize,
    /// Bytes, of all streams together; one event may be larger.
    pub bytes: usize,
    /// How long the events of an ended stream are kept, in milliseconds.
    pub age_ms: u64,
}

/// Who reads a stream, and how far it is. A later reader of the same stream takes its place.
#[derive(Debug)]
pub struct Reader {
    stream: StreamId,
    generation: u64,
    next: u64,
}

impl Reader {
    /// What it reads.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The event that it reads on behind; number 0 stands for none.
    pub fn place(&self) -> EventId {
        EventId { stream: self.stream, event: self.next.saturating_sub(1) }
    }
}

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An event.
    Event(EventId, Bytes),
    /// Nothing yet.
    Nothing,
    /// The stream is at its end, or was given to another reader.
    End,
}

#[derive(Debug)]
struct Stream {
    events: VecDeque<Kept>,
    /// The number of the next event.
    next: u64,
    /// The first event that no reader took yet.
    untaken: u64,
    generation: u64,
    /// Somebody reads it.
    is_read: bool,
    ended_ms: Option<u64>,
    released: bool,
}

impl Stream {
    /// Whether all that is left is the answer, and on its way to somebody.
    fn owes_its_end(&self) -> bool {
        self.is_read
            && self.ended_ms.is_some()
            && self.events.len() == 1
            && self.untaken < self.next
    }
}

#[derive(Debug)]
struct Kept {
    event: u64,
    /// Its place among the events of all streams.
    order: u64,
    data: Bytes,
}

/// The events of one session.
#[derive(Debug)]
pub struct Events {
    limits: Limits,
    shelf: Shelf,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    next_order: u64,
    count: usize,
    bytes: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            next: 1,
            untaken: 1,
            generation: 0,
            is_read: false,
            ended_ms: None,
            released: false,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shelf.remove(self.bytes);
    }
}

impl Events {
    /// No events yet.
    pub fn new(limits: Limits, shelf: Shelf) -> Self {
        let streams = BTreeMap::new();
        Self { limits, shelf, streams, next_stream: 1, next_order: 0, count: 0, bytes: 0 }
    }

    /// Opens a stream for a request, with a reader at its beginning.
    pub fn open(&mut self) -> Reader {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        self.streams.insert(stream, Stream { is_read: true, ..Stream::default() });
        Reader { stream, generation: 0, next: 1 }
    }

    /// Adds an event. One for a stream that has ended is dropped.
    pub fn push(&mut self, stream: StreamId, data: Bytes) {
        let order = self.next_order;
        let Some(to) = self.stream(stream).filter(|stream| stream.ended_ms.is_none()) else {
            return;
        };
        let event = to.next;
        to.next += 1;
        let length = data.len();
        to.events.push_back(Kept { event, order, data });
        self.next_order += 1;
        self.count += 1;
        self.bytes += length;
        self.shelf.add(length);
        self.keep_within(order);
    }

    /// The same, but for an event that waits there already: what only says "look again" need not
    /// be said twice.
    pub fn push_once(&mut self, stream: StreamId, data: Bytes) {
        let waits = |s: &Stream| {
            s.events.iter().rev().take_while(|k| k.event >= s.untaken).any(|k| k.data == data)
        };
        if !self.streams.get(&stream).is_some_and(waits) {
            self.push(stream, data);
        }
    }

    /// Adds the last event of a stream.
    pub fn finish(&mut self, stream: StreamId, data: Bytes, now_ms: u64) {
        self.push(stream, data);
        self.end(stream, now_ms);
        self.expire(now_ms);
    }

    /// Ends a stream behind the events that it has.
    pub fn end(&mut self, stream: StreamId, now_ms: u64) {
        if let Some(stream) = self.stream(stream) {
            stream.ended_ms.get_or_insert(now_ms);
        }
    }

    /// Sends the reader of a stream away; it comes back behind its last event.
    pub fn release(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.released = true;
        }
    }

    /// Reads a stream from what was not taken yet on.
    pub fn read(&mut self, stream: StreamId) -> Option<Reader> {
        let of = self.stream(stream)?;
        let first = of.events.front().map_or(of.next, |kept| kept.event);
        of.generation += 1;
        of.is_read = true;
        Some(Reader { stream, generation: of.generation, next: of.untaken.max(first) })
    }

    /// Reads on behind an event, with what is left. `None` where there is no such stream or event,
    /// and where nothing comes behind it any more.
    pub fn read_behind(&mut self, last: EventId) -> Option<Reader> {
        let of = self.stream(last.stream)?;
        let next = last.event.checked_add(1)?;
        if next > of.next || (next == of.next && of.ended_ms.is_some()) {
            return None;
        }
        of.generation += 1;
        of.is_read = true;
        of.released = false;
        Some(Reader { stream: last.stream, generation: of.generation, next })
    }

    /// A reader goes away.
    pub fn leave(&mut self, reader: &Reader) {
        let stream = self.streams.get_mut(&reader.stream);
        if let Some(stream) = stream.filter(|stream| stream.generation == reader.generation) {
            stream.is_read = false;
        }
    }

    /// What comes next for a reader. One that is too slow goes on with what is left: what was
    /// dropped could be done without.
    pub fn next(&mut self, reader: &mut Reader) -> Found {
        let Some(stream) = self.streams.get_mut(&reader.stream) else {
            return Found::End;
        };
        if stream.generation != reader.generation {
            return Found::End;
        }
        let first = stream.events.front().map_or(stream.next, |kept| kept.event);
        reader.next = reader.next.max(first);
        let at = usize::try_from(reader.next - first).unwrap_or(usize::MAX);
        match stream.events.get(at) {
            Some(kept) => {
                let id = EventId { stream: reader.stream, event: kept.event };
                let data = kept.data.clone();
                reader.next += 1;
                stream.untaken = stream.untaken.max(reader.next);
                Found::Event(id, data)
            }
            None if stream.ended_ms.is_some() || stream.released => Found::End,
            None => Found::Nothing,
        }
    }

    /// Drops ended streams that are older than the limit.
    pub fn expire(&mut self, now_ms: u64) {
        let limit = self.limits.age_ms;
        let old = |s: &Stream| s.ended_ms.is_some_and(|at| now_ms.saturating_sub(at) > limit);
        let gone: Vec<_> = self.streams.iter().filter(|(_, s)| old(s)).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The session's own stream is there from the start.
    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        match id {
            StreamId::OWN => Some(self.streams.entry(id).or_default()),
            _ => self.streams.get_mut(&id),
        }
    }

    fn remove(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.remove(&id) {
            let bytes = stream.events.iter().map(|kept| kept.data.len()).sum::<usize>();
            self.count -= stream.events.len();
            self.bytes -= bytes;
            self.shelf.remove(bytes);
        }
    }

    fn is_too_much(&self) -> bool {
        self.count > self.limits.events
            || self.bytes > self.limits.bytes
            || (self.bytes > EACH && self.shelf.is_full())
    }

    /// Drops the oldest events beyond the limits, but never the newest one, nor an answer that
    /// somebody waits for: such are bounded by the responses that are open.
    fn keep_within(&mut self, newest: u64) {
        while self.is_too_much() {
            let streams = self.streams.iter().filter(|(_, stream)| !stream.owes_its_end());
            let fronts = streams.filter_map(|(id, s)| Some((s.events.front()?.order, *id)));
            let oldest = fronts.min().filter(|(order, _)| *order < newest).map(|(_, id)| id);
            let Some(stream) = oldest.and_then(|id| self.streams.get_mut(&id)) else { return };
            if let Some(kept) = stream.events.pop_front() {
                self.count -= 1;
                self.bytes -= kept.data.len();
                self.shelf.remove(kept.data.len());
            }
            if let Some(id) = oldest
                && stream.ended_ms.is_some()
                && stream.events.is_empty()
            {
                self.streams.remove(&id);
            }
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
