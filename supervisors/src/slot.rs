//! A reference that survives restarts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::child::{Child, ChildHandle, Leash};
use crate::exit::ExitReason;

/// Where a child can be found, whichever incarnation of it runs.
///
/// The supervisor fills the slot when the child has started, and empties it when it learns of its
/// end. Who needs a child of another branch keeps a slot, never the child's own reference, and so
/// does not have to be restarted with it. OTP uses registered names for this.
///
/// Between a child's end and the supervisor's notice the slot still holds the dead one: a message
/// sent to it fails, and the sender has to be ready for that, as in OTP.
///
/// ```
/// use supervisors::Slot;
///
/// let slot: Slot<u32> = Slot::new();
/// assert_eq!(slot.get(), None);
/// ```
#[derive(Debug)]
pub struct Slot<T>(Arc<watch::Sender<Option<Entry<T>>>>);

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    /// Tells this incarnation's entry from the next one's.
    lease: Arc<()>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl<T: Clone + Send + Sync + 'static> Slot<T> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is in it now.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        self.0.borrow().as_ref().map(|entry| entry.value.clone())
    }

    /// Waits until something is in it. There is no deadline: put a `timeout` around it.
    pub async fn wait(&self) -> T {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            if changes.changed().await.is_err() {
                // The sender is `self`, so it can't be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Fills the slot for as long as `handle` is kept.
    pub(crate) fn lend(&self, value: T, handle: Leash) -> impl ChildHandle {
        let lease = Arc::new(());
        self.0.send_replace(Some(Entry { value, lease: lease.clone() }));
        Lent { handle, slot: self.clone(), lease }
    }
}

impl<T: Clone + Send + Sync + 'static> Child<T> {
    /// Publishes what the child offers in `slot`, for as long as it runs. A child with a
    /// specification of its own is published by [`ChildSpec::slot`](crate::ChildSpec::slot).
    #[must_use]
    pub fn in_slot(self, slot: &Slot<T>) -> Self {
        let running = self.running.map(|(leash, value)| {
            let leash = Leash::new(slot.lend(value.clone(), leash));
            (leash, value)
        });
        Self { running }
    }
}

/// A child's handle that empties the slot when the supervisor lets go of it.
struct Lent<T> {
    handle: Leash,
    slot: Slot<T>,
    lease: Arc<()>,
}

impl<T: Send + Sync + 'static> ChildHandle for Lent<T> {
    fn shutdown(&self, reason: ExitReason) {
        self.handle.shutdown(reason);
    }

    fn kill(&self) {
        self.handle.kill();
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let mut old = None;
        self.slot.0.send_if_modified(|entry| {
            let mine = entry.as_ref().is_some_and(|entry| Arc::ptr_eq(&entry.lease, &self.lease));
            if mine {
                // Dropped outside of the lock, since its drop may look at the slot.
                old = entry.take();
            }
            mine
        });
    }
}
