//! Which measurements are taken, and in which order.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::load::{self, Caller, Load, Work as _};
use crate::messages::Era;
use crate::process::Process;
use crate::report::{Call, Holding, Report};
use crate::server::Kind;
use crate::sessions::{Visitor, open_many, open_streams};
use crate::system::open_files;

/// How many clients call at the same time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const QUICK_CLIENTS: [usize; 2] = [1, 64];
/// How many clients open and end sessions at the same time.
const VISITORS: usize = 16;
/// After how many open sessions the memory is measured, and at how many streams: at the last.
const SESSIONS: [usize; 2] = [1_000, 10_000];
const QUICK_SESSIONS: [usize; 2] = [10, 100];
/// How long a server is left alone to see what it does by itself.
const IDLE: Duration = Duration::from_secs(10);
const QUICK_IDLE: Duration = Duration::from_millis(100);
/// Files and connections beside those of streams.
const RESERVE: usize = 100;

/// All measurements of one run.
pub(crate) struct Rounds<'a> {
    arguments: &'a Arguments,
    servers: Vec<Kind>,
    report: Report,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(arguments: &'a Arguments, notes: Vec<String>) -> Self {
        let servers = arguments.servers();
        Self { arguments, servers, report: Report::new(arguments, notes) }
    }

    /// Takes them all.
    ///
    /// # Errors
    /// Where a server doesn't start, or can't be watched.
    pub(crate) async fn run(mut self) -> io::Result<Report> {
        let clients: &[usize] = if self.arguments.quick { &QUICK_CLIENTS } else { &CLIENTS };
        for round in 1..=self.arguments.rounds() {
            eprintln!("Round {round} of {} ...", self.arguments.rounds());
            for era in Era::BOTH {
                for &clients in clients {
                    self.calls(era, clients).await?;
                }
            }
            self.visits().await?;
        }
        for kind in self.servers.clone() {
            eprintln!("What {} does and holds while idle ...", kind.name());
            self.idle(kind).await?;
            self.holding(kind).await?;
        }
        Ok(self.report)
    }

    /// One measurement of each server under the same load.
    async fn calls(&mut self, era: Era, clients: usize) -> io::Result<()> {
        for &server in &self.servers {
            let (process, started) = self.start(server, clients).await?;
            let mut callers = Vec::with_capacity(clients);
            for _ in 0..clients {
                callers.push(Caller::connect(&process, era).await?);
            }
            let load = load::run(&process, callers, self.arguments.measuring()).await?;
            self.report.called(Call { era, clients, server }, &load);
            self.report.started(server, started);
        }
        Ok(())
    }

    /// Sessions opened and ended, where there are some.
    async fn visits(&mut self) -> io::Result<()> {
        for &kind in self.servers.iter().filter(|kind| kind.holds_sessions()) {
            let (process, _) = self.start(kind, VISITORS).await?;
            let mut visitors = Vec::with_capacity(VISITORS);
            for _ in 0..VISITORS {
                visitors.push(Visitor::connect(process.address).await?);
            }
            let load: Load = load::run(&process, visitors, self.arguments.measuring()).await?;
            self.report.visited(kind, &load);
        }
        Ok(())
    }

    async fn idle(&mut self, kind: Kind) -> io::Result<()> {
        let (process, _) = self.start(kind, 0).await?;
        process.settle().await?;
        let watched = if self.arguments.quick { QUICK_IDLE } else { IDLE };
        let before = process.cpu_of_threads()?;
        sleep(watched).await;
        self.report.idled(kind, watched, process.cpu_of_threads()?.saturating_sub(before));
        Ok(())
    }

    /// Memory with nothing, with idle sessions, and with an idle stream for each of them.
    async fn holding(&mut self, kind: Kind) -> io::Result<()> {
        let counts = if self.arguments.quick { QUICK_SESSIONS } else { SESSIONS };
        let streams = counts.last().copied().unwrap_or_default();
        let (process, _) = self.start(kind, streams).await?;
        process.settle().await?;
        let mut hold = |sessions, streams| -> io::Result<()> {
            let bytes = process.resident_bytes()?;
            self.report.held(Holding { server: kind, sessions, streams, bytes });
            Ok(())
        };
        hold(0, 0)?;
        if !kind.holds_sessions() {
            return Ok(());
        }
        let mut sessions = Vec::new();
        for count in counts {
            sessions.extend(open_many(process.address, count - sessions.len()).await?);
            process.settle().await?;
            hold(count, 0)?;
        }
        let files = open_files();
        if files < (streams + RESERVE) as u64 {
            let why = format!("{streams} streams take more files than the {files} allowed");
            self.report.note(format!("{}: {why}; raise `ulimit -n`.", kind.name()));
            return Ok(());
        }
        match open_streams(process.address, &sessions).await? {
            Some(open) => {
                process.settle().await?;
                hold(sessions.len(), open.len())?;
            }
            None => {
                let why = "GET is answered with 405, so there are no streams of events to measure";
                self.report.note(format!("{}: {why}.", kind.name()));
            }
        }
        Ok(())
    }

    /// A fresh server for so many clients, and how long it took to its first good answer.
    async fn start(&self, kind: Kind, clients: usize) -> io::Result<(Process, Duration)> {
        let process = Process::start(kind, &self.arguments.erlmcp, clients + RESERVE).await?;
        let mut caller = Caller::connect(&process, Era::Modern).await?;
        caller.once().await?.map_err(io::Error::other)?;
        let took = process.spawned.elapsed();
        Ok((process, took))
    }
}
