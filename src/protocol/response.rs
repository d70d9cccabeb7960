//! Answers, as they go on the wire.

use super::{Era, RequestId, ResultObject, RpcError};

/// One JSON-RPC response. An error to an unreadable request has no id.
#[derive(Debug, Clone)]
pub struct Response {
    /// The id of the request that this answers.
    pub id: Option<RequestId>,
    /// Exactly one of result and error.
    pub outcome: Result<ResultObject, RpcError>,
}

impl Response {
    /// An answer that isn't a result.
    pub fn error(id: Option<RequestId>, error: RpcError) -> Self {
        Self { id, outcome: Err(error) }
    }

    /// The bytes, for a client of this era.
    pub fn encode(&self, era: Era) -> Vec<u8> {
        // Ids and JSON values always have a JSON form; should that ever change, the peer still
        // gets an answer.
        self.write(era).map_or_else(|_| FALLBACK.to_vec(), String::into_bytes)
    }

    fn write(&self, era: Era) -> serde_json::Result<String> {
        let mut out = String::from(r#"{"jsonrpc":"2.0""#);
        if let Some(id) = &self.id {
            out.push_str(r#","id":"#);
            out.push_str(&serde_json::to_string(id)?);
        }
        match &self.outcome {
            Ok(result) => {
                out.push_str(r#","result":"#);
                result.write(&mut out);
            }
            Err(error) => {
                out.push_str(r#","error":"#);
                out.push_str(&serde_json::to_string(&error.for_era(era))?);
            }
        }
        out.push('}');
        Ok(out)
    }
}

const FALLBACK: &[u8] =
    br#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"The answer could not be encoded"}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    #[test]
    fn a_response_has_a_result_or_an_error() {
        let ok = Response { id: Some(1.into()), outcome: Ok(ResultObject::empty()) };
        assert_eq!(ok.encode(Era::Legacy), br#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let failed = Response::error(None, RpcError::new(Code::ParseError, "x"));
        assert_eq!(
            failed.encode(Era::Modern),
            br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#
        );
    }
}
