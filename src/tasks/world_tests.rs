//! What the tests of tasks share: a small tree with a real supervisor, and a client that answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use supervisors::{ChildSpec, Root, Slot, Strategy, Supervisor, SupervisorRef};
use tokio::sync::{Notify, watch};

use super::machine::Outcome;
use super::{Config, Inside, NewTask, Owner, TaskSupervisor, Tasks, expiry, work};
use crate::protocol::notification::Outgoing;
use crate::protocol::{Ask, AskError, AskKind, Level, ResultObject, Revision};
use crate::provider::ClientLink;
use crate::telemetry::Metrics;

pub(super) const LEGACY: Revision = Revision::V2025_11_25;
pub(super) const MODERN: Revision = Revision::V2026_07_28;

pub(super) struct World {
    pub(super) tasks: Tasks,
    pub(super) slot: Slot<TaskSupervisor>,
    pub(super) root: Root<SupervisorRef>,
    pub(super) metrics: Metrics,
    pub(super) owner: Owner,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub(super) async fn start_with(config: Config) -> Self {
        let (slot, metrics) = (Slot::new(), Metrics::default());
        let tasks = Tasks::new(config, slot.clone(), metrics.clone());
        let expiring = tasks.clone();
        let root = Supervisor::new(Strategy::OneForOne)
            .name("test")
            .child(ChildSpec::dynamic("tasks", work::supervisor()).slot(&slot))
            .child(ChildSpec::task("task_expiry", move || expiry::run(expiring.clone())))
            .start()
            .await
            .unwrap();
        Self { tasks, slot, root, metrics, owner: Owner::new("somebody") }
    }

    /// Creates a task; gives its id.
    pub(super) async fn create<F>(
        &self,
        revision: Revision,
        ttl_ms: Option<u64>,
        work: impl FnOnce(Inside) -> F + Send + 'static,
    ) -> String
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let created = self.tasks.create(&self.owner, new_task(revision, ttl_ms, work)).await;
        id_of(&value(&created.unwrap()))
    }

    pub(super) fn get(&self, id: &str, revision: Revision) -> Value {
        value(&self.tasks.get(&self.owner, id, revision).unwrap())
    }

    /// Waits until the task has this status; gives it.
    pub(super) async fn until(&self, id: &str, revision: Revision, status: &str) -> Value {
        let mut changes = self.tasks.changes();
        loop {
            let task = self.get(id, revision);
            if task["status"] == status {
                return task;
            }
            changes.recv().await.unwrap();
        }
    }

    /// Waits until no work is done any more.
    pub(super) async fn until_idle(&self) {
        self.until_idle_but(0).await;
    }

    /// Waits until the work of no more than `rest` tasks is being done.
    pub(super) async fn until_idle_but(&self, rest: usize) {
        let supervisor = self.slot.wait().await;
        while supervisor.count_children().await.unwrap().active > rest {
            tokio::task::yield_now().await;
        }
    }

    /// Tasks that are kept, by the metric.
    pub(super) fn counted(&self, state: &str) -> Option<i64> {
        let text = self.metrics.encode().unwrap();
        let start = format!("erlmcp_tasks{{state=\"{state}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
    }
}

pub(super) fn new_task<F>(
    revision: Revision,
    ttl_ms: Option<u64>,
    work: impl FnOnce(Inside) -> F + Send + 'static,
) -> NewTask
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let work = Box::new(move |inside| work(inside).boxed());
    NewTask { revision, ttl_ms, tool: "tool".into(), client: None, work }
}

pub(super) fn value(result: &ResultObject) -> Value {
    serde_json::to_value(result).unwrap()
}

pub(super) fn id_of(created: &Value) -> String {
    let task = created.get("task").unwrap_or(created);
    task["taskId"].as_str().unwrap().to_owned()
}

pub(super) fn result(text: &str) -> Outcome {
    Ok(serde_json::from_str(text).unwrap())
}

pub(super) fn raw(text: &str) -> Box<RawValue> {
    serde_json::from_str(text).unwrap()
}

pub(super) fn form(message: &str) -> Ask {
    let params = raw(&format!(r#"{{"message":"{message}"}}"#));
    Ask { kind: AskKind::ElicitForm, params: Some(params) }
}

/// Work that never ends by itself, and tells when it is dropped.
pub(super) fn endless() -> (impl FnOnce(Inside) -> BoxFuture<'static, Outcome>, Arc<Notify>) {
    struct Told(Arc<Notify>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let dropped = Arc::new(Notify::new());
    let told = Told(dropped.clone());
    let work = move |inside: Inside| {
        async move {
            let _all = (told, inside);
            std::future::pending().await
        }
        .boxed()
    };
    (work, dropped)
}

/// A client that is told and asked through a link.
pub(super) struct Client {
    answers: Result<Box<RawValue>, AskError>,
    /// Whether it answers at all.
    pub(super) answering: watch::Sender<bool>,
    pub(super) asked: Mutex<Vec<Ask>>,
    pub(super) told: Arc<Mutex<Vec<Outgoing>>>,
    pub(super) was_asked: Notify,
}

impl Client {
    pub(super) fn new(answers: Result<&str, AskError>) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.map(raw),
            answering: watch::Sender::new(true),
            asked: Mutex::default(),
            told: Arc::default(),
            was_asked: Notify::new(),
        })
    }

    pub(super) fn silent() -> Arc<Self> {
        let client = Self::new(Err(AskError::Gone));
        client.answering.send_replace(false);
        client
    }

    /// The parameters of what it was asked.
    pub(super) fn asked(&self) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|ask| parse(ask.params.as_deref())).collect()
    }
}

pub(super) fn parse(params: Option<&RawValue>) -> Value {
    serde_json::from_str(params.unwrap().get()).unwrap()
}

impl ClientLink for Client {
    fn notify(&self, notification: &Outgoing) {
        self.told.lock().unwrap().push(notification.clone());
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Result<Box<RawValue>, AskError>> {
        self.asked.lock().unwrap().push(ask);
        self.was_asked.notify_one();
        let (mut answering, answer) = (self.answering.subscribe(), self.answers.clone());
        async move {
            if answering.wait_for(|answers| *answers).await.is_err() {
                return Err(AskError::Gone);
            }
            answer
        }
        .boxed()
    }

    fn log_level(&self) -> Option<Level> {
        Some(Level::Warning)
    }

    fn can_wait(&self) -> bool {
        true
    }
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
