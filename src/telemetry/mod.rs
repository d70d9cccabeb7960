//! Telemetry: metrics, the log, the request log, health.

pub mod health;
pub mod log;
pub mod metrics;
pub mod observation;
pub mod spent;
pub mod supervision;

pub use health::{Health, Status};
pub use metrics::Metrics;
pub use observation::{Observation, Target};
pub use spent::Spent;
