//! Questions to the client: to its user, to its model, and for its roots.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::context::Context;
use super::form;
use super::model::{ContentBlock, Role};
use super::schema::Schema;
use crate::protocol::{Ask, AskKind, Code, Era, RpcError};
use crate::provider::CallError;

/// What a user answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elicited<T> {
    /// This.
    Accepted(T),
    /// That there will be no answer.
    Declined,
    /// Nothing: the question was closed.
    Cancelled,
}

impl<T> Elicited<T> {
    /// The answer, where there is one.
    pub fn accepted(self) -> Option<T> {
        match self {
            Self::Accepted(answer) => Some(answer),
            Self::Declined | Self::Cancelled => None,
        }
    }
}

#[derive(Deserialize)]
struct ElicitedWire {
    action: Action,
    #[serde(default)]
    content: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Accept,
    Decline,
    Cancel,
}

impl ElicitedWire {
    fn read<T>(self, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Elicited<T>, String> {
        Ok(match self.action {
            Action::Accept => {
                Elicited::Accepted(read(self.content.as_deref().map_or("{}", RawValue::get))?)
            }
            Action::Decline => Elicited::Declined,
            Action::Cancel => Elicited::Cancelled,
        })
    }
}

/// A request to the client's model.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    messages: Vec<SamplingMessage>,
    max_tokens: u32,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize)]
struct SamplingMessage {
    role: Role,
    content: ContentBlock,
}

impl Sampling {
    /// Asks one thing; the answer has at most so many tokens.
    pub fn new(prompt: impl Into<String>, max_tokens: u32) -> Self {
        let content = ContentBlock::text(prompt);
        let messages = vec![SamplingMessage { role: Role::User, content }];
        Self { messages, max_tokens, more: Map::new() }
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, role: Role, content: ContentBlock) -> Self {
        self.messages.push(SamplingMessage { role, content });
        self
    }

    /// Tells the model how to behave.
    #[must_use]
    pub fn system_prompt(self, text: impl Into<String>) -> Self {
        self.with("systemPrompt", text.into())
    }

    /// Sets any other member of the request, such as `temperature`, `modelPreferences` or `tools`.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Into<Value>) -> Self {
        self.more.insert(member.into(), value.into());
        self
    }

    fn kind(&self) -> AskKind {
        if self.more.contains_key("tools") { AskKind::SampleWithTools } else { AskKind::Sample }
    }
}

/// What the client's model answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampled {
    /// Whose message it is.
    pub role: Role,
    /// One block of content, or several; with tools, also their uses.
    pub content: Value,
    /// Which model it was.
    pub model: String,
    /// Why it stopped, such as `endTurn`.
    #[serde(default)]
    pub stop_reason: Option<String>,
}

impl Sampled {
    /// Its texts, one per line.
    pub fn text(&self) -> String {
        let blocks = match &self.content {
            Value::Array(blocks) => blocks.as_slice(),
            block => std::slice::from_ref(block),
        };
        let texts: Vec<_> = blocks.iter().filter_map(|b| b.get("text")?.as_str()).collect();
        texts.join("\n")
    }
}

/// A place that the client lets its servers work in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// Where: a `file:` URI.
    pub uri: String,
    /// What it is called.
    #[serde(default)]
    pub name: Option<String>,
}

/// Several questions that are asked at once, each with its key. [`Context::ask_all`] begins them.
#[must_use = "nothing is asked before `ask`"]
pub struct Questions<'a> {
    context: &'a Context,
    asks: BTreeMap<String, Ask>,
    /// The first that can't be asked at all.
    fault: Option<RpcError>,
}

