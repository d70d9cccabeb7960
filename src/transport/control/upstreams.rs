//! What operators see of the servers behind the node, and do with them.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::methods::{Parts, read};
use crate::protocol::{ResultObject, RpcError};
use crate::session::work::Outcome;
use crate::upstreams::NoUpstream;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolParams {
    /// A tool's federated name, or a server's.
    tool: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsParams {
    server: String,
    #[serde(default = "all")]
    lines: usize,
}

fn all() -> usize {
    usize::MAX
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerParams {
    server: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReloadParams {
    dry_run: bool,
}

/// `upstreams`: all of them, and how each is.
///
/// # Errors
/// None that is known.
pub fn list(parts: &Parts) -> Outcome {
    ResultObject::of(&json!({ "upstreams": parts.endpoint.0.upstreams.list() }))
}

/// `why`: why a tool or a server is there or isn't, as text and as data.
///
/// # Errors
/// Where no tool is named.
pub fn why(parts: &Parts, params: Option<&RawValue>) -> Outcome {
    let ToolParams { tool } = required(params, "tool")?;
    let why = parts.endpoint.0.upstreams.why(&tool);
    ResultObject::of(&json!({ "text": why.told(&tool), "why": why }))
}

/// `logs`: the last lines of a server's standard error.
///
/// # Errors
/// Where there is no such server.
pub fn logs(parts: &Parts, params: Option<&RawValue>) -> Outcome {
    let LogsParams { server, lines } = required(params, "server")?;
    let lines = parts.endpoint.0.upstreams.logs(&server, lines).map_err(unknown)?;
    ResultObject::of(&json!({ "lines": lines }))
}

/// `restart`: all instances of a server begin anew.
///
/// # Errors
/// Where there is no such server.
pub fn restart(parts: &Parts, params: Option<&RawValue>) -> Outcome {
    let ServerParams { server } = required(params, "server")?;
    parts.endpoint.0.upstreams.restart(&server).map_err(unknown)?;
    tracing::info!(upstream = server, "an operator starts it anew");
    Ok(ResultObject::empty())
}

/// `reload`: the configuration is read again, and what changed is applied, or only told.
///
/// # Errors
/// Where the configuration is bad, and then nothing changes; and in a node that has none to read.
pub async fn reload(parts: &Parts, params: Option<&RawValue>) -> Outcome {
    let ReloadParams { dry_run } = read(params)?.unwrap_or_default();
    match &parts.reload {
        Some(reload) => reload(dry_run).await,
        None => Err(RpcError::invalid_params("this node has no configuration to read again")),
    }
}

fn required<T: serde::de::DeserializeOwned>(
    params: Option<&RawValue>,
    what: &str,
) -> Result<T, RpcError> {
    read(params)?.ok_or_else(|| RpcError::invalid_params(format!("{what} missing")))
}

fn unknown(error: NoUpstream) -> RpcError {
    RpcError::invalid_params(format!("{error}; `erlmcp upstreams` lists them"))
}
