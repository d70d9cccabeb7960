//! An upstream's provider, with a watch on how long its calls take.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;

use crate::catalogue::ServerName;
use crate::protocol::{Era, Method, Operation, ResultObject};
use crate::provider::upstream::UpstreamProvider;
use crate::provider::{CallError, Provider, ProviderCall};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ClientOperationLabels;

/// See the module's description.
pub(super) struct Measured {
    pub(super) upstream: ServerName,
    pub(super) provider: UpstreamProvider,
    pub(super) metrics: Metrics,
}

impl Provider for Measured {
    fn call(&self, call: ProviderCall) -> BoxFuture<'static, Result<ResultObject, CallError>> {
        let begun = Instant::now();
        let method = match &call.operation {
            Operation::CallTool(_) => Method::CallTool,
            Operation::GetPrompt(_) => Method::GetPrompt,
            Operation::ReadResource(_) => Method::ReadResource,
            Operation::Complete(_) => Method::Complete,
        };
        let (upstream, metrics) = (Arc::clone(&self.upstream), self.metrics.clone());
        let spent = call.context.side.spent.clone();
        let work = self.provider.call(call);
        Box::pin(async move {
            let outcome = work.await;
            let time = begun.elapsed();
            spent.add(time);
            let (mcp_method_name, error_type) = (method.as_str(), error_type(&outcome));
            let labels = ClientOperationLabels { upstream, mcp_method_name, error_type };
            let durations = &metrics.client_operation_duration;
            durations.get_or_create(&labels).observe(time.as_secs_f64());
            outcome
        })
    }
}

fn error_type(outcome: &Result<ResultObject, CallError>) -> String {
    match outcome {
        Ok(result) if result.get("isError") == Some("true") => "tool_error".to_owned(),
        // Its questions are no failure.
        Ok(_) | Err(CallError::InputRequired(_)) => String::new(),
        Err(CallError::InvalidArguments(_)) => "invalid_arguments".to_owned(),
        Err(CallError::Failed(error)) => error.code.label(Era::Modern),
    }
}
