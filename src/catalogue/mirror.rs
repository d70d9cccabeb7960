//! Which arguments of a tool are mirrored as headers (`x-mcp-header`, 2026-07-28, "Custom
//! headers").

use serde_json::Value;

use crate::protocol::header::mirrored;
use crate::protocol::header::name::PARAM_PREFIX;
use crate::protocol::{Code, RpcError};

/// Where a schema names its header.
const ANNOTATION: &str = "x-mcp-header";
/// Members of a schema that hold data rather than schemas.
pub(super) const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// Deepest property that is looked at.
const DEPTH: usize = 16;
/// Integers beyond this are not the same in every language.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// One argument that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The header's name behind `Mcp-Param-`, in lower case.
    pub header: String,
    path: Vec<String>,
    is_integer: bool,
}

/// The annotations of a tool's input schema. Those that break the rules are not there: their tool
/// works without.
pub fn mirrors(schema: &Value) -> Vec<Mirror> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    let names: Vec<_> = found.iter().map(|mirror| mirror.header.clone()).collect();
    found.retain(|mirror| names.iter().filter(|name| **name == mirror.header).count() == 1);
    found
}

/// Whether all annotations of a schema keep the rules: clients have to leave the tool alone where
/// one doesn't.
pub fn are_valid(schema: &Value) -> bool {
    annotations(schema) == mirrors(schema).len()
}

/// How many annotations there are, in whatever place.
fn annotations(schema: &Value) -> usize {
    match schema {
        Value::Array(all) => all.iter().map(annotations).sum(),
        Value::Object(members) => {
            let below = members.iter().map(|(key, value)| match (key.as_str(), value) {
                // Their keys are names, not keywords.
                ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                    named.values().map(annotations).sum()
                }
                (key, _) if DATA.contains(&key) => 0,
                (_, value) => annotations(value),
            });
            usize::from(members.contains_key(ANNOTATION)) + below.sum::<usize>()
        }
        _ => 0,
    }
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirror>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if path.len() >= DEPTH {
            return;
        }
        path.push(name.clone());
        let kind = property.get("type").and_then(Value::as_str);
        let header = property.get(ANNOTATION).and_then(Value::as_str).filter(|h| is_token(h));
        if let (Some(header), Some("string" | "integer" | "boolean")) = (header, kind) {
            let header = header.to_ascii_lowercase();
            let is_integer = kind == Some("integer");
            found.push(Mirror { header, path: path.clone(), is_integer });
        }
        collect(property, path, found);
        path.pop();
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(legal)
}

impl Mirror {
    /// Checks the header, `None` where there is none, against the arguments.
    ///
    /// # Errors
    /// -32020 where one is there without the other, or they differ.
    pub fn check(&self, arguments: &Value, header: Option<&str>) -> Result<(), RpcError> {
        let argument = self.path.iter().try_fold(arguments, |value, name| value.get(name));
        let argument = argument.filter(|value| !value.is_null());
        let fault = match (argument, header) {
            (None, None) => None,
            (None, Some(_)) => Some("has no argument"),
            (Some(_), None) => Some("is missing"),
            (Some(argument), Some(header)) => match mirrored(header) {
                Some(text) if self.agrees(argument, &text) => None,
                Some(_) => Some("contradicts the body"),
                None => Some("is not valid"),
            },
        };
        match fault {
            None => Ok(()),
            Some(how) => {
                let message = format!("The header {PARAM_PREFIX}{} {how}", self.header);
                Err(RpcError::new(Code::HeaderMismatch, message))
            }
        }
    }

