//! Calls of hosted handlers, and what they tell by themselves.

#![expect(deprecated, reason = "the handlers use what the SDK calls deprecated")]

mod handler;

use std::sync::{Arc, Mutex as Lock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio_util::sync::CancellationToken;

use self::handler::{Everything, Legacy, Listened};
use super::host;
use crate::protocol::call::{Completion, PromptCall, Reference, ToolCall};
use crate::protocol::notification::Outgoing;
use crate::protocol::{
    Ask, AskError, ClientCapabilities, Code, Kind, Level, Operation, Revision, RpcError,
};
use crate::provider::run::{Ended, Job, run};
use crate::provider::{ClientLink, Event, Hosted, Inputs, Side};

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::V2026_07_28;

/// A client that keeps what it is told, and answers when it may.
struct Client {
    told: Lock<Vec<String>>,
    waits: bool,
    answers: Semaphore,
    asked: Semaphore,
}

impl Client {
    fn new(waits: bool, answers: usize) -> Arc<Self> {
        let (answers, asked) = (Semaphore::new(answers), Semaphore::new(0));
        Arc::new(Self { told: Lock::default(), waits, answers, asked })
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// The link of a shared client.
struct Link(Arc<Client>);

impl ClientLink for Link {
    fn notify(&self, notification: &Outgoing) {
        let params = notification.params.as_deref().map_or("", RawValue::get);
        self.0.told.lock().unwrap().push(format!("{} {params}", notification.method));
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            assert!(ask.params.unwrap().get().contains("Who are you?"));
            client.asked.add_permits(1);
            client.answers.acquire().await.unwrap().forget();
            Ok(raw(&json!({ "action": "accept", "content": { "name": "Ada" } })))
        })
    }

    fn log_level(&self) -> Option<Level> {
        Some(Level::Info)
    }

    fn can_wait(&self) -> bool {
        self.0.waits
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn side(revision: Revision, client: &Arc<Client>) -> Side {
    let token: Arc<RawValue> = raw(&json!("t")).into();
    let meta = json!({
        "progressToken": "t",
        "io.modelcontextprotocol/protocolVersion": revision.as_str(),
        "io.modelcontextprotocol/clientCapabilities": {
            "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {}, "x/y": {} },
        },
    });
    let legacy = json!({ "progressToken": "t" });
    Side {
        capabilities: ClientCapabilities {
            elicitation_form: true,
            roots: true,
            tasks_extension: true,
            ..ClientCapabilities::default()
        },
        meta: Some(raw(if revision == MODERN { &meta } else { &legacy }).into()),
        progress_token: Some(token),
        client: Arc::new(Link(Arc::clone(client))),
        ..Side::silent(revision)
    }
}

fn tool(name: &str, arguments: Value) -> Operation {
    Operation::CallTool(ToolCall {
        name: name.into(),
        arguments: Some(raw(&arguments)),
        task: None,
    })
}

fn job(operation: Operation, side: Side) -> Job {
    let (timeout, cancelled) = (Duration::from_secs(60), CancellationToken::new());
    Job { operation, side, timeout, cancelled, unsent: Default::default() }
}

async fn outcome(server: &Arc<dyn Hosted>, job: Job) -> Result<Ended, RpcError> {
    let provider = Arc::clone(server);
    run(provider, job).await
}

/// The result's or the questions' text, or the error's code and message.
async fn text(server: &Arc<dyn Hosted>, operation: Operation, side: Side) -> String {
    match outcome(server, job(operation, side)).await {
        Ok(Ended::Result(result)) => serde_json::to_string(&result).unwrap(),
        Ok(Ended::Questions(questions)) => format!("{questions:?}"),
        Err(error) => format!("{:?} {}", error.code, error.message),
    }
}

fn everything() -> (Arc<dyn Hosted>, Everything, mpsc::Receiver<&'static str>) {
    let (handler, lives) = Everything::new();
    (host("guest", handler.clone()), handler, lives)
}

/// Waits until no task is left but those that were there before.
async fn back_to(tasks: usize) {
    while Handle::current().metrics().num_alive_tasks() > tasks {
        yield_now().await;
    }
}

#[tokio::test]
async fn an_offer_has_all_pages_of_all_lists() {
    let (server, _, _lives) = everything();
    let offer = server.offer().await;
    let names = |kind| offer.list(kind).iter().map(|it| it.name.as_str()).collect::<Vec<_>>();
    assert!(names(Kind::Tools).contains(&"echo"));
    assert_eq!(names(Kind::Prompts), ["praise"]);
    assert_eq!(names(Kind::Resources), ["note://a", "note://b"]);
    assert_eq!(names(Kind::Templates), ["note://{name}"]);
    assert_eq!(offer.instructions.as_deref(), Some("Be kind."));
    let add = offer.tools.iter().find(|it| it.name == "add").unwrap();
    assert!(add.members.get("inputSchema").unwrap().contains("\"a\""));
    assert!(add.members.get("outputSchema").unwrap().contains("\"sum\""));
}

#[tokio::test]
async fn operations_reach_the_handler_and_results_fit_the_era() {
    let (server, _, _lives) = everything();
    let client = Client::new(true, 0);
    let prompt = |text: &str| {
        let arguments = [("text".to_owned(), text.to_owned())].into();
        Operation::GetPrompt(PromptCall { name: "praise".into(), arguments })
    };
    let complete = |reference| {
        let (argument, value) = ("a".into(), "v".into());
        let context = [("of".to_owned(), "!".to_owned())].into();
        Operation::Complete(Completion { reference, argument, value, context })
    };
    let read = |uri: &str| Operation::ReadResource(uri.into());
    let table = [
        (tool("echo", json!({ "text": "hi" })), r#""text":"hi""#),
        (tool("add", json!({ "a": 2, "b": 3 })), r#""structuredContent":{"sum":5}"#),
        (tool("add", json!({ "a": "2" })), r#""isError":true"#),
        (tool("nothing", json!({})), "InvalidParams tool not found"),
        (prompt("Ada"), r#""text":"Praise Ada""#),
        (read("note://x"), r#""uri":"note://x","mimeType":"text/plain","text":"a note""#),
        (read("note://none"), "ResourceNotFound no such note"),
        (complete(Reference::Prompt("praise".into())), r#""values":["ref/promptvs!"]"#),
        (complete(Reference::Resource("note://{name}".into())), r#""values":["ref/resourcevs!"]"#),
    ];
    for (operation, expected) in table {
        let legacy = text(&server, operation.clone(), side(LEGACY, &client)).await;
        assert!(legacy.contains(expected), "{legacy}");
        assert!(!legacy.contains("resultType"), "{legacy}");
        let modern = text(&server, operation, side(MODERN, &client)).await;
        let has_type = modern.contains(r#""resultType":"complete""#) || !modern.starts_with('{');
        assert!(modern.contains("isError\":true") || has_type, "{modern}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_client_is_not_the_call_s() {
    let (server, _, _lives) = everything();
    for name in ["ask", "greet"] {
        let client = Client::new(true, 0);
        let asked = text(&server, tool(name, json!({ "text": "Hello" })), side(LEGACY, &client));
        let answers = async {
            client.asked.acquire().await.unwrap().forget();
            tokio::time::sleep(Duration::from_secs(120)).await;
            client.answers.add_permits(1);
        };
        let (outcome, ()) = tokio::join!(asked, answers);
        assert!(outcome.contains("Ada"), "{name}: {outcome}");
    }
}

#[tokio::test]
async fn a_handler_sees_its_client_but_never_the_tasks_extension() {
    let (server, _, _lives) = everything();
    let client = Client::new(true, 0);
    let legacy = text(&server, tool("client", json!({})), side(LEGACY, &client)).await;
    assert!(legacy.contains(r#"2025-11-25 {\"roots\":{},\"elicitation\":{\"form\":{}}}"#));
    let modern = text(&server, tool("client", json!({})), side(MODERN, &client)).await;
    let expected = r#"2026-07-28 {\"extensions\":{\"x/y\":{}},\"elicitation\":{}}"#;
    assert!(modern.contains(expected), "{modern}");
    let older = host("legacy", Legacy);
    let answer = text(&older, tool("any", json!({})), side(MODERN, &client)).await;
    assert_eq!(answer, "Other(-7) 2025-06-18");
}

#[tokio::test]
async fn progress_and_log_messages_reach_the_client_before_the_result() {
    let (server, _, _lives) = everything();
    for revision in [LEGACY, MODERN] {
        let client = Client::new(true, 0);
        let answer = text(&server, tool("steps", json!({})), side(revision, &client)).await;
        assert!(answer.contains("done"), "{answer}");
        let progress = |step: &str| {
            let params = r#"{"progressToken":"t","progress":"#;
            format!(r#"notifications/progress {params}{step},"total":2.0}}"#)
        };
        let log = r#"notifications/message {"level":"warning","data":"half way"}"#.to_owned();
        assert_eq!(client.told(), [progress("1.0"), progress("2.0"), log]);
    }
}

#[tokio::test]
async fn a_legacy_client_is_asked_while_the_call_waits() {
    let (server, _, _lives) = everything();
    for (name, expected) in [("ask", r#"Accept {\"name\":\"Ada\"}"#), ("greet", "Hello, Ada")] {
        let client = Client::new(true, 0);
        let call = text(&server, tool(name, json!({ "text": "Hello" })), side(LEGACY, &client));
        tokio::pin!(call);
        tokio::select! {
            answer = &mut call => panic!("{name} did not wait: {answer}"),
            _ = client.asked.acquire() => {}
        }
        client.answers.add_permits(1);
        let answer = call.await;
        assert!(answer.contains(expected), "{answer}");
    }
    let client = Client::new(true, 0);
    let incapable = Side { capabilities: ClientCapabilities::default(), ..side(LEGACY, &client) };
    let answer = text(&server, tool("ask", json!({})), incapable.clone()).await;
    assert!(answer.contains("lacks a capability"), "{answer}");
    let answer = text(&server, tool("greet", json!({ "text": "Hi" })), incapable).await;
    assert!(answer.starts_with("MissingClientCapability"), "{answer}");
    let answer = text(&server, tool("insist", json!({})), side(LEGACY, &client)).await;
    assert!(answer.contains("without coming to an end"), "{answer}");
}

#[tokio::test]
async fn a_modern_call_ends_with_its_questions_and_begins_anew_with_the_answers() {
    let (server, _, _lives) = everything();
    let client = Client::new(false, 0);
    let call = || tool("greet", json!({ "text": "Hello" }));
    let Ok(Ended::Questions(questions)) =
        outcome(&server, job(call(), side(MODERN, &client))).await
    else {
        panic!("it has to ask");
    };
    assert_eq!(questions.state, Some(json!("asked")));
    assert_eq!(questions.asks["name"].kind.method(), "elicitation/create");
    let answer = raw(&json!({ "action": "accept", "content": { "name": "Ada" } }));
    let answers = [("name".to_owned(), answer)].into();
    let inputs = Arc::new(Inputs { answers, state: questions.state });
    let answer = text(&server, call(), Side { inputs, ..side(MODERN, &client) }).await;
    assert!(answer.contains("Hello, Ada"), "{answer}");
    // What the SDK itself forbids in this era ends as its handler wants.
    let answer = text(&server, tool("ask", json!({})), side(MODERN, &client)).await;
    assert!(answer.contains("return InputRequiredResult instead"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_a_deadline_and_a_cancellation_cost_one_call() {
    let (server, _, mut lives) = everything();
    let client = Client::new(true, 0);
    let before = Handle::current().metrics().num_alive_tasks();
    let ended = outcome(&server, job(tool("panic", json!({})), side(LEGACY, &client))).await;
    assert_eq!(ended.unwrap_err().code, Code::InternalError);

    let ended = outcome(&server, job(tool("hang", json!({})), side(LEGACY, &client))).await;
    assert_eq!(ended.unwrap_err().code, Code::TimedOut);
    assert_eq!((lives.recv().await, lives.recv().await), (Some("began"), Some("dropped")));

    let job = job(tool("hang", json!({})), side(LEGACY, &client));
    let cancelled = job.cancelled.clone();
    let call = outcome(&server, job);
    let cancel = async {
        assert_eq!(lives.recv().await, Some("began"));
        cancelled.cancel();
    };
    let (ended, ()) = tokio::join!(call, cancel);
    assert_eq!(ended.unwrap_err().code, Code::Cancelled);
    assert_eq!(lives.recv().await, Some("dropped"));
    back_to(before).await;
    let answer = text(&server, tool("echo", json!({ "text": "on" })), side(LEGACY, &client)).await;
    assert!(answer.contains("on"));
}

#[tokio::test]
async fn no_call_leaves_a_task_behind() {
    let (server, _, _lives) = everything();
    let client = Client::new(true, 0);
    server.offer().await;
    let before = Handle::current().metrics().num_alive_tasks();
    for n in 0..10_000 {
        let name = if n % 10 == 0 { "steps" } else { "echo" };
        let answer = text(&server, tool(name, json!({ "text": "" })), side(LEGACY, &client)).await;
        assert!(answer.contains("isError\":false"), "{answer}");
    }
    back_to(before).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (server, side) = (Arc::clone(&server), side(LEGACY, &client));
        calls.spawn(async move { text(&server, tool("steps", json!({})), side).await });
    }
    calls.join_all().await;
    back_to(before).await;
    drop(server);
    back_to(0).await;
}

#[tokio::test]
async fn what_a_handler_tells_by_itself_becomes_an_event() {
    let (server, handler, mut lives) = everything();
    let mut events = server.events();
    server.offer().await;
    assert_eq!(lives.recv().await, Some("greeted"));
    assert_eq!(*handler.subscribed.borrow(), ["note://a", "note://b"]);
    let peer = handler.home.lock().await.clone().unwrap();
    peer.notify_tool_list_changed().await.unwrap();
    peer.notify_prompt_list_changed().await.unwrap();
    peer.notify_resource_list_changed().await.unwrap();
    let updated = rmcp::model::ResourceUpdatedNotificationParam::new("note://a");
    peer.notify_resource_updated(updated).await.unwrap();
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        assert_eq!(events.recv().await, Ok(Event::ListChanged(kind)));
    }
    assert_eq!(events.recv().await, Ok(Event::ResourceUpdated("note://a".into())));
    // Nobody is there to be asked.
    let refused = peer.list_roots().await.unwrap_err().to_string();
    assert!(refused.contains("the client is gone"), "{refused}");
    let client = Client::new(true, 0);
    text(&server, tool("change", json!({})), side(LEGACY, &client)).await;
    assert_eq!(events.recv().await, Ok(Event::ListChanged(Kind::Tools)));
    assert!(client.told().is_empty());
    // An offer greets and subscribes once.
    server.offer().await;
    assert_eq!(handler.subscribed.borrow().len(), 2);
    assert!(lives.try_recv().is_err());
}

#[tokio::test]
async fn a_handler_is_heard_by_its_subscriptions() {
    let handler = Listened { tools: watch::Sender::new(1) };
    let server = host("listened", handler.clone());
    let mut events = server.events();
    assert_eq!(server.offer().await.tools.len(), 1);
    let first = [events.recv().await.unwrap(), events.recv().await.unwrap()];
    assert!(first.contains(&Event::ListChanged(Kind::Tools)), "the lists are read anew");
    assert!(first.contains(&Event::ResourceUpdated("note://a".into())));
    while handler.tools.receiver_count() < 2 {
        yield_now().await;
    }
    handler.tools.send_replace(2);
    assert_eq!(events.recv().await, Ok(Event::ListChanged(Kind::Tools)));
    assert_eq!(server.offer().await.tools.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_list_stands_in_and_is_read_again() {
    let handler = Listened { tools: watch::Sender::new(3) };
    let server = host("listened", handler.clone());
    server.offer().await;
    while handler.tools.receiver_count() < 2 {
        yield_now().await;
    }
    for broken in [13, 14] {
        handler.tools.send_replace(broken);
        let mut events = server.events();
        assert_eq!(server.offer().await.tools.len(), 3, "{broken}");
        assert_eq!(events.recv().await, Ok(Event::ListChanged(Kind::Tools)));
    }
    handler.tools.send_replace(1);
    assert_eq!(server.offer().await.tools.len(), 1);
}
