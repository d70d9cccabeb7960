//! What is known of each session, owned above the actors: it outlives their crashes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ractor::ActorRef;
use supervisors::ChildKey;
use tokio::sync::watch;
use uuid::Uuid;

use super::actor::Msg;
use super::events::Limits;
use super::machine::AskId;
use super::shelf::Shelf;
use super::streams::Streams;
use crate::catalogue::Scope;
use crate::protocol::handshake::{ClientInfo, Initialize};
use crate::protocol::{ClientCapabilities, Level, Revision};
use crate::provider::Who;
use crate::registry::Interest;
use crate::tasks::Owner;

/// How long a client may take to use its new session at all: probes and crashed clients never do,
/// and must not fill the table for a day.
const UNUSED: Duration = Duration::from_secs(60);
/// One of this many sessions makes room at once, where the table is full.
const SHARE: usize = 100;

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

/// Resources that one session may be told of.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Bytes of their URIs together.
const SUBSCRIPTION_BYTES: usize = 256 * 1024;
/// What a client gets that never said which messages it wants.
const DEFAULT_LEVEL: Level = Level::Info;

/// How a client reaches its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
    /// Standard input and output.
    Stdio,
}

impl Transport {
    /// The name used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

/// An open stream or a running request: the session is in use as long as there is one.
#[derive(Debug)]
pub struct InUse(Arc<Record>);

impl InUse {
    /// Notes that a session is in use.
    pub fn of(record: &Arc<Record>) -> Self {
        record.uses.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(record))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.touch();
        self.0.uses.fetch_sub(1, Ordering::Relaxed);
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
    /// What its client can do.
    pub capabilities: ClientCapabilities,
    /// How its client reaches it.
    pub transport: Transport,
    /// When it was opened.
    pub born: Instant,
    /// What its client is sent by itself, and answers that come as events.
    pub streams: Streams,
    /// The least grave log messages that its client wants.
    level: AtomicU8,
    subscriptions: Mutex<BTreeMap<String, Option<Interest>>>,
    /// The number of the next request of ours to the client.
    next_ask: AtomicU64,
    /// Open event streams and running requests: each is a sign of life.
    uses: AtomicUsize,
    actor: watch::Sender<Option<ActorRef<Msg>>>,
    /// The child of the dynamic supervisor; unknown until its first start is told.
    child: Mutex<Option<ChildKey>>,
    /// Which incarnation of the actor runs, counting from 1.
    generation: AtomicU64,
    /// When the table was made, from which on signs of life are counted.
    epoch: Instant,
    /// Milliseconds between that and the last sign of the client.
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

    /// Notes a sign of life.
    pub fn touch(&self) {
        self.last_seen_ms.fetch_max(millis(self.epoch.elapsed()), Ordering::Relaxed);
    }

    /// The last sign of life, in milliseconds since the table's birth; none while it is in use.
    fn silent_since_ms(&self) -> Option<u64> {
        let is_used = self.uses.load(Ordering::Relaxed) > 0;
        (!is_used).then(|| self.last_seen_ms.load(Ordering::Relaxed))
    }

    /// The least grave log messages that its client wants.
    pub fn level(&self) -> Level {
        Level::from_u8(self.level.load(Ordering::Relaxed)).unwrap_or(DEFAULT_LEVEL)
    }

    /// Its client wants messages from this level on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level.into(), Ordering::Relaxed);
    }

    /// Its client wants to be told of a resource, and so its server is asked to tell; `false`
    /// where it named too many.
    pub fn subscribe(&self, uri: String, interest: Option<Interest>) -> bool {
        let mut subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = uri.len() + subscriptions.keys().map(String::len).sum::<usize>();
        let is_full = subscriptions.len() >= MAX_SUBSCRIPTIONS || bytes > SUBSCRIPTION_BYTES;
        if is_full && !subscriptions.contains_key(&uri) {
            return false;
        }
        // One that has ended meanwhile would be interested for ever.
        let interest = interest.filter(|_| !self.has_ended());
        subscriptions.insert(uri, interest);
        true
    }

    /// Its client does not want that any more.
    pub fn unsubscribe(&self, uri: &str) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }

    /// Whether its client wants to be told of a resource.
    pub fn is_subscribed(&self, uri: &str) -> bool {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).contains_key(uri)
    }

    /// Its client is told of nothing any more.
    pub fn unsubscribe_all(&self) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Who its client is, as long as nobody is asked.
    pub fn who(&self) -> Who {
        Who { session: Some(self.owner().key()), ..Who::nobody() }
    }

    /// Whose its tasks are, as long as nobody is asked who they are.
    pub fn owner(&self) -> Owner {
        Owner::new(Arc::clone(&self.id.0))
    }

    /// The id of a new request of ours to the client.
    pub fn next_ask(&self) -> AskId {
        AskId::new(self.next_ask.fetch_add(1, Ordering::Relaxed))
    }

    /// All resources that its client wants to be told of.
    pub fn subscriptions(&self) -> Vec<String> {
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        subscriptions.keys().cloned().collect()
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
    limits: Limits,
    shelf: Shelf,
    /// Before this, in milliseconds since the birth, no session has been silent for long enough to
    /// make room.
    next_look_ms: AtomicU64,
    records: RwLock<HashMap<SessionId, Arc<Record>>>,
}

impl Table {
    /// An empty table for at most `max` sessions, each of which keeps events within `limits`, and
    /// all together what the shelf has room for.
    pub fn new(max: usize, limits: Limits, shelf: Shelf) -> Self {
        let (born, next_look_ms) = (Instant::now(), AtomicU64::new(0));
        Self(Arc::new(Inner { born, max, limits, shelf, next_look_ms, records: RwLock::default() }))
    }

