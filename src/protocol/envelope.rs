//! JSON-RPC 2.0 messages: from bytes to a request, a notification or a response.
//!
//! Parameters stay raw text; only who reads them parses them.

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Code, RequestId, RpcError};

/// Caps on what is decoded at all. The size of a body is the transport's affair.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep arrays and objects may nest.
    pub depth: usize,
    /// Messages in one batch.
    pub batch: usize,
}

impl Default for Limits {
    /// serde_json itself recurses up to 128 levels; no tool schema or argument seen needs 64.
    fn default() -> Self {
        Self { depth: 64, batch: 100 }
    }
}

/// A request: it has an id and gets exactly one answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The id to answer with.
    pub id: RequestId,
    /// The method's name, known to us or not.
    pub method: String,
    /// The parameters' text, an object.
    pub params: Option<Box<RawValue>>,
}

/// A notification: it is never answered.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The method's name.
    pub method: String,
    /// The parameters' text, an object.
    pub params: Option<Box<RawValue>>,
}

impl Notification {
    /// The request that a `notifications/cancelled` names; `None` where it can't be read.
    pub fn cancelled(&self) -> Option<RequestId> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params {
            request_id: RequestId,
        }
        let params: Params = serde_json::from_str(self.params.as_ref()?.get()).ok()?;
        Some(params.request_id)
    }
}

/// One decoded message.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A request.
    Request(Request),
    /// A notification.
    Notification(Notification),
    /// An answer to a request of ours.
    Response {
        /// The id of our request; `None` for an error to something unreadable.
        id: Option<RequestId>,
        /// The result's text, or the error's.
        outcome: Result<Box<RawValue>, Box<RawValue>>,
    },
}

/// What a body holds.
#[derive(Debug, Clone)]
pub enum Body {
    /// One message.
    One(Incoming),
    /// Several at once, each by itself good or bad (2025-03-26 only).
    Batch(Vec<Result<Incoming, DecodeError>>),
}

/// Why bytes are no message, with the id of the request where it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The id to answer with.
    pub id: Option<RequestId>,
    /// What to answer.
    pub error: RpcError,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Keeps `null` apart from absence: `"id": null` is a broken request, not a notification.
fn present<'de, D: Deserializer<'de>>(raw: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(raw).map(Some)
}

/// Decodes a body: one message, or a batch of them.
///
/// # Errors
/// Those of [`decode`]; -32700 for what is no UTF-8, -32600 for a batch that is empty or too large.
pub fn decode_body(body: &[u8], limits: Limits) -> Result<Body, DecodeError> {
    // serde_json does not look at the bytes of members that nobody reads.
    if std::str::from_utf8(body).is_err() {
        let error = RpcError::new(Code::ParseError, "Parse error: the text is not UTF-8");
        return Err(DecodeError { id: None, error });
    }
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return decode(body, limits).map(Body::One);
    }
    check_depth(body, limits)?;
    let messages: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if messages.is_empty() || messages.len() > limits.batch {
        let why = format!("a batch has 1 to {} messages", limits.batch);
        return Err(invalid(None, &why));
    }
    let decoded = messages.into_iter().map(|raw| decode(raw.get().as_bytes(), limits));
    Ok(Body::Batch(decoded.collect()))
}

/// Decodes one message.
///
/// # Errors
/// -32700 for what is no JSON, -32600 for JSON that is no single JSON-RPC 2.0 message or nests
/// too deep, -32602 for parameters that are no object.
pub fn decode(body: &[u8], limits: Limits) -> Result<Incoming, DecodeError> {
    check_depth(body, limits)?;
    let raw: Raw<'_> = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => serde_json::from_slice(body).map_err(|error| unreadable(&error))?,
        _ => return Err(no_object(body)),
    };
    let id = match raw.id.map(RequestId::parse) {
        None => None,
        Some(Some(id)) => Some(id),
        // JSON-RPC lets an error carry a null id where the request's own was unreadable.
        Some(None) if raw.method.is_none() && raw.error.is_some() => None,
        Some(None) => return Err(invalid(None, "an id is a string or an integer")),
    };
    if raw.jsonrpc.and_then(text).as_deref() != Some("2.0") {
        return Err(invalid(id, "\"jsonrpc\" must be \"2.0\""));
    }
    let Some(method) = raw.method else {
        return match (id, raw.result, raw.error) {
            (id @ Some(_), Some(result), None) => {
                Ok(Incoming::Response { id, outcome: Ok(result.to_owned()) })
            }
            (id, None, Some(error)) => {
                Ok(Incoming::Response { id, outcome: Err(error.to_owned()) })
            }
            (id, _, _) => Err(invalid(id, "neither a request nor a response")),
        };
    };
    let Some(method) = text(method) else {
        return Err(invalid(id, "\"method\" must be a string"));
    };
    if raw.result.is_some() || raw.error.is_some() {
        return Err(invalid(id, "a request has neither result nor error"));
    }
    if raw.params.is_some_and(|params| !is_object(params)) {
        let error = RpcError::new(Code::InvalidParams, "Invalid params: they must be an object");
        return Err(DecodeError { id, error });
    }
    let params = raw.params.map(ToOwned::to_owned);
    Ok(match id {
        Some(id) => Incoming::Request(Request { id, method, params }),
        None => Incoming::Notification(Notification { method, params }),
    })
}

/// Whether the text is an object; it is known to be JSON already.
pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn invalid(id: Option<RequestId>, why: &str) -> DecodeError {
    let error = RpcError::new(Code::InvalidRequest, format!("Invalid request: {why}"));
    DecodeError { id, error }
}

fn unreadable(error: &serde_json::Error) -> DecodeError {
    match error.classify() {
        Category::Data => invalid(None, "a member has the wrong type or occurs twice"),
        Category::Syntax | Category::Eof | Category::Io => {
            let why = format!("Parse error at line {}, column {}", error.line(), error.column());
            DecodeError { id: None, error: RpcError::new(Code::ParseError, why) }
        }
    }
}

/// The answer to a body that doesn't begin like an object.
fn no_object(body: &[u8]) -> DecodeError {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(raw) if raw.get().starts_with('[') => {
            invalid(None, "batches are not part of this protocol revision")
        }
        Ok(_) => invalid(None, "a message is an object"),
        Err(error) => unreadable(&error),
    }
}

fn check_depth(body: &[u8], limits: Limits) -> Result<(), DecodeError> {
    if depth(body) > limits.depth {
        return Err(invalid(None, &format!("the message nests deeper than {}", limits.depth)));
    }
    Ok(())
}

/// How deep brackets nest outside of strings, in bytes that may be no JSON at all.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
