//! What a client can do for us: its capabilities, and the requests that it may be sent.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Code, RequestId, ResultObject, RpcError};

/// The extension by which a client understands tasks (2026-07-28).
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// What a client declared, in `initialize` or in a modern request's `_meta`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// It can ask its user by a form.
    pub elicitation_form: bool,
    /// It can send its user to a URL.
    pub elicitation_url: bool,
    /// It can ask a model.
    pub sampling: bool,
    /// The model can be given tools.
    pub sampling_tools: bool,
    /// It has roots.
    pub roots: bool,
    /// It understands the tasks extension.
    pub tasks_extension: bool,
}

#[derive(Deserialize, Default)]
struct Wire {
    #[serde(default)]
    elicitation: Option<Elicitation>,
    #[serde(default)]
    sampling: Option<Sampling>,
    #[serde(default)]
    roots: Option<Value>,
    #[serde(default)]
    extensions: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct Elicitation {
    #[serde(default)]
    form: Option<Value>,
    #[serde(default)]
    url: Option<Value>,
}

#[derive(Deserialize)]
struct Sampling {
    #[serde(default)]
    tools: Option<Value>,
}

impl ClientCapabilities {
    /// Reads the capabilities' text; what can't be read is not there.
    pub fn parse(raw: &RawValue) -> Self {
        let wire: Wire = serde_json::from_str(raw.get()).unwrap_or_default();
        // An empty `elicitation` means forms, as it did before there were modes.
        let elicitation = wire.elicitation.as_ref();
        Self {
            elicitation_form: elicitation.is_some_and(|e| e.form.is_some() || e.url.is_none()),
            elicitation_url: elicitation.is_some_and(|e| e.url.is_some()),
            sampling: wire.sampling.is_some(),
            sampling_tools: wire.sampling.is_some_and(|sampling| sampling.tools.is_some()),
            roots: wire.roots.is_some(),
            tasks_extension: wire.extensions.is_some_and(|all| all.contains_key(TASKS_EXTENSION)),
        }
    }
}

/// What a client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskKind {
    /// `elicitation/create` with a form.
    ElicitForm,
    /// `elicitation/create` with a URL.
    ElicitUrl,
    /// `sampling/createMessage`
    Sample,
    /// `sampling/createMessage` with tools.
    SampleWithTools,
    /// `roots/list`
    ListRoots,
}

impl AskKind {
    /// The method's name.
    pub fn method(self) -> &'static str {
        match self {
            Self::ElicitForm | Self::ElicitUrl => "elicitation/create",
            Self::Sample | Self::SampleWithTools => "sampling/createMessage",
            Self::ListRoots => "roots/list",
        }
    }

    /// Checks that a client declared what this needs.
    ///
    /// # Errors
    /// -32021 with the capability that is missing, in the shape of a client's capabilities.
    pub fn check(self, client: ClientCapabilities) -> Result<(), RpcError> {
        let (has, needed) = match self {
            Self::ElicitForm => (client.elicitation_form, json!({ "elicitation": { "form": {} } })),
            Self::ElicitUrl => (client.elicitation_url, json!({ "elicitation": { "url": {} } })),
            Self::Sample => (client.sampling, json!({ "sampling": {} })),
            Self::SampleWithTools => {
                (client.sampling_tools, json!({ "sampling": { "tools": {} } }))
            }
            Self::ListRoots => (client.roots, json!({ "roots": {} })),
        };
        if has { Ok(()) } else { Err(RpcError::missing_capability(needed)) }
    }
}

/// A request to a client.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is asked.
    pub kind: AskKind,
    /// The parameters' text, an object; `None` for `roots/list`.
    pub params: Option<Box<RawValue>>,
}

impl Ask {
    /// The whole message, as it goes to a legacy client.
    pub fn encode(&self, id: &RequestId) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wire<'a> {
            jsonrpc: &'static str,
            id: &'a RequestId,
            method: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            params: Option<&'a RawValue>,
        }
        let (method, params) = (self.kind.method(), self.params.as_deref());
        // Ids, method names and raw values always have a JSON form.
        serde_json::to_vec(&Wire { jsonrpc: "2.0", id, method, params }).unwrap_or_default()
    }

    /// The request object as it stands inside an `input_required` result (2026-07-28).
    ///
    /// # Errors
    /// Where the parameters can't be written, which no text of JSON is a case of.
    pub fn to_input_request(&self) -> serde_json::Result<ResultObject> {
        let mut object = ResultObject::empty();
        object.set("method", &self.kind.method())?;
        if let Some(params) = &self.params {
            object.set("params", params)?;
        }
        Ok(object)
    }
}

/// Why a client's answer isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The client answered with an error.
    #[error("the client refused: {message}")]
    Refused {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// It did not answer in time.
    #[error("the client did not answer in time")]
    TimedOut,
    /// It is gone, or its request was cancelled.
    #[error("the client is gone")]
    Gone,
    /// It can't be asked: it declared no such capability, or its revision has no such request.
    #[error("{}", .0.message)]
    Impossible(RpcError),
}

impl From<AskError> for RpcError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Impossible(error) => error,
            other => Self::new(Code::InternalError, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_leniently() {
        let parse = |text: &str| {
            ClientCapabilities::parse(&serde_json::from_str::<Box<RawValue>>(text).unwrap())
        };
        assert_eq!(parse("{}"), ClientCapabilities::default());
        assert_eq!(parse(r#"{"sampling":5}"#), ClientCapabilities::default());
        let form = parse(r#"{"elicitation":{}}"#);
        assert!(form.elicitation_form && !form.elicitation_url);
        let url = parse(r#"{"elicitation":{"url":{}},"sampling":{"tools":{}},"roots":{}}"#);
        assert!(!url.elicitation_form && url.elicitation_url && url.sampling_tools && url.roots);
        let tasks = parse(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
        assert!(tasks.tasks_extension);
        let error = AskKind::Sample.check(tasks).unwrap_err();
        assert_eq!(error.code, Code::MissingClientCapability);
        assert_eq!(error.data, Some(json!({ "requiredCapabilities": { "sampling": {} } })));
    }
}
