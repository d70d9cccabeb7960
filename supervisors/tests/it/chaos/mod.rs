//! A storm of kills, panics, hangs, stops, calls and failing starts on a tree of three levels.
//!
//! A seed makes the tree and everything that happens to it. At the end the tree is whole: each
//! child that has to run runs once. Or it gave up properly: then it had reason to, and nothing is
//! left of it. `ERLMCP_CHAOS_SEEDS` runs more storms, `ERLMCP_CHAOS_FIRST_SEED` starts elsewhere.

mod build;
mod check;
mod dice;
mod found;
mod ledger;
mod plan;
mod schedule;
mod storm;
mod worker;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use build::World;
use dice::Dice;
use storm::End;

/// Real time that one storm may take at most; one that takes longer hangs.
const STUCK: Duration = Duration::from_secs(60);
/// Storms that blow side by side.
const SIDE_BY_SIDE: u64 = 4;
/// How many failures are told in full.
const TOLD: usize = 3;

#[test]
fn a_thousand_storms_in_paused_time() {
    let ends = storms(1000, false, || {
        Builder::new_current_thread().enable_time().start_paused(true).build()
    });
    // The storm is worth its name: each way to end was seen.
    if ends.values().sum::<u64>() >= 1000 {
        for end in [End::Whole, End::GaveUp, End::Ended, End::NotStarted] {
            assert!(ends.contains_key(&end), "{ends:?}");
        }
    }
}

#[test]
fn storms_on_several_threads() {
    let ends =
        storms(100, true, || Builder::new_multi_thread().worker_threads(3).enable_time().build());
    assert!(ends.contains_key(&End::Whole), "{ends:?}");
}

fn storms(
    number: u64,
    threads: bool,
    runtime: impl Fn() -> std::io::Result<Runtime> + Copy + Send + 'static,
) -> BTreeMap<End, u64> {
    silence();
    let number = setting("ERLMCP_CHAOS_SEEDS").unwrap_or(number);
    let first = setting("ERLMCP_CHAOS_FIRST_SEED").unwrap_or(1);
    let next = Arc::new(AtomicU64::new(first));
    let (told, results) = mpsc::sync_channel(64);
    // Not joined: a storm that hangs must not hang the test.
    for _ in 0..SIDE_BY_SIDE {
        let (next, told) = (next.clone(), told.clone());
        std::thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + number || told.send((seed, None)).is_err() {
                    return;
                }
                let _ = told.send((seed, Some(storm(seed, threads, runtime))));
            }
        });
    }
    drop(told);
    collect(&results)
}

type Told = (u64, Option<Result<End, String>>);

fn collect(results: &mpsc::Receiver<Told>) -> BTreeMap<End, u64> {
    let (mut ends, mut failures, mut running) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    loop {
        let stuck: Vec<u64> = running
            .iter()
            .filter(|(_, since): &(&u64, &Instant)| since.elapsed() > STUCK)
            .map(|(seed, _)| *seed)
            .collect();
        assert!(stuck.is_empty(), "storms that hang: {stuck:?}");
        match results.recv_timeout(Duration::from_secs(1)) {
            Ok((seed, None)) => drop(running.insert(seed, Instant::now())),
            Ok((seed, Some(result))) => {
                running.remove(&seed);
                match result {
                    Ok(end) => *ends.entry(end).or_default() += 1,
                    Err(why) => failures.push((seed, why)),
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    let texts: Vec<&str> = failures.iter().take(TOLD).map(|(_, why)| why.as_str()).collect();
    assert!(seeds.is_empty(), "{}\n{} seeds failed: {seeds:?}", texts.join("\n\n"), seeds.len());
    println!("{ends:?}");
    ends
}

fn storm(
    seed: u64,
    threads: bool,
    runtime: impl Fn() -> std::io::Result<Runtime>,
) -> Result<End, String> {
    let mut dice = Dice::new(seed);
    let plan = plan::tree(&mut dice);
    let schedule = schedule::schedule(&mut dice, &plan, threads);
    let world = World::new(plan, threads);
    let kept = world.clone();
    let runtime = runtime().map_err(|error| error.to_string())?;
    let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on(storm::run(world, &schedule))));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let end = end.unwrap_or_else(|panic| {
        Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into()))
    });
    end.map_err(|why| {
        let (tree, history) = (kept.plan.to_string(), kept.ledger.history());
        format!("seed {seed}\n{tree}\n{history}seed {seed}: {why}")
    })
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// The workers' own panics are part of the storm, and not worth a line each.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.starts_with("chaos: ") {
                previous(info);
            }
        }));
    });
}
