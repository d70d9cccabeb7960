//! Why a child or a supervisor ended: OTP's exit reasons as a type.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ractor::ActorProcessingErr;
use serde::{Serialize, Serializer};

/// Why something ended.
///
/// OTP's exit reason is any term, and the supervisor looks for three of them: `normal`, `shutdown`
/// and `{shutdown, Term}`. Everything else is *abnormal*: a transient child is restarted after it.
/// `killed` is abnormal too.
#[derive(Clone, Debug)]
pub enum ExitReason {
    /// The child did what it was made for and returned.
    Normal,
    /// The child was asked to stop, or ended because its work is over (`shutdown`).
    Shutdown,
    /// The same with an explanation (`{shutdown, Term}`).
    ShutdownWith(Arc<dyn Error + Send + Sync>),
    /// The child was ended from outside without being asked (`killed`).
    Killed,
    /// The child panicked; the text is the panic's message.
    Panic(Arc<str>),
    /// The child returned an error.
    Error(Arc<dyn Error + Send + Sync>),
    /// The child was killed and did not end within the supervisor's `kill_grace`.
    ///
    /// OTP has no such reason, because its scheduler can end any process. A future that never
    /// yields cannot be ended by anybody, so the supervisor lets go of it and says so.
    Zombie,
}

impl ExitReason {
    /// `{shutdown, Term}`: an orderly end with an explanation, text or error.
    pub fn shutdown_with(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::ShutdownWith(Arc::from(why.into()))
    }

    /// An abnormal end that carries its error, or a text.
    pub fn error(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Error(Arc::from(why.into()))
    }

    /// Whether a transient child is restarted after this reason: everything but `normal`,
    /// `shutdown` and `{shutdown, Term}` is.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown | Self::ShutdownWith(_))
    }

    /// The reason's class as one word with a bounded set of values, fit for a metric's label.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown | Self::ShutdownWith(_) => "shutdown",
            Self::Killed => "killed",
            Self::Panic(_) => "panic",
            Self::Error(_) => "error",
            Self::Zombie => "zombie",
        }
    }

    /// The reason behind an error that a ractor actor returned: an `ExitReason` is taken as it
    /// is, anything else is [`ExitReason::Error`].
    pub(crate) fn from_actor(error: ActorProcessingErr) -> Self {
        match error.downcast::<Self>() {
            Ok(reason) => *reason,
            Err(other) => Self::Error(Arc::from(other)),
        }
    }

    /// The reason behind a caught panic.
    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        Self::Panic(text.into())
    }
}

/// An error's text. It is the child's code that writes it, and a supervisor that logs or compares
/// it must not end by its panic.
fn text(error: &Arc<dyn Error + Send + Sync>) -> String {
    catch_unwind(AssertUnwindSafe(|| error.to_string()))
        .unwrap_or_else(|_| "an error whose text panics".to_owned())
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(why) => write!(f, "shutdown: {}", text(why)),
            Self::Killed => f.write_str("killed"),
            Self::Panic(text) => write!(f, "panic: {text}"),
            Self::Error(error) => write!(f, "error: {}", text(error)),
            Self::Zombie => f.write_str("zombie: killed, but it does not end"),
        }
    }
}

/// As the text of its `Display`.
impl Serialize for ExitReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// So that an actor can exit with a typed reason: `return Err(ExitReason::Shutdown.into())`.
impl Error for ExitReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::ShutdownWith(error) | Self::Error(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Reasons are equal when they say the same: errors are compared by their text.
impl PartialEq for ExitReason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ShutdownWith(a), Self::ShutdownWith(b)) | (Self::Error(a), Self::Error(b)) => {
                Arc::ptr_eq(a, b) || text(a) == text(b)
            }
            (Self::Panic(a), Self::Panic(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// What a child's work may return: nothing, a reason, or a `Result`.
pub trait IntoExit {
    /// The exit reason that this result stands for.
    fn into_exit(self) -> ExitReason;
}

impl IntoExit for () {
    fn into_exit(self) -> ExitReason {
        ExitReason::Normal
    }
}

impl IntoExit for ExitReason {
    fn into_exit(self) -> ExitReason {
        self
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> IntoExit for Result<(), E> {
    fn into_exit(self) -> ExitReason {
        match self {
            Ok(()) => ExitReason::Normal,
            Err(error) => ExitReason::from_actor(error.into()),
        }
    }
}

/// An endless loop: most tasks are one. Its type `!` has no name on stable Rust but this one.
impl IntoExit for <fn() -> ! as Returns>::Output {
    fn into_exit(self) -> ExitReason {
        self
    }
}

#[doc(hidden)]
pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_and_shutdown_are_not_abnormal() {
        let table = [
            (ExitReason::Normal, false),
            (ExitReason::Shutdown, false),
            (ExitReason::shutdown_with("idle"), false),
            (ExitReason::Killed, true),
            (ExitReason::Panic("x".into()), true),
            (ExitReason::error("x"), true),
            (ExitReason::Zombie, true),
        ];
        for (reason, abnormal) in table {
            assert_eq!(reason.is_abnormal(), abnormal, "{reason}");
        }
    }

    #[test]
    fn an_actor_error_that_is_a_reason_stays_that_reason() {
        assert_eq!(ExitReason::from_actor(ExitReason::Shutdown.into()), ExitReason::Shutdown);
        assert_eq!(ExitReason::from_actor("boom".into()), ExitReason::error("boom"));
        assert_eq!(Err::<(), _>("boom").into_exit(), ExitReason::error("boom"));
    }

    #[test]
    fn panics_keep_their_text() {
        assert_eq!(ExitReason::from_panic(&"static"), ExitReason::Panic("static".into()));
        let owned = "owned".to_owned();
        assert_eq!(ExitReason::from_panic(&owned), ExitReason::Panic("owned".into()));
    }
}
