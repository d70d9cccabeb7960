//! Who shares a process with whom, and that nobody gets what is another's.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::behind::{Behind, text_of, unruly, unruly_with};
use crate::events::Events;
use crate::harness::{Session, modern, modern_headers, request, send, until};

fn shared(by: &str, more: Value) -> Value {
    let mut keys = more;
    keys["share"] = json!(by);
    unruly_with(&[], keys)
}

async fn pid(session: &Session) -> String {
    text_of(&session.call(1, "s__pid", json!({})).await.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_share_one_process() {
    for by in ["node", "principal"] {
        let node = Behind::start(json!({ "s": shared(by, json!({})) }));
        let (own, _) = node.ready("s").await;
        for _ in 0..3 {
            let session = node.session(json!({})).await;
            assert_eq!(pid(&session).await, own.to_string(), "without auth all are one principal");
        }
        // One that was started for the lists waits for a principal whom it may serve.
        assert!(node.pids("s").len() <= if by == "node" { 1 } else { 2 });
        node.stop_whole();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_a_process_of_its_own_that_ends_with_it() {
    let node = Behind::start(json!({ "s": shared("session", json!({})) }));
    node.ready("s").await;
    let (first, second) = (node.session(json!({})).await, node.session(json!({})).await);
    let (one, two) = (pid(&first).await, pid(&second).await);
    assert_ne!(one, two);
    assert_eq!([pid(&first).await, pid(&second).await], [one.clone(), two.clone()]);
    let headers = [("mcp-session-id", first.id.as_str())];
    let ended = send(&first.client, Method::DELETE, &first.url, &headers, "").await;
    assert!(ended.status.is_success(), "{ended:?}");
    until(|| !node.pids("s").contains(&one.parse().unwrap())).await;
    assert_eq!(pid(&second).await, two);
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_processes_of_sessions_are_stopped_and_come_back() {
    let node = Behind::start(json!({ "s": shared("session", json!({ "idle_timeout_s": 1 })) }));
    node.ready("s").await;
    let session = node.session(json!({})).await;
    let before = pid(&session).await;
    until(|| node.pids("s").is_empty()).await;
    // The lists are kept, and the next call starts another.
    let list = node.ask("tools/list", "", json!({})).await;
    assert!(list.to_string().contains("s__pid"), "{list}");
    assert_ne!(pid(&session).await, before);
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_instance_is_asked() {
    let node = Behind::start(json!({ "s": shared("node", json!({ "instances": 3 })) }));
    node.ready("s").await;
    until(|| node.pids("s").len() == 3).await;
    let mut busy = Vec::new();
    let mut pids = BTreeSet::new();
    for _ in 0..3 {
        pids.insert(node.text("s__pid", json!({})).await);
        // Whoever just answered has something to do from now on.
        let tool = "s__progress";
        let meta = json!({ "progressToken": 1 });
        let arguments = json!({ "steps": 1_000, "ms": 50 });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let (headers, body) = (modern_headers("tools/call", tool), modern(1, "tools/call", params));
        let mut events = Events::open(Method::POST, &node.process.url(), &headers, &body).await;
        events.next().await.unwrap();
        busy.push(events);
    }
    // Each of the three calls went to one with nothing to do; so did each question before it.
    let all = node.pids("s").iter().map(u32::to_string).collect::<BTreeSet<_>>();
    assert!(pids.is_subset(&all) && pids.len() >= 2, "{pids:?} of {all:?}");
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ids_and_tokens_of_several_clients_are_told_apart() {
    let node = Behind::start(json!({ "s": unruly(&[]) }));
    node.ready("s").await;
    let mut clients = Vec::new();
    for steps in 1..=4 {
        let session = node.session(json!({})).await;
        clients.push(tokio::spawn(async move {
            let arguments = json!({ "steps": steps, "ms": 30 });
            let meta = json!({ "progressToken": 1 });
            let params = json!({ "name": "s__progress", "arguments": arguments, "_meta": meta });
            let mut events = session.events(&request(1, "tools/call", params)).await;
            let (mut told, mut answer) = (0, Value::Null);
            while let Some(event) = events.next().await {
                match event.short().as_str() {
                    "notifications/progress" => {
                        assert_eq!(event.json()["params"]["total"], steps);
                        told += 1;
                    }
                    "result" => answer = event.json(),
                    other => assert_eq!(other, "priming"),
                }
            }
            assert_eq!(text_of(&answer), format!("{steps} steps"));
            assert_eq!(told, steps);
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    node.stop_whole();
}

/// A server over pipes doesn't tell on whose behalf it asks. Where that can't be known, nobody is
/// asked; where each session has a process, each is asked for itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_never_reaches_the_wrong_client() {
    let can = json!({ "elicitation": {} });
    for by in ["node", "session"] {
        let node = Behind::start(json!({ "s": shared(by, json!({})) }));
        node.ready("s").await;
        let (first, second) = (node.session(can.clone()).await, node.session(can.clone()).await);
        let hanging = request(1, "tools/call", json!({ "name": "s__hang", "arguments": {} }));
        let mut waiting = JoinSet::new();
        waiting.spawn({
            let second = second.clone();
            async move { second.post(&hanging).await }
        });
        until(|| node.process.json(&["status", "--json"])["requests_in_flight"] == 1).await;
        let ask = request(2, "tools/call", json!({ "name": "s__ask", "arguments": {} }));
        if by == "node" {
            let text = text_of(&first.post(&ask).await.json());
            let told = text.contains("code") && text.contains("session");
            assert!(told, "the server is told why, and how to mend it: {text}");
        } else {
            let answer = declined(&first, &ask).await;
            assert!(text_of(&answer).contains("decline"), "{answer}");
        }
        waiting.shutdown().await;
        node.stop_whole();
    }
}

/// The answer to a call of a client that declines what it is asked, once.
async fn declined(session: &Session, call: &str) -> Value {
    let (mut events, mut asked) = (session.events(call).await, 0);
    loop {
        let event = events.next().await.expect("an answer");
        match event.short().as_str() {
            "priming" => {}
            "elicitation/create" => {
                asked += 1;
                let (id, answer) = (event.json()["id"].clone(), json!({ "action": "decline" }));
                let reply = json!({ "jsonrpc": "2.0", "id": id, "result": answer });
                let sent = session.post(&reply.to_string()).await;
                assert_eq!(sent.status, StatusCode::ACCEPTED);
            }
            _ => {
                assert_eq!(asked, 1);
                return event.json();
            }
        }
    }
}
