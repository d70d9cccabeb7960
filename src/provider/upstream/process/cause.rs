//! How a child ended, in words for operators.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::exec;
use super::vitals::Vitals;
use crate::provider::upstream::tail::Tail;
use crate::provider::upstream::wire::{Closing, Why};

/// Signals that end processes, by number.
const SIGNALS: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

/// Lines in which a program's last words are looked for.
const LAST_LINES: usize = 20;

/// The end of a child that ended by itself.
pub(super) fn ended(status: ExitStatus, vitals: &Vitals, tail: &Tail) -> Closing {
    let why = if status.success() { Why::Finished } else { Why::Crashed };
    Closing { why, cause: cause(status, vitals.messages() > 0, tail) }
}

/// Whether it was killed.
pub(super) fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9) || status.code() == Some(128 + 9)
}

fn cause(status: ExitStatus, has_spoken: bool, tail: &Tail) -> String {
    // Of a shell that ran it, or of its holder.
    let of_shell = status.code().map(|code| code - 128);
    if let Some((number, name)) = status.signal().or(of_shell).and_then(signal) {
        let hint = match number {
            9 => "; if nobody did it, the system was out of memory",
            _ => "",
        };
        return format!("was killed by signal {number} ({name}){hint}");
    }
    let Some(code) = status.code() else {
        return "was killed by a signal".to_owned();
    };
    let lines = tail.last(LAST_LINES);
    if matches!(u8::try_from(code), Ok(exec::NOT_FOUND | exec::NOT_RUNNABLE))
        && let Some(why) = lines.iter().rev().find_map(|line| line.strip_prefix(exec::CANT_RUN))
    {
        return format!("can't be run: {why}");
    }
    let usage = |line: &String| line.to_ascii_lowercase().contains("usage:");
    match (has_spoken, code) {
        (true, _) => format!("exited with status {code}"),
        (false, 0) => {
            "exited with status 0 before it answered; is it an MCP server that speaks on \
                       standard input and output?"
                .to_owned()
        }
        (false, _) if lines.iter().any(usage) => format!(
            "printed how it is used and exited with status {code} before it answered; correct its \
             arguments"
        ),
        (false, _) => format!(
            "exited with status {code} before it answered; `erlmcp logs` shows what it said"
        ),
    }
}

/// The signal of this number, if it ends processes.
fn signal(number: i32) -> Option<(i32, &'static str)> {
    SIGNALS.iter().copied().find(|(known, _)| *known == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(raw: i32, has_spoken: bool, lines: &[&str]) -> String {
        let tail = Tail::default();
        lines.iter().for_each(|line| tail.push(line));
        cause(ExitStatus::from_raw(raw), has_spoken, &tail)
    }

    #[test]
    fn the_cause_says_what_happened_and_what_to_do() {
        let exited = |code: i32| code << 8;
        for (raw, has_spoken, lines, expected) in [
            (exited(1), true, &["usage: x"][..], "exited with status 1"),
            (9, true, &[], "was killed by signal 9 (SIGKILL); if nobody did it, the system was"),
            (exited(137), true, &[], "was killed by signal 9 (SIGKILL); if nobody"),
            (11, false, &[], "was killed by signal 11 (SIGSEGV)"),
            (exited(143), false, &[], "was killed by signal 15 (SIGTERM)"),
            (exited(255), true, &[], "exited with status 255"),
            (exited(0), true, &[], "exited with status 0"),
            (exited(0), false, &[], "exited with status 0 before it answered; is it an MCP"),
            (exited(2), false, &["Usage: x FILE", "…"], "printed how it is used and exited with"),
            (exited(3), false, &["oh"], "exited with status 3 before it answered; `erlmcp logs`"),
            (
                exited(127),
                false,
                &["erlmcp: can't run '/x': it, or the interpreter"],
                "can't be run: '/x': it, or the interpreter",
            ),
            (exited(127), true, &["sh: foo: not found"], "exited with status 127"),
        ] {
            let cause = told(raw, has_spoken, lines);
            assert!(cause.starts_with(expected), "{cause}");
        }
    }

    #[test]
    fn only_status_zero_is_no_crash() {
        let vitals = Vitals::new(1, false, std::time::SystemTime::now());
        let why = |raw| ended(ExitStatus::from_raw(raw), &vitals, &Tail::default()).why;
        assert_eq!((why(0), why(256), why(9)), (Why::Finished, Why::Crashed, Why::Crashed));
    }
}
