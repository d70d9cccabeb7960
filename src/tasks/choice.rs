//! Whether a call runs as a task: the tool, the revision and the client decide together. Pure.

use serde_json::json;

use crate::catalogue::TaskSupport;
use crate::protocol::call::TaskRequest;
use crate::protocol::client::TASKS_EXTENSION;
use crate::protocol::{ClientCapabilities, Code, Era, Revision, RpcError};

/// How a call is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Here and now: its answer is its result.
    Plain,
    /// As a task: its answer is the task.
    Task {
        /// How long the client wants it to be kept, in milliseconds.
        ttl_ms: Option<u64>,
    },
}

/// Decides how a tool is run. In 2025-11-25 the client asks for a task; since 2026-07-28 it only
/// says that it understands them, and the node makes one wherever the tool allows.
///
/// # Errors
/// In 2025-11-25, -32601 where tool and request contradict each other. Since 2026-07-28, -32021
/// where the tool always runs as a task and the client doesn't know tasks.
pub fn choose(
    support: TaskSupport,
    revision: Revision,
    client: ClientCapabilities,
    request: Option<TaskRequest>,
) -> Result<Choice, RpcError> {
    let plain = Ok(Choice::Plain);
    if revision.era() == Era::Modern {
        return match support {
            TaskSupport::Forbidden => plain,
            TaskSupport::Optional if !client.tasks_extension => plain,
            TaskSupport::Optional | TaskSupport::Required => {
                check_extension(client).map(|()| Choice::Task { ttl_ms: None })
            }
        };
    }
    if !revision.has_core_tasks() {
        return plain;
    }
    match (support, request) {
        (TaskSupport::Forbidden, Some(_)) => Err(refused("This tool can't run as a task")),
        (TaskSupport::Required, None) => Err(refused("This tool only runs as a task")),
        (_, None) => plain,
        (_, Some(TaskRequest { ttl })) => Ok(Choice::Task { ttl_ms: ttl }),
    }
}

/// Checks that a modern client knows tasks: each request about one has to say so.
///
/// # Errors
/// -32021 where it doesn't.
pub fn check_extension(client: ClientCapabilities) -> Result<(), RpcError> {
    if client.tasks_extension {
        return Ok(());
    }
    Err(RpcError::missing_capability(json!({ "extensions": { TASKS_EXTENSION: {} } })))
}

fn refused(why: &str) -> RpcError {
    RpcError::new(Code::MethodNotFound, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_revision_and_client_decide_together() {
        use Revision::{V2025_06_18, V2025_11_25, V2026_07_28};
        use TaskSupport::{Forbidden, Optional, Required};
        let plain = Ok(Choice::Plain);
        let task = |ttl_ms| Ok(Choice::Task { ttl_ms });
        let asked = Some(TaskRequest { ttl: Some(7) });
        let table = [
            // Revisions that don't know tasks ignore the wish, and run every tool.
            (Required, V2025_06_18, false, asked, plain),
            (Forbidden, V2025_11_25, false, None, plain),
            (Forbidden, V2025_11_25, false, asked, Err(Code::MethodNotFound)),
            (Optional, V2025_11_25, false, None, plain),
            (Optional, V2025_11_25, false, asked, task(Some(7))),
            (Required, V2025_11_25, true, None, Err(Code::MethodNotFound)),
            (Required, V2025_11_25, false, Some(TaskRequest { ttl: None }), task(None)),
            // The legacy wish is ignored.
            (Forbidden, V2026_07_28, true, asked, plain),
            (Optional, V2026_07_28, true, asked, task(None)),
            (Optional, V2026_07_28, false, asked, plain),
            (Required, V2026_07_28, true, None, task(None)),
            (Required, V2026_07_28, false, None, Err(Code::MissingClientCapability)),
        ];
        for (support, revision, tasks_extension, request, expected) in table {
            let client = ClientCapabilities { tasks_extension, ..Default::default() };
            let chosen = choose(support, revision, client, request).map_err(|error| error.code);
            assert_eq!(chosen, expected, "{support:?} {revision} {tasks_extension} {request:?}");
        }
    }

    #[test]
    fn the_missing_extension_is_named() {
        let error = check_extension(ClientCapabilities::default()).unwrap_err();
        let needed = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        assert_eq!(error.data, Some(json!({ "requiredCapabilities": needed })));
    }
}
