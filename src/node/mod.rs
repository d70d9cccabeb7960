//! A node: what `main` and the tests share.

mod doors;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use supervisors::{ExitReason, Root, StartError, SupervisorRef};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field::display;

use crate::admission::Admission;
use crate::catalogue::Scope;
use crate::config::Config;
use crate::protocol::meta::ServerInfo;
use crate::provider::native::BuildError;
use crate::provider::{Hosted, demo};
use crate::registry::{self, Published};
use crate::session::rounds::Rounds;
use crate::session::seal::Seal;
use crate::session::shelf::Shelf;
use crate::session::{self, Sessions, Table, Transport, Work};
use crate::tasks::Tasks;
use crate::telemetry::supervision::RestartCounter;
use crate::telemetry::{Health, Metrics, Status};
use crate::transport::control::{self, Methods, Orders};
use crate::transport::http::body::Room;
use crate::transport::http::endpoint::{Endpoint, Parts};
use crate::transport::http::guard::Guard;
use crate::transport::http::responder::Responder;
use crate::transport::http::{Connections, Socket, descriptors, listener, routes, sse2024};
use crate::transport::pipe::{self, Link};
use crate::transport::stdio::Stdio;
use crate::tree::{self, Slots, tree};

pub use doors::{Doors, Ends, Listeners};

