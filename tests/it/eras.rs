//! Both eras do their work at the same endpoint.

use serde_json::json;

use crate::harness::{MODERN, Session, TestNode, client, modern, modern_headers, request};

#[tokio::test(flavor = "multi_thread")]
async fn session_era_clients_list_and_call() {
    let node = TestNode::start().await;
    for revision in ["2025-06-18", "2025-11-25"] {
        let session = Session::open(client(), &format!("{}/mcp", node.url), revision).await;
        let list = session.post(&request("l", "tools/list", json!({}))).await.json();
        let tools = list["result"]["tools"].as_array().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"demo__add"), "{names:?}");
        assert!(names.ends_with(&["test__hold", "test__panic"]), "{names:?}");
        assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"), "{list}");
        assert!(list["result"].get("resultType").is_none());
        let answer = session.call("a", "demo__add", json!({ "a": 2, "b": 3 })).await.json();
        assert_eq!(answer["id"], "a");
        assert_eq!(answer["result"]["content"], json!([{ "type": "text", "text": "5" }]));
        let answer = session.call(9, "demo__echo", json!({ "text": 1 })).await;
        if revision == "2025-06-18" {
            assert_eq!(answer.code(), -32602, "{answer:?}");
        } else {
            assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_clients_discover_list_and_call() {
    let node = TestNode::start().await;
    let discover = modern("d", "server/discover", json!({}));
    let answer = node.post("/mcp", &modern_headers("server/discover", ""), &discover).await.json();
    let result = &answer["result"];
    let served = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    assert_eq!(result["supportedVersions"], json!(served));
    assert_eq!(
        (&result["resultType"], &result["cacheScope"]),
        (&"complete".into(), &"public".into())
    );
    assert!(result["ttlMs"].is_u64());
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info["name"], "erlmcp");
    let call = modern(5, "tools/call", json!({ "name": "add", "arguments": { "a": 1, "b": 1 } }));
    let answer = node.post("/mcp/demo", &modern_headers("tools/call", "add"), &call).await;
    assert!(answer.session.is_none());
    let answer = answer.json();
    assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&json!(5), &json!("complete")));
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 2.0 }));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_own_endpoint_has_plain_names_and_its_own_sessions() {
    let node = TestNode::start().await;
    let own = Session::open(client(), &format!("{}/mcp/demo", node.url), "2025-11-25").await;
    let list = own.post(&request(1, "tools/list", json!({}))).await.json();
    let names: Vec<_> =
        list["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["add", "ask", "echo", "fail", "slow", "summarize"]);
    let answer = own.call(1, "echo", json!({ "text": "é" })).await.json();
    assert_eq!(answer["result"]["content"][0]["text"], "é");
    let elsewhere = Session { url: format!("{}/mcp", node.url), ..own };
    assert_eq!(elsewhere.call(1, "echo", json!({ "text": "x" })).await.status.as_u16(), 404);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_only_events_gets_one() {
    let node = TestNode::start().await;
    let session = node.session().await;
    let headers = [("mcp-session-id", session.id.as_str()), ("accept", "text/event-stream")];
    let answer = node.post("/mcp", &headers, &request(3, "ping", json!({}))).await;
    assert_eq!(answer.content_type, "text/event-stream");
    let expected = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}\n\n";
    assert_eq!(answer.text, expected);
    node.stop().await;
}
