//! Clients that never read what they asked for: cut off as `slow_consumer`, and what they took is
//! there again.

use serde_json::{Value, json};

use super::bystander::Bystander;
use super::wire::{Wire, post};
use crate::harness::{Session, TestNode, client, modern, modern_headers, tool_call, until};

/// What connections of the bystander may have in flight meanwhile.
const OTHERS: i64 = 2;
const EVENTS: &str = "Accept: application/json, text/event-stream\r\n";

/// A node that waits a moment for a client that doesn't read.
async fn impatient_node() -> TestNode {
    TestNode::start_with(|config| {
        config.http.header_timeout_ms = 5_000;
        config.requests.timeout_ms = 20_000;
    })
    .await
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// A large text, larger than all buffers on its way together.
fn large() -> Value {
    json!({ "text": "x".repeat(4_000_000) })
}

fn cut_off(node: &TestNode) -> u64 {
    let metrics = node.node.metrics().encode().unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("erlmcp_rejected_total{reason=\"slow_consumer\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// All that those who were cut off had is there again.
async fn settled(node: &TestNode, cut: u64) {
    until(|| cut_off(node) >= cut).await;
    until(|| node.node.metrics().in_flight.get() <= OTHERS).await;
    let text = || node.node.metrics().encode().unwrap();
    until(|| {
        let text = text();
        let mut open = text.lines().filter(|line| line.starts_with("erlmcp_open_streams{"));
        open.all(|line| line.ends_with(" 0"))
    })
    .await;
}

async fn hung_up(wires: Vec<Wire>) {
    for mut wire in wires {
        wire.hung_up().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_json_answers() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let legacy = format!("Mcp-Session-Id: {}\r\n", session.id);
    let params = json!({ "name": "demo__echo", "arguments": large() });
    let modern_lines = lines(&modern_headers("tools/call", "demo__echo"));
    let requests = [
        post(&legacy, &tool_call(1, "demo__echo", large())),
        post(&legacy, &tool_call(2, "demo__echo", large())),
        post(&modern_lines, &modern(1, "tools/call", params.clone())),
        post(&modern_lines, &modern(1, "tools/call", params)),
    ];
    let mut wires = Vec::new();
    for request in &requests {
        let mut wire = Wire::narrow(&node).await;
        wire.send(request).await.unwrap();
        wires.push(wire);
    }
    settled(&node, 4).await;
    hung_up(wires).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// Small answers, each of which goes into some buffer: together they fill them all.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_small_answers() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let legacy = format!("Mcp-Session-Id: {}\r\n", session.id);
    let call = post(&legacy, &tool_call(1, "demo__echo", json!({ "text": "x".repeat(30_000) })));
    let mut wire = Wire::narrow(&node).await;
    let mut sent = 0;
    while wire.send(&call).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "the node answers on and on");
    }
    settled(&node, 1).await;
    wire.hung_up().await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_streams_of_answers() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let legacy = format!("{EVENTS}Mcp-Session-Id: {}\r\n", session.id);
    let mut params = json!({ "name": "talk__flood", "arguments": {} });
    params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
    let modern_lines = EVENTS.to_owned() + &lines(&modern_headers("tools/call", "talk__flood"));
    let requests = [
        post(&legacy, &tool_call("a", "talk__flood", json!({}))),
        post(&modern_lines, &modern("b", "tools/call", params)),
    ];
    let mut wires = Vec::new();
    for request in &requests {
        let mut wire = Wire::narrow(&node).await;
        wire.send(request).await.unwrap();
        wires.push(wire);
    }
    settled(&node, 2).await;
    hung_up(wires).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// Streams that tell what changed, to clients that want to know and don't listen.
#[tokio::test(flavor = "multi_thread")]
async fn of_streams_of_changes() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let uris: Vec<String> = (0..50).map(|n| format!("talk://{n}/{}", "x".repeat(4_000))).collect();
    let session = Session::open(client(), &format!("{}/mcp", node.url), "2025-11-25").await;
    for (id, uri) in uris.iter().enumerate() {
        let subscribe = crate::harness::request(id, "resources/subscribe", json!({ "uri": uri }));
        assert_eq!(session.post(&subscribe).await.code(), 0);
    }
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\n{EVENTS}Mcp-Session-Id: {}\r\n\r\n",
        session.id
    );
    let filter = json!({ "notifications": { "resourceSubscriptions": uris } });
    let listen = modern("l", "subscriptions/listen", filter);
    let modern_lines = EVENTS.to_owned() + &lines(&modern_headers("subscriptions/listen", ""));
    let (mut own, mut listening) = (Wire::narrow(&node).await, Wire::narrow(&node).await);
    own.send(get).await.unwrap();
    listening.send(post(&modern_lines, &listen)).await.unwrap();
    // Neither takes more than the head.
    own.head().await.unwrap();
    listening.head().await.unwrap();
    let flood = async {
        for uri in uris.iter().cycle() {
            node.talker.update(uri);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = settled(&node, 2) => {}
    }
    hung_up(vec![own, listening]).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}
