//! All tasks, owned above the actors that work on them: by their ids, by their owners, and by when
//! they are forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep_until;

use super::Config;
use super::clock::Clock;
use super::record::{Owner, Record, Shared, TaskChange, TaskId};
use crate::telemetry::Metrics;

/// Changes that wait for who listens; who is further behind takes all tasks as changed.
const WAITING_CHANGES: usize = 1_024;
/// The mark tells our cursors from other Base64.
const CURSOR_MARK: &str = "task-after:";

/// A cursor that this node never gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCursor;

/// The table. Clones share it; access is short and never across an await.
#[derive(Clone)]
pub(super) struct Table(Arc<Inner>);

struct Inner {
    max: usize,
    max_per_owner: usize,
    shared: Arc<Shared>,
    index: Mutex<Index>,
    /// The next task to be forgotten is another one now.
    next_changed: Notify,
}

#[derive(Default)]
struct Index {
    by_id: HashMap<TaskId, Arc<Record>>,
    by_owner: HashMap<Owner, BTreeMap<Place, Arc<Record>>>,
    by_expiry: BTreeSet<(u64, TaskId)>,
}

/// Where a task stands among its owner's: when it was created, and its id. A cursor that names it
/// stays right whatever is forgotten meanwhile.
type Place = (u64, TaskId);

impl Table {
    pub(super) fn new(config: &Config, metrics: Metrics) -> Self {
        let shared = Shared {
            clock: Clock::start(),
            changes: broadcast::Sender::new(WAITING_CHANGES),
            metrics,
            poll_interval_ms: config.poll_interval_ms,
        };
        Self(Arc::new(Inner {
            max: config.max,
            max_per_owner: config.max_per_owner,
            shared: Arc::new(shared),
            index: Mutex::default(),
            next_changed: Notify::new(),
        }))
    }

    /// Opens a task.
    ///
    /// # Errors
    /// The limit that is reached, by its configuration key.
    pub(super) fn open(
        &self,
        owner: &Owner,
        tool: Arc<str>,
        ttl_ms: u64,
    ) -> Result<Arc<Record>, &'static str> {
        let mut index = self.lock();
        if index.by_id.len() >= self.0.max {
            return Err("tasks.max");
        }
        let owned = index.by_owner.get(owner).map_or(0, BTreeMap::len);
        if owned >= self.0.max_per_owner {
            return Err("tasks.max_per_owner");
        }
        let record = Record::new(self.0.shared.clone(), owner.clone(), tool, ttl_ms);
        let record = Arc::new(record);
        let tasks = index.by_owner.entry(owner.clone()).or_default();
        tasks.insert(place(&record), record.clone());
        index.by_id.insert(record.id.clone(), record.clone());
        index.by_expiry.insert((record.expires_ms, record.id.clone()));
        if index.by_expiry.first().is_some_and(|(_, id)| *id == record.id) {
            self.0.next_changed.notify_one();
        }
        Ok(record)
    }

    /// Finds an owner's task that isn't forgotten.
    pub(super) fn find(&self, owner: &Owner, id: &str) -> Option<Arc<Record>> {
        let now_ms = self.0.shared.clock.now_ms();
        let found = self.lock().by_id.get(id).cloned()?;
        (found.owner == *owner && found.expires_ms > now_ms).then_some(found)
    }

    /// One page of an owner's tasks, the oldest first, and where the next one begins.
    ///
    /// # Errors
    /// A cursor that is none of ours.
    pub(super) fn page(
        &self,
        owner: &Owner,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<(Vec<Arc<Record>>, Option<String>), BadCursor> {
        let after = cursor.map(decode_cursor).transpose()?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let now_ms = self.0.shared.clock.now_ms();
        let index = self.lock();
        let Some(tasks) = index.by_owner.get(owner) else { return Ok((Vec::new(), None)) };
        let live = tasks.range((from, Bound::Unbounded)).map(|(_, record)| record);
        let mut live = live.filter(|record| record.expires_ms > now_ms);
        let page: Vec<_> = live.by_ref().take(size).cloned().collect();
        let more = live.next().is_some();
        let next = page.last().filter(|_| more).map(|last| encode_cursor(last));
        Ok((page, next))
    }

    /// Takes a task out: its id is unknown from now on.
    pub(super) fn remove(&self, record: &Record) {
        self.lock().remove(record);
    }

    /// Takes out all that an owner has.
    pub(super) fn remove_all(&self, owner: &Owner) -> Vec<Arc<Record>> {
        let mut index = self.lock();
        let tasks = index.by_owner.remove(owner).unwrap_or_default();
        let tasks: Vec<_> = tasks.into_values().collect();
        tasks.iter().for_each(|record| index.remove(record));
        tasks
    }

    /// Takes out the tasks whose time is over.
    pub(super) fn expired(&self) -> Vec<Arc<Record>> {
        let now_ms = self.0.shared.clock.now_ms();
        let mut index = self.lock();
        let mut over = Vec::new();
        while let Some((expires_ms, id)) = index.by_expiry.first().cloned() {
            if expires_ms > now_ms {
                break;
            }
            index.by_expiry.pop_first();
            if let Some(record) = index.by_id.get(&id).cloned() {
                index.remove(&record);
                over.push(record);
            }
        }
        over
    }

    /// Waits until a task's time may be over.
    pub(super) async fn next_expiry(&self) {
        let changed = self.0.next_changed.notified();
        let next = self.lock().by_expiry.first().map(|(expires_ms, _)| *expires_ms);
        match next {
            Some(next) => {
                let next = sleep_until(self.0.shared.clock.at(next));
                tokio::select! {
                    () = next => {}
                    () = changed => {}
                }
            }
            None => changed.await,
        }
    }

    /// What will change from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<TaskChange> {
        self.0.shared.changes.subscribe()
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn remove(&mut self, record: &Record) {
        self.by_id.remove(&record.id);
        self.by_expiry.remove(&(record.expires_ms, record.id.clone()));
        if let Some(tasks) = self.by_owner.get_mut(&record.owner) {
            tasks.remove(&place(record));
            if tasks.is_empty() {
                self.by_owner.remove(&record.owner);
            }
        }
    }
}

