//! A request's parameters on their way from a client to a server.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::capabilities::declared;
use crate::protocol::call::{Completion, PromptCall, Reference, ToolCall};
use crate::protocol::client::TASKS_EXTENSION;
use crate::protocol::handshake::ClientInfo;
use crate::protocol::meta::{CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROTOCOL_VERSION};
use crate::protocol::splice::Edits;
use crate::protocol::{ClientCapabilities, Era, Level, Operation, Revision};

/// What one hop changes.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// The client's era.
    pub from: Era,
    /// The server's revision.
    pub to: Revision,
    /// By which the server tells progress, where the client wants to know.
    pub progress_token: Option<u64>,
    /// What the client can do.
    pub capabilities: ClientCapabilities,
    /// The least grave log messages that the client wants.
    pub log_level: Option<Level>,
    /// The server is to run it as a task (2025-11-25).
    pub as_task: bool,
    /// Who the node is.
    pub node: &'a ClientInfo,
}

/// Answers to a server's `input_required`, and what it wants to see again.
#[derive(Debug, Clone, Copy)]
pub struct Retry<'a> {
    /// The answers, by its keys.
    pub answers: &'a BTreeMap<String, Box<RawValue>>,
    /// Its state, as it wrote it.
    pub state: Option<&'a RawValue>,
}

/// The parameters' text for the server. `said` is what the client sent, of which everything stays
/// that the hop doesn't change; where it is missing, the operation is written anew.
///
/// # Errors
/// None that is known: what is set is names and texts.
pub fn params(
    operation: &Operation,
    said: Option<&RawValue>,
    hop: &Hop<'_>,
    retry: Option<Retry<'_>>,
) -> serde_json::Result<String> {
    let mut edits = Edits::default();
    match operation {
        Operation::CallTool(ToolCall { name, .. }) => {
            edits.set("name", name)?;
            // Tasks that clients ask for are the node's own.
            match hop.as_task {
                true => edits.set("task", &json!({}))?,
                false => edits.remove("task"),
            };
        }
        Operation::GetPrompt(PromptCall { name, .. }) => {
            edits.set("name", name)?;
        }
        Operation::Complete(Completion { reference: Reference::Prompt(name), .. }) => {
            let mut inner = Edits::default();
            inner.set("name", name)?;
            edits.within("ref", inner);
        }
        Operation::ReadResource(_) | Operation::Complete(_) => {}
    }
    edits.within("_meta", meta(hop)?);
    if hop.from == Era::Modern {
        edits.remove("inputResponses").remove("requestState");
    }
    if let Some(Retry { answers, state }) = retry {
        if !answers.is_empty() {
            edits.set("inputResponses", answers)?;
        }
        if let Some(state) = state {
            edits.put("requestState", state.to_owned());
        }
    }
    match said {
        Some(_) => Ok(edits.apply(said)),
        None => Ok(edits.apply(Some(&*written(operation)?))),
    }
}

fn meta(hop: &Hop<'_>) -> serde_json::Result<Edits> {
    let mut meta = Edits::default();
    match hop.progress_token {
        Some(token) => meta.set("progressToken", &token)?,
        None => meta.remove("progressToken"),
    };
    if hop.to.era() == Era::Legacy {
        if hop.from == Era::Modern {
            for key in [PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL] {
                meta.remove(key);
            }
        }
        return Ok(meta);
    }
    meta.set(PROTOCOL_VERSION, hop.to.as_str())?.set(CLIENT_INFO, hop.node)?;
    if hop.from == Era::Modern {
        // The node runs tasks itself; a server that knew of them might begin one of its own.
        let (mut extensions, mut capabilities) = (Edits::default(), Edits::default());
        extensions.remove(TASKS_EXTENSION);
        capabilities.within("extensions", extensions);
        meta.within(CLIENT_CAPABILITIES, capabilities);
        return Ok(meta);
    }
    meta.set(CLIENT_CAPABILITIES, &declared(hop.capabilities))?;
    match hop.log_level {
        Some(level) => meta.set(LOG_LEVEL, &level)?,
        None => meta.remove(LOG_LEVEL),
    };
    Ok(meta)
}

/// What the node passes on to its clients, whichever those are.
pub const NODE: ClientCapabilities = ClientCapabilities {
    elicitation_form: true,
    elicitation_url: true,
    sampling: true,
    sampling_tools: true,
    roots: true,
    tasks_extension: false,
};

/// The parameters' text of a request of the node's own.
///
/// # Errors
/// None that is known: names and texts can be written as JSON.
pub fn own(mut edits: Edits, to: Revision, node: &ClientInfo) -> serde_json::Result<String> {
    if to.era() == Era::Modern {
        let mut meta = Edits::default();
        meta.set(PROTOCOL_VERSION, to.as_str())?.set(CLIENT_INFO, node)?;
        meta.set(CLIENT_CAPABILITIES, &declared(NODE))?;
        edits.within("_meta", meta);
    }
    Ok(edits.apply(None))
}

/// An operation as a client without anything else to say would write it.
fn written(operation: &Operation) -> serde_json::Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Tool<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<&'a RawValue>,
    }
    match operation {
        Operation::CallTool(ToolCall { name, arguments, .. }) => {
            to_raw_value(&Tool { name, arguments: arguments.as_deref() })
        }
        Operation::GetPrompt(PromptCall { name, arguments }) => {
            to_raw_value(&json!({ "name": name, "arguments": arguments }))
        }
        Operation::ReadResource(uri) => to_raw_value(&json!({ "uri": uri })),
        Operation::Complete(completion) => to_raw_value(&completing(completion)),
    }
}

fn completing(completion: &Completion) -> Value {
    let reference = match &completion.reference {
        Reference::Prompt(name) => json!({ "type": "ref/prompt", "name": name }),
        Reference::Resource(uri) => json!({ "type": "ref/resource", "uri": uri }),
    };
    let argument = json!({ "name": completion.argument, "value": completion.value });
    let mut params = Map::new();
    params.insert("ref".to_owned(), reference);
    params.insert("argument".to_owned(), argument);
    if !completion.context.is_empty() {
        params.insert("context".to_owned(), json!({ "arguments": completion.context }));
    }
    Value::Object(params)
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
