//! Tools that return each kind of content, and tell of themselves while they run.

use std::time::Duration;

use erlmcp::provider::native::model::ContentBlock;
use erlmcp::provider::native::{
    Context, HandlerError, NoArguments, ServerBuilder, Tool, ToolResult, content,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

/// A picture of one red pixel, in Base64.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQ\
                              DwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// A sound without samples, in Base64.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
/// Between two things that a tool tells.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_simple_text", "A text.", |_: NoArguments, _| async {
            "This is a simple text response for testing."
        })
        .tool("test_image_content", "A picture.", |_: NoArguments, _| async {
            ContentBlock::image(PNG, "image/png")
        })
        .tool("test_audio_content", "A sound.", |_: NoArguments, _| async {
            ContentBlock::audio(WAV, "audio/wav")
        })
        .tool("test_embedded_resource", "A resource's text.", |_: NoArguments, _| async {
            let text = "This is an embedded resource content.";
            content::resource(content::text_of("test://embedded-resource", "text/plain", text))
        })
        .tool("test_multiple_content_types", "Several blocks.", mixed)
        .tool("test_error_handling", "Fails, always.", |_: NoArguments, _| async {
            Err::<(), HandlerError>("This tool intentionally returns an error for testing".into())
        })
        .tool("test_tool_with_logging", "Logs three times.", log)
        .tool("test_logging_tool", "Logs three times.", log)
        .tool("test_tool_with_progress", "Tells its progress.", progress)
        .tool("test_reconnection", "Closes its stream before it answers.", reconnect)
        .tool("test_custom_header", "Its argument is mirrored by a header.", header)
        .add(
            Tool::builder("json_schema_2020_12_tool")
                .description("Tool with JSON Schema 2020-12 features")
                .input_schema(schema_2020_12())
                .handler(|arguments: Value, _| async move { format!("Arguments: {arguments}") }),
        )
}

async fn mixed(_: NoArguments, _: Context) -> ToolResult {
    let (uri, mime) = ("test://mixed-content-resource", "application/json");
    let json = json!({ "test": "data", "value": 123 }).to_string();
    ToolResult::text("Multiple content types test:")
        .block(ContentBlock::image(PNG, "image/png"))
        .block(content::resource(content::text_of(uri, mime, json)))
}

async fn log(_: NoArguments, context: Context) -> &'static str {
    context.info("Tool execution started");
    sleep(PAUSE).await;
    context.info("Tool processing data");
    sleep(PAUSE).await;
    context.info("Tool execution completed");
    "The tool logged three messages"
}

async fn progress(_: NoArguments, context: Context) -> &'static str {
    context.progress(0.0, Some(100.0), None);
    sleep(PAUSE).await;
    context.progress(50.0, Some(100.0), None);
    sleep(PAUSE).await;
    context.progress(100.0, Some(100.0), None);
    "The tool told its progress"
}

async fn reconnect(_: NoArguments, context: Context) -> &'static str {
    context.release_stream();
    sleep(PAUSE * 2).await;
    "The stream was closed before this result, and resumed for it"
}

#[derive(Deserialize, JsonSchema)]
struct Header {
    /// Mirrored by `Mcp-Param-Value`.
    #[schemars(extend("x-mcp-header" = "Value"))]
    value: String,
}

async fn header(Header { value }: Header, _: Context) -> String {
    format!("The value is {value}")
}

fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        } },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}
