//! What a supervisor holds of a child, and how it learns of its end.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::contain::contain;
use crate::exit::ExitReason;
use crate::machine::ChildKey;

/// What a supervisor needs of a running child, whatever it is made of.
///
/// Neither method waits: the child's end is told by its [`ExitGuard`].
pub trait ChildHandle: Send + Sync + 'static {
    /// Asks the child to end with this reason, `exit(Pid, shutdown)`.
    fn shutdown(&self, reason: ExitReason);

    /// Ends the child at its next await, `exit(Pid, kill)`.
    fn kill(&self);
}

/// A child that was started: its handle, and the value `T` that it offers to others.
///
/// Dropping it kills the child.
pub struct Child<T> {
    pub(crate) running: Option<(Leash, T)>,
}

/// A child's handle whose loss is the child's end, so that nothing is left without an owner.
///
/// A handle is somebody else's code. If it panics the child may go on, and then the supervisor's
/// patience ends; the supervisor itself and the child's siblings don't.
pub(crate) struct Leash(Option<Box<dyn ChildHandle>>);

impl Leash {
    pub(crate) fn new(handle: impl ChildHandle) -> Self {
        Self(Some(Box::new(handle)))
    }

    fn with(&self, act: impl FnOnce(&dyn ChildHandle)) {
        contain("a child's handle", || self.0.as_deref().map(act));
    }
}

impl ChildHandle for Leash {
    fn shutdown(&self, reason: ExitReason) {
        self.with(|handle| handle.shutdown(reason));
    }

    fn kill(&self) {
        self.with(ChildHandle::kill);
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // For a child that has ended, as most have that are let go of, this does nothing.
        self.kill();
        contain("a child's handle", || drop(self.0.take()));
    }
}

impl<T> Child<T> {
    /// A running child. The guard of its link must end with the child; see [`Link::guard`].
    ///
    /// [`Link::guard`]: crate::Link::guard
    pub fn new(handle: impl ChildHandle, value: T) -> Self {
        Self { running: Some((Leash::new(handle), value)) }
    }

    /// Replaces what the child offers.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Child<U> {
        Child { running: self.running.map(|(handle, value)| (handle, change(value))) }
    }
}

impl<T> std::fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Child").field("running", &self.running.is_some()).finish()
    }
}

/// What is known of a child's end.
#[derive(Debug, Default)]
pub(crate) struct ExitCell {
    /// The reason with which it was asked to end.
    asked: OnceLock<ExitReason>,
    /// The reason with which it ended.
    why: OnceLock<ExitReason>,
    /// Being asked is an end.
    obeys: AtomicBool,
    /// Its guard was made, so that its end will be told.
    guarded: AtomicBool,
    /// Its guard is gone, so that its end was told.
    ended: AtomicBool,
}

impl ExitCell {
    pub(crate) fn ask(&self, reason: ExitReason) {
        // The first to ask is the one that is obeyed.
        let _ = self.asked.set(reason);
    }

    /// Asks a child that does not trap exits: unless it ends by something else before, it ends by
    /// being asked.
    pub(crate) fn presume(&self, reason: ExitReason) {
        self.ask(reason);
        self.obeys.store(true, Ordering::Release);
    }

    pub(crate) fn asked(&self) -> Option<ExitReason> {
        self.asked.get().cloned()
    }

    pub(crate) fn set(&self, reason: ExitReason) {
        // Who knows first is right.
        let _ = self.why.set(reason);
    }

    /// Whether the child, or a part of it, is there.
    pub(crate) fn is_alive(&self) -> bool {
        self.guarded.load(Ordering::Acquire) && !self.has_ended()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn why(&self) -> ExitReason {
        // Nobody wrote a reason, so it was ended from outside.
        let asked = || self.asked.get().filter(|_| self.obeys.load(Ordering::Acquire));
        self.why.get().or_else(asked).cloned().unwrap_or(ExitReason::Killed)
    }
}

/// Tells the supervisor of a child's end when it is dropped.
///
/// Whatever makes up the child owns its guard (or a shared one) and drops it *last*, so that all
/// of the child's state is gone when the supervisor hears of its end and starts a new one. A drop
/// can't be skipped, so that a panic, an abort and the end of the runtime are told too.
#[derive(Debug)]
pub struct ExitGuard {
    key: ChildKey,
    run: u32,
    cell: Arc<ExitCell>,
    present: Presence,
}

impl ExitGuard {
    pub(crate) fn new(key: ChildKey, run: u32, cell: Arc<ExitCell>, home: Arc<Home>) -> Self {
        cell.guarded.store(true, Ordering::Release);
        Self { key, run, cell, present: Presence::new(home) }
    }

    /// Sets why the child ends. The first call counts; without one the reason is
    /// [`ExitReason::Killed`].
    pub fn set(&self, reason: ExitReason) {
        self.cell.set(reason);
    }

    pub(crate) fn cell(&self) -> Arc<ExitCell> {
        self.cell.clone()
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.cell.ended.store(true, Ordering::Release);
        (self.present.0.tell)(self.key, self.run, self.cell.why());
    }
}

/// Counts as one of a supervisor's children until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence(Arc<Home>);

impl Presence {
    pub(crate) fn new(home: Arc<Home>) -> Self {
        home.alive.fetch_add(1, Ordering::Relaxed);
        Self(home)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.0.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}

/// Where the children of one supervisor incarnation report to.
pub(crate) struct Home {
    tell: Box<dyn Fn(ChildKey, u32, ExitReason) + Send + Sync>,
    /// Guards that have not been dropped: running children, and zombies.
    alive: AtomicUsize,
    empty: Notify,
}

impl Home {
    pub(crate) fn new(
        tell: impl Fn(ChildKey, u32, ExitReason) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { tell: Box::new(tell), alive: AtomicUsize::new(0), empty: Notify::new() })
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Acquire)
    }

    /// Waits until no child is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.alive() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home").field("alive", &self.alive()).finish_non_exhaustive()
    }
}
