//! The registry: the sole writer of the catalogue.
//!
//! *Owns* the tasks that listen to the hosted servers. *Receives* word that something was
//! announced. *Sends* nothing: it publishes a new snapshot, which readers load without asking
//! anybody, and tells what changed to whoever listens. *Fails when* a part of it panics.
//! *Restarted by* the root; what is announced and the snapshot live above it, so readers notice
//! nothing, nothing is lost, and a new incarnation goes on from there.

pub mod interests;
pub mod published;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use interests::{Interest, Interests};
pub use published::{Announcement, Change, Published, Snapshot};

use crate::catalogue::{Availability, Naming, Part};
use crate::provider::{Circle, Event, Hosted, Provider};

/// How long a hosted server may take to say what it offers when the node starts.
const FIRST_OFFER: Duration = Duration::from_secs(2);
/// How long the background of a server that panicked rests: one that always does must not fill
/// the log.
const PAUSE: Duration = Duration::from_secs(1);

/// What the registry starts with.
#[derive(Clone)]
pub struct Config {
    /// Where it publishes.
    pub published: Published,
    /// The servers that are part of the process.
    pub hosted: Vec<Arc<dyn Hosted>>,
    /// How their tools are called on the federated endpoint.
    pub naming: Naming,
}

/// What the registry is told.
pub enum Msg {
    /// Something was announced or withdrawn.
    Look,
}

/// The actor.
pub struct Registry;

/// The actor's state. Dropping it ends the tasks.
pub struct RegistryState {
    published: Published,
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
        let Config { published, hosted, naming } = config;
        let mut listening = JoinSet::new();
        for First { server, events, is_told } in first_offers(hosted, &naming, &published).await {
            if !is_told {
                tracing::warn!(server = %server.name(), "slow to say what it offers");
                let (server, published) = (Arc::clone(&server), published.clone());
                let naming = naming.clone();
                listening.spawn(async move { announce(&server, &naming, &published).await });
            }
            listening.spawn(background(Arc::clone(&server)));
            listening.spawn(listen(server, events, naming.clone(), published.clone()));
        }
        let announced = published.clone();
        listening.spawn(async move {
            loop {
                announced.announced().await;
                if myself.cast(Msg::Look).is_err() {
                    return;
                }
            }
        });
        published.publish();
        Ok(RegistryState { published, _listening: listening })
    }

    async fn handle(
        &self,
        _: ActorRef<Msg>,
        message: Msg,
        state: &mut RegistryState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Look => state.published.publish(),
        }
        Ok(())
    }
}

/// A hosted server that was asked what it offers.
struct First {
    server: Arc<dyn Hosted>,
    /// What it told since.
    events: broadcast::Receiver<Event>,
    /// Whether it said so in time.
    is_told: bool,
}

/// Asks all servers at once: one that is slow keeps no other waiting.
async fn first_offers(
    hosted: Vec<Arc<dyn Hosted>>,
    naming: &Naming,
    published: &Published,
) -> Vec<First> {
    let ask = |server: Arc<dyn Hosted>| async move {
        // Listening before asking: no change falls between the two.
        let events = server.events();
        let is_told = timeout(FIRST_OFFER, announce(&server, naming, published)).await.is_ok();
        First { server, events, is_told }
    };
    join_all(hosted.into_iter().map(ask)).await
}

/// Announces what a server offers. Where it panics, what was announced before stays.
async fn announce(server: &Arc<dyn Hosted>, naming: &Naming, published: &Published) {
    let offer = AssertUnwindSafe(async { server.offer().await }).catch_unwind().await;
    let Ok(offer) = offer else {
        tracing::error!(server = %server.name(), "it panicked as it was asked what it offers");
        return;
    };
    let (name, provider) = (server.name(), Arc::clone(server) as Arc<dyn Provider>);
    match Part::new(&name, &offer, naming.clone()) {
        Ok(part) => published.announce(Announcement {
            server: name,
            part: Arc::new(part),
            availability: Availability::There,
            provider,
        }),
        Err(error) => tracing::error!(server = %name, %error, "its offer can't be written"),
    }
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
    naming: Naming,
    published: Published,
) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => Event::Anything,
            Err(RecvError::Closed) => return,
        };
        // The announcement tells which lists changed.
        if matches!(event, Event::ListChanged(_) | Event::Anything) {
            announce(&server, &naming, &published).await;
        }
        if !matches!(event, Event::ListChanged(_)) {
            published.tell(&server.name(), event, Circle::All);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use tokio::time::Instant;

    use super::*;
    use crate::catalogue::{Offer, ServerName};
    use crate::protocol::ResultObject;
    use crate::provider::{CallError, ProviderCall};

    /// It never says what it offers.
    struct Mute(broadcast::Sender<Event>);

    impl Provider for Mute {
        fn call(&self, _: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
            std::future::pending().boxed()
        }
    }

    impl Hosted for Mute {
        fn name(&self) -> ServerName {
            "mute".into()
        }

        fn offer(&self) -> BoxFuture<'static, Offer> {
            std::future::pending().boxed()
        }

        fn events(&self) -> broadcast::Receiver<Event> {
            self.0.subscribe()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_servers_are_waited_for_side_by_side() {
        let mute = || Arc::new(Mute(broadcast::Sender::new(1))) as Arc<dyn Hosted>;
        let start = Instant::now();
        let (all, naming) = ((0..10).map(|_| mute()).collect(), Naming::default());
        let first = first_offers(all, &naming, &Published::default()).await;
        assert!(first.len() == 10 && first.iter().all(|first| !first.is_told));
        assert_eq!(start.elapsed(), FIRST_OFFER);
    }
}
