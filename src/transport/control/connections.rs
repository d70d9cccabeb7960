//! Open connections of the control socket: counted, owned, and stoppable. They live above the
//! listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::methods::{Methods, Reply};
use crate::protocol::{Code, RpcError};
use crate::transport::lines::{LineError, Lines};

/// Connections at once: operators and their scripts are few. More wait in the backlog.
const MAX_CONNECTIONS: usize = 16;
/// Longest request, in bytes: the largest part is a tool's arguments.
const LINE_BYTES: usize = 1024 * 1024;
/// How long a connection may say nothing, so that forgotten ones shut nobody out.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a client may take to read an answer.
const WRITE: Duration = Duration::from_secs(10);
/// How long the last answers may take when the node ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The owner of connections; clones share it.
#[derive(Clone)]
pub struct Connections {
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
    closing: CancellationToken,
    aborted: CancellationToken,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            closing: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }
}

impl Connections {
    /// Waits for room. Taken before a connection is accepted.
    pub async fn room(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.permits).acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Serves a connection in a task of its own.
    pub fn serve(&self, stream: UnixStream, methods: Methods, permit: OwnedSemaphorePermit) {
        let connections = self.clone();
        self.tasks.spawn(async move {
            let conversation = converse(stream, &methods, &connections.closing);
            connections.aborted.run_until_cancelled(conversation).await;
            drop(permit);
        });
    }

    /// Ends every connection after the answer that is under way; those that take long, without.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        let _ = timeout(LAST_ANSWERS, self.tasks.wait()).await;
        self.aborted.cancel();
    }

    /// Ends all at once.
    pub fn abort(&self) {
        self.tasks.close();
        self.aborted.cancel();
    }
}

/// Answers one request after the other.
async fn converse(stream: UnixStream, methods: &Methods, closing: &CancellationToken) {
    if !is_allowed(&stream) {
        tracing::warn!("another user is refused at the control socket");
        return;
    }
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader, LINE_BYTES);
    loop {
        let next = closing.run_until_cancelled(timeout(SILENCE, lines.next())).await;
        let reply = match next {
            Some(Ok(Ok(Some(line)))) => tokio::select! {
                reply = methods.answer(&line) => reply,
                // Nobody waits for it any more: dropping it cancels its work.
                () = gone(&mut lines, &writer) => return,
            },
            Some(Ok(Err(error @ LineError::TooLong(_)))) => {
                let error =
                    RpcError::new(Code::InvalidRequest, format!("Invalid request: {error}"));
                let _ = send(&mut writer, &Reply::refusal(error)).await;
                return;
            }
            // Closing, silent for too long, broken, or at its end.
            None | Some(Err(_) | Ok(Err(LineError::Read(_)) | Ok(None))) => return,
        };
        let Some(reply) = reply else { continue };
        let sent = send(&mut writer, &reply).await;
        if let Some(order) = reply.order {
            // After its answer: the node may end as soon as it is told to.
            methods.order(order);
            // The end of this connection tells the client that the node has stopped.
            tokio::select! {
                () = closing.cancelled() => {}
                () = gone(&mut lines, &writer) => {}
            }
            return;
        }
        if sent.is_err() {
            return;
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    timeout(WRITE, writer.write_all(&reply.line)).await?
}

/// Whether the peer is the node's own user, or root. The socket's mode says the same; it is set
/// only after the socket is bound.
fn is_allowed(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

/// Waits until the client is gone. One that only says no more, as `nc` does at the end of its
/// input, still waits for its answer.
async fn gone(lines: &mut Lines<OwnedReadHalf>, writer: &OwnedWriteHalf) {
    lines.ended().await;
    match writer.ready(Interest::WRITABLE).await {
        Ok(ready) if !ready.is_write_closed() => std::future::pending().await,
        _ => {}
    }
}
