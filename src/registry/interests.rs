//! Who wants to hear of which resources: what upstreams are asked to tell follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    wanted: Mutex<BTreeMap<String, Vec<Client>>>,
    changed: watch::Sender<()>,
}

/// One client, as often as it wants the same.
struct Client {
    who: Who,
    times: usize,
}

impl Client {
    fn is(&self, who: &Who) -> bool {
        self.who.principal == who.principal && self.who.session == who.session
    }
}

/// One client's interest in one resource; dropping it ends it.
pub struct Interest {
    topic: Arc<Topic>,
    uri: String,
    who: Who,
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
        let Some(at) = clients.iter().position(|client| client.is(&self.who)) else { return };
        let Some(client) = clients.get_mut(at) else { return };
        client.times -= 1;
        if client.times > 0 {
            return;
        }
        clients.swap_remove(at);
        if clients.is_empty() {
            wanted.remove(&self.uri);
        }
        drop(wanted);
        self.topic.changed.send_replace(());
    }
}

impl Topic {
    fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Client>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interests {
    /// A client wants to hear of a server's resource, as long as what this gives lives.
    pub fn add(&self, server: &ServerName, uri: &str, who: &Who) -> Interest {
        let topic = self.topic(server);
        // The way to the client is none of the interest's business.
        let who = Who { later: None, ..who.clone() };
        let mut wanted = topic.wanted();
        let clients = wanted.entry(uri.to_owned()).or_default();
        match clients.iter_mut().find(|client| client.is(&who)) {
            Some(client) => client.times += 1,
            None => clients.push(Client { who: who.clone(), times: 1 }),
        }
        drop(wanted);
        topic.changed.send_replace(());
        Interest { topic, uri: uri.to_owned(), who }
    }

    /// What those of a circle want to hear of.
    pub fn of(&self, server: &ServerName, circle: &Circle) -> BTreeSet<String> {
        let topic = self.topic(server);
        let wanted = topic.wanted();
        let theirs = |clients: &[Client]| clients.iter().any(|client| circle.includes(&client.who));
        wanted.iter().filter(|(_, c)| theirs(c)).map(|(uri, _)| uri.clone()).collect()
    }

    /// All who want to hear of any of a server's resources.
    pub fn clients(&self, server: &ServerName) -> Vec<Who> {
        let topic = self.topic(server);
        let wanted = topic.wanted();
        wanted.values().flatten().map(|client| client.who.clone()).collect()
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
