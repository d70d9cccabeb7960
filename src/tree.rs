//! The whole supervision tree, as data. Read this first.
//!
//! The root and its branches restart one for one: no child keeps a direct reference into another
//! branch, so none has to die with it. What a client is owed lives above the tree, in the parts
//! that [`Parts`] holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::ActorRef;
use supervisors::{ChildSpec, Observer, Restart, Slot, Strategy, Supervisor, SupervisorRef};

use crate::provider::upstream::parked;
use crate::provider::upstream::process::reaper;
use crate::registry::{self, Published, Registry};
use crate::session::{self, SessionSupervisor, Sessions};
use crate::tasks::{self, TaskSupervisor, Tasks};
use crate::transport::control;
use crate::transport::http;
use crate::transport::listener::{self, Accept, Listener};
use crate::transport::pipe::Link;
use crate::transport::stdio::{self, Stdio};
use crate::upstreams::Upstreams;

/// Where the running children are found, whichever incarnation runs.
#[derive(Clone, Default)]
pub struct Slots {
    /// The registry.
    pub registry: Slot<ActorRef<registry::Msg>>,
    /// The supervisor of all tasks' work.
    pub tasks: Slot<TaskSupervisor>,
    /// The supervisor of all session actors.
    pub sessions: Slot<SessionSupervisor>,
    /// The supervisor of the transports.
    pub transports: Slot<SupervisorRef>,
    /// The public listener.
    pub http: Slot<ActorRef<listener::Msg>>,
    /// The operators' listener.
    pub metrics: Slot<ActorRef<listener::Msg>>,
    /// The listener of the control socket.
    pub control: Slot<ActorRef<listener::Msg>>,
}

/// What the children work with; all of it outlives them.
pub struct Parts {
    /// Where children are published.
    pub slots: Slots,
    /// For the registry.
    pub registry: registry::Config,
    /// Who keeps the servers behind the node.
    pub upstreams: Upstreams,
    /// For the expiry of tasks.
    pub tasks: Tasks,
    /// For each session.
    pub session: session::actor::Config,
    /// For the expiry of sessions, and for telling them what changed.
    pub sessions: Sessions,
    /// What changes are told of.
    pub published: Published,
    /// For the transports.
    pub transports: Transports,
    /// Who counts restarts.
    pub observer: Arc<dyn Observer>,
}

/// What the transports work with, each where the node has it.
pub struct Transports {
    /// For the public listener.
    pub http: Option<http::listener::Config>,
    /// For the operators' listener.
    pub metrics: Option<http::listener::Config>,
    /// For the control socket.
    pub control: Option<control::listener::Config>,
    /// For the client on standard input.
    pub stdio: Option<(Stdio, Link)>,
}

/// The tree. Children start in this order, and stop in its reverse.
pub fn tree(parts: Parts) -> Supervisor {
    let Parts {
        slots,
        registry,
        upstreams,
        tasks,
        session,
        sessions,
        published,
        transports,
        observer,
    } = parts;
    let transports = transports.supervisor(&slots);
    let told = sessions.clone();
    let first = AtomicBool::new(true);
    Supervisor::new(Strategy::OneForOne)
        .name("erlmcp")
        // Because its children hold no state that a restart could not rebuild, a few crashes in a
        // row are bad luck; more are a fault that only a restart of the process may mend.
        .intensity(10, Duration::from_secs(10))
        .observer(observer)
        .child(ChildSpec::task("reaper", reaper::run))
        .child(
            ChildSpec::actor("registry", move || (Registry, registry.clone()))
                .slot(&slots.registry),
        )
        .child(upstreams.child())
        .child(ChildSpec::task("parked_expiry", move || parked::run(upstreams.parked().clone())))
        .child(ChildSpec::dynamic("tasks", tasks::work::supervisor()).slot(&slots.tasks))
        .child(ChildSpec::task("task_expiry", move || tasks::expiry::run(tasks.clone())))
        .child(
            ChildSpec::dynamic("sessions", session::front::supervisor(session))
                .slot(&slots.sessions),
        )
        .child(ChildSpec::task("bulletin", move || {
            let first = first.swap(false, Ordering::Relaxed);
            session::bulletin::run(told.clone(), published.clone(), first)
        }))
        .child(ChildSpec::task("expiry", move || session::expiry::run(sessions.clone())))
        .child(ChildSpec::supervisor("transports", transports).slot(&slots.transports))
}

impl Transports {
    fn supervisor(self, slots: &Slots) -> Supervisor {
        // Because a listener that can't accept takes its clients along, it is tried again for
        // longer than the rest.
        let mut all = Supervisor::new(Strategy::OneForOne).intensity(20, Duration::from_secs(10));
        if let Some(http) = self.http {
            all = all.child(listener("http", http).slot(&slots.http));
        }
        if let Some(metrics) = self.metrics {
            all = all.child(listener("metrics", metrics).slot(&slots.metrics));
        }
        if let Some(control) = self.control {
            all = all.child(listener("control", control).slot(&slots.control));
        }
        if let Some((stdio, link)) = self.stdio {
            let serve = move || stdio::run(stdio.clone(), link.clone());
            // Because a client that has said its last says no more, its end is no fault.
            all = all.child(ChildSpec::task("stdio", serve).restart(Restart::Transient));
        }
        all
    }
}

fn listener(id: &str, accept: impl Accept) -> ChildSpec<ActorRef<listener::Msg>> {
    ChildSpec::actor(id, move || (Listener::default(), accept.clone()))
}
