//! `erlmcp bridge`: one server over standard input and output, behind HTTP for clients of each era.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::behind::text_of;
use crate::conformance::example;
use crate::events::Events;
use crate::harness::{Scratch, Session, client, modern, modern_headers, send, tool_call, within};
use crate::process::{Process, command};

/// A bridge on a free port, to the unruly server as these arguments name it.
fn bridge(arguments: &[&str]) -> Process {
    let scratch = Scratch::new();
    let mut command = command();
    command.args(["bridge", "--port", "0", "--set"]);
    command.arg(format!("control.socket={}", scratch.socket().display()));
    command.args(arguments);
    Process::serving(command, scratch).0
}

/// The answer to `add`, by its own name, once the server is there.
async fn sum(url: &str) -> Value {
    let params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
    let (headers, body) = (modern_headers("tools/call", "add"), modern(1, "tools/call", params));
    within(async {
        loop {
            let answer = send(&client(), Method::POST, url, &headers, &body).await.json();
            // Down, so far.
            if answer["error"]["code"] != -31007 {
                return answer;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_served_under_its_own_names() {
    let unruly = example("unruly");
    let line = format!("{} --noise", unruly.display());
    let ways: [&[&str]; 2] = [&["--", unruly.to_str().unwrap()], &["--stdio", &line]];
    for way in ways {
        let mut bridge = bridge(way);
        assert_eq!(sum(&bridge.url()).await["result"]["structuredContent"]["sum"], 3.0);
        let session = Session::open(client(), &bridge.url(), "2025-06-18").await;
        let text = text_of(&session.call(1, "echo", json!({ "text": "héllo" })).await.json());
        assert_eq!(text, "héllo");
        // Clients of 2024-11-05, as they find it where bridges have it.
        let url = format!("http://{}/sse", bridge.http);
        let mut events = Events::open(Method::GET, &url, &[], "").await;
        let endpoint = events.next().await.unwrap();
        assert_eq!(endpoint.kind, "endpoint");
        let post = format!("http://{}{}", bridge.http, endpoint.data);
        let hello = crate::harness::initialize("2024-11-05");
        for body in [hello, tool_call(2, "echo", json!({ "text": "sse" }))] {
            let sent = send(&client(), Method::POST, &post, &[], &body).await;
            assert_eq!(sent.status, StatusCode::ACCEPTED, "{sent:?}");
        }
        let revision = events.next().await.unwrap().json()["result"]["protocolVersion"].clone();
        assert_eq!(revision, "2024-11-05");
        assert_eq!(text_of(&events.next().await.unwrap().json()), "sse");
        assert!(bridge.stop().success());
    }
}
