//! Peers that do what they must not: each gets a clear error or a close, within a bound, and
//! nobody else notices.

mod bodies;
mod bystander;
mod crowd;
mod crowding;
mod frames;
mod heads;
mod hoards;
mod http2;
mod isolation;
mod leaving;
mod pages;
mod readers;
mod refusals;
mod sessions;
mod storm;
mod text;
mod wire;

use crate::harness::Held;

/// How many calls of `test__hold` have started and ended since somebody looked.
fn counted(held: &Held) -> (usize, usize) {
    let (mut started, mut ended) =
        (held.started.try_lock().unwrap(), held.ended.try_lock().unwrap());
    let started = std::iter::from_fn(|| started.try_recv().ok()).count();
    (started, std::iter::from_fn(|| ended.try_recv().ok()).count())
}
