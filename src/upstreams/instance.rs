//! One instance of an upstream, from its start to its end, as a task of the keeper's.
//!
//! The wire's work and everything that is said over it run side by side in this one task: dropping
//! it ends the instance's process, and whoever still waits for an answer gets an error.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::ActorRef;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::exit::Exit;
use super::heard::Heard;
use super::keeper::Msg;
use super::machine::MemberId;
use super::open::Opening;
use super::pool::Busy;
use super::way::Way;
use super::{Pace, Shared};
use crate::provider::upstream::process::Vitals;
use crate::provider::upstream::{
    Closing, Connection, Dispatch, News, OpenError, Order, Over, Settings, Target, UpstreamSpec,
    Wire,
};
use crate::provider::{Circle, Event, Who};

/// How long a stopped instance may take beyond its own time before it is killed.
const SLACK: Duration = Duration::from_secs(2);
/// How long a server may take for what is asked beside its calls.
const ASKED: Duration = Duration::from_secs(30);
/// Ways to speak with a server that are tried before it counts as a failure.
const WAYS: usize = 3;
/// How often it is looked whether a stopping instance still has calls.
const LOOK: Duration = Duration::from_millis(10);

/// An instance that serves.
pub struct Seat {
    /// The way to it.
    pub connection: Arc<Connection>,
    /// What is seen of its process, where it is one of ours.
    pub vitals: Option<Vitals>,
    /// Since when it serves.
    pub since: Instant,
}

impl Busy for Seat {
    fn in_flight(&self) -> usize {
        self.connection.in_flight()
    }
}

/// By what an instance is seen to live.
struct Life<'a> {
    heard: &'a Heard,
    vitals: Option<Vitals>,
}

/// What an instance's task works with.
pub(super) struct Instance {
    pub(super) board: Arc<Board>,
    pub(super) shared: Shared,
    pub(super) member: MemberId,
    pub(super) circle: Circle,
    /// Whose it is, where one client has it alone.
    pub(super) owner: Option<Who>,
    /// Cancelled when it is to stop in order.
    pub(super) stop: CancellationToken,
    pub(super) keeper: ActorRef<Msg>,
}

/// Ends what still waits for the instance, whatever way the instance ends.
struct Closer(Arc<Connection>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close("its supervision ended");
    }
}

/// How the first part of an instance's life ended without success.
enum Unopened {
    /// For good.
    Exit(Exit),
    /// Another way to speak with the server may do.
    OtherWay(Exit),
}

impl Instance {
    /// The whole life.
    pub(super) async fn run(self) -> Exit {
        let begun = Instant::now();
        let exit = self.live().await;
        Exit { uptime: begun.elapsed(), ..exit }
    }

    async fn live(&self) -> Exit {
        // Many that start at once would starve those that serve; the first to come is the first
        // to start.
        let starts = Arc::clone(&self.shared.starts);
        let mut permit = tokio::select! {
            () = self.stop.cancelled() => return Exit::told(),
            permit = starts.acquire_owned() => permit.ok(),
        };
        let mut ways = 0;
        loop {
            ways += 1;
            match self.attempt(&mut permit).await {
                Unopened::OtherWay(_) if ways < WAYS && !self.stop.is_cancelled() => {}
                Unopened::OtherWay(exit) | Unopened::Exit(exit) => return exit,
            }
        }
    }

