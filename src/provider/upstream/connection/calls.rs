//! Calls of clients: what goes out for one, and what has to be said before it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Connection, Draft, Fault, Live, Over};
use crate::bridge::{self, Hop, Retry};
use crate::catalogue::Mirror;
use crate::protocol::call::{Completion, Reference};
use crate::protocol::splice::Edits;
use crate::protocol::{Code, Era, Operation, RpcError};
use crate::provider::CallContext;

impl Connection {
    /// Sends what a client asks for; the answers to what the server asked before go with it.
    pub(in crate::provider::upstream) async fn begin(
        &self,
        operation: &Operation,
        call: &Arc<CallContext>,
        retry: Option<Retry<'_>>,
    ) -> Result<Live, Fault> {
        self.lower_level(call).await?;
        let live = self.line.begin(Some(call), self.leaving())?;
        live.send(self.call(operation, call, live.id(), false, retry)?).await?;
        Ok(live)
    }

    /// What goes out for a call; the server tells its progress by `token`, where the client wants
    /// to know.
    pub(super) fn call(
        &self,
        operation: &Operation,
        call: &CallContext,
        token: u64,
        as_task: bool,
        retry: Option<Retry<'_>>,
    ) -> Result<Draft, Fault> {
        let side = &call.side;
        let hop = Hop {
            from: side.revision.era(),
            to: self.peer.revision,
            progress_token: side.progress_token.is_some().then_some(token),
            capabilities: side.capabilities,
            log_level: side.client.log_level(),
            as_task,
            node: &self.settings.node,
        };
        let params = bridge::params(operation, side.params.as_deref(), &hop, retry);
        let unwritten = |_| RpcError::new(Code::InternalError, "The call could not be written");
        let params = params.map_err(|error| Fault::Answered(unwritten(error)))?;
        let mut draft = Draft::new(method(operation), params);
        if self.mirrors() {
            draft.name = mirrored_name(operation);
            draft.mirrored = self.mirrored(operation);
        }
        Ok(draft)
    }

    /// Whether headers say what a request is about.
    fn mirrors(&self) -> bool {
        self.settings.over == Over::Http && self.peer.era() == Era::Modern
    }

    /// A tool's arguments that its definition wants in headers.
    fn mirrored(&self, operation: &Operation) -> Vec<(String, String)> {
        let Operation::CallTool(call) = operation else { return Vec::new() };
        let index = self.index.load();
        let mirrors = index.as_ref().and_then(|index| index.mirrors.get(&call.name));
        let Some(mirrors) = mirrors else { return Vec::new() };
        let arguments = call.arguments.as_deref().map(RawValue::get);
        let arguments: Value =
            arguments.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let value = |mirror: &Mirror| Some((mirror.header.clone(), mirror.value(&arguments)?));
        mirrors.iter().filter_map(value).collect()
    }

    /// A server of the session era sends the log messages that any of its clients wants; each
    /// client gets those that it wants itself.
    pub(super) async fn lower_level(&self, call: &CallContext) -> Result<(), Fault> {
        if self.peer.era() == Era::Modern || !self.peer.capabilities.logging {
            return Ok(());
        }
        let Some(level) = call.side.client.log_level() else { return Ok(()) };
        let number = u8::from(level);
        if self.level.fetch_min(number, Ordering::Relaxed) <= number {
            return Ok(());
        }
        let mut edits = Edits::default();
        // A level is a text.
        let _ = edits.set("level", &level);
        let live = self.line.begin(None, self.leaving())?;
        live.send(self.draft("logging/setLevel", edits)).await?;
        // Messages are an extra: no call waits for this.
        live.forget();
        Ok(())
    }
}

fn method(operation: &Operation) -> &'static str {
    match operation {
        Operation::CallTool(_) => "tools/call",
        Operation::GetPrompt(_) => "prompts/get",
        Operation::ReadResource(_) => "resources/read",
        Operation::Complete(_) => "completion/complete",
    }
}

/// What `Mcp-Name` says.
fn mirrored_name(operation: &Operation) -> Option<String> {
    match operation {
        Operation::CallTool(call) => Some(call.name.clone()),
        Operation::GetPrompt(call) => Some(call.name.clone()),
        Operation::ReadResource(uri) => Some(uri.clone()),
        Operation::Complete(Completion { reference: Reference::Prompt(_), .. })
        | Operation::Complete(_) => None,
    }
}
