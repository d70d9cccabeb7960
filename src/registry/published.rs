//! What the registry publishes, and what it publishes it from. Both outlive it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};

use super::interests::{Interest, Interests};
use crate::catalogue::{Availability, Catalogue, Part, Scope, ServerName, Standing};
use crate::protocol::Kind;
use crate::provider::{Circle, Event, Provider, Who};

/// Changes that wait for who listens; who is further behind takes everything as changed.
const WAITING_CHANGES: usize = 1_024;

/// What one server brings.
#[derive(Clone)]
pub struct Announcement {
    /// Its name.
    pub server: ServerName,
    /// What it has.
    pub part: Arc<Part>,
    /// Whether that is listed.
    pub availability: Availability,
    /// Who answers for it.
    pub provider: Arc<dyn Provider>,
}

impl Announcement {
    /// What is listed of it.
    fn listed(&self) -> Option<&Arc<Part>> {
        (self.availability == Availability::There).then_some(&self.part)
    }
}

type Servers = BTreeMap<ServerName, Announcement>;

/// An immutable view of all servers.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// What there is.
    pub catalogue: Catalogue,
    servers: Servers,
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
    /// For whom: a server may have an instance for each principal or session.
    pub circle: Circle,
}

impl Change {
    /// Whether it is of an endpoint's server, and for this client.
    pub fn is_seen_by(&self, scope: &Scope, who: &Who) -> bool {
        let shown = match scope {
            Scope::Federated => true,
            Scope::Server(server) => *server == self.server,
        };
        shown && self.circle.includes(who)
    }
}

/// Where the snapshot is read and changes are told; owned above the registry.
#[derive(Clone)]
pub struct Published(Arc<Inner>);

struct Inner {
    snapshot: ArcSwap<Snapshot>,
    changes: broadcast::Sender<Change>,
    /// What the next snapshot will show.
    announced: Mutex<Servers>,
    news: Notify,
    interests: Interests,
}

impl Default for Published {
    fn default() -> Self {
        Self(Arc::new(Inner {
            snapshot: ArcSwap::default(),
            changes: broadcast::Sender::new(WAITING_CHANGES),
            announced: Mutex::default(),
            news: Notify::new(),
            interests: Interests::default(),
        }))
    }
}

impl Published {
    /// The snapshot of this moment.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// What will change from now on. Who falls behind has to take everything as changed.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Who wants to hear of which resources.
    pub fn interests(&self) -> &Interests {
        &self.0.interests
    }

    /// Notes that a client wants to hear of a resource, as long as what this gives lives. Nothing
    /// for a resource that no server is known to have.
    pub fn subscribe(&self, scope: &Scope, uri: &str, who: &Who) -> Option<Interest> {
        let snapshot = self.load();
        let server = match snapshot.catalogue.find_resource(scope, uri) {
            Some(entry) => Arc::clone(&entry.server),
            None => match scope {
                Scope::Server(server) => Arc::clone(server),
                Scope::Federated => return None,
            },
        };
        Some(self.0.interests.add(&server, uri, who))
    }

    /// A server is there, or something of it changed: the next snapshot shows it.
    pub fn announce(&self, announcement: Announcement) {
        self.servers().insert(Arc::clone(&announcement.server), announcement);
        self.0.news.notify_one();
    }

    /// A server is gone for good.
    pub fn withdraw(&self, server: &str) {
        self.servers().remove(server);
        self.0.news.notify_one();
    }

    /// Tells that something happened at a server.
    pub fn tell(&self, server: &ServerName, what: Event, circle: Circle) {
        // Nobody may listen; that is no fault.
        let _ = self.0.changes.send(Change { server: Arc::clone(server), what, circle });
    }

    /// Waits until something is announced that is perhaps not published yet.
    pub(super) async fn announced(&self) {
        self.0.news.notified().await;
    }

    /// Publishes what is announced, and tells which lists differ from those before.
    pub(super) fn publish(&self) {
        let servers = self.servers().clone();
        let standing = |announcement: &Announcement| Standing {
            part: Arc::clone(&announcement.part),
            availability: announcement.availability.clone(),
        };
        let catalogue = servers.iter().map(|(name, a)| (Arc::clone(name), standing(a))).collect();
        let snapshot = Arc::new(Snapshot { catalogue: Catalogue::of(catalogue), servers });
        let before = self.0.snapshot.swap(Arc::clone(&snapshot));
        let names: BTreeSet<_> = before.servers.keys().chain(snapshot.servers.keys()).collect();
        for server in names {
            let listed = |servers: &Servers| servers.get(server).and_then(|a| a.listed().cloned());
            let (old, new) = (listed(&before.servers), listed(&snapshot.servers));
            for kind in Kind::ALL.into_iter().filter(|kind| differ(&old, &new, *kind)) {
                self.tell(server, Event::ListChanged(kind), Circle::All);
            }
        }
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.0.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a list looks different now.
fn differ(old: &Option<Arc<Part>>, new: &Option<Arc<Part>>, kind: Kind) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => !Arc::ptr_eq(old, new) && !old.lists_the_same(new, kind),
        (Some(part), None) | (None, Some(part)) => !part.own(kind).is_empty(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Definition, Naming, Offer};
    use crate::protocol::ResultObject;
    use crate::provider::{CallError, ProviderCall};
    use futures_util::future::BoxFuture;

    struct Nothing;

    impl Provider for Nothing {
        fn call(&self, _: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
            Box::pin(std::future::pending())
        }
    }

    fn announcement(server: &str, tools: &[&str], is_there: bool) -> Announcement {
        let server: ServerName = server.into();
        let define = |name: &&str| Definition {
            name: (*name).to_owned(),
            members: ResultObject::of(&serde_json::json!({ "name": name })).unwrap(),
        };
        let offer = Offer { tools: tools.iter().map(define).collect(), ..Offer::default() };
        let part = Arc::new(Part::new(&server, &offer, Naming::default()).unwrap());
        let down = Availability::Down { state: "restarting", cause: "".into() };
        let availability = if is_there { Availability::There } else { down };
        Announcement { server, part, availability, provider: Arc::new(Nothing) }
    }

    #[test]
    fn only_lists_that_look_different_are_told() {
        let (published, mut told) = (Published::default(), Vec::new());
        let mut changes = published.changes();
        let steps = [
            ("comes", Some(announcement("a", &["x"], true)), 1),
            ("says the same again", Some(announcement("a", &["x"], true)), 0),
            ("has another", Some(announcement("a", &["x", "y"], true)), 1),
            ("is lost", Some(announcement("a", &["x", "y"], false)), 1),
            ("is still lost", Some(announcement("a", &["x", "y"], false)), 0),
            ("changes unseen", Some(announcement("a", &["z"], false)), 0),
            ("is back", Some(announcement("a", &["z"], true)), 1),
            ("goes", None, 1),
        ];
        for (what, step, changed) in steps {
            match step {
                Some(announcement) => published.announce(announcement),
                None => published.withdraw("a"),
            }
            published.publish();
            told.clear();
            while let Ok(change) = changes.try_recv() {
                assert_eq!(change.what, Event::ListChanged(Kind::Tools), "{what}");
                told.push(change);
            }
            assert_eq!(told.len(), changed, "{what}");
        }
        assert!(published.load().provider("a").is_none());
    }
}
