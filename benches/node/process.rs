//! A server as a process: started, watched from outside, ended.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::server::Kind;
use crate::system::{cpu_of, number};

/// Longest time from a server's start to its first good answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether a server is ready.
const POLL: Duration = Duration::from_millis(1);

/// A running server; dropping it ends it.
pub(crate) struct Process {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) spawned: Instant,
    child: Child,
    log: Log,
}

impl Process {
    /// Starts a server for at most so many connections, and waits until it tells its address.
    ///
    /// # Errors
    /// Where it can't be started, or tells none.
    pub(crate) async fn start(
        kind: Kind,
        erlmcp: &Path,
        max_connections: usize,
    ) -> io::Result<Self> {
        let log = Log::new();
        let mut command = kind.command(erlmcp, max_connections)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log.0)?);
        let spawned = Instant::now();
        let child = command.spawn()?;
        let mut process =
            Self { kind, address: SocketAddr::from(([0; 4], 0)), spawned, child, log };
        process.address = process.find_address().await?;
        Ok(process)
    }

    async fn find_address(&mut self) -> io::Result<SocketAddr> {
        loop {
            let told = fs::read_to_string(&self.log.0)?;
            let address = told
                .split_once("http=")
                // Without what follows, the address may be half written.
                .and_then(|(_, rest)| rest.split_once(char::is_whitespace))
                .and_then(|(address, _)| address.parse().ok());
            if let Some(address) = address {
                return Ok(address);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || self.spawned.elapsed() > PATIENCE {
                let name = self.kind.name();
                return Err(io::Error::other(format!("{name} tells no address: {told}")));
            }
            sleep(POLL).await;
        }
    }

    /// The processor time that it took so far, to a hundredth of a second.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        cpu_of(&self.child.id().to_string())
    }

    /// The same to the nanosecond, but without threads that have ended: for little work.
    pub(crate) fn cpu_of_threads(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let told = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += number(told.split(' ').next())?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The memory that it occupies, in bytes.
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(number(kibibytes)? * 1_024)
    }

    /// Waits until it has nothing to do any more.
    pub(crate) async fn settle(&self) -> io::Result<()> {
        const STEP: Duration = Duration::from_millis(100);
        let begun = Instant::now();
        let mut before = self.cpu_of_threads()?;
        while begun.elapsed() < PATIENCE {
            sleep(STEP).await;
            let now = self.cpu_of_threads()?;
            if now.saturating_sub(before) < STEP / 50 {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file that a server logs to; dropping it removes it.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-node-{}-{number}.log", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
