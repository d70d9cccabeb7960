//! The parameters of a request: their text, kept whole, and a view of what stands in it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::is_object;
use super::{Method, RequestId, RpcError};

/// The whole text of a request's parameters, an object. Clones share it.
#[derive(Clone)]
pub struct ParamsText(Arc<Box<RawValue>>);

impl From<Box<RawValue>> for ParamsText {
    fn from(text: Box<RawValue>) -> Self {
        Self(Arc::new(text))
    }
}

impl Deref for ParamsText {
    type Target = RawValue;

    fn deref(&self) -> &RawValue {
        &self.0
    }
}

/// Without the text: arguments are never logged.
impl fmt::Debug for ParamsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParamsText({} bytes)", self.get().len())
    }
}

/// A request whose parameters were looked through.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The id to answer with.
    pub id: RequestId,
    /// The method's name, known to us or not.
    pub method: String,
    /// Its parameters.
    pub params: Params<'a>,
}

/// The parameters that the protocol knows, whichever method has them. The text is gone through
/// once; who needs a parameter parses that one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Params<'a> {
    /// The whole text, where it may be passed on.
    pub text: Option<&'a ParamsText>,
    /// The members.
    pub(super) members: Members<'a>,
    /// The members of `_meta`; `None` where there is no such object.
    pub(super) meta: Option<Meta<'a>>,
}

/// The top-level members. `null` is as good as absent.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Members<'a> {
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) uri: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) task: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cursor: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) level: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    pub(super) reference: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) argument: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) notifications: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) request_state: Option<&'a RawValue>,
}

/// What a request says about itself.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) protocol_version: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(super) client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    pub(super) log_level: Option<&'a RawValue>,
    #[serde(borrow, rename = "progressToken")]
    pub(super) progress_token: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// Looks through a request's parameters.
    ///
    /// # Errors
    /// -32602 where a member that the protocol knows occurs twice: two readers of the same text
    /// could take it for two different requests.
    pub fn of(text: Option<&'a ParamsText>) -> Result<Self, RpcError> {
        Ok(Self { text, ..Self::seen(text.map(Deref::deref))? })
    }

    /// Looks through parameters that nobody passes on.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn seen(raw: Option<&'a RawValue>) -> Result<Self, RpcError> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        let members: Members<'a> = read(raw).map_err(RpcError::invalid_params)?;
        let meta = members.meta.filter(|raw| is_object(raw)).and_then(|raw| read(raw).ok());
        Ok(Self { text: None, members, meta })
    }

    /// The name, URI or id that a request is about, which `Mcp-Name` mirrors (2026-07-28).
    pub(super) fn mirrored(&self, method: Method) -> Option<&'a RawValue> {
        match method.mirrored()? {
            "uri" => self.members.uri,
            "taskId" => self.members.task_id,
            _ => self.members.name,
        }
    }
}

/// Parses one value.
pub(super) fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> serde_json::Result<T> {
    serde_json::from_str(raw.get())
}

/// Parses a member that may be missing.
pub(super) fn optional<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &str,
) -> Result<Option<T>, RpcError> {
    let value = raw.map(read).transpose();
    value.map_err(|error| RpcError::invalid_params(format!("{name}: {error}")))
}

/// Parses a member that has to be there.
pub(super) fn required<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &str,
) -> Result<T, RpcError> {
    optional(raw, name)?.ok_or_else(|| RpcError::invalid_params(format!("{name} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> ParamsText {
        serde_json::from_str::<Box<RawValue>>(text).unwrap().into()
    }

    #[test]
    fn members_are_found_and_null_is_none() {
        let text = text(r#"{"_meta":{"progressToken":7},"cursor":null,"name":"a","x":1,"x":2}"#);
        let params = Params::of(Some(&text)).unwrap();
        assert_eq!(params.members.name.map(RawValue::get), Some("\"a\""));
        assert!(params.members.cursor.is_none());
        assert_eq!(params.meta.unwrap().progress_token.map(RawValue::get), Some("7"));
        assert!(Params::of(None).unwrap().meta.is_none());
    }

    #[test]
    fn a_known_member_that_occurs_twice_is_refused() {
        for twice in [r#"{"name":"a","name":"b"}"#, r#"{"uri":"a:b","\u0075ri":"a:c"}"#] {
            assert!(Params::of(Some(&text(twice))).is_err(), "{twice}");
        }
        // Nothing depends on it then, as where it isn't an object at all.
        for odd in [r#"{"_meta":{"progressToken":1,"progressToken":2}}"#, r#"{"_meta":[1,2]}"#] {
            assert!(Params::of(Some(&text(odd))).unwrap().meta.is_none(), "{odd}");
        }
    }
}
