//! Runs one call so that a panic, a hang or a cancellation costs this call alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{CallContext, CallError, Provider, ProviderCall};
use crate::protocol::{Code, ResultObject, Revision, RpcError};

/// What a call needs beside its provider.
#[derive(Debug)]
pub struct Job {
    /// The tool's plain name.
    pub tool: Arc<str>,
    /// The arguments' text.
    pub arguments: Option<Box<RawValue>>,
    /// The revision of the client's edge.
    pub revision: Revision,
    /// Its time limit.
    pub timeout: Duration,
    /// Its cancellation.
    pub cancelled: CancellationToken,
}

/// Runs the call to its single outcome.
///
/// # Errors
/// -32603 when the handler panicked, our own codes for a passed deadline and a cancellation, and
/// whatever the provider failed with.
pub async fn run(provider: Arc<dyn Provider>, job: Job) -> Result<ResultObject, RpcError> {
    let deadline = Instant::now() + job.timeout;
    let context =
        CallContext { revision: job.revision, cancelled: job.cancelled.clone(), deadline };
    let call = ProviderCall { tool: job.tool, arguments: job.arguments, context };
    // A panic may happen before the future exists, too.
    let future = AssertUnwindSafe(async move { provider.call(call).await }).catch_unwind();
    tokio::select! {
        biased;
        () = job.cancelled.cancelled() => {
            Err(RpcError::new(Code::Cancelled, "The request was cancelled"))
        }
        outcome = timeout_at(deadline, future) => match outcome {
            Ok(Ok(result)) => conclude(result, job.revision),
            Ok(Err(_panic)) => Err(RpcError::crashed("tool handler")),
            Err(_elapsed) => {
                // Work that the handler started elsewhere learns that nobody waits any more.
                job.cancelled.cancel();
                Err(RpcError::timed_out(millis(job.timeout)))
            }
        },
    }
}

/// The same, boxed: the future of a handler may be large.
pub fn run_boxed(
    provider: Arc<dyn Provider>,
    job: Job,
) -> BoxFuture<'static, Result<ResultObject, RpcError>> {
    run(provider, job).boxed()
}

fn conclude(
    result: Result<ResultObject, CallError>,
    revision: Revision,
) -> Result<ResultObject, RpcError> {
    match result {
        Ok(result) => Ok(result),
        Err(CallError::Failed(error)) => Err(error),
        Err(CallError::InvalidArguments(why)) if revision.bad_arguments_are_results() => {
            let text = format!("Invalid arguments: {why}");
            ResultObject::of(&json!({
                "content": [{ "type": "text", "text": text }],
                "isError": true,
            }))
        }
        Err(CallError::InvalidArguments(why)) => {
            Err(RpcError::new(Code::InvalidParams, format!("Invalid arguments: {why}")))
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaves as its tool's name says.
    struct Moody;

    impl Provider for Moody {
        fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
            match &*call.tool {
                "panics at once" => panic!("on purpose"),
                "panics later" => async { panic!("on purpose") }.boxed(),
                "hangs" => std::future::pending().boxed(),
                "refuses" => async { Err(CallError::InvalidArguments("no".into())) }.boxed(),
                _ => async { Ok(ResultObject::empty()) }.boxed(),
            }
        }
    }

    async fn outcome(tool: &str, revision: Revision, cancel: bool) -> Result<String, Code> {
        let cancelled = CancellationToken::new();
        if cancel {
            cancelled.cancel();
        }
        let timeout = Duration::from_secs(60);
        let job = Job { tool: tool.into(), arguments: None, revision, timeout, cancelled };
        match run(Arc::new(Moody), job).await {
            Ok(result) => Ok(serde_json::to_string(&result).unwrap()),
            Err(error) => Err(error.code),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_has_one_outcome() {
        let new = Revision::V2025_11_25;
        assert_eq!(outcome("works", new, false).await, Ok("{}".to_owned()));
        assert_eq!(outcome("panics at once", new, false).await, Err(Code::InternalError));
        assert_eq!(outcome("panics later", new, false).await, Err(Code::InternalError));
        assert_eq!(outcome("hangs", new, false).await, Err(Code::TimedOut));
        assert_eq!(outcome("hangs", new, true).await, Err(Code::Cancelled));
        let old = Revision::V2025_06_18;
        assert_eq!(outcome("refuses", old, false).await, Err(Code::InvalidParams));
        assert!(outcome("refuses", new, false).await.unwrap().contains(r#""isError":true"#));
    }
}
