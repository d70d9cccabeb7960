//! Rounds of one modern request: it is answered with questions, and comes again with the answers.
//!
//! Nothing is kept here between the rounds. What has to be known again travels with the client as
//! `requestState`, sealed, and bound to who asked, where and what was asked, and a time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::seal::Seal;
use crate::catalogue::Scope;
use crate::protocol::call::Reference;
use crate::protocol::envelope::is_object;
use crate::protocol::meta::Extras;
use crate::protocol::{Code, Operation, ResultObject, RpcError};
use crate::provider::{Inputs, Questions};

/// How long a client may take to answer: its person may have gone for lunch.
const TIME_TO_ANSWER: Duration = Duration::from_secs(3_600);
/// Largest sealed state, in bytes: it travels in every round.
const MAX_STATE: usize = 256 * 1024;

/// Seals and opens the states of requests.
#[derive(Debug, Clone)]
pub struct Rounds(pub Seal);

/// What travels with the client.
#[derive(Serialize, Deserialize)]
struct Carried {
    /// Seconds since 1970 after which it isn't taken any more.
    until: u64,
    answers: BTreeMap<String, Box<RawValue>>,
    state: Option<Value>,
}

impl Rounds {
    /// The answers that a request brings: those of this round, and of earlier ones.
    ///
    /// # Errors
    /// -32602 for a state that this node did not seal for the same request and principal, or that
    /// is too old, and for answers that are no objects.
    pub fn inputs(
        &self,
        scope: &Scope,
        principal: &str,
        operation: &Operation,
        extras: &Extras,
    ) -> Result<Inputs, RpcError> {
        let mut inputs = Inputs::default();
        if let Some(sealed) = &extras.request_state {
            let carried = self.open(sealed, &bound(scope, principal, operation))?;
            inputs = Inputs { answers: carried.answers, state: carried.state };
        }
        for (key, answer) in &extras.input_responses {
            if !is_object(answer) {
                return Err(RpcError::invalid_params(format!("the answer {key:?} is no object")));
            }
            inputs.answers.insert(key.clone(), answer.clone());
        }
        Ok(inputs)
    }

    /// The `input_required` result for a provider's questions, on top of the answers so far.
    ///
    /// # Errors
    /// -32603 where state and answers are too large to be carried.
    pub fn ask(
        &self,
        scope: &Scope,
        principal: &str,
        operation: &Operation,
        inputs: &Inputs,
        questions: Questions,
    ) -> Result<ResultObject, RpcError> {
        let carried = Carried {
            until: now().saturating_add(TIME_TO_ANSWER.as_secs()),
            answers: inputs.answers.clone(),
            state: questions.state.or_else(|| inputs.state.clone()),
        };
        let broken = |_| RpcError::new(Code::InternalError, "The questions could not be encoded");
        let text = serde_json::to_vec(&carried).map_err(broken)?;
        if text.len() > MAX_STATE {
            let why = "The answers so far are too large to be carried to the next round";
            return Err(RpcError::new(Code::InternalError, why));
        }
        let state = self.0.seal(&text, &bound(scope, principal, operation));
        let state = state.map_err(|_| RpcError::crashed("seal"))?;
        let asks = questions.asks.iter();
        let asks = asks.map(|(key, ask)| Ok((key, ask.to_input_request()?)));
        let asks: BTreeMap<_, _> = asks.collect::<serde_json::Result<_>>().map_err(broken)?;
        let mut result = ResultObject::empty();
        result.set("resultType", &"input_required").map_err(broken)?;
        if !asks.is_empty() {
            result.set("inputRequests", &asks).map_err(broken)?;
        }
        result.set("requestState", &state).map_err(broken)?;
        Ok(result)
    }

    fn open(&self, sealed: &str, bound: &[u8]) -> Result<Carried, RpcError> {
        let refused = |why| RpcError::invalid_params(format!("requestState {why}"));
        let text = self.0.open(sealed, bound);
        let text = text.map_err(|_| refused("was not given out for this request"))?;
        let carried: Carried =
            serde_json::from_slice(&text).map_err(|_| refused("is of another version"))?;
        if carried.until < now() {
            return Err(refused("is too old; send the request anew"));
        }
        Ok(carried)
    }
}

