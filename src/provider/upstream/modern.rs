//! A call at a server of the modern era: it asks by ending the call, and is called again with the
//! answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::connection::{Connection, Fault};
use super::faults;
use super::questions::ask_all;
use crate::bridge::{self, Answer, InputRequired, Retry};
use crate::protocol::{Code, Era, Operation, ResultObject, RpcError};
use crate::provider::{CallContext, CallError, Questions};

/// Rounds of one call whose client is asked meanwhile. A call that asks more goes in circles.
const MAX_ROUNDS: u32 = 32;
/// How long is waited before a server is called again that asked for nothing but that; longer
/// each time.
const PAUSE: Duration = Duration::from_millis(100);
/// The server finds that a header contradicts the call: its tools changed.
const HEADER_MISMATCH: Code = Code::Other(-32020);

/// What is carried from one round to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Round {
    /// The server's state, as it wrote it.
    state: Option<String>,
    /// The keys of its questions.
    keys: Vec<String>,
}

/// Answers of the round before, and what the server wants to see again.
#[derive(Default)]
struct Answers {
    answers: BTreeMap<String, Box<RawValue>>,
    state: Option<Box<RawValue>>,
}

impl Answers {
    /// What a modern client brings back: only what was asked last is for the server. Answers that
    /// come with the first request are the server's to judge, all of them.
    fn brought(round: Option<Round>, context: &CallContext) -> Option<Self> {
        let given = &context.side.inputs.answers;
        let Some(Round { state, keys }) = round else {
            return (!given.is_empty()).then(|| Self { answers: given.clone(), state: None });
        };
        let answer = |key: String| given.get(&key).map(|answer| (key.clone(), answer.clone()));
        Some(Self {
            answers: keys.into_iter().filter_map(answer).collect(),
            state: state.and_then(|state| RawValue::from_string(state).ok()),
        })
    }

    fn retry(&self) -> Retry<'_> {
        Retry { answers: &self.answers, state: self.state.as_deref() }
    }
}

/// Does the call, round by round.
///
/// # Errors
/// The server's own, what became of it, and its questions to a client that can't be asked
/// meanwhile.
pub(super) async fn call(
    connection: &Connection,
    operation: &Operation,
    context: &Arc<CallContext>,
    round: Option<Round>,
) -> Result<ResultObject, CallError> {
    let mut answers = Answers::brought(round, context);
    for number in 0..MAX_ROUNDS {
        let required = match ask(connection, operation, context, answers.as_ref()).await? {
            Answer::Complete(mut result) => {
                bridge::result_for_client(&mut result, Era::Modern, context.side.revision);
                return Ok(result);
            }
            Answer::InputRequired(required) => required,
        };
        let InputRequired { asks, state } = required;
        if !context.side.client.can_wait() {
            for ask in asks.values() {
                ask.kind.check(context.side.capabilities)?;
            }
            let round = Round {
                state: state.map(|state| state.get().to_owned()),
                keys: asks.keys().cloned().collect(),
            };
            // Texts always have a JSON form.
            let state = serde_json::to_value(round).unwrap_or(Value::Null);
            return Err(CallError::InputRequired(Box::new(Questions { asks, state: Some(state) })));
        }
        if asks.is_empty() {
            sleep(PAUSE * number).await;
        }
        answers = Some(Answers { answers: ask_all(asks, context).await?, state });
    }
    let error = RpcError::upstream_invalid(connection.name(), "it asks again and again");
    Err(error.into())
}

/// One round.
async fn ask(
    connection: &Connection,
    operation: &Operation,
    context: &Arc<CallContext>,
    answers: Option<&Answers>,
) -> Result<Answer, CallError> {
    let name = connection.name();
    let once = async || {
        let retry = answers.map(Answers::retry);
        let mut live = connection.begin(operation, context, retry).await?;
        live.outcome().await
    };
    let mut outcome = once().await;
    let mismatch = matches!(&outcome, Err(Fault::Answered(error)) if error.code == HEADER_MISMATCH);
    if mismatch && connection.offer().await.is_ok() {
        outcome = once().await;
    }
    match outcome {
        Ok(result) => {
            bridge::answer(result).map_err(|why| RpcError::upstream_invalid(name, why).into())
        }
        Err(Fault::Answered(error)) => {
            let to = context.side.revision.era();
            Err(bridge::error_for_client(error, operation, Era::Modern, to).into())
        }
        Err(fault) => Err(faults::told(name, fault).into()),
    }
}
