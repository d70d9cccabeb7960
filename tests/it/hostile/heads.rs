//! Heads of requests: slow, endless, doubled, contradictory, or no HTTP at all.

use std::time::Duration;

use super::bystander::Bystander;
use super::wire::{Raw, Wire, post};
use crate::harness::{TestNode, within};

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

async fn hasty_node() -> TestNode {
    TestNode::start_with(|config| {
        config.http.header_timeout_ms = 500;
        config.http.body_timeout_ms = 500;
    })
    .await
}

/// Sends these bytes on a connection of their own, and gives all answers until the node hangs up.
async fn answers(node: &TestNode, bytes: impl AsRef<[u8]>) -> Vec<Raw> {
    let mut wire = Wire::to(node).await;
    // A node that hung up meanwhile has answered, or not.
    let _ = wire.send(bytes).await;
    let mut all = Vec::new();
    while let Some(answer) = wire.answer().await {
        all.push(answer);
    }
    all
}

fn statuses(answers: &[Raw]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_closed() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let long = "A".repeat(1024 * 1024);
    let table: [(&str, Vec<u8>, &[u16]); 12] = [
        ("noise", (0..=255).rev().cycle().take(10_000).collect(), &[400]),
        ("zeros", vec![0; 100_000], &[400]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), &[400]),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), &[400]),
        ("blank lines", b"\r\n".repeat(100_000), &[431]),
        ("no version", b"GET /ping\r\n\r\n".to_vec(), &[400]),
        ("HTTP/3.0", b"GET /ping HTTP/3.0\r\nHost: localhost\r\n\r\n".to_vec(), &[400]),
        ("one long method", long.clone().into_bytes(), &[400, 431]),
        ("one long path", format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(), &[414, 431]),
        (
            "a path of 65,000",
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                &long[..65_000]
            )
            .into_bytes(),
            &[404, 414, 431],
        ),
        ("half of HTTP/2", b"PRI * HTTP/2.0\r\n\r\n".to_vec(), &[]),
        (
            "HTTP/2 and noise",
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), vec![7; 50_000]].concat(),
            &[],
        ),
    ];
    for (what, bytes, allowed) in table {
        let mut wire = Wire::to(&node).await;
        let _ = wire.send(&bytes).await;
        if what == "HTTP/2 and noise" {
            // What comes back is HTTP/2, too.
            wire.hung_up().await;
            continue;
        }
        let answer = wire.answer().await.map(|answer| answer.status);
        assert!(answer.is_none_or(|status| allowed.contains(&status)), "{what}: {answer:?}");
        wire.hung_up().await;
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_run_out_of_time() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let endless = format!("GET /ping HTTP/1.1\r\nHost: localhost\r\n{}", "X: y\r\n".repeat(1_000));
    for pause in [10, 100] {
        let mut wire = Wire::to(&node).await;
        let pause = Duration::from_millis(pause);
        assert!(!within(wire.drip(endless.as_bytes(), pause)).await, "the node waits for ever");
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let get = |lines: &str| {
        format!("GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n")
    };
    let many: String = (0..90).map(|number| format!("X-{number}: y\r\n")).collect();
    assert_eq!(statuses(&answers(&node, get(&many)).await), [200], "90 headers are fine");
    let flood: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let huge = format!("X: {}\r\n", "y".repeat(1024 * 1024));
    let large = format!("X: {}\r\n", "y".repeat(100 * 1024));
    for lines in [flood, huge, large] {
        let refused = statuses(&answers(&node, get(&lines)).await);
        assert!(refused.iter().all(|status| *status == 431), "{refused:?}");
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let line = format!("Mcp-Session-Id: {}\r\n", session.id);
    let mut wire = Wire::to(&node).await;
    let ids = 0..500;
    let all = ids
        .clone()
        .flat_map(|id| post(&line, &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)));
    wire.send(all.collect::<Vec<u8>>()).await.unwrap();
    for id in ids {
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

/// What two servers in a row may read differently: the second request must never be taken out of
/// the first one's body, nor the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let hidden = "GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let length = format!("Content-Length: {}\r\n", 5 + hidden.len());
    let table: [(&str, String, &[&[u16]]); 14] = [
        // Chunked wins, and the connection ends behind it.
        ("length, chunked", format!("{length}{chunked}\r\n0\r\n\r\n{hidden}"), &[&[400]]),
        ("chunked, length", format!("{chunked}{length}\r\n0\r\n\r\n{hidden}"), &[&[400]]),
        ("two lengths", format!("Content-Length: 0\r\n{length}\r\n{hidden}"), &[&[400]]),
        ("a list of lengths", format!("Content-Length: 0, 5\r\n\r\n{hidden}"), &[&[400]]),
        ("a signed length", format!("Content-Length: +0\r\n\r\n{hidden}"), &[&[400]]),
        ("a hexadecimal length", format!("Content-Length: 0x0\r\n\r\n{hidden}"), &[&[400]]),
        ("an empty length", format!("Content-Length: \r\n\r\n{hidden}"), &[&[400]]),
        (
            "not chunked in the end",
            format!("Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n{hidden}"),
            &[&[400]],
        ),
        ("not chunked at all", format!("Transfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}"), &[&[400]]),
        ("a folded line", format!("X: y\r\n {chunked}\r\n0\r\n\r\n{hidden}"), &[&[400]]),
        (
            "a blank before the colon",
            format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
            &[&[400]],
        ),
        ("a blank before the name", format!(" {chunked}\r\n0\r\n\r\n{hidden}"), &[&[400]]),
        (
            "a bare CR",
            format!("X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
            &[&[400]],
        ),
        ("a zero byte", format!("X: \0\r\n{chunked}\r\n0\r\n\r\n{hidden}"), &[&[400]]),
    ];
    for (what, rest, allowed) in table {
        let got = answers(&node, format!("{head}{rest}")).await;
        assert!(allowed.contains(&statuses(&got).as_slice()), "{what}: {got:?}");
    }
    // The same length twice says nothing new.
    let twice = format!("{head}Content-Length: 0\r\nContent-Length: 0\r\n\r\n{hidden}");
    assert_eq!(statuses(&answers(&node, twice).await), [400, 200]);
    // An old version has no chunks.
    let old = format!("POST /mcp HTTP/1.0\r\nHost: localhost\r\n{chunked}\r\n0\r\n\r\n{hidden}");
    assert_eq!(statuses(&answers(&node, old).await), [400]);
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_may_come_once_come_once() {
    let node = hasty_node().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let id = format!("Mcp-Session-Id: {}\r\n", session.id);
    let own = "Origin: http://localhost\r\n";
    let table = [
        ("all is well", id.clone(), 200, 0),
        ("its own origin", format!("{id}{own}"), 200, 0),
        ("a second host", format!("{id}Host: evil.test\r\n"), 403, -31006),
        ("the same host twice", format!("{id}Host: localhost\r\n"), 403, -31006),
        ("a second origin", format!("{id}{own}Origin: https://evil.test\r\n"), 403, -31006),
        ("an origin and none", format!("{id}{own}Origin: null\r\n"), 403, -31006),
        ("an empty origin", format!("{id}Origin: \r\n"), 403, -31006),
        ("two sessions", format!("{id}Mcp-Session-Id: x\r\n"), 404, -31004),
        ("the same session twice", id.repeat(2), 404, -31004),
        (
            "two revisions",
            format!("{id}Mcp-Protocol-Version: 2025-11-25\r\nMcp-Protocol-Version: 2025-06-18\r\n"),
            400,
            -32022,
        ),
    ];
    for (what, lines, status, code) in table {
        let mut wire = Wire::to(&node).await;
        wire.send(post(&lines, PING)).await.unwrap();
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{what}: {answer:?}");
    }
    let no_host = "GET /ping HTTP/1.1\r\n\r\n";
    assert_eq!(answers(&node, no_host).await[0].status, 403);
    // Where the target has a name, that one counts (RFC 9112, 3.2.2).
    let target = "GET http://evil.test/ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(answers(&node, target).await[0].status, 403);
    bystander.noticed_nothing().await;
    node.stop().await;
}
