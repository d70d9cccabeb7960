//! Native servers: tools written in Rust, with typed arguments.
//!
//! ```
//! use erlmcp::provider::native::{NativeServer, ToolResult};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Greet {
//!     /// Who is greeted.
//!     name: String,
//! }
//!
//! let server = NativeServer::new("hello").tool("greet", "Greets", |greet: Greet, _| async move {
//!     Ok(ToolResult::text(format!("Hello, {}!", greet.name)))
//! });
//! assert_eq!(server.definitions().len(), 1);
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use tokio::sync::broadcast;

use super::{CallContext, CallError, Event, Hosted, Provider, ProviderCall};
use crate::catalogue::{Definition, Offer, ServerName};
use crate::protocol::{Operation, ResultObject, RpcError};

/// What a native tool returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    content: Vec<Value>,
    structured: Option<Value>,
    is_error: bool,
}

impl ToolResult {
    /// One block of text.
    pub fn text(text: impl Into<String>) -> Self {
        let content = vec![json!({ "type": "text", "text": text.into() })];
        Self { content, structured: None, is_error: false }
    }

    /// A failure that the model should see.
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::text(text) }
    }

    /// Adds structured content, an object.
    #[must_use]
    pub fn structured(mut self, value: Value) -> Self {
        self.structured = Some(value);
        self
    }

    fn into_object(self) -> Result<ResultObject, RpcError> {
        let mut object = json!({ "content": self.content, "isError": self.is_error });
        if let (Some(structured), Some(members)) = (self.structured, object.as_object_mut()) {
            members.insert("structuredContent".to_owned(), structured);
        }
        ResultObject::of(&object)
    }
}

type Outcome = BoxFuture<'static, Result<ResultObject, CallError>>;
type Handler = Arc<dyn Fn(Option<Box<RawValue>>, CallContext) -> Outcome + Send + Sync>;

struct NativeTool {
    definition: Definition,
    handler: Handler,
}

/// A server whose tools are functions of this process.
pub struct NativeServer {
    name: ServerName,
    events: broadcast::Sender<Event>,
    tools: BTreeMap<String, NativeTool>,
}

impl NativeServer {
    /// A server without tools.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), events: broadcast::Sender::new(16), tools: BTreeMap::new() }
    }

    /// Adds a tool. Its input schema is that of `A`; arguments that don't fit never reach the
    /// handler.
    #[must_use]
    pub fn tool<A, F, R>(mut self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, CallContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ToolResult, CallError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run: Handler = Arc::new(move |arguments, context| {
            let handler = Arc::clone(&handler);
            async move {
                let arguments = read(arguments.as_deref())?;
                let result = handler(arguments, context).await?;
                result.into_object().map_err(CallError::Failed)
            }
            .boxed()
        });
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<A>();
        let definition = json!({
            "name": name,
            "description": description,
            "inputSchema": schema,
        });
        // The members of a `json!` object always have a JSON form.
        let members = ResultObject::of(&definition).unwrap_or_default();
        let definition = Definition { name: name.to_owned(), members };
        self.tools.insert(name.to_owned(), NativeTool { definition, handler: run });
        self
    }

    /// What it announces.
    pub fn definitions(&self) -> Vec<Definition> {
        self.tools.values().map(|tool| tool.definition.clone()).collect()
    }
}

impl Provider for NativeServer {
    fn call(&self, call: ProviderCall) -> Outcome {
        let Operation::CallTool(asked) = call.operation else {
            let error = RpcError::method_not_found("prompts/get");
            return async move { Err(CallError::Failed(error)) }.boxed();
        };
        match self.tools.get(&asked.name) {
            Some(tool) => (tool.handler)(asked.arguments, call.context),
            None => {
                let error = RpcError::method_not_found(&asked.name);
                async move { Err(CallError::Failed(error)) }.boxed()
            }
        }
    }
}

impl Hosted for NativeServer {
    fn name(&self) -> ServerName {
        Arc::clone(&self.name)
    }

    fn offer(&self) -> BoxFuture<'static, Offer> {
        let offer = Offer { tools: self.definitions(), ..Offer::default() };
        Box::pin(std::future::ready(offer))
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// Reads typed arguments; none at all are an empty object.
fn read<A: DeserializeOwned>(arguments: Option<&RawValue>) -> Result<A, CallError> {
    let text = arguments.map_or("{}", RawValue::get);
    serde_json::from_str(text).map_err(|error| CallError::InvalidArguments(error.to_string()))
}
