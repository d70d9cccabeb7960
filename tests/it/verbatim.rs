//! Payloads pass through the node byte by byte: parameters to the provider, results to the client.

use reqwest::Method;

use crate::harness::{TestNode, client, modern_headers, send};

/// Written as no serializer writes it.
const MEMBERS: &str = concat!(
    r#""\u0061":"\/\u00e9",  "arguments" : {"y":12345678901234567890123, "x":1.10,"x":-0},"#,
    r#" "name":"talk__verbatim""#,
);

#[tokio::test(flavor = "multi_thread")]
async fn in_the_session_era() {
    let node = TestNode::start().await;
    let params = format!("{{{MEMBERS} , \"_meta\":{{ }} }}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let answer = node.session().await.post(&body).await;
    let result = format!(r#"{{ "n" : 1.10,  "params":{params}, "content":[] }}"#);
    assert_eq!(answer.text, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_modern_era_but_for_what_every_result_says() {
    let node = TestNode::start().await;
    let meta = concat!(
        r#""_meta" : {"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
        r#""io.modelcontextprotocol/clientCapabilities":{ }}"#,
    );
    let params = format!("{{{MEMBERS} , {meta} }}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let (url, headers) =
        (format!("{}/mcp", node.url), modern_headers("tools/call", "talk__verbatim"));
    let answer = send(&client(), Method::POST, &url, &headers, &body).await;
    let result = format!(r#""result":{{ "n" : 1.10,  "params":{params}, "content":[] ,"#);
    assert!(answer.text.contains(&result), "{answer:?}");
    assert_eq!(answer.json()["result"]["resultType"], "complete");
    node.stop().await;
}
