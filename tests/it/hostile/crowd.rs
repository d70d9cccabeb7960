//! A crowd of sessions that are opened and left: bounded, expired, and their memory is there again.
//!
//! The node runs in a process of its own, so that its memory can be seen. A full crowd comes by
//! `make crowd`, or `ERLMCP_CROWD=100000 cargo test --release -- hostile::crowd --nocapture`.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::wire::{Wire, post};
use crate::harness::initialize;
use crate::process::Process;

/// Clients that open sessions side by side.
const CLIENTS: usize = 8;
/// Memory that a session may take, its actor and all else included.
const BYTES_EACH: u64 = 24 * 1024;
/// Memory that the allocator may keep in any case, and what grows once.
const LEFT: u64 = 48 * 1024 * 1024;

fn crowd() -> usize {
    std::env::var("ERLMCP_CROWD").map_or(2_000, |text| text.parse().unwrap())
}

/// Opens this many sessions over one connection, each with its whole handshake; gives how many were
/// refused.
async fn open(node: std::net::SocketAddr, count: usize) -> usize {
    let mut wire = Wire::to_address(node).await;
    let first = post("", &initialize("2025-11-25"));
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let mut refused = 0;
    for _ in 0..count {
        wire.send(&first).await.unwrap();
        let opened = wire.answer().await.unwrap();
        if opened.status == StatusCode::SERVICE_UNAVAILABLE {
            refused += 1;
            continue;
        }
        let id = opened.header("mcp-session-id").expect("it is open");
        wire.send(post(&format!("Mcp-Session-Id: {id}\r\n"), ready)).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 202);
    }
    refused
}

async fn all_open(node: &Process, count: usize) -> usize {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (address, left) = (node.http, count % CLIENTS);
        clients.spawn(open(address, count / CLIENTS + usize::from(client < left)));
    }
    clients.join_all().await.into_iter().sum()
}

async fn sessions(node: &Process) -> usize {
    let mut wire = Wire::to_address(node.metrics).await;
    wire.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let health: serde_json::Value =
        serde_json::from_str(&wire.answer().await.unwrap().body).unwrap();
    health["sessions"].as_u64().unwrap().try_into().unwrap()
}

/// Waits until no session is left.
async fn empty(node: &Process) {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while sessions(node).await > 0 {
        look.tick().await;
        assert!(start.elapsed() < Duration::from_secs(600), "sessions don't expire");
    }
}

/// Waits until no more than this is left; the allocator takes seconds to give memory back.
async fn shrunk(node: &Process, most: u64) -> u64 {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        let left = node.memory();
        if left <= most {
            return left;
        }
        look.tick().await;
        assert!(start.elapsed() < Duration::from_secs(60), "{left} bytes stay, over {most}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_sessions_leave_nothing() {
    let crowd = crowd();
    let max = format!("sessions.max={crowd}");
    // While they come, none of them may be idle for too long.
    let idle = format!("sessions.idle_timeout_s={}", (crowd / 500).max(8));
    let log = "log.level=info,erlmcp::request=warn";
    // Nor make room for the next.
    let stay = "sessions.yield_after_s=86400";
    let keys = [max.as_str(), &idle, stay, "requests.timeout_ms=1000", log];
    let (mut node, _log) = Process::start_with(&keys, None);
    all_open(&node, 200).await;
    let before = node.memory();
    let start = Instant::now();
    let refused = all_open(&node, crowd).await;
    let took = start.elapsed();
    let (peak, open) = (node.memory(), sessions(&node).await);
    assert!(open <= crowd, "{open} sessions");
    assert_eq!(refused, 200, "those beyond the limit");
    let mut wire = Wire::to_address(node.http).await;
    wire.send(post("", &initialize("2025-11-25"))).await.unwrap();
    let full = wire.answer().await.unwrap();
    assert_eq!((full.status, full.code()), (503, -31003), "{full:?}");
    node.answers(10).await;
    empty(&node).await;
    // A quarter of what they took may stay, scattered over pages that somebody still uses.
    let after = shrunk(&node, before + (peak - before) / 4 + LEFT).await;
    let each = (peak - before) / open as u64;
    let kib = [before, peak, after].map(|bytes| bytes / 1024);
    println!("{open} sessions in {took:?}, {each} bytes each; KiB before, peak, after: {kib:?}");
    assert!(each < BYTES_EACH, "a session takes {each} bytes");
    // The same again finds room in what the first ones left.
    all_open(&node, crowd).await;
    let again = node.memory();
    println!("{} KiB at the second peak", again / 1024);
    assert!(again < peak + peak / 8 + LEFT, "{again} bytes after {peak}");
    assert_eq!(node.stop().code(), Some(0));
}
