//! Routing: a catalogue and a request give the answer at once, or the provider to call. Pure.

use std::sync::Arc;

use serde_json::json;

use crate::catalogue::{
    Availability, Catalogue, Entry, Page, Scope, ServerName, Standing, TaskSupport,
};
use crate::protocol::call::{Completion, PromptCall, Reference, ToolCall};
use crate::protocol::handshake::capabilities;
use crate::protocol::{Code, Era, Kind, Operation, ResultObject, Revision, RpcError};

/// Entries on one page of a list: one page for nearly every node, and still a bounded answer.
pub const PAGE_SIZE: usize = 500;

/// How long a modern client may keep a list, in milliseconds: short, as not every client listens
/// for changes.
const LIST_TTL_MS: u64 = 5_000;

/// Where a request goes.
#[derive(Debug)]
pub enum Route {
    /// Nowhere: this is the answer.
    Answer(Result<ResultObject, RpcError>),
    /// To a provider.
    Provider {
        /// The server that does it.
        server: ServerName,
        /// What it does, under its own names.
        operation: Operation,
        /// Whether a tool runs as a task.
        task_support: TaskSupport,
        /// Whether its first questions come before the task.
        asks_first: bool,
        /// A tool's federated name.
        label: Arc<str>,
    },
}

/// Nothing in the lists depends on who asks, as long as there is no access control.
const CACHE_SCOPE: &str = "public";

/// What `server/discover` answers.
///
/// # Errors
/// None that is known.
pub fn discover(catalogue: &Catalogue, scope: &Scope) -> Result<ResultObject, RpcError> {
    let mut result = json!({
        "supportedVersions": Revision::served(),
        "capabilities": capabilities(Revision::LATEST),
        "ttlMs": LIST_TTL_MS,
        "cacheScope": CACHE_SCOPE,
    });
    if let (Some(text), Some(members)) = (catalogue.instructions(scope), result.as_object_mut()) {
        members.insert("instructions".to_owned(), text.into());
    }
    ResultObject::of(&result)
}

/// One page of a list.
///
/// # Errors
/// -32602 for a cursor that is none of ours.
pub fn list(
    catalogue: &Catalogue,
    scope: &Scope,
    revision: Revision,
    kind: Kind,
    cursor: Option<&str>,
) -> Result<ResultObject, RpcError> {
    let page = catalogue
        .page(scope, kind, cursor, PAGE_SIZE)
        .map_err(|_| RpcError::invalid_params("unknown cursor"))?;
    encode_page(&page, kind, revision)
        .map_err(|_| RpcError::new(Code::InternalError, "The list could not be encoded"))
}

fn encode_page(
    page: &Page<'_>,
    kind: Kind,
    revision: Revision,
) -> serde_json::Result<ResultObject> {
    let mut result = ResultObject::empty();
    result.set(kind.member(), &page.items)?;
    if let Some(cursor) = &page.next_cursor {
        result.set("nextCursor", cursor)?;
    }
    if revision.era() == Era::Modern {
        result.set("ttlMs", &LIST_TTL_MS)?;
        result.set("cacheScope", &CACHE_SCOPE)?;
    }
    Ok(result)
}

/// Finds who does what is asked.
pub fn route(catalogue: &Catalogue, scope: &Scope, operation: Operation) -> Route {
    match find(catalogue, scope, &operation) {
        Some(entry) => Route::Provider {
            server: Arc::clone(&entry.server),
            operation: under_own_name(operation, &entry.name),
            task_support: entry.task_support,
            asks_first: entry.asks_first,
            label: Arc::clone(&entry.label),
        },
        None => Route::Answer(Err(
            down(catalogue, scope, &operation).unwrap_or_else(|| unknown(&operation))
        )),
    }
}

/// Who has what is asked for.
fn find<'a>(catalogue: &'a Catalogue, scope: &Scope, operation: &Operation) -> Option<&'a Entry> {
    match operation {
        Operation::CallTool(call) => catalogue.find(scope, Kind::Tools, &call.name),
        Operation::GetPrompt(call) => catalogue.find(scope, Kind::Prompts, &call.name),
        Operation::ReadResource(uri) => catalogue.find_resource(scope, uri),
        Operation::Complete(completion) => match &completion.reference {
            Reference::Prompt(name) => catalogue.find(scope, Kind::Prompts, name),
            Reference::Resource(uri) => catalogue
                .find(scope, Kind::Templates, uri)
                .or_else(|| catalogue.find_resource(scope, uri)),
        },
    }
}

/// The server that a request goes to, also where it isn't there, and the label of what it asks for.
pub fn target(
    catalogue: &Catalogue,
    scope: &Scope,
    operation: &Operation,
) -> (Option<ServerName>, Option<Arc<str>>) {
    match find(catalogue, scope, operation) {
        Some(entry) => (Some(Arc::clone(&entry.server)), Some(Arc::clone(&entry.label))),
        None => (absent(catalogue, scope, operation).map(|(server, _)| Arc::clone(server)), None),
    }
}

/// The server that isn't there and may have what nobody is known to have.
fn absent<'a>(
    catalogue: &'a Catalogue,
    scope: &Scope,
    operation: &Operation,
) -> Option<(&'a ServerName, &'a Standing)> {
    let (kind, name) = match operation {
        Operation::CallTool(call) => (Kind::Tools, &call.name),
        Operation::GetPrompt(call) => (Kind::Prompts, &call.name),
        Operation::ReadResource(uri) => (Kind::Resources, uri),
        Operation::Complete(completion) => match &completion.reference {
            Reference::Prompt(name) => (Kind::Prompts, name),
            Reference::Resource(uri) => (Kind::Resources, uri),
        },
    };
    catalogue.absent(scope, kind, name)
}

