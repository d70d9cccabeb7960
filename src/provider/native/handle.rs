//! The handle of a server that is being served: what changes while it runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use super::error::BuildError;
use super::item::{Item, Items};
use crate::catalogue::ServerName;
use crate::protocol::Kind;
use crate::provider::Event;

/// Events that wait for the registry; it takes everything as changed when it falls behind.
const WAITING_EVENTS: usize = 256;

/// What a server and its handles share.
pub(super) struct Shared {
    pub(super) name: ServerName,
    pub(super) instructions: Option<String>,
    pub(super) items: ArcSwap<Items>,
    pub(super) events: broadcast::Sender<Event>,
}

impl Shared {
    pub(super) fn new(name: ServerName, instructions: Option<String>, items: Items) -> Self {
        let events = broadcast::Sender::new(WAITING_EVENTS);
        Self { name, instructions, items: ArcSwap::from_pointee(items), events }
    }
}

/// Changes what a server offers, and tells what happens to it. Clones are handles of the same
/// server. Nothing waits: readers go on with what they have.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Shared>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0.name).finish()
    }
}

impl Handle {
    /// Tells that a resource changed: clients that subscribed to it may read it again.
    pub fn resource_updated(&self, uri: impl Into<String>) {
        self.tell(Event::ResourceUpdated(uri.into()));
    }

    /// Adds a tool, prompt, resource or template, or replaces the one of its name, and tells it.
    ///
    /// # Errors
    /// Where it can't be offered as it is; then nothing changes.
    pub fn add(&self, item: impl Into<Item>) -> Result<(), BuildError> {
        let ready = item.into().ready().map_err(|problem| BuildError {
            server: self.0.name.to_string(),
            problems: vec![problem],
        })?;
        self.0.items.rcu(|items| {
            let mut items = Items::clone(items);
            items.insert(ready.clone());
            items
        });
        self.tell(Event::ListChanged(ready.kind()));
        Ok(())
    }

    /// Takes a tool away; gives back whether there was one, as the next three do.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.remove(Kind::Tools, name)
    }

    /// Takes a prompt away.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(Kind::Prompts, name)
    }

    /// Takes a resource away.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(Kind::Resources, uri)
    }

    /// Takes a template away.
    pub fn remove_template(&self, template: &str) -> bool {
        self.remove(Kind::Templates, template)
    }

    fn remove(&self, kind: Kind, name: &str) -> bool {
        let mut removed = false;
        self.0.items.rcu(|items| {
            let mut items = Items::clone(items);
            removed = items.remove(kind, name);
            items
        });
        if removed {
            self.tell(Event::ListChanged(kind));
        }
        removed
    }

    fn tell(&self, event: Event) {
        // Nobody may listen; that is no fault.
        let _ = self.0.events.send(event);
    }
}
