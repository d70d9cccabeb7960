//! Admission: how many requests may be in the node at once.
//!
//! A request without a permit is refused before anything is queued, so no mailbox grows.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits on requests. `[requests]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a request may take. Most clients give up at 60 seconds; work that nobody waits
    /// for is waste.
    pub timeout_ms: u64,
    /// Requests at once, until their clients have taken the answers: each holds memory.
    pub max_in_flight: u32,
    /// Requests of one session at once, so that no session can use up the node.
    pub max_in_flight_per_session: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { timeout_ms: 60_000, max_in_flight: 10_000, max_in_flight_per_session: 256 }
    }
}

impl Config {
    /// The time limit.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// The permits.
#[derive(Clone)]
pub struct Admission {
    permits: Arc<Semaphore>,
    max: u32,
    in_flight: Gauge,
}

/// A request that is in the node. Dropping it gives its place back, and the room of its body.
#[derive(Debug)]
pub struct InFlight {
    gauge: Gauge,
    _permit: OwnedSemaphorePermit,
    room: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    /// Keeps the room of the request's body as long as the request.
    #[must_use]
    pub fn with_room(mut self, room: OwnedSemaphorePermit) -> Self {
        self.room = Some(room);
        self
    }
}

impl Admission {
    /// As many permits as the configuration says; `in_flight` shows how many are out.
    pub fn new(config: &Config, in_flight: Gauge) -> Self {
        let permits = Arc::new(Semaphore::new(config.max_in_flight as usize));
        Self { permits, max: config.max_in_flight, in_flight }
    }

    /// Lets a request in, or not.
    pub fn admit(&self) -> Option<InFlight> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        self.in_flight.inc();
        Some(InFlight { gauge: self.in_flight.clone(), _permit: permit, room: None })
    }

    /// Requests in the node now.
    pub fn in_flight(&self) -> usize {
        (self.max as usize).saturating_sub(self.permits.available_permits())
    }

    /// Waits until no request is in the node; later ones wait outside as long as this does.
    pub async fn idle(&self) {
        // The semaphore is never closed.
        drop(self.permits.acquire_many(self.max).await);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_bound_and_come_back() {
        let gauge = Gauge::default();
        let config = Config { max_in_flight: 2, ..Config::default() };
        let admission = Admission::new(&config, gauge.clone());
        let (one, two) = (admission.admit(), admission.admit());
        assert!(one.is_some() && two.is_some() && admission.admit().is_none());
        assert_eq!((gauge.get(), admission.in_flight()), (2, 2));
        drop((one, two));
        admission.idle().await;
        assert_eq!((gauge.get(), admission.in_flight()), (0, 0));
    }
}
