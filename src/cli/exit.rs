//! How commands end: what they print, and their exit codes.

use std::error::Error;
use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// Something failed.
pub(super) const FAILED: u8 = 1;
/// The configuration is bad (sysexits' EX_USAGE).
pub(super) const BAD_CONFIGURATION: u8 = 64;
/// No node answers (sysexits' EX_UNAVAILABLE).
pub(super) const UNREACHABLE: u8 = 69;
/// The root supervisor gave up (sysexits' EX_SOFTWARE).
pub(super) const GAVE_UP: u8 = 70;

/// The codes, for `--help`.
pub(super) const CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 64 bad configuration, \
                                69 node not reachable, 70 the root supervisor gave up";

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    pub(super) fn new(code: u8, why: impl Display) -> Self {
        Self { code, why: why.to_string() }
    }

    /// An error with its causes.
    pub(super) fn chain(code: u8, error: &dyn Error) -> Self {
        let (mut why, mut cause) = (error.to_string(), error.source());
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        Self { code, why }
    }
}

/// The code of a command's end; a failure is told on stderr.
pub(super) fn code(end: Result<(), Failure>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, why }) => {
            // Where stderr is closed, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "erlmcp: {why}");
            ExitCode::from(code)
        }
    }
}

/// Prints a text and ends its last line.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        // As in `erlmcp tree | head -1`: whoever reads has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(FAILED, format!("can't write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints data for programs, on one line.
pub(super) fn print_json(data: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(data).map_err(|error| Failure::chain(FAILED, &error))?;
    print(&text)
}
