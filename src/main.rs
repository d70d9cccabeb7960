//! The `erlmcp` binary: arguments, and what they ask for.

use std::process::ExitCode;

use erlmcp::cli::Cli;
use erlmcp::provider::upstream::process::launched;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    launched().unwrap_or_else(|| Cli::from_arguments().run())
}
