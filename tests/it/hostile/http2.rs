//! HTTP/2: streams that are not read, thrown away by the thousand, or broken.

use serde_json::json;

use super::bystander::Bystander;
use super::counted;
use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GO_AWAY, HEADERS, INITIAL_WINDOW, PING,
    RESET, SETTINGS, WINDOW, block, frame, post, post_head,
};
use crate::harness::{TestNode, modern, modern_headers, until};

/// What the bystander may have in flight meanwhile.
const OTHERS: i64 = 2;
/// Streams that one connection may have open.
const STREAMS: u32 = 128;

async fn impatient_node() -> TestNode {
    TestNode::start_with(|config| {
        config.http.header_timeout_ms = 1_500;
        config.http.body_timeout_ms = 500;
    })
    .await
}

fn call(tool: &str, arguments: serde_json::Value) -> String {
    modern(1, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

fn headers(tool: &str) -> Vec<(&str, &str)> {
    modern_headers("tools/call", tool)
}

async fn settled(node: &TestNode) {
    until(|| node.node.metrics().in_flight.get() <= OTHERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_answered() {
    let node = impatient_node().await;
    let mut frames = Frames::open(&node, &[]).await;
    for number in 0..300 {
        let (stream, text) = (number * 2 + 1, format!("number {number}"));
        let body = call("demo__echo", json!({ "text": text }));
        frames.send(post(stream, &headers("demo__echo"), &body)).await.unwrap();
        let answer = frames.body(stream).await.unwrap();
        assert!(answer.contains(&text), "{answer}");
    }
    node.stop().await;
}

/// A client that gives no window takes nothing, however many streams it has. Of one that gives a
/// little, the rest lies in a bounded buffer, and its connection is idle.
#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_window_are_cut_off() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    for window in [0, 1, 100] {
        let mut frames = Frames::open(&node, &[(INITIAL_WINDOW, window)]).await;
        let body = modern(1, "tools/list", json!({}));
        for number in 0..STREAMS {
            let request = post(number * 2 + 1, &modern_headers("tools/list", ""), &body);
            frames.send(request).await.unwrap();
        }
        if window == 0 {
            until(|| node.node.metrics().in_flight.get() >= i64::from(STREAMS)).await;
        }
        settled(&node).await;
        frames.rest().await;
    }
    let metrics = node.node.metrics().encode().unwrap();
    assert!(metrics.contains("{reason=\"slow_consumer\"} 1"), "{metrics}");
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// Requests that are taken back at once (CVE-2023-44487): their work ends with them.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_resets_leaves_nothing() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    for _ in 0..5 {
        let mut frames = Frames::open(&node, &[]).await;
        let body = call("test__hold", json!({}));
        let mut flood = Vec::new();
        for number in 0..1_000 {
            let stream = number * 2 + 1;
            flood.extend(post(stream, &headers("test__hold"), &body));
            flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
        }
        // The node may hang up before it has seen them all.
        let _ = frames.send(flood).await;
        drop(frames);
    }
    settled(&node).await;
    // One by one, each begun.
    let mut frames = Frames::open(&node, &[]).await;
    counted(&node.held);
    for number in 0..200 {
        let (stream, body) = (number * 2 + 1, call("test__hold", json!({})));
        frames.send(post(stream, &headers("test__hold"), &body)).await.unwrap();
        node.held.started().await;
        frames.send(frame(RESET, 0, stream, &8_u32.to_be_bytes())).await.unwrap();
    }
    settled(&node).await;
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// More streams than there may be are refused, and the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded() {
    let node = TestNode::start().await;
    let bystander = Bystander::of(&node).await;
    let mut frames = Frames::open(&node, &[]).await;
    let body = call("test__hold", json!({}));
    for number in 0..STREAMS + 1 {
        let request = post(number * 2 + 1, &headers("test__hold"), &body);
        frames.send(request).await.unwrap();
    }
    let refused = loop {
        let frame = frames.next().await.unwrap();
        if frame.kind == RESET {
            break frame;
        }
    };
    assert_eq!((refused.stream, refused.payload), (STREAMS * 2 + 1, 7_u32.to_be_bytes().to_vec()));
    for _ in 0..STREAMS {
        node.held.started().await;
    }
    node.held.release.add_permits(STREAMS as usize);
    let (mut answered, mut refused) = (0, 0);
    while answered < STREAMS {
        let frame = frames.next().await.unwrap();
        answered += u32::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
        refused += u32::from(frame.kind == RESET && frame.stream <= STREAMS * 2);
    }
    assert_eq!(refused, 0);
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_end_run_out_of_time() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let mut frames = Frames::open(&node, &[]).await;
    let streams = 0..STREAMS;
    for number in streams.clone() {
        frames.send(post_head(number * 2 + 1, &headers("demo__echo"))).await.unwrap();
        frames.send(frame(DATA, 0, number * 2 + 1, b"{")).await.unwrap();
    }
    let (mut answered, mut body) = (0, Vec::new());
    while answered < STREAMS {
        let frame = frames.next().await.unwrap();
        if frame.kind == DATA {
            answered += u32::from(frame.flags & END_STREAM != 0);
            body.extend(frame.payload);
        }
    }
    let body = String::from_utf8(body).unwrap();
    assert_eq!(body.matches("did not arrive in time").count(), STREAMS as usize);
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// What breaks the rules ends the connection, or its stream.
#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_end_their_connection() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let get = block(&[(":method", "GET"), (":path", "/ping"), (":scheme", "http")]);
    let table = [
        ("data without a stream", frame(DATA, 0, 0, b"x")),
        ("data of no stream", frame(DATA, 0, 1, b"x")),
        ("headers without a stream", frame(HEADERS, END_HEADERS, 0, &get)),
        ("an even stream", frame(HEADERS, END_HEADERS, 2, &get)),
        ("a frame too large", frame(DATA, 0, 1, &[0; 20_000])),
        ("a setting too short", frame(SETTINGS, 0, 0, b"x")),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("a window of nothing", frame(WINDOW, 0, 0, &0_u32.to_be_bytes())),
        ("a window too large", frame(WINDOW, 0, 0, &0x7fff_ffff_u32.to_be_bytes())),
        ("a reset of no stream", frame(RESET, 0, 99, &[0; 4])),
        ("a ping too short", frame(PING, 0, 0, b"x")),
        ("no header block", frame(HEADERS, END_HEADERS, 1, &[0xff; 100])),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &get)),
        (
            "headers that break off",
            [frame(HEADERS, 0, 1, &get), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
    ];
    for (what, bytes) in table {
        let mut frames = Frames::open(&node, &[]).await;
        frames.send(bytes).await.unwrap();
        let rest = frames.rest().await;
        let is_told = rest.iter().any(|frame| frame.kind == GO_AWAY);
        assert!(is_told, "{what}: {rest:?}");
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// Frames that cost their sender nothing: none of them makes the node hoard.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_end_their_connection() {
    let node = impatient_node().await;
    let bystander = Bystander::of(&node).await;
    let get = block(&[(":method", "GET"), (":path", "/ping"), (":scheme", "http")]);
    let filler = block(&[("x", &"y".repeat(100))]).repeat(100);
    let table = [
        ("continuations", frame(HEADERS, 0, 1, &get), frame(CONTINUATION, 0, 1, &filler)),
        ("empty continuations", frame(HEADERS, 0, 1, &get), frame(CONTINUATION, 0, 1, &[])),
        ("pings", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("settings", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        ("empty data", post_head(1, &headers("demo__echo")), frame(DATA, 0, 1, &[])),
    ];
    for (what, first, again) in table {
        let mut frames = Frames::open(&node, &[]).await;
        frames.send(first).await.unwrap();
        let (again, mut sent) = (again.repeat(1_000), 0_u64);
        // It reads nothing, so that the node can't write for ever either.
        while frames.send(&again).await.is_ok() {
            sent += 1_000;
            assert!(sent < 50_000_000, "{what}: the node takes them for ever");
        }
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}
