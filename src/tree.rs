//! The whole supervision tree, as data. Read this first.
//!
//! The root and its branches restart one for one: no child keeps a direct reference into another
//! branch, so none has to die with it. What a client is owed lives above the tree, in the parts
//! that [`Parts`] holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::ActorRef;
use supervisors::{ChildSpec, Observer, Slot, Strategy, Supervisor};

use crate::registry::{self, Published, Registry};
use crate::session::{self, SessionSupervisor, Sessions};
use crate::transport::http::listener::{self, Listener};

/// Where the running children are found, whichever incarnation runs.
#[derive(Clone, Default)]
pub struct Slots {
    /// The registry.
    pub registry: Slot<ActorRef<registry::Msg>>,
    /// The supervisor of all session actors.
    pub sessions: Slot<SessionSupervisor>,
    /// The public listener.
    pub http: Slot<ActorRef<listener::Msg>>,
    /// The operators' listener.
    pub metrics: Slot<ActorRef<listener::Msg>>,
}

/// What the children work with; all of it outlives them.
pub struct Parts {
    /// Where children are published.
    pub slots: Slots,
    /// For the registry.
    pub registry: registry::Config,
    /// For each session.
    pub session: session::actor::Config,
    /// For the expiry of sessions, and for telling them what changed.
    pub sessions: Sessions,
    /// What changes are told of.
    pub published: Published,
    /// For the public listener.
    pub http: listener::Config,
    /// For the operators' listener.
    pub metrics: listener::Config,
    /// Who counts restarts.
    pub observer: Arc<dyn Observer>,
}

/// The tree. Children start in this order, and stop in its reverse.
pub fn tree(parts: Parts) -> Supervisor {
    let Parts { slots, registry, session, sessions, published, http, metrics, observer } = parts;
    let table = sessions.table.clone();
    let first = AtomicBool::new(true);
    Supervisor::new(Strategy::OneForOne)
        .name("erlmcp")
        // Because its children hold no state that a restart could not rebuild, a few crashes in a
        // row are bad luck; more are a fault that only a restart of the process may mend.
        .intensity(10, Duration::from_secs(10))
        .observer(observer)
        .child(
            ChildSpec::actor("registry", move || (Registry, registry.clone()))
                .slot(&slots.registry),
        )
        .child(
            ChildSpec::dynamic("sessions", session::front::supervisor(session))
                .slot(&slots.sessions),
        )
        .child(ChildSpec::task("bulletin", move || {
            let first = first.swap(false, Ordering::Relaxed);
            session::bulletin::run(table.clone(), published.clone(), first)
        }))
        .child(ChildSpec::task("expiry", move || session::expiry::run(sessions.clone())))
        .child(ChildSpec::supervisor(
            "transports",
            Supervisor::new(Strategy::OneForOne)
                // Because a listener that can't accept takes its clients along, it is tried again
                // for longer than the rest.
                .intensity(20, Duration::from_secs(10))
                .child(listener("http", http).slot(&slots.http))
                .child(listener("metrics", metrics).slot(&slots.metrics)),
        ))
}

fn listener(id: &str, config: listener::Config) -> ChildSpec<ActorRef<listener::Msg>> {
    ChildSpec::actor(id, move || (Listener, config.clone()))
}
