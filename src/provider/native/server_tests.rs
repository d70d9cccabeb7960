//! Servers of each kind of item, called as the node calls them.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::protocol::{Code, Revision};
use crate::provider::native::{
    HandlerError, Json, NoArguments, TaskSupport, ToolResult, content, starting_with, user,
};
use crate::provider::{CallContext, Side};

async fn call(server: &NativeServer, operation: Operation) -> Result<Value, CallError> {
    let side = Side::silent(Revision::V2025_11_25);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let context = CallContext::new(side, CancellationToken::new(), deadline);
    let result = server.call(ProviderCall { operation, context }).await?;
    Ok(serde_json::to_value(result).unwrap())
}

async fn tool(server: &NativeServer, name: &str, arguments: Value) -> Result<Value, CallError> {
    let arguments = serde_json::from_str(&arguments.to_string()).unwrap();
    let asked = ToolCall { name: name.into(), arguments: Some(arguments), task: None };
    call(server, Operation::CallTool(asked)).await
}

async fn prompt(
    server: &NativeServer,
    name: &str,
    arguments: &[(&str, &str)],
) -> Result<Value, CallError> {
    let arguments = arguments.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    call(server, Operation::GetPrompt(PromptCall { name: name.into(), arguments })).await
}

async fn read(server: &NativeServer, uri: &str) -> Result<Value, CallError> {
    call(server, Operation::ReadResource(uri.into())).await
}

async fn complete(
    server: &NativeServer,
    reference: Reference,
    argument: &str,
) -> Result<Value, CallError> {
    let (argument, value) = (argument.to_owned(), "a".to_owned());
    let asked = Completion { reference, argument, value, context: Settled::new() };
    call(server, Operation::Complete(asked)).await
}

use crate::provider::native::Settled;

fn code(result: Result<Value, CallError>) -> Option<Code> {
    match result {
        Err(CallError::Failed(error)) => Some(error.code),
        _ => None,
    }
}

#[derive(Deserialize, JsonSchema)]
struct Send {
    address: Address,
}

#[derive(Deserialize, JsonSchema)]
struct Address {
    zip: String,
}

#[derive(serde::Serialize, JsonSchema)]
struct Sent {
    to: String,
}

async fn post(Send { address }: Send, _: Context) -> Result<Json<Sent>, HandlerError> {
    let zip: u32 = address.zip.parse()?;
    Ok(Json(Sent { to: zip.to_string() }))
}

