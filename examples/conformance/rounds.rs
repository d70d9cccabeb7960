//! Tools that take several rounds in 2026-07-28: each run ends with a question, and the next one
//! finds its answer.

use erlmcp::protocol::RpcError;
use erlmcp::provider::CallError;
use erlmcp::provider::native::{Context, HandlerError, NoArguments, Sampling, ServerBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) fn add(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_input_required_result_elicitation", "Asks for a name.", elicitation)
        .tool("test_input_required_result_sampling", "Asks the client's model.", sampling)
        .tool("test_input_required_result_list_roots", "Asks for the roots.", list_roots)
        .tool("test_input_required_result_request_state", "Keeps a state.", state)
        .tool("test_input_required_result_tampered_state", "Guards its state.", state)
        .tool("test_input_required_result_multiple_inputs", "Asks three things.", multiple)
        .tool("test_input_required_result_multi_round", "Asks twice.", multi_round)
        .tool("test_input_required_result_capabilities", "Asks what it may.", capabilities)
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Name {
    pub(crate) name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Colour {
    color: String,
}

#[derive(Deserialize, JsonSchema)]
struct Confirmation {
    ok: bool,
}

const NOBODY: &str = "nobody";

/// Asks the user's name.
pub(crate) async fn user_name(context: &Context) -> Result<String, CallError> {
    let answer = context.elicit::<Name>("user_name", "What is your name?").await?;
    Ok(answer.accepted().map_or(NOBODY.to_owned(), |answer| answer.name))
}

async fn elicitation(_: NoArguments, context: Context) -> Result<String, CallError> {
    Ok(format!("Hello, {}!", user_name(&context).await?))
}

async fn sampling(_: NoArguments, context: Context) -> Result<String, CallError> {
    let sampling = Sampling::new("What is the capital of France?", 100);
    Ok(context.sample("capital_question", &sampling).await?.text())
}

async fn list_roots(_: NoArguments, context: Context) -> Result<String, CallError> {
    let roots = context.roots("client_roots").await?;
    let uris: Vec<_> = roots.into_iter().map(|root| root.uri).collect();
    Ok(format!("Roots: {}", uris.join(", ")))
}

async fn state(_: NoArguments, context: Context) -> Result<&'static str, HandlerError> {
    let kept: Option<String> = context.state();
    context.keep(&"asked")?;
    let answer = context.elicit::<Confirmation>("confirm", "Please confirm").await?;
    // In the legacy era this is still the run that asked.
    if kept.or_else(|| context.state()).as_deref() != Some("asked") {
        return Err(RpcError::invalid_params("the request's state is missing").into());
    }
    Ok(match answer.accepted() {
        Some(Confirmation { ok: true }) => "state-ok, and confirmed",
        _ => "state-ok, but not confirmed",
    })
}

async fn multiple(_: NoArguments, context: Context) -> Result<String, CallError> {
    context.keep(&"asked")?;
    let asked = context
        .ask_all()
        .elicit::<Name>("user_name", "What is your name?")
        .sample("greeting", &Sampling::new("Generate a greeting", 50))
        .roots("client_roots");
    let answers = asked.ask().await?;
    let name = answers.elicited::<Name>("user_name")?.accepted().map(|answer| answer.name);
    let name = name.unwrap_or_else(|| NOBODY.to_owned());
    let greeting = answers.sampled("greeting")?.text();
    let roots = answers.roots("client_roots")?.len();
    Ok(format!("{greeting} {name} has {roots} root(s)"))
}

/// What is known after the first round is kept, and needn't be asked again.
async fn multi_round(_: NoArguments, context: Context) -> Result<String, CallError> {
    let name = match context.state::<Option<String>>().flatten() {
        Some(name) => name,
        None => {
            context.keep(&None::<String>)?;
            let answer = context.elicit::<Name>("step1", "Step 1: What is your name?").await?;
            answer.accepted().map_or(NOBODY.to_owned(), |answer| answer.name)
        }
    };
    context.keep(&Some(&name))?;
    let asked = context.elicit::<Colour>("step2", "Step 2: What is your favorite color?");
    let colour = asked.await?.accepted().map_or("none".to_owned(), |answer| answer.color);
    Ok(format!("{name} likes {colour}"))
}

async fn capabilities(_: NoArguments, context: Context) -> Result<String, CallError> {
    let can = context.client_capabilities();
    let mut asked = context.ask_all();
    if can.elicitation_form {
        asked = asked.elicit::<Name>("user_name", "What is your name?");
    }
    if can.sampling {
        asked = asked.sample("greeting", &Sampling::new("Generate a greeting", 50));
    }
    if can.roots {
        asked = asked.roots("client_roots");
    }
    asked.ask().await?;
    Ok("All that the client can be asked was asked".to_owned())
}
