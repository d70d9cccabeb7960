//! What is known of one upstream, owned above its keeper: it outlives the keeper's crashes, and is
//! read by calls and by operators without asking anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::ActorRef;
use supervisors::Slot;
use tokio::time::Instant;

use super::instance::Seat;
use super::keeper::Msg;
use super::machine::{MemberId, State};
use super::pool::Pool;
use super::status::{InstanceStatus, LastEnd, Left, UpstreamStatus};
use super::way::Way;
use crate::catalogue::vet::{self, Refused, Rules};
use crate::catalogue::{Naming, Offer, Part, ServerName};
use crate::protocol::{Era, Kind, RpcError};
use crate::provider::upstream::Tail;
use crate::provider::upstream::spec::{Share, Target, UpstreamSpec};
use crate::provider::{Circle, Who};

/// How many refused definitions are named in one log line.
const NAMED: usize = 10;
/// Lines of standard error that are kept of an instance's end.
const LAST_LINES: usize = 20;

/// See the module's description.
pub struct Board {
    /// The server's name.
    pub name: ServerName,
    /// Its running instances.
    pub pool: Pool<Seat>,
    /// What its instances wrote on their standard error.
    pub tail: Tail,
    /// Its keeper, whichever incarnation runs.
    pub keeper: Slot<ActorRef<Msg>>,
    /// Who shares an instance where the specification doesn't say.
    share: Share,
    naming: Naming,
    spec: ArcSwap<UpstreamSpec>,
    sheet: Mutex<Sheet>,
    next_member: AtomicU64,
    way: Mutex<Way>,
}

/// What changes with the upstream's life.
struct Sheet {
    state: State,
    since: Instant,
    cause: Arc<str>,
    next_try: Option<Instant>,
    restarts: u64,
    last_end: Option<LastEnd>,
    offer: Arc<Offer>,
    part: Arc<Part>,
    refused: Arc<[Refused]>,
}

impl Board {
    /// An upstream that nobody has started yet.
    pub fn new(name: ServerName, spec: UpstreamSpec, share: Share, naming: Naming) -> Self {
        let (state, cause) = if spec.enabled {
            (State::Starting, "it is still starting")
        } else {
            (State::Disabled, "the configuration disables it")
        };
        let part = Part::new(&name, &Offer::default(), naming.clone()).unwrap_or_default();
        Self {
            name,
            pool: Pool::default(),
            tail: Tail::default(),
            keeper: Slot::new(),
            share,
            naming,
            spec: ArcSwap::from_pointee(spec),
            sheet: Mutex::new(Sheet {
                state,
                since: Instant::now(),
                cause: cause.into(),
                next_try: None,
                restarts: 0,
                last_end: None,
                offer: Arc::default(),
                part: Arc::new(part),
                refused: Arc::default(),
            }),
            next_member: AtomicU64::new(1),
            way: Mutex::default(),
        }
    }

    /// What it is to be.
    pub fn spec(&self) -> Arc<UpstreamSpec> {
        self.spec.load_full()
    }

    /// It is to be something else from now on; whoever does this tells the keeper.
    pub fn respecify(&self, spec: UpstreamSpec) {
        self.spec.store(Arc::new(spec));
    }

    /// Who shares an instance of it.
    pub fn share(&self) -> Share {
        self.spec.load().share.unwrap_or(self.share)
    }

    /// Those with whom a client shares an instance.
    pub fn circle(&self, who: &Who) -> Circle {
        match (self.share(), &who.session) {
            (Share::Node, _) => Circle::All,
            (Share::Session, Some(session)) => Circle::Session(Arc::clone(session)),
            (Share::Principal, _) | (Share::Session, None) => {
                Circle::Principal(Arc::clone(&who.principal))
            }
        }
    }

