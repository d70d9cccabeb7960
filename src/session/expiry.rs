//! Ends sessions that have been silent for too long.

use std::time::Duration;

use super::front::Sessions;

/// Looks at all sessions from time to time; a child of the root, restarted without loss since all
/// that it knows is in the table.
pub async fn run(sessions: Sessions) {
    let limit = sessions.config.idle_timeout();
    let mut ticks = tokio::time::interval(interval(limit));
    loop {
        ticks.tick().await;
        for record in sessions.table.all() {
            record.streams.expire();
        }
        let idle = sessions.table.idle(limit);
        if !idle.is_empty() {
            tracing::info!(count = idle.len(), "idle sessions end");
        }
        for record in idle {
            sessions.end(&record);
        }
    }
}

/// A session lives at most a tenth longer than it should; a look at all costs little, but not
/// nothing.
fn interval(limit: Duration) -> Duration {
    (limit / 10).clamp(Duration::from_millis(100), Duration::from_secs(60))
}