    /// One instance, spoken to in the way that is known to be right, or seems to be.
    async fn attempt(&self, permit: &mut Option<OwnedSemaphorePermit>) -> Unopened {
        let (spec, way) = (self.board.spec(), self.board.way());
        let dispatch = Arc::new(Dispatch::new(Arc::clone(&self.board.name)));
        let heard = Heard::default();
        let opening = Opening {
            name: Arc::clone(&self.board.name),
            spec: Arc::clone(&spec),
            transport: way.transport(&spec),
            tail: self.board.tail.clone(),
            inbox: heard.listen_to(Arc::clone(&dispatch) as Arc<_>),
        };
        let (Wire { orders, mut work }, vitals) = match self.shared.opener.open(opening).await {
            Ok(opened) => opened,
            Err(cause) => return Unopened::Exit(Exit::unstarted(cause)),
        };
        let mut begin = Box::pin(self.begin(orders, Arc::clone(&dispatch), &way, permit));
        let (closing, begun) = tokio::select! {
            begun = &mut begin => (None, begun),
            closing = &mut work => {
                // Whoever waits for its answers learns that there won't be any.
                dispatch.close(&closing.cause);
                (Some(closing), begin.as_mut().await)
            }
        };
        drop(begin);
        let connection = match begun {
            Ok(connection) => Closer(connection),
            Err(unopened) => return self.unopened(unopened, closing, work, &spec).await,
        };
        if let Some(closing) = closing {
            return Unopened::Exit(Exit::of(&closing));
        }
        let exit = tokio::select! {
            closing = &mut work => {
                let exit = Exit::of(&closing);
                connection.0.close(&exit.cause);
                return Unopened::Exit(exit);
            }
            exit = self.serve(&connection.0, vitals, &heard) => exit,
        };
        connection.0.close(&exit.cause);
        drop(connection);
        end(work, &exit, &spec).await;
        Unopened::Exit(exit)
    }

    /// The handshake failed, or was cut short. What the wire says of its end is more precise.
    async fn unopened(
        &self,
        unopened: Unopened,
        closing: Option<Closing>,
        work: BoxFuture<'static, Closing>,
        spec: &UpstreamSpec,
    ) -> Unopened {
        let of = |exit: Exit| closing.as_ref().map_or(exit, Exit::of);
        match unopened {
            Unopened::OtherWay(exit) => Unopened::OtherWay(of(exit)),
            Unopened::Exit(exit) if closing.is_none() => {
                end(work, &exit, spec).await;
                Unopened::Exit(exit)
            }
            Unopened::Exit(exit) => Unopened::Exit(of(exit)),
        }
    }

