//! Who wants to hear of which resources: what upstreams are asked to tell follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::catalogue::ServerName;
use crate::provider::{Circle, Who};

/// The interests of all clients, by server. Clones share them.
#[derive(Clone, Default)]
pub struct Interests(Arc<Mutex<HashMap<ServerName, Arc<Topic>>>>);

/// What is wanted of one server.
struct Topic {
    wanted: Mutex<BTreeMap<String, HashMap<Client, usize>>>,
    changed: watch::Sender<()>,
}

/// One client, as far as servers tell clients apart. It may want the same several times.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Client {
    principal: Arc<str>,
    session: Option<Arc<str>>,
}

impl Client {
    fn new(who: &Who) -> Self {
        Self { principal: Arc::clone(&who.principal), session: who.session.clone() }
    }

    fn who(&self) -> Who {
        let (principal, session) = (Arc::clone(&self.principal), self.session.clone());
        Who { principal, session, later: None }
    }
}

/// One client's interest in one resource; dropping it ends it.
pub struct Interest {
    topic: Arc<Topic>,
    uri: String,
    client: Client,
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interest").field(&self.uri).finish()
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut wanted = self.topic.wanted();
        let Some(clients) = wanted.get_mut(&self.uri) else { return };
        match clients.get_mut(&self.client) {
            Some(times) if *times > 1 => {
                *times -= 1;
                return;
            }
            _ => clients.remove(&self.client),
        };
        if clients.is_empty() {
            wanted.remove(&self.uri);
        }
        drop(wanted);
        self.topic.changed.send_replace(());
    }
}

impl Topic {
    fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, HashMap<Client, usize>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interests {
    /// A client wants to hear of a server's resource, as long as what this gives lives.
    pub fn add(&self, server: &ServerName, uri: &str, who: &Who) -> Interest {
        let (topic, client) = (self.topic(server), Client::new(who));
        let mut wanted = topic.wanted();
        let clients = wanted.entry(uri.to_owned()).or_default();
        let times = clients.entry(client.clone()).or_default();
        *times += 1;
        let is_new = *times == 1;
        drop(wanted);
        if is_new {
            topic.changed.send_replace(());
        }
        Interest { topic, uri: uri.to_owned(), client }
    }

    /// What those of a circle want to hear of.
    pub fn of(&self, server: &ServerName, circle: &Circle) -> BTreeSet<String> {
        let topic = self.topic(server);
        let wanted = topic.wanted();
        let theirs = |clients: &HashMap<Client, usize>| {
            clients.keys().any(|client| circle.includes(&client.who()))
        };
        wanted.iter().filter(|(_, clients)| theirs(clients)).map(|(uri, _)| uri.clone()).collect()
    }

    /// All who want to hear of any of a server's resources.
    pub fn clients(&self, server: &ServerName) -> Vec<Who> {
        let topic = self.topic(server);
        let wanted = topic.wanted();
        let clients: HashSet<&Client> = wanted.values().flat_map(HashMap::keys).collect();
        clients.into_iter().map(Client::who).collect()
    }

    /// Tells when something changed.
    pub fn watch(&self, server: &ServerName) -> watch::Receiver<()> {
        self.topic(server).changed.subscribe()
    }

    fn topic(&self, server: &ServerName) -> Arc<Topic> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Topic { wanted: Mutex::default(), changed: watch::Sender::new(()) };
        Arc::clone(topics.entry(Arc::clone(server)).or_insert_with(|| Arc::new(new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(principal: &str, session: Option<&str>) -> Who {
        Who { principal: principal.into(), session: session.map(Arc::from), later: None }
    }

    #[test]
    fn interests_are_counted_and_end_when_they_are_dropped() {
        let (interests, server) = (Interests::default(), ServerName::from("git"));
        let mut changed = interests.watch(&server);
        let of = |circle: &Circle| interests.of(&server, circle).into_iter().collect::<Vec<_>>();
        let (one, two) = (who("ann", Some("1")), who("bob", Some("2")));
        let first = interests.add(&server, "x://a", &one);
        let again = interests.add(&server, "x://a", &one);
        let other = interests.add(&server, "x://b", &two);
        assert!(changed.has_changed().unwrap());
        changed.mark_unchanged();
        assert_eq!(of(&Circle::All), ["x://a", "x://b"]);
        assert_eq!(of(&Circle::Principal("ann".into())), ["x://a"]);
        assert_eq!(of(&Circle::Session("2".into())), ["x://b"]);
        drop(first);
        assert!(!changed.has_changed().unwrap(), "it is wanted twice");
        drop(again);
        assert!(changed.has_changed().unwrap());
        assert_eq!(of(&Circle::All), ["x://b"]);
        assert!(interests.of(&"other".into(), &Circle::All).is_empty());
        drop(other);
        assert!(interests.clients(&server).is_empty());
    }
}
