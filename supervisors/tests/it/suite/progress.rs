//! What a start looks like in the log.

use std::sync::{Arc, Mutex};

use supervisors::{Context, ExitReason, Strategy};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::look::{eventually, finish, shows};
use super::world::{World, both};

/// Keeps the level and the message of each event of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("supervisors")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0));
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[tokio::test]
async fn external_start_no_progress_log() {
    both(async |world| {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        // Another test, which has no subscriber, may just be switching off a place that logs, for
        // all threads. So there is a rehearsal until all three places are heard.
        eventually("all of it is heard", async || {
            tracing::callsite::rebuild_interest_cache();
            lines.0.lock().unwrap().clear();
            let stage = World::new(world.kind);
            let root = stage.root_of(Strategy::OneForOne, 2, &["a"]).start().await.unwrap();
            stage.crash("a", "boom");
            shows(&root, "a#2").await;
            assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
            lines.0.lock().unwrap().len() == 3
        })
        .await;
        lines.0.lock().unwrap().clear();
        let root = world.root(Strategy::OneForOne, 2).start().await.unwrap();
        root.start_child(world.child("a")).await.unwrap();
        assert_eq!(*lines.0.lock().unwrap(), [(Level::DEBUG, "child started".to_owned())]);
        world.crash("a", "boom");
        shows(&root, "a#2").await;
        assert_eq!(
            lines.0.lock().unwrap()[1..],
            [
                (Level::WARN, "child terminated".to_owned()),
                (Level::INFO, "child restarted".to_owned())
            ]
        );
        let contexts: Vec<_> = world.seen().iter().map(|seen| seen.context).collect();
        let [first, .., last] = contexts[..] else { panic!("{contexts:?}") };
        assert_eq!(first, Context::Progress { restart: false });
        assert_eq!(last, Context::Progress { restart: true });
        world.forget();
        finish(&world, root, &["exit a#2 shutdown"]).await;
    })
    .await;
}
