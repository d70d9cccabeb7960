//! Clients of either era before servers of either era: whatever the one can do, it can do with the
//! other.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::behind::{Behind, unruly};
use crate::events::Events;
use crate::harness::{Answer, Session, modern, modern_headers, request, send};

/// A server of each era; both do the same.
const SERVERS: [&str; 2] = ["legacy", "modern"];
/// What the clients say they can do.
fn capabilities() -> Value {
    json!({ "elicitation": {}, "sampling": {}, "roots": {} })
}

async fn start() -> Behind {
    let node = Behind::start(json!({ "legacy": unruly(&[]), "modern": unruly(&["--modern"]) }));
    for server in SERVERS {
        node.ready(server).await;
    }
    node
}

/// A client of either era.
enum Client<'a> {
    Legacy(Session),
    Modern(&'a Behind),
}

impl Client<'_> {
    async fn both(node: &Behind) -> [Client<'_>; 2] {
        [Client::Legacy(node.session(capabilities()).await), Client::Modern(node)]
    }

    fn era(&self) -> &'static str {
        match self {
            Self::Legacy(_) => "legacy",
            Self::Modern(_) => "modern",
        }
    }

    /// One request, answered by one message.
    async fn ask(&self, method: &str, name: &str, params: Value) -> Answer {
        self.send(method, name, params, "application/json").await
    }

    /// One request, answered by what the client takes.
    async fn send(&self, method: &str, name: &str, params: Value, takes: &str) -> Answer {
        let (client, url, mut headers, body) = match self {
            Self::Legacy(session) => {
                let headers = vec![("mcp-session-id", session.id.as_str())];
                (&session.client, session.url.clone(), headers, request(1, method, params))
            }
            Self::Modern(node) => {
                let (headers, body) = (modern_headers(method, name), modern(1, method, params));
                (&node.client, node.process.url(), headers, body)
            }
        };
        headers.push(("accept", takes));
        send(client, Method::POST, &url, &headers, &body).await
    }

    async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.ask("tools/call", tool, json!({ "name": tool, "arguments": arguments })).await
    }

    /// A call that is answered by events; `meta` is what the client asks for.
    async fn events(&self, tool: &str, arguments: Value, meta: Value) -> Events {
        let mut params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        match self {
            Self::Legacy(session) => session.events(&request(1, "tools/call", params)).await,
            Self::Modern(node) => {
                params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities();
                let headers = modern_headers("tools/call", tool);
                let body = modern(1, "tools/call", params);
                Events::open(Method::POST, &node.process.url(), &headers, &body).await
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_calls_reads_prompts_and_completions() {
    let node = start().await;
    for client in Client::both(&node).await {
        for server in SERVERS {
            let at = format!("a {} client of a {server} server", client.era());
            let sum = client.call(&format!("{server}__add"), json!({ "a": 1, "b": 2.5 })).await;
            assert_eq!(sum.json()["result"]["structuredContent"]["sum"], 3.5, "{at}: {sum:?}");
            let unknown = client.call(&format!("{server}__gone"), json!({})).await;
            assert_eq!(unknown.code(), -32602, "{at}: {unknown:?}");
            let prompt = format!("{server}__greet");
            let params = json!({ "name": prompt, "arguments": { "name": "Ada" } });
            let got = client.ask("prompts/get", &prompt, params).await.json();
            assert_eq!(got["result"]["messages"][0]["content"]["text"], "Greet Ada.", "{at}");
            let reference = json!({ "type": "ref/prompt", "name": prompt });
            let argument = json!({ "name": "name", "value": "A" });
            let params = json!({ "ref": reference, "argument": argument });
            let got = client.ask("completion/complete", "", params).await.json();
            assert_eq!(got["result"]["completion"]["values"], json!(["Ada", "Alan"]), "{at}");
            types(&client, &sum.json(), &at);
        }
        for (method, member, each) in [
            ("tools/list", "tools", "legacy__echo"),
            ("prompts/list", "prompts", "modern__greet"),
            ("resources/list", "resources", "unruly://news"),
            ("resources/templates/list", "resourceTemplates", "unruly://greeting/{name}"),
        ] {
            let list = client.ask(method, "", json!({})).await.json();
            assert!(list["result"][member].to_string().contains(each), "{list}");
            types(&client, &list, method);
        }
    }
    node.stop_whole();
}

/// Results have a type where the client's era has types, and only there.
fn types(client: &Client<'_>, answer: &Value, at: &str) {
    let kind = &answer["result"]["resultType"];
    match client {
        Client::Legacy(_) => assert!(kind.is_null(), "{at}: {answer}"),
        Client::Modern(_) => assert_eq!(kind, "complete", "{at}: {answer}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_one_server_at_its_own_endpoint() {
    let node = start().await;
    for server in SERVERS {
        let url = format!("{}/{server}", node.process.url());
        let session = Session::open(node.client.clone(), &url, "2025-11-25").await;
        let ask = async |method: &'static str, params: Value| {
            let uri = params["uri"].as_str().unwrap().to_owned();
            let legacy = session.post(&request(1, method, params.clone())).await;
            let headers = modern_headers(method, &uri);
            let body = modern(1, method, params);
            let modern = send(&node.client, Method::POST, &url, &headers, &body).await;
            [legacy, modern]
        };
        for got in ask("resources/read", json!({ "uri": "unruly://greeting/Ada" })).await {
            assert_eq!(got.json()["result"]["contents"][0]["text"], "Hello, Ada!", "{server}");
        }
        let [legacy, modern] = ask("resources/read", json!({ "uri": "unruly://gone" })).await;
        assert_eq!((legacy.code(), modern.code()), (-32002, -32602), "{server}");
        assert_eq!(modern.json()["error"]["data"]["uri"], "unruly://gone");
        // Names are as the server has them.
        let call = json!({ "name": "add", "arguments": { "a": 1, "b": 1 } });
        let got = session.post(&request(1, "tools/call", call)).await;
        assert_eq!(got.json()["result"]["structuredContent"]["sum"], 2.0, "{server}");
    }
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_messages_come_before_the_answer() {
    let node = start().await;
    for client in Client::both(&node).await {
        if let Client::Legacy(session) = &client {
            let level = request(1, "logging/setLevel", json!({ "level": "info" }));
            assert_eq!(session.post(&level).await.code(), 0);
        }
        for server in SERVERS {
            let at = format!("a {} client of a {server} server", client.era());
            let (tool, token) = (format!("{server}__progress"), json!({ "progressToken": "mine" }));
            let mut events = client.events(&tool, json!({ "steps": 3, "ms": 50 }), token).await;
            let mut steps = Vec::new();
            while let Some(event) = events.next().await {
                match event.short().as_str() {
                    "notifications/progress" => {
                        let params = event.json()["params"].clone();
                        assert_eq!(params["progressToken"], "mine", "{at}");
                        steps.push(params["progress"].as_f64().unwrap());
                    }
                    "result" => assert_eq!(event.json()["id"], 1, "{at}"),
                    "priming" => {}
                    other => panic!("{at}: {other}"),
                }
            }
            assert_eq!(steps, [1.0, 2.0, 3.0], "{at}");
            let mut told = Vec::new();
            for level in ["debug", "warning"] {
                let meta =
                    json!({ "progressToken": 1, "io.modelcontextprotocol/logLevel": "info" });
                let arguments = json!({ "level": level, "text": level });
                let tool = format!("{server}__log");
                let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
                let takes = "application/json, text/event-stream";
                let answer = client.send("tools/call", &tool, params, takes).await;
                told.extend(answer.text.split("\"data\":").skip(1).map(|t| t[..8].to_owned()));
            }
            assert!(told.iter().all(|text| !text.contains("debug")), "{at}: {told:?}");
            assert!(told.iter().any(|text| text.contains("warning")), "{at}: {told:?}");
        }
    }
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_reach_the_client_and_its_answers_the_server() {
    let node = start().await;
    let asks = [
        ("ask", "elicitation/create", json!({ "action": "accept", "content": { "name": "Ada" } })),
        (
            "sample",
            "sampling/createMessage",
            json!({
                "role": "assistant",
                "model": "m",
                "content": { "type": "text", "text": "x" },
            }),
        ),
        ("roots", "roots/list", json!({ "roots": [{ "uri": "file:///r", "name": "r" }] })),
    ];
    for server in SERVERS {
        for (tool, method, answer) in &asks {
            let tool = format!("{server}__{tool}");
            let at = format!("{tool} by {method}");
            let legacy = answered_in_session(&node, &tool, method, answer).await;
            let modern = answered_by_retry(&node, &tool, method, answer).await;
            for got in [legacy, modern] {
                let text = got["result"]["content"][0]["text"].as_str();
                let text = text.unwrap_or_else(|| panic!("{at}: {got}"));
                let told: Value = serde_json::from_str(text).unwrap();
                assert_eq!(&told, answer, "{at}");
            }
        }
    }
    node.stop_whole();
}

/// The server's question is a request of the node's to the client.
async fn answered_in_session(node: &Behind, tool: &str, method: &str, answer: &Value) -> Value {
    let session = node.session(capabilities()).await;
    let params = json!({ "name": tool, "arguments": {} });
    let mut events = session.events(&request(1, "tools/call", params)).await;
    while let Some(event) = events.next().await {
        match event.short().as_str() {
            "priming" => {}
            "result" | "error" => return event.json(),
            asked => {
                assert_eq!(asked, method, "{tool}");
                let id = event.json()["id"].clone();
                let reply = json!({ "jsonrpc": "2.0", "id": id, "result": answer }).to_string();
                assert_eq!(session.post(&reply).await.status, StatusCode::ACCEPTED);
            }
        }
    }
    panic!("{tool} has no answer");
}

/// The server's question ends the request, and the client comes again with the answer.
async fn answered_by_retry(node: &Behind, tool: &str, method: &str, answer: &Value) -> Value {
    let meta = json!({ "io.modelcontextprotocol/clientCapabilities": capabilities() });
    let params = json!({ "name": tool, "arguments": {}, "_meta": meta });
    let first = node.ask("tools/call", tool, params.clone()).await;
    assert_eq!(first["result"]["resultType"], "input_required", "{tool}: {first}");
    let asked = first["result"]["inputRequests"].as_object().unwrap();
    let mut responses = json!({});
    for (key, question) in asked {
        assert_eq!(question["method"], method, "{tool}");
        responses[key] = answer.clone();
    }
    let mut retry = params;
    retry["inputResponses"] = responses;
    retry["requestState"] = first["result"]["requestState"].clone();
    node.ask("tools/call", tool, retry).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_can_t_is_not_asked() {
    let node = start().await;
    for server in SERVERS {
        for tool in ["ask", "sample", "roots"] {
            let tool = format!("{server}__{tool}");
            let modern = node.call(&tool, json!({})).await;
            let session = node.session(json!({})).await;
            let legacy = session.call(1, &tool, json!({})).await.json();
            for answer in [modern, legacy] {
                // The server is told, or the client: nobody waits for an answer that never comes.
                let told = answer.to_string();
                assert!(told.contains("error") || told.contains("code"), "{tool}: {answer}");
            }
        }
    }
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_is_not_waited_for() {
    let node = start().await;
    for client in Client::both(&node).await {
        for server in SERVERS {
            let count = format!("{server}__cancelled");
            let before: u64 = node.text(&count, json!({})).await.parse().unwrap();
            let meta = json!({ "progressToken": 1 });
            let tool = format!("{server}__progress");
            let mut events = client.events(&tool, json!({ "steps": 1_000, "ms": 50 }), meta).await;
            while events.next().await.unwrap().short() != "notifications/progress" {}
            if let Client::Legacy(session) = &client {
                let params = json!({ "requestId": 1 });
                let method = "notifications/cancelled";
                let cancel = json!({ "jsonrpc": "2.0", "method": method, "params": params });
                session.post(&cancel.to_string()).await;
            }
            drop(events);
            while node.text(&count, json!({})).await.parse::<u64>().unwrap() == before {}
        }
    }
    node.stop_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_those_who_asked() {
    let node = start().await;
    for server in SERVERS {
        let url = format!("{}/{server}", node.process.url());
        let client = node.client.clone();
        let session = Session::open(client.clone(), &url, "2025-11-25").await;
        let quiet = Session::open(client, &url, "2025-11-25").await;
        let (mut legacy, mut nothing) = (session.stream(None).await, quiet.stream(None).await);
        let uri = json!({ "uri": "unruly://news" });
        assert_eq!(session.post(&request(2, "resources/subscribe", uri)).await.code(), 0);
        let wanted =
            json!({ "resourceSubscriptions": ["unruly://news"], "toolsListChanged": true });
        let listen = modern("l", "subscriptions/listen", json!({ "notifications": wanted }));
        let headers = modern_headers("subscriptions/listen", "");
        let mut modern = Events::open(Method::POST, &url, &headers, &listen).await;
        assert_eq!(next(&mut modern).await, "notifications/subscriptions/acknowledged");
        let call = |tool: &str| json!({ "name": tool, "arguments": {} });
        for (tool, told) in [
            ("change_resource", "notifications/resources/updated"),
            ("change_tools", "notifications/tools/list_changed"),
        ] {
            // The server hears of a subscription by the side: what changes at once may be missed.
            let changed = async {
                assert_eq!(session.post(&request(3, "tools/call", call(tool))).await.code(), 0);
            };
            let (legacy, modern, ()) = tokio::join!(next(&mut legacy), next(&mut modern), changed);
            assert_eq!([legacy.as_str(), &modern], [told; 2], "{server}");
        }
        // Lists concern all sessions, resources only those that subscribed.
        assert_eq!(next(&mut nothing).await, "notifications/tools/list_changed", "{server}");
        let list = session.post(&request(4, "tools/list", json!({}))).await;
        assert!(list.text.contains("\"changing\""), "{server}: {list:?}");
    }
    node.stop_whole();
}

/// What the next event that says something is.
async fn next(events: &mut Events) -> String {
    loop {
        let short = events.next().await.expect("it goes on").short();
        if short != "priming" {
            return short;
        }
    }
}
