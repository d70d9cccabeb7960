//! Streamable HTTP: answers, streams, sessions.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::rig::{Came, Rig, Server, answer, notification, response_to};
use crate::protocol::Revision;
use crate::provider::upstream::wire::{Failure, Order, Outbound, Why};

#[tokio::test]
async fn a_request_is_answered_by_json() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(7, "server/discover").await;
    let asked = server.next().await;
    assert_eq!((&asked.method, asked.path.as_str()), (&Method::POST, "/mcp"));
    assert_eq!(asked.json()["method"], "server/discover");
    let expected = [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-method", "server/discover"),
        ("mcp-protocol-version", "2026-07-28"),
    ];
    for (name, value) in expected {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    asked.result(json!({ "a": 1 }));
    assert_eq!(rig.next().await, answer(7, r#"{"a":1}"#));
}

#[tokio::test]
async fn a_request_is_answered_by_events() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    let asked = server.next().await;
    let first = asked.connection;
    let mut stream = asked.stream();
    stream.send(": a comment\n\nevent: other\ndata: {}\n\n").await;
    stream.event("", notification("notifications/progress")).await;
    let progress = Came::Message("notifications/progress".to_owned(), Some(1));
    assert_eq!(rig.next().await, progress);
    stream.event("", response_to(1)).await;
    assert_eq!(rig.next().await, answer(1, "{}"));
    drop(stream);
    // Whoever ends the stream behind the answer keeps the connection.
    let mut connections = Vec::new();
    for id in 2..6 {
        rig.request(id, "ping").await;
        let asked = server.next().await;
        connections.push(asked.connection);
        asked.result(json!({}));
        assert_eq!(rig.next().await, answer(id, "{}"));
    }
    assert_eq!(connections.last(), connections.first(), "it is used again");
    assert!(connections.iter().all(|connection| *connection <= first + 1), "{connections:?}");
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "tools/call").await;
    let slow = server.next().await;
    rig.request(2, "tools/call").await;
    server.next().await.result(json!({}));
    assert_eq!(rig.next().await, answer(2, "{}"));
    slow.result(json!({}));
    assert_eq!(rig.next().await, answer(1, "{}"));
}

#[tokio::test]
async fn an_abandoned_request_ends_its_connection() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(1, "subscriptions/listen").await;
    let mut stream = server.next().await.stream();
    stream.event("", notification("notifications/tools/list_changed")).await;
    rig.next().await;
    rig.order(Order::Abandon(1)).await;
    stream.left().await;
    rig.request(2, "ping").await;
    server.next().await.result(json!({}));
    assert_eq!(rig.next().await, answer(2, "{}"));
}

#[tokio::test]
async fn a_session_is_named_by_all_that_follows_its_opening() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.request(0, "initialize").await;
    let asked = server.next().await;
    assert_eq!(asked.header("mcp-protocol-version"), None);
    let headers = [("content-type", "application/json"), ("mcp-session-id", "s-1")];
    asked.answer(200, &headers, &response_to(0).to_string());
    rig.next().await;
    rig.order(Order::Speak(Revision::V2025_06_18)).await;
    rig.notify("notifications/initialized").await;
    rig.request(1, "tools/list").await;
    let initialized = server.next().await;
    assert_eq!(initialized.json()["method"], "notifications/initialized");
    initialized.answer(202, &[], "");
    let mut methods = Vec::new();
    for _ in 0..2 {
        let asked = server.next().await;
        assert_eq!(asked.header("mcp-session-id"), Some("s-1"));
        assert_eq!(asked.header("mcp-protocol-version"), Some("2025-06-18"));
        assert_eq!(asked.header("mcp-method"), None);
        methods.push(asked.method.clone());
        if asked.method == Method::GET {
            asked.answer(405, &[], "");
        } else {
            asked.result(json!({}));
        }
    }
    methods.sort_by_key(Method::to_string);
    assert_eq!(methods, [Method::GET, Method::POST]);
    assert_eq!(rig.next().await, answer(1, "{}"));
    rig.close();
    let farewell = server.next().await;
    assert_eq!(
        (&farewell.method, farewell.header("mcp-session-id")),
        (&Method::DELETE, Some("s-1"))
    );
    farewell.answer(200, &[], "");
    assert_eq!(rig.closing().await.why, Why::Told);
}

#[tokio::test]
async fn a_server_without_a_stream_of_its_own_is_asked_once() {
    let mut server = Server::start().await;
    let mut rig = Rig::in_session(&mut server).await;
    for id in 1..20 {
        rig.request(id, "ping").await;
        let asked = server.next().await;
        assert_eq!(asked.method, Method::POST);
        asked.result(json!({}));
        assert_eq!(rig.next().await, answer(id, "{}"));
    }
}

