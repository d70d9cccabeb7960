//! What probes, metrics and the request log tell of servers behind the node.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::behind::{Behind, unruly};
use crate::harness::{Answer, send, until};

async fn get(node: &Behind, path: &str) -> Answer {
    let url = node.process.url().replace("/mcp", path);
    send(&node.client, Method::GET, &url, &[], "").await
}

/// The lines of the request log that are about an upstream.
fn requests(node: &Behind, upstream: &str) -> Vec<Value> {
    let log = node.log.text();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter_map(|line| {
        let fields = line.get("fields").cloned().unwrap_or(line);
        (fields["upstream"] == upstream && !fields["request_id"].is_null()).then_some(fields)
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_server_degrades_the_node_and_is_told_by_name() {
    let servers = json!({ "good": unruly(&[]), "bad": unruly(&["--exit-at-start", "3"]) });
    let node = Behind::start_with(servers, &["log.level=info", "log.format=json"]);
    node.ready("good").await;
    node.why("bad__echo", &["quarantined"]).await;
    let health = get(&node, "/health").await;
    assert_eq!(health.status, StatusCode::OK, "nobody is to take its traffic away");
    let expected = json!({ "good": "ready", "bad": "quarantined" });
    assert_eq!(
        (&health.json()["status"], &health.json()["upstreams"]),
        (&json!("degraded"), &expected)
    );
    assert_eq!(get(&node, "/readyz").await.status, StatusCode::OK);
    let metrics = get(&node, "/metrics").await.text;
    for line in [
        r#"erlmcp_upstream_state{upstream="bad",state="quarantined"} 1"#,
        r#"erlmcp_upstream_state{upstream="bad",state="ready"} 0"#,
        r#"erlmcp_upstream_state{upstream="good",state="ready"} 1"#,
        r#"erlmcp_upstream_restarts_total{upstream="bad",reason="crashed"} 5"#,
        r#"mcp_client_operation_duration_seconds_count{upstream="good",mcp"#,
        "erlmcp_proxy_overhead_seconds_count",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(node.call("bad__echo", json!({})).await["error"]["code"], -31007);
    until(|| !requests(&node, "bad").is_empty()).await;
    let line = requests(&node, "bad").remove(0);
    assert_eq!(
        (&line["blame"], &line["outcome"]),
        (&json!("upstream"), &json!("-31007")),
        "{line}"
    );
    assert!(requests(&node, "good").iter().any(|line| line["outcome"] == "ok"));
    node.stop_whole();
}
