//! JSON-RPC errors: the codes this node emits, and the public half of a failure.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Era, Revision};

/// An error code. The standard ones, those that MCP 2026-07-28 defines, ours, and any other that a
/// provider chose.
///
/// Ours lie outside -32768..-32000: the revision of 2026-07-28 forbids new ones inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// -32700: the body is no JSON.
    ParseError,
    /// -32600: JSON, but no valid JSON-RPC message, or not valid here.
    InvalidRequest,
    /// -32601: no such method in this revision.
    MethodNotFound,
    /// -32602: missing or wrong parameters; also unknown tools and bad cursors.
    InvalidParams,
    /// -32603: a part of the node failed under the request.
    InternalError,
    /// There is no such resource: -32002 in the legacy era, -32602 since 2026-07-28.
    ResourceNotFound,
    /// -32020: a standard header is missing or contradicts the body (2026-07-28).
    HeaderMismatch,
    /// -32021: the client did not declare a capability that the request needs (2026-07-28).
    MissingClientCapability,
    /// -32022: the revision asked for isn't served (2026-07-28).
    UnsupportedProtocolVersion,
    /// -31001: the handler didn't finish before its deadline.
    TimedOut,
    /// -31002: the client cancelled the request.
    Cancelled,
    /// -31003: a limit of the node is reached; trying again later helps.
    Overloaded,
    /// -31004: the session id names no live session; initialize again.
    SessionNotFound,
    /// -31005: the node is stopping.
    ShuttingDown,
    /// -31006: Host or Origin is not on the list of this listener.
    Forbidden,
    /// -31007: the upstream that it takes isn't there now; `data` says why. Nothing was done.
    UpstreamDown,
    /// -31008: the upstream ended while it worked on the request, so its outcome is unknown.
    UpstreamLost,
    /// -31009: the upstream answered with something that can't be passed on; `data` says why. Its
    /// outcome is unknown.
    UpstreamInvalid,
    /// A provider's own.
    Other(i64),
}

/// The codes that JSON-RPC and MCP define.
const COMMON: [i64; 10] =
    [-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32021, -32042];

impl Code {
    /// The number on the wire.
    pub fn number(self, era: Era) -> i64 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::InternalError => -32603,
            Self::ResourceNotFound if era == Era::Legacy => -32002,
            Self::ResourceNotFound => -32602,
            Self::HeaderMismatch => -32020,
            Self::MissingClientCapability => -32021,
            Self::UnsupportedProtocolVersion => -32022,
            Self::TimedOut => -31001,
            Self::Cancelled => -31002,
            Self::Overloaded => -31003,
            Self::SessionNotFound => -31004,
            Self::ShuttingDown => -31005,
            Self::Forbidden => -31006,
            Self::UpstreamDown => -31007,
            Self::UpstreamLost => -31008,
            Self::UpstreamInvalid => -31009,
            Self::Other(number) => number,
        }
    }

    /// The number as a label. Those that a server made up fold into one, as they have no bound.
    pub fn label(self, era: Era) -> String {
        match self {
            Self::Other(number) if !COMMON.contains(&number) => "_other".to_owned(),
            code => code.number(era).to_string(),
        }
    }

    /// Who is to blame, as the request log tells it.
    pub fn blame(self) -> Blame {
        match self {
            Self::InternalError | Self::TimedOut | Self::ShuttingDown => Blame::Node,
            Self::Overloaded | Self::Forbidden => Blame::Policy,
            Self::UpstreamDown | Self::UpstreamLost | Self::UpstreamInvalid => Blame::Upstream,
            _ => Blame::Client,
        }
    }
}

/// Whose fault a failed request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody's: it succeeded.
    None,
    /// The caller's.
    Client,
    /// This node's.
    Node,
    /// A server's behind this node.
    Upstream,
    /// A rule's: limits, access.
    Policy,
}

impl Blame {
    /// The name used in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => "client",
            Self::Node => "node",
            Self::Upstream => "upstream",
            Self::Policy => "policy",
        }
    }
}

/// Longest name of the peer's own that an error repeats, in characters.
const NAME_CHARS: usize = 128;
/// Longest reason that quotes what the peer sent, in characters.
const WHY_CHARS: usize = 1_000;

/// A text as an error repeats it: whatever its length, the peer knows it already.
pub fn quoted(text: &str) -> Cow<'_, str> {
    cut(text, NAME_CHARS)
}

/// The beginning of a reason that may quote anything that the peer sent.
pub fn reason(text: &str) -> Cow<'_, str> {
    cut(text, WHY_CHARS)
}

fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)) {
        Some(begin) => Cow::Owned(format!("{begin}…")),
        None => Cow::Borrowed(text),
    }
}