/// How long the tree may take to stop, child by child, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long connections may take to carry the last answers away.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Connections of probes and scrapers at once.
const OPERATOR_CONNECTIONS: usize = 64;

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
    /// There is no control socket.
    #[error("there is no control socket")]
    Control(#[from] control::socket::BindError),
    /// The tree did not start.
    #[error("the supervision tree did not start")]
    Tree(#[from] StartError),
    /// What a server in this process offers isn't valid.
    #[error("a server in this process can't be made")]
    Server(#[from] BuildError),
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
    public: Option<Front>,
    operators: Option<Front>,
    control: Option<control::Front>,
    orders: Orders,
    stdio: Option<Stdio>,
    /// The tasks that read and write standard input and output.
    ends: TaskTracker,
    delay: Duration,
}

impl Node {
    /// Starts a node with the servers that come with it.
    ///
    /// # Errors
    /// Where a socket or the tree fails.
    pub async fn start(config: Config, doors: impl Into<Doors>) -> Result<Self, NodeError> {
        Self::start_with(config, doors, vec![Arc::new(demo::server()?)]).await
    }

    /// Starts a node with these servers in its process.
    ///
    /// # Errors
    /// Where a socket or the tree fails.
    pub async fn start_with(
        config: Config,
        doors: impl Into<Doors>,
        hosted: Vec<Arc<dyn Hosted>>,
    ) -> Result<Self, NodeError> {
        let doors = doors.into();
        let (slots, published) = (Slots::default(), Published::default());
        let delay = config.shutdown.delay();
        let front = |listener: Option<TcpListener>, max| {
            listener.map(|listener| Front::new(listener, max, &config)).transpose()
        };
        let public = front(doors.http, descriptors::connections(config.http.max_connections))?;
        let operators = front(doors.metrics, OPERATOR_CONNECTIONS)?;
        let control = doors.control.map(control::Front::new);
        let drain_limit = delay + config.shutdown.drain();
        let max_in_flight = config.requests.max_in_flight_per_session;
        let ask_timeout = config.sessions.ask_timeout();
        let endpoint = endpoint(config, &slots, &published);
        let parts = &endpoint.0;
        let responder = |routes, front: &Front| {
            let address = front.socket.address();
            let (hosts, origins) = (&parts.http.allowed_hosts, &parts.http.allowed_origins);
            let guard = Guard::new(address, hosts, origins);
            front.listener(Responder::new(routes, guard, parts.metrics.clone()))
        };
        let methods = Methods(Arc::new(control::methods::Parts {
            endpoint: endpoint.clone(),
            root: OnceLock::new(),
            orders: Orders::default(),
            stop_limit: STOP_GRACE + LAST_ANSWERS,
            drain_limit,
        }));
        let listener = |front| control::listener::Config { front, methods: methods.clone() };
        let ends = TaskTracker::new();
        let stdio = doors.stdio.map(|Ends { reader, writer }| {
            let room = pipe::room(&endpoint);
            Stdio::new(reader, writer, parts.http.body_limit_bytes, room, &ends)
        });
        let served = stdio.clone().map(|stdio| {
            let (scope, out) = (Scope::Federated, stdio.out());
            (stdio, Link::new(endpoint.clone(), scope, Transport::Stdio, out))
        });
        let root = tree(tree::Parts {
            slots: slots.clone(),
            registry: registry::Config { published: published.clone(), hosted },
            tasks: parts.work.tasks.clone(),
            session: session::actor::Config {
                work: parts.work.clone(),
                max_in_flight,
                ask_timeout,
            },
            sessions: parts.sessions.clone(),
            published,
            transports: tree::Transports {
                http: public.as_ref().map(|front| responder(routes::public(&endpoint), front)),
                metrics: operators
                    .as_ref()
                    .map(|front| responder(routes::operators(&endpoint), front)),
                control: control.clone().map(listener),
                stdio: served,
            },
            observer: Arc::new(RestartCounter(parts.metrics.clone())),
        });
        let root = root.start().await?;
        let _ = methods.0.root.set((*root).clone());
        parts.health.reach(Status::Ok);
        let orders = methods.0.orders.clone();
        let node =
            Self { root, slots, endpoint, public, operators, control, orders, stdio, ends, delay };
        let address = |front: &Option<Front>| front.as_ref().map(|f| display(f.socket.address()));
        let (http, metrics) = (address(&node.public), address(&node.operators));
        tracing::info!(http, metrics, "the node serves");
        Ok(node)
    }

    /// Where MCP is served over HTTP; port 0 where it isn't.
    pub fn http_address(&self) -> SocketAddr {
        self.public.as_ref().map_or(NOWHERE, |front| front.socket.address())
    }

    /// Where operators look; port 0 where they can't.
    pub fn metrics_address(&self) -> SocketAddr {
        self.operators.as_ref().map_or(NOWHERE, |front| front.socket.address())
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

    /// What the node counts.
    pub fn metrics(&self) -> &Metrics {
        &self.endpoint.0.metrics
    }

    /// All tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.endpoint.0.work.tasks
    }

    /// What operators told the node to do; whoever runs it has to do it.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Waits until the root supervisor has ended by itself, which means that it gave up.
    pub async fn exited(&self) -> ExitReason {
        let reason = self.root.exited().await;
        self.endpoint.0.health.reach(Status::Failed);
        reason
    }

    /// Waits until the client on standard input has said its last; for ever where there is none.
    pub async fn input_closed(&self) {
        match &self.stdio {
            Some(stdio) => stdio.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Stops in order: not ready, nothing new accepted, what is in flight finished within `drain`,
    /// then the tree, child by child. Without any time to drain there is no delay for load
    /// balancers either.
    pub async fn stop(&self, drain: Duration) -> ExitReason {
        let parts = &self.endpoint.0;
        parts.health.reach(Status::Draining);
        tracing::info!(in_flight = parts.admission.in_flight(), "the node drains");
        tokio::time::sleep(if drain.is_zero() { drain } else { self.delay }).await;
        if let Some(public) = &self.public {
            public.close();
        }
        parts.ending.cancel();
        let finished = async {
            self.connections_closed().await;
            parts.admission.idle().await;
        };
        if timeout(drain, finished).await.is_err() {
            tracing::warn!(in_flight = parts.admission.in_flight(), "the drain took too long");
        }
        parts.stopping.cancel();
        let stopped = timeout(STOP_GRACE, self.root.stop(ExitReason::Shutdown)).await;
        // What the stopping tree answered in the end still has to be carried away.
        let carried = async {
            self.connections_closed().await;
            if let Some(stdio) = &self.stdio {
                stdio.written().await;
            }
        };
        let _ = timeout(LAST_ANSWERS, carried).await;
        self.end();
        // Last, so that who waits for the end at the control socket finds all ports free.
        if let Some(control) = &self.control {
            control.close().await;
        }
        stopped.unwrap_or(ExitReason::Killed)
    }

    /// Ends everything at once.
    pub fn kill(&self) {
        self.end();
        if let Some(control) = &self.control {
            control.abort();
        }
    }

    /// Ends all but conversations with operators.
    fn end(&self) {
        self.root.kill();
        for front in self.public.iter().chain(&self.operators) {
            front.close();
            front.connections.abort();
        }
        self.ends.close();
    }

    async fn connections_closed(&self) {
        if let Some(public) = &self.public {
            public.connections.closed().await;
        }
    }
}

/// Stands for a socket that isn't there.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What the key for the states of requests is derived for.
const STATES: &str = "erlmcp request state v1";

/// What all requests share.
fn endpoint(config: Config, slots: &Slots, published: &Published) -> Endpoint {
    let metrics = Metrics::default();
    let health = Health::default();
    let request_timeout = config.requests.timeout();
    let tasks = Tasks::new(config.tasks.clone(), slots.tasks.clone(), metrics.clone());
    let shelf = Shelf::new(config.sessions.kept_total_bytes);
    let sessions = Sessions {
        table: Table::new(config.sessions.max, config.sessions.kept(), shelf),
        supervisor: slots.sessions.clone(),
        starts: TaskTracker::new(),
        config: config.sessions,
        tasks: tasks.clone(),
        metrics: metrics.clone(),
        health: health.clone(),
    };
    // Nodes with the same cookie open each other's states, and their own after a restart.
    let seal = config.node.cookie.expose().map(|cookie| Seal::derived(cookie.as_bytes(), STATES));
    let rounds = Rounds(seal.unwrap_or_else(Seal::random));
    let room = || Room::new(config.http.body_room_bytes);
    let (room, listening) = (room(), room());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Endpoint(Arc::new(Parts {
        http: config.http,
        work: Work { published: published.clone(), timeout: request_timeout, rounds, tasks },
        sessions,
        room,
        listening,
        max_in_flight_per_client: config.requests.max_in_flight_per_session,
        admission: Admission::new(&config.requests, metrics.in_flight.clone()),
        metrics,
        health,
        sse: sse2024::Streams::default(),
        ending: CancellationToken::new(),
        stopping: CancellationToken::new(),
        server: ServerInfo { name: "erlmcp".to_owned(), version },
        node_name: config.node.name,
        started: Instant::now(),
    }))
}
