//! Tells sessions what changed: lists, and the resources that they subscribed to.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;

use super::front::Sessions;
use super::table::{Record, Table};
use crate::protocol::Kind;
use crate::protocol::notification::Outgoing;
use crate::provider::Event;
use crate::registry::{Change, Published};
use crate::tasks::{TaskChange, Tasks};

/// Listens to what the registry tells; a child of the root. What changes while it is being
/// restarted is told by none: so it begins by telling every session that all lists may differ,
/// unless it is the first.
pub async fn run(sessions: Sessions, published: Published, first: bool) {
    let (table, tasks) = (&sessions.table, &sessions.tasks);
    let (mut changes, mut of_tasks) = (published.changes(), tasks.changes());
    if !first {
        tell_all(table);
    }
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => tell(table, &change),
                // Whoever reads again finds what is true now.
                Err(RecvError::Lagged(_)) => tell_all(table),
                Err(RecvError::Closed) => return,
            },
            change = of_tasks.recv() => match change {
                Ok(change) => tell_task(table, tasks, &change),
                // Clients look at their tasks from time to time; what is told only comes sooner.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Tells a task's status to the session that it belongs to, where its revision has that.
fn tell_task(table: &Table, tasks: &Tasks, change: &TaskChange) {
    let Some(record) = table.owner(&change.owner) else { return };
    if record.revision.has_core_tasks()
        && let Some(told) = tasks.notification(&change.owner, change.id.as_str(), record.revision)
    {
        record.streams.push_once(encode(&told));
    }
}

fn tell(table: &Table, change: &Change) {
    let seen = |record: &Arc<Record>| change.is_seen_by(&record.scope, &record.who());
    match &change.what {
        Event::Anything => table.all().iter().filter(|r| seen(r)).for_each(|r| tell_everything(r)),
        Event::ListChanged(kind) => {
            let told = encode(&Outgoing::list_changed(*kind));
            let tell = |record: &Arc<Record>| record.streams.push_once(told.clone());
            table.all().iter().filter(|record| seen(record)).for_each(tell);
        }
        Event::ResourceUpdated(uri) => {
            let told = encode(&Outgoing::resource_updated(uri));
            let tell = |record: &Arc<Record>| record.streams.push_once(told.clone());
            let wants = |r: &&Arc<Record>| r.is_subscribed(uri) && seen(r);
            table.all().iter().filter(wants).for_each(tell);
        }
    }
}

fn tell_all(table: &Table) {
    table.all().iter().for_each(|record| tell_everything(record));
}

/// All that a session could read again.
fn tell_everything(record: &Record) {
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        record.streams.push_once(encode(&Outgoing::list_changed(kind)));
    }
    for uri in record.subscriptions() {
        record.streams.push_once(encode(&Outgoing::resource_updated(&uri)));
    }
}

fn encode(notification: &Outgoing) -> Bytes {
    Bytes::from(notification.encode(None))
}