/// What the peer is told: a code, one sentence, and data where a program can act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// The class.
    pub code: Code,
    /// One sentence for a human; holds no path, token or internal name.
    pub message: String,
    /// Machine-readable details.
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Adds details.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// A revision that isn't served; `data` names those that are.
    pub fn unsupported_version(requested: &str) -> Self {
        let data = json!({ "supported": Revision::served(), "requested": quoted(requested) });
        Self::new(Code::UnsupportedProtocolVersion, "Unsupported protocol version").with_data(data)
    }

    /// The client lacks a capability; `needed` has the shape of a client's capabilities.
    pub fn missing_capability(needed: Value) -> Self {
        Self::new(Code::MissingClientCapability, "The client lacks a capability that this needs")
            .with_data(json!({ "requiredCapabilities": needed }))
    }

    /// There is no such resource.
    pub fn resource_not_found(uri: &str) -> Self {
        Self::new(Code::ResourceNotFound, "Resource not found").with_data(json!({ "uri": uri }))
    }

    /// Parameters are missing or wrong.
    pub fn invalid_params(why: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidParams, format!("Invalid params: {}", reason(&why.to_string())))
    }

    /// There is no such tool or prompt.
    pub fn unknown(what: &'static str, name: &str) -> Self {
        Self::new(Code::InvalidParams, format!("Unknown {what}: {}", quoted(name)))
    }

    /// The session is over.
    pub fn session_ended() -> Self {
        Self::new(Code::SessionNotFound, "The session has ended; initialize a new one")
    }

    /// A method that this era doesn't know.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(Code::MethodNotFound, format!("Method not found: {}", quoted(method)))
    }

    /// Something crashed under the request. The outcome is unknown, so nothing runs it again.
    pub fn crashed(part: &'static str) -> Self {
        Self::new(Code::InternalError, format!("The {part} crashed while the request was running"))
            .with_data(json!({ "reason": "crashed", "part": part }))
    }

    /// An upstream isn't there: `state` is what its supervision says, `cause` one sentence. Nothing
    /// was done, so the request may come again.
    pub fn upstream_down(upstream: &str, state: &str, cause: &str) -> Self {
        let message = format!("The server {upstream:?} is not there: {cause}");
        let data = json!({
            "reason": "upstream_down", "upstream": upstream, "state": state, "cause": cause,
        });
        Self::new(Code::UpstreamDown, message).with_data(data)
    }

    /// An upstream ended under the request. Its outcome is unknown, so nothing runs it again.
    pub fn upstream_lost(upstream: &str, cause: &str) -> Self {
        let message = format!("The server {upstream:?} ended while the request ran: {cause}");
        let data = json!({ "reason": "upstream_lost", "upstream": upstream, "cause": cause });
        Self::new(Code::UpstreamLost, message).with_data(data)
    }

    /// An upstream answered with what can't be passed on: no result, or one that is too large.
    pub fn upstream_invalid(upstream: &str, cause: &str) -> Self {
        let message =
            format!("The server {upstream:?} gave no answer that can be passed on: {cause}");
        let data = json!({ "reason": "upstream_invalid", "upstream": upstream, "cause": cause });
        Self::new(Code::UpstreamInvalid, message).with_data(data)
    }

    /// The deadline passed.
    pub fn timed_out(limit_ms: u64) -> Self {
        Self::new(Code::TimedOut, format!("The request took longer than {limit_ms} ms"))
            .with_data(json!({ "reason": "timeout", "limitMs": limit_ms }))
    }

    /// The client cancelled the request.
    pub fn cancelled() -> Self {
        Self::new(Code::Cancelled, "The request was cancelled")
    }

    /// A limit is reached; `limit` is its configuration key.
    pub fn overloaded(limit: &'static str) -> Self {
        Self::new(Code::Overloaded, "The node is at its limit; try again later")
            .with_data(json!({ "reason": "overloaded", "limit": limit }))
    }
}

/// The wire form.
#[derive(Serialize)]
struct Wire<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

impl RpcError {
    /// The error object as a client of this era reads it.
    pub fn for_era(&self, era: Era) -> impl Serialize {
        Wire { code: self.code.number(era), message: &self.message, data: self.data.as_ref() }
    }
}

/// An error object as a client reads it; used by tests and by tools that call a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReceivedError {
    /// The code, known to us or not.
    pub code: i64,
    /// The sentence.
    pub message: String,
    /// Details.
    #[serde(default)]
    pub data: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_lie_outside_the_reserved_range() {
        for code in [
            Code::TimedOut,
            Code::Cancelled,
            Code::Overloaded,
            Code::SessionNotFound,
            Code::ShuttingDown,
            Code::Forbidden,
            Code::UpstreamDown,
            Code::UpstreamLost,
        ] {
            let number = code.number(Era::Modern);
            assert!(!(-32768..=-32000).contains(&number), "{code:?}");
        }
    }

    #[test]
    fn what_the_peer_sent_is_not_repeated_at_any_length() {
        let long = "é".repeat(100_000);
        for error in [
            RpcError::method_not_found(&long),
            RpcError::unsupported_version(&long),
            RpcError::unknown("tool", &long),
            RpcError::invalid_params(&long),
        ] {
            let text = serde_json::to_string(&error.for_era(Era::Legacy)).unwrap();
            assert!(text.chars().count() < 1_200 && text.contains("é…"), "{text}");
        }
        let short = RpcError::unknown("tool", "x");
        assert_eq!(short.message, "Unknown tool: x");
    }

    #[test]
    fn data_is_left_out_where_there_is_none() {
        let text = |error: &RpcError| serde_json::to_string(&error.for_era(Era::Legacy)).unwrap();
        let plain = RpcError::new(Code::ParseError, "no JSON");
        assert_eq!(text(&plain), r#"{"code":-32700,"message":"no JSON"}"#);
        assert!(text(&RpcError::unsupported_version("1")).contains(r#""requested":"1""#));
    }
}
