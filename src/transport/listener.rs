//! A listener: accepts connections and hands them on.
//!
//! *Owns* the accept loop, a task. *Receives* the loop's end. *Sends* nothing. *Fails when* the
//! loop can't go on. *Restarted by* `transports`; the socket, its backlog and all accepted
//! connections live above it, so its death costs nobody anything.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;

/// A pause after an error that more accepting would only repeat, as when file descriptors ran out.
const PAUSE: Duration = Duration::from_millis(100);

/// What differs between listeners: the socket, and whom connections are handed to.
pub trait Accept: Clone + Send + Sync + 'static {
    /// A socket that is accepted from.
    type Socket: Send + Sync + 'static;

    /// A handle to accept with; none once the socket is closed.
    ///
    /// # Errors
    /// Where the process is out of file descriptors.
    fn listen(&self) -> io::Result<Option<Self::Socket>>;

    /// Accepts until nothing more shall be.
    ///
    /// # Errors
    /// Where accepting fails for good.
    fn accept(&self, socket: &Self::Socket) -> impl Future<Output = io::Result<()>> + Send;
}

/// What a listener is told.
#[derive(Debug)]
pub enum Msg {
    /// The accept loop ended though it should not.
    LoopEnded(io::Error),
}

/// The actor.
pub struct Listener<A>(PhantomData<fn() -> A>);

impl<A> Default for Listener<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The actor's state. Dropping it ends the loop.
pub struct ListenerState {
    _accepting: JoinSet<()>,
}

impl<A: Accept> Actor for Listener<A> {
    type Msg = Msg;
    type State = ListenerState;
    type Arguments = A;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        accept: A,
    ) -> Result<ListenerState, ActorProcessingErr> {
        let mut accepting = JoinSet::new();
        // A closed socket means that the node drains: nothing is accepted any more.
        if let Some(socket) = accept.listen()? {
            accepting.spawn(async move {
                if let Err(error) = accept.accept(&socket).await {
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

/// Tells errors of one connection, and those that pass, from those of the socket itself.
///
/// # Errors
/// Those of the socket itself.
pub async fn pause(error: io::Error) -> io::Result<()> {
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
