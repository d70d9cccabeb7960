//! Forgets tasks whose time is over.

use super::front::Tasks;

/// Forgets each task when its time is over; a child of the root, restarted without loss since all
/// that it knows is in the table.
pub async fn run(tasks: Tasks) {
    loop {
        tasks.expire();
        tasks.next_expiry().await;
    }
}
