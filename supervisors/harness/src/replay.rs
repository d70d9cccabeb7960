//! Runs a script on our side, and compares the two traces.

use std::fmt::{self, Display, Formatter};

use crate::script::{Flags, Op, Script, Spec};
use crate::trace::{Event, Ret, Snapshot, Step};

/// An implementation of supervisors under test, with fake children (see [`crate::world`]).
///
/// Every call returns only when the tree is quiet: no exit undelivered, no restart pending.
pub trait Subject {
    /// Starts the root supervisor.
    fn start_link(&mut self, flags: &Flags, specs: &[Spec]) -> Ret;

    /// Runs one operation. On a tree that is down the answer is [`Ret::NoProc`].
    fn apply(&mut self, op: &Op) -> Ret;

    /// The events since the last call, in canonical order: `World::take_events`.
    fn take_events(&mut self) -> Vec<Event>;

    /// The root's snapshot, or that it is down; then those of its running supervisors in the order
    /// of its children, each followed by its own.
    fn snapshots(&mut self) -> Vec<Snapshot>;
}

/// Runs a script and gives its trace.
pub fn replay(script: &Script, subject: &mut impl Subject) -> Vec<String> {
    let ret = subject.start_link(&script.flags, &script.specs);
    let mut lines = step(subject, 0, None, ret).lines();
    for (op, index) in script.ops.iter().zip(1..) {
        let ret = subject.apply(op);
        lines.extend(step(subject, index, Some(op.clone()), ret).lines());
    }
    lines
}

fn step(subject: &mut impl Subject, index: usize, op: Option<Op>, ret: Ret) -> Step {
    Step { index, op, events: subject.take_events(), ret, states: subject.snapshots() }
}

/// Where two traces part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The lines that both have, from the last operation's on.
    pub before: Vec<String>,
    /// What OTP did from there on, up to the next operation.
    pub expected: Vec<String>,
    /// What the subject did.
    pub got: Vec<String>,
}

/// Compares a trace with OTP's; `None` when they are equal.
pub fn difference(expected: &[String], got: &[String]) -> Option<Difference> {
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    if same == expected.len() && same == got.len() {
        return None;
    }
    let is_op = |line: &&String| line.starts_with("op ");
    let start = expected.iter().take(same).rposition(|line| is_op(&line)).unwrap_or_default();
    let tail = |lines: &[String]| {
        let (first, rest) = (lines.iter().skip(same).take(1), lines.iter().skip(same + 1));
        first.chain(rest.take_while(|line| !is_op(line))).cloned().collect()
    };
    Some(Difference {
        before: expected.iter().take(same).skip(start).cloned().collect(),
        expected: tail(expected),
        got: tail(got),
    })
}

impl Display for Difference {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let parts = [("  ", &self.before), ("otp:  ", &self.expected), ("ours: ", &self.got)];
        for (sign, lines) in parts {
            for line in lines {
                writeln!(out, "{sign}{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_within_its_operation() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let otp = lines("op 0\nret 0\nop 1\nev a\nev b\nret 1\nop 2");
        assert_eq!(difference(&otp, &otp), None);
        let ours = lines("op 0\nret 0\nop 1\nev a\nret 1\nop 2");
        let shown = difference(&otp, &ours).unwrap().to_string();
        assert_eq!(shown, "  op 1\n  ev a\notp:  ev b\notp:  ret 1\nours: ret 1\n");
        let shorter = difference(&otp, otp.get(..6).unwrap()).unwrap().to_string();
        assert_eq!(shorter, "  op 1\n  ev a\n  ev b\n  ret 1\notp:  op 2\n");
    }
}
