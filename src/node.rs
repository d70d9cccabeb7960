//! A node: what `main` and the tests share.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisors::{ExitReason, Root, StartError, SupervisorRef};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::config::Config;
use crate::protocol::meta::ServerInfo;
use crate::provider::{Hosted, demo};
use crate::registry::{self, Published};
use crate::session::rounds::Rounds;
use crate::session::seal::Seal;
use crate::session::{self, Sessions, Table, Work};
use crate::telemetry::supervision::RestartCounter;
use crate::telemetry::{Health, Metrics, Status};
use crate::transport::http::body::Room;
use crate::transport::http::endpoint::{Endpoint, Parts};
use crate::transport::http::guard::Guard;
use crate::transport::http::responder::Responder;
use crate::transport::http::{self, Connections, Socket, listener, routes};
use crate::tree::{self, Slots, tree};

/// How long the tree may take to stop, child by child, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long connections may take to carry the last answers away.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Connections of probes and scrapers at once.
const OPERATOR_CONNECTIONS: usize = 64;

/// Bound sockets. A node takes them over, so that a test can bind any free port.
#[derive(Debug)]
pub struct Listeners {
    /// For MCP.
    pub http: TcpListener,
    /// For operators.
    pub metrics: TcpListener,
}

impl Listeners {
    /// Binds what the configuration says.
    ///
    /// # Errors
    /// Where an address can't be bound.
    pub fn bind(config: &Config) -> Result<Self, NodeError> {
        Ok(Self { http: bind(config.http.listen)?, metrics: bind(config.metrics.listen)? })
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).map_err(|source| NodeError::Bind { address, source })
}

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// An address can't be bound.
    #[error("can't listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A bound socket can't be used.
    #[error("a bound socket can't be used")]
    Socket(#[source] io::Error),
    /// The tree did not start.
    #[error("the supervision tree did not start")]
    Tree(#[from] StartError),
}

/// One listener and what it accepted; both live above the listener's actor.
struct Front {
    socket: Socket,
    connections: Connections,
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
    fn close(&self) {
        self.socket.close();
        self.connections.close();
    }
}

/// A running node. Dropping it kills its tree.
pub struct Node {
    root: Root<SupervisorRef>,
    slots: Slots,
    endpoint: Endpoint,
    public: Front,
    operators: Front,
    delay: Duration,
}

impl Node {
    /// Starts a node with the servers that come with it.
    ///
    /// # Errors
    /// Where a socket or the tree fails.
    pub async fn start(config: Config, listeners: Listeners) -> Result<Self, NodeError> {
        Self::start_with(config, listeners, vec![Arc::new(demo::server())]).await
    }

    /// Starts a node with these servers in its process.
    ///
    /// # Errors
    /// Where a socket or the tree fails.
    pub async fn start_with(
        config: Config,
        listeners: Listeners,
        hosted: Vec<Arc<dyn Hosted>>,
    ) -> Result<Self, NodeError> {
        let (slots, published) = (Slots::default(), Published::default());
        let delay = config.shutdown.delay();
        let public = Front::new(listeners.http, config.http.max_connections, &config)?;
        let operators = Front::new(listeners.metrics, OPERATOR_CONNECTIONS, &config)?;
        let max_in_flight = config.requests.max_in_flight_per_session;
        let ask_timeout = config.sessions.ask_timeout();
        let endpoint = endpoint(config, &slots, &published);
        let parts = &endpoint.0;
        let responder = |routes, front: &Front, http: &http::Config| {
            let address = front.socket.address();
            let guard = Guard::new(address, &http.allowed_hosts, &http.allowed_origins);
            front.listener(Responder::new(routes, guard, parts.metrics.clone()))
        };
        let root = tree(tree::Parts {
            slots: slots.clone(),
            registry: registry::Config { published: published.clone(), hosted },
            session: session::actor::Config {
                work: parts.work.clone(),
                max_in_flight,
                ask_timeout,
            },
            sessions: parts.sessions.clone(),
            published: published.clone(),
            http: responder(routes::public(&endpoint), &public, &parts.http),
            metrics: responder(routes::operators(&endpoint), &operators, &parts.http),
            observer: Arc::new(RestartCounter(parts.metrics.clone())),
        });
        let root = root.start().await?;
        parts.health.reach(Status::Ok);
        tracing::info!(
            http = %public.socket.address(),
            metrics = %operators.socket.address(),
            "the node serves"
        );
        Ok(Self { root, slots, endpoint, public, operators, delay })
    }

    /// Where MCP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.public.socket.address()
    }

    /// Where operators look.
    pub fn metrics_address(&self) -> SocketAddr {
        self.operators.socket.address()
    }

    /// The root supervisor.
    pub fn root(&self) -> &SupervisorRef {
        &self.root
    }

    /// Where the tree's children are found.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// All sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.endpoint.0.sessions
    }

    /// Waits until the root supervisor has ended by itself, which means that it gave up.
    pub async fn exited(&self) -> ExitReason {
        let reason = self.root.exited().await;
        self.endpoint.0.health.reach(Status::Failed);
        reason
    }

    /// Stops in order: not ready, nothing new accepted, what is in flight finished within `drain`,
    /// then the tree, child by child.
    pub async fn stop(&self, drain: Duration) -> ExitReason {
        let parts = &self.endpoint.0;
        parts.health.reach(Status::Draining);
        tracing::info!(in_flight = parts.admission.in_flight(), "the node drains");
        tokio::time::sleep(self.delay).await;
        self.public.close();
        parts.ending.cancel();
        let finished = async {
            self.public.connections.closed().await;
            parts.admission.idle().await;
        };
        if timeout(drain, finished).await.is_err() {
            tracing::warn!(in_flight = parts.admission.in_flight(), "the drain took too long");
        }
        parts.stopping.cancel();
        let stopped = timeout(STOP_GRACE, self.root.stop(ExitReason::Shutdown)).await;
        // What the stopping tree answered in the end still has to be carried away.
        let _ = timeout(LAST_ANSWERS, self.public.connections.closed()).await;
        self.kill();
        stopped.unwrap_or(ExitReason::Killed)
    }

    /// Ends everything at once.
    pub fn kill(&self) {
        self.root.kill();
        for front in [&self.public, &self.operators] {
            front.close();
            front.connections.abort();
        }
    }
}

/// What all requests share.
fn endpoint(config: Config, slots: &Slots, published: &Published) -> Endpoint {
    let metrics = Metrics::default();
    let health = Health::default();
    let request_timeout = config.requests.timeout();
    let sessions = Sessions {
        table: Table::new(config.sessions.max, config.sessions.kept()),
        supervisor: slots.sessions.clone(),
        starts: TaskTracker::new(),
        config: config.sessions,
        metrics: metrics.clone(),
        health: health.clone(),
    };
    let rounds = Rounds(Seal::random());
    let room = Room::new(config.http.body_room_bytes);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Endpoint(Arc::new(Parts {
        http: config.http,
        work: Work { published: published.clone(), timeout: request_timeout, rounds },
        sessions,
        room,
        admission: Admission::new(&config.requests, metrics.in_flight.clone()),
        metrics,
        health,
        ending: CancellationToken::new(),
        stopping: CancellationToken::new(),
        server: ServerInfo { name: "erlmcp".to_owned(), version },
        node_name: config.node.name,
        started: Instant::now(),
    }))
}
