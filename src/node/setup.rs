//! What a node is made of, and its start.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field::display;

use super::fronts::{Front, Fronts};
use super::reload::{Load, Reload};
use super::{Doors, Ends, LAST_ANSWERS, Node, NodeError, STOP_GRACE};
use crate::admission::Admission;
use crate::catalogue::Naming;
use crate::config::{Config, environment};
use crate::protocol::meta::ServerInfo;
use crate::provider::Hosted;
use crate::provider::upstream::Parked;
use crate::provider::upstream::process::Launcher;
use crate::registry::{self, Published};
use crate::session::rounds::Rounds;
use crate::session::seal::Seal;
use crate::session::shelf::Shelf;
use crate::session::{self, Sessions, Table, Work};
use crate::tasks::Tasks;
use crate::telemetry::supervision::RestartCounter;
use crate::telemetry::{Health, Metrics, Status};
use crate::transport::control::{self, Methods, Orders};
use crate::transport::http::body::Room;
use crate::transport::http::endpoint::{Endpoint, Parts};
use crate::transport::http::sse2024;
use crate::transport::pipe;
use crate::transport::stdio::Stdio;
use crate::tree::{self, Slots, tree};
use crate::upstreams::{Open, Pace, Shared, Specs, Upstreams, Wires};

/// What a node is made of.
pub struct Setup {
    config: Config,
    doors: Doors,
    hosted: Vec<Arc<dyn Hosted>>,
    opener: Arc<dyn Open>,
    pace: Pace,
    load: Option<Load>,
}

impl Setup {
    /// A node with the servers behind it that the configuration names, and none in its process.
    pub fn new(config: Config, doors: impl Into<Doors>) -> Self {
        let pace = Pace { grace: config.upstreams.list_grace(), ..Pace::default() };
        Self {
            config,
            doors: doors.into(),
            hosted: Vec::new(),
            opener: Arc::new(Wires { launcher: Launcher::own(&environment()) }),
            pace,
            load: None,
        }
    }

    /// With these servers in its process.
    #[must_use]
    pub fn hosting(mut self, hosted: Vec<Arc<dyn Hosted>>) -> Self {
        self.hosted = hosted;
        self
    }

    /// With these servers behind it.
    #[must_use]
    pub fn with_upstreams(mut self, upstreams: Specs) -> Self {
        self.config.mcp_servers = upstreams;
        self
    }

    /// With a configuration that can be read again.
    #[must_use]
    pub fn reloading(mut self, load: Load) -> Self {
        self.load = Some(load);
        self
    }

    /// With another way to reach them.
    #[must_use]
    pub fn opened_by(mut self, opener: Arc<dyn Open>) -> Self {
        self.opener = opener;
        self
    }

    /// With other times for their supervision.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// How long requests in flight may take when it stops.
    pub fn drain(&self) -> Duration {
        self.config.shutdown.drain()
    }

    /// Starts it.
    ///
    /// # Errors
    /// Where a socket or the tree fails.
    pub async fn start(self) -> Result<Node, NodeError> {
        let Self { config, doors, hosted, opener, pace, load } = self;
        let (slots, published, metrics) =
            (Slots::default(), Published::default(), Metrics::default());
        let fronts = Fronts::open(doors.http, doors.metrics, doors.control, &config)?;
        let (delay, naming) = (config.shutdown.delay(), naming(&config));
        let mut shared = Shared::new(published.clone(), metrics.clone(), opener, Parked::default());
        (shared.naming, shared.pace) = (naming.clone(), pace);
        let upstreams = Upstreams::new(config.mcp_servers.clone(), shared);
        let endpoint = endpoint(&config, &slots, &published, metrics, upstreams);
        let parts = &endpoint.0;
        let reload = load.map(|load| {
            let (upstreams, metrics) = (parts.upstreams.clone(), parts.metrics.clone());
            Reload::new(load, config.clone(), upstreams, metrics)
        });
        let methods = Methods(Arc::new(control::methods::Parts {
            endpoint: endpoint.clone(),
            root: OnceLock::new(),
            orders: Orders::default(),
            stop_limit: STOP_GRACE + LAST_ANSWERS + parts.upstreams.stop_limit(),
            drain_limit: delay + config.shutdown.drain(),
            reload: reload.clone().map(Reload::by_operators),
        }));
        let ends = TaskTracker::new();
        let stdio = doors.stdio.map(|Ends { reader, writer }| {
            let room = pipe::room(&endpoint);
            Stdio::new(reader, writer, parts.http.body_limit_bytes, room, &ends)
        });
        let root = tree(tree::Parts {
            slots: slots.clone(),
            registry: registry::Config { published: published.clone(), hosted, naming },
            upstreams: parts.upstreams.clone(),
            tasks: parts.work.tasks.clone(),
            session: session::actor::Config {
                work: parts.work.clone(),
                max_in_flight: config.requests.max_in_flight_per_session,
                ask_timeout: config.sessions.ask_timeout(),
            },
            sessions: parts.sessions.clone(),
            published,
            transports: fronts.transports(&endpoint, &methods, stdio.clone()),
            observer: Arc::new(RestartCounter(parts.metrics.clone())),
        });
        let root = root.start().await?;
        let _ = methods.0.root.set((*root).clone());
        parts.health.reach(Status::Ok);
        let orders = methods.0.orders.clone();
        let node = Node { root, slots, endpoint, fronts, orders, reload, stdio, ends, delay };
        let address = |front: &Option<Front>| front.as_ref().map(|f| display(f.socket.address()));
        let (http, metrics) = (address(&node.fronts.public), address(&node.fronts.operators));
        tracing::info!(http, metrics, "the node serves");
        Ok(node)
    }
}

/// How tools and prompts are called on the federated endpoint.
fn naming(config: &Config) -> Naming {
    match config.upstreams.prefix_names {
        true => Naming::Prefixed(config.upstreams.separator.as_str().into()),
        false => Naming::Plain,
    }
}

/// What the key for the states of requests is derived for.
const STATES: &str = "erlmcp request state v1";

/// What all requests share.
fn endpoint(
    config: &Config,
    slots: &Slots,
    published: &Published,
    metrics: Metrics,
    upstreams: Upstreams,
) -> Endpoint {
    let health = Health::default();
    let request_timeout = config.requests.timeout();
    let tasks = Tasks::new(config.tasks.clone(), slots.tasks.clone(), metrics.clone());
    let shelf = Shelf::new(config.sessions.kept_total_bytes);
    let sessions = Sessions {
        table: Table::new(config.sessions.max, config.sessions.kept(), shelf),
        supervisor: slots.sessions.clone(),
        starts: TaskTracker::new(),
        config: config.sessions.clone(),
        tasks: tasks.clone(),
        upstreams: upstreams.clone(),
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
        http: config.http.clone(),
        work: Work {
            published: published.clone(),
            timeout: request_timeout,
            rounds,
            tasks,
            unsent: metrics.unsent(),
        },
        sessions,
        upstreams,
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
        node_name: config.node.name.clone(),
        started: Instant::now(),
    }))
}
