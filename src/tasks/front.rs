//! The front of all tasks: creating, watching, answering and ending them, whatever crashes.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use supervisors::{Slot, Started};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::Config;
use super::machine::Outcome;
use super::record::{Owner, Record, TaskChange};
use super::retrieval::retrieve;
use super::table::Table;
use super::wire::{self, View};
use super::work::{Job, TaskSupervisor, Work};
use crate::protocol::envelope::is_object;
use crate::protocol::notification::Outgoing;
use crate::protocol::{Code, Era, ResultObject, Revision, RpcError};
use crate::provider::ClientLink;
use crate::telemetry::Metrics;

/// Tasks on one page of `tasks/list`.
const PAGE_SIZE: usize = 100;
/// How long a new task waits for its supervisor, which may be restarting.
const START_WAIT: Duration = Duration::from_secs(5);

/// A task to be created.
pub struct NewTask {
    /// The revision of the request that becomes one.
    pub revision: Revision,
    /// How long its client wants it to be kept, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// The tool that runs, by its published name; for the log.
    pub tool: Arc<str>,
    /// Where its log messages and progress go, as long as that lives (2025-11-25).
    pub client: Option<Weak<dyn ClientLink>>,
    /// What it does.
    pub work: Work,
}

/// The handle that sessions use. Clones are handles of the same tasks.
#[derive(Clone)]
pub struct Tasks {
    table: Table,
    supervisor: Slot<TaskSupervisor>,
    config: Arc<Config>,
    metrics: Metrics,
}

impl Tasks {
    /// No tasks yet; their work will run below the supervisor in this slot.
    pub fn new(config: Config, supervisor: Slot<TaskSupervisor>, metrics: Metrics) -> Self {
        let table = Table::new(&config, metrics.clone());
        Self { table, supervisor, config: Arc::new(config), metrics }
    }

    /// Creates a task and starts its work; gives the answer to the request that became it. From
    /// then on [`get`](Self::get) finds it.
    ///
    /// # Errors
    /// Where there are too many, or the work can't be started.
    pub async fn create(&self, owner: &Owner, new: NewTask) -> Outcome {
        let NewTask { revision, ttl_ms, tool, client, work } = new;
        let ttl_ms = self.config.ttl_ms(ttl_ms);
        let record = self.table.open(owner, tool, ttl_ms).map_err(|limit| {
            self.metrics.reject(limit);
            RpcError::overloaded(limit)
        })?;
        // A client that goes away meanwhile drops this future: the guard then takes back the task
        // whose id nobody ever learns.
        let unborn = Unborn { table: &self.table, record: Some(record.clone()) };
        // Told as it begins, however fast the work is.
        let created = tell(&record, |view| view.created(revision.era()))?;
        let job = Job {
            record,
            revision,
            client,
            work,
            time_limit: self.config.time_limit(ttl_ms),
            ask_timeout: self.config.ask_timeout(),
        };
        match timeout(START_WAIT, self.start(job)).await {
            Ok(Some(())) => {
                unborn.born();
                Ok(created)
            }
            _ => Err(RpcError::new(Code::InternalError, "The task could not be started")),
        }
    }

    async fn start(&self, job: Job) -> Option<()> {
        match self.supervisor.wait().await.start_child(job).await {
            Ok(Started::Running { .. }) => Some(()),
            Ok(Started::Ignored) => None,
            Err(error) => {
                tracing::warn!(%error, "a task did not start");
                None
            }
        }
    }

    /// How a task is; since 2026-07-28 with its result, its error or its questions.
    ///
    /// # Errors
    /// -32602 where the owner has no such task, as for all of these.
    pub fn get(&self, owner: &Owner, id: &str, revision: Revision) -> Outcome {
        tell(&*self.find(owner, id)?, |view| view.found(revision.era()))
    }

    /// What the request under a task would have been answered, when it has ended (2025-11-25).
    /// Until then this waits, and asks the task's questions through `client`.
    ///
    /// # Errors
    /// That of the request; -32602 where the owner has no such task.
    pub async fn result(&self, owner: &Owner, id: &str, client: Arc<dyn ClientLink>) -> Outcome {
        let record = self.find(owner, id)?;
        let mut result = retrieve(&record, &client).await?;
        wire::relate(&mut result, id).map_err(unwritable)?;
        Ok(result)
    }

