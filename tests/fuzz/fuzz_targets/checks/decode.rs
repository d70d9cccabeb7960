//! One input for everything that reads a message without a node: headers, a blank line, a body.
//!
//! The body goes through the decoder, and whatever it holds through all readers behind it. None may
//! panic; what one of them gives has to hold what it promises.

use std::sync::{Arc, LazyLock};

use erlmcp::catalogue::mirror::mirrors;
use erlmcp::catalogue::{Catalogue, Definition, Mirror, Offer, Scope, ServerName, Template};
use erlmcp::protocol::handshake::Initialize;
use erlmcp::protocol::header::{Headers, mirrored, name};
use erlmcp::protocol::meta::{self, Extras, ServerInfo};
use erlmcp::protocol::{
    Asked, Body, Call, Code, Era, Incoming, Limits, Method, Operation, Params, ParamsText, Request,
    RequestId, Response, ResultObject, Revision, RpcError, decode_body,
};
use erlmcp::router::{Route, list, route};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let (headers, body) = split(input);
    match decode_body(body, Limits::default()) {
        Err(error) => check_answer(&Response::error(error.id, error.error)),
        Ok(Body::One(message)) => check_message(&headers, message),
        Ok(Body::Batch(messages)) => {
            assert!((1..=Limits::default().batch).contains(&messages.len()));
            for message in messages {
                match message {
                    Err(error) => check_answer(&Response::error(error.id, error.error)),
                    Ok(message) => check_message(&headers, message),
                }
            }
        }
    }
    check_template(&headers);
}

/// Headers up to the first empty line, where there is one; the body behind it.
fn split(input: &[u8]) -> (Headers, &[u8]) {
    let mut headers = Headers::default();
    let Some(at) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return (headers, input);
    };
    let (head, body) = input.split_at(at);
    for line in String::from_utf8_lossy(head).lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = Some(value.to_owned());
        match key {
            name::PROTOCOL_VERSION => headers.protocol_version = value,
            name::SESSION_ID => headers.session_id = value,
            name::METHOD => headers.method = value,
            name::NAME => headers.name = value,
            _ => {}
        }
    }
    (headers, body.get(2..).unwrap_or_default())
}

fn check_message(headers: &Headers, message: Incoming) {
    match message {
        Incoming::Request(request) => check_request(headers, request),
        Incoming::Notification(notification) => {
            let params = Params::seen(notification.params.as_deref()).unwrap_or_default();
            let _ = meta::edge(headers, &params);
            let _ = Extras::parse(&params);
        }
        Incoming::Response { id, outcome } => {
            if let Some(id) = id {
                check_id(&id);
            }
            if let Ok(text) = outcome {
                check_result(text);
            }
        }
    }
}

/// What is only passed on stays as it is; what is edited is still an object.
fn check_result(text: Box<RawValue>) {
    let written = |object: &ResultObject| {
        let mut out = String::new();
        object.write(&mut out);
        out
    };
    let Some(mut object) = ResultObject::from_raw(text.clone()) else { return };
    assert_eq!(written(&object), text.get());
    let server = ServerInfo { name: "fuzz".to_owned(), version: "1".to_owned() };
    object.dress(Revision::LATEST, &server).expect("it has a JSON form");
    object.remove("content");
    let edited: ResultObject = serde_json::from_str(&written(&object)).expect("it is an object");
    assert_eq!(edited, object);
    assert!(edited.get("resultType").is_some() && edited.get("content").is_none());
}

fn check_request(headers: &Headers, request: Request) {
    let Request { id, method, params } = request;
    check_id(&id);
    let refuse = |error| check_answer(&Response::error(Some(id.clone()), error));
    let text = params.map(ParamsText::from);
    let params = match Params::of(text.as_ref()) {
        Ok(params) => params,
        Err(error) => return refuse(error),
    };
    let _ = meta::edge(headers, &params);
    let request = Asked { id: id.clone(), method, params };
    let bare = meta::check_bare(&request);
    match meta::check(headers, &request) {
        Ok(checked) => {
            let bare = bare.expect("with its headers it is good");
            assert_eq!((checked.method, checked.revision), (bare.method, bare.revision));
        }
        Err(error) => refuse(error),
    }
    match Extras::parse(&params) {
        Ok(extras) => {
            let token = extras.progress_token.as_deref();
            assert!(token.is_none_or(|token| RequestId::parse(token).is_some()));
        }
        Err(error) => refuse(error),
    }
    match Initialize::parse(text.as_deref()) {
        Ok(initialize) => {
            assert_eq!(initialize.revision.era(), Era::Legacy);
            let server = ServerInfo { name: "fuzz".to_owned(), version: "1".to_owned() };
            let result = initialize.result(&server, None).expect("it has a JSON form");
            check_answer(&Response { id: Some(request.id.clone()), outcome: Ok(result) });
        }
        Err(error) => refuse(error),
    }
    for revision in Revision::ALL {
        let Some(method) = Method::parse(&request.method, revision) else { continue };
        assert_eq!(Method::label(&request.method), method.as_str());
        match Call::parse(method, &params) {
            Ok(call) => check_call(headers, revision, call),
            Err(error) => {
                assert!(matches!(error.code, Code::InvalidParams | Code::InvalidRequest));
                refuse(error);
            }
        }
    }
}