#[tokio::test]
async fn the_servers_own_stream_is_kept_open() {
    let mut server = Server::start().await;
    let (mut rig, asked) = Rig::with_stream(&mut server).await;
    assert_eq!(asked.header("accept"), Some("text/event-stream"));
    assert_eq!(asked.header("last-event-id"), None);
    let mut stream = asked.stream();
    stream.event("g-1", notification("notifications/tools/list_changed")).await;
    let changed = Came::Message("notifications/tools/list_changed".to_owned(), None);
    assert_eq!(rig.next().await, changed);
    drop(stream);
    let asked = server.next().await;
    assert_eq!(asked.header("last-event-id"), Some("g-1"));
    let mut stream = asked.stream();
    stream.event("g-2", json!({ "jsonrpc": "2.0", "id": "q", "method": "ping" })).await;
    assert_eq!(rig.next().await, Came::Message("ping q".to_owned(), None));
    stream.cut();
    // A server that can't now is asked again.
    server.next().await.answer(503, &[], "");
    let asked = server.next().await;
    assert_eq!(asked.header("last-event-id"), Some("g-2"));
    // One that knows nothing of the session any more ends the wire.
    asked.answer(404, &[], "");
    assert_eq!(rig.closing().await.why, Why::SessionLost);
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_answer_is_resumed() {
    let mut server = Server::start().await;
    let mut rig = Rig::in_session(&mut server).await;
    rig.request(1, "tools/call").await;
    let mut stream = server.next().await.stream();
    // What the server asks for counts, and more than it asks for is not waited.
    stream.send("id: e-1\nretry: 200\ndata:\n\n").await;
    stream.event("e-2", notification("notifications/progress")).await;
    rig.next().await;
    let cut = Instant::now();
    stream.cut();
    let asked = server.next().await;
    assert!(cut.elapsed() >= Duration::from_millis(200), "{:?}", cut.elapsed());
    assert_eq!((&asked.method, asked.header("last-event-id")), (&Method::GET, Some("e-2")));
    // The server closes it in order and wants to be asked again, with nothing to say in between.
    drop(asked.stream());
    let mut stream = server.next().await.stream();
    stream.send("id: e-3\ndata: {\"jsonrpc\":").await;
    stream.cut();
    server.next().await.answer(500, &[], "");
    let asked = server.next().await;
    assert_eq!(asked.header("last-event-id"), Some("e-2"), "the last whole event");
    let mut stream = asked.stream();
    stream.event("e-3", response_to(1)).await;
    assert_eq!(rig.next().await, answer(1, "{}"));
}

#[tokio::test]
async fn what_cannot_be_resumed_fails_alone() {
    let mut server = Server::start().await;
    let mut rig = Rig::in_session(&mut server).await;
    rig.request(1, "tools/call").await;
    let mut stream = server.next().await.stream();
    stream.event("e-1", notification("notifications/progress")).await;
    rig.next().await;
    stream.cut();
    server.next().await.answer(405, &[], "");
    assert!(matches!(rig.failure().await, Failure::Lost(_)));
    rig.request(2, "tools/call").await;
    let mut stream = server.next().await.stream();
    stream.event("", notification("notifications/progress")).await;
    rig.next().await;
    stream.cut();
    assert!(matches!(rig.failure().await, Failure::Lost(_)), "no id to resume behind");
    rig.request(3, "tools/call").await;
    let mut stream = server.next().await.stream();
    stream.event("e-9", notification("notifications/progress")).await;
    rig.next().await;
    stream.cut();
    for _ in 0..5 {
        let asked = server.next().await;
        assert_eq!(asked.method, Method::GET);
        asked.answer(502, &[], "");
    }
    assert!(matches!(rig.failure().await, Failure::Lost(_)), "tried often enough");
    rig.request(4, "ping").await;
    server.next().await.result(json!({}));
    assert_eq!(rig.next().await, answer(4, "{}"));
}

#[tokio::test]
async fn modern_streams_are_never_resumed() {
    let mut server = Server::start().await;
    let mut rig = Rig::to(&server);
    rig.order(Order::Speak(Revision::V2026_07_28)).await;
    rig.request(1, "tools/call").await;
    let mut stream = server.next().await.stream();
    stream.event("e-1", notification("notifications/progress")).await;
    rig.next().await;
    stream.cut();
    assert!(matches!(rig.failure().await, Failure::Lost(_)));
    rig.notify("notifications/any").await;
    let asked = server.next().await;
    assert_eq!(asked.method, Method::POST, "and there is no stream of the server's own");
    asked.answer(202, &[], "");
    rig.close();
    assert_eq!(rig.closing().await.why, Why::Told);
}

#[tokio::test]
async fn modern_requests_mirror_what_they_are_about() {
    let mut server = Server::start().await;
    let rig = Rig::to(&server);
    rig.order(Order::Speak(Revision::V2026_07_28)).await;
    rig.order(Order::Request(Outbound {
        id: 1,
        text: r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#.into(),
        method: "tools/call",
        name: Some("größe".to_owned()),
        mirrored: vec![("Region".to_owned(), "eu".to_owned())],
    }))
    .await;
    let asked = server.next().await;
    assert_eq!(asked.header("mcp-method"), Some("tools/call"));
    assert_eq!(asked.header("mcp-name"), Some("=?base64?Z3LDtsOfZQ==?="));
    assert_eq!(asked.header("mcp-param-region"), Some("eu"));
}

#[tokio::test]
async fn a_session_that_is_lost_ends_the_wire() {
    let mut server = Server::start().await;
    let mut rig = Rig::in_session(&mut server).await;
    rig.request(1, "tools/call").await;
    server.next().await.reply(404, json!({ "jsonrpc": "2.0", "id": null, "error": {} }));
    assert_eq!(rig.closing().await.why, Why::SessionLost);

    let mut rig = Rig::in_session(&mut server).await;
    rig.request(1, "tools/call").await;
    server.next().await.answer(400, &[], "Invalid or missing session ID");
    assert_eq!(rig.closing().await.why, Why::SessionLost);
}
