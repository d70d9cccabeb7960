//! Questions to the client: requests of its own in the session era, `input_required` in the modern.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::outcome::Outcome;
use crate::server::{Request, Server};

/// The key of the one question, and what travels with it (2026-07-28).
const KEY: &str = "question";
const STATE: &str = "kept by the client";

/// Questions that wait for their answers (2025-11-25).
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    asked: u64,
    by_id: HashMap<String, oneshot::Sender<Value>>,
}

impl Questions {
    /// Takes what a client answers: the result, or the error.
    pub(crate) fn answered(&self, id: &Value, answer: Option<Value>) {
        let waiting = self.waiting().by_id.remove(&id.to_string());
        match waiting {
            Some(waiting) => _ = waiting.send(answer.unwrap_or_default()),
            None => eprintln!("unruly: nobody asked for the answer {id}"),
        }
    }

    fn ask(&self) -> (Value, oneshot::Receiver<Value>) {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.asked += 1;
        let id = json!(format!("unruly-{}", waiting.asked));
        waiting.by_id.insert(id.to_string(), answer);
        (id, answered)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the client, and tells what it answered.
pub(crate) async fn ask(
    server: &Server,
    request: &Request,
    method: &str,
    params: Value,
) -> Outcome {
    if !server.arguments.modern {
        let (id, answered) = server.questions.ask();
        let question = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        server.output.message(&question);
        return told(&answered.await.unwrap_or_default());
    }
    let answer = &request.params["inputResponses"][KEY];
    if answer.is_null() {
        return Outcome::Result(json!({
            "resultType": "input_required",
            "inputRequests": { KEY: { "method": method, "params": params } },
            "requestState": STATE,
        }));
    }
    if request.params["requestState"] != STATE {
        return Outcome::invalid("requestState is not what was given");
    }
    told(answer)
}

fn told(answer: &Value) -> Outcome {
    Outcome::text(answer.to_string())
}

/// What `ask` asks.
pub(crate) fn form() -> Value {
    json!({
        "mode": "form",
        "message": "Who is there?",
        "requestedSchema": {
            "type": "object",
            "properties": { "name": { "type": "string" } },
            "required": ["name"],
        },
    })
}

/// What `sample` asks.
pub(crate) fn sampling() -> Value {
    json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "Say something." } }],
        "maxTokens": 16,
    })
}
