//! JSON Schemas: of Rust types, and as a check of what a peer sent. Draft 2020-12, unless a schema
//! names another one; nothing is ever fetched.

use std::collections::BTreeMap;

use jsonschema::Validator;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Problems that are told at once.
const TOLD: usize = 5;
/// Longest text of one problem, in characters: it quotes what the peer sent.
const WHY_CHARS: usize = 200;

/// A schema that has been compiled.
#[derive(Debug)]
pub(super) struct Schema(Validator);

impl Schema {
    /// Compiles the schema of an object.
    ///
    /// # Errors
    /// Why it can't be one, in words.
    pub(super) fn of_object(value: &Value) -> Result<Self, String> {
        if value.get("type").and_then(Value::as_str) != Some("object") {
            return Err("its schema has to be that of an object (\"type\": \"object\")".to_owned());
        }
        let validator = jsonschema::options().build(value).map_err(|error| {
            format!("its schema is not valid at {:?}: {error}", error.instance_path().as_str())
        })?;
        Ok(Self(validator))
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Where it doesn't fit, as JSON pointers, and why.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let told = self.0.iter_errors(value).take(TOLD).map(|error| {
            let (path, why) = (error.instance_path().as_str().to_owned(), error.to_string());
            let why: String = why.chars().take(WHY_CHARS).collect();
            if path.is_empty() { why } else { format!("{path}: {why}") }
        });
        Err(told.collect::<Vec<_>>().join("; "))
    }
}

/// The schema of what is read as `T`.
pub(super) fn of_input<T: JsonSchema>() -> Value {
    of::<T>(SchemaSettings::draft2020_12())
}

/// The schema of what `T` is written as.
pub(super) fn of_output<T: JsonSchema>() -> Value {
    of::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// The schema of what is read as `T`, without references.
pub(super) fn flat<T: JsonSchema>() -> Value {
    of::<T>(SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true))
}

fn of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| settings.meta_schema = None);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    match schema.as_object_mut() {
        Some(members) => {
            // The name of a Rust type tells a client nothing.
            members.remove("title");
            // Of an enum, for instance: each of its variants says so by itself.
            members.entry("type").or_insert_with(|| "object".into());
            schema
        }
        // Any value at all.
        None => json!({ "type": "object" }),
    }
}

/// One property of an object's schema.
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
    pub(super) required: bool,
}

/// The properties of an object's schema.
pub(super) fn properties(schema: &Value) -> Vec<Property<'_>> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|n| n.as_str() == Some(name)));
    let members = schema.get("properties").and_then(Value::as_object);
    members
        .into_iter()
        .flatten()
        .map(|(name, schema)| Property { name, schema, required: is_required(name) })
        .collect()
}

/// Reads texts as `T`: as they are, or as numbers and truth values where the schema has those.
///
/// # Errors
/// What doesn't fit.
pub(super) fn from_texts<T: DeserializeOwned>(
    schema: &Value,
    texts: BTreeMap<String, String>,
) -> Result<T, serde_json::Error> {
    let is_text = |name: &str| {
        let kind = schema.pointer(&format!("/properties/{name}/type"));
        match kind {
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
            Some(kind) => kind == "string",
            None => true,
        }
    };
    let mut members = Map::new();
    for (name, text) in texts {
        let parsed = if is_text(&name) { None } else { serde_json::from_str(&text).ok() };
        members.insert(name, parsed.unwrap_or(Value::String(text)));
    }
    serde_json::from_value(Value::Object(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn address() -> Schema {
        let schema = json!({
            "type": "object",
            "properties": { "address": { "$ref": "#/$defs/address" } },
            "required": ["address"],
            "additionalProperties": false,
            "$defs": { "address": {
                "type": "object",
                "properties": { "zip": { "type": "string" } },
                "required": ["zip"],
            } },
        });
        Schema::of_object(&schema).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_path() {
        let table = [
            (json!({ "address": { "zip": "1" } }), ""),
            (json!({ "address": { "zip": 1 } }), r#"/address/zip: 1 is not of type "string""#),
            (json!({ "address": {} }), r#"/address: "zip" is a required property"#),
            (json!({}), r#""address" is a required property"#),
        ];
        for (value, expected) in table {
            assert_eq!(address().check(&value).err().unwrap_or_default(), expected, "{value}");
        }
        let long = json!({ "address": { "zip": "1" }, "b".repeat(5_000): 1 });
        assert!(address().check(&long).unwrap_err().len() <= WHY_CHARS);
    }

    #[test]
    fn schemas_that_do_not_compile_are_told() {
        let table = [
            (json!({ "type": "string" }), "of an object"),
            (json!(true), "of an object"),
            (json!({ "type": "object", "properties": 5 }), "not valid at \"/properties\""),
            (json!({ "type": "object", "$ref": "#/$defs/missing" }), "/$defs/missing"),
            (json!({ "type": "object", "$ref": "https://example.org/schema" }), "example.org"),
            (json!({ "type": "object", "$schema": "https://example.org/dialect" }), "dialect"),
        ];
        for (schema, expected) in table {
            let why = Schema::of_object(&schema).unwrap_err();
            assert!(why.contains(expected), "{schema}: {why}");
        }
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Texts {
        name: String,
        #[serde(default)]
        times: Option<u8>,
    }

    #[test]
    fn texts_are_read_as_the_types_that_they_stand_for() {
        let read = |times: &str| {
            let texts = [("name", "7"), ("times", times)];
            let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
            from_texts::<Texts>(&of_input::<Texts>(), texts.into())
        };
        assert_eq!(read("3").unwrap(), Texts { name: "7".into(), times: Some(3) });
        assert!(read("300").is_err());
        assert!(read("x").is_err());
    }

    #[test]
    fn types_have_small_schemas() {
        let schema = of_input::<Texts>();
        assert_eq!(schema.get("title"), None);
        assert_eq!(schema.get("$schema"), None);
        assert_eq!(of_input::<Value>(), json!({ "type": "object" }));
    }
}
