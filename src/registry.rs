//! The registry: the sole writer of the catalogue.
//!
//! *Owns* what each server announced, and the tasks that listen to the hosted ones. *Receives*
//! announcements and withdrawals. *Sends* nothing: it publishes a new snapshot, which readers load
//! without asking anybody, and tells what changed to whoever listens. *Fails when* a definition
//! can't be encoded. *Restarted by* the root; the snapshot lives above it, so readers notice
//! nothing, and a new incarnation goes on from it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::catalogue::{Catalogue, Offer, Scope, ServerName};
use crate::protocol::Kind;
use crate::provider::{Event, Hosted, Provider};

/// How long a hosted server may take to say what it offers when the node starts.
const FIRST_OFFER: Duration = Duration::from_secs(2);
/// How long the background of a server that panicked rests: one that always does must not fill
/// the log.
const PAUSE: Duration = Duration::from_secs(1);
/// Changes that wait for who listens; who is further behind takes everything as changed.
const WAITING_CHANGES: usize = 1_024;

/// What one server brings.
#[derive(Clone)]
pub struct Announcement {
    /// Its name.
    pub server: ServerName,
    /// What it offers.
    pub offer: Arc<Offer>,
    /// Who answers for it.
    pub provider: Arc<dyn Provider>,
}

/// An immutable view of all servers.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// What there is.
    pub catalogue: Catalogue,
    servers: BTreeMap<ServerName, Announcement>,
}

impl Snapshot {
    /// Who answers for a server.
    pub fn provider(&self, server: &str) -> Option<Arc<dyn Provider>> {
        self.servers.get(server).map(|announcement| Arc::clone(&announcement.provider))
    }
}

/// What changed at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The server.
    pub server: ServerName,
    /// What changed there.
    pub what: Event,
}

impl Change {
    /// Whether an endpoint shows the server.
    pub fn is_seen_by(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Federated => true,
            Scope::Server(server) => *server == self.server,
        }
    }
}

/// Where the snapshot is read and changes are told; owned above the registry.
#[derive(Clone)]
pub struct Published {
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: broadcast::Sender<Change>,
}

impl Default for Published {
    fn default() -> Self {
        Self { snapshot: Arc::default(), changes: broadcast::Sender::new(WAITING_CHANGES) }
    }
}

impl Published {
    /// The snapshot of this moment.
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What will change from now on. Who falls behind has to take everything as changed.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn tell(&self, server: &ServerName, what: Event) {
        // Nobody may listen; that is no fault.
        let _ = self.changes.send(Change { server: Arc::clone(server), what });
    }
}

/// What the registry starts with.
#[derive(Clone)]
pub struct Config {
    /// Where it publishes.
    pub published: Published,
    /// The servers that are part of the process.
    pub hosted: Vec<Arc<dyn Hosted>>,
}

/// What the registry is told.
pub enum Msg {
    /// A server is there, or what it offers changed.
    Announce(Announcement),
    /// A server is gone for good.
    Withdraw(ServerName),
}

/// The actor.
pub struct Registry;

/// The actor's state. Dropping it ends the tasks.
pub struct RegistryState {
    published: Published,
    servers: BTreeMap<ServerName, Announcement>,
    _listening: JoinSet<()>,
}

impl Actor for Registry {
    type Msg = Msg;
    type State = RegistryState;
    type Arguments = Config;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        config: Config,
    ) -> Result<RegistryState, ActorProcessingErr> {
        let Config { published, hosted } = config;
        let servers = published.load().servers.clone();
        let mut listening = JoinSet::new();
        let mut first = Vec::new();
        for server in hosted {
            // Listening before asking: no change falls between the two.
            let events = server.events();
            match timeout(FIRST_OFFER, announcement(&server)).await {
                Ok(announcement) => first.extend(announcement),
                Err(_elapsed) => {
                    tracing::warn!(server = %server.name(), "slow to say what it offers");
                    let (myself, server) = (myself.clone(), Arc::clone(&server));
                    listening.spawn(async move {
                        if let Some(announcement) = announcement(&server).await {
                            let _ = myself.cast(Msg::Announce(announcement));
                        }
                    });
                }
            }
            listening.spawn(background(Arc::clone(&server)));
            listening.spawn(listen(server, events, published.clone(), myself.clone()));
        }
        let mut state = RegistryState { published, servers, _listening: listening };
        state.announce(first)?;
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Msg>,
        message: Msg,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Announce(announcement) => state.announce([announcement])?,
            Msg::Withdraw(server) => state.withdraw(&server)?,
        }
        Ok(())
    }
}

