//! Tools that ask the client one thing.

use erlmcp::provider::CallError;
use erlmcp::provider::native::{Context, Elicited, NoArguments, Sampling, ServerBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_sampling", "Asks the client's model.", sampling)
        .tool("test_missing_capability", "Needs a client with a model.", missing_capability)
        .tool("test_elicitation", "Asks the user.", elicitation)
        .tool("test_streaming_elicitation", "Asks the user.", streaming_elicitation)
        .tool("test_elicitation_sep1034_defaults", "Asks by a form with defaults.", defaults)
        .tool("test_elicitation_sep1330_enums", "Asks by a form with choices.", choices)
}

#[derive(Deserialize, JsonSchema)]
struct Prompt {
    /// What the model is asked.
    prompt: String,
}

async fn sampling(Prompt { prompt }: Prompt, context: Context) -> Result<String, CallError> {
    let sampled = context.sample("response", &Sampling::new(prompt, 100)).await?;
    Ok(format!("LLM response: {}", sampled.text()))
}

async fn missing_capability(_: NoArguments, context: Context) -> Result<String, CallError> {
    let sampling = Sampling::new("Are you there?", 100);
    Ok(context.sample("presence", &sampling).await?.text())
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    /// What the user is asked.
    message: String,
}

async fn elicitation(Message { message }: Message, context: Context) -> Result<String, CallError> {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    let answer = context.elicit_form("user", &message, &schema).await?;
    Ok(format!("User response: {}", told(&answer)))
}

async fn streaming_elicitation(_: NoArguments, context: Context) -> Result<String, CallError> {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let answer = context.elicit_form("name", "What is your name?", &schema).await?;
    Ok(format!("User response: {}", told(&answer)))
}

async fn defaults(_: NoArguments, context: Context) -> Result<String, CallError> {
    let statuses = ["active", "inactive", "pending"];
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": statuses, "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
    });
    completed(&context, &schema).await
}

async fn choices(_: NoArguments, context: Context) -> Result<String, CallError> {
    let options = ["option1", "option2", "option3"];
    let titled = |what: &str| {
        json!([
            { "const": "value1", "title": format!("First {what}") },
            { "const": "value2", "title": format!("Second {what}") },
            { "const": "value3", "title": format!("Third {what}") },
        ])
    };
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
    });
    completed(&context, &schema).await
}

async fn completed(context: &Context, schema: &Value) -> Result<String, CallError> {
    let answer = context.elicit_form("form", "Please fill in the form.", schema).await?;
    Ok(format!("Elicitation completed: {}", told(&answer)))
}

fn told(answer: &Elicited<Value>) -> String {
    match answer {
        Elicited::Accepted(content) => format!("action=accept, content={content}"),
        Elicited::Declined => "action=decline, content={}".to_owned(),
        Elicited::Cancelled => "action=cancel, content={}".to_owned(),
    }
}
