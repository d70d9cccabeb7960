//! The `erlmcp` binary: arguments, and what they ask for.

use std::process::ExitCode;

use erlmcp::cli::Cli;

fn main() -> ExitCode {
    Cli::from_arguments().run()
}
