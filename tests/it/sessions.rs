//! Sessions: their requests, cancellations, ends and bounds.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{
    End, TestNode, client, initialize, modern, modern_headers, request, send, tool_call, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_unknown_and_its_requests_are_answered() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let held = tokio::spawn({
        let session = session.clone();
        async move { session.call(1, "test__hold", json!({})).await }
    });
    node.held.started().await;
    let headers = [("mcp-session-id", session.id.as_str())];
    let ended = node.send(Method::DELETE, "/mcp", &headers, "").await;
    assert_eq!((ended.status, ended.text.as_str()), (StatusCode::NO_CONTENT, ""));
    let answer = held.await.unwrap();
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, -31004));
    assert_eq!(node.held.ended().await, End::Dropped);
    assert_eq!(session.post(&request(2, "ping", json!({}))).await.status, StatusCode::NOT_FOUND);
    let again = node.send(Method::DELETE, "/mcp", &headers, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(node.node.sessions().table.is_empty());
    let supervisor = node.node.slots().sessions.get().unwrap();
    // The actor ends a moment after its session.
    let mut left = supervisor.count_children().await.unwrap().active;
    while left > 0 {
        tokio::task::yield_now().await;
        left = supervisor.count_children().await.unwrap().active;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_ends_and_its_id_is_free_again() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let held = tokio::spawn({
        let session = session.clone();
        async move { session.call(1, "test__hold", json!({})).await }
    });
    node.held.started().await;
    let twice = session.call(1, "demo__echo", json!({ "text": "x" })).await;
    assert_eq!(twice.code(), -32600, "{twice:?}");
    for params in [json!({}), json!({ "requestId": "1" }), json!({ "requestId": 1 })] {
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        assert_eq!(session.post(&cancel.to_string()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(held.await.unwrap().code(), -31002);
    assert_eq!(node.held.ended().await, End::Dropped);
    assert_eq!(session.call(1, "demo__echo", json!({ "text": "x" })).await.code(), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_in_the_modern_era_only() {
    let node = TestNode::start().await;
    let url = format!("{}/mcp", node.url);
    let body = modern(1, "tools/call", json!({ "name": "test__hold", "arguments": {} }));
    let headers = modern_headers("tools/call", "test__hold");
    let client = client();
    tokio::select! {
        answer = send(&client, Method::POST, &url, &headers, &body) => panic!("{answer:?}"),
        () = node.held.started() => {}
    }
    assert_eq!(node.held.ended().await, End::Dropped);

    let session = node.session().await;
    let gone = session.clone();
    let call = async { gone.call(1, "test__hold", json!({})).await };
    tokio::select! {
        answer = call => panic!("{answer:?}"),
        () = node.held.started() => {}
    }
    drop(gone);
    // The session still works on it.
    assert_eq!(session.call(1, "demo__echo", json!({ "text": "x" })).await.code(), -32600);
    node.held.release.add_permits(1);
    assert_eq!(node.held.ended().await, End::Finished);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_and_idle_ones_end() {
    let node = TestNode::start_with(|config| {
        config.sessions.max = 2;
        config.sessions.idle_timeout_s = 1;
        config.requests.timeout_ms = 500;
    })
    .await;
    let (one, _two) = (node.session().await, node.session().await);
    let third = node.post("/mcp", &[], &initialize("2025-11-25")).await;
    assert_eq!((third.status, third.code()), (StatusCode::SERVICE_UNAVAILABLE, -31003));
    let table = &node.node.sessions().table;
    until(|| table.is_empty()).await;
    assert_eq!(one.post(&request(1, "ping", json!({}))).await.status, StatusCode::NOT_FOUND);
    assert_eq!(node.post("/mcp", &[], &initialize("2025-11-25")).await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_or_hangs_costs_its_own_request() {
    let node = TestNode::start_with(|config| config.requests.timeout_ms = 300).await;
    let session = node.session().await;
    let panicked = session.call(1, "test__panic", json!({})).await;
    assert_eq!((panicked.status, panicked.code()), (StatusCode::OK, -32603), "{panicked:?}");
    let hung = session.call(2, "test__hold", json!({})).await;
    assert_eq!((hung.status, hung.code()), (StatusCode::OK, -31001), "{hung:?}");
    let body = modern(3, "tools/call", json!({ "name": "test__panic", "arguments": {} }));
    let headers = modern_headers("tools/call", "test__panic");
    let panicked = node.post("/mcp", &headers, &body).await;
    assert_eq!((panicked.status, panicked.code()), (StatusCode::OK, -32603), "{panicked:?}");
    assert_eq!(session.post(&tool_call(4, "demo__echo", json!({ "text": "x" }))).await.code(), 0);
    assert!(node.node.root().tree().restarts == 0, "nothing was restarted");
    node.stop().await;
}
