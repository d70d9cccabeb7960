//! What all keepers work with.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::board::Board;
use super::machine::State;
use super::measured::Measured;
use super::open::Open;
use super::pick::Picking;
use crate::catalogue::{Availability, Naming, ServerName};
use crate::provider::upstream::spec::Share;
use crate::provider::upstream::{Parked, UpstreamProvider};
use crate::registry::{Announcement, Published};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{UpstreamLabels, UpstreamRestartLabels};

/// Instances that start at once in a node.
const STARTS: usize = 16;

/// Times that no configuration names.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long the catalogue lists what a server has after it was lost: a quick restart doesn't
    /// make all clients list again.
    pub grace: Duration,
    /// How long an instance that starts keeps others from starting.
    pub rush: Duration,
    /// How long several changes of a server's lists are gathered before they are read.
    pub gather: Duration,
    /// How long a server may say nothing before it is asked whether it lives.
    pub ping_every: Duration,
    /// How long one without work may then take to answer.
    pub ping_patience: Duration,
    /// How long one that works on calls may say nothing at all.
    pub busy_patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(1),
            rush: Duration::from_secs(5),
            gather: Duration::from_millis(50),
            ping_every: Duration::from_secs(30),
            ping_patience: Duration::from_secs(10),
            // Longer than a request may take by default: a server that has one thread, and
            // computes, is slow, not dead.
            busy_patience: Duration::from_secs(120),
        }
    }
}

/// See the module's description. Clones share it.
#[derive(Clone)]
pub struct Shared {
    /// Where upstreams are announced.
    pub published: Published,
    /// Where they are counted.
    pub metrics: Metrics,
    /// Who opens the wires to them.
    pub opener: Arc<dyn Open>,
    /// Calls that wait for their clients.
    pub parked: Parked,
    /// Who shares an instance where a specification doesn't say.
    pub share: Share,
    /// How their tools are called on the federated endpoint.
    pub naming: Naming,
    /// Times.
    pub pace: Pace,
    pub(super) starts: Arc<Semaphore>,
    chance: RandomState,
}

impl Shared {
    /// Shared by the upstreams of one node; share and naming are the usual ones.
    pub fn new(
        published: Published,
        metrics: Metrics,
        opener: Arc<dyn Open>,
        parked: Parked,
    ) -> Self {
        Self {
            published,
            metrics,
            opener,
            parked,
            share: Share::Node,
            naming: Naming::default(),
            pace: Pace::default(),
            starts: Arc::new(Semaphore::new(STARTS)),
            chance: RandomState::new(),
        }
    }

    /// A random number between 0 and 1, which nobody's safety depends on.
    pub(super) fn jitter(&self) -> f64 {
        let hash = self.chance.hash_one(tokio::time::Instant::now());
        f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Tells the catalogue how an upstream stands.
    pub(super) fn announce(&self, board: &Arc<Board>, is_listed: bool) {
        let down = || Availability::Down { state: board.state().as_str(), cause: board.cause() };
        let (upstream, picking) = (Arc::clone(&board.name), Arc::new(Picking(Arc::clone(board))));
        let provider = UpstreamProvider::new(Arc::clone(&upstream), picking, self.parked.clone());
        let metrics = self.metrics.clone();
        self.published.announce(Announcement {
            server: Arc::clone(&board.name),
            part: board.part(),
            availability: if is_listed { Availability::There } else { down() },
            provider: Arc::new(Measured { upstream, provider, metrics }),
        });
    }

    /// Shows an upstream's state among the metrics.
    pub(super) fn show_state(&self, upstream: &ServerName, state: State) {
        for each in State::ALL {
            let labels = UpstreamLabels { upstream: Arc::clone(upstream), state: each.as_str() };
            self.metrics.upstream_state.get_or_create(&labels).set(i64::from(each == state));
        }
    }

    /// Takes an upstream that is gone out of the metrics.
    pub(super) fn hide_state(&self, upstream: &ServerName) {
        for each in State::ALL {
            let labels = UpstreamLabels { upstream: Arc::clone(upstream), state: each.as_str() };
            self.metrics.upstream_state.remove(&labels);
        }
    }

    /// Counts a restart.
    pub(super) fn count_restart(&self, upstream: &ServerName, reason: &'static str) {
        let upstream = Arc::clone(upstream);
        self.metrics
            .upstream_restarts
            .get_or_create(&UpstreamRestartLabels { upstream, reason })
            .inc();
    }
}
