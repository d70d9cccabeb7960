//! All open connections: counted, owned, and stoppable. They live above the listeners.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Sent, Useless};
use super::open::Open;
use super::peer::Peer;
use super::responder::Responder;
use crate::admission::InFlight;

/// How long a connection that was just accepted may take to ask when the node drains.
const FIRST_WORD: Duration = Duration::from_millis(500);
/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// Largest head of an HTTP/1 request, and what waits to be written to its client, in bytes. HTTP/2
/// has bounds of its own that are smaller.
const BUFFER: usize = 64 * 1024;

/// How long a connection may do nothing before it has to make room for one that may do something.
const SPARED: Duration = Duration::from_millis(100);

/// The owner of connections; clones share it.
#[derive(Clone)]
pub struct Connections {
    tasks: TaskTracker,
    open: Open,
    permits: Arc<Semaphore>,
    closing: CancellationToken,
    aborted: CancellationToken,
    header_timeout: Duration,
}

impl Connections {
    /// Room for `max` connections.
    pub fn new(max: usize, header_timeout: Duration) -> Self {
        Self {
            tasks: TaskTracker::new(),
            open: Open::default(),
            permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
            header_timeout,
        }
    }

    /// Waits for room. Taken before a connection is accepted: what finds no room waits in the
    /// backlog, where it costs nothing. Connections that do nothing make room.
    pub async fn room(&self) -> OwnedSemaphorePermit {
        loop {
            if let Some(permit) = self.try_room() {
                return permit;
            }
            self.open.send_away(SPARED);
            let permit = Arc::clone(&self.permits).acquire_owned();
            // The semaphore is never closed.
            if let Ok(Ok(permit)) = tokio::time::timeout(SPARED, permit).await {
                return permit;
            }
        }
    }

    /// Room, where there is some now.
    pub fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Serves a connection in a task of its own.
    pub fn serve(&self, stream: TcpStream, responder: Responder, permit: OwnedSemaphorePermit) {
        let connections = self.clone();
        self.tasks.spawn(async move {
            connections.run(stream, responder).await;
            drop(permit);
        });
    }

    /// Whether connections are being closed.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Asks every connection to end after what it is doing; idle ones end now.
    pub fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Waits until all have ended, after [`close`](Self::close).
    pub async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// Ends all at once.
    pub fn abort(&self) {
        self.close();
        self.aborted.cancel();
    }

    async fn run(&self, stream: TcpStream, responder: Responder) {
        // A response is one write; waiting for more to send only delays it.
        let _ = stream.set_nodelay(true);
        let mut builder = Builder::new(Owned(self.clone()));
        let mut http1 = builder.http1();
        http1.timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        http1.max_buf_size(BUFFER);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
        let activity = Activity::default();
        let entry = self.open.enter(&activity);
        let respond = service_fn(|request: Request<Incoming>| {
            let (answering, responded) = (activity.begin(), responder.respond(request));
            let activity = activity.clone();
            async move {
                let response = responded.await;
                let sent = response.map(|mut response| {
                    let place = response.extensions_mut().remove::<Arc<InFlight>>();
                    response.map(|body| Sent::new(body, activity, place))
                });
                drop(answering);
                sent
            }
        });
        let peer = TokioIo::new(Peer::new(stream, activity.clone()));
        let mut connection = pin!(builder.serve_connection(peer, respond));
        let mut closing = pin!(async {
            self.closing.cancelled().await;
            // What was accepted a moment ago may have sent its request already.
            let _ = tokio::time::timeout(FIRST_WORD, activity.asked()).await;
        });
        let (idle, stall) = (self.header_timeout, self.header_timeout);
        let mut useless = pin!(activity.useless(idle, stall));
        let mut open = true;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke");
                    }
                    return;
                }
                () = self.aborted.cancelled() => return,
                () = entry.has_to_leave() => {
                    responder.metrics().reject("idle_connection");
                    return;
                }
                () = closing.as_mut(), if open => {
                    open = false;
                    connection.as_mut().graceful_shutdown();
                    // Half a request's head is none, and nobody knows how long the rest takes.
                    useless.set(activity.useless(FIRST_WORD, stall));
                }
                why = useless.as_mut() => {
                    if why == Useless::Stalled {
                        responder.metrics().reject("slow_consumer");
                        tracing::info!("a client does not read its answer; it is cut off");
                    }
                    return;
                }
            }
        }
    }
}

/// Runs the tasks of HTTP/2 streams as ours, so that they end with the node.
#[derive(Clone)]
struct Owned(Connections);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Owned {
    fn execute(&self, stream: F) {
        let aborted = self.0.aborted.clone();
        self.0.tasks.spawn(async move {
            aborted.run_until_cancelled(stream).await;
        });
    }
}
