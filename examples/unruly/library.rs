//! Resources, a prompt, and completion.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::server::Server;

/// The resource that changes by a call of `change_resource`.
pub(crate) const NEWS: &str = "unruly://news";

const NAMES: [&str; 3] = ["Ada", "Alan", "Barbara"];

pub(crate) fn resources() -> Vec<Value> {
    let text = "text/plain";
    vec![
        json!({ "uri": NEWS, "name": "news", "description": "Changes.", "mimeType": text }),
        json!({ "uri": "unruly://pid", "name": "pid", "description": "Whose?", "mimeType": text }),
    ]
}

pub(crate) fn templates() -> Vec<Value> {
    let uri = "unruly://greeting/{name}";
    vec![json!({ "uriTemplate": uri, "name": "greeting", "description": "Greets." })]
}

pub(crate) fn read(server: &Server, params: &Value) -> Outcome {
    let uri = params["uri"].as_str().unwrap_or_default();
    let text = match (uri, uri.strip_prefix("unruly://greeting/")) {
        (_, Some(name)) => format!("Hello, {name}!"),
        (NEWS, _) => format!("edition {}", server.edition.load(Ordering::Relaxed)),
        ("unruly://pid", _) => std::process::id().to_string(),
        _ => {
            let code = if server.arguments.modern { -32602 } else { -32002 };
            return Outcome::Error(code, "there is no such resource".into(), json!({ "uri": uri }));
        }
    };
    let contents = json!([{ "uri": uri, "mimeType": "text/plain", "text": text }]);
    Outcome::Result(json!({ "contents": contents }))
}

pub(crate) fn prompts() -> Vec<Value> {
    let arguments = json!([{ "name": "name", "required": true }]);
    vec![json!({ "name": "greet", "description": "Greets.", "arguments": arguments })]
}

pub(crate) fn prompt(params: &Value) -> Outcome {
    let name = params["arguments"]["name"].as_str();
    match (params["name"].as_str(), name) {
        (Some("greet"), Some(name)) => {
            let content = json!({ "type": "text", "text": format!("Greet {name}.") });
            Outcome::Result(json!({ "messages": [{ "role": "user", "content": content }] }))
        }
        (Some("greet"), None) => Outcome::invalid("the argument \"name\" is missing"),
        _ => Outcome::invalid("there is no such prompt"),
    }
}

pub(crate) fn complete(params: &Value) -> Outcome {
    let begun = params["argument"]["value"].as_str().unwrap_or_default();
    let values: Vec<&str> = NAMES.into_iter().filter(|name| name.starts_with(begun)).collect();
    Outcome::Result(json!({ "completion": { "values": values, "total": values.len() } }))
}
