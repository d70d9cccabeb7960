//! The SDK's types and the node's, one into the other. Pure.

#![expect(deprecated, reason = "what the SDK calls deprecated is still served to legacy clients")]

use rmcp::model::{
    ClientCapabilities as SdkCapabilities, ClientResult, CreateMessageRequestParams,
    ElicitRequestParams, ElicitationCapability, ErrorCode, ErrorData, FormElicitationCapability,
    Implementation, InitializeRequestParams, InputRequest, JsonObject, LoggingLevel,
    ProtocolVersion, RequestMetaObject, RootsCapabilities, SamplingCapability, ServerRequest,
    UrlElicitationCapability,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::client::TASKS_EXTENSION;
use crate::protocol::meta::{CLIENT_CAPABILITIES, PROTOCOL_VERSION};
use crate::protocol::{
    Ask, AskError, AskKind, ClientCapabilities, Code, Era, Level, Revision, RpcError,
};
use crate::provider::Side;

/// The revision that a handler is told: the edge's, or else the newest that it supports, of the
/// same era if there is one.
pub(super) fn spoken(revision: Revision, supported: &[ProtocolVersion]) -> ProtocolVersion {
    let wanted = version(revision);
    if supported.contains(&wanted) {
        return wanted;
    }
    let newest = |same_era: bool| {
        let fits =
            |v: &&ProtocolVersion| !same_era || v.has_initialize() == wanted.has_initialize();
        supported.iter().filter(fits).max_by_key(|v| v.as_str().to_owned()).cloned()
    };
    newest(true).or_else(|| newest(false)).unwrap_or(wanted)
}

fn version(revision: Revision) -> ProtocolVersion {
    match revision {
        Revision::V2024_11_05 => ProtocolVersion::V_2024_11_05,
        Revision::V2025_03_26 => ProtocolVersion::V_2025_03_26,
        Revision::V2025_06_18 => ProtocolVersion::V_2025_06_18,
        Revision::V2025_11_25 => ProtocolVersion::V_2025_11_25,
        Revision::V2026_07_28 => ProtocolVersion::V_2026_07_28,
    }
}

/// The client as a handshake would have told it. The node's name stands for the client's.
pub(super) fn client(
    capabilities: ClientCapabilities,
    version: ProtocolVersion,
) -> InitializeRequestParams {
    let node = Implementation::new("erlmcp", env!("CARGO_PKG_VERSION"));
    InitializeRequestParams::new(declared(capabilities), node).with_protocol_version(version)
}

/// The tasks extension is never among them: the node runs tasks itself, and a handler that knew of
/// it might begin one of its own.
fn declared(client: ClientCapabilities) -> SdkCapabilities {
    let mut declared = SdkCapabilities::default();
    if client.elicitation_form || client.elicitation_url {
        let mut elicitation = ElicitationCapability::new();
        elicitation.form = client.elicitation_form.then(FormElicitationCapability::new);
        elicitation.url = client.elicitation_url.then(UrlElicitationCapability::new);
        declared.elicitation = Some(elicitation);
    }
    if client.sampling {
        let mut sampling = SamplingCapability::default();
        sampling.tools = client.sampling_tools.then(JsonObject::new);
        declared.sampling = Some(sampling);
    }
    declared.roots = client.roots.then(RootsCapabilities::default);
    declared
}

/// The request's `_meta`, with what the handler's revision has in it and no other.
pub(super) fn meta(side: &Side, version: &ProtocolVersion) -> RequestMetaObject {
    let said = side.meta.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok());
    let mut meta: RequestMetaObject = said.unwrap_or_default();
    if version.has_initialize() {
        meta.remove(PROTOCOL_VERSION);
        meta.remove(CLIENT_CAPABILITIES);
        return meta;
    }
    meta.set_protocol_version(version.clone());
    let mut capabilities =
        meta.client_capabilities().unwrap_or_else(|| declared(side.capabilities));
    if let Some(extensions) = &mut capabilities.extensions {
        extensions.remove(TASKS_EXTENSION);
    }
    meta.set_client_capabilities(capabilities);
    meta
}

