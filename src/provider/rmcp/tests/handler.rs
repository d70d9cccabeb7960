//! A handler as the SDK's users write it; nothing in it knows of this node.

use std::sync::Arc;

use rmcp::handler::server::tool::{InputResponses as Answers, RequestState};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::*;
use rmcp::service::{NotificationContext, Peer, RequestContext, RoleServer, SubscriptionContext};
use rmcp::{
    ErrorData, ServerHandler, prompt, prompt_handler, prompt_router, tool, tool_handler,
    tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Mutex, mpsc, watch};

/// A handler with everything.
#[derive(Clone)]
pub(crate) struct Everything {
    /// Tells when a tool that doesn't end begins, and when it is dropped.
    pub(crate) lives: mpsc::Sender<&'static str>,
    /// The peer that the handler was greeted through.
    pub(crate) home: Arc<Mutex<Option<Peer<RoleServer>>>>,
    /// What `resources/subscribe` asked for.
    pub(crate) subscribed: watch::Sender<Vec<String>>,
}

impl Everything {
    pub(crate) fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (lives, heard) = mpsc::channel(16);
        (Self { lives, home: Arc::default(), subscribed: watch::Sender::default() }, heard)
    }
}

struct Life(mpsc::Sender<&'static str>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.try_send("dropped").unwrap();
    }
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Summands {
    a: i64,
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

fn form() -> ElicitRequestParams {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: "Who are you?".into(),
        requested_schema: serde_json::from_value(schema).unwrap(),
    }
}

#[tool_router]
impl Everything {
    #[tool(description = "Gives the text back")]
    async fn echo(&self, Parameters(Text { text }): Parameters<Text>) -> String {
        text
    }

    #[tool(description = "Adds")]
    async fn add(&self, Parameters(Summands { a, b }): Parameters<Summands>) -> Json<Sum> {
        Json(Sum { sum: a + b })
    }

    #[tool(description = "Tells how far it is")]
    async fn steps(&self, context: RequestContext<RoleServer>) -> String {
        let token = context.meta.get_progress_token().unwrap();
        for step in [1.0, 2.0] {
            let progress = ProgressNotificationParam::new(token.clone(), step).with_total(2.0);
            context.peer.notify_progress(progress).await.unwrap();
        }
        for level in [LoggingLevel::Debug, LoggingLevel::Warning] {
            let log = LoggingMessageNotificationParam::new(level, json!("half way"));
            context.peer.notify_logging_message(log).await.unwrap();
        }
        "done".into()
    }

    #[tool(description = "Asks in the middle of its work")]
    async fn ask(&self, context: RequestContext<RoleServer>) -> Result<String, String> {
        match context.peer.create_elicitation(form()).await {
            Ok(answer) => Ok(format!("{:?} {}", answer.action, answer.content.unwrap_or_default())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tool(description = "Ends with a question")]
    async fn greet(
        &self,
        Parameters(Text { text }): Parameters<Text>,
        RequestState(state): RequestState,
        Answers(answers): Answers,
    ) -> CallToolResponse {
        let name = answers.as_ref().and_then(|it| it.get("name")?["content"]["name"].as_str());
        match (state.as_deref(), name) {
            (Some("asked"), Some(name)) => {
                CallToolResult::success(vec![ContentBlock::text(format!("{text}, {name}"))]).into()
            }
            _ => {
                let question = InputRequest::Elicitation(ElicitRequest::new(form()));
                let questions = InputRequests::from([("name".to_owned(), question)]);
                InputRequiredResult::new(Some(questions), Some("asked".into())).into()
            }
        }
    }

    #[tool(description = "Never comes to an end")]
    async fn insist(&self) -> InputRequiredResult {
        InputRequiredResult::from_request_state("again")
    }

    #[tool(description = "Does not end")]
    async fn hang(&self) -> String {
        let _life = Life(self.lives.clone());
        self.lives.send("began").await.unwrap();
        std::future::pending().await
    }

    #[tool(description = "Panics")]
    async fn panic(&self) -> String {
        panic!("on purpose")
    }

    #[tool(description = "Tells that the list changed")]
    async fn change(&self, context: RequestContext<RoleServer>) -> String {
        context.peer.notify_tool_list_changed().await.unwrap();
        "changed".into()
    }

    #[tool(description = "Tells what it knows of its client")]
    async fn client(&self, context: RequestContext<RoleServer>) -> String {
        let client = context.client_capabilities().unwrap();
        let version = context.protocol_version().unwrap();
        format!("{version} {}", serde_json::to_string(&client).unwrap())
    }
}

#[prompt_router]
impl Everything {
    #[prompt(description = "Praises")]
    async fn praise(&self, Parameters(Text { text }): Parameters<Text>) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, format!("Praise {text}"))]
    }
}

#[tool_handler]
#[prompt_handler(router = Self::prompt_router())]
impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities).with_instructions("Be kind.")
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        *self.home.lock().await = Some(context.peer);
        self.lives.send("greeted").await.unwrap();
    }

    async fn list_resources(
        &self,
        from: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let second = from.and_then(|from| from.cursor).is_some();
        let uri = if second { "note://b" } else { "note://a" };
        let mut page = ListResourcesResult::with_all_items(vec![Resource::new(uri, "note")]);
        page.next_cursor = (!second).then(|| "more".to_owned());
        Ok(page)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("note://{name}", "notes");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri == "note://none" {
            return Err(ErrorData::resource_not_found("no such note", None));
        }
        let text = ResourceContents::text("a note", request.uri);
        Ok(ReadResourceResult::new(vec![text]).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let settled = request.context.unwrap_or_default();
        let of = settled.get_argument("of").cloned().unwrap_or_default();
        let value = format!("{}{}s{of}", request.r#ref.reference_type(), request.argument.value);
        Ok(CompleteResult::new(CompletionInfo::new(vec![value]).unwrap()))
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.send_modify(|all| all.push(request.uri));
        Ok(())
    }
}

/// A handler that is heard by `subscriptions/listen` alone, and whose tools come and go.
#[derive(Clone)]
pub(crate) struct Listened {
    pub(crate) tools: watch::Sender<usize>,
}

impl ServerHandler for Listened {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_subscribe();
        ServerConfig::new(capabilities.build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |n: usize| Tool::new(n.to_string(), "a number", Arc::new(JsonObject::new()));
        let count = *self.tools.borrow();
        match count {
            13 => Err(ErrorData::internal_error("unlucky", None)),
            14 => panic!("on purpose"),
            _ => Ok(ListToolsResult::with_all_items((0..count).map(tool).collect())),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![Resource::new("note://a", "note")]))
    }

    fn accepted_subscription_filter(&self, all: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(all.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        if let Some(uris) = &context.accepted().resource_subscriptions {
            context.sink().notify_resource_updated(&uris[0]).await.unwrap();
        }
        let mut tools = self.tools.subscribe();
        while tools.changed().await.is_ok() {
            if context.accepted().tools_list_changed == Some(true) {
                context.sink().notify_tool_list_changed().await.unwrap();
            }
        }
        Ok(())
    }
}

/// A handler of the time before 2026-07-28, whose one tool counts in a task of its own.
pub(crate) struct Legacy;

impl ServerHandler for Legacy {
    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_06_18).into()
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Err(ErrorData::new(ErrorCode(-7), context.protocol_version().unwrap().to_string(), None))
    }
}
