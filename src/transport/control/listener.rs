//! The child `control`: accepts connections at the control socket and hands them on.
//!
//! *Owns* the accept loop, a task. *Receives* the loop's end. *Sends* nothing. *Fails when* the
//! loop can't go on. *Restarted by* `transports`; the socket, its backlog and all accepted
//! connections live above it, so its death costs nobody anything.

use std::io;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::{Front, Methods};
use crate::transport::http::listener::pause;

/// What the listener works with.
#[derive(Clone)]
pub struct Config {
    /// Where it accepts, and who owns what it accepts.
    pub front: Front,
    /// What answers.
    pub methods: Methods,
}

/// What the listener is told.
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
        if let Some(listener) = config.front.socket.listen()? {
            accepting.spawn(async move {
                let error = accept(&listener, &config).await;
                let _ = myself.cast(Msg::LoopEnded(error));
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

/// Accepts until that fails for good.
async fn accept(listener: &UnixListener, config: &Config) -> io::Error {
    loop {
        let room = config.front.connections.room().await;
        match listener.accept().await {
            // No await between accepting and handing on: an abort can't lose the connection.
            Ok((stream, _)) => config.front.connections.serve(stream, config.methods.clone(), room),
            Err(error) => {
                if let Err(error) = pause(error).await {
                    return error;
                }
            }
        }
    }
}
