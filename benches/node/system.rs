//! What the bench asks of the system: a core for itself, and enough files.

use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;
use std::{fs, io};

/// The core that the load comes from.
const OWN_CORE: &str = "0";
/// The core of the server.
const SERVER_CORE: &str = "1";
/// Linux tells processor time in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// Takes its core and as many files as it may; tells what could not be had.
pub(crate) fn prepare() -> Vec<String> {
    let itself = std::process::id().to_string();
    let mut notes = Vec::new();
    if !can_pin() {
        let why = "Nothing is pinned to a core: that takes two cores and `taskset`.";
        notes.push(format!("{why} Load and server share all cores, and the figures tell less."));
    } else if !quietly("taskset", &["-a", "-c", "-p", OWN_CORE, &itself]) {
        notes.push("The load could not be pinned to a core.".to_owned());
    }
    // Servers inherit it. Where it fails, what takes many files says so and is left out.
    if let Some([_, hard]) = file_limits() {
        let _ = quietly("prlimit", &["--pid", &itself, &format!("--nofile={hard}:{hard}")]);
    }
    notes
}

/// A command that runs `program` on the core of servers, where that can be.
pub(crate) fn on_server_core(program: &std::path::Path) -> Command {
    if !can_pin() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// The processor time that was spent on the two cores so far, by whomever.
pub(crate) fn cpu_of_both_cores() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let of = |core: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")));
        let fields = line.unwrap_or_default().split(' ').enumerate();
        // Idle and waiting for disks are fields 4 and 5; guests count as user time already.
        fields
            .filter(|(at, _)| matches!(at, 0..3 | 5..8))
            .map(|(_, ticks)| number(Some(ticks)))
            .sum()
    };
    let [own, server]: [io::Result<u64>; 2] = [of(OWN_CORE), of(SERVER_CORE)];
    Ok(ticks(own? + server?))
}

/// The processor time of a process, to a hundredth of a second.
pub(crate) fn cpu_of(process: &str) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before the last bracket may have blanks; utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11);
    Ok(ticks(number(fields.next())? + number(fields.next())?))
}

/// A process and all that it started, and so on.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(&process) = tree.get(at) {
        at += 1;
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            tree.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
    }
    tree
}

/// A number of a file below `/proc`.
pub(crate) fn number(text: Option<&str>) -> io::Result<u64> {
    let parsed = text.and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| io::Error::other("/proc does not tell what it should"))
}

fn ticks(ticks: u64) -> Duration {
    TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// How many files a process may open now.
pub(crate) fn open_files() -> u64 {
    file_limits().map_or(0, |[soft, _]| soft)
}

/// The soft and the hard limit of open files.
fn file_limits() -> Option<[u64; 2]> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap_or(u64::MAX));
    Some([numbers.next()?, numbers.next()?])
}

fn can_pin() -> bool {
    // Asked on the first call only: pinning itself leaves one core.
    static CAN: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let cores = available_parallelism().map_or(1, usize::from);
        cores >= 2 && quietly("taskset", &["--version"])
    });
    *CAN
}

fn quietly(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
