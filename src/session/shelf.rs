//! Room for what all sessions keep together: without it, many sessions that each keep little fill
//! the memory. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The room; clones share it.
#[derive(Debug, Clone)]
pub struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    bytes: AtomicUsize,
}

impl Shelf {
    /// Room for this many bytes.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { max, bytes: AtomicUsize::new(0) }))
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether more is kept than there is room for: then everybody keeps less.
    pub fn is_full(&self) -> bool {
        self.bytes() > self.0.max
    }

    /// So much more is kept.
    pub fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much less is kept.
    pub fn remove(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
