//! A server as a process: started, watched from outside, ended.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::pipe::Pipe;
use crate::server::{Kind, Place, Programs, Start};
use crate::system::{cpu_of, number, tree};

/// Longest time from a server's start to its first good answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether a server is ready.
const POLL: Duration = Duration::from_millis(1);

/// A running server; dropping it ends it.
pub(crate) struct Process {
    pub(crate) kind: Kind,
    /// Where it is reached; nowhere, if by a pipe.
    pub(crate) address: SocketAddr,
    pub(crate) pipe: Option<Pipe>,
    pub(crate) spawned: Instant,
    child: Child,
    id: u32,
    log: Scratch,
    /// The server that it stands before.
    behind: Option<Box<Self>>,
    _file: Scratch,
}

impl Process {
    /// Starts a server for at most so many connections, and waits until it can be reached.
    ///
    /// # Errors
    /// Where it can't be started, or isn't reached.
    pub(crate) async fn start(
        kind: Kind,
        programs: &Programs,
        max_connections: usize,
    ) -> io::Result<Self> {
        let behind = match kind.behind() {
            Some(behind) => Some(Box::pin(Self::start(behind, programs, max_connections)).await?),
            None => None,
        };
        let (log, file) = (Scratch::new("log"), Scratch::new("json"));
        let start = Start {
            kind,
            programs,
            max_connections,
            behind: behind.as_ref().map(|behind| behind.address),
            file: file.0.clone(),
        };
        let (command, place) = start.command()?;
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log.0)?);
        if place == Place::Pipe {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        let spawned = Instant::now();
        let mut child = command.kill_on_drop(true).spawn()?;
        let pipe = child.stdin.take().zip(child.stdout.take());
        let mut process = Self {
            kind,
            address: SocketAddr::from(([0; 4], 0)),
            pipe: pipe.map(|(input, output)| Pipe::new(input, output)),
            spawned,
            id: child.id().unwrap_or_default(),
            child,
            log,
            behind: behind.map(Box::new),
            _file: file,
        };
        match place {
            Place::Told => process.address = process.find_address().await?,
            Place::At(address) => process.address = process.reach(address).await?,
            Place::Pipe => {}
        }
        Ok(process)
    }

    /// Waits until somebody listens there.
    async fn reach(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        while TcpStream::connect(address).await.is_err() {
            self.check(&fs::read_to_string(&self.log.0)?)?;
            sleep(POLL).await;
        }
        Ok(address)
    }

    /// Whether there is still something to wait for.
    fn check(&mut self, told: &str) -> io::Result<()> {
        let ended = self.child.try_wait()?;
        if ended.is_some() || self.spawned.elapsed() > PATIENCE {
            let name = self.kind.name();
            return Err(io::Error::other(format!("{name} can't be reached: {told}")));
        }
        Ok(())
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
            self.check(&told)?;
            sleep(POLL).await;
        }
    }

    /// The processor time that it took so far, to a hundredth of a second, with all that it started
    /// and stands before.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let mut cpu = self.behind.as_ref().map_or(Ok(Duration::ZERO), |behind| behind.cpu())?;
        for process in tree(self.id) {
            cpu += cpu_of(&process.to_string())?;
        }
        Ok(cpu)
    }

    /// The same to the nanosecond, but without threads that have ended: for little work.
    pub(crate) fn cpu_of_threads(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let told = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += number(told.split(' ').next())?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The memory that it occupies, in bytes.
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
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
        // With all that it started: bridges leave their servers behind when they are killed.
        let all: Vec<String> = tree(self.id).iter().map(u32::to_string).collect();
        let _ = std::process::Command::new("kill").arg("-KILL").args(all).status();
    }
}

/// A file of a server's: its log, or what it is told; dropping it removes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(extension: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-node-{}-{number}.{extension}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
