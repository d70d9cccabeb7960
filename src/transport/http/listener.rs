//! What a listener accepts over TCP, and whom it hands it to.

use std::io;

use futures_util::FutureExt;
use tokio::net::TcpListener;

use super::connections::Connections;
use super::responder::Responder;
use super::socket::Socket;
use crate::transport::listener::{Accept, pause};

/// What a listener works with.
#[derive(Clone)]
pub struct Config {
    /// Where it accepts.
    pub socket: Socket,
    /// What answers.
    pub responder: Responder,
    /// Who owns what it accepts.
    pub connections: Connections,
}

impl Accept for Config {
    type Socket = TcpListener;

    fn listen(&self) -> io::Result<Option<TcpListener>> {
        self.socket.listen()
    }

    /// Accepts until connections are being closed.
    async fn accept(&self, listener: &TcpListener) -> io::Result<()> {
        let closing = self.connections.closing();
        loop {
            let accepted = closing.run_until_cancelled(async {
                let room = self.connections.room().await;
                (listener.accept().await, room)
            });
            match accepted.await {
                None => {
                    self.take_backlog(listener);
                    return Ok(());
                }
                // No await between accepting and handing on: an abort can't lose the connection.
                Some((Ok((stream, _)), room)) => {
                    self.connections.serve(stream, self.responder.clone(), room);
                }
                Some((Err(error), _)) => pause(error).await?,
            }
        }
    }
}

impl Config {
    /// Serves whom the kernel accepted before the socket closed: they may have sent their request.
    fn take_backlog(&self, listener: &TcpListener) {
        while let Some(room) = self.connections.try_room()
            && let Some(Ok((stream, _))) = listener.accept().now_or_never()
        {
            self.connections.serve(stream, self.responder.clone(), room);
        }
    }
}
