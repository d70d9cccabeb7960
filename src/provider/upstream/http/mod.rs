//! Servers over HTTP: Streamable HTTP of both eras, and HTTP+SSE of 2024-11-05.
//!
//! [`open`] connects to nobody. Whether a server is there tells the first message: where nobody is
//! reached, that message fails with [`Failure::Unreachable`](super::Failure::Unreachable), and the
//! handshake with it. Later, one connection that is refused fails one request; three in a row, or
//! the server's own stream where it can't be opened again, end the wire with
//! [`Why::Crashed`](super::wire::Why::Crashed), so that supervision connects anew, with its pauses.
//!
//! Each message is a POST of its own, and each POST a task of the wire's. A redirect is followed
//! within the origin only; nothing is sent again once it was sent, but where the server answered
//! 401 and there is a new token. What a client of the node's says of itself never comes here, so it
//! can't be passed on.

mod address;
mod auth;
mod body;
mod client;
mod events;
mod head;
mod link;
mod pace;
mod request;
mod sse2024;
mod stream;
mod streamable;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::spec::{HttpTarget, HttpTransport};
use super::wire::{Closing, Inbox, WAITING_ORDERS, Wire};
use link::Link;

/// What a wire over HTTP puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message of the server's.
    pub message_bytes: usize,
    /// Requests that are under way at once; one more fails.
    pub requests: usize,
    /// How long a connection may take until it is there.
    pub connect_timeout: Duration,
    /// How long a message that has no answer may take until the server took it.
    pub message_timeout: Duration,
    /// The first pause before a stream is opened again, where the server asks for none.
    pub first_pause: Duration,
    /// The longest such pause, whatever the server asks for.
    pub longest_pause: Duration,
    /// How often in a row a stream may fail to open before it is given up.
    pub attempts: u32,
}

impl Default for Limits {
    /// 16 MiB hold a large file in Base64. The places in the node bound requests long before 1,024
    /// of them are with one server.
    fn default() -> Self {
        Self {
            message_bytes: 16 * 1024 * 1024,
            requests: 1_024,
            connect_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            attempts: 5,
        }
    }
}

/// Why there can be no wire to a server, whoever is there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address can't be used.
    #[error("its url can't be used: {0}")]
    Address(&'static str),
    /// A header can't be sent.
    #[error("its header {name:?} can't be sent: {why}")]
    Header {
        /// The header's name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// There are no certificates to trust.
    #[error("TLS needs the system's certificates, and they can't be read")]
    Tls(#[source] io::Error),
}

/// Opens a wire to a server. `Auto` is Streamable HTTP here: whoever does the handshake sees in
/// [`Failure::Status`](super::Failure::Status) that the server doesn't speak it (400, 404 or 405),
/// and opens another wire with `Sse`.
///
/// # Errors
/// Where its address, its headers or the system's certificates can't be used.
pub fn open(
    target: &HttpTarget,
    transport: HttpTransport,
    limits: Limits,
    inbox: Arc<dyn Inbox>,
) -> Result<Wire, StartError> {
    let link = Arc::new(Link::new(target, limits, inbox)?);
    let (sender, orders) = mpsc::channel(WAITING_ORDERS);
    let work: BoxFuture<'static, Closing> = match transport {
        HttpTransport::Auto | HttpTransport::Streamable => Box::pin(streamable::work(link, orders)),
        HttpTransport::Sse => Box::pin(sse2024::work(link, orders)),
    };
    Ok(Wire { orders: sender, work })
}

#[cfg(test)]
mod tests;
