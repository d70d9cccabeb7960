//! The figures: collected, brought to medians, shown.

mod chains;

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::arguments::Arguments;
use crate::load::Load;
use crate::messages::Era;
use crate::server::Kind;

/// Up to here, what other processes take of the machine is not worth a word, in percent.
const QUIET: f64 = 5.0;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: f64,
    rounds: usize,
    /// The part of the two cores that other processes took meanwhile.
    foreign: Samples,
    /// What was left out or could not be had.
    notes: Vec<String>,
    calls: Vec<Row<Call>>,
    /// Calls that are answered from behind, and those of what stands there.
    chains: Vec<Row<Call>>,
    /// Cycles of `initialize`, `notifications/initialized` and DELETE.
    sessions: Vec<Row<Visit>>,
    starts: Vec<Start>,
    idle: Vec<Idle>,
    memory: Vec<Holding>,
}

/// Which table a load belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Plain,
    Chains,
}

/// A load of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Call {
    pub(crate) era: Era,
    pub(crate) clients: usize,
    pub(crate) server: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Visit {
    server: Kind,
}

/// The figures about one load.
#[derive(Debug, Serialize)]
struct Row<Of> {
    #[serde(flatten)]
    of: Of,
    per_second: Samples,
    p50_us: Samples,
    p99_us: Samples,
    /// Processor time of the server for each good answer.
    cpu_us: Samples,
    /// The same of the load itself.
    load_cpu_us: Samples,
    errors: u64,
    first_error: Option<String>,
}

impl<Of> Row<Of> {
    fn new(of: Of) -> Self {
        let (errors, first_error) = (0, None);
        let none = Samples::default;
        let (per_second, p50_us, p99_us) = (none(), none(), none());
        let (cpu_us, load_cpu_us) = (none(), none());
        Self { of, per_second, p50_us, p99_us, cpu_us, load_cpu_us, errors, first_error }
    }

    fn add(&mut self, load: &Load) {
        self.per_second.0.push(load.rate());
        self.p50_us.0.push(micros(load.latency(0.5)));
        self.p99_us.0.push(micros(load.latency(0.99)));
        self.cpu_us.0.push(load.micros_each(load.server_cpu));
        self.load_cpu_us.0.push(load.micros_each(load.own_cpu));
        self.errors += load.errors;
        self.first_error = self.first_error.take().or_else(|| load.first_error.clone());
    }
}

#[derive(Debug, Serialize)]
struct Start {
    server: Kind,
    ms: Samples,
}

#[derive(Debug, Serialize)]
struct Idle {
    server: Kind,
    seconds: f64,
    /// Processor time within them.
    cpu_ms: f64,
}

/// What a server occupies while it holds idle sessions and streams.
#[derive(Debug, Serialize)]
pub(crate) struct Holding {
    pub(crate) server: Kind,
    pub(crate) sessions: usize,
    pub(crate) streams: usize,
    /// The resident set.
    pub(crate) bytes: u64,
}

/// One figure of each round.
#[derive(Debug, Default, Serialize)]
struct Samples(Vec<f64>);