impl<'a> Questions<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context, asks: BTreeMap::new(), fault: None }
    }

    /// Asks the user by the form of `T`; see [`Context::elicit`].
    pub fn elicit<T: JsonSchema>(self, key: &str, message: &str) -> Self {
        self.form(key, message, form::of::<T>())
    }

    /// Asks the user by a form that is a schema; see [`Context::elicit_form`].
    pub fn elicit_form(self, key: &str, message: &str, schema: &Value) -> Self {
        self.form(key, message, form::check(schema).map(|()| schema.clone()))
    }

    /// Sends the user to a URL; see [`Context::elicit_url`].
    pub fn elicit_url(self, key: &str, message: &str, url: &str) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            mode: &'static str,
            message: &'a str,
            url: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            elicitation_id: Option<String>,
        }
        // Only the legacy era tells of an elicitation that it is complete, by its id.
        let is_legacy = self.context.revision().era() == Era::Legacy;
        let elicitation_id = is_legacy.then(|| Uuid::new_v4().to_string());
        self.add(key, AskKind::ElicitUrl, &Params { mode: "url", message, url, elicitation_id })
    }

    /// Asks the client's model; see [`Context::sample`].
    pub fn sample(self, key: &str, sampling: &Sampling) -> Self {
        self.add(key, sampling.kind(), sampling)
    }

    /// Asks for the client's roots; see [`Context::roots`].
    pub fn roots(mut self, key: &str) -> Self {
        self.asks.insert(key.to_owned(), Ask { kind: AskKind::ListRoots, params: None });
        self
    }

    /// Asks, and gives the answers.
    ///
    /// # Errors
    /// Those of [`Context::elicit`].
    pub async fn ask(self) -> Result<Answers, CallError> {
        match self.fault {
            Some(fault) => Err(fault.into()),
            None => self.context.ask(self.asks).await.map(Answers),
        }
    }

    fn form(mut self, key: &str, message: &str, schema: Result<Value, String>) -> Self {
        match schema {
            Ok(schema) => {
                let params = json!({ "message": message, "requestedSchema": schema });
                self.add(key, AskKind::ElicitForm, &params)
            }
            Err(why) => {
                self.fault.get_or_insert(RpcError::new(Code::InternalError, why));
                self
            }
        }
    }

    fn add<T: Serialize>(mut self, key: &str, kind: AskKind, params: &T) -> Self {
        match to_raw_value(params) {
            Ok(params) => {
                self.asks.insert(key.to_owned(), Ask { kind, params: Some(params) });
            }
            Err(_) => {
                let fault = RpcError::new(Code::InternalError, "The question can't be encoded");
                self.fault.get_or_insert(fault);
            }
        }
        self
    }
}

/// Answers by the keys of their questions.
#[derive(Debug, Clone)]
pub struct Answers(BTreeMap<String, Box<RawValue>>);

impl Answers {
    /// The user's answer to [`Questions::elicit`].
    ///
    /// # Errors
    /// -32602 where it doesn't fit `T`, -32603 where nothing was asked by this key; as for all.
    pub fn elicited<T: DeserializeOwned>(&self, key: &str) -> Result<Elicited<T>, CallError> {
        let read = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
        self.read::<ElicitedWire>(key)?.read(read).map_err(|why| misfit(key, &why))
    }

    /// The user's answer to [`Questions::elicit_form`], checked against the same schema.
    ///
    /// # Errors
    /// Also -32603 where the schema is none.
    pub fn elicited_form(&self, key: &str, schema: &Value) -> Result<Elicited<Value>, CallError> {
        let schema = Schema::of_object(schema);
        let schema = schema.map_err(|why| RpcError::new(Code::InternalError, why))?;
        let read = |text: &str| {
            let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
            schema.check(&value).map(|()| value)
        };
        self.read::<ElicitedWire>(key)?.read(read).map_err(|why| misfit(key, &why))
    }

    /// Whether the user goes to the URL of [`Questions::elicit_url`].
    ///
    /// # Errors
    /// See [`elicited`](Self::elicited).
    pub fn elicited_url(&self, key: &str) -> Result<Elicited<()>, CallError> {
        self.read::<ElicitedWire>(key)?.read(|_| Ok(())).map_err(|why| misfit(key, &why))
    }

    /// The model's answer.
    ///
    /// # Errors
    /// See [`elicited`](Self::elicited).
    pub fn sampled(&self, key: &str) -> Result<Sampled, CallError> {
        self.read(key)
    }

    /// The client's roots.
    ///
    /// # Errors
    /// See [`elicited`](Self::elicited).
    pub fn roots(&self, key: &str) -> Result<Vec<Root>, CallError> {
        #[derive(Deserialize)]
        struct Wire {
            roots: Vec<Root>,
        }
        self.read::<Wire>(key).map(|wire| wire.roots)
    }

    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, CallError> {
        let answer = self.0.get(key).ok_or_else(|| {
            RpcError::new(Code::InternalError, format!("Nothing was asked by the key {key:?}"))
        })?;
        serde_json::from_str(answer.get()).map_err(|error| misfit(key, &error.to_string()))
    }
}

fn misfit(key: &str, why: &str) -> CallError {
    RpcError::invalid_params(format!("the answer to {key:?} doesn't fit: {why}")).into()
}
