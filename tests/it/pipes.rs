//! Standard input and output, and HTTP+SSE: one ordered channel for both eras.

use std::process::Stdio;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::events::Events;
use crate::harness::{
    TestNode, client, initialize, initialize_with, modern, request, send, tool_call, until, within,
};

fn cancelled(id: impl Into<Value>) -> String {
    let params = json!({ "requestId": id.into() });
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string()
}

/// `erlmcp stdio`, as a client starts it.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_erlmcp"));
        command.arg("stdio").env_remove("ERLMCP_CONFIG").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), child, output }
    }

    async fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).await.unwrap();
        input.write_all(b"\n").await.unwrap();
        input.flush().await.unwrap();
    }

    async fn read(&mut self) -> Value {
        let line = within(self.output.next_line()).await.unwrap().expect("it goes on");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: {line}"))
    }

    /// The client closes its end; what was written before the end is given.
    async fn close(mut self) -> (Option<i32>, Vec<Value>) {
        drop(self.input.take());
        let mut rest = Vec::new();
        while let Some(line) = within(self.output.next_line()).await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        (within(self.child.wait()).await.unwrap().code(), rest)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_on_standard_input() {
    let mut node = Process::start();
    node.write(&tool_call(0, "demo__echo", json!({ "text": "early" }))).await;
    assert_eq!(node.read().await["error"]["code"], -32600, "initialize comes first");
    node.write(&initialize_with("2025-11-25", json!({ "elicitation": {} }))).await;
    assert_eq!(node.read().await["result"]["protocolVersion"], "2025-11-25");
    node.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    node.write(&initialize("2025-11-25")).await;
    assert_eq!(node.read().await["error"]["code"], -32600, "once only");
    node.write("what?").await;
    assert_eq!(node.read().await["error"]["code"], -32700);
    node.write(&"x".repeat(5 * 1024 * 1024)).await;
    assert_eq!(node.read().await["error"]["code"], -32600, "too long");
    node.write(&tool_call("a", "demo__add", json!({ "a": 2, "b": 3 }))).await;
    assert_eq!(node.read().await["result"]["content"][0]["text"], "5");
    node.write(&tool_call("b", "demo__ask", json!({}))).await;
    let question = node.read().await;
    assert_eq!(question["method"], "elicitation/create");
    let decline =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    node.write(&decline.to_string()).await;
    assert_eq!(node.read().await["id"], "b");
    // A cancelled request is not answered; the one behind it is.
    node.write(&tool_call("c", "demo__slow", json!({ "seconds": 60 }))).await;
    let cancel = cancelled("c");
    node.write(&cancel).await;
    node.write(&request("d", "ping", json!({}))).await;
    assert_eq!(node.read().await, json!({ "jsonrpc": "2.0", "id": "d", "result": {} }));
    // What was asked before the end is answered.
    node.write(&tool_call("e", "demo__slow", json!({ "seconds": 0.2 }))).await;
    let (code, rest) = node.close().await;
    assert_eq!((code, rest.len(), &rest[0]["id"]), (Some(0), 1, &json!("e")));
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_requests_on_standard_input() {
    let mut node = Process::start();
    node.write(&modern("d", "server/discover", json!({}))).await;
    assert_eq!(node.read().await["result"]["supportedVersions"][0], "2026-07-28");
    let tools = json!({ "toolsListChanged": true });
    node.write(&modern("l", "subscriptions/listen", json!({ "notifications": tools }))).await;
    let acknowledged = node.read().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let mut params = json!({ "name": "demo__slow", "arguments": { "seconds": 0.1 } });
    params["_meta"] = json!({ "progressToken": "p" });
    node.write(&modern(1, "tools/call", params)).await;
    let mut last = node.read().await;
    let mut progress = 0;
    while last["method"] == "notifications/progress" {
        progress += 1;
        last = node.read().await;
    }
    assert!(progress > 0 && last["id"] == 1 && last["result"]["resultType"] == "complete");
    let slow = json!({ "name": "demo__slow", "arguments": { "seconds": 60 } });
    node.write(&modern(2, "tools/call", slow.clone())).await;
    node.write(&modern(2, "tools/call", slow)).await;
    assert_eq!(node.read().await["error"]["code"], -32600, "the id is in use");
    let cancel = cancelled(2);
    node.write(&cancel).await;
    node.write(&request(3, "tools/list", json!({}))).await;
    assert_eq!(node.read().await["error"]["code"], -32600, "legacy needs a session");
    let (code, rest) = node.close().await;
    assert_eq!((code, rest.len()), (Some(0), 2), "{rest:?}");
    assert_eq!(rest[0]["method"], "notifications/cancelled");
    assert_eq!(rest[0]["params"]["requestId"], "l");
    assert_eq!(rest[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
    let last = (&rest[1]["id"], &rest[1]["result"]["resultType"]);
    assert_eq!(last, (&json!("l"), &json!("complete")));
}

/// A client of 2024-11-05.
struct Old<'a> {
    node: &'a TestNode,
    events: Events,
    post: String,
}

impl<'a> Old<'a> {
    async fn open(node: &'a TestNode) -> Self {
        let mut events = Events::open(Method::GET, &format!("{}/sse", node.url), &[], "").await;
        let first = events.next().await.unwrap();
        assert_eq!(first.kind, "endpoint");
        Self { node, events, post: format!("{}{}", node.url, first.data) }
    }

    async fn send(&self, body: &str) -> StatusCode {
        send(&client(), Method::POST, &self.post, &[], body).await.status
    }

    async fn read(&mut self) -> Value {
        self.events.next().await.unwrap().json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_sse_of_2024() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = Old::open(&node).await;
    assert_eq!(old.send(&initialize("2024-11-05")).await, StatusCode::ACCEPTED);
    assert_eq!(old.read().await["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(
        old.send(&tool_call(2, "demo__add", json!({ "a": 2, "b": 3 }))).await,
        StatusCode::ACCEPTED
    );
    assert_eq!(old.read().await["result"]["content"][0]["text"], "5");
    old.node.talker.grow();
    assert_eq!(old.read().await["method"], "notifications/tools/list_changed");
    assert_eq!(old.send("what?").await, StatusCode::ACCEPTED);
    assert_eq!(old.read().await["error"]["code"], -32700);
    let table = &node.node.sessions().table;
    assert_eq!(table.len(), 1);
    let gone = old.post.clone();
    drop(old);
    until(|| table.is_empty()).await;
    for (path, status) in [(gone.as_str(), 404), (&format!("{}/messages", node.url), 400)] {
        let answer = send(&client(), Method::POST, path, &[], "{}").await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_eq!(answer.json()["jsonrpc"], "2.0");
    }
    let mut quiet = Old::open(&node).await;
    let (_, rest) = tokio::join!(node.stop(), quiet.events.rest());
    assert!(rest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_and_an_ended_session_can_be_opened_anew() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = Old::open(&node).await;
    let ping = request(1, "ping", json!({}));
    for refused in ["what?", &format!("[{ping}]"), &request(2, "tools/list", json!({}))] {
        old.send(refused).await;
        assert!(old.read().await["error"].is_object());
    }
    old.send(&initialize("2025-11-25")).await;
    assert_eq!(old.read().await["result"]["protocolVersion"], "2025-11-25");
    old.send(&initialize("2025-11-25")).await;
    assert_eq!(old.read().await["error"]["code"], -32600);
    let metrics = node.node.metrics().encode().unwrap();
    let refused = [("", -32700), ("", -32600), ("tools/list", -32600), ("initialize", -32600)];
    for (method, code) in refused {
        let method = format!(r#"mcp_method_name="{method}",gen_ai_tool_name="""#);
        let labels = format!(r#"{method},error_type="{code}",mcp_protocol_version="""#);
        let line = format!("mcp_server_operation_duration_seconds_count{{{labels}}} 1");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    // An operator, or its age, ends the session.
    let sessions = node.node.sessions();
    sessions.end(&sessions.table.all()[0]);
    old.send(&ping).await;
    assert_eq!(old.read().await["id"], 1);
    old.send(&request(3, "tools/list", json!({}))).await;
    assert_eq!(old.read().await["error"]["code"], -31004);
    old.send(&initialize("2025-06-18")).await;
    assert_eq!(old.read().await["result"]["protocolVersion"], "2025-06-18");
    node.talker.grow();
    assert_eq!(old.read().await["method"], "notifications/tools/list_changed");
    node.stop().await;
}

/// A session of 2025-11-25 on such a pipe.
async fn opened<'a>(node: &'a TestNode, revision: &str) -> Old<'a> {
    let mut old = Old::open(node).await;
    old.send(&initialize_with(revision, json!({ "elicitation": {} }))).await;
    assert_eq!(old.read().await["result"]["protocolVersion"], revision);
    old
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_cancelled_task_is_an_answer() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = opened(&node, "2025-11-25").await;
    let work = json!({ "name": "talk__work", "arguments": {}, "task": {} });
    old.send(&request(2, "tools/call", work)).await;
    let created = old.read().await;
    let task = json!({ "taskId": created["result"]["task"]["taskId"] });
    // Who waits for a result may stop to do so, and is not answered then.
    old.send(&request(3, "tasks/result", task.clone())).await;
    let in_flight = || node.node.metrics().in_flight.get();
    until(|| in_flight() == 1).await;
    old.send(&cancelled(3)).await;
    until(|| in_flight() == 0).await;
    old.send(&request(4, "tasks/cancel", task.clone())).await;
    let (mut status, mut answered) = (false, false);
    while !(status && answered) {
        let message = old.read().await;
        assert_ne!(message["id"], 3, "it was cancelled: {message}");
        status |= message["method"] == "notifications/tasks/status";
        answered |= message["id"] == 4;
    }
    old.send(&request(5, "tasks/result", task)).await;
    let result = old.read().await;
    assert_eq!((&result["id"], &result["error"]["code"]), (&json!(5), &json!(-31002)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_told_too_much_is_told_on() {
    let node = TestNode::start_with(|config| {
        config.http.legacy_sse = true;
        config.sessions.kept_events = 4;
    })
    .await;
    let mut old = opened(&node, "2025-11-25").await;
    let subscribe =
        |id: usize, uri: &str| request(id, "resources/subscribe", json!({ "uri": uri }));
    for number in 0..50 {
        old.send(&subscribe(number, &format!("talk://{number}"))).await;
        assert_eq!(old.read().await["id"], number);
    }
    node.talker.upset();
    while old.read().await["method"] != "notifications/resources/updated" {}
    old.send(&subscribe(50, "talk://last")).await;
    while old.read().await["id"] != 50 {}
    node.talker.update("talk://last");
    while old.read().await["params"]["uri"] != "talk://last" {}
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_can_ask_its_client() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = opened(&node, "2025-03-26").await;
    let (ping, ask) = (request(2, "ping", json!({})), tool_call(3, "talk__ask", json!({})));
    old.send(&format!("[{ping},{ask}]")).await;
    let question = old.read().await;
    assert_eq!(question["method"], "elicitation/create");
    let decline =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    old.send(&decline.to_string()).await;
    let answers = old.read().await;
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(2), &json!(3)), "{answers}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_as_a_session_may_have_can_ask() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = opened(&node, "2025-11-25").await;
    for id in 0..256 {
        old.send(&tool_call(id, "talk__ask", json!({}))).await;
        assert_eq!(old.read().await["method"], "elicitation/create", "{id}");
    }
    node.stop_at_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_bounded_number_of_modern_requests() {
    let node = TestNode::start_with(|config| {
        config.http.legacy_sse = true;
        config.requests.max_in_flight_per_session = 2;
    })
    .await;
    let mut old = Old::open(&node).await;
    let listen = |id| modern(id, "subscriptions/listen", json!({ "notifications": {} }));
    for id in [1, 2] {
        old.send(&listen(id)).await;
        assert_eq!(old.read().await["method"], "notifications/subscriptions/acknowledged");
    }
    old.send(&listen(3)).await;
    let refused = old.read().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-31003)));
    old.send(&cancelled(1)).await;
    old.send(&modern(4, "server/discover", json!({}))).await;
    assert_eq!(old.read().await["id"], 4);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_the_node_drains_is_answered_on_sse() {
    let node = TestNode::start_with(|config| config.http.legacy_sse = true).await;
    let mut old = opened(&node, "2025-11-25").await;
    old.send(&tool_call(2, "test__hold", json!({}))).await;
    node.held.started().await;
    let mut quiet = Old::open(&node).await;
    let rest = async {
        assert!(quiet.events.next().await.is_none());
        node.held.release.add_permits(1);
        old.events.rest().await
    };
    let (_, rest) = tokio::join!(node.stop(), rest);
    assert_eq!(rest, ["result"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_sse_are_off_by_default() {
    let node = TestNode::start().await;
    for (method, path) in [(Method::GET, "/sse"), (Method::POST, "/messages?sessionId=x")] {
        assert_eq!(node.send(method, path, &[], "").await.status, StatusCode::NOT_FOUND);
    }
    node.stop().await;
}
