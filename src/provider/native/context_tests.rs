//! Contexts with a client that answers, in both eras.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::protocol::AskError;
use crate::protocol::notification::Outgoing;
use crate::provider::native::handle::Shared;
use crate::provider::native::item::Items;
use crate::provider::{ClientLink, Inputs, Side};

/// A client that writes down what it is told, and answers what it is asked.
#[derive(Default)]
struct Client {
    told: Mutex<Vec<String>>,
    answers: Mutex<VecDeque<Value>>,
    waits: bool,
}

impl ClientLink for Client {
    fn notify(&self, notification: &Outgoing) {
        let text = String::from_utf8(notification.encode(None)).unwrap();
        self.told.lock().unwrap().push(text);
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        let asked = serde_json::to_string(&ask.to_input_request().unwrap()).unwrap();
        self.told.lock().unwrap().push(asked);
        let answer = self.answers.lock().unwrap().pop_front().ok_or(AskError::Gone);
        let answer = answer.map(|answer| serde_json::from_str(&answer.to_string()).unwrap());
        Box::pin(std::future::ready(answer))
    }

    fn log_level(&self) -> Option<Level> {
        Some(Level::Info)
    }

    fn can_wait(&self) -> bool {
        self.waits
    }
}

const ABLE: ClientCapabilities = ClientCapabilities {
    elicitation_form: true,
    elicitation_url: true,
    sampling: true,
    sampling_tools: false,
    roots: true,
    tasks_extension: false,
};

fn context(revision: Revision, client: &Arc<Client>, inputs: Inputs) -> Context {
    let side = Side {
        capabilities: ABLE,
        progress_token: Some(serde_json::from_str("7").unwrap()),
        inputs: Arc::new(inputs),
        client: client.clone(),
        ..Side::silent(revision)
    };
    let deadline = Instant::now() + std::time::Duration::from_secs(60);
    let call = CallContext::new(side, CancellationToken::new(), deadline);
    let shared = Shared::new("s".into(), None, Items::default());
    Context::new(call, Handle(Arc::new(shared)))
}

/// A legacy client with these answers.
fn legacy(answers: &[Value]) -> (Context, Arc<Client>) {
    let answers = Mutex::new(answers.iter().cloned().collect());
    let client = Arc::new(Client { answers, waits: true, ..Client::default() });
    (context(Revision::V2025_11_25, &client, Inputs::default()), client)
}

