//! The server `talk`, written against the provider's own interface: it tells, asks and changes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use erlmcp::catalogue::{Definition, Offer, ServerName};
use erlmcp::protocol::notification::{LogMessage, Outgoing, Progress};
use erlmcp::protocol::{Ask, AskKind, Kind, Level, Operation, ResultObject, RpcError};
use erlmcp::provider::{CallContext, CallError, Event, Hosted, Provider, ProviderCall};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast};

pub(crate) struct Talker {
    tools: Mutex<Vec<String>>,
    events: broadcast::Sender<Event>,
    /// What `wait` waits for.
    pub(crate) go: std::sync::Arc<Semaphore>,
}

impl Default for Talker {
    fn default() -> Self {
        let tools = [
            "tell", "ask", "wait", "work", "burst", "release", "flood", "grow", "headers",
            "verbatim",
        ];
        let tools = Mutex::new(tools.map(ToOwned::to_owned).to_vec());
        let (events, go) = (broadcast::Sender::new(16), std::sync::Arc::new(Semaphore::new(0)));
        Self { tools, events, go }
    }
}

impl Talker {
    /// One tool more, of a name that there wasn't: one that is there already counts for nothing.
    pub(crate) fn grow(&self) {
        let mut tools = self.tools.lock().unwrap();
        let name = format!("new{}", tools.len());
        tools.push(name);
        drop(tools);
        self.events.send(Event::ListChanged(Kind::Tools)).unwrap();
    }

    /// More changed than it can tell.
    pub(crate) fn upset(&self) {
        self.events.send(Event::Anything).unwrap();
    }

    pub(crate) fn update(&self, uri: &str) {
        self.events.send(Event::ResourceUpdated(uri.to_owned())).unwrap();
    }
}

fn define(name: &str, member: &str, mut rest: Value) -> Definition {
    rest[member] = json!(name);
    Definition { name: name.to_owned(), members: ResultObject::of(&rest).unwrap() }
}

impl Hosted for Talker {
    fn name(&self) -> ServerName {
        "talk".into()
    }

    fn offer(&self) -> BoxFuture<'static, Offer> {
        let schema = json!({ "inputSchema": { "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
        } } });
        let names = self.tools.lock().unwrap().clone();
        let tools = names.iter().map(|name| {
            let mut rest = schema.clone();
            if name == "work" {
                rest["execution"] = json!({ "taskSupport": "optional" });
            }
            define(name, "name", rest)
        });
        let offer = Offer {
            tools: tools.collect(),
            prompts: vec![define("greet", "name", json!({}))],
            resources: vec![define("talk://clock", "uri", json!({ "name": "clock" }))],
            templates: vec![define("talk://{x}", "uriTemplate", json!({ "name": "any" }))],
            instructions: Some("Talk to it.".to_owned()),
        };
        std::future::ready(offer).boxed()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

impl Provider for Talker {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
        let (context, go) = (call.context, self.go.clone());
        match call.operation {
            Operation::CallTool(tool) if tool.name == "grow" => {
                self.grow();
                let content = json!({ "content": [{ "type": "text", "text": "grown" }] });
                std::future::ready(Ok(ResultObject::of(&content).unwrap())).boxed()
            }
            Operation::CallTool(tool) if tool.name == "verbatim" => {
                std::future::ready(Ok(verbatim(&context))).boxed()
            }
            Operation::CallTool(tool) => async move {
                let text = match tool.name.as_str() {
                    "tell" => tell(&context),
                    "ask" => ask(&context).await?,
                    "work" => {
                        go.acquire().await.unwrap().forget();
                        log(&context, Level::Info, "worked");
                        "worked".to_owned()
                    }
                    "burst" => {
                        for number in 0..1_000 {
                            log(&context, Level::Info, &number.to_string());
                        }
                        "burst".to_owned()
                    }
                    "wait" => {
                        tell(&context);
                        go.acquire().await.unwrap().forget();
                        "done".to_owned()
                    }
                    "release" => {
                        context.side.client.release_stream();
                        go.acquire().await.unwrap().forget();
                        "released".to_owned()
                    }
                    "flood" => {
                        // More than all buffers on the way hold, at a pace at which it is sent.
                        let mut pace = tokio::time::interval(std::time::Duration::from_millis(2));
                        while go.try_acquire().map(|go| go.forget()).is_err() {
                            for _ in 0..10 {
                                shout(&context, &"x".repeat(10_000));
                            }
                            pace.tick().await;
                        }
                        "flooded".to_owned()
                    }
                    other => other.to_owned(),
                };
                let content = json!({ "content": [{ "type": "text", "text": text }] });
                Ok(ResultObject::of(&content)?)
            }
            .boxed(),
            Operation::ReadResource(uri) if uri == "talk://gone" => {
                std::future::ready(Err(RpcError::resource_not_found(&uri).into())).boxed()
            }
            Operation::ReadResource(uri) => {
                let contents = json!({ "contents": [{ "uri": uri, "text": "tick" }] });
                std::future::ready(Ok(ResultObject::of(&contents).unwrap())).boxed()
            }
            Operation::GetPrompt(prompt) => {
                let content = json!({ "type": "text", "text": format!("{:?}", prompt.arguments) });
                let messages = json!({ "messages": [{ "role": "user", "content": content }] });
                std::future::ready(Ok(ResultObject::of(&messages).unwrap())).boxed()
            }
            Operation::Complete(completion) => {
                let values = json!({ "completion": { "values": [completion.value] } });
                std::future::ready(Ok(ResultObject::of(&values).unwrap())).boxed()
            }
        }
    }
}

fn log(context: &CallContext, level: Level, text: &str) {
    context.log(&LogMessage { level, logger: None, data: json!(text) });
}

/// Its parameters as they came, in a result that is written oddly.
fn verbatim(context: &CallContext) -> ResultObject {
    let params = context.side.params.as_ref().map_or("null", |params| params.get());
    let text = format!(r#"{{ "n" : 1.10,  "params":{params}, "content":[] }}"#);
    ResultObject::from_raw(RawValue::from_string(text).unwrap()).unwrap()
}

/// Past the pace at which calls tell things.
fn shout(context: &CallContext, text: &str) {
    let message = LogMessage { level: Level::Info, logger: None, data: json!(text) };
    context.side.client.notify(&Outgoing::log(&message));
}

/// Three steps of progress, one of them backwards, and messages of three levels.
fn tell(context: &CallContext) -> String {
    for done in [1.0, 0.5, 2.0] {
        context.progress(Progress { progress: done, total: Some(2.0), message: None });
    }
    for level in [Level::Debug, Level::Info, Level::Error] {
        log(context, level, "said");
    }
    "told".to_owned()
}

async fn ask(context: &CallContext) -> Result<String, CallError> {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let params = json!({ "message": "Who?", "requestedSchema": schema }).to_string();
    let params = Some(serde_json::from_str(&params).unwrap());
    let asks = BTreeMap::from([("who".to_owned(), Ask { kind: AskKind::ElicitForm, params })]);
    let answers = context.ask(asks, Some(json!("kept"))).await?;
    let answer: Value = serde_json::from_str(answers["who"].get()).unwrap();
    let state = &context.side.inputs.state;
    let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
    Ok(format!("Hello {}{state}", answer["content"]["name"]))
}
