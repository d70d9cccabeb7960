//! The server: how it is put together, and how it answers.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::context::Context;
use super::error::{BuildError, Problem};
use super::handle::{Handle, Shared};
use super::item::{Item, Items};
use super::prompt::{IntoPrompt, Prompt};
use super::resource::{IntoContents, Resource, Template};
use super::result::IntoToolResult;
use super::tool::Tool;
use crate::catalogue::{Offer, SEPARATOR, ServerName};
use crate::protocol::call::{Completion, PromptCall, Reference, ToolCall};
use crate::protocol::{Operation, ResultObject, RpcError};
use crate::provider::{CallError, Event, Hosted, Provider, ProviderCall};

type Background = Arc<dyn Fn(Handle) -> BoxFuture<'static, ()> + Send + Sync>;
type Outcome = BoxFuture<'static, Result<ResultObject, CallError>>;

/// A server whose tools, prompts and resources are functions of this process.
pub struct NativeServer {
    shared: Arc<Shared>,
    background: Option<Background>,
}

/// A server that is being put together. What is wrong is told at its end, all at once.
#[must_use = "it is no server before `build`"]
pub struct ServerBuilder {
    name: String,
    instructions: Option<String>,
    items: Items,
    background: Option<Background>,
    problems: Vec<Problem>,
}

impl NativeServer {
    /// Begins a server. Its name stands in paths and in front of its tools' names: 1 to 64
    /// letters, digits, `_`, `.` and `-`, without `__`.
    pub fn builder(name: impl Into<String>) -> ServerBuilder {
        ServerBuilder {
            name: name.into(),
            instructions: None,
            items: Items::default(),
            background: None,
            problems: Vec::new(),
        }
    }

    /// The handle by which it changes while it runs.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }
}

