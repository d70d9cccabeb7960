//! What supervision costs: starts, restarts, stops, look-ups and memory, with one child and with
//! 100,000, beside bare tokio tasks.
//!
//! Everything runs on a multi-thread runtime with two workers, the caller too. A crash is measured
//! from the moment at which the child is told to crash until its next incarnation runs. Each call
//! is timed by itself, so that the table at the end can show medians; it goes to the standard
//! output, criterion's own files have the rest.
//!
//! `cargo bench -p supervisors -- crash` runs a part; `scripts/bench-supervision.sh` runs all and
//! OTP's figures beside it.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark is no production code"
)]

mod bare;
mod children;
mod memory;
mod pool;
mod report;

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use tokio::runtime::Runtime;

use crate::children::Kind;
use crate::pool::{Pool, Shape};
use crate::report::{Report, Row, STOP_ALL};

const WORKERS: usize = 2;
const SIZES: [usize; 3] = [1, 1_000, 100_000];
/// Where it is only seen that everything works, without optimisation.
const TEST_SIZES: [usize; 2] = [1, 10];

#[derive(Clone, Copy)]
enum Figure {
    Start,
    /// Of many callers at the same time.
    Burst,
    /// Of another child each time, whose memory is in no cache where there are many.
    Crash,
    /// Of the same child again and again: what is left when the caches don't matter.
    CrashSame,
    LookUp,
    Terminate,
    Delete,
}

impl Figure {
    fn of(shape: Shape) -> &'static [Self] {
        use Figure::{Burst, Crash, CrashSame, Delete, LookUp, Start, Terminate};
        match shape {
            Shape::Dynamic => &[Start, Burst, Crash, CrashSame, LookUp, Terminate],
            Shape::OneForOne => &[Start, Crash, CrashSame, LookUp, Terminate, Delete],
            Shape::Bare => &[Start, Crash, CrashSame, Terminate],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Burst => "start x64",
            Self::Crash => "crash",
            Self::CrashSame => "crash same",
            Self::LookUp => "lookup",
            Self::Terminate => "terminate",
            Self::Delete => "delete",
        }
    }

    /// Measures once, and leaves as many children as there were.
    async fn measure(self, pool: &mut Pool) -> Duration {
        let index = if let Self::CrashSame = self { 0 } else { pool.pick() };
        match self {
            Self::Burst => return pool.burst().await,
            Self::Crash | Self::CrashSame => return pool.crash(index).await,
            Self::LookUp => {
                let from = Instant::now();
                pool.look_up(index).await;
                return from.elapsed();
            }
            Self::Start | Self::Terminate | Self::Delete => {}
        }
        let begun = Instant::now();
        pool.terminate(index).await;
        let terminated = Instant::now();
        pool.delete(index).await;
        let deleted = Instant::now();
        pool.start(index).await;
        let started = Instant::now();
        pool.settle().await;
        match self {
            Self::Terminate => terminated - begun,
            Self::Delete => deleted - terminated,
            _ => started - deleted,
        }
    }
}

struct Bench {
    runtime: Runtime,
    criterion: Criterion,
    report: Report,
}

impl Bench {
    /// Runs on a worker of the runtime: the thread that waits in `block_on` is none.
    fn on_worker<T: Send + 'static>(
        runtime: &Runtime,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        runtime.block_on(runtime.spawn(work)).expect("the benchmark does not panic")
    }

    /// All figures about one supervisor with so many children.
    fn calls(&mut self, shape: Shape, kind: Kind, children: usize) {
        let Self { runtime, criterion, report } = self;
        let pool: RefCell<Option<Pool>> = RefCell::new(None);
        for &figure in Figure::of(shape) {
            let row = Row { shape: shape.name(), kind: kind.name(), figure: figure.name() };
            let mut group = criterion.benchmark_group([row.shape, row.kind, row.figure].join("/"));
            group.bench_function(BenchmarkId::from_parameter(children), |bencher| {
                if pool.borrow().is_none() {
                    let filled = Self::on_worker(runtime, Pool::fill(shape, kind, children));
                    pool.replace(Some(filled));
                }
                bencher.iter_custom(|times| {
                    let mut taken = pool.take().expect("it was filled");
                    let (back, samples) = Self::on_worker(runtime, async move {
                        let mut samples = Vec::new();
                        for _ in 0..times {
                            samples.push(figure.measure(&mut taken).await);
                        }
                        (taken, samples)
                    });
                    pool.replace(Some(back));
                    report.time(&row, children, &samples);
                    samples.iter().sum()
                });
            });
            group.finish();
        }
        if let Some(pool) = pool.take() {
            Self::on_worker(runtime, pool.stop());
        }
    }

    /// Stopping a supervisor with so many children, which have to be started anew each time.
    fn stop_all(&mut self, shape: Shape, kind: Kind, children: usize) {
        let Self { runtime, criterion, report } = self;
        let row = Row { shape: shape.name(), kind: kind.name(), figure: STOP_ALL };
        let mut group = criterion.benchmark_group([row.shape, row.kind, row.figure].join("/"));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::from_parameter(children), |bencher| {
            bencher.iter_custom(|times| {
                let samples = Self::on_worker(runtime, async move {
                    let mut samples = Vec::new();
                    for _ in 0..times {
                        let pool = Pool::fill(shape, kind, children).await;
                        let from = Instant::now();
                        pool.stop().await;
                        samples.push(from.elapsed());
                    }
                    samples
                });
                report.time(&row, children, &samples);
                samples.iter().sum()
            });
        });
        group.finish();
    }

    fn bytes(&mut self, shape: Shape, kind: Kind, children: usize) {
        let row = Row { shape: shape.name(), kind: kind.name(), figure: "bytes" };
        // A page is the smallest growth that is seen, far more than one child.
        let bytes = (children > 1).then(|| memory::bytes_per_child(shape, kind, children));
        self.report.bytes(&row, children, bytes.flatten());
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_time()
        .build()
        .expect("threads can be started")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == memory::FLAG
    {
        println!("{}", runtime().block_on(memory::measure(rest)).unwrap_or_default());
        return;
    }
    // As criterion sees it: only `cargo bench` passes `--bench`.
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let only_test = !given("--bench") || given("--test");
    let filtered = arguments.iter().any(|argument| !argument.starts_with('-'));
    let sizes: &[usize] = if only_test { &TEST_SIZES } else { &SIZES };
    let criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(600))
        .nresamples(1_001)
        .configure_from_args();
    let mut bench = Bench { runtime: runtime(), criterion, report: Report::new(sizes) };
    for &children in sizes {
        for shape in [Shape::Dynamic, Shape::OneForOne] {
            for kind in Kind::ALL {
                bench.calls(shape, kind, children);
                bench.stop_all(shape, kind, children);
            }
        }
        bench.calls(Shape::Bare, Kind::Task, children);
        bench.stop_all(Shape::Bare, Kind::Task, children);
    }
    if !filtered {
        for &children in sizes {
            for shape in [Shape::Dynamic, Shape::OneForOne, Shape::Bare] {
                for kind in Kind::ALL {
                    bench.bytes(shape, kind, children);
                }
            }
        }
    }
    println!("\nMedians by number of children; multi-thread runtime with {WORKERS} workers.");
    println!("stop-all is the time of all; its growth is that of the time per child.");
    println!("{}", bench.report.table());
    bench.criterion.final_summary();
}
