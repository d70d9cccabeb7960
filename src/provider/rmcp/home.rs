//! The long-lived end of a hosted handler: what it offers, and what it tells by itself.

#![expect(deprecated, reason = "what the SDK calls deprecated is still served to legacy clients")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rmcp::model::{
    ErrorCode, ErrorData, LoggingLevel, PaginatedRequestParams, SetLevelRequestParams,
};
use rmcp::service::{Peer, RequestContext, RunningService};
use rmcp::{RoleServer, ServerHandler};
use serde::Serialize;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::line::Line;
use super::watch::Watch;
use super::{Ids, translate};
use crate::catalogue::{Definition, Offer, ServerName};
use crate::protocol::{ClientCapabilities, Kind, ResultObject, Revision};
use crate::provider::Event;

/// How long a handler may take for one of its lists, and for what goes before them.
const LIMIT: Duration = Duration::from_secs(10);
/// Pages of one list that are read.
const PAGES: usize = 1_000;
/// When a list that could not be read is read again.
const RETRY: Duration = Duration::from_secs(30);

/// Why a handler's part is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It has no such method.
    #[error("it has no such method")]
    NoMethod,
    /// It says so.
    #[error("{0}")]
    Refused(String),
    /// It panicked.
    #[error("it panicked")]
    Panicked,
    /// It took too long.
    #[error("it took longer than {} s", LIMIT.as_secs())]
    TimedOut,
}

/// Waits for a handler, which may hang or panic.
pub(super) async fn limited<T>(
    work: impl Future<Output = Result<T, ErrorData>>,
) -> Result<T, Failure> {
    match AssertUnwindSafe(timeout(LIMIT, work)).catch_unwind().await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) if error.code == ErrorCode::METHOD_NOT_FOUND => Err(Failure::NoMethod),
        Ok(Ok(Err(error))) => Err(Failure::Refused(error.message.into_owned())),
        Ok(Err(_elapsed)) => Err(Failure::TimedOut),
        Err(_panic) => Err(Failure::Panicked),
    }
}

/// One hosted handler's home.
pub(super) struct Home<H: ServerHandler> {
    name: ServerName,
    handler: Arc<H>,
    events: broadcast::Sender<Event>,
    ids: Arc<Ids>,
    running: Option<Running<H>>,
    /// The last good lists stand in for those that can't be read.
    last: Offer,
    retry: JoinSet<()>,
}

/// What is there once the handler was greeted.
struct Running<H: ServerHandler> {
    service: RunningService<RoleServer, Arc<H>>,
    watch: Watch<H>,
}

impl<H: ServerHandler> Home<H> {
    /// The home of a handler that wasn't greeted yet.
    pub(super) fn new(
        name: ServerName,
        handler: Arc<H>,
        events: broadcast::Sender<Event>,
        ids: Arc<Ids>,
    ) -> Self {
        let (last, retry) = (Offer::default(), JoinSet::new());
        Self { name, handler, events, ids, running: None, last, retry }
    }

    /// What the handler offers now.
    pub(super) async fn offer(&mut self) -> Offer {
        let peer = self.peer().await;
        let instructions = self.handler.get_info().instructions;
        let mut offer = Offer { instructions, ..Offer::default() };
        let mut failed = false;
        for kind in Kind::ALL {
            let listed = limited(self.list(kind, &peer)).await;
            let list = match listed {
                Ok(list) => list,
                Err(Failure::NoMethod) => Vec::new(),
                Err(failure) => {
                    tracing::warn!(server = %self.name, ?kind, %failure, "a list can't be read");
                    failed = true;
                    self.last.list(kind).to_vec()
                }
            };
            *list_mut(&mut offer, kind) = list;
        }
        if let Some(running) = &mut self.running {
            running.watch.resources(offer.resources.iter().map(|it| it.name.clone())).await;
        }
        self.retry = JoinSet::new();
        if failed {
            let events = self.events.clone();
            self.retry.spawn(async move {
                sleep(RETRY).await;
                // Nobody may listen any more; then nobody needs it.
                let _ = events.send(Event::ListChanged(Kind::Tools));
            });
        }
        self.last = offer.clone();
        offer
    }

