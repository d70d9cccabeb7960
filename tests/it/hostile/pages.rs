//! Web pages: those that may call can also read the answers, and others can do neither (Fetch
//! standard, "HTTP extensions").

use super::wire::{Raw, Wire, post};
use crate::harness::{TestNode, initialize, request};

use serde_json::json;

const APP: &str = "https://app.test";

async fn node() -> TestNode {
    TestNode::start_with(|config| config.http.allowed_origins = vec![APP.to_owned()]).await
}

async fn answer(node: &TestNode, bytes: impl AsRef<[u8]>) -> Raw {
    let mut wire = Wire::to(node).await;
    wire.send(bytes).await.unwrap();
    wire.answer().await.unwrap()
}

fn preflight(path: &str, origin: &str, method: &str) -> String {
    format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: {method}\r\n\
         Access-Control-Request-Headers: content-type,mcp-session-id\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_ask_before_they_call() {
    let node = node().await;
    for (path, origin, method) in [
        ("/mcp", APP, "POST"),
        ("/mcp/demo", APP, "DELETE"),
        ("/mcp", "HTTPS://APP.test", "GET"),
        ("/health", "http://localhost:3000", "GET"),
    ] {
        let allowed = answer(&node, preflight(path, origin, method)).await;
        assert_eq!((allowed.status, allowed.body.as_str()), (204, ""), "{path}: {allowed:?}");
        assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
        let methods = allowed.header("access-control-allow-methods").unwrap();
        assert!(methods.contains(method), "{methods}");
        let headers = allowed.header("access-control-allow-headers").unwrap();
        for name in ["content-type", "mcp-session-id"] {
            assert!(headers.contains(name), "{headers}");
        }
        assert!(allowed.header("vary").unwrap().contains("origin"), "{allowed:?}");
        assert!(allowed.header("access-control-max-age").is_some(), "{allowed:?}");
        // Nobody is known by cookies here.
        assert_eq!(allowed.header("access-control-allow-credentials"), None);
    }
    for origin in ["https://evil.test", "null", "https://app.test.evil.test", "*"] {
        let refused = answer(&node, preflight("/mcp", origin, "POST")).await;
        assert_eq!((refused.status, refused.code()), (403, -31006), "{origin}: {refused:?}");
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
    }
    // Without an origin or a method it is no question of a browser's.
    for plain in [
        "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {APP}\r\n\r\n"),
        "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: GET\r\n\r\n"
            .to_owned(),
    ] {
        assert_eq!(answer(&node, plain).await.status, 405);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_read_answers_errors_and_the_session() {
    let node = node().await;
    let origin = format!("Origin: {APP}\r\n");
    let opened = answer(&node, post(&origin, &initialize("2025-11-25"))).await;
    assert_eq!(opened.status, 200);
    assert_eq!(opened.header("access-control-allow-origin"), Some(APP));
    let exposed = opened.header("access-control-expose-headers").unwrap().to_lowercase();
    assert!(exposed.contains("mcp-session-id"), "{exposed}");
    let id = opened.header("mcp-session-id").unwrap();
    let session = format!("{origin}Mcp-Session-Id: {id}\r\n");
    let ping = request(1, "ping", json!({}));
    for (lines, body, status) in [
        (session.as_str(), ping.as_str(), 200),
        (&session, "{", 400),
        (&origin, &ping, 400),
        (&format!("{origin}Mcp-Session-Id: x\r\n"), &ping, 404),
    ] {
        let answer = answer(&node, post(lines, body)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{answer:?}");
    }
    // Events, too.
    let mut wire = Wire::to(&node).await;
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{session}\r\n"
    );
    wire.send(get).await.unwrap();
    let head = wire.head().await.unwrap().to_lowercase();
    assert!(head.contains(&format!("access-control-allow-origin: {APP}")), "{head}");
    // Who is no page is told nothing of all that.
    let plain = answer(&node, post("", &ping)).await;
    assert_eq!(plain.header("access-control-allow-origin"), None);
    node.stop().await;
}
