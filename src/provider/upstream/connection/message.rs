//! Messages to a server, as bytes: their parameters and results are texts already. Pure.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::protocol::{Code, Era, RequestId, Response, RpcError};

/// A request of ours.
pub(super) fn request(id: u64, method: &str, params: &str) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into()
}

/// A notification of ours; without parameters where they are empty.
pub(super) fn notification(method: &str, params: &str) -> Bytes {
    match params {
        "" => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#).into(),
        params => format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into(),
    }
}

/// `notifications/cancelled` for a request of ours.
pub(super) fn cancelled(id: u64) -> Bytes {
    let params = format!(r#"{{"requestId":{id},"reason":"nobody waits for it any more"}}"#);
    notification("notifications/cancelled", &params)
}

/// The answer to a request of the server's.
pub(super) fn answer(id: &RequestId, result: &RawValue) -> Bytes {
    // An id always has a JSON form.
    let id = serde_json::to_string(id).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.get()).into()
}

/// The answer to a `ping` of the server's.
pub(super) fn pong(id: &RequestId) -> Bytes {
    let id = serde_json::to_string(id).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into()
}

/// The refusal of a request of the server's.
pub(super) fn refusal(id: RequestId, error: RpcError) -> Bytes {
    Response::error(Some(id), error).encode(Era::Legacy).into()
}

/// A server's error; one that is no error object says so.
pub(super) fn error(raw: &RawValue) -> RpcError {
    #[derive(Deserialize)]
    struct Wire {
        code: i64,
        #[serde(default)]
        message: String,
        #[serde(default)]
        data: Option<Value>,
    }
    match serde_json::from_str::<Wire>(raw.get()) {
        Ok(Wire { code, message, data }) => RpcError { code: Code::Other(code), message, data },
        Err(_) => RpcError::new(Code::InternalError, "The server answered with a broken error"),
    }
}

/// The beginning of a text that a server wrote.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
