//! The last step to a child: a process that asks to die with its holder, and then becomes the
//! command.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _, stderr};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, getppid};

/// The argument that asks for it: `__exec HOLDER PROGRAM ARGUMENT…`.
pub(super) const ARGUMENT: &str = "__exec";

/// Exit statuses of a command that can't be run, as env(1) has them.
pub(super) const NOT_RUNNABLE: u8 = 126;
pub(super) const NOT_FOUND: u8 = 127;

/// How the line on standard error begins that says why.
pub(super) const CANT_RUN: &str = "erlmcp: can't run ";

/// Becomes the command; returns only where that fails, with the exit status.
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let [holder, program, arguments @ ..] = arguments else { return NOT_RUNNABLE };
    let holder = holder.to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // It may have died before the kernel was asked.
    if holder.is_none() || getppid() != holder {
        return NOT_RUNNABLE;
    }
    let error = Command::new(program).args(arguments).exec();
    let (code, why) = match error.kind() {
        // The file was found by the node.
        ErrorKind::NotFound => {
            (NOT_FOUND, "it, or the interpreter in its first line, does not exist".to_owned())
        }
        _ => (NOT_RUNNABLE, error.to_string()),
    };
    let _ = writeln!(stderr(), "{CANT_RUN}'{}': {why}", program.to_string_lossy());
    code
}
