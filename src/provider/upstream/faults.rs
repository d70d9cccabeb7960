//! What a client is told where an upstream gave no result.

use super::connection::Fault;
use super::failure::Failure;
use crate::protocol::RpcError;

/// The state of an upstream whose connection has ended.
const LOST: &str = "restarting";
/// The state of an upstream that can't be reached.
const UNREACHABLE: &str = "unreachable";

/// The error of a call's single answer.
pub(super) fn told(server: &str, fault: Fault) -> RpcError {
    match fault {
        Fault::Answered(error) => error,
        Fault::Closed { cause, sent: true } => RpcError::upstream_lost(server, &cause),
        Fault::Closed { cause, sent: false } => RpcError::upstream_down(server, LOST, &cause),
        Fault::Failed(failure) => failed(server, &failure),
    }
}

fn failed(server: &str, failure: &Failure) -> RpcError {
    match failure {
        Failure::Unreachable(_) => {
            RpcError::upstream_down(server, UNREACHABLE, "it could not be reached")
        }
        Failure::Lost(_) => RpcError::upstream_lost(server, &failure.to_string()),
        Failure::Status { body, .. } => {
            // Its text may tell more than a client should know.
            tracing::info!(server, %failure, body, "an upstream answered without a message");
            RpcError::upstream_invalid(server, &failure.to_string())
        }
        Failure::TooLarge { .. } => RpcError::upstream_invalid(server, &failure.to_string()),
    }
}
