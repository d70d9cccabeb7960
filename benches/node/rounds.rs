//! Which measurements are taken, and in which order.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::load::{self, Caller, Load, Work};
use crate::messages::{Calls, Era};
use crate::pipe::PipeCaller;
use crate::process::{PATIENCE, Process};
use crate::report::{Call, Holding, Report, Table};
use crate::server::{Kind, Programs};
use crate::sessions::{Visitor, open_many, open_streams};
use crate::system::open_files;

/// How many clients call at the same time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const QUICK_CLIENTS: [usize; 2] = [1, 64];
/// The same where the answers come from behind. Bridges know sessions only.
const CHAIN_CLIENTS: [usize; 3] = [1, 16, 64];
const QUICK_CHAIN_CLIENTS: [usize; 1] = [16];
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
/// How often it is looked whether a server that others stand before answers.
const POLL: Duration = Duration::from_millis(1);
/// Room for the ids of one client where several share a channel.
const IDS_EACH: u64 = 1 << 32;

/// All measurements of one run.
pub(crate) struct Rounds<'a> {
    arguments: &'a Arguments,
    servers: Vec<Kind>,
    chains: Vec<Kind>,
    programs: Programs,
    report: Report,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(arguments: &'a Arguments, notes: Vec<String>) -> Self {
        let (servers, programs) = (arguments.plain(), arguments.programs());
        let mut report = Report::new(arguments, notes);
        let (missing, chains): (Vec<Kind>, Vec<Kind>) =
            arguments.chains().into_iter().partition(|kind| kind.is_missing(&programs));
        for kind in missing {
            report.note(format!("{} is not installed (`--bridges`).", kind.name()));
        }
        Self { arguments, servers, chains, programs, report }
    }

    /// Takes them all.
    ///
    /// # Errors
    /// Where a server doesn't start, or can't be watched.
    pub(crate) async fn run(mut self) -> io::Result<Report> {
        let quick = self.arguments.quick;
        let clients: &[usize] = if quick { &QUICK_CLIENTS } else { &CLIENTS };
        let chain_clients: &[usize] = if quick { &QUICK_CHAIN_CLIENTS } else { &CHAIN_CLIENTS };
        let (servers, chains) = (self.servers.clone(), self.chains.clone());
        for round in 1..=self.arguments.rounds() {
            eprintln!("Round {round} of {} ...", self.arguments.rounds());
            for era in Era::BOTH {
                for &clients in clients {
                    self.calls(Table::Plain, &servers, era, clients).await?;
                }
            }
            self.visits().await?;
            for &clients in chain_clients {
                self.calls(Table::Chains, &chains, Era::Legacy, clients).await?;
            }
        }
        for kind in servers {
            eprintln!("What {} does and holds while idle ...", kind.name());
            self.idle(kind).await?;
            self.holding(kind).await?;
        }
        Ok(self.report)
    }

    /// One measurement of each server under the same load.
    async fn calls(
        &mut self,
        table: Table,
        servers: &[Kind],
        era: Era,
        clients: usize,
    ) -> io::Result<()> {
        for &server in servers {
            let (process, started) = self.start(server, clients).await?;
            let call = Call { era, clients, server };
            let load = match &process.pipe {
                None => {
                    let mut callers = Vec::with_capacity(clients);
                    for _ in 0..clients {
                        callers.push(Caller::connect(&process, era).await?);
                    }
                    self.load(&process, callers).await?
                }
                Some(pipe) => {
                    let calls = |client| {
                        let calls = Calls::new(server, era, process.address, None);
                        calls.after(client * IDS_EACH)
                    };
                    let callers = (1..=clients as u64)
                        .map(|client| PipeCaller { pipe: pipe.clone(), calls: calls(client) });
                    self.load(&process, callers.collect()).await?
                }
            };
            self.report.called(table, call, &load);
            self.report.started(server, started);
        }
        Ok(())
    }

    async fn load<W: Work>(&self, process: &Process, clients: Vec<W>) -> io::Result<Load> {
        load::run(process, clients, self.arguments.measuring()).await
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
        let process = Process::start(kind, &self.programs, clients + RESERVE).await?;
        if let Some(pipe) = &process.pipe {
            pipe.open().await?;
        } else {
            // What stands before another server may be there earlier.
            while let Err(error) = first_call(&process).await {
                if !Kind::CHAINS.contains(&kind) || process.spawned.elapsed() > PATIENCE {
                    return Err(error);
                }
                sleep(POLL).await;
            }
        }
        let took = process.spawned.elapsed();
        Ok((process, took))
    }
}

async fn first_call(process: &Process) -> io::Result<()> {
    let era = if process.kind.speaks_modern() { Era::Modern } else { Era::Legacy };
    let mut caller = Caller::connect(process, era).await?;
    caller.once().await?.map_err(io::Error::other)
}
