//! What a client can make the node keep: all of it is bounded, in bytes and not only in number.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::bystander::Bystander;
use super::wire::Wire;
use crate::events::Events;
use crate::harness::{TestNode, client, modern, modern_headers, request, until, within};

/// 300 KiB of URIs.
fn uris() -> Vec<String> {
    (0..100).map(|number| format!("talk://{number}/{}", "x".repeat(3 * 1024))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_resources() {
    let node = TestNode::start().await;
    let filter = json!({ "notifications": { "resourceSubscriptions": uris() } });
    let mut headers = modern_headers("subscriptions/listen", "");
    headers.push(("accept", "application/json, text/event-stream"));
    let listen = modern("l", "subscriptions/listen", filter);
    assert_eq!(node.post("/mcp", &headers, &listen).await.code(), -32602);

    let session = node.session().await;
    let mut refused = 0;
    for uri in uris() {
        let subscribe = request(1, "resources/subscribe", json!({ "uri": uri }));
        match session.post(&subscribe).await.code() {
            0 => assert_eq!(refused, 0, "what is full stays full"),
            -32602 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!((10..20).contains(&refused), "{refused} of 100 were refused");
    // What was named before can be named again.
    let again = request(1, "resources/subscribe", json!({ "uri": uris()[0] }));
    assert_eq!(session.post(&again).await.code(), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_tokens() {
    let node = TestNode::start().await;
    let session = node.session().await;
    for (length, steps) in [(1_000, 2), (100_000, 0)] {
        let meta = json!({ "progressToken": "x".repeat(length) });
        let params = json!({ "name": "talk__tell", "arguments": {}, "_meta": meta });
        let mut events = session.events(&request(1, "tools/call", params)).await;
        let all = events.rest().await;
        let told = all.iter().filter(|event| *event == "notifications/progress").count();
        assert_eq!(told, steps, "a token of {length} bytes");
        assert_eq!(all.last().unwrap(), "result");
    }
    node.stop().await;
}

/// HTTP+SSE: what was posted and waits takes room like every other body.
#[tokio::test(flavor = "multi_thread")]
async fn posted_messages() {
    let node = TestNode::start_with(|config| {
        config.http.legacy_sse = true;
        config.http.body_room_bytes = 1024 * 1024;
        config.http.header_timeout_ms = 5_000;
    })
    .await;
    let mut stream = Wire::narrow(&node).await;
    let get = "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.send(get).await.unwrap();
    stream.head().await.unwrap();
    let path = stream.line_with("data: ").await;
    let ping = request("x".repeat(100_000), "ping", json!({}));
    for _ in 0..500 {
        let answer = node.post(&path, &[], &ping).await;
        if answer.status.as_u16() == 503 {
            assert_eq!(answer.json()["error"]["data"]["limit"], "http.body_room_bytes");
            // With the client goes all that it had.
            drop(stream);
            let small = request(1, "ping", json!({}));
            until(|| node.node.sessions().table.is_empty()).await;
            within(async { while node.post("/mcp", &[], &small).await.status.as_u16() == 503 {} })
                .await;
            node.stop().await;
            return;
        }
    }
    panic!("all is taken");
}

/// Streams that are open all day take no room of those who call.
#[tokio::test(flavor = "multi_thread")]
async fn listeners() {
    let node = TestNode::start_with(|config| config.http.body_room_bytes = 400_000).await;
    let bystander = Bystander::of(&node).await;
    let uris: Vec<_> = (0..100).map(|number| format!("talk://{number:0>900}")).collect();
    let mut filter = json!({ "notifications": { "resourceSubscriptions": uris } });
    filter["ignored"] = json!("x".repeat(100_000));
    let body = modern(1, "subscriptions/listen", filter);
    let headers = modern_headers("subscriptions/listen", "");
    let (url, mut open) = (format!("{}/mcp", node.url), Vec::new());
    for _ in 0..4 {
        let mut events = Events::open(Method::POST, &url, &headers, &body).await;
        assert!(events.next().await.is_some());
        open.push(events);
    }
    let map: HeaderMap = headers
        .iter()
        .chain(&[("accept", "application/json, text/event-stream")])
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    let again = async || client().post(&url).body(body.clone()).headers(map.clone()).send().await;
    assert_eq!(again().await.unwrap().status().as_u16(), 503);
    let session = node.session().await;
    let large = json!({ "text": "x".repeat(200_000) });
    assert_eq!(session.call(2, "demo__echo", large).await.code(), 0);
    // With a stream goes what it held.
    open.pop();
    within(async { while again().await.unwrap().status().as_u16() == 503 {} }).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}
