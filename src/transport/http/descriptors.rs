//! File descriptors: how many connections the process may have at all.
//!
//! Without any left, nothing is accepted, neither requests nor probes, and no file is opened.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave for probes, files, upstream servers and the runtime; a
/// quarter of all, where there are few.
const RESERVE: u64 = 512;

/// As many of the `wanted` connections as there are descriptors for. Raises the soft limit, which
/// is low for the sake of programs that use `select(2)`, to the hard one.
pub fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let room = room(limit);
    if room < wanted {
        tracing::warn!(
            room,
            wanted,
            "too few file descriptors for http.max_connections; raise the limit (ulimit -n)"
        );
    }
    room.min(wanted)
}

/// Connections under a limit; none means that there is no limit.
fn room(limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return usize::MAX };
    let room = limit - RESERVE.min(limit / 4);
    usize::try_from(room).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left() {
        for (limit, expected) in [
            (None, usize::MAX),
            (Some(1_048_576), 1_048_064),
            (Some(1_024), 768),
            (Some(100), 75),
            (Some(1), 1),
            (Some(0), 1),
        ] {
            assert_eq!(room(limit), expected, "{limit:?}");
        }
        assert!(connections(10) == 10);
    }
}
