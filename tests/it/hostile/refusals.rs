//! What is refused before anybody works on it is counted, and leaves its line in the log.

use std::io::BufRead;

use super::wire::{Wire, post};
use crate::process::Process;

const PING: &str = r#"{"jsonrpc":"2.0","id":"ping 7","method":"ping"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_is_logged_and_counted() {
    let keys = ["http.body_limit_bytes=1000", "http.body_timeout_ms=100", "log.format=json"];
    let (mut node, mut log) = Process::start_with(&keys, None);
    let slow = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    let table = [
        (post("", "{"), 400, "-32700", ""),
        (post("", &"x".repeat(2_000)), 413, "-32600", ""),
        (slow.as_bytes().to_vec(), 408, "-32600", ""),
        (post("Mcp-Session-Id: x\r\n", PING), 404, "-31004", "ping"),
        (post("", PING), 400, "-32600", "ping"),
        (post("", &format!("[{PING}]")), 400, "-32600", ""),
        (post("Mcp-Protocol-Version: 1999-01-01\r\n", PING), 400, "-32022", "ping"),
        (post("Origin: https://evil.test\r\n", PING), 403, "-31006", ""),
        (
            b"DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: x\r\n\r\n".to_vec(),
            404,
            "-31004",
            "",
        ),
    ];
    for (bytes, status, ..) in &table {
        let mut wire = Wire::to_address(node.http).await;
        wire.send(bytes).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, *status);
    }
    let mut wire = Wire::to_address(node.metrics).await;
    wire.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let metrics = wire.answer().await.unwrap().body;
    for (_, _, outcome, method) in &table {
        let labels = format!(
            "{{mcp_method_name=\"{method}\",gen_ai_tool_name=\"\",error_type=\"{outcome}\",\
             mcp_protocol_version=\"\"}}"
        );
        let count = format!("mcp_server_operation_duration_seconds_count{labels}");
        assert!(metrics.contains(&count), "{count}\n{metrics}");
    }
    assert_eq!(node.stop().code(), Some(0));
    let mut lines = String::new();
    while log.read_line(&mut lines).unwrap() > 0 {}
    let lines: Vec<_> = lines.lines().filter(|line| line.contains("erlmcp::request")).collect();
    assert_eq!(lines.len(), table.len(), "{lines:#?}");
    for (line, (_, _, outcome, method)) in lines.iter().zip(&table) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["outcome"], *outcome, "{line}");
        assert_eq!(line["method"], *method, "{line}");
        let id = if method.is_empty() { "" } else { "ping 7" };
        assert_eq!(line["request_id"], id, "{line}");
    }
}
