//! Parked calls: a server of the session era asked the client of a modern request, which can't be
//! asked while the request runs. The request has ended with the question, the call goes on at its
//! server, and waits here for the client's next request. Nobody works on a parked call meanwhile;
//! whatever comes for it is kept by its connection.
//!
//! Bounded in number, bytes and age. Dropping a parked call cancels it at its server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::legacy::Talk;
use crate::protocol::{Code, RpcError};

/// How many calls may be parked, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in the whole node.
    pub max: usize,
    /// Calls of one principal, where clients have to say who they are.
    pub max_per_principal: usize,
    /// Bytes of all their questions.
    pub max_bytes: usize,
    /// How long a client may take to come back.
    pub max_age: Duration,
}

impl Default for Limits {
    /// A call costs some KiB, and a server that asks holds something of its own for each. People
    /// answer within minutes; who comes later calls again.
    fn default() -> Self {
        Self {
            max: 1_000,
            max_per_principal: 16,
            max_bytes: 32 * 1024 * 1024,
            max_age: Duration::from_secs(600),
        }
    }
}

/// The parked calls of a node. Clones share them.
#[derive(Clone, Default)]
pub struct Parked(Arc<Inner>);

#[derive(Default)]
struct Inner {
    limits: Limits,
    calls: Mutex<HashMap<String, ParkedCall>>,
    /// One came into an empty place.
    came: Notify,
}

/// A call that waits for its client.
pub(super) struct ParkedCall {
    /// The call.
    pub(super) talk: Talk,
    /// Whose it is; empty where nobody is asked who they are.
    pub(super) principal: Arc<str>,
    /// When it was parked.
    pub(super) since: Instant,
}

impl ParkedCall {
    fn bytes(&self) -> usize {
        let params = self.talk.open.values().filter_map(|(_, ask)| ask.params.as_deref());
        params.map(|params| RawValue::get(params).len()).sum()
    }
}

impl Parked {
    /// Room for as many calls as the limits say.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner { limits, ..Inner::default() }))
    }

    /// Calls that are parked now.
    pub fn count(&self) -> usize {
        self.calls().len()
    }

    /// Parks a call, under an id that can't be guessed.
    ///
    /// # Errors
    /// Where there is no room; the call is cancelled then.
    pub(super) fn park(&self, call: ParkedCall) -> Result<String, RpcError> {
        let limits = self.0.limits;
        let mut calls = self.calls();
        let named = !call.principal.is_empty();
        let own = calls.values().filter(|other| named && other.principal == call.principal);
        let bytes: usize = calls.values().map(ParkedCall::bytes).sum();
        let full = calls.len() >= limits.max
            || own.count() >= limits.max_per_principal
            || bytes + call.bytes() > limits.max_bytes;
        if full {
            // It says good-bye to its server when it is dropped, which needs no lock of ours.
            drop(calls);
            return Err(RpcError::overloaded("parked calls"));
        }
        let id = Uuid::new_v4().to_string();
        let is_first = calls.is_empty();
        calls.insert(id.clone(), call);
        drop(calls);
        if is_first {
            self.0.came.notify_one();
        }
        Ok(id)
    }

    /// Takes a call out: whoever has it goes on with it, and nobody else can.
    ///
    /// # Errors
    /// Where it isn't there, or isn't this principal's.
    pub(super) fn take(
        &self,
        id: &str,
        server: &str,
        principal: &str,
    ) -> Result<ParkedCall, RpcError> {
        let mut calls = self.calls();
        let is_theirs =
            |call: &ParkedCall| *call.talk.server == *server && *call.principal == *principal;
        let found = calls.get(id).is_some_and(is_theirs).then(|| calls.remove(id)).flatten();
        found.ok_or_else(|| gone(server))
    }

    /// Drops the calls whose clients stayed away for too long.
    fn expire(&self, now: Instant) {
        let age = self.0.limits.max_age;
        let mut calls = self.calls();
        let over: Vec<_> = calls.extract_if(|_, call| call.since + age <= now).collect();
        drop(calls);
        for (_, call) in over {
            let server = &call.talk.server;
            tracing::info!(%server, "a parked call is cancelled: its client did not come back");
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        let age = self.0.limits.max_age;
        self.calls().values().map(|call| call.since + age).min()
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, ParkedCall>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancels each parked call when its time is over; a child of the root, restarted without loss
/// since all that it knows is in the table.
pub async fn run(parked: Parked) {
    loop {
        match parked.next_expiry() {
            Some(next) => sleep_until(next).await,
            None => parked.0.came.notified().await,
        }
        parked.expire(Instant::now());
    }
}

fn gone(server: &str) -> RpcError {
    let message = "The call that this goes on with is not there any more: it went on already, its \
                   time was over, or the node was restarted; it was not run again";
    RpcError::new(Code::UpstreamLost, message)
        .with_data(json!({ "reason": "parked_call_gone", "upstream": server }))
}
