//! A node: what `main` and the tests share.

mod doors;
mod fronts;
pub mod reload;
mod setup;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use supervisors::{ExitReason, Root, StartError, SupervisorRef};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::provider::native::BuildError;
use crate::provider::{Hosted, demo};
use crate::session::Sessions;
use crate::tasks::Tasks;
use crate::telemetry::{Metrics, Status};
use crate::transport::control::{self, Orders};
use crate::transport::http::endpoint::Endpoint;
use crate::transport::stdio::Stdio;
use crate::tree::Slots;
use crate::upstreams::Upstreams;

pub use doors::{Doors, Ends, Listeners};
use fronts::Fronts;
pub use reload::Reload;
pub use setup::Setup;

/// How long the tree may take to stop, child by child, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long connections may take to carry the last answers away.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

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

/// A running node. Dropping it kills its tree.
pub struct Node {
    root: Root<SupervisorRef>,
    slots: Slots,
    endpoint: Endpoint,
    fronts: Fronts,
    orders: Orders,
    reload: Option<Reload>,
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
        // Boxed, as the whole of a node's parts is in it.
        Box::pin(Setup::new(config, doors).hosting(hosted).start()).await
    }

    /// Where MCP is served over HTTP; port 0 where it isn't.
    pub fn http_address(&self) -> SocketAddr {
        self.fronts.public.as_ref().map_or(NOWHERE, |front| front.socket.address())
    }

    /// Where operators look; port 0 where they can't.
    pub fn metrics_address(&self) -> SocketAddr {
        self.fronts.operators.as_ref().map_or(NOWHERE, |front| front.socket.address())
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

    /// All upstreams.
    pub fn upstreams(&self) -> &Upstreams {
        &self.endpoint.0.upstreams
    }

    /// Reads the configuration again, and applies what changed, while all else goes on; the log
    /// tells how it went.
    pub fn reload(&self) {
        match &self.reload {
            Some(reload) => reload.start(),
            None => tracing::warn!("this node has no configuration to read again"),
        }
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
        if let Some(public) = &self.fronts.public {
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
        // Side by side, which a supervisor does not do.
        parts.upstreams.close().await;
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
        if let Some(control) = &self.fronts.control {
            control.close().await;
        }
        stopped.unwrap_or(ExitReason::Killed)
    }

    /// Ends everything at once.
    pub fn kill(&self) {
        self.end();
        if let Some(control) = &self.fronts.control {
            control.abort();
        }
    }

    /// Ends all but conversations with operators.
    fn end(&self) {
        self.root.kill();
        for front in self.fronts.over_http() {
            front.close();
            front.connections.abort();
        }
        self.ends.close();
    }

    async fn connections_closed(&self) {
        if let Some(public) = &self.fronts.public {
            public.connections.closed().await;
        }
    }
}

/// Stands for a socket that isn't there.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
