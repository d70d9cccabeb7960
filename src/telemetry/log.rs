//! The log on stderr: JSON lines for machines, text for people.

use std::io::{self, IsTerminal, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON in production, text in development.
    Auto,
    /// One JSON object a line.
    Json,
    /// Readable text.
    Text,
}

/// The log. `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `auto`, `json` or `text`.
    pub format: Format,
    /// What is logged: a level, or directives such as `info,erlmcp::transport=debug`.
    pub level: String,
}

impl Default for Config {
    /// One line per request and one per change in the tree.
    fn default() -> Self {
        Self { format: Format::Auto, level: "info".to_owned() }
    }
}

impl Config {
    /// What is wrong with the level, if anything.
    pub fn level_problem(&self) -> Option<String> {
        EnvFilter::try_new(&self.level).err().map(|error| error.to_string())
    }
}

/// Installs the log for the whole process; where one is installed already, that one stays.
pub fn install(config: &Config, production: bool) -> Flush {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match config.format {
        Format::Auto => production,
        Format::Json => true,
        Format::Text => false,
    };
    let (lines, flush) = lines();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(move || lines.clone());
    // An embedding program may have its own subscriber; that one is then used.
    let _ = if json { log.json().flatten_event(true).try_init() } else { log.try_init() };
    flush
}

/// Lines that wait for stderr: past this they are lost, because a reader that doesn't read must
/// not stop the node.
const WAITING_LINES: usize = 8_192;
/// How long the end of the process waits for them.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Msg {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where lines are written. It never blocks and never fails: `tracing-subscriber` answers a failed
/// write with `eprintln!`, which panics where stderr is gone.
#[derive(Clone)]
struct Lines(SyncSender<Msg>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(Msg::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Dropped at the end of the process: the last lines are written then.
#[must_use]
pub struct Flush(SyncSender<Msg>);

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        if self.0.try_send(Msg::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LAST_LINES);
        }
    }
}

fn lines() -> (Lines, Flush) {
    let (sender, receiver) = sync_channel(WAITING_LINES);
    let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver));
    (Lines(sender.clone()), Flush(sender))
}

fn write(receiver: &Receiver<Msg>) {
    for message in receiver {
        match message {
            Msg::Line(line) => drop(io::stderr().write_all(&line)),
            Msg::Flush(done) => drop(done.send(())),
        }
    }
}
