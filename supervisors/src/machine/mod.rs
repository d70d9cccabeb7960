//! The rules of supervision as state machines: no runtime, no clock, no I/O.
//!
//! A machine is fed [`Input`]s and asked for [`Effect`]s until there are none; time is an argument.
//! [`Fixed`] has children with ids in an order (`one_for_one`, `one_for_all`, `rest_for_one`),
//! [`Dynamic`] any number of children of one kind (`simple_one_for_one`).
//!
//! Like an OTP supervisor, a machine does one thing at a time: while it waits for a child to start
//! or to stop, everything else waits in its inbox, in the order of arrival.
//!
//! **Invariant:** each [`Effect::Start`] is answered by one [`Input::Started`], and each run that
//! began by one [`Input::Exited`], unless the machine called it a zombie.

mod backoff;
mod dynamic;
mod fixed;
mod life;
mod roster;
mod window;

use std::time::Duration;

pub use dynamic::{Dynamic, DynamicCall};
pub use fixed::{Fixed, FixedCall};
pub use life::{ChildInfo, ChildState, Counts};

use crate::exit::ExitReason;
use crate::policy::{ChildId, Flags, SpecError};

/// Time since an origin of the driver's choice; only differences matter.
pub type Time = Duration;

/// A child's identity: it stays the same across restarts, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildKey {
    /// Which supervisor; unique in the process.
    supervisor: u32,
    slot: u32,
    /// How often the slot was used before.
    life: u32,
}

impl ChildKey {
    /// The key of something that is nobody's child.
    pub(crate) fn lone() -> Self {
        Self { supervisor: u32::MAX, slot: 0, life: 0 }
    }

    /// The place in the supervisor's table, for tables that are kept beside it.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What a machine is told.
#[derive(Debug)]
pub enum Input<C> {
    /// Start the initial children.
    Boot,
    /// The answer to [`Effect::Start`].
    Started {
        /// The child.
        key: ChildKey,
        /// Which of its incarnations.
        run: u32,
        /// How it went.
        outcome: Outcome,
    },
    /// A child ended, and all of its state is dropped.
    Exited {
        /// The child.
        key: ChildKey,
        /// Which of its incarnations.
        run: u32,
        /// Why.
        reason: ExitReason,
    },
    /// An [`Effect::Retry`] that has been behind everything that was queued before it.
    Retry {
        /// The child.
        key: ChildKey,
        /// Which of its incarnations failed.
        run: u32,
    },
    /// A call from outside.
    Call(C),
    /// The parent wants the supervisor to end.
    Stop(ExitReason),
    /// The machine's deadline may have passed.
    Tick,
}

/// How a start went.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The child runs.
    Running,
    /// The start function decided not to start it (OTP's `ignore`).
    Ignored,
    /// It did not start.
    Failed(ExitReason),
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Effect<R> {
    /// Call the child's start function and answer with [`Input::Started`].
    Start {
        /// The child.
        key: ChildKey,
        /// The number of the incarnation that begins.
        run: u32,
    },
    /// Ask the child to stop (`exit(Pid, shutdown)`).
    Shutdown(ChildKey),
    /// End the child without asking (`exit(Pid, kill)`).
    Kill(ChildKey),
    /// Send [`Input::Retry`] behind everything that is already in the mailbox.
    Retry {
        /// The child.
        key: ChildKey,
        /// Which of its incarnations failed.
        run: u32,
    },
    /// Tell whoever observes.
    Report(Report),
    /// A child's entry changed or went; for whoever draws the tree.
    Changed(ChildKey),
    /// The supervisor follows other flags, and its children have another order.
    Reconfigured {
        /// The new flags.
        flags: Flags,
        /// All children in their new start order.
        order: Vec<ChildKey>,
    },
    /// Answer a call.
    Reply(R, Result<Done, ChildError>),
    /// The initial children run, or one did not start and the rest was stopped again.
    Booted(Result<(), FailedChild>),
    /// The supervisor is over; there are no children left.
    Exit(ExitReason),
}

/// What came of a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The child runs.
    Running(ChildKey),
    /// The child's start function decided not to start it.
    Ignored,
    /// It is done; there is nothing to tell.
    Ok,
}

/// Something that operators want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What kind of report.
    pub context: Context,
    /// The child it is about.
    pub child: ChildId,
    /// The same, by its identity.
    pub key: ChildKey,
    /// Why.
    pub reason: ExitReason,
}

/// The kinds of reports; the first five are OTP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A child started (OTP's progress report).
    Progress {
        /// By a restart, not for the first time or by a call.
        restart: bool,
    },
    /// A child ended by itself, abnormally or though it is permanent.
    ChildTerminated {
        /// Whether it will be started again.
        restart: bool,
    },
    /// A child could not be started.
    StartError,
    /// A child that was being stopped ended with another reason than it should have.
    ShutdownError,
    /// Restart intensity was reached; the supervisor ends (OTP's context is `shutdown`).
    GaveUp,
    /// A dynamic child used up its own intensity and is not started again. Beyond OTP.
    ChildGaveUp,
    /// A child was killed and goes on. Beyond OTP.
    Zombie,
}

/// Why a call about a child was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The specification can't be followed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child with this id runs already.
    #[error("already started")]
    AlreadyStarted(ChildKey),
    /// A child with this id exists but does not run.
    #[error("already present: use restart_child or delete_child")]
    AlreadyPresent,
    /// There is no such child.
    #[error("not found")]
    NotFound,
    /// The child runs; stop it first.
    #[error("running: use terminate_child first")]
    Running,
    /// The child is being restarted.
    #[error("restarting: use terminate_child first")]
    Restarting,
    /// The child's start function failed.
    #[error("the child did not start: {0}")]
    Start(#[source] ExitReason),
    /// The supervisor has ended, or ended before it answered.
    #[error("the supervisor is not running")]
    NoProc,
}

/// An initial child that did not start, and took the supervisor's start with it.
///
/// OTP's `{shutdown, {failed_to_start_child, Id, Reason}}`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("child \"{id}\" failed to start: {reason}")]
pub struct FailedChild {
    /// The child.
    pub id: ChildId,
    /// Why it did not start.
    #[source]
    pub reason: ExitReason,
}

/// A look at a machine when its turn comes.
pub type Query<M> = Box<dyn FnOnce(&M) + Send>;

/// What the driver needs of a machine.
pub trait Machine: Send + 'static {
    /// Calls from outside.
    type Call: Send + 'static;
    /// Where their answers go.
    type Reply: Send + 'static;

    /// Takes an input; its effects are then fetched by [`next_effect`](Self::next_effect).
    fn handle(&mut self, now: Time, input: Input<Self::Call>);
    /// The next thing to do, in order.
    fn next_effect(&mut self) -> Option<Effect<Self::Reply>>;
    /// When the machine wants an [`Input::Tick`] at the latest.
    fn deadline(&self) -> Option<Time>;
    /// A child's entry as it is now; `None` once it is gone.
    fn child(&self, key: ChildKey) -> Option<ChildInfo>;
    /// How many children there are.
    fn counts(&self) -> Counts;
}
