//! What goes beyond OTP, and what OTP has and Rust makes hard: pauses, shards, slots, the tree,
//! zombies, panics, callers that give up, and state that has to be gone before the next start.

mod backoff;
mod budgets;
mod callers;
mod ear;
mod killed;
mod observers;
mod puppet;
mod reasons;
mod roots;
mod sharded;
mod slots;
mod starts;
mod state;
mod tasks;
mod tree;
mod zombies;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use supervisors::{Root, Strategy, Supervisor, SupervisorRef};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn for_ever() {
    std::future::pending::<()>().await;
}

fn one_for_one() -> Supervisor {
    Supervisor::new(Strategy::OneForOne)
}

/// One that never gives up.
fn tireless(strategy: Strategy) -> Supervisor {
    Supervisor::new(strategy).intensity(u32::MAX, ms(1))
}

/// Waits until something that no event tells of is so. Paused time stands still meanwhile.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < secs(60), "it never was so: {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until a child's incarnation is at least this one, and runs.
async fn until_run(root: &Root<SupervisorRef>, id: &str, run: u32) {
    until(&format!("run {run} of {id}"), async || {
        let child = root.which_child(id).await.unwrap();
        child.run >= run && child.state == supervisors::ChildState::Running
    })
    .await;
}

/// Counts what is alive, how much of it there was at most, and all there ever was.
#[derive(Clone, Default)]
struct Alive(Arc<Counters>);

#[derive(Default)]
struct Counters {
    now: AtomicUsize,
    most: AtomicUsize,
    ever: AtomicUsize,
}

/// One of those.
struct One(Alive);

impl Alive {
    fn one(&self) -> One {
        let now = self.0.now.fetch_add(1, SeqCst) + 1;
        self.0.most.fetch_max(now, SeqCst);
        self.0.ever.fetch_add(1, SeqCst);
        One(self.clone())
    }

    fn now(&self) -> usize {
        self.0.now.load(SeqCst)
    }

    fn most(&self) -> usize {
        self.0.most.load(SeqCst)
    }

    fn ever(&self) -> usize {
        self.0.ever.load(SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.now.fetch_sub(1, SeqCst);
    }
}
