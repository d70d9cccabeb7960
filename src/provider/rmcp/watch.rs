//! Listening to a handler, in the way that it knows: `subscriptions/listen` (2026-07-28), or
//! `resources/subscribe` before.

#![expect(deprecated, reason = "what the SDK calls deprecated is all that older handlers know")]

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rmcp::model::{
    ClientCapabilities, ClientRequest, ProtocolVersion, SubscribeRequestParams, SubscriptionFilter,
    SubscriptionsListenRequest, SubscriptionsListenRequestParams, UnsubscribeRequestParams,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::{RoleServer, ServerHandler};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Ids;
use super::home::limited;

/// Resources of one handler that are watched; updates of more are not told.
const WATCHED: usize = 1_000;
/// The first and the longest pause before a handler that ended a subscription is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Who listens. Dropping it ends that.
pub(super) struct Watch<H> {
    handler: Arc<H>,
    peer: Peer<RoleServer>,
    ids: Arc<Ids>,
    listens: bool,
    watched: BTreeSet<String>,
    lists: JoinSet<()>,
    resources: JoinSet<()>,
}

impl<H: ServerHandler> Watch<H> {
    /// Begins to listen for changes of the lists.
    pub(super) fn begin(handler: Arc<H>, peer: Peer<RoleServer>, ids: Arc<Ids>) -> Self {
        let filter = SubscriptionFilter::builder()
            .tools_list_changed()
            .prompts_list_changed()
            .resources_list_changed()
            .build();
        let listens =
            handler.supported_protocol_versions().contains(&ProtocolVersion::V_2026_07_28)
                && handler.accepted_subscription_filter(&filter).is_some();
        let (lists, resources) = (JoinSet::new(), JoinSet::new());
        let watched = BTreeSet::new();
        let mut watch = Self { handler, peer, ids, listens, watched, lists, resources };
        if listens {
            let task = watch.listen(filter);
            watch.lists.spawn(task);
        }
        watch
    }

    /// Listens for updates of these resources, and of no others.
    pub(super) async fn resources(&mut self, uris: impl Iterator<Item = String>) {
        let mut wanted: BTreeSet<String> = uris.collect();
        if wanted.len() > WATCHED {
            tracing::warn!(resources = wanted.len(), watched = WATCHED, "not all are watched");
            wanted = wanted.into_iter().take(WATCHED).collect();
        }
        if wanted == self.watched {
            return;
        }
        if self.listens {
            self.watched = wanted.clone();
            self.resources = JoinSet::new();
            let filter = SubscriptionFilter::builder().resource_subscriptions(wanted).build();
            let task = self.listen(filter);
            self.resources.spawn(task);
            return;
        }
        let capability = self.handler.get_info().capabilities.resources;
        if capability.is_none_or(|resources| resources.subscribe != Some(true)) {
            return;
        }
        if let Err(failure) = limited(self.subscribe(wanted)).await {
            tracing::warn!(%failure, "a handler's resources are not all watched");
        }
    }

    /// What failed is tried again with the next change of the list.
    async fn subscribe(&mut self, wanted: BTreeSet<String>) -> Result<(), rmcp::ErrorData> {
        let gone: Vec<_> = self.watched.difference(&wanted).cloned().collect();
        for uri in gone {
            let params = UnsubscribeRequestParams::new(&uri);
            self.handler.unsubscribe(params, self.request()).await?;
            self.watched.remove(&uri);
        }
        for uri in wanted {
            if !self.watched.contains(&uri) {
                let params = SubscribeRequestParams::new(&uri);
                self.handler.subscribe(params, self.request()).await?;
                self.watched.insert(uri);
            }
        }
        Ok(())
    }

    fn request(&self) -> RequestContext<RoleServer> {
        RequestContext::new(self.ids.next(), self.peer.clone())
    }

    /// Keeps a subscription open for as long as it is polled.
    fn listen(&self, filter: SubscriptionFilter) -> impl Future<Output = ()> + Send + use<H> {
        let (handler, peer, ids) =
            (Arc::clone(&self.handler), self.peer.clone(), Arc::clone(&self.ids));
        async move {
            let mut pause = PAUSE.0;
            loop {
                let mut context = RequestContext::new(ids.next(), peer.clone());
                context.meta.set_protocol_version(ProtocolVersion::V_2026_07_28);
                context.meta.set_client_capabilities(ClientCapabilities::default());
                let params = SubscriptionsListenRequestParams::new(filter.clone());
                let request = SubscriptionsListenRequest::new(params);
                let request = ClientRequest::SubscriptionsListenRequest(request);
                let began = Instant::now();
                let listening = rmcp::Service::handle_request(&*handler, request, context);
                let _ended = AssertUnwindSafe(listening).catch_unwind().await;
                pause = if began.elapsed() > PAUSE.1 { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
                sleep(pause).await;
            }
        }
    }
}
