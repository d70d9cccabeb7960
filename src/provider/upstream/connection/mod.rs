//! A connection: the client's side of the protocol, over a wire to one instance of a server.
//!
//! Many callers share it. A call takes an id from the table, goes out by the wire, and waits for
//! what the inbox finds for it there; no task and no mailbox stands in between.

mod as_task;
mod calls;
mod dispatch;
mod handshake;
mod line;
mod lists;
mod message;
mod table;
mod told;
mod visits;
mod watch;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{broadcast, mpsc};

pub(super) use as_task::{Begun, Task, without_task};
pub use dispatch::{Dispatch, News};
pub use handshake::{OpenError, Peer};
pub(super) use line::Live;
pub use lists::OfferError;
pub(super) use table::{Fault, Happening, Question};

use super::faults;
use super::wire::Order;
use crate::bridge;
use crate::catalogue::{Offer, ServerName};
use crate::protocol::handshake::ClientInfo;
use crate::protocol::splice::Edits;
use crate::protocol::{Era, RpcError};
use crate::provider::Who;
use line::{Draft, Leaving, Line};
use lists::Index;
use watch::Watch;

/// What a wire runs over, as far as the protocol differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A pipe to a process.
    Stdio,
    /// HTTP.
    Http,
}

/// How a connection is opened.
#[derive(Clone)]
pub struct Settings {
    /// What the wire runs over.
    pub over: Over,
    /// The server's era, where it is known from an earlier connection: a server of the session era
    /// isn't asked for it again. After a failure it should be asked anew, with `None`.
    pub era: Option<Era>,
    /// How long the whole handshake may take.
    pub start_timeout: Duration,
    /// How long the server may take to say its era; half the start at most.
    pub probe_timeout: Duration,
    /// How long one of the node's own requests may take, as for a page of a list.
    pub request_timeout: Duration,
    /// Whose the whole instance is, where one session has it for itself: what belongs to no
    /// request goes there.
    pub owner: Option<Who>,
    /// Who the node says it is.
    pub node: ClientInfo,
}

impl Settings {
    /// A connection to a server of which nothing is known yet.
    ///
    /// On a pipe, three seconds are enough for a server that is up and knows the question; one that
    /// starts slowly and is of the modern era answers late, and is taken by `initialize` then. Over
    /// HTTP a server that doesn't know it says so, and a modern one that is slow must not be sent
    /// anything of the session era: that is waited for longer.
    pub fn new(over: Over, start_timeout: Duration) -> Self {
        Self {
            over,
            era: None,
            start_timeout,
            probe_timeout: match over {
                Over::Stdio => Duration::from_secs(3),
                Over::Http => start_timeout / 4,
            },
            request_timeout: Duration::from_secs(30),
            owner: None,
            node: ClientInfo {
                name: "erlmcp".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        }
    }
}

/// A connection whose handshake is done.
pub struct Connection {
    line: Line,
    /// What keeps the wire open.
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    peer: Peer,
    settings: Settings,
    /// What the tools' definitions say of how they are called; none before they were read.
    index: ArcSwapOption<Index>,
    /// The number of the level that the server was told last, and 255 for none.
    level: AtomicU8,
    watch: Watch,
}

impl Connection {
    /// Shakes hands over a wire whose work somebody else drives meanwhile. Settles the era:
    /// `server/discover` first, else `initialize`.
    ///
    /// # Errors
    /// Why there is no connection; see [`OpenError`].
    pub async fn open(
        orders: mpsc::Sender<Order>,
        inbox: Arc<Dispatch>,
        settings: Settings,
    ) -> Result<Arc<Self>, OpenError> {
        inbox.attach(&orders, settings.owner.clone());
        let line = Line { inbox, orders: orders.downgrade() };
        let peer = handshake::shake(&line, &settings).await?;
        Ok(Arc::new(Self {
            line,
            orders: Mutex::new(Some(orders)),
            peer,
            settings,
            index: ArcSwapOption::empty(),
            level: AtomicU8::new(u8::MAX),
            watch: Watch::default(),
        }))
    }

    /// The server's name.
    pub fn name(&self) -> &ServerName {
        self.line.inbox.name()
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it offers now: all pages of all lists that it declared, each definition as it wrote it.
    ///
    /// # Errors
    /// Where a list can't be had, is endless, or too large.
    pub async fn offer(&self) -> Result<Offer, OfferError> {
        let (offer, index) = lists::fetch(self).await?;
        self.index.store(Some(Arc::new(index)));
        Ok(offer)
    }

    /// What it tells of itself from now on. Who falls behind has to take everything as changed.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.line.inbox.news()
    }

    /// Calls under way, parked ones among them.
    pub fn in_flight(&self) -> usize {
        self.line.inbox.in_flight()
    }

    /// Answers that came twice, late, or to nothing that was asked, since the beginning.
    pub fn strays(&self) -> u64 {
        self.line.inbox.strays()
    }

    /// Which resources somebody wants to hear of from now on; [`errands`](Self::errands) tells the
    /// server of the difference.
    pub fn subscribe(&self, uris: &BTreeSet<String>) {
        self.watch.want(uris);
    }

    /// What the connection does by itself: it listens for changes, and sees to it that it is told
    /// of resources. Never ends; its owner drives it beside the wire's work, and drops it.
    pub async fn errands(self: Arc<Self>) {
        watch::run(&self).await;
        std::future::pending().await
    }

    /// Whether the server answers at all: any answer counts, also an error. Whoever calls this has
    /// a time limit of their own.
    ///
    /// # Errors
    /// Where none comes any more.
    pub async fn ping(&self) -> Result<(), RpcError> {
        let draft = match self.peer.era() {
            Era::Legacy => Draft::new("ping", "{}".to_owned()),
            Era::Modern => self.draft("server/discover", Edits::default()),
        };
        match self.line.request(draft, self.leaving(), Duration::MAX).await {
            Some(Ok(_) | Err(Fault::Answered(_))) => Ok(()),
            Some(Err(fault)) => Err(faults::told(self.name(), fault)),
            None => Err(RpcError::timed_out(u64::MAX)),
        }
    }

    /// Ends every call once, with `cause`, and closes the wire in order; later calls find that the
    /// server is down.
    pub fn close(&self, cause: &str) {
        self.line.inbox.close(cause);
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// How the server is told that nobody waits for a request any more.
    fn leaving(&self) -> Leaving {
        match (self.settings.over, self.peer.era()) {
            (Over::Http, Era::Modern) => Leaving::HangUp,
            _ => Leaving::Notify,
        }
    }

    /// A request of the node's own.
    fn draft(&self, method: &'static str, edits: Edits) -> Draft {
        // Names and texts always have a JSON form.
        let params = bridge::own(edits, self.peer.revision, &self.settings.node);
        Draft::new(method, params.unwrap_or_else(|_| "{}".to_owned()))
    }
}
