//! What is known of each session, owned above the actors: it outlives their crashes.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ractor::ActorRef;
use supervisors::ChildKey;
use tokio::sync::watch;
use uuid::Uuid;

use super::actor::Msg;
use crate::catalogue::Scope;
use crate::protocol::Revision;
use crate::protocol::handshake::{ClientInfo, Initialize};

/// How long a client may take to use its new session at all: probes and crashed clients never do,
/// and must not fill the table for a day.
const UNUSED: Duration = Duration::from_secs(60);

/// A session's id: unguessable, 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    fn random() -> Self {
        // 122 bits from the operating system's generator.
        Self(Uuid::new_v4().simple().to_string().into())
    }

    /// The text in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One session.
#[derive(Debug)]
pub struct Record {
    /// Its id.
    pub id: SessionId,
    /// The endpoint that it was opened on; it exists on no other.
    pub scope: Scope,
    /// The revision that it follows.
    pub revision: Revision,
    /// Who opened it.
    pub client: ClientInfo,
    actor: watch::Sender<Option<ActorRef<Msg>>>,
    /// The child of the dynamic supervisor; unknown until its first start is told.
    child: Mutex<Option<ChildKey>>,
    /// Which incarnation of the actor runs, counting from 1.
    generation: AtomicU64,
    /// Milliseconds between the table's birth and the last sign of the client.
    last_seen_ms: AtomicU64,
    ended: AtomicBool,
    /// Whether the client ever came back with its id.
    used: AtomicBool,
}

impl Record {
    /// An incarnation of the actor has started.
    pub fn publish(&self, actor: ActorRef<Msg>) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.actor.send_replace(Some(actor));
    }

    /// The actor of this moment, and a way to wait for the next one. It may be dead already.
    pub fn actor(&self) -> watch::Receiver<Option<ActorRef<Msg>>> {
        self.actor.subscribe()
    }

    /// How many incarnations of the actor there have been.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the session is over, rather than its actor restarting.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// The child that the actor is to its supervisor.
    pub fn child(&self) -> Option<ChildKey> {
        *self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the child; gives the one before.
    pub fn set_child(&self, key: Option<ChildKey>) -> Option<ChildKey> {
        std::mem::replace(&mut *self.child.lock().unwrap_or_else(PoisonError::into_inner), key)
    }
}

/// All sessions by their ids. Access is short and never across an await.
#[derive(Debug, Clone)]
pub struct Table(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    max: usize,
    records: RwLock<HashMap<SessionId, Arc<Record>>>,
}

impl Table {
    /// An empty table for at most `max` sessions.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { born: Instant::now(), max, records: RwLock::default() }))
    }

    /// Opens a session; `None` where the table is full.
    pub fn open(&self, scope: Scope, initialize: &Initialize) -> Option<Arc<Record>> {
        let record = Arc::new(Record {
            id: SessionId::random(),
            scope,
            revision: initialize.revision,
            client: initialize.client.clone(),
            actor: watch::Sender::new(None),
            child: Mutex::new(None),
            generation: AtomicU64::new(0),
            last_seen_ms: AtomicU64::new(self.now_ms()),
            ended: AtomicBool::new(false),
            used: AtomicBool::new(false),
        });
        let mut records = self.0.records.write().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= self.0.max {
            return None;
        }
        records.insert(record.id.clone(), Arc::clone(&record));
        Some(record)
    }

    /// Finds a live session of an endpoint, and notes a sign of life.
    pub fn find(&self, id: &str, scope: &Scope) -> Option<Arc<Record>> {
        let records = self.0.records.read().unwrap_or_else(PoisonError::into_inner);
        let record = records.get(&SessionId(id.into())).filter(|record| record.scope == *scope)?;
        record.used.store(true, Ordering::Relaxed);
        self.touch(record);
        Some(Arc::clone(record))
    }

    /// Notes a sign of life.
    pub fn touch(&self, record: &Record) {
        record.last_seen_ms.fetch_max(self.now_ms(), Ordering::Relaxed);
    }

    /// Takes a session out: its id is unknown from now on. `false` where it was out already.
    pub fn remove(&self, record: &Record) -> bool {
        record.ended.store(true, Ordering::SeqCst);
        let mut records = self.0.records.write().unwrap_or_else(PoisonError::into_inner);
        records.remove(&record.id).is_some()
    }

    /// The sessions without a sign of life for `limit`.
    pub fn idle(&self, limit: Duration) -> Vec<Arc<Record>> {
        let (now, limit) = (self.now_ms(), millis(limit));
        let unused = limit.min(millis(UNUSED));
        let records = self.0.records.read().unwrap_or_else(PoisonError::into_inner);
        let idle = |r: &&Arc<Record>| {
            let limit = if r.used.load(Ordering::Relaxed) { limit } else { unused };
            now.saturating_sub(r.last_seen_ms.load(Ordering::Relaxed)) >= limit
        };
        records.values().filter(idle).cloned().collect()
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.0.records.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn now_ms(&self) -> u64 {
        millis(self.0.born.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(table: &Table, scope: Scope) -> Option<Arc<Record>> {
        let client = ClientInfo { name: "c".into(), version: "1".into() };
        let (revision, capabilities) = (Revision::V2025_11_25, Default::default());
        table.open(scope, &Initialize { revision, client, capabilities })
    }

    #[test]
    fn sessions_are_bounded_and_found_on_their_endpoint_only() {
        let table = Table::new(2);
        let one = open(&table, Scope::Federated).unwrap();
        let two = open(&table, Scope::Server("demo".into())).unwrap();
        assert!(open(&table, Scope::Federated).is_none());
        assert!(table.find(one.id.as_str(), &Scope::Federated).is_some());
        assert!(table.find(two.id.as_str(), &Scope::Federated).is_none());
        assert!(table.find("", &Scope::Federated).is_none());
        assert!(table.remove(&one) && !table.remove(&one) && one.has_ended());
        assert!(open(&table, Scope::Federated).is_some());
    }

    #[test]
    fn silent_sessions_are_told_apart() {
        let table = Table::new(2);
        let record = open(&table, Scope::Federated).unwrap();
        assert!(table.idle(Duration::from_secs(3_600)).is_empty());
        assert_eq!(table.idle(Duration::ZERO).len(), 1);
        table.remove(&record);
        assert!(table.idle(Duration::ZERO).is_empty() && table.is_empty());
    }
}