    /// What the header says for these arguments; nothing where the argument isn't there, or is of
    /// another type than its schema says.
    pub fn value(&self, arguments: &Value) -> Option<String> {
        let argument = self.path.iter().try_fold(arguments, |value, name| value.get(name))?;
        let text = match argument {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => argument.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        self.agrees(argument, &text).then_some(text)
    }

    fn agrees(&self, argument: &Value, text: &str) -> bool {
        match argument {
            Value::String(argument) => argument == text,
            Value::Bool(argument) => text == if *argument { "true" } else { "false" },
            Value::Number(argument) if self.is_integer => {
                let safe = |number: &i64| (-SAFE_INTEGER..=SAFE_INTEGER).contains(number);
                let header = text.parse::<i64>().ok().filter(safe);
                header.is_some() && header == argument.as_i64()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn annotations_that_break_the_rules_are_not_there() {
        let schema = json!({ "properties": {
            "a": { "type": "string", "x-mcp-header": "A" },
            "b": { "type": "number", "x-mcp-header": "B" },
            "c": { "type": "string", "x-mcp-header": "C D" },
            "d": { "type": "string", "x-mcp-header": "Twice" },
            "e": { "type": "object", "properties": {
                "f": { "type": "integer", "x-mcp-header": "F" },
                "g": { "type": "string", "x-mcp-header": "twice" },
            }},
            "h": { "items": { "properties": { "i": { "type": "string", "x-mcp-header": "I" } } } },
        }});
        let names: Vec<_> = mirrors(&schema).into_iter().map(|mirror| mirror.header).collect();
        assert_eq!(names, ["a", "f"]);
        assert!(!are_valid(&schema));
    }

    #[test]
    fn one_annotation_that_breaks_the_rules_is_enough() {
        let text = |header: &str| json!({ "type": "string", "x-mcp-header": header });
        let of = |properties: Value| json!({ "properties": properties });
        let table = [
            (of(json!({ "a": text("A"), "b": of(json!({ "c": text("C") })) })), true),
            (of(json!({ "x-mcp-header": { "type": "string" } })), true),
            (json!({ "default": { "x-mcp-header": "" } }), true),
            (of(json!({ "a": text("") })), false),
            (of(json!({ "a": text("A B") })), false),
            (of(json!({ "a": text("A"), "b": text("a") })), false),
            (of(json!({ "a": { "type": "number", "x-mcp-header": "A" } })), false),
            (of(json!({ "a": { "type": "string", "x-mcp-header": 7 } })), false),
            (of(json!({ "a": { "items": text("A") } })), false),
            (json!({ "anyOf": [of(json!({ "a": text("A") }))] }), false),
            (json!({ "$defs": { "a": text("A") } }), false),
        ];
        for (schema, valid) in table {
            assert_eq!(are_valid(&schema), valid, "{schema}");
        }
    }

    #[test]
    fn headers_and_arguments_have_to_agree() {
        let schema = json!({ "properties": {
            "s": { "type": "string", "x-mcp-header": "S" },
            "i": { "type": "integer", "x-mcp-header": "I" },
            "b": { "type": "boolean", "x-mcp-header": "B" },
        }});
        let mirrors = mirrors(&schema);
        let table = [
            ("s", json!({ "s": "é" }), Some("=?base64?w6k=?="), true),
            ("s", json!({ "s": "a" }), Some(" a "), true),
            ("s", json!({ "s": "a" }), Some("A"), false),
            ("s", json!({ "s": "a" }), Some("=?base64?!?="), false),
            ("s", json!({ "s": "a" }), None, false),
            ("s", json!({ "s": null }), None, true),
            ("s", json!({}), None, true),
            ("s", json!({}), Some("a"), false),
            ("i", json!({ "i": 42 }), Some("42"), true),
            ("i", json!({ "i": 42 }), Some("042"), true),
            ("i", json!({ "i": 42 }), Some("42.0"), false),
            ("i", json!({ "i": 9_007_199_254_740_993_i64 }), Some("9007199254740993"), false),
            ("b", json!({ "b": true }), Some("true"), true),
            ("b", json!({ "b": true }), Some("True"), false),
        ];
        for (name, arguments, header, agrees) in table {
            let mirror = mirrors.iter().find(|mirror| mirror.header == name).unwrap();
            let checked = mirror.check(&arguments, header);
            assert_eq!(checked.is_ok(), agrees, "{arguments} {header:?}: {checked:?}");
        }
    }
}
