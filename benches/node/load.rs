//! Load: clients that ask as fast as they are answered, and what it took.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::messages::{Calls, Era};
use crate::process::Process;
use crate::sessions::open;
use crate::system::{cpu_of, cpu_of_both_cores};

/// Something that a client does again and again; each time it is answered well or badly.
pub(crate) trait Work: Send + 'static {
    /// Does it once. An error ends the client.
    fn once(&mut self) -> impl Future<Output = io::Result<Result<(), String>>> + Send;
}

/// What a load took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// How long it was watched.
    pub(crate) elapsed: Duration,
    /// Good answers, and how long each took, the shortest first.
    pub(crate) latencies: Vec<Duration>,
    /// Bad answers, and connections that broke.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    /// Processor time of the server.
    pub(crate) server_cpu: Duration,
    /// Processor time of the load itself.
    pub(crate) own_cpu: Duration,
    /// Processor time that everybody else took of the two cores.
    pub(crate) foreign_cpu: Duration,
}

impl Load {
    /// Good answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// The time within which this part of the answers came.
    pub(crate) fn latency(&self, part: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (self.count() * part) as usize;
        let last = self.latencies.last().copied().unwrap_or_default();
        self.latencies.get(index).copied().unwrap_or(last)
    }

    /// The part of the two cores that everybody else took.
    pub(crate) fn foreign(&self) -> f64 {
        self.foreign_cpu.as_secs_f64() / self.elapsed.as_secs_f64() / 2.0
    }

    /// Microseconds of a processor time for each good answer.
    pub(crate) fn micros_each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.count()
    }

    #[expect(clippy::cast_precision_loss, reason = "no round has 2^53 answers")]
    fn count(&self) -> f64 {
        self.latencies.len() as f64
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn failed(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Lets the clients work: for a while unwatched, then for `measuring`.
///
/// # Errors
/// Where the server can't be watched.
pub(crate) async fn run<W: Work>(
    process: &Process,
    clients: Vec<W>,
    measuring: Duration,
) -> io::Result<Load> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut working: JoinSet<Load> =
        clients.into_iter().map(|work| repeat(work, Arc::clone(&phase))).collect();
    sleep(measuring / 4).await;
    let began = Instant::now();
    let (server, own, both) = (process.cpu()?, cpu_of("self")?, cpu_of_both_cores()?);
    phase.store(MEASURING, Ordering::Relaxed);
    sleep(measuring).await;
    phase.store(OVER, Ordering::Relaxed);
    let elapsed = began.elapsed();
    let server_cpu = process.cpu()?.saturating_sub(server);
    let own_cpu = cpu_of("self")?.saturating_sub(own);
    let foreign_cpu = cpu_of_both_cores()?.saturating_sub(both + server_cpu + own_cpu);
    let mut load = Load { elapsed, server_cpu, own_cpu, foreign_cpu, ..Load::default() };
    while let Some(ended) = working.join_next().await {
        load.add(ended?);
    }
    load.latencies.sort_unstable();
    Ok(load)
}

async fn repeat<W: Work>(mut work: W, phase: Arc<AtomicU8>) -> Load {
    let mut load = Load::default();
    loop {
        let began = Instant::now();
        let outcome = work.once().await;
        let phase = phase.load(Ordering::Relaxed);
        match outcome {
            // Bad answers count in every phase: there should be none at all.
            Err(error) => {
                load.failed(error.to_string());
                return load;
            }
            Ok(Err(why)) => load.failed(why),
            Ok(Ok(())) if phase == MEASURING => load.latencies.push(began.elapsed()),
            Ok(Ok(())) => {}
        }
        if phase == OVER {
            return load;
        }
    }
}

/// A client that calls the echo tool.
pub(crate) struct Caller {
    connection: Connection,
    calls: Calls,
}

impl Caller {
    /// Connects, and opens a session where there has to be one.
    pub(crate) async fn connect(process: &Process, era: Era) -> io::Result<Self> {
        let mut connection = Connection::open(process.address).await?;
        let session = if process.kind.has_sessions(era) {
            Some(open(&mut connection, process.address).await?)
        } else {
            None
        };
        let calls = Calls::new(process.kind, era, process.address, session.as_deref());
        Ok(Self { connection, calls })
    }
}

impl Work for Caller {
    async fn once(&mut self) -> io::Result<Result<(), String>> {
        let reply = self.connection.ask(self.calls.next()).await?;
        Ok(self.calls.check(&reply))
    }
}
