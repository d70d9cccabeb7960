//! Resources and prompts.

use erlmcp::provider::CallError;
use erlmcp::provider::native::model::{ContentBlock, PromptMessage, ResourceContents};
use erlmcp::provider::native::{
    Context, NoArguments, Prompt, Resource, ServerBuilder, content, starting_with, user,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::contents::PNG;

const BINARY: &str = "test://static-binary";

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    prompts(resources(server))
}

fn resources(server: ServerBuilder) -> ServerBuilder {
    let json = "application/json";
    server
        .resource("test://static-text", "static-text", "A text.", "text/plain", |_| async {
            "This is the content of the static text resource."
        })
        .add(
            Resource::builder(BINARY, "static-binary")
                .description("A picture.")
                .mime("image/png")
                .handler(|_| async {
                    ResourceContents::blob(PNG, BINARY).with_mime_type("image/png")
                }),
        )
        .resource(
            "test://watched-resource",
            "watched",
            "May be watched.",
            "text/plain",
            |_| async { "This resource may be subscribed to." },
        )
        .template("test://template/{id}/data", "template", "Data by id.", json, template)
}

#[derive(Deserialize, JsonSchema)]
struct Id {
    id: String,
}

async fn template(Id { id }: Id, _: Context) -> String {
    let data = format!("Data for ID: {id}");
    json!({ "id": id, "templateTest": true, "data": data }).to_string()
}

fn prompts(server: ServerBuilder) -> ServerBuilder {
    server
        .prompt("test_simple_prompt", "A text.", |_: NoArguments, _| async {
            "This is a simple prompt for testing."
        })
        .add(
            Prompt::builder("test_prompt_with_arguments")
                .description("A text with two arguments.")
                .complete("arg1", |value, _| async move {
                    starting_with(&value, ["paris", "park", "party", "test"])
                })
                .handler(|Arguments { arg1, arg2 }, _| async move {
                    format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")
                }),
        )
        .prompt("test_prompt_with_embedded_resource", "A resource and a text.", embedded)
        .prompt("test_prompt_with_image", "A picture and a text.", |_: NoArguments, _| async {
            [
                user(ContentBlock::image(PNG, "image/png")),
                user(content::text("Please analyze the image above.")),
            ]
        })
        .prompt("test_input_required_result_prompt", "Asks what it is about.", asking)
}

#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// First test argument
    arg1: String,
    /// Second test argument
    arg2: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    /// URI of the resource to embed
    resource_uri: String,
}

async fn embedded(Embedded { resource_uri }: Embedded, _: Context) -> [PromptMessage; 2] {
    let text = "Embedded resource content for testing.";
    [
        user(content::resource(content::text_of(resource_uri, "text/plain", text))),
        user(content::text("Please process the embedded resource above.")),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct About {
    context: String,
}

async fn asking(_: NoArguments, context: Context) -> Result<String, CallError> {
    let asked = context.elicit::<About>("user_context", "What context should the prompt use?");
    let about = asked.await?.accepted().map(|answer| answer.context).unwrap_or_default();
    Ok(format!("Use this context: {about}"))
}
