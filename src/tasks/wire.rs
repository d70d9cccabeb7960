//! Tasks on the wire, in the shapes of both eras: the core tasks of 2025-11-25, and the extension
//! `io.modelcontextprotocol/tasks` of 2026-07-28. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Result, json};

use super::machine::Machine;
use crate::protocol::notification::Outgoing;
use crate::protocol::splice::Edits;
use crate::protocol::{Ask, Era, ResultObject};

/// `_meta` key that ties a message to its task (2025-11-25).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// What is told of a task.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its state.
    pub machine: &'a Machine,
    /// How often its client should look, in milliseconds.
    pub poll_interval_ms: u64,
}

impl View<'_> {
    /// The answer to the request that became a task.
    ///
    /// # Errors
    /// None that is known, as for all of these: what is written has string keys.
    pub fn created(&self, era: Era) -> Result<ResultObject> {
        let mut task = self.task(era)?;
        if era == Era::Modern {
            task.set("resultType", &"task")?;
            return Ok(task);
        }
        let mut result = ResultObject::empty();
        result.set("task", &task)?;
        relate(&mut result, self.id)?;
        Ok(result)
    }

    /// The answer to `tasks/get`.
    ///
    /// # Errors
    /// See [`created`](Self::created).
    pub fn found(&self, era: Era) -> Result<ResultObject> {
        let mut task = self.detailed(era)?;
        if era == Era::Modern {
            task.set("resultType", &"complete")?;
        }
        Ok(task)
    }

    /// The answer to a `tasks/cancel` that was heard.
    ///
    /// # Errors
    /// See [`created`](Self::created).
    pub fn cancelled(&self, era: Era) -> Result<ResultObject> {
        match era {
            Era::Legacy => self.task(era),
            Era::Modern => acknowledged(),
        }
    }

    /// The notification of a change.
    ///
    /// # Errors
    /// See [`created`](Self::created).
    pub fn notification(&self, era: Era) -> Result<Outgoing> {
        let method = match era {
            Era::Legacy => "notifications/tasks/status",
            Era::Modern => "notifications/tasks",
        };
        Ok(Outgoing::new(method, &self.detailed(era)?))
    }

    /// The task itself (`Task`).
    ///
    /// # Errors
    /// See [`created`](Self::created).
    pub fn task(&self, era: Era) -> Result<ResultObject> {
        let (ttl, poll_interval) = match era {
            Era::Legacy => ("ttl", "pollInterval"),
            Era::Modern => ("ttlMs", "pollIntervalMs"),
        };
        let machine = self.machine;
        let mut task = ResultObject::empty();
        task.set("taskId", &self.id)?;
        task.set("status", &machine.status(era).as_str())?;
        if let Some(message) = machine.message(era) {
            task.set("statusMessage", &message)?;
        }
        task.set("createdAt", &timestamp(machine.created_ms()))?;
        task.set("lastUpdatedAt", &timestamp(machine.updated_ms()))?;
        task.set(ttl, &machine.ttl_ms())?;
        task.set(poll_interval, &self.poll_interval_ms)?;
        Ok(task)
    }

    /// The task with what its status brings along (`DetailedTask`); in the legacy era, which asks
    /// for that elsewhere, the task alone.
    fn detailed(&self, era: Era) -> Result<ResultObject> {
        let mut task = self.task(era)?;
        if era == Era::Legacy {
            return Ok(task);
        }
        match self.machine.outcome() {
            Some(Ok(result)) => task.set("result", &complete(result)?)?,
            // A cancelled task has neither result nor error.
            Some(Err(error)) if !self.machine.is_cancelled() => {
                task.set("error", &error.for_era(era))?;
            }
            Some(Err(_)) => {}
            None if self.machine.questions().is_empty() => {}
            None => {
                let questions = self.machine.questions().iter();
                let requests = questions.map(|(key, ask)| Ok((key, ask.to_input_request()?)));
                task.set("inputRequests", &requests.collect::<Result<BTreeMap<_, _>>>()?)?;
            }
        }
        Ok(task)
    }
}

/// The answer to what is only heard (2026-07-28).
///
/// # Errors
/// See [`View::created`].
pub fn acknowledged() -> Result<ResultObject> {
    let mut result = ResultObject::empty();
    result.set("resultType", &"complete")?;
    Ok(result)
}

/// The answer to `tasks/list` (2025-11-25).
///
/// # Errors
/// See [`View::created`].
pub fn page(tasks: &[ResultObject], next_cursor: Option<&str>) -> Result<ResultObject> {
    let mut result = ResultObject::empty();
    result.set("tasks", &tasks)?;
    if let Some(cursor) = next_cursor {
        result.set("nextCursor", &cursor)?;
    }
    Ok(result)
}

/// Ties an object to its task, by its `_meta` (2025-11-25).
///
/// # Errors
/// See [`View::created`].
pub fn relate(object: &mut ResultObject, id: &str) -> Result<()> {
    object.within("_meta", Edits::default().set(RELATED_TASK, &json!({ "taskId": id }))?)
}

/// Ties a request of ours to its task (2025-11-25).
///
/// # Errors
/// Where its parameters are no object.
pub fn related_ask(ask: &Ask, id: &str) -> Result<Ask> {
    Ok(Ask { kind: ask.kind, params: Some(related(ask.params.as_deref(), id)?) })
}

/// Ties a notification to its task (2025-11-25).
///
/// # Errors
/// Where its parameters are no object.
pub fn related_notification(notification: &Outgoing, id: &str) -> Result<Outgoing> {
    let params = related(notification.params.as_deref(), id)?;
    Ok(Outgoing { method: notification.method, params: Some(params) })
}

fn related(params: Option<&RawValue>, id: &str) -> Result<Box<RawValue>> {
    let params = params.map(|raw| serde_json::from_str::<ResultObject>(raw.get()));
    let mut params = params.transpose()?.unwrap_or_default();
    relate(&mut params, id)?;
    to_raw_value(&params)
}

/// A result as it would have been answered: the modern era has every result tell its type.
fn complete(result: &ResultObject) -> Result<ResultObject> {
    let mut result = result.clone();
    if result.get("resultType").is_none() {
        result.set("resultType", &"complete")?;
    }
    Ok(result)
}

/// ISO 8601 in UTC, with milliseconds. Times that no calendar reaches are the epoch.
fn timestamp(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
