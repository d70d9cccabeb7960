//! The control socket of a node: its methods, and what abuse of it costs nobody else.

use std::path::Path;

use erlmcp::transport::control::Order;
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::harness::{End, TestNode, request, until, within};

/// Connections that the node serves at once.
const MAX_CONNECTIONS: usize = 16;

/// A connection to the control socket.
struct Operator(BufReader<UnixStream>);

impl Operator {
    async fn connect(socket: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(socket).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// The next answer; null at the end.
    async fn answer(&mut self) -> Value {
        let mut line = String::new();
        // A reset is an end, too.
        if within(self.0.read_line(&mut line)).await.is_err() || line.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&line).unwrap()
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(&format!("{}\n", request(1, method, params))).await;
        self.answer().await
    }
}

async fn operator(node: &TestNode) -> Operator {
    Operator::connect(&node.scratch.socket()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_the_node() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let mut operator = operator(&node).await;
    assert_eq!(operator.ask("ping", json!({})).await["result"], json!({}));
    let status = operator.ask("status", json!({})).await["result"].clone();
    assert_eq!((&status["status"], &status["restarts"]), (&json!("ok"), &json!(0)), "{status}");
    assert_eq!(status["pid"], std::process::id());
    let sessions = json!([{ "era": "legacy", "transport": "http", "count": 1 }]);
    assert_eq!(status["sessions"], sessions, "{status}");
    let tree = operator.ask("tree", json!({})).await["result"].clone();
    assert_eq!(tree["text"], node.node.root().tree().to_string());
    assert_eq!(tree["tree"]["name"], "erlmcp");
    let listed = operator.ask("sessions", json!({})).await;
    let row = &listed["result"]["sessions"][0];
    assert_eq!(row["id"].as_str().unwrap(), &session.id[..8]);
    assert_eq!((&row["client"], &row["generation"]), (&json!("it"), &json!(1)), "{row}");
    assert!(!listed.to_string().contains(&session.id), "the whole id is the client's secret");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_calls_tools_as_a_client_would() {
    let node = TestNode::start().await;
    let mut operator = operator(&node).await;
    let call = |tool: &str, arguments: Value| json!({ "tool": tool, "arguments": arguments });
    let sum = operator.ask("call", call("demo__add", json!({ "a": 2, "b": 3 }))).await;
    assert_eq!(sum["result"]["content"][0]["text"], "5", "{sum}");
    let table = [
        (call("demo__nothing", json!({})), -32602),
        (call("test__panic", json!({})), -32603),
        (call("demo__echo", json!([])), -32602),
        (json!({ "tool": "test__hold", "timeout_ms": 20 }), -31001),
        (json!({ "tol": "demo__echo" }), -32602),
    ];
    for (params, code) in table {
        let answer = operator.ask("call", params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{params}: {answer}");
    }
    let metrics = node.probe("/metrics").await.text;
    assert!(metrics.contains(r#"gen_ai_tool_name="demo__add""#), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_gets_an_error_and_the_next_request_its_answer() {
    let node = TestNode::start().await;
    let mut operator = operator(&node).await;
    let ping = request(7, "ping", json!({}));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}"#, "[".repeat(200));
    let table = [
        ("hello".to_owned(), -32700),
        ("{".to_owned(), -32700),
        ("\u{0}\u{1}".to_owned(), -32700),
        ("7".to_owned(), -32600),
        (format!("[{ping}]"), -32600),
        (deep, -32600),
        (r#"{"id":1,"method":"ping"}"#.to_owned(), -32600),
        (request(1, "reboot", json!({})), -32601),
        (request(1, "stop", json!({ "when": "now" })), -32602),
        (request(1, "sessions", json!({ "cursor": 1 })), -32602),
    ];
    for (line, code) in table {
        // Neither blank lines nor notifications are answered.
        let note = r#"{"jsonrpc":"2.0","method":"ping"}"#;
        operator.send(&format!("{line}\r\n\n{note}\n{ping}\n")).await;
        assert_eq!(operator.answer().await["error"]["code"], code, "{line}");
        assert_eq!(operator.answer().await["id"], 7, "{line}");
    }
    assert!(node.node.orders().graver_than(None).now_or_never().is_none(), "nobody said stop");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_end_is_cut_off() {
    let node = TestNode::start().await;
    let mut endless = operator(&node).await;
    let piece = "x".repeat(64 * 1024);
    for _ in 0..32 {
        // The node hangs up as soon as it is too much.
        if endless.0.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(endless.answer().await["error"]["code"], -32600);
    assert_eq!(endless.answer().await, Value::Null);
    assert_eq!(operator(&node).await.ask("ping", json!({})).await["result"], json!({}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_keeps_nobody_waiting() {
    let node = TestNode::start().await;
    let mut deaf = operator(&node).await;
    let line = format!("{}\n", request(1, "tree", json!({})));
    // Until neither the node's answers nor more questions find room.
    let flood = async {
        loop {
            deaf.0.write_all(line.as_bytes()).await.unwrap();
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_millis(300), flood).await;
    assert_eq!(operator(&node).await.ask("ping", json!({})).await["result"], json!({}));
    assert_eq!(
        node.session().await.call(1, "demo__add", json!({ "a": 1, "b": 2 })).await.code(),
        0
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_connections_wait_for_room() {
    let node = TestNode::start().await;
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut one = operator(&node).await;
        one.ask("ping", json!({})).await;
        open.push(one);
    }
    let mut late = operator(&node).await;
    late.send(&format!("{}\n", request(1, "ping", json!({})))).await;
    assert_eq!(open[0].ask("ping", json!({})).await["result"], json!({}));
    let mut answer = String::new();
    assert!(late.0.read_line(&mut answer).now_or_never().is_none(), "{answer}");
    drop(open.pop());
    assert_eq!(late.answer().await["result"], json!({}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_listener_breaks_no_conversation_and_loses_none() {
    let node = TestNode::start().await;
    let mut before = operator(&node).await;
    before.send(&format!("{}\n", request(1, "call", json!({ "tool": "test__hold" })))).await;
    node.held.started().await;
    let actor = node.node.slots().control.get().unwrap();
    actor.kill();
    let mut after = operator(&node).await;
    assert_eq!(after.ask("ping", json!({})).await["result"], json!({}));
    until(|| node.node.slots().control.get().is_some_and(|a| a.get_id() != actor.get_id())).await;
    assert_eq!(after.ask("status", json!({})).await["result"]["restarts"], 1);
    node.held.release.add_permits(1);
    assert_eq!(before.answer().await["result"]["content"][0]["text"], "released");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_with_its_caller_who_may_stop_talking_before() {
    let node = TestNode::start().await;
    let line = format!("{}\n", request(1, "call", json!({ "tool": "test__hold" })));
    let mut gone = operator(&node).await;
    gone.send(&line).await;
    node.held.started().await;
    drop(gone);
    assert_eq!(node.held.ended().await, End::Dropped);
    let mut done = operator(&node).await;
    done.send(line.trim_end()).await;
    done.0.get_mut().shutdown().await.unwrap();
    node.held.started().await;
    node.held.release.add_permits(1);
    assert_eq!(done.answer().await["result"]["content"][0]["text"], "released");
    assert_eq!(done.answer().await, Value::Null);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_given_and_the_end_of_the_connection_is_the_end_of_the_node() {
    let node = TestNode::start().await;
    let mut operator = operator(&node).await;
    let ordered = operator.ask("drain", json!({})).await;
    assert!(ordered["result"]["limit_ms"].as_u64().unwrap() > 8_000, "{ordered}");
    let orders = node.node.orders();
    assert_eq!(within(orders.graver_than(None)).await, Order::Drain);
    let mut hasty = Operator::connect(&node.scratch.socket()).await;
    hasty.ask("stop", json!({})).await;
    assert_eq!(within(orders.graver_than(Some(Order::Drain))).await, Order::Stop);
    let mut rest = Vec::new();
    let ((), read) = tokio::join!(node.stop(), operator.0.read_to_end(&mut rest));
    assert!(read.is_ok() && rest.is_empty());
    assert!(std::net::TcpStream::connect(node.node.metrics_address()).is_err());
    assert!(!node.scratch.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_finishes_calls_and_takes_no_more() {
    let node = TestNode::start().await;
    let mut caller = operator(&node).await;
    caller.send(&format!("{}\n", request(1, "call", json!({ "tool": "test__hold" })))).await;
    node.held.started().await;
    let operators = async {
        let mut other = operator(&node).await;
        while other.ask("status", json!({})).await["result"]["status"] != "draining" {
            tokio::task::yield_now().await;
        }
        let refused = other.ask("call", json!({ "tool": "test__hold" })).await;
        assert_eq!(refused["error"]["code"], -31005, "{refused}");
        node.held.release.add_permits(1);
        assert_eq!(caller.answer().await["result"]["content"][0]["text"], "released");
    };
    tokio::join!(node.stop(), operators);
}
