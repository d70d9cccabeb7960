//! Servers written for the official Rust SDK, hosted unchanged: any `rmcp::ServerHandler` answers
//! as a provider of this node, without a connection in between.
//!
//! A call runs the handler's own method in the call's own future, so that a panic, a deadline or a
//! cancellation costs that call and leaves nothing behind: the SDK's service loop would spawn the
//! handler and never end it. What a handler sends beside its answer goes through a peer that
//! belongs to the one call; it is closed when the call ends. Whoever tells something later uses
//! the peer that it was given in `initialize` or `on_initialized`, or listens to
//! `subscriptions/listen`.
//!
//! One handler serves all clients. Each sees the revision of its edge, as far as the handler
//! supports it: a handler that asks by `InputRequired` works for legacy clients too, whose answers
//! are fetched while the call waits.
//!
//! ```
//! use erlmcp::provider::rmcp::host;
//!
//! struct Silent;
//! impl rmcp::ServerHandler for Silent {}
//!
//! assert_eq!(&*host("silent", Silent).name(), "silent");
//! ```

mod call;
mod home;
mod line;
mod translate;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::ServerHandler;
use rmcp::model::RequestId;
use tokio::sync::{Mutex, broadcast};

use self::home::Home;
use super::{CallError, Event, Hosted, Provider, ProviderCall};
use crate::catalogue::{Offer, ServerName};
use crate::protocol::ResultObject;

/// Events that wait for the registry; one that is further behind takes everything as changed.
const WAITING_EVENTS: usize = 256;

/// Hosts a handler under a name.
pub fn host<H: ServerHandler>(name: &str, handler: H) -> Arc<dyn Hosted> {
    let (name, ids) = (ServerName::from(name), Arc::<Ids>::default());
    let (handler, events) = (Arc::new(handler), broadcast::Sender::new(WAITING_EVENTS));
    let home = Home::new(name.clone(), handler.clone(), events.clone(), ids.clone());
    Arc::new(Guest { name, handler, events, ids, home: Arc::new(Mutex::new(home)) })
}

/// A hosted handler.
struct Guest<H: ServerHandler> {
    name: ServerName,
    handler: Arc<H>,
    events: broadcast::Sender<Event>,
    ids: Arc<Ids>,
    /// Offers are made one at a time, each on what the one before left.
    home: Arc<Mutex<Home<H>>>,
}

impl<H: ServerHandler> Provider for Guest<H> {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
        let (handler, events) = (Arc::clone(&self.handler), self.events.clone());
        call::perform(handler, self.ids.next(), call, events).boxed()
    }
}

impl<H: ServerHandler> Hosted for Guest<H> {
    fn name(&self) -> ServerName {
        Arc::clone(&self.name)
    }

    fn offer(&self) -> BoxFuture<'static, Offer> {
        let home = Arc::clone(&self.home);
        async move { home.lock().await.offer().await }.boxed()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// Ids of requests to one handler, by which it may tell them apart.
#[derive(Default)]
struct Ids(AtomicI64);

impl Ids {
    fn next(&self) -> RequestId {
        RequestId::Number(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
