//! What a modern request says about itself in `_meta`, and the checks on it in their order.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::Method;
use super::envelope::is_object;
use super::header::{Headers, mirrored};
use super::{Code, Era, Request, Revision, RpcError};

/// `_meta` key of the request's revision.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key of the client's capabilities.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key of the lowest level of log messages that the client wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key, in results, of who answered.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The levels of RFC 5424 that log messages may have.
const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Name and version of the answering server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerInfo {
    /// The name for programs.
    pub name: String,
    /// The version.
    pub version: String,
}

/// Who decides how a request is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// With a session, or about to make one.
    Legacy,
    /// By itself.
    Modern,
    /// The header names a revision that doesn't exist, and nothing else tells.
    Unknown(String),
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "_meta", default)]
    meta: Option<Box<RawValue>>,
    #[serde(default)]
    name: Option<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion", default)]
    protocol_version: Option<Box<RawValue>>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", default)]
    client_capabilities: Option<Box<RawValue>>,
    #[serde(rename = "io.modelcontextprotocol/logLevel", default)]
    log_level: Option<Box<RawValue>>,
}

/// Settles the era of a message from its header and `_meta`; never from earlier messages on the
/// same connection.
pub fn edge(headers: &Headers, params: Option<&RawValue>) -> Edge {
    let meta = meta_of(params).unwrap_or_default();
    if meta.protocol_version.is_some() || meta.client_capabilities.is_some() {
        return Edge::Modern;
    }
    match headers.protocol_version.as_deref() {
        None => Edge::Legacy,
        Some(text) => match Revision::parse(text).map(Revision::era) {
            Some(Era::Legacy) => Edge::Legacy,
            Some(Era::Modern) => Edge::Modern,
            None => Edge::Unknown(text.to_owned()),
        },
    }
}

/// Checks a modern request up to its method; the order decides which error a request with
/// several faults gets.
///
/// # Errors
/// In this order: -32602 required `_meta` missing, -32020 a header missing or at odds with the
/// body, -32022 revision not served, -32601 method unknown, -32602 unknown log level.
pub fn check(headers: &Headers, request: &Request) -> Result<(Revision, Method), RpcError> {
    let params = request.params.as_deref();
    let meta = meta_of(params).ok_or_else(|| missing("_meta"))?;
    let version = required_text(meta.protocol_version.as_deref(), PROTOCOL_VERSION)?;
    if !meta.client_capabilities.as_deref().is_some_and(is_object) {
        return Err(missing(CLIENT_CAPABILITIES));
    }
    same("MCP-Protocol-Version", headers.protocol_version.as_deref(), &version)?;
    same("Mcp-Method", headers.method.as_deref(), &request.method)?;
    check_name(headers, request)?;
    let revision = Revision::parse(&version)
        .filter(|revision| revision.era() == Era::Modern && revision.is_served())
        .ok_or_else(|| RpcError::unsupported_version(&version))?;
    let method = Method::parse(&request.method, Era::Modern)
        .ok_or_else(|| RpcError::method_not_found(&request.method))?;
    if let Some(level) = &meta.log_level {
        let level = required_text(Some(level), LOG_LEVEL)?;
        if !LOG_LEVELS.contains(&level.as_str()) {
            return Err(missing(LOG_LEVEL));
        }
    }
    Ok((revision, method))
}

/// `Mcp-Name` mirrors `params.name` of a tool call. Where the body has no name, the parameters'
/// own check says so.
fn check_name(headers: &Headers, request: &Request) -> Result<(), RpcError> {
    if request.method != Method::CallTool.as_str() {
        return Ok(());
    }
    let name = parse(request.params.as_deref())
        .and_then(|params: Params| serde_json::from_str::<String>(params.name?.get()).ok());
    match (name, headers.name.as_deref().map(mirrored)) {
        (None, None) => Ok(()),
        (Some(name), Some(Some(header))) if name == header => Ok(()),
        (_, None) => Err(mismatch("Mcp-Name", "is missing")),
        _ => Err(mismatch("Mcp-Name", "contradicts the body")),
    }
}

fn meta_of(params: Option<&RawValue>) -> Option<Meta> {
    parse::<Meta>(parse::<Params>(params)?.meta.as_deref())
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

fn required_text(raw: Option<&RawValue>, key: &str) -> Result<String, RpcError> {
    parse(raw).ok_or_else(|| missing(key))
}

fn missing(key: &str) -> RpcError {
    let message = format!("Invalid params: {key} is missing or not valid");
    RpcError::new(Code::InvalidParams, message)
}

fn same(header: &str, value: Option<&str>, body: &str) -> Result<(), RpcError> {
    match value {
        Some(value) if value.trim_matches([' ', '\t']) == body => Ok(()),
        Some(_) => Err(mismatch(header, "contradicts the body")),
        None => Err(mismatch(header, "is missing")),
    }
}

fn mismatch(header: &str, how: &str) -> RpcError {
    RpcError::new(Code::HeaderMismatch, format!("The header {header} {how}"))
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
