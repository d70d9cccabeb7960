//! Requests with their parameters parsed: as far as the node itself needs them, and no further.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::is_object;
use super::params::{Members, Params, optional, read, required};
use super::{Code, Level, Method, RpcError};

/// Longest URI, name or cursor that is looked at, in bytes.
const TEXT_BYTES: usize = 8_192;
/// Most resources that one `subscriptions/listen` may name.
const LISTEN_URIS: usize = 1_000;
/// Bytes of all that it names: they are kept as long as the stream is open.
const LISTEN_BYTES: usize = 256 * 1024;

/// The four kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The member of the result that holds the list.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// A call of a tool, its arguments as they came.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The tool's name: the published one on the way in, the server's own at its provider.
    pub name: String,
    /// The arguments' text, an object; `None` where the client sent none.
    pub arguments: Option<Box<RawValue>>,
    /// The client asks for a task (2025-11-25).
    pub task: Option<TaskRequest>,
}

/// What `params.task` of a tool call asks for (2025-11-25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct TaskRequest {
    /// How long the task should be kept, in milliseconds.
    #[serde(default)]
    pub ttl: Option<u64>,
}

/// A prompt to be filled in.
#[derive(Debug, Clone)]
pub struct PromptCall {
    /// The prompt's name; see [`ToolCall::name`].
    pub name: String,
    /// The arguments, texts by their names.
    pub arguments: BTreeMap<String, String>,
}

/// What an argument is completed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A prompt, by its name.
    Prompt(String),
    /// A resource's template, by its text.
    Resource(String),
}

/// An argument that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Whose argument it is.
    pub reference: Reference,
    /// The argument's name.
    pub argument: String,
    /// What was typed so far.
    pub value: String,
    /// Arguments that are settled already.
    pub context: BTreeMap<String, String>,
}

/// What a provider does.
#[derive(Debug, Clone)]
pub enum Operation {
    /// `tools/call`
    CallTool(ToolCall),
    /// `prompts/get`
    GetPrompt(PromptCall),
    /// `resources/read` of a URI
    ReadResource(String),
    /// `completion/complete`
    Complete(Completion),
}

/// What changes a legacy session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCall {
    /// `logging/setLevel`
    SetLevel(Level),
    /// `resources/subscribe` to a URI
    Subscribe(String),
    /// `resources/unsubscribe` from a URI
    Unsubscribe(String),
}

/// What is asked of a task.
#[derive(Debug, Clone)]
pub enum TaskCall {
    /// `tasks/get`
    Get(String),
    /// `tasks/result` (2025-11-25)
    Result(String),
    /// `tasks/list` from a cursor on (2025-11-25)
    List(Option<String>),
    /// `tasks/cancel`
    Cancel(String),
    /// `tasks/update` with answers by their keys (2026-07-28)
    Update(String, BTreeMap<String, Box<RawValue>>),
}

/// Which notifications a `subscriptions/listen` stream asks for (2026-07-28).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// `notifications/tools/list_changed`
    #[serde(skip_serializing_if = "is_false")]
    pub tools_list_changed: bool,
    /// `notifications/prompts/list_changed`
    #[serde(skip_serializing_if = "is_false")]
    pub prompts_list_changed: bool,
    /// `notifications/resources/list_changed`
    #[serde(skip_serializing_if = "is_false")]
    pub resources_list_changed: bool,
    /// `notifications/resources/updated` of these URIs
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_subscriptions: Vec<String>,
    /// `notifications/tasks` of these tasks (tasks extension)
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub task_ids: Vec<String>,
}

