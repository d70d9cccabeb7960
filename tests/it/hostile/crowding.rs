//! Connections that only take room: those that do something find some all the same.

use std::net::SocketAddr;

use super::bystander::Bystander;
use super::wire::{Raw, Wire};
use crate::harness::{TestNode, initialize};
use crate::process::Process;

/// Opens connections that do nothing, each in its own way.
async fn idle(address: SocketAddr, count: usize) -> Vec<Wire> {
    let kinds = ["", "G", "GET /livez HTTP/1.1\r\nHost: local", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let mut wires = Vec::new();
    for kind in kinds.iter().cycle().take(count) {
        let mut wire = Wire::to_address(address).await;
        wire.send(kind).await.unwrap();
        wires.push(wire);
    }
    wires
}

async fn get(address: SocketAddr, path: &str) -> Raw {
    let mut wire = Wire::to_address(address).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await.unwrap();
    wire.answer().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_block_no_probes() {
    let node = TestNode::start().await;
    let idle = idle(node.node.metrics_address(), 200).await;
    // One that was used before is as idle as the others.
    let mut used = Wire::to_address(node.node.metrics_address()).await;
    used.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(used.answer().await.unwrap().body, "ok\n");
    for _ in 0..10 {
        assert_eq!(get(node.node.metrics_address(), "/readyz").await.status, 200);
    }
    drop((idle, used));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_block_no_clients() {
    let node = TestNode::start_with(|config| config.http.max_connections = 50).await;
    let bystander = Bystander::of(&node).await;
    let idle = idle(node.node.http_address(), 200).await;
    for _ in 0..10 {
        let opened = node.post("/mcp", &[], &initialize("2025-11-25")).await;
        assert_eq!(opened.status.as_u16(), 200);
    }
    drop(idle);
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_leave_descriptors_for_probes() {
    let (mut node, _log) = Process::start_with(&[], Some(128));
    let idle = idle(node.http, 200).await;
    for _ in 0..10 {
        assert_eq!(get(node.metrics, "/livez").await.body, "ok\n");
    }
    node.answers(10).await;
    drop(idle);
    assert_eq!(node.stop().code(), Some(0));
}
