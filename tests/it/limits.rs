//! Limits: what is too large, too much or too slow is refused, and nothing else suffers.

use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{TestNode, request, tool_call, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_refused() {
    let node = TestNode::start_with(|config| config.http.body_limit_bytes = 1_000).await;
    let session = node.session().await;
    let text = |length| tool_call(1, "demo__echo", json!({ "text": "x".repeat(length) }));
    assert_eq!(session.post(&text(800)).await.code(), 0);
    let refused = session.post(&text(1_000)).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::PAYLOAD_TOO_LARGE, -32600));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_refused() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{deep}}}}}"#);
    let refused = session.post(&body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, -32600));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limits_are_refused_and_places_come_back() {
    let node = TestNode::start_with(|config| {
        config.requests.max_in_flight = 3;
        config.requests.max_in_flight_per_session = 2;
    })
    .await;
    let (one, two) = (node.session().await, node.session().await);
    let mut held = tokio::task::JoinSet::new();
    for (id, session) in [(1, &one), (2, &one)] {
        let session = session.clone();
        held.spawn(async move { session.call(id, "test__hold", json!({})).await });
        node.held.started().await;
    }
    let refused = one.post(&request(3, "ping", json!({}))).await;
    assert_eq!(refused.code(), -31003, "{refused:?}");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let session = two.clone();
    held.spawn(async move { session.call(1, "test__hold", json!({})).await });
    node.held.started().await;
    let refused = two.post(&request(3, "ping", json!({}))).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, -31003));
    node.held.release.add_permits(3);
    for answer in held.join_all().await {
        assert_eq!(answer.code(), 0, "{answer:?}");
    }
    assert_eq!(two.post(&request(4, "ping", json!({}))).await.code(), 0);
    let metrics = node.probe("/metrics").await.text;
    let rejected = r#"erlmcp_rejected_total{reason="requests.max_in_flight"} 1"#;
    assert!(metrics.contains(rejected), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_or_stall_are_closed() {
    let node = TestNode::start_with(|config| {
        config.http.header_timeout_ms = 200;
        config.http.body_timeout_ms = 200;
    })
    .await;
    for bytes in ["", "P", "POST /mcp HTT", "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = TcpStream::connect(node.node.http_address()).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = within(stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{bytes}");
    }
    let mut stream = TcpStream::connect(node.node.http_address()).await.unwrap();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    node.stop().await;
}
