//! The client's end of a connection, watched where hyper does not look.
//!
//! hyper sees a client go away only while it reads. It does not read while a request is worked on
//! and bytes behind it are unread: a second request, or no more than a blank line. Those bytes are
//! read ahead here, so that the end behind them is seen. And a client that takes nothing of what is
//! written to it is told to the connection's [`Activity`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// Bytes that are read ahead. Whoever sends more behind an unanswered request hides its end, until
/// that request is answered.
const AHEAD: usize = 16 * 1024;

/// A connection's socket.
#[derive(Debug)]
pub struct Peer<S> {
    socket: S,
    activity: Activity,
    ahead: BytesMut,
    /// Whether hyper waits for more, or was told of the end: then it looks itself.
    looks: bool,
}

impl<S> Peer<S> {
    /// Watches a socket.
    pub fn new(socket: S, activity: Activity) -> Self {
        Self { socket, activity, ahead: BytesMut::new(), looks: false }
    }

    fn written(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.activity.blocked(),
            Poll::Ready(_) => self.activity.took(),
        }
    }
}

impl<S: AsyncRead + Unpin> Peer<S> {
    /// Reads what came, as long as there is room.
    ///
    /// # Errors
    /// Where the client is gone.
    fn read_ahead(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut piece = [0; 1024];
        while self.ahead.len() < AHEAD {
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            if buffer.filled().is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.ahead.extend_from_slice(buffer.filled());
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Peer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.ahead.len().min(buffer.remaining());
        if piece > 0 {
            self.ahead.copy_to_slice(buffer.initialize_unfilled_to(piece));
            buffer.advance(piece);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        let is_over = read.is_ready() && buffer.filled().len() == before;
        self.looks = read.is_pending() || is_over;
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Peer<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes whenever it has done all that it can.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        if !self.looks {
            self.read_ahead(context)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::transport::http::activity::Useless;

    #[tokio::test]
    async fn what_is_read_ahead_is_read_once_and_in_order() {
        let (socket, mut client) = duplex(64 * 1024);
        let mut peer = Peer::new(socket, Activity::default());
        let mut expected = Vec::new();
        for number in 0..20_u8 {
            client.write_all(&[number; 2_000]).await.unwrap();
            expected.extend([number; 2_000]);
            peer.flush().await.unwrap();
        }
        assert!(peer.ahead.len() <= AHEAD + 1024, "{} bytes", peer.ahead.len());
        drop(client);
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, expected);
        peer.flush().await.expect("who read the end needs not be told");
    }

    #[tokio::test]
    async fn the_end_behind_unread_bytes_is_seen() {
        let (socket, mut client) = duplex(64);
        let mut peer = Peer::new(socket, Activity::default());
        client.write_all(b"\r\n").await.unwrap();
        peer.flush().await.unwrap();
        drop(client);
        assert_eq!(peer.flush().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_stalls() {
        let (socket, mut client) = duplex(10);
        let activity = Activity::default();
        let _request = activity.begin();
        let mut peer = Peer::new(socket, activity.clone());
        let writing = async {
            peer.write_all(&[0; 25]).await.unwrap();
            std::future::pending::<()>().await
        };
        let taking = async {
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                client.read_exact(&mut [0; 5]).await.unwrap();
            }
            tokio::time::Instant::now()
        };
        let limit = Duration::from_secs(10);
        let stalled = async { (activity.useless(limit, limit).await, tokio::time::Instant::now()) };
        tokio::select! {
            () = writing => {}
            (last, (why, at)) = async { tokio::join!(taking, stalled) } => {
                assert_eq!(why, Useless::Stalled);
                assert_eq!(at - last, limit);
            }
        }
    }
}
