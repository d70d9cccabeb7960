//! Whether a connection is of any use: hyper times the heads of HTTP/1 only.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

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
}

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Inner {
            born: Instant::now(),
            running: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            first: Notify::new(),
        }))
    }
}

/// A request that is being worked on.
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
        self.0.running.fetch_add(1, Ordering::SeqCst);
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        self.0.first.notify_one();
        self.touch();
        Answering(self.clone())
    }

    /// Waits for the first request.
    pub async fn asked(&self) {
        while self.0.requests.load(Ordering::SeqCst) == 0 {
            self.0.first.notified().await;
        }
    }

    /// Waits until nothing was worked on or taken for `limit`.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed));
            let running = self.0.running.load(Ordering::SeqCst) > 0;
            let until = if running { Instant::now() + limit } else { self.0.born + last + limit };
            if !running && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn touch(&self) {
        let now = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.fetch_max(now, Ordering::Relaxed);
    }
}

/// A body that tells when the peer takes of it.
#[derive(Debug)]
pub struct Sent<B> {
    body: B,
    rest: Bytes,
    activity: Activity,
}

impl<B> Sent<B> {
    /// Wraps a body.
    pub fn new(body: B, activity: Activity) -> Self {
        Self { body, rest: Bytes::new(), activity }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.activity.touch();
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
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
