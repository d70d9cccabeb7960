//! A server written for the official Rust SDK, in a whole node: the example, as it stands.

use std::net::TcpListener;
use std::time::Duration;

use erlmcp::config::Config;
use erlmcp::node::{Listeners, Node};
use erlmcp::provider::rmcp::host;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Session, client, modern, modern_headers, request, send, within};

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
