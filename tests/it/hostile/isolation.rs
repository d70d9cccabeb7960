//! Clients side by side with the same ids, over the same connections: each gets what is its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::frames::{self, DATA, END_STREAM, Frames};
use super::wire::{Wire, post};
use crate::harness::{Session, TestNode, client, modern, modern_headers, request};

/// Requests that each client sends, of each kind.
const ROUNDS: usize = 300;
/// Streams of one HTTP/2 connection that are open at once.
const STREAMS: usize = 100;

/// Who asks: two sessions, and somebody without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    One,
    Two,
    Nobody,
}

const ALL: [Who; 3] = [Who::One, Who::Two, Who::Nobody];

struct Clients {
    one: Session,
    two: Session,
}

impl Clients {
    async fn of(node: &TestNode) -> Self {
        let capabilities = json!({ "elicitation": {}, "sampling": {} });
        let url = format!("{}/mcp", node.url);
        let open =
            async || Session::open_with(client(), &url, "2025-11-25", capabilities.clone()).await;
        Self { one: open().await, two: open().await }
    }

    /// A call with this id, in whose answer its caller and the id come again.
    fn call(&self, who: Who, id: usize) -> (Vec<(&str, &str)>, String) {
        let params = json!({ "name": "demo__echo", "arguments": { "text": text(who, id) } });
        match who {
            Who::One => (vec![("mcp-session-id", &self.one.id)], request(id, "tools/call", params)),
            Who::Two => (vec![("mcp-session-id", &self.two.id)], request(id, "tools/call", params)),
            Who::Nobody => {
                (modern_headers("tools/call", "demo__echo"), modern(id, "tools/call", params))
            }
        }
    }
}

fn text(who: Who, id: usize) -> String {
    format!("{who:?} asks {id}")
}

