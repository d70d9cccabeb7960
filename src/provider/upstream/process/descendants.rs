//! Which processes there are below one, as `/proc` tells.

use std::collections::BTreeMap;
use std::fs::{read, read_dir};

use rustix::process::Pid;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// It has ended, and nobody asked how.
    pub(super) is_zombie: bool,
    /// When it started, in clock ticks; with the id it names one process for ever.
    pub(super) started: u64,
}

/// All processes that there are.
pub(super) fn all() -> Vec<Seen> {
    let Ok(entries) = read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|pid: i32| parse(pid, &read(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// All below `root`, children before their own children.
pub(super) fn below(root: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for seen in all() {
        children.entry(seen.parent).or_default().push(seen.pid);
    }
    let mut found = children.remove(&root.as_raw_nonzero().get()).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// `/proc/PID/stat`: the name, which may hold anything, stands in parentheses (proc(5)).
fn parse(pid: i32, stat: &[u8]) -> Option<Seen> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    // The 22nd field; state was the third, the parent the fourth.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Seen { pid, parent, is_zombie, started })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let text = b"7 (a) S 1 (\n)) Z 5 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 1234 999 0";
        let expected = Seen { pid: 7, parent: 5, is_zombie: true, started: 1234 };
        assert_eq!(parse(7, text), Some(expected));
        for broken in ["", "7 (a", "7 (a) S", "7 (a) S x", "7 (a) S 1 2 3"] {
            assert_eq!(parse(7, broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn children_of_children_are_found() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        let me = rustix::process::getpid();
        let found = below(me);
        let at = |pid| found.iter().position(|found| *found == pid);
        let parent = Pid::from_child(&shell);
        let [sleep] = below(parent)[..] else { panic!("one child") };
        assert!(at(parent).unwrap() < at(sleep).unwrap());
        for pid in [sleep, parent] {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(below(parent), []);
    }
}
