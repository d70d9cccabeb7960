//! The work of a task, as a child of the dynamic supervisor `tasks`.
//!
//! *Owns* the future that does the work. *Receives* the task's cancellation. *Sends* the task's
//! end to its record. *Fails when* the work panics. *Restarted by* nobody: nothing says that the
//! work may be done twice. However it ends, a guard sees to it that the task ends too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use supervisors::{DynamicRef, DynamicSupervisor, Link};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::TaskLink;
use super::machine::Outcome;
use super::record::Record;
use crate::protocol::{Revision, RpcError};
use crate::provider::ClientLink;

/// The running supervisor of all tasks' work.
pub type TaskSupervisor = DynamicRef<Job, ()>;

/// The supervisor's specification. Its children are never restarted, so it never gives up.
pub fn supervisor() -> DynamicSupervisor<Job, ()> {
    DynamicSupervisor::new("task", |job: Job, link: Link| async move {
        // One that was taken back before it began has nothing to do.
        if job.record.ended.is_cancelled() { link.ignore() } else { link.task(run(job)) }
    })
}

/// What the work of a task is given.
pub struct Inside {
    /// The way to the client: its questions become the task's.
    pub client: Arc<dyn ClientLink>,
    /// Cancelled when the task has ended. The work is dropped then; what it started elsewhere
    /// should watch this.
    pub cancelled: CancellationToken,
    /// How long the work may take. It is dropped after that.
    pub time_limit: Duration,
}

/// The work of a task, which gives what the request would have been answered.
pub type Work = Box<dyn FnOnce(Inside) -> BoxFuture<'static, Outcome> + Send>;

/// A task's work, on its way to its supervisor.
pub struct Job {
    pub(super) record: Arc<Record>,
    pub(super) revision: Revision,
    pub(super) client: Option<Weak<dyn ClientLink>>,
    pub(super) work: Work,
    pub(super) time_limit: Duration,
    pub(super) ask_timeout: Duration,
}

async fn run(job: Job) {
    let Job { record, revision, client, work, time_limit, ask_timeout } = job;
    let ending = Ending(record.clone());
    let ended = record.ended.clone();
    let link = TaskLink::new(record, revision, client, ask_timeout);
    // The work may cancel what it started; that doesn't end the task.
    let cancelled = ended.child_token();
    let inside = Inside { client: Arc::new(link), cancelled, time_limit };
    // The work may also panic before its future exists.
    let work = async move { work(inside).await };
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        outcome = timeout(time_limit, work) => {
            let limit_ms = u64::try_from(time_limit.as_millis()).unwrap_or(u64::MAX);
            let outcome = outcome.unwrap_or_else(|_| Err(RpcError::timed_out(limit_ms)));
            // A task that was ended meanwhile stays as it is.
            let _ = ending.0.finish(outcome);
        }
    }
}

/// Ends a task whose work was ended by something else: a panic, a kill, its supervisor's stop.
struct Ending(Arc<Record>);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.finish(Err(RpcError::crashed("task")));
    }
}
