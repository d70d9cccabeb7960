//! Open connections: where there is no room for another, the one that has done nothing for longest
//! makes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// All open connections of a listener; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Open(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    connections: Mutex<HashMap<u64, (Activity, CancellationToken)>>,
}

/// A connection's entry, as long as it is open.
#[derive(Debug)]
pub struct Entry {
    open: Open,
    number: u64,
    leaves: CancellationToken,
}

impl Entry {
    /// Waits until this connection has to make room.
    pub async fn has_to_leave(&self) {
        self.leaves.cancelled().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.connections().remove(&self.number);
    }
}

impl Open {
    /// A connection is open.
    pub fn enter(&self, activity: &Activity) -> Entry {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let leaves = CancellationToken::new();
        self.connections().insert(number, (activity.clone(), leaves.clone()));
        Entry { open: self.clone(), number, leaves }
    }

    /// Sends the connection away that has done nothing for longest, if for `least`.
    pub fn send_away(&self, least: Duration) {
        let connections = self.connections();
        let idle = connections.values().filter(|(_, leaves)| !leaves.is_cancelled());
        let idle = idle.filter_map(|(activity, leaves)| Some((activity.idle_for()?, leaves)));
        let longest = idle.max_by_key(|(time, _)| *time);
        if let Some((_, leaves)) = longest.filter(|(time, _)| *time >= least) {
            leaves.cancel();
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, (Activity, CancellationToken)>> {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_one_leaves_and_a_busy_one_stays() {
        let open = Open::default();
        let mut entries = Vec::new();
        let activities: Vec<_> = (0..4).map(|_| Activity::default()).collect();
        let _request = activities[0].begin();
        for activity in &activities {
            entries.push(open.enter(activity));
            tokio::time::sleep(Duration::from_secs(1)).await;
            activity.took();
        }
        let gone = |entries: &[Entry]| {
            entries.iter().map(|entry| entry.leaves.is_cancelled()).collect::<Vec<_>>()
        };
        open.send_away(Duration::from_secs(3));
        assert_eq!(gone(&entries), [false; 4], "none was idle for as long");
        open.send_away(Duration::from_secs(1));
        assert_eq!(gone(&entries), [false, true, false, false]);
        open.send_away(Duration::from_secs(1));
        assert_eq!(gone(&entries), [false, true, true, false]);
        entries.clear();
        assert!(open.connections().is_empty());
    }
}
