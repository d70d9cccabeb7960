//! What a modern request says about itself in `_meta`, and the checks on it in their order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::is_object;
use super::header::{Headers, mirrored};
use super::params::{Asked, Params, ParamsText, optional, read};
use super::{ClientCapabilities, Code, Era, Level, Method, RequestId, Revision, RpcError};

/// `_meta` key of the request's revision.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key of who asks.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta` key of the client's capabilities.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key of the lowest level of log messages that the client wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key, in results, of who answered.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Longest progress token, in bytes: it comes again in every notification. A request with a longer
/// one is told no progress.
const TOKEN_BYTES: usize = 1_024;

/// Name and version of the answering server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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

/// What stands beside a request's own parameters, in either era.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// All parameters, as they came.
    pub params: Option<ParamsText>,
    /// The whole `_meta`, as it came.
    pub meta: Option<Box<RawValue>>,
    /// By which the client recognises progress of this request.
    pub progress_token: Option<Box<RawValue>>,
    /// Answers of an earlier round by their keys (2026-07-28).
    pub input_responses: BTreeMap<String, Box<RawValue>>,
    /// The sealed state of an earlier round (2026-07-28).
    pub request_state: Option<String>,
}

impl Extras {
    /// Reads what stands beside the parameters.
    ///
    /// # Errors
    /// -32602 where answers or a state are there but no object or no text.
    pub fn parse(params: &Params<'_>) -> Result<Self, RpcError> {
        let token = params.meta.and_then(|meta| meta.progress_token);
        Ok(Self {
            params: params.text.cloned(),
            meta: params.members.meta.map(ToOwned::to_owned),
            progress_token: token
                .filter(|token| {
                    token.get().len() <= TOKEN_BYTES && RequestId::parse(token).is_some()
                })
                .map(ToOwned::to_owned),
            input_responses: optional(params.members.input_responses, "inputResponses")?
                .unwrap_or_default(),
            request_state: optional(params.members.request_state, "requestState")?,
        })
    }
}

/// A modern request that passed its checks.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// The revision it follows.
    pub revision: Revision,
    /// What it asks.
    pub method: Method,
    /// What its client can do.
    pub capabilities: ClientCapabilities,
    /// The least grave log messages that it wants; none means no messages at all.
    pub log_level: Option<Level>,
}

/// Settles the era of a message from its header and `_meta`; never from earlier messages on the
/// same connection.
pub fn edge(headers: &Headers, params: &Params<'_>) -> Edge {
    let meta = params.meta.unwrap_or_default();
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
pub fn check(headers: &Headers, request: &Asked<'_>) -> Result<Checked, RpcError> {
    let said = Said::of(&request.params)?;
    same("MCP-Protocol-Version", headers.protocol_version.as_deref(), &said.version)?;
    same("Mcp-Method", headers.method.as_deref(), &request.method)?;
    check_name(headers, request)?;
    said.check(&request.method)
}

/// The same without HTTP's headers, for stdio.
///
/// # Errors
/// Those of [`check`], but for the headers'.
pub fn check_bare(request: &Asked<'_>) -> Result<Checked, RpcError> {
    Said::of(&request.params)?.check(&request.method)
}

/// A `_meta` that has what is required.
struct Said<'a> {
    version: String,
    capabilities: ClientCapabilities,
    log_level: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    fn of(params: &Params<'a>) -> Result<Self, RpcError> {
        let meta = params.meta.ok_or_else(|| missing("_meta"))?;
        let version = parse(meta.protocol_version);
        let version = version.ok_or_else(|| missing(PROTOCOL_VERSION))?;
        let capabilities = meta.client_capabilities.filter(|raw| is_object(raw));
        let capabilities = capabilities.ok_or_else(|| missing(CLIENT_CAPABILITIES))?;
        let capabilities = ClientCapabilities::parse(capabilities);
        Ok(Self { version, capabilities, log_level: meta.log_level })
    }

    fn check(self, method: &str) -> Result<Checked, RpcError> {
        let Self { version, capabilities, log_level } = self;
        let revision = Revision::parse(&version)
            .filter(|revision| revision.era() == Era::Modern)
            .ok_or_else(|| RpcError::unsupported_version(&version))?;
        let method =
            Method::parse(method, revision).ok_or_else(|| RpcError::method_not_found(method))?;
        let log_level = match log_level {
            Some(raw) => Some(parse(Some(raw)).ok_or_else(|| missing(LOG_LEVEL))?),
            None => None,
        };
        Ok(Checked { revision, method, capabilities, log_level })
    }
}

/// `Mcp-Name` mirrors the name, URI or id that the request is about. Where the body has none, the
/// parameters' own check says so.
fn check_name(headers: &Headers, request: &Asked<'_>) -> Result<(), RpcError> {
    let method = Method::parse(&request.method, Revision::LATEST);
    let Some(method) = method.filter(|method| method.mirrored().is_some()) else { return Ok(()) };
    let name = parse::<String>(request.params.mirrored(method));
    match (name, headers.name.as_deref().map(mirrored)) {
        (None, None) => Ok(()),
        (Some(name), Some(Some(header))) if name == header => Ok(()),
        (_, None) => Err(mismatch("Mcp-Name", "is missing")),
        _ => Err(mismatch("Mcp-Name", "contradicts the body")),
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    read(raw?).ok()
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
