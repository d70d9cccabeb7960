//! A listener: accepts connections and hands them on.
//!
//! *Owns* the accept loop, a task. *Receives* the loop's end. *Sends* nothing. *Fails when* the
//! loop can't go on. *Restarted by* `transports`; the socket, its backlog and all accepted
//! connections live above it, so its death costs nobody anything.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connections::Connections;
use super::responder::Responder;
use super::socket::Socket;

/// A pause after an error that more accepting would only repeat, as when file descriptors ran out.
const PAUSE: Duration = Duration::from_millis(100);

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

/// What a listener is told.
#[derive(Debug)]
pub enum Msg {
    /// The accept loop ended though it should not.
    LoopEnded(io::Error),
}

/// The actor.
pub struct Listener;

/// The actor's state. Dropping it ends the loop.
pub struct ListenerState {
    _accepting: JoinSet<()>,
}

impl Actor for Listener {
    type Msg = Msg;
    type State = ListenerState;
    type Arguments = Config;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        config: Config,
    ) -> Result<ListenerState, ActorProcessingErr> {
        let mut accepting = JoinSet::new();
        // A closed socket means that the node drains: nothing is accepted any more.
        if let Some(listener) = config.socket.listen()? {
            accepting.spawn(async move {
                if let Err(error) = accept(&listener, &config).await {
                    let _ = myself.cast(Msg::LoopEnded(error));
                }
            });
        }
        Ok(ListenerState { _accepting: accepting })
    }

    async fn handle(
        &self,
        _: ActorRef<Msg>,
        message: Msg,
        _: &mut ListenerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::LoopEnded(error) => Err(error.into()),
        }
    }
}

/// Accepts until connections are being closed.
async fn accept(listener: &TcpListener, config: &Config) -> io::Result<()> {
    let closing = config.connections.closing();
    loop {
        let accepted = closing.run_until_cancelled(async {
            let room = config.connections.room().await;
            (listener.accept().await, room)
        });
        match accepted.await {
            None => {
                take_backlog(listener, config);
                return Ok(());
            }
            // No await between accepting and handing on: an abort can't lose the connection.
            Some((Ok((stream, _)), room)) => {
                config.connections.serve(stream, config.responder.clone(), room);
            }
            Some((Err(error), _)) => pause(error).await?,
        }
    }
}

/// Serves whom the kernel accepted before the socket closed: they may have sent their request.
fn take_backlog(listener: &TcpListener, config: &Config) {
    while let Some(room) = config.connections.try_room()
        && let Some(Ok((stream, _))) = listener.accept().now_or_never()
    {
        config.connections.serve(stream, config.responder.clone(), room);
    }
}

/// Tells errors of one connection, and those that pass, from those of the socket itself.
pub(in crate::transport) async fn pause(error: io::Error) -> io::Result<()> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    match error.kind() {
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted => Ok(()),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected => Err(error),
        _ => {
            tracing::warn!(%error, "accepting failed; it goes on after a pause");
            tokio::time::sleep(PAUSE).await;
            Ok(())
        }
    }
}
