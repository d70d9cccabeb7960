//! One call of a handler, from its parameters to its single result.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use rmcp::ServerHandler;
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, CompletionContext, ErrorData,
    GetPromptRequestParams, InputRequiredResult, InputResponses, JsonObject,
    ReadResourceRequestParams, Reference as SdkReference, RequestId, ServerResult,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::broadcast;

use super::line::{Deaf, Line};
use super::translate;
use crate::protocol::call::{Completion, PromptCall, Reference, ToolCall};
use crate::protocol::{Ask, AskError, Code, Era, Operation, ResultObject, RpcError};
use crate::provider::{CallContext, CallError, Event, Inputs, ProviderCall, Questions};

/// How often a call may ask and begin anew while its client waits.
const ROUNDS: usize = rmcp::model::DEFAULT_MRTR_MAX_ROUNDS;

/// What earlier rounds of the same call brought.
struct Round {
    answers: Option<InputResponses>,
    state: Option<String>,
}

/// Calls the handler, and asks its questions where the client can answer while the call waits.
pub(super) async fn perform<H: ServerHandler>(
    handler: Arc<H>,
    id: RequestId,
    call: ProviderCall,
    events: broadcast::Sender<Event>,
) -> Result<ResultObject, CallError> {
    let ProviderCall { operation, context } = call;
    let side = &context.side;
    let version = translate::spoken(side.revision, &handler.supported_protocol_versions());
    let meta = translate::meta(side, &version);
    let client = translate::client(side.capabilities, version);
    let line = Line::of_call(context.clone(), events).open(Deaf, client);

    let mut request = RequestContext::new(id, line.peer().clone());
    request.meta = meta;
    request.ct = context.cancelled.child_token();
    // Work that the handler started elsewhere learns that its call is over.
    let _over = request.ct.clone().drop_guard();

    let mut round = Round::of(&side.inputs)?;
    for _ in 0..ROUNDS {
        let reply = handle(&*handler, &operation, round, request.clone()).await;
        match reply.map_err(translate::error)? {
            ServerResult::InputRequiredResult(questions) => {
                round = ask(&context, questions).await?;
            }
            // It was told that its client knows no tasks.
            ServerResult::CreateTaskResult(_) => return Err(not_passed_on()),
            result => return encode(result, side.revision.era()),
        }
    }
    let message = format!("The handler asked its client {ROUNDS} times without coming to an end");
    Err(RpcError::new(Code::InternalError, message).into())
}

async fn handle<H: ServerHandler>(
    handler: &H,
    operation: &Operation,
    round: Round,
    request: RequestContext<RoleServer>,
) -> Result<ServerResult, ErrorData> {
    match operation {
        Operation::CallTool(call) => {
            Ok(handler.call_tool(tool_params(call, round)?, request).await?.into())
        }
        Operation::GetPrompt(call) => {
            Ok(handler.get_prompt(prompt_params(call, round), request).await?.into())
        }
        Operation::ReadResource(uri) => {
            Ok(handler.read_resource(read_params(uri, round), request).await?.into())
        }
        Operation::Complete(completion) => {
            Ok(handler.complete(complete_params(completion), request).await?.into())
        }
    }
}

fn tool_params(call: &ToolCall, round: Round) -> Result<CallToolRequestParams, ErrorData> {
    let mut params = CallToolRequestParams::new(call.name.clone());
    let arguments = call.arguments.as_deref().map(|raw| serde_json::from_str(raw.get()));
    let invalid = |error| ErrorData::invalid_params(format!("arguments: {error}"), None);
    params.arguments = arguments.transpose().map_err(invalid)?;
    (params.input_responses, params.request_state) = (round.answers, round.state);
    Ok(params)
}

fn prompt_params(call: &PromptCall, round: Round) -> GetPromptRequestParams {
    let mut params = GetPromptRequestParams::new(&call.name);
    let arguments = call.arguments.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    params.arguments = Some(arguments.collect::<JsonObject>());
    (params.input_responses, params.request_state) = (round.answers, round.state);
    params
}

fn read_params(uri: &str, round: Round) -> ReadResourceRequestParams {
    let mut params = ReadResourceRequestParams::new(uri);
    (params.input_responses, params.request_state) = (round.answers, round.state);
    params
}

fn complete_params(completion: &Completion) -> CompleteRequestParams {
    let reference = match &completion.reference {
        Reference::Prompt(name) => SdkReference::for_prompt(name),
        Reference::Resource(uri) => SdkReference::for_resource(uri),
    };
    let argument = ArgumentInfo::new(&completion.argument, &completion.value);
    let params = CompleteRequestParams::new(reference, argument);
    if completion.context.is_empty() {
        return params;
    }
    let settled = completion.context.clone().into_iter().collect();
    params.with_context(CompletionContext::with_arguments(settled))
}

fn not_passed_on() -> CallError {
    let message = "The handler answered with what this node doesn't pass on";
    RpcError::new(Code::InternalError, message).into()
}

impl Round {
    fn of(inputs: &Inputs) -> Result<Self, CallError> {
        let state = inputs.state.as_ref().and_then(Value::as_str).map(ToOwned::to_owned);
        if inputs.answers.is_empty() {
            return Ok(Self { answers: None, state });
        }
        Self::new(&inputs.answers, state)
    }

    fn new(
        answers: &BTreeMap<String, Box<RawValue>>,
        state: Option<String>,
    ) -> Result<Self, CallError> {
        let mut parsed = InputResponses::new();
        for (key, raw) in answers {
            let answer = serde_json::from_str(raw.get()).map_err(RpcError::invalid_params)?;
            parsed.insert(key.clone(), answer);
        }
        Ok(Self { answers: Some(parsed), state })
    }
}

/// Asks what the handler wants to know. Where the client can't answer while the call waits, the
/// call ends with the questions.
async fn ask(context: &CallContext, questions: InputRequiredResult) -> Result<Round, CallError> {
    let (side, state) = (&context.side, questions.request_state);
    let mut asks = BTreeMap::new();
    for (key, request) in questions.input_requests.unwrap_or_default() {
        let ask = translate::input(&request).and_then(Result::ok);
        let ask = ask.ok_or_else(not_passed_on)?;
        ask.kind.check(side.capabilities)?;
        asks.insert(key, ask);
    }
    if !side.client.can_wait() {
        let questions = Questions { asks, state: state.map(Value::String) };
        return Err(CallError::InputRequired(Box::new(questions)));
    }
    let _waiting = context.waits.begin();
    let asked = asks.into_iter().map(|(key, ask): (String, Ask)| {
        let answer = side.client.ask(ask);
        async move { Ok::<_, AskError>((key, answer.await?)) }
    });
    let answers = try_join_all(asked).await.map_err(RpcError::from)?;
    Round::new(&answers.into_iter().collect(), state)
}

/// The result as the client's era knows it; the node adds what is the same for all servers.
fn encode(mut result: ServerResult, era: Era) -> Result<ResultObject, CallError> {
    match era {
        Era::Legacy => {
            result.strip_result_type_for_legacy_peer();
            result.strip_non_object_output_for_legacy_peer();
        }
        Era::Modern => result.fill_missing_cache_hints(),
    }
    Ok(ResultObject::of(&result)?)
}
