//! Where a node's sockets and their connections live, above the actors that accept from them.

use std::net::TcpListener;

use super::NodeError;
use crate::catalogue::Scope;
use crate::config::Config;
use crate::session::Transport;
use crate::transport::control::{self, Methods};
use crate::transport::http::endpoint::Endpoint;
use crate::transport::http::guard::Guard;
use crate::transport::http::responder::Responder;
use crate::transport::http::{Connections, Socket, descriptors, listener, routes};
use crate::transport::pipe::Link;
use crate::transport::stdio::Stdio;
use crate::tree;

/// Connections of probes and scrapers at once.
const OPERATOR_CONNECTIONS: usize = 64;

/// One listener and what it accepted; both live above the listener's actor.
pub(super) struct Front {
    pub(super) socket: Socket,
    pub(super) connections: Connections,
}

impl Front {
    fn new(listener: TcpListener, max: usize, config: &Config) -> Result<Self, NodeError> {
        let socket = Socket::new(listener).map_err(NodeError::Socket)?;
        Ok(Self { socket, connections: Connections::new(max, config.http.header_timeout()) })
    }

    fn listener(&self, responder: Responder) -> listener::Config {
        let (socket, connections) = (self.socket.clone(), self.connections.clone());
        listener::Config { socket, responder, connections }
    }

    /// Accepts nothing any more; what is under way goes on.
    pub(super) fn close(&self) {
        self.socket.close();
        self.connections.close();
    }
}

/// All of them, each where the node has it.
pub(super) struct Fronts {
    /// For everybody.
    pub(super) public: Option<Front>,
    /// For operators.
    pub(super) operators: Option<Front>,
    /// For the node's own user.
    pub(super) control: Option<control::Front>,
}

impl Fronts {
    /// Takes over sockets that are bound.
    pub(super) fn open(
        public: Option<TcpListener>,
        operators: Option<TcpListener>,
        control: Option<control::Socket>,
        config: &Config,
    ) -> Result<Self, NodeError> {
        let front = |listener: Option<TcpListener>, max| {
            listener.map(|listener| Front::new(listener, max, config)).transpose()
        };
        Ok(Self {
            public: front(public, descriptors::connections(config.http.max_connections))?,
            operators: front(operators, OPERATOR_CONNECTIONS)?,
            control: control.map(control::Front::new),
        })
    }

    /// What the actors that accept from them work with.
    pub(super) fn transports(
        &self,
        endpoint: &Endpoint,
        methods: &Methods,
        stdio: Option<Stdio>,
    ) -> tree::Transports {
        let parts = &endpoint.0;
        let responder = |routes, front: &Front| {
            let address = front.socket.address();
            let (hosts, origins) = (&parts.http.allowed_hosts, &parts.http.allowed_origins);
            let guard = Guard::new(address, hosts, origins);
            front.listener(Responder::new(routes, guard, parts.metrics.clone()))
        };
        let (public, operators) = (self.public.as_ref(), self.operators.as_ref());
        tree::Transports {
            http: public.map(|front| responder(routes::public(endpoint), front)),
            metrics: operators.map(|front| responder(routes::operators(endpoint), front)),
            control: self.control.clone().map(|front| {
                let methods = methods.clone();
                control::listener::Config { front, methods }
            }),
            stdio: stdio.map(|stdio| {
                let (scope, out) = (Scope::Federated, stdio.out());
                (stdio, Link::new(endpoint.clone(), scope, Transport::Stdio, out))
            }),
        }
    }

    /// Those that speak HTTP.
    pub(super) fn over_http(&self) -> impl Iterator<Item = &Front> {
        self.public.iter().chain(&self.operators)
    }
}
