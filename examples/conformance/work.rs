//! Tools that run as tasks, and one that doesn't.

use std::time::Duration;

use erlmcp::protocol::{Code, RpcError};
use erlmcp::provider::CallError;
use erlmcp::provider::native::{
    Context, Elicited, HandlerError, NoArguments, ServerBuilder, TaskSupport, Tool, ToolBuilder,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

use crate::rounds::{Name, user_name};

/// How long a job takes before it fails.
const JOB: Duration = Duration::from_secs(1);

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    let tool = |name: &str, support| Tool::builder(name).task_support(support);
    let may = |name, description| described(tool(name, TaskSupport::Optional), description);
    let must = |name, description| described(tool(name, TaskSupport::Required), description);
    server
        .tool("greet", "Greets somebody, at once.", |Name { name }: Name, _| async move {
            format!("Hello, {name}!")
        })
        .add(may("slow_compute", "Computes for a while.").handler(slow_compute))
        .add(must("failing_job", "Fails after a second.").handler(failing_job))
        .add(may("protocol_error_job", "Ends with an error.").handler(protocol_error_job))
        .add(may("confirm_delete", "Deletes what the user confirms.").handler(confirm_delete))
        .add(may("multi_input", "Asks two things at once.").handler(multi_input))
        .add(must("test_tool_with_task", "Asks, then works.").asks_first().handler(ask_and_work))
}

fn described(tool: ToolBuilder, description: &str) -> ToolBuilder {
    tool.description(description)
}

#[derive(Deserialize, JsonSchema)]
struct Compute {
    /// How long it takes, in seconds.
    #[schemars(range(min = 0.0, max = 3_600.0))]
    seconds: f64,
    /// What it is for.
    label: Option<String>,
}

async fn slow_compute(Compute { seconds, label }: Compute, _: Context) -> String {
    sleep(Duration::from_secs_f64(seconds)).await;
    format!("{} computed for {seconds} s", label.as_deref().unwrap_or("It"))
}

async fn failing_job(_: NoArguments, _: Context) -> Result<(), HandlerError> {
    sleep(JOB).await;
    Err("The job failed, as it always does".into())
}

async fn protocol_error_job(_: NoArguments, _: Context) -> Result<(), RpcError> {
    Err(RpcError::new(Code::InternalError, "The job ended with an error of the protocol"))
}

#[derive(Deserialize, JsonSchema)]
struct Delete {
    /// The file that is meant; none is deleted.
    filename: String,
}

#[derive(Deserialize, JsonSchema)]
struct Confirmation {
    confirm: bool,
}

async fn confirm_delete(
    Delete { filename }: Delete,
    context: Context,
) -> Result<String, CallError> {
    let asked = context.elicit::<Confirmation>("confirm", &format!("Delete {filename}?")).await?;
    Ok(match asked {
        Elicited::Accepted(Confirmation { confirm: true }) => format!("Deleted {filename}"),
        _ => format!("Kept {filename}"),
    })
}

async fn multi_input(_: NoArguments, context: Context) -> Result<String, CallError> {
    let asked = context
        .ask_all()
        .elicit::<Name>("name", "What is your name?")
        .elicit::<Confirmation>("confirm", "Are you sure?");
    let answers = asked.ask().await?;
    let name = answers.elicited::<Name>("name")?.accepted().map(|answer| answer.name);
    let sure = answers.elicited::<Confirmation>("confirm")?.accepted().map(|a| a.confirm);
    let (name, sure) = (name.unwrap_or_default(), sure == Some(true));
    Ok(format!("{name:?} is {}", if sure { "sure" } else { "not sure" }))
}

async fn ask_and_work(_: NoArguments, context: Context) -> Result<String, CallError> {
    let name = user_name(&context).await?;
    Ok(format!("The work for {name} is done"))
}
