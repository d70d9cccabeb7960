//! One request of a session on its way back: whatever it sends, and its single answer.
//!
//! **Invariant:** each exchange is answered exactly once. One that is dropped without an answer,
//! because the actor that held it died, answers with an error.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::events::StreamId;
use super::streams::Reading;
use super::table::{InUse, Record};
use super::work::Outcome;
use crate::admission::InFlight;
use crate::protocol::notification::Outgoing;
use crate::protocol::{Code, Era, RequestId, Response, RpcError};
use crate::telemetry::{Health, Observation, Spent, Status, Target};

/// What comes first out of an exchange over Streamable HTTP.
#[derive(Debug)]
pub enum First {
    /// The answer, before anything else; its place in the node goes with it.
    Answer(Box<Outcome>, Option<InFlight>),
    /// Events, the answer the last of them.
    Stream(Reading),
}

/// Where an exchange goes.
#[derive(Debug)]
pub enum Way {
    /// To an HTTP response that can still become one message or a stream of events.
    Http {
        /// Who waits for it.
        first: oneshot::Sender<First>,
        /// Whether the client takes events here.
        events: bool,
    },
    /// To the one channel that the client reads, message by message.
    Pipe {
        /// Room for the answer, taken before the request was.
        answer: mpsc::OwnedPermit<Bytes>,
        /// For what comes before it.
        rest: mpsc::Sender<Bytes>,
    },
}

enum State {
    Waiting(Way, Option<InFlight>),
    Streaming(StreamId, Option<InFlight>),
    Answered,
}

struct Inner {
    id: RequestId,
    record: Arc<Record>,
    health: Health,
    state: Mutex<(State, Option<Watched>)>,
}

/// A request under way, as its session and the log see it.
struct Watched {
    seen: Observation,
    _in_use: InUse,
}

/// The exchange. Whoever holds it owes the answer.
pub struct Exchange(Arc<Inner>);

/// A running call's way to its client; it owes nothing.
#[derive(Clone)]
pub struct SideWay(Arc<Inner>);

impl Exchange {
    /// A request that came `way`, with its place in the node.
    pub fn new(
        id: RequestId,
        record: Arc<Record>,
        health: Health,
        way: Way,
        place: InFlight,
        seen: Observation,
    ) -> Self {
        let watched = Watched { seen, _in_use: InUse::of(&record) };
        let state = Mutex::new((State::Waiting(way, Some(place)), Some(watched)));
        Self(Arc::new(Inner { id, record, health, state }))
    }

    /// The id to answer with.
    pub fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// Its session.
    pub fn record(&self) -> &Arc<Record> {
        &self.0.record
    }

    /// The way for what isn't the answer.
    pub fn side(&self) -> SideWay {
        SideWay(Arc::clone(&self.0))
    }

    /// Notes where the request goes.
    pub fn goes_to(&self, target: Target) {
        if let Some(watched) = &mut self.0.lock().1 {
            watched.seen.goes_to(target);
        }
    }

    /// Where upstreams note how long they took.
    pub fn spent(&self) -> Spent {
        self.0.lock().1.as_ref().map(|watched| watched.seen.spent()).unwrap_or_default()
    }

    /// Answers.
    pub fn finish(self, outcome: Outcome) {
        self.0.finish_with(true, |_| outcome);
    }

    /// Ends what its client cancelled: that has no answer. Over HTTP its events end without, or its
    /// one message is this.
    pub fn withdraw(self, outcome: Outcome) {
        self.0.finish_with(false, |_| outcome);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.finish_with(true, |inner| {
            Err(if inner.record.has_ended() {
                RpcError::session_ended()
            } else if inner.health.status() >= Status::Draining {
                RpcError::new(Code::ShuttingDown, "The node stopped before it was done")
            } else {
                RpcError::crashed("session")
            })
        });
    }
}

impl SideWay {
    /// Sends a notification that belongs to the request; dropped where the client takes none.
    pub fn notify(&self, notification: &Outgoing) {
        let _ = self.0.send(|| Bytes::from(notification.encode(None)), false);
    }

    /// Sends a request of ours; `false` where it can't reach the client.
    #[must_use]
    pub fn ask(&self, message: Bytes) -> bool {
        self.0.send(|| message, true)
    }

    /// Turns to events now, before there is any: the client is waiting.
    pub fn open_stream(&self) {
        self.0.stream(&mut self.0.lock().0);
    }

    /// Ends the stream without the answer; the client comes back for it, where its revision knows
    /// that and its stream began with an id to come back with.
    pub fn release(&self) {
        if !self.0.record.revision.primes_streams() {
            return;
        }
        let mut state = self.0.lock();
        if let Some(stream) = self.0.stream(&mut state.0) {
            self.0.record.streams.release(stream);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, (State, Option<Watched>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream of this exchange, opened now where it still can be.
    fn stream(&self, state: &mut State) -> Option<StreamId> {
        match state {
            State::Streaming(stream, _) => return Some(*stream),
            State::Waiting(Way::Http { events: true, .. }, _) => {}
            State::Waiting(..) | State::Answered => return None,
        }
        let (stream, reading) = self.record.streams.open();
        if self.record.revision.primes_streams() {
            self.record.streams.push(stream, Bytes::new());
        }
        if let State::Waiting(Way::Http { first, .. }, place) =
            std::mem::replace(state, State::Answered)
        {
            *state = State::Streaming(stream, place);
            // A client that is gone may come back for the stream.
            let _ = first.send(First::Stream(reading));
        }
        Some(stream)
    }

    fn send(&self, message: impl FnOnce() -> Bytes, must: bool) -> bool {
        let mut state = self.lock();
        if let State::Waiting(Way::Pipe { rest, .. }, _) = &state.0 {
            // Under the lock, so that nothing comes behind the answer; it never waits.
            return rest.try_send(message()).is_ok();
        }
        let stream = match self.stream(&mut state.0) {
            // A client that takes no events here may do so on the session's own stream.
            None if must && !matches!(state.0, State::Answered) => Some(StreamId::OWN),
            stream => stream,
        };
        if let Some(stream) = stream {
            self.record.streams.push(stream, message());
        }
        stream.is_some()
    }

    /// `wanted` where the client waits for the answer.
    fn finish_with(&self, wanted: bool, outcome: impl FnOnce(&Self) -> Outcome) {
        let mut state = self.lock();
        if !wanted {
            self.stream(&mut state.0);
        }
        let was = std::mem::replace(&mut state.0, State::Answered);
        let watched = state.1.take();
        drop(state);
        if matches!(was, State::Answered) {
            return;
        }
        let outcome = outcome(self);
        if let Some(watched) = watched {
            watched.seen.finish(&outcome);
        }
        match was {
            State::Waiting(Way::Http { first, .. }, place) => {
                // A client that is gone doesn't wait for its answer any more.
                let _ = first.send(First::Answer(Box::new(outcome), place));
            }
            State::Waiting(Way::Pipe { .. }, _) if !wanted => {}
            State::Waiting(Way::Pipe { answer, .. }, _) => {
                answer.send(self.encode(outcome));
            }
            State::Streaming(stream, _place) if !wanted => self.record.streams.end(stream),
            State::Streaming(stream, _place) => {
                self.record.streams.finish(stream, self.encode(outcome));
            }
            State::Answered => {}
        }
    }

    fn encode(&self, outcome: Outcome) -> Bytes {
        let response = Response { id: Some(self.id.clone()), outcome };
        Bytes::from(response.encode(Era::Legacy))
    }
}
