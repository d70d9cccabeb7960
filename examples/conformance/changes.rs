//! Tools that change what the server offers.

use erlmcp::provider::native::{BuildError, Context, NoArguments, Prompt, ServerBuilder, Tool};

/// What comes and goes.
const CHANGING: &str = "test_changing";

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    server.tool("test_trigger_tool_change", "Adds a tool, or takes it away.", change_tools).tool(
        "test_trigger_prompt_change",
        "Adds a prompt, or takes it away.",
        change_prompts,
    )
}

async fn change_tools(_: NoArguments, context: Context) -> Result<&'static str, BuildError> {
    let server = context.server();
    if server.remove_tool(CHANGING) {
        return Ok("A tool is gone");
    }
    let tool = Tool::builder(CHANGING).description("Comes and goes.");
    server.add(tool.handler(|_: NoArguments, _| async { "Still here" }))?;
    Ok("A tool is new")
}

async fn change_prompts(_: NoArguments, context: Context) -> Result<&'static str, BuildError> {
    let server = context.server();
    if server.remove_prompt(CHANGING) {
        return Ok("A prompt is gone");
    }
    let prompt = Prompt::builder(CHANGING).description("Comes and goes.");
    server.add(prompt.handler(|_: NoArguments, _| async { "Still here" }))?;
    Ok("A prompt is new")
}