    /// Opens a session; `None` where the table is full.
    pub fn open(
        &self,
        scope: Scope,
        transport: Transport,
        initialize: &Initialize,
    ) -> Option<Arc<Record>> {
        let record = Arc::new(Record {
            id: SessionId::random(),
            scope,
            revision: initialize.revision,
            client: initialize.client.clone(),
            capabilities: initialize.capabilities,
            transport,
            born: Instant::now(),
            streams: Streams::new(self.0.limits, self.0.shelf.clone()),
            level: AtomicU8::new(DEFAULT_LEVEL.into()),
            subscriptions: Mutex::default(),
            next_ask: AtomicU64::new(1),
            uses: AtomicUsize::new(0),
            actor: watch::Sender::new(None),
            child: Mutex::new(None),
            generation: AtomicU64::new(0),
            epoch: self.0.born,
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
        record.touch();
        Some(Arc::clone(record))
    }

    /// The session that owns tasks under this key.
    pub fn owner(&self, owner: &Owner) -> Option<Arc<Record>> {
        let records = self.0.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(&SessionId(owner.key())).cloned()
    }

    /// All sessions of this moment.
    pub fn all(&self) -> Vec<Arc<Record>> {
        let records = self.0.records.read().unwrap_or_else(PoisonError::into_inner);
        records.values().cloned().collect()
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
            r.silent_since_ms().is_some_and(|since| now.saturating_sub(since) >= limit)
        };
        records.values().filter(idle).cloned().collect()
    }

    /// How long there has been no sign of a session's client.
    pub fn silence(&self, record: &Record) -> Duration {
        let last_seen_ms = record.last_seen_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.now_ms().saturating_sub(last_seen_ms))
    }

    /// A hundredth of all sessions, and one at least: those that were silent for longest, for
    /// `limit` at least. Several at once, because to look at all of them for each new one is slow.
    pub fn silent_for_longest(&self, limit: Duration) -> Vec<Arc<Record>> {
        let now = self.now_ms();
        if now < self.0.next_look_ms.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let records = self.0.records.read().unwrap_or_else(PoisonError::into_inner);
        let silent = records.values().filter_map(|r| Some((r.silent_since_ms()?, r)));
        let mut silent: Vec<_> = silent.collect();
        let oldest = silent.iter().map(|(since, _)| *since).min().unwrap_or(now);
        let limit = millis(limit);
        silent.retain(|(since, _)| now.saturating_sub(*since) >= limit);
        if silent.is_empty() {
            // Until then no look finds any.
            self.0.next_look_ms.store(oldest.saturating_add(limit), Ordering::Relaxed);
            return Vec::new();
        }
        let count = (records.len() / SHARE).clamp(1, silent.len());
        silent.select_nth_unstable_by_key(count - 1, |(since, _)| *since);
        silent.into_iter().take(count).map(|(_, record)| Arc::clone(record)).collect()
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

    const LIMITS: Limits = Limits { events: 1, bytes: 1, age_ms: 1 };

    fn open(table: &Table, scope: Scope) -> Option<Arc<Record>> {
        let client = ClientInfo { name: "c".into(), version: "1".into() };
        let (revision, capabilities) = (Revision::V2025_11_25, Default::default());
        table.open(scope, Transport::Http, &Initialize { revision, client, capabilities })
    }

    #[test]
    fn sessions_are_bounded_and_found_on_their_endpoint_only() {
        let table = Table::new(2, LIMITS, Shelf::new(1));
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
    fn those_that_were_silent_for_longest_make_room() {
        let table = Table::new(300, LIMITS, Shelf::new(1));
        let records: Vec<_> = (0..300).map(|_| open(&table, Scope::Federated).unwrap()).collect();
        for (number, record) in records.iter().enumerate() {
            record.last_seen_ms.store(number as u64 % 100, Ordering::Relaxed);
        }
        let _stream = InUse::of(&records[100]);
        std::thread::yield_now();
        let silent = table.silent_for_longest(Duration::ZERO);
        let since: Vec<_> = silent.iter().map(|r| r.silent_since_ms().unwrap()).collect();
        assert_eq!(since.iter().filter(|since| **since == 0).count(), 2, "{since:?}");
        assert_eq!(since.len(), 3);
        assert!(table.silent_for_longest(Duration::from_secs(3_600)).is_empty());
        assert!(table.silent_for_longest(Duration::ZERO).is_empty(), "it looks later");
    }

    #[test]
    fn subscriptions_are_bounded() {
        let table = Table::new(2, LIMITS, Shelf::new(1));
        let record = open(&table, Scope::Federated).unwrap();
        for number in 0..MAX_SUBSCRIPTIONS {
            assert!(record.subscribe(number.to_string(), None));
        }
        assert!(
            !record.subscribe("more".to_owned(), None) && record.subscribe("0".to_owned(), None)
        );
        record.unsubscribe("0");
        assert!(record.subscribe("more".to_owned(), None) && !record.is_subscribed("0"));
        assert_eq!(record.subscriptions().len(), MAX_SUBSCRIPTIONS);
    }

    #[test]
    fn silent_sessions_are_told_apart() {
        let table = Table::new(2, LIMITS, Shelf::new(1));
        let record = open(&table, Scope::Federated).unwrap();
        assert!(table.idle(Duration::from_secs(3_600)).is_empty());
        assert_eq!(table.idle(Duration::ZERO).len(), 1);
        let stream = InUse::of(&record);
        assert!(table.idle(Duration::ZERO).is_empty(), "it has an open stream");
        drop(stream);
        assert_eq!(table.idle(Duration::ZERO).len(), 1);
        table.remove(&record);
        assert!(table.idle(Duration::ZERO).is_empty() && table.is_empty());
    }
}
