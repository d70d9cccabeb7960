//! What passes through the node is not changed: requests and results, byte by byte.

use reqwest::Method;
use serde_json::{Value, json};

use super::behind::{Behind, text_of, unruly};
use crate::harness::{modern_headers, send};

/// Arguments that no reader and writer of JSON would leave as they are.
const ARGUMENTS: &str = concat!(
    r#"{ "z":1e2,"a":-0.0, "big":12345678901234567890123,"text":"\u00e9\/é","#,
    r#""nested":{"b":[ ],"a":{}},"z2":1.10 }"#,
);
/// What `unruly`'s tool has as a result, but for what the hop changes.
const RESULT: [&str; 3] = [
    r#""x-unknown":{"b":1.0,"a":1e2, "n":12345678901234567890123}"#,
    r#""content":[{"type":"text","text":"\u00e9\/","x":null}]"#,
    r#""structuredContent":{"z":-0.0,"a":[]}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_and_written_anew() {
    for arguments in [&[][..], &["--modern"]] {
        let node = Behind::start(json!({ "bad": unruly(arguments) }));
        node.ready("bad").await;
        let session = node.session(json!({})).await;
        let meta = concat!(
            r#""_meta":{"example.org/k":{"y":1.0,"x":[ 1 ]},"traceparent":"00-0-0-00","#,
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
            r#""io.modelcontextprotocol/clientCapabilities":{}}"#,
        );
        let call = |tool: &str, meta: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}}"#,
                format_args!(r#"{{"name":"bad__{tool}","arguments":{ARGUMENTS}{meta}}}"#)
            )
        };
        for tool in ["line", "verbatim"] {
            let legacy = session.post(&call(tool, "")).await;
            let (name, url) = (format!("bad__{tool}"), node.process.url());
            let headers = modern_headers("tools/call", &name);
            let body = call(tool, &format!(",{meta}"));
            let modern = send(&node.client, Method::POST, &url, &headers, &body).await;
            for answer in [&legacy, &modern] {
                check(tool, arguments, &answer.text, &answer.json());
            }
            if tool == "line" {
                let line = text_of(&modern.json());
                for kept in
                    [r#""example.org/k":{"y":1.0,"x":[ 1 ]}"#, r#""traceparent":"00-0-0-00""#]
                {
                    assert!(line.contains(kept), "{kept} is missing in {line}");
                }
            }
        }
        node.stop_whole();
    }
}

fn check(tool: &str, server: &[&str], text: &str, answer: &Value) {
    if tool == "line" {
        let line = text_of(answer);
        assert!(line.contains(ARGUMENTS), "{server:?} got {line}");
        assert!(line.contains(r#""name":"line""#), "{server:?} got {line}");
    } else {
        for part in RESULT {
            assert!(text.contains(part), "{server:?}: {part} is missing in {text}");
        }
        assert_eq!(answer["result"]["_meta"]["example.org/k"], "v", "{text}");
    }
    assert_eq!(answer["id"], 7);
}
