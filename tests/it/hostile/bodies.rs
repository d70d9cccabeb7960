//! Bodies: too large, too deep, too slow, broken off, or without an end.

use std::time::Duration;

use serde_json::json;

use super::bystander::Bystander;
use super::wire::{Wire, post};
use crate::harness::{TestNode, request, within};

const LIMIT: usize = 64 * 1024;
const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
const CHUNKED: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn small_node() -> TestNode {
    TestNode::start_with(|config| {
        config.http.body_limit_bytes = LIMIT;
        config.http.body_timeout_ms = 500;
        config.http.header_timeout_ms = 1_000;
    })
    .await
}

fn announced(length: usize) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_bodies_are_refused_before_they_are_read() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    for length in [LIMIT + 1, 1 << 40, usize::MAX >> 1] {
        let mut wire = Wire::to(&node).await;
        wire.send(announced(length)).await.unwrap();
        let refused = wire.answer().await.unwrap();
        assert_eq!((refused.status, refused.code()), (413, -32600), "{length}: {refused:?}");
        wire.hung_up().await;
    }
    // More than a number can hold is no length at all.
    let mut wire = Wire::to(&node).await;
    let endless = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999999999999";
    wire.send(format!("{endless}\r\n\r\n")).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 400);
    wire.hung_up().await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_bodies_end_at_the_limit() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    let mut wire = Wire::to(&node).await;
    wire.send(CHUNKED).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let mut sent = 0;
    // Whoever goes on sending finds that the node hung up.
    while wire.send(&chunk).await.is_ok() {
        sent += 0x1000;
        assert!(sent < 64 * 1024 * 1024, "the node reads on and on");
    }
    // Whoever stops in time reads why.
    let mut wire = Wire::to(&node).await;
    wire.send(CHUNKED).await.unwrap();
    wire.send(chunk.repeat(LIMIT / 0x1000)).await.unwrap();
    wire.send("1\r\nx\r\n").await.unwrap();
    let refused = wire.answer().await.unwrap();
    assert_eq!((refused.status, refused.code()), (413, -32600), "{refused:?}");
    // One chunk alone may claim to be anything.
    for length in ["FFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFFF", "zz", "-1"] {
        let mut wire = Wire::to(&node).await;
        wire.send(format!("{CHUNKED}{length}\r\nx")).await.unwrap();
        let refused = wire.answer().await;
        let status = refused.as_ref().map(|raw| raw.status);
        assert!(matches!(status, None | Some(400 | 408 | 413)), "{length}: {refused:?}");
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_small_chunks_run_out_of_time() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    let mut wire = Wire::to(&node).await;
    wire.send(CHUNKED).await.unwrap();
    let dripped = within(wire.drip(&b"1\r\nx\r\n".repeat(10_000), Duration::from_millis(1))).await;
    assert!(!dripped, "the node reads on and on");
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_run_out_of_time() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    for head in [announced(PING.len()), format!("{CHUNKED}{:x}\r\n", PING.len())] {
        let mut wire = Wire::to(&node).await;
        wire.send(head).await.unwrap();
        wire.drip(&PING.as_bytes()[..10], Duration::from_millis(60)).await;
        let refused = wire.answer().await.unwrap();
        assert_eq!((refused.status, refused.code()), (408, -32600), "{refused:?}");
        wire.hung_up().await;
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_end_their_connection() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    for bytes in [announced(100) + "{", format!("{CHUNKED}5\r\n{{"), CHUNKED.to_owned()] {
        let mut wire = Wire::to(&node).await;
        wire.send(bytes).await.unwrap();
        wire.half_close().await;
        // Nobody is there to be told more.
        let refused = wire.answer().await;
        assert!(refused.as_ref().is_none_or(|raw| raw.status == 400), "{refused:?}");
        wire.hung_up().await;
    }
    assert_eq!(node.node.metrics().in_flight.get(), 0);
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_nests_without_end_is_refused() {
    let node = small_node().await;
    let bystander = Bystander::of(&node).await;
    let wrap = |open: &str, close: &str, depth: usize| {
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"a":{deep}}}}}"#)
    };
    let half = LIMIT / 2 - 100;
    let bodies = [
        (wrap("[", "]", half), -32600),
        (wrap(r#"{"a":"#, "}", LIMIT / 6 - 100), -32600),
        ("[".repeat(LIMIT), -32600),
        ("{\"a\":".repeat(LIMIT / 5), -32600),
        (format!(r#"{{"jsonrpc":"2.0","id":{}"#, "[".repeat(half)), -32600),
        (format!(r#"{{"x":"{}"#, "\\\"[".repeat(LIMIT / 3 - 100)), -32700),
    ];
    for (body, code) in bodies {
        let mut wire = Wire::to(&node).await;
        wire.send(post("", &body)).await.unwrap();
        let refused = wire.answer().await.unwrap();
        assert_eq!((refused.status, refused.code()), (400, code), "{}…", &body[..60]);
        // The connection is as good as before.
        wire.send(post("Mcp-Session-Id: x\r\n", PING)).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 404);
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_together_have_bounded_room() {
    let node = TestNode::start_with(|config| {
        config.http.body_limit_bytes = LIMIT;
        config.http.body_room_bytes = 2 * LIMIT;
        config.http.body_timeout_ms = 1_000;
    })
    .await;
    let bystander = Bystander::of(&node).await;
    let (mut refused, mut wires) = (0, Vec::new());
    for _ in 0..8 {
        let mut wire = Wire::to(&node).await;
        wire.send(announced(LIMIT / 2)).await.unwrap();
        wire.send("x".repeat(LIMIT / 2 - 1)).await.unwrap();
        wires.push(wire);
    }
    for mut wire in wires {
        let answer = wire.answer().await.unwrap();
        match (answer.status, answer.code()) {
            (408, -32600) => {}
            (503, -31003) => refused += 1,
            other => panic!("{other:?}: {answer:?}"),
        }
    }
    assert!(refused >= 4, "{refused} were refused");
    let session = node.session().await;
    assert_eq!(session.post(&request(1, "ping", json!({}))).await.code(), 0);
    drop(bystander);
    node.stop().await;
}
