//! Whether a connection is of any use: hyper times the heads of HTTP/1 only.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::admission::InFlight;

/// A body is handed on in pieces of this size, so that what the peer doesn't take stays here.
const PIECE: usize = 16 * 1024;

/// What a connection does; clones share it.
#[derive(Debug, Clone)]
pub struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    running: AtomicUsize,
    requests: AtomicU64,
    last_ms: AtomicU64,
    first: Notify,
    /// Bodies with more to give than the peer has taken, and when it took the last piece.
    untaken: Mutex<BTreeMap<u64, u64>>,
    bodies: AtomicU64,
    /// Since when the peer takes nothing of what is written to it; [`FLOWING`] while it does.
    blocked_ms: AtomicU64,
}

/// The peer takes what is written to it.
const FLOWING: u64 = u64::MAX;

/// Why a connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Useless {
    /// Nothing is asked and nothing is answered.
    Idle,
    /// The peer does not take an answer.
    Stalled,
}

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Inner {
            born: Instant::now(),
            running: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            first: Notify::new(),
            untaken: Mutex::default(),
            bodies: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(FLOWING),
        }))
    }
}

/// A request that is being worked on, or an answer that isn't complete yet.
#[derive(Debug)]
pub struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Activity {
    /// A request begins.
    pub fn begin(&self) -> Answering {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        self.0.first.notify_one();
        self.answering()
    }

    /// Waits for the first request.
    pub async fn asked(&self) {
        while self.0.requests.load(Ordering::SeqCst) == 0 {
            self.0.first.notified().await;
        }
    }

    /// Waits until nothing was worked on or taken for `idle`, from now on, or the peer did not take
    /// what it is owed for `stall`.
    pub async fn useless(&self, idle: Duration, stall: Duration) -> Useless {
        let from = Instant::now();
        loop {
            let now = Instant::now();
            let stalls = self.waiting_since().map(|since| since + stall);
            if stalls.is_some_and(|at| at <= now) {
                return Useless::Stalled;
            }
            let idles = self.idle_since().max(from) + idle;
            let is_busy = stalls.is_some() || self.0.running.load(Ordering::SeqCst) > 0;
            if !is_busy && idles <= now {
                return Useless::Idle;
            }
            let next = if is_busy { now + idle } else { idles };
            tokio::time::sleep_until(stalls.map_or(next, |at| at.min(next))).await;
        }
    }

    /// How long nothing was begun, ended or taken; none while something is under way.
    pub fn idle_for(&self) -> Option<Duration> {
        let is_busy = self.0.running.load(Ordering::SeqCst) > 0 || self.waiting_since().is_some();
        (!is_busy).then(|| self.idle_since().elapsed())
    }

    /// Since when nothing was begun, ended or taken.
    fn idle_since(&self) -> Instant {
        self.0.born + Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed))
    }

    /// Since when something waits for the peer to take it.
    fn waiting_since(&self) -> Option<Instant> {
        let body = self.untaken().values().min().copied();
        let blocked = self.0.blocked_ms.load(Ordering::Relaxed);
        let first = body.into_iter().chain((blocked != FLOWING).then_some(blocked)).min()?;
        Some(self.0.born + Duration::from_millis(first))
    }

    /// The peer has no room for what is written to it.
    pub fn blocked(&self) {
        let now = self.now_ms();
        let flowing = FLOWING;
        let since = &self.0.blocked_ms;
        // What began to wait earlier waits since then.
        let _ = since.compare_exchange(flowing, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The peer took something.
    pub fn took(&self) {
        self.0.blocked_ms.store(FLOWING, Ordering::Relaxed);
        self.touch();
    }

    fn answering(&self) -> Answering {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        self.touch();
        Answering(self.clone())
    }

    fn touch(&self) -> u64 {
        let now = self.now_ms();
        self.0.last_ms.fetch_max(now, Ordering::Relaxed);
        now
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn untaken(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.untaken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that tells when the peer takes of it. The request's place in the node is given back with
/// its end: an answer that nobody reads is memory, too.
#[derive(Debug)]
pub struct Sent<B> {
    body: B,
    rest: Bytes,
    activity: Activity,
    number: u64,
    /// There while there is nothing that the peer could take.
    quiet: Option<Answering>,
    _place: Option<Arc<InFlight>>,
}

impl<B> Sent<B> {
    /// Wraps a body.
    pub fn new(body: B, activity: Activity, place: Option<Arc<InFlight>>) -> Self {
        let number = activity.0.bodies.fetch_add(1, Ordering::Relaxed);
        let quiet = Some(activity.answering());
        Self { body, rest: Bytes::new(), activity, number, quiet, _place: place }
    }

    /// The peer can take a piece.
    fn gives(&mut self) {
        let now = self.activity.touch();
        self.activity.untaken().insert(self.number, now);
        self.quiet = None;
    }

    /// There is nothing to take for now.
    fn rests(&mut self) {
        self.activity.untaken().remove(&self.number);
        if self.quiet.is_none() {
            self.quiet = Some(self.activity.answering());
        }
    }
}

impl<B> Drop for Sent<B> {
    fn drop(&mut self) {
        self.activity.untaken().remove(&self.number);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => {
                    self.rests();
                    return other;
                }
            }
        }
        self.gives();
        let length = PIECE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::{BodyExt, Full, channel::Channel};

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_is_no_idle_connection() {
        let activity = Activity::default();
        let (mut sender, body) = Channel::<Bytes>::new(4);
        let mut body = Sent::new(body, activity.clone(), None);
        assert!(body.frame().now_or_never().is_none());
        tokio::time::sleep(LIMIT * 3).await;
        assert!(activity.useless(LIMIT, LIMIT).now_or_never().is_none());
        sender.send_data(Bytes::from_static(b"x")).await.unwrap();
        assert!(body.frame().await.is_some());
        // Taken, and then never asked for more: the peer doesn't read.
        let start = Instant::now();
        assert_eq!(activity.useless(LIMIT, LIMIT).await, Useless::Stalled);
        assert_eq!(start.elapsed(), LIMIT);
        drop(body);
        assert_eq!(activity.useless(LIMIT, LIMIT).await, Useless::Idle);
    }

    #[tokio::test]
    async fn bodies_come_in_pieces() {
        let bytes = Bytes::from(vec![7; PIECE + 1]);
        let body = Sent::new(Full::new(bytes.clone()), Activity::default(), None);
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 1));
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
    }
}
