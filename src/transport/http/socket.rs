//! A bound socket, owned above the listener that accepts from it.
//!
//! When the listener dies, clients go on queueing in the socket's backlog, and the next
//! incarnation takes them from there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// The socket; clones share it.
#[derive(Debug, Clone)]
pub struct Socket {
    address: SocketAddr,
    bound: Arc<Mutex<Option<TcpListener>>>,
}

impl Socket {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// Where its address can't be read or it can't be made non-blocking.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { address, bound: Arc::new(Mutex::new(Some(listener))) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to accept with; `None` once it is closed.
    ///
    /// # Errors
    /// Where the process is out of file descriptors.
    pub fn listen(&self) -> io::Result<Option<tokio::net::TcpListener>> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = bound.as_ref() else { return Ok(None) };
        tokio::net::TcpListener::from_std(listener.try_clone()?).map(Some)
    }

    /// Closes it for good; the port is free when the last handle is dropped, too.
    pub fn close(&self) {
        drop(self.bound.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