    /// One page of an owner's tasks (2025-11-25).
    ///
    /// # Errors
    /// -32602 for a cursor that is none of ours.
    pub fn list(&self, owner: &Owner, cursor: Option<&str>) -> Outcome {
        let page = self.table.page(owner, cursor, PAGE_SIZE);
        let (records, next) = page.map_err(|_| RpcError::invalid_params("unknown cursor"))?;
        let tasks = records.iter().map(|record| tell(record, |view| view.task(Era::Legacy)));
        let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        wire::page(&tasks, next.as_deref()).map_err(unwritable)
    }

    /// Ends a task and stops its work.
    ///
    /// # Errors
    /// -32602 where the owner has no such task; in 2025-11-25 also where it has ended already.
    pub fn cancel(&self, owner: &Owner, id: &str, revision: Revision) -> Outcome {
        let record = self.find(owner, id)?;
        let era = revision.era();
        if record.cancel().is_err() && era == Era::Legacy {
            let status = record.look(|view| view.machine.status(era).as_str());
            let why = format!("the task has already ended, with status \"{status}\"");
            return Err(RpcError::invalid_params(why));
        }
        tell(&record, |view| view.cancelled(era))
    }

    /// Gives answers to a task's questions (2026-07-28). Those to questions that aren't open are
    /// ignored.
    ///
    /// # Errors
    /// -32602 where the owner has no such task, or an answer to an open question is no object;
    /// then none is taken.
    pub fn update(
        &self,
        owner: &Owner,
        id: &str,
        answers: BTreeMap<String, Box<RawValue>>,
    ) -> Outcome {
        let record = self.find(owner, id)?;
        let well_formed = record.look(|view| {
            let open = view.machine.questions();
            answers.iter().all(|(key, answer)| !open.contains_key(key) || is_object(answer))
        });
        if !well_formed {
            return Err(RpcError::invalid_params("each of inputResponses must be an object"));
        }
        for (key, answer) in answers {
            record.answer(&key, Ok(answer));
        }
        wire::acknowledged().map_err(unwritable)
    }

    /// Whether an owner has this task: nobody else may listen to its changes.
    pub fn owns(&self, owner: &Owner, id: &str) -> bool {
        self.table.find(owner, id).is_some()
    }

    /// What will change from now on. Who falls behind has to take all tasks as changed.
    pub fn changes(&self) -> broadcast::Receiver<TaskChange> {
        self.table.changes()
    }

    /// The notification that tells a client how a task is now: `notifications/tasks/status` in
    /// 2025-11-25, `notifications/tasks` since. `None` where the owner has no such task any more.
    pub fn notification(&self, owner: &Owner, id: &str, revision: Revision) -> Option<Outgoing> {
        let record = self.table.find(owner, id)?;
        record.look(|view| view.notification(revision.era())).ok()
    }

    /// Ends and forgets all that an owner has: for owners that are gone for good, as a session is
    /// that ended.
    pub fn forget(&self, owner: &Owner) {
        for record in self.table.remove_all(owner) {
            let _ = record.cancel();
        }
    }

    /// How many tasks are kept.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the tasks whose time is over. Work that still runs is stopped: nobody could ever
    /// ask for its result.
    pub(super) fn expire(&self) {
        for record in self.table.expired() {
            let ttl_ms = record.look(|view| view.machine.ttl_ms());
            let _ = record.finish(Err(RpcError::timed_out(ttl_ms)));
        }
    }

    /// Waits until a task's time may be over.
    pub(super) async fn next_expiry(&self) {
        self.table.next_expiry().await;
    }

    /// One answer for all that isn't there, so that nobody learns of others' tasks.
    fn find(&self, owner: &Owner, id: &str) -> Result<Arc<Record>, RpcError> {
        self.table.find(owner, id).ok_or_else(|| RpcError::invalid_params("unknown task"))
    }
}

fn tell(
    record: &Record,
    how: impl FnOnce(&View<'_>) -> serde_json::Result<ResultObject>,
) -> Outcome {
    record.look(how).map_err(unwritable)
}

fn unwritable(_: serde_json::Error) -> RpcError {
    RpcError::new(Code::InternalError, "The task could not be encoded")
}

/// A task whose id isn't given out yet.
struct Unborn<'a> {
    table: &'a Table,
    record: Option<Arc<Record>>,
}

impl Unborn<'_> {
    fn born(mut self) {
        self.record = None;
    }
}

impl Drop for Unborn<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let _ = record.cancel();
            self.table.remove(&record);
        }
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
