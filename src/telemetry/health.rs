//! The node's own view of its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where the node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// The tree is being started.
    Starting,
    /// Serving.
    Ok,
    /// Told to stop; finishes what is in flight.
    Draining,
    /// The root supervisor gave up.
    Failed,
}

impl Status {
    /// The word in `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }

    /// Whether new work should be sent here.
    pub fn is_ready(self) -> bool {
        self == Self::Ok
    }
}

/// The board that all probes read. It only ever moves forward: a draining node isn't ready again.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// The status of this moment.
    pub fn status(&self) -> Status {
        match self.0.load(Ordering::Acquire) {
            0 => Status::Starting,
            1 => Status::Ok,
            2 => Status::Draining,
            _ => Status::Failed,
        }
    }

    /// Moves forward to `status`.
    pub fn reach(&self, status: Status) {
        self.0.fetch_max(status as u8, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_moves_forward_only() {
        let health = Health::default();
        for status in [Status::Starting, Status::Ok, Status::Draining, Status::Failed] {
            health.reach(status);
            assert_eq!(health.status(), status);
            health.reach(Status::Ok);
        }
        assert_eq!(health.status(), Status::Failed);
    }
}
