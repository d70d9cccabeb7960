//! The requests this node answers, by era, with their parameters parsed.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::is_object;
use super::{Code, Era, RpcError};

/// A method that some era knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Opens a session.
    Initialize,
    /// Is somebody there.
    Ping,
    /// What the server offers, without a session.
    Discover,
    /// The tools.
    ListTools,
    /// Runs one.
    CallTool,
}

/// The whole method table: a name, the method, the eras that have it.
const METHODS: [(&str, Method, &[Era]); 5] = [
    ("initialize", Method::Initialize, &[Era::Legacy]),
    ("ping", Method::Ping, &[Era::Legacy]),
    ("server/discover", Method::Discover, &[Era::Modern]),
    ("tools/list", Method::ListTools, &[Era::Legacy, Era::Modern]),
    ("tools/call", Method::CallTool, &[Era::Legacy, Era::Modern]),
];

impl Method {
    /// Finds a method of an era by its name.
    pub fn parse(name: &str, era: Era) -> Option<Self> {
        METHODS.iter().find(|(n, _, eras)| *n == name && eras.contains(&era)).map(|(_, m, _)| *m)
    }

    /// The name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        METHODS.iter().find(|(_, method, _)| *method == self).map_or("_other", |(name, _, _)| name)
    }

    /// A label of bounded cardinality for a name that a client chose.
    pub fn label(name: &str) -> &'static str {
        METHODS.iter().find(|(n, _, _)| *n == name).map_or("_other", |(name, _, _)| name)
    }
}

/// A call of a tool, its arguments as they came.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The tool's published name.
    pub name: String,
    /// The arguments' text, an object; `None` where the client sent none.
    pub arguments: Option<Box<RawValue>>,
}

/// A request whose parameters are parsed. `initialize` isn't one: it makes the session in which
/// the others live.
#[derive(Debug, Clone)]
pub enum Call {
    /// `ping`
    Ping,
    /// `server/discover`
    Discover,
    /// `tools/list`, from a cursor on
    ListTools {
        /// Where the page begins; `None` for the first.
        cursor: Option<String>,
    },
    /// `tools/call`
    CallTool(ToolCall),
}

#[derive(Deserialize)]
struct ListParams {
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

impl Call {
    /// Reads a method's parameters.
    ///
    /// # Errors
    /// -32602 where they are missing or of the wrong type; -32600 for an `initialize`, which has
    /// no place here.
    pub fn parse(method: Method, params: Option<&RawValue>) -> Result<Self, RpcError> {
        match method {
            Method::Initialize => {
                Err(RpcError::new(Code::InvalidRequest, "This session is already initialized"))
            }
            Method::Ping => Ok(Self::Ping),
            Method::Discover => Ok(Self::Discover),
            Method::ListTools => {
                let cursor = params.map(read::<ListParams>).transpose()?.and_then(|p| p.cursor);
                Ok(Self::ListTools { cursor })
            }
            Method::CallTool => {
                let missing = || invalid("tools/call needs a name");
                let params = read::<CallParams>(params.ok_or_else(missing)?)?;
                if params.arguments.as_deref().is_some_and(|raw| !is_object(raw)) {
                    return Err(invalid("arguments must be an object"));
                }
                Ok(Self::CallTool(ToolCall { name: params.name, arguments: params.arguments }))
            }
        }
    }

    /// Which method it is.
    pub fn method(&self) -> Method {
        match self {
            Self::Ping => Method::Ping,
            Self::Discover => Method::Discover,
            Self::ListTools { .. } => Method::ListTools,
            Self::CallTool(_) => Method::CallTool,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, RpcError> {
    serde_json::from_str(raw.get()).map_err(|error| invalid(&error.to_string()))
}

fn invalid(why: &str) -> RpcError {
    RpcError::new(Code::InvalidParams, format!("Invalid params: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_belong_to_eras() {
        for (name, legacy, modern) in [
            ("initialize", true, false),
            ("ping", true, false),
            ("server/discover", false, true),
            ("tools/list", true, true),
            ("tools/call", true, true),
            ("Tools/call", false, false),
        ] {
            assert_eq!(Method::parse(name, Era::Legacy).is_some(), legacy, "{name}");
            assert_eq!(Method::parse(name, Era::Modern).is_some(), modern, "{name}");
        }
        assert_eq!(Method::label("x/y"), "_other");
        assert_eq!(Method::CallTool.as_str(), "tools/call");
    }

    #[test]
    fn parameters_are_checked() {
        let check = |method, params: &str, ok: bool| {
            let raw: Option<Box<RawValue>> = serde_json::from_str(params).unwrap();
            let parsed = Call::parse(method, raw.as_deref());
            assert_eq!(parsed.is_ok(), ok, "{params}: {parsed:?}");
            if let Err(error) = parsed {
                assert_eq!(error.code, Code::InvalidParams);
            }
        };
        check(Method::ListTools, "null", true);
        check(Method::ListTools, r#"{"cursor":"a","_meta":{}}"#, true);
        check(Method::ListTools, r#"{"cursor":5}"#, false);
        check(Method::CallTool, "null", false);
        check(Method::CallTool, "{}", false);
        check(Method::CallTool, r#"{"name":"a"}"#, true);
        check(Method::CallTool, r#"{"name":"a","arguments":{"b":[1]}}"#, true);
        check(Method::CallTool, r#"{"name":"a","arguments":[]}"#, false);
    }
}
