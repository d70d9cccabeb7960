//! Wires to the node itself, which serves both eras at the same place.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::rig::{Came, Rig, within};
use crate::config::Config;
use crate::node::{Listeners, Node};
use crate::protocol::Revision;
use crate::provider::demo;
use crate::provider::upstream::spec::{HttpTarget, HttpTransport};
use crate::provider::upstream::wire::{Order, Outbound, Why};

async fn node() -> (Node, HttpTarget) {
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = Listeners { http: bind(), metrics: bind(), control: None };
    let hosted = vec![Arc::new(demo::server().unwrap()) as _];
    let node = Node::start_with(Config::default(), listeners, hosted).await.unwrap();
    let target = HttpTarget {
        url: format!("http://{}/mcp", node.http_address()),
        transport: HttpTransport::Auto,
        headers: Default::default(),
        auth: None,
    };
    (node, target)
}

async fn ask(rig: &mut Rig, id: u64, method: &'static str, params: serde_json::Value) -> String {
    let name = params["name"].as_str().map(str::to_owned);
    let text = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let request = Outbound { id, text: text.to_string().into(), method, name, mirrored: vec![] };
    rig.order(Order::Request(request)).await;
    match rig.next().await {
        Came::Message(answer, Some(of)) if of == id => answer,
        came => panic!("{came:?}"),
    }
}

async fn greet(rig: &mut Rig) {
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let answer = ask(rig, 1, "initialize", hello).await;
    assert!(answer.contains(r#""protocolVersion":"2025-11-25""#), "{answer}");
    rig.order(Order::Speak(Revision::V2025_11_25)).await;
    rig.notify("notifications/initialized").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_opened_used_and_lost() {
    let (node, target) = node().await;
    let mut rig = Rig::open(&target, HttpTransport::Auto);
    greet(&mut rig).await;
    let call = json!({ "name": "demo__add", "arguments": { "a": 2, "b": 3 } });
    assert!(ask(&mut rig, 2, "tools/call", call).await.contains(r#""text":"5""#));
    assert_eq!(node.sessions().table.all().len(), 1);
    rig.close();
    assert_eq!(within(rig.closing()).await.why, Why::Told);
    assert_eq!(node.sessions().table.all().len(), 0, "it said farewell");
    node.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_forgot_the_session_ends_the_wire() {
    let (node, target) = node().await;
    let mut rig = Rig::open(&target, HttpTransport::Auto);
    greet(&mut rig).await;
    let sessions = node.sessions();
    sessions.table.all().iter().for_each(|session| sessions.end(session));
    rig.request(2, "ping").await;
    assert_eq!(within(rig.closing()).await.why, Why::SessionLost);
    node.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_requests_are_answered() {
    let (node, target) = node().await;
    let mut rig = Rig::open(&target, HttpTransport::Auto);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = ask(&mut rig, 1, "server/discover", json!({ "_meta": meta })).await;
    assert!(found.contains("2026-07-28"), "{found}");
    rig.order(Order::Speak(Revision::V2026_07_28)).await;
    let arguments = json!({ "a": 2, "b": 3 });
    let call = json!({ "name": "demo__add", "arguments": arguments, "_meta": meta });
    assert!(ask(&mut rig, 2, "tools/call", call).await.contains(r#""text":"5""#));
    let nobody = json!({ "name": "demo__nobody", "_meta": meta });
    assert!(ask(&mut rig, 3, "tools/call", nobody).await.contains("error"));
    assert!(ask(&mut rig, 4, "nobody/knows", json!({ "_meta": meta })).await.contains("-32601"));
    node.stop(Duration::ZERO).await;
}