impl Samples {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// How far the rounds lie apart: half the way between the farthest, in percent of the median.
    fn spread(&self) -> f64 {
        (self.most() - self.least()) / 2.0 / self.median() * 100.0
    }
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, notes: Vec<String>) -> Self {
        Self {
            seconds: arguments.measuring().as_secs_f64(),
            rounds: arguments.rounds(),
            foreign: Samples::default(),
            notes,
            calls: Vec::new(),
            chains: Vec::new(),
            sessions: Vec::new(),
            starts: Vec::new(),
            idle: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn called(&mut self, table: Table, of: Call, load: &Load) {
        self.foreign.0.push(load.foreign());
        let rows = match table {
            Table::Plain => &mut self.calls,
            Table::Chains => &mut self.chains,
        };
        row(rows, of).add(load);
    }

    pub(crate) fn visited(&mut self, server: Kind, load: &Load) {
        row(&mut self.sessions, Visit { server }).add(load);
    }

    pub(crate) fn started(&mut self, server: Kind, took: Duration) {
        let ms = took.as_secs_f64() * 1e3;
        match self.starts.iter_mut().find(|start| start.server == server) {
            Some(start) => start.ms.0.push(ms),
            None => self.starts.push(Start { server, ms: Samples(vec![ms]) }),
        }
    }

    pub(crate) fn idled(&mut self, server: Kind, watched: Duration, cpu: Duration) {
        let (seconds, cpu_ms) = (watched.as_secs_f64(), cpu.as_secs_f64() * 1e3);
        self.idle.push(Idle { server, seconds, cpu_ms });
    }

    pub(crate) fn held(&mut self, holding: Holding) {
        self.memory.push(holding);
    }

    /// Bad answers and broken connections of all loads.
    pub(crate) fn errors(&self) -> u64 {
        let calls = self.calls.iter().chain(&self.chains).map(|row| row.errors);
        calls.chain(self.sessions.iter().map(|row| row.errors)).sum()
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "Medians of {} rounds of {} s. The server has one core, the load another.\n\
             CPU: processor time of the server per request; load: the same of the load itself.\n\
             ±: how far the rounds lie apart. x: in proportion to warp under the same load.\n\
             most, least: the best round, which tells more than the median on a busy machine.\n",
            self.rounds, self.seconds
        );
        // Writing into a string can't fail.
        let _ = self.write_calls(&mut text);
        let _ = self.write_sessions(&mut text);
        let _ = chains::write(&mut text, &self.chains);
        let _ = self.write_processes(&mut text);
        let foreign = self.foreign.median() * 100.0;
        if foreign > QUIET {
            let _ = writeln!(
                text,
                "\nOther processes took {foreign:.0} % of the two cores meanwhile (median): \
                 medians tell little then,\nprocessor times and best rounds somewhat more."
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }

    fn write_calls(&self, text: &mut String) -> std::fmt::Result {
        if self.calls.is_empty() {
            return Ok(());
        }
        writeln!(text, "\ntools/call of a tool that gives its text back")?;
        write!(text, "{:<7} {:>7} {:<15} {:>8}", "era", "clients", "server", "req/s")?;
        write!(text, " {:>4} {:>5} {:>8} {:>8} {:>8}", "±", "x", "most", "p50", "p99")?;
        writeln!(text, " {:>7} {:>5} {:>7} {:>7} {:>6}", "CPU", "x", "least", "load", "errors")?;
        for row in &self.calls {
            let Call { era, clients, server } = row.of;
            let warp = self
                .calls
                .iter()
                .find(|other| other.of == Call { era, clients, server: Kind::Warp });
            let (rate, cpu) = (row.per_second.median(), row.cpu_us.median());
            let to_warp = |own: f64, of: fn(&Row<Call>) -> &Samples| {
                // Where nothing was measured, or too shortly, there is no proportion.
                let ratio = warp.map(|warp| own / of(warp).median());
                ratio
                    .filter(|ratio| ratio.is_finite())
                    .map_or("-".to_owned(), |r| format!("{r:.2}"))
            };
            write!(text, "{:<7} {clients:>7} {:<15} {rate:>8.0}", era.name(), server.name())?;
            write!(text, " {:>3.0}%", row.per_second.spread())?;
            write!(text, " {:>5}", to_warp(rate, |warp| &warp.per_second))?;
            write!(text, " {:>8.0}", row.per_second.most())?;
            write!(text, " {:>8} {:>8}", time(row.p50_us.median()), time(row.p99_us.median()))?;
            write!(text, " {cpu:>4.1} µs {:>5}", to_warp(cpu, |warp| &warp.cpu_us))?;
            write!(text, " {:>4.1} µs", row.cpu_us.least())?;
            writeln!(text, " {:>4.1} µs {:>6}", row.load_cpu_us.median(), row.errors)?;
            write_error(text, row.first_error.as_deref())?;
        }
        Ok(())
    }

    fn write_sessions(&self, text: &mut String) -> std::fmt::Result {
        if self.sessions.is_empty() {
            return Ok(());
        }
        writeln!(text, "\nSessions opened and ended: initialize, initialized, DELETE; 16 clients")?;
        write!(text, "{:<15} {:>10} {:>4} {:>8} {:>8}", "server", "sessions/s", "±", "p50", "p99")?;
        writeln!(text, " {:>9} {:>9} {:>6}", "CPU", "load", "errors")?;
        for row in &self.sessions {
            let (name, rate) = (row.of.server.name(), &row.per_second);
            write!(text, "{name:<15} {:>10.0} {:>3.0}%", rate.median(), rate.spread())?;
            write!(text, " {:>8} {:>8}", time(row.p50_us.median()), time(row.p99_us.median()))?;
            write!(text, " {:>6.1} µs", row.cpu_us.median())?;
            writeln!(text, " {:>6.1} µs {:>6}", row.load_cpu_us.median(), row.errors)?;
            write_error(text, row.first_error.as_deref())?;
        }
        Ok(())
    }

    fn write_processes(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\nStart: from the process's start to its first good answer")?;
        for Start { server, ms } in &self.starts {
            writeln!(text, "{:<15} {:>6.1} ms", server.name(), ms.median())?;
        }
        if self.idle.is_empty() {
            return Ok(());
        }
        writeln!(text, "\nProcessor time without a client")?;
        for Idle { server, seconds, cpu_ms } in &self.idle {
            writeln!(text, "{:<15} {cpu_ms:>6.2} ms within {seconds} s", server.name())?;
        }
        writeln!(text, "\nMemory, resident, while idle")?;
        write!(text, "{:<15} {:>8} {:>8} {:>10}", "server", "sessions", "streams", "bytes")?;
        writeln!(text, "  growth")?;
        let mut before: Option<&Holding> = None;
        for holding in &self.memory {
            let Holding { server, sessions, streams, bytes } = *holding;
            let megabytes = round(bytes) / 1e6;
            write!(text, "{:<15} {sessions:>8} {streams:>8}", server.name())?;
            write!(text, " {megabytes:>7.1} MB")?;
            if let Some(before) = before.filter(|before| before.server == server) {
                let more = (sessions - before.sessions) + (streams - before.streams);
                let each = (round(bytes) - round(before.bytes)) / round(more as u64);
                let what = if streams > before.streams { "stream" } else { "session" };
                write!(text, "  {each:.0} B per {what}")?;
            }
            writeln!(text)?;
            before = Some(holding);
        }
        Ok(())
    }
}

fn row<Of: Copy + PartialEq>(rows: &mut Vec<Row<Of>>, of: Of) -> &mut Row<Of> {
    match rows.iter().position(|row| row.of == of) {
        Some(at) => &mut rows[at],
        None => rows.push_mut(Row::new(of)),
    }
}

fn write_error(text: &mut String, first: Option<&str>) -> std::fmt::Result {
    match first {
        Some(error) => writeln!(text, "  the first error: {error}"),
        None => Ok(()),
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn time(micros: f64) -> String {
    if micros < 1e3 { format!("{micros:.0} µs") } else { format!("{:.2} ms", micros / 1e3) }
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is 2^53 large")]
fn round(number: u64) -> f64 {
    number as f64
}
