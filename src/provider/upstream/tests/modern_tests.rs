//! Servers of the modern era, for clients of both.

use std::sync::Arc;

use serde_json::{Value, json};

use super::client::{Client, Request, asked, failed, provider, raw};
use super::fake::{Fake, modern};
use crate::protocol::call::ToolCall;
use crate::protocol::{AskError, AskKind, ClientCapabilities, Code, Operation};
use crate::provider::upstream::{Over, Parked};

/// A server's questions, with the state that it wants to see again.
fn required(requests: &Value, state: &str) -> String {
    format!(
        r#"{{"resultType":"input_required","inputRequests":{requests},"requestState":{state}}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn a_legacy_client_is_asked_and_the_server_called_again() {
    let (connection, mut fake) = modern(Over::Http, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, mut questions) = Client::legacy("1");
    let call = Request::echo(&Arc::new(client), r#"{"n":1.10}"#).send(&provider);
    let play = async {
        let first = fake.request().await;
        assert_eq!(first.outbound.name.as_deref(), Some("echo"));
        let meta = &first.params["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/logLevel"], "info");
        let can = &meta["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(can["elicitation"], json!({ "form": {}, "url": {} }));
        let requests = json!({
            "a": { "method": "elicitation/create", "params": { "mode": "url", "url": "u" } },
            "b": { "method": "roots/list" },
        });
        fake.answer(first.id, &required(&requests, r#""s\u0031""#));
        // Both at once; the order is nobody's.
        for _ in 0..2 {
            let (ask, reply) = questions.next().await;
            let answer = match ask.kind {
                AskKind::ElicitUrl => {
                    // What a legacy client needs, and modern servers don't say.
                    assert!(ask.params.unwrap().get().contains("elicitationId"));
                    r#"{"action": "accept"}"#
                }
                _ => r#"{"roots":[]}"#,
            };
            reply.send(Ok(raw(answer))).unwrap();
        }
        let second = fake.request().await;
        assert_ne!(second.id, first.id);
        let text = String::from_utf8(second.outbound.text.to_vec()).unwrap();
        let answers = r#""inputResponses":{"a":{"action": "accept"},"b":{"roots":[]}}"#;
        let state = r#""requestState":"s\u0031""#;
        assert!(text.contains(&format!("{answers},{state}")), "{text}");
        assert!(text.contains(r#""arguments":{"n":1.10}"#), "{text}");
        // It asks for nothing but to be called again.
        fake.answer(second.id, r#"{"resultType":"input_required","requestState":"s2"}"#);
        let third = fake.request().await;
        assert_eq!(third.params["requestState"], "s2");
        assert!(third.params.get("inputResponses").is_none());
        fake.answer(
            third.id,
            r#"{"content":[], "ttlMs":1,"resultType":"complete","cacheScope":"x"}"#,
        );
    };
    let (result, ()) = tokio::join!(call, play);
    assert_eq!(result.unwrap(), r#"{"content":[]}"#);
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_modern_client_brings_back_what_was_asked_last() {
    let (connection, mut fake) = modern(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let client = Arc::new(Client::modern("p"));
    let play = async {
        let first = fake.request().await;
        fake.answer(first.id, &required(&json!({ "a": { "method": "roots/list" } }), r#""s1""#));
        let second = fake.request().await;
        assert_eq!(second.params["inputResponses"], json!({ "a": { "roots": [] } }));
        assert_eq!(second.params["requestState"], "s1");
        let requests = json!({ "b": { "method": "roots/list" } });
        let no_state = format!(r#"{{"resultType":"input_required","inputRequests":{requests}}}"#);
        fake.answer(second.id, &no_state);
        let third = fake.request().await;
        assert_eq!(third.params["inputResponses"], json!({ "b": { "roots": [1] } }));
        assert!(third.params.get("requestState").is_none());
        fake.answer(third.id, r#"{"resultType":"complete", "x":1.0}"#);
    };
    let calls = async {
        let request = Request::echo(&client, "{}");
        let round = asked(request.send(&provider).await);
        assert_eq!(round.asks.keys().collect::<Vec<_>>(), ["a"]);
        let request = request.again(&round, &[("a", json!({ "roots": [] }))]);
        let round = asked(request.send(&provider).await);
        let request = request.again(&round, &[("b", json!({ "roots": [1] }))]);
        request.send(&provider).await
    };
    let (result, ()) = tokio::join!(calls, play);
    assert_eq!(result.unwrap(), r#"{"resultType":"complete", "x":1.0}"#);
}

#[tokio::test(start_paused = true)]
async fn questions_that_lead_nowhere_end_the_call() {
    let (connection, mut fake) = modern(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, mut questions) = Client::legacy("1");
    let client = Arc::new(client);
    let unable = Client::modern("p").able(ClientCapabilities::default());
    let unable = Arc::new(unable);
    let roots = required(&json!({ "a": { "method": "roots/list" } }), r#""s""#);
    let play = async {
        let asked = fake.request().await;
        fake.answer(asked.id, &roots);
        let (_, reply) = questions.next().await;
        reply.send(Err(AskError::Refused { code: -1, message: "no".into() })).unwrap();
        let asked = fake.request().await;
        fake.answer(asked.id, &roots);
        for broken in [r#"{"resultType":"task"}"#, r#"{"resultType":"input_required"}"#] {
            let asked = fake.request().await;
            fake.answer(asked.id, broken);
        }
        loop {
            let asked = fake.request().await;
            fake.answer(asked.id, r#"{"resultType":"input_required","requestState":"s"}"#);
        }
    };
    let calls = async {
        let refused = failed(Request::echo(&client, "{}").send(&provider).await);
        assert!(refused.message.contains("refused"), "{}", refused.message);
        let missing = failed(Request::echo(&unable, "{}").send(&provider).await);
        assert_eq!(missing.code, Code::MissingClientCapability);
        for _ in 0..3 {
            let error = failed(Request::echo(&client, "{}").send(&provider).await);
            assert_eq!(error.code, Code::UpstreamInvalid, "{}", error.message);
        }
    };
    tokio::select! {
        () = calls => {}
        () = play => panic!("the script never ends"),
    }
}

/// Answers the request for the tools.
async fn list(fake: &mut Fake, header: &str) {
    let list = fake.request().await;
    assert_eq!(list.method, "tools/list");
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": header },
        "n": { "type": "integer", "x-mcp-header": "N" },
    } });
    let tools = json!({ "tools": [{ "name": "echo", "inputSchema": schema }] });
    fake.answer(list.id, &tools.to_string());
}

#[tokio::test(start_paused = true)]
async fn arguments_that_headers_mirror_are_told_and_learned_anew() {
    let (connection, mut fake) = modern(Over::Http, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let client = Arc::new(Client::legacy("1").0);
    let (offer, ()) = tokio::join!(connection.offer(), list(&mut fake, "Region"));
    offer.unwrap();
    let arguments = r#"{"region":"Zürich","n":7,"other":true}"#;
    let call = ToolCall { name: "echo".into(), arguments: Some(raw(arguments)), task: None };
    let request = Request::of(&client, Operation::CallTool(call));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let play = async {
        let asked = fake.request().await;
        assert_eq!(asked.outbound.mirrored, [header("n", "7"), header("region", "Zürich")]);
        // Its tools have changed, and it was not noticed yet.
        fake.refuse(asked.id, -32020, "The header is wrong");
        list(&mut fake, "Place").await;
        let asked = fake.request().await;
        assert_eq!(asked.outbound.mirrored, [header("n", "7"), header("place", "Zürich")]);
        fake.answer(asked.id, "{}");
        // What is still wrong then, the client can't mend.
        let asked = fake.request().await;
        fake.refuse(asked.id, -32020, "The header is wrong");
        list(&mut fake, "Place").await;
        let asked = fake.request().await;
        fake.refuse(asked.id, -32020, "The header is wrong");
    };
    let calls = async {
        request.send(&provider).await.unwrap();
        let error = failed(request.send(&provider).await);
        assert_eq!(error.code, Code::InternalError);
    };
    tokio::join!(calls, play);
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_asks_nothing_on_its_own() {
    let (connection, mut fake) = modern(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, _questions) = Client::legacy("1");
    let call = Request::echo(&Arc::new(client), "{}").send(&provider);
    let play = async {
        let asked = fake.request().await;
        fake.ask(1, "roots/list", &json!({}), Some(asked.id));
        assert_eq!(fake.message().await["error"]["code"], -32601);
        fake.answer(asked.id, "{}");
    };
    let (result, ()) = tokio::join!(call, play);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn both_eras_answer_whether_they_are_there() {
    let (connection, mut fake) = modern(Over::Http, &json!({})).await;
    let play = async {
        let asked = fake.request().await;
        assert_eq!(asked.method, "server/discover");
        fake.refuse(asked.id, -32603, "broken, but there");
    };
    let (pong, ()) = tokio::join!(connection.ping(), play);
    pong.unwrap();
    let (connection, mut fake) = super::fake::legacy(Over::Stdio, &json!({})).await;
    let play = async {
        let asked = fake.request().await;
        assert_eq!(asked.method, "ping");
        fake.answer(asked.id, "{}");
    };
    let (pong, ()) = tokio::join!(connection.ping(), play);
    pong.unwrap();
}
