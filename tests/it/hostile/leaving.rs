//! Clients that go away in the middle, and those that stay while the node wants to go.

use std::time::{Duration, Instant};

use serde_json::json;

use super::bystander::Bystander;
use super::wire::{Wire, post};
use crate::harness::{End, PATIENCE, TestNode, modern, modern_headers, until, within};

const PING: &str = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn held() -> Vec<u8> {
    let headers = modern_headers("tools/call", "test__hold");
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let params = json!({ "name": "test__hold", "arguments": {} });
    post(&lines, &modern(1, "tools/call", params))
}

/// A modern request ends with its connection, whatever stands unread behind it.
#[tokio::test(flavor = "multi_thread")]
async fn unread_bytes_hide_no_disconnect() {
    let node = TestNode::start().await;
    let bystander = Bystander::of(&node).await;
    let again = String::from_utf8(held()).unwrap();
    for behind in ["", "\r\n", "GET /pi", PING, &again, &again.repeat(20)] {
        let mut wire = Wire::to(&node).await;
        wire.send(held()).await.unwrap();
        node.held.started().await;
        wire.send(behind).await.unwrap();
        drop(wire);
        assert_eq!(node.held.ended().await, End::Dropped, "{behind}");
    }
    // What stands behind an answered request is the next one.
    let mut wire = Wire::to(&node).await;
    wire.send([held(), b"\r\n".to_vec(), PING.into(), held()].concat()).await.unwrap();
    node.held.started().await;
    node.held.release.add_permits(1);
    assert_eq!(wire.answer().await.unwrap().code(), 0);
    assert_eq!(wire.answer().await.unwrap().body, "pong\n");
    node.held.started().await;
    drop(wire);
    assert_eq!(node.held.ended().await, End::Finished);
    assert_eq!(node.held.ended().await, End::Dropped);
    until(|| node.node.metrics().in_flight.get() <= 2).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// What is no request yet has nothing to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_keeps_no_draining_node() {
    let node = TestNode::start().await;
    let mut wires = Vec::new();
    for bytes in
        ["", "P", "GET /pi", "GET /ping HTTP/1.1\r\nHost: loc", "PRI * HTTP/2.0\r\n", "\r\n"]
    {
        let mut wire = Wire::to(&node).await;
        wire.send(bytes).await.unwrap();
        wires.push(wire);
        // The same behind a request.
        let mut wire = Wire::to(&node).await;
        wire.send(format!("{PING}{bytes}")).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().body, "pong\n");
        wires.push(wire);
    }
    let start = Instant::now();
    within(node.node.stop(PATIENCE)).await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    for mut wire in wires {
        wire.hung_up().await;
    }
}