impl Filter {
    /// Bytes that it takes as long as it is kept.
    pub fn bytes(&self) -> usize {
        let named = self.resource_subscriptions.iter().chain(&self.task_ids);
        size_of::<Self>() + named.map(|text| size_of::<String>() + text.len()).sum::<usize>()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A request whose parameters are parsed. `initialize` isn't one: it makes the session in which
/// the others live.
#[derive(Debug, Clone)]
pub enum Call {
    /// `ping`
    Ping,
    /// `server/discover`
    Discover,
    /// One of the lists, from a cursor on.
    List(Kind, Option<String>),
    /// What a provider does.
    Operate(Operation),
    /// What changes the session.
    Session(SessionCall),
    /// `subscriptions/listen`
    Listen(Filter),
    /// What is asked of a task.
    Task(TaskCall),
}

impl Call {
    /// Reads a method's parameters.
    ///
    /// # Errors
    /// -32602 where they are missing or of the wrong type; -32600 for an `initialize`, which has
    /// no place here.
    pub fn parse(method: Method, params: &Params<'_>) -> Result<Self, RpcError> {
        let members = &params.members;
        let list = |kind| Ok(Self::List(kind, cursor(members)?));
        match method {
            Method::Initialize => {
                Err(RpcError::new(Code::InvalidRequest, "This session is already initialized"))
            }
            Method::Ping => Ok(Self::Ping),
            Method::Discover => Ok(Self::Discover),
            Method::ListTools => list(Kind::Tools),
            Method::ListPrompts => list(Kind::Prompts),
            Method::ListResources => list(Kind::Resources),
            Method::ListTemplates => list(Kind::Templates),
            Method::CallTool => tool_call(members).map(Operation::CallTool).map(Self::Operate),
            Method::GetPrompt => prompt_call(members).map(Operation::GetPrompt).map(Self::Operate),
            Method::ReadResource => Ok(Self::Operate(Operation::ReadResource(uri(members)?))),
            Method::Complete => completion(members).map(Operation::Complete).map(Self::Operate),
            Method::SetLevel => {
                let level = required(members.level, "level")?;
                Ok(Self::Session(SessionCall::SetLevel(level)))
            }
            Method::Subscribe => Ok(Self::Session(SessionCall::Subscribe(uri(members)?))),
            Method::Unsubscribe => Ok(Self::Session(SessionCall::Unsubscribe(uri(members)?))),
            Method::Listen => filter(members).map(Self::Listen),
            Method::GetTask => Ok(Self::Task(TaskCall::Get(task_id(members)?))),
            Method::TaskResult => Ok(Self::Task(TaskCall::Result(task_id(members)?))),
            Method::ListTasks => Ok(Self::Task(TaskCall::List(cursor(members)?))),
            Method::CancelTask => Ok(Self::Task(TaskCall::Cancel(task_id(members)?))),
            Method::UpdateTask => {
                let (id, answers) = (task_id(members)?, members.input_responses);
                Ok(Self::Task(TaskCall::Update(id, required(answers, "inputResponses")?)))
            }
        }
    }
}

fn cursor(members: &Members<'_>) -> Result<Option<String>, RpcError> {
    optional(members.cursor, "cursor")
}

fn uri(members: &Members<'_>) -> Result<String, RpcError> {
    bounded(required(members.uri, "uri")?, "uri")
}

fn task_id(members: &Members<'_>) -> Result<String, RpcError> {
    bounded(required(members.task_id, "taskId")?, "taskId")
}

fn tool_call(members: &Members<'_>) -> Result<ToolCall, RpcError> {
    let name = required(members.name, "name")?;
    if members.arguments.is_some_and(|raw| !is_object(raw)) {
        return Err(RpcError::invalid_params("arguments must be an object"));
    }
    // Revisions without tasks ignore the member, so what can't be read is none.
    let task = members.task.and_then(|raw| read(raw).ok());
    Ok(ToolCall { name, arguments: members.arguments.map(ToOwned::to_owned), task })
}

fn prompt_call(members: &Members<'_>) -> Result<PromptCall, RpcError> {
    let name = required(members.name, "name")?;
    let arguments = optional(members.arguments, "arguments")?.unwrap_or_default();
    Ok(PromptCall { name, arguments })
}

fn completion(members: &Members<'_>) -> Result<Completion, RpcError> {
    #[derive(Deserialize)]
    #[serde(tag = "type")]
    enum Wire {
        #[serde(rename = "ref/prompt")]
        Prompt { name: String },
        #[serde(rename = "ref/resource")]
        Resource { uri: String },
    }
    #[derive(Deserialize)]
    struct Argument {
        name: String,
        value: String,
    }
    #[derive(Deserialize)]
    struct Context {
        #[serde(default)]
        arguments: BTreeMap<String, String>,
    }
    let Argument { name, value } = required(members.argument, "argument")?;
    let context: Option<Context> = optional(members.context, "context")?;
    Ok(Completion {
        reference: match required(members.reference, "ref")? {
            Wire::Prompt { name } => Reference::Prompt(name),
            Wire::Resource { uri } => Reference::Resource(uri),
        },
        argument: name,
        value,
        context: context.map(|context| context.arguments).unwrap_or_default(),
    })
}

fn filter(members: &Members<'_>) -> Result<Filter, RpcError> {
    let filter: Filter = required(members.notifications, "notifications")?;
    if filter.resource_subscriptions.len() + filter.task_ids.len() > LISTEN_URIS {
        let why = format!("a stream may name at most {LISTEN_URIS} resources and tasks");
        return Err(RpcError::invalid_params(why));
    }
    if filter.bytes() > LISTEN_BYTES {
        let why = format!("what a stream names may have at most {LISTEN_BYTES} bytes together");
        return Err(RpcError::invalid_params(why));
    }
    Ok(filter)
}

fn bounded(text: String, what: &str) -> Result<String, RpcError> {
    if text.is_empty() || text.len() > TEXT_BYTES {
        let why = format!("{what} must have 1 to {TEXT_BYTES} bytes");
        return Err(RpcError::invalid_params(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ParamsText;

    #[test]
    fn parameters_are_checked() {
        let check = |method, params: &str, ok: bool| {
            let text: Option<Box<RawValue>> = serde_json::from_str(params).unwrap();
            let text = text.map(ParamsText::from);
            let parsed = Call::parse(method, &Params::of(text.as_ref()).unwrap());
            assert_eq!(parsed.is_ok(), ok, "{params}: {parsed:?}");
            if let Err(error) = parsed {
                assert_eq!(error.code, Code::InvalidParams);
            }
        };
        check(Method::ListTools, "null", true);
        check(Method::ListPrompts, r#"{"cursor":"a","_meta":{}}"#, true);
        check(Method::ListTools, r#"{"cursor":5}"#, false);
        check(Method::CallTool, "null", false);
        check(Method::CallTool, "{}", false);
        check(Method::CallTool, r#"{"name":"a"}"#, true);
        check(Method::CallTool, r#"{"name":"a","arguments":{"b":[1]},"task":7}"#, true);
        check(Method::CallTool, r#"{"name":"a","arguments":[]}"#, false);
        check(Method::GetPrompt, r#"{"name":"a","arguments":{"b":"c"}}"#, true);
        check(Method::GetPrompt, r#"{"name":"a","arguments":{"b":1}}"#, false);
        check(Method::ReadResource, r#"{"uri":"a:b"}"#, true);
        check(Method::ReadResource, r#"{"uri":""}"#, false);
        check(Method::Subscribe, "{}", false);
        check(Method::SetLevel, r#"{"level":"info"}"#, true);
        check(Method::SetLevel, r#"{"level":"loud"}"#, false);
        let argument = r#""argument":{"name":"a","value":"b"}"#;
        let prompt = format!(r#"{{"ref":{{"type":"ref/prompt","name":"p"}},{argument}}}"#);
        check(Method::Complete, &prompt, true);
        check(Method::Complete, &format!(r#"{{"ref":{{"type":"x"}},{argument}}}"#), false);
        check(Method::Listen, r#"{"notifications":{"toolsListChanged":true}}"#, true);
        check(Method::Listen, "{}", false);
        check(Method::GetTask, r#"{"taskId":"t"}"#, true);
        check(Method::UpdateTask, r#"{"taskId":"t"}"#, false);
        check(Method::UpdateTask, r#"{"taskId":"t","inputResponses":{"a":{}}}"#, true);
    }
}
