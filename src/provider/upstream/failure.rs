//! Why a request to an upstream gets no answer, where its server goes on. Pure.

/// Why a single request gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server answered with an HTTP status and without a JSON-RPC message.
    #[error("it answered with HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
        /// How the body begins.
        body: String,
    },
    /// Nobody could be reached.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// The answer broke off, and could not be resumed.
    #[error("its answer broke off: {0}")]
    Lost(String),
    /// The answer is larger than what is taken.
    #[error("its answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What is taken.
        limit_bytes: usize,
    },
}
