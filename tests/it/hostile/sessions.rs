//! Sessions that are opened and left, or ended while they are in use.

use serde_json::json;

use super::bystander::Bystander;
use crate::harness::{Session, TestNode, client, initialize, request, until, within};

use reqwest::{Method, StatusCode};

/// A session that is deleted has no streams any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_a_deleted_session_end() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let mut own = session.own_stream().await;
    let mut call = session.events(&crate::harness::tool_call(1, "talk__wait", json!({}))).await;
    call.next().await.unwrap();
    let headers = [("mcp-session-id", session.id.as_str())];
    let ended = node.send(Method::DELETE, "/mcp", &headers, "").await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(call.rest().await.last().unwrap(), "error");
    assert!(own.next().await.is_none(), "the session's own stream ends");
    let none = r#"erlmcp_open_streams{era="legacy",transport="http"} 0"#;
    until(|| node.node.metrics().encode().unwrap().contains(none)).await;
    node.stop().await;
}

/// Whoever opens sessions, uses each once and leaves them takes no place from those who come back.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_sessions_make_room() {
    let node = TestNode::start_with(|config| {
        config.sessions.max = 20;
        config.sessions.yield_after_s = 0;
    })
    .await;
    let bystander = Bystander::of(&node).await;
    let url = format!("{}/mcp", node.url);
    let listener = node.session().await;
    let mut stream = listener.own_stream().await;
    let caller = node.session().await;
    let held = {
        let caller = caller.clone();
        tokio::spawn(async move { caller.call(1, "test__hold", json!({})).await })
    };
    node.held.started().await;
    let abandoned = Session::open(client(), &url, "2025-11-25").await;
    for _ in 0..100 {
        Session::open(client(), &url, "2025-11-25").await;
    }
    assert!(node.node.sessions().table.len() <= 20);
    let gone = abandoned.post(&request(1, "ping", json!({}))).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, -31004));
    node.talker.grow();
    assert_eq!(stream.next().await.unwrap().short(), "notifications/tools/list_changed");
    node.held.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().code(), 0);
    bystander.noticed_nothing().await;
    let evicted = r#"erlmcp_rejected_total{reason="sessions.max"}"#;
    let metrics = node.probe("/metrics").await.text;
    assert!(!metrics.contains(evicted), "{metrics}");
    node.stop().await;
}

/// Where all sessions are in use, the next one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_in_use_are_not_thrown_out() {
    let node = TestNode::start_with(|config| config.sessions.max = 2).await;
    let (one, two) = (node.session().await, node.session().await);
    let (_streams, refused) =
        ([one.own_stream().await, two.own_stream().await], initialize("2025-11-25"));
    let refused = node.post("/mcp", &[], &refused).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, -31003));
    node.stop().await;
}
