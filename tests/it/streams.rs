//! Streams of the session era: what comes before an answer, questions, resumption, changes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::Events;
use crate::harness::{Session, TestNode, client, request, send, tool_call, until, within};

/// A session that can be asked by forms.
async fn asked_session(node: &TestNode, revision: &str) -> Session {
    let capabilities = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
    Session::open_with(client(), &format!("{}/mcp", node.url), revision, capabilities).await
}

fn told(id: i64, tool: &str) -> String {
    let params = json!({ "name": tool, "arguments": {}, "_meta": { "progressToken": "t" } });
    request(id, "tools/call", params)
}

/// The answer to a question of the node's.
fn answer(question: &Value, result: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_messages_come_before_the_answer() {
    let node = TestNode::start().await;
    for (revision, primed) in [("2025-03-26", false), ("2025-06-18", false), ("2025-11-25", true)] {
        let session = asked_session(&node, revision).await;
        let mut events = session.events(&told(1, "talk__tell")).await;
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            assert!(!event.id.is_empty(), "{event:?}");
            assert_eq!(event.retry.is_empty(), !event.data.is_empty());
            all.push(event);
        }
        let mut shorts: Vec<_> = all.iter().map(crate::events::Event::short).collect();
        if primed {
            assert_eq!(shorts.remove(0), "priming");
        }
        let (progress, message) = ("notifications/progress", "notifications/message");
        assert_eq!(shorts, [progress, progress, message, message, "result"], "{revision}");
        let steps: Vec<_> = all.iter().filter(|e| e.short() == progress).collect();
        assert_eq!(
            steps[1].json()["params"],
            json!({ "progressToken": "t", "progress": 2.0, "total": 2.0 })
        );
        let ids: std::collections::BTreeSet<_> = all.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), all.len(), "ids are unique");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_of_the_session_holds_and_json_alone_gets_the_answer_alone() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let level = request(1, "logging/setLevel", json!({ "level": "error" }));
    assert_eq!(session.post(&level).await.json()["result"], json!({}));
    let mut events = session.events(&tool_call(2, "talk__tell", json!({}))).await;
    assert_eq!(events.rest().await, ["priming", "notifications/message", "result"]);
    let loud = request(3, "logging/setLevel", json!({ "level": "loud" }));
    assert_eq!(session.post(&loud).await.code(), -32602);
    let alone = session.post(&told(4, "talk__tell")).await;
    assert_eq!(alone.json()["result"]["content"][0]["text"], "told");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_asked_on_the_stream_of_the_request() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-11-25").await;
    let mut events = session.events(&tool_call(1, "talk__ask", json!({}))).await;
    assert_eq!(events.next().await.unwrap().short(), "priming");
    let question = events.next().await.unwrap().json();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Who?");
    // A stray answer changes nothing.
    let stray = json!({ "jsonrpc": "2.0", "id": "erlmcp-99", "result": {} }).to_string();
    assert_eq!(session.post(&stray).await.status, StatusCode::ACCEPTED);
    let reply = answer(&question, json!({ "action": "accept", "content": { "name": "Ada" } }));
    assert_eq!(session.post(&reply).await.status, StatusCode::ACCEPTED);
    let result = events.next().await.unwrap().json();
    assert_eq!(result["result"]["content"][0]["text"], "Hello \"Ada\"");
    assert!(events.next().await.is_none());
    // One that declared nothing is not asked.
    let silent = node.session().await;
    let refused = silent.call(2, "talk__ask", json!({})).await;
    assert_eq!(refused.code(), -32021, "{refused:?}");
    let needed = json!({ "requiredCapabilities": { "elicitation": { "form": {} } } });
    assert_eq!(refused.json()["error"]["data"], needed);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_refused_timed_out_or_withdrawn() {
    let node = TestNode::start_with(|config| config.sessions.ask_timeout_ms = 300).await;
    let session = asked_session(&node, "2025-06-18").await;
    let mut events = session.events(&tool_call(1, "talk__ask", json!({}))).await;
    let question = events.next().await.unwrap().json();
    let error = json!({ "code": -1, "message": "no" });
    let refusal = json!({ "jsonrpc": "2.0", "id": question["id"], "error": error }).to_string();
    session.post(&refusal).await;
    let refused = events.next().await.unwrap().json();
    assert_eq!(refused["error"]["message"], "the client refused: no");

    let mut events = session.events(&tool_call(2, "talk__ask", json!({}))).await;
    let question = events.next().await.unwrap().json();
    let withdrawn = events.next().await.unwrap().json();
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let late = events.next().await.unwrap().json();
    assert_eq!(late["error"]["message"], "the client did not answer in time");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_stream_of_a_session_is_primed_at_once() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-11-25").await;
    let mut own = session.stream(None).await;
    let primed = own.next().await.unwrap();
    assert_eq!((primed.short().as_str(), primed.retry.is_empty()), ("priming", false));
    node.talker.grow();
    let first = own.next().await.unwrap();
    assert_eq!(first.short(), "notifications/tools/list_changed");
    assert_ne!(first.id, primed.id);
    // What came meanwhile is there for who comes back with that id; and nothing before it.
    let mut resumed = session.stream(Some(&primed.id)).await;
    assert_eq!(resumed.next().await.unwrap().id, first.id);
    drop(resumed);
    let mut again = session.stream(None).await;
    assert_eq!(again.next().await.unwrap().id, first.id, "it stands behind what was taken");
    let old = asked_session(&node, "2025-06-18").await;
    let mut own = old.stream(None).await;
    node.talker.grow();
    assert_eq!(own.next().await.unwrap().short(), "notifications/tools/list_changed");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_is_resumed_without_loss_or_repetition() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-11-25").await;
    let mut other = session.events(&told(9, "talk__tell")).await;
    let mut events = session.events(&told(1, "talk__wait")).await;
    events.next().await.unwrap();
    let last = events.next().await.unwrap();
    assert_eq!(last.json()["params"]["progress"], 1.0);
    assert_eq!(node.node.metrics().in_flight.get(), 1, "its place is taken until it is answered");
    drop(events);
    node.talker.go.add_permits(1);
    let mut resumed = session.stream(Some(&last.id)).await;
    let progress = resumed.next().await.unwrap();
    assert_eq!(progress.json()["params"]["progress"], 2.0);
    let message = "notifications/message";
    assert_eq!(resumed.rest().await, [message, message, "result"]);
    // The same again, from the same place.
    let mut again = session.stream(Some(&last.id)).await;
    let mut ids = Vec::new();
    while let Some(event) = again.next().await {
        ids.push(event.id);
    }
    assert_eq!(ids.len(), 4);
    assert_eq!(other.rest().await.last().unwrap(), "result");
    // What nobody gave out resumes nothing.
    for unknown in ["x", "0-9999"] {
        let mut own = session.stream(Some(unknown)).await;
        assert_eq!(own.next().await.unwrap().short(), "priming");
        node.talker.update("talk://nobody");
        node.talker.grow();
        assert_eq!(own.next().await.unwrap().short(), "notifications/tools/list_changed");
    }
    // Where nothing comes any more, clients are told not to ask again.
    for over in [&ids[3], "7-7"] {
        let id = ("mcp-session-id", session.id.as_str());
        let headers = [id, ("accept", "text/event-stream"), ("last-event-id", over)];
        let answer = send(&client(), Method::GET, &session.url, &headers, "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{over}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_can_send_its_client_away_to_come_back_for_the_answer() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-11-25").await;
    let mut events = session.events(&tool_call(1, "talk__release", json!({}))).await;
    let priming = events.next().await.unwrap();
    assert_eq!((priming.short().as_str(), priming.retry.as_str()), ("priming", "1000"));
    assert!(events.next().await.is_none(), "the stream ends before the answer");
    node.talker.go.add_permits(1);
    let mut resumed = session.stream(Some(&priming.id)).await;
    assert_eq!(resumed.rest().await, ["result"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_clients_are_not_sent_away() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-06-18").await;
    let mut events = session.events(&tool_call(1, "talk__release", json!({}))).await;
    node.talker.go.add_permits(1);
    assert_eq!(events.rest().await, ["result"], "they would not come back");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_whatever_was_told_before() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let mut events = session.events(&tool_call(1, "talk__burst", json!({}))).await;
    assert_eq!(events.rest().await.last().map(String::as_str), Some("result"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_those_who_want_to_know() {
    let node = TestNode::start().await;
    let (one, two) = (node.session().await, node.session().await);
    let own = Session::open(client(), &format!("{}/mcp/demo", node.url), "2025-11-25").await;
    let subscribe = request(1, "resources/subscribe", json!({ "uri": "talk://clock" }));
    assert_eq!(one.post(&subscribe).await.json()["result"], json!({}));
    let mut streams = [one.own_stream().await, two.own_stream().await, own.own_stream().await];
    node.talker.update("talk://other");
    node.talker.update("talk://clock");
    node.talker.grow();
    let (updated, changed) =
        ("notifications/resources/updated", "notifications/tools/list_changed");
    let first = streams[0].next().await.unwrap();
    assert_eq!(first.json()["params"], json!({ "uri": "talk://clock" }));
    assert_eq!(
        (first.short().as_str(), streams[0].next().await.unwrap().short().as_str()),
        (updated, changed)
    );
    assert_eq!(streams[1].next().await.unwrap().short(), changed);
    let unsubscribe = request(2, "resources/unsubscribe", json!({ "uri": "talk://clock" }));
    assert_eq!(one.post(&unsubscribe).await.json()["result"], json!({}));
    // What happens while nobody reads waits, and comes once.
    drop(streams);
    let none = r#"erlmcp_open_streams{era="legacy",transport="http"} 0"#;
    until(|| node.node.metrics().encode().unwrap().contains(none)).await;
    for _ in 0..3 {
        node.talker.update("talk://clock");
        node.talker.grow();
    }
    let list = async || {
        one.post(&request(3, "tools/list", json!({}))).await.text.matches("talk__new").count()
    };
    within(async { while list().await < 1 {} }).await;
    let mut later = one.own_stream().await;
    assert_eq!(later.next().await.unwrap().short(), changed);
    let mut quiet = own.own_stream().await;
    within(node.node.stop(std::time::Duration::from_secs(5))).await;
    assert_eq!(quiet.rest().await, Vec::<String>::new(), "nothing changed at the other server");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_session_s_actor_ends_no_stream() {
    let node = TestNode::start().await;
    let session = asked_session(&node, "2025-11-25").await;
    let mut own = session.own_stream().await;
    let mut call = session.events(&tool_call(1, "talk__ask", json!({}))).await;
    call.next().await.unwrap();
    call.next().await.unwrap();
    let record = node.node.sessions().table.all().pop().unwrap();
    record.actor().borrow().as_ref().unwrap().kill();
    let answer = call.next().await.unwrap().json();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32603)));
    assert!(call.next().await.is_none());
    within(async {
        while record.generation() < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    node.talker.grow();
    assert_eq!(own.next().await.unwrap().short(), "notifications/tools/list_changed");
    assert_eq!(session.call(2, "talk__x", json!({})).await.code(), -32602);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_keeps_its_session_and_a_later_one_takes_its_place() {
    let node = TestNode::start_with(|config| {
        config.sessions.idle_timeout_s = 1;
        config.requests.timeout_ms = 500;
    })
    .await;
    let (kept, idle) = (node.session().await, node.session().await);
    let mut first = kept.own_stream().await;
    let table = &node.node.sessions().table;
    until(|| table.len() == 1).await;
    assert_eq!(idle.post(&request(1, "ping", json!({}))).await.status, StatusCode::NOT_FOUND);
    let second = kept.own_stream().await;
    assert!(first.next().await.is_none(), "one reader each");
    assert_eq!(kept.post(&request(1, "ping", json!({}))).await.status, StatusCode::OK);
    drop(second);
    until(|| table.is_empty()).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_its_stream_is_cut_off() {
    let node = TestNode::start_with(|config| config.http.header_timeout_ms = 1_000).await;
    let session = node.session().await;
    let flood = session.events(&tool_call(1, "talk__flood", json!({}))).await;
    let metrics = node.node.metrics();
    let cut = || metrics.encode().unwrap().contains("reason=\"slow_consumer\"");
    until(cut).await;
    node.talker.go.add_permits(1);
    assert_eq!(session.post(&request(2, "ping", json!({}))).await.status, StatusCode::OK);
    drop(flood);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_streams_that_can_t_be_served() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let id = ("mcp-session-id", session.id.as_str());
    let table = [
        (vec![id, ("accept", "application/json")], 406),
        (vec![("accept", "text/event-stream")], 400),
        (vec![("mcp-session-id", "x"), ("accept", "text/event-stream")], 404),
        (vec![id, ("mcp-protocol-version", "2026-07-28")], 405),
    ];
    for (headers, status) in table {
        let answer = send(&client(), Method::GET, &format!("{}/mcp", node.url), &headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {answer:?}");
        assert_eq!(answer.json()["jsonrpc"], "2.0");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_answered_in_2025_03_26_only() {
    let node = TestNode::start().await;
    let old = Session::open(client(), &format!("{}/mcp", node.url), "2025-03-26").await;
    let ping = request(1, "ping", json!({}));
    let call = tool_call(2, "demo__add", json!({ "a": 2, "b": 3 }));
    let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    let again = request(4, "initialize", json!({ "protocolVersion": "2025-03-26" }));
    let batch = format!("[{ping},{note},{call},{again},7]");
    let answers = old.post(&batch).await.json();
    let codes: Vec<_> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["id"].clone(), a["error"]["code"].clone()))
        .collect();
    let none = Value::Null;
    let expected = [
        (json!(1), none.clone()),
        (json!(2), none.clone()),
        (json!(4), json!(-32600)),
        (none, json!(-32600)),
    ];
    assert_eq!(codes, expected, "{answers}");
    let accepted = old.post(&format!("[{note}]")).await;
    assert_eq!((accepted.status, accepted.text.as_str()), (StatusCode::ACCEPTED, ""));
    for bad in ["[]", &format!("[{}]", vec!["1"; 101].join(","))] {
        assert_eq!(old.post(bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let new = node.session().await;
    assert_eq!(new.post(&batch).await.code(), -32600);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_node_drains() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let mut own: Events = session.own_stream().await;
    let (_, rest) = tokio::join!(node.stop(), own.rest());
    assert!(rest.is_empty());
}
