//! OTP supervision for Rust: supervisors that restart what fails, as Erlang/OTP's do, on
//! [`ractor`] and [`tokio`].
//!
//! A [`Supervisor`] starts its children in order, hears of each end, restarts what its
//! [`Strategy`] says, gives up when restarts come too often, and stops its children in reverse
//! order. Supervisors are children too, so a program becomes a tree, in which every part may fail
//! and somebody above it knows what to do.
//!
//! ```
//! use std::time::Duration;
//! use ractor::{Actor, ActorProcessingErr, ActorRef};
//! use supervisors::{ChildSpec, ExitReason, Slot, Strategy, Supervisor};
//!
//! struct Counter;
//!
//! impl Actor for Counter {
//!     type Msg = u64;
//!     type State = u64;
//!     type Arguments = ();
//!
//!     async fn pre_start(&self, _: ActorRef<u64>, (): ()) -> Result<u64, ActorProcessingErr> {
//!         Ok(0)
//!     }
//!
//!     async fn handle(
//!         &self,
//!         _: ActorRef<u64>,
//!         add: u64,
//!         sum: &mut u64,
//!     ) -> Result<(), ActorProcessingErr> {
//!         *sum = sum.checked_add(add).ok_or("the sum is too large")?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // Where the counter is found, whichever incarnation of it runs.
//! let counter = Slot::new();
//! let root = Supervisor::new(Strategy::OneForOne)
//!     .name("app")
//!     .intensity(3, Duration::from_secs(5))
//!     .child(ChildSpec::actor("counter", || (Counter, ())).slot(&counter))
//!     .child(ChildSpec::task("ticker", || async {
//!         loop {
//!             tokio::time::sleep(Duration::from_secs(1)).await;
//!         }
//!     }))
//!     .start()
//!     .await
//!     .expect("its children start");
//!
//! let first = counter.wait().await;
//! first.kill();
//! while root.which_child("counter").await.unwrap().run == 1 {
//!     tokio::task::yield_now().await;
//! }
//! assert_ne!(counter.wait().await.get_id(), first.get_id());
//!
//! assert_eq!(root.stop(ExitReason::Shutdown).await, ExitReason::Shutdown);
//! # }
//! ```
//!
//! # What there is
//!
//! | OTP | here |
//! |---|---|
//! | `one_for_one`, `one_for_all`, `rest_for_one` | [`Supervisor`] with a [`Strategy`] |
//! | `simple_one_for_one` | [`DynamicSupervisor`] |
//! | child specification | [`ChildSpec`], for actors, tasks, supervisors, any [`ChildHandle`] |
//! | `permanent`, `transient`, `temporary` | [`Restart`] |
//! | intensity and period | [`Intensity`] |
//! | `brutal_kill`, time-out, `infinity` | [`Shutdown`] |
//! | `significant`, `auto_shutdown` | [`ChildSpec::significant`], [`AutoShutdown`] |
//! | `start_child` ... `get_childspec`, `code_change` | [`SupervisorRef`], [`DynamicRef`] |
//! | exit reasons | [`ExitReason`] |
//! | registered names | [`Slot`] |
//! | supervisor and progress reports | `tracing` events, and [`Observer`] |
//!
//! The rules are a state machine without runtime, clock or I/O ([`machine`]); an actor drives it.
//! Both are held against real OTP: the same random scripts of starts, crashes and calls run here
//! and there, and the traces have to be equal line by line.
//!
//! # OTP rules that surprise
//!
//! - A permanent child is restarted, and reported, also after it ended with `normal`.
//! - `killed` is abnormal: a transient child that was killed comes back.
//! - The default intensity is low: the second restart within five seconds ends the supervisor.
//! - Each *attempt* to restart counts, also one that fails, so a child that can't start ends its
//!   supervisor quickly. The attempt is repeated behind everything that is queued.
//! - A supervisor that gives up ends with `shutdown`. If it is itself a transient child it is *not*
//!   restarted; if it is significant, its end may end the supervisor above.
//! - `one_for_all` and `rest_for_one` start all the children concerned: also a transient one that
//!   had finished, and one that `terminate_child` had stopped. Temporary ones stay away, for good.
//! - `terminate_child` keeps the specification, except a temporary child's, and never triggers an
//!   auto-shutdown.
//! - While a supervisor starts or stops a child it does nothing else; calls wait. A child with
//!   [`Shutdown::Infinity`] that does not end blocks its supervisor for good.
//! - When a dynamic supervisor stops, all of its children have one common time to stop.
//! - When a dynamic supervisor is restarted, its children are not.
//!
//! # Where this differs from OTP
//!
//! *One thing can't be done:* a future that computes without ever awaiting can't be ended from
//! outside. It is killed, waited for during `kill_grace`, and then let go of as a
//! [zombie](ExitReason::Zombie): reported, counted in the [`Tree`], and no longer waited for. OTP
//! can end any process. What computes for long belongs on a thread of its own.
//!
//! *Better than OTP:*
//!
//! - A restart waits until all of the state of the child that ended is dropped, whatever way it
//!   ended, so that a port or a file is free again. A supervisor that was killed is restarted when
//!   everything below it is gone.
//! - Crash, restart, look-up, deletion and termination cost the same with one child and with
//!   100,000; OTP's `one_for_one` searches a list.
//! - A child of a [`DynamicSupervisor`] is known by a [`ChildKey`] that survives its restarts,
//!   where OTP's process id does not.
//! - A start that takes too long fails ([`ChildSpec::start_timeout`]); OTP waits for ever.
//! - Calls are bounded: at most 1,024 wait at one supervisor, further callers wait for a place.
//! - The window of restart intensity is exact; OTP's is up to one second longer than `period`.
//! - Auto-shutdown does not exist for dynamic supervisors, and a dynamic child whose restart is
//!   ignored goes away: as in the newest OTP, not as in older ones.
//!
//! *Beyond OTP:* budgets of their own for dynamic children
//! ([`child_intensity`](DynamicSupervisor::child_intensity)), pauses before restarts ([`Backoff`]),
//! [`ShardedSupervisor`], [`Slot`], and [`Tree`], a picture of the whole tree for which no
//! supervisor is asked.
//!
//! # Rules of tokio and ractor that matter here
//!
//! - The runtime needs its timer (`enable_time`): without it no time-out and no pause ever ends.
//! - An actor that awaits in `handle` is deaf to its stop until it is done; then its shutdown time
//!   passes and it is killed. Work that waits belongs in a task.
//! - `post_stop` runs when an actor stops in an orderly way, not after an error, a panic or a kill.
//! - To end with a certain reason an actor returns it: `return Err(ExitReason::Shutdown.into())`.
//!   `stop` is `normal`, whatever text it is given.

#![warn(missing_docs)]

mod actor;
mod calls;
mod child;
mod contain;
mod driver;
mod dynamic;
mod exit;
mod link;
pub mod machine;
mod observer;
mod policy;
mod root;
mod sharded;
mod slot;
mod spec;
mod supervisor;
mod task;
mod tree;

pub use calls::Started;
pub use child::{Child, ChildHandle, ExitGuard};
pub use dynamic::{DynamicRef, DynamicSupervisor};
pub use exit::{ExitReason, IntoExit};
pub use link::Link;
pub use machine::{ChildError, ChildInfo, ChildKey, ChildState, Context, Counts, FailedChild};
pub use observer::{Event, Observer};
pub use policy::{
    AutoShutdown, Backoff, ChildId, ChildType, Flags, Intensity, Restart, Shutdown, SpecError,
    SpecInfo, Strategy,
};
pub use root::{Root, StartError};
pub use sharded::{ShardedRef, ShardedSupervisor};
pub use slot::Slot;
pub use spec::ChildSpec;
pub use supervisor::{Supervisor, SupervisorRef};
pub use task::ExitSignal;
pub use tree::{Node, Tree};