fn check(who: Who, id: usize, answer: &str) {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(answer["id"], id, "{who:?}: {answer}");
    assert_eq!(answer["result"]["content"][0]["text"], text(who, id), "{answer}");
    assert_eq!(answer["result"].get("resultType").is_some(), who == Who::Nobody, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_on_shared_connections() {
    let node = TestNode::start().await;
    let clients = std::sync::Arc::new(Clients::of(&node).await);
    let mut connections = JoinSet::new();
    for connection in 0..4 {
        let (clients, mut wire) = (clients.clone(), Wire::to(&node).await);
        connections.spawn(async move {
            let ids = (0..ROUNDS).map(|round| round * 4 + connection);
            // All in a row, as a proxy that keeps its connections busy would.
            for id in ids {
                let mut all = Vec::new();
                for who in ALL {
                    let (headers, body) = clients.call(who, id);
                    let lines: String = headers
                        .iter()
                        .map(|(name, value)| format!("{name}: {value}\r\n"))
                        .collect();
                    all.extend(post(&lines, &body));
                }
                wire.send(all).await.unwrap();
                for who in ALL {
                    check(who, id, &wire.answer().await.unwrap().body);
                }
            }
        });
    }
    connections.join_all().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_on_streams_of_one_connection() {
    let node = TestNode::start().await;
    let clients = Clients::of(&node).await;
    let mut connection = Frames::open(&node, &[]).await;
    let mut asked = (0..ROUNDS).flat_map(|id| ALL.map(|who| (who, id))).enumerate();
    let mut open: BTreeMap<u32, (Who, usize, Vec<u8>)> = BTreeMap::new();
    let mut answered = 0;
    while answered < ROUNDS * ALL.len() {
        while open.len() < STREAMS
            && let Some((number, (who, id))) = asked.next()
        {
            let stream = u32::try_from(number).unwrap() * 2 + 1;
            let (headers, body) = clients.call(who, id);
            connection.send(frames::post(stream, &headers, &body)).await.unwrap();
            open.insert(stream, (who, id, Vec::new()));
        }
        let frame = connection.next().await.unwrap();
        if frame.kind != DATA {
            continue;
        }
        // What is taken makes room for more.
        let taken = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
        if !frame.payload.is_empty() {
            connection.send(frames::frame(frames::WINDOW, 0, 0, &taken)).await.unwrap();
        }
        let entry = open.get_mut(&frame.stream).expect("a stream that is open");
        entry.2.extend(frame.payload);
        if frame.flags & END_STREAM != 0 {
            let (who, id, body) = open.remove(&frame.stream).unwrap();
            check(who, id, std::str::from_utf8(&body).unwrap());
            answered += 1;
        }
    }
    node.stop().await;
}

/// Both sessions use the same ids for their requests, and the node the same for its questions.
#[tokio::test(flavor = "multi_thread")]
async fn progress_and_questions() {
    let node = TestNode::start().await;
    let clients = Clients::of(&node).await;
    let mut tasks = JoinSet::new();
    for (name, session) in [("one", clients.one), ("two", clients.two)] {
        for lane in 0..4 {
            let session = session.clone();
            tasks.spawn(async move {
                for round in 0..ROUNDS / 12 {
                    let id = round * 4 + lane;
                    told(&session, name, id).await;
                    asked(&session, name, id).await;
                }
            });
        }
    }
    tasks.join_all().await;
    node.stop().await;
}

async fn told(session: &Session, name: &str, id: usize) {
    let token = format!("{name} {id}");
    let params =
        json!({ "name": "talk__tell", "arguments": {}, "_meta": { "progressToken": token } });
    let mut events = session.events(&request(id, "tools/call", params)).await;
    let (mut steps, mut result) = (0, Value::Null);
    while let Some(event) = events.next().await {
        match event.short().as_str() {
            "notifications/progress" => {
                assert_eq!(event.json()["params"]["progressToken"], token);
                steps += 1;
            }
            "result" => result = event.json(),
            _ => {}
        }
    }
    assert_eq!((steps, &result["id"]), (2, &json!(id)), "{name} {id}: {result}");
}

async fn asked(session: &Session, name: &str, id: usize) {
    let call = json!({ "name": "talk__ask", "arguments": {} });
    let mut events = session.events(&request(id, "tools/call", call)).await;
    let who = format!("{name} {id}");
    let mut result = Value::Null;
    while let Some(event) = events.next().await {
        match event.short().as_str() {
            "elicitation/create" => {
                let question = event.json();
                let content = json!({ "action": "accept", "content": { "name": who } });
                let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": content });
                assert_eq!(session.post(&answer.to_string()).await.status.as_u16(), 202);
            }
            "result" => result = event.json(),
            _ => {}
        }
    }
    assert_eq!(result["id"], id, "{who}: {result}");
    assert_eq!(result["result"]["content"][0]["text"], format!("Hello {:?}", who));
}

/// An answer in another session's name answers nothing, though the question has the same id there.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_another_session_answer_nothing() {
    let node = TestNode::start().await;
    let Clients { one, two } = Clients::of(&node).await;
    let call = request(1, "tools/call", json!({ "name": "talk__ask", "arguments": {} }));
    let (mut first, mut second) = (one.events(&call).await, two.events(&call).await);
    let question = async |events: &mut crate::events::Events| loop {
        let event = events.next().await.unwrap();
        if event.short() == "elicitation/create" {
            return event.json()["id"].clone();
        }
    };
    let ids = (question(&mut first).await, question(&mut second).await);
    assert_eq!(ids.0, ids.1, "both count from one");
    let answer = |name: &str| {
        let content = json!({ "action": "accept", "content": { "name": name } });
        json!({ "jsonrpc": "2.0", "id": ids.0, "result": content }).to_string()
    };
    // The second session answers twice; the first one's question is still open.
    two.post(&answer("two")).await;
    two.post(&answer("thief")).await;
    let result = async |events: &mut crate::events::Events| {
        events.next().await.unwrap().json()["result"]["content"][0]["text"].clone()
    };
    assert_eq!(result(&mut second).await, "Hello \"two\"");
    one.post(&answer("one")).await;
    assert_eq!(result(&mut first).await, "Hello \"one\"");
    node.stop().await;
}

/// What one session cancels, subscribes to or reads again is its own.
#[tokio::test(flavor = "multi_thread")]
async fn cancellations_subscriptions_and_resumption() {
    let node = TestNode::start().await;
    let Clients { one, two } = Clients::of(&node).await;
    let held = |session: &Session| {
        let session = session.clone();
        tokio::spawn(async move { session.call(1, "test__hold", json!({})).await })
    };
    let (first, second) = (held(&one), held(&two));
    node.held.started().await;
    node.held.started().await;
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 },
    });
    two.post(&cancel.to_string()).await;
    assert_eq!(second.await.unwrap().code(), -31002);
    node.held.release.add_permits(1);
    assert_eq!(first.await.unwrap().code(), 0);

    for (session, uri) in [(&one, "talk://one"), (&two, "talk://two")] {
        session.post(&request(2, "resources/subscribe", json!({ "uri": uri }))).await;
    }
    let (mut first, mut second) = (one.own_stream().await, two.own_stream().await);
    for uri in ["talk://one", "talk://two"].repeat(50) {
        node.talker.update(uri);
        let (events, own) =
            if uri.ends_with("one") { (&mut first, uri) } else { (&mut second, uri) };
        assert_eq!(events.next().await.unwrap().json()["params"]["uri"], own);
    }

    // Event ids are the same in both sessions; what is behind them isn't.
    let params = |token: &str| {
        let meta = json!({ "progressToken": token });
        json!({ "name": "talk__tell", "arguments": {}, "_meta": meta })
    };
    let mut events = one.events(&request(3, "tools/call", params("one's"))).await;
    let last = events.next().await.unwrap().id;
    events.rest().await;
    two.events(&request(3, "tools/call", params("two's"))).await.rest().await;
    let mut again = two.stream(Some(&last)).await;
    while let Some(event) = again.next().await {
        assert!(!event.data.contains("one's"), "{event:?}");
        if event.short() == "result" {
            break;
        }
    }
    node.stop().await;
}