fn check_call(headers: &Headers, revision: Revision, call: Call) {
    match call {
        Call::Operate(operation) => {
            if let Operation::CallTool(call) = &operation {
                check_mirrors(headers, call.arguments.as_deref());
            }
            for scope in [Scope::Federated, Scope::Server(SERVER.clone())] {
                match route(&CATALOGUE, &scope, operation.clone()) {
                    Route::Provider { server, .. } => assert_eq!(server, *SERVER),
                    Route::Answer(outcome) => check_answer(&Response { id: None, outcome }),
                }
            }
        }
        Call::List(kind, cursor) => {
            let outcome = list(&CATALOGUE, &Scope::Federated, revision, kind, cursor.as_deref());
            check_answer(&Response { id: None, outcome });
        }
        Call::Ping | Call::Discover | Call::Session(_) | Call::Listen(_) | Call::Task(_) => {}
    }
}

/// Arguments against headers, and arguments as if they were a schema of somebody's tool.
fn check_mirrors(headers: &Headers, arguments: Option<&RawValue>) {
    let text = arguments.map_or("{}", RawValue::get);
    let arguments: Value = serde_json::from_str(text).expect("the decoder said that it is JSON");
    for mirror in MIRRORS.iter().chain(&mirrors(&arguments)) {
        let _ = mirror.check(&arguments, headers.name.as_deref());
    }
}

/// A template from one header, a URI from another.
fn check_template(headers: &Headers) {
    let (Some(template), Some(uri)) = (&headers.name, &headers.method) else { return };
    let _ = mirrored(template);
    if let Ok(template) = Template::parse(template) {
        let _ = template.matches(uri);
    }
}

/// An id comes back as it came.
fn check_id(id: &RequestId) {
    let text = serde_json::to_string(id).expect("an id has a JSON form");
    let raw: &RawValue = serde_json::from_str(&text).expect("and that is JSON");
    assert_eq!(RequestId::parse(raw).as_ref(), Some(id));
}

/// An answer is JSON-RPC in both eras, and goes to whom it belongs.
fn check_answer(response: &Response) {
    for era in [Era::Legacy, Era::Modern] {
        let bytes = response.encode(era);
        let answer: Value = serde_json::from_slice(&bytes).expect("an answer is JSON");
        assert_eq!(answer["jsonrpc"], "2.0");
        let id = response.id.as_ref().map(|id| json!(id));
        assert_eq!(answer.get("id"), id.as_ref());
        assert_ne!(answer.get("result").is_some(), answer.get("error").is_some());
        let code = response.outcome.as_ref().err().map(|error: &RpcError| error.code.number(era));
        assert_eq!(answer["error"]["code"].as_i64(), code);
    }
}

static SERVER: LazyLock<ServerName> = LazyLock::new(|| Arc::from("demo"));

static MIRRORS: LazyLock<Vec<Mirror>> = LazyLock::new(|| {
    mirrors(&json!({ "properties": {
        "text": { "type": "string", "x-mcp-header": "Text" },
        "count": { "type": "integer", "x-mcp-header": "Count" },
        "deep": { "type": "object", "properties": {
            "flag": { "type": "boolean", "x-mcp-header": "Flag" },
        }},
    }}))
});

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let define = |member: &str, name: &str| {
        let members = ResultObject::of(&json!({ member: name })).expect("it is an object");
        Definition { name: name.to_owned(), members }
    };
    let templates = ["test://{id}/data", "file:///{+path}", "a://{x}-{y}{?q,n*}", "b:/{.x}{/y}"];
    let offer = Offer {
        tools: ["add", "echo", "slow"].map(|name| define("name", name)).to_vec(),
        prompts: vec![define("name", "greet")],
        resources: vec![define("uri", "test://static")],
        templates: templates.map(|template| define("uriTemplate", template)).to_vec(),
        instructions: None,
    };
    Catalogue::build([(&*SERVER, &offer)]).expect("its definitions are good")
});
