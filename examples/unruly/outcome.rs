//! What becomes of a request.

use serde_json::{Value, json};

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A result.
    Result(Value),
    /// A result that is written as it stands here.
    Verbatim(&'static str),
    /// An error.
    Error(i64, String, Value),
    /// No answer, or none that is written in order.
    Silence,
}

impl Outcome {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Result(json!({ "content": [{ "type": "text", "text": text.into() }] }))
    }

    pub(crate) fn error(code: i64, message: impl Into<String>) -> Self {
        Self::Error(code, message.into(), Value::Null)
    }

    pub(crate) fn unknown(method: &str) -> Self {
        Self::error(-32601, format!("there is no method {method:?}"))
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::error(-32602, why)
    }
}