    /// How its tools are called on the federated endpoint.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// How it is best spoken to.
    pub(super) fn way(&self) -> Way {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is to be spoken to in this way next.
    pub(super) fn go(&self, way: Way) {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// It did the handshake of an era. Whoever speaks the session era needn't be asked again.
    pub(super) fn spoke(&self, era: Era) {
        let era = Some(era).filter(|era| *era == Era::Legacy);
        self.go(Way { era, ..self.way() });
    }

    /// A client needs an instance that it shares with its circle.
    pub async fn want(&self, who: &Who) {
        // One that has just died clears the pool when it is back, and who waits asks again.
        let _ = self.keeper.wait().await.cast(Msg::Want(who.clone()));
    }

    /// A circle needs no instance any more.
    pub fn release(&self, circle: &Circle) {
        if let Some(keeper) = self.keeper.get() {
            let _ = keeper.cast(Msg::Release(circle.clone()));
        }
    }

    /// The number of a new member; none comes twice.
    pub fn next_member(&self) -> MemberId {
        MemberId(self.next_member.fetch_add(1, Ordering::Relaxed))
    }

    /// How it is.
    pub fn state(&self) -> State {
        self.sheet().state
    }

    /// Why it is so, in one sentence.
    pub fn cause(&self) -> Arc<str> {
        Arc::clone(&self.sheet().cause)
    }

    /// What it has, as far as that may stand in the catalogue.
    pub fn part(&self) -> Arc<Part> {
        Arc::clone(&self.sheet().part)
    }

    /// What was left out of the catalogue.
    pub fn refused(&self) -> Arc<[Refused]> {
        Arc::clone(&self.sheet().refused)
    }

    /// The error to a call that finds no instance.
    pub fn down(&self) -> RpcError {
        let sheet = self.sheet();
        if sheet.state.serves() {
            // Its keeper is about to learn of it.
            let state = State::Restarting.as_str();
            return RpcError::upstream_down(&self.name, state, "its instance ended just now");
        }
        RpcError::upstream_down(&self.name, sheet.state.as_str(), &sheet.cause)
    }

    /// It is in another state, or in the same for another cause. Gives the state before.
    pub fn became(&self, state: State, cause: Arc<str>, next_try: Option<Instant>) -> State {
        let mut sheet = self.sheet();
        let before = std::mem::replace(&mut sheet.state, state);
        if before != state {
            sheet.since = Instant::now();
        }
        (sheet.cause, sheet.next_try) = (cause, next_try);
        before
    }

    /// An instance ended by itself.
    pub fn ended(&self, cause: &str, uptime: Duration) {
        let stderr = self.tail.last(LAST_LINES);
        let (at, cause) = (Instant::now(), cause.to_owned());
        self.sheet().last_end = Some(LastEnd { cause, at, uptime, stderr });
    }

    /// How the last instance ended that ended by itself.
    pub fn last_end(&self) -> Option<LastEnd> {
        self.sheet().last_end.clone()
    }

    /// An instance is started again.
    pub fn restarted(&self) {
        self.sheet().restarts += 1;
    }

    /// An instance told what it offers; gives whether the catalogue has to show something else.
    ///
    /// # Errors
    /// Where a definition can't be written as JSON.
    pub fn offered(&self, offer: Arc<Offer>) -> serde_json::Result<bool> {
        let spec = self.spec();
        let (allow, deny) = (spec.tools.allow.as_slice(), spec.tools.deny.as_slice());
        let rules = Rules { server: &self.name, naming: &self.naming, allow, deny };
        let (vetted, refused) = vet::vet(&offer, rules);
        let part = Arc::new(Part::new(&self.name, &vetted, self.naming.clone())?);
        let mut sheet = self.sheet();
        let is_new = part.instructions() != sheet.part.instructions()
            || Kind::ALL.into_iter().any(|kind| !part.lists_the_same(&sheet.part, kind));
        let told = *sheet.refused == *refused;
        (sheet.offer, sheet.refused) = (offer, refused.clone().into());
        if is_new {
            sheet.part = part;
        }
        drop(sheet);
        if !told && !refused.is_empty() {
            self.tell_refused(&refused);
        }
        Ok(is_new)
    }

    /// The rules differ: what it offers is looked at again.
    ///
    /// # Errors
    /// As [`offered`](Self::offered).
    pub fn vet_again(&self) -> serde_json::Result<bool> {
        let offer = Arc::clone(&self.sheet().offer);
        self.offered(offer)
    }

    fn tell_refused(&self, refused: &[Refused]) {
        let named = refused.iter().take(NAMED).map(|r| format!("{:?}: {}", r.name, r.why));
        let which = named.collect::<Vec<_>>().join("; ");
        let (upstream, count) = (&*self.name, refused.len());
        tracing::warn!(upstream, count, which, "left out of its lists");
    }

    /// All of it, for operators.
    pub fn status(&self) -> UpstreamStatus {
        let spec = self.spec();
        let instances = self.pool.all();
        let sheet = self.sheet();
        let now = Instant::now();
        UpstreamStatus {
            name: Arc::clone(&self.name),
            state: sheet.state,
            since_s: now.duration_since(sheet.since).as_secs(),
            cause: Arc::clone(&sheet.cause),
            next_try_s: sheet.next_try.map(|at| at.saturating_duration_since(now).as_secs()),
            transport: match spec.target {
                Target::Stdio(_) => "stdio",
                Target::Http(_) => "http",
            },
            share: match self.share() {
                Share::Node => "node",
                Share::Principal => "principal",
                Share::Session => "session",
            },
            restarts: sheet.restarts,
            in_flight: instances.iter().map(|(_, seat)| seat.connection.in_flight()).sum(),
            instances: instances.iter().map(|(id, seat)| InstanceStatus::of(*id, seat)).collect(),
            last_end: sheet.last_end.as_ref().map(LastEnd::status),
            tools: sheet.part.own(Kind::Tools).len(),
            prompts: sheet.part.own(Kind::Prompts).len(),
            resources: sheet.part.own(Kind::Resources).len(),
            templates: sheet.part.own(Kind::Templates).len(),
            refused: sheet.refused.iter().map(Left::of).collect(),
        }
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
