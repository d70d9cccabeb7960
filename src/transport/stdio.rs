//! Standard input and output as a transport: one client, one message a line.
//!
//! [`run`] is a child of `transports`. It owns the modern requests that are being worked on; both
//! ends of the pipe, the lines that were read, and the client's session live above it. So its
//! death costs no more than the modern requests in flight, one error each.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lines::{LineError, Lines};
use super::pipe::{Link, Pipe};

/// A line that was read; none for one that was too long.
type Line = Option<Vec<u8>>;

/// Lines that were read and not yet taken.
const READ_AHEAD: usize = 16;

/// Both ends of the pipe; owned above the tree, clones share them.
#[derive(Clone)]
pub struct Stdio {
    lines: Arc<Mutex<mpsc::Receiver<Line>>>,
    out: mpsc::Sender<Bytes>,
    written: Arc<Notify>,
    closed: CancellationToken,
    limit: usize,
}

impl Stdio {
    /// Reads and writes lines of at most `limit` bytes, in tasks that end with their ends. `room`
    /// messages may wait to be written.
    pub fn new<R, W>(reader: R, writer: W, limit: usize, room: usize, owner: &TaskTracker) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (line, lines) = mpsc::channel(READ_AHEAD);
        let (out, messages) = mpsc::channel(room);
        let (closed, written) = (CancellationToken::new(), Arc::new(Notify::new()));
        owner.spawn(read_lines(Lines::new(reader, limit), line));
        owner.spawn(write_lines(messages, writer, Arc::clone(&written), closed.clone()));
        Self { lines: Arc::new(Mutex::new(lines)), out, written, closed, limit }
    }

    /// To the client.
    pub fn out(&self) -> mpsc::Sender<Bytes> {
        self.out.clone()
    }

    /// Waits until the client has said its last and all of it was taken, or it does not read.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits until all that was sent is written.
    pub async fn written(&self) {
        let written = self.written.notified();
        if self.out.send(FLUSH).await.is_ok() {
            written.await;
        }
    }
}

/// Stands for no message, but asks to be told when all before it are written.
const FLUSH: Bytes = Bytes::new();

/// Serves the client, from its next line on, until its last.
pub async fn run(stdio: Stdio, link: Link) {
    let mut lines = stdio.lines.lock().await;
    let mut pipe = Pipe::new(link);
    while let Some(line) = lines.recv().await {
        match line {
            Some(text) => pipe.take(&text).await,
            None => pipe.refuse_long(stdio.limit).await,
        }
    }
    stdio.closed.cancel();
    // What is being worked on is finished, or stopped with the node.
    pipe.finished().await;
}

async fn read_lines<R: AsyncRead + Unpin>(mut lines: Lines<R>, line: mpsc::Sender<Line>) {
    loop {
        let read = match lines.next().await {
            Ok(Some(text)) => Some(text),
            Err(LineError::TooLong(_)) => None,
            Ok(None) | Err(LineError::Read(_)) => return,
        };
        if line.send(read).await.is_err() {
            return;
        }
    }
}

async fn write_lines<W: AsyncWrite + Unpin>(
    mut messages: mpsc::Receiver<Bytes>,
    mut writer: W,
    told: Arc<Notify>,
    closed: CancellationToken,
) {
    while let Some(message) = messages.recv().await {
        if message.is_empty() {
            told.notify_waiters();
            continue;
        }
        let mut line = message.to_vec();
        // JSON has line ends between its tokens only, where a blank does as well.
        for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        line.push(b'\n');
        let written = async {
            writer.write_all(&line).await?;
            writer.flush().await
        };
        if written.await.is_err() {
            break;
        }
    }
    closed.cancel();
    told.notify_waiters();
}
