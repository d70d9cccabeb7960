//! Requests of the modern era, without a session: whoever brings one owns its work, and drops it
//! to cancel it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::work::{Caller, NOBODY, Planned, Work};
use crate::catalogue::{Mirror, Scope};
use crate::protocol::header::Headers;
use crate::protocol::meta::{Checked, Extras};
use crate::protocol::notification::Outgoing;
use crate::protocol::{Ask, AskError, Call, Kind, Level, Operation, RpcError};
use crate::provider::{ClientLink, Inputs, Side, Who};
use crate::telemetry::Spent;

/// Notifications of one request that wait for its client; more are dropped, since all that may be
/// sent beside an answer can be done without.
const WAITING: usize = 64;

/// The link of one request: notifications only, as questions end it.
struct ModernLink {
    messages: mpsc::Sender<Bytes>,
    level: Option<Level>,
}

impl ClientLink for ModernLink {
    fn notify(&self, notification: &Outgoing) {
        let _ = self.messages.try_send(Bytes::from(notification.encode(None)));
    }

    fn ask(&self, _: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        Box::pin(std::future::ready(Err(AskError::Gone)))
    }

    fn log_level(&self) -> Option<Level> {
        self.level
    }

    fn can_wait(&self) -> bool {
        false
    }
}

/// A request with its way settled, and what it sends beside its answer.
pub struct Begun {
    /// Its work.
    pub planned: Planned,
    /// Its notifications; closed where it has none.
    pub messages: mpsc::Receiver<Bytes>,
}

impl Work {
    /// Begins a modern request.
    ///
    /// # Errors
    /// Where its state or its answers are not valid.
    pub fn begin(
        &self,
        scope: &Scope,
        checked: Checked,
        call: Call,
        extras: Extras,
        spent: Spent,
        cancelled: CancellationToken,
    ) -> Result<Begun, RpcError> {
        let inputs = match &call {
            Call::Operate(operation) => self.rounds.inputs(scope, NOBODY, operation, &extras)?,
            _ => Inputs::default(),
        };
        let (sender, messages) = mpsc::channel(WAITING);
        let side = Side {
            who: Who::nobody(),
            revision: checked.revision,
            capabilities: checked.capabilities,
            params: extras.params,
            meta: extras.meta.map(Arc::from),
            progress_token: extras.progress_token.map(Arc::from),
            inputs: Arc::new(inputs),
            client: Arc::new(ModernLink { messages: sender, level: checked.log_level }),
            spent,
        };
        Ok(Begun { planned: self.plan(&Caller::nobody(scope), side, call, cancelled), messages })
    }

    /// Checks the headers that mirror a tool's arguments.
    ///
    /// # Errors
    /// -32020 where one is missing or contradicts its argument.
    pub fn check_mirrors(
        &self,
        scope: &Scope,
        call: &Call,
        headers: &Headers,
    ) -> Result<(), RpcError> {
        let Call::Operate(Operation::CallTool(call)) = call else { return Ok(()) };
        let snapshot = self.published.load();
        let Some(tool) = snapshot.catalogue.find(scope, Kind::Tools, &call.name) else {
            return Ok(());
        };
        if tool.mirrors.is_empty() {
            return Ok(());
        }
        let arguments = call.arguments.as_deref().map_or("{}", RawValue::get);
        let arguments: Value = serde_json::from_str(arguments).map_err(RpcError::invalid_params)?;
        let check = |mirror: &Mirror| {
            mirror.check(&arguments, headers.params.get(&mirror.header).map(String::as_str))
        };
        tool.mirrors.iter().try_for_each(check)
    }
}