/// A handler's error. Codes that the node knows are its own, so that they fit the client's era.
pub(super) fn error(error: ErrorData) -> RpcError {
    let code = match error.code {
        ErrorCode::PARSE_ERROR => Code::ParseError,
        ErrorCode::INVALID_REQUEST => Code::InvalidRequest,
        ErrorCode::METHOD_NOT_FOUND => Code::MethodNotFound,
        ErrorCode::INVALID_PARAMS => Code::InvalidParams,
        ErrorCode::INTERNAL_ERROR => Code::InternalError,
        ErrorCode::RESOURCE_NOT_FOUND => Code::ResourceNotFound,
        ErrorCode::HEADER_MISMATCH => Code::HeaderMismatch,
        ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY => Code::MissingClientCapability,
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => Code::UnsupportedProtocolVersion,
        ErrorCode(other) => Code::Other(other.into()),
    };
    RpcError { code, message: error.message.into_owned(), data: error.data }
}

/// What a handler hears when its client gives no answer.
pub(super) fn refusal(error: AskError) -> ErrorData {
    if let AskError::Refused { code, message } = error {
        return ErrorData::new(error_code(code), message, None);
    }
    let error = RpcError::from(error);
    ErrorData::new(error_code(error.code.number(Era::Legacy)), error.message, error.data)
}

fn error_code(code: i64) -> ErrorCode {
    i32::try_from(code).map_or(ErrorCode::INTERNAL_ERROR, ErrorCode)
}

/// What a handler asks in the middle of its work; `None` for what no client is asked.
pub(super) fn request(request: &ServerRequest) -> Option<serde_json::Result<Ask>> {
    match request {
        ServerRequest::CreateMessageRequest(request) => Some(sample(&request.params)),
        ServerRequest::ElicitRequest(request) => Some(elicit(&request.params)),
        ServerRequest::ListRootsRequest(_) => Some(Ok(list_roots())),
        _ => None,
    }
}

/// One of the questions that a handler ends its work with; `None` for a kind that the node doesn't
/// know.
pub(super) fn input(request: &InputRequest) -> Option<serde_json::Result<Ask>> {
    match request {
        InputRequest::CreateMessage(request) => Some(sample(&request.params)),
        InputRequest::Elicitation(request) => Some(elicit(&request.params)),
        InputRequest::ListRoots(_) => Some(Ok(list_roots())),
        _ => None,
    }
}

fn sample(params: &CreateMessageRequestParams) -> serde_json::Result<Ask> {
    let has_tools = params.tools.is_some() || params.tool_choice.is_some();
    ask(if has_tools { AskKind::SampleWithTools } else { AskKind::Sample }, params)
}

fn elicit(params: &ElicitRequestParams) -> serde_json::Result<Ask> {
    let by_url = matches!(params, ElicitRequestParams::UrlElicitationParams { .. });
    ask(if by_url { AskKind::ElicitUrl } else { AskKind::ElicitForm }, params)
}

fn list_roots() -> Ask {
    Ask { kind: AskKind::ListRoots, params: None }
}

fn ask<T: Serialize>(kind: AskKind, params: &T) -> serde_json::Result<Ask> {
    Ok(Ask { kind, params: Some(to_raw_value(params)?) })
}

/// A client's answer, as the kind of what was asked reads it.
pub(super) fn answer(kind: AskKind, answer: &RawValue) -> serde_json::Result<ClientResult> {
    let text = answer.get();
    Ok(match kind {
        AskKind::ElicitForm | AskKind::ElicitUrl => {
            ClientResult::ElicitResult(serde_json::from_str(text)?)
        }
        AskKind::Sample | AskKind::SampleWithTools => {
            ClientResult::CreateMessageResult(serde_json::from_str(text)?)
        }
        AskKind::ListRoots => ClientResult::ListRootsResult(serde_json::from_str(text)?),
    })
}

/// The level of a log message.
pub(super) fn level(level: LoggingLevel) -> Level {
    match level {
        LoggingLevel::Debug => Level::Debug,
        LoggingLevel::Info => Level::Info,
        LoggingLevel::Notice => Level::Notice,
        LoggingLevel::Warning => Level::Warning,
        LoggingLevel::Error => Level::Error,
        LoggingLevel::Critical => Level::Critical,
        LoggingLevel::Alert => Level::Alert,
        LoggingLevel::Emergency => Level::Emergency,
    }
}
