//! The official conformance suites through the node, with the fixtures of `examples/conformance`
//! behind it: over standard input and output and over HTTP, of each era.
//!
//! And the suite for clients, whose server the node stands before.
//!
//! What can't pass, and why, stands in `tests/conformance/through-….yaml` and `client-….yaml`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::behind::Behind;
use super::one_era::{Era, OneEra};
use crate::conformance::{Fixtures, example, run_at, run_checked, run_suite};

/// Runs both suites at a node's endpoint for this one server.
async fn through(server: Value, expected: &str) {
    let node = Behind::start(json!({ "fixtures": server }));
    node.listed("fixtures").await;
    let url = format!("{}/fixtures", node.process.url());
    run_at(&url, "conformance-0.1", &["--suite", "all"], expected).await;
    for revision in ["2025-11-25", "2026-07-28"] {
        run_at(&url, "conformance-0.2", &["--requirements", revision], expected).await;
    }
    node.stop_whole();
}

fn pipe(era: &str) -> Value {
    json!({ "command": example("conformance"), "args": ["--stdio", "--era", era] })
}

fn address(fixtures: &Fixtures) -> SocketAddr {
    let rest = fixtures.url.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_pipe_of_the_session_era() {
    let mut server = pipe("legacy");
    // What it asks belongs to its only call. The suite asks and does not come back, now and then,
    // so there have to be others that are called next.
    server["instances"] = json!(8);
    through(server, "through-legacy-pipe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_pipe_of_the_modern_era() {
    through(pipe("modern"), "through-modern-pipe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_http_of_the_session_era() {
    let fixtures = Fixtures::start().await;
    let proxy = OneEra::before(address(&fixtures), Era::Legacy).await;
    let url = format!("http://{}/mcp/conformance", proxy.address);
    through(json!({ "type": "http", "url": url }), "through-legacy-http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_http_of_the_modern_era() {
    let fixtures = Fixtures::start().await;
    let proxy = OneEra::before(address(&fixtures), Era::Modern).await;
    let url = format!("http://{}/mcp/conformance", proxy.address);
    through(json!({ "type": "http", "url": url }), "through-modern-http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_http_and_sse_of_2024() {
    let fixtures = Fixtures::start().await;
    let url = format!("http://{}/sse/conformance", address(&fixtures));
    through(json!({ "type": "sse", "url": url }), "through-sse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_as_a_client() {
    let command = example("upstream_client");
    let command = ["client", "--command", command.to_str().unwrap()];
    for revision in ["2025-11-25", "2026-07-28"] {
        let arguments = [&command[..], &["--requirements", revision]].concat();
        run_suite("conformance-0.2", &arguments, &format!("client-{revision}")).await;
    }
    // It stands in no revision's set.
    let arguments = [&command[..], &["--scenario", "auth/client-credentials-basic"]].concat();
    run_checked("conformance-0.2", &arguments, "expected-failures").await;
}
