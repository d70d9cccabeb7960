//! The line between a handler and its client: what the SDK takes for a transport, and whose other
//! end is the node. Nothing waits in it: a notification is passed on when it is sent, and what is
//! asked is awaited here, inside the SDK's loop.

#![expect(deprecated, reason = "what the SDK calls deprecated is still served to legacy clients")]

use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientResult, ErrorCode, ErrorData,
    InitializeRequestParams, InitializedNotification, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage, ServerNotification, ServerRequest,
};
use rmcp::service::{RunningService, serve_directly};
use rmcp::transport::Transport;
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::{broadcast, oneshot};

use super::translate;
use crate::protocol::notification::{LogMessage, Progress};
use crate::protocol::{AskError, Kind};
use crate::provider::{CallContext, Event};

/// Questions of one handler to one client that may wait at once.
const WAITING_ASKS: usize = 64;

/// One handler's way to one client, or to nobody.
pub(super) struct Line {
    /// The call that it belongs to; none for what a handler tells by itself.
    call: Option<CallContext>,
    events: broadcast::Sender<Event>,
    /// When this comes, the client is ready as after a handshake.
    greeting: Option<oneshot::Receiver<()>>,
    asked: Vec<(RequestId, BoxFuture<'static, ClientJsonRpcMessage>)>,
}

/// Takes nothing: the peer of a call is there to be sent through, requests come another way.
pub(super) struct Deaf;

impl ServerHandler for Deaf {}

impl Line {
    /// The line of one call.
    pub(super) fn of_call(call: CallContext, events: broadcast::Sender<Event>) -> Self {
        Self { call: Some(call), events, greeting: None, asked: Vec::new() }
    }

    /// The line for what a handler tells by itself.
    pub(super) fn of_home(
        events: broadcast::Sender<Event>,
        greeting: oneshot::Receiver<()>,
    ) -> Self {
        Self { call: None, events, greeting: Some(greeting), asked: Vec::new() }
    }

    /// Runs the SDK's loop on the line until the result is dropped.
    pub(super) fn open<H: ServerHandler>(
        self,
        handler: H,
        client: InitializeRequestParams,
    ) -> RunningService<RoleServer, H> {
        serve_directly(handler, self, Some(client))
    }

    fn tell(&mut self, notification: ServerNotification) {
        match notification {
            ServerNotification::ProgressNotification(it) => {
                let (progress, total) = (it.params.progress, it.params.total);
                let message = it.params.message;
                // The token is the request's own, whatever the handler says.
                let Some(call) = &self.call else { return };
                call.progress(Progress { progress, total, message });
            }
            ServerNotification::LoggingMessageNotification(it) => {
                let level = translate::level(it.params.level);
                let (logger, data) = (it.params.logger, it.params.data);
                let Some(call) = &self.call else { return };
                call.log(&LogMessage { level, logger, data });
            }
            ServerNotification::ResourceUpdatedNotification(it) => {
                self.announce(Event::ResourceUpdated(it.params.uri));
            }
            ServerNotification::ToolListChangedNotification(_) => {
                self.announce(Event::ListChanged(Kind::Tools));
            }
            ServerNotification::PromptListChangedNotification(_) => {
                self.announce(Event::ListChanged(Kind::Prompts));
            }
            ServerNotification::ResourceListChangedNotification(_) => {
                self.announce(Event::ListChanged(Kind::Resources));
            }
            ServerNotification::SubscriptionsAcknowledgedNotification(it) => {
                // What changed before it was listened for was not heard.
                let heard = it.params.notifications;
                let lists = [
                    (Kind::Tools, heard.tools_list_changed),
                    (Kind::Prompts, heard.prompts_list_changed),
                    (Kind::Resources, heard.resources_list_changed),
                ];
                if let Some((kind, _)) = lists.iter().find(|(_, heard)| *heard == Some(true)) {
                    self.announce(Event::ListChanged(*kind));
                }
            }
            ServerNotification::CancelledNotification(it) => {
                self.asked.retain(|(id, _)| Some(id) != it.params.request_id.as_ref());
            }
            // Tasks are the node's own, and a client is sent nothing that MCP doesn't know.
            _ => tracing::debug!("a handler sent a notification that no client is told"),
        }
    }

    fn announce(&self, event: Event) {
        // Nobody may listen; that is no fault.
        let _ = self.events.send(event);
    }

    fn ask(&mut self, id: RequestId, request: &ServerRequest) {
        let reply_to = id.clone();
        let reply = |answer: Result<ClientResult, ErrorData>| match answer {
            Ok(result) => JsonRpcMessage::response(result, reply_to),
            Err(error) => JsonRpcMessage::error(error, Some(reply_to)),
        };
        let answer = match self.forward(request) {
            Ok(answer) => answer.map(reply).boxed(),
            Err(error) => ready(reply(Err(error))).boxed(),
        };
        self.asked.push((id, answer));
    }

    /// Passes a request on to the client.
    fn forward(
        &self,
        request: &ServerRequest,
    ) -> Result<impl Future<Output = Result<ClientResult, ErrorData>> + Send + use<>, ErrorData>
    {
        if self.asked.len() >= WAITING_ASKS {
            return Err(ErrorData::internal_error("too many questions are waiting", None));
        }
        let unknown = || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "unknown method", None);
        let ask = match request {
            ServerRequest::PingRequest(_) => None,
            other => Some(translate::request(other).ok_or_else(unknown)?.map_err(encoding)?),
        };
        let asked = match ask {
            None => None,
            Some(ask) => {
                let call = self.call.as_ref().ok_or_else(|| translate::refusal(AskError::Gone))?;
                let can = ask.kind.check(call.side.capabilities);
                can.map_err(|error| translate::refusal(AskError::Impossible(error)))?;
                // The time of its client is not the call's own.
                Some((ask.kind, call.waits.begin(), call.side.client.ask(ask)))
            }
        };
        Ok(async move {
            // That this is answered at all is what a ping wants to know.
            let Some((kind, _waiting, answer)) = asked else { return Ok(ClientResult::empty(())) };
            let answer = answer.await.map_err(translate::refusal)?;
            translate::answer(kind, &answer).map_err(encoding)
        })
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<ClientJsonRpcMessage> {
        if let Some(greeting) = &mut self.greeting
            && greeting.poll_unpin(cx).is_ready()
        {
            self.greeting = None;
            let ready = InitializedNotification::default();
            let ready = ClientNotification::InitializedNotification(ready);
            return Poll::Ready(JsonRpcMessage::notification(ready));
        }
        let answered = self.asked.iter_mut().enumerate().find_map(|(at, (_, answer))| match answer
            .poll_unpin(cx)
        {
            Poll::Ready(answer) => Some((at, answer)),
            Poll::Pending => None,
        });
        match answered {
            Some((at, answer)) => {
                drop(self.asked.swap_remove(at));
                Poll::Ready(answer)
            }
            None => Poll::Pending,
        }
    }
}

fn encoding(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(format!("not what was asked for: {error}"), None)
}

impl Transport<RoleServer> for Line {
    type Error = Infallible;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        match message {
            JsonRpcMessage::Notification(it) => self.tell(it.notification),
            JsonRpcMessage::Request(it) => self.ask(it.id, &it.request),
            // Requests are not sent in here, so there is nothing to answer.
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        ready(Ok(()))
    }

    /// Never ends by itself: who opened the line closes it.
    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        Some(poll_fn(|cx| self.poll_receive(cx)).await)
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