/// A modern request with these answers of earlier rounds.
fn modern(answers: &[(&str, Value)], state: Option<Value>) -> Context {
    let raw = |value: &Value| serde_json::from_str(&value.to_string()).unwrap();
    let answers = answers.iter().map(|(key, value)| ((*key).to_owned(), raw(value))).collect();
    let inputs = Inputs { answers, state };
    context(Revision::V2026_07_28, &Arc::default(), inputs)
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Name {
    name: String,
}

fn accept(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

fn questions<T: std::fmt::Debug>(result: Result<T, CallError>) -> crate::provider::Questions {
    match result {
        Err(CallError::InputRequired(questions)) => *questions,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn progress_and_log_messages_reach_who_wants_them() {
    let (context, client) = legacy(&[]);
    context.progress(1.0, Some(2.0), Some("half"));
    context.progress(1.0, None, None);
    context.debug("quiet");
    context.info(json!({ "loud": true }));
    let told = client.told.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(r#""progressToken":7,"progress":1.0,"total":2.0,"message":"half""#));
    assert!(told[1].contains(r#""level":"info","data":{"loud":true}"#), "{told:?}");
}

#[tokio::test]
async fn users_accept_decline_or_close_the_question() {
    let name = || Elicited::Accepted(Name { name: "Ada".into() });
    let table = [
        (accept(json!({ "name": "Ada" })), Some(name())),
        (json!({ "action": "decline" }), Some(Elicited::Declined)),
        (json!({ "action": "cancel", "content": null }), Some(Elicited::Cancelled)),
        (accept(json!({ "name": 5 })), None),
        (json!({ "action": "accept" }), None),
        (json!({ "action": "maybe" }), None),
        (json!(12345), None),
    ];
    for (answer, expected) in table {
        let (context, _) = legacy(std::slice::from_ref(&answer));
        let elicited = context.elicit::<Name>("name", "Who are you?").await;
        assert_eq!(elicited.ok(), expected, "{answer}");
    }
}

#[tokio::test]
async fn forms_are_sent_and_answers_are_checked_against_them() {
    let schema = json!({
        "type": "object",
        "properties": { "age": { "type": "integer", "default": 30, "minimum": 18 } },
    });
    let (context, client) = legacy(&[accept(json!({ "age": 20 })), accept(json!({ "age": 7 }))]);
    let asked = context.elicit_form("age", "How old?", &schema).await;
    assert_eq!(asked.unwrap().accepted(), Some(json!({ "age": 20 })));
    let expected = json!({
        "method": "elicitation/create",
        "params": { "message": "How old?", "requestedSchema": schema },
    });
    let told: Value = serde_json::from_str(&client.told.lock().unwrap()[0]).unwrap();
    assert_eq!(told, expected);
    let young = context.elicit_form("age", "How old?", &schema).await.unwrap_err();
    assert!(young.to_string().contains("/age"), "{young}");
    let deep = json!({ "type": "object", "properties": { "a": { "type": "object" } } });
    assert!(context.elicit_form("a", "?", &deep).await.is_err());
}

#[tokio::test]
async fn urls_have_an_id_in_the_legacy_era_only() {
    let (context, client) = legacy(&[json!({ "action": "accept" })]);
    let url = "https://example.org/pay";
    let accepted = context.elicit_url("pay", "Please pay.", url).await.unwrap();
    assert_eq!(accepted, Elicited::Accepted(()));
    assert!(client.told.lock().unwrap()[0].contains("elicitationId"));
    let asked = questions(modern(&[], None).elicit_url("pay", "Please pay.", url).await);
    assert!(!asked.asks["pay"].params.as_ref().unwrap().get().contains("elicitationId"));
}

#[tokio::test]
async fn models_and_roots_are_asked() {
    let content = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]);
    let sampled = json!({ "role": "assistant", "model": "m", "content": content });
    let (context, client) = legacy(&[sampled, json!({ "roots": [{ "uri": "file:///a" }] })]);
    let sampling = Sampling::new("Why?", 10).system_prompt("Be kind.").with("temperature", 0.5);
    assert_eq!(context.sample("why", &sampling).await.unwrap().text(), "a\nb");
    let told = client.told.lock().unwrap()[0].clone();
    let expected = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "Why?" } }],
        "maxTokens": 10,
        "systemPrompt": "Be kind.",
        "temperature": 0.5,
    });
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["params"], expected);
    assert_eq!(context.roots("roots").await.unwrap()[0].uri, "file:///a");
    let tools = Sampling::new("Why?", 10).with("tools", json!([]));
    let error = context.sample("tools", &tools).await.unwrap_err();
    assert!(matches!(error, CallError::Failed(e) if e.code == Code::MissingClientCapability));
}

/// Asks two things after each other, and keeps what it found out before.
async fn interview(context: &Context) -> Result<String, CallError> {
    let runs = context.state::<u32>().unwrap_or(0) + 1;
    context.keep(&runs)?;
    let first = context.elicit::<Name>("first", "And you?").await?;
    let second = context.elicit::<Name>("second", "And who else?").await?;
    let names = [first, second].map(|name| name.accepted().map(|name| name.name));
    Ok(format!("{names:?} after {runs} run(s)"))
}

#[tokio::test]
async fn a_legacy_call_waits_and_a_modern_one_begins_anew() {
    let (ada, joe) = (accept(json!({ "name": "Ada" })), accept(json!({ "name": "Joe" })));
    let (context, _) = legacy(&[ada.clone(), joe.clone()]);
    let expected = r#"[Some("Ada"), Some("Joe")] after 1 run(s)"#;
    assert_eq!(interview(&context).await.unwrap(), expected);

    let asked = questions(interview(&modern(&[], None)).await);
    assert_eq!(asked.asks.keys().collect::<Vec<_>>(), ["first"]);
    assert_eq!(asked.state, Some(json!(1)));
    let asked = questions(interview(&modern(&[("first", ada.clone())], asked.state)).await);
    assert_eq!(asked.asks.keys().collect::<Vec<_>>(), ["second"]);
    let last = modern(&[("first", ada), ("second", joe)], asked.state);
    let expected = r#"[Some("Ada"), Some("Joe")] after 3 run(s)"#;
    assert_eq!(interview(&last).await.unwrap(), expected);
}

#[tokio::test]
async fn several_questions_are_asked_at_once() {
    let context = modern(&[("roots", json!({ "roots": [] }))], Some(json!("kept")));
    let sampling = Sampling::new("Greet them.", 50);
    let ask = || {
        let asked = context.ask_all().elicit::<Name>("name", "Who are you?");
        asked.sample("greeting", &sampling).roots("roots").ask()
    };
    let asked = questions(ask().await);
    assert_eq!(asked.asks.keys().collect::<Vec<_>>(), ["greeting", "name"]);
    assert_eq!(asked.state, Some(json!("kept")));
    let none = context.ask_all().ask().await.unwrap();
    assert!(none.roots("roots").is_err());
}
