//! Routing: a catalogue and a request give the answer at once, or the provider to call. Pure.

use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;

use crate::catalogue::{Catalogue, Page, Scope, ServerName};
use crate::protocol::call::ToolCall;
use crate::protocol::handshake::capabilities;
use crate::protocol::{Call, Code, Era, ResultObject, Revision, RpcError};

/// Tools on one page of a list: one page for nearly every node, and still a bounded answer.
pub const PAGE_SIZE: usize = 500;

/// How long a modern client may keep a list, in milliseconds: short, as nothing tells it yet that
/// a list changed.
const LIST_TTL_MS: u64 = 5_000;

/// Where a request goes.
#[derive(Debug)]
pub enum Route {
    /// Nowhere: this is the answer.
    Answer(Result<ResultObject, RpcError>),
    /// To a provider.
    Provider {
        /// The server that provides the tool.
        server: ServerName,
        /// The tool's name there.
        tool: Arc<str>,
        /// The arguments' text.
        arguments: Option<Box<RawValue>>,
    },
}

/// Nothing in the lists depends on who asks, as long as there is no access control.
const CACHE_SCOPE: &str = "public";

/// Routes one request.
pub fn route(catalogue: &Catalogue, scope: &Scope, revision: Revision, call: Call) -> Route {
    match call {
        Call::Ping => Route::Answer(Ok(ResultObject::empty())),
        Call::Discover => Route::Answer(discover()),
        Call::ListTools { cursor } => {
            Route::Answer(list_tools(catalogue, scope, revision, cursor.as_deref()))
        }
        Call::CallTool(ToolCall { name, arguments }) => match catalogue.find(scope, &name) {
            Some(tool) => Route::Provider {
                server: Arc::clone(&tool.server),
                tool: Arc::clone(&tool.name),
                arguments,
            },
            None => Route::Answer(Err(RpcError::new(
                Code::InvalidParams,
                format!("Unknown tool: {name}"),
            ))),
        },
    }
}

fn discover() -> Result<ResultObject, RpcError> {
    ResultObject::of(&json!({
        "supportedVersions": Revision::served(),
        "capabilities": capabilities(),
        "ttlMs": LIST_TTL_MS,
        "cacheScope": CACHE_SCOPE,
    }))
}

fn list_tools(
    catalogue: &Catalogue,
    scope: &Scope,
    revision: Revision,
    cursor: Option<&str>,
) -> Result<ResultObject, RpcError> {
    let page = catalogue
        .page(scope, cursor, PAGE_SIZE)
        .map_err(|_| RpcError::new(Code::InvalidParams, "Invalid params: unknown cursor"))?;
    encode_page(&page, revision)
        .map_err(|_| RpcError::new(Code::InternalError, "The list could not be encoded"))
}

fn encode_page(page: &Page<'_>, revision: Revision) -> serde_json::Result<ResultObject> {
    let mut result = ResultObject::empty();
    result.set("tools", &page.tools)?;
    if let Some(cursor) = &page.next_cursor {
        result.set("nextCursor", cursor)?;
    }
    if revision.era() == Era::Modern {
        result.set("ttlMs", &LIST_TTL_MS)?;
        result.set("cacheScope", &CACHE_SCOPE)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::ToolDefinition;

    fn catalogue() -> Catalogue {
        let mut members = ResultObject::empty();
        members.set("name", &"echo").unwrap();
        let tools = [ToolDefinition { name: "echo".into(), members }];
        Catalogue::build([(&ServerName::from("demo"), tools.as_slice())]).unwrap()
    }

    fn call(name: &str) -> Call {
        Call::CallTool(ToolCall { name: name.into(), arguments: None })
    }

    #[test]
    fn tools_are_found_by_the_name_of_their_endpoint() {
        let catalogue = catalogue();
        let own = Scope::Server("demo".into());
        let table = [
            (&Scope::Federated, "demo__echo", true),
            (&Scope::Federated, "echo", false),
            (&own, "echo", true),
            (&own, "demo__echo", false),
        ];
        for (scope, name, found) in table {
            match route(&catalogue, scope, Revision::V2025_06_18, call(name)) {
                Route::Provider { server, tool, .. } => {
                    assert!(found, "{name}");
                    assert_eq!((&*server, &*tool), ("demo", "echo"));
                }
                Route::Answer(answer) => {
                    assert!(!found, "{name}");
                    assert_eq!(answer.unwrap_err().code, Code::InvalidParams);
                }
            }
        }
    }

    #[test]
    fn lists_say_how_long_they_hold_in_the_modern_era_only() {
        let list = |revision| {
            let call = Call::ListTools { cursor: None };
            match route(&catalogue(), &Scope::Federated, revision, call) {
                Route::Answer(answer) => serde_json::to_string(&answer.unwrap()).unwrap(),
                Route::Provider { .. } => panic!("lists are answered at once"),
            }
        };
        assert_eq!(list(Revision::V2025_11_25), r#"{"tools":[{"name":"demo__echo"}]}"#);
        let modern = list(Revision::V2026_07_28);
        assert!(modern.contains(r#""cacheScope":"public""#) && modern.contains(r#""ttlMs":"#));
    }
}
