//! Arguments and answers by their schemas.

use serde_json::{Map, Value, json};

/// A call of a tool, with something for each of its arguments.
pub(crate) fn call(tool: &Value) -> Value {
    json!({ "name": tool["name"], "arguments": filled(&tool["inputSchema"]) })
}

/// A use of a prompt.
pub(crate) fn prompt(prompt: &Value) -> Value {
    let arguments = prompt["arguments"].as_array().into_iter().flatten();
    let arguments = arguments.filter_map(|argument| argument["name"].as_str());
    let arguments: Map<String, Value> =
        arguments.map(|name| (name.to_owned(), json!("text"))).collect();
    json!({ "name": prompt["name"], "arguments": arguments })
}

/// What a person answers to a question of this method.
pub(crate) fn answer(method: &str, params: &Value) -> Value {
    match method {
        "elicitation/create" => {
            json!({ "action": "accept", "content": filled(&params["requestedSchema"]) })
        }
        "sampling/createMessage" => json!({
            "role": "assistant",
            "model": "none",
            "content": { "type": "text", "text": "Something." },
        }),
        "roots/list" => json!({ "roots": [] }),
        _ => json!({}),
    }
}

/// An object with something for each property: its default, where it has one.
fn filled(schema: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.clone(), value(schema))).collect()
}

fn value(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("text"),
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ => filled(schema).into(),
    }
}
