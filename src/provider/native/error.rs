//! What goes wrong: in a handler, and in the making of a server.

use std::error::Error;
use std::fmt;

use crate::protocol::{Code, RpcError};
use crate::provider::CallError;

/// Why a handler has no result. Every error becomes one by `?`, a text too.
///
/// A [`CallError`] stays what it is: it ends the call, or asks the client first. For any other
/// error its text (its `Display`) goes to the peer, and its causes go to the log: a tool's model
/// sees a result with `isError`, everybody else an error.
///
/// ```
/// use erlmcp::provider::native::HandlerError;
///
/// fn half(text: &str) -> Result<u32, HandlerError> {
///     let number: u32 = text.parse()?;
///     if number % 2 == 1 {
///         return Err("the number is odd".into());
///     }
///     Ok(number / 2)
/// }
/// assert_eq!(half("8").unwrap(), 4);
/// assert_eq!(half("7").unwrap_err().to_string(), "the number is odd");
/// ```
// It is no `std::error::Error` itself: else it could not be made from every one.
pub struct HandlerError(Cause);

enum Cause {
    Call(CallError),
    Own(Box<dyn Error + Send + Sync>),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        match error.into().downcast::<CallError>() {
            Ok(error) => Self(Cause::Call(*error)),
            Err(error) => Self(Cause::Own(error)),
        }
    }
}

impl From<RpcError> for HandlerError {
    fn from(error: RpcError) -> Self {
        Self(Cause::Call(error.into()))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Call(error) => error.fmt(f),
            Cause::Own(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Call(error) => error.fmt(f),
            Cause::Own(error) => error.fmt(f),
        }
    }
}

impl HandlerError {
    /// What the model of a tool's caller should see, where the error doesn't end the call.
    ///
    /// # Errors
    /// The one that ends the call.
    pub(super) fn for_model(self) -> Result<String, CallError> {
        match self.0 {
            Cause::Call(error) => Err(error),
            Cause::Own(error) => {
                log_causes(&*error);
                Ok(error.to_string())
            }
        }
    }

    /// The error that ends the call, whatever it is.
    pub(super) fn for_call(self) -> CallError {
        match self.for_model() {
            Ok(text) => RpcError::new(Code::InternalError, text).into(),
            Err(error) => error,
        }
    }
}

fn log_causes(error: &(dyn Error + 'static)) {
    let (mut causes, mut next) = (Vec::new(), error.source());
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if !causes.is_empty() {
        tracing::warn!(%error, causes = causes.join(": "), "a handler failed");
    }
}

/// One thing that is wrong with what a server offers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item}: {what}")]
pub struct Problem {
    /// What it is about, such as "tool `greet`".
    pub item: String,
    /// What is wrong.
    pub what: String,
}

/// Why a server can't be made: all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The server.
    pub server: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Error for BuildError {}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server {:?} can't be made:", self.server)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_error_stays_what_it_is_and_any_other_is_for_the_model() {
        let ends: HandlerError = CallError::InvalidArguments("no".into()).into();
        assert!(matches!(ends.for_model(), Err(CallError::InvalidArguments(_))));
        let ends: HandlerError = RpcError::resource_not_found("a:b").into();
        assert!(
            matches!(ends.for_call(), CallError::Failed(e) if e.code == Code::ResourceNotFound)
        );
        let own: HandlerError = std::io::Error::other("the disk is full").into();
        assert_eq!(own.for_model().unwrap(), "the disk is full");
        let own: HandlerError = "no".into();
        assert!(matches!(own.for_call(), CallError::Failed(e) if e.code == Code::InternalError));
    }
}