/// The error where what is asked for may be a server's that isn't there.
fn down(catalogue: &Catalogue, scope: &Scope, operation: &Operation) -> Option<RpcError> {
    let (server, standing) = absent(catalogue, scope, operation)?;
    match &standing.availability {
        Availability::Down { state, cause } => Some(RpcError::upstream_down(server, state, cause)),
        Availability::There => None,
    }
}

fn under_own_name(mut operation: Operation, name: &str) -> Operation {
    match &mut operation {
        Operation::CallTool(ToolCall { name: published, .. })
        | Operation::GetPrompt(PromptCall { name: published, .. })
        | Operation::Complete(Completion { reference: Reference::Prompt(published), .. }) => {
            name.clone_into(published);
        }
        // URIs are the same everywhere.
        Operation::ReadResource(_) | Operation::Complete(_) => {}
    }
    operation
}

fn unknown(operation: &Operation) -> RpcError {
    match operation {
        Operation::CallTool(call) => RpcError::unknown("tool", &call.name),
        Operation::GetPrompt(call) => RpcError::unknown("prompt", &call.name),
        Operation::ReadResource(uri) => RpcError::resource_not_found(uri),
        Operation::Complete(_) => RpcError::invalid_params("unknown ref"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Definition, Offer};

    fn catalogue() -> Catalogue {
        let define = |name: &str| {
            let mut members = ResultObject::empty();
            members.set("name", &name).unwrap();
            Definition { name: name.into(), members }
        };
        let offer = Offer {
            tools: vec![define("echo")],
            prompts: vec![define("p")],
            resources: vec![define("a://b")],
            templates: vec![define("a://t/{x}")],
            instructions: None,
        };
        Catalogue::build([(&ServerName::from("demo"), &offer)]).unwrap()
    }

    /// What the provider is asked, in short, or the error's code.
    fn asked(scope: &Scope, operation: Operation) -> String {
        match route(&catalogue(), scope, operation) {
            Route::Provider { server, operation, .. } => {
                let name = match operation {
                    Operation::CallTool(call) => call.name,
                    Operation::GetPrompt(call) => call.name,
                    Operation::ReadResource(uri) => uri,
                    Operation::Complete(completion) => format!("{:?}", completion.reference),
                };
                format!("{server} {name}")
            }
            Route::Answer(answer) => answer.unwrap_err().code.number(Era::Legacy).to_string(),
        }
    }

    #[test]
    fn each_thing_is_found_by_the_name_of_its_endpoint() {
        let tool = |name: &str| {
            Operation::CallTool(ToolCall { name: name.into(), arguments: None, task: None })
        };
        let prompt = |name: &str| {
            Operation::GetPrompt(PromptCall { name: name.into(), arguments: Default::default() })
        };
        let read = |uri: &str| Operation::ReadResource(uri.into());
        let complete = |reference| {
            let (argument, value) = (String::new(), String::new());
            let context = Default::default();
            Operation::Complete(Completion { reference, argument, value, context })
        };
        let (all, own) = (Scope::Federated, Scope::Server("demo".into()));
        let table = [
            (&all, tool("demo__echo"), "demo echo"),
            (&all, tool("echo"), "-32602"),
            (&own, tool("echo"), "demo echo"),
            (&own, tool("demo__echo"), "-32602"),
            (&all, prompt("demo__p"), "demo p"),
            (&own, prompt("x"), "-32602"),
            (&all, read("a://b"), "demo a://b"),
            (&own, read("a://t/1"), "demo a://t/1"),
            (&all, read("a://t/1/2"), "-32002"),
            (&all, complete(Reference::Prompt("demo__p".into())), r#"demo Prompt("p")"#),
            (
                &all,
                complete(Reference::Resource("a://t/{x}".into())),
                r#"demo Resource("a://t/{x}")"#,
            ),
            (&all, complete(Reference::Prompt("p".into())), "-32602"),
        ];
        for (scope, operation, expected) in table {
            let what = format!("{operation:?}");
            assert_eq!(asked(scope, operation), expected, "{what}");
        }
    }

    #[test]
    fn what_may_be_a_server_s_that_is_down_is_told_so() {
        let down = Availability::Down { state: "starting", cause: "it starts".into() };
        let part = Arc::default();
        let standing = Standing { part, availability: down };
        let catalogue = Catalogue::of([(ServerName::from("git"), standing)].into());
        let tool = |name: &str| {
            Operation::CallTool(ToolCall { name: name.into(), arguments: None, task: None })
        };
        let (all, own) = (Scope::Federated, Scope::Server("git".into()));
        for (scope, name, code) in [
            (&all, "git__log", Code::UpstreamDown),
            (&own, "log", Code::UpstreamDown),
            (&all, "log", Code::InvalidParams),
        ] {
            let Route::Answer(Err(error)) = route(&catalogue, scope, tool(name)) else { panic!() };
            assert_eq!(error.code, code, "{name}");
        }
    }

    #[test]
    fn lists_say_how_long_they_hold_in_the_modern_era_only() {
        let list = |revision| {
            let listed = list(&catalogue(), &Scope::Federated, revision, Kind::Tools, None);
            serde_json::to_string(&listed.unwrap()).unwrap()
        };
        assert_eq!(list(Revision::V2025_11_25), r#"{"tools":[{"name":"demo__echo"}]}"#);
        let modern = list(Revision::V2026_07_28);
        assert!(modern.contains(r#""cacheScope":"public""#) && modern.contains(r#""ttlMs":"#));
    }
}
