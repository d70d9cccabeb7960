//! What the child `control` accepts at the control socket, and whom it hands it to.

use std::io;

use tokio::net::UnixListener;

use super::{Front, Methods};
use crate::transport::listener::{Accept, pause};

/// What the listener works with.
#[derive(Clone)]
pub struct Config {
    /// Where it accepts, and who owns what it accepts.
    pub front: Front,
    /// What answers.
    pub methods: Methods,
}

impl Accept for Config {
    type Socket = UnixListener;

    fn listen(&self) -> io::Result<Option<UnixListener>> {
        self.front.socket.listen()
    }

    /// Accepts until that fails for good: operators are heard until the node's end.
    async fn accept(&self, listener: &UnixListener) -> io::Result<()> {
        loop {
            let room = self.front.connections.room().await;
            match listener.accept().await {
                // No await between accepting and handing on: an abort can't lose the connection.
                Ok((stream, _)) => {
                    self.front.connections.serve(stream, self.methods.clone(), room);
                }
                Err(error) => pause(error).await?,
            }
        }
    }
}
