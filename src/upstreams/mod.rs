//! Upstreams under supervision: other MCP servers, started, watched, started again, and shared by
//! the node's clients.
//!
//! [`machine`] has the rules. Each upstream has a [`board`], on which everything stands that others
//! need, and a [`keeper`], the actor that keeps its instances running. Calls find an instance in
//! the [`pool`], without asking anybody.

pub mod board;
pub mod difference;
pub mod exit;
mod heard;
pub mod instance;
pub mod keeper;
pub mod machine;
mod measured;
mod members;
pub mod open;
mod pick;
pub mod pool;
mod reload;
mod report;
mod shared;
pub mod status;
mod told;
mod way;
pub mod why;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ractor::ActorRef;
use supervisors::{
    Backoff, ChildSpec, ChildType, Link, Shutdown, Slot, Strategy, Supervisor, SupervisorRef,
};
use tokio::time::timeout;

pub use board::Board;
pub use difference::{Difference, Specs};
pub use machine::State;
pub use open::{Open, Wires};
pub use reload::ReloadError;
pub use shared::{Pace, Shared};
pub use status::UpstreamStatus;
pub use why::Why;

use crate::catalogue::ServerName;
use crate::provider::Circle;
use crate::provider::upstream::{Parked, UpstreamSpec};
use keeper::{Keeper, Msg};

/// How long a keeper may take beyond its instances' own time to stop.
const SLACK: Duration = Duration::from_secs(5);

type Boards = BTreeMap<ServerName, Arc<Board>>;

/// All upstreams of a node, above its tree. Clones share them.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

struct Inner {
    boards: RwLock<Boards>,
    shared: Shared,
    supervisor: Slot<SupervisorRef>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// There is no upstream of this name that could do what it is to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoUpstream {
    /// None at all.
    #[error("there is no upstream {0:?}")]
    Unknown(String),
    /// It is not to run.
    #[error("the configuration disables the upstream {0:?}")]
    Disabled(String),
}

impl Upstreams {
    /// These upstreams, which the catalogue knows from now on; they start with the tree.
    pub fn new(specs: Specs, shared: Shared) -> Self {
        let inner = Inner {
            boards: RwLock::default(),
            shared,
            supervisor: Slot::new(),
            reloading: tokio::sync::Mutex::default(),
        };
        let upstreams = Self(Arc::new(inner));
        for (name, spec) in specs {
            upstreams.add(name, spec);
        }
        upstreams
    }

    /// The supervisor of all keepers, with as many as there are upstreams whenever it starts:
    /// reloads change them.
    pub fn child(&self) -> ChildSpec<SupervisorRef> {
        let upstreams = self.clone();
        ChildSpec::new("upstreams", move |link: Link| link.supervisor(upstreams.supervisor()))
            .child_type(ChildType::Supervisor)
            .shutdown(Shutdown::Infinity)
            .start_timeout(None)
            .slot(&self.0.supervisor)
    }

    fn supervisor(&self) -> Supervisor {
        // Because each keeper's crash is its own, only a fault that they all share reaches this.
        let mut all = Supervisor::new(Strategy::OneForOne)
            .intensity(100, Duration::from_secs(10))
            .backoff(Backoff::default());
        for board in self.boards().into_iter().filter(|board| board.spec().enabled) {
            all = all.child(self.keeper(board));
        }
        all
    }

    /// Calls that wait for their clients.
    pub fn parked(&self) -> &Parked {
        &self.0.shared.parked
    }

    /// How each of them is.
    pub fn list(&self) -> Vec<UpstreamStatus> {
        self.boards().iter().map(|board| board.status()).collect()
    }

    /// The state of each.
    pub fn states(&self) -> BTreeMap<ServerName, State> {
        self.boards().iter().map(|board| (Arc::clone(&board.name), board.state())).collect()
    }

