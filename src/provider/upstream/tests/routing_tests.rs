//! Many clients, one instance: everything reaches whom it belongs to, and nobody else.

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::json;
use tokio::task::yield_now;

use super::client::{Client, Request, asked, failed, provider, raw};
use super::fake::{Fake, everything, legacy, modern, reason};
use crate::protocol::call::ToolCall;
use crate::protocol::{AskError, ClientCapabilities, Code, Level, Operation};
use crate::provider::upstream::{Failure, Order, Over, Parked};

fn tool(name: &str) -> Operation {
    Operation::CallTool(ToolCall { name: name.into(), arguments: None, task: None })
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_calls_in_any_order_byte_by_byte() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, _) = Client::legacy("1");
    let client = Arc::new(client);
    let sent = ["[1.10]", r#"{"a":"\u00e9"}"#, "{ }"]
        .map(|arguments| Request::echo(&client, arguments).send(&provider));
    let play = async {
        let mut ids = Vec::new();
        for arguments in ["[1.10]", r#"{"a":"\u00e9"}"#, "{ }"] {
            let request = fake.request().await;
            let params = format!(r#"{{"name":"echo","arguments":{arguments}}}"#);
            let text = String::from_utf8(request.outbound.text.to_vec()).unwrap();
            assert!(text.ends_with(&format!(r#""params":{params}}}"#)), "{text}");
            ids.push((request.id, arguments));
        }
        assert_eq!(connection.in_flight(), 3);
        for (id, arguments) in ids.iter().rev() {
            let result = format!(r#"{{ "content":[ ], "sent": {arguments} }}"#);
            fake.answer(*id, &result);
            // Twice, and under ids that nobody has.
            fake.answer(*id, "{}");
            fake.say(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, None);
            fake.answer(9_999, "{}");
        }
    };
    let (results, ()) = tokio::join!(futures_util::future::join_all(sent), play);
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results[0], r#"{ "content":[ ], "sent": [1.10] }"#);
    assert_eq!(results[1], r#"{ "content":[ ], "sent": {"a":"\u00e9"} }"#);
    assert_eq!((connection.in_flight(), connection.strays()), (0, 9));
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_its_own_client_under_its_own_token() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let [one, two, silent] = ["1", "2", "3"].map(|session| Arc::new(Client::legacy(session).0));
    // Clients choose the same token, and progress means the same to none of them.
    let first = Request::echo(&one, "{}").with_token(r#""t""#).send(&provider);
    let second = Request::echo(&two, "{}").with_token(r#""t""#).send(&provider);
    let third = Request::echo(&silent, "{}").send(&provider);
    let play = async {
        let asked = [fake.request().await, fake.request().await, fake.request().await];
        let tokens = asked.iter().map(|asked| asked.params["_meta"]["progressToken"].clone());
        assert_eq!(
            tokens.collect::<Vec<_>>(),
            [json!(asked[0].id), json!(asked[1].id), json!(null)]
        );
        let tell = |id: u64, rest: &str| {
            fake.tell("notifications/progress", &format!(r#"{{"progressToken":{id},{rest}}}"#));
        };
        tell(asked[0].id, r#""progress":1, "x":[1.0]"#);
        tell(asked[1].id, r#""progress":5e-1"#);
        tell(asked[0].id, r#""progress":1"#);
        tell(asked[2].id, r#""progress":1"#);
        tell(777, r#""progress":1"#);
        fake.tell("notifications/progress", r#"{"progressToken":"t","progress":2}"#);
        for asked in &asked {
            fake.answer(asked.id, "{}");
        }
        // Too late.
        tell(asked[0].id, r#""progress":9"#);
    };
    let (.., ()) = tokio::join!(first, second, third, play);
    let progress =
        |rest: &str| vec![format!(r#"notifications/progress {{"progressToken":"t",{rest}}}"#)];
    assert_eq!(one.told(), progress(r#""progress":1, "x":[1.0]"#));
    assert_eq!(two.told(), progress(r#""progress":5e-1"#));
    assert!(silent.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_left_is_cancelled_at_its_server_alone() {
    for (over, is_modern) in
        [(Over::Stdio, false), (Over::Http, false), (Over::Stdio, true), (Over::Http, true)]
    {
        let capabilities = json!({ "tools": {} });
        let (connection, mut fake) = match is_modern {
            false => legacy(over, &capabilities).await,
            true => modern(over, &capabilities).await,
        };
        let provider = provider(&connection, &Parked::default());
        let client = Arc::new(Client::legacy("1").0);
        let mut left = Request::echo(&client, "{}").send(&provider);
        let stays = Request::echo(&client, "{}").send(&provider);
        assert!((&mut left).now_or_never().is_none());
        let asked = fake.request().await;
        drop(left);
        let play = async {
            if !(is_modern && over == Over::Http) {
                let cancelled = fake.message().await;
                assert_eq!(cancelled["method"], "notifications/cancelled");
                assert_eq!(cancelled["params"]["requestId"], asked.id);
            }
            assert!(matches!(fake.order().await, Order::Abandon(id) if id == asked.id));
            fake.answer(asked.id, "{}");
            let other = fake.request().await;
            fake.answer(other.id, r#"{"other":1}"#);
        };
        let (result, ()) = tokio::join!(stays, play);
        assert_eq!(result.unwrap(), r#"{"other":1}"#);
        assert_eq!(connection.strays(), 1);
        assert!(fake.is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_answers_each_call_once_and_later_ones_at_once() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let client = Arc::new(Client::legacy("1").0);
    let calls = [(); 2].map(|()| Request::echo(&client, "{}").send(&provider));
    let play = async {
        fake.request().await;
        fake.request().await;
        connection.close("killed by signal 9");
        connection.close("again");
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(calls), play);
    for outcome in outcomes {
        let error = failed(outcome);
        assert_eq!((error.code, reason(&error)), (Code::UpstreamLost, "upstream_lost"));
        assert!(error.message.contains("killed by signal 9"), "{}", error.message);
    }
    let error = failed(Request::echo(&client, "{}").send(&provider).await);
    assert_eq!((error.code, reason(&error)), (Code::UpstreamDown, "upstream_down"));
    assert_eq!(connection.ping().await.unwrap_err().code, Code::UpstreamDown);
    assert!(fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_server_pass_and_failures_name_it() {
    let (connection, mut fake) = legacy(Over::Http, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let client = Arc::new(Client::legacy("1").0);
    let large = Failure::TooLarge { limit_bytes: 10 };
    let status = Failure::Status { status: 503, body: "a secret".into() };
    let cases = [
        (large, Code::UpstreamInvalid),
        (status, Code::UpstreamInvalid),
        (Failure::Lost("reset".into()), Code::UpstreamLost),
        (Failure::Unreachable("refused".into()), Code::UpstreamDown),
    ];
    for (failure, code) in cases {
        let play = async {
            let asked = fake.request().await;
            fake.fail(asked.id, failure);
        };
        let (outcome, ()) = tokio::join!(Request::echo(&client, "{}").send(&provider), play);
        let error = failed(outcome);
        assert_eq!(error.code, code);
        assert!(error.message.contains("\"up\"") && !error.message.contains("secret"));
    }
    let own = json!({ "code": -31_337, "message": "Own", "data": { "b": [1], "a": null } });
    let play = async {
        let asked = fake.request().await;
        fake.refuse_with(asked.id, &own);
        let asked = fake.request().await;
        fake.answer(asked.id, "[]");
        let asked = fake.request().await;
        fake.refuse_with(asked.id, &json!("no object"));
    };
    let calls = async {
        let error = failed(Request::echo(&client, "{}").send(&provider).await);
        assert_eq!((error.code, error.message.as_str()), (Code::Other(-31_337), "Own"));
        assert_eq!(error.data.as_ref(), Some(&own["data"]));
        let error = failed(Request::echo(&client, "{}").send(&provider).await);
        assert_eq!(error.code, Code::UpstreamInvalid);
        let error = failed(Request::echo(&client, "{}").send(&provider).await);
        assert_eq!(error.code, Code::InternalError);
    };
    tokio::join!(calls, play);
}

#[tokio::test(start_paused = true)]
async fn a_question_reaches_the_client_of_its_call_and_the_answer_goes_back() {
    let (connection, mut fake) = legacy(Over::Http, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (one, mut of_one) = Client::legacy("1");
    let (two, mut of_two) = Client::legacy("2");
    let (one, two) = (Arc::new(one), Arc::new(two));
    let calls = [&one, &two].map(|client| Request::echo(client, "{}").send(&provider));
    let play = async {
        let (first, second) = (fake.request().await, fake.request().await);
        let form = json!({ "message": "Who?", "requestedSchema": { "type": "object" } });
        // The server has the same ids as the node; that means nothing.
        fake.ask(2, "elicitation/create", &form, Some(second.id));
        fake.ask(1, "sampling/createMessage", &json!({ "messages": [] }), Some(first.id));
        // Without a stream nobody knows whose it is, so nobody is asked.
        fake.ask(3, "roots/list", &json!({}), None);
        let refused = fake.message().await;
        assert_eq!(refused["id"], 3);
        assert!(refused["error"]["message"].as_str().unwrap().contains("share = \"session\""));

        let (ask, reply) = of_two.next().await;
        assert!(ask.params.unwrap().get().contains("Who?"));
        reply.send(Ok(raw(r#"{"action": "accept"}"#))).unwrap();
        assert_eq!(
            fake.message().await,
            json!({
                "jsonrpc": "2.0", "id": 2, "result": { "action": "accept" },
            })
        );
        let (_, reply) = of_one.next().await;
        reply.send(Err(AskError::Refused { code: -1, message: "User rejected".into() })).unwrap();
        let refused = fake.message().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-1)));
        fake.answer(first.id, "{}");
        fake.answer(second.id, "{}");
    };
    tokio::join!(futures_util::future::join_all(calls), play);
    assert!(fake.is_idle());
}

#[tokio::test(start_paused = true)]
async fn the_only_call_is_asked_what_came_without_a_stream() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, mut questions) = Client::legacy("1");
    let call = Request::echo(&Arc::new(client), "{}").send(&provider);
    // Before anybody called, and after.
    fake.ask(1, "roots/list", &json!({}), None);
    assert_eq!(fake.message().await["error"]["code"], -32603);
    let play = async {
        let asked = fake.request().await;
        fake.ask(2, "roots/list", &json!({}), None);
        fake.ask(3, "roots/list", &json!({}), None);
        let (_, withdrawn) = questions.next().await;
        let (_, reply) = questions.next().await;
        // The server withdraws the first: the client isn't waited for any more.
        fake.tell("notifications/cancelled", r#"{"requestId":2}"#);
        let mut withdrawn = withdrawn;
        withdrawn.closed().await;
        // The answer to a call ends what was asked for it; the server hears of that.
        fake.answer(asked.id, "{}");
        assert_eq!(fake.message().await["id"], 3);
        let mut reply = reply;
        reply.closed().await;
        fake.ask(4, "roots/list", &json!({}), None);
        assert_eq!(fake.message().await["id"], 4);
    };
    let (result, ()) = tokio::join!(call, play);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_is_not_asked_what_it_cannot() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (client, _questions) = Client::legacy("1");
    let form = ClientCapabilities { elicitation_form: true, ..ClientCapabilities::default() };
    let client = Arc::new(client.able(form));
    let call = Request::echo(&client, "{}").send(&provider);
    let play = async {
        let asked = fake.request().await;
        let cases = [
            ("sampling/createMessage", json!({}), json!(-32601)),
            ("elicitation/create", json!({ "mode": "url" }), json!(-32602)),
            ("roots/list", json!({}), json!(-32601)),
            ("tools/list", json!({}), json!(-32601)),
            ("ping", json!({}), json!(null)),
        ];
        for (id, (method, params, code)) in (1..).zip(cases) {
            fake.ask(id, method, &params, None);
            let answer = fake.message().await;
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &code), "{method}");
        }
        fake.answer(asked.id, "{}");
    };
    let (result, ()) = tokio::join!(call, play);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn log_messages_reach_who_wants_them() {
    let (connection, mut fake) = legacy(Over::Http, &json!({ "logging": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let loud = Client::legacy("1").0.hearing(Some(Level::Debug));
    let quiet = Client::legacy("2").0.hearing(Some(Level::Error));
    let (loud, quiet) = (Arc::new(loud), Arc::new(quiet));
    let calls = async {
        tokio::join!(
            Request::echo(&quiet, "{}").send(&provider),
            Request::echo(&loud, "{}").send(&provider),
            Request::echo(&quiet, "{}").send(&provider),
        )
    };
    let say = |fake: &Fake, level: &str, of| {
        let params = format!(r#"{{"level":"{level}", "data":1.0}}"#);
        let method = r#""method":"notifications/message""#;
        let text = format!(r#"{{"jsonrpc":"2.0",{method},"params":{params}}}"#);
        fake.say(&text, of);
    };
    let play = async {
        // The server is told the lowest level that somebody wants, once.
        let mut asked = Vec::new();
        let mut levels = Vec::new();
        while asked.len() < 3 {
            let request = fake.request().await;
            match request.method.as_str() {
                "logging/setLevel" => {
                    levels.push(request.params["level"].clone());
                    fake.answer(request.id, "{}");
                }
                _ => asked.push(request.id),
            }
        }
        assert_eq!(levels, [json!("error"), json!("debug")]);
        say(&fake, "info", Some(asked[0]));
        say(&fake, "info", Some(asked[1]));
        say(&fake, "error", Some(asked[2]));
        say(&fake, "error", None);
        fake.answer(asked[0], "{}");
        fake.answer(asked[2], "{}");
        // The calls have to be done before there is an only one.
        yield_now().await;
        say(&fake, "alert", None);
        fake.answer(asked[1], "{}");
        yield_now().await;
        say(&fake, "alert", None);
    };
    let ((first, second, third), ()) = tokio::join!(calls, play);
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    let message =
        |level: &str| format!(r#"notifications/message {{"level":"{level}", "data":1.0}}"#);
    assert_eq!(loud.told(), [message("info"), message("alert")]);
    assert_eq!(quiet.told(), [message("error")]);
    assert_eq!(connection.strays(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_was_sent_to_a_url_hears_that_it_was_there() {
    let (connection, mut fake) = legacy(Over::Http, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let (one, mut questions) = Client::legacy("1");
    let (one, two) = (Arc::new(one), Arc::new(Client::legacy("2").0));
    let calls = [&one, &two].map(|client| Request::echo(client, "{}").send(&provider));
    let play = async {
        let (first, second) = (fake.request().await, fake.request().await);
        let visit = json!({ "mode": "url", "url": "https://a.test", "elicitationId": "e1" });
        fake.ask(1, "elicitation/create", &visit, Some(first.id));
        let (_, reply) = questions.next().await;
        reply.send(Ok(raw(r#"{"action":"accept"}"#))).unwrap();
        fake.message().await;
        for id in ["e1", "e1", "unknown"] {
            let params = format!(r#"{{"elicitationId":"{id}"}}"#);
            fake.tell("notifications/elicitation/complete", &params);
        }
        fake.answer(first.id, "{}");
        fake.answer(second.id, "{}");
    };
    tokio::join!(futures_util::future::join_all(calls), play);
    let told = r#"notifications/elicitation/complete {"elicitationId":"e1"}"#;
    assert_eq!((one.told(), two.told()), (vec![told.to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_modern_client_visits_the_urls_of_an_error_and_calls_anew() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let able = Arc::new(Client::modern("p"));
    let unable = Client::modern("p").able(ClientCapabilities::default());
    let url = json!({ "mode": "url", "url": "https://a.test", "elicitationId": "e" });
    let error = json!({ "code": -32042, "message": "Visit", "data": { "elicitations": [url] } });
    let play = async {
        for _ in 0..2 {
            let asked = fake.request().await;
            fake.refuse_with(asked.id, &error);
        }
        let asked = fake.request().await;
        assert_eq!(asked.params, json!({ "name": "echo", "arguments": {} }));
        fake.answer(asked.id, "{}");
    };
    let calls = async {
        let request = Request::echo(&able, "{}");
        let questions = asked(request.send(&provider).await);
        assert_eq!(questions.asks.keys().collect::<Vec<_>>(), ["visit-1"]);
        let error = failed(Request::echo(&Arc::new(unable), "{}").send(&provider).await);
        assert_eq!((error.code, error.message.as_str()), (Code::InternalError, "Visit"));
        let answers = [("visit-1", json!({ "action": "accept" }))];
        request.again(&questions, &answers).send(&provider).await.unwrap();
    };
    tokio::join!(calls, play);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_a_task_is_called_as_one_by_everybody() {
    let (connection, mut fake) = legacy(Over::Stdio, &everything()).await;
    let provider = provider(&connection, &Parked::default());
    let (client, mut questions) = Client::legacy("1");
    let client = Arc::new(client.hearing(None));
    let call = Request::of(&client, tool("job")).send(&provider);
    let play = async {
        // Nobody has asked yet which tools there are.
        for _ in 0..4 {
            let list = fake.request().await;
            let tools = r#"{"tools":[{"name":"job","execution":{"taskSupport":"required"}}]}"#;
            match list.method.as_str() {
                "tools/list" => fake.answer(list.id, tools),
                _ => fake.refuse(list.id, -32601, "none"),
            }
        }
        let creation = fake.request().await;
        assert_eq!(creation.params, json!({ "name": "job", "task": {} }));
        fake.answer(creation.id, r#"{"task":{"taskId":"t1","status":"working"}}"#);
        let wait = fake.request().await;
        assert_eq!(
            (wait.method.as_str(), &wait.params),
            ("tasks/result", &json!({ "taskId": "t1" }))
        );
        fake.ask(1, "roots/list", &json!({}), None);
        questions.next().await.1.send(Ok(raw(r#"{"roots":[]}"#))).unwrap();
        assert_eq!(fake.message().await["result"], json!({ "roots": [] }));
        let related = r#""io.modelcontextprotocol/related-task":{"taskId":"t1"}"#;
        fake.answer(wait.id, &format!(r#"{{"content":[],"_meta":{{{related},"x":1}}}}"#));
    };
    let (result, ()) = tokio::join!(call, play);
    assert_eq!(result.unwrap(), r#"{"content":[],"_meta":{"x":1}}"#);
    assert!(fake.is_idle());

    let left = Request::of(&client, tool("job")).send(&provider);
    let play = async {
        let creation = fake.request().await;
        fake.answer(creation.id, r#"{"task":{"taskId":"t2"}}"#);
        fake.request().await.id
    };
    let id = tokio::select! {
        _ = left => panic!("nothing was answered"),
        id = play => id,
    };
    assert_eq!(fake.message().await["params"]["requestId"], id);
    assert!(matches!(fake.order().await, Order::Abandon(_)));
    let cancel = fake.request().await;
    assert_eq!(
        (cancel.method.as_str(), cancel.params),
        ("tasks/cancel", json!({ "taskId": "t2" }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_with_a_limit_of_its_own_is_not_waited_for_longer() {
    let (connection, mut fake) = legacy(Over::Stdio, &json!({ "tools": {} })).await;
    let provider = provider(&connection, &Parked::default());
    let client = Arc::new(Client::legacy("1").0);
    let error = failed(Request::echo(&client, "{}").send(&provider).await);
    assert_eq!(error.code, Code::TimedOut);
    let asked = fake.request().await;
    assert_eq!(fake.message().await["params"]["requestId"], asked.id);
}
