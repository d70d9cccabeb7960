//! Children that are tokio tasks: the cheapest kind, for the very many.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::child::{Child, ChildHandle, ExitCell, ExitGuard};
use crate::exit::{ExitReason, IntoExit};

pin_project! {
    /// A child's work together with the guard that tells of its end. The order of the fields is
    /// the order in which they are dropped: first the work, then the guard.
    struct Supervised<F> {
        #[pin]
        work: Option<F>,
        guard: Option<ExitGuard>,
    }
}

impl<F: Future> Future for Supervised<F>
where
    F::Output: IntoExit,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(work) = this.work.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let reason = match catch_unwind(AssertUnwindSafe(|| work.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output.into_exit(),
            Err(panic) => ExitReason::from_panic(&*panic),
        };
        if let Some(guard) = this.guard.as_ref() {
            guard.set(reason);
        }
        // A panic while the work is dropped would otherwise skip the lines below.
        let dropped = catch_unwind(AssertUnwindSafe(|| this.work.set(None)));
        if let (Err(panic), Some(guard)) = (dropped, this.guard.as_ref()) {
            guard.set(ExitReason::from_panic(&*panic));
        }
        *this.guard = None;
        Poll::Ready(())
    }
}

/// Spawns `work` as a child. It does not trap exits: a shutdown drops it at its next await.
pub(crate) fn spawn<F>(guard: ExitGuard, work: F) -> Child<()>
where
    F: Future<Output: IntoExit> + Send + 'static,
{
    let cell = guard.cell();
    let abort = run(guard, work);
    Child::new(Task { abort, cell }, ())
}

/// Spawns `work` as a child that traps exits: a shutdown is told to it, and it may take its time.
pub(crate) fn spawn_trapping<F>(guard: ExitGuard, work: impl FnOnce(ExitSignal) -> F) -> Child<()>
where
    F: Future<Output: IntoExit> + Send + 'static,
{
    let signal = ExitSignal(Arc::default());
    let abort = run(guard, work(signal.clone()));
    Child::new(TrappingTask { abort, signal }, ())
}

#[expect(clippy::disallowed_methods, reason = "the task's owner is the supervisor, by its handle")]
fn run<F>(guard: ExitGuard, work: F) -> AbortHandle
where
    F: Future<Output: IntoExit> + Send + 'static,
{
    tokio::spawn(Supervised { work: Some(work), guard: Some(guard) }).abort_handle()
}

struct Task {
    abort: AbortHandle,
    cell: Arc<ExitCell>,
}

impl ChildHandle for Task {
    fn shutdown(&self, reason: ExitReason) {
        self.cell.presume(reason);
        self.abort.abort();
    }

    fn kill(&self) {
        self.abort.abort();
    }
}

struct TrappingTask {
    abort: AbortHandle,
    signal: ExitSignal,
}

impl ChildHandle for TrappingTask {
    fn shutdown(&self, reason: ExitReason) {
        let _ = self.signal.0.reason.set(reason);
        self.signal.0.told.notify_waiters();
    }

    fn kill(&self) {
        self.abort.abort();
    }
}

/// Tells a trapping task that its supervisor wants it to end.
#[derive(Clone, Debug)]
pub struct ExitSignal(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    reason: OnceLock<ExitReason>,
    told: Notify,
}

impl ExitSignal {
    /// Waits until the supervisor asks, and gives the reason that it asked for: a task that obeys
    /// returns it. Any number of tasks can wait.
    pub async fn requested(&self) -> ExitReason {
        loop {
            let told = self.0.told.notified();
            if let Some(reason) = self.0.reason.get() {
                return reason.clone();
            }
            told.await;
        }
    }

    /// Whether the supervisor has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.reason.get().is_some()
    }
}
