//! A dynamic supervisor in several parts, for more starts per second than one can do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::calls::Started;
use crate::child::Child;
use crate::dynamic::{DynamicRef, DynamicSupervisor};
use crate::exit::ExitReason;
use crate::link::Link;
use crate::machine::{ChildError, ChildKey, Counts};
use crate::policy::{SpecError, Strategy};
use crate::root::{Root, StartError};
use crate::slot::Slot;
use crate::spec::ChildSpec;
use crate::supervisor::{Supervisor, SupervisorRef};
use crate::tree::Tree;

/// The specification of a number of equal dynamic supervisors below one `one_for_one` supervisor.
/// A key decides which of them a child belongs to, so that a start, a stop or a crash in one shard
/// keeps only that shard busy. Beyond OTP; Elixir's `PartitionSupervisor`.
///
/// ```
/// use supervisors::{DynamicSupervisor, Link, ShardedSupervisor};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let worker = DynamicSupervisor::new("worker", |job: u64, link: Link| async move {
///     link.task(async move { println!("job {job}") })
/// });
/// let root = ShardedSupervisor::new(4, worker).start().await.expect("it has no children yet");
/// root.start_child(&"customer 7", 1).await.expect("it starts");
/// # }
/// ```
#[derive(Debug)]
pub struct ShardedSupervisor<A, T> {
    shards: usize,
    shard: DynamicSupervisor<A, T>,
    intensity: Option<(u32, Duration)>,
}

impl<A, T> Clone for ShardedSupervisor<A, T> {
    fn clone(&self) -> Self {
        Self { shards: self.shards, shard: self.shard.clone(), intensity: self.intensity }
    }
}

impl<A: Send + 'static, T: Clone + Send + Sync + 'static> ShardedSupervisor<A, T> {
    /// `shards` supervisors like `shard`; as many as there are cores is a good number.
    #[must_use]
    pub fn new(shards: usize, shard: DynamicSupervisor<A, T>) -> Self {
        Self { shards, shard, intensity: None }
    }

    /// Gives up when there are more than `restarts` restarts *of shards* within `period`.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Some((restarts, period));
        self
    }

    /// Checks the number of shards and their specification; starting does the same first.
    ///
    /// # Errors
    /// What can't be followed.
    pub fn validate(&self) -> Result<(), SpecError> {
        if self.shards == 0 {
            return Err(SpecError::NoShards);
        }
        self.shard.validate()
    }

    /// Starts it as a root, without children.
    ///
    /// # Errors
    /// A specification that can't be followed.
    pub async fn start(self) -> Result<Root<ShardedRef<A, T>>, StartError> {
        self.validate()?;
        Root::start("shards".into(), None, |link| self.start_below(link)).await
    }

    pub(crate) async fn start_below(
        self,
        link: Link,
    ) -> Result<Child<ShardedRef<A, T>>, ExitReason> {
        self.validate().map_err(ExitReason::error)?;
        let slots: Arc<[Slot<DynamicRef<A, T>>]> =
            std::iter::repeat_with(Slot::new).take(self.shards).collect();
        let mut above = Supervisor::new(Strategy::OneForOne);
        if let Some((restarts, period)) = self.intensity {
            above = above.intensity(restarts, period);
        }
        for (at, slot) in slots.iter().enumerate() {
            let spec = ChildSpec::dynamic(at.to_string(), self.shard.clone());
            above = above.child(spec.slot(slot));
        }
        let child = above.start_below(link).await?;
        Ok(child.map(|supervisor| ShardedRef { supervisor, slots }))
    }
}

/// A running sharded supervisor.
pub struct ShardedRef<A: Send + 'static, T> {
    supervisor: SupervisorRef,
    slots: Arc<[Slot<DynamicRef<A, T>>]>,
}

impl<A: Send + 'static, T> Clone for ShardedRef<A, T> {
    fn clone(&self) -> Self {
        Self { supervisor: self.supervisor.clone(), slots: self.slots.clone() }
    }
}

impl<A: Send + 'static, T> std::fmt::Debug for ShardedRef<A, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardedRef").field("shards", &self.slots.len()).finish_non_exhaustive()
    }
}

impl<A: Send + 'static, T: Clone + Send + Sync + 'static> ShardedRef<A, T> {
    /// Starts a child in the shard of `key`.
    ///
    /// # Errors
    /// [`ChildError::Start`]; [`ChildError::NoProc`], also while the shard is being restarted.
    pub async fn start_child<K: Hash + ?Sized>(
        &self,
        key: &K,
        argument: A,
    ) -> Result<Started<T>, ChildError> {
        self.shard_of(key)?.start_child(argument).await
    }

    /// Stops a child that was started under `key`.
    ///
    /// # Errors
    /// [`ChildError::NotFound`] for a child of another shard, or of a shard's earlier incarnation;
    /// [`ChildError::NoProc`], also while the shard is being restarted.
    pub async fn terminate_child<K: Hash + ?Sized>(
        &self,
        key: &K,
        child: ChildKey,
    ) -> Result<(), ChildError> {
        self.shard_of(key)?.terminate_child(child).await
    }

    /// How many children all shards have together. A shard that is being restarted has none.
    ///
    /// # Errors
    /// [`ChildError::NoProc`] when the whole supervisor is not running.
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        let mut sum = Counts { specs: 1, ..Counts::default() };
        // Whether it runs at all.
        self.supervisor.count_children().await?;
        for shard in self.slots.iter().filter_map(Slot::get) {
            let counts = shard.count_children().await.unwrap_or_default();
            sum.active += counts.active;
            sum.supervisors += counts.supervisors;
            sum.workers += counts.workers;
        }
        Ok(sum)
    }

    /// The supervisor of the shards.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// This supervisor with its shards.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.supervisor.tree()
    }

    fn shard_of<K: Hash + ?Sized>(&self, key: &K) -> Result<DynamicRef<A, T>, ChildError> {
        // The hash is the same for the whole life of the process, which is all that is needed.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let shards = NonZeroU64::new(self.slots.len() as u64).ok_or(ChildError::NoProc)?;
        self.slots
            .get((hasher.finish() % shards) as usize)
            .and_then(Slot::get)
            .ok_or(ChildError::NoProc)
    }
}