impl ServerBuilder {
    /// Tells how the server wants to be used, for the model.
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = Some(text.into());
        self
    }

    /// Adds a tool. The schema of its arguments is that of `A`, and they are checked against it
    /// before the handler runs. [`Tool::builder`] makes tools that say more of themselves.
    pub fn tool<A, F, R>(self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoToolResult,
    {
        self.add(Tool::builder(name).description(description).handler(handler))
    }

    /// Adds a prompt, whose arguments are the fields of `A`.
    pub fn prompt<A, F, R>(self, name: &str, description: &str, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoPrompt,
    {
        self.add(Prompt::builder(name).description(description).handler(handler))
    }

    /// Adds a resource.
    pub fn resource<F, R>(
        self,
        uri: &str,
        name: &str,
        description: &str,
        mime: &str,
        handler: F,
    ) -> Self
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoContents,
    {
        let builder = Resource::builder(uri, name).description(description).mime(mime);
        self.add(builder.handler(handler))
    }

    /// Adds a pattern of resources, whose variables are the fields of `V`.
    pub fn template<V, F, R>(
        self,
        template: &str,
        name: &str,
        description: &str,
        mime: &str,
        handler: F,
    ) -> Self
    where
        V: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(V, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoContents,
    {
        let builder = Template::builder(template, name).description(description).mime(mime);
        self.add(builder.handler(handler))
    }

    /// Adds a tool, prompt, resource or template.
    #[expect(clippy::should_implement_trait, reason = "nobody adds to a server by `+`")]
    pub fn add(mut self, item: impl Into<Item>) -> Self {
        let item = item.into();
        let told = item.told();
        match item.ready() {
            Ok(ready) => {
                if self.items.insert(ready) {
                    let what = "there are two of this name".to_owned();
                    self.problems.push(Problem { item: told, what });
                }
            }
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// Sets what the server does by itself while it is served, such as telling of resources that
    /// change. The future is dropped when the server ends, and begun anew where it is restarted.
    pub fn background<F, R>(mut self, work: F) -> Self
    where
        F: Fn(Handle) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.background = Some(Arc::new(move |handle| work(handle).boxed()));
        self
    }

    /// Makes the server.
    ///
    /// # Errors
    /// All that is wrong: names and schemas that are not valid, and two items of one name.
    pub fn build(mut self) -> Result<NativeServer, BuildError> {
        if !is_server_name(&self.name) {
            let what = "it has 1 to 64 letters, digits, `_`, `.` and `-`, without `__`".to_owned();
            self.problems.push(Problem { item: "the server's name".to_owned(), what });
        }
        if !self.problems.is_empty() {
            return Err(BuildError { server: self.name, problems: self.problems });
        }
        let shared = Shared::new(self.name.into(), self.instructions, self.items);
        Ok(NativeServer { shared: Arc::new(shared), background: self.background })
    }
}

fn is_server_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(legal) && !name.contains(SEPARATOR)
}

impl Provider for NativeServer {
    fn call(&self, call: ProviderCall) -> Outcome {
        let items = self.shared.items.load();
        let context = Context::new(call.context, self.handle());
        match call.operation {
            Operation::CallTool(asked) => call_tool(&items, asked, context),
            Operation::GetPrompt(asked) => get_prompt(&items, asked, context),
            Operation::ReadResource(uri) => read(&items, uri, context),
            Operation::Complete(asked) => complete(&items, asked),
        }
    }
}

fn call_tool(items: &Items, asked: ToolCall, context: Context) -> Outcome {
    match items.tools.get(&asked.name).cloned() {
        Some(tool) => async move { tool.call(asked.arguments.as_deref(), context).await }.boxed(),
        None => refuse(RpcError::invalid_params(format!("unknown tool {:?}", asked.name))),
    }
}

fn get_prompt(items: &Items, asked: PromptCall, context: Context) -> Outcome {
    match items.prompts.get(&asked.name).cloned() {
        Some(prompt) => async move { prompt.get(asked.arguments, context).await }.boxed(),
        None => refuse(RpcError::invalid_params(format!("unknown prompt {:?}", asked.name))),
    }
}

fn read(items: &Items, uri: String, context: Context) -> Outcome {
    if let Some(resource) = items.resources.get(&uri).cloned() {
        return async move { resource.read(context).await }.boxed();
    }
    let mut templates = items.templates.values();
    match templates.find_map(|template| Some((template.clone(), template.matches(&uri)?))) {
        Some((template, variables)) => {
            async move { template.read(uri, variables, context).await }.boxed()
        }
        None => refuse(RpcError::resource_not_found(&uri)),
    }
}

fn complete(items: &Items, asked: Completion) -> Outcome {
    let completers = match &asked.reference {
        Reference::Prompt(name) => items.prompts.get(name).map(|p| p.completers.clone()),
        Reference::Resource(uri) => {
            let mut fitting = items.templates.values().filter(|t| t.matches(uri).is_some());
            let template = items.templates.get(uri).or_else(|| fitting.next());
            // Nothing of a resource without variables can be completed.
            let plain = || items.resources.contains_key(uri).then(Default::default);
            template.map(|template| template.completers.clone()).or_else(plain)
        }
    };
    match completers {
        Some(completers) => {
            let Completion { argument, value, context, .. } = asked;
            async move { Ok(completers.complete(&argument, value, context).await?) }.boxed()
        }
        None => refuse(RpcError::invalid_params("unknown ref")),
    }
}

fn refuse(error: RpcError) -> Outcome {
    std::future::ready(Err(CallError::Failed(error))).boxed()
}

impl Hosted for NativeServer {
    fn name(&self) -> ServerName {
        Arc::clone(&self.shared.name)
    }

    fn offer(&self) -> BoxFuture<'static, Offer> {
        let offer = self.shared.items.load().offer(self.shared.instructions.clone());
        std::future::ready(offer).boxed()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    fn background(&self) -> Option<BoxFuture<'static, ()>> {
        self.background.as_ref().map(|work| work(self.handle()))
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
