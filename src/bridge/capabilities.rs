//! What a server can do, and what the node says that its clients can.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::protocol::ClientCapabilities;

/// What a server declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    /// It has tools.
    pub tools: bool,
    /// It tells when those change.
    pub tools_changed: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It tells when those change.
    pub prompts_changed: bool,
    /// It has resources.
    pub resources: bool,
    /// It tells when their list changes.
    pub resources_changed: bool,
    /// It tells when one of them changes.
    pub subscribe: bool,
    /// It suggests values of arguments.
    pub completions: bool,
    /// It sends log messages, and takes a level (session era).
    pub logging: bool,
    /// Its tools can run as tasks (2025-11-25).
    pub task_calls: bool,
}

impl ServerCapabilities {
    /// Reads the capabilities' text; what can't be read is not there.
    pub fn parse(raw: &RawValue) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Feature {
            list_changed: Option<bool>,
            subscribe: Option<bool>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Wire {
            tools: Option<Feature>,
            prompts: Option<Feature>,
            resources: Option<Feature>,
            completions: Option<Value>,
            logging: Option<Value>,
            tasks: Option<Value>,
        }
        let wire: Wire = serde_json::from_str(raw.get()).unwrap_or_default();
        let changed = |feature: &Option<Feature>| {
            feature.as_ref().and_then(|feature| feature.list_changed) == Some(true)
        };
        let subscribe = wire.resources.as_ref().and_then(|resources| resources.subscribe);
        let tasks = wire.tasks.as_ref();
        Self {
            tools: wire.tools.is_some(),
            tools_changed: changed(&wire.tools),
            prompts: wire.prompts.is_some(),
            prompts_changed: changed(&wire.prompts),
            resources: wire.resources.is_some(),
            resources_changed: changed(&wire.resources),
            subscribe: subscribe == Some(true),
            completions: wire.completions.is_some(),
            logging: wire.logging.is_some(),
            task_calls: tasks.is_some_and(|tasks| tasks.pointer("/requests/tools/call").is_some()),
        }
    }
}

/// Capabilities in the shape in which a client declares them. The tasks extension is never among
/// them: the node runs tasks itself.
pub fn declared(client: ClientCapabilities) -> Value {
    let mut declared = Map::new();
    if client.elicitation_form || client.elicitation_url {
        let modes = [("form", client.elicitation_form), ("url", client.elicitation_url)];
        declared.insert("elicitation".to_owned(), those(&modes));
    }
    if client.sampling {
        declared.insert("sampling".to_owned(), those(&[("tools", client.sampling_tools)]));
    }
    if client.roots {
        declared.insert("roots".to_owned(), json!({}));
    }
    Value::Object(declared)
}

fn those(features: &[(&str, bool)]) -> Value {
    let there = features.iter().filter(|(_, there)| *there);
    Value::Object(there.map(|(name, _)| ((*name).to_owned(), json!({}))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ServerCapabilities {
        ServerCapabilities::parse(&RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn a_server_has_what_it_declares() {
        let none = ServerCapabilities::default();
        for text in ["{}", "[]", "null", r#"{"tools":null}"#, r#"{"tools":7}"#] {
            assert_eq!(parsed(text), none, "{text}");
        }
        let all = parsed(
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"completions":{},
                "resources":{"listChanged":true,"subscribe":true},"logging":{},
                "tasks":{"requests":{"tools":{"call":{}}}},"experimental":{}}"#,
        );
        let expected = ServerCapabilities {
            tools: true,
            tools_changed: true,
            prompts: true,
            prompts_changed: true,
            resources: true,
            resources_changed: true,
            subscribe: true,
            completions: true,
            logging: true,
            task_calls: true,
        };
        assert_eq!(all, expected);
        let plain = parsed(r#"{"tools":{},"resources":{"subscribe":false}}"#);
        assert_eq!(plain, ServerCapabilities { tools: true, resources: true, ..none });
    }

    #[test]
    fn what_is_declared_is_read_the_same() {
        let full = ClientCapabilities {
            elicitation_form: true,
            elicitation_url: true,
            sampling: true,
            sampling_tools: true,
            roots: true,
            tasks_extension: false,
        };
        let url = ClientCapabilities { elicitation_url: true, ..ClientCapabilities::default() };
        for client in [full, url, ClientCapabilities::default()] {
            let text = RawValue::from_string(declared(client).to_string()).unwrap();
            assert_eq!(ClientCapabilities::parse(&text), client);
        }
        let extended = ClientCapabilities { tasks_extension: true, ..full };
        assert_eq!(declared(extended), declared(full));
    }
}