    /// The peer of the running home; one that is gone is built anew.
    async fn peer(&mut self) -> Peer<RoleServer> {
        if let Some(running) = &self.running
            && !running.service.is_transport_closed()
        {
            return running.service.peer().clone();
        }
        let running = self.start().await;
        let peer = running.service.peer().clone();
        self.running = Some(running);
        peer
    }

    /// Greets the handler as a client would, and begins to listen to it.
    async fn start(&self) -> Running<H> {
        let supported = self.handler.supported_protocol_versions();
        let version = translate::spoken(Revision::LATEST_LEGACY, &supported);
        let client = translate::client(ClientCapabilities::default(), version);
        let (greet, greeting) = oneshot::channel();
        let line = Line::of_home(self.events.clone(), greeting);
        let service = line.open(Arc::clone(&self.handler), client.clone());
        let initialized = self.handler.initialize(client, self.request(service.peer()));
        if let Err(failure) = limited(initialized).await {
            tracing::warn!(server = %self.name, %failure, "a handler does not initialize");
        }
        let _ = greet.send(());
        if self.handler.get_info().capabilities.logging.is_some() {
            // The node keeps from each client what is beneath its own level.
            let all = SetLevelRequestParams::new(LoggingLevel::Debug);
            let _ = limited(self.handler.set_level(all, self.request(service.peer()))).await;
        }
        let (handler, ids) = (Arc::clone(&self.handler), Arc::clone(&self.ids));
        let watch = Watch::begin(handler, service.peer().clone(), ids);
        Running { service, watch }
    }

    fn request(&self, peer: &Peer<RoleServer>) -> RequestContext<RoleServer> {
        RequestContext::new(self.ids.next(), peer.clone())
    }

    /// All pages of a list.
    async fn list(
        &self,
        kind: Kind,
        peer: &Peer<RoleServer>,
    ) -> Result<Vec<Definition>, ErrorData> {
        let (mut all, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let (page, next) = self.page(kind, cursor, self.request(peer)).await?;
            all.extend(page);
            if next.is_none() {
                return Ok(all);
            }
            cursor = next;
        }
        Err(ErrorData::internal_error(format!("the list has more than {PAGES} pages"), None))
    }

    async fn page(
        &self,
        kind: Kind,
        cursor: Option<String>,
        request: RequestContext<RoleServer>,
    ) -> Result<(Vec<Definition>, Option<String>), ErrorData> {
        let from = Some(PaginatedRequestParams::default().with_cursor(cursor));
        Ok(match kind {
            Kind::Tools => {
                let page = self.handler.list_tools(from, request).await?;
                (define(&page.tools, |tool| &tool.name)?, page.next_cursor)
            }
            Kind::Prompts => {
                let page = self.handler.list_prompts(from, request).await?;
                (define(&page.prompts, |prompt| &prompt.name)?, page.next_cursor)
            }
            Kind::Resources => {
                let page = self.handler.list_resources(from, request).await?;
                (define(&page.resources, |resource| &resource.uri)?, page.next_cursor)
            }
            Kind::Templates => {
                let page = self.handler.list_resource_templates(from, request).await?;
                let templates = define(&page.resource_templates, |it| &it.uri_template)?;
                (templates, page.next_cursor)
            }
        })
    }
}

fn list_mut(offer: &mut Offer, kind: Kind) -> &mut Vec<Definition> {
    match kind {
        Kind::Tools => &mut offer.tools,
        Kind::Prompts => &mut offer.prompts,
        Kind::Resources => &mut offer.resources,
        Kind::Templates => &mut offer.templates,
    }
}

fn define<T: Serialize>(
    items: &[T],
    name: impl Fn(&T) -> &str,
) -> Result<Vec<Definition>, ErrorData> {
    let define = |item: &T| {
        let members = ResultObject::of(item)
            .map_err(|error| ErrorData::internal_error(error.message, None))?;
        Ok(Definition { name: name(item).to_owned(), members })
    };
    items.iter().map(define).collect()
}
