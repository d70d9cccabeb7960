//! The ways into a node, open before it starts.

use std::net::{SocketAddr, TcpListener};

use tokio::io::{AsyncRead, AsyncWrite};

use super::NodeError;
use crate::config::Config;
use crate::transport::control;

/// Bound sockets. A node takes them over, so that a test can bind any free port.
#[derive(Debug)]
pub struct Listeners {
    /// For MCP.
    pub http: TcpListener,
    /// For operators.
    pub metrics: TcpListener,
    /// For the node's own user, where there is to be one.
    pub control: Option<control::Socket>,
}

impl Listeners {
    /// Binds what the configuration says.
    ///
    /// # Errors
    /// Where an address or the control socket can't be bound.
    pub fn bind(config: &Config) -> Result<Self, NodeError> {
        let (http, metrics) = (bind(config.http.listen)?, bind(config.metrics.listen)?);
        let place = config.control.place(&config.node.name);
        let control = place.as_ref().map(control::Socket::bind).transpose()?;
        Ok(Self { http, metrics, control })
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).map_err(|source| NodeError::Bind { address, source })
}

/// The ways in that a node has. Each may be missing: a node on standard input has no sockets.
#[derive(Default)]
pub struct Doors {
    /// For MCP over HTTP.
    pub http: Option<TcpListener>,
    /// For operators.
    pub metrics: Option<TcpListener>,
    /// For the node's own user.
    pub control: Option<control::Socket>,
    /// For one client on standard input and output.
    pub stdio: Option<Ends>,
}

impl Doors {
    /// The ways into a bridge: it shares its machine with others, which one port for operators
    /// wouldn't do for.
    ///
    /// # Errors
    /// Where an address or the control socket can't be bound.
    pub fn bridge(config: &Config) -> Result<Self, NodeError> {
        let place = config.control.place(&config.node.name);
        let control = place.as_ref().map(control::Socket::bind).transpose()?;
        Ok(Self { http: Some(bind(config.http.listen)?), control, ..Self::default() })
    }
}

/// Both ends of standard input and output, or of what stands for them in a test.
pub struct Ends {
    /// What the client writes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the client reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl From<Listeners> for Doors {
    fn from(listeners: Listeners) -> Self {
        let Listeners { http, metrics, control } = listeners;
        Self { http: Some(http), metrics: Some(metrics), control, stdio: None }
    }
}
