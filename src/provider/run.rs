//! Runs one call so that a panic, a hang or a cancellation costs this call alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::task::unconstrained;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CallContext, CallError, Provider, ProviderCall, Questions, Side};
use crate::protocol::error::reason;
use crate::protocol::{Code, Operation, ResultObject, Revision, RpcError};
use crate::telemetry::metrics::Unsent;

/// What a call needs beside its provider.
pub struct Job {
    /// What is done, under the server's own names.
    pub operation: Operation,
    /// The client's edge.
    pub side: Side,
    /// Its time limit.
    pub timeout: Duration,
    /// Its cancellation.
    pub cancelled: CancellationToken,
    /// Counts what it tells its client too fast.
    pub unsent: Unsent,
}

/// How a call ended that did not fail.
#[derive(Debug)]
pub enum Ended {
    /// With its result.
    Result(ResultObject),
    /// With questions to the client (2026-07-28).
    Questions(Questions),
}

/// Runs the call to its single outcome.
///
/// # Errors
/// -32603 when the handler panicked, our own codes for a passed deadline and a cancellation, and
/// whatever the provider failed with.
pub async fn run(provider: Arc<dyn Provider>, job: Job) -> Result<Ended, RpcError> {
    let deadline = Instant::now() + job.timeout;
    let revision = job.side.revision;
    let context = CallContext::new(job.side, job.cancelled.clone(), deadline).counting(job.unsent);
    let (waits, pace) = (context.waits.clone(), Arc::clone(&context.pace));
    let client = Arc::clone(&context.side.client);
    let call = ProviderCall { operation: job.operation, context };
    // A panic may happen before the future exists, too.
    let future = AssertUnwindSafe(async move { provider.call(call).await }).catch_unwind();
    tokio::select! {
        biased;
        () = job.cancelled.cancelled() => Err(RpcError::cancelled()),
        outcome = future => {
            pace.flush(&*client);
            match outcome {
                Ok(result) => conclude(result, revision),
                Err(_panic) => Err(RpcError::crashed("tool handler")),
            }
        }
        // Out of the task's budget: work that is always ready uses all of it up.
        () = unconstrained(waits.spent(deadline)) => {
            // Work that the handler started elsewhere learns that nobody waits any more.
            job.cancelled.cancel();
            Err(RpcError::timed_out(millis(job.timeout)))
        }
        never = pace.keep_up(&*client) => match never {},
    }
}

/// The same, boxed: the future of a handler may be large. It may also panic when it is dropped.
pub fn run_boxed(
    provider: Arc<dyn Provider>,
    job: Job,
) -> BoxFuture<'static, Result<Ended, RpcError>> {
    let ended = AssertUnwindSafe(run(provider, job)).catch_unwind();
    ended.map(|ended| ended.unwrap_or_else(|_panic| Err(RpcError::crashed("tool handler")))).boxed()
}

fn conclude(
    result: Result<ResultObject, CallError>,
    revision: Revision,
) -> Result<Ended, RpcError> {
    match result {
        Ok(result) => Ok(Ended::Result(result)),
        Err(CallError::Failed(error)) => Err(error),
        Err(CallError::InputRequired(questions)) => Ok(Ended::Questions(*questions)),
        Err(CallError::InvalidArguments(why)) if revision.bad_arguments_are_results() => {
            let text = format!("Invalid arguments: {}", reason(&why));
            let result = ResultObject::of(&json!({
                "content": [{ "type": "text", "text": text }],
                "isError": true,
            }));
            result.map(Ended::Result)
        }
        Err(CallError::InvalidArguments(why)) => {
            let why = format!("Invalid arguments: {}", reason(&why));
            Err(RpcError::new(Code::InvalidParams, why))
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaves as the resource's name says.
    struct Moody;

    impl Provider for Moody {
        fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
            let Operation::ReadResource(mood) = call.operation else { panic!("not asked here") };
            match &*mood {
                "panics at once" => panic!("on purpose"),
                "panics later" => async { panic!("on purpose") }.boxed(),
                "hangs" => std::future::pending().boxed(),
                "hangs and panics when dropped" => async {
                    let _drop = PanicsWhenDropped;
                    std::future::pending().await
                }
                .boxed(),
                "refuses" => async { Err(CallError::InvalidArguments("no".into())) }.boxed(),
                "is always busy" => async {
                    loop {
                        tokio::task::consume_budget().await;
                    }
                }
                .boxed(),
                "asks" => async { Err(CallError::InputRequired(Box::default())) }.boxed(),
                _ => async { Ok(ResultObject::empty()) }.boxed(),
            }
        }
    }

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }

    async fn outcome(mood: &str, revision: Revision, cancel: bool) -> Result<String, Code> {
        let cancelled = CancellationToken::new();
        if cancel {
            cancelled.cancel();
        }
        let operation = Operation::ReadResource(mood.to_owned());
        let (side, timeout) = (Side::silent(revision), Duration::from_secs(60));
        let unsent = Unsent::default();
        let job = Job { operation, side, timeout, cancelled, unsent };
        match run_boxed(Arc::new(Moody), job).await {
            Ok(Ended::Result(result)) => Ok(serde_json::to_string(&result).unwrap()),
            Ok(Ended::Questions(_)) => Ok("questions".to_owned()),
            Err(error) => Err(error.code),
        }
    }

    #[tokio::test]
    async fn work_that_is_always_ready_has_a_deadline_all_the_same() {
        let operation = Operation::ReadResource("is always busy".to_owned());
        let side = Side::silent(Revision::LATEST);
        let (timeout, cancelled) = (Duration::from_millis(20), CancellationToken::new());
        let unsent = Unsent::default();
        let job = Job { operation, side, timeout, cancelled, unsent };
        let error = run(Arc::new(Moody), job).await;
        assert_eq!(error.unwrap_err().code, Code::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_has_one_outcome() {
        let new = Revision::V2025_11_25;
        assert_eq!(outcome("works", new, false).await, Ok("{}".to_owned()));
        assert_eq!(outcome("panics at once", new, false).await, Err(Code::InternalError));
        assert_eq!(outcome("panics later", new, false).await, Err(Code::InternalError));
        assert_eq!(outcome("hangs", new, false).await, Err(Code::TimedOut));
        assert_eq!(outcome("hangs", new, true).await, Err(Code::Cancelled));
        let worse = "hangs and panics when dropped";
        assert_eq!(outcome(worse, new, false).await, Err(Code::InternalError));
        assert_eq!(outcome("asks", new, false).await, Ok("questions".to_owned()));
        let old = Revision::V2025_06_18;
        assert_eq!(outcome("refuses", old, false).await, Err(Code::InvalidParams));
        assert!(outcome("refuses", new, false).await.unwrap().contains(r#""isError":true"#));
    }
}
