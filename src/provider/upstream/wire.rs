//! A wire: the way to one running instance of a server, whatever the transport. It carries messages
//! and knows nothing of what they mean.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

pub use super::failure::Failure;
use crate::protocol::Revision;
use crate::protocol::envelope::Incoming;

/// Orders that wait for a wire. Who has more to say waits itself.
pub const WAITING_ORDERS: usize = 1_024;

/// An open wire.
pub struct Wire {
    /// What it is told to carry. Dropping all senders closes it in order.
    pub orders: mpsc::Sender<Order>,
    /// Its work: it reads, writes, and ends when the instance does. Dropping it ends the instance
    /// and all that belongs to it at once.
    pub work: BoxFuture<'static, Closing>,
}

/// What a wire is told.
#[derive(Debug)]
pub enum Order {
    /// Send a request.
    Request(Outbound),
    /// Send a notification, or the answer to a request of the server's: a whole message.
    Message(Bytes),
    /// Nobody waits for the answer to this request any more. Where a request has a connection of
    /// its own, that ends.
    Abandon(u64),
    /// From now on the messages are of this revision: over HTTP the headers tell it.
    Speak(Revision),
}

/// A request on its way to a server.
#[derive(Debug)]
pub struct Outbound {
    /// Its id, a number that never comes again on this wire.
    pub id: u64,
    /// The whole message.
    pub text: Bytes,
    /// Its method, for `Mcp-Method` (2026-07-28).
    pub method: &'static str,
    /// The name or URI that it is about, for `Mcp-Name` (2026-07-28).
    pub name: Option<String>,
    /// Further headers and their values, for `Mcp-Param-*` (2026-07-28).
    pub mirrored: Vec<(String, String)>,
}

/// Who takes what comes over a wire. It is called from the wire's own work, and never waits.
pub trait Inbox: Send + Sync + 'static {
    /// A message came; `of` names the request on whose own stream it came, where there are such.
    fn message(&self, message: Incoming, of: Option<u64>);

    /// One request will get no answer; others are not touched.
    fn failed(&self, id: u64, failure: Failure);
}

/// How a wire ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Why.
    pub why: Why,
    /// What it means, in one sentence for an operator.
    pub cause: String,
}

/// Why a wire ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was told to.
    Told,
    /// The process ended with exit status 0.
    Finished,
    /// The process ended by a signal or with another status, or the connection is lost.
    Crashed,
    /// The server has forgotten the session (404): a new handshake mends it.
    SessionLost,
    /// It broke the protocol so that nothing can be made of it.
    Garbled,
}
