//! Tells sessions what changed: lists, and the resources that they subscribed to.

use tokio::sync::broadcast::error::RecvError;

use bytes::Bytes;

use super::table::{Record, Table};
use crate::protocol::Kind;
use crate::protocol::notification::Outgoing;
use crate::provider::Event;
use crate::registry::{Change, Published};

/// Listens to what the registry tells; a child of the root. What changes while it is being
/// restarted is told by none: so it begins by telling every session that all lists may differ,
/// unless it is the first.
pub async fn run(table: Table, published: Published, first: bool) {
    let mut changes = published.changes();
    if !first {
        tell_all(&table);
    }
    loop {
        match changes.recv().await {
            Ok(change) => tell(&table, &change),
            // Whoever reads again finds what is true now.
            Err(RecvError::Lagged(_)) => tell_all(&table),
            Err(RecvError::Closed) => return,
        }
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
