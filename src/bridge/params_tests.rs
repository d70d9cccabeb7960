//! Parameters in all four ways between the eras.

use super::*;

const FULL: ClientCapabilities = ClientCapabilities {
    sampling: true,
    sampling_tools: false,
    ..ClientCapabilities {
        elicitation_form: true,
        elicitation_url: false,
        sampling: false,
        sampling_tools: false,
        roots: false,
        tasks_extension: true,
    }
};

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn node() -> ClientInfo {
    ClientInfo { name: "erlmcp".into(), version: "3".into() }
}

fn hop(from: Era, to: Revision, node: &ClientInfo) -> Hop<'_> {
    Hop {
        from,
        to,
        progress_token: None,
        capabilities: FULL,
        log_level: None,
        as_task: false,
        node,
    }
}

fn tool(name: &str) -> Operation {
    Operation::CallTool(ToolCall { name: name.into(), arguments: None, task: None })
}

/// What the hop makes of a call of the tool `SERVER__echo`.
fn crossed(said: &str, hop: &Hop<'_>) -> String {
    params(&tool("echo"), Some(&raw(said)), hop, None).unwrap()
}

#[test]
fn within_the_session_era_only_the_name_and_the_token_change() {
    let node = node();
    let legacy = hop(Era::Legacy, Revision::V2025_06_18, &node);
    let said = r#"{ "arguments":{"n":1.10, "t":"\u00e9"}, "name":"s__echo","odd":[ ] }"#;
    let own = r#"{ "arguments":{"n":1.10, "t":"\u00e9"}, "name":"echo","odd":[ ] }"#;
    assert_eq!(crossed(said, &legacy), own);
    let said = r#"{"name":"s__echo","_meta":{"progressToken":"a","x":1},"task":{"ttl":5}}"#;
    let told = Hop { progress_token: Some(7), ..legacy };
    assert_eq!(crossed(said, &told), r#"{"name":"echo","_meta":{"progressToken":7,"x":1}}"#);
    // A token that is too long is none, and isn't passed on.
    assert_eq!(crossed(said, &legacy), r#"{"name":"echo","_meta":{"x":1}}"#);
    let task = Hop { as_task: true, ..legacy };
    assert_eq!(crossed(said, &task), r#"{"name":"echo","_meta":{"x":1},"task":{}}"#);
}

#[test]
fn to_a_modern_server_each_request_says_who_speaks() {
    let node = node();
    let hop = hop(Era::Legacy, Revision::V2026_07_28, &node);
    let said = r#"{"name":"s__echo","_meta":{"x":1}}"#;
    let who = r#""io.modelcontextprotocol/clientInfo":{"name":"erlmcp","version":"3"}"#;
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let can =
        r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}},"sampling":{}}"#;
    let silent = format!(r#"{{"name":"echo","_meta":{{"x":1,{version},{who},{can}}}}}"#);
    assert_eq!(crossed(said, &hop), silent);
    let level = r#""io.modelcontextprotocol/logLevel":"warning""#;
    let hop = Hop { log_level: Some(Level::Warning), progress_token: Some(9), ..hop };
    let loud =
        format!(r#"{{"name":"echo","_meta":{{"progressToken":9,{version},{who},{can},{level}}}}}"#);
    assert_eq!(crossed(r#"{"name":"s__echo"}"#, &hop), loud);
}

/// A modern client's call, with what else it says in `_meta`.
fn modern(capabilities: &str, more: &str) -> String {
    let members = [
        &format!(r#"{{"name":"s__echo","_meta":{{"{PROTOCOL_VERSION}":"2026-07-28",{more}"#),
        &format!(r#""{CLIENT_CAPABILITIES}":{capabilities},"#),
        &format!(r#""{CLIENT_INFO}":{{"name":"c","version":"0"}},"#),
        r#""traceparent":"00-1"}}"#,
    ];
    members.concat()
}

#[test]
fn to_a_legacy_server_a_modern_client_speaks_without_its_own_meta() {
    let node = node();
    let hop = hop(Era::Modern, Revision::V2025_11_25, &node);
    let said = modern("{}", r#""io.modelcontextprotocol/logLevel":"debug","progressToken":1,"#);
    assert_eq!(crossed(&said, &hop), r#"{"name":"echo","_meta":{"traceparent":"00-1"}}"#);
    let retry = r#"{"name":"s__echo","inputResponses":{"k":{}},"requestState":"sealed"}"#;
    assert_eq!(crossed(retry, &hop), r#"{"name":"echo"}"#);
}

#[test]
fn between_modern_edges_the_client_speaks_for_itself_but_for_its_name_and_tasks() {
    let node = node();
    let hop = hop(Era::Modern, Revision::V2026_07_28, &node);
    let capabilities =
        r#"{"roots":{ },"extensions":{"io.modelcontextprotocol/tasks":{}, "x/ui":{"a":1}}}"#;
    let said = modern(capabilities, r#""io.modelcontextprotocol/logLevel":"debug","#);
    let expected = said
        .replace("s__echo", "echo")
        .replace(r#"{"name":"c","version":"0"}"#, r#"{"name":"erlmcp","version":"3"}"#)
        .replace(r#""io.modelcontextprotocol/tasks":{}, "#, "");
    assert_eq!(crossed(&said, &hop), expected);
}

#[test]
fn a_retry_brings_its_own_answers_and_state() {
    let node = node();
    let hop = hop(Era::Modern, Revision::V2026_07_28, &node);
    let said = r#"{"name":"s__echo","inputResponses":{"old":{}},"requestState":"sealed"}"#;
    let answers = BTreeMap::from([("k".to_owned(), raw(r#"{"action": "accept"}"#))]);
    let state = raw(r#""up\u0073tream""#);
    let retry = Retry { answers: &answers, state: Some(&state) };
    let text = params(&tool("echo"), Some(&raw(said)), &hop, Some(retry)).unwrap();
    let expected = r#""inputResponses":{"k":{"action": "accept"}},"requestState":"up\u0073tream""#;
    assert!(text.contains(expected), "{text}");
    let none = BTreeMap::new();
    let retry = Retry { answers: &none, state: None };
    let text = params(&tool("echo"), Some(&raw(said)), &hop, Some(retry)).unwrap();
    assert!(!text.contains("inputResponses") && !text.contains("requestState"), "{text}");
}

#[test]
fn without_a_text_the_operation_is_written() {
    let node = node();
    let hop = hop(Era::Legacy, Revision::V2025_11_25, &node);
    let completion = |reference| {
        Operation::Complete(Completion {
            reference,
            argument: "a".into(),
            value: "v".into(),
            context: BTreeMap::from([("b".to_owned(), "w".to_owned())]),
        })
    };
    let prompt = PromptCall {
        name: "p".into(),
        arguments: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
    };
    let rest = json!({
        "argument": { "name": "a", "value": "v" }, "context": { "arguments": { "b": "w" } },
    });
    let with = |reference: Value| {
        let mut whole = rest.clone();
        whole["ref"] = reference;
        whole
    };
    let cases = [
        (tool("echo"), json!({ "name": "echo" })),
        (Operation::GetPrompt(prompt), json!({ "name": "p", "arguments": { "a": "1" } })),
        (Operation::ReadResource("u:1".into()), json!({ "uri": "u:1" })),
        (
            completion(Reference::Prompt("p".into())),
            with(json!({ "type": "ref/prompt", "name": "p" })),
        ),
        (
            completion(Reference::Resource("u:{a}".into())),
            with(json!({ "type": "ref/resource", "uri": "u:{a}" })),
        ),
    ];
    for (operation, expected) in cases {
        let text = params(&operation, None, &hop, None).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}

#[test]
fn a_prompt_that_is_completed_has_its_own_name() {
    let node = node();
    let hop = hop(Era::Legacy, Revision::V2025_11_25, &node);
    let operation = Operation::Complete(Completion {
        reference: Reference::Prompt("p".into()),
        argument: "a".into(),
        value: String::new(),
        context: BTreeMap::new(),
    });
    let said = r#"{"ref":{"type":"ref/prompt", "name":"s__p"},"argument":{"name":"a","value":""}}"#;
    let text = params(&operation, Some(&raw(said)), &hop, None).unwrap();
    assert_eq!(text, said.replace("s__p", "p"));
}

#[test]
fn the_nodes_own_requests_say_who_it_is_where_that_is_asked() {
    let node = node();
    let mut edits = Edits::default();
    edits.set("cursor", "").unwrap();
    let legacy = own(edits.clone(), Revision::V2024_11_05, &node).unwrap();
    assert_eq!(legacy, r#"{"cursor":""}"#);
    let modern: Value =
        serde_json::from_str(&own(edits, Revision::V2026_07_28, &node).unwrap()).unwrap();
    assert_eq!(modern["_meta"][PROTOCOL_VERSION], "2026-07-28");
    assert_eq!(modern["_meta"][CLIENT_CAPABILITIES], declared(NODE));
}
