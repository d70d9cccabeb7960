//! Bytes that are no UTF-8, wherever text may stand.

use super::bystander::Bystander;
use super::wire::{Wire, post};
use crate::harness::{TestNode, modern};

use serde_json::json;

const BAD: &[u8] = b"\xff";
/// Other bytes that no UTF-8 has: half a character, an overlong one, a surrogate.
const BROKEN: [&[u8]; 4] = [BAD, b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80"];

/// Puts bytes where the text has `@`.
fn spoil(text: &str, with: &[u8]) -> Vec<u8> {
    let (front, back) = text.split_once('@').expect("there is a place for them");
    [front.as_bytes(), with, back.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_text_are_no_json() {
    let node = TestNode::start().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let line = format!("Mcp-Session-Id: {}\r\n", session.id);
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"pi@ng"}"#,
        r#"{"jsonrpc":"2.0","id":"@","method":"ping"}"#,
        r#"{"jsonrpc":"2.@0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","unknown":"@"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","unknown":{"a":["@"]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","un@known":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"@":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"@"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"@"}}"#,
        r#"{"jsonrpc":"2.0","id":"erlmcp-1","result":{"a":"@"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/@"}"#,
        r#"@{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}@"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping","unknown":"@"}]"#,
    ];
    let mut wire = Wire::to(&node).await;
    for body in bodies {
        for bytes in BROKEN {
            let spoilt = spoil(body, bytes);
            let head = post(&line, "").len();
            let length = format!("Content-Length: {}\r\n\r\n", spoilt.len());
            let mut request = post(&line, "");
            request.truncate(head - "Content-Length: 0\r\n\r\n".len());
            request.extend(length.as_bytes());
            request.extend(spoilt);
            wire.send(request).await.unwrap();
            let answer = wire.answer().await.unwrap();
            let what = (answer.status, answer.code());
            assert_eq!(what, (400, -32700), "{body} {bytes:?}: {answer:?}");
        }
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_no_text_match_nothing() {
    let node = TestNode::start().await;
    let bystander = Bystander::of(&node).await;
    let session = node.session().await;
    let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
    let id = format!("Mcp-Session-Id: {}", session.id);
    let call = modern(1, "tools/call", json!({ "name": "demo__x", "arguments": {} }));
    let version = "Mcp-Protocol-Version: 2026-07-28\r\n";
    let table = [
        (format!("{id}@\r\n"), ping, 404, -31004),
        (format!("{id}\r\nOrigin: http://localhost@\r\n"), ping, 403, -31006),
        (format!("{id}\r\nMcp-Protocol-Version: 2025-11-25@\r\n"), ping, 400, -32022),
        (format!("{id}\r\nX-Unknown: @\r\n"), ping, 200, 0),
        (format!("{id}\r\nAccept: @\r\n"), ping, 200, 0),
        (format!("{id}\r\nLast-Event-ID: @\r\n"), ping, 200, 0),
        (format!("{version}Mcp-Method: tools/call@\r\n"), &call, 400, -32020),
        (format!("{version}Mcp-Method: tools/call\r\nMcp-Name: demo__x@\r\n"), &call, 400, -32020),
        (
            format!("{version}Mcp-Method: tools/call\r\nMcp-Name: =?base64?/w==?=@\r\n"),
            &call,
            400,
            -32020,
        ),
    ];
    let mut wire = Wire::to(&node).await;
    for (lines, body, status, code) in table {
        wire.send(spoil(&String::from_utf8(post(&lines, body)).unwrap(), BAD)).await.unwrap();
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{lines}: {answer:?}");
    }
    // A name or a target that is no text is no HTTP.
    for head in ["GET /ping HTTP/1.1\r\nX@: y\r\n\r\n", "G@ET /ping HTTP/1.1\r\n\r\n"] {
        let mut wire = Wire::to(&node).await;
        wire.send(spoil(head, BAD)).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 400, "{head}");
        wire.hung_up().await;
    }
    bystander.noticed_nothing().await;
    node.stop().await;
}
