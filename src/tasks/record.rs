//! One task as all who deal with it share it: its state, and who has to hear of its changes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::clock::Clock;
use super::machine::{Machine, Outcome, Status, Unchanged};
use super::wire::View;
use crate::protocol::{Ask, AskError, Era};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::TaskLabels;

/// A task's id: unguessable, a random UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(Arc<str>);

impl TaskId {
    pub(super) fn random() -> Self {
        // 122 bits from the operating system's generator.
        Self(Uuid::new_v4().to_string().into())
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough to tell tasks apart in a log, and too little to ask for one.
    fn short(&self) -> &str {
        self.0.get(..8).unwrap_or_default()
    }
}

impl From<&str> for TaskId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for TaskId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whose a task is: a principal or a session, as a key that means nothing here. Nobody else ever
/// hears of the task.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The owner with this key.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key.
    pub fn key(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// The key may be a secret, as a session's id is.
impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

/// A task changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Whose it is.
    pub owner: Owner,
    /// Which one.
    pub id: TaskId,
}

/// What a client answered, or why it did not.
pub(super) type Answer = Result<Box<RawValue>, AskError>;

/// What all tasks share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) changes: broadcast::Sender<TaskChange>,
    pub(super) metrics: Metrics,
    pub(super) poll_interval_ms: u64,
}

impl Shared {
    fn count(&self, status: Status, by: i64) {
        let labels = TaskLabels { state: status.as_str() };
        self.metrics.tasks.get_or_create(&labels).inc_by(by);
    }
}

/// One task. Access is short and never across an await.
pub(super) struct Record {
    pub(super) id: TaskId,
    pub(super) owner: Owner,
    /// The tool that runs, by its published name; for the log.
    tool: Arc<str>,
    pub(super) created_ms: u64,
    pub(super) expires_ms: u64,
    /// Cancelled when the task has ended, however.
    pub(super) ended: CancellationToken,
    shared: Arc<Shared>,
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

struct State {
    machine: Machine,
    /// Who waits for an answer, by the question's key.
    waiting: HashMap<String, oneshot::Sender<Answer>>,
}

impl Record {
    pub(super) fn new(shared: Arc<Shared>, owner: Owner, tool: Arc<str>, ttl_ms: u64) -> Self {
        let machine = Machine::new(shared.clock.now_ms(), ttl_ms);
        shared.count(Status::Working, 1);
        Self {
            id: TaskId::random(),
            owner,
            tool,
            created_ms: machine.created_ms(),
            expires_ms: machine.expires_ms(),
            ended: CancellationToken::new(),
            shared,
            state: Mutex::new(State { machine, waiting: HashMap::new() }),
            version: watch::Sender::new(0),
        }
    }

    /// Looks at the task.
    pub(super) fn look<R>(&self, at: impl FnOnce(&View<'_>) -> R) -> R {
        let state = self.lock();
        let (machine, poll_interval_ms) = (&state.machine, self.shared.poll_interval_ms);
        at(&View { id: self.id.as_str(), machine, poll_interval_ms })
    }

    /// Tells that the task changed, from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Opens a question; gives its key, and where its answer will come. That it never will is
    /// told by the end of the channel.
    pub(super) fn ask(&self, ask: Ask) -> Result<(String, oneshot::Receiver<Answer>), AskError> {
        self.change(|state, now_ms| {
            let key = state.machine.ask(ask, now_ms)?;
            let (waiting, answer) = oneshot::channel();
            state.waiting.insert(key.clone(), waiting);
            Ok((key, answer))
        })
    }

    /// Answers a question, where it is open.
    pub(super) fn answer(&self, key: &str, answer: Answer) {
        let waiting = self.change(|state, now_ms| {
            state.machine.close(key, now_ms)?;
            Ok::<_, Unchanged>(state.waiting.remove(key))
        });
        if let Ok(Some(waiting)) = waiting {
            // Who asked may have gone meanwhile.
            let _ = waiting.send(answer);
        }
    }

    /// Takes back a question, where it is open.
    pub(super) fn withdraw(&self, key: &str) {
        let _ = self.change(|state, now_ms| {
            state.waiting.remove(key);
            state.machine.close(key, now_ms)
        });
    }

    /// Ends the task with what its work gave.
    ///
    /// # Errors
    /// Where it has ended already.
    pub(super) fn finish(&self, outcome: Outcome) -> Result<(), Unchanged> {
        self.end(|machine, now_ms| machine.finish(outcome, now_ms))
    }

    /// Ends the task because its client wants that.
    ///
    /// # Errors
    /// Where it has ended already.
    pub(super) fn cancel(&self) -> Result<(), Unchanged> {
        self.end(Machine::cancel)
    }

    fn end(
        &self,
        end: impl FnOnce(&mut Machine, u64) -> Result<(), Unchanged>,
    ) -> Result<(), Unchanged> {
        self.change(|state, now_ms| {
            end(&mut state.machine, now_ms)?;
            state.waiting.clear();
            Ok(())
        })?;
        self.ended.cancel();
        let status = self.status().as_str();
        tracing::info!(task = self.id.short(), tool = %self.tool, status, "a task ended");
        Ok(())
    }

    fn status(&self) -> Status {
        self.lock().machine.status(Era::Modern)
    }

    /// Changes the task; where that succeeds, all who follow it are told.
    fn change<R, E>(&self, change: impl FnOnce(&mut State, u64) -> Result<R, E>) -> Result<R, E> {
        let changed = {
            let mut state = self.lock();
            let before = state.machine.status(Era::Modern);
            let changed = change(&mut state, self.shared.clock.now_ms())?;
            self.shared.count(before, -1);
            self.shared.count(state.machine.status(Era::Modern), 1);
            changed
        };
        self.version.send_modify(|version| *version = version.wrapping_add(1));
        // Nobody may listen; that is no fault.
        let change = TaskChange { owner: self.owner.clone(), id: self.id.clone() };
        let _ = self.shared.changes.send(change);
        Ok(changed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metric counts the tasks that take memory.
impl Drop for Record {
    fn drop(&mut self) {
        self.shared.count(self.status(), -1);
    }
}
