//! Prompts: messages that a user asks for by name.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::completion::{Completers, Settled};
use super::context::Context;
use super::error::HandlerError;
use super::item::{About, definition, tells_about_itself};
use super::model::{ContentBlock, PromptMessage, Role};
use super::schema;
use super::tool::check_name;
use crate::catalogue::Definition;
use crate::protocol::{ResultObject, RpcError};
use crate::provider::CallError;

/// What a prompt's handler may return.
pub trait IntoPrompt {
    /// The messages.
    ///
    /// # Errors
    /// Why there are none.
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError>;
}

impl IntoPrompt for Vec<PromptMessage> {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        Ok(self)
    }
}

impl<const N: usize> IntoPrompt for [PromptMessage; N] {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        Ok(self.into())
    }
}

impl IntoPrompt for PromptMessage {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        Ok(vec![self])
    }
}

/// One message of the user.
impl IntoPrompt for String {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        PromptMessage::new_text(Role::User, self).into_prompt()
    }
}

/// One message of the user.
impl IntoPrompt for &str {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        self.to_owned().into_prompt()
    }
}

impl<T: IntoPrompt, E: Into<HandlerError>> IntoPrompt for Result<T, E> {
    fn into_prompt(self) -> Result<Vec<PromptMessage>, HandlerError> {
        self.map_err(Into::into)?.into_prompt()
    }
}

/// A message of the user, of any content.
pub fn user(block: ContentBlock) -> PromptMessage {
    PromptMessage::new(Role::User, block)
}

/// A message of the model, of any content.
pub fn assistant(block: ContentBlock) -> PromptMessage {
    PromptMessage::new(Role::Assistant, block)
}

type Run = Arc<dyn Fn(BTreeMap<String, String>, Context) -> BoxFuture<'static, Ran> + Send + Sync>;
type Ran = Result<Vec<PromptMessage>, HandlerError>;

/// A prompt with its handler. [`Prompt::builder`] makes one.
pub struct Prompt {
    about: PromptBuilder,
    schema: Value,
    run: Run,
}

/// A prompt that has no handler yet.
#[derive(Clone, Default)]
pub struct PromptBuilder {
    name: String,
    about: About,
    completers: Completers,
}

/// An argument as the list tells it.
#[derive(Serialize)]
struct Argument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    required: bool,
}

impl Prompt {
    /// Begins a prompt of this name: 1 to 128 letters, digits, `_`, `.` and `-`.
    pub fn builder(name: impl Into<String>) -> PromptBuilder {
        PromptBuilder { name: name.into(), ..PromptBuilder::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.about.name
    }

    pub(super) fn ready(self) -> Result<Arc<ReadyPrompt>, String> {
        #[derive(Serialize)]
        struct Wire<'a> {
            name: &'a str,
            #[serde(flatten)]
            about: &'a About,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            arguments: &'a [Argument<'a>],
        }
        let Self { about: PromptBuilder { name, about, completers }, schema, run } = self;
        check_name(&name)?;
        let properties = schema::properties(&schema);
        let arguments: Vec<_> = properties
            .iter()
            .map(|property| Argument {
                name: property.name,
                description: property.schema.get("description").and_then(Value::as_str),
                required: property.required,
            })
            .collect();
        let names: Vec<_> = arguments.iter().map(|argument| argument.name).collect();
        if let Some(stray) = completers.stray(&names) {
            return Err(format!("it completes `{stray}`, which is none of its arguments"));
        }
        let required = arguments.iter().filter(|argument| argument.required);
        let required = required.map(|argument| argument.name.to_owned()).collect();
        let wire = Wire { name: &name, about: &about, arguments: &arguments };
        let definition = definition(&name, &wire)?;
        let description = about.description;
        Ok(Arc::new(ReadyPrompt { definition, description, required, completers, run }))
    }
}

impl PromptBuilder {
    tells_about_itself!();

    /// Suggests values of an argument. The completer gets what was typed so far, and the arguments
    /// that are settled already.
    #[must_use]
    pub fn complete<F, R>(mut self, argument: impl Into<String>, completer: F) -> Self
    where
        F: Fn(String, Settled) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<String>> + Send + 'static,
    {
        self.completers.insert(argument, completer);
        self
    }

    /// Gives it its handler. The fields of `A` are the arguments: texts, and numbers and truth
    /// values that are written as texts.
    pub fn handler<A, F, R>(self, handler: F) -> Prompt
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoPrompt,
    {
        let (handler, schema) = (Arc::new(handler), schema::flat::<A>());
        let types = Arc::new(schema.clone());
        let run: Run = Arc::new(move |texts, context| {
            let (handler, types) = (Arc::clone(&handler), Arc::clone(&types));
            async move {
                let arguments: A =
                    schema::from_texts(&types, texts).map_err(RpcError::invalid_params)?;
                handler(arguments, context).await.into_prompt()
            }
            .boxed()
        });
        Prompt { about: self, schema, run }
    }
}

/// A prompt that can be asked for.
pub(super) struct ReadyPrompt {
    pub(super) definition: Definition,
    description: Option<String>,
    required: Vec<String>,
    pub(super) completers: Completers,
    run: Run,
}

impl ReadyPrompt {
    /// Fills it in.
    pub(super) async fn get(
        &self,
        arguments: BTreeMap<String, String>,
        context: Context,
    ) -> Result<ResultObject, CallError> {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            messages: &'a [PromptMessage],
        }
        let missing: Vec<_> =
            self.required.iter().filter(|name| !arguments.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            let why = format!("missing argument(s): {}", missing.join(", "));
            return Err(RpcError::invalid_params(why).into());
        }
        let messages = (self.run)(arguments, context).await.map_err(HandlerError::for_call)?;
        let wire = Wire { description: self.description.as_deref(), messages: &messages };
        ResultObject::of(&wire).map_err(CallError::Failed)
    }
}