/// Who asks what and where, as a digest: the same request comes again, under another id. Servers
/// may have tools of the same name.
fn bound(scope: &Scope, principal: &str, operation: &Operation) -> Vec<u8> {
    let arguments = |raw: Option<&RawValue>| {
        // Through a value, so that blanks don't count.
        let value = raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        value.unwrap_or_default().to_string()
    };
    let parts = match operation {
        Operation::CallTool(call) => {
            ["tools/call".to_owned(), call.name.clone(), arguments(call.arguments.as_deref())]
        }
        Operation::GetPrompt(call) => {
            ["prompts/get".to_owned(), call.name.clone(), format!("{:?}", call.arguments)]
        }
        Operation::ReadResource(uri) => ["resources/read".to_owned(), uri.clone(), String::new()],
        Operation::Complete(completion) => match &completion.reference {
            Reference::Prompt(name) | Reference::Resource(name) => {
                ["completion/complete".to_owned(), name.clone(), completion.argument.clone()]
            }
        },
    };
    let server = match scope {
        Scope::Federated => "",
        Scope::Server(server) => server,
    };
    let mut digest = Sha256::new();
    for part in [server, principal].into_iter().chain(parts.iter().map(String::as_str)) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::call::ToolCall;
    use crate::protocol::{Ask, AskKind, Params};

    const ALL: Scope = Scope::Federated;

    fn operation(name: &str, arguments: &str) -> Operation {
        let arguments = Some(serde_json::from_str(arguments).unwrap());
        Operation::CallTool(ToolCall { name: name.into(), arguments, task: None })
    }

    fn retry(state: &str, answers: &str) -> Extras {
        let params = format!(r#"{{"requestState":{state},"inputResponses":{answers}}}"#);
        let raw: Box<RawValue> = serde_json::from_str(&params).unwrap();
        Extras::parse(&Params::seen(Some(&raw)).unwrap()).unwrap()
    }

    #[test]
    fn answers_and_state_come_back_with_the_same_request_only() {
        let rounds = Rounds(Seal::random());
        let call = operation("a", r#"{"x": 1}"#);
        let questions = |state: &str| {
            let ask = Ask { kind: AskKind::ListRoots, params: None };
            let asks = BTreeMap::from([("roots".to_owned(), ask)]);
            Questions { asks, state: Some(state.into()) }
        };
        let first = rounds.ask(&ALL, "p", &call, &Inputs::default(), questions("one")).unwrap();
        assert_eq!(first.get("resultType"), Some("\"input_required\""));
        assert_eq!(first.get("inputRequests"), Some(r#"{"roots":{"method":"roots/list"}}"#));
        let state = first.get("requestState").unwrap();
        let inputs =
            rounds.inputs(&ALL, "p", &call, &retry(state, r#"{"roots":{"a":1}}"#)).unwrap();
        assert_eq!(inputs.state, Some("one".into()));
        let second = rounds.ask(&ALL, "p", &call, &inputs, Questions::default()).unwrap();
        assert_eq!(second.get("inputRequests"), None);
        let state = second.get("requestState").unwrap();
        let again = operation("a", r#"{"x":1}"#);
        let inputs = rounds.inputs(&ALL, "p", &again, &retry(state, "{}")).unwrap();
        assert_eq!(inputs.answers.get("roots").unwrap().get(), r#"{"a":1}"#);
        assert_eq!(inputs.state, Some("one".into()));

        let changed = state.replace(&state[5..6], if &state[5..6] == "A" { "B" } else { "A" });
        for (scope, who, what, state) in [
            (ALL, "q", &call, state),
            (Scope::Server("s".into()), "p", &call, state),
            (ALL, "p", &operation("b", r#"{"x":1}"#), state),
            (ALL, "p", &operation("a", r#"{"x":2}"#), state),
            (ALL, "p", &call, changed.as_str()),
            (ALL, "p", &call, "\"\""),
        ] {
            let error = rounds.inputs(&scope, who, what, &retry(state, "{}")).unwrap_err();
            assert_eq!(error.code, Code::InvalidParams);
        }
        assert!(rounds.inputs(&ALL, "p", &call, &retry("null", r#"{"roots":7}"#)).is_err());
    }

    #[test]
    fn what_is_too_old_is_refused() {
        let rounds = Rounds(Seal::random());
        let call = operation("a", "{}");
        let old = Carried { until: now() - 1, answers: BTreeMap::new(), state: None };
        let text = serde_json::to_vec(&old).unwrap();
        let sealed = rounds.0.seal(&text, &bound(&ALL, "p", &call)).unwrap();
        let error =
            rounds.inputs(&ALL, "p", &call, &retry(&format!("\"{sealed}\""), "{}")).unwrap_err();
        assert!(error.message.contains("too old"));
    }
}
