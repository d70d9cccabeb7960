//! Tools: what they tell of themselves, and how one is called.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::context::Context;
use super::error::HandlerError;
use super::item::{About, definition, tells_about_itself};
use super::model::ToolAnnotations;
use super::result::{IntoToolResult, ToolResult};
use super::schema::{self, Schema};
use crate::catalogue::{ASKS_FIRST, Definition, TaskSupport};
use crate::protocol::{Code, ResultObject, RpcError};
use crate::provider::CallError;

/// The arguments of a tool or prompt that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

type Run = Arc<dyn Fn(Value, Context) -> BoxFuture<'static, Ran> + Send + Sync>;
type Ran = Result<ToolResult, HandlerError>;

/// A tool with its handler. [`Tool::builder`] makes one.
pub struct Tool {
    about: ToolBuilder,
    input: Value,
    output: Option<Value>,
    run: Run,
}

/// A tool that has no handler yet.
#[derive(Clone, Default)]
pub struct ToolBuilder {
    name: String,
    about: About,
    annotations: ToolAnnotations,
    input: Option<Value>,
    output: Option<Value>,
    task_support: TaskSupport,
}

impl Tool {
    /// Begins a tool of this name: 1 to 128 letters, digits, `_`, `.` and `-`.
    pub fn builder(name: impl Into<String>) -> ToolBuilder {
        ToolBuilder { name: name.into(), ..ToolBuilder::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.about.name
    }

    pub(super) fn ready(self) -> Result<Arc<ReadyTool>, String> {
        let Self { about, input, output, run } = self;
        check_name(&about.name)?;
        let definition = about.definition(&input, output.as_ref())?;
        let of_results = |why| format!("of its results, {why}");
        let output = output.as_ref().map(Schema::of_object).transpose().map_err(of_results)?;
        // What the handler's own type promises is so; what was only declared is checked.
        let output = output.filter(|_| about.output.is_some());
        Ok(Arc::new(ReadyTool { definition, input: Schema::of_object(&input)?, output, run }))
    }
}

/// The rule of 2025-11-25 and later, "Tool names".
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (1..=128).contains(&name.len()) && name.chars().all(legal) {
        return Ok(());
    }
    Err("a name has 1 to 128 letters, digits, `_`, `.` and `-`".to_owned())
}

impl ToolBuilder {
    tells_about_itself!();

    /// Says whether it only looks, and changes nothing.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.annotations.read_only_hint = Some(read_only);
        self
    }

    /// Says whether it may destroy something, rather than only add.
    #[must_use]
    pub fn destructive(mut self, destructive: bool) -> Self {
        self.annotations.destructive_hint = Some(destructive);
        self
    }

    /// Says whether a second call with the same arguments changes nothing more. The node may then
    /// repeat a call whose outcome it doesn't know.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.annotations.idempotent_hint = Some(idempotent);
        self
    }

    /// Says whether it deals with the world outside, as a web search does.
    #[must_use]
    pub fn open_world(mut self, open_world: bool) -> Self {
        self.annotations.open_world_hint = Some(open_world);
        self
    }

    /// Sets the schema of the arguments, listed exactly as it is here; otherwise it is that of the
    /// handler's arguments. It has to be an object's.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.input = Some(schema);
        self
    }

    /// Says what the structured content is, for handlers that return [`ToolResult`]. Results that
    /// don't fit become errors. Handlers that return [`Json`](super::Json) need not say it.
    #[must_use]
    pub fn output<T: JsonSchema>(self) -> Self {
        self.output_schema(schema::of_output::<T>())
    }

    /// The same, with a schema of an object.
    #[must_use]
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output = Some(schema);
        self
    }

    /// Says whether it runs as a task, which its client needn't wait for.
    #[must_use]
    pub fn task_support(mut self, support: TaskSupport) -> Self {
        self.task_support = support;
        self
    }

    /// Says that a task is only made once the handler's first questions are answered
    /// (2026-07-28). Without this, it asks them from inside the task.
    #[must_use]
    pub fn asks_first(self) -> Self {
        self.meta(ASKS_FIRST, true)
    }

    /// Gives it its handler. The arguments are checked against the schema before it runs; those
    /// of type [`Value`] are passed on as they are.
    pub fn handler<A, F, R>(self, handler: F) -> Tool
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, Context) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoToolResult,
    {
        let handler = Arc::new(handler);
        let run: Run = Arc::new(move |arguments, context| {
            let handler = Arc::clone(&handler);
            async move {
                let arguments: A = serde_json::from_value(arguments)
                    .map_err(|error| CallError::InvalidArguments(error.to_string()))?;
                handler(arguments, context).await.into_tool_result()
            }
            .boxed()
        });
        let input = self.input.clone().unwrap_or_else(schema::of_input::<A>);
        let output = self.output.clone().or_else(R::Output::output_schema);
        Tool { about: self, input, output, run }
    }

    fn definition(&self, input: &Value, output: Option<&Value>) -> Result<Definition, String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            name: &'a str,
            #[serde(flatten)]
            about: &'a About,
            input_schema: &'a Value,
            #[serde(skip_serializing_if = "Option::is_none")]
            output_schema: Option<&'a Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            annotations: Option<&'a ToolAnnotations>,
            #[serde(skip_serializing_if = "Option::is_none")]
            execution: Option<Execution>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Execution {
            task_support: &'static str,
        }
        let support = match self.task_support {
            TaskSupport::Forbidden => None,
            TaskSupport::Optional => Some("optional"),
            TaskSupport::Required => Some("required"),
        };
        let annotated = self.annotations != ToolAnnotations::default();
        definition(
            &self.name,
            &Wire {
                name: &self.name,
                about: &self.about,
                input_schema: input,
                output_schema: output,
                annotations: annotated.then_some(&self.annotations),
                execution: support.map(|task_support| Execution { task_support }),
            },
        )
    }
}

/// A tool that can be called.
pub(super) struct ReadyTool {
    pub(super) definition: Definition,
    input: Schema,
    output: Option<Schema>,
    run: Run,
}

impl ReadyTool {
    /// Calls it.
    pub(super) async fn call(
        &self,
        arguments: Option<&RawValue>,
        context: Context,
    ) -> Result<ResultObject, CallError> {
        let text = arguments.map_or("{}", RawValue::get);
        let arguments: Value = serde_json::from_str(text)
            .map_err(|error| CallError::InvalidArguments(error.to_string()))?;
        self.input.check(&arguments).map_err(CallError::InvalidArguments)?;
        let result = match (self.run)(arguments, context).await {
            Ok(result) => result,
            Err(error) => ToolResult::error(error.for_model()?),
        };
        self.check_result(&result)?;
        result.into_object().map_err(CallError::Failed)
    }

    fn check_result(&self, result: &ToolResult) -> Result<(), RpcError> {
        let Some(schema) = self.output.as_ref().filter(|_| !result.is_error) else {
            return Ok(());
        };
        let none = Err("there is no structured content".to_owned());
        result.structured.as_ref().map_or(none, |value| schema.check(value)).map_err(|why| {
            tracing::error!(tool = self.definition.name, why, "a result isn't what was promised");
            RpcError::new(Code::InternalError, "The tool's result doesn't fit its output schema")
        })
    }
}
