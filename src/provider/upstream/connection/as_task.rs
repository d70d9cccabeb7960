//! Tools that a server runs only as tasks (2025-11-25): the task is made, and its result is waited
//! for, as one call. Who calls knows nothing of it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::line::{Draft, Line, Live};
use super::{Connection, Fault, Leaving};
use crate::protocol::splice::{Edits, find};
use crate::protocol::{Era, Operation, ResultObject};
use crate::provider::CallContext;

/// `_meta` key of the task that a result belongs to.
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// A task of a server's that runs. Dropping it cancels it.
pub(in crate::provider::upstream) struct Task {
    line: Line,
    leaving: Leaving,
    /// The parameters that name it.
    named: String,
    runs: bool,
}

impl Task {
    /// The server has ended it.
    pub(in crate::provider::upstream) fn ended(&mut self) {
        self.runs = false;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.runs
            && let Ok(live) = self.line.begin(None, self.leaving)
        {
            live.send_now(Draft::new("tasks/cancel", std::mem::take(&mut self.named)));
            live.forget();
        }
    }
}

/// How a call began that may be a task.
pub(in crate::provider::upstream) enum Begun {
    /// It runs, and ends with its result.
    Runs(Live, Option<Task>),
    /// The server made no task of it, and was done at once.
    Done(Box<RawValue>),
}

impl Connection {
    /// Whether the server runs this only as a task.
    pub(in crate::provider::upstream) async fn is_task(&self, operation: &Operation) -> bool {
        let Operation::CallTool(call) = operation else { return false };
        if !self.peer.capabilities.task_calls || self.peer.era() == Era::Modern {
            return false;
        }
        if self.index.load().is_none() {
            // Not known, it is called as a plain tool, and the server says what it thinks of that.
            let _ = self.offer().await;
        }
        self.index.load().as_ref().is_some_and(|index| index.as_tasks.contains(&call.name))
    }

    /// Begins a call of the session era, as a task where the server wants that.
    pub(in crate::provider::upstream) async fn begin_legacy(
        &self,
        operation: &Operation,
        call: &Arc<CallContext>,
    ) -> Result<Begun, Fault> {
        if !self.is_task(operation).await {
            return Ok(Begun::Runs(self.begin(operation, call, None).await?, None));
        }
        self.lower_level(call).await?;
        // The request for the result is the call: its id is the one by which progress is told.
        let live = self.line.begin(Some(call), self.leaving())?;
        let mut creation = self.line.begin(None, self.leaving())?;
        creation.send(self.call(operation, call, live.id(), true, None)?).await?;
        let created = creation.outcome().await?;
        let Some(named) = named(&created) else { return Ok(Begun::Done(created)) };
        let (line, leaving) = (self.line.clone(), self.leaving());
        let task = Task { line, leaving, named: named.clone(), runs: true };
        live.send(Draft::new("tasks/result", named)).await?;
        Ok(Begun::Runs(live, Some(task)))
    }
}

/// The parameters that name a task that was made; `None` where none was.
fn named(created: &RawValue) -> Option<String> {
    let [task] = find(created, ["task"]).ok()?;
    let [id] = find(task?, ["taskId"]).ok()?;
    let mut edits = Edits::default();
    edits.put("taskId", id?.to_owned());
    Some(edits.apply(None))
}

/// A task's result as that of a plain call.
pub(in crate::provider::upstream) fn without_task(result: &mut ResultObject) {
    let mut edits = Edits::default();
    edits.remove(RELATED_TASK);
    // What is only removed can always be written.
    let _ = result.within("_meta", &edits);
}
