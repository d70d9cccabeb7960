//! Stopping: what is in flight finishes, nothing new comes in, and nobody is left without answer.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use supervisors::ExitReason;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{
    Answer, PATIENCE, TestNode, client, modern, modern_headers, send, until, within,
};

/// One call of each era, in flight.
async fn two_calls(node: &TestNode) -> [JoinHandle<Answer>; 2] {
    let session = node.session().await;
    let legacy = tokio::spawn(async move { session.call(1, "test__hold", json!({})).await });
    let url = format!("{}/mcp", node.url);
    let modern = tokio::spawn(async move {
        let body = modern(2, "tools/call", json!({ "name": "test__hold", "arguments": {} }));
        let headers = modern_headers("tools/call", "test__hold");
        send(&client(), Method::POST, &url, &headers, &body).await
    });
    node.held.started().await;
    node.held.started().await;
    [legacy, modern]
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_finish_and_new_ones_find_the_door_closed() {
    let node = TestNode::start().await;
    let calls = two_calls(&node).await;
    let clients = async {
        while_it_drains(&node).await;
        node.held.release.add_permits(2);
        for call in calls {
            let answer = call.await.unwrap();
            assert_eq!((answer.status, answer.code()), (StatusCode::OK, 0), "{answer:?}");
        }
    };
    let (reason, ()) = within(async { tokio::join!(node.node.stop(PATIENCE), clients) }).await;
    assert_eq!(reason, ExitReason::Shutdown);
    until(|| std::net::TcpStream::connect(node.node.metrics_address()).is_err()).await;
}

/// Two requests are in flight, and the node says so while it takes no others.
async fn while_it_drains(node: &TestNode) {
    let ready = async {
        while node.probe("/readyz").await.status == StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    ready.await;
    let health = node.probe("/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json()["status"], "draining");
    let address = node.node.http_address();
    while TcpStream::connect(address).await.is_ok() {}
    assert_eq!(health.json()["requests_in_flight"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_drain_gets_an_answer_all_the_same() {
    let node = TestNode::start().await;
    let calls = two_calls(&node).await;
    let stopped = within(node.node.stop(Duration::from_millis(100))).await;
    assert_eq!(stopped, ExitReason::Shutdown);
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, -31005));
    }
}
