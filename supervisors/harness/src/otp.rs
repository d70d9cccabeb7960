//! The real thing: an Erlang node that runs scripts on OTP's own `supervisor`.
//!
//! One [`Otp`] owns one operating-system process. Scripts go in and traces come out through pipes,
//! so several may be under way at once ([`Otp::run_all`]); ports are independent of each other.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::script::Script;

/// How long one script may take. The slowest generated ones wait for dozens of 30 ms time-outs.
pub const SCRIPT_DEADLINE: Duration = Duration::from_secs(30);
/// Scripts sent ahead of the trace that is being read.
const PIPELINE: usize = 8;
/// Trace lines read ahead of whoever takes them.
const LINES_AHEAD: usize = 4096;

/// Why real OTP gave no trace.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    #[error(
        "`escript` was not found in PATH: install Erlang/OTP, on Debian and Ubuntu with \
         `apt-get install erlang-base` (`make test` does it)"
    )]
    NotInstalled,
    #[error("the Erlang node could not be started or written to")]
    Io(#[from] io::Error),
    #[error("no trace of this script within {deadline:?}; last lines:\n{last}\nscript:\n{script}")]
    Deadline { deadline: Duration, last: String, script: String },
    #[error("the Erlang node ended in the middle of a trace; last lines:\n{last}")]
    Ended { last: String },
}

/// A running Erlang node. It is killed when this is dropped.
#[derive(Debug)]
pub struct Otp {
    node: Child,
    scripts: Option<ChildStdin>,
    lines: Option<Receiver<String>>,
    reader: Option<JoinHandle<()>>,
    deadline: Duration,
}

/// Where the harness's Erlang half lies.
fn escript() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("otp").join("otp_trace.escript")
}

fn command(argument: &str) -> Command {
    let mut command = Command::new("escript");
    command.arg(escript()).arg(argument);
    command
}

fn not_installed(error: io::Error) -> OtpError {
    match error.kind() {
        io::ErrorKind::NotFound => OtpError::NotInstalled,
        _ => OtpError::Io(error),
    }
}

/// OTP's release (`25`, `27`, ...), as the node itself says.
pub fn release() -> Result<String, OtpError> {
    let output = command("--otp").stdin(Stdio::null()).output().map_err(not_installed)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Otp {
    /// Starts an Erlang node.
    pub fn start() -> Result<Self, OtpError> {
        let mut node = command("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(not_installed)?;
        let scripts = node.stdin.take();
        let (sender, lines) = sync_channel(LINES_AHEAD);
        let reader = node.stdout.take().map(|out| std::thread::spawn(move || read(out, &sender)));
        Ok(Self { node, scripts, lines: Some(lines), reader, deadline: SCRIPT_DEADLINE })
    }

    /// The same node with another deadline per script.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs one script and gives its trace. After an error the node is of no further use.
    pub fn run(&mut self, script: &Script) -> Result<Vec<String>, OtpError> {
        self.send(script)?;
        self.receive(script)
    }

    /// Runs scripts one after the other without waiting in between; the traces come in order.
    pub fn run_all(&mut self, scripts: &[Script]) -> Result<Vec<Vec<String>>, OtpError> {
        let mut traces = Vec::with_capacity(scripts.len());
        let mut ahead = scripts.iter();
        for script in ahead.by_ref().take(PIPELINE) {
            self.send(script)?;
        }
        for script in scripts {
            traces.push(self.receive(script)?);
            if let Some(next) = ahead.next() {
                self.send(next)?;
            }
        }
        Ok(traces)
    }

    fn send(&mut self, script: &Script) -> Result<(), OtpError> {
        let Some(scripts) = &mut self.scripts else {
            return Err(self.ended(&[]));
        };
        scripts.write_all(format!("{script}run.\n").as_bytes())?;
        scripts.flush()?;
        Ok(())
    }

    fn receive(&mut self, script: &Script) -> Result<Vec<String>, OtpError> {
        let until = Instant::now() + self.deadline;
        let mut trace = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = match &self.lines {
                Some(lines) => lines.recv_timeout(left),
                None => Err(RecvTimeoutError::Disconnected),
            };
            match line {
                Ok(line) if line == "end" => return Ok(trace),
                Ok(line) => trace.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    let (deadline, last) = (self.deadline, last(&trace));
                    return Err(OtpError::Deadline { deadline, last, script: script.to_string() });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(&trace)),
            }
        }
    }

    fn ended(&self, trace: &[String]) -> OtpError {
        OtpError::Ended { last: last(trace) }
    }
}

fn last(trace: &[String]) -> String {
    let from = trace.len().saturating_sub(10);
    trace.get(from..).unwrap_or_default().join("\n")
}

fn read(out: ChildStdout, lines: &SyncSender<String>) {
    for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.send(line).is_err() {
            return;
        }
    }
}

impl Drop for Otp {
    fn drop(&mut self) {
        // The end of its input would stop an idle node; a busy one is killed.
        drop(self.scripts.take());
        let _ = self.node.kill();
        let _ = self.node.wait();
        // Without a receiver the reader can't block on a full channel.
        drop(self.lines.take());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