    /// The handshake, and what the server offers.
    async fn begin(
        &self,
        orders: mpsc::Sender<Order>,
        dispatch: Arc<Dispatch>,
        way: &Way,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Arc<Connection>, Unopened> {
        let spec = self.board.spec();
        let limit = spec.start_timeout;
        let settings = Settings { era: way.era, owner: self.owner.clone(), ..settings(&spec) };
        let begin = async {
            let opened = Connection::open(orders, dispatch, settings).await;
            let connection = opened.map_err(|error| self.other_way(way, &spec, &error))?;
            self.board.spoke(connection.peer().era());
            self.offer(&connection).await.map_err(Unopened::Exit)?;
            Ok(connection)
        };
        let mut begin = Box::pin(timeout(limit, begin));
        // Those that take long to start take no place from those that don't.
        let begun = tokio::select! {
            () = self.stop.cancelled() => return Err(Unopened::Exit(Exit::told())),
            begun = &mut begin => begun,
            () = sleep(self.shared.pace.rush) => {
                permit.take();
                tokio::select! {
                    () = self.stop.cancelled() => return Err(Unopened::Exit(Exit::told())),
                    begun = &mut begin => begun,
                }
            }
        };
        permit.take();
        begun.unwrap_or_else(|_elapsed| Err(Unopened::Exit(Exit::slow(limit))))
    }

    /// Notes what a failed handshake says of the way to speak with the server.
    fn other_way(&self, way: &Way, spec: &UpstreamSpec, error: &OpenError) -> Unopened {
        let exit = Exit::unopened(error);
        let (next, is_other) = way.after(spec, error);
        self.board.go(next);
        if is_other { Unopened::OtherWay(exit) } else { Unopened::Exit(exit) }
    }

    /// Asks what the server offers, and notes it.
    async fn offer(&self, connection: &Connection) -> Result<bool, Exit> {
        let offer = connection.offer().await.map_err(|error| Exit::unlisted(&error))?;
        self.board.offered(Arc::new(offer)).map_err(|error| Exit::unlisted(&error))
    }

    /// Serves until the instance is to stop, or fails.
    async fn serve(
        &self,
        connection: &Arc<Connection>,
        vitals: Option<Vitals>,
        heard: &Heard,
    ) -> Exit {
        let life = Life { heard, vitals: vitals.clone() };
        let seat = Seat { connection: Arc::clone(connection), vitals, since: Instant::now() };
        // From here on nothing that the server tells is lost.
        let news = connection.news();
        let seated = self.board.pool.seat(self.circle.clone(), self.member, Arc::new(seat));
        // A keeper that is gone takes this task along.
        let _ = self.keeper.cast(Msg::Ready(self.member));
        let exit = tokio::select! {
            () = self.stop.cancelled() => Exit::told(),
            exit = self.attend(connection, news, &life) => return exit,
        };
        // Nobody finds it any more; those that did have the time of a stop to get their answers.
        drop(seated);
        let drained = async {
            while connection.in_flight() > 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(self.board.spec().shutdown, drained).await;
        exit
    }

    /// Takes what the server tells by itself, asks it for what clients want to hear of, and looks
    /// whether it still answers.
    async fn attend(
        &self,
        connection: &Arc<Connection>,
        mut news: broadcast::Receiver<News>,
        life: &Life<'_>,
    ) -> Exit {
        let Pace { ping_every, gather, .. } = self.shared.pace;
        let interests = self.shared.published.interests();
        let mut wanted = interests.watch(&self.board.name);
        wanted.mark_changed();
        let mut errands = std::pin::pin!(Arc::clone(connection).errands());
        let mut refresh = None;
        loop {
            tokio::select! {
                () = &mut errands => {}
                told = news.recv() => match told {
                    Ok(News::ResourceUpdated(uri)) => self.tell(Event::ResourceUpdated(uri)),
                    Ok(News::ListChanged(_)) => {
                        refresh.get_or_insert_with(|| Instant::now() + gather);
                    }
                    Err(RecvError::Lagged(_)) => {
                        refresh.get_or_insert_with(|| Instant::now() + gather);
                        self.tell(Event::Anything);
                    }
                    // It is closed, and the wire's work says why.
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                _ = wanted.changed() => {
                    connection.subscribe(&interests.of(&self.board.name, &self.circle));
                }
                () = due(refresh) => {
                    refresh = None;
                    match timeout(ASKED, self.offer(connection)).await {
                        Ok(Ok(true)) => {
                            let _ = self.keeper.cast(Msg::Offered);
                        }
                        Ok(Ok(false)) => {}
                        Ok(Err(Exit { cause, .. })) => self.not_listed(&cause),
                        Err(_elapsed) => self.not_listed("it takes too long"),
                    }
                }
                () = sleep_until(life.heard.last() + ping_every) => {
                    if let Some(exit) = self.ping(connection, life).await {
                        return exit;
                    }
                }
            }
        }
    }

    /// Asks a server that said nothing for a while for any sign of life. One that works on calls
    /// may be too busy to give one, unless its process is stopped.
    async fn ping(&self, connection: &Connection, life: &Life<'_>) -> Option<Exit> {
        let Life { heard, vitals } = life;
        let Pace { ping_patience, busy_patience, .. } = self.shared.pace;
        let asked = Instant::now();
        match timeout(ping_patience, connection.ping()).await {
            Ok(Ok(())) => {
                heard.note();
                None
            }
            Ok(Err(error)) => Some(Exit::unreachable(&error.message)),
            Err(_elapsed) if heard.last() > asked => None,
            Err(_elapsed) => {
                let silent = heard.last().elapsed();
                let stopped = vitals.as_ref().is_some_and(Vitals::is_stopped);
                let may_work = connection.in_flight() > 0 && silent < busy_patience && !stopped;
                (!may_work).then(|| Exit::hung(silent))
            }
        }
    }

    fn tell(&self, event: Event) {
        self.shared.published.tell(&self.board.name, event, self.circle.clone());
    }

    fn not_listed(&self, why: &str) {
        let upstream = &*self.board.name;
        tracing::warn!(
            upstream,
            why,
            "its lists changed, and could not be read: the old ones stay"
        );
    }
}

/// How a server of this kind is spoken to.
fn settings(spec: &UpstreamSpec) -> Settings {
    let over = match spec.target {
        Target::Stdio(_) => Over::Stdio,
        Target::Http(_) => Over::Http,
    };
    Settings::new(over, spec.start_timeout)
}

/// Lets the instance behind a wire end, in order where it can be trusted to.
async fn end(work: BoxFuture<'static, Closing>, exit: &Exit, spec: &UpstreamSpec) {
    if !exit.kills {
        let _ = timeout(spec.shutdown + SLACK, work).await;
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
