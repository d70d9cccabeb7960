//! The modern era on the wire: events before an answer, rounds of questions, listening.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::{Event, Events};
use crate::harness::{Answer, TestNode, client, modern, modern_headers, send, until, within};

fn url(node: &TestNode) -> String {
    format!("{}/mcp", node.url)
}

/// A call of a tool of `talk`, with `_meta` and more parameters.
fn call(id: i64, tool: &str, meta: Value, more: Value) -> String {
    let mut params = json!({ "name": tool, "arguments": {}, "_meta": meta });
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    modern(id, "tools/call", params)
}

async fn post(node: &TestNode, tool: &str, body: &str) -> Answer {
    send(&client(), Method::POST, &url(node), &modern_headers("tools/call", tool), body).await
}

async fn events(node: &TestNode, method: &str, name: &str, body: &str) -> Events {
    Events::open(Method::POST, &url(node), &modern_headers(method, name), body).await
}

fn capable(capabilities: Value) -> Value {
    json!({ "io.modelcontextprotocol/clientCapabilities": capabilities })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_one_server_is_no_other_s() {
    let node = TestNode::start().await;
    let meta = capable(json!({ "elicitation": {} }));
    let post = async |server: &str, more| {
        let (body, headers) =
            (call(1, "ask", meta.clone(), more), modern_headers("tools/call", "ask"));
        node.post(&format!("/mcp/{server}"), &headers, &body).await.json()
    };
    let asked = post("talk", json!({})).await;
    let state = json!({ "requestState": asked["result"]["requestState"] });
    assert_eq!(post("talk", state.clone()).await["result"]["resultType"], "input_required");
    let refused = post("demo", state).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_comes_before_the_answer() {
    let node = TestNode::start().await;
    let (progress, message) = ("notifications/progress", "notifications/message");
    let level = |level: &str| json!({ "io.modelcontextprotocol/logLevel": level });
    let table = [
        (json!({}), vec![]),
        (json!({ "progressToken": 7 }), vec![progress, progress]),
        (level("error"), vec![message]),
        (level("debug"), vec![message, message, message]),
    ];
    for (meta, expected) in table {
        let body = call(1, "talk__tell", meta.clone(), json!({}));
        if expected.is_empty() {
            let answer = post(&node, "talk__tell", &body).await;
            assert_eq!(answer.json()["result"]["content"][0]["text"], "told");
            continue;
        }
        let mut all = Vec::new();
        let mut stream = events(&node, "tools/call", "talk__tell", &body).await;
        while let Some(event) = stream.next().await {
            assert!(event.id.is_empty(), "nothing can be resumed: {event:?}");
            all.push(event);
        }
        let last = all.pop().unwrap().json();
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(1), &json!("complete")));
        assert_eq!(all.iter().map(Event::short).collect::<Vec<_>>(), expected, "{meta}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_end_the_request_and_their_answers_come_with_the_next() {
    let node = TestNode::start().await;
    let can = capable(json!({ "elicitation": {} }));
    let first =
        post(&node, "talk__ask", &call(1, "talk__ask", can.clone(), json!({}))).await.json();
    let result = &first["result"];
    assert_eq!(result["resultType"], "input_required");
    assert_eq!(result["inputRequests"]["who"]["method"], "elicitation/create");
    let state = result["requestState"].as_str().unwrap();
    let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
    let retry = |id, tool: &str, state: &str, answers: Value| {
        call(id, tool, can.clone(), json!({ "requestState": state, "inputResponses": answers }))
    };
    let done =
        post(&node, "talk__ask", &retry(2, "talk__ask", state, json!({ "who": answer }))).await;
    let done = done.json();
    assert_eq!(done["result"]["content"][0]["text"], "Hello \"Ada\", \"kept\"");
    assert_eq!(done["result"]["resultType"], "complete");
    // The wrong answer: the question comes again.
    let again =
        post(&node, "talk__ask", &retry(3, "talk__ask", state, json!({ "x": answer }))).await;
    assert_eq!(again.json()["result"]["resultType"], "input_required");
    // A state that belongs to another request, or to nobody.
    let mut broken = state.to_owned();
    broken.replace_range(10..11, if state.as_bytes()[10] == b'A' { "B" } else { "A" });
    for (tool, state) in [("talk__tell", state), ("talk__ask", broken.as_str())] {
        let refused = post(&node, tool, &retry(4, tool, state, json!({ "who": answer }))).await;
        assert_eq!(refused.code(), -32602, "{refused:?}");
    }
    let odd = post(&node, "talk__ask", &retry(5, "talk__ask", state, json!({ "who": 7 }))).await;
    assert_eq!(odd.code(), -32602);
    let incapable = post(&node, "talk__ask", &call(6, "talk__ask", json!({}), json!({}))).await;
    assert_eq!((incapable.status, incapable.code()), (StatusCode::BAD_REQUEST, -32021));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_survives_a_restart_where_the_node_has_a_cookie() {
    let cookie = |config: &mut erlmcp::config::Config| {
        config.node.cookie = serde_json::from_value(json!("a secret of our own")).unwrap();
    };
    let can = capable(json!({ "elicitation": {} }));
    let node = TestNode::start_with(cookie).await;
    let first =
        post(&node, "talk__ask", &call(1, "talk__ask", can.clone(), json!({}))).await.json();
    node.stop().await;
    let node = TestNode::start_with(cookie).await;
    let answer = json!({ "who": { "action": "accept", "content": { "name": "Ada" } } });
    let more = json!({ "requestState": first["result"]["requestState"], "inputResponses": answer });
    let done = post(&node, "talk__ask", &call(2, "talk__ask", can, more)).await.json();
    assert_eq!(done["result"]["content"][0]["text"], "Hello \"Ada\", \"kept\"");
    node.stop().await;
}

fn listen(id: Value, notifications: Value) -> String {
    modern(id, "subscriptions/listen", json!({ "notifications": notifications }))
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_told_what_they_asked_for_and_of_the_end() {
    let node = TestNode::start().await;
    let uris = json!({ "resourceSubscriptions": ["talk://clock"], "toolsListChanged": true });
    let body = listen(json!("s"), uris.clone());
    let mut both = events(&node, "subscriptions/listen", "", &body).await;
    let mut quiet = events(&node, "subscriptions/listen", "", &listen(json!(2), json!({}))).await;
    for (stream, id, told) in [(&mut both, json!("s"), uris), (&mut quiet, json!(2), json!({}))] {
        let first = stream.next().await.unwrap().json();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["notifications"], told);
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    }
    node.talker.update("talk://other");
    node.talker.update("talk://clock");
    let updated = both.next().await.unwrap().json();
    assert_eq!(updated["params"]["uri"], "talk://clock");
    assert_eq!(updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s");
    node.talker.grow();
    assert_eq!(both.next().await.unwrap().short(), "notifications/tools/list_changed");
    let (_, both, quiet) = tokio::join!(node.stop(), both.next(), quiet.next());
    for (last, id) in [(both, json!("s")), (quiet, json!(2))] {
        let last = last.unwrap().json();
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&id, &json!("complete")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_left_is_forgotten_and_cancels_its_call() {
    let node = TestNode::start().await;
    let streams = r#"erlmcp_open_streams{era="modern",transport="http"} "#;
    let open = |number: usize| {
        let text = node.node.metrics().encode().unwrap();
        text.contains(&format!("{streams}{number}\n"))
    };
    let listening = listen(json!(1), json!({ "toolsListChanged": true }));
    let listening = events(&node, "subscriptions/listen", "", &listening).await;
    let waiting = call(2, "talk__wait", json!({ "progressToken": 1 }), json!({}));
    let mut waiting = events(&node, "tools/call", "talk__wait", &waiting).await;
    assert_eq!(waiting.next().await.unwrap().short(), "notifications/progress");
    assert!(open(2));
    drop((listening, waiting));
    until(|| open(0)).await;
    until(|| node.node.metrics().in_flight.get() == 0).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_comes_by_events_and_json_alone_waits() {
    let node = TestNode::start().await;
    let body = call(1, "test__hold", json!({}), json!({}));
    let mut slow = events(&node, "tools/call", "test__hold", &body).await;
    node.held.started().await;
    let alone = tokio::spawn({
        let (url, body) = (url(&node), body.clone());
        async move {
            let headers = modern_headers("tools/call", "test__hold");
            send(&client(), Method::POST, &url, &headers, &body).await
        }
    });
    node.held.started().await;
    node.held.release.add_permits(2);
    assert_eq!(slow.rest().await, ["result"]);
    assert!(slow.comments > 0, "a comment told that it is alive");
    assert_eq!(within(alone).await.unwrap().content_type, "application/json");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrored_arguments_have_to_agree() {
    let node = TestNode::start().await;
    let with = |arguments: Value| {
        modern(1, "tools/call", json!({ "name": "talk__headers", "arguments": arguments }))
    };
    let table = [
        (with(json!({ "region": "eu" })), Some("eu"), 0),
        (with(json!({ "region": "é" })), Some("=?base64?w6k=?="), 0),
        (with(json!({ "region": "eu" })), Some("us"), -32020),
        (with(json!({ "region": "eu" })), None, -32020),
        (with(json!({})), Some("eu"), -32020),
        (with(json!({})), None, 0),
    ];
    for (body, header, code) in table {
        let mut headers = modern_headers("tools/call", "talk__headers");
        headers.extend(header.map(|value| ("mcp-param-region", value)));
        headers.push(("mcp-param-unknown", "ignored"));
        let answer = send(&client(), Method::POST, &url(&node), &headers, &body).await;
        assert_eq!(answer.code(), code, "{header:?} {body}: {answer:?}");
        let status = if code == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, status);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_prompts_and_completions() {
    let node = TestNode::start().await;
    let ask = async |method: &'static str, name: &'static str, params: Value| {
        let headers = modern_headers(method, name);
        send(&client(), Method::POST, &url(&node), &headers, &modern(1, method, params)).await
    };
    let read = ask("resources/read", "talk://clock", json!({ "uri": "talk://clock" })).await.json();
    assert_eq!(read["result"]["contents"][0]["text"], "tick");
    assert_eq!(
        (&read["result"]["ttlMs"], &read["result"]["cacheScope"]),
        (&json!(0), &json!("private"))
    );
    for uri in ["talk://gone", "nobody://x"] {
        let gone = ask("resources/read", uri, json!({ "uri": uri })).await;
        assert_eq!((gone.code(), &gone.json()["error"]["data"]["uri"]), (-32602, &json!(uri)));
    }
    let prompt = json!({ "name": "talk__greet", "arguments": { "who": "Ada" } });
    let prompt = ask("prompts/get", "talk__greet", prompt).await.json();
    assert_eq!(prompt["result"]["messages"][0]["role"], "user");
    let reference = json!({ "type": "ref/prompt", "name": "talk__greet" });
    let complete = json!({ "ref": reference, "argument": { "name": "who", "value": "A" } });
    let complete = ask("completion/complete", "", complete).await.json();
    assert_eq!(complete["result"]["completion"]["values"], json!(["A"]));
    let reference = json!({ "type": "ref/prompt", "name": "x" });
    let unknown = json!({ "ref": reference, "argument": { "name": "a", "value": "" } });
    assert_eq!(ask("completion/complete", "", unknown).await.code(), -32602);
    for (method, member) in [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let list = ask(method, "", json!({})).await.json();
        assert!(!list["result"][member].as_array().unwrap().is_empty(), "{list}");
        assert_eq!(ask(method, "", json!({ "cursor": "x" })).await.code(), -32602);
    }
    node.stop().await;
}
