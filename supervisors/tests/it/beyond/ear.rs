//! An observer that tells a test of each report, in order.

use std::sync::Arc;

use supervisors::{Context, Event, ExitReason, Observer};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::secs;

/// A report, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) supervisor: String,
    pub(super) child: String,
    pub(super) context: Context,
    pub(super) reason: ExitReason,
    pub(super) at: Instant,
}

pub(super) struct Ear(mpsc::UnboundedSender<Heard>);

impl Observer for Ear {
    fn on_event(&self, event: &Event<'_>) {
        // A test that has ended needs no news.
        let _ = self.0.send(Heard {
            supervisor: event.supervisor.to_owned(),
            child: event.child.to_string(),
            context: event.context,
            reason: event.reason.clone(),
            at: Instant::now(),
        });
    }
}

pub(super) struct Reports(mpsc::UnboundedReceiver<Heard>);

pub(super) fn ear() -> (Arc<Ear>, Reports) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Ear(sender)), Reports(receiver))
}

impl Reports {
    pub(super) async fn next(&mut self) -> Heard {
        let next = timeout(secs(60), self.0.recv()).await;
        next.expect("a report comes").expect("the supervisor has not ended")
    }

    /// The next report of this kind; those before it are dropped.
    pub(super) async fn find(&mut self, context: Context) -> Heard {
        loop {
            let heard = self.next().await;
            if heard.context == context {
                return heard;
            }
        }
    }

    /// All reports that have come, without waiting.
    pub(super) fn drain(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }

    /// The same, as the kinds of those about one child.
    pub(super) fn contexts_of(&mut self, child: &str) -> Vec<Context> {
        let of_child = self.drain().into_iter().filter(|heard| heard.child == child);
        of_child.map(|heard| heard.context).collect()
    }
}