    /// The last `count` lines that one wrote on its standard error.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn logs(&self, name: &str, count: usize) -> Result<Vec<String>, NoUpstream> {
        Ok(self.known(name)?.tail.last(count))
    }

    /// Starts all instances of one anew, in whatever state it is.
    ///
    /// # Errors
    /// Where there is none of this name, or the configuration disables it.
    pub fn restart(&self, name: &str) -> Result<(), NoUpstream> {
        let board = self.known(name)?;
        if !board.spec().enabled {
            return Err(NoUpstream::Disabled(name.to_owned()));
        }
        if let Some(keeper) = board.keeper.get() {
            // One that has just died begins anew anyway.
            let _ = keeper.cast(Msg::Restart);
        }
        Ok(())
    }

    /// A session is over, and with it what it had alone.
    pub fn session_ended(&self, key: &Arc<str>) {
        let circle = Circle::Session(Arc::clone(key));
        for board in self.boards().iter().filter(|board| board.pool.knows(&circle)) {
            board.release(&circle);
        }
    }

    /// Stops all of them, each within its own time, side by side; their keepers go on without.
    pub async fn close(&self) {
        let closing = self.boards().into_iter().map(|board| async move { board.close().await });
        futures_util::future::join_all(closing).await;
    }

    /// The longest time that [`close`](Self::close) may take.
    pub fn stop_limit(&self) -> Duration {
        let limits = self.boards().into_iter().filter(|board| board.spec().enabled);
        limits.map(|board| board.stop_limit()).max().unwrap_or_default()
    }

    /// Whether a server is one of them.
    pub fn knows(&self, name: &str) -> bool {
        self.0.boards.read().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// One upstream.
    pub fn board(&self, name: &str) -> Option<Arc<Board>> {
        self.0.boards.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All upstreams.
    pub fn boards(&self) -> Vec<Arc<Board>> {
        let boards = self.0.boards.read().unwrap_or_else(PoisonError::into_inner);
        boards.values().cloned().collect()
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    fn known(&self, name: &str) -> Result<Arc<Board>, NoUpstream> {
        self.board(name).ok_or_else(|| NoUpstream::Unknown(name.to_owned()))
    }

    /// Puts up an upstream's board, and tells the catalogue of it.
    fn add(&self, name: ServerName, spec: UpstreamSpec) -> Arc<Board> {
        let shared = self.shared();
        let board = Board::new(Arc::clone(&name), spec, shared.share, shared.naming.clone());
        let board = Arc::new(board);
        let mut boards = self.0.boards.write().unwrap_or_else(PoisonError::into_inner);
        boards.insert(name, Arc::clone(&board));
        drop(boards);
        shared.show_state(&board.name, board.state());
        if board.spec().enabled {
            shared.announce(&board, false);
        } else {
            shared.published.withdraw(&board.name);
        }
        board
    }

    fn keeper(&self, board: Arc<Board>) -> ChildSpec<ActorRef<Msg>> {
        let stop = Shutdown::Timeout(board.stop_limit());
        let (id, slot) = (board.name.to_string(), board.keeper.clone());
        let shared = self.shared().clone();
        let make = move || (Keeper, (Arc::clone(&board), shared.clone()));
        ChildSpec::actor(id, make).shutdown(stop).slot(&slot)
    }
}

impl Board {
    /// The longest time that its instances may take to stop: their calls have one shutdown time,
    /// and they themselves another.
    fn stop_limit(&self) -> Duration {
        self.spec().shutdown * 2 + SLACK
    }

    /// Stops all its instances, and waits until they have.
    async fn close(&self) {
        if let Some(keeper) = self.keeper.get() {
            let (reply, closed) = ractor::concurrency::oneshot();
            if keeper.cast(Msg::Close(reply.into())).is_ok() {
                let _ = timeout(self.stop_limit(), closed).await;
            }
        }
    }
}

#[cfg(test)]
#[path = "fake_tests.rs"]
mod fake;
#[cfg(test)]
#[path = "life_tests.rs"]
mod life;
#[cfg(test)]
#[path = "reload_tests.rs"]
mod reloads;
#[cfg(test)]
#[path = "sharing_tests.rs"]
mod sharing;
