//! Tells sessions what changed: lists, and the resources that they subscribed to.

use tokio::sync::broadcast::error::RecvError;

use bytes::Bytes;

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
        push(&record, &told);
    }
}

fn tell(table: &Table, change: &Change) {
    let notification = match &change.what {
        Event::ListChanged(kind) => Outgoing::list_changed(*kind),
        Event::ResourceUpdated(uri) => Outgoing::resource_updated(uri),
    };
    let message = Bytes::from(notification.encode(None));
    for record in table.all() {
        let wanted = match &change.what {
            Event::ListChanged(_) => true,
            Event::ResourceUpdated(uri) => record.is_subscribed(uri),
        };
        if wanted && change.is_seen_by(&record.scope) {
            record.streams.push_once(message.clone());
        }
    }
}

fn tell_all(table: &Table) {
    for record in table.all() {
        for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
            push(&record, &Outgoing::list_changed(kind));
        }
        for uri in record.subscriptions() {
            push(&record, &Outgoing::resource_updated(&uri));
        }
    }
}

fn push(record: &Record, notification: &Outgoing) {
    record.streams.push_once(Bytes::from(notification.encode(None)));
}
