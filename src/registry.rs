//! The registry: the sole writer of the catalogue.
//!
//! *Owns* what each server announced. *Receives* announcements and withdrawals. *Sends* nothing:
//! it publishes a new snapshot, which readers load without asking anybody. *Fails when* a
//! definition can't be encoded. *Restarted by* the root; the snapshot lives above it, so readers
//! notice nothing, and a new incarnation goes on from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::catalogue::{Catalogue, ServerName, ToolDefinition};
use crate::provider::Provider;
use crate::provider::native::NativeServer;

/// What one server brings.
#[derive(Clone)]
pub struct Announcement {
    /// Its name.
    pub server: ServerName,
    /// Its tools.
    pub tools: Vec<ToolDefinition>,
    /// Who answers calls of them.
    pub provider: Arc<dyn Provider>,
}

impl From<Arc<NativeServer>> for Announcement {
    fn from(server: Arc<NativeServer>) -> Self {
        Self { server: Arc::clone(server.name()), tools: server.definitions(), provider: server }
    }
}

/// An immutable view of all servers.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// Which tools there are.
    pub catalogue: Catalogue,
    servers: BTreeMap<ServerName, Announcement>,
}

impl Snapshot {
    /// Who answers for a server.
    pub fn provider(&self, server: &str) -> Option<Arc<dyn Provider>> {
        self.servers.get(server).map(|announcement| Arc::clone(&announcement.provider))
    }
}

/// Where the snapshot is read; owned above the registry.
#[derive(Clone, Default)]
pub struct Published(Arc<ArcSwap<Snapshot>>);

impl Published {
    /// The snapshot of this moment.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// What the registry starts with.
#[derive(Clone)]
pub struct Config {
    /// Where it publishes.
    pub published: Published,
    /// The servers that are part of the process.
    pub natives: Vec<Arc<NativeServer>>,
}

/// What the registry is told.
pub enum Msg {
    /// A server is there, or its tools changed.
    Announce(Announcement),
    /// A server is gone for good.
    Withdraw(ServerName),
}

/// The actor.
pub struct Registry;

/// The actor's state.
pub struct RegistryState {
    published: Published,
    servers: BTreeMap<ServerName, Announcement>,
}

impl Actor for Registry {
    type Msg = Msg;
    type State = RegistryState;
    type Arguments = Config;

    async fn pre_start(
        &self,
        _: ActorRef<Msg>,
        config: Config,
    ) -> Result<RegistryState, ActorProcessingErr> {
        let servers = config.published.load().servers.clone();
        let mut state = RegistryState { published: config.published, servers };
        for native in config.natives {
            let announcement = Announcement::from(native);
            state.servers.insert(Arc::clone(&announcement.server), announcement);
        }
        state.publish()?;
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Msg>,
        message: Msg,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Announce(announcement) => {
                state.servers.insert(Arc::clone(&announcement.server), announcement);
            }
            Msg::Withdraw(server) => {
                state.servers.remove(&server);
            }
        }
        Ok(state.publish()?)
    }
}

impl RegistryState {
    fn publish(&self) -> serde_json::Result<()> {
        let announced = self.servers.iter().map(|(name, a)| (name, a.tools.as_slice()));
        let catalogue = Catalogue::build(announced)?;
        let snapshot = Snapshot { catalogue, servers: self.servers.clone() };
        self.published.0.store(Arc::new(snapshot));
        Ok(())
    }
}
