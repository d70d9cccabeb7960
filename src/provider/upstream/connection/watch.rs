//! What a server is asked to tell of itself: which resources changed, and, of a modern one, which
//! lists did.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, sleep};

use super::line::Live;
use super::table::{Fault, Happening};
use super::{Connection, News};
use crate::protocol::call::Filter;
use crate::protocol::splice::Edits;
use crate::protocol::{Era, Kind};

/// How long is waited before a stream that broke is opened again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A stream that lived longer than this broke by bad luck: the next one is opened at once.
const SETTLED: Duration = Duration::from_secs(60);

/// Which resources somebody wants to hear of.
pub(super) struct Watch(Sender<BTreeSet<String>>);

impl Default for Watch {
    fn default() -> Self {
        Self(Sender::new(BTreeSet::new()))
    }
}

impl Watch {
    pub(super) fn want(&self, uris: &BTreeSet<String>) {
        self.0.send_if_modified(|wanted| {
            let differs = wanted != uris;
            if differs {
                wanted.clone_from(uris);
            }
            differs
        });
    }
}

/// Keeps the server told of what is wanted; ends where there is nothing to be told, or the
/// connection has ended.
pub(super) async fn run(connection: &Connection) {
    let wanted = connection.watch.0.subscribe();
    match connection.peer.era() {
        Era::Legacy if connection.peer.capabilities.subscribe => {
            subscribe(connection, wanted).await
        }
        Era::Legacy => {}
        Era::Modern => listen(connection, wanted).await,
    }
}

/// Of the session era: a request for each resource that is added or not wanted any more.
async fn subscribe(connection: &Connection, mut wanted: Receiver<BTreeSet<String>>) {
    let mut told = BTreeSet::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        for uri in told.difference(&now) {
            request(connection, "resources/unsubscribe", uri).await;
        }
        for uri in now.difference(&told) {
            request(connection, "resources/subscribe", uri).await;
        }
        told = now;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

async fn request(connection: &Connection, method: &'static str, uri: &str) {
    let mut edits = Edits::default();
    // A URI is a text.
    let _ = edits.set("uri", uri);
    let draft = connection.draft(method, edits);
    let limit = connection.settings.request_timeout;
    let outcome = connection.line.request(draft, connection.leaving(), limit).await;
    if !matches!(outcome, Some(Ok(_))) {
        tracing::debug!(server = %connection.name(), method, uri, "it did not take a subscription");
    }
}

/// How a stream of notifications ended.
enum Ended {
    /// Something else is wanted; it is still open.
    Outdated(Live),
    /// The server ended it, or it broke.
    Broke(Duration),
    /// There is no connection any more.
    Closed,
}

/// Of the modern era: one stream for all. A new one is open before the old one is left, and after
/// one broke everything that it told of may have changed.
async fn listen(connection: &Connection, mut wanted: Receiver<BTreeSet<String>>) {
    let mut old = None;
    let (mut pause, mut missed) = (Duration::ZERO, false);
    loop {
        let filter = filter(connection, &wanted.borrow_and_update());
        if filter == Filter::default() {
            drop(old.take());
            match wanted.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        }
        match hold(connection, &filter, &mut wanted, old.take(), &mut missed).await {
            Ended::Outdated(stream) => {
                old = Some(stream);
                pause = Duration::ZERO;
            }
            Ended::Broke(lived) => {
                missed = true;
                if lived >= SETTLED {
                    pause = Duration::ZERO;
                }
                sleep(pause).await;
                pause = (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
            }
            Ended::Closed => return,
        }
    }
}

/// Opens a stream, leaves `old` for it, and holds it as long as it is what is wanted.
async fn hold(
    connection: &Connection,
    filter: &Filter,
    wanted: &mut Receiver<BTreeSet<String>>,
    mut old: Option<Live>,
    missed: &mut bool,
) -> Ended {
    let begun = Instant::now();
    let mut stream = match begin(connection, filter).await {
        Ok(stream) => stream,
        Err(_) => return Ended::Closed,
    };
    loop {
        tokio::select! {
            happening = stream.next() => match happening {
                Happening::Done(Err(Fault::Closed { .. })) => return Ended::Closed,
                Happening::Done(_) => return Ended::Broke(begun.elapsed()),
                Happening::Acknowledged => {
                    drop(old.take());
                    if std::mem::take(missed) {
                        tell_all(connection, filter);
                    }
                }
                // Servers of this era ask in their results only, and the inbox says so.
                Happening::Asked(_) | Happening::Withdrawn(_) => {}
            },
            changed = wanted.changed() => {
                return if changed.is_ok() { Ended::Outdated(stream) } else { Ended::Closed };
            }
        }
    }
}

async fn begin(connection: &Connection, filter: &Filter) -> Result<Live, Fault> {
    let mut edits = Edits::default();
    // A filter is flags and texts.
    let _ = edits.set("notifications", filter);
    let stream = connection.line.begin(None, connection.leaving())?;
    stream.send(connection.draft("subscriptions/listen", edits)).await?;
    Ok(stream)
}

/// What the server can tell of, and somebody wants to hear.
fn filter(connection: &Connection, uris: &BTreeSet<String>) -> Filter {
    let capabilities = connection.peer.capabilities;
    let heard = uris.iter().filter(|_| capabilities.subscribe);
    Filter {
        tools_list_changed: capabilities.tools_changed,
        prompts_list_changed: capabilities.prompts_changed,
        resources_list_changed: capabilities.resources_changed,
        resource_subscriptions: heard.cloned().collect(),
        task_ids: Vec::new(),
    }
}

/// While nobody listened, all of it may have changed.
fn tell_all(connection: &Connection, filter: &Filter) {
    let lists = [
        (Kind::Tools, filter.tools_list_changed),
        (Kind::Prompts, filter.prompts_list_changed),
        (Kind::Resources, filter.resources_list_changed),
        (Kind::Templates, filter.resources_list_changed),
    ];
    for (kind, _) in lists.into_iter().filter(|(_, heard)| *heard) {
        connection.line.inbox.tell(News::ListChanged(kind));
    }
    for uri in &filter.resource_subscriptions {
        connection.line.inbox.tell(News::ResourceUpdated(uri.clone()));
    }
}
