//! A server written for the official Rust SDK, in a whole node: the example, as it stands.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use erlmcp::config::Config;
use erlmcp::node::{Doors, Listeners, Node};
use erlmcp::provider::native::{Handle, NativeServer};
use erlmcp::provider::rmcp::host;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Session, client, modern, modern_headers, request, send, until, within};

#[expect(dead_code, reason = "the example's own main")]
#[path = "../../examples/rmcp_handler.rs"]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn both_eras_share_a_hosted_handler() {
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = Listeners { http: bind(), metrics: bind(), control: None };
    let hosted = vec![host("counter", example::Counter::default())];
    let node = Node::start_with(Config::default(), listeners, hosted).await.unwrap();
    let url = format!("http://{}/mcp", node.http_address());

    let session = Session::open(client(), &url, "2025-11-25").await;
    let list = session.post(&request(2, "tools/list", json!({}))).await.json();
    let tool = &list["result"]["tools"][0];
    assert_eq!(tool["name"], "counter__count");
    assert_eq!(tool["inputSchema"]["properties"]["by"]["type"], "integer");
    let answer = session.call(3, "counter__count", json!({ "by": 2 })).await.json();
    assert_eq!(answer["result"]["structuredContent"], json!({ "count": 2 }), "{answer}");

    let call = json!({ "name": "counter__count", "arguments": { "by": 3 } });
    let call = modern(4, "tools/call", call);
    let headers = modern_headers("tools/call", "counter__count");
    let answer = send(&client(), Method::POST, &url, &headers, &call).await.json();
    assert_eq!(answer["result"]["structuredContent"], json!({ "count": 5 }), "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    within(node.stop(Duration::from_secs(10))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_that_panics_is_begun_anew() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let background = move |_: Handle| {
        let earlier = count.fetch_add(1, Ordering::SeqCst);
        async move { assert!(earlier > 0, "the background panics on purpose") }
    };
    let shaky = NativeServer::builder("shaky").background(background).build().unwrap();
    let (config, doors) = (Config::default(), Doors::default());
    let node = Node::start_with(config, doors, vec![Arc::new(shaky)]).await.unwrap();
    until(|| begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(node.root().tree().restarts, 0, "nothing else notices");
    within(node.stop(Duration::ZERO)).await;
}
