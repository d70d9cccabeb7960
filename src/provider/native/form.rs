//! Forms: the schemas by which a client asks its user (client/elicitation, "Requested schema").
//! An object whose properties are texts, numbers, truth values and choices, nothing deeper.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schema;

/// The formats that a client may offer an input for.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// The form of a type: its schema, as far as forms can say it.
///
/// # Errors
/// Which property can't be asked for.
pub(super) fn of<T: JsonSchema>() -> Result<Value, String> {
    let mut schema = schema::flat::<T>();
    check_object(&schema)?;
    let mut take = |member| schema.get_mut(member).map(Value::take);
    let (properties, required) = (take("properties"), take("required"));
    let Some(Value::Object(mut properties)) = properties else {
        return Err("a form has at least one property".to_owned());
    };
    properties.values_mut().for_each(simplify);
    let required = required.unwrap_or_else(|| json!([]));
    let form = json!({ "type": "object", "properties": properties, "required": required });
    check(&form)?;
    Ok(form)
}

/// Checks that a schema is a form.
///
/// # Errors
/// Which property can't be asked for.
pub(super) fn check(form: &Value) -> Result<(), String> {
    check_object(form)?;
    match schema::properties(form).iter().find(|property| !is_field(property.schema)) {
        Some(property) => Err(format!(
            "`{}` can't be asked for by a form: it is no text, number, truth value or choice",
            property.name
        )),
        None => Ok(()),
    }
}

fn check_object(form: &Value) -> Result<(), String> {
    match form.get("type").and_then(Value::as_str) {
        Some("object") => Ok(()),
        _ => Err("a form is an object (\"type\": \"object\")".to_owned()),
    }
}

fn is_field(schema: &Value) -> bool {
    let kind = |schema: &Value| schema.get("type").and_then(Value::as_str).map(ToOwned::to_owned);
    match kind(schema).as_deref() {
        Some("string" | "number" | "integer" | "boolean") => true,
        Some("array") => schema.get("items").is_some_and(|items| {
            items.get("anyOf").is_some()
                || (kind(items).as_deref() == Some("string") && items.get("enum").is_some())
        }),
        _ => false,
    }
}

/// Says what a Rust type says in the words of a form.
fn simplify(property: &mut Value) {
    let Some(members) = property.as_object_mut() else { return };
    take_the_only_choice(members);
    // What may be missing isn't required; `null` is no answer of a form.
    if let Some(Value::Array(kinds)) = members.get("type") {
        let mut kinds = kinds.iter().filter(|kind| *kind != "null");
        if let (Some(kind), None) = (kinds.next().cloned(), kinds.next()) {
            members.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    let format = members.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| !FORMATS.contains(&format)) {
        members.remove("format");
    }
    title_choices(members);
    if let Some(Value::Object(items)) = members.get_mut("items")
        && title_choices(items)
        && let Some(choices) = items.remove("oneOf")
    {
        *items = Map::from_iter([("anyOf".to_owned(), choices)]);
    }
}

/// `anyOf` of something and `null` is that something.
fn take_the_only_choice(members: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = members.get("anyOf") else { return };
    let mut real = choices.iter().filter(|choice| choice.get("type") != Some(&json!("null")));
    if let (Some(Value::Object(only)), None) = (real.next().cloned(), real.next()) {
        members.remove("anyOf");
        for (name, value) in only {
            members.entry(name).or_insert(value);
        }
    }
}

/// The constants of an `enum` whose variants are described become titled choices.
fn title_choices(members: &mut Map<String, Value>) -> bool {
    let Some(Value::Array(choices)) = members.get_mut("oneOf") else { return false };
    if !choices.iter().all(|choice| choice.get("const").is_some_and(Value::is_string)) {
        return false;
    }
    for choice in choices {
        let value = choice.get("const").cloned().unwrap_or_default();
        let title = choice.get("title").or(choice.get("description")).unwrap_or(&value).clone();
        *choice = json!({ "const": value, "title": title });
    }
    members.insert("type".to_owned(), "string".into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Person {
        /// The full name.
        name: String,
        age: Option<u8>,
        score: f64,
        #[serde(default = "yes")]
        member: bool,
        colour: Colour,
        size: Option<Size>,
        sizes: Vec<Size>,
        colours: Vec<Colour>,
    }

    fn yes() -> bool {
        true
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code, reason = "only its schema is used")]
    enum Colour {
        /// Like blood
        Red,
        /// Like the sky
        Blue,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code, reason = "only its schema is used")]
    enum Size {
        Small,
        Large,
    }

    #[test]
    fn types_become_forms() {
        let colours = json!([
            { "const": "red", "title": "Like blood" },
            { "const": "blue", "title": "Like the sky" },
        ]);
        let sizes = json!({ "type": "string", "enum": ["small", "large"] });
        let expected = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "The full name." },
                "age": { "type": "integer", "minimum": 0, "maximum": 255 },
                "score": { "type": "number" },
                "member": { "type": "boolean", "default": true },
                "colour": { "type": "string", "oneOf": colours },
                "size": sizes,
                "sizes": { "type": "array", "items": sizes },
                "colours": { "type": "array", "items": { "anyOf": colours } },
            },
            "required": ["name", "score", "colour", "sizes", "colours"],
        });
        assert_eq!(of::<Person>().unwrap(), expected);
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Deep {
        person: Person,
    }

    #[test]
    fn what_is_deeper_is_no_form() {
        let why = of::<Deep>().unwrap_err();
        assert!(why.starts_with("`person` can't be asked for"), "{why}");
        assert!(of::<String>().is_err());
        let list = json!({ "type": "object", "properties": { "a": { "type": "array" } } });
        assert!(check(&list).is_err());
    }
}