/// What a server offers; `None` where it panics, which leaves what was announced before.
async fn announcement(server: &Arc<dyn Hosted>) -> Option<Announcement> {
    let offer = AssertUnwindSafe(async { server.offer().await }).catch_unwind().await;
    let Ok(offer) = offer else {
        tracing::error!(server = %server.name(), "it panicked as it was asked what it offers");
        return None;
    };
    let (server, provider) = (server.name(), Arc::clone(server) as Arc<dyn Provider>);
    Some(Announcement { server, offer: Arc::new(offer), provider })
}

/// Runs what a server does by itself. Where that panics it is begun anew, after a pause.
async fn background(server: Arc<dyn Hosted>) {
    loop {
        let work = async {
            if let Some(work) = server.background() {
                work.await;
            }
        };
        if AssertUnwindSafe(work).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!(server = %server.name(), "its background panicked; it begins anew");
        sleep(PAUSE).await;
    }
}

/// Takes what a hosted server tells, until it is gone.
async fn listen(
    server: Arc<dyn Hosted>,
    mut events: broadcast::Receiver<Event>,
    published: Published,
    registry: ActorRef<Msg>,
) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => Event::Anything,
            Err(RecvError::Closed) => return,
        };
        // The announcement tells which lists changed.
        let lists = matches!(event, Event::ListChanged(_) | Event::Anything);
        if lists
            && let Some(announcement) = announcement(&server).await
            && registry.cast(Msg::Announce(announcement)).is_err()
        {
            return;
        }
        if !matches!(event, Event::ListChanged(_)) {
            published.tell(&server.name(), event);
        }
    }
}

/// A server, what it offered before, and what it offers now.
type Replaced = (ServerName, Option<Arc<Offer>>, Option<Arc<Offer>>);

impl RegistryState {
    fn announce(&mut self, all: impl IntoIterator<Item = Announcement>) -> serde_json::Result<()> {
        let mut changed = Vec::new();
        for announcement in all {
            let server = Arc::clone(&announcement.server);
            let new = Arc::clone(&announcement.offer);
            let old = self.servers.insert(Arc::clone(&server), announcement);
            changed.push((server, old.map(|old| old.offer), Some(new)));
        }
        self.publish(changed)
    }

    fn withdraw(&mut self, server: &ServerName) -> serde_json::Result<()> {
        let old = self.servers.remove(server).map(|old| old.offer);
        self.publish(vec![(Arc::clone(server), old, None)])
    }

    /// Publishes a snapshot, and tells which lists differ from the one before.
    fn publish(&self, changed: Vec<Replaced>) -> serde_json::Result<()> {
        let announced = self.servers.iter().map(|(name, a)| (name, &*a.offer));
        let catalogue = Catalogue::build(announced)?;
        let snapshot = Snapshot { catalogue, servers: self.servers.clone() };
        self.published.snapshot.store(Arc::new(snapshot));
        for (server, old, new) in changed {
            let list = |offer: &Option<Arc<Offer>>, kind| {
                offer.as_ref().map(|offer| offer.list(kind).to_vec()).unwrap_or_default()
            };
            for kind in Kind::ALL.into_iter().filter(|kind| list(&old, *kind) != list(&new, *kind))
            {
                self.published.tell(&server, Event::ListChanged(kind));
            }
        }
        Ok(())
    }
}
