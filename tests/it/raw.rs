//! Raw requests, most of them wrong: each gets the right status and one JSON-RPC error.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{MODERN, TestNode, initialize, modern, modern_headers, request};

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

struct Row<'a> {
    what: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: String,
    status: u16,
    code: i64,
}

fn row<'a>(
    what: &'a str,
    headers: &[(&'a str, &'a str)],
    body: impl Into<String>,
    status: u16,
    code: i64,
) -> Row<'a> {
    Row { what, headers: headers.to_vec(), body: body.into(), status, code }
}

/// Sends each row to `/mcp`, and checks that an error has its JSON-RPC body.
async fn check(node: &TestNode, rows: Vec<Row<'_>>) {
    for Row { what, headers, body, status, code } in rows {
        let answer = node.post("/mcp", &headers, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {answer:?}");
        assert_eq!(answer.content_type, "application/json", "{what}: {answer:?}");
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{what}: {answer:?}");
        assert_eq!(answer.code(), code, "{what}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_session_era() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let id = [("mcp-session-id", session.id.as_str())];
    let with = |name, value| [id[0], (name, value)];
    let rows = vec![
        row("ping", &id, PING, 200, 0),
        row("no JSON", &id, "hello", 400, -32700),
        row("no JSON, as text", &with("content-type", "text/plain"), "{", 400, -32700),
        row("id null", &id, r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32600),
        row("id 1.5", &id, r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, 400, -32600),
        row("a batch", &id, format!("[{PING}]"), 400, -32600),
        row("no session", &[], PING, 400, -32600),
        row("unknown session", &[("mcp-session-id", "x")], PING, 404, -31004),
        row("empty session", &[("mcp-session-id", "")], PING, 404, -31004),
        row("two sessions", &[id[0], id[0]], PING, 404, -31004),
        row("initialize again", &id, initialize("2025-11-25"), 400, -32600),
        row("foreign origin", &with("origin", "https://evil.test"), PING, 403, -31006),
        row("origin null", &with("origin", "null"), PING, 403, -31006),
        row("own origin", &with("origin", "http://localhost:3000"), PING, 200, 0),
        row("foreign host", &with("host", "evil.test"), PING, 403, -31006),
        row("accept JSON alone", &with("accept", "application/json"), PING, 200, 0),
        row("accept anything", &with("accept", "*/*"), PING, 200, 0),
        row("odd content type", &with("content-type", "text/plain"), PING, 200, 0),
        row("unknown revision", &with("mcp-protocol-version", "1999-01-01"), PING, 400, -32022),
        row("old revision", &with("mcp-protocol-version", "2024-11-05"), PING, 200, 0),
        row("its revision", &with("mcp-protocol-version", "2025-11-25"), PING, 200, 0),
        row("unknown method", &id, request(1, "x/y", json!({})), 200, -32601),
        row("modern method", &id, request(1, "server/discover", json!({})), 200, -32601),
        row("bad cursor", &id, request(1, "tools/list", json!({ "cursor": "x" })), 200, -32602),
        row("no tool", &id, request(1, "tools/call", json!({ "name": "x" })), 200, -32602),
        row("plain name", &id, request(1, "tools/call", json!({ "name": "echo" })), 200, -32602),
        row("no version", &[], request(1, "initialize", json!({})), 200, -32602),
    ];
    check(&node, rows).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_modern_era() {
    let node = TestNode::start().await;
    let list = modern_headers("tools/list", "");
    let ok = modern(1, "tools/list", json!({}));
    let call =
        modern(1, "tools/call", json!({ "name": "demo__echo", "arguments": { "text": "x" } }));
    let no_capabilities = ok.replace("clientCapabilities", "other");
    let future = ok.replace(MODERN, "2099-01-01");
    let loud = ok.replace(
        r#""io.modelcontextprotocol/protocolVersion""#,
        r#""io.modelcontextprotocol/logLevel":"loud","io.modelcontextprotocol/protocolVersion""#,
    );
    let of = |version, method| [("mcp-protocol-version", version), ("mcp-method", method)];
    let rows = vec![
        row("list", &list, ok.as_str(), 200, 0),
        row("call", &modern_headers("tools/call", "demo__echo"), call.as_str(), 200, 0),
        row(
            "encoded",
            &modern_headers("tools/call", "=?base64?ZGVtb19fZWNobw==?="),
            call.as_str(),
            200,
            0,
        ),
        row("session id", &[list[0], list[1], ("mcp-session-id", "x")], ok.as_str(), 200, 0),
        row("no meta", &list, request(1, "tools/list", json!({})), 400, -32602),
        row("no meta, no header", &list[..1], request(1, "tools/list", json!({})), 400, -32602),
        row("no capabilities", &list, no_capabilities, 400, -32602),
        row("no headers", &[], ok.as_str(), 400, -32020),
        row("no method header", &list[..1], ok.as_str(), 400, -32020),
        row("other version", &of("2025-11-25", "tools/list"), ok.as_str(), 400, -32020),
        row("other method", &of(MODERN, "tools/call"), ok.as_str(), 400, -32020),
        row("no name", &modern_headers("tools/call", ""), call.as_str(), 400, -32020),
        row("other name", &modern_headers("tools/call", "echo"), call.as_str(), 400, -32020),
        row("future", &of("2099-01-01", "tools/list"), future, 400, -32022),
        row("unknown header alone", &of("2099-01-01", "tools/list"), PING, 400, -32022),
        row("ping", &of(MODERN, "ping"), modern(1, "ping", json!({})), 404, -32601),
        row(
            "initialize",
            &of(MODERN, "initialize"),
            modern(1, "initialize", json!({})),
            404,
            -32601,
        ),
        row("log level", &list, loud, 400, -32602),
        row("bad cursor", &list, modern(1, "tools/list", json!({ "cursor": "x" })), 200, -32602),
    ];
    check(&node, rows).await;
    let note = modern_headers("notifications/cancelled", "");
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let answer = node.post("/mcp", &note, body).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_initialize_for_the_modern_revision_gets_the_latest_legacy_one() {
    let node = TestNode::start().await;
    let answer = node.post("/mcp", &[], &initialize(MODERN)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25");
    assert!(answer.session.is_some());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths() {
    let node = TestNode::start().await;
    for (method, path, status) in [
        (Method::GET, "/mcp", 400),
        (Method::PUT, "/mcp", 405),
        (Method::OPTIONS, "/mcp/demo", 405),
        (Method::POST, "/health", 405),
        (Method::GET, "/nothing", 404),
        (Method::POST, "/mcp/nobody", 404),
        (Method::GET, "/mcp/demo/x", 404),
        (Method::DELETE, "/mcp", 400),
    ] {
        let answer = node.send(method.clone(), path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {answer:?}");
        assert_eq!(answer.code(), -32600, "{method} {path}: {answer:?}");
    }
    for (path, text) in [("/ping", "pong\n"), ("/livez", "ok\n"), ("/readyz", "ok\n")] {
        assert_eq!(node.send(Method::GET, path, &[], "").await.text, text, "{path}");
    }
    assert_eq!(node.send(Method::GET, "/health", &[], "").await.json()["status"], "ok");
    assert_eq!(node.probe("/health").await.json()["status"], "ok");
    assert_eq!(node.probe("/mcp").await.status, StatusCode::NOT_FOUND);
    node.stop().await;
}
