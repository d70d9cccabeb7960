//! What a handler knows of the request that it serves, and how it talks with the client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::ask::{Elicited, Questions, Root, Sampled, Sampling};
use super::handle::Handle;
use crate::protocol::notification::{LogMessage, Progress};
use crate::protocol::{Ask, ClientCapabilities, Code, Level, Revision, RpcError};
use crate::provider::{CallContext, CallError};

/// What a handler knows of its call. Clones belong to the same call.
///
/// # Asking the client
///
/// In the legacy era, and in tasks, a question waits for its answer like any other future. In a
/// request of 2026-07-28 nobody can wait: the handler *ends* at the question, by the error that
/// `?` passes on. The client answers and sends its request again, and the handler runs *again from
/// its beginning*; then the question has its answer at once, by its key. So:
///
/// - pass the error on, by `?`;
/// - give each question of a handler a key of its own, the same in each run;
/// - put what changes anything behind the last question;
/// - what was costly to find out before a question is kept by [`keep`](Self::keep).
#[derive(Debug, Clone)]
pub struct Context {
    call: CallContext,
    server: Handle,
    kept: Arc<Mutex<Option<Value>>>,
}

impl Context {
    pub(super) fn new(call: CallContext, server: Handle) -> Self {
        Self { call, server, kept: Arc::default() }
    }

    /// The handle of the server that the handler belongs to.
    pub fn server(&self) -> &Handle {
        &self.server
    }

    /// The revision of the client's edge.
    pub fn revision(&self) -> Revision {
        self.call.revision()
    }

    /// What the client can be asked.
    pub fn client_capabilities(&self) -> ClientCapabilities {
        self.call.side.capabilities
    }

    /// The request's `_meta`, as it came.
    pub fn meta(&self) -> Option<&RawValue> {
        self.call.side.meta.as_deref()
    }

    /// When the call ends at the latest, apart from the time that it waits for its client.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// Waits until nobody waits for the result any more. The handler's future is dropped then;
    /// this is for work that it started elsewhere.
    pub async fn cancelled(&self) {
        self.call.cancelled.cancelled().await;
    }

    /// Tells how far the work is, where the client wants to know: what is done, of how much, and
    /// what is being done. What is done has to grow.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        let message = message.map(ToOwned::to_owned);
        self.call.progress(Progress { progress: done, total, message });
    }

    /// Sends a log message, a text or any JSON value, where the client wants those of this level.
    pub fn log(&self, level: Level, data: impl Into<Value>) {
        self.call.log(&LogMessage { level, logger: None, data: data.into() });
    }

    /// A log message of level `debug`.
    pub fn debug(&self, data: impl Into<Value>) {
        self.log(Level::Debug, data);
    }

    /// A log message of level `info`.
    pub fn info(&self, data: impl Into<Value>) {
        self.log(Level::Info, data);
    }

    /// A log message of level `warning`.
    pub fn warning(&self, data: impl Into<Value>) {
        self.log(Level::Warning, data);
    }

    /// A log message of level `error`.
    pub fn error(&self, data: impl Into<Value>) {
        self.log(Level::Error, data);
    }

    /// Asks the user by a form: the fields of `T` are texts, numbers, truth values or choices.
    /// Never ask for a secret by a form.
    ///
    /// # Errors
    /// Where the client can't be asked this, refuses or is gone, where its answer doesn't fit `T`,
    /// where `T` is no form; and the one that asks, see [`Context`].
    pub async fn elicit<T: DeserializeOwned + JsonSchema>(
        &self,
        key: &str,
        message: &str,
    ) -> Result<Elicited<T>, CallError> {
        self.ask_all().elicit::<T>(key, message).ask().await?.elicited(key)
    }

    /// Asks the user by a form that is a JSON Schema.
    ///
    /// # Errors
    /// See [`elicit`](Self::elicit).
    pub async fn elicit_form(
        &self,
        key: &str,
        message: &str,
        schema: &Value,
    ) -> Result<Elicited<Value>, CallError> {
        let asked = self.ask_all().elicit_form(key, message, schema);
        asked.ask().await?.elicited_form(key, schema)
    }

    /// Sends the user to a URL, for what must not pass through the client: secrets, payments,
    /// consent. The answer tells that the user goes there, not that it is done.
    ///
    /// # Errors
    /// See [`elicit`](Self::elicit).
    pub async fn elicit_url(
        &self,
        key: &str,
        message: &str,
        url: &str,
    ) -> Result<Elicited<()>, CallError> {
        self.ask_all().elicit_url(key, message, url).ask().await?.elicited_url(key)
    }

    /// Asks the client's model.
    ///
    /// # Errors
    /// See [`elicit`](Self::elicit).
    pub async fn sample(&self, key: &str, sampling: &Sampling) -> Result<Sampled, CallError> {
        self.ask_all().sample(key, sampling).ask().await?.sampled(key)
    }

    /// Asks for the places that the client lets its servers work in.
    ///
    /// # Errors
    /// See [`elicit`](Self::elicit).
    pub async fn roots(&self, key: &str) -> Result<Vec<Root>, CallError> {
        self.ask_all().roots(key).ask().await?.roots(key)
    }

    /// Begins several questions that are asked at once.
    pub fn ask_all(&self) -> Questions<'_> {
        Questions::new(self)
    }

    /// Keeps a value for the run after the next question, see [`Context`]. It passes through the
    /// client, which can't read nor change it. It stays until another one is kept.
    ///
    /// # Errors
    /// Where it can't be written as JSON.
    pub fn keep<T: Serialize>(&self, value: &T) -> Result<(), CallError> {
        let value = serde_json::to_value(value).map_err(|_| {
            RpcError::new(Code::InternalError, "What a handler keeps can't be encoded")
        })?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// What was kept last, in this run or the one before; `None` where nothing was, or something
    /// that is no `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.kept()?).ok()
    }

    /// Ends the event stream of this request without its answer, which the client then fetches
    /// (2025-11-25, "polling"): for work that is so long that its connection had better not stay.
    pub fn release_stream(&self) {
        self.call.side.client.release_stream();
    }

    pub(super) async fn ask(
        &self,
        asks: BTreeMap<String, Ask>,
    ) -> Result<BTreeMap<String, Box<RawValue>>, CallError> {
        self.call.ask(asks, self.kept()).await
    }

    fn kept(&self) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.or_else(|| self.call.side.inputs.state.clone())
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