#[tokio::test]
async fn arguments_are_checked_and_results_are_of_all_kinds() {
    let server = NativeServer::builder("s").tool("send", "Sends.", post).build().unwrap();
    let sent = tool(&server, "send", json!({ "address": { "zip": "7" } })).await.unwrap();
    assert_eq!(sent["structuredContent"], json!({ "to": "7" }));
    assert_eq!(sent["isError"], json!(false));
    let failed = tool(&server, "send", json!({ "address": { "zip": "x" } })).await.unwrap();
    assert_eq!(failed["isError"], json!(true));
    assert_eq!(failed["content"][0]["text"], json!("invalid digit found in string"));
    match tool(&server, "send", json!({ "address": { "zip": 7 } })).await {
        Err(CallError::InvalidArguments(why)) => {
            assert_eq!(why, r#"/address/zip: 7 is not of type "string""#);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(code(tool(&server, "x", json!({})).await), Some(Code::InvalidParams));
}

#[tokio::test]
async fn raw_arguments_have_the_schema_that_was_given() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { "a": { "type": "integer", "x-mcp-header": "A" } },
        "additionalProperties": false,
    });
    let raw = Tool::builder("raw")
        .title("Raw")
        .input_schema(schema.clone())
        .read_only(true)
        .task_support(TaskSupport::Optional)
        .asks_first()
        .handler(|arguments: Value, _| async move { arguments.to_string() });
    let server = NativeServer::builder("s").add(raw).build().unwrap();
    let offer = server.offer().await;
    let members = serde_json::to_value(&offer.tools[0].members).unwrap();
    assert_eq!(
        members,
        json!({
            "name": "raw",
            "title": "Raw",
            "inputSchema": schema,
            "annotations": { "readOnlyHint": true },
            "execution": { "taskSupport": "optional" },
            "_meta": { "erlmcp/asksFirst": true },
        })
    );
    let echoed = tool(&server, "raw", json!({ "a": 1 })).await.unwrap();
    assert_eq!(echoed["content"][0]["text"], json!(r#"{"a":1}"#));
    let refused = tool(&server, "raw", json!({ "b": 1 })).await;
    assert!(matches!(refused, Err(CallError::InvalidArguments(_))), "{refused:?}");
}

#[tokio::test]
async fn results_that_break_their_promise_are_errors() {
    let promise = |result: ToolResult| {
        let tool = Tool::builder("t").output::<Sent>();
        let tool = tool.handler(move |_: NoArguments, _| std::future::ready(result.clone()));
        NativeServer::builder("s").add(tool).build().unwrap()
    };
    let kept = promise(ToolResult::text("a").structured(json!({ "to": "b" })));
    assert!(tool(&kept, "t", json!({})).await.is_ok());
    let failed = promise(ToolResult::error("a"));
    assert!(tool(&failed, "t", json!({})).await.is_ok());
    for broken in [ToolResult::text("a"), ToolResult::text("a").structured(json!({ "to": 1 }))] {
        let answer = tool(&promise(broken), "t", json!({})).await;
        assert_eq!(code(answer), Some(Code::InternalError));
    }
}

#[derive(Deserialize, JsonSchema)]
struct Poem {
    /// What it is about.
    about: String,
    lines: Option<u8>,
}

#[tokio::test]
async fn prompts_have_typed_arguments() {
    let poem = Prompt::builder("poem")
        .description("Writes a poem.")
        .complete("about", |value, _| async move { starting_with(&value, ["apples", "pears"]) })
        .handler(|Poem { about, lines }, _| async move {
            let lines = lines.unwrap_or(4);
            [user(content::text(format!("{lines} lines on {about}")))]
        });
    let server = NativeServer::builder("s").add(poem).build().unwrap();
    let listed = serde_json::to_value(&server.offer().await.prompts[0].members).unwrap();
    let arguments = json!([
        { "name": "about", "description": "What it is about.", "required": true },
        { "name": "lines", "required": false },
    ]);
    assert_eq!(listed["arguments"], arguments);
    let got = prompt(&server, "poem", &[("about", "apples"), ("lines", "2")]).await.unwrap();
    let content = json!({ "type": "text", "text": "2 lines on apples" });
    let messages = json!([{ "role": "user", "content": content }]);
    assert_eq!(got, json!({ "description": "Writes a poem.", "messages": messages }));
    assert_eq!(code(prompt(&server, "poem", &[]).await), Some(Code::InvalidParams));
    let wrong = [("about", "apples"), ("lines", "many")];
    assert_eq!(code(prompt(&server, "poem", &wrong).await), Some(Code::InvalidParams));
    assert_eq!(code(prompt(&server, "x", &[]).await), Some(Code::InvalidParams));
    let reference = || Reference::Prompt("poem".into());
    let suggested = complete(&server, reference(), "about").await.unwrap();
    assert_eq!(suggested["completion"]["values"], json!(["apples"]));
    let none = complete(&server, reference(), "lines").await.unwrap();
    assert_eq!(none["completion"]["values"], json!([]));
    let unknown = complete(&server, Reference::Prompt("x".into()), "a").await;
    assert_eq!(code(unknown), Some(Code::InvalidParams));
}

#[derive(Deserialize, JsonSchema)]
struct Id {
    id: u32,
}

fn library() -> NativeServer {
    NativeServer::builder("s")
        .resource("test://text", "text", "A text.", "text/plain", |_| async { "a" })
        .resource("test://blob", "blob", "Bytes.", "image/png", |_| async { vec![1_u8] })
        .resource("test://gone", "gone", "Nothing.", "text/plain", |_| async { None::<String> })
        .resource("test://bad", "bad", "Fails.", "text/plain", |_| async {
            Err::<String, HandlerError>("the disk is full".into())
        })
        .template("test://t/{id}", "t", "Pages.", "text/plain", |Id { id }, _| async move {
            (id < 10).then(|| format!("page {id}"))
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn resources_are_found_by_uri_and_by_template() {
    let server = library();
    let text = read(&server, "test://text").await.unwrap();
    let contents = json!([{ "uri": "test://text", "mimeType": "text/plain", "text": "a" }]);
    assert_eq!(text["contents"], contents);
    let blob = read(&server, "test://blob").await.unwrap();
    let contents = json!([{ "uri": "test://blob", "mimeType": "image/png", "blob": "AQ==" }]);
    assert_eq!(blob["contents"], contents);
    let page = read(&server, "test://t/7").await.unwrap();
    assert_eq!(page["contents"][0]["text"], json!("page 7"));
    for missing in ["test://gone", "test://t/10", "test://t/x", "test://x"] {
        let code = code(read(&server, missing).await);
        assert_eq!(code, Some(Code::ResourceNotFound), "{missing}");
    }
    assert_eq!(code(read(&server, "test://bad").await), Some(Code::InternalError));
    for (uri, known) in [("test://t/{id}", true), ("test://t/7", true), ("test://x", false)] {
        let answer = complete(&server, Reference::Resource(uri.into()), "id").await;
        assert_eq!(answer.is_ok(), known, "{uri}: {answer:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let named = |name: &str| Tool::builder(name).handler(|_: NoArguments, _| async {});
    let stray = |_: String, _: Settled| async { Vec::new() };
    let built = NativeServer::builder("a__b")
        .add(named("twice"))
        .add(named("twice"))
        .add(named("not legal"))
        .add(Tool::builder("list").handler(|_: Vec<u8>, _| async {}))
        .add(
            Tool::builder("raw")
                .input_schema(json!({ "type": "object", "$ref": "https://example.org/x" }))
                .handler(|_: Value, _| async {}),
        )
        .add(Tool::builder("out").handler(|_: NoArguments, _| async { Json(vec![1]) }))
        .add(Prompt::builder("p").complete("x", stray).handler(|_: NoArguments, _| async { "" }))
        .resource("none", "n", "No URI.", "text/plain", |_| async { "" })
        .template("a:{", "t", "Broken.", "text/plain", |_: NoArguments, _| async { "" })
        .template("a:{x}", "t", "Wants more.", "text/plain", |_: Id, _| async { "" })
        .build();
    let error = built.err().unwrap();
    let items: Vec<_> = error.problems.iter().map(|problem| problem.item.as_str()).collect();
    let expected = [
        "tool `twice`",
        "tool `not legal`",
        "tool `list`",
        "tool `raw`",
        "tool `out`",
        "prompt `p`",
        "resource `none`",
        "template `a:{`",
        "template `a:{x}`",
        "the server's name",
    ];
    assert_eq!(items, expected, "{error}");
}

#[tokio::test]
async fn what_is_offered_changes_while_the_server_runs() {
    let server = library();
    let (handle, mut events) = (server.handle(), server.events());
    let late = || Tool::builder("late").handler(|_: NoArguments, _| async { "here" });
    handle.add(late()).unwrap();
    assert_eq!(events.try_recv().unwrap(), Event::ListChanged(crate::protocol::Kind::Tools));
    assert!(tool(&server, "late", json!({})).await.is_ok());
    assert_eq!(server.offer().await.tools.len(), 1);
    assert!(handle.remove_tool("late"));
    assert!(!handle.remove_tool("late"));
    assert_eq!(events.try_recv().unwrap(), Event::ListChanged(crate::protocol::Kind::Tools));
    assert!(events.try_recv().is_err());
    handle.resource_updated("test://text");
    assert_eq!(events.try_recv().unwrap(), Event::ResourceUpdated("test://text".into()));
    let bad = Tool::builder("bad").input_schema(json!(5)).handler(|_: Value, _| async {});
    assert!(handle.add(bad).is_err());
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_handler_reaches_its_own_server() {
    let server = NativeServer::builder("s")
        .tool("grow", "Adds a tool.", |_: NoArguments, context| async move {
            let new = Tool::builder("new").handler(|_: NoArguments, _| async {});
            context.server().add(new).map_err(HandlerError::from)
        })
        .build()
        .unwrap();
    tool(&server, "grow", json!({})).await.unwrap();
    assert_eq!(server.offer().await.tools.len(), 2);
}