fn place(record: &Record) -> Place {
    (record.created_ms, record.id.clone())
}

fn encode_cursor(record: &Record) -> String {
    let (created_ms, id) = (record.created_ms, record.id.as_str());
    URL_SAFE_NO_PAD.encode(format!("{CURSOR_MARK}{created_ms}:{id}"))
}

fn decode_cursor(cursor: &str) -> Result<Place, BadCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| BadCursor)?;
    let place = text.strip_prefix(CURSOR_MARK).and_then(|place| place.split_once(':'));
    let (created_ms, id) = place.ok_or(BadCursor)?;
    Ok((created_ms.parse().map_err(|_| BadCursor)?, TaskId::from(id)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn table(max: usize, max_per_owner: usize) -> Table {
        let config = Config { max, max_per_owner, ..Config::default() };
        Table::new(&config, Metrics::default())
    }

    fn owner(key: &str) -> Owner {
        Owner::new(key)
    }

    fn open(table: &Table, owner: &Owner, ttl_ms: u64) -> Result<Arc<Record>, &'static str> {
        table.open(owner, "tool".into(), ttl_ms)
    }

    fn is_bare(table: &Table) -> bool {
        let index = table.lock();
        index.by_id.is_empty() && index.by_owner.is_empty() && index.by_expiry.is_empty()
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_are_bounded_and_found_by_their_owner_only() {
        let (table, a, b) = (table(3, 2), owner("a"), owner("b"));
        let one = open(&table, &a, 1_000).unwrap();
        let two = open(&table, &a, 1_000).unwrap();
        assert_eq!(open(&table, &a, 1_000).err(), Some("tasks.max_per_owner"));
        let three = open(&table, &b, 1_000).unwrap();
        assert_eq!(open(&table, &b, 1_000).err(), Some("tasks.max"));
        assert!(table.find(&a, one.id.as_str()).is_some());
        assert!(table.find(&b, one.id.as_str()).is_none() && table.find(&a, "x").is_none());
        for record in [one, two, three] {
            table.remove(&record);
            table.remove(&record);
        }
        assert!(is_bare(&table) && open(&table, &a, 1_000).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_in_order_and_survive_what_is_forgotten() {
        let (table, a) = (table(100, 100), owner("a"));
        let mut records = Vec::new();
        for _ in 0..5 {
            records.push(open(&table, &a, 1_000).unwrap());
            advance(Duration::from_millis(1)).await;
        }
        open(&table, &owner("b"), 1_000).unwrap();
        let ids = |page: &[Arc<Record>]| page.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
        let (page, next) = table.page(&a, None, 2).unwrap();
        assert_eq!(ids(&page), ids(&records[..2]));
        table.remove(&records[1]);
        table.remove(&records[2]);
        let (page, next) = table.page(&a, next.as_deref(), 2).unwrap();
        assert_eq!((ids(&page), next), (ids(&records[3..]), None));
        assert_eq!(table.page(&owner("c"), None, 2).unwrap().0.len(), 0);
        let foreign = URL_SAFE_NO_PAD.encode("task-after:x:y");
        for bad in ["", "?", "YWZ0ZXI6MQ", &foreign] {
            assert_eq!(table.page(&a, Some(bad), 2).err(), Some(BadCursor), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_are_forgotten_in_time_whichever_comes_first() {
        let (table, a) = (table(100, 100), owner("a"));
        let late = open(&table, &a, 2_000).unwrap();
        let early = open(&table, &a, 500).unwrap();
        assert!(table.expired().is_empty());
        advance(Duration::from_millis(499)).await;
        assert!(table.find(&a, early.id.as_str()).is_some());
        advance(Duration::from_millis(1)).await;
        assert!(table.find(&a, early.id.as_str()).is_none());
        assert_eq!(table.page(&a, None, 9).unwrap().0.len(), 1);
        let over = table.expired();
        assert_eq!(over.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), [early.id.as_str()]);
        advance(Duration::from_millis(1_500)).await;
        assert_eq!(table.expired()[0].id, late.id);
        assert!(is_bare(&table));
    }
}
