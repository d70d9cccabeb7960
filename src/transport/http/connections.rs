//! All open connections: counted, owned, and stoppable. They live above the listeners.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

use super::responder::Responder;

/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;

/// The owner of connections; clones share it.
#[derive(Clone)]
pub struct Connections {
    tasks: TaskTracker,
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
            permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
            header_timeout,
        }
    }

    /// Waits for room. Taken before a connection is accepted: what finds no room waits in the
    /// backlog, where it costs nothing.
    pub async fn room(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.permits).acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
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
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
        let asked = AtomicBool::new(false);
        let respond = service_fn(|request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            responder.respond(request)
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), respond));
        // Until the protocol is known, no timer of hyper's runs.
        let mut first = pin!(tokio::time::sleep(self.header_timeout));
        let (mut waiting, mut open) = (true, true);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke");
                    }
                    return;
                }
                () = self.aborted.cancelled() => return,
                () = self.closing.cancelled(), if open => {
                    open = false;
                    connection.as_mut().graceful_shutdown();
                }
                () = first.as_mut(), if waiting => {
                    waiting = false;
                    if !asked.load(Ordering::Relaxed) {
                        return;
                    }
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
